//! The builder: a short-lived child of zsched, still the host's root, in a mount namespace of its
//! own and already in the zone's cgroup. It puts the zone's mounts together, makes the zone's root
//! its own, enters the zone's user namespace and makes the first process, which gets a *copy* of the
//! mounts in a namespace that another user namespace owns. The kernel locks such a copy: what was
//! read-only stays so, what was covered stays covered, whatever root in the zone does
//! (mount_namespaces(7), "Restrictions on mount namespaces").

use crate::first::{self, Foreign};
use crate::namespaces::Plan;
use crate::report::Report;
use crate::steps::{SAFE, attach, context, mount, open_beneath};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, UnmountFlags, unmount};
use rustix::process::{Pid, fchdir, pivot_root};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use zone_sys::clone::{Clone, Cloned, SingleThreaded, exit_now};
use zone_sys::inherit::{self, Role};
use zone_sys::unix::Fds;
use zsched::wire::{CREATE_FDS, Create, Failure, Kinds, Stage};

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
    plan: &Plan<'_>,
) -> ! {
    let made = build(request, fds, plan).and_then(|foreign| spawn_first(proof, gate, request, plan, foreign));
    let told = match made {
        Ok((pid, pidfd)) => Report::First(pid.as_raw_nonzero().get()).send(gate, &[pidfd.as_fd()]),
        Err(failure) => Report::Failed(failure).send(gate, &[]),
    };
    exit_now(i32::from(told.is_err()))
}

/// Makes the first process, in the namespaces that the builder is in and new ones.
fn spawn_first(
    proof: SingleThreaded,
    gate: &OwnedFd,
    request: &Create<'_>,
    plan: &Plan<'_>,
    foreign: Foreign,
) -> Result<(Pid, OwnedFd), Failure> {
    match Clone::new(plan.new).sibling().spawn(proof) {
        Ok(Cloned::Child) => {
            first::run(gate, request, plan, foreign);
            exit_now(1)
        }
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd)),
        Err(e) => Err(Failure::new(Stage::CloneFirst, e.errno())),
    }
}

fn build(request: &Create<'_>, fds: &Fds, plan: &Plan<'_>) -> Result<Foreign, Failure> {
    let fd = |index: usize| fds.get(index).ok_or(Failure::new(Stage::Request, Errno::BADF));
    // With the host's privileges, since the zone's root may raise no limit; and with the host's /proc.
    inherit::reset(Role::Zone).map_err(|inherited| Failure::new(Stage::Limits, inherited.errno))?;

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
    plan.enter()?;
    let foreign = foreign(plan, fd(USERNS)?)?;
    move_into_link_name_space(fd(USERNS)?, Some(LinkNameSpaceType::User))
        .map_err(|errno| Failure::new(Stage::EnterUserNamespace, errno))?;
    Ok(foreign)
}

/// Mounts what shows namespaces that do not belong to the zone's user namespace. The kernel lets only those open sysfs and
/// mqueue who have CAP_SYS_ADMIN over the network or IPC namespace that they are in: for these the host's root, and not the
/// zone's.
fn foreign(plan: &Plan<'_>, userns: BorrowedFd<'_>) -> Result<Foreign, Failure> {
    let one = |kind, name, attributes, stage| {
        let mounted = match plan.is_foreign(kind, userns) {
            Ok(true) => context(name).and_then(|context| mount(context.as_fd(), attributes)).map(Some),
            Ok(false) => Ok(None),
            Err(errno) => Err(errno),
        };
        mounted.map_err(|errno| Failure::new(stage, errno))
    };
    let sysfs = one(Kinds::NET, c"sysfs", SAFE | MountAttrFlags::MOUNT_ATTR_RDONLY, Stage::Sysfs)?;
    let mqueue = match one(Kinds::IPC, c"mqueue", SAFE, Stage::Mqueue) {
        Err(Failure { errno: Errno::NODEV | Errno::NOENT, .. }) => None,
        mounted => mounted?,
    };
    Ok(Foreign { sysfs, mqueue })
}

/// Makes `root` the root of this mount namespace and forgets the host's (pivot_root(2), notes).
fn pivot(root: BorrowedFd<'_>, host: &OwnedFd) -> Result<(), Errno> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    fchdir(host)?;
    unmount(c".", UnmountFlags::DETACH)?;
    fchdir(root)
}
