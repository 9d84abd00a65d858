//! Killing a program at an exact point between two steps: builds for tests have such points (`zoneadmd
//! --failpoints` lists them), and die at the one that the test names.

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
/// Beside the folders of all tests: where a program has died so far, and which tests of the crash suite were run.
pub(super) const FAULTS: &str = "faults";

/// Any point.
pub(super) const ANY: &str = "*";

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
        make_dir(&self.run_dir(), 0o700);
        let _ = fs::remove_file(self.run_dir().join(HIT));
        let line = |(program, point, count): &(&str, &str, usize)| format!("{program} {point} {count}\n");
        write(&self.run_dir().join(ORDERS), orders.iter().map(line).collect::<String>());
    }

    /// The points at which programs have died since [`Self::die_at`], each with its program.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.lines(HIT)
    }

    /// Nobody dies any more. Gives the points at which somebody did, and sees that they are counted.
    pub fn die_no_more(&self) -> Vec<String> {
        let _ = fs::remove_file(self.run_dir().join(ORDERS));
        let deaths = self.deaths();
        let _ = fs::remove_file(self.run_dir().join(HIT));
        deaths.iter().for_each(|death| self.lab().note(&format!("fault {death}")));
        deaths
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

    /// Waits until a daemon has died as it was told to, or has passed all the points there are.
    #[track_caller]
    pub fn dead_or_done(&self) -> Vec<String> {
        until(&format!("the daemon of zone '{}' is dead or at rest", self.name()), || {
            let deaths = self.deaths();
            let rests = || match self.daemon() {
                // Its door is gone before it is: what it passes on its way out counts, too.
                None => self.nobody_is_daemon(),
                Some(_) => {
                    let now = self.status();
                    ["ready", "running"].contains(&now.state.as_str()) && now.operation.is_none()
                }
            };
            if deaths.is_empty() { rests().then(|| self.deaths()) } else { Some(deaths) }
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
    fn note(&self, line: &str) {
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
}

impl Point {
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
    /// The tests of the crash suite that were run.
    pub ran: BTreeSet<String>,
}

impl Faults {
    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let of = |prefix: &'static str| {
            text.lines().filter_map(move |line| line.strip_prefix(prefix)).map(str::to_owned)
        };
        Self { deaths: of("fault ").collect(), ran: of("ran ").collect() }
    }
}

/// Whether a test is one of the crash suite.
#[must_use]
pub fn is_crash(case: &str) -> bool {
    case.starts_with("crash")
}

/// The crash suite in one line, if any of it was run: its tests, how often a program was killed, and at how many of
/// the points that there are.
pub(super) fn count(base: &Path, bin: &Path) -> Option<String> {
    let Faults { deaths, ran } = Faults::read(&base.join(FAULTS));
    let all = points(&bin.join("zoneadmd"))?.len();
    let at = deaths.iter().collect::<BTreeSet<_>>().len();
    let (cases, faults) = (ran.len(), deaths.len());
    (faults > 0)
        .then(|| format!("crash suite: {cases} cases, {faults} faults injected at {at} of {all} points"))
}

/// Ends a test that needs the points when the programs have none: those of a build for use.
pub fn need_failpoints(deaths: &[String]) {
    if deaths.is_empty() {
        skip(NONE);
    }
}
