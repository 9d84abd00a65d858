//! The console server: one task that relays between a zone's pty, the ring and the clients.
//!
//! The task is a single poll function over all descriptors, so there is nothing to lock, and it
//! wakes only when a descriptor, a timer that somebody needs, or a command wakes it.
//!
//! * Output is read in batches of up to 64 KiB, appended to the ring, and offered from the same
//!   buffer to every client that has all that came before. A client that has not is fed from the
//!   ring at its own pace; what the ring no longer has is told to it by count. So the pty is
//!   drained at full speed whoever watches, and a client costs no buffer of its own.
//! * Input goes from the holder to the pty without blocking. When the pty takes no more, the holder
//!   is not read any further; output flows on.
//! * Flow control is the holder's: while the pty has IXON, `^S` is not passed on, but pauses what the holder is
//!   sent; the guest goes on, and what the ring loses meanwhile is told. So nothing that a client types, and no
//!   way in which it goes, stops the guest; nor does half a line that it typed wait for the next one.
//! * After a full batch the task yields, so that the daemon's other tasks are served in a flood.

mod admit;
mod client;
mod descriptor;
mod flow_control;
mod handshake;
mod log_feed;
mod manager;
mod relay;

use crate::frame::End;
use crate::log::ConsoleLog;
use crate::term::Size;
use crate::{Error, Notice};
use rustix::fd::OwnedFd;
use std::io;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};
use zone_ring::Ring;
use zone_sys::unix::Peer;

/// What a console server works on.
#[derive(Debug)]
pub struct Setup {
    /// The pty's manager side. It is made non-blocking, for everybody who shares its description.
    pub manager: OwnedFd,
    /// The ring, which nobody else writes while the server runs.
    pub ring: Ring<OwnedFd>,
    /// A listening Unix stream socket.
    pub listener: OwnedFd,
}

/// What a peer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is disconnected.
    Refuse,
    /// It may read what the console shows, and write nothing.
    Watch,
    /// It may hold the console: read from it and write to it.
    Hold,
}

/// Bounds of a console server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a client may take to identify itself.
    pub handshake: Duration,
    /// How many clients may be about to identify themselves; the oldest gives way.
    pub handshakes: usize,
    /// How many clients may watch.
    pub watchers: usize,
    /// How long a client that is being disconnected may take to read what it was sent before.
    pub linger: Duration,
    /// Who may do what. The directory of the socket is the first line; this is the second.
    pub access: fn(&Peer) -> Access,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            handshakes: 16,
            watchers: 32,
            linger: Duration::from_secs(2),
            access: own_user_only,
        }
    }
}

/// Root, and the user that the daemon runs as.
fn own_user_only(peer: &Peer) -> Access {
    if peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw() {
        Access::Hold
    } else {
        Access::Refuse
    }
}

/// A client that has identified itself. Pid and uid are the kernel's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Process id when it connected; 0 if that is not visible from here.
    pub pid: i32,
    /// User id when it connected.
    pub uid: u32,
    /// When it was admitted.
    pub since: SystemTime,
    /// It watches, and does not hold the console.
    pub read_only: bool,
}

/// What the server tells the daemon about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Who is attached; the holder, if there is one, first.
    pub clients: Vec<ClientInfo>,
    /// How many are about to identify themselves.
    pub handshakes: usize,
    /// The pty can no longer be read: a new one is wanted, by [`Handle::replace_manager`].
    pub manager_lost: bool,
    /// The size of the holder's window; 0 by 0 without a holder, or when it has not told.
    pub window: Size,
    /// The log on disk has all that was said until now. Never so where there is none.
    pub logged: bool,
}

impl State {
    /// Whether anybody is attached or about to be; else a daemon without a live zone may go.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.clients.is_empty() && self.handshakes == 0
    }
}

#[derive(Debug)]
enum Command {
    Notice(Notice),
    ReplaceManager { manager: OwnedFd },
    Resize(Size),
    Subsidiary(oneshot::Sender<io::Result<OwnedFd>>),
    Stop(End),
}

/// The daemon's hold on its console server. The server stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<State>,
}

impl Handle {
    /// Tells the clients, each in its locale, disconnects those that the notice disconnects, and puts
    /// it into the log. `Booting` and `Rebooting` also begin a new first part of the kept output.
    pub fn notice(&self, notice: Notice) {
        self.send(Command::Notice(notice));
    }

    /// Goes over to the manager side of another pty: the old one was hung up for good.
    pub fn replace_manager(&self, manager: OwnedFd) {
        self.send(Command::ReplaceManager { manager });
    }

    /// Sets the window's size on the pty, as if a client had.
    pub fn resize(&self, size: Size) {
        self.send(Command::Resize(size));
    }

    /// Opens the zone's side of the pty, close-on-exec and nobody's controlling terminal. One that was
    /// opened long ago may have been hung up since.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be opened, or when the server has ended.
    pub async fn subsidiary(&self) -> Result<OwnedFd, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Subsidiary(reply));
        let opened = answer.await.unwrap_or_else(|_| Err(io::ErrorKind::NotConnected.into()));
        opened.map_err(|e| Error::system("ioctl(TIOCGPTPEER)", e))
    }

    /// The size of the holder's window, for the terminal of the next boot.
    #[must_use]
    pub fn window(&self) -> Size {
        self.state.borrow().window
    }

    /// Disconnects every client for the reason given and ends [`ConsoleServer::run`], at the latest
    /// after the time that clients may linger.
    pub fn stop(&self, end: End) {
        self.send(Command::Stop(end));
    }

    /// Who is attached.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientInfo> {
        self.state.borrow().clients.clone()
    }

    /// Whether anybody is attached.
    #[must_use]
    pub fn has_client(&self) -> bool {
        !self.state.borrow().clients.is_empty()
    }

    /// The state, and a way to wait for its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// A server that is gone has nobody left to tell.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// A console server, made but not yet running.
#[derive(Debug)]
pub struct ConsoleServer {
    relay: relay::Relay,
}

impl ConsoleServer {
    /// Takes over the pty, the ring and the socket. Within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`Error::System`] when a descriptor cannot be made non-blocking or be waited for.
    pub fn new(setup: Setup, limits: Limits) -> Result<(Self, Handle), Error> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (publisher, state) = watch::channel(State::default());
        let relay = relay::Relay::new(setup, limits, receiver, publisher)?;
        Ok((Self { relay }, Handle { commands, state }))
    }

    /// Keeps a log on disk as well. What the ring holds and no log has yet is logged first. Writing is
    /// left to the runtime's blocking threads; a runtime that is dropped while a disk hangs waits for
    /// it, unless it is shut down in the background.
    #[must_use]
    pub fn with_log(mut self, log: ConsoleLog) -> Self {
        self.relay.set_log(log);
        self
    }

    /// Serves until [`Handle::stop`]. Nothing that a client or the guest does ends it.
    pub async fn run(mut self) {
        while self.relay.turn().await {
            tokio::task::yield_now().await;
        }
        // A disk that hangs keeps nobody from ending.
        let _ = tokio::time::timeout(self.relay.limits.linger, self.relay.finish_log()).await;
    }
}
