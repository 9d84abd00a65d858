//! The socket at which a zone's init says that it is ready: it is zsched's, and the daemon has a copy.

use crate::sync::lock;
use crate::zone::Zone;
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use zone_sys::Chain;

impl Zone {
    /// Gives a copy of the socket of this incarnation, if it has one.
    #[must_use]
    pub fn notify_socket(&self, uniqid: u64) -> Option<OwnedFd> {
        let kept = lock(&self.backup.notify)
            .as_ref()
            .filter(|(of, _)| *of == uniqid)
            .and_then(|(_, socket)| socket.try_clone().ok());
        if kept.is_some() {
            return kept;
        }
        let kept = match self.keeper().kept() {
            Ok(kept) => kept,
            Err(error) => {
                tracing::info!("{}", Chain(&error));
                return None;
            }
        };
        let is_socket = |fd: &OwnedFd| {
            let stat = rustix::fs::fstat(fd);
            stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
        };
        let socket = kept.into_iter().find(is_socket)?;
        if let Ok(copy) = socket.try_clone() {
            *lock(&self.backup.notify) = Some((uniqid, copy));
        }
        Some(socket)
    }
}
