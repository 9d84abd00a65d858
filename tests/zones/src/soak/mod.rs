//! The soak: zones that live through whatever a seed gives them, while somebody watches that nothing happens which
//! never may.
//!
//! Each zone has a thread that leads it through a plan: commands, and beside them deaths of daemons, clients and
//! keepers. The plan comes from the seed alone, so that a soak can be run again; how the processes of the
//! machine take turns does not, so that it may have to be run more than once.

mod book;
mod driver;
pub(crate) mod kernel;
mod plan;
mod ticks;
mod watch;

use crate::harness::world::World;
use crate::harness::{Lab, LabSpec};
use book::Book;
use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How to soak.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// Where all chance comes from.
    pub seed: u64,
    /// How long the zones are given work.
    pub time: Duration,
    /// How many steps they take at least, though it be longer than that on a machine that has other things to do.
    pub least: usize,
    /// How many.
    pub zones: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How many steps were gone through.
    pub steps: usize,
    /// With how many of them something was made to go wrong.
    pub faults: usize,
    /// How often everything was looked at beside them.
    pub looks: usize,
    /// How many lines of the consoles were found where they had to be.
    pub lines: usize,
    /// What was not as it must be; nothing, if all is well.
    pub wrong: Vec<String>,
}

/// Soaks. Everything is written down in `soak.log` in the folder of `spec`.
///
/// # Errors
/// When the log cannot be written.
pub fn run(soak: Soak, spec: &LabSpec) -> io::Result<Report> {
    let before = World::look(&[]);
    let names: Vec<String> = (0..soak.zones).map(|number| format!("soak{number}")).collect();
    let lab = Lab::new(spec.clone());
    for name in &names {
        lab.configured(
            name,
            "set brand=sparse; add fs; set dir=/data; set special=swap; set type=tmpfs; end",
        );
    }
    let log = spec.dir.join("soak.log");
    let book = Book::open(&log, &soak)?;
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch::watch(&book, spec.clone(), &names));
        if spec.daemon_idle.is_none() {
            scope.spawn(|| have_daemons_leave(&book, &Lab::new(spec.clone())));
        }
        let drivers = names.iter().enumerate().map(|(number, name)| {
            let plan = plan::Plan::new(soak.seed, number);
            let (book, spec) = (&book, spec.clone());
            scope.spawn(move || {
                let lives = std::panic::AssertUnwindSafe(|| driver::live(book, spec, name, plan));
                if let Err(thrown) = std::panic::catch_unwind(lives) {
                    book.wrong(name, &words(&*thrown));
                }
            })
        });
        let drivers: Vec<_> = drivers.collect();
        for driver in drivers {
            let _ = driver.join();
        }
        book.close();
        if let Err(thrown) = watcher.join() {
            book.wrong("*", &words(&*thrown));
        }
    });
    let mut wrong = book.all_wrong();
    if wrong.is_empty() {
        lab.finish();
        wrong.extend(left(&before, &lab.root()).into_iter().map(|thing| format!("left behind: {thing}")));
    } else {
        lab.abandon();
    }
    let count = |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed);
    Ok(Report {
        steps: count(&book.steps),
        faults: count(&book.faults),
        looks: count(&book.looks),
        lines: count(&book.lines),
        wrong,
    })
}

/// Has daemons that nothing needs leave at once, after a second, and not at all, in turn.
fn have_daemons_leave(book: &Book, lab: &Lab) {
    const EACH: Duration = Duration::from_secs(2);
    for idle in ["0", "1", "\"never\""].iter().cycle().take_while(|_| !book.is_over()) {
        lab.daemons_leave_after(idle);
        std::thread::sleep(EACH);
    }
}

/// What is there that was not, once it had time to go.
fn left(before: &World, root: &Path) -> Vec<String> {
    let mut left = Vec::new();
    crate::harness::within(Duration::from_secs(8), || {
        left = World::look(&[]).since(before, root);
        left.retain(|thing| !thing.starts_with("file "));
        left.is_empty().then_some(())
    });
    left
}

/// What a panic said.
fn words(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<String>().cloned();
    text.or_else(|| thrown.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for wrong in &self.wrong {
            writeln!(f, "WRONG: {wrong}")?;
        }
        let Self { steps, faults, looks, lines, .. } = self;
        write!(
            f,
            "{steps} steps, {faults} of them with a fault; {looks} looks at all zones; {lines} console lines in order; \
             {} things wrong",
            self.wrong.len()
        )
    }
}
