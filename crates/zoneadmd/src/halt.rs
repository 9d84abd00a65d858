//! Taking a zone down. Every part looks at the world, not at what is remembered, so that it can be
//! done again after whatever happened.

use crate::context::OperationContext;
use crate::error::OpError;
use crate::journal::{self, Intent, Journal};
use crate::stuck::Watch;
use crate::zone::Zone;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::time::Duration;
use zone_config::Snapshot;
use zone_config::lastexit::{How, LastExit};
use zone_door::Operation;
use zone_platform::{TearDown, tear_down_steps};
use zsched::client::ClientError;
use zsched::wire::{Phase, Status};

/// What becomes of a zone that could not be ended.
const LEFT: &str = "the zone stays as it is, and cannot be booted, until its last process has ended; then it is halted by itself";

impl Zone {
    /// Ends the zone, whatever it is doing, and removes what is left of it. `how` is what to write down;
    /// `None` takes what the first process' own end says.
    pub(crate) fn halt(
        &self,
        context: &mut OperationContext,
        how: Option<How>,
    ) -> Result<Option<LastExit>, OpError> {
        self.retry(context, |zone, context| zone.halt_once(context, how))
    }

    fn halt_once(
        &self,
        context: &mut OperationContext,
        how: Option<How>,
    ) -> Result<Option<LastExit>, OpError> {
        context.alive()?;
        let before = self.keeper().status()?;
        let rebooting = context.operation == Operation::Reboot;
        if !rebooting {
            // Once the first process is dead, only this tells that nobody wants it back.
            let up = false;
            let intent = Intent { uniqid: before.uniqid, how, up, ..Intent::to(Operation::Halt, "") };
            let begun =
                Journal::open(&self.layout, &self.name).and_then(|mut journal| journal.begin(&intent));
            if let Err(error) = begun {
                context
                    .warn(&format!("{}; a daemon that died now would not carry on", zone_sys::Chain(&error)));
            }
        }
        let mut network = None;
        let killed = match before.phase {
            Phase::None | Phase::Down => Ok(before),
            Phase::Ready | Phase::Running | Phase::Stopping => {
                context.step("kill", |context| self.kill(context, &before, &mut network))
            }
        };
        let ended = match killed {
            Ok(ended) => ended,
            Err(error) => {
                if error.is_stuck() {
                    // What is not in the zone's own namespace need not wait for those that are.
                    let _ = context.step("platform", |context| {
                        self.tear_down(context, before.pid, Some(Duration::ZERO), false)
                    });
                    context.say(LEFT);
                }
                return Err(error);
            }
        };
        // What a bring-up that failed has made may be held on to by whoever made it.
        let namespaces_end = ended.exists();
        context.step("platform", |context| self.tear_down(context, ended.pid, None, namespaces_end))?;
        drop(network);
        let mut last = None;
        if ended.exists() {
            // A zone that was never booted has no end to tell of.
            let was_ready_only = before.phase == Phase::Ready;
            if !was_ready_only {
                let end = zone_live::last_exit(&ended, how);
                context.current.enter("record");
                self.write_down(context, &end);
                context.alive()?;
                last = Some(end);
            }
            zone_fail::pass!("halt.recorded");
            self.keeper().consume(ended.uniqid, rebooting)?;
            zone_fail::pass!("halt.consumed");
        }
        self.release_record();
        Snapshot::remove(&self.layout, &self.name).map_err(OpError::DestroySnapshot)?;
        zone_fail::pass!("halt.snapshot");
        if !rebooting {
            // Until a reboot is through, the journal says that it has to be.
            journal::remove(&self.layout, &self.name)?;
            zone_fail::pass!("halt.journal");
            if namespaces_end {
                self.network_release.begin(&self.layout);
            }
        }
        Ok(last)
    }

    /// Removes what is left of a zone whose keeper has died, and kills what was in it.
    pub(crate) fn clear(&self, context: &mut OperationContext) -> Result<(), OpError> {
        self.tear_down(context, 0, None, false)?;
        self.release_record();
        Snapshot::remove(&self.layout, &self.name).map_err(OpError::DestroySnapshot)?;
        journal::remove(&self.layout, &self.name)
    }

    /// Removes what a failed or interrupted bring-up left, in silence: the first error is the one to
    /// be seen.
    pub(crate) fn undo(&self, context: &mut OperationContext) {
        let said = context.messages.len();
        if let Err(error) = self.halt(context, None) {
            context.fail(&error);
        }
        context.messages.truncate(said);
    }

    /// Kills the first process, and with it the kernel kills all the others, and waits until it is gone. As long as `network`
    /// is held, its network namespace stays: while the kernel takes one down, it makes whoever changes a link wait.
    fn kill(
        &self,
        context: &mut OperationContext,
        status: &Status,
        network: &mut Option<OwnedFd>,
    ) -> Result<Status, OpError> {
        let stopping = self.keeper().stopping(status.uniqid);
        match stopping {
            Ok(status) => self.report_status(status),
            // It ended by itself just now.
            Err(ClientError::Refused { .. }) => return Ok(self.keeper().status()?),
            Err(e) => return Err(e.into()),
        }
        zone_fail::pass!("kill.stopping");
        let (_, fds) = self.keeper().fds()?;
        // A frozen zone cannot die; nothing can be wrong with thawing one that is not frozen.
        if let Ok(freeze) =
            rustix::fs::openat(&fds.cgroup, "cgroup.freeze", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        {
            let _ = rustix::io::write(&freeze, b"0");
        }
        *network = network_of(&fds.pidfd);
        match pidfd_send_signal(&fds.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(OpError::Signal(errno)),
        }
        zone_fail::pass!("kill.sent");
        // Nobody else has to wait for zsched's ear meanwhile.
        Watch::new(context, self, status.pid).first_process(fds.pidfd.as_fd())?;
        // zsched reaps before it answers.
        Ok(self.keeper().status()?)
    }

    /// Undoes the platform's steps, the last first. All are tried; the first error is told.
    /// What was killed has `limit` to go, or the usual time.
    fn tear_down(
        &self,
        context: &OperationContext,
        first: i32,
        limit: Option<Duration>,
        namespaces_end: bool,
    ) -> Result<(), OpError> {
        let watch = Watch::new(context, self, first);
        let (layout, zone, limit) = (&self.layout, &self.name, limit.unwrap_or_else(|| watch.limit()));
        let down = TearDown {
            layout,
            zone,
            limit,
            observer: &watch,
            comes_back: context.operation == Operation::Reboot,
            namespaces_end,
        };
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

/// The network namespace of a process that lives.
fn network_of(pidfd: &OwnedFd) -> Option<OwnedFd> {
    let pid = zone_sys::pidfd::pid(pidfd).ok()??;
    let path = format!("/proc/{pid}/ns/net");
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // Its number is nobody else's as long as it has not been waited for.
    (zone_sys::pidfd::pid(pidfd).ok()? == Some(pid)).then_some(opened)
}
