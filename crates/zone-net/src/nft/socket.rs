//! The netlink socket of netfilter: one request or batch out, what the kernel says to it back.

use std::cell::RefCell;
use std::time::Duration;

use netlink_packet_core::{NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NlasIterator};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

use zone_sys::net::{NetlinkOption, set_netlink_option};

use super::error::Error;

/// NLMSG_ERROR and NLMSG_DONE of linux/netlink.h.
const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;
/// NLMSGERR_ATTR_MSG of linux/netlink.h.
const ATTRIBUTE_TEXT: u16 = 1;
/// The largest datagram that the kernel makes of a dump is 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// How often a dump is begun anew because rules changed meanwhile.
const DUMPS: u32 = 10;
/// How long the kernel may take to answer. It answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A netlink socket of the network namespace that the thread was in when it was opened.
pub(super) struct Socket {
    fd: OwnedFd,
    netns: Option<Netns>,
    /// What is received goes here.
    buffer: Vec<u8>,
}

/// A network namespace: device and inode of its file.
type Netns = (u64, u64);

thread_local! {
    /// The socket that the thread has used last. Where something was removed and not yet freed, by whomever, the kernel has
    /// whoever closes such a socket wait for a grace period (10 to 20 ms): it is closed when the thread ends, which nobody
    /// waits for.
    static KEPT: RefCell<Option<Socket>> = const { RefCell::new(None) };
}

/// A message of a dump: its type and its payload, netfilter's header first.
pub(super) type Listed = (u16, Vec<u8>);

/// What the kernel says to one message.
pub(super) struct Answer {
    /// The message's sequence number.
    pub(super) sequence: u32,
    /// The errno, if it was refused.
    pub(super) refused: Option<Errno>,
    /// The kernel's words about it.
    pub(super) text: Option<String>,
}

impl Socket {
    /// Gives the thread's socket for the namespace that it is in.
    pub(super) fn open() -> Result<Self, Error> {
        let netns = netns();
        match KEPT.take() {
            Some(kept) if netns.is_some() && kept.netns == netns => Ok(kept),
            _ => Self::another(netns),
        }
    }

    /// Keeps it for what the thread does next. Not to be called after an error: answers may still come.
    pub(super) fn keep(self) {
        KEPT.set(Some(self));
    }

    fn another(netns: Option<Netns>) -> Result<Self, Error> {
        let opened = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::NETFILTER),
        );
        let socket = opened.map_err(|source| match source {
            Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => Error::Unsupported { source },
            source => Error::Socket { call: "socket", source },
        })?;
        for option in [NetlinkOption::ExtendedAck, NetlinkOption::CappedAck] {
            set_netlink_option(&socket, option)?;
        }
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))
            .map_err(|source| Error::Socket { call: "setsockopt", source })?;
        Ok(Self { fd: socket, netns, buffer: vec![0; DATAGRAM] })
    }

    /// Sends a batch and collects what the kernel says to its messages; it has carried out all of it when `send` returns.
    pub(super) fn batch(&mut self, bytes: &[u8]) -> Result<Vec<Answer>, Error> {
        // A batch is one datagram, and the kernel wants it to fit the buffer twice over.
        let wanted = bytes.len().saturating_mul(2).saturating_add(DATAGRAM);
        let fail = |call| move |source| Error::Socket { call, source };
        if sockopt::socket_send_buffer_size(&self.fd).map_err(fail("getsockopt"))? < wanted {
            sockopt::set_socket_send_buffer_size_force(&self.fd, wanted).map_err(fail("setsockopt"))?;
        }
        rustix::net::send(&self.fd, bytes, SendFlags::empty()).map_err(fail("send"))?;
        let mut answers = Vec::new();
        loop {
            match rustix::net::recv(&self.fd, &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => each(&self.buffer[..length], |message| {
                    if message.message_type() == MESSAGE_ERROR {
                        answers.push(Answer::of(message)?);
                    }
                    Ok(())
                })?,
                Err(Errno::AGAIN) => return Ok(answers),
                Err(Errno::INTR) => {}
                // More refusals than the buffer holds: the first ones are read, and they are what matters.
                Err(Errno::NOBUFS) if !answers.is_empty() => {}
                Err(source) => return Err(Error::Socket { call: "recv", source }),
            }
        }
    }

    /// Asks for one thing: `None` if there is none.
    pub(super) fn get(&mut self, request: NfTablesMessage, family: u8) -> Result<Option<Listed>, Errno> {
        const SEQUENCE: u32 = 1;
        let bytes = packet(request, family, NLM_F_REQUEST, SEQUENCE);
        rustix::net::send(&self.fd, &bytes, SendFlags::empty())?;
        let (length, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut *self.buffer, RecvFlags::empty()))?;
        let (mut refused, mut found) = (None, None);
        let parsed = each(&self.buffer[..length], |message| {
            match message.message_type() {
                MESSAGE_ERROR => refused = Answer::of(message)?.refused,
                kind => found = Some((kind, message.payload().to_vec())),
            }
            Ok(())
        });
        match (parsed, refused) {
            (Ok(()), None) => Ok(found),
            (Ok(()), Some(Errno::NOENT)) => Ok(None),
            (Ok(()), Some(errno)) => Err(errno),
            (Err(_), _) => Err(Errno::BADMSG),
        }
    }

    /// Has the kernel list things.
    pub(super) fn dump(
        &mut self,
        what: &'static str,
        family: u8,
        request: &(impl Into<NetfilterMessageInner> + Clone),
    ) -> Result<Vec<Listed>, Error> {
        self.dump_read(what, family, request, |kind, payload| Some((kind, payload.to_vec())))
    }

    /// The same, of which only that is kept which `read` makes something of.
    pub(super) fn dump_read<T>(
        &mut self,
        what: &'static str,
        family: u8,
        request: &(impl Into<NetfilterMessageInner> + Clone),
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for sequence in 1..=DUMPS {
            if let Some(found) = self.dump_once(
                what,
                packet(request.clone(), family, NLM_F_REQUEST | NLM_F_DUMP, sequence),
                sequence,
                &read,
            )? {
                return Ok(found);
            }
        }
        Err(Error::Answer("with rules that never rest"))
    }

    fn dump_once<T>(
        &mut self,
        what: &'static str,
        request: Vec<u8>,
        sequence: u32,
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let fail = |source| Error::List { what, source };
        rustix::net::send(&self.fd, &request, SendFlags::empty()).map_err(fail)?;
        let mut found = Vec::new();
        let (mut done, mut whole) = (false, true);
        while !done {
            let received = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.fd, &mut *self.buffer, RecvFlags::empty())
            });
            let (length, _) = received.map_err(fail)?;
            each(&self.buffer[..length], |message| {
                if message.sequence_number() != sequence {
                    return Ok(());
                }
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    MESSAGE_DONE => done = true,
                    MESSAGE_ERROR => {
                        let source = Answer::of(message)?.refused;
                        source.map_or(Ok(()), |source| Err(fail(source)))?;
                        done = true;
                    }
                    kind => found.extend(read(kind, message.payload())),
                }
                Ok(())
            })?;
        }
        Ok(whole.then_some(found))
    }
}

impl Answer {
    fn of(message: &NetlinkBuffer<&[u8]>) -> Result<Self, Error> {
        let short = Error::Answer("with an error that is cut off");
        // struct nlmsgerr: the errno, negative, and the header of the message that it is about, then unless that is
        // left out the rest of the message, then attributes.
        let payload = message.payload();
        let (Some(code), Some(header)) = (payload.first_chunk::<4>(), payload.get(4..20)) else {
            return Err(short);
        };
        let code = i32::from_ne_bytes(*code).saturating_neg();
        let header = NetlinkBuffer::new(header);
        let capped = message.flags() & NLM_F_CAPPED != 0;
        let copied = if capped { 16 } else { usize::try_from(header.length()).unwrap_or(usize::MAX).max(16) };
        let attributes = payload.get(copied.saturating_add(4).next_multiple_of(4)..).unwrap_or_default();
        let text =
            NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == ATTRIBUTE_TEXT);
        Ok(Self {
            sequence: header.sequence_number(),
            refused: (code != 0).then(|| Errno::from_raw_os_error(code)),
            text: text.map(|text| String::from_utf8_lossy(text.value()).trim_end_matches('\0').to_owned()),
        })
    }
}

/// The network namespace of the calling thread, if it can be told.
fn netns() -> Option<Netns> {
    let file = rustix::fs::stat("/proc/thread-self/ns/net").ok()?;
    Some((file.st_dev, file.st_ino))
}

/// Walks the messages of a datagram.
fn each(
    mut datagram: &[u8],
    mut take: impl FnMut(&NetlinkBuffer<&[u8]>) -> Result<(), Error>,
) -> Result<(), Error> {
    while !datagram.is_empty() {
        let message = NetlinkBuffer::new_checked(datagram)
            .map_err(|_| Error::Answer("with a message that is cut off"))?;
        take(&message)?;
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// Serializes a message about nf_tables, or about connections.
pub(super) fn packet(
    message: impl Into<NetfilterMessageInner>,
    family: u8,
    flags: u16,
    sequence: u32,
) -> Vec<u8> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::from(family), 0, 0);
    serialize(NetfilterMessage::new(header, message), flags, sequence)
}

/// Serializes a message of netfilter.
pub(super) fn serialize(message: NetfilterMessage, flags: u16, sequence: u32) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
