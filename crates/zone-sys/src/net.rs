//! Network calls that rustix lacks: loopback up by ioctl, options of netlink sockets, packet sockets.

use crate::seccomp::INSTRUCTION;
use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
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

/// What a netlink socket can be asked to do beside passing messages; netlink(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetlinkOption {
    /// Says in words what is wrong with a request (`NETLINK_EXT_ACK`).
    ExtendedAck,
    /// Repeats no more than the header of a request that it acknowledges (`NETLINK_CAP_ACK`).
    CappedAck,
    /// Filters dumps by what their requests say, and refuses requests that say what it does not know
    /// (`NETLINK_GET_STRICT_CHK`).
    StrictCheck,
}

/// Switches an option of a netlink socket on.
///
/// # Errors
/// What `setsockopt(2)` says: `ENOPROTOOPT` from a kernel that does not have the option, `ENOTSOCK`.
pub fn set_netlink_option(socket: impl AsFd, option: NetlinkOption) -> Result<()> {
    let (name, word) = match option {
        NetlinkOption::ExtendedAck => (libc::NETLINK_EXT_ACK, "NETLINK_EXT_ACK"),
        NetlinkOption::CappedAck => (libc::NETLINK_CAP_ACK, "NETLINK_CAP_ACK"),
        NetlinkOption::StrictCheck => (libc::NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK"),
    };
    let fd = socket.as_fd().as_raw_fd();
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    // SAFETY: the descriptor is borrowed for the call, which reads one int, whose size is given.
    let ret = unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, name, (&raw const on).cast(), size) };
    if ret == 0 { Ok(()) } else { Err(Error::last("setsockopt").arg(Arg::Fd(fd)).arg(Arg::Word(word))) }
}

/// Opens a socket that sends and receives whole Ethernet frames of one link, given by its index: packet(7).
///
/// # Errors
/// `EPERM` without `CAP_NET_RAW` in the network namespace, `ENODEV` if there is no such link; what `socket(2)` and
/// `bind(2)` say else.
pub fn packet_socket(link: u32) -> Result<OwnedFd> {
    const ALL: u16 = 0x0003; // ETH_P_ALL
    let socket = unbound_packet_socket()?;
    bind_packet_socket(&socket, ALL, link)?;
    Ok(socket)
}

/// Opens a socket for the frames of one link that have this Ethernet type and that a classic-BPF program, of instructions as
/// [`instruction`](crate::seccomp::instruction) makes them, lets through. Other frames are not seen even at first.
///
/// # Errors
/// As [`packet_socket`]; `EINVAL` for a program that the kernel does not take.
pub fn filtered_packet_socket(link: u32, ether_type: u16, program: &[[u8; INSTRUCTION]]) -> Result<OwnedFd> {
    let socket = unbound_packet_socket()?;
    attach_filter(&socket, program)?;
    bind_packet_socket(&socket, ether_type, link)?;
    Ok(socket)
}

/// A packet socket that sees nothing until it is bound.
fn unbound_packet_socket() -> Result<OwnedFd> {
    socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::new("socket", e))
}

fn attach_filter(socket: &OwnedFd, program: &[[u8; INSTRUCTION]]) -> Result<()> {
    let fd = socket.as_raw_fd();
    let fail = |error: Error| error.arg(Arg::Fd(fd)).arg(Arg::Word("SO_ATTACH_FILTER"));
    let mut filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes([*k0, *k1, *k2, *k3]),
        })
        .collect();
    let len =
        u16::try_from(filter.len()).map_err(|_| fail(Error::new("setsockopt", rustix::io::Errno::INVAL)))?;
    let fprog = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&fprog)).unwrap_or_default();
    // SAFETY: `fprog` points to `len` initialised instructions that outlive the call; the kernel checks and copies them.
    let ret = unsafe {
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const fprog).cast(), size)
    };
    if ret == 0 { Ok(()) } else { Err(fail(Error::last("setsockopt"))) }
}

fn bind_packet_socket(socket: &OwnedFd, ether_type: u16, link: u32) -> Result<()> {
    let fd = socket.as_raw_fd();
    let fail = |error: Error| error.arg(Arg::Fd(fd)).arg(Arg::Num(link.into()));
    let index = i32::try_from(link).map_err(|_| fail(Error::new("bind", rustix::io::Errno::NODEV)))?;
    // SAFETY: an all-zero sockaddr_ll is valid: plain numbers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    // AF_PACKET is 17.
    address.sll_family = 17;
    // In network byte order, as packet(7) wants it.
    address.sll_protocol = ether_type.to_be();
    address.sll_ifindex = index;
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    // SAFETY: the kernel reads `length` bytes at `address`, which lives over the call.
    let ret = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    if ret == 0 { Ok(()) } else { Err(fail(Error::last("bind"))) }
}
