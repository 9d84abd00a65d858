//! The server's half of the door.
//!
//! One task per connection on a current-thread runtime, so that no client waits for another: not for a long
//! operation, not for a stream that is not read. The framing is our own, some hundred lines over a Tokio
//! socket. The zlink crate was tried as the transport; its reader takes up to 100 MB from one peer before it
//! gives up and cannot be told otherwise, its stock server waits for one client's stream while all others wait
//! for it, and it receives file descriptors that nobody asked for. Reading with `read(2)` takes none: the kernel
//! closes whatever a client attaches.
//!
//! Nothing here wakes up without cause. A timer exists only while a reply cannot be written.

mod calls;
mod connection;
mod io;
mod slots;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::spawn_local;
use zone_sys::Chain;
use zone_sys::reserve::Reserve;

use self::calls::Calls;
use self::slots::Slots;
use crate::{Caller, DoorError, Event, OpResult, Progress, Request, Status};

/// So many connections are served at once.
const MAX_CONNECTIONS: usize = 64;

/// A client that does not take its reply for so long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait before accepting again when the process has run out of descriptors or memory.
/// Each further time in a row is twice as long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these.
const LONGEST_ACCEPT_PAUSE: Duration = Duration::from_secs(2);

/// Progress that a client has not read yet; more is left out rather than kept.
const MAX_UNREAD_PROGRESS: usize = 64;

/// What stands behind the door.
///
/// Everything runs on one thread. `operate` may take as long as it likes: status, events and other operations are
/// asked for meanwhile, so serialising operations is the handler's business.
pub trait Handler: 'static {
    /// The zone's status now. Must not block.
    fn status(&self) -> Status;

    /// Performs an operation and returns when it has ended. The future is never dropped before that, also when the
    /// caller hangs up.
    ///
    /// # Errors
    /// What the caller is to be told instead of a result.
    fn operate(
        &self,
        request: Request,
        caller: Caller,
        reporter: Reporter,
    ) -> impl Future<Output = Result<OpResult, DoorError>>;

    /// A new subscription to what happens to the zone. A reader that falls behind the channel's capacity gets
    /// [`Event::Lost`]; when the sender is dropped, streams end.
    fn events(&self) -> broadcast::Receiver<Event>;

    /// Whether the caller may use the zone's interface at all: the superuser unless the handler knows better.
    fn permits(&self, caller: Caller) -> bool {
        caller.uid == 0
    }
}

/// Where an operation tells its caller what it is doing. Cheap to clone, usable from any thread, never blocks.
#[derive(Clone, Debug, Default)]
pub struct Reporter(Option<mpsc::Sender<Progress>>);

impl Reporter {
    /// One that nobody listens to: for operations that no client asked for.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    fn channel() -> (Self, mpsc::Receiver<Progress>) {
        let (sender, receiver) = mpsc::channel(MAX_UNREAD_PROGRESS);
        (Self(Some(sender)), receiver)
    }

    /// The operation has begun this step.
    pub fn step(&self, name: impl Into<String>) {
        self.send(Progress { step: Some(name.into()), message: None });
    }

    /// A sentence for the person who waits.
    pub fn message(&self, text: impl Into<String>) {
        self.send(Progress { step: None, message: Some(text.into()) });
    }

    /// Sends both at once, as another operation's reporter got them.
    pub fn send(&self, progress: Progress) {
        if let Some(sender) = &self.0 {
            // Full: the client does not read. Closed: it has gone. Neither is the operation's concern.
            let _ = sender.try_send(progress);
        }
    }
}

/// The door can accept nobody any more.
#[derive(Debug, Error)]
#[error("cannot accept clients at the door")]
pub struct ServeError {
    #[source]
    source: std::io::Error,
}

/// The server. Clones are handles of the same one.
#[derive(Debug)]
pub struct Server<H>(Rc<Shared<H>>);

#[derive(Debug)]
struct Shared<H> {
    handler: Rc<H>,
    slots: Rc<RefCell<Slots>>,
    calls: Rc<Calls>,
    dying: Cell<bool>,
}

impl<H> Clone for Server<H> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<H: Handler> Server<H> {
    /// A server for this handler. It does nothing before [`Server::serve`].
    #[must_use]
    pub fn new(handler: Rc<H>) -> Self {
        Self(Rc::new(Shared {
            handler,
            slots: Rc::new(RefCell::new(Slots::new(MAX_CONNECTIONS))),
            calls: Rc::default(),
            dying: Cell::new(false),
        }))
    }

    /// Accepts clients for as long as it is polled. Needs a current-thread Tokio runtime with I/O and time, and a
    /// `LocalSet`. Dropping the future closes the listener; connections that exist live on.
    ///
    /// # Errors
    /// Returns only if the listener is no listening socket (any more).
    pub async fn serve(&self, listener: UnixListener) -> ServeError {
        match self.accept(listener).await {
            Ok(never) => match never {},
            Err(source) => ServeError { source },
        }
    }

    async fn accept(&self, listener: UnixListener) -> std::io::Result<std::convert::Infallible> {
        listener.set_nonblocking(true)?;
        let listener = watch(listener)?;
        let mut reserve = Reserve::new();
        let mut pause = ACCEPT_PAUSE;
        loop {
            let mut ready = listener.readable().await?;
            let Ok(accepted) = ready.try_io(|listener| self.accept_one(listener.get_ref(), &mut reserve))
            else {
                continue;
            };
            match accepted {
                Ok(Some(stream)) => self.admit(stream),
                Ok(None) => tokio::task::yield_now().await,
                Err(error) if is_shortage(&error) => {
                    tracing::warn!(%error, "the door can neither accept a client now nor turn it away");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_ACCEPT_PAUSE);
                    continue;
                }
                Err(error) => return Err(error),
            }
            pause = ACCEPT_PAUSE;
        }
    }

    /// Accepts who waits longest. Where there is no descriptor for it the connection that is missed least is given up
    /// for it, which takes a turn of that one's task; without one the caller is told so.
    fn accept_one(
        &self,
        listener: &UnixListener,
        reserve: &mut Reserve,
    ) -> std::io::Result<Option<UnixStream>> {
        let allowed = zone_fail::fail!("door.accept");
        let accepted =
            allowed.and_then(|()| accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK));
        let error = match accepted {
            Ok(socket) => return UnixStream::from_std(socket.into()).map(Some),
            Err(Errno::CONNABORTED | Errno::INTR) => return Ok(None),
            Err(errno) => std::io::Error::from(errno),
        };
        if !is_shortage(&error) {
            return Err(error);
        }
        if self.0.slots.borrow_mut().free_one() {
            return Ok(None);
        }
        match reserve.turn_away(listener, &no_room(&error)).map_err(|failed| failed.errno()) {
            Ok(()) => {
                tracing::warn!(%error, "the door turned a caller away");
                Ok(None)
            }
            // Without a number the kernel does not even say that nobody waits.
            Err(Errno::AGAIN) => Err(Errno::AGAIN.into()),
            Err(_) => Err(error),
        }
    }

    /// Gives the connection a slot and a task, or closes it if every slot is at work.
    fn admit(&self, stream: UnixStream) {
        let caller = match zone_sys::unix::peer(&stream) {
            Ok(peer) => Caller::of(peer.pid, peer.uid),
            Err(error) => {
                tracing::warn!(%error, "the door closed a connection whose peer the kernel does not name");
                return;
            }
        };
        let Some(slot) = Slots::reserve(&self.0.slots) else {
            tracing::warn!(caller.pid, caller.uid, "the door closed a connection: all are at work");
            return;
        };
        let id = slot.id();
        let task = spawn_local(connection::run(Rc::clone(&self.0), stream, caller, slot));
        self.0.slots.borrow_mut().attach(id, task.abort_handle());
    }

    /// From now on operations are refused with [`DoorError::Dying`]; those in flight go on. Status and
    /// introspection are still answered.
    pub fn begin_dying(&self) {
        self.0.dying.set(true);
    }

    /// Whether [`Server::begin_dying`] was called.
    #[must_use]
    pub fn is_dying(&self) -> bool {
        self.0.dying.get()
    }

    /// Whether no operation runs and every reply to one is written.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.calls.in_flight() == 0
    }

    /// Waits until [`Server::is_idle`].
    pub async fn idle(&self) {
        self.0.calls.idle().await;
    }

    /// How many operations run or have a reply that is not written yet.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.0.calls.in_flight()
    }

    /// How many clients are connected, and a way to wait for changes of that.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<usize> {
        self.0.slots.borrow().changes()
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.slots.borrow().len()
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; what that demands, that the descriptor is neither closed nor \
              replaced meanwhile, a listener that nobody can reach mutably gives"
)]
fn watch(listener: UnixListener) -> std::io::Result<AsyncFd<UnixListener>> {
    AsyncFd::with_interest(listener, Interest::READABLE)
}

fn is_shortage(error: &std::io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
}

/// What a caller is answered for whom there is no descriptor.
fn no_room(error: &std::io::Error) -> Vec<u8> {
    let text = format!("zoneadmd cannot accept this call, nothing was done: {}", Chain(error));
    crate::wire::encode(&DoorError::failed(vec![text])).unwrap_or_default()
}
