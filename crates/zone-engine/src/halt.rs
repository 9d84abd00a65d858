//! Taking a zone down. Every part looks at the world, not at what is remembered, so that it can be
//! done again after whatever happened.

use crate::context::OperationContext;
use crate::error::Error;
use crate::halting::{self, Step};
use crate::journal::{self, Intent, Journal};
use crate::watch::{Watch, Writing};
use crate::zone::Zone;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::time::Duration;
use zone_config::Operation;
use zone_config::Snapshot;
use zone_config::lastexit::{How, LastExit};
use zone_platform::{TearDown, cgroup, filesystems, tear_down_steps};
use zsched::client::ClientError;
use zsched::wire::{Phase, Status};

/// What becomes of a zone that could not be ended.
const LEFT: &str = "the zone stays as it is, and cannot be booted, until its last process has ended; then it is halted by itself";

/// A halt on its way.
struct Halt {
    /// What to write down about the end.
    how: Option<How>,
    reboots: bool,
    /// What zsched said last; of the zone's end, from the kill on.
    ended: Status,
    /// Keeps the zone's network namespace until the platform is taken down.
    network: Option<OwnedFd>,
    last: Option<LastExit>,
    /// Its way to the disk, from the moment at which it is known.
    writing: Option<Writing>,
}

impl Zone {
    /// Ends the zone, whatever it is doing, and removes what is left of it. `how` is what to write down;
    /// `None` takes what the first process' own end says.
    pub fn halt(&self, context: &mut OperationContext, how: Option<How>) -> Result<Option<LastExit>, Error> {
        self.retry(context, |zone, context| zone.halt_once(context, how))
    }

    fn halt_once(&self, context: &mut OperationContext, how: Option<How>) -> Result<Option<LastExit>, Error> {
        context.alive()?;
        let before = self.keeper().status()?;
        let reboots = context.operation == Operation::Reboot;
        let ended = before;
        let mut halt = Halt { how, reboots, ended, network: None, last: None, writing: None };
        for step in halting::until_down(before.phase, reboots) {
            self.take(step, before.phase, context, &mut halt)?;
        }
        halt.network = None;
        for step in halting::afterwards(before.phase, halt.ended.exists(), reboots) {
            self.take(step, before.phase, context, &mut halt)?;
        }
        Ok(halt.last)
    }

    /// Takes a step of the halt of a zone that `was` in this phase.
    fn take(
        &self,
        step: Step,
        was: Phase,
        context: &mut OperationContext,
        halt: &mut Halt,
    ) -> Result<(), Error> {
        match step {
            Step::Note => self.note(context, halt),
            Step::Kill => {
                let killed =
                    context.step("kill", |context| self.kill(context, &halt.ended, &mut halt.network));
                halt.ended = killed.inspect_err(|error| self.leave(context, error, &halt.ended))?;
            }
            Step::TearDown => {
                if halting::has_end(was, halt.ended.exists()) {
                    halt.last = Some(zone_live::last_exit(&halt.ended, halt.how));
                    halt.writing = halt.last.as_ref().and_then(|end| self.begin_to_write_down(end));
                }
                // What a bring-up that failed has made may be held on to by whoever made it.
                let (pid, namespaces_end) = (halt.ended.pid, halt.ended.exists());
                context.step("platform", |context| self.tear_down(context, pid, None, namespaces_end))?;
            }
            Step::Record => {
                context.current.enter("record");
                if let Some(writing) = halt.writing.take() {
                    self.end_writing_down(context, writing);
                }
                context.alive()?;
            }
            Step::Consume => {
                zone_fail::pass!("halt.recorded");
                self.keeper().consume(halt.ended.uniqid, halt.reboots)?;
                zone_fail::pass!("halt.consumed");
            }
            Step::Forget => {
                self.release_record();
                Snapshot::remove(&self.layout, &self.name).map_err(Error::DestroySnapshot)?;
                zone_fail::pass!("halt.snapshot");
            }
            Step::Close => {
                journal::remove(&self.layout, &self.name)?;
                zone_fail::pass!("halt.journal");
            }
            Step::Release => self.network_release.begin(&self.layout),
        }
        Ok(())
    }

    /// Writes into the journal that the zone is being halted; that it could not be is told.
    fn note(&self, context: &mut OperationContext, halt: &Halt) {
        let (uniqid, how) = (halt.ended.uniqid, halt.how);
        let intent = Intent { uniqid, how, up: false, ..Intent::to(Operation::Halt, "") };
        let begun = Journal::open(&self.layout, &self.name).and_then(|mut journal| journal.begin(&intent));
        if let Err(error) = begun {
            context.warn(&format!("{}; a daemon that died now would not carry on", zone_sys::Chain(&error)));
        }
    }

    /// Takes away what there is of a zone that could not be ended and that need not wait for its end.
    fn leave(&self, context: &mut OperationContext, error: &Error, status: &Status) {
        if error.is_stuck() {
            // What is not in the zone's own namespace need not wait for those that are.
            let _ = context
                .step("platform", |context| self.tear_down(context, status.pid, Some(Duration::ZERO), false));
            context.say(LEFT);
        }
    }

    /// Removes what is left of a zone whose keeper has died, and kills what was in it.
    pub fn clear(&self, context: &mut OperationContext) -> Result<(), Error> {
        self.tear_down(context, 0, None, false)?;
        self.release_record();
        Snapshot::remove(&self.layout, &self.name).map_err(Error::DestroySnapshot)?;
        journal::remove(&self.layout, &self.name)
    }

    /// Removes what a failed or interrupted bring-up left, in silence: the first error is the one to
    /// be seen.
    pub fn undo(&self, context: &mut OperationContext) {
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
    ) -> Result<Status, Error> {
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
            Err(errno) => return Err(Error::Signal(errno)),
        }
        zone_fail::pass!("kill.sent");
        // Nobody else has to wait for zsched's ear meanwhile.
        let first_process = |context: &OperationContext| {
            Watch::new(context, self, status.pid).first_process(fds.pidfd.as_fd())
        };
        let ended = first_process(context);
        let is_stuck = ended.as_ref().is_err_and(Error::is_stuck);
        if is_stuck && context.current.is_forced() && self.forsake(context) {
            first_process(context)?;
        } else {
            ended?;
        }
        // zsched reaps before it answers.
        Ok(self.keeper().status()?)
    }

    /// Has the kernel give up what it still wants of the zone's file servers, for which killed processes may wait. Tells whether there
    /// was any. That is known to the kernel alone, and can be done again: a daemon that dies here is followed by one that halts the zone.
    fn forsake(&self, context: &mut OperationContext) -> bool {
        let Ok(snapshot) = Snapshot::load(&self.layout, &self.name) else { return false };
        let processes = cgroup::processes(&self.layout, &self.name).unwrap_or_default();
        let forsaken = filesystems::forsake(&snapshot, &processes);
        for server in &forsaken {
            context.warn(&format!(
                "{server} does not answer, and is waited for no longer: what was not written there is lost"
            ));
        }
        !forsaken.is_empty()
    }

    /// Undoes the platform's steps, the last first. All are tried; the first error is told.
    /// What was killed has `limit` to go, or the usual time.
    fn tear_down(
        &self,
        context: &OperationContext,
        first: i32,
        limit: Option<Duration>,
        namespaces_end: bool,
    ) -> Result<(), Error> {
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
                result = result.and(undo(&down).map_err(Error::from));
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

#[cfg(test)]
mod tests;
