//! The messages between zsched and its clients.
//!
//! Transport: a `SOCK_SEQPACKET` Unix socket, one message a packet, descriptors by `SCM_RIGHTS`.
//! All integers are little-endian. Every packet begins with a [`Header`]; a request's names its
//! [`Op`], and every request gets one reply, in order. An attached daemon also gets events between
//! replies.
//!
//! # Protocols
//!
//! A zone may live for years under the zsched that it was booted with, while everything else on the
//! machine is upgraded, or put back. So the form of the messages has a number, [`PROTOCOL`], in every
//! packet, and these rules:
//!
//! * What a number means never changes: not that of an operation, a phase, a stage, or a bit.
//! * Whatever is new is added: an operation with a new number, or fields at the end of a packet. A reader
//!   passes over what comes after the fields that it knows, and takes what is missing for zero, which must
//!   mean what was true before. With each such addition [`PROTOCOL`] goes up by one.
//! * A request says which protocol it needs: the first that has this operation with these fields. A
//!   zsched that is older refuses it with [`Stage::Protocol`] and its own number, and has done nothing.
//! * A program speaks every protocol from [`OLDEST`] up. That is 1 and stays 1 as long as a zsched of
//!   protocol 1 may be alive somewhere. Should it ever have to go up, both sides say so in words, before
//!   anything is done: a zsched refuses clients that are older, a client one that is older or that refuses it.
//!
//! | protocol | adds |
//! |---|---|
//! | 1 | everything that is not named below |
//! | 2 | [`Op::Adopt`]; [`Status::adopted`] and [`Status::version`] |
//! | 3 | [`Op::Namespaces`]; [`Create::namespaces`] and [`Create::kept`], which a request has only where they are not the usual ones |
//! | 4 | [`Op::Kept`]; [`Adopt::kept`], which a zsched of before passes over |
//! | 5 | [`Op::Sockets`], [`Op::Leave`]; [`Status::daemon`] |
//!
//! Nothing here allocates but what says so: zsched reads and writes these in place.

mod adopt;
mod codec;
mod create;
mod failure;
mod namespaces;
mod reply;
mod status;
#[cfg(test)]
mod tests;

pub use adopt::Adopt;
pub use create::{CREATE_FDS, Create, KEPT, Strings};
pub use failure::{Failure, Stage};
pub use namespaces::{Kinds, Origin, Origins};
pub use reply::{PACKET, REPLY, Reply};
pub use status::{Adopted, Attendance, End, Lost, Phase, Status, Witness};

/// The protocol that this program speaks, with all before it down to [`OLDEST`].
pub const PROTOCOL: u8 = 5;
/// The oldest protocol that this program speaks.
pub const OLDEST: u8 = 1;

/// The most bytes that a message may have.
pub const MAX_MESSAGE: usize = 48 * 1024;
/// The bytes behind the number of restarts, in all messages that have it, that nothing has had a use for yet: zero.
const RESERVE: usize = 28;

/// The first four bytes of every packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which request it is (an [`Op`]), or which kind of reply.
    pub number: u16,
    /// A request: the protocol that it needs. A reply: the protocol that zsched speaks.
    pub protocol: u8,
    /// A request: the protocol that its sender speaks. A reply: the oldest that zsched speaks.
    pub peer: u8,
}

impl Header {
    /// Its size in bytes.
    pub const SIZE: usize = 4;

    /// The header of a packet; `None` if that is too short to have one.
    #[must_use]
    pub fn of(packet: &[u8]) -> Option<Self> {
        let &[low, high, protocol, peer] = packet.first_chunk()?;
        Some(Self { number: u16::from_le_bytes([low, high]), protocol, peer })
    }

    /// Gives the header's bytes, as every packet begins with them.
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        let [low, high] = self.number.to_le_bytes();
        [low, high, self.protocol, self.peer]
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Op {
    /// The [`Status`], and nothing else.
    Status = 1,
    /// A new user namespace: the rest of the message is the text for `uid_map` and `gid_map`; the
    /// reply carries the namespace's descriptor.
    UserNamespace = 2,
    /// Make the zone's first process and let it build its platform; see [`Create`].
    Create = 3,
    /// Let the first process exec: the rest of the message is an exec block (`zone_sys::exec`).
    Boot = 4,
    /// Become the daemon: get events and the console's descriptors (manager, subsidiary, ring);
    /// zsched stops reading the console until this connection ends.
    Attach = 5,
    /// The pidfd of the first process and the cgroup's directory.
    Fds = 6,
    /// The zone is being stopped: `uniqid` follows.
    Stopping = 7,
    /// The end of incarnation `uniqid` (follows) has been dealt with and may be forgotten. A byte after
    /// it says whether another is to follow.
    Consume = 8,
    /// Take this pty pair (manager, subsidiary) for the old one.
    Console = 9,
    /// End; refused while a zone exists.
    Quit = 10,
    /// Take over a zone whose zsched died; see [`Adopt`].
    Adopt = 11,
    /// Namespaces for the zone to be: the rest of the message is a set of [`Kinds`], its descriptor the user namespace that
    /// they are to belong to. Waits for those that [`Op::UserNamespace`] has begun, makes others, and hands them out.
    Namespaces = 12,
    /// The descriptors that are held with the incarnation since [`Create`] or [`Adopt`], in their order.
    Kept = 13,
    /// With two descriptors: hold these listening sockets of the zone's console and door, in this order, in place of those before.
    /// With none: the reply carries those that are held, if there are any. While no daemon is there zsched looks whether somebody
    /// waits at them, and starts one for him; it accepts nobody itself.
    Sockets = 14,
    /// The daemon is about to leave, on purpose: it is not one that died. A byte may follow: 1 if that is because nothing needs it.
    Leave = 15,
}

/// How many listening sockets go with [`Op::Sockets`].
pub const SOCKETS: usize = 2;

impl Op {
    const ALL: [Op; 15] = [
        Op::Status,
        Op::UserNamespace,
        Op::Create,
        Op::Boot,
        Op::Attach,
        Op::Fds,
        Op::Stopping,
        Op::Consume,
        Op::Console,
        Op::Quit,
        Op::Adopt,
        Op::Namespaces,
        Op::Kept,
        Op::Sockets,
        Op::Leave,
    ];

    /// The operation of a message, if it names one.
    #[must_use]
    pub fn of(message: &[u8]) -> Option<Self> {
        let number = Header::of(message)?.number;
        Self::ALL.into_iter().find(|op| *op as u16 == number)
    }

    /// The first protocol that has this operation as it is now.
    #[must_use]
    pub const fn protocol(self) -> u8 {
        match self {
            Op::Sockets | Op::Leave => 5,
            Op::Kept => 4,
            Op::Namespaces => 3,
            Op::Adopt => 2,
            _ => 1,
        }
    }

    /// The header of a request for it.
    #[must_use]
    pub fn header(self) -> [u8; Header::SIZE] {
        Header { number: self as u16, protocol: self.protocol(), peer: PROTOCOL }.encode()
    }
}
