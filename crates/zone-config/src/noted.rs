//! What was read of files of zones that are up, noted so that the next one who boots a zone need not read all of them again.
//!
//! A note is of a file as it was: of its device, inode, size and the time of its last change, which the kernel keeps. Where one of
//! these is another, or there is no note, the file is read. So nothing has to be kept in step with anything: a note that is
//! missing, or that two have written at a time, costs no more than the time to read.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};

use crate::{ZoneName, file, hostboot};

/// The notes of one kind, a line for each zone, behind a line with the host's boot that they are of.
#[derive(Debug)]
pub struct Noted {
    path: PathBuf,
    /// The directory that the notes are in: from there it is a short way to each file, which is what a note costs.
    dir: Option<OwnedFd>,
    known: BTreeMap<ZoneName, Note>,
    asked: BTreeMap<ZoneName, Note>,
    is_new: bool,
}

/// What a file was, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    stamp: String,
    text: String,
}

impl Noted {
    /// Reads the notes in a file; none if they are of another boot of the host, or make no sense.
    #[must_use]
    pub fn load(path: PathBuf) -> Self {
        let bytes = file::read_if_there(&path, file::TABLE).ok().flatten().unwrap_or_default();
        let known = String::from_utf8(bytes).ok().and_then(|text| {
            let (boot, lines) = text.split_once('\n')?;
            (hostboot::present()? == boot).then(|| lines.lines().filter_map(parse).collect())
        });
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = path.parent().and_then(|dir| openat(CWD, dir, flags, Mode::empty()).ok());
        Self { path, dir, known: known.unwrap_or_default(), asked: BTreeMap::new(), is_new: false }
    }

    /// What a zone's file says, which is named from the directory of the notes on: what is noted of it, else what `read` gives, in a line.
    /// `None` if there is no such file, or nothing can be read of it.
    pub fn of(
        &mut self,
        zone: &ZoneName,
        file: &Path,
        read: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let stamp = self.stamp(file)?;
        if let Some(note) = self.known.remove(zone).filter(|note| note.stamp == stamp) {
            let text = note.text.clone();
            self.asked.insert(zone.clone(), note);
            return Some(text);
        }
        let text = read()?;
        // Else it is not known which of the two was read.
        if self.stamp(file).as_ref() == Some(&stamp) {
            self.is_new = true;
            self.asked.insert(zone.clone(), Note { stamp, text: text.clone() });
        }
        Some(text)
    }

    /// What tells a file from what it was before, and from others.
    fn stamp(&self, file: &Path) -> Option<String> {
        let found = match &self.dir {
            Some(dir) => statat(dir, file, AtFlags::SYMLINK_NOFOLLOW),
            None => statat(CWD, self.path.with_file_name("").join(file), AtFlags::SYMLINK_NOFOLLOW),
        };
        let found = found.ok()?;
        let (seconds, nanoseconds) = (found.st_ctime, found.st_ctime_nsec);
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        let size = is_file.then_some(found.st_size)?;
        Some(format!("{:x}:{:x}:{size:x}:{seconds:x}.{nanoseconds:x}", found.st_dev, found.st_ino))
    }

    /// Notes what was read, if anything was. That it cannot be written is no failure of anybody's: it is read again then.
    pub fn save(self) {
        let Some(boot) = hostboot::present().filter(|_| self.is_new) else { return };
        let line = |(zone, Note { stamp, text }): (&ZoneName, &Note)| format!("{zone} {stamp} {text}\n");
        let lines: String = self.asked.iter().map(line).collect();
        let _ = file::replace_fast(&self.path, format!("{boot}\n{lines}").as_bytes(), 0o600);
    }
}

fn parse(line: &str) -> Option<(ZoneName, Note)> {
    let (zone, rest) = line.split_once(' ')?;
    let (stamp, text) = rest.split_once(' ')?;
    Some((zone.parse().ok()?, Note { stamp: stamp.to_owned(), text: text.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What is told of a zone's file, and whether it was read for that.
    fn ask(notes: &Path, file: &Path) -> (Option<String>, bool) {
        let mut noted = Noted::load(notes.to_owned());
        let mut was_read = false;
        let read = || {
            was_read = true;
            fs::read_to_string(file).ok()
        };
        let name = file.file_name().unwrap();
        let told = noted.of(&"web".parse().unwrap(), Path::new(name), read);
        noted.save();
        (told, was_read)
    }

    #[test]
    fn a_file_is_read_again_only_if_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let [notes, file, other] = ["notes", "file", "other"].map(|name| dir.path().join(name));
        let says = |text: &str, was_read| assert_eq!(ask(&notes, &file), (Some(text.to_owned()), was_read));
        assert_eq!(ask(&notes, &file), (None, false), "there is none");
        fs::write(&file, "one two").unwrap();
        says("one two", true);
        says("one two", false);
        // Replaced by one of the same size, as ours are.
        fs::write(&other, "TWO one").unwrap();
        fs::rename(&other, &file).unwrap();
        says("TWO one", true);
        says("TWO one", false);
        fs::remove_file(&notes).unwrap();
        says("TWO one", true);
        for spoilt in ["", "\n", "another-boot\nweb 1:2:3:4.5 lie\n"] {
            fs::write(&notes, spoilt).unwrap();
            says("TWO one", true);
        }
        let boot = hostboot::present().unwrap();
        fs::write(&notes, format!("{boot}\nweb 1:2:3:4.5 lie\nweb\n \n")).unwrap();
        says("TWO one", true);
        fs::remove_file(&file).unwrap();
        assert_eq!(ask(&notes, &file), (None, false), "it is gone");
    }

    #[test]
    fn a_file_that_is_replaced_while_it_is_read_is_not_noted() {
        let dir = tempfile::tempdir().unwrap();
        let [notes, file, other] = ["notes", "file", "other"].map(|name| dir.path().join(name));
        fs::write(&file, "one").unwrap();
        let mut noted = Noted::load(notes.clone());
        let read = || {
            let read = fs::read_to_string(&file).ok();
            fs::write(&other, "two").unwrap();
            fs::rename(&other, &file).unwrap();
            read
        };
        assert_eq!(noted.of(&"web".parse().unwrap(), Path::new("file"), read).as_deref(), Some("one"));
        noted.save();
        assert_eq!(ask(&notes, &file), (Some("two".to_owned()), true));
    }
}
