//! What a build for tests has.

use crate::{ERRORS, Errno};
use rustix::fs::{FlockOperation, flock, fstat};
use rustix::process::{Signal, getpid, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use crate::listing::ask;

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

/// An order for a process that is where no file of ours can be read.
struct Along {
    program: &'static str,
    line: Line,
}

static ALONG: Mutex<Option<Along>> = Mutex::new(None);

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

/// Takes along the order for `program`, a copy of this process that will be where no file can be read. It is noted as carried
/// out here.
pub fn take_along(program: &'static str) {
    let armed = armed();
    let Some(Armed { directory, .. }) = armed.as_ref() else { return };
    let line = take_line(&directory.join(ORDERS), program);
    if let Some(line) = &line {
        let what = match line.order {
            Order::Die => String::new(),
            Order::Stop => format!(" {STOP} 0"),
            Order::Fail(error) => format!(" {}", name_of(error)),
        };
        append(&directory.join(HIT), true, &format!("{program} {}{what}", line.place));
    }
    *ALONG.lock().unwrap_or_else(PoisonError::into_inner) = line.map(|line| Along { program, line });
}

/// What the order that was taken along says of a point, if `program` is whose it is.
fn taken_along(program: &str, point: &str, kind: Kind) -> Option<Order> {
    let mut along = ALONG.lock().unwrap_or_else(PoisonError::into_inner);
    let line = &mut along.as_mut().filter(|along| along.program == program)?.line;
    if !line.means(program, point, kind) {
        return None;
    }
    line.count = line.count.saturating_sub(1);
    let (order, due) = (line.order, line.count == 0);
    if due && !line.always {
        *along = None;
    }
    due.then_some(order)
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
/// goes on until it is told of that, which on a busy machine is long after the call has returned. No other thread is at a
/// point meanwhile: one that was stopped with the orders locked would let nobody take them back.
fn stop() {
    let armed = armed();
    let orders = armed.as_ref().map(|armed| armed.directory.join(ORDERS));
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

/// A line of the orders.
#[derive(Debug, Clone)]
struct Line {
    who: String,
    place: String,
    count: u32,
    order: Order,
    always: bool,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (who, place, count) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
        let order = match words.next() {
            None => Order::Die,
            Some(STOP) => Order::Stop,
            Some(error) => Order::Fail(ERRORS.iter().find(|(name, _)| *name == error)?.1),
        };
        Some(Self {
            who: who.to_owned(),
            place: place.to_owned(),
            count,
            order,
            always: words.next().is_some(),
        })
    }

    /// Whether it is about this point of this program.
    fn means(&self, program: &str, point: &str, kind: Kind) -> bool {
        let is_place = matches!(self.order, Order::Die | Order::Stop);
        self.who == program && is_place == (kind == Kind::Place) && (self.place == point || self.place == ANY)
    }

    fn write(&self) -> String {
        let Self { who, place, count, order, always } = self;
        let order = match order {
            Order::Die => "",
            Order::Stop => STOP,
            Order::Fail(error) => name_of(*error),
        };
        format!("{who} {place} {count} {order}{}", if *always { " always" } else { "" }).trim_end().to_owned()
    }
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
    _lock: Option<File>,
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
    if let Some(order) = taken_along(program, &point, kind) {
        return Some(Due { order, _lock: None });
    }
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
    let (file, text) = locked(orders)?;
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut line = Line::parse(first).filter(|line| line.means(program, point, kind))?;
    let is_due = line.count <= 1;
    line.count = line.count.saturating_sub(1).max(1);
    let left = match (is_due, line.always) {
        (true, false) => rest.to_owned(),
        _ => format!("{}\n{rest}", line.write()),
    };
    rewrite(&file, &left)?;
    is_due.then_some(Due { order: line.order, _lock: Some(file) })
}

/// Takes the first order away, if it is for this program.
fn take_line(orders: &Path, program: &str) -> Option<Line> {
    let (file, text) = locked(orders)?;
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let line = Line::parse(first).filter(|line| line.who == program)?;
    rewrite(&file, rest)?;
    Some(line)
}

/// The file of orders, locked, and what is in it.
fn locked(orders: &Path) -> Option<(File, String)> {
    // Not made anew: whoever has just taken it away wants nothing to happen any more.
    let mut file = OpenOptions::new().read(true).write(true).open(orders).ok()?;
    flock(&file, FlockOperation::LockExclusive).ok()?;
    if fstat(&file).ok()?.st_nlink == 0 {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    Some((file, text))
}

fn rewrite(file: &File, text: &str) -> Option<()> {
    file.set_len(0).ok()?;
    file.write_all_at(text.as_bytes(), 0).ok()
}

fn append(file: &Path, create: bool, line: &str) {
    // One write, so that the lines of several processes stay whole. That it fails is the test's business.
    let opened = OpenOptions::new().create(create).append(true).open(file);
    let _ = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
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
    fn an_order_is_taken_along_and_counted_there() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "copier copy.part 2\nzoneadm * 1\n").unwrap();
        assert!(take_line(&orders, "zoneadm").is_none(), "the first one is another's");
        let line = take_line(&orders, "copier").unwrap();
        assert_eq!(std::fs::read_to_string(&orders).unwrap(), "zoneadm * 1\n");
        *ALONG.lock().unwrap() = Some(Along { program: "copier", line });
        let passed = |program| taken_along(program, "copy.part", Kind::Place);
        assert_eq!(passed("zoneadm"), None);
        assert_eq!([passed("copier"), passed("copier"), passed("copier")], [None, Some(Order::Die), None]);
        let line = Line::parse("copier copy.sync 1 EIO always").unwrap();
        assert_eq!(line.write(), "copier copy.sync 1 EIO always");
        *ALONG.lock().unwrap() = Some(Along { program: "copier", line });
        let synced = || taken_along("copier", "copy.sync", Kind::Call);
        assert_eq!([synced(), synced()], [Some(Order::Fail(Errno::IO)), Some(Order::Fail(Errno::IO))]);
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
}
