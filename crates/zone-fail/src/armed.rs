//! What a build for tests has.

use crate::{ERRORS, Errno, POINTS, Step};
use rustix::fs::{FlockOperation, flock, fstat};
use rustix::process::{Signal, getpid, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says what is to happen where.
const ORDERS: &str = "failpoint";
/// What has happened.
const HIT: &str = "failpoint.hit";
/// Where everybody came by.
const TRACE: &str = "failpoint.trace";
/// Which calls everybody has made.
const CALLS: &str = "failpoint.calls";
/// Tells a process the directory that does not know its zone.
const DIRECTORY: &str = "ZONES_FAILPOINTS";

/// Any point.
const ANY: &str = "*";
/// Stands in the place of an error where a program is to stop until somebody has it go on.
const STOP: &str = "STOP";

struct Armed {
    program: &'static str,
    directory: PathBuf,
}

static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

fn armed() -> MutexGuard<'static, Option<Armed>> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which program this is, and the run directory of its zone.
pub fn arm(program: &'static str, directory: impl FnOnce() -> PathBuf) {
    *armed() = Some(Armed { program, directory: directory() });
}

/// Says which program this is; whoever started it may have said of which zone, by [`pass_on`].
pub fn arm_as_told(program: &'static str) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        arm(program, || directory.into());
    }
}

/// From now on this process, a copy of another, is that program.
pub fn become_program(program: &'static str) {
    if let Some(armed) = armed().as_mut() {
        armed.program = program;
    }
}

/// Tells a process that is to be started of which zone it is.
pub fn pass_on(command: &mut Command) {
    if let Some(armed) = armed().as_ref() {
        command.env(DIRECTORY, &armed.directory);
    }
}

/// The point `name` is passed, or `name.part` if there is a part; or not.
pub fn pass(name: &'static str, part: &str) {
    let Some(ordered) = due(name, part, Kind::Place) else { return };
    match ordered.order {
        // The orders stay locked until this process is no more.
        Order::Die => die(),
        Order::Stop => {
            drop(ordered);
            stop();
        }
        Order::Fail(_) => {}
    }
}

/// Stops this process until the orders are taken back. The signal is one to the process: whichever thread takes it, this one
/// goes on until it is told of that, which on a busy machine is long after the call has returned.
fn stop() {
    let orders = armed().as_ref().map(|armed| armed.directory.join(ORDERS));
    let _ = kill_process(getpid(), Signal::STOP);
    while orders.as_ref().is_some_and(|orders| orders.exists()) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The call `name`, or `name.part` if there is a part, is about to be made; or fails.
///
/// # Errors
/// The one that was ordered.
pub fn fail(name: &'static str, part: &str) -> Result<(), Errno> {
    match due(name, part, Kind::Call) {
        Some(Due { order: Order::Fail(error), .. }) => Err(error),
        _ => Ok(()),
    }
}

/// A point that will be passed when no file can be read any more.
#[derive(Debug)]
#[must_use]
pub struct Promise(bool);

/// Looks a point up that will be passed later.
pub fn promise(name: &'static str) -> Promise {
    Promise(matches!(due(name, "", Kind::Place), Some(Due { order: Order::Die, .. })))
}

impl Promise {
    /// The point is passed; or not.
    pub fn keep(self) {
        if self.0 {
            die();
        }
    }
}

fn die() {
    let _ = kill_process(getpid(), Signal::KILL);
}

/// What can happen at a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A program can be killed there, or stopped.
    Place,
    /// A call can fail there.
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Die,
    Stop,
    Fail(Errno),
}

/// An order that is to be carried out. As long as this is there, nobody can take the orders back.
#[derive(Debug)]
struct Due {
    order: Order,
    _lock: File,
}

/// Notes that the point is come by, and whether something is to happen there.
fn due(name: &'static str, part: &str, kind: Kind) -> Option<Due> {
    let armed = armed();
    let Armed { program, directory } = armed.as_ref()?;
    let point = if part.is_empty() { name.to_owned() } else { format!("{name}.{part}") };
    let trace = match kind {
        Kind::Place => directory.join(TRACE),
        Kind::Call => directory.join(CALLS),
    };
    append(&trace, false, &format!("{program} {point}"));
    let due = first_order(&directory.join(ORDERS), program, &point, kind)?;
    match due.order {
        Order::Die => append(&directory.join(HIT), true, &format!("{program} {point}")),
        Order::Stop => {
            let pid = getpid().as_raw_nonzero();
            append(&directory.join(HIT), true, &format!("{program} {point} {STOP} {pid}"));
        }
        Order::Fail(error) => {
            append(&directory.join(HIT), true, &format!("{program} {point} {}", name_of(error)));
        }
    }
    Some(due)
}

fn name_of(error: Errno) -> &'static str {
    ERRORS.iter().find(|(_, known)| *known == error).map_or("?", |(name, _)| name)
}

/// Counts the first order down if it means this point; gives it when it is due.
fn first_order(orders: &Path, program: &str, point: &str, kind: Kind) -> Option<Due> {
    // Not made anew: whoever has just taken it away wants nothing to happen any more.
    let mut file = OpenOptions::new().read(true).write(true).open(orders).ok()?;
    flock(&file, FlockOperation::LockExclusive).ok()?;
    if fstat(&file).ok()?.st_nlink == 0 {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut words = first.split_whitespace();
    let (who, place, count) = (words.next()?, words.next()?, words.next()?.parse::<u32>().ok()?);
    let (error, always) = (words.next(), words.next());
    let order = match error {
        None => Order::Die,
        Some(STOP) => Order::Stop,
        Some(error) => Order::Fail(ERRORS.iter().find(|(name, _)| *name == error)?.1),
    };
    let is_place = matches!(order, Order::Die | Order::Stop);
    let means = is_place == (kind == Kind::Place) && (place == point || place == ANY);
    if who != program || !means {
        return None;
    }
    let error = error.map(|error| format!(" {error}")).unwrap_or_default();
    let left = match (count > 1, always) {
        (true, None) => format!("{who} {place} {}{error}\n{rest}", count - 1),
        (true, Some(always)) => format!("{who} {place} {}{error} {always}\n{rest}", count - 1),
        (false, None) => rest.to_owned(),
        (false, Some(_)) => text.clone(),
    };
    file.set_len(0).ok()?;
    file.write_all_at(left.as_bytes(), 0).ok()?;
    (count <= 1).then_some(Due { order, _lock: file })
}

fn append(file: &Path, create: bool, line: &str) {
    // One write, so that the lines of several processes stay whole. That it fails is the test's business.
    let opened = OpenOptions::new().create(create).append(true).open(file);
    let _ = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
}

/// Prints the list, if `--failpoints` is the first word of the command line: as a table, or with `--json` behind
/// it. `steps` are those of the platform.
pub fn ask(steps: impl FnOnce() -> Vec<Step>) -> Option<ExitCode> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let json = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--failpoints"] => false,
        ["--failpoints", "--json"] => true,
        _ => return None,
    };
    let rows = rows(&steps());
    let text = if json { self::json(&rows) } else { table(&rows) };
    let printed = std::io::stdout().lock().write_all(text.as_bytes());
    Some(if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Program, name, what is done before, what comes next, why no sweep comes there, and the errors of a call.
type Row = [String; 6];

fn rows(steps: &[Step]) -> Vec<Row> {
    let row = |words: [&str; 6]| words.map(str::to_owned);
    let mut rows: Vec<Row> = POINTS
        .iter()
        .map(|point| {
            let (except, errors) = (point.except.unwrap_or(""), point.errors.join(" "));
            row([point.program, point.name, point.after, point.before, except, &errors])
        })
        .collect();
    for step in steps {
        let name = step.name;
        let mut add = |group: &str, after: String, before: &str| {
            rows.push(row(["zoneadmd", &format!("{group}.{name}"), &after, before, "", ""]));
        };
        if step.built {
            add("step", format!("step {name} is taken"), "the next step");
        }
        if step.built && step.kept {
            add("intent", format!("the journal says that step {name} will be taken"), "it is taken");
            add("done", format!("the journal says that step {name} was taken"), "the next step");
        }
        if step.kept {
            add("undo", format!("step {name} is undone"), "the step before it is undone");
        }
        if step.changed {
            add("update", format!("what a change of the zone means to step {name} is done"), "the next step");
        }
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let width = |column: usize, title: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(title.len())
    };
    let (program, name, after) = (width(0, "PROGRAM"), width(1, "POINT"), width(2, "AFTER"));
    let line = |[one, two, three, four, _, errors]: &Row| {
        let errors = if errors.is_empty() { String::new() } else { format!(" ({errors})") };
        format!("{one:program$}  {two:name$}  {three:after$}  {four}{errors}\n")
    };
    let head = ["PROGRAM", "POINT", "AFTER", "BEFORE", "", ""].map(str::to_owned);
    std::iter::once(&head).chain(rows).map(line).collect()
}

fn json(rows: &[Row]) -> String {
    let object = |row: &Row| {
        let fields = ["program", "name", "after", "before", "except", "errors"].into_iter().zip(row);
        // The texts are ours: nothing in them needs an escape, and a test sees to that.
        let fields: Vec<_> = fields.map(|(key, value)| format!("\"{key}\": \"{value}\"")).collect();
        format!("  {{{}}}", fields.join(", "))
    };
    let objects: Vec<_> = rows.iter().map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(orders: &Path, program: &str, point: &str) -> bool {
        first_order(orders, program, point, Kind::Place).is_some()
    }

    fn failed(orders: &Path, program: &str, point: &str) -> Option<Order> {
        first_order(orders, program, point, Kind::Call).map(|due| due.order)
    }

    #[test]
    fn the_first_order_is_counted_down_by_those_it_means() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "zoneadmd journal.begin 2\nzoneadm * 1\n").unwrap();
        assert!(!ordered(&orders, "zoneadm", "journal.begin"), "another program");
        assert!(!ordered(&orders, "zoneadmd", "journal.end"), "another point");
        assert!(failed(&orders, "zoneadmd", "journal.begin").is_none(), "a call of that name");
        assert!(!ordered(&orders, "zoneadmd", "journal.begin"), "the first time");
        assert!(ordered(&orders, "zoneadmd", "journal.begin"), "the second time");
        assert!(!ordered(&orders, "zoneadmd", "journal.begin"), "the next line is for another");
        assert!(ordered(&orders, "zoneadm", "whatever"));
        assert!(!ordered(&orders, "zoneadm", "whatever"), "nothing is left");
        std::fs::remove_file(&orders).unwrap();
        assert!(!ordered(&orders, "zoneadm", "whatever") && !orders.exists());
    }

    #[test]
    fn a_program_stops_at_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "zoneadmd network.linked 2 STOP\nzoneadmd * 1\n").unwrap();
        let passed = || first_order(&orders, "zoneadmd", "network.linked", Kind::Place).map(|due| due.order);
        assert!(failed(&orders, "zoneadmd", "network.linked").is_none(), "a call of that name");
        assert_eq!([passed(), passed(), passed()], [None, Some(Order::Stop), Some(Order::Die)]);
    }

    #[test]
    fn a_call_fails_once_or_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "zoneadmd journal.write 2 ENOSPC\nzoneadmd journal.write 2 EIO always\n")
            .unwrap();
        let write = || failed(&orders, "zoneadmd", "journal.write");
        assert!(!ordered(&orders, "zoneadmd", "journal.write"), "a place of that name");
        assert_eq!([write(), write()], [None, Some(Order::Fail(Errno::NOSPC))]);
        assert_eq!(
            [write(), write(), write()],
            [None, Some(Order::Fail(Errno::IO)), Some(Order::Fail(Errno::IO))]
        );
    }

    #[test]
    fn orders_that_were_taken_back_while_somebody_waited_for_them_count_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "zoneadmd * 1\n").unwrap();
        let lock = File::open(&orders).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        std::thread::scope(|scope| {
            let program = scope.spawn(|| ordered(&orders, "zoneadmd", "whatever"));
            std::fs::remove_file(&orders).unwrap();
            drop(lock);
            assert!(!program.join().unwrap());
        });
    }

    #[test]
    fn nonsense_does_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        for text in
            ["", "\n", "zoneadmd", "zoneadmd *", "zoneadmd * x", "1", "\u{fffd} * 1", "zoneadmd * 1 EODD"]
        {
            std::fs::write(&orders, text).unwrap();
            assert!(!ordered(&orders, "zoneadmd", "a"), "{text:?}");
            assert!(failed(&orders, "zoneadmd", "a").is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_errors_of_the_list_are_known() {
        let known = |name: &&&str| ERRORS.iter().any(|(error, _)| error == *name);
        for point in POINTS {
            assert_eq!(point.errors.iter().filter(known).count(), point.errors.len(), "{point:?}");
        }
    }

    #[test]
    fn the_list_can_be_printed_and_has_no_name_twice() {
        let rows = rows(&[
            Step { name: "cgroup", built: true, kept: true, changed: true },
            Step { name: "dev", built: true, kept: false, changed: false },
            Step { name: "images", built: false, kept: true, changed: false },
        ]);
        assert_eq!(table(&rows).lines().count(), rows.len() + 1);
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| (&row[0], &row[1])).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(row[..4].iter().all(|text| !text.is_empty()), "{row:?}");
            assert!(row.iter().all(|text| !text.contains(['"', '\\']) && !text.contains(char::is_control)));
        }
        assert!(names.contains(&(&"zoneadmd".to_owned(), &"undo.cgroup".to_owned())));
        assert!(!names.contains(&(&"zoneadmd".to_owned(), &"undo.dev".to_owned())));
        assert!(names.contains(&(&"zoneadmd".to_owned(), &"undo.images".to_owned())));
        assert!(!names.iter().any(|(_, name)| *name == "step.images" || *name == "done.images"));
    }
}
