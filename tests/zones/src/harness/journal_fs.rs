//! What a disk holds after the power failed: the system calls of real programs, as strace(1) tells them, played to a file system that
//! keeps no more than it must.
//!
//! It is ext4's promise without its habits. What was written to a file and not synced may be missing, cut or there. The names of a
//! directory change in the order of the calls, but how many of the changes since its last sync have reached the disk is
//! open, and each directory has an order of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A call that changes a file system, or makes a change last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A new and empty file, or an old one that was emptied.
    Create(PathBuf),
    /// More of a file.
    Write(PathBuf, Vec<u8>),
    /// A file or directory is put on the disk.
    Sync(PathBuf),
    /// A file system is put on the disk; this is a directory of it.
    SyncBelow(PathBuf),
    /// Another name.
    Rename(PathBuf, PathBuf),
    /// A file is removed.
    Unlink(PathBuf),
    /// A new directory.
    Mkdir(PathBuf),
    /// A directory is removed.
    Rmdir(PathBuf),
}

/// The calls that strace has to tell of.
pub const TRACED: &str = "trace=open,openat,creat,write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir";

/// Reads what `strace -f -y -s 100000 -o FILE` wrote. Calls that failed, and those about other things, are left out.
#[must_use]
pub fn calls(trace: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(head) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, head.to_owned());
        } else if let Some((_, tail)) =
            text.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let whole = begun.remove(pid).unwrap_or_default() + tail;
            calls.extend(call(&whole));
        } else {
            calls.extend(call(text));
        }
    }
    calls
}

/// One argument of a call.
#[derive(Debug, PartialEq, Eq)]
enum Argument {
    /// A text in quotes.
    Text(Vec<u8>),
    /// A descriptor, with where it points.
    At(PathBuf),
    /// Anything else.
    Word(String),
}

fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = arguments(rest)?;
    if result.trim_start().starts_with(['-', '?']) {
        return None;
    }
    let path = |nth: usize| match arguments.get(nth)? {
        Argument::Text(bytes) => Some(PathBuf::from(String::from_utf8_lossy(bytes).into_owned())),
        Argument::At(path) => Some(path.clone()),
        Argument::Word(_) => None,
    };
    let at = |nth: usize| Some(path(nth)?.join(path(nth + 1)?));
    let has = |word: &str| {
        let is =
            |argument: &Argument| matches!(argument, Argument::Word(w) if w.split('|').any(|w| w == word));
        arguments.iter().any(is)
    };
    Some(match name {
        "open" | "creat" if name == "creat" || has("O_TRUNC") || has("O_EXCL") => Call::Create(path(0)?),
        "openat" if has("O_TRUNC") || has("O_EXCL") => Call::Create(at(0)?),
        "write" | "pwrite64" => match arguments.get(1)? {
            Argument::Text(bytes) => Call::Write(path(0)?, bytes.clone()),
            _ => return None,
        },
        "fsync" | "fdatasync" => Call::Sync(path(0)?),
        "syncfs" => Call::SyncBelow(path(0)?),
        "rename" => Call::Rename(path(0)?, path(1)?),
        "renameat" | "renameat2" => Call::Rename(at(0)?, at(2)?),
        "unlink" => Call::Unlink(path(0)?),
        "unlinkat" if has("AT_REMOVEDIR") => Call::Rmdir(at(0)?),
        "unlinkat" => Call::Unlink(at(0)?),
        "mkdir" => Call::Mkdir(path(0)?),
        "mkdirat" => Call::Mkdir(at(0)?),
        "rmdir" => Call::Rmdir(path(0)?),
        _ => return None,
    })
}

/// The arguments up to the closing bracket, and what the call returned.
fn arguments(text: &str) -> Option<(Vec<Argument>, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix(')') {
            return Some((found, after.trim_start().strip_prefix('=')?));
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let (bytes, after) = unquote(quoted)?;
            found.push(Argument::Text(bytes));
            // A text that was cut has dots after it.
            rest = after.trim_start_matches('.');
            continue;
        }
        let end = rest.find(['<', ',', ')', '"'])?;
        if rest[end..].starts_with('<') {
            let close = rest[end..].find('>')? + end;
            found.push(Argument::At(PathBuf::from(&rest[end + 1..close])));
            rest = &rest[close + 1..];
            rest = rest.strip_prefix("(deleted)").unwrap_or(rest);
        } else {
            found.push(Argument::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
}

fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'"', _) => return Some((out, &text[at + 1..])),
            (b'\\', Some(digit @ b'0'..=b'7')) => {
                let mut value = u32::from(digit - b'0');
                at += 2;
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = bytes.get(at) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    at += 1;
                }
                out.push(u8::try_from(value).ok()?);
            }
            (b'\\', Some(letter)) => {
                let plain = [(b'n', b'\n'), (b't', b'\t'), (b'r', b'\r'), (b'v', 11), (b'f', 12)];
                out.push(plain.iter().find(|(l, _)| l == letter).map_or(*letter, |(_, byte)| *byte));
                at += 2;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

/// Files with their contents, directories with none.
pub type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Debug, Clone)]
enum Change {
    Link(PathBuf, usize),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
    Mkdir(PathBuf),
}

#[derive(Debug, Default)]
struct Directory {
    changes: Vec<Change>,
    /// How many of them are on the disk for certain.
    synced: usize,
}

#[derive(Debug, Default)]
struct File {
    now: Vec<u8>,
    /// What is on the disk for certain; nothing if it was never synced.
    synced: Option<Vec<u8>>,
}

/// The disk.
#[derive(Debug, Default)]
pub struct Disk {
    directories: BTreeMap<PathBuf, Directory>,
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
}

impl Disk {
    /// A call is made.
    pub fn play(&mut self, call: &Call) {
        match call {
            Call::Create(path) => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.names.insert(path.clone(), file);
                self.change(path, Change::Link(path.clone(), file));
            }
            Call::Write(path, bytes) => {
                if let Some(file) = self.names.get(path) {
                    self.files[*file].now.extend_from_slice(bytes);
                }
            }
            Call::Sync(path) => match self.names.get(path) {
                Some(file) => self.files[*file].synced = Some(self.files[*file].now.clone()),
                None => {
                    let directory = self.directories.entry(path.clone()).or_default();
                    directory.synced = directory.changes.len();
                }
            },
            Call::SyncBelow(path) => {
                for (_, file) in self.names.iter().filter(|(name, _)| name.starts_with(path)) {
                    self.files[*file].synced = Some(self.files[*file].now.clone());
                }
                for (_, directory) in self.directories.iter_mut().filter(|(name, _)| name.starts_with(path)) {
                    directory.synced = directory.changes.len();
                }
            }
            Call::Rename(from, to) => {
                assert_eq!(from.parent(), to.parent(), "a rename from one directory to another");
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
                self.change(from, Change::Move(from.clone(), to.clone()));
            }
            Call::Unlink(path) | Call::Rmdir(path) => {
                self.names.remove(path);
                self.change(path, Change::Remove(path.clone()));
            }
            Call::Mkdir(path) => self.change(path, Change::Mkdir(path.clone())),
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.directories.entry(parent).or_default().changes.push(change);
    }

    /// Every tree that may be there if the power fails now.
    #[must_use]
    pub fn after_a_failure(&self) -> BTreeSet<Tree> {
        let mut trees = BTreeSet::new();
        for lengths in self.choices() {
            for kept in [Kept::Nothing, Kept::Half, Kept::All] {
                trees.insert(self.tree(&lengths, kept));
            }
        }
        trees
    }

    /// The tree if nothing is lost.
    #[must_use]
    pub fn complete(&self) -> Tree {
        let lengths =
            self.directories.iter().map(|(path, dir)| (path.as_path(), dir.changes.len())).collect();
        self.tree(&lengths, Kept::All)
    }

    /// How many changes of each directory are on the disk, in all combinations; in some, if these were very many.
    fn choices(&self) -> Vec<BTreeMap<&Path, usize>> {
        const MOST: usize = 64;
        let certain: BTreeMap<&Path, usize> =
            self.directories.iter().map(|(path, directory)| (path.as_path(), directory.synced)).collect();
        let mut all = vec![certain.clone()];
        for (path, directory) in &self.directories {
            let open = directory.synced + 1..=directory.changes.len();
            let base = if all.len() > MOST { vec![certain.clone()] } else { all.clone() };
            for length in open {
                all.extend(base.iter().map(|choice| {
                    let mut choice = choice.clone();
                    choice.insert(path, length);
                    choice
                }));
            }
        }
        all.push(self.directories.iter().map(|(path, dir)| (path.as_path(), dir.changes.len())).collect());
        all
    }

    fn tree(&self, lengths: &BTreeMap<&Path, usize>, kept: Kept) -> Tree {
        let mut names: BTreeMap<PathBuf, Option<usize>> = BTreeMap::new();
        for (path, directory) in &self.directories {
            let length = lengths.get(path.as_path()).copied().unwrap_or(directory.synced);
            for change in &directory.changes[..length] {
                match change {
                    Change::Link(path, file) => drop(names.insert(path.clone(), Some(*file))),
                    Change::Mkdir(path) => drop(names.insert(path.clone(), None)),
                    Change::Remove(path) => drop(names.remove(path)),
                    Change::Move(from, to) => {
                        if let Some(what) = names.remove(from) {
                            names.insert(to.clone(), what);
                        }
                    }
                }
            }
        }
        // What is in a directory that is not there is not there either.
        let made: BTreeSet<PathBuf> = self
            .directories
            .values()
            .flat_map(|directory| &directory.changes)
            .filter_map(|change| match change {
                Change::Mkdir(path) => Some(path.clone()),
                _ => None,
            })
            .collect();
        let is_there = |path: &Path| {
            path.ancestors().skip(1).all(|above| !made.contains(above) || names.contains_key(above))
        };
        let content = |file: &usize| {
            let file = &self.files[*file];
            match (&file.synced, kept) {
                (Some(synced), _) if *synced == file.now => synced.clone(),
                (_, Kept::All) => file.now.clone(),
                (_, Kept::Half) => file.now[..file.now.len() / 2].to_vec(),
                (synced, Kept::Nothing) => synced.clone().unwrap_or_default(),
            }
        };
        let there = names.iter().filter(|(path, _)| is_there(path));
        there.map(|(path, what)| (path.clone(), what.as_ref().map(content))).collect()
    }
}

/// How much is there of what was not synced.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Nothing,
    Half,
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(trace: &str) -> Disk {
        let mut disk = Disk::default();
        calls(trace).iter().for_each(|call| disk.play(call));
        disk
    }

    const WRITTEN: &str = "7 openat(AT_FDCWD</>, \"/e/.a\", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</e/.a>\n\
        7 write(3</e/.a>, \"one\\ntwo\\7\\\"\", 9) = 9\n\
        8 close(4</x>) = 0\n\
        7 unlink(\"/e/missing\") = -1 ENOENT (No such file or directory)\n";

    #[test]
    fn a_trace_is_read() {
        let file = PathBuf::from("/e/.a");
        assert_eq!(
            calls(WRITTEN),
            [Call::Create(file.clone()), Call::Write(file.clone(), b"one\ntwo\x07\"".to_vec())]
        );
        let halves =
            "7 fsync(3</e/.a> <unfinished ...>\n8 write(1</p>, \"\", 0) = 0\n7 <... fsync resumed>) = 0\n";
        assert_eq!(calls(halves)[1], Call::Sync(file));
    }

    #[test]
    fn nothing_is_kept_that_was_not_synced() {
        let disk = play(WRITTEN);
        let contents: BTreeSet<_> =
            disk.after_a_failure().into_iter().map(|tree| tree.get(Path::new("/e/.a")).cloned()).collect();
        assert!(contents.contains(&None) && contents.contains(&Some(Some(Vec::new()))), "{contents:?}");
        assert_eq!(contents.len(), 4);
        let renamed = format!("{WRITTEN}7 fsync(3</e/.a>) = 0\n7 rename(\"/e/.a\", \"/e/a\") = 0\n");
        let trees = play(&renamed).after_a_failure();
        assert!(
            trees.iter().all(|tree| tree.values().all(|file| file.as_ref().is_some_and(|f| f.len() == 9)))
        );
        assert_eq!(trees.len(), 3);
        assert_eq!(play(&format!("{renamed}7 fsync(4</e>) = 0\n")).after_a_failure().len(), 1);
    }
}
