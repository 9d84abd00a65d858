//! Making a user namespace with its mapping: a short-lived child has it, zsched writes the maps.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::ffi::CStr;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zsched::wire::{Failure, Stage};

/// A user namespace in which `map` (the text of `uid_map`) holds for users and groups.
pub(crate) fn make(proof: SingleThreaded, map: &[u8]) -> Result<OwnedFd, Failure> {
    let fail = |errno| Failure::new(Stage::UserNamespace, errno);
    let (wait, release) = pipe_with(PipeFlags::CLOEXEC).map_err(fail)?;
    match Clone::new(Namespaces::USER).spawn(proof).map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(release);
            // Ends when zsched closes its side, also by dying.
            let _ = rustix::io::read(&wait, &mut [0u8; 1]);
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let made = map_and_open(pid, map).map_err(fail);
            drop(release);
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            made
        }
    }
}

fn map_and_open(pid: Pid, map: &[u8]) -> Result<OwnedFd, Errno> {
    for tail in [&b"/uid_map"[..], b"/gid_map"] {
        let mut path = [0; 48];
        let file =
            openat(CWD, proc_path(&mut path, pid, tail)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel takes a map in one write or not at all.
        if rustix::io::write(&file, map)? != map.len() {
            return Err(Errno::INVAL);
        }
    }
    let mut path = [0; 48];
    openat(CWD, proc_path(&mut path, pid, b"/ns/user")?, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// `/proc/PID` + `tail`, without allocating.
fn proc_path<'a>(buffer: &'a mut [u8; 48], pid: Pid, tail: &[u8]) -> Result<&'a CStr, Errno> {
    let digits = rustix::path::DecInt::new(pid.as_raw_nonzero().get());
    let mut at = 0;
    for part in [b"/proc/", digits.as_bytes(), tail] {
        buffer.get_mut(at..at + part.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        at += part.len();
    }
    CStr::from_bytes_until_nul(&buffer[..]).map_err(|_| Errno::NAMETOOLONG)
}
