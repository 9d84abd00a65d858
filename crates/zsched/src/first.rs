//! The zone's first process before it is init: sets itself up inside its namespaces, waits at the
//! gate, and execs. Everything here runs as the zone's root in the zone's user namespace; nothing
//! here may trust a path of the zone.

use crate::namespaces::Plan;
use crate::report::Report;
use crate::steps::{SAFE, attach, context, mount, open_beneath};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};
use rustix::net::RecvFlags;
use rustix::thread::{CapabilitySet, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::ffi::CStr;
use std::io::Write;
use zone_sys::clone::Namespaces;
use zone_sys::mount::MountAttr;
use zsched::wire::{Create, Failure, Stage};

/// What shows namespaces that do not belong to the zone's user namespace, mounted for it.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) sysfs: Option<OwnedFd>,
    pub(crate) mqueue: Option<OwnedFd>,
}

/// Sets up, waits, becomes init. Returns only if that failed, having said so, or if zsched is gone.
pub(crate) fn run(gate: &OwnedFd, request: &Create<'_>, plan: &Plan<'_>, foreign: Foreign) {
    if let Err(failure) = prepare(gate, request, plan, foreign) {
        let _ = Report::Failed(failure).send(gate, &[]);
        return;
    }
    // Done while the daemon gets its answer and looks at init; told to whoever boots.
    let fenced = fence(request);
    let mut block = [0; zone_sys::exec::MAX_BLOCK];
    if let Ok((n @ 1.., _)) = zone_sys::unix::recv(gate, &mut block, RecvFlags::empty()) {
        // The gate is close-on-exec: that it closes is how zsched learns that this worked.
        let failure = fenced.err().unwrap_or_else(|| become_init(&block[..n]));
        let _ = Report::Failed(failure).send(gate, &[]);
    }
}

/// The order is such that zsched mounts proc and sysfs while this process does what needs neither.
fn prepare(gate: &OwnedFd, request: &Create<'_>, plan: &Plan<'_>, foreign: Foreign) -> Result<(), Failure> {
    // Nothing of zsched's stays open here: not its sockets, not the console's manager side.
    let mut keep = [gate.as_fd(); 3];
    for (slot, fd) in keep[1..].iter_mut().zip([&foreign.sysfs, &foreign.mqueue].into_iter().flatten()) {
        *slot = fd.as_fd();
    }
    zone_sys::process::close_all_but(3, &keep).map_err(|e| Failure::new(Stage::Identity, e.errno()))?;
    identity().map_err(|errno| Failure::new(Stage::Identity, errno))?;
    ask_for_proc_and_sys(gate, foreign.sysfs.is_none())?;
    if plan.is_named {
        rustix::system::sethostname(request.hostname)
            .map_err(|errno| Failure::new(Stage::Hostname, errno))?;
    }
    if plan.new.contains(Namespaces::NET) {
        zone_sys::net::loopback_up().map_err(|e| Failure::new(Stage::Loopback, e.errno()))?;
    }
    let cgroup = own_fs(c"cgroup2").map_err(|errno| Failure::new(Stage::Cgroup, errno))?;
    let mqueue = match foreign.mqueue.map_or_else(|| own_fs(c"mqueue"), Ok) {
        Ok(mount) => Some(mount),
        // A kernel without POSIX message queues is no reason not to run a zone.
        Err(Errno::NODEV | Errno::NOENT) => None,
        Err(errno) => return Err(Failure::new(Stage::Mqueue, errno)),
    };
    zone_sys::caps::bound(CapabilitySet::from_bits_retain(request.bounding))
        .map_err(|e| Failure::new(Stage::Capabilities, e.errno()))?;

    let root = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Failure::new(Stage::Proc, errno))?;
    let place = |mount: BorrowedFd<'_>, at: &CStr, stage| {
        open_beneath(&root, at)
            .and_then(|place| attach(mount, place.as_fd()))
            .map_err(|errno| Failure::new(stage, errno))
    };
    if let Some(mqueue) = mqueue {
        place(mqueue.as_fd(), c"/dev/mqueue", Stage::Mqueue)?;
    }
    let network_is_own = foreign.sysfs.is_none();
    let (proc, sysfs) = proc_and_sys(gate, foreign.sysfs)?;
    place(proc.as_fd(), c"/proc", Stage::Proc)?;
    place(sysfs.as_fd(), c"/sys", Stage::Sysfs)?;
    place(cgroup.as_fd(), c"/sys/fs/cgroup", Stage::Cgroup)?;
    if network_is_own {
        open_ping(&root).map_err(|errno| Failure::new(Stage::Loopback, errno))?;
    }
    mask(&root, request)?;
    share(&root)?;
    Report::Waiting.send(gate, &[]).map_err(|e| Failure::new(Stage::Lost, e.errno()))
}

/// Becomes user and group 0 of the zone, in a session and with a keyring of its own.
fn identity() -> Result<(), Errno> {
    set_thread_groups(&[])?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    match zone_sys::process::new_session_keyring().map_err(|e| e.errno()) {
        Ok(()) | Err(Errno::NOSYS) => {}
        Err(errno) => return Err(errno),
    }
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    rustix::process::setsid().map(|_| ())
}

/// proc and sysfs show the namespaces of whoever opens them, so they are opened here; zsched mounts
/// them (see `create::mount_contexts`), and they are attached here.
fn ask_for_proc_and_sys(gate: &OwnedFd, sysfs_too: bool) -> Result<(), Failure> {
    let open = |name, stage| context(name).map_err(|errno| Failure::new(stage, errno));
    let proc = open(c"proc", Stage::Proc)?;
    let sent = if sysfs_too {
        let sysfs = open(c"sysfs", Stage::Sysfs)?;
        Report::Contexts.send(gate, &[proc.as_fd(), sysfs.as_fd()])
    } else {
        Report::Contexts.send(gate, &[proc.as_fd()])
    };
    sent.map_err(|e| Failure::new(Stage::Proc, e.errno()))
}

/// The mounts that were asked for; sysfs is the one that was there already, if one was.
fn proc_and_sys(gate: &OwnedFd, sysfs: Option<OwnedFd>) -> Result<(OwnedFd, OwnedFd), Failure> {
    let lost = |errno| Failure::new(Stage::Proc, errno);
    let Some((Report::Contexts, mut mounts)) = Report::recv(gate).map_err(lost)? else {
        return Err(lost(Errno::PROTO));
    };
    let proc = mounts.take(0).ok_or(lost(Errno::BADF))?;
    Ok((proc, sysfs.or_else(|| mounts.take(1)).ok_or(lost(Errno::BADF))?))
}

/// A file system that the zone's root may mount itself, not attached yet.
fn own_fs(name: &CStr) -> Result<OwnedFd, Errno> {
    mount(context(name)?.as_fd(), SAFE)
}

/// Lets all of the zone's groups send echo requests (`ping_group_range`, icmp(7)), as distributions do whose ping has no
/// capability any more; what they set themselves is a range that reaches past the zone's ids, which the kernel refuses.
fn open_ping(root: &OwnedFd) -> Result<(), Errno> {
    let mut text = [0; 64];
    let map = openat(CWD, c"/proc/self/gid_map", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let read = rustix::io::read(&map, &mut text)?;
    let last = last_id(&text[..read]).ok_or(Errno::RANGE)?;
    let path = c"/proc/sys/net/ipv4/ping_group_range";
    let range = match zone_sys::path::in_root_unlinked(root, path, OFlags::WRONLY) {
        Ok(range) => range,
        // A kernel without IPv4.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    let mut line = [0; 16];
    let mut rest = &mut line[..];
    write!(rest, "0 {last}").map_err(|_| Errno::RANGE)?;
    let length = 16 - rest.len();
    rustix::io::write(&range, &line[..length]).map(drop)
}

/// The last id that a map of one line has (`inside outside length`).
fn last_id(map: &[u8]) -> Option<u32> {
    let mut numbers = std::str::from_utf8(map).ok()?.split_ascii_whitespace().map(str::parse::<u32>);
    let (inside, _, length) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    inside.checked_add(length)?.checked_sub(1)
}

/// Makes all mounts shared, each in a peer group of its own: mount namespaces that the zone makes for its services see what is
/// mounted later, as they do on a host. The mounts came here private, so nothing outside is a peer of them.
fn share(root: &OwnedFd) -> Result<(), Failure> {
    zone_sys::mount::make_all_shared(root.as_fd()).map_err(|e| Failure::new(Stage::PrivateMounts, e.errno()))
}

/// Covers what the zone has no business with, and makes read-only what it may only look at. Paths
/// that this kernel does not have are passed over.
fn mask(root: &OwnedFd, request: &Create<'_>) -> Result<(), Failure> {
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mut empty = None;
    for (index, path) in request.masked.iter().enumerate() {
        let fail = |errno| Failure::nth(Stage::Mask, index, errno);
        let Some(place) = existing(root, path).map_err(fail)? else { continue };
        let directory = FileType::from_raw_mode(fstat(&place).map_err(fail)?.st_mode) == FileType::Directory;
        let cover = if directory {
            // One empty file system serves them all.
            let shared = match empty.take() {
                Some(shared) => shared,
                None => empty_dir().map_err(fail)?,
            };
            let flags = clone | OpenTreeFlags::AT_EMPTY_PATH;
            attach(shared.as_fd(), place.as_fd()).map_err(fail)?;
            // A copy of the attached one is the next to be used.
            empty = Some(open_tree(&shared, c"", flags).map_err(fail)?);
            continue;
        } else {
            open_tree(CWD, c"/dev/null", clone).map_err(fail)?
        };
        attach(cover.as_fd(), place.as_fd()).map_err(fail)?;
    }
    for (index, path) in request.readonly.iter().enumerate() {
        let fail = |errno| Failure::nth(Stage::ReadOnly, index, errno);
        let Some(place) = existing(root, path).map_err(fail)? else { continue };
        let same = open_tree(&place, c"", clone | OpenTreeFlags::AT_EMPTY_PATH).map_err(fail)?;
        zone_sys::mount::set_attr(same.as_fd(), MountAttr::RDONLY, MountAttr::empty(), false)
            .map_err(|e| fail(e.errno()))?;
        attach(same.as_fd(), place.as_fd()).map_err(fail)?;
    }
    Ok(())
}

fn existing(root: &OwnedFd, path: &CStr) -> Result<Option<OwnedFd>, Errno> {
    match open_beneath(root, path) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn empty_dir() -> Result<OwnedFd, Errno> {
    let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"mode", c"0555")?;
    fsconfig_set_string(&context, c"size", c"4k")?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, SAFE | MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// What is between the zone's programs and the rest: no handler or descriptor of ours, and the filter, which
/// lets through all that is still to be done here.
fn fence(request: &Create<'_>) -> Result<(), Failure> {
    zone_sys::signal::reset_all();
    if !request.seccomp.is_empty() {
        zone_sys::seccomp::load(request.seccomp).map_err(|e| Failure::new(Stage::Seccomp, e.errno()))?;
    }
    Ok(())
}

/// What is left to do once the zone boots. The console is opened by its name in the zone: it is our
/// own `/dev`, where nobody has run yet.
fn become_init(block: &[u8]) -> Failure {
    let console = match openat(CWD, c"/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty()) {
        Ok(console) => console,
        Err(errno) => return Failure::new(Stage::Console, errno),
    };
    let stdio = rustix::stdio::dup2_stdin(&console)
        .and_then(|()| rustix::stdio::dup2_stdout(&console))
        .and_then(|()| rustix::stdio::dup2_stderr(&console));
    if let Err(errno) = stdio {
        return Failure::new(Stage::Console, errno);
    }
    if let Err(e) = zone_sys::process::cloexec_from(3) {
        return Failure::new(Stage::Exec, e.errno());
    }
    Failure::new(Stage::Exec, zone_sys::exec::exec(block).errno())
}
