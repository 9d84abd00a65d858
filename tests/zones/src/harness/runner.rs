//! Runs the tests side by side, each under a supervisor in namespaces of its own, and looks at the end for what all of
//! them left on the machine.

use super::case::Turn;
use super::command::wait_child;
use super::failpoint::{self, FAULTS};
use super::lab::COPIES;
use super::supervisor::{Verdict, log_file, verdict_file};
use super::wait::{stretched, within};
use super::world::{Host, World};
use super::{Case, LabSpec, namespaces};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much longer than its test a supervisor may take: it waits for what is left to go, twice.
const LOOK: Duration = Duration::from_secs(60);
/// How long all that is left of the last tests may take to go away.
const SETTLE: Duration = Duration::from_secs(8);
/// How long each test took when it was last run.
const TIMES: &str = "times.json";
/// The folder for what tests of the last run printed that failed.
const FAILED: &str = "failed";
/// The name by which leftovers are reported that are no single test's.
const HOST: &str = "suite::nothing_is_left_on_the_machine";

/// How the run ended.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many tests held.
    pub passed: usize,
    /// Those that did not, with why.
    pub failed: Vec<(String, String)>,
    /// Those that were not tried, with the reason.
    pub skipped: Vec<(String, String)>,
    /// What the crash suite and the error suite have done, a line each, if they were run.
    pub faults: Vec<String>,
}

/// What is the same for all tests of a run.
pub struct Run<'a> {
    /// Below it each test has its folder.
    pub base: &'a Path,
    /// What is kept of a run: how long each test took, what those printed that failed.
    pub kept: &'a Path,
    /// Where programs, guests and Python are; its `dir` is not looked at.
    pub spec: &'a LabSpec,
    /// How many tests run at the same time.
    pub jobs: usize,
    /// More options for the process of each test.
    pub arguments: &'a [String],
}

/// What a worker tells.
enum News {
    Begun(String),
    Done(String, Duration, io::Result<Verdict>),
}

impl Run<'_> {
    /// Runs `cases` and prints a line for each: first those that can share the machine, the longest first, then
    /// those that cannot.
    ///
    /// # Errors
    /// When a test cannot even be started.
    pub fn all(&self, cases: &[Case]) -> io::Result<Tally> {
        let _ = fs::remove_file(self.base.join(FAULTS));
        clear(&self.base.join(COPIES))?;
        clear(&self.kept.join(FAILED))?;
        fs::create_dir_all(self.kept.join(FAILED))?;
        let mut book = Book::open(self, cases);
        let turn = |turn| {
            let mut these: Vec<Case> = cases.iter().filter(|case| case.turn == turn).copied().collect();
            if turn == Turn::Parallel && self.jobs > 1 {
                these.sort_by_key(|case| std::cmp::Reverse(book.expected(case)));
            }
            VecDeque::from(these)
        };
        let (parallel, alone, last) = (turn(Turn::Parallel), turn(Turn::Alone), turn(Turn::Last));
        self.these(parallel, self.jobs, &mut book)?;
        self.these(alone, 1, &mut book)?;
        self.these(last, 1, &mut book)?;
        book.close(self)
    }

    /// Runs `cases` in their order, so many at a time.
    fn these(&self, cases: VecDeque<Case>, jobs: usize, book: &mut Book) -> io::Result<()> {
        let queue = Mutex::new(cases);
        let (tell, news) = channel();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (queue, tell) = (&queue, tell.clone());
                scope.spawn(move || self.work(queue, &tell));
            }
            drop(tell);
            for news in news {
                match news {
                    News::Begun(name) => book.begun(name),
                    News::Done(name, took, verdict) => {
                        // Those that run are waited for, but no more are begun.
                        let verdict = verdict.inspect_err(|_| lock(&queue).clear())?;
                        book.done(self, name, took, verdict)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn work(&self, queue: &Mutex<VecDeque<Case>>, tell: &Sender<News>) {
        loop {
            let Some(case) = lock(queue).pop_front() else { return };
            let began = Instant::now();
            // Who listens no more has given up on the run.
            let _ = tell.send(News::Begun(case.name()));
            let verdict = self.one(&case);
            let _ = tell.send(News::Done(case.name(), began.elapsed(), verdict));
        }
    }

    fn one(&self, case: &Case) -> io::Result<Verdict> {
        let dir = self.dir(case);
        clear(&dir)?;
        fs::create_dir_all(&dir)?;
        let _ = fs::remove_file(verdict_file(&dir));
        let mut supervisor = namespaces::command(!case.online)?
            .args(["--case", &case.name(), "--dir"])
            .arg(&dir)
            .arg("--bin")
            .arg(&self.spec.bin)
            .args(self.arguments)
            .stdin(Stdio::null())
            .spawn()?;
        if wait_child(&mut supervisor, stretched(case.limit + LOOK)).is_none() {
            supervisor.kill()?;
            supervisor.wait()?;
        }
        let verdict = fs::read(verdict_file(&dir)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let verdict = verdict.unwrap_or_else(|| Verdict::Failed("its supervisor gave no verdict".to_owned()));
        clear(&dir)?;
        let _ = fs::remove_file(verdict_file(&dir));
        if matches!(verdict, Verdict::Failed(_)) {
            let name = dir.file_name().unwrap_or_default();
            let _ = fs::copy(log_file(&dir), log_file(&self.kept.join(FAILED).join(name)));
        }
        let _ = fs::remove_file(log_file(&dir));
        Ok(verdict)
    }

    fn dir(&self, case: &Case) -> PathBuf {
        self.base.join(case.name().replace("::", "-"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts, prints, and watches over what no single test can be blamed for.
struct Book {
    tally: Tally,
    times: BTreeMap<String, f64>,
    running: Vec<String>,
    before: World,
    host: Host,
    /// What appeared on the machine during the run, with the tests that ran at that time.
    appeared: BTreeMap<String, String>,
    roots: Vec<PathBuf>,
}

impl Book {
    fn open(run: &Run<'_>, cases: &[Case]) -> Self {
        let times = fs::read(run.kept.join(TIMES)).ok();
        Self {
            tally: Tally::default(),
            times: times.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default(),
            running: Vec::new(),
            before: World::look(&spared()),
            host: Host::look(),
            appeared: BTreeMap::new(),
            roots: cases.iter().map(|case| run.dir(case).join("root")).collect(),
        }
    }

    /// How long a test is going to take: as long as the last time, or a part of its limit.
    fn expected(&self, case: &Case) -> Duration {
        let known = self.times.get(&case.name()).copied();
        known.and_then(|secs| Duration::try_from_secs_f64(secs).ok()).unwrap_or(case.limit / 6)
    }

    fn begun(&mut self, name: String) {
        self.running.push(name);
    }

    fn done(&mut self, run: &Run<'_>, name: String, took: Duration, verdict: Verdict) -> io::Result<()> {
        for thing in Host::look().since(&self.host) {
            self.appeared.entry(thing).or_insert_with(|| self.running.join(", "));
        }
        self.running.retain(|other| *other != name);
        if failpoint::is_crash(&name) || failpoint::is_error(&name) {
            append(&run.base.join(FAULTS), &format!("ran {name}\n"))?;
        }
        self.times.insert(name.clone(), took.as_secs_f64());
        let took = format!("[{:7.3}s]", took.as_secs_f64());
        match verdict {
            Verdict::Passed => {
                println!("        PASS {took} {name}");
                self.tally.passed += 1;
            }
            Verdict::Skipped(reason) => {
                println!("        SKIP {took} {name}: {reason}");
                self.tally.skipped.push((name, reason));
            }
            Verdict::Failed(why) => {
                println!("        FAIL {took} {name}");
                why.lines().for_each(|line| println!("             {line}"));
                self.tally.failed.push((name, why));
            }
        }
        Ok(())
    }

    fn close(mut self, run: &Run<'_>) -> io::Result<Tally> {
        let mut left = Vec::new();
        within(SETTLE, || {
            let host = Host::look().since(&self.host);
            left = World::look(&spared()).since_of(&self.before, &self.roots);
            left.extend(host.into_iter().map(|thing| match self.appeared.get(&thing) {
                Some(running) => format!("{thing}, since one of these ran: {running}"),
                None => thing,
            }));
            left.is_empty().then_some(())
        });
        if !left.is_empty() {
            println!("        FAIL            {HOST}");
            left.iter().for_each(|thing| println!("             left behind: {thing}"));
            self.tally.failed.push((HOST.to_owned(), left.join("\n")));
        }
        fs::write(run.kept.join(TIMES), serde_json::to_vec_pretty(&self.times)?)?;
        self.tally.faults = failpoint::count(run.base, &run.spec.bin);
        Ok(self.tally)
    }
}

/// The suite's own processes.
fn spared() -> [u32; 2] {
    [1, std::process::id()]
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

fn clear(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
