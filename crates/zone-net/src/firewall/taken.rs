//! Who has a port of the host already.

use std::fmt;
use std::path::Path;

use zone_config::ZoneName;

use super::{Error, PortSpec};
use crate::rt::waiting::{self, Waiting};
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
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let wanted = || ports.iter().filter(|port| port.protocol == protocol);
        if wanted().next().is_none() {
            continue;
        }
        let sockets = sockets(protocol)?;
        for port in wanted() {
            if let Some(socket) = sockets.iter().find(|socket| is_hit(port, socket)) {
                return Err(Error::Taken { port: port.clone(), holder: holder(socket.inode) });
            }
        }
    }
    Ok(())
}

/// The sockets of the caller's network namespace that wait for peers.
fn sockets(protocol: Protocol) -> Result<Vec<Waiting>, Error> {
    // What the kernel has against that, such as that it has no module for it: its tables say the same, and more.
    waiting::sockets(protocol).or_else(|_| {
        let files = match protocol {
            Protocol::Tcp => ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"],
            Protocol::Udp => ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"],
        };
        let mut all = Vec::new();
        for file in files {
            match std::fs::read_to_string(file) {
                Ok(text) => all.extend(waiting::of_table(&text, protocol)),
                // A kernel without IPv6.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Listening { file, source }),
            }
        }
        Ok(all)
    })
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
    fn a_socket_has_the_ports_of_its_address() {
        let waiting = |address: &str, port| Waiting { address: address.parse().unwrap(), port, inode: 4711 };
        assert!(is_hit(&port(Protocol::Tcp, None, 8000, 8100), &waiting("127.0.0.1", 8080)));
        assert!(!is_hit(&port(Protocol::Tcp, None, 8000, 8079), &waiting("127.0.0.1", 8080)));
        assert!(!is_hit(&port(Protocol::Tcp, Some("192.0.2.1"), 8080, 8080), &waiting("127.0.0.1", 8080)));
        assert!(is_hit(&port(Protocol::Tcp, Some("192.0.2.1"), 22, 22), &waiting("0.0.0.0", 22)));
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
