//! Network namespaces for tests: a host, and what is attached to it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::net::{RecvFlags, SendFlags};
use zone_sys::clone::Namespaces;

/// A network namespace that ends with the test.
pub(crate) struct Netns(OwnedFd);

impl Netns {
    pub(crate) fn new() -> Self {
        let make = || {
            zone_sys::namespace::unshare(Namespaces::NET).unwrap();
            zone_sys::net::loopback_up().unwrap();
            // Frames of bridges are nobody's business here, as on a host without Docker.
            for family in ["iptables", "ip6tables", "arptables"] {
                let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0");
            }
            // Addresses of IPv6 are good at once.
            std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            std::fs::File::open("/proc/thread-self/ns/net").unwrap().into()
        };
        Self(std::thread::scope(|scope| scope.spawn(make).join().unwrap()))
    }

    /// Does something in it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            rustix::thread::move_into_link_name_space(self.0.as_fd(), None).unwrap();
            work()
        };
        match std::thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs a program in it, its words between blanks, and returns what it prints.
    pub(crate) fn sh(&self, line: &str) -> String {
        let (works, printed) = self.try_sh(line);
        assert!(works, "{line}: {printed}");
        printed
    }

    pub(crate) fn try_sh(&self, line: &str) -> (bool, String) {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap();
        let output = self.run(|| Command::new(program).args(words).stdin(Stdio::null()).output().unwrap());
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs several.
    pub(crate) fn all(&self, lines: &[&str]) {
        for line in lines {
            self.sh(line);
        }
    }

    /// The name by which ip(8) finds it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// The Ethernet side of a link of it.
    pub(crate) fn wire(&self, link: &str) -> Wire {
        self.run(|| {
            let index = rustix::net::netdevice::name_to_index(zone_sys_socket(), link).unwrap();
            let socket = zone_sys::net::packet_socket(index).unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20).unwrap();
            Wire(socket)
        })
    }
}

fn zone_sys_socket() -> OwnedFd {
    rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None).unwrap()
}

/// Frames to and from a link.
pub(crate) struct Wire(OwnedFd);

impl Wire {
    pub(crate) fn send(&self, frame: &[u8]) {
        rustix::net::send(&self.0, frame, SendFlags::empty()).unwrap();
    }

    /// The frames that have arrived, up to one that ends with a tail.
    pub(crate) fn until(&self, tail: &[u8]) -> Vec<Vec<u8>> {
        let until = Instant::now() + Duration::from_secs(10);
        let mut frames = Vec::new();
        let mut buffer = vec![0; 70000];
        loop {
            match rustix::net::recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    frames.push(buffer[..length].to_vec());
                    if buffer[..length].ends_with(tail) {
                        return frames;
                    }
                }
                Err(_) => {
                    assert!(Instant::now() < until, "the last frame never came");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}

/// A link between two namespaces.
pub(crate) fn veth(one: &Netns, name: &str, two: &Netns, other: &str) {
    one.sh(&format!("ip link add {name} type veth peer name {other} netns {}", two.path()));
    one.sh(&format!("ip link set {name} up"));
    two.sh(&format!("ip link set {other} up"));
}
