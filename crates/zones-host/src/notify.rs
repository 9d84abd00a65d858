//! Telling systemd how far a unit is (sd_notify(3)).

use std::io;
use std::mem::MaybeUninit;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// How long systemd may take to read what it was told; it may be busy with others, and ill at worst.
const READ: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Sends assignments, one a line. Without a socket to send them to nobody wants to know.
pub(crate) fn notify(text: &str) {
    if let Some(Err(error)) = socket().map(|socket| socket?.send(text.as_bytes())) {
        crate::say(&format!("systemd cannot be told how the zone fares: {}", zone_sys::Chain(&error)));
    }
}

/// Sends assignments as [`notify`] does, and returns when systemd has read them (`sd_notify_barrier(3)`), or does not in a while.
pub(crate) fn notify_and_wait(text: &str) {
    notify(text);
    let Some(Ok(socket)) = socket() else { return };
    let _ = barrier(&socket);
}

/// The socket, connected; none where nobody listens.
fn socket() -> Option<io::Result<UnixDatagram>> {
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    Some(address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        Ok(socket)
    }))
}

/// Sends one end of a pipe, and waits until whoever has got it closes it.
fn barrier(socket: &UnixDatagram) -> io::Result<()> {
    let (ours, theirs) = io::pipe()?;
    let rights = [theirs.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&rights));
    sendmsg(socket, &[io::IoSlice::new(b"BARRIER=1")], &mut message, SendFlags::NOSIGNAL)?;
    drop(theirs);
    poll(&mut [PollFd::new(&ours, PollFlags::HUP)], Some(&READ))?;
    Ok(())
}
