//! Sockets that wait for peers: those of TCP that listen, and those of UDP without a peer.
//!
//! The kernel is asked for just these (sock_diag(7)), so that the answer is as short as they are few. The tables of proc_net(5) have
//! every connection of the host as well, and reading them looks at each place where one could be: milliseconds on an idle
//! machine, megabytes on a busy one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Parseable;
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags};
use rustix::net::netlink;

use super::{Error, Socket};
use crate::spec::Protocol;

/// A socket that waits for peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The address that it is bound to; an IPv4 address of an IPv6 socket is one of IPv4.
    pub address: IpAddr,
    /// The port that it is bound to.
    pub port: u16,
    /// The inode by which the descriptors of processes name it.
    pub inode: u64,
}

/// Asks for the sockets of one protocol that wait for peers, in the network namespace of the calling thread.
///
/// # Errors
/// What the kernel says: `ENOENT` where it has no `inet_diag` for the protocol or the family, and cannot load it.
pub fn sockets(protocol: Protocol) -> Result<Vec<Waiting>, Error> {
    let mut socket = Socket::speaking(Some(netlink::SOCK_DIAG))?;
    let (number, states) = match protocol {
        Protocol::Tcp => (IPPROTO_TCP, StateFlags::LISTEN),
        Protocol::Udp => (IPPROTO_UDP, StateFlags::CLOSE),
    };
    let mut all = Vec::new();
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let request = InetRequest {
            family,
            protocol: number,
            extensions: ExtensionFlags::empty(),
            states: states.clone(),
            socket_id,
        };
        all.extend(socket.dump(&SockDiagMessage::InetRequest(request), "list the sockets", read)?);
    }
    Ok(all)
}

fn read(payload: &[u8]) -> Option<Waiting> {
    let found = InetResponseHeader::parse(payload).ok()?;
    let address = found.socket_id.source_address.to_canonical();
    Some(Waiting { address, port: found.socket_id.source_port, inode: found.inode.into() })
}

/// Reads the sockets of one protocol that wait for peers from a table of proc_net(5): what a kernel without `inet_diag` has.
#[must_use]
pub fn of_table(text: &str, protocol: Protocol) -> Vec<Waiting> {
    // TCP_LISTEN and TCP_CLOSE of the kernel.
    let state = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let local = words.nth(1)?;
        let is_waiting = words.nth(1)? == state;
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let inode = words.nth(5)?.parse().ok()?;
        is_waiting.then_some(Waiting { address: address_of(address)?, port, inode })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// An address as the kernel prints it: words of 32 bits in its own byte order.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for start in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn the_kernel_and_its_tables_say_the_same() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        // A socket of both families.
        let both = UdpSocket::bind("[::]:0").unwrap();
        let mapped = UdpSocket::bind("[::ffff:127.0.0.1]:0").unwrap();
        let talking = UdpSocket::bind("127.0.0.1:0").unwrap();
        talking.connect(("127.0.0.1", mapped.local_addr().unwrap().port())).unwrap();
        let tables = |names: [&str; 2], protocol| {
            let texts =
                names.map(|name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap());
            texts.iter().flat_map(|text| of_table(text, protocol)).collect::<Vec<_>>()
        };
        for (protocol, names, waits, rest) in [
            (Protocol::Tcp, ["tcp", "tcp6"], vec![inode(&listener)], vec![inode(&client), inode(&server)]),
            (Protocol::Udp, ["udp", "udp6"], vec![inode(&both), inode(&mapped)], vec![inode(&talking)]),
        ] {
            // Others have sockets, too, which come and go.
            let own = |mut all: Vec<Waiting>| {
                all.retain(|socket| waits.contains(&socket.inode) || rest.contains(&socket.inode));
                all.sort_by_key(|socket| waits.iter().position(|inode| *inode == socket.inode));
                all
            };
            let told = own(tables(names, protocol));
            assert_eq!(told.iter().map(|socket| socket.inode).collect::<Vec<_>>(), waits);
            match sockets(protocol) {
                Ok(all) => assert_eq!(own(all), told),
                Err(error) => {
                    zone_testing::skip(concat!(file!(), ":", line!()), &format!("needs inet_diag: {error}"));
                }
            }
        }
        assert_eq!(mapped.local_addr().unwrap().ip().to_canonical(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn a_table_is_read_as_the_kernel_prints_it() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
                    1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1\n   \
                    2: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        if cfg!(target_endian = "little") {
            assert_eq!(
                of_table(text, Protocol::Tcp),
                [
                    Waiting { address: Ipv4Addr::LOCALHOST.into(), port: 8080, inode: 4711 },
                    Waiting { address: Ipv4Addr::UNSPECIFIED.into(), port: 22, inode: 4712 }
                ]
            );
        }
        assert_eq!(of_table("", Protocol::Udp), []);
    }
}
