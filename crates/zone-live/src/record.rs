//! The record of an incarnation: `RUN/NAME/incarnation`, in the form of [`zone_config::record`]. The daemon writes it before the
//! zone's init is started and removes it when the zone has been taken down. It is of use only to a daemon that
//! finds no zsched.

use crate::{OomSeen, is_quiet};
use rustix::fd::OwnedFd;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;
use zone_config::file::{self, FileError};
use zone_config::readiness::Found;
use zone_config::record::{self, Record};
use zone_config::{Layout, ZoneName, hostboot};
use zsched::wire::{End, Phase, Status};

/// What is known of an incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// In which boot of the host (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// The incarnation's uniqid.
    pub uniqid: u64,
    /// Its first process, by its number on the host.
    pub pid: i32,
    /// When that was started, in clock ticks since the host's boot: with the number it names one process for good.
    pub start: u64,
    /// When the incarnation was made, in seconds since the epoch.
    pub since: u64,
    /// Device and inode of the program that it was before it was init.
    pub program: (u64, u64),
    /// How many times in a row init was started again before.
    pub restarts: u32,
    /// Whether its init was started, or was just about to be.
    pub booted: bool,
    /// How and when it ended, if a daemon has heard of that.
    pub end: Option<(End, u64)>,
}

/// What is added to a record later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Init is about to be started.
    Booted,
    /// It ended like this, then.
    Ended(End, u64),
}

fn path(layout: &Layout, zone: &ZoneName) -> PathBuf {
    layout.zone_run(zone).join("incarnation")
}

impl Incarnation {
    /// That of a zone whose first process, not yet init, is the one of `pidfd`.
    ///
    /// # Errors
    /// When the process has ended, or `/proc` cannot be read.
    pub fn of(status: &Status, pidfd: &OwnedFd) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let untold = || io::Error::other("the kernel does not tell which boot this is");
        // What a running init executes says nothing.
        let waits = status.phase == Phase::Ready;
        let program = if waits { program_of(status.pid)? } else { (0, 0) };
        let record = Self {
            boot: hostboot::present().ok_or_else(untold)?,
            uniqid: status.uniqid,
            pid: status.pid,
            start: start_of(status.pid).ok_or_else(gone)?,
            since: status.since,
            program,
            restarts: status.restarts,
            booted: !waits,
            end: None,
        };
        // All of this was about the process of the pidfd, if that still lives.
        if is_quiet(pidfd, Duration::ZERO) { Ok(record) } else { Err(gone()) }
    }

    /// The zone's record, if there is one that makes sense.
    #[must_use]
    pub fn load(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        parse(&record::load(&path(layout, zone))?)
    }

    /// Writes the record to the zone's run directory, in place of the one before.
    ///
    /// # Errors
    /// When that fails; then there is none.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        file::replace_fast(&path(layout, zone), self.text().as_bytes(), 0o600)
    }

    /// Removes the zone's record.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        OomSeen::remove(layout, zone)?;
        Found::remove(layout, zone)?;
        file::remove_fast(&path(layout, zone))
    }

    fn text(&self) -> String {
        let Self { boot, uniqid, pid, start, since, program, restarts, booted, end } = self;
        // 32 bytes in hexadecimal, of which the first four are the number, its lowest byte first.
        let note = format!("{:08x}{:056x}", restarts.swap_bytes(), 0);
        let mut text = format!(
            "boot {boot}\nuniqid {uniqid}\npid {pid}\nstart {start}\nsince {since}\nprogram {} {}\nnote {note}\n",
            program.0, program.1
        );
        let marks = booted.then_some(Mark::Booted).into_iter();
        for mark in marks.chain(end.map(|(end, when)| Mark::Ended(end, when))) {
            text += &mark.line();
            text.push('\n');
        }
        text
    }
}

impl Mark {
    /// Adds it to the zone's record, if there is one.
    ///
    /// # Errors
    /// When that fails.
    pub fn add(self, layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
        match Record::open_if_there(&path(layout, zone))? {
            Some(mut record) => record.add(&self.line()),
            None => Ok(()),
        }
    }

    fn line(self) -> String {
        match self {
            Self::Booted => "booted".to_owned(),
            Self::Ended(End::Exited(status), when) => format!("ended {when} exited {status}"),
            Self::Ended(End::Killed(signal), when) => format!("ended {when} killed {signal}"),
        }
    }
}

/// Reads a record. Words that are not known, and a last line that was cut short, are passed over.
fn parse(text: &str) -> Option<Incarnation> {
    let value = |name: &str| record::lines(text).find(|(word, _)| *word == name).map(|(_, value)| value);
    let program = value("program")?.split_once(' ')?;
    Some(Incarnation {
        boot: value("boot")?.to_owned(),
        uniqid: value("uniqid")?.parse().ok().filter(|&uniqid| uniqid != 0)?,
        pid: value("pid")?.parse().ok().filter(|&pid| pid > 1)?,
        start: value("start")?.parse().ok()?,
        since: value("since")?.parse().ok()?,
        program: (program.0.parse().ok()?, program.1.parse().ok()?),
        restarts: restarts(value("note")?)?,
        booted: value("booted").is_some(),
        end: value("ended").and_then(ended),
    })
}

fn restarts(note: &str) -> Option<u32> {
    let number = note.get(..8).filter(|_| note.len() == 64)?;
    u32::from_str_radix(number, 16).ok().map(u32::swap_bytes)
}

fn ended(text: &str) -> Option<(End, u64)> {
    let mut words = text.split(' ');
    let when = words.next()?.parse().ok()?;
    let (way, number) = (words.next()?, words.next()?.parse().ok()?);
    match way {
        "exited" => Some((End::Exited(number), when)),
        "killed" => Some((End::Killed(number), when)),
        _ => None,
    }
}

/// When a process was started, in clock ticks since the host's boot.
pub(crate) fn start_of(pid: i32) -> Option<u64> {
    zone_sys::proc::Stat::of(pid).ok().map(|stat| stat.start)
}

/// Device and inode of the program that a process executes.
pub(crate) fn program_of(pid: i32) -> io::Result<(u64, u64)> {
    let program = fs::metadata(format!("/proc/{pid}/exe"))?;
    Ok((program.dev(), program.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Incarnation {
        Incarnation {
            boot: "b".into(),
            uniqid: u64::MAX,
            pid: 77,
            start: 5,
            since: 6,
            program: (1, 2),
            restarts: 0xa5,
            booted: false,
            end: None,
        }
    }

    #[test]
    fn the_form_is_that_of_earlier_programs() {
        let text = Incarnation { restarts: 0x0102, ..record() }.text();
        assert!(text.contains(&format!("\nnote 02010000{}\n", "0".repeat(56))), "{text}");
        assert_eq!(
            (restarts("02"), restarts(&"x".repeat(64)), restarts(&"é".repeat(32))),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_written_is_read() {
        for booted in [false, true] {
            for end in [None, Some((End::Exited(3), 9)), Some((End::Killed(1), 9))] {
                let record = Incarnation { booted, end, ..record() };
                assert_eq!(parse(&record.text()), Some(record));
            }
        }
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        let zone: ZoneName = "a".parse().unwrap();
        Mark::Booted.add(&layout, &zone).unwrap();
        assert_eq!(Incarnation::load(&layout, &zone), None, "nothing to add it to");
        fs::create_dir_all(layout.zone_run(&zone)).unwrap();
        record().save(&layout, &zone).unwrap();
        Mark::Booted.add(&layout, &zone).unwrap();
        Mark::Ended(End::Killed(2), 4).add(&layout, &zone).unwrap();
        let read = Incarnation::load(&layout, &zone).unwrap();
        assert_eq!((read.booted, read.end), (true, Some((End::Killed(2), 4))));
        Incarnation::remove(&layout, &zone).unwrap();
        assert_eq!(Incarnation::load(&layout, &zone), None);
    }

    #[test]
    fn a_spoilt_record_is_none() {
        let whole = Incarnation { booted: true, ..record() }.text();
        for cut in 0..whole.len() - "booted\n".len() {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(parse(&whole[..whole.len() - 1]).map(|record| record.booted), Some(false));
        assert_eq!(parse(&whole.replace("pid 77", "pid 1")), None, "nobody's first process is the host's");
        assert!(parse(&(whole + "moon full\n")).is_some(), "a later version may write more");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = parse(&text);
        }
    }
}
