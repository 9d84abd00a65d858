//! Making a network namespace, and the one thing that is done in it.

use crate::{Arg, Error, Result};
use rustix::fd::AsRawFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Gives the calling process a network namespace and an IPC namespace of its own, which belong to its user namespace.
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare_net_and_ipc() -> Result<()> {
    let flags = libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    // SAFETY: takes flags only and touches no memory; what is unshared are namespaces, not the descriptor table.
    if unsafe { libc::unshare(flags) } == 0 {
        return Ok(());
    }
    Err(Error::last("unshare").arg(Arg::Flags(flags.unsigned_abs().into())))
}

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
