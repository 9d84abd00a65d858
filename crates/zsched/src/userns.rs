//! Making a user namespace with its mapping, and ahead of time what takes longest of the others: a
//! short-lived child has the user namespace, zsched writes the maps. While the daemon builds the mounts
//! the child then makes the network and IPC namespaces (0.7 of the 2 milliseconds that all namespaces
//! and mounts of a zone cost the kernel), on a processor that would have nothing to do.

use crate::create::reap;
use crate::report::Report;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use std::ffi::CStr;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zsched::wire::{Failure, Stage};

/// Namespaces that are made, or being made, for the zone that is created next.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Which user namespace they belong to: its inode.
    owner: u64,
    socket: OwnedFd,
    child: OwnedFd,
}

/// Network and IPC namespace of a zone to be.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) net: OwnedFd,
    pub(crate) ipc: OwnedFd,
}

/// A user namespace in which `map` (the text of `uid_map`) holds for users and groups.
pub(crate) fn make(proof: SingleThreaded, map: &[u8]) -> Result<(OwnedFd, Prepared), Failure> {
    let fail = |errno| Failure::new(Stage::UserNamespace, errno);
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(fail)?;
    set_socket_timeout(&ours, Timeout::Recv, Some(crate::create::PATIENCE)).map_err(fail)?;
    match Clone::new(Namespaces::USER).spawn(proof).map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(ours);
            prepare(&theirs);
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let mut prepared = Prepared { owner: 0, socket: ours, child: pidfd };
            let userns = map_and_open(pid, map).map_err(fail)?;
            prepared.owner = fstat(&userns).map_err(fail)?.st_ino;
            zone_sys::unix::send(&prepared.socket, b"go", &[]).map_err(|e| fail(e.errno()))?;
            Ok((userns, prepared))
        }
    }
}

/// The child's part, once its ids are mapped; if zsched closes its side, also by dying, it just ends.
fn prepare(socket: &OwnedFd) {
    let told = zone_sys::unix::recv(socket, &mut [0; 2], RecvFlags::empty());
    if !matches!(told, Ok((2, _))) {
        return;
    }
    let _ = match network() {
        Ok(Network { net, ipc }) => Report::Network.send(socket, &[net.as_fd(), ipc.as_fd()]),
        Err(failure) => Report::Failed(failure).send(socket, &[]),
    };
}

fn network() -> Result<Network, Failure> {
    let fail = |errno| Failure::new(Stage::CloneFirst, errno);
    zone_sys::net::unshare_net_and_ipc().map_err(|e| fail(e.errno()))?;
    zone_sys::net::loopback_up().map_err(|e| Failure::new(Stage::Loopback, e.errno()))?;
    let open = |path: &CStr| openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(fail);
    Ok(Network { net: open(c"/proc/self/ns/net")?, ipc: open(c"/proc/self/ns/ipc")? })
}

impl Prepared {
    /// Whether they belong to this user namespace.
    pub(crate) fn is_of(&self, userns: BorrowedFd<'_>) -> bool {
        fstat(userns).is_ok_and(|stat| stat.st_ino == self.owner)
    }

    /// Waits until they are made.
    pub(crate) fn finish(self) -> Result<Network, Failure> {
        let fail = |errno| Failure::new(Stage::CloneFirst, errno);
        match Report::recv(&self.socket).map_err(fail)? {
            Some((Report::Network, mut fds)) => {
                let mut next = |index| fds.take(index).ok_or(fail(Errno::BADF));
                Ok(Network { net: next(0)?, ipc: next(1)? })
            }
            Some((Report::Failed(failure), _)) => Err(failure),
            _ => Err(fail(Errno::CHILD)),
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.child, Signal::KILL);
        reap(self.child.as_fd());
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
pub(crate) fn proc_path<'a>(buffer: &'a mut [u8; 48], pid: Pid, tail: &[u8]) -> Result<&'a CStr, Errno> {
    let digits = rustix::path::DecInt::new(pid.as_raw_nonzero().get());
    let mut at = 0;
    for part in [b"/proc/", digits.as_bytes(), tail] {
        buffer.get_mut(at..at + part.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(part);
        at += part.len();
    }
    CStr::from_bytes_until_nul(&buffer[..]).map_err(|_| Errno::NAMETOOLONG)
}
