//! Frames for the tests: good ones and forged ones.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) const MAC: [u8; 6] = [0x02, 0xfc, 0, 0, 0, 1];
pub(super) const OTHER_MAC: [u8; 6] = [0x02, 0xfc, 0, 0, 0, 0x99];
pub(super) const ALL: [u8; 6] = [0xff; 6];

pub(super) fn ether(source: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&ALL[..], &source, &kind.to_be_bytes(), payload].concat()
}

/// A frame with VLAN tags before what is in it.
pub(super) fn tagged(source: [u8; 6], tags: &[u16], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&ALL[..], &source].concat();
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 5]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(super) fn arp(operation: u16, sender: [u8; 6], from: &str, to: &str) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
    let head = [0, 1, 8, 0, 6, 4];
    [&head[..], &operation.to_be_bytes(), &sender, &address(from), &[0; 6], &address(to)].concat()
}

pub(super) fn ip4(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip4_fragment(from, to, protocol, 0, payload)
}

/// An IPv4 packet with the field of flags and offset.
pub(super) fn ip4_fragment(from: &str, to: &str, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap();
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(from.parse::<Ipv4Addr>().unwrap().octets());
    header.extend(to.parse::<Ipv4Addr>().unwrap().octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    header.extend(payload);
    header
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

pub(super) fn ip6(from: &str, to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let length = u16::try_from(payload.len()).unwrap();
    [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[next, 255], &address(from), &address(to), payload]
        .concat()
}

pub(super) fn udp(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 24, 0, 0], &[0x55; 16]].concat()
}

/// An ICMPv6 message: type, then what follows the checksum.
pub(super) fn icmp6(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], rest].concat()
}

/// What follows the checksum in neighbour discovery with a target.
pub(super) fn target(address: &str, options: &[u8]) -> Vec<u8> {
    [&[0x60, 0, 0, 0][..], &address.parse::<Ipv6Addr>().unwrap().octets(), options].concat()
}

/// A link-layer address option.
pub(super) fn option(kind: u8, mac: [u8; 6]) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

/// An extension header of eight bytes before something: hop-by-hop (0), destination options (60).
pub(super) fn extension(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0][..], payload].concat()
}

/// A fragment header before something: the offset in bytes, and whether more follow.
pub(super) fn fragment(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = offset | u16::from(more);
    [&[next, 0][..], &field.to_be_bytes(), &[0, 0, 0, 7], payload].concat()
}

/// What a DHCP server says: the type of its message, whom to, and the address.
pub(super) fn dhcp(kind: u8, mac: [u8; 6], address: &str) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[2, 1, 6]);
    message[16..20].copy_from_slice(&address.parse::<Ipv4Addr>().unwrap().octets());
    message[28..34].copy_from_slice(&mac);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, kind, 255]);
    [&[0, 67, 0, 68, 0, 252, 0, 0][..], &message].concat()
}
