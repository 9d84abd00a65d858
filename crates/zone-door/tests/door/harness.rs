//! A zone that exists only here, its daemon on a thread of its own, and raw connections to it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, broadcast, mpsc as tokio_mpsc};
use tokio::task::LocalSet;
use zone_door::{
    Caller, Client, DoorError, Event, Exit, Handler, How, OpResult, Operation, Reporter, Request, Server,
    State, Status, Step, Uniqid,
};

/// Long enough for any machine; reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const UNIQID: Uniqid = Uniqid(u64::MAX - 1);

/// A handler whose answers depend on the request alone, and whose boots can be held at a gate.
pub(crate) struct FakeZone {
    /// A boot with the arguments `gate` takes a permit from here before it ends.
    gate: Arc<Semaphore>,
    /// Every operation that has ended is told here.
    ended: mpsc::Sender<Operation>,
    events: broadcast::Sender<Event>,
    /// The only user who is let in.
    admin: u32,
}

impl Handler for FakeZone {
    fn status(&self) -> Status {
        Status {
            zone: "fake".to_owned(),
            state: State::Running,
            uniqid: Some(UNIQID),
            uuid: None,
            brand: "sparse".to_owned(),
            zonepath: "/nowhere".to_owned(),
            pid: Some(1),
            since: Some(0),
            restarts: 0,
            operation: None,
            step: None,
            waiting: None,
            last_exit: Some(Exit {
                uniqid: Uniqid(1),
                how: How::Exited,
                status: Some(3),
                signal: None,
                when: 0,
                restarts: 2,
            }),
            consoles: Vec::new(),
            nets: None,
            readiness: None,
        }
    }

    async fn operate(
        &self,
        request: Request,
        _caller: Caller,
        reporter: Reporter,
    ) -> Result<OpResult, DoorError> {
        let operation = request.operation();
        let mut messages = Vec::new();
        let result = match request {
            Request::Ready { .. } => {
                reporter.step("first");
                reporter.message("almost there");
                Ok(State::Ready)
            }
            Request::Boot { bootargs, .. } => {
                if bootargs == "gate" {
                    reporter.step("waiting at the gate");
                    self.gate.acquire().await.unwrap().forget();
                }
                if bootargs == "flood" {
                    (0..1000).for_each(|n| reporter.step(format!("step {n}")));
                }
                if bootargs == "verbose" {
                    messages.push("x".repeat(2 * 1024 * 1024));
                }
                messages.push(format!("booted with '{bootargs}'"));
                Ok(State::Running)
            }
            Request::Reboot { uniqid: Some(given), .. } if given != UNIQID => {
                Err(DoorError::stale_uniqid(Some(UNIQID), given))
            }
            Request::Reboot { .. } => Err(DoorError::invalid_state(operation, State::Installed)),
            Request::Halt { .. } => Ok(State::Installed),
            Request::Shutdown { .. } => Err(DoorError::failed(vec!["one".into(), "two".into()])),
            Request::NoteUninstalling { .. } => panic!("a fault in the handler"),
            Request::Apply { .. } => Ok(State::Running),
        };
        self.ended.send(operation).ok();
        let timings = vec![Step { name: "all".into(), usec: 1 }];
        result.map(|state| OpResult { messages, timings, state, changes: None })
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn permits(&self, caller: Caller) -> bool {
        caller.uid == self.admin
    }
}

type Order = Box<dyn FnOnce(&Server<FakeZone>) + Send>;

/// A running server. Dropping it ends the thread.
pub(crate) struct Daemon {
    dir: TempDir,
    orders: Option<tokio_mpsc::UnboundedSender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
    gate: Arc<Semaphore>,
    ended: mpsc::Receiver<Operation>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl Daemon {
    /// A daemon that obeys whoever runs the tests.
    pub(crate) fn start() -> Self {
        Self::for_admin(rustix::process::geteuid().as_raw())
    }

    pub(crate) fn for_admin(admin: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("door")).unwrap();
        let (orders, mut inbox) = tokio_mpsc::unbounded_channel::<Order>();
        let (ended_tx, ended) = mpsc::channel();
        let gate = Arc::new(Semaphore::new(0));
        let events = broadcast::channel(16).0;
        let (gate_in, events_in) = (Arc::clone(&gate), events.clone());
        let thread = thread::spawn(move || {
            let handler = Rc::new(FakeZone { gate: gate_in, ended: ended_tx, events: events_in, admin });
            let server = Server::new(handler);
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async {
                let serve = server.serve(listener);
                tokio::pin!(serve);
                loop {
                    tokio::select! {
                        error = &mut serve => panic!("{error}"),
                        order = inbox.recv() => match order {
                            Some(order) => order(&server),
                            None => break,
                        },
                    }
                }
            });
        });
        Self { dir, orders: Some(orders), thread: Some(thread), gate, ended, events }
    }

    /// Runs something on the server's thread.
    pub(crate) fn with<T: Send + 'static>(
        &self,
        order: impl FnOnce(&Server<FakeZone>) -> T + Send + 'static,
    ) -> T {
        let (answer, result) = mpsc::channel();
        let order: Order = Box::new(move |server| answer.send(order(server)).unwrap());
        self.orders.as_ref().unwrap().send(order).ok().unwrap();
        result.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits on the server's thread until the condition holds.
    pub(crate) fn until(&self, condition: impl Fn(&Server<FakeZone>) -> bool + Send + 'static) {
        let (answer, result) = mpsc::channel();
        let order: Order = Box::new(move |server| {
            let server = server.clone();
            tokio::task::spawn_local(async move {
                while !condition(&server) && answer.send(false).is_ok() {
                    tokio::task::yield_now().await;
                }
                answer.send(true).ok();
            });
        });
        self.orders.as_ref().unwrap().send(order).ok().unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while !result.recv_timeout(PATIENCE).unwrap() {
            assert!(std::time::Instant::now() < deadline, "the condition never held");
        }
    }

    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn wait_for_end(&self) -> Operation {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn client(&self) -> Client {
        let mut client = Client::connect(self.dir.path()).unwrap();
        client.set_timeout(Some(PATIENCE)).unwrap();
        client
    }

    pub(crate) fn raw(&self) -> Raw {
        let stream = UnixStream::connect(self.dir.path().join("door")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw { stream, bytes: Vec::new() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.orders = None;
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the server's thread died");
    }
}

/// A client that writes what it likes.
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    bytes: Vec<u8>,
}

impl Raw {
    /// Writes texts, each with its NUL, in one go.
    pub(crate) fn write(&mut self, messages: &[&str]) {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend_from_slice(message.as_bytes());
            bytes.push(0);
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next reply; `None` when the server has closed the connection.
    pub(crate) fn read(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == 0) {
                let message: Vec<u8> = self.bytes.drain(..=end).collect();
                return Some(serde_json::from_slice(&message[..end]).unwrap());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.bytes.is_empty(), "the last reply is cut");
                    return None;
                }
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Writes one message and reads one reply.
    pub(crate) fn ask(&mut self, message: &str) -> Value {
        self.write(&[message]);
        self.read().expect("a reply")
    }
}
