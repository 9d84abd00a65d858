//! Notices when somebody asks for more or fewer words, by a file in the zone's run directory.

use crate::daemon::Daemon;
use crate::{log, readable};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::rc::Rc;
use zone_sys::Chain;

/// Watches it as long as the daemon lives.
pub(crate) async fn keep(daemon: Rc<Daemon>) {
    let watched = watch(&daemon).map_err(|errno| Chain(&errno).to_string());
    let watched = watched.and_then(|fd| readable::watch(fd).map_err(|error| Chain(&error).to_string()));
    let watched = match watched {
        Ok(watched) => watched,
        Err(error) => return tracing::warn!("the level of the log stays as it is: {error}"),
    };
    // It may have been written since it was read.
    log::set_level(daemon.layout(), daemon.name());
    while let Ok(mut ready) = watched.readable().await {
        drain(watched.get_ref());
        ready.clear_ready();
        log::set_level(daemon.layout(), daemon.name());
    }
}

fn watch(daemon: &Daemon) -> Result<OwnedFd, Errno> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let run = daemon.layout().zone_run(daemon.name());
    // Files are replaced there by a rename.
    inotify::add_watch(&fd, run, WatchFlags::MOVED_TO | WatchFlags::DELETE)?;
    Ok(fd)
}

fn drain(fd: impl AsFd) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    while reader.next().is_ok() {}
}
