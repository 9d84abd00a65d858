//! What a build for tests has.

use crate::{POINTS, Step};
use rustix::process::{Signal, getpid, kill_process};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says who is to die where.
const ORDERS: &str = "failpoint";
/// Who has died.
const HIT: &str = "failpoint.hit";
/// Where everybody came by.
const TRACE: &str = "failpoint.trace";
/// Tells a process the directory that does not know its zone.
const DIRECTORY: &str = "ZONES_FAILPOINTS";

/// Any point.
const ANY: &str = "*";

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
    let armed = armed();
    let Some(Armed { program, directory }) = armed.as_ref() else { return };
    let point = if part.is_empty() { name.to_owned() } else { format!("{name}.{part}") };
    append(&directory.join(TRACE), false, program, &point);
    if is_ordered(&directory.join(ORDERS), program, &point) {
        append(&directory.join(HIT), true, program, &point);
        die();
    }
}

/// A point that will be passed when no file can be read any more.
#[derive(Debug)]
#[must_use]
pub struct Promise(bool);

/// Looks a point up that will be passed later.
pub fn promise(name: &'static str) -> Promise {
    let armed = armed();
    let Some(Armed { program, directory }) = armed.as_ref() else { return Promise(false) };
    append(&directory.join(TRACE), false, program, name);
    let ordered = is_ordered(&directory.join(ORDERS), program, name);
    if ordered {
        append(&directory.join(HIT), true, program, name);
    }
    Promise(ordered)
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

/// Counts the first order down if it means this point; true when it is due.
fn is_ordered(orders: &Path, program: &str, point: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(orders) else { return false };
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut words = first.split_whitespace();
    let meant =
        words.next() == Some(program) && words.next().is_some_and(|word| [ANY, point].contains(&word));
    let Some(count) = words.next().and_then(|word| word.parse::<u32>().ok()).filter(|_| meant) else {
        return false;
    };
    let left = if count > 1 {
        let (rule, _) = first.trim_end().rsplit_once(' ').unwrap_or_default();
        format!("{rule} {}\n{rest}", count - 1)
    } else {
        rest.to_owned()
    };
    // Not made anew: whoever has just taken it away wants nobody to die any more.
    let opened = OpenOptions::new().write(true).truncate(true).open(orders);
    opened.and_then(|mut file| file.write_all(left.as_bytes())).is_ok() && count <= 1
}

fn append(file: &Path, create: bool, program: &str, point: &str) {
    // One write, so that the lines of several processes stay whole. That it fails is the test's business.
    let opened = OpenOptions::new().create(create).append(true).open(file);
    let _ = opened.and_then(|mut file| file.write_all(format!("{program} {point}\n").as_bytes()));
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

/// Program, name, what is done before, what comes next, and why no sweep comes there.
type Row = [String; 5];

fn rows(steps: &[Step]) -> Vec<Row> {
    let row = |words: [&str; 5]| words.map(str::to_owned);
    let mut rows: Vec<Row> = POINTS
        .iter()
        .map(|point| row([point.program, point.name, point.after, point.before, point.except.unwrap_or("")]))
        .collect();
    for step in steps {
        let name = step.name;
        let mut add = |group: &str, after: String, before: &str| {
            rows.push(row(["zoneadmd", &format!("{group}.{name}"), &after, before, ""]));
        };
        add("step", format!("step {name} is taken"), "the next step");
        if step.kept {
            add("intent", format!("the journal says that step {name} will be taken"), "it is taken");
            add("done", format!("the journal says that step {name} was taken"), "the next step");
            add("undo", format!("step {name} is undone"), "the step before it is undone");
        }
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let width = |column: usize, title: &str| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(title.len())
    };
    let (program, name, after) = (width(0, "PROGRAM"), width(1, "POINT"), width(2, "AFTER"));
    let line =
        |[one, two, three, four, _]: &Row| format!("{one:program$}  {two:name$}  {three:after$}  {four}\n");
    let head = ["PROGRAM", "POINT", "AFTER", "BEFORE", ""].map(str::to_owned);
    std::iter::once(&head).chain(rows).map(line).collect()
}

fn json(rows: &[Row]) -> String {
    let object = |row: &Row| {
        let fields = ["program", "name", "after", "before", "except"].into_iter().zip(row);
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

    #[test]
    fn the_first_order_is_counted_down_by_those_it_means() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        std::fs::write(&orders, "zoneadmd journal.begin 2\nzoneadm * 1\n").unwrap();
        assert!(!is_ordered(&orders, "zoneadm", "journal.begin"), "another program");
        assert!(!is_ordered(&orders, "zoneadmd", "journal.end"), "another point");
        assert!(!is_ordered(&orders, "zoneadmd", "journal.begin"), "the first time");
        assert!(is_ordered(&orders, "zoneadmd", "journal.begin"), "the second time");
        assert!(!is_ordered(&orders, "zoneadmd", "journal.begin"), "the next line is for another");
        assert!(is_ordered(&orders, "zoneadm", "whatever"));
        assert!(!is_ordered(&orders, "zoneadm", "whatever"), "nothing is left");
        std::fs::remove_file(&orders).unwrap();
        assert!(!is_ordered(&orders, "zoneadm", "whatever") && !orders.exists());
    }

    #[test]
    fn nonsense_kills_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join(ORDERS);
        for text in ["", "\n", "zoneadmd", "zoneadmd *", "zoneadmd * x", "1", "\u{fffd} * 1"] {
            std::fs::write(&orders, text).unwrap();
            assert!(!is_ordered(&orders, "zoneadmd", "a"), "{text:?}");
        }
    }

    #[test]
    fn the_list_can_be_printed_and_has_no_name_twice() {
        let rows = rows(&[Step { name: "cgroup", kept: true }, Step { name: "dev", kept: false }]);
        assert_eq!(table(&rows).lines().count(), rows.len() + 1);
        let names: std::collections::BTreeSet<_> = rows.iter().map(|row| (&row[0], &row[1])).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(row[..4].iter().all(|text| !text.is_empty()), "{row:?}");
            assert!(row.iter().all(|text| !text.contains(['"', '\\']) && !text.contains(char::is_control)));
        }
        assert!(names.contains(&(&"zoneadmd".to_owned(), &"undo.cgroup".to_owned())));
        assert!(!names.contains(&(&"zoneadmd".to_owned(), &"undo.dev".to_owned())));
    }
}
