//! Namespaces of a zone beside its user namespace: those that a helper makes ahead, and those that the first process is
//! born in.

use crate::report::Report;
use crate::steps::{open_read, reap};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Signal, pidfd_send_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::CStr;
use zone_sys::clone::Namespaces;
use zone_sys::unix::Fds;
use zsched::wire::{CREATE_FDS, Create, Failure, Kinds, Origin, Stage};

/// What a kind is to the kernel: its flag, its type for `setns(2)`, and where a process that has just made one finds it.
struct Row(Kinds, Namespaces, LinkNameSpaceType, &'static CStr);

/// The kinds in the order in which their descriptors are sent.
const ROWS: [Row; 4] = [
    Row(Kinds::NET, Namespaces::NET, LinkNameSpaceType::Network, c"/proc/self/ns/net"),
    Row(Kinds::IPC, Namespaces::IPC, LinkNameSpaceType::InterProcessCommunication, c"/proc/self/ns/ipc"),
    Row(Kinds::TIME, Namespaces::TIME, LinkNameSpaceType::Time, c"/proc/self/ns/time_for_children"),
    Row(Kinds::UTS, Namespaces::UTS, LinkNameSpaceType::HostNameAndNISDomainName, c"/proc/self/ns/uts"),
];

/// A descriptor for each kind, in the order of [`ROWS`], or none.
#[derive(Debug, Default)]
pub(crate) struct Made([Option<OwnedFd>; 4]);

impl Made {
    /// The descriptors that are there, in order.
    pub(crate) fn into_fds(self) -> Vec<OwnedFd> {
        self.0.into_iter().flatten().collect()
    }
}

/// A helper in a user namespace, which makes namespaces that belong to it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Which user namespace that is: its inode.
    owner: u64,
    socket: OwnedFd,
    child: OwnedFd,
    /// What it has been told to make.
    begun: Kinds,
}

impl Prepared {
    /// A helper that is still to say so over `socket` when it is in its user namespace.
    pub(crate) fn new(socket: OwnedFd, child: OwnedFd) -> Self {
        Self { owner: 0, socket, child, begun: Kinds::empty() }
    }

    /// Waits until it is in a user namespace, and gives that.
    pub(crate) fn user_namespace(&mut self) -> Result<OwnedFd, Failure> {
        let fail = |errno| Failure::new(Stage::UserNamespace, errno);
        let userns = match Report::recv(&self.socket).map_err(fail)? {
            Some((Report::UserNamespace, mut fds)) => fds.take(0).ok_or(fail(Errno::BADF))?,
            Some((Report::Failed(failure), _)) => return Err(failure),
            _ => return Err(fail(Errno::CHILD)),
        };
        self.owner = fstat(&userns).map_err(fail)?.st_ino;
        Ok(userns)
    }

    /// Has it begin to make namespaces. It does not wait for them.
    pub(crate) fn begin(&mut self, kinds: Kinds) -> Result<(), Failure> {
        let fail = |e: zone_sys::Error| Failure::new(Stage::CloneFirst, e.errno());
        zone_sys::unix::send(&self.socket, &kinds.bits().to_le_bytes(), &[]).map_err(fail)?;
        self.begun |= kinds;
        Ok(())
    }

    /// Whether they belong to this user namespace.
    pub(crate) fn is_of(&self, userns: BorrowedFd<'_>) -> bool {
        fstat(userns).is_ok_and(|stat| stat.st_ino == self.owner)
    }

    /// Waits until namespaces of these kinds are made, and ends the helper.
    pub(crate) fn finish(mut self, kinds: Kinds) -> Result<Made, Failure> {
        let mut made = Made::default();
        self.collect(self.begun, &mut made)?;
        let rest = kinds - self.begun;
        if !rest.is_empty() {
            self.begin(rest)?;
            self.collect(rest, &mut made)?;
        }
        for (slot, Row(kind, ..)) in made.0.iter_mut().zip(ROWS) {
            slot.take_if(|_| !kinds.contains(kind));
        }
        Ok(made)
    }

    fn collect(&self, kinds: Kinds, made: &mut Made) -> Result<(), Failure> {
        let fail = |errno| Failure::new(Stage::CloneFirst, errno);
        if kinds.is_empty() {
            return Ok(());
        }
        let mut fds = match Report::recv(&self.socket).map_err(fail)? {
            Some((Report::Namespaces, fds)) => fds,
            Some((Report::Failed(failure), _)) => return Err(failure),
            _ => return Err(fail(Errno::CHILD)),
        };
        let asked = made.0.iter_mut().zip(ROWS).filter(|(_, Row(kind, ..))| kinds.contains(*kind));
        for (index, (slot, _)) in asked.enumerate() {
            *slot = Some(fds.take(index).ok_or(fail(Errno::BADF))?);
        }
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.child, Signal::KILL);
        reap(self.child.as_fd());
    }
}

/// The helper's part: makes what it is told, until zsched closes its side, also by dying.
pub(crate) fn serve(socket: &OwnedFd) {
    let mut word = [0; 4];
    while let Ok((4, _)) = zone_sys::unix::recv(socket, &mut word, RecvFlags::empty()) {
        let sent = match make(Kinds::from_bits_truncate(u32::from_le_bytes(word))) {
            Ok(Made(fds)) => {
                let [net, ipc, time, uts] = &fds;
                let there = [net, ipc, time, uts].into_iter().flatten().map(AsFd::as_fd);
                Report::Namespaces.send(socket, &there.collect::<Vec<_>>())
            }
            Err(failure) => Report::Failed(failure).send(socket, &[]),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn make(kinds: Kinds) -> Result<Made, Failure> {
    let fail = |errno| Failure::new(Stage::CloneFirst, errno);
    let rows = || ROWS.into_iter().filter(|Row(kind, ..)| kinds.contains(*kind));
    let flags = rows().map(|Row(_, flag, ..)| flag).collect();
    zone_sys::namespace::unshare(flags).map_err(|e| fail(e.errno()))?;
    if kinds.contains(Kinds::NET) {
        zone_sys::net::loopback_up().map_err(|e| Failure::new(Stage::Loopback, e.errno()))?;
    }
    let mut made = Made::default();
    for (slot, Row(kind, .., path)) in made.0.iter_mut().zip(ROWS) {
        if kinds.contains(kind) {
            *slot = Some(open_read(path).map_err(fail)?);
        }
    }
    Ok(made)
}

/// Which namespaces the first process is born in.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Those that are there, to be entered before.
    entered: [Option<BorrowedFd<'a>>; 4],
    /// Those that are made with it.
    pub(crate) new: Namespaces,
    /// Those that may belong to another user namespace than the zone's.
    others: Kinds,
    /// Whether it has a host name of its own to set.
    pub(crate) is_named: bool,
}

impl<'a> Plan<'a> {
    /// Reads from a request what it asks for. `made` are those that were made ahead, taken where a new one is asked for.
    pub(crate) fn of(request: &Create<'_>, fds: &'a Fds, made: &'a Made) -> Result<Self, Failure> {
        let origins = request.namespaces;
        let mut given = CREATE_FDS + request.targets.iter().count();
        let mut plan = Self {
            entered: [None; 4],
            new: Namespaces::MOUNT | Namespaces::PID | Namespaces::CGROUP,
            others: Kinds::empty(),
            is_named: !request.hostname.is_empty() && origins.uts != Origin::None,
        };
        for (((kind, origin), Row(_, flag, ..)), (slot, made)) in
            origins.each().into_iter().zip(ROWS).zip(plan.entered.iter_mut().zip(&made.0))
        {
            match (origin, made) {
                (Origin::New, Some(made)) => *slot = Some(made.as_fd()),
                (Origin::New, None) => plan.new |= flag,
                (Origin::None, _) => plan.others |= kind,
                (Origin::Given, _) => {
                    *slot = Some(fds.get(given).ok_or(Failure::new(Stage::Request, Errno::BADF))?);
                    plan.others |= kind;
                    given += 1;
                }
            }
        }
        given += usize::from(request.kept);
        if given == fds.len() { Ok(plan) } else { Err(Failure::new(Stage::Request, Errno::INVAL)) }
    }

    /// Enters those that are there, as the host's root, before the zone's user namespace is entered.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        for (index, (fd, Row(_, _, kind, _))) in self.entered.iter().zip(ROWS).enumerate() {
            let Some(fd) = fd else { continue };
            move_into_link_name_space(*fd, Some(kind))
                .map_err(|errno| Failure::nth(Stage::Namespace, index, errno))?;
        }
        Ok(())
    }

    /// Whether the namespace of this kind belongs to another user namespace than `userns`, so that the zone's root has no
    /// rights over it.
    pub(crate) fn is_foreign(&self, kind: Kinds, userns: BorrowedFd<'_>) -> Result<bool, Errno> {
        let fd = self.entered.iter().zip(ROWS).find_map(|(fd, Row(of, ..))| fd.filter(|_| of == kind));
        let (true, Some(fd)) = (self.others.contains(kind), fd) else {
            return Ok(self.others.contains(kind));
        };
        let owner = match zone_sys::namespace::owner(fd).map_err(|e| e.errno()) {
            Ok(owner) => owner,
            // It belongs to none that zsched can see.
            Err(Errno::PERM) => return Ok(true),
            Err(errno) => return Err(errno),
        };
        let (owner, own) = (fstat(owner)?, fstat(userns)?);
        Ok((owner.st_dev, owner.st_ino) != (own.st_dev, own.st_ino))
    }
}
