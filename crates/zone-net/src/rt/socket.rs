//! A netlink socket and its manners: sequence numbers, senders, cut messages, interrupted dumps.

use std::collections::VecDeque;

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, NetlinkBuffer};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, getsockname, recvfrom, sendto, socket_with};
use zone_sys::net::{NetlinkOption, set_netlink_option};

use super::request::{self, Message};
use super::{Cause, Error, Request, attributes, namespace};

/// How large an answer may be, in bytes: twice what the kernel puts into one packet of a dump.
const ANSWER: usize = 64 * 1024;
/// How many requests are sent at once: their acknowledgements must fit into the socket's buffer.
const BATCH: usize = 64;
/// How often a dump is begun anew when something changes meanwhile.
const DUMPS: usize = 16;
/// The protocol of a socket that names none: `NETLINK_ROUTE` is 0.
const ROUTE: Option<Protocol> = None;
/// The kernel's own port.
const KERNEL: u32 = 0;

/// A socket to the rtnetlink of one network namespace, or to another protocol of netlink.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    port: u32,
    sequence: u32,
    within: bool,
    buffer: Vec<u8>,
}

/// What one message of an answer is.
enum Answer<'a> {
    /// Done, or refused.
    Result(Result<(), Cause>),
    /// Something that was asked for.
    Message(&'a [u8]),
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and setsockopt(2).
    pub fn here() -> Result<Self, Error> {
        Self::speaking(ROUTE)
    }

    /// Opens a socket of another protocol of netlink in the network namespace of the calling thread.
    pub(super) fn speaking(protocol: Option<Protocol>) -> Result<Self, Error> {
        open(protocol).map_err(|cause| Error {
            what: "open a netlink socket",
            object: String::new(),
            within: false,
            cause,
        })
    }

    /// Opens a socket in another network namespace, which stays the socket's own. The calling thread stays where it is.
    ///
    /// # Errors
    /// Those of setns(2), and of [`here`](Self::here).
    pub fn within(netns: BorrowedFd<'_>) -> Result<Self, Error> {
        let opened = namespace::within(netns, || open(ROUTE)).unwrap_or_else(|errno| Err(errno.into()));
        let fail =
            |cause| Error { what: "open a netlink socket", object: String::new(), within: true, cause };
        opened.map(Self::inside).map_err(fail)
    }

    /// Has errors say that what they are about is in the zone.
    #[must_use]
    pub fn inside(self) -> Self {
        Self { within: true, ..self }
    }

    /// Has the kernel do what is asked for, in order. It goes on after one that fails, as long as the requests were sent
    /// together (64 of them): what needs the one before it fails too.
    ///
    /// # Errors
    /// The first request that was refused, unless it tolerates that.
    pub fn run<'fd>(&mut self, requests: impl IntoIterator<Item = Request<'fd>>) -> Result<(), Error> {
        let requests: Vec<_> = requests.into_iter().collect();
        requests.chunks(BATCH).try_for_each(|batch| self.send(batch))
    }

    fn send(&mut self, batch: &[Request<'_>]) -> Result<(), Error> {
        let Some(head) = batch.first() else { return Ok(()) };
        let mut bytes = Vec::new();
        let mut waiting = VecDeque::new();
        for request in batch {
            let sequence = self.next();
            request.write(sequence, &mut bytes);
            waiting.push_back((sequence, request));
        }
        self.transmit(&bytes).map_err(|errno| self.fail(head.what, &head.object, errno.into()))?;
        let mut first = None;
        while let Some((_, head)) = waiting.front() {
            let head = *head;
            let answers = self.receive(|sequence, answer| {
                // The kernel answers in order: what it passes over has no answer to come.
                let place = waiting.iter().position(|(this, _)| *this == sequence)?;
                let (_, request) = waiting.drain(..=place).next_back()?;
                match answer {
                    Answer::Result(Err(cause)) if !request.tolerates(cause.errno) => Some((request, cause)),
                    _ => None,
                }
            });
            match answers {
                Ok(refused) => first = first.or(refused.into_iter().next()),
                Err(errno) => return Err(self.fail(head.what, &head.object, errno.into())),
            }
        }
        match first {
            Some((request, cause)) => Err(self.fail(request.what, &request.object, cause)),
            None => Ok(()),
        }
    }

    /// Asks for one thing. `Ok(None)` if the kernel says `ENODEV`.
    pub(super) fn get<T>(
        &mut self,
        message: &RouteNetlinkMessage,
        what: &'static str,
        object: &str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let sequence = self.next();
        let mut bytes = Vec::new();
        request::write(message, NLM_F_REQUEST, sequence, &mut bytes);
        self.transmit(&bytes).map_err(|errno| self.fail(what, object, errno.into()))?;
        loop {
            let answers = self.receive(|this, answer| {
                (this == sequence).then(|| match answer {
                    Answer::Result(result) => result.map(|()| None),
                    Answer::Message(payload) => Ok(read(payload)),
                })
            });
            let answer = answers.map_err(|errno| self.fail(what, object, errno.into()))?.into_iter().next();
            match answer {
                Some(Err(cause)) if cause.errno == Errno::NODEV => return Ok(None),
                Some(answer) => return answer.map_err(|cause| self.fail(what, object, cause)),
                None => {}
            }
        }
    }

    /// Asks for all things of a kind. What `read` makes nothing of is left out.
    pub(super) fn dump<T>(
        &mut self,
        message: &impl Message,
        what: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMPS {
            if let Some(all) = self.dump_once(message, what, &read)? {
                return Ok(all);
            }
        }
        Err(self.unsteady(what))
    }

    fn unsteady(&self, what: &'static str) -> Error {
        let text = Some("what is listed changed whenever it was read".to_owned());
        self.fail(what, "", Cause { errno: Errno::AGAIN, text })
    }

    /// `None` if something changed meanwhile: some may be missing, some be there twice.
    fn dump_once<T>(
        &mut self,
        message: &impl Message,
        what: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let sequence = self.next();
        let mut bytes = Vec::new();
        request::write(message, NLM_F_REQUEST | NLM_F_DUMP, sequence, &mut bytes);
        self.transmit(&bytes).map_err(|errno| self.fail(what, "", errno.into()))?;
        let (mut all, mut done, mut whole) = (Vec::new(), None, true);
        while done.is_none() {
            let read = self.receive_flagged(|this, flags, answer| {
                if this != sequence {
                    return None;
                }
                whole &= flags & NLM_F_DUMP_INTR == 0;
                match answer {
                    Answer::Result(result) => done = Some(result),
                    Answer::Message(payload) => return read(payload),
                }
                None
            });
            all.extend(read.map_err(|errno| self.fail(what, "", errno.into()))?);
        }
        match done {
            Some(Err(cause)) => Err(self.fail(what, "", cause)),
            _ => Ok(whole.then_some(all)),
        }
    }

    /// Tells whether `read` makes something of any of the things of a kind, and reads no further.
    pub(super) fn dump_any<T>(
        mut self,
        message: &RouteNetlinkMessage,
        what: &'static str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<bool, Error> {
        for _ in 0..DUMPS {
            let sequence = self.next();
            let mut bytes = Vec::new();
            request::write(message, NLM_F_REQUEST | NLM_F_DUMP, sequence, &mut bytes);
            self.transmit(&bytes).map_err(|errno| self.fail(what, "", errno.into()))?;
            let (mut done, mut whole) = (None, true);
            while done.is_none() {
                let found = self.receive_flagged(|this, flags, answer| {
                    whole &= flags & NLM_F_DUMP_INTR == 0;
                    match answer {
                        Answer::Message(payload) if this == sequence => read(payload),
                        Answer::Result(result) if this == sequence => {
                            done = Some(result);
                            None
                        }
                        _ => None,
                    }
                });
                if !found.map_err(|errno| self.fail(what, "", errno.into()))?.is_empty() {
                    return Ok(true);
                }
            }
            match done {
                Some(Err(cause)) => return Err(self.fail(what, "", cause)),
                _ if whole => return Ok(false),
                _ => {}
            }
        }
        Err(self.unsteady(what))
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn fail(&self, what: &'static str, object: &str, cause: Cause) -> Error {
        Error { what, object: object.to_owned(), within: self.within, cause }
    }

    fn transmit(&self, bytes: &[u8]) -> Result<(), Errno> {
        let kernel = SocketAddrNetlink::new(KERNEL, 0);
        let sent = retry_on_intr(|| sendto(&self.fd, bytes, SendFlags::empty(), &kernel))?;
        if sent == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
    }

    fn receive<T>(&mut self, mut each: impl FnMut(u32, Answer<'_>) -> Option<T>) -> Result<Vec<T>, Errno> {
        self.receive_flagged(|sequence, _, answer| each(sequence, answer))
    }

    /// Waits for the next packet of the kernel and calls `each` with sequence number, flags and content of its messages.
    fn receive_flagged<T>(
        &mut self,
        mut each: impl FnMut(u32, u16, Answer<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Errno> {
        let (length, sender) = retry_on_intr(|| {
            let (_, length, sender) = recvfrom(&self.fd, self.buffer.as_mut_slice(), RecvFlags::TRUNC)?;
            Ok((length, sender))
        })?;
        let sender = sender.and_then(|address| SocketAddrNetlink::try_from(address).ok());
        if sender.is_none_or(|sender| sender.pid() != KERNEL) {
            return Ok(Vec::new());
        }
        // RecvFlags::TRUNC tells the length that the packet had.
        let mut rest = self.buffer.get(..length).ok_or(Errno::MSGSIZE)?;
        let mut all = Vec::new();
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(|_| Errno::BADMSG)?;
            if message.message_type() == NLMSG_OVERRUN {
                return Err(Errno::NOBUFS);
            }
            if message.port_number() == self.port {
                let answer = answer(message.message_type(), message.flags(), message.payload());
                all.extend(each(message.sequence_number(), message.flags(), answer));
            }
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(all)
    }
}

fn open(protocol: Option<Protocol>) -> Result<Socket, Cause> {
    let flags = SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    bind(&fd, &SocketAddrNetlink::new(0, 0))?;
    for option in [NetlinkOption::ExtendedAck, NetlinkOption::CappedAck, NetlinkOption::StrictCheck] {
        set_netlink_option(&fd, option).map_err(|error| error.errno())?;
    }
    let port = SocketAddrNetlink::try_from(getsockname(&fd)?)?.pid();
    Ok(Socket { fd, port, sequence: 0, within: false, buffer: vec![0; ANSWER] })
}

fn answer(kind: u16, flags: u16, payload: &[u8]) -> Answer<'_> {
    match kind {
        NLMSG_ERROR | NLMSG_DONE => {
            let code = attributes::u32(payload).unwrap_or_default().cast_signed();
            if code == 0 {
                return Answer::Result(Ok(()));
            }
            let errno = Errno::from_raw_os_error(-code);
            Answer::Result(Err(Cause { errno, text: text(kind, flags, payload) }))
        }
        _ => Answer::Message(payload),
    }
}

/// The kernel's words beside an error: behind the error number, and behind the request that it repeats.
fn text(kind: u16, flags: u16, payload: &[u8]) -> Option<String> {
    const MESSAGE: u16 = 1; // NLMSGERR_ATTR_MSG
    const NUMBER: usize = 4;
    const HEADER: usize = 16;
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let repeated = match kind {
        NLMSG_DONE => 0,
        _ if flags & NLM_F_CAPPED != 0 => HEADER,
        _ => usize::try_from(attributes::u32_at(payload, NUMBER)?).ok()?.next_multiple_of(4),
    };
    let words = attributes::find(attributes::behind(payload, NUMBER + repeated), MESSAGE)?;
    Some(attributes::text(words))
}
