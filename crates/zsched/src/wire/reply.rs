//! The packets from zsched.

use super::codec::{Reader, Writer};
use super::{Adopted, Failure, Header, LAYOUT, Lost, NOTE, OLDEST, Phase, Stage, Status, Witness};
use rustix::io::Errno;

/// The bytes of a reply or event of this layout.
pub const REPLY: usize = 112;
/// Room for the packets of any layout to come: what is added to a reply is added at its end.
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
    /// The packet's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REPLY] {
        let mut out = [0; REPLY];
        let mut w = Writer(&mut out);
        let number = match self {
            Reply::Done(_) => DONE,
            Reply::Failed(_) => FAILED,
            Reply::Ended(_) => ENDED,
        };
        w.bytes(&Header { number, layout: LAYOUT, other: OLDEST }.encode());
        match self {
            Reply::Done(status) | Reply::Ended(status) => {
                w.u32(status.phase as u32);
                w.u64(status.uniqid);
                w.u64(status.since);
                w.u64(status.ended);
                w.i32(status.pid);
                w.i32(status.keeper);
                w.end(status.end);
                w.bytes(&status.note);
                // From here on layout 2; zeroes in layout 1.
                let adopted =
                    status.adopted.map_or((0, 0, 0), |how| (how.at, how.witness as u32, how.lost.0));
                w.u64(adopted.0);
                w.u32(adopted.1);
                w.u32(adopted.2);
                w.bytes(&status.version);
            }
            Reply::Failed(failure) => {
                w.u32(failure.stage as u32);
                w.u32(failure.index);
                w.i32(failure.errno.raw_os_error());
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
            let number = r.u32()?;
            let stage = Stage::ALL.into_iter().find(|stage| *stage as u32 == number).unwrap_or(Stage::Other);
            let index = r.u32()?;
            let errno = errno(r.i32()?)?;
            return Some(Reply::Failed(Failure { stage, index, errno }));
        }
        let phase = Phase::of(r.u32()?)?;
        let (uniqid, since, ended) = (r.u64()?, r.u64()?, r.u64()?);
        let (pid, keeper) = (r.i32()?, r.i32()?);
        let end = r.end()?;
        let note = *r.take(NOTE)?.first_chunk()?;
        let at = r.u64().unwrap_or(0);
        let (witness, lost) = (Witness::of(r.u32().unwrap_or(0)), Lost(r.u32().unwrap_or(0)));
        let adopted = (at != 0).then_some(Adopted { at, witness, lost });
        let version = r.take(3).and_then(|bytes| bytes.first_chunk().copied()).unwrap_or_default();
        let status = Status { phase, uniqid, pid, since, end, ended, note, keeper, adopted, version };
        match kind {
            DONE => Some(Reply::Done(status)),
            ENDED => Some(Reply::Ended(status)),
            _ => None,
        }
    }
}

/// The kernel's error numbers end below 4096; another number is not one, and is not taken for one.
fn errno(number: i32) -> Option<Errno> {
    (1..4096).contains(&number).then(|| Errno::from_raw_os_error(number))
}
