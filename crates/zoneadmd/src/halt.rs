//! Taking a zone down. Every part looks at the world, not at what is remembered, so that it can be
//! done again after whatever happened.

use crate::errand::{Errand, OpError};
use crate::journal::{self, Intent, Journal};
use crate::zone::{Zone, how_it_ended};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::time::Duration;
use zone_config::Snapshot;
use zone_config::lastexit::{How, LastExit};
use zone_door::Operation;
use zone_platform::{TearDown, tear_down_steps};
use zsched::client::ClientError;
use zsched::wire::{Phase, Status};

/// How long killed processes may take to go: what takes longer sits in the kernel, on a dead file
/// server most likely, and the operator must be told.
const LIMIT: Duration = Duration::from_secs(30);

impl Zone {
    /// Ends the zone, whatever it is doing, and removes what is left of it. `how` is what to write down;
    /// `None` takes what the first process' own end says.
    pub(crate) fn halt(&self, errand: &mut Errand, how: Option<How>) -> Result<Option<LastExit>, OpError> {
        let before = self.keeper().status()?;
        let rebooting = errand.operation == Operation::Reboot;
        if !rebooting {
            // Once the first process is dead, only this tells that nobody wants it back.
            let up = false;
            let intent = Intent { uniqid: before.uniqid, how, up, ..Intent::to(Operation::Halt, "") };
            Journal::open(&self.layout, &self.name)?.begin(&intent)?;
        }
        let ended = match before.phase {
            Phase::None | Phase::Down => before,
            Phase::Ready | Phase::Running | Phase::Stopping => errand.step("kill", |_| self.kill(&before))?,
        };
        errand.step("platform", |_| self.tear_down())?;
        let mut last = None;
        if ended.exists() {
            // A zone that was never booted has no end to tell of.
            let was_ready_only = before.phase == Phase::Ready;
            if !was_ready_only {
                last = Some(self.record_end(&ended, how.unwrap_or_else(|| how_it_ended(ended.end)))?);
            }
            zone_fail::pass!("halt.recorded");
            self.keeper().consume(ended.uniqid, rebooting)?;
            zone_fail::pass!("halt.consumed");
        }
        Snapshot::remove(&self.layout, &self.name).map_err(|e| OpError::DestroySnapshot(Box::new(e)))?;
        zone_fail::pass!("halt.snapshot");
        if !rebooting {
            // Until a reboot is through, the journal says that it has to be.
            journal::remove(&self.layout, &self.name)?;
            zone_fail::pass!("halt.journal");
        }
        Ok(last)
    }

    /// Removes what is left of a zone whose keeper has died, and kills what was in it.
    pub(crate) fn clear(&self) -> Result<(), OpError> {
        self.tear_down()?;
        Snapshot::remove(&self.layout, &self.name).map_err(|e| OpError::DestroySnapshot(Box::new(e)))?;
        journal::remove(&self.layout, &self.name)
    }

    /// Removes what a failed or interrupted bring-up left, in silence: the first error is the one to
    /// be seen.
    pub(crate) fn undo(&self, errand: &mut Errand) {
        let said = errand.messages.len();
        if let Err(error) = self.halt(errand, None) {
            errand.fail(&error);
        }
        errand.messages.truncate(said);
    }

    /// Kills the first process, and with it the kernel kills all the others, and waits until it is gone.
    fn kill(&self, status: &Status) -> Result<Status, OpError> {
        let keeper = self.keeper();
        match keeper.stopping(status.uniqid) {
            Ok(_) => {}
            // It ended by itself just now.
            Err(ClientError::Refused { .. }) => return Ok(keeper.status()?),
            Err(e) => return Err(e.into()),
        }
        zone_fail::pass!("kill.stopping");
        let (_, fds) = keeper.fds()?;
        // A frozen zone cannot die; nothing can be wrong with thawing one that is not frozen.
        if let Ok(freeze) = rustix::fs::openat(
            &fds.cgroup,
            "cgroup.freeze",
            rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        ) {
            let _ = rustix::io::write(&freeze, b"0");
        }
        match pidfd_send_signal(&fds.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => {
                return Err(OpError::Keeper(ClientError::Io(zone_sys::Error::new(
                    "pidfd_send_signal",
                    errno,
                ))));
            }
        }
        zone_fail::pass!("kill.sent");
        let limit = Timespec { tv_sec: LIMIT.as_secs().cast_signed(), tv_nsec: 0 };
        loop {
            match poll(&mut [PollFd::new(&fds.pidfd, PollFlags::IN)], Some(&limit)) {
                Ok(0) => return Err(OpError::Unkillable { pid: status.pid, seconds: LIMIT.as_secs() }),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(OpError::Keeper(ClientError::Io(zone_sys::Error::new("poll", errno))));
                }
            }
        }
        // zsched reaps before it answers.
        Ok(keeper.status()?)
    }

    /// Undoes the platform's steps, the last first. All are tried; the first error is told.
    fn tear_down(&self) -> Result<(), OpError> {
        let down = TearDown { layout: &self.layout, zone: &self.name, limit: LIMIT };
        let mut result = Ok(());
        for step in tear_down_steps() {
            if let Some(undo) = step.tear_down {
                result = result.and(undo(&down).map_err(OpError::from));
                zone_fail::pass("undo", step.name);
            }
        }
        result
    }
}
