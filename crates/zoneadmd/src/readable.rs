//! Descriptors that tell something by having something to read.

use rustix::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the event loop watch a descriptor until it has something to read.
#[expect(
    deprecated,
    reason = "the unsound part of AsyncFd needs a descriptor that can be replaced meanwhile; nobody can reach this one mutably"
)]
pub(crate) fn watch(asked: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(asked, Interest::READABLE)
}
