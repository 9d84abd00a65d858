//! The journal of a zone: what the daemon was about when it was last alive. Intent is written before
//! a step, done after it. Undoing needs none of it (every tear-down step looks at the world); it says
//! which operation has to be carried on.

use crate::errand::OpError;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zone_config::{Layout, ZoneName};
use zone_door::Operation;

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

/// What a journal says was under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) operation: Operation,
    /// The boot arguments of it.
    pub(crate) args: String,
}

impl Journal {
    /// Opens it to be continued.
    pub(crate) fn open(layout: &Layout, zone: &ZoneName) -> Result<Self, OpError> {
        let path = layout.journal(zone);
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = opened.map_err(|e| OpError::Journal(path.display().to_string(), e))?;
        Ok(Self { path, file })
    }

    /// An operation begins.
    pub(crate) fn begin(&mut self, operation: Operation, args: &str) -> Result<(), OpError> {
        let words: String = args.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.line(&format!("begin {operation} {words}"))
    }

    /// A step is about to be taken.
    pub(crate) fn intent(&mut self, step: &str) -> Result<(), OpError> {
        self.line(&format!("intent {step}"))
    }

    /// A step was taken.
    pub(crate) fn done(&mut self, step: &str) -> Result<(), OpError> {
        self.line(&format!("done {step}"))
    }

    /// The operation has ended, one way or the other.
    pub(crate) fn end(&mut self, operation: Operation) -> Result<(), OpError> {
        self.line(&format!("end {operation}"))
    }

    fn line(&mut self, line: &str) -> Result<(), OpError> {
        // One write a line: what a crash cuts short is the last line only. It lives on a file system
        // that the zone does not outlive either, so there is nothing to sync.
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|e| OpError::Journal(self.path.display().to_string(), e))
    }
}

/// The operation that a dead daemon left unfinished. Lines that make no sense are passed over: the
/// worst that follows is that an operation is not carried on, and its caller hears of that.
pub(crate) fn unfinished(layout: &Layout, zone: &ZoneName) -> Option<Unfinished> {
    let text = std::fs::read(layout.journal(zone)).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Option<Unfinished> {
    let mut open = None;
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        match line.split_once(' ') {
            Some(("begin", rest)) => {
                let (word, args) = rest.split_once(' ').unwrap_or((rest, ""));
                let known = Operation::ALL.into_iter().find(|operation| operation.as_str() == word);
                if let Some(operation) = known {
                    open = Some(Unfinished { operation, args: args.trim().into() });
                }
            }
            Some(("end", _)) => open = None,
            _ => {}
        }
    }
    open
}

/// Forgets everything: the zone is installed and nothing of it is left.
pub(crate) fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), OpError> {
    remove_file(&layout.journal(zone))
}

fn remove_file(path: &Path) -> Result<(), OpError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(OpError::Journal(path.display().to_string(), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_begun_and_not_ended_is_unfinished() {
        let text = "begin boot \nend boot\nbegin reboot -s -m verbose\nintent cgroup\ndone cgroup\n";
        let open = parse(text).unwrap();
        assert_eq!((open.operation, open.args.as_str()), (Operation::Reboot, "-s -m verbose"));
        assert_eq!(parse("begin boot \nend boot\n"), None);
    }

    #[test]
    fn rubbish_and_a_cut_line_are_passed_over() {
        assert_eq!(parse("begin fly \nhello\n\0\n"), None);
        assert_eq!(parse("begin halt"), None, "the line was not finished, so nothing was begun");
        assert!(parse("\u{fffd}\nbegin halt \nrubbish\n").is_some());
    }
}
