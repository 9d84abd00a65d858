//! Making a user namespace with its mapping, and ahead of time what takes longest of the others: a
//! short-lived child has the user namespace, zsched writes the maps. While the daemon builds the mounts
//! the child then makes the network and IPC namespaces (0.7 of the 2 milliseconds that all namespaces
//! and mounts of a zone cost the kernel), on a processor that would have nothing to do.
//!
//! Whatever the kernel counts per user in a user namespace it also counts for the user that made the namespace, in the
//! namespace above, with that user's limits (`inc_ucount` and `inc_rlimit_ucounts` in the kernel's ucount.c). So the child
//! makes it as the zone's own root, a user whom nobody else on the host is, and not as the host's.

use crate::create::reap;
use crate::report::Report;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fstat, openat};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use rustix::thread::{
    CapabilitySets, capabilities, set_capabilities, set_keep_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
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

/// Makes a user namespace in which `map` (the text of `uid_map`) holds for users and groups, and which belongs to the
/// user that is root in it.
pub(crate) fn make(proof: SingleThreaded, map: &[u8]) -> Result<(OwnedFd, Prepared), Failure> {
    let fail = |errno| Failure::new(Stage::UserNamespace, errno);
    let root = root_of(map).ok_or(fail(Errno::INVAL))?;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(fail)?;
    set_socket_timeout(&ours, Timeout::Recv, Some(crate::create::PATIENCE)).map_err(fail)?;
    match Clone::new(Namespaces::empty()).spawn(proof).map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(ours);
            let _ = match user_namespace(&theirs, root) {
                Ok(userns) => {
                    Report::UserNamespace.send(&theirs, &[userns.as_fd()]).map(|()| prepare(&theirs))
                }
                Err(errno) => Report::Failed(fail(errno)).send(&theirs, &[]),
            };
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let mut prepared = Prepared { owner: 0, socket: ours, child: pidfd };
            let userns = match Report::recv(&prepared.socket).map_err(fail)? {
                Some((Report::UserNamespace, mut fds)) => fds.take(0).ok_or(fail(Errno::BADF))?,
                Some((Report::Failed(failure), _)) => return Err(failure),
                _ => return Err(fail(Errno::CHILD)),
            };
            write_maps(pid, map).map_err(fail)?;
            prepared.owner = fstat(&userns).map_err(fail)?.st_ino;
            zone_sys::unix::send(&prepared.socket, b"go", &[]).map_err(|e| fail(e.errno()))?;
            Ok((userns, prepared))
        }
    }
}

/// Which user of the host is root in a map: the lines of `uid_map` have the first id inside, the first outside, and how
/// many.
fn root_of(map: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(map).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inside, outside, count) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
        (inside == 0 && count > 0).then_some(outside)
    })
}

/// Makes the calling process user `root` of the host, and from there gives it a user namespace of its own. It keeps its
/// capabilities until then, for hosts on which no others may make one.
fn user_namespace(socket: &OwnedFd, root: u32) -> Result<OwnedFd, Errno> {
    // Nothing of zsched's is open in a process that is not the host's root.
    zone_sys::process::close_all_but(3, socket.as_fd()).map_err(|e| e.errno())?;
    crate::limits::of_user_namespace()?;
    let (user, group) = (Uid::from_raw(root), Gid::from_raw(root));
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    // The kernel does this too, unless fs.suid_dumpable is 1: no process of that user may look into this one.
    zone_sys::process::set_dumpable(false).map_err(|e| e.errno())?;
    let held = capabilities(None)?;
    set_capabilities(None, CapabilitySets { effective: held.permitted, ..held })?;
    zone_sys::namespace::unshare(Namespaces::USER).map_err(|e| e.errno())?;
    openat(CWD, c"/proc/self/ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
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
    zone_sys::namespace::unshare(Namespaces::NET | Namespaces::IPC).map_err(|e| fail(e.errno()))?;
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

/// Maps the ids of the user namespace of process `pid`.
fn write_maps(pid: Pid, map: &[u8]) -> Result<(), Errno> {
    for tail in [&b"/uid_map"[..], b"/gid_map"] {
        let mut path = [0; 48];
        let file =
            openat(CWD, proc_path(&mut path, pid, tail)?, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        // The kernel takes a map in one write or not at all.
        if rustix::io::write(&file, map)? != map.len() {
            return Err(Errno::INVAL);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::root_of;

    #[test]
    fn the_root_of_a_map() {
        assert_eq!(root_of(b"0 690552832 65536\n"), Some(690_552_832));
        assert_eq!(root_of(b"         5          7          1\n         0    1000       5\n"), Some(1000));
        for none in [&b""[..], b"1 1000 5\n", b"0 1000 0\n", b"0 1000\n", b"0 -1 5\n", b"\xff 0 1\n"] {
            assert_eq!(root_of(none), None, "{none:?}");
        }
    }
}
