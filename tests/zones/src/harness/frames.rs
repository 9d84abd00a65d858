//! Ethernet frames as bytes, for what a zone might send, and the look for what of them has arrived.

use super::command::Running;
use super::{Command, Lab, Zone, until};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// All stations.
pub const BROADCAST: Mac = [0xff; 6];
/// Numbers of protocols in IP.
pub const UDP: u8 = 17;
/// Of IPv6's control messages.
pub const ICMP6: u8 = 58;

/// Reads an Ethernet address.
#[track_caller]
#[must_use]
pub fn mac(text: &str) -> Mac {
    let bytes: Vec<u8> =
        text.trim().split(':').filter_map(|digits| u8::from_str_radix(digits, 16).ok()).collect();
    bytes.try_into().unwrap_or_else(|_| panic!("{text:?} is no Ethernet address"))
}

/// A frame to all stations.
#[must_use]
pub fn ethernet(from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&BROADCAST[..], &from, &kind.to_be_bytes(), payload].concat()
}

fn sum(bytes: &[u8]) -> u32 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    words.sum()
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap_or(0)).to_be_bytes()
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// A packet of IP.
#[must_use]
pub fn packet(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (length(payload) + 20).to_be_bytes();
            let mut head =
                [&[0x45, 0][..], &total, &[0, 1, 0, 0, 64, protocol, 0, 0], &from.octets(), &to.octets()]
                    .concat();
            let check = checksum(sum(&head));
            head[10..12].copy_from_slice(&check);
            [head, payload.to_vec()].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let head = [
                &[0x60, 0, 0, 0][..],
                &length(payload).to_be_bytes(),
                &[protocol, 255],
                &from.octets(),
                &to.octets(),
            ];
            [head.concat(), payload.to_vec()].concat()
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// A frame with a datagram of UDP.
#[must_use]
pub fn udp(mac: Mac, from: IpAddr, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let total = length(data) + 8;
    let mut datagram =
        [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &total.to_be_bytes(), &[0, 0], data].concat();
    let (to, kind) = everybody(from);
    if from.is_ipv6() {
        let check = checksum(pseudo(from, to, UDP, &datagram));
        datagram[6..8].copy_from_slice(&check);
    }
    ethernet(mac, kind, &packet(from, to, UDP, &datagram))
}

/// A frame with a message of ICMPv6.
#[must_use]
pub fn icmp6(mac: Mac, from: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0][..], body].concat();
    let (to, ethertype) = everybody(from.into());
    let check = checksum(pseudo(from.into(), to, ICMP6, &message));
    message[2..4].copy_from_slice(&check);
    ethernet(mac, ethertype, &packet(from.into(), to, ICMP6, &message))
}

fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> u32 {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    sum(&octets(from)) + sum(&octets(to)) + u32::from(length(payload)) + u32::from(protocol) + sum(payload)
}

fn everybody(from: IpAddr) -> (IpAddr, u16) {
    match from {
        IpAddr::V4(_) => (Ipv4Addr::BROADCAST.into(), 0x0800),
        IpAddr::V6(_) => (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(), 0x86dd),
    }
}

/// A frame with an answer of ARP: the station `sender` has the address `ip`.
#[must_use]
pub fn arp(from: Mac, sender: Mac, ip: Ipv4Addr) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 2][..], &sender, &ip.octets(), &BROADCAST, &ip.octets()].concat();
    ethernet(from, 0x0806, &body)
}

/// A frame with a neighbour's advertisement: the station `at` has the address `target`.
#[must_use]
pub fn neighbour(from: Mac, ip: Ipv6Addr, target: Ipv6Addr, at: Mac) -> Vec<u8> {
    icmp6(from, ip, 136, &[&[0x20, 0, 0, 0][..], &target.octets(), &[2, 1], &at].concat())
}

/// Sends what is given in hexadecimal digits, each argument a frame.
const SENDER: &str = r#"socket(my $s, 17, 3, 0) or die "socket: $!\n";
open(my $f, "<", "/sys/class/net/eth0/ifindex") or die; my $i = <$f>;
for (@ARGV) { defined send($s, pack("H*", $_), 0, pack("S n i S C C a8", 17, 0, $i, 0, 0, 6, "\xff" x 6)) or die "send: $!\n" }"#;

/// Has the root of a zone send frames by its `eth0`.
#[track_caller]
pub fn send(zone: &Zone<'_>, frames: &[Vec<u8>]) {
    let digits = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut words = vec!["perl".to_owned(), "-e".to_owned(), SENDER.to_owned()];
    words.extend(frames.iter().map(digits));
    zone.zlogin(words).ok();
}

/// Somebody who takes down all frames of a link.
pub struct Ear {
    file: PathBuf,
    program: Running,
}

impl Ear {
    /// Listens on a link of the host.
    #[track_caller]
    #[must_use]
    pub fn of_host(lab: &Lab, link: &str) -> Self {
        let file = lab.path(&format!("{link}.pcap"));
        let command = Command::new("tcpdump").args(listening(link)).args([&file]);
        Self::new(command, file)
    }

    /// Listens on a link of a zone, from inside.
    #[track_caller]
    #[must_use]
    pub fn in_zone(zone: &Zone<'_>, link: &str) -> Self {
        let inside = format!("/root/{link}.pcap");
        let command = zone.zlogin_command(["tcpdump"]).args(listening(link)).args([&inside]);
        Self::new(command, zone.file(&inside))
    }

    #[track_caller]
    fn new(command: Command, file: PathBuf) -> Self {
        const HEADER: u64 = 24;
        let _ = std::fs::remove_file(&file);
        let program = command.within(600).start();
        until("somebody listens", || {
            std::fs::metadata(&file).ok().filter(|file| file.len() >= HEADER).map(drop)
        });
        Self { file, program }
    }

    /// Whether a frame with these bytes has arrived.
    #[must_use]
    pub fn heard(&self, bytes: &[u8]) -> bool {
        let all = std::fs::read(&self.file).unwrap_or_default();
        all.windows(bytes.len()).any(|window| window == bytes)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.program.kill();
    }
}

fn listening(link: &str) -> [String; 9] {
    ["-Z", "root", "-n", "-U", "-s", "0", "-i", link, "-w"].map(str::to_owned)
}
