//! What tests need: network namespaces of their own, and the programs of iproute2 to look with.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use serde_json::Value;
use zone_config::ZoneName;
use zone_config::layout::{InstallationId, Layout};
use zone_sys::clone::Namespaces;

use crate::interface::Attachment;
use crate::names::Owner;
use crate::rt::namespace;
use crate::spec::Protection;
use crate::{Interface, Mac};

/// Runs a test on a thread with a network namespace of its own, loopback up: what is called the host in it.
pub(crate) fn alone(test: impl FnOnce() + Send) {
    let run = move || {
        zone_sys::namespace::unshare(Namespaces::NET).unwrap();
        zone_sys::net::loopback_up().unwrap();
        test();
    };
    thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Makes a network namespace, for what is called a zone.
pub(crate) fn namespace() -> OwnedFd {
    let make = || {
        zone_sys::namespace::unshare(Namespaces::NET).unwrap();
        namespace::current().unwrap()
    };
    thread::spawn(make).join().unwrap()
}

/// Ends a test, counted as skipped, when there is a program that it cannot do without.
#[macro_export]
macro_rules! needs_program {
    ($program:literal) => {
        if !$crate::testing::has($program) {
            return zone_testing::skip(concat!(file!(), ":", line!()), concat!("needs ", $program));
        }
    };
}

pub(crate) fn has(program: &str) -> bool {
    Command::new(program).arg("-V").output().is_ok()
}

/// Runs a program in the network namespace of the calling thread, gives what it prints.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that prints JSON.
pub(crate) fn json(line: &str) -> Value {
    let text = run(line);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

/// Runs something in another network namespace.
pub(crate) fn within<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    namespace::within(netns.as_fd(), work).unwrap()
}

/// A zone of a made-up installation, and its namespace.
pub(crate) struct Zone {
    pub(crate) installation: InstallationId,
    pub(crate) name: ZoneName,
    pub(crate) netns: OwnedFd,
}

impl Zone {
    pub(crate) fn new(name: &str) -> Self {
        let installation = Layout::new(Some("/nowhere/at/all".into())).unwrap().id();
        Self { installation, name: name.parse().unwrap(), netns: namespace() }
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner { installation: self.installation, zone: &self.name }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    pub(crate) fn interface(&self, net: usize, attachment: Attachment, addresses: &[&str]) -> Interface {
        Interface {
            host: self.owner().link(net),
            alias: format!("zone-{}-net{net}", self.name),
            inside: format!("eth{net}"),
            attachment,
            mac: self.owner().mac(net),
            mtu: None,
            addresses: nets(addresses),
            routers: Vec::new(),
            allowed: Vec::new(),
            host_addresses: Vec::new(),
            dhcp: false,
            bandwidth: None,
            protection: Protection::default(),
        }
    }
}

pub(crate) fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

/// Answers what comes to an address in a namespace, once, and says who asked; a datagram goes there from the caller's
/// namespace and is waited for.
pub(crate) fn echo(server: &OwnedFd, address: &str) -> IpAddr {
    let listening = within(server, || UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap());
    let there = listening.local_addr().unwrap();
    exchange(&listening, there)
}

/// Passes datagrams between a socket and a new one of the caller's namespace until one has been answered.
fn exchange(listening: &UdpSocket, there: SocketAddr) -> IpAddr {
    const TRIES: usize = 100;
    let any: IpAddr = if there.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let asking = UdpSocket::bind((any, 0)).unwrap();
    for socket in [listening, &asking] {
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    }
    let mut bytes = [0; 16];
    for _ in 0..TRIES {
        let _ = asking.send_to(b"ask", there);
        let Ok((length, from)) = listening.recv_from(&mut bytes) else { continue };
        assert_eq!(&bytes[..length], b"ask");
        let _ = listening.send_to(b"answer", from);
        if asking
            .recv_from(&mut bytes)
            .is_ok_and(|(length, from)| &bytes[..length] == b"answer" && from == there)
        {
            return from.ip();
        }
    }
    panic!("{there} does not answer");
}
