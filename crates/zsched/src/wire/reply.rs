//! The packets from zsched.

use super::codec::{Reader, Writer};
use super::{Adopted, Attendance, Failure, Header, Lost, OLDEST, PROTOCOL, Phase, Status, Witness};

/// The bytes of a reply or event of this protocol.
pub const REPLY: usize = 112;
/// Room for the packets of any protocol to come: what is added to a reply is added at its end.
pub const PACKET: usize = 1024;

/// What a packet's header calls the three kinds.
const DONE: u16 = 0;
const FAILED: u16 = 1;
const ENDED: u16 = 2;

/// A packet from zsched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The request was carried out; this is how things stand now.
    Done(Status),
    /// It was not.
    Failed(Failure),
    /// The first process ended (an event, only to an attached daemon).
    Ended(Status),
}

impl Reply {
    /// Gives the packet's bytes, of one length for every reply.
    #[must_use]
    pub fn encode(&self) -> [u8; REPLY] {
        let mut out = [0; REPLY];
        let mut w = Writer(&mut out);
        let number = match self {
            Reply::Done(_) => DONE,
            Reply::Failed(_) => FAILED,
            Reply::Ended(_) => ENDED,
        };
        w.bytes(&Header { number, protocol: PROTOCOL, peer: OLDEST }.encode());
        match self {
            Reply::Done(status) | Reply::Ended(status) => {
                w.u32(status.phase as u32);
                w.u64(status.uniqid);
                w.u64(status.since);
                w.u64(status.ended);
                w.i32(status.pid);
                w.i32(status.keeper);
                w.end(status.end);
                w.restarts(status.restarts);
                // From here on protocol 2; zeroes in protocol 1.
                let adopted =
                    status.adopted.map_or((0, 0, 0), |how| (how.at, how.witness as u32, how.lost.bits()));
                w.u64(adopted.0);
                w.u32(adopted.1);
                w.u32(adopted.2);
                w.bytes(&status.version);
                // From here on protocol 5.
                w.bytes(&[status.daemon as u8]);
            }
            Reply::Failed(failure) => {
                failure.numbers().into_iter().for_each(|number| w.u32(number));
            }
        }
        out
    }

    /// Reads a packet; `None` if it is none of ours.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let kind = Header::of(packet)?.number;
        let mut r = Reader(packet.get(Header::SIZE..)?);
        if kind == FAILED {
            return Failure::of_numbers([r.u32()?, r.u32()?, r.u32()?]).map(Reply::Failed);
        }
        let phase = Phase::of(r.u32()?)?;
        let (uniqid, since, ended) = (r.u64()?, r.u64()?, r.u64()?);
        let (pid, keeper) = (r.i32()?, r.i32()?);
        let end = r.end()?;
        let restarts = r.restarts()?;
        let at = r.u64().unwrap_or(0);
        let (witness, lost) =
            (Witness::of(r.u32().unwrap_or(0)), Lost::from_bits_retain(r.u32().unwrap_or(0)));
        let adopted = (at != 0).then_some(Adopted { at, witness, lost });
        let version = r.take(3).and_then(|bytes| bytes.first_chunk().copied()).unwrap_or_default();
        let daemon = Attendance::of(r.take(1).map_or(0, |bytes| bytes[0]));
        let status =
            Status { phase, uniqid, pid, since, end, ended, restarts, keeper, adopted, version, daemon };
        match kind {
            DONE => Some(Reply::Done(status)),
            ENDED => Some(Reply::Ended(status)),
            _ => None,
        }
    }
}
