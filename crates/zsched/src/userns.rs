//! Making a user namespace with its mapping, and ahead of time what takes longest of the others: a
//! short-lived child has the user namespace, zsched writes the maps. While the daemon builds the mounts
//! the child then makes the network and IPC namespaces (0.7 of the 2 milliseconds that all namespaces
//! and mounts of a zone cost the kernel), on a processor that would have nothing to do.
//!
//! Whatever the kernel counts per user in a user namespace it also counts for the user that made the namespace, in the
//! namespace above, with that user's limits (`inc_ucount` and `inc_rlimit_ucounts` in the kernel's ucount.c). So the child
//! makes it as the zone's own root, a user whom nobody else on the host is, and not as the host's.

use crate::namespaces::{self, Prepared};
use crate::report::Report;
use crate::steps::{connection, open_read, proc_path};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, openat};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySets, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zone_sys::inherit::{self, Role};
use zsched::wire::{Failure, Kinds, Stage};

/// Makes a user namespace in which `map` (the text of `uid_map`) holds for users and groups, and which belongs to the
/// user that is root in it; and begins to make network and IPC namespace.
pub(crate) fn make(proof: SingleThreaded, map: &[u8]) -> Result<(OwnedFd, Prepared), Failure> {
    let fail = |errno| Failure::new(Stage::UserNamespace, errno);
    let root = root_of(map).ok_or(fail(Errno::INVAL))?;
    let (pid, mut prepared) = helper(proof, |socket| user_namespace(socket, root))?;
    let userns = prepared.user_namespace()?;
    write_maps(pid, map).map_err(fail)?;
    prepared.begin(Kinds::NET | Kinds::IPC)?;
    Ok((userns, prepared))
}

/// Puts a helper into a user namespace that is there already. It has not begun to make anything.
pub(crate) fn enter(proof: SingleThreaded, userns: BorrowedFd<'_>) -> Result<Prepared, Failure> {
    let (_, mut prepared) = helper(proof, |socket| {
        zone_sys::process::close_all_but(3, &[socket.as_fd(), userns]).map_err(|e| e.errno())?;
        zone_sys::process::set_dumpable(false).map_err(|e| e.errno())?;
        move_into_link_name_space(userns, Some(LinkNameSpaceType::User))?;
        open_read(c"/proc/self/ns/user")
    })?;
    prepared.user_namespace()?;
    Ok(prepared)
}

/// Starts a helper that gets its user namespace by `get`, says so, and then makes others as it is told.
fn helper(
    proof: SingleThreaded,
    get: impl FnOnce(&OwnedFd) -> Result<OwnedFd, Errno>,
) -> Result<(Pid, Prepared), Failure> {
    let fail = |errno| Failure::new(Stage::UserNamespace, errno);
    let (ours, theirs) = connection().map_err(fail)?;
    match Clone::new(Namespaces::empty()).spawn(proof).map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(ours);
            let _ = match get(&theirs) {
                Ok(userns) => Report::UserNamespace
                    .send(&theirs, &[userns.as_fd()])
                    .map(|()| namespaces::serve(&theirs)),
                Err(errno) => Report::Failed(fail(errno)).send(&theirs, &[]),
            };
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => Ok((pid, Prepared::new(ours, pidfd))),
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
    zone_sys::process::close_all_but(3, &[socket.as_fd()]).map_err(|e| e.errno())?;
    limits()?;
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
    open_read(c"/proc/self/ns/user")
}

/// Sets the limits of the process that makes a zone's user namespace. Four of them bind all processes of that namespace
/// taken together, for ever (`create_user_ns` in the kernel's user_namespace.c): pending signals, message queues and locked
/// memory, of which a zone may have as much as one user of the host, and processes, which the pids controller bounds.
fn limits() -> Result<(), Errno> {
    inherit::reset(Role::Zone).map_err(|inherited| inherited.errno)?;
    match setrlimit(Resource::Nproc, Rlimit { current: None, maximum: None }) {
        // Not allowed to raise it: that of the table stays.
        Err(Errno::PERM) => Ok(()),
        done => done,
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
