//! The one thing that is done in a network namespace that was just made.

use crate::{Arg, Error, Result};
use rustix::fd::AsRawFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Brings the loopback interface of the caller's network namespace up; the kernel gives it
/// 127.0.0.1 and ::1 by itself. Source: netdevice(7).
///
/// # Errors
/// What `socket(2)` or the ioctl says.
pub fn loopback_up() -> Result<()> {
    let sock = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::new("socket", e))?;
    // SAFETY: an all-zero ifreq is valid: a name of NULs and a union of plain numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = libc::c_char::from_ne_bytes(*b"l");
    request.ifr_name[1] = libc::c_char::from_ne_bytes(*b"o");
    // IFF_UP is 0x1 and IFF_RUNNING 0x40: both fit the short that the kernel wants.
    request.ifr_ifru.ifru_flags = 0x41;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which `request` is.
    let ret = unsafe { libc::ioctl(sock.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if ret == 0 {
        Ok(())
    } else {
        Err(Error::last("ioctl").arg(Arg::Word("SIOCSIFFLAGS")).arg(Arg::Word("lo")))
    }
}
