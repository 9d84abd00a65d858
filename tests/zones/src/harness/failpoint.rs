//! Killing a program at an exact point between two steps, and making a call of it fail: builds for tests have such
//! points (`zoneadmd --failpoints` lists them), and die or fail at the one that the test names.

use super::lab::{make_dir, write};
use super::{Lab, Zone, skip, until};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const ORDERS: &str = "failpoint";
const HIT: &str = "failpoint.hit";
const TRACE: &str = "failpoint.trace";
const CALLS: &str = "failpoint.calls";
/// Beside the folders of all tests: where a program has died so far, and which tests of the crash suite were run.
pub(super) const FAULTS: &str = "faults";

/// Any point.
pub const ANY: &str = "*";

impl Zone<'_> {
    /// The next daemon that passes a point dies at the first of `numbers`, counted from 1; the one
    /// after it at the second.
    #[track_caller]
    pub fn die_at(&self, numbers: &[usize]) {
        let orders: Vec<_> = numbers.iter().map(|&number| ("zoneadmd", ANY, number)).collect();
        self.dies(&orders);
    }

    /// One after the other, a program dies when it passes a point for the so many'th time.
    #[track_caller]
    pub fn dies(&self, orders: &[(&str, &str, usize)]) {
        let line = |(program, point, count): &(&str, &str, usize)| format!("{program} {point} {count}\n");
        self.order(&orders.iter().map(line).collect::<String>());
    }

    /// The call `point` of `program`, when it is made for the so many'th time, fails with `error`; and so does every
    /// later one if `always`.
    #[track_caller]
    pub fn fails(&self, program: &str, point: &str, count: usize, error: &str, always: bool) {
        let always = if always { " always" } else { "" };
        self.order(&format!("{program} {point} {count} {error}{always}\n"));
    }

    /// A call of `program` fails once, and the program dies when it then passes `point`.
    #[track_caller]
    pub fn fails_and_dies(&self, program: &str, call: &str, error: &str, point: &str) {
        self.order(&format!("{program} {call} 1 {error}\n{program} {point} 1\n"));
    }

    /// Has the daemon stop at `point` of what `command` does, changes the world by `meanwhile`, and has it go on. Gives what the
    /// command said in the end.
    #[track_caller]
    pub fn stopped_at(&self, point: &str, command: super::Command, meanwhile: impl FnOnce()) -> super::Ran {
        self.program_stopped_at("zoneadmd", point, command, meanwhile)
    }

    /// The same of any program.
    #[track_caller]
    pub fn program_stopped_at(
        &self,
        program: &str,
        point: &str,
        command: super::Command,
        meanwhile: impl FnOnce(),
    ) -> super::Ran {
        let _ = self.lab().points();
        self.order(&format!("{program} {point} 1 STOP\n"));
        let running = command.start();
        let pid = until(&format!("{program} stops at {point}"), || {
            let hit = self.lines(HIT).pop()?;
            hit.rsplit_once(" STOP ")?.1.parse().ok().and_then(rustix::process::Pid::from_raw)
        });
        // The line is there before the process is stopped: a SIGCONT before that would be lost.
        until("all of its threads have stopped", || threads_have_stopped(pid).then_some(()));
        meanwhile();
        self.take_back();
        let goes_on = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
        goes_on.unwrap_or_else(|e| panic!("{program}, which has stopped at {point}: {e}"));
        running.wait()
    }

    #[track_caller]
    fn order(&self, orders: &str) {
        make_dir(&self.run_dir(), 0o700);
        self.take_back();
        write(&self.run_dir().join(ORDERS), orders);
    }

    /// Takes the orders back, and gives what has happened by them. Programs carry an order out with the file of orders
    /// locked, and do not before they have locked it: nothing happens after this.
    fn take_back(&self) -> Vec<String> {
        let lock = fs::File::open(self.run_dir().join(ORDERS)).ok();
        if let Some(lock) = &lock {
            let locked = rustix::fs::flock(lock, rustix::fs::FlockOperation::LockExclusive);
            locked.unwrap_or_else(|e| panic!("the file of orders: {e}"));
        }
        let hits = self.lines(HIT);
        let _ = fs::remove_file(self.run_dir().join(ORDERS));
        let _ = fs::remove_file(self.run_dir().join(HIT));
        hits
    }

    /// The points at which programs have died since [`Self::die_at`], each with its program.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.lines(HIT)
    }

    /// Nobody dies any more. Gives the points at which somebody did, and sees that they are counted.
    pub fn die_no_more(&self) -> Vec<String> {
        let deaths = self.take_back();
        for death in &deaths {
            // What failed on the way has its error behind it.
            let kind = if death.split(' ').count() > 2 { "error" } else { "fault" };
            self.lab().note(&format!("{kind} {death}"));
        }
        deaths
    }

    /// No call fails any more. Gives the calls that did, each with its program and error, and sees that they are counted.
    pub fn fail_no_more(&self) -> Vec<String> {
        let errors = self.take_back();
        errors.iter().for_each(|error| self.lab().note(&format!("error {error}")));
        errors
    }

    /// The calls that can be made to fail, in the order in which the programs make them in `work`: program and call.
    #[track_caller]
    pub fn calls_in(&self, work: impl FnOnce()) -> Vec<String> {
        make_dir(&self.run_dir(), 0o700);
        write(&self.run_dir().join(CALLS), "");
        work();
        let lines = self.lines(CALLS);
        let _ = fs::remove_file(self.run_dir().join(CALLS));
        lines
    }

    /// The points that `program` passes in `work`, in the order in which it does so.
    #[track_caller]
    pub fn passed_by(&self, program: &str, work: impl FnOnce()) -> Vec<String> {
        make_dir(&self.run_dir(), 0o700);
        write(&self.run_dir().join(TRACE), "");
        work();
        let lines = self.lines(TRACE);
        let _ = fs::remove_file(self.run_dir().join(TRACE));
        let of_program = |line: &String| {
            line.split_once(' ').filter(|(who, _)| *who == program).map(|(_, p)| p.to_owned())
        };
        lines.iter().filter_map(of_program).collect()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.run_dir().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The operation that the journal says was begun and not ended.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        let mut marks = self.lines("journal");
        marks.retain(|line| line.starts_with("begin ") || line.starts_with("end "));
        marks.pop().filter(|line| line.starts_with("begin "))
    }

    /// Waits until a daemon has died as it was told to, or has passed all the points there are, and until nobody carries on
    /// with anything. While one is at work its door is left alone: somebody who waits there when it dies gets another daemon.
    #[track_caller]
    pub fn dead_or_done(&self) -> Vec<String> {
        until(&format!("the daemon of zone '{}' is dead or at rest", self.name()), || {
            let deaths = self.deaths();
            let is_up = || {
                let now = self.status();
                ["ready", "running"].contains(&now.state.as_str()) && now.operation.is_none()
            };
            let rests = match self.daemon() {
                // Its door is gone before it is: what it passes on its way out counts, too.
                None => self.nobody_is_daemon(),
                Some(_) => !self.is_at_work() && (!deaths.is_empty() || is_up()),
            };
            rests.then(|| self.deaths())
        })
    }

    /// Whether the lock that a daemon holds for its whole life is free.
    #[must_use]
    pub fn nobody_is_daemon(&self) -> bool {
        use rustix::fs::{FlockOperation, flock};
        fs::File::open(self.run_dir().join("lock"))
            .map_or(true, |lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
    }
}

impl Lab {
    /// Notes a line for the suite's count of faults.
    pub(crate) fn note(&self, line: &str) {
        let path = self.beside(FAULTS);
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let done = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// What was done in this run of the suite so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::read(&self.beside(FAULTS))
    }

    /// All points that there are. Ends a test when the programs have none: those of a build for use.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        points(&self.program("zoneadmd")).unwrap_or_else(|| skip(NONE))
    }
}

const NONE: &str = "these programs have no failpoints: they are no build for tests";

/// A point, as the programs list it.
#[derive(Debug, Clone, Deserialize)]
pub struct Point {
    program: String,
    name: String,
    /// Why no test comes there; empty if one does.
    pub except: String,
    /// The errors that the call there can be made to fail with, with blanks between; empty for a place to be killed at.
    pub errors: String,
}

impl Point {
    /// Whether it is a call that can fail, and no place to be killed at.
    #[must_use]
    pub fn is_call(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether a line of those that failed means it: `PROGRAM POINT ERROR`.
    #[must_use]
    pub fn is_hit(&self, error: &str) -> bool {
        error.rsplit_once(' ').is_some_and(|(point, _)| point == self.with_program())
    }

    /// As it is called when somebody has died there.
    #[must_use]
    pub fn with_program(&self) -> String {
        format!("{} {}", self.program, self.name)
    }
}

fn points(zoneadmd: &Path) -> Option<Vec<Point>> {
    let ran = Command::new(zoneadmd).args(["--failpoints", "--json"]).output().ok()?;
    serde_json::from_slice(&ran.stdout).ok()
}

/// What was done in a run of the suite.
#[derive(Debug, Default)]
pub struct Faults {
    /// Where programs were killed, each with its program.
    pub deaths: Vec<String>,
    /// The calls that failed, each with its program and error, and those that strace(1) made fail.
    pub errors: Vec<String>,
    /// The tests of the crash suite and of the error suite that were run.
    pub ran: BTreeSet<String>,
}

impl Faults {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let of = |prefix: &'static str| {
            text.lines().filter_map(move |line| line.strip_prefix(prefix)).map(str::to_owned)
        };
        Self { deaths: of("fault ").collect(), errors: of("error ").collect(), ran: of("ran ").collect() }
    }
}

/// Whether a test is one of the crash suite.
#[must_use]
pub fn is_crash(case: &str) -> bool {
    case.starts_with("crash")
}

/// Whether a test is one of the error suite.
#[must_use]
pub fn is_error(case: &str) -> bool {
    case.starts_with("error")
}

/// The crash suite and the error suite in a line each, if any of them was run: the tests, how often a program was killed
/// or a call failed, and at how many of the points that there are.
pub(super) fn count(base: &Path, bin: &Path) -> Vec<String> {
    let Faults { deaths, errors, ran } = Faults::read(&base.join(FAULTS));
    let Some(points) = points(&bin.join("zoneadmd")) else { return Vec::new() };
    let (calls, places): (Vec<_>, Vec<_>) = points.iter().partition(|point| point.is_call());
    let at = deaths.iter().collect::<BTreeSet<_>>().len();
    let mut lines = Vec::new();
    if !deaths.is_empty() {
        let cases = ran.iter().filter(|case| is_crash(case)).count();
        let (faults, all) = (deaths.len(), places.len());
        lines.push(format!("crash suite: {cases} cases, {faults} faults injected at {at} of {all} points"));
    }
    if !errors.is_empty() {
        let cases = ran.iter().filter(|case| is_error(case)).count();
        let hit = calls.iter().filter(|point| errors.iter().any(|error| point.is_hit(error))).count();
        let traced: BTreeSet<_> = errors.iter().filter_map(|error| traced(error)).collect();
        lines.push(format!(
            "error suite: {cases} cases, {} faults injected at {hit} of {} points and in {} kinds of system call",
            errors.len(),
            calls.len(),
            traced.len(),
        ));
    }
    lines
}

/// Program and system call of a failure that strace(1) made: `strace PROGRAM CALL ERROR`.
fn traced(error: &str) -> Option<(&str, &str)> {
    let mut words = error.strip_prefix("strace ")?.split(' ');
    Some((words.next()?, words.next()?))
}

/// Ends a test that needs the points when the programs have none: those of a build for use.
pub fn need_failpoints(deaths: &[String]) {
    if deaths.is_empty() {
        skip(NONE);
    }
}

fn threads_have_stopped(pid: rustix::process::Pid) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}
