//! `clone3(2)` in the forms the project needs, and the fork that makes a daemon.
//!
//! A clone without `CLONE_VM` is a fork: the child has a private copy of everything. It is only
//! sound to go on running ordinary code in it (allocate, lock) if no other thread could have held
//! a lock at that instant, so every call asks for a [`SingleThreaded`] token.

use crate::{Arg, Error, Result};
use linux_raw_sys::general as raw;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;
use std::marker::PhantomData;

/// Proof that the process had one thread when it was asked. Not `Send`, and a program that takes
/// one promises to start no thread while it keeps it.
#[derive(Debug, Clone, Copy)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Looks at the kernel's own count of threads (`/proc/self/stat`, field 20).
    ///
    /// # Errors
    /// `EDEADLK` when there is a second thread, or what reading `/proc` gave.
    pub fn assert() -> Result<Self> {
        let bad = |errno| Error::new("single_threaded", errno);
        let stat =
            crate::proc::Stat::own().map_err(|e| bad(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
        if stat.threads == 1 { Ok(Self(PhantomData)) } else { Err(bad(Errno::DEADLK)) }
    }
}

bitflags::bitflags! {
    /// Kinds of namespaces that a process gets for its own.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Namespaces: u64 {
        /// Mount points.
        const MOUNT = raw::CLONE_NEWNS as u64;
        /// Users, groups, and what capabilities hold for.
        const USER = raw::CLONE_NEWUSER as u64;
        /// Process ids: the child is number 1.
        const PID = raw::CLONE_NEWPID as u64;
        /// Network interfaces, addresses, routes.
        const NET = raw::CLONE_NEWNET as u64;
        /// The host name.
        const UTS = raw::CLONE_NEWUTS as u64;
        /// System V IPC and POSIX message queues.
        const IPC = raw::CLONE_NEWIPC as u64;
        /// The root of what is shown of control groups.
        const CGROUP = raw::CLONE_NEWCGROUP as u64;
        /// The monotonic clock and that since boot (Linux 5.6).
        const TIME = raw::CLONE_NEWTIME as u64;
        /// All that a zone has for its own but the user namespace.
        const ZONE = Self::MOUNT.bits() | Self::PID.bits() | Self::NET.bits() | Self::UTS.bits() | Self::IPC.bits() | Self::CGROUP.bits();
    }
}

/// What a child is to be.
#[derive(Debug, Clone, Copy)]
pub struct Clone<'a> {
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd<'a>>,
    sibling: bool,
}

/// The two returns of a clone.
#[derive(Debug)]
pub enum Cloned {
    /// In the caller: the child, by its number in the caller's PID namespace and by its pidfd.
    Parent {
        /// The child's process id.
        pid: Pid,
        /// A handle that cannot be mistaken for a later process of the same number.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

impl<'a> Clone<'a> {
    /// A child with `namespaces` of its own.
    #[must_use]
    pub fn new(namespaces: Namespaces) -> Self {
        Self { namespaces, cgroup: None, sibling: false }
    }

    /// Born in the cgroup v2 directory `cgroup` (Linux 5.7). Unlike a write to `cgroup.procs` this
    /// costs nothing measurable.
    #[must_use]
    pub fn into_cgroup(mut self, cgroup: BorrowedFd<'a>) -> Self {
        self.cgroup = Some(cgroup);
        self
    }

    /// A child of the caller's parent instead of the caller (`CLONE_PARENT`).
    #[must_use]
    pub fn sibling(mut self) -> Self {
        self.sibling = true;
        self
    }

    /// Makes a child in a process that may have threads: until it executes a program it must not allocate, nor do
    /// anything else that takes a lock. For this crate only, which sees to that.
    pub(crate) fn spawn_with_threads(&self) -> Result<Cloned> {
        self.spawn(SingleThreaded(PhantomData))
    }

    /// Makes the child. Where there is no `clone3(2)` (inside a zone a seccomp filter says so) a child that
    /// needs none is made with `clone(2)`, as the C libraries do.
    ///
    /// # Errors
    /// What `clone3(2)` says; `ENOSYS` before Linux 5.3.
    pub fn spawn(&self, proof: SingleThreaded) -> Result<Cloned> {
        match self.clone3(proof) {
            Err(error) if error.errno() == Errno::NOSYS && self.cgroup.is_none() => self.plain_clone(proof),
            done => done,
        }
    }

    fn clone3(&self, _proof: SingleThreaded) -> Result<Cloned> {
        let mut pidfd: i32 = -1;
        let mut flags = self.namespaces.bits() | u64::from(raw::CLONE_PIDFD);
        if self.cgroup.is_some() {
            flags |= raw::CLONE_INTO_CGROUP;
        }
        if self.sibling {
            flags |= u64::from(raw::CLONE_PARENT);
        }
        let args = raw::clone_args {
            flags,
            // Exposed: the kernel writes there, which the compiler must know of.
            pidfd: (&raw mut pidfd).expose_provenance() as u64,
            child_tid: 0,
            parent_tid: 0,
            // With CLONE_PARENT the kernel wants 0 and takes the caller's own exit signal.
            exit_signal: if self.sibling { 0 } else { u64::from(raw::SIGCHLD) },
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: self.cgroup.map_or(0, |fd| fd.as_raw_fd().unsigned_abs().into()),
        };
        // SAFETY: `args` is a valid clone_args of the size given; `pidfd` outlives the call; without
        // CLONE_VM and with no stack the child runs on a copy of this stack, as after fork(2), and
        // the token says that no other thread held a lock when the copy was made.
        let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<raw::clone_args>()) };
        if ret < 0 {
            return Err(Error::last("clone3").arg(Arg::Flags(flags)));
        }
        Ok(returned(ret, pidfd))
    }

    fn plain_clone(&self, _proof: SingleThreaded) -> Result<Cloned> {
        let mut pidfd: i32 = -1;
        let mut flags = self.namespaces.bits() | u64::from(raw::CLONE_PIDFD);
        // The signal at the child's end is in the lowest byte; see `clone3` for the one without.
        flags |= u64::from(if self.sibling { raw::CLONE_PARENT } else { raw::SIGCHLD });
        // SAFETY: as in `clone3`; the third argument is where CLONE_PIDFD stores the descriptor, on
        // every architecture, and the others are only read with flags that are not set.
        let ret = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, &raw mut pidfd, 0usize, 0usize) };
        if ret < 0 {
            return Err(Error::last("clone").arg(Arg::Flags(flags)));
        }
        Ok(returned(ret, pidfd))
    }
}

/// The two returns of a successful call that was given `CLONE_PIDFD` and stored `pidfd`.
fn returned(ret: libc::c_long, pidfd: i32) -> Cloned {
    match i32::try_from(ret).ok().and_then(Pid::from_raw) {
        None => Cloned::Child,
        Some(pid) => {
            // SAFETY: the kernel stored a new descriptor there (CLONE_PIDFD), owned by nobody else.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Cloned::Parent { pid, pidfd }
        }
    }
}

/// Ends this process at once, running no destructor and flushing nothing: how a cloned child that
/// shares its parent's buffers must end.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions and does not return.
    unsafe { libc::_exit(status) }
}

/// Asks whether there is such a call, by one that makes no process.
///
/// # Errors
/// `ENOSYS` if there is none, or a filter says so.
pub fn probe() -> Result<()> {
    // SAFETY: with arguments of no size the kernel returns EINVAL before it looks at any.
    let ret = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<raw::clone_args>(), 0_usize) };
    let error = Error::last("clone3");
    if ret < 0 && error.errno() == Errno::NOSYS { Err(error) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    fn its_status_reaches_the_parent(spawn: fn(&Clone<'static>, SingleThreaded) -> Result<Cloned>) {
        // The test harness has threads, so the token is made by hand: the child only exits.
        let proof = SingleThreaded(PhantomData);
        match spawn(&Clone::new(Namespaces::empty()), proof) {
            Ok(Cloned::Child) => exit_now(7),
            Ok(Cloned::Parent { pidfd, .. }) => {
                let status = waitid(WaitId::PidFd(rustix::fd::AsFd::as_fd(&pidfd)), WaitIdOptions::EXITED);
                assert_eq!(status.unwrap().unwrap().exit_status(), Some(7));
            }
            Err(e) => panic!("{e}"),
        }
    }

    #[test]
    fn child_status_reaches_the_parent() {
        its_status_reaches_the_parent(Clone::spawn);
    }

    #[test]
    fn a_child_can_be_made_without_clone3() {
        its_status_reaches_the_parent(Clone::plain_clone);
    }

    #[test]
    fn threads_are_noticed() {
        let (tx, rx) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || rx.recv());
        assert!(SingleThreaded::assert().is_err());
        drop(tx);
        let _ = other.join();
    }
}
