//! What a halt does about what does not end: waits with an eye on it, and tells who it is.

use crate::context::OperationContext;
use crate::current::GRACE;
use crate::error::Error;
use crate::sync;
use crate::zone::Zone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zone_config::lastexit::{LastBoot, LastExit, LastExitError};
use zone_platform::cgroup::{self, KillObserver};
use zone_platform::holders;
use zone_sys::Chain;

/// How long killed processes may take to go, and a file to be written: what takes longer sits in the kernel, on a dead file
/// server most likely, and the operator must be told.
const LIMIT: Duration = Duration::from_secs(30);
/// What has not ended after this is told to whoever waits.
const TELL: Duration = Duration::from_secs(1);
/// How often to look.
const LOOK: Duration = Duration::from_millis(250);

/// Waits on behalf of an operation.
pub(crate) struct Watch<'a> {
    context: &'a OperationContext,
    zone: &'a Zone,
    first: i32,
    begun: Instant,
}

impl<'a> Watch<'a> {
    /// `first` is the zone's first process.
    pub(crate) fn new(context: &'a OperationContext, zone: &'a Zone, first: i32) -> Self {
        Self { context, zone, first, begun: Instant::now() }
    }

    /// How long to wait at most.
    pub(crate) fn limit(&self) -> Duration {
        let usual = if self.context.current.is_forced() { GRACE } else { LIMIT };
        zone_fail::limit(&self.zone.layout.run(), usual)
    }

    /// Waits for the first process. Those that hold it up if it does not end.
    pub(crate) fn first_process(&self, pidfd: BorrowedFd<'_>) -> Result<(), Error> {
        let limit = self.limit();
        loop {
            let left = limit.saturating_sub(self.begun.elapsed());
            let slice = Timespec::try_from(left.min(LOOK)).ok();
            match poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], slice.as_ref()) {
                Ok(1..) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::Wait(errno)),
                Ok(0) => {}
            }
            let pids = cgroup::processes(&self.zone.layout, &self.zone.name).unwrap_or_default();
            if left.is_zero() || self.still_alive(&pids).is_break() {
                let holders = holders::among(&pids, self.first);
                return Err(Error::Stuck { step: "kill", seconds: self.begun.elapsed().as_secs(), holders });
            }
        }
    }
}

impl KillObserver for Watch<'_> {
    fn still_alive(&self, pids: &[i32]) -> ControlFlow<()> {
        let current = &self.context.current;
        if self.begun.elapsed() >= TELL {
            let text = holders::sentence(&holders::among(pids, self.first));
            if current.wait_for(&text) {
                self.context.observer.message(text);
            }
        }
        let grace = zone_fail::limit(&self.zone.layout.run(), GRACE);
        if current.is_abandoned() || current.is_out_of_grace(grace) && self.begun.elapsed() >= grace {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Why the end of a zone is not on disk.
#[derive(Debug, thiserror::Error)]
enum NotRecorded {
    #[error(transparent)]
    File(LastExitError),
    #[error("{} could not be written within {seconds} seconds, for its file system stands still", .path.display())]
    Late { path: PathBuf, seconds: u64 },
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
}

impl Zone {
    /// Begins to write down how the zone ended, in a thread of its own: the disk has time as long as other things are done.
    pub(crate) fn begin_to_write_down(&self, last: &LastExit) -> Option<Writing> {
        let zonepath = self.zonepath()?;
        let last = last.clone();
        Some(Writing::begin(LastExit::path(&zonepath), move || last.save(&zonepath)))
    }

    /// Waits until it is written down how the zone ended. A disk that is full or stands still is no reason for the zone not to
    /// be halted.
    pub(crate) fn end_writing_down(&self, context: &mut OperationContext, writing: Writing) {
        let limit = Watch::new(context, self, 0).limit();
        let path = writing.path.clone();
        // A disk that is only busy is nothing to show.
        let late = || {
            context.current.wait_for(&format!("{} is still being written", path.display()));
        };
        let written = writing.end(limit, late);
        if let Err(error) = written {
            context.warn(&format!("how the zone ended is not recorded: {}", Chain(&error)));
        }
    }

    /// Writes down that the incarnation is booted, for the case that the host goes down. Where that does not succeed, nothing
    /// but this case is worse than it could be.
    pub(crate) fn mark_booted(&self) {
        let known = sync::lock(&self.backup.held).as_ref().map(|held| held.status.uniqid);
        let (Some(zonepath), Some(uniqid)) = (self.zonepath(), known) else { return };
        let path = LastBoot::path(&zonepath);
        let limit = zone_fail::limit(&self.layout.run(), GRACE);
        let written = Writing::begin(path, move || LastBoot::mark(&zonepath, uniqid)).end(limit, || {});
        if let Err(error) = written {
            tracing::warn!("should the host go down, the zone's end will not be known: {}", Chain(&error));
        }
    }
}

/// A file that is being written in a thread of its own, which alone hangs if the file system does.
#[derive(Debug)]
pub(crate) struct Writing {
    path: PathBuf,
    written: Result<mpsc::Receiver<Result<(), LastExitError>>, std::io::Error>,
}

impl Writing {
    fn begin(path: PathBuf, write: impl FnOnce() -> Result<(), LastExitError> + Send + 'static) -> Self {
        let (done, written) = mpsc::channel();
        let thread = std::thread::Builder::new().spawn(move || done.send(write()));
        Self { path, written: thread.map(|_| written) }
    }

    /// Waits for it. Runs `late` when that takes more than a moment.
    fn end(self, limit: Duration, late: impl FnOnce()) -> Result<(), NotRecorded> {
        let written = self.written.map_err(NotRecorded::Thread)?;
        let soon = limit.min(TELL);
        let answer = written.recv_timeout(soon).or_else(|_| {
            late();
            written.recv_timeout(limit.saturating_sub(soon))
        });
        match answer {
            Ok(answer) => answer.map_err(NotRecorded::File),
            Err(_) => Err(NotRecorded::Late { path: self.path, seconds: limit.as_secs() }),
        }
    }
}
