//! A zsched that is played by a thread: it speaks the protocol over a socket of its own, does what it is told to a
//! process that is nobody's init, and fails where a test says so.

use crate::backup::KeeperBackup;
use crate::context::OperationContext;
use crate::sync::lock;
use crate::zone::Zone;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, SocketType, accept_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use zone_config::{Brand, IdRange, Layout, Operation, Snapshot, Uuid, ZoneConfig, ZoneName};
use zone_sys::unix;
use zsched::client::{Client, ConsoleFds, SOCKET};
use zsched::wire::{Adopt, End, Failure, Header, MAX_MESSAGE, Op, Phase, Reply, Stage, Status};

/// The incarnation that lives when a test begins.
pub(crate) const UNIQID: u64 = 7;

/// What becomes of one request, the next of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection breaks before it is read.
    Lost,
    /// It is carried out, and the connection breaks before its answer.
    Unanswered,
    /// It is refused.
    Refused(Stage, Errno),
}

/// What the played zsched knows.
#[derive(Debug)]
struct State {
    status: Status,
    /// The zone's first process.
    first: Option<Child>,
    /// The requests that came, in their order.
    asked: Vec<Op>,
    fault: Option<(Op, Fault)>,
}

/// An installation with one zone, and its zsched.
pub(crate) struct Lab {
    pub(crate) layout: Layout,
    pub(crate) name: ZoneName,
    pub(crate) zone: Zone,
    state: Arc<Mutex<State>>,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// A zone in this phase. There is a process if it lives, and a snapshot if there is one.
    pub(crate) fn new(phase: Phase) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let name: ZoneName = "probe".parse().unwrap();
        let config = ZoneConfig::new(layout.default_zonepath(&name));
        std::fs::create_dir_all(&config.zonepath).unwrap();
        std::fs::create_dir_all(layout.zone_run(&name)).unwrap();
        let mut status = Status { phase, ..Status::default() };
        let mut first = None;
        if status.exists() {
            let ids = IdRange { base: 1_000_013_824, count: 65_536 };
            let brand = Brand::load("sparse").unwrap();
            Snapshot::new(name.clone(), Uuid::new_v4(), ids, brand, config).save(&layout).unwrap();
            status.uniqid = UNIQID;
            let child = Command::new("sleep").arg("1000").spawn().unwrap();
            status.pid = i32::try_from(child.id()).unwrap();
            first = Some(child);
        }
        let state = Arc::new(Mutex::new(State { status, first, asked: Vec::new(), fault: None }));
        serve(&layout, &name, &state);
        let client = Client::connect(&layout.zone_run(&name)).unwrap();
        let (manager, subsidiary) = crate::keeper::pty().unwrap();
        let console = ConsoleFds { manager, subsidiary, ring: null() };
        let backup = KeeperBackup::new(&console, [&null(), &null()], None).unwrap();
        // Nobody listens to what it says in the middle of an operation.
        let (status_tx, _) = tokio::sync::mpsc::unbounded_channel();
        let zone = Zone::new(layout.clone(), name.clone(), client, console.subsidiary, backup, status_tx);
        Self { layout, name, zone, state, _dir: dir }
    }

    /// Has the next request of this kind fail.
    pub(crate) fn fails(&self, op: Op, fault: Fault) {
        lock(&self.state).fault = Some((op, fault));
    }

    /// The zone's first process ends by itself.
    pub(crate) fn ends(&self) {
        let mut state = lock(&self.state);
        let first = state.first.as_mut().unwrap();
        first.kill().unwrap();
        state.reap(true);
    }

    /// Another zsched takes the place of the one that had the zone, and has none.
    pub(crate) fn forgets(&self) {
        lock(&self.state).status = Status::default();
    }

    /// The requests since this was last asked, without the greeting of a connection.
    pub(crate) fn asked(&self) -> Vec<Op> {
        std::mem::take(&mut lock(&self.state).asked)
    }

    /// How things stand with zsched.
    pub(crate) fn phase(&self) -> Phase {
        lock(&self.state).status.phase
    }

    /// An operation that nobody watches.
    pub(crate) fn context(&self, operation: Operation) -> OperationContext {
        OperationContext::silent(operation)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut first) = lock(&self.state).first.take() {
            let _ = first.kill();
            let _ = first.wait();
        }
    }
}

impl State {
    /// Notes the end of the first process, waiting for it if it is bound to come.
    fn reap(&mut self, wait: bool) {
        let Some(first) = self.first.as_mut() else { return };
        let ended = if wait { first.wait().ok() } else { first.try_wait().unwrap() };
        if let Some(ended) = ended {
            self.first = None;
            let end = ended.signal().map_or_else(|| End::Exited(ended.code().unwrap_or(0)), End::Killed);
            self.status = Status { phase: Phase::Down, end: Some(end), ended: 1, ..self.status };
        }
    }

    /// Carries a request out; what is to be answered.
    fn answer(&mut self, op: Op, body: &[u8]) -> (Reply, Vec<OwnedFd>) {
        self.reap(false);
        let meant = body.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let refuse = |stage| (Reply::Failed(Failure::new(stage, Errno::INVAL)), vec![]);
        match op {
            Op::Stopping if meant != Some(self.status.uniqid) => return refuse(Stage::StaleUniqid),
            Op::Stopping if !self.status.lives() => return refuse(Stage::NoZone),
            Op::Stopping => self.status.phase = Phase::Stopping,
            Op::Consume if meant != Some(self.status.uniqid) => return refuse(Stage::StaleUniqid),
            Op::Consume if self.status.lives() => return refuse(Stage::Busy),
            Op::Consume => self.status = Status::default(),
            Op::Adopt => {
                let Some(Adopt { phase, uniqid, pid, since, .. }) = Adopt::decode(body) else {
                    return refuse(Stage::Request);
                };
                self.status = Status { phase, uniqid, pid, since, ..self.status };
            }
            Op::Fds => {
                let Some(pid) = Pid::from_raw(self.status.pid).filter(|_| self.status.lives()) else {
                    return refuse(Stage::NoZone);
                };
                let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
                return (Reply::Done(self.status), vec![pidfd, null()]);
            }
            _ => {}
        }
        (Reply::Done(self.status), vec![])
    }
}

/// A descriptor that stands for one that no test looks into.
fn null() -> OwnedFd {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Serves whoever connects, for as long as the test's process runs.
fn serve(layout: &Layout, name: &ZoneName, state: &Arc<Mutex<State>>) {
    let listener = unix::bind_in(&layout.zone_run(name), SOCKET, SocketType::SEQPACKET, 16).unwrap();
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        while let Ok(socket) = accept_with(&listener, SocketFlags::CLOEXEC) {
            let state = Arc::clone(&state);
            std::thread::spawn(move || converse(&socket, &state));
        }
    });
}

/// Answers one client, until either hangs up.
fn converse(socket: &OwnedFd, state: &Mutex<State>) {
    let mut message = vec![0; MAX_MESSAGE];
    while let Ok((n @ 1.., _)) = unix::recv(socket, &mut message, RecvFlags::empty()) {
        let Some(op) = Op::of(&message[..n]) else { return };
        let mut state = lock(state);
        let fault = state.fault.take_if(|(of, _)| *of == op).map(|(_, fault)| fault);
        if fault == Some(Fault::Lost) {
            return;
        }
        state.asked.push(op);
        let (reply, fds) = match fault {
            Some(Fault::Refused(stage, errno)) => (Reply::Failed(Failure::new(stage, errno)), vec![]),
            _ => state.answer(op, &message[Header::SIZE..n]),
        };
        if fault == Some(Fault::Unanswered) {
            return;
        }
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        if unix::send(socket, &reply.encode(), &fds).is_err() {
            return;
        }
    }
}
