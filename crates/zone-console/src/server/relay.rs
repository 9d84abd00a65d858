//! The one task: what happens each time something has woken it.

use super::client::Client;
use super::descriptor::Descriptor;
use super::handshake::Handshake;
use super::log_feed::LogFeed;
use super::manager::Manager;
use super::{Command, Limits, Setup, State};
use crate::frame::{End, Frame};
use crate::ident::Answer;
use crate::log::ConsoleLog;
use crate::{Error, Notice};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use zone_ring::Ring;
use zone_sys::reserve::Reserve;

/// The most that is read from the pty before the clients have their turn, if the ring's window allows it.
const BATCH: usize = 64 << 10;
/// One read of a pty gives at most this much.
const ONE_READ: usize = 4096;
/// What is read from a client at once. A pty takes 4 KiB of typing anyway.
pub(super) const INPUT: usize = 4096;
/// How many connections are accepted, and pieces of input taken, before the others' turn.
const ROUNDS: usize = 16;
/// When a client can neither be accepted nor turned away, accepting is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Relay {
    pub(super) manager: Manager,
    pub(super) ring: Ring<OwnedFd>,
    /// The ring could not be written; said once.
    ring_failed: bool,
    listener: Descriptor,
    reserve: Reserve,
    accept_after: Option<Instant>,
    pub(super) handshakes: Vec<Handshake>,
    /// The holder, if there is one, and watchers.
    pub(super) clients: Vec<Client>,
    log: LogFeed,
    pub(super) limits: Limits,
    commands: mpsc::UnboundedReceiver<Command>,
    state: watch::Sender<State>,
    stopping: bool,
    /// Rings at the earliest moment that anybody waits for; none when nobody does.
    timer: Option<Pin<Box<Sleep>>>,
    pub(super) buffer: Box<[u8]>,
}

impl Relay {
    pub(super) fn new(
        setup: Setup,
        limits: Limits,
        commands: mpsc::UnboundedReceiver<Command>,
        state: watch::Sender<State>,
    ) -> Result<Self, Error> {
        Ok(Self {
            manager: Manager::new(setup.manager)?,
            ring: setup.ring,
            ring_failed: false,
            listener: Descriptor::new(setup.listener)?,
            reserve: Reserve::new(),
            accept_after: None,
            handshakes: Vec::new(),
            clients: Vec::new(),
            log: LogFeed::default(),
            limits,
            commands,
            state,
            stopping: false,
            timer: None,
            buffer: vec![0; BATCH].into_boxed_slice(),
        })
    }

    pub(super) fn set_log(&mut self, log: ConsoleLog) {
        self.log = LogFeed::new(log, self.ring.logged());
    }

    /// Logs what is not logged yet.
    pub(super) async fn finish_log(&mut self) {
        std::future::poll_fn(|cx| self.log.poll_finish(cx, &mut self.ring)).await;
    }

    /// Waits and works until it is time to let others work; false when it is time to end.
    pub(super) async fn turn(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_turn(cx)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut more = self.relay_output(cx);
        more |= self.obey(cx);
        more |= self.accept(cx);
        self.identify(cx);
        more |= self.relay_input(cx);
        for client in &mut self.clients {
            more |= client.flush(cx, &self.ring, &mut self.buffer);
        }
        self.log.poll(cx, &mut self.ring);
        more |= self.expire(cx);
        self.bury();
        self.publish();
        if self.stopping && self.clients.is_empty() {
            Poll::Ready(false)
        } else if more {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    }

    /// One batch from the pty, to the ring and to whoever can take it.
    fn relay_output(&mut self, cx: &mut Context<'_>) -> bool {
        let base = self.ring.total();
        // The ring comes first: a kill may cost nothing that was read from the pty, and nobody may have
        // seen what the ring has not.
        let (kept, len, more) = match self.ring.prepare() {
            Ok(()) => self.read_into_ring(cx),
            Err(_) => self.read_past_ring(cx),
        };
        match kept {
            Ok(()) => self.ring_failed = false,
            Err(error) if !self.ring_failed => {
                self.ring_failed = true;
                tracing::warn!(error = &error as &dyn std::error::Error, "the console's output is not kept");
            }
            Err(_) => {}
        }
        for client in self.clients.iter_mut().filter(|client| len > 0 && !client.is_closing()) {
            client.offer(cx, base, &self.buffer[..len]);
        }
        more
    }

    /// Has a batch put into the ring, and copied to the buffer if anybody wants it now: how much of it
    /// there is, and whether there may be more.
    fn read_into_ring(&mut self, cx: &mut Context<'_>) -> (Result<(), zone_ring::Error>, usize, bool) {
        let base = self.ring.total();
        let more = self.manager.read_batch(cx, |pty| self.ring.receive(pty));
        let kept = self.ring.publish();
        let said = usize::try_from(self.ring.total() - base).unwrap_or(0).min(self.buffer.len());
        if said == 0 || self.clients.is_empty() {
            return (kept, 0, more);
        }
        // Who is offered nothing gets it from the ring later, or is told.
        let read = self.ring.read_from(base, &mut self.buffer[..said]).unwrap_or_default();
        (kept, if read.lost == 0 { read.len } else { 0 }, more)
    }

    /// The same with a ring that cannot be written: the guest is not stopped for that.
    fn read_past_ring(&mut self, cx: &mut Context<'_>) -> (Result<(), zone_ring::Error>, usize, bool) {
        let (mut len, buffer) = (0, &mut self.buffer);
        let more = self.manager.read_batch(cx, |pty| {
            if buffer.len() - len < ONE_READ {
                return Err(Errno::NOBUFS);
            }
            let read = rustix::io::read(pty, &mut buffer[len..])?;
            len += read;
            Ok(read)
        });
        (self.ring.append(&self.buffer[..len]), len, more)
    }

    /// True when there is another pty, which was not read yet.
    fn obey(&mut self, cx: &mut Context<'_>) -> bool {
        let mut replaced = false;
        while !self.stopping {
            match self.commands.poll_recv(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Command::Notice(notice))) => self.tell_all(&notice),
                Poll::Ready(Some(Command::Resize(size))) => self.manager.resize(size),
                // Who asked may have left meanwhile.
                Poll::Ready(Some(Command::Subsidiary(reply))) => drop(reply.send(self.manager.subsidiary())),
                Poll::Ready(Some(Command::ReplaceManager { manager })) => match Manager::new(manager) {
                    Ok(manager) => {
                        self.manager = manager;
                        replaced = true;
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the console's new pty is not usable"
                        );
                    }
                },
                Poll::Ready(Some(Command::Stop(end))) => self.stop(end),
                Poll::Ready(None) => self.stop(End::Leaving),
            }
        }
        replaced
    }

    fn tell_all(&mut self, notice: &Notice) {
        if matches!(notice, Notice::Booting { .. } | Notice::Rebooting { .. }) {
            // Only the first part of this boot depends on it; the next append will report.
            let _ = self.ring.mark_boot();
        }
        let (at, deadline) = (self.ring.total(), Instant::now() + self.limits.linger);
        self.log.tell(at, notice);
        for client in &mut self.clients {
            // A boot finds the terminal as if nobody had typed anything.
            client.paused &= !matches!(notice, Notice::Booting { .. } | Notice::Rebooting { .. });
            client.tell(at, notice);
            if notice.disconnects(client.disconnect) {
                client.close(at, End::Notice, deadline);
            }
        }
    }

    fn stop(&mut self, end: End) {
        self.stopping = true;
        self.handshakes.clear();
        if end == End::Leaving {
            self.tell_all(&Notice::Leaving);
        }
        let (at, deadline) = (self.ring.total(), Instant::now() + self.limits.linger);
        for client in &mut self.clients {
            client.close(at, end, deadline);
        }
    }

    fn accept(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stopping || self.accept_after.is_some() {
            return false;
        }
        for _ in 0..ROUNDS {
            let reserve = &mut self.reserve;
            let accepted = self.listener.poll_read(cx, 0, |fd| accept_or_turn_away(fd, reserve));
            match accepted {
                Poll::Pending => return false,
                Poll::Ready(Ok(socket)) => self.greet(socket),
                // It hung up before its turn, or was turned away.
                Poll::Ready(Err(error))
                    if error.raw_os_error() == Some(Errno::CONNABORTED.raw_os_error()) => {}
                Poll::Ready(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a console client cannot be accepted"
                    );
                    self.accept_after = Some(Instant::now() + ACCEPT_PAUSE);
                    return false;
                }
            }
        }
        true
    }

    fn greet(&mut self, socket: OwnedFd) {
        match Handshake::new(socket, Instant::now() + self.limits.handshake) {
            Ok(handshake) => {
                if self.handshakes.len() >= self.limits.handshakes.max(1) {
                    self.handshakes.remove(0);
                }
                self.handshakes.push(handshake);
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a console client cannot be served"
                );
            }
        }
    }

    /// What the clients send, as long as the pty takes it.
    fn relay_input(&mut self, cx: &mut Context<'_>) -> bool {
        self.manager.push_input(cx);
        let mut clients = std::mem::take(&mut self.clients);
        let mut input = [0; INPUT];
        let mut more = false;
        for client in clients.iter_mut().filter(|client| !client.is_closing()) {
            more |= self.input_rounds(cx, client, &mut input);
        }
        self.clients = clients;
        more
    }

    fn input_rounds(&mut self, cx: &mut Context<'_>, client: &mut Client, input: &mut [u8]) -> bool {
        for _ in 0..ROUNDS {
            if client.gone {
                return false;
            }
            if self.manager.is_choked() && !client.info.read_only {
                client.ignore_input(cx);
                return false;
            }
            match client.poll_input(cx, input) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0) | Err(_)) => client.gone = true,
                Poll::Ready(Ok(len)) => self.input_from(cx, client, &input[..len]),
            }
        }
        true
    }

    pub(super) fn input_from(&mut self, cx: &mut Context<'_>, client: &mut Client, mut bytes: &[u8]) {
        while let Some(frame) = client.next_input(&mut bytes) {
            match frame {
                _ if client.info.read_only => {}
                Frame::Data(bytes) => {
                    let bytes = self.manager.flow_control(bytes, &mut client.paused);
                    self.manager.write(cx, &bytes);
                }
                Frame::Window(size) => {
                    client.window = size;
                    self.manager.resize(size);
                }
                _ => {}
            }
        }
    }

    /// The earliest moment that anybody waits for is up: see who that was.
    fn expire(&mut self, cx: &mut Context<'_>) -> bool {
        let handshakes = self.handshakes.iter().map(|handshake| handshake.deadline);
        let clients = self.clients.iter().filter_map(Client::deadline);
        let Some(deadline) = handshakes.chain(clients).chain(self.accept_after).chain(self.log.due()).min()
        else {
            self.timer = None;
            return false;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        let now = Instant::now();
        self.accept_after = self.accept_after.filter(|moment| *moment > now);
        self.handshakes.retain(|handshake| handshake.deadline > now);
        for client in &mut self.clients {
            client.gone |= client.deadline().is_some_and(|moment| moment <= now);
        }
        true
    }

    fn bury(&mut self) {
        for client in self.clients.extract_if(.., |client| client.gone) {
            if !client.info.read_only && !client.is_closing() {
                self.manager.leave();
            }
            client.hang_up();
        }
    }

    fn publish(&mut self) {
        let window = self.holder().map(|holder| self.clients[holder].window).unwrap_or_default();
        let logged = self.log.is_written_out(&self.ring);
        self.state.send_if_modified(|state| {
            let attached =
                || self.clients.iter().filter(|client| !client.is_closing()).map(|client| &client.info);
            let same = state.handshakes == self.handshakes.len()
                && state.manager_lost == self.manager.is_lost()
                && state.window == window
                && state.logged == logged
                && attached().eq(&state.clients);
            if !same {
                *state = State {
                    clients: attached().cloned().collect(),
                    handshakes: self.handshakes.len(),
                    manager_lost: self.manager.is_lost(),
                    window,
                    logged,
                };
            }
            !same
        });
    }
}

/// Accepts a client. One for whom there is no descriptor is told so, and counts as one that hung up.
fn accept_or_turn_away(listener: &OwnedFd, reserve: &mut Reserve) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let accepted =
        zone_fail::fail!("console.accept").and_then(|()| rustix::net::accept_with(listener, flags));
    let Err(shortage @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)) = accepted else {
        return accepted;
    };
    match reserve.turn_away(listener, Answer::Full.line().as_bytes()).map_err(|error| error.errno()) {
        Ok(()) => {
            let error = std::io::Error::from(shortage);
            tracing::warn!(%error, "a console client was turned away");
            Err(Errno::CONNABORTED)
        }
        // Without a number the kernel does not even say that nobody waits.
        Err(Errno::AGAIN) => Err(Errno::AGAIN),
        Err(_) => Err(shortage),
    }
}
