//! A socket on which a service manager's client says how it does, as sd_notify(3) has it.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use std::mem::MaybeUninit;

/// Who sent a datagram, in the kernel's words (`SCM_CREDENTIALS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Process id; 0 if it is in a PID namespace that the caller cannot see.
    pub pid: i32,
    /// User id.
    pub uid: u32,
}

/// Room for the credentials of one sender, aligned as the headers of control messages are. There is none for descriptors,
/// so that the kernel never installs one that somebody sends along.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    // CMSG_SPACE(sizeof(struct ucred)): a header of 16 bytes, and 12 bytes rounded up to 16.
    bytes: [u8; 32],
}

/// Makes a socket for datagrams at `dir/name`, mode 0600, which does not block and tells who sent what from its first datagram on.
///
/// # Errors
/// `EADDRINUSE` if something is there already; what `socket(2)`, `bind(2)` or `setsockopt(2)` says.
pub fn bind_at(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(|e| Error::new("socket", e))?;
    set_socket_passcred(&socket, true)
        .map_err(|e| Error::new("setsockopt", e).arg(Arg::Word("SO_PASSCRED")))?;
    // The mode of the socket's own inode is what bind gives to the file (less the umask).
    fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(|e| Error::new("fchmod", e).arg(Arg::Word("socket")))?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
        .map_err(|e| Error::new("sockaddr_un", e))?;
    bind(&socket, &address).map_err(|e| Error::new("bind", e))?;
    Ok(socket)
}

/// Reads the next datagram without waiting: how many bytes of it are in `bytes`, and who sent it. What does not fit is cut off;
/// descriptors that come along are closed by the kernel. With `stays` it is the next one the next time, too.
///
/// # Errors
/// `EAGAIN` if there is none; what `recvmsg(2)` says.
#[allow(clippy::unnecessary_cast, reason = "the types of lengths differ between C libraries")]
pub fn receive(socket: impl AsFd, bytes: &mut [u8], stays: bool) -> Result<(usize, Option<Sender>)> {
    let fd = socket.as_fd().as_raw_fd();
    let mut control = Control { bytes: [0; 32] };
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid msghdr: null pointers and lengths of 0.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC | if stays { libc::MSG_PEEK } else { 0 };
    // SAFETY: `message` points to one iovec over `bytes` and to a control buffer, all of which live and are writable, with
    // their own lengths.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, flags) };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last("recvmsg").arg(Arg::Fd(fd)));
    };
    let mut sender = None;
    // SAFETY: the kernel has filled in the control buffer and its length, which is aligned for headers.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: not null, so a whole header within the control buffer.
        let (level, kind, len) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len as usize) };
        // SAFETY: CMSG_LEN only computes.
        let whole = unsafe { libc::CMSG_LEN(12) } as usize;
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) && len >= whole {
            // SAFETY: `cmsg_len` says that the 12 bytes of a ucred follow the header; read without asking for alignment.
            let ucred = unsafe { libc::CMSG_DATA(header).cast::<libc::ucred>().read_unaligned() };
            sender = Some(Sender { pid: ucred.pid, uid: ucred.uid });
        }
        // SAFETY: `header` is one that CMSG_FIRSTHDR or CMSG_NXTHDR gave for this message.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok((count, sender))
}

/// Has everybody who sends from now on, or waits until there is room, fail with `EPIPE`; what is there can still be read.
///
/// # Errors
/// What `shutdown(2)` says.
pub fn close(socket: impl AsFd) -> Result<()> {
    match rustix::net::shutdown(&socket, rustix::net::Shutdown::Read) {
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(errno) => Err(Error::new("shutdown", errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsRawFd;
    use rustix::net::{SendFlags, sendto};

    #[test]
    fn it_tells_who_says_what_and_takes_no_descriptor() {
        let dir = std::env::temp_dir().join(format!("zone-sys-notify-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let fd = std::fs::File::open(&dir).unwrap();
        let socket = bind_at(fd.as_fd(), "notify").unwrap();
        assert_eq!(receive(&socket, &mut [0; 8], false).unwrap_err().errno(), Errno::AGAIN);
        assert!(bind_at(fd.as_fd(), "notify").is_err());
        let client = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
        let address = SocketAddrUnix::new(dir.join("notify")).unwrap();
        rustix::net::connect(&client, &address).unwrap();
        let own =
            Sender { pid: rustix::process::getpid().as_raw_pid(), uid: rustix::process::getuid().as_raw() };
        crate::unix::send(&client, b"READY=1\nSTATUS=x", &[client.as_fd()]).unwrap();
        // Of the one that is sent: tests beside this one open and close others.
        let sent = std::fs::read_link(format!("/proc/self/fd/{}", client.as_raw_fd())).unwrap();
        let open = || {
            std::fs::read_dir("/proc/self/fd")
                .unwrap()
                .flatten()
                .filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|link| link == sent))
                .count()
        };
        let before = open();
        let mut bytes = [0; 7];
        for stays in [true, true, false] {
            assert_eq!(receive(&socket, &mut bytes, stays).unwrap(), (7, Some(own)), "{stays}");
            assert_eq!(&bytes, b"READY=1");
        }
        assert_eq!(open(), before);
        assert_eq!(receive(&socket, &mut bytes, false).unwrap_err().errno(), Errno::AGAIN);
        close(&socket).unwrap();
        assert_eq!(sendto(&client, b"x", SendFlags::NOSIGNAL, &address), Err(Errno::PIPE));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
