//! The one loop of zsched: connections, the console while nobody else reads it, the first process.

use crate::clients::{Clients, MAX};
use crate::create;
use crate::namespaces::Prepared;
use crate::report::Report;
use crate::restraint::{Restraint, Unlogged};
use crate::sockets::Sockets;
use crate::upcall::Upcall;
use crate::userns;
use crate::window::Window;
use crate::zone::{Kept, Zone};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use zone_ring::Ring;
use zone_sys::clone::SingleThreaded;
use zone_sys::pages::Pages;
use zone_sys::unix::{self, Fds};
use zsched::wire::{
    Adopt, Attendance, CREATE_FDS, Create, Failure, Header, Kinds, MAX_MESSAGE, OLDEST, Op, PROTOCOL, Phase,
    Reply, Stage, Status,
};

mod wait;
use wait::{CALLERS, FIRST, Happened, LISTENER, MANAGER, SIGNALS, STARTING};

/// The console as zsched holds it: both ends, so that neither ever sees the other hang up.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) manager: OwnedFd,
    pub(crate) subsidiary: OwnedFd,
    pub(crate) ring: Ring<OwnedFd>,
}

/// All that zsched is.
#[derive(Debug)]
pub(crate) struct Keeper {
    proof: SingleThreaded,
    listener: OwnedFd,
    clients: Clients,
    console: Console,
    sockets: Sockets,
    /// How the daemon that was last here has gone, as far as it said so.
    gone: Attendance,
    restraint: Restraint,
    /// Whether reading the console works; not after a hangup, until a daemon brings a new pair.
    readable: bool,
    /// Whether the last thing that happened to the console was that it was opened anew.
    reopened: bool,
    zone: Option<Zone>,
    /// Whether the zone that was last here is to come back, which takes a daemon.
    owed: bool,
    /// What is made ahead of the zone that the connection at this slot creates next.
    prepared: Option<(usize, Prepared)>,
    last_uniqid: u64,
    upcall: Upcall,
    window: Window,
    /// The request that is carried out.
    message: Pages,
}

/// What the short requests fit into, which are all but the one that describes a zone.
const ONE_PAGE: usize = 4096;

impl Keeper {
    pub(crate) fn new(
        proof: SingleThreaded,
        listener: OwnedFd,
        daemon: OwnedFd,
        console: Console,
        upcall: Upcall,
        window: Window,
    ) -> zone_sys::Result<Self> {
        Ok(Self {
            proof,
            listener,
            clients: Clients::new(daemon),
            console,
            sockets: Sockets::default(),
            gone: Attendance::Died,
            restraint: Restraint::default(),
            readable: true,
            reopened: false,
            zone: None,
            owed: false,
            prepared: None,
            last_uniqid: 0,
            upcall,
            window,
            message: Pages::new(MAX_MESSAGE)?,
        })
    }

    /// Serves until a daemon says that it is over.
    #[inline(never)]
    pub(crate) fn run(mut self) {
        // Two frames, of which the large one is gone while nothing happens: for years, perhaps.
        loop {
            let happened = self.wait();
            if self.act(&happened) {
                return;
            }
        }
    }

    /// Does what is to be done about it. True if that was the last thing to do.
    #[inline(never)]
    fn act(&mut self, Happened { ready, doubt }: &Happened) -> bool {
        // The end of the first process comes before requests, so that they see it.
        if *doubt || !ready[FIRST].is_empty() || !ready[SIGNALS].is_empty() {
            self.look_at_first();
        }
        if !ready[STARTING].is_empty() {
            self.upcall.started();
        }
        if !ready[MANAGER].is_empty() {
            self.drain();
        }
        if ready[CALLERS..].iter().any(|flags| !flags.is_empty()) {
            self.sockets.came();
        }
        for (slot, flags) in ready[..MAX].iter().enumerate() {
            if !flags.is_empty() && self.serve(slot) {
                return true;
            }
        }
        if !ready[LISTENER].is_empty() {
            self.clients.accept(&self.listener);
        }
        false
    }

    /// Whether no daemon is there to be told that a zone has ended or is to come back, to serve whoever waits for one, or to log what is
    /// kept.
    fn wants_daemon(&self) -> bool {
        self.clients.daemon().is_none()
            && (self.status().phase.needs_daemon(self.owed, self.sockets.has_callers())
                || self.restraint.is_due())
    }

    /// What the console has said since the daemon has left.
    fn unlogged(&self) -> Unlogged {
        let rests = self.clients.daemon().is_none() && self.gone == Attendance::Rests;
        Unlogged::of(&self.console.ring, rests)
    }

    fn status(&self) -> Status {
        let mut status = self.zone.as_ref().map_or_else(Status::default, |zone| zone.status);
        status.keeper = rustix::process::getpid().as_raw_nonzero().get();
        status.version = VERSION;
        status.daemon = match self.clients.daemon() {
            Some(_) => Attendance::There,
            None => self.gone,
        };
        status
    }

    /// Shows how things stand to who does not ask, before anybody is told who does.
    fn show(&mut self) {
        self.window.show(&self.status());
    }

    /// Something happened to the first process: if it has ended, the daemon is told.
    fn look_at_first(&mut self) {
        if self.zone.as_mut().is_some_and(Zone::look) {
            self.show();
            let event = Reply::Ended(self.status()).encode();
            if let Some(daemon) = self.clients.daemon() {
                let _ = unix::send(daemon, &event, &[]);
            }
        }
    }

    /// Reads what the console says into the ring.
    fn drain(&mut self) {
        let (manager, ring) = (&self.console.manager, &mut self.console.ring);
        let read = if ring.prepare().is_ok() {
            // Straight to where it stays, whatever happens to us next.
            let read = ring.receive(manager);
            let _ = ring.publish();
            read
        } else {
            let mut chunk = [0; 4096];
            let read = rustix::io::read(manager, &mut chunk);
            // Bytes that cannot be kept are counted by the ring itself.
            let _ = read.map(|n| ring.append(&chunk[..n]));
            read
        };
        match read {
            Ok(1..) => self.reopened = false,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => self.reopen(),
        }
    }

    /// The console was hung up (only the host's root can do that): its subsidiary side is opened anew,
    /// and if that does not help either, a daemon must bring another pair.
    fn reopen(&mut self) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        match ioctl_tiocgptpeer(&self.console.manager, flags) {
            Ok(subsidiary) if !self.reopened => self.console.subsidiary = subsidiary,
            _ => self.readable = false,
        }
        self.reopened = !self.reopened;
    }

    /// Takes one request from the connection at `slot`. True if that was the last thing to do.
    fn serve(&mut self, slot: usize) -> bool {
        let Some(socket) = self.clients.get(slot) else { return false };
        let received = unix::recv(socket, &mut self.message[..], RecvFlags::DONTWAIT);
        let (n, fds) = match received {
            Ok((n @ 1.., fds)) => (n, fds),
            Err(e) if e.errno() == Errno::AGAIN => return false,
            // Its descriptors had no room in this process, or it is too long: nothing of it is carried out.
            Err(e) if e.errno() == Errno::MSGSIZE => {
                let refusal = Reply::Failed(Failure::new(Stage::Request, Errno::MSGSIZE));
                if unix::send(socket, &refusal.encode(), &[]).is_err() {
                    self.part(slot);
                }
                return false;
            }
            Ok(_) | Err(_) => {
                self.part(slot);
                return false;
            }
        };
        let carried = self.carry_out(slot, n, fds);
        let last = Op::of(&self.message[..n]) == Some(Op::Quit) && carried.is_ok();
        self.show();
        let (reply, out) = match carried {
            Ok(out) => (Reply::Done(self.status()), out),
            Err(failure) => (Reply::Failed(failure), Out::Nothing),
        };
        let Some(socket) = self.clients.get(slot) else { return last };
        let console =
            [self.console.manager.as_fd(), self.console.subsidiary.as_fd(), self.console.ring.as_fd()];
        let zone = self.zone.as_ref().and_then(Zone::fds);
        let mut several = Vec::new();
        let borrowed: &[BorrowedFd<'_>] = match &out {
            Out::Nothing => &[],
            Out::One(fd) => &[fd.as_fd()],
            Out::Several(fds) => {
                several.extend(fds.iter().map(AsFd::as_fd));
                &several
            }
            Out::Sockets => {
                several.extend(self.sockets.all().iter().map(AsFd::as_fd));
                &several
            }
            Out::Console => &console,
            Out::Zone => zone.as_ref().map_or(&[], |fds| &fds[..]),
        };
        if unix::send(socket, &reply.encode(), borrowed).is_err() {
            self.part(slot);
        }
        // A zone is described once, and its keeper stays for years.
        if n > ONE_PAGE {
            self.message.give_back();
        }
        last
    }

    /// Forgets a connection that has ended.
    fn part(&mut self, slot: usize) {
        if self.clients.is_daemon(slot) {
            // The ring was written by the daemon until now.
            let _ = self.console.ring.reload();
            self.sockets.look_anew();
            self.upcall.gone(self.gone == Attendance::Rests);
        }
        self.prepared.take_if(|(by, _)| *by == slot);
        self.clients.close(slot);
    }

    fn carry_out(&mut self, slot: usize, n: usize, mut fds: Fds) -> Result<Out, Failure> {
        let refuse = |stage, errno| Err(Failure::new(stage, errno));
        let header = Header::of(&self.message[..n]);
        let Some(op) = understood(header)?.and(Op::of(&self.message[..n])) else {
            return refuse(Stage::Request, Errno::OPNOTSUPP);
        };
        let body = &self.message[Header::SIZE..n];
        // Of use for the very next request of that connection only: nothing of an attempt that was given up stays.
        let prepared = self.prepared.take_if(|(by, _)| *by == slot).map(|(_, prepared)| prepared);
        match op {
            Op::Status => {}
            Op::UserNamespace => {
                let (userns, prepared) = userns::make(self.proof, body)?;
                self.prepared = Some((slot, prepared));
                return Ok(Out::One(userns));
            }
            Op::Namespaces => {
                let kinds =
                    body.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).and_then(Kinds::from_bits);
                let (Some(kinds), Some(userns)) = (kinds, fds.get(0)) else {
                    return refuse(Stage::Request, Errno::INVAL);
                };
                let prepared = match prepared.filter(|made| made.is_of(userns)) {
                    Some(prepared) => prepared,
                    None => userns::enter(self.proof, userns)?,
                };
                return Ok(Out::Several(prepared.finish(kinds)?.into_fds()));
            }
            Op::Create => {
                if self.zone.is_some() {
                    return refuse(Stage::Busy, Errno::BUSY);
                }
                let Some(request) = Create::decode(body) else { return refuse(Stage::Request, Errno::INVAL) };
                let prepared = prepared
                    .filter(|made| fds.get(crate::builder::USERNS).is_some_and(|own| made.is_of(own)));
                let first = create::make(self.proof, &request, &fds, prepared)?;
                let Some(cgroup) = fds.take(crate::builder::CGROUP) else {
                    return refuse(Stage::Request, Errno::BADF);
                };
                let mut kept = Kept::default();
                let others =
                    CREATE_FDS + request.targets.iter().count() + request.namespaces.given().iter().count();
                for (index, slot) in kept.iter_mut().enumerate().take(usize::from(request.kept)) {
                    *slot = fds.take(others + index);
                }
                let zone = Zone::made(first, cgroup, kept, request.restarts, self.last_uniqid);
                self.last_uniqid = zone.status.uniqid;
                self.zone = Some(zone);
            }
            Op::Adopt => {
                if self.zone.is_some() {
                    return refuse(Stage::Busy, Errno::BUSY);
                }
                let Some(request) = Adopt::decode(body) else { return refuse(Stage::Request, Errno::INVAL) };
                if request.phase != Phase::None {
                    self.zone = Some(Zone::adopted(&request, &mut fds)?);
                }
                self.owed = request.owed;
                self.last_uniqid = self.last_uniqid.max(request.uniqid);
            }
            Op::Boot => {
                self.boot(n)?;
                self.owed = false;
            }
            Op::Attach => {
                self.clients.attach(slot);
                self.gone = Attendance::Died;
                self.sockets.look_anew();
                self.upcall.attached();
                // A tracer that was in our way may be gone.
                if let Some(zone) = &mut self.zone {
                    zone.trace();
                }
                return Ok(Out::Console);
            }
            Op::Fds => {
                let there = self.zone.as_ref().is_some_and(|zone| zone.fds().is_some());
                return if there { Ok(Out::Zone) } else { refuse(Stage::NoZone, Errno::SRCH) };
            }
            Op::Kept => {
                let Some(zone) = &self.zone else { return refuse(Stage::NoZone, Errno::SRCH) };
                return Ok(Out::Several(zone.kept()?));
            }
            Op::Stopping | Op::Consume => {
                let named = body.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                let Some(zone) = &mut self.zone else { return refuse(Stage::NoZone, Errno::SRCH) };
                if named != Some(zone.status.uniqid) {
                    return refuse(Stage::StaleUniqid, Errno::STALE);
                }
                match (op, zone.status.phase) {
                    (Op::Consume, Phase::Down) => {
                        self.owed = body.get(8) == Some(&1);
                        self.zone = None;
                    }
                    (Op::Consume, _) => return refuse(Stage::Busy, Errno::BUSY),
                    (_, Phase::Ready | Phase::Running) => zone.status.phase = Phase::Stopping,
                    _ => {}
                }
            }
            Op::Console => {
                let (Some(manager), Some(subsidiary)) = (fds.take(0), fds.take(1)) else {
                    return refuse(Stage::Request, Errno::BADF);
                };
                (self.console.manager, self.console.subsidiary) = (manager, subsidiary);
                self.readable = true;
            }
            Op::Sockets => match (fds.take(0), fds.take(1)) {
                (Some(console), Some(door)) => self.sockets.hold([console, door]),
                (None, None) => return Ok(Out::Sockets),
                _ => return refuse(Stage::Request, Errno::BADF),
            },
            Op::Leave => {
                self.gone = if body.first() == Some(&1) { Attendance::Rests } else { Attendance::Left };
                zone_fail::pass!("leave.told");
            }
            Op::Quit if self.zone.is_some() => return refuse(Stage::Busy, Errno::BUSY),
            Op::Quit => {}
        }
        Ok(Out::Nothing)
    }

    /// Opens the gate: the first process execs, or says why not and ends.
    fn boot(&mut self, n: usize) -> Result<(), Failure> {
        let Some(zone) = &mut self.zone else { return Err(Failure::new(Stage::NoZone, Errno::SRCH)) };
        let (Phase::Ready, Some(gate)) = (zone.status.phase, &zone.gate) else {
            return Err(Failure::new(Stage::Busy, Errno::BUSY));
        };
        unix::send(gate, &self.message[Header::SIZE..n], &[])
            .map_err(|e| Failure::new(Stage::Lost, e.errno()))?;
        match Report::recv(gate) {
            // The other side closed: the exec went through, or the process was killed just before,
            // which the pidfd tells next.
            Ok(None) => {
                zone.status.phase = Phase::Running;
                zone.status.since = crate::seconds();
                zone.gate = None;
                Ok(())
            }
            Ok(Some((Report::Failed(failure), _))) => Err(failure),
            Ok(Some(_)) => Err(Failure::new(Stage::Lost, Errno::PROTO)),
            Err(Errno::AGAIN) => Err(Failure::new(Stage::Timeout, Errno::TIMEDOUT)),
            Err(errno) => Err(Failure::new(Stage::Lost, errno)),
        }
    }
}

/// Refuses a request of a client that is too old for us, and one that we are too old for.
fn understood(header: Option<Header>) -> Result<Option<Header>, Failure> {
    let speaks_with_us = |header: &Header| header.protocol <= PROTOCOL && header.peer >= OLDEST;
    match header {
        Some(header) if !speaks_with_us(&header) => {
            Err(Failure::nth(Stage::Protocol, PROTOCOL.into(), Errno::PROTONOSUPPORT))
        }
        other => Ok(other),
    }
}

/// The version of this program.
const VERSION: [u8; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

const fn number(text: &str) -> u8 {
    let (bytes, mut at, mut number) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        number = number * 10 + (bytes[at] - b'0');
        at += 1;
    }
    number
}

/// Which descriptors go with a reply.
enum Out {
    Nothing,
    One(OwnedFd),
    Several(Vec<OwnedFd>),
    Console,
    Zone,
    Sockets,
}
