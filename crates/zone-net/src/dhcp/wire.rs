//! The socket: frames of DHCP to and from the links of a zone, and the wait for answers.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::rand::{GetRandomFlags, getrandom};
use zone_sys::seccomp::instruction;

use super::client::{Client, Heard};
use super::lease::{Lease, now, wall};
use super::message::{CLIENT, LARGEST, Words, answer, frame};
use super::{DhcpError, Identity};
use crate::rt::{self, Link, namespace};

/// How often it is looked whether the whole has been called off.
const LOOK: Duration = Duration::from_millis(100);
/// How many frames are read of one link before another one has its turn.
const TURN: usize = 64;
/// How long it rests after a whole turn.
const PAUSE: Duration = Duration::from_millis(5);
const ETHER_IP: u16 = 0x0800;

/// One link of a zone that is to have, or to keep, an address.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Names the link in the zone's network namespace.
    pub link: &'a str,
    /// By what servers know it.
    pub identity: Identity,
    /// What it has; `None` asks for an address.
    pub lease: Option<&'a Lease>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An address was given, or more time with the one that there is.
    Granted(Box<Lease>),
    /// The server says that the address is not the zone's any more.
    Refused,
    /// Means that nobody has answered for as long as it was waited for.
    Silent,
}

/// Asks the servers on the links of a network namespace, all at once, and waits for their answers: as long as `patience`, or
/// until it is `called_off`. The answers are in the order of the questions.
///
/// # Errors
/// [`DhcpError`]; also when a link goes while its answer is waited for.
pub fn ask(
    netns: BorrowedFd<'_>,
    questions: &[Question<'_>],
    patience: Duration,
    called_off: &dyn Fn() -> bool,
) -> Result<Vec<Outcome>, DhcpError> {
    let begun = now();
    let mut asking = Vec::new();
    for (question, socket) in questions.iter().zip(open(netns, questions)?) {
        let client = Client::new(question.lease, random()?, begun);
        asking.push(Asking { question, socket, client, outcome: None });
    }
    loop {
        let time = now();
        for one in asking.iter_mut().filter(|one| one.outcome.is_none()) {
            one.speak(time)?;
            one.listen()?;
        }
        let waiting: Vec<_> = asking.iter().filter(|one| one.outcome.is_none()).collect();
        let next = waiting.iter().map(|one| one.client.at()).min();
        let Some(next) = next.filter(|_| time < begun + patience && !called_off()) else { break };
        let wait = next.min(begun + patience).saturating_sub(now()).min(LOOK);
        let mut fds: Vec<_> = waiting.iter().map(|one| PollFd::new(&one.socket, PollFlags::IN)).collect();
        match poll(&mut fds, Timespec::try_from(wait).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(waiting.first().map_or(DhcpError::Enter(errno), |one| one.lost(errno))),
        }
    }
    Ok(asking.into_iter().map(|one| one.outcome.unwrap_or(Outcome::Silent)).collect())
}

/// Gives an address back, if the server can be told at all: nobody answers that.
///
/// # Errors
/// [`DhcpError`].
pub fn release(
    netns: BorrowedFd<'_>,
    link: &str,
    identity: &Identity,
    lease: &Lease,
) -> Result<(), DhcpError> {
    let question = Question { link, identity: identity.clone(), lease: Some(lease) };
    let words = Words::Release { address: lease.address.addr(), server: lease.server, at: lease.server_mac };
    let Some(bytes) = frame(identity, words, random()?, 0) else { return Ok(()) };
    for socket in open(netns, &[question])? {
        let sent = send(&socket, &bytes, SendFlags::DONTWAIT);
        sent.map_err(|errno| failed(link, "send", errno))?;
    }
    Ok(())
}

/// Opens a socket on each link.
fn open(netns: BorrowedFd<'_>, questions: &[Question<'_>]) -> Result<Vec<OwnedFd>, DhcpError> {
    let filter = filter();
    let open = || {
        let mut socket = rt::Socket::here()?.inside();
        let links = running(&mut socket, questions)?;
        let one = |question: &Question<'_>| {
            let is = |link: &&Link| link.name == question.link;
            let link = links.iter().find(is).ok_or_else(|| DhcpError::Gone(question.link.to_owned()))?;
            let opened = zone_sys::net::filtered_packet_socket(link.index, ETHER_IP, &filter);
            opened.map_err(|source| DhcpError::Socket { net: question.link.to_owned(), source })
        };
        questions.iter().map(one).collect()
    };
    namespace::within(netns, open).map_err(DhcpError::Enter)?
}

/// Lists the links, once those that are asked about send: what is said before that is lost without a word, and said again
/// only later. One that has no line yet is not waited for.
fn running(socket: &mut rt::Socket, questions: &[Question<'_>]) -> Result<Vec<Link>, rt::Error> {
    const LOOKS: usize = 100;
    const PAUSE: Duration = Duration::from_millis(1);
    let mut links = socket.links()?;
    for _ in 0..LOOKS {
        let waits = |link: &Link| link.up && link.carrier && !link.running;
        let asked = |link: &&Link| questions.iter().any(|question| question.link == link.name);
        if !links.iter().filter(asked).any(waits) {
            break;
        }
        std::thread::sleep(PAUSE);
        links = socket.links()?;
    }
    Ok(links)
}

/// Lets UDP to a client's port through, not in fragments, and nothing else: a link may be busy with other things.
fn filter() -> [[u8; 8]; 9] {
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    const LOAD_INDEXED: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
    const INDEX_BY_LENGTH: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
    const IF_SAME: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const IF_ANY: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const UDP: u32 = 17;
    [
        instruction(LOAD_BYTE, 0, 0, 14 + 9),
        instruction(IF_SAME, 0, 6, UDP),
        instruction(LOAD_HALF, 0, 0, 14 + 6),
        instruction(IF_ANY, 4, 0, 0x3fff),
        instruction(INDEX_BY_LENGTH, 0, 0, 14),
        instruction(LOAD_INDEXED, 0, 0, 14 + 2),
        instruction(IF_SAME, 0, 1, u32::from(CLIENT)),
        instruction(RETURN, 0, 0, u32::MAX),
        instruction(RETURN, 0, 0, 0),
    ]
}

fn random() -> Result<u32, DhcpError> {
    let mut bytes = [0; 4];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(DhcpError::Random)?;
    Ok(u32::from_ne_bytes(bytes))
}

fn failed(link: &str, call: &'static str, errno: Errno) -> DhcpError {
    DhcpError::Socket { net: link.to_owned(), source: zone_sys::Error::new(call, errno) }
}

/// A question that has no answer yet.
struct Asking<'a> {
    question: &'a Question<'a>,
    socket: OwnedFd,
    client: Client,
    outcome: Option<Outcome>,
}

impl Asking<'_> {
    fn lost(&self, errno: Errno) -> DhcpError {
        failed(self.question.link, "poll", errno)
    }

    /// Says what is to be said. What a link does not take just now is lost as it would be on the wire, and said again.
    fn speak(&mut self, time: Duration) -> Result<(), DhcpError> {
        let Some(words) = self.client.say(time) else { return Ok(()) };
        let bytes = frame(&self.question.identity, words, self.client.xid(), self.client.secs(time));
        let Some(bytes) = bytes else { return Ok(()) };
        match send(&self.socket, &bytes, SendFlags::DONTWAIT) {
            Ok(_) | Err(Errno::NETDOWN | Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(Errno::NXIO | Errno::NODEV) => Err(DhcpError::Gone(self.question.link.to_owned())),
            Err(errno) => Err(failed(self.question.link, "send", errno)),
        }
    }

    fn listen(&mut self) -> Result<(), DhcpError> {
        let mut bytes = [0; LARGEST];
        for _ in 0..TURN {
            let length = match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                // The link is down; it may come back.
                Err(Errno::NETDOWN) => return Ok(()),
                Err(errno) => return Err(failed(self.question.link, "recv", errno)),
            };
            let bytes = bytes.get(..length).unwrap_or_default();
            let Some(answer) = answer(bytes, self.question.identity.mac, self.client.xid()) else { continue };
            self.outcome = match self.client.hear(&answer, now(), wall()) {
                Heard::Nothing => continue,
                Heard::Granted(lease) => Some(Outcome::Granted(Box::new(lease))),
                Heard::Refused => Some(Outcome::Refused),
            };
            return Ok(());
        }
        // Whoever floods the link does not get the processor, too.
        std::thread::sleep(PAUSE);
        Ok(())
    }
}
