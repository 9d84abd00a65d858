//! The request that hands a zone to a zsched that did not make it.

use super::codec::{Reader, Writer};
use super::{End, Header, KEPT, Lost, Op, Phase, RESERVE};

/// A zone whose zsched died. Its descriptors are the cgroup's directory and, if the first process lives, its
/// pidfd; then those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopt {
    /// Where it is in its life: running, stopping or down. One that was ready has ended with its zsched. With
    /// [`Phase::None`] there is no zone, and only [`Adopt::owed`] counts.
    pub phase: Phase,
    /// The name that the incarnation has, and keeps.
    pub uniqid: u64,
    /// The first process, which is the one of the pidfd: that is the sender's business to know.
    pub pid: i32,
    /// When it was made, in seconds since the epoch.
    pub since: u64,
    /// How it ended, for one that is down.
    pub end: Option<End>,
    /// When it ended, in seconds since the epoch; 0 for one that lives.
    pub ended: u64,
    /// How many times in a row init was started again before.
    pub restarts: u32,
    /// What was lost with the zsched that died.
    pub lost: Lost,
    /// Whether another incarnation is to follow the one that is no more (see [`Op::Consume`]).
    pub owed: bool,
    /// How many descriptors zsched holds as long as the incarnation lives and does nothing with; at most [`super::KEPT`].
    pub kept: u8,
}

/// The bytes of the request.
const SIZE: usize = Header::SIZE + 40 + 4 + RESERVE + 12;

impl Adopt {
    /// Makes the request for a zone that is no more and is to come back.
    #[must_use]
    pub fn owing() -> Self {
        let (phase, end, lost) = (Phase::None, None, Lost::empty());
        Self { phase, uniqid: 0, pid: 0, since: 0, end, ended: 0, restarts: 0, lost, owed: true, kept: 0 }
    }

    /// The message, header included.
    #[must_use]
    pub fn encode(&self) -> [u8; SIZE] {
        let mut out = [0; SIZE];
        let mut w = Writer(&mut out);
        w.bytes(&Op::Adopt.header());
        w.u32(self.phase as u32);
        w.u64(self.uniqid);
        w.i32(self.pid);
        w.u64(self.since);
        w.end(self.end);
        w.u64(self.ended);
        w.restarts(self.restarts);
        w.u32(self.lost.bits());
        w.u32(self.owed.into());
        w.u32(self.kept.into());
        out
    }

    /// Reads the part of a message that follows its header.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut r = Reader(body);
        Some(Self {
            phase: Phase::of(r.u32()?)?,
            uniqid: r.u64()?,
            pid: r.i32()?,
            since: r.u64()?,
            end: r.end()?,
            ended: r.u64()?,
            restarts: r.restarts()?,
            lost: Lost::from_bits_retain(r.u32()?),
            owed: r.u32()? != 0,
            // From protocol 4 on.
            kept: r
                .u32()
                .and_then(|kept| u8::try_from(kept).ok())
                .filter(|&kept| usize::from(kept) <= KEPT)
                .unwrap_or(0),
        })
    }
}
