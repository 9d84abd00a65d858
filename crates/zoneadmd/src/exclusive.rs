//! One daemon for one zone: a lock that is held for life.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use zone_config::file::is_removed;
use zone_config::{Layout, ZoneName, hostboot};
use zone_sys::lock::Kind;

/// Why this is not the zone's daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotExclusive {
    /// Another one is. Nothing went wrong, and nothing is said: whoever started us asks that one.
    #[error("")]
    Another,
    /// A directory could not be made.
    #[error("could not mkdir '{}'", .0.display())]
    Mkdir(PathBuf, #[source] Errno),
    /// Something else stands in its place.
    #[error("'{}' is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The lock file could not be opened.
    #[error("failed to open {}", .0.display())]
    Open(PathBuf, #[source] Errno),
}

/// The lock; given up by dying, however.
#[derive(Debug)]
pub(crate) struct Exclusive {
    lock: File,
    /// A door of a daemon that is no more was found.
    pub(crate) stale: bool,
    /// What else is there is of an earlier boot of the host.
    pub(crate) earlier: bool,
}

/// Makes the run directories (0700: a socket's own mode is not everywhere honoured) and takes the lock.
pub(crate) fn become_exclusive(layout: &Layout, zone: &ZoneName) -> Result<Exclusive, NotExclusive> {
    if let Some(parent) = layout.run().parent() {
        // Only for a private root: the host has a /run.
        std::fs::create_dir_all(parent)
            .map_err(|e| NotExclusive::Mkdir(parent.into(), Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    }
    directory(&layout.run())?;
    let run = layout.zone_run(zone);
    let mut lock = loop {
        let lock = File::from(take(layout, zone, &run)?);
        // Whoever uninstalls a zone removes the lock, and then the directory.
        if !is_removed(&lock) {
            break lock;
        }
    };
    let earlier = hostboot::is_other(&mut lock);
    let stale = run.join(zone_config::layout::DOOR).symlink_metadata().is_ok();
    Ok(Exclusive { lock, stale, earlier })
}

impl Exclusive {
    /// Writes down that what there is of the zone is of the present boot of the host: nothing is left of an earlier one. A daemon that
    /// is killed before that leaves the next one to find it.
    pub(crate) fn is_of_present_boot(&mut self) {
        hostboot::note(&mut self.lock);
    }

    /// From now on the daemon serves door and console: a second lock on the same file, of which one can see without taking it that it is
    /// held (`zsched::client::connect_served`), and of which kind ([`Self::works`]).
    pub(crate) fn serves(&self) {
        self.works(true);
    }

    /// Whether the daemon that serves is at work: then the second lock is an exclusive one (`zsched::client::is_at_work`).
    pub(crate) fn works(&self, works: bool) {
        let kind = if works { Kind::Exclusive } else { Kind::Shared };
        if let Err(error) = zone_sys::lock::take_as(&self.lock, kind) {
            // Then zsched is asked, or the daemon itself.
            tracing::info!("{}", zone_sys::Chain(&error));
        }
    }
}

fn take(layout: &Layout, zone: &ZoneName, run: &Path) -> Result<OwnedFd, NotExclusive> {
    let path = layout.lock(zone);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    loop {
        directory(run)?;
        match openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(lock) => match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(Errno::WOULDBLOCK) => return Err(NotExclusive::Another),
                Err(e) => return Err(NotExclusive::Open(path.clone(), e)),
            },
            // The directory was removed just now.
            Err(Errno::NOENT) => {}
            Err(e) => return Err(NotExclusive::Open(path.clone(), e)),
        }
    }
}

fn directory(path: &Path) -> Result<(), NotExclusive> {
    let shown = || path.to_path_buf();
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(NotExclusive::Mkdir(shown(), e)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let dir = openat(CWD, path, flags, Mode::empty()).map_err(|_| NotExclusive::NotADirectory(shown()))?;
    rustix::fs::fchmod(&dir, Mode::RWXU).map_err(|e| NotExclusive::Open(shown(), e))
}
