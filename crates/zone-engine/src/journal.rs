//! The journal of a zone: what the daemon was about when it was last alive. Intent is written before
//! a step, done after it. Undoing needs none of it (every tear-down step looks at the world); it says
//! which operation has to be carried on.

use crate::context::OperationContext;
use crate::error::Error;
use std::path::PathBuf;
use zone_config::Operation;
use zone_config::file::FileError;
use zone_config::lastexit::How;
use zone_config::record::{self, Record};
use zone_config::{Layout, ZoneName, file};
use zone_sys::Chain;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    record: Record,
}

/// What a daemon is about: all that another one needs to carry it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Which operation.
    pub operation: Operation,
    /// The incarnation that is to end by it; 0 for none.
    pub uniqid: u64,
    /// What to write down about its end, unless that is left to the way in which its first process ended.
    pub how: Option<How>,
    /// What the operation counts: how often init was started again before, or the seconds that a shutdown may take.
    pub number: u32,
    /// Whether the zone is to be up when it is over.
    pub up: bool,
    /// Whether it can then write its whole root this once.
    pub writable: bool,
    /// The boot arguments that hold for that boot only.
    pub once: Option<String>,
    /// The boot arguments that somebody gave; empty if the configured ones hold.
    pub args: String,
}

impl Intent {
    /// An operation that ends nothing.
    pub fn to(operation: Operation, args: &str) -> Self {
        let up = operation != Operation::Halt;
        Self {
            operation,
            uniqid: 0,
            how: None,
            number: 0,
            up,
            writable: false,
            once: None,
            args: args.into(),
        }
    }

    /// Gives the boot arguments that somebody gave, if any.
    pub fn given(&self) -> Option<String> {
        Some(self.args.clone()).filter(|args| !args.is_empty())
    }
}

/// How the journal spells the ways in which a zone ends.
const WAYS: [(How, &str); 8] = [
    (How::Exited, "exited"),
    (How::Killed, "killed"),
    (How::Crashed, "crashed"),
    (How::Poweroff, "poweroff"),
    (How::Rebooted, "rebooted"),
    (How::Halted, "halted"),
    (How::Shutdown, "shutdown"),
    (How::Unknown, "unknown"),
];
/// How it spells that the zone is to be up, and that it can write its whole root then.
const UP_WRITABLE: &str = "writable";
/// And that so many of the bytes that follow are the arguments for that boot only.
const UP_ONCE: &str = "once:";
/// And that nothing is known of that.
const NO_WAY: &str = "-";

impl Journal {
    /// Opens it to be continued.
    pub fn open(layout: &Layout, zone: &ZoneName) -> Result<Self, Error> {
        let path = layout.journal(zone);
        let allowed = zone_fail::fail!("journal.open").map_err(FileError::new("open", &path));
        let record = allowed.and_then(|()| Record::open(&path)).map_err(Error::Journal)?;
        Ok(Self { path, record })
    }

    /// An operation begins.
    pub fn begin(&mut self, intent: &Intent) -> Result<(), Error> {
        let Intent { operation, uniqid, how, number, up, writable, once, args } = intent;
        let once = once.as_deref().unwrap_or_default();
        let up = match (up, writable) {
            _ if !once.is_empty() => format!("{UP_ONCE}{}", once.len()),
            (_, true) => UP_WRITABLE.to_owned(),
            (up, false) => up.to_string(),
        };
        let how = WAYS.iter().find(|(way, _)| Some(*way) == *how).map_or(NO_WAY, |(_, word)| word);
        self.line(&format!("begin {operation} {uniqid} {how} {number} {up} {once}{args}"))?;
        zone_fail::pass!("journal.begin");
        Ok(())
    }

    /// A step is about to be taken.
    pub fn intent(&mut self, step: &str) -> Result<(), Error> {
        self.line(&format!("intent {step}"))?;
        zone_fail::pass("intent", step);
        Ok(())
    }

    /// A step was taken.
    pub fn done(&mut self, step: &str) -> Result<(), Error> {
        self.line(&format!("done {step}"))?;
        zone_fail::pass("done", step);
        Ok(())
    }

    /// The operation has ended, one way or the other. What came before is nothing to anybody any more, and a zone could make it grow by
    /// rebooting for ever; the one line that stays keeps room for the next operation's first, on a host whose run directory is full.
    pub fn end(&mut self, operation: Operation) -> Result<(), Error> {
        let cleared = self.record.clear().map_err(Error::Journal);
        self.line(&format!("end {operation}")).and(cleared)?;
        zone_fail::pass!("journal.end");
        Ok(())
    }

    /// The same for an context that has done what it was for: that it could not be written down is told.
    pub fn end_or_say(&mut self, context: &mut OperationContext) {
        if let Err(error) = self.end(context.operation) {
            context.warn(&Chain(&error).to_string());
        }
    }

    fn line(&mut self, line: &str) -> Result<(), Error> {
        let allowed = zone_fail::fail!("journal.write").map_err(FileError::new("write", &self.path));
        allowed.and_then(|()| self.record.add(line)).map_err(Error::Journal)
    }
}

/// The operation that a dead daemon left unfinished. Lines that make no sense are passed over: the
/// worst that follows is that an operation is not carried on, and its caller hears of that. So is a journal that cannot be read,
/// which is logged.
pub fn unfinished(layout: &Layout, zone: &ZoneName) -> Option<Intent> {
    let read = record::read(&layout.journal(zone));
    parse(&read.unwrap_or_else(|error| {
        tracing::error!("an operation that was interrupted is not carried on: {}", Chain(&error));
        None
    })?)
}

/// Tells whether a reboot is not through: should this daemon die, too, zsched is to start another.
pub fn owes(layout: &Layout, zone: &ZoneName) -> bool {
    unfinished(layout, zone).is_some_and(|intent| intent.operation == Operation::Reboot)
}

fn parse(text: &str) -> Option<Intent> {
    let mut open = None;
    for (word, rest) in record::lines(text) {
        match word {
            "begin" => open = intent(rest).or(open),
            "end" => open = None,
            _ => {}
        }
    }
    open
}

fn intent(words: &str) -> Option<Intent> {
    let mut words = words.splitn(6, ' ');
    let name = words.next()?;
    let operation = Operation::ALL.into_iter().find(|operation| operation.as_str() == name)?;
    let uniqid = words.next()?.parse().ok()?;
    let way = words.next()?;
    let how = WAYS.iter().find(|(_, word)| *word == way).map(|(how, _)| *how);
    let number = words.next()?.parse().ok()?;
    let (up, args) = (words.next()?, words.next().unwrap_or_default());
    let (once, args) = match up.strip_prefix(UP_ONCE) {
        Some(bytes) => {
            args.split_at_checked(bytes.parse().ok()?).map(|(once, args)| (Some(once.into()), args))?
        }
        None => (None, args),
    };
    let (up, writable) = match up {
        UP_WRITABLE => (true, true),
        _ if once.is_some() => (true, false),
        word => (word.parse().ok()?, false),
    };
    Some(Intent { operation, uniqid, how, number, up, writable, once, args: args.trim().into() })
}

/// Forgets everything: the zone is installed and nothing of it is left.
pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), Error> {
    file::remove_fast(&layout.journal(zone)).map_err(Error::Journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_begun_and_not_ended_is_unfinished() {
        let text =
            "begin boot 0 - 0 true \nend boot\nbegin reboot 12 exited 3 true -s -m verbose\nintent cgroup\n";
        let open = parse(text).unwrap();
        assert_eq!((open.operation, open.uniqid, open.how), (Operation::Reboot, 12, Some(How::Exited)));
        assert_eq!((open.number, open.up, open.args.as_str()), (3, true, "-s -m verbose"));
        assert_eq!(parse("begin boot 0 - 0 true \nend boot\n"), None);
    }

    #[test]
    fn rubbish_and_a_cut_line_are_passed_over() {
        assert_eq!(parse("begin reboot 7 rebooted 0 once:9 -s\n"), None);
        assert_eq!(parse("begin fly 0 - 0 true \nbegin halt\nhello\n\0\n"), None);
        assert_eq!(parse("begin halt 0 - 0 false "), None, "the line was not finished, so nothing was begun");
        assert!(parse("\u{fffd}\nbegin halt 0 warp 0 false \nrubbish\n").is_some());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        std::fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        for (writable, (how, _)) in WAYS.into_iter().enumerate() {
            let intent = Intent {
                operation: Operation::Shutdown,
                uniqid: u64::MAX,
                how: Some(how),
                number: 7,
                up: true,
                writable: writable % 2 == 0,
                once: None,
                args: "-s".into(),
            };
            Journal::open(&layout, &zone).unwrap().begin(&intent).unwrap();
            assert_eq!(unfinished(&layout, &zone), Some(intent));
        }
        for args in ["", "-m verbose"] {
            let once = Some("-s -m \u{e9}\u{20ac}".to_owned());
            let intent = Intent { uniqid: 8, once, ..Intent::to(Operation::Reboot, args) };
            Journal::open(&layout, &zone).unwrap().begin(&intent).unwrap();
            assert_eq!(unfinished(&layout, &zone), Some(intent));
        }
    }

    #[test]
    fn a_zone_that_reboots_for_ever_does_not_fill_the_host() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        std::fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        let intent = Intent { uniqid: 8, ..Intent::to(Operation::Reboot, &"x".repeat(1000)) };
        let mut most = 0;
        for _ in 0..2000 {
            let mut journal = Journal::open(&layout, &zone).unwrap();
            journal.begin(&intent).unwrap();
            // A bring-up writes down its steps beside who has begun it.
            Journal::open(&layout, &zone).unwrap().intent("create").unwrap();
            assert!(owes(&layout, &zone));
            most = most.max(std::fs::metadata(layout.journal(&zone)).unwrap().len());
            journal.end(Operation::Reboot).unwrap();
            assert_eq!(unfinished(&layout, &zone), None);
        }
        assert!(most < 2000, "{most} bytes");
        assert_eq!(record::load(&layout.journal(&zone)).as_deref(), Some("end reboot\n"));
    }
}
