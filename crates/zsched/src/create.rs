//! The making of a zone, from zsched's side: start the builder, serve what the first process may
//! not do itself, and end with a first process that waits at its gate, or with nothing at all.

use crate::builder;
use crate::namespaces::{Made, Plan, Prepared};
use crate::report::Report;
use crate::steps::{SAFE, connection, mount, reap};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::process::{Signal, pidfd_send_signal};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded};
use zone_sys::unix::Fds;
use zsched::wire::{Create, Failure, Kinds, Origin, Stage};

/// A first process that waits to become init.
#[derive(Debug)]
pub(crate) struct First {
    /// Its number in the host's PID namespace.
    pub(crate) pid: i32,
    /// A handle on it that no later process of the same number has.
    pub(crate) pidfd: OwnedFd,
    /// Where it waits: an exec block sent here makes it init.
    pub(crate) gate: OwnedFd,
}

/// Makes a zone's first process as `request` says, in the namespaces that were prepared for it if some were.
pub(crate) fn make(
    proof: SingleThreaded,
    request: &Create<'_>,
    fds: &Fds,
    prepared: Option<Prepared>,
) -> Result<First, Failure> {
    let new = request.namespaces.each().into_iter().filter(|(_, origin)| *origin == Origin::New);
    let wanted = new.map(|(kind, _)| kind).collect::<Kinds>() & (Kinds::NET | Kinds::IPC);
    let made = match prepared {
        Some(prepared) if !wanted.is_empty() => prepared.finish(wanted)?,
        _ => Made::default(),
    };
    let plan = Plan::of(request, fds, &made)?;
    let cgroup = fds.get(builder::CGROUP).ok_or(Failure::new(Stage::Request, Errno::BADF))?;
    let fail = |errno| Failure::new(Stage::CloneBuilder, errno);
    let (ours, theirs) = connection().map_err(fail)?;
    let spawned = Clone::new(Namespaces::MOUNT).into_cgroup(cgroup).spawn(proof);
    match spawned.map_err(|e| fail(e.errno()))? {
        Cloned::Child => {
            drop(ours);
            builder::run(proof, &theirs, request, fds, &plan)
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
            Some((Report::Namespaces | Report::UserNamespace, _)) => {
                return Err(Failure::new(Stage::Lost, Errno::PROTO));
            }
        }
    }
}

/// Mounts the proc and sysfs that the first process opened. A process in the zone's user namespace
/// may only do so where it can already see such a file system (`mount_too_revealing` in the kernel's
/// fs/namespace.c); zsched is in the host's, and so no mount of the host need ever be in the zone.
fn mount_contexts(gate: &OwnedFd, contexts: &Fds) -> Result<(), Failure> {
    let proc = contexts.get(0).ok_or(Failure::new(Stage::Proc, Errno::BADF))?;
    let proc = mount(proc, SAFE).map_err(|errno| Failure::new(Stage::Proc, errno))?;
    let sysfs = match contexts.get(1) {
        Some(context) => Some(
            mount(context, SAFE | MountAttrFlags::MOUNT_ATTR_RDONLY)
                .map_err(|errno| Failure::new(Stage::Sysfs, errno))?,
        ),
        None => None,
    };
    let sent = match &sysfs {
        Some(sysfs) => Report::Contexts.send(gate, &[proc.as_fd(), sysfs.as_fd()]),
        None => Report::Contexts.send(gate, &[proc.as_fd()]),
    };
    sent.map_err(|e| Failure::new(Stage::Proc, e.errno()))
}
