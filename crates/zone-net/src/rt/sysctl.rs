//! Settings of a link that rtnetlink does not have: `/proc/sys/net`.
//!
//! What is there shows the network namespace of the thread that looks, so what is for another one is written in
//! [`namespace::within`](super::namespace::within).

use std::fmt;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, read, retry_on_intr, write};

/// A setting of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// Says in which family's tree the setting is.
    pub family: Family,
    /// The link; `all` and `default` are what they are to the kernel.
    pub link: &'a str,
    /// Names the file below the link's folder, such as `accept_ra`.
    pub name: &'static str,
}

/// A family of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Means the settings below `net.ipv4.conf`.
    V4,
    /// Means the settings below `net.ipv6.conf`, which a kernel without IPv6 does not have.
    V6,
}

/// A setting that could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not {what} {path}")]
pub struct Error {
    what: &'static str,
    path: String,
    /// What the kernel says.
    #[source]
    errno: Errno,
}

impl Error {
    /// The error number that the kernel gave; `ENOENT` if there is no such link or the kernel has no such setting.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

impl<'a> Setting<'a> {
    /// Names an IPv4 setting of a link.
    #[must_use]
    pub fn v4(link: &'a str, name: &'static str) -> Self {
        Self { family: Family::V4, link, name }
    }

    /// Names an IPv6 setting of a link.
    #[must_use]
    pub fn v6(link: &'a str, name: &'static str) -> Self {
        Self { family: Family::V6, link, name }
    }

    /// Reads it in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of openat2(2) and read(2).
    pub fn get(self) -> Result<String, Error> {
        let mut bytes = [0; 64];
        let got = self.open(OFlags::RDONLY).and_then(|fd| retry_on_intr(|| read(&fd, &mut bytes)));
        let length = got.map_err(|errno| self.fail("read", errno))?;
        Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).trim_end().to_owned())
    }

    /// Writes it in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of openat2(2) and write(2).
    pub fn set(self, value: &str) -> Result<(), Error> {
        let put = self.open(OFlags::WRONLY).and_then(|fd| retry_on_intr(|| write(&fd, value.as_bytes())));
        put.map(|_| ()).map_err(|errno| self.fail("write", errno))
    }

    fn open(self, flags: OFlags) -> Result<rustix::fd::OwnedFd, Errno> {
        // The kernel gives no link such a name; a caller might.
        if self.link.contains('/') || matches!(self.link, "" | "." | "..") {
            return Err(Errno::INVAL);
        }
        zone_sys::path::unlinked(CWD, self.to_string(), flags, Mode::empty())
    }

    fn fail(self, what: &'static str, errno: Errno) -> Error {
        Error { what, path: self.to_string(), errno }
    }
}

/// Has groups, by their ids in the caller's user namespace, send echo requests in the network namespace of the calling thread
/// (`ping_group_range`, icmp(7)). A kernel without IPv4 has no such setting.
///
/// # Errors
/// Those of openat2(2) and write(2).
pub fn allow_ping(first: u32, last: u32) -> Result<(), Error> {
    put("/proc/sys/net/ipv4/ping_group_range", &format!("{first} {last}"))
}

/// Has everybody listen on ports below 1024 in the network namespace of the calling thread (`ip_unprivileged_port_start`, ip(7)):
/// where the root of a zone has no capability over it, nobody could.
///
/// # Errors
/// Those of openat2(2) and write(2).
pub fn allow_low_ports() -> Result<(), Error> {
    put("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
}

/// Writes what a kernel without IPv4 does not have.
fn put(path: &str, value: &str) -> Result<(), Error> {
    let put = zone_sys::path::unlinked(CWD, path, OFlags::WRONLY, Mode::empty())
        .and_then(|fd| retry_on_intr(|| write(&fd, value.as_bytes())));
    match put {
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error { what: "write", path: path.to_owned(), errno }),
    }
}

impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        write!(f, "/proc/sys/net/{family}/conf/{}/{}", self.link, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_host_may_ping() {
        zone_testing::needs_root!();
        crate::testing::alone(|| {
            allow_ping(690_552_832, 690_618_367).unwrap();
            let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap();
            assert_eq!(range.trim_end(), "690552832\t690618367");
        });
    }
}
