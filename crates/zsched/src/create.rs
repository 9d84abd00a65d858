//! The making of a zone, from zsched's side: start the builder, serve what the first process may
//! not do itself, and end with a first process that waits at its gate, or with nothing at all.

use crate::report::Report;
use crate::userns::Network;
use crate::{builder, first};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, MountAttrFlags, fsconfig_create, fsmount};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::time::Duration;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zone_sys::unix::Fds;
use zsched::wire::{CREATE_FDS, Create, Failure, Stage};

/// How long any one step of a helper may take. All of them together take a few milliseconds; what
/// hangs longer hangs in a mount, and the operator must hear of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A first process that waits to become init.
#[derive(Debug)]
pub(crate) struct First {
    /// Its number in the host's PID namespace.
    pub(crate) pid: i32,
    /// It.
    pub(crate) pidfd: OwnedFd,
    /// Where it waits: an exec block sent here makes it init.
    pub(crate) gate: OwnedFd,
}

/// Makes a zone's first process as `request` says, in the network that was prepared for it if one was.
pub(crate) fn make(
    proof: SingleThreaded,
    request: &Create<'_>,
    fds: &Fds,
    network: Option<&Network>,
) -> Result<First, Failure> {
    if request.targets.iter().count() + CREATE_FDS != fds.len() {
        return Err(Failure::new(Stage::Request, Errno::INVAL));
    }
    let cgroup = fds.get(builder::CGROUP).ok_or(Failure::new(Stage::Request, Errno::BADF))?;
    let fail = |errno| Failure::new(Stage::CloneBuilder, errno);
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(fail)?;
    set_socket_timeout(&ours, Timeout::Recv, Some(PATIENCE)).map_err(fail)?;
    let spawned = Clone::new(Namespaces::MOUNT).into_cgroup(cgroup).spawn(proof);
    match spawned.map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(ours);
            builder::run(proof, &theirs, request, fds, network)
        }
        Cloned::Parent { pidfd, .. } => {
            drop(theirs);
            let mut child = None;
            let made = serve(&ours, &mut child);
            if made.is_err() {
                for helper in [Some(&pidfd), child.as_ref().map(|(_, pidfd)| pidfd)].into_iter().flatten() {
                    let _ = pidfd_send_signal(helper, Signal::KILL);
                }
                if let Some((_, pidfd)) = &child {
                    reap(pidfd.as_fd());
                }
            }
            reap(pidfd.as_fd());
            made?;
            let (pid, pidfd) = child.ok_or(Failure::new(Stage::Lost, Errno::CHILD))?;
            Ok(First { pid, pidfd, gate: ours })
        }
    }
}

/// Hears the helpers out until the first process waits. The two of them run side by side, so what
/// the first process says may come before the builder has told of it.
fn serve(gate: &OwnedFd, child: &mut Option<(i32, OwnedFd)>) -> Result<(), Failure> {
    let mut outcome = None;
    loop {
        if child.is_some()
            && let Some(outcome) = outcome
        {
            return outcome;
        }
        let received = Report::recv(gate).map_err(|errno| match errno {
            Errno::AGAIN => Failure::new(Stage::Timeout, Errno::TIMEDOUT),
            other => Failure::new(Stage::Lost, other),
        })?;
        match received {
            // Both are gone; without a first process to be told of, if the builder itself failed.
            None => return outcome.unwrap_or(Err(Failure::new(Stage::Lost, Errno::CHILD))),
            Some((Report::Failed(failure), _)) => outcome = Some(Err(failure)),
            Some((Report::First(pid), mut fds)) => {
                let pidfd = fds.take(0).ok_or(Failure::new(Stage::CloneFirst, Errno::BADF))?;
                *child = Some((pid, pidfd));
            }
            Some((Report::Contexts, fds)) => mount_contexts(gate, &fds)?,
            Some((Report::Waiting, _)) => outcome = Some(Ok(())),
            Some((Report::Network | Report::UserNamespace, _)) => {
                return Err(Failure::new(Stage::Lost, Errno::PROTO));
            }
        }
    }
}

/// Mounts the proc and sysfs that the first process opened. A process in the zone's user namespace
/// may only do so where it can already see such a file system (`mount_too_revealing` in the kernel's
/// fs/namespace.c); zsched is in the host's, and so no mount of the host need ever be in the zone.
fn mount_contexts(gate: &OwnedFd, contexts: &Fds) -> Result<(), Failure> {
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = |index, stage, attr| {
        let fail = |errno| Failure::new(stage, errno);
        let context: BorrowedFd<'_> = contexts.get(index).ok_or(fail(Errno::BADF))?;
        fsconfig_create(context).map_err(fail)?;
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attr).map_err(fail)
    };
    let proc = mount(0, Stage::Proc, safe)?;
    let sysfs = mount(1, Stage::Sysfs, safe | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    Report::Contexts
        .send(gate, &[proc.as_fd(), sysfs.as_fd()])
        .map_err(|e| Failure::new(Stage::Proc, e.errno()))
}

/// Waits for a child that has ended or was killed.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) {
    while matches!(waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED), Err(Errno::INTR)) {}
}

/// What the builder does with the process that it becomes after its work: make the first one.
pub(crate) fn spawn_first(
    proof: SingleThreaded,
    gate: &OwnedFd,
    request: &Create<'_>,
    in_network: bool,
) -> Result<(Pid, OwnedFd), Failure> {
    let mut namespaces = Namespaces::MOUNT | Namespaces::PID | Namespaces::UTS | Namespaces::CGROUP;
    if !in_network {
        namespaces |= Namespaces::NET | Namespaces::IPC;
    }
    match Clone::new(namespaces).sibling().spawn(proof) {
        Ok(Cloned::Child) => {
            first::run(gate, request, in_network);
            exit_now(1)
        }
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd)),
        Err(e) => Err(Failure::new(Stage::CloneFirst, e.errno())),
    }
}
