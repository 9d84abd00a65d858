//! Directories of servers, by version 4 of NFS, which needs nothing but the server's port.
//!
//! The kernel's client is the host's: it speaks from the host's network, by the host's name. Linux maps no owners of such a file
//! system, so its files keep the server's numbers, and the zone's processes are on the server who they are on the host. A server
//! that is not there is found out before, by a connection, for the kernel would go on asking.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zone_config::filesystem;
use zone_sys::Chain;

use super::disk::is_known;
use super::options::Options;
use super::{Own, Unfit};
use crate::mountinfo::Mount;
use crate::mounts::new_fs_of;

/// The port of NFS, and what is spoken if nothing is said.
const PORT: u16 = 2049;
const VERSION: &str = "4.2";

/// What asks the host for addresses, as the host's programs do: by whatever /etc/nsswitch.conf names.
const RESOLVER: &str = "getent";
/// As many addresses are tried, and so much of its answer is read.
const MOST: usize = 8;
const LONGEST: u64 = 65_536;
/// How often it is looked whether it has answered.
const LOOK: Duration = Duration::from_millis(5);

/// A server's directory that a zone cannot have.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No server and directory.
    #[error("{special:?} names no directory of a server; allowed: {allowed}")]
    Special {
        /// What was given.
        special: String,
        /// What would be one.
        allowed: &'static str,
    },
    /// The kernel does not know the type.
    #[error(
        "this kernel has no file system nfs: load its module (modprobe nfs), or boot a kernel that has it"
    )]
    Unknown,
    /// Its owners cannot be had.
    #[error("Linux maps no owners of a server: set owners=host")]
    Owners,
    /// Nobody knows where it is.
    #[error("the server {0} has no address that this host knows: look with 'getent ahosts {0}'")]
    Unresolved(String),
    /// It is not there.
    #[error(
        "the server {host} does not answer on port {port} ({why}): start its NFS, or look at the network"
    )]
    Silent {
        /// The server.
        host: String,
        /// Where it was tried.
        port: u16,
        /// What the kernel said.
        why: String,
    },
}

/// A directory of a server.
#[derive(Debug)]
pub(crate) struct Server {
    special: String,
    port: u16,
    limit: Duration,
    /// Where it answered; nowhere yet of one that the zone has.
    address: Option<IpAddr>,
}

impl Server {
    /// Looks for the server, for as long as `limit`, unless the zone has it and it may be away just now.
    pub(super) fn look(
        special: &str,
        options: &Options<'_>,
        limit: Duration,
        own: Own<'_>,
    ) -> Result<Self, ServerError> {
        let refused = |allowed| ServerError::Special { special: special.to_owned(), allowed };
        filesystem::server(special).map_err(refused)?;
        if !is_known("nfs") {
            return Err(ServerError::Unknown);
        }
        let given = options.values.iter().find(|(name, _)| *name == "port");
        let port = given.and_then(|(_, port)| port.parse().ok()).unwrap_or(PORT);
        let mut server = Self { special: special.to_owned(), port, limit, address: None };
        if !matches!(own, Own::Any) {
            server.address = Some(server.find()?);
        }
        Ok(server)
    }

    /// Finds an address at which it answers.
    fn find(&self) -> Result<IpAddr, ServerError> {
        let refused = |allowed| ServerError::Special { special: self.special.clone(), allowed };
        let (host, _) = filesystem::server(&self.special).map_err(refused)?;
        let until = Instant::now() + self.limit;
        let mut why = None;
        for address in addresses(host, until) {
            let left = until.saturating_duration_since(Instant::now()).max(LOOK);
            match TcpStream::connect_timeout(&SocketAddr::new(address, self.port), left) {
                Ok(_) => return Ok(address),
                Err(error) => why = Some(error),
            }
        }
        Err(match why {
            None => ServerError::Unresolved(host.to_owned()),
            Some(error) => {
                let why = Chain(&error).to_string();
                ServerError::Silent { host: host.to_owned(), port: self.port, why }
            }
        })
    }

    /// Whether a mount is of it.
    pub(super) fn is_mounted_as(&self, mount: &Mount) -> bool {
        mount.fstype.starts_with("nfs") && mount.source == self.special
    }

    /// Mounts it, detached.
    pub(super) fn mount(&self, dir: &str, options: &Options<'_>) -> Result<OwnedFd, Unfit> {
        let address = self.address.map_or_else(|| self.find(), Ok)?.to_string();
        // A file system of the zone's own, not one with what others have of the server: see `forsake`.
        let mut given = vec![("addr", address.as_str()), ("nosharecache", "")];
        if !options.values.iter().any(|(name, _)| *name == "vers") {
            given.push(("vers", VERSION));
        }
        given.extend(&options.values);
        Ok(new_fs_of(dir, "nfs", &self.special, &given, options.mount_attributes())?)
    }
}

/// The addresses of a server, in the order in which they are to be tried.
fn addresses(host: &str, until: Instant) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let text = ask(host, until).unwrap_or_default();
    let mut found: Vec<IpAddr> = Vec::new();
    for address in text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()) {
        if !found.contains(&address) && found.len() < MOST {
            found.push(address);
        }
    }
    found
}

/// Asks for addresses by a process of its own: names are found by whatever the host has for it, and that may hang.
fn ask(host: &str, until: Instant) -> io::Result<String> {
    let mut command = Command::new(RESOLVER);
    command.args(["ahosts", host]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK);
    }
    let mut text = String::new();
    // What is in a pipe by now is all that there is, and less than this.
    child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use zone_config::config::FsType;

    #[test]
    fn addresses_come_from_the_host() {
        let soon = || Instant::now() + Duration::from_secs(10);
        assert_eq!(addresses("10.0.0.1", soon()), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(addresses("localhost", soon()).iter().any(IpAddr::is_loopback));
        assert_eq!(addresses("no-such-host.invalid", soon()), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_server_is_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = format!("port={}", listener.local_addr().unwrap().port());
        let given = [port];
        let options = Options::parse(FsType::Nfs, &given).unwrap();
        let look = || Server::look("127.0.0.1:/export", &options, Duration::from_secs(10), Own::Nothing);
        let here = look();
        drop(listener);
        let gone = look();
        if !is_known("nfs") {
            assert!(matches!(here, Err(ServerError::Unknown)), "{here:?}");
            return;
        }
        assert_eq!(here.unwrap().address, Some(IpAddr::from([127, 0, 0, 1])));
        assert!(matches!(gone, Err(ServerError::Silent { .. })), "{gone:?}");
    }
}
