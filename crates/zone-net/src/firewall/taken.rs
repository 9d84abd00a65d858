//! Who has a port of the host already.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use zone_config::ZoneName;

use super::{Error, PortSpec};
use crate::spec::Protocol;

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A program of the host that listens there.
    Program {
        /// Its name, as the kernel has it.
        name: String,
        /// Its process.
        pid: u32,
    },
    /// A socket of the host that is in no process that can be seen.
    Socket,
    /// A zone that it leads into.
    Zone(ZoneName),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { name, pid } => {
                let name: String = name.chars().filter(|c| !c.is_control()).collect();
                write!(f, "{name} (pid {pid})")
            }
            Self::Socket => f.write_str("a socket of the host's kernel, or of a process that cannot be seen"),
            Self::Zone(zone) => write!(f, "zone {zone}"),
        }
    }
}

/// A socket of the host that waits for peers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Checks that nobody has one of these ports of the host: no socket of the caller's network namespace, and none of the
/// zones given with the ports that lead into them. A rule would win over a socket, which would go deaf.
///
/// # Errors
/// [`Error::Taken`], with who has it; [`Error::Listening`] if that cannot be read.
pub fn free<'a>(
    ports: &[PortSpec],
    zones: impl IntoIterator<Item = (&'a ZoneName, &'a [PortSpec])>,
) -> Result<(), Error> {
    free_of_zones(ports, zones)?;
    for (file, protocol) in [
        ("/proc/thread-self/net/tcp", Protocol::Tcp),
        ("/proc/thread-self/net/tcp6", Protocol::Tcp),
        ("/proc/thread-self/net/udp", Protocol::Udp),
        ("/proc/thread-self/net/udp6", Protocol::Udp),
    ] {
        if !ports.iter().any(|port| port.protocol == protocol) {
            continue;
        }
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            // A kernel without IPv6.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::Listening { file, source }),
        };
        let sockets = waiting(&text, protocol);
        for port in ports.iter().filter(|port| port.protocol == protocol) {
            if let Some(socket) = sockets.iter().find(|socket| is_hit(port, socket)) {
                return Err(Error::Taken { port: port.clone(), holder: holder(socket.inode) });
            }
        }
    }
    Ok(())
}

/// Checks that none of the zones given has one of these ports, whatever sockets there are.
///
/// # Errors
/// [`Error::Taken`], with who has it.
pub fn free_of_zones<'a>(
    ports: &[PortSpec],
    zones: impl IntoIterator<Item = (&'a ZoneName, &'a [PortSpec])>,
) -> Result<(), Error> {
    for (zone, theirs) in zones {
        for port in ports {
            if theirs.iter().any(|other| overlap(port, other)) {
                return Err(Error::Taken { port: port.clone(), holder: Holder::Zone(zone.clone()) });
            }
        }
    }
    Ok(())
}

/// Tells whether two zones want the same port.
fn overlap(one: &PortSpec, two: &PortSpec) -> bool {
    let hosts = match (one.host, two.host) {
        (Some(one), Some(two)) => one == two,
        _ => true,
    };
    one.protocol == two.protocol && one.first <= two.last && two.first <= one.last && hosts
}

fn is_hit(port: &PortSpec, socket: &Waiting) -> bool {
    let host = port.host.is_none_or(|host| socket.address.is_unspecified() || socket.address == host);
    (port.first..=port.last).contains(&socket.port) && host
}

/// Reads the sockets that wait for peers from a file of proc_net(5): those of TCP that listen, those of UDP without peer.
fn waiting(text: &str, protocol: Protocol) -> Vec<Waiting> {
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
        16 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
            Some(address.to_ipv4_mapped().map_or(address.into(), IpAddr::from))
        }
        _ => None,
    }
}

/// Finds the program that has a socket.
fn holder(inode: u64) -> Holder {
    let wanted = format!("socket:[{inode}]");
    let has = |process: &Path| {
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors
            .into_iter()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if has(&process.path()) {
            let name = zone_sys::proc::text(process.path().join("comm")).unwrap_or_default();
            return Holder::Program { name: name.trim_end().to_owned(), pid };
        }
    }
    Holder::Socket
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(protocol: Protocol, host: Option<&str>, first: u16, last: u16) -> PortSpec {
        PortSpec { protocol, host: host.map(|host| host.parse().unwrap()), first, last, to: first }
    }

    #[test]
    fn listening_sockets_are_read_as_the_kernel_prints_them() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
                    1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1\n   \
                    2: 0100007F:1F91 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        if cfg!(target_endian = "little") {
            let found = waiting(text, Protocol::Tcp);
            assert_eq!(
                found,
                [
                    Waiting { address: Ipv4Addr::LOCALHOST.into(), port: 8080, inode: 4711 },
                    Waiting { address: Ipv4Addr::UNSPECIFIED.into(), port: 22, inode: 4712 }
                ]
            );
            assert!(is_hit(&port(Protocol::Tcp, None, 8000, 8100), &found[0]));
            assert!(!is_hit(&port(Protocol::Tcp, Some("192.0.2.1"), 8080, 8080), &found[0]));
            assert!(is_hit(&port(Protocol::Tcp, Some("192.0.2.1"), 22, 22), &found[1]));
        }
        assert_eq!(waiting("", Protocol::Udp), []);
    }

    #[test]
    fn another_zones_port_is_taken() {
        let web: ZoneName = "web".parse().unwrap();
        let theirs = [port(Protocol::Tcp, None, 9000, 9010)];
        let check = |port: PortSpec| {
            free(&[port], [(&web, &theirs[..])])
                .map_err(|error| error.to_string())
                .map_or_else(|e| e, |()| "free".to_owned())
        };
        assert_eq!(
            check(port(Protocol::Tcp, Some("192.0.2.1"), 9010, 9020)),
            "port tcp 192.0.2.1:9010-9020 of the host is already that of zone web; choose another one"
        );
        assert_eq!(check(port(Protocol::Udp, None, 9010, 9010)), "free");
    }
}
