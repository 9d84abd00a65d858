//! Making a system call of one of our programs fail, from outside: strace(1) traces the program, nobody else, and puts an
//! error in the place of the call.
//!
//! A program starts the others from the folder that it is in itself. In [`Injector`]'s folder all are as they are but one,
//! which is a script that executes the real one under strace; that one is in a folder of its own, where the others are links.
//! strace counts calls thread by thread, and lets go of whatever executes another program (`-b execve`).

use super::lab::{make_dir, write, write_program};
use super::{Command, Lab, skip, until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const PROGRAMS: [&str; 6] = ["zoneadm", "zoneadmd", "zsched", "zlogin", "zonecfg", "zinit"];
const STRACE: &str = "/usr/bin/strace";

/// The errors that a call can have on a machine that is short of something, or whose disk is broken; `EINTR` where a signal
/// can interrupt it. Calls that are not in the table do not fail, or only if they are used wrongly.
const ERRORS: &[(&str, &[&str])] = &[
    ("accept4", &["EMFILE", "ENOMEM", "EINTR", "ECONNABORTED"]),
    ("bind", &["ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("connect", &["EAGAIN", "EINTR"]),
    ("epoll_create1", &["EMFILE"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_pwait", &["EINTR"]),
    ("epoll_wait", &["EINTR"]),
    ("eventfd2", &["EMFILE"]),
    ("fallocate", &["ENOSPC", "EIO"]),
    ("fchmod", &["EIO"]),
    ("fchmodat", &["EIO"]),
    ("fchown", &["EIO"]),
    ("fchownat", &["EIO"]),
    ("fdatasync", &["EIO"]),
    ("flock", &["EINTR", "ENOLCK"]),
    ("fsconfig", &["ENOMEM", "EIO"]),
    ("fsmount", &["ENOMEM", "EMFILE"]),
    ("fsopen", &["ENOMEM", "EMFILE"]),
    ("fstatfs", &["EIO"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("getdents64", &["EIO"]),
    ("inotify_init1", &["EMFILE"]),
    ("memfd_create", &["EMFILE", "ENOMEM"]),
    ("mkdir", &["ENOSPC", "EIO"]),
    ("mkdirat", &["ENOSPC", "EIO"]),
    ("mknodat", &["ENOSPC", "EIO"]),
    ("mount_setattr", &["ENOMEM"]),
    ("move_mount", &["ENOMEM"]),
    ("open_tree", &["EMFILE", "ENOMEM"]),
    ("openat", &["EMFILE", "ENOMEM", "EIO"]),
    ("openat2", &["EMFILE", "ENOMEM", "EIO"]),
    ("pidfd_open", &["EMFILE", "ENOMEM"]),
    ("pipe2", &["EMFILE"]),
    ("poll", &["EINTR"]),
    ("ppoll", &["EINTR"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("pwritev", &["ENOSPC", "EIO"]),
    ("read", &["EIO", "EINTR"]),
    ("recvfrom", &["EINTR", "ENOMEM"]),
    ("recvmsg", &["EINTR", "ENOMEM"]),
    ("rename", &["ENOSPC", "EIO"]),
    ("sendmsg", &["EINTR", "EPIPE", "ENOBUFS"]),
    ("sendto", &["EINTR", "EPIPE", "ENOBUFS"]),
    ("setns", &["ENOMEM"]),
    ("signalfd4", &["EMFILE", "ENOMEM"]),
    ("socket", &["EMFILE", "ENOMEM"]),
    ("socketpair", &["EMFILE"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("symlinkat", &["ENOSPC", "EIO"]),
    ("timerfd_create", &["EMFILE", "ENOMEM"]),
    ("unlink", &["EIO"]),
    ("unlinkat", &["EIO"]),
    ("unshare", &["ENOMEM"]),
    ("waitid", &["EINTR"]),
    ("write", &["ENOSPC", "EIO", "EINTR"]),
    ("writev", &["ENOSPC", "EIO", "EINTR"]),
];

/// A call that is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// The name of the system call.
    pub call: &'static str,
    /// The name of the error that it fails with.
    pub error: &'static str,
    /// Which of its kind, in each thread, counted from 1.
    pub nth: usize,
    /// Whether all after it fail as well.
    pub always: bool,
}

impl std::fmt::Display for Injection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let on = if self.always { "+" } else { "" };
        write!(f, "{}:error={}:when={}{on}", self.call, self.error, self.nth)
    }
}

/// Programs of which one is traced.
pub struct Injector<'lab> {
    lab: &'lab Lab,
    program: &'static str,
    dir: PathBuf,
}

/// The program whose calls fail. Which calls a program makes is the C library's doing, too, and which of them fail is drawn by their
/// numbers: of one that ships with another library than the rest it is the one with theirs.
fn traced(lab: &Lab, name: &str) -> PathBuf {
    let program = lab.program(name);
    let with_glibc = program.with_extension("glibc");
    if with_glibc.exists() { with_glibc } else { program }
}

impl<'lab> Injector<'lab> {
    /// Sets the programs up with `program` traced. Ends the test where there is no strace.
    #[track_caller]
    #[must_use]
    pub fn new(lab: &'lab Lab, program: &'static str) -> Self {
        if !std::path::Path::new(STRACE).exists() {
            skip("there is no strace");
        }
        let injector = Self { lab, program, dir: lab.path("injector") };
        for dir in ["bin", "real"] {
            make_dir(&injector.dir.join(dir), 0o755);
        }
        for name in PROGRAMS {
            let (bin, real) = (injector.dir.join("bin").join(name), injector.dir.join("real").join(name));
            let (copy, link) = if name == program { (real, None) } else { (bin.clone(), Some(real)) };
            let from = if name == program { traced(lab, name) } else { lab.program(name) };
            lab.name_program(&from, &copy);
            if let Some(link) = link {
                symlink(&bin, &link).unwrap_or_else(|e| panic!("{}: {e}", link.display()));
            }
        }
        injector.script("");
        injector
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Has the program traced from now on, with a log of its own.
    fn script(&self, options: &str) {
        write(&self.log(), "");
        // Appended to: a zone's life may take several daemons.
        self.runs(&format!("{STRACE} -D -f -b execve -qq -A -o {} {options} ", self.log().display()));
    }

    /// Has the program run behind these words.
    fn runs(&self, words: &str) {
        let real = self.dir.join("real").join(self.program);
        let path = self.dir.join("bin").join(self.program);
        let _ = fs::remove_file(&path);
        write_program(&path, &format!("#!/bin/sh\nexec {words}{} \"$@\"\n", real.display()));
    }

    /// A command of these programs, told of the private root.
    #[must_use]
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        Command::new(self.dir.join("bin").join(program)).args(words).env("ZONES_ROOT", self.lab.root())
    }

    /// Whose calls fail.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// Counts the calls that can fail which the traced program makes in `work`, after all that it makes in `before`.
    #[track_caller]
    #[must_use]
    pub fn calls_in(&self, before: impl FnOnce(), work: impl FnOnce()) -> Vec<Counts> {
        self.script("");
        before();
        let log = || fs::read_to_string(self.log()).unwrap_or_default();
        let made = log().lines().count();
        work();
        self.release();
        counts(&log(), made)
    }

    /// From now on the traced program fails so.
    #[track_caller]
    pub fn inject(&self, injection: &Injection) {
        self.script(&format!("-e trace={} -e inject={injection}", injection.call));
    }

    /// Nothing fails any more. Gives how many calls have failed.
    #[track_caller]
    pub fn release(&self) -> usize {
        let tracers = || {
            let all = fs::read_dir("/proc").into_iter().flatten().flatten();
            let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
            pids.filter(|pid| {
                fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("strace"))
            })
            .collect::<Vec<_>>()
        };
        // Nor in one that is started by somebody who goes on, such as a zsched that takes the place of one that failed.
        self.runs("");
        until("no program is traced any more", || {
            // The kernel lets go of what a dead tracer traced.
            for pid in tracers().into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            tracers().is_empty().then_some(())
        });
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter(|line| line.contains("(INJECTED)")).count()
    }
}

/// What comes first in the life of a program that is not the loader's.
const OWN: &str = "sigaltstack";

/// How often a program makes a call, in the thread that makes it most often where it can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The name of the system call.
    pub call: &'static str,
    /// How often before it can fail: in the loader, and before what is looked at.
    pub before: usize,
    /// How often in all.
    pub all: usize,
}

/// Counts the calls in a log, but those that are in its first `made` lines.
fn counts(log: &str, made: usize) -> Vec<Counts> {
    let mut threads: BTreeMap<&str, BTreeMap<&str, (usize, usize)>> = BTreeMap::new();
    let mut loader: BTreeMap<&str, usize> = BTreeMap::new();
    for (line, text) in log.lines().enumerate() {
        let Some((thread, rest)) = text.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        let thread = threads.entry(thread).or_default();
        if call == OWN && loader.is_empty() {
            loader = thread.iter().map(|(call, (_, all))| (*call, *all)).collect();
        }
        let (before, all) = thread.entry(call).or_default();
        *all += 1;
        *before += usize::from(line < made);
    }
    let of_thread = |call: &str, calls: &BTreeMap<&str, (usize, usize)>| {
        let (before, all) = calls.get(call).copied()?;
        let before = before.max(loader.get(call).copied().unwrap_or(0));
        (all > before).then(|| (all - before, before, all))
    };
    let most = |call: &'static str| {
        let (_, before, all) = threads.values().filter_map(|calls| of_thread(call, calls)).max()?;
        Some(Counts { call, before, all })
    };
    ERRORS.iter().filter_map(|(call, _)| most(call)).collect()
}

/// Every failure that is tried of the calls that were counted, each at a call that is drawn: once, and from there on for ever.
#[must_use]
pub fn failures(counts: &[Counts], rng: &mut fastrand::Rng) -> Vec<Vec<Injection>> {
    let kind = |&Counts { call, before, all }: &Counts| {
        let errors = ERRORS.iter().find(|(name, _)| *name == call).map_or(&[][..], |(_, errors)| errors);
        let mut kind = Vec::new();
        for &error in errors {
            for always in [false, true] {
                // No signal comes for ever.
                if !(always && error == "EINTR") {
                    kind.push(Injection { call, error, nth: before + 1 + rng.usize(..all - before), always });
                }
            }
        }
        rng.shuffle(&mut kind);
        kind
    };
    counts.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "7 openat(AT_FDCWD, \"libc\") = 3\n7 sigaltstack(NULL) = 0\n7 openat(x) = 3\n7 openat(y) = 3\n\
                       8 openat(z <unfinished ...>\n8 <... openat resumed>) = 4\n8 sendmsg(3) = 1\n8 getpid() = 8\n";

    #[test]
    fn calls_are_counted_by_thread_and_those_of_the_loader_apart() {
        let (openat, sendmsg) =
            (Counts { call: "openat", before: 1, all: 3 }, Counts { call: "sendmsg", before: 0, all: 1 });
        assert_eq!(counts(LOG, 0), [openat, sendmsg]);
        assert_eq!(counts(LOG, 3), [Counts { before: 2, ..openat }, sendmsg]);
        assert_eq!(counts(LOG, 6), [sendmsg]);
    }

    #[test]
    fn failures_are_of_the_programs_own_calls_and_the_seed_decides() {
        let draw = |seed| failures(&counts(LOG, 0), &mut fastrand::Rng::with_seed(seed));
        assert_eq!(draw(1), draw(1));
        assert!(
            draw(1)
                .iter()
                .flatten()
                .all(|failure| failure.call != "openat" || (2..=3).contains(&failure.nth))
        );
        assert!(draw(1).iter().flatten().all(|failure| !(failure.always && failure.error == "EINTR")));
    }

    #[test]
    fn the_table_is_sorted_and_has_nothing_twice() {
        assert!(ERRORS.is_sorted_by(|one, two| one.0 < two.0));
    }
}
