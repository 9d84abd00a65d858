//! A change that the kernel is asked for, not yet sent.

use std::marker::PhantomData;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// A change that the kernel is asked for: see [`Socket::run`](super::Socket::run).
#[derive(Clone, Debug)]
#[must_use]
pub struct Request<'fd> {
    pub(super) message: RouteNetlinkMessage,
    pub(super) what: &'static str,
    pub(super) object: String,
    flags: u16,
    tolerated: &'static [Errno],
    /// The descriptors whose numbers are in the message.
    descriptors: PhantomData<BorrowedFd<'fd>>,
}

impl Request<'_> {
    /// Makes a request for something that must be there.
    pub(super) fn change(message: RouteNetlinkMessage, what: &'static str, object: String) -> Self {
        Self { message, what, object, flags: 0, tolerated: &[], descriptors: PhantomData }
    }

    /// Makes a request for something that must not be there yet.
    pub(super) fn create(message: RouteNetlinkMessage, what: &'static str, object: String) -> Self {
        Self { flags: NLM_F_CREATE | NLM_F_EXCL, ..Self::change(message, what, object) }
    }

    /// Makes a request for something that takes the place of what is there.
    pub(super) fn replace(message: RouteNetlinkMessage, what: &'static str, object: String) -> Self {
        Self { flags: NLM_F_CREATE | NLM_F_REPLACE, ..Self::change(message, what, object) }
    }

    /// Takes these answers for success: what was to be made is there, what was to go has gone.
    pub fn tolerating(self, errors: &'static [Errno]) -> Self {
        Self { tolerated: errors, ..self }
    }

    pub(super) fn tolerates(&self, errno: Errno) -> bool {
        self.tolerated.contains(&errno)
    }

    /// Writes the message behind those that are in `bytes`.
    pub(super) fn write(&self, sequence: u32, bytes: &mut Vec<u8>) {
        write(&self.message, self.flags | NLM_F_REQUEST | NLM_F_ACK, sequence, bytes);
    }
}

/// What a socket can be asked: a message of the protocol that it is for.
pub(super) trait Message: Clone + NetlinkSerializable + Into<NetlinkPayload<Self>> {}

impl<M: Clone + NetlinkSerializable + Into<NetlinkPayload<M>>> Message for M {}

/// Writes a message with these flags behind those that are in `bytes`.
pub(super) fn write(message: &impl Message, flags: u16, sequence: u32, bytes: &mut Vec<u8>) {
    let mut whole = NetlinkMessage::from(message.clone());
    whole.header.flags = flags;
    whole.header.sequence_number = sequence;
    whole.finalize();
    let start = bytes.len();
    // All attributes are padded, so every message ends where the next one may begin.
    bytes.resize(start + whole.buffer_len().next_multiple_of(4), 0);
    whole.serialize(&mut bytes[start..]);
}
