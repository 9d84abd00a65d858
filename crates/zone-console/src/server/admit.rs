//! Who is admitted: the holder, the watchers, and who is turned away.

use super::client::{self, Client};
use super::descriptor::Descriptor;
use super::handshake::{Handshake, Outcome};
use super::relay::{INPUT, Relay};
use super::{Access, ClientInfo};
use crate::Notice;
use crate::frame::End;
use crate::ident::{Answer, Ident, Position};
use rustix::net::SendFlags;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio::time::Instant;
use zone_sys::unix::Peer;

impl Relay {
    /// Hears who the newcomers are.
    pub(super) fn identify(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while at < self.handshakes.len() {
            match self.handshakes[at].poll(cx, &mut self.buffer[..INPUT]) {
                Poll::Pending => at += 1,
                Poll::Ready(outcome) => {
                    let Handshake { socket, peer, .. } = self.handshakes.remove(at);
                    if let Outcome::Line(ident, rest) = outcome {
                        self.answer(cx, socket, peer, ident, &rest);
                    }
                }
            }
        }
    }

    /// The holder or watcher that a line asks for, or the words that refuse it.
    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        socket: Descriptor,
        peer: Peer,
        ident: Option<Ident>,
        rest: &[u8],
    ) {
        let watching = ident.as_ref().is_some_and(|ident| ident.options.watch);
        let allowed = match (self.limits.access)(&peer) {
            Access::Refuse => false,
            Access::Watch => watching,
            Access::Hold => true,
        };
        if !allowed {
            return client::hang_up(socket);
        }
        if watching {
            let watchers = self.clients.iter().filter(|client| client.info.read_only).count();
            if watchers >= self.limits.watchers {
                return client::hang_up(socket);
            }
            return self.admit(cx, socket, peer, ident, rest, None);
        }
        let Some(holder) = self.holder() else { return self.admit(cx, socket, peer, ident, rest, None) };
        let pid = self.clients[holder].info.pid;
        if self.clients[holder].is_dead() {
            self.clients[holder].gone = true;
            self.manager.leave();
            self.admit(cx, socket, peer, ident, rest, None);
        } else if ident.as_ref().is_some_and(|ident| ident.options.steal) {
            self.depose(holder, peer.pid);
            self.admit(cx, socket, peer, ident, rest, Some(pid));
        } else {
            // As on Solaris, whoever sends any line learns who has it.
            let answer = Answer::Busy(pid).line();
            let _ = rustix::net::send(socket.get(), answer.as_bytes(), SendFlags::NOSIGNAL);
            client::hang_up(socket);
        }
    }

    pub(super) fn holder(&self) -> Option<usize> {
        self.clients.iter().position(|client| !client.info.read_only && !client.is_closing() && !client.gone)
    }

    fn depose(&mut self, holder: usize, by: i32) {
        let (at, deadline) = (self.ring.total(), Instant::now() + self.limits.linger);
        self.manager.leave();
        self.clients[holder].tell(at, &Notice::TakenOver { by });
        self.clients[holder].close(at, End::TakenOver, deadline);
    }

    fn admit(
        &mut self,
        cx: &mut Context<'_>,
        socket: Descriptor,
        peer: Peer,
        ident: Option<Ident>,
        rest: &[u8],
        took_over_from: Option<i32>,
    ) {
        let Some(ident) = ident else { return client::hang_up(socket) };
        let options = ident.options;
        if !options.watch {
            self.manager.start_output();
        }
        let info =
            ClientInfo { pid: peer.pid, uid: peer.uid, since: SystemTime::now(), read_only: options.watch };
        let total = self.ring.total();
        let resumed = options.resume.filter(|position| position.ring == self.ring.id());
        let offset = match (resumed, options.replay) {
            (Some(position), _) => position.offset.min(total),
            (None, Some(count)) => self.replay_start(count),
            (None, None) => total,
        };
        let replay_until = if resumed.is_some() { offset } else { total };
        let start = Position { ring: self.ring.id(), offset };
        let mut client = Client::new(socket, info, ident, start, replay_until);
        if options.resume.is_some() {
            client.tell(total, &Notice::Restarted);
        }
        if let Some(from) = took_over_from {
            client.tell(total, &Notice::TookOver { from });
        }
        if !options.watch
            && let Some(size) = options.size
        {
            client.window = size;
            self.manager.resize(size);
        }
        self.input_from(cx, &mut client, rest);
        if options.watch { self.clients.push(client) } else { self.clients.insert(0, client) }
    }

    /// Where to begin so that the last `count` bytes come, but no half line at their head.
    fn replay_start(&mut self, count: u64) -> u64 {
        let start = self.ring.replay_start(count);
        if count == 0 || start == 0 || start == self.ring.boot_start() {
            return start;
        }
        let head = match self.ring.read_from(start, &mut self.buffer[..INPUT]) {
            Ok(read) => &self.buffer[..read.len],
            Err(_) => return start,
        };
        let line_end = head.iter().position(|byte| *byte == b'\n');
        start + line_end.map_or(0, |end| end as u64 + 1)
    }
}
