//! Unix sockets in a directory, their peers, and descriptors sent over them.

use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, openat, unlinkat};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, recvmsg,
    sendmsg, socket_with,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::Path;
use std::time::Duration;

/// The most descriptors sent with one message.
pub const MAX_FDS: usize = 120;

/// Who is at the other end of a connected Unix socket, in the kernel's words (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process id when it connected; 0 if it is in a PID namespace that the caller cannot see.
    pub pid: i32,
    /// Effective user id when it connected.
    pub uid: u32,
    /// Effective group id when it connected.
    pub gid: u32,
}

/// The peer of a connected socket.
///
/// # Errors
/// What `getsockopt(2)` says.
pub fn peer(socket: impl AsFd) -> Result<Peer> {
    let fd = socket.as_fd().as_raw_fd();
    let mut cred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // ucred is 12 bytes.
    let mut len = 12;
    // SAFETY: `cred` and `len` are valid for writing and `len` is the size of `cred`. (rustix's
    // own form cannot tell a peer in a foreign PID namespace, whose pid is 0.)
    let ret = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut cred).cast(), &raw mut len)
    };
    if ret == 0 {
        return Ok(Peer { pid: cred.pid, uid: cred.uid, gid: cred.gid });
    }
    Err(Error::last("getsockopt").arg(Arg::Fd(fd)).arg(Arg::Word("SO_PEERCRED")))
}

/// A socket listening at `dir/name`, mode 0600, close-on-exec. A file of that name that is no
/// directory is removed first: whoever calls this holds the lock that makes it stale.
///
/// The address goes through `/proc/self/fd`, so the directory's path may be longer than the 107
/// bytes of `sockaddr_un`.
///
/// # Errors
/// `EISDIR` if a directory stands there; what `bind(2)` or `listen(2)` says.
pub fn bind_in(dir: &Path, name: &str, kind: SocketType, backlog: i32) -> Result<OwnedFd> {
    let (dirfd, address) = address(dir, name)?;
    let sock = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::new("socket", e))?;
    match unlinkat(&dirfd, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(Error::new("unlinkat", e).arg(Arg::Word("stale socket"))),
    }
    // The mode of the socket's own inode is what bind gives to the file (less the umask).
    fchmod(&sock, Mode::RUSR | Mode::WUSR).map_err(|e| Error::new("fchmod", e).arg(Arg::Word("socket")))?;
    bind(&sock, &address).map_err(|e| Error::new("bind", e))?;
    listen(&sock, backlog).map_err(|e| Error::new("listen", e))?;
    Ok(sock)
}

/// How often a call that a signal has interrupted is made in a row: more than that is no accident.
const INTERRUPTIONS: u32 = 100;
/// How often a call is made in all for which the kernel has no memory, with a pause before each that doubles.
const SHORTAGES: u32 = 8;

/// Makes a call until it neither fails for an interruption nor for a shortage of memory, within bounds; what it says
/// in the end is passed on.
fn persist<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let (mut interruptions, mut shortages) = (0, 0);
    loop {
        match call() {
            // A socket with a time limit is interrupted even by ignored signals (signal(7)).
            Err(Errno::INTR) if interruptions < INTERRUPTIONS => interruptions += 1,
            Err(Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS) if shortages < SHORTAGES => {
                std::thread::sleep(Duration::from_millis(1 << shortages));
                shortages += 1;
            }
            done => return done,
        }
    }
}

/// How long [`connect_in`] waits.
pub const CONNECTING: Duration = Duration::from_secs(30);

/// A socket connected to the one listening at `dir/name`. Waits for [`CONNECTING`] at most, as [`connect_within`] says.
///
/// # Errors
/// Those of [`connect_within`].
pub fn connect_in(dir: &Path, name: &str, kind: SocketType) -> Result<OwnedFd> {
    connect_within(dir, name, kind, CONNECTING)
}

/// A socket connected to the one listening at `dir/name`. Where as many wait to be accepted as may, one more waits for a place among
/// them, `limit` at most: whoever listens may be stopped.
///
/// # Errors
/// `ENOENT` if there is none, `ECONNREFUSED` if nobody listens any more, `EAGAIN` if there was no place.
pub fn connect_within(dir: &Path, name: &str, kind: SocketType, limit: Duration) -> Result<OwnedFd> {
    // A path that fits is walked by connect(2) itself: `/proc/self/fd` takes three calls and as much of the kernel's time again.
    let (_dirfd, address) = match SocketAddrUnix::new(dir.join(name)) {
        Ok(address) => (None, address),
        Err(_) => address(dir, name).map(|(dirfd, address)| (Some(dirfd), address))?,
    };
    let sock = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::new("socket", e))?;
    // The kernel takes the limit of what is sent for this, too (socket(7)). It is not to hold for what is sent later.
    let bound = |limit| {
        set_socket_timeout(&sock, Timeout::Send, limit)
            .map_err(|e| Error::new("setsockopt", e).arg(Arg::Word("SO_SNDTIMEO")))
    };
    bound(Some(limit))?;
    persist(|| connect(&sock, &address)).map_err(|e| Error::new("connect", e))?;
    bound(None)?;
    Ok(sock)
}

/// Whether it is to this socket that one comes at `dir/name`: the file may have been removed meanwhile, or be another's. In doubt
/// it is not.
#[must_use]
pub fn is_bound_in(socket: impl AsFd, dir: &Path, name: &str) -> bool {
    let Ok(file) = bound_file(socket) else { return false };
    let path = dir.join(name);
    match (rustix::fs::fstat(&file), rustix::fs::lstat(&path)) {
        (Ok(bound), Ok(there)) => (bound.st_dev, bound.st_ino) == (there.st_dev, there.st_ino),
        _ => false,
    }
}

/// The file that a socket is bound to, wherever that is by now (unix(7) says nothing of it, Linux 4.14).
fn bound_file(socket: impl AsFd) -> Result<OwnedFd> {
    /// `SIOCPROTOPRIVATE`, the first request that is a protocol's own (linux/un.h).
    const SIOCUNIXFILE: u32 = 0x89e0;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the request reads and writes no memory of ours; it makes a descriptor.
    let file = unsafe { libc::ioctl(fd, SIOCUNIXFILE as _, 0) };
    if file < 0 {
        return Err(Error::last("ioctl").arg(Arg::Fd(fd)).arg(Arg::Word("SIOCUNIXFILE")));
    }
    // SAFETY: the kernel has just made it for us, close-on-exec, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}

fn address(dir: &Path, name: &str) -> Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dirfd = openat(CWD, dir, flags, Mode::empty()).map_err(|e| Error::new("openat", e))?;
    let path = format!("/proc/self/fd/{}/{name}", dirfd.as_raw_fd());
    let address = SocketAddrUnix::new(path).map_err(|e| Error::new("sockaddr_un", e))?;
    Ok((dirfd, address))
}

/// Sends one message with descriptors attached. On a socket that keeps messages apart it is sent as a whole or, after an
/// error, not at all.
///
/// # Errors
/// `EINVAL` for more than [`MAX_FDS`]; what `sendmsg(2)` says, but not at once what passes by itself (`EINTR`, `ENOBUFS`,
/// `ENOMEM`, `ETOOMANYREFS`). `SIGPIPE` is never raised.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if fds.len() > MAX_FDS || (!fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds))) {
        return Err(Error::new("sendmsg", Errno::INVAL).arg(Arg::Num(fds.len() as u64)));
    }
    persist(|| sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))
        .map_err(|e| Error::new("sendmsg", e).arg(Arg::Fd(socket.as_fd().as_raw_fd())))
}

/// Descriptors received with a message, in the order they were sent.
#[derive(Debug)]
pub struct Fds {
    slots: [Option<OwnedFd>; MAX_FDS],
    len: usize,
}

impl Fds {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: [const { None }; MAX_FDS], len: 0 }
    }

    /// How many came.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the descriptor at `index` out; `None` if it is not there (any more).
    pub fn take(&mut self, index: usize) -> Option<OwnedFd> {
        self.slots.get_mut(index)?.take()
    }

    /// Borrows the descriptor at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.slots.get(index)?.as_ref().map(AsFd::as_fd)
    }

    fn push(&mut self, fd: OwnedFd) {
        if let Some(slot) = self.slots.get_mut(self.len) {
            *slot = Some(fd);
            self.len += 1;
        }
    }
}

impl Default for Fds {
    fn default() -> Self {
        Self::new()
    }
}

/// Receives one message into `bytes` (0 at the end of the stream) with its descriptors, each
/// close-on-exec.
///
/// # Errors
/// `EMSGSIZE` if the message or its descriptors were cut short; what `recvmsg(2)` says, as with [`send`].
pub fn recv(socket: impl AsFd, bytes: &mut [u8], flags: RecvFlags) -> Result<(usize, Fds)> {
    let fd = socket.as_fd().as_raw_fd();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut iov = [IoSliceMut::new(bytes)];
    let msg = persist(|| recvmsg(&socket, &mut iov, &mut control, flags | RecvFlags::CMSG_CLOEXEC))
        .map_err(|e| Error::new("recvmsg", e).arg(Arg::Fd(fd)))?;
    let mut fds = Fds::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            received.for_each(|fd| fds.push(fd));
        }
    }
    let cut = rustix::net::ReturnFlags::TRUNC | rustix::net::ReturnFlags::CTRUNC;
    if msg.flags.intersects(cut) {
        return Err(Error::new("recvmsg", Errno::MSGSIZE).arg(Arg::Fd(fd)));
    }
    Ok((msg.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{accept, socketpair};

    #[test]
    fn what_passes_by_itself_is_tried_again_and_nothing_for_ever() {
        let calls = std::cell::Cell::new(0);
        let failing = |errno, times| {
            calls.set(0);
            persist(|| {
                calls.set(calls.get() + 1);
                if calls.get() > times { Ok(calls.get()) } else { Err(errno) }
            })
        };
        assert_eq!(failing(Errno::INTR, 50), Ok(51));
        assert_eq!(failing(Errno::NOBUFS, 3), Ok(4));
        for (errno, most) in [(Errno::INTR, INTERRUPTIONS), (Errno::NOMEM, SHORTAGES), (Errno::PIPE, 0)] {
            assert_eq!((failing(errno, u32::MAX), calls.get()), (Err(errno), most + 1));
        }
    }

    #[test]
    fn who_finds_no_place_among_those_who_wait_does_not_wait_for_ever() {
        use rustix::net::sockopt::socket_timeout;
        let dir = std::env::temp_dir().join(format!("zone-sys-full-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for kind in [SocketType::SEQPACKET, SocketType::STREAM] {
            let listener = bind_in(&dir, "s", kind, 1).unwrap();
            let connect = || connect_within(&dir, "s", kind, Duration::from_millis(10));
            let mut connected = Vec::new();
            let full = loop {
                match connect() {
                    Ok(socket) => connected.push(socket),
                    Err(error) => break error,
                }
                assert!(connected.len() < 100, "nobody accepts them");
            };
            assert_eq!(full.errno(), Errno::AGAIN);
            assert_eq!(socket_timeout(&connected[0], Timeout::Send), Ok(None), "it was for connecting");
            drop(accept(&listener).unwrap());
            connect().unwrap();
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn descriptors_cross_in_order() {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        send(&a, b"hi", &[a.as_fd(), b.as_fd()]).unwrap();
        let mut buf = [0; 8];
        let (n, mut fds) = recv(&b, &mut buf, RecvFlags::empty()).unwrap();
        assert_eq!((&buf[..n], fds.len()), (&b"hi"[..], 2));
        assert!(fds.take(1).is_some() && fds.take(1).is_none() && fds.take(2).is_none());
    }

    #[test]
    fn a_long_directory_is_no_obstacle_and_a_stale_socket_is_replaced() {
        let dir = std::env::temp_dir().join(format!("zone-sys-{}-{}", std::process::id(), "d".repeat(120)));
        std::fs::create_dir_all(&dir).unwrap();
        drop(bind_in(&dir, "s", SocketType::STREAM, 1).unwrap());
        let stale = connect_in(&dir, "s", SocketType::STREAM).unwrap_err();
        assert_eq!(stale.errno(), Errno::CONNREFUSED);
        let listener = bind_in(&dir, "s", SocketType::STREAM, 1).unwrap();
        // One that is short is walked otherwise, and says the same.
        let short = std::env::temp_dir().join(format!("zs-{}", std::process::id()));
        std::os::unix::fs::symlink(&dir, &short).unwrap();
        drop(connect_in(&short, "s", SocketType::STREAM).unwrap());
        assert_eq!(connect_in(&short, "t", SocketType::STREAM).unwrap_err().errno(), Errno::NOENT);
        std::fs::remove_file(&short).unwrap();
        assert_eq!(connect_in(&short, "s", SocketType::STREAM).unwrap_err().errno(), Errno::NOENT);
        drop(accept(&listener).unwrap());
        let client = connect_in(&dir, "s", SocketType::STREAM).unwrap();
        let served = accept(&listener).unwrap();
        assert_eq!(peer(&served).unwrap().pid.unsigned_abs(), std::process::id());
        drop(client);
        if rustix::process::geteuid().is_root() {
            assert!(is_bound_in(&listener, &dir, "s") && !is_bound_in(&listener, &dir, "t"));
            let other = bind_in(&dir, "s", SocketType::STREAM, 1).unwrap();
            assert!(is_bound_in(&other, &dir, "s") && !is_bound_in(&listener, &dir, "s"));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
