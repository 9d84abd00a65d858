//! The builder: a short-lived child of zsched, still the host's root, in a mount namespace of its
//! own and already in the zone's cgroup. It puts the zone's mounts together, makes the zone's root
//! its own, enters the zone's user namespace and makes the first process, which gets a *copy* of the
//! mounts in a namespace that another user namespace owns. The kernel locks such a copy: what was
//! read-only stays so, what was covered stays covered, whatever root in the zone does
//! (mount_namespaces(7), "Restrictions on mount namespaces").

use crate::create::spawn_first;
use crate::report::Report;
use crate::userns::Network;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::{fchdir, pivot_root};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use zone_sys::clone::{SingleThreaded, exit_now};
use zone_sys::unix::Fds;
use zsched::wire::{CREATE_FDS, Create, Failure, Stage};

/// Which descriptor of a request is which (see [`Create`]).
const ROOT: usize = 0;
pub(crate) const CGROUP: usize = 1;
pub(crate) const USERNS: usize = 2;

/// Does the builder's work and ends; what happened goes to `gate`.
pub(crate) fn run(
    proof: SingleThreaded,
    gate: &OwnedFd,
    request: &Create<'_>,
    fds: &Fds,
    network: Option<&Network>,
) -> ! {
    let made = build(request, fds)
        .and_then(|()| network.map_or(Ok(()), enter))
        .and_then(|()| spawn_first(proof, gate, request, network.is_some()));
    let told = match made {
        Ok((pid, pidfd)) => Report::First(pid.as_raw_nonzero().get()).send(gate, &[pidfd.as_fd()]),
        Err(failure) => Report::Failed(failure).send(gate, &[]),
    };
    exit_now(i32::from(told.is_err()))
}

fn build(request: &Create<'_>, fds: &Fds) -> Result<(), Failure> {
    let fd = |index: usize| fds.get(index).ok_or(Failure::new(Stage::Request, Errno::BADF));
    limits().map_err(|errno| Failure::new(Stage::Limits, errno))?;

    let directory = |path: &std::ffi::CStr| {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Failure::new(Stage::PrivateMounts, errno))
    };
    let host = directory(c"/")?;
    zone_sys::mount::make_all_private(host.as_fd())
        .map_err(|e| Failure::new(Stage::PrivateMounts, e.errno()))?;

    let root = fd(ROOT)?;
    // Any directory will do for the moment before the pivot, and this one every host has.
    attach(root, directory(c"/proc")?.as_fd()).map_err(|errno| Failure::new(Stage::AttachRoot, errno))?;
    pivot(root, &host).map_err(|errno| Failure::new(Stage::Pivot, errno))?;

    for (index, target) in request.targets.iter().enumerate() {
        let fail = |stage, errno| Failure::nth(stage, index, errno);
        let place = open_beneath(root, target).map_err(|errno| fail(Stage::OpenTarget, errno))?;
        attach(fd(CREATE_FDS + index)?, place.as_fd()).map_err(|errno| fail(Stage::Attach, errno))?;
    }
    move_into_link_name_space(fd(USERNS)?, Some(LinkNameSpaceType::User))
        .map_err(|errno| Failure::new(Stage::EnterUserNamespace, errno))
}

/// Enters what was prepared for the zone; its first process is born in it.
fn enter(network: &Network) -> Result<(), Failure> {
    move_into_link_name_space(network.net.as_fd(), Some(LinkNameSpaceType::Network))
        .and_then(|()| {
            move_into_link_name_space(network.ipc.as_fd(), Some(LinkNameSpaceType::InterProcessCommunication))
        })
        .map_err(|errno| Failure::new(Stage::CloneFirst, errno))
}

/// Makes `root` the root of this mount namespace and forgets the host's (pivot_root(2), notes).
fn pivot(root: BorrowedFd<'_>, host: &OwnedFd) -> Result<(), Errno> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    fchdir(host)?;
    unmount(c".", UnmountFlags::DETACH)?;
    fchdir(root)
}

/// Attaches a detached mount at what `place` is open on.
pub(crate) fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let by_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", place, c"", by_fd)
}

/// Opens a place in the zone, whose root `root` is open on. No link is followed: the zone's own root user
/// may have put one there when it last ran.
pub(crate) fn open_beneath(root: impl AsFd, path: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
    let strict = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), strict)
}

/// Gives the zone its resource limits, and an ordinary chance with the OOM killer.
fn limits() -> Result<(), Errno> {
    crate::limits::of_first_process()?;
    let oom = openat(CWD, c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&oom, b"0").map(|_| ())
}
