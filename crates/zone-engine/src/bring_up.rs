//! Bringing a zone up as an operation: with a journal, undone when it fails, tried again when zsched dies under it.

use crate::bootargs::Asked;
use crate::context::OperationContext;
use crate::error::Error;
use crate::journal::{Intent, Journal};
use crate::zone::Zone;
use zone_config::Operation;
use zone_config::Snapshot;
use zone_config::lastexit::{How, LastExit};

impl Zone {
    /// Makes the zone ready, or leaves nothing.
    pub fn ready_or_undo(&self, context: &mut OperationContext) -> Result<(), Error> {
        self.retry(context, Self::ready_once)
    }

    fn ready_once(&self, context: &mut OperationContext) -> Result<(), Error> {
        let mut journal = Journal::open(&self.layout, &self.name)?;
        journal.begin(&Intent::to(context.operation, ""))?;
        let made = self.ready(context, 0, Asked::default());
        self.settle(context, journal, made)
    }

    /// Boots the zone, making it ready before if need be; or leaves it installed.
    pub fn boot_or_undo(
        &self,
        context: &mut OperationContext,
        asked: &Asked,
        ready: bool,
    ) -> Result<(), Error> {
        let mut ready = ready;
        self.retry(context, |zone, context| {
            let booted = zone.boot_once(context, asked, ready);
            // What was ready before has gone.
            ready = true;
            booted
        })
    }

    fn boot_once(&self, context: &mut OperationContext, asked: &Asked, ready: bool) -> Result<(), Error> {
        let mut journal = Journal::open(&self.layout, &self.name)?;
        journal.begin(&Intent::to(context.operation, asked.args.as_deref().unwrap_or_default()))?;
        let made = if ready { self.ready(context, 0, asked.clone()).map(drop) } else { Ok(()) };
        let booted = made.and_then(|()| self.boot(context, asked.args.as_deref(), ready));
        self.settle(context, journal, booted)
    }

    /// Closes the journal entry of what succeeded, or undoes what failed.
    fn settle<T>(
        &self,
        context: &mut OperationContext,
        mut journal: Journal,
        result: Result<T, Error>,
    ) -> Result<(), Error> {
        match result {
            Ok(_) => {
                journal.end_or_say(context);
                Ok(())
            }
            Err(error) => {
                self.undo(context);
                Err(error)
            }
        }
    }

    /// Halts the zone and boots it, with the arguments that are asked for, else with those that were given to what it is now. The
    /// journal holds the intent until it is through, so that a reboot survives the daemon.
    pub fn reboot(
        &self,
        context: &mut OperationContext,
        how: How,
        mut asked: Asked,
        restarts: u32,
    ) -> Result<Option<LastExit>, Error> {
        let held = || Snapshot::load(&self.layout, &self.name).ok().and_then(|snapshot| snapshot.bootargs);
        asked.args = asked.args.or_else(held);
        // What the first attempt has ended is what was rebooted.
        let mut last = None;
        self.retry(context, |zone, context| zone.reboot_once(context, how, &asked, restarts, &mut last))?;
        Ok(last)
    }

    fn reboot_once(
        &self,
        context: &mut OperationContext,
        how: How,
        asked: &Asked,
        restarts: u32,
        last: &mut Option<LastExit>,
    ) -> Result<(), Error> {
        let uniqid = self.keeper().status()?.uniqid;
        let begun = Intent::to(Operation::Reboot, asked.args.as_deref().unwrap_or_default());
        let mut journal = Journal::open(&self.layout, &self.name)?;
        let (once, writable) = (asked.once.clone(), asked.writable);
        journal.begin(&Intent { uniqid, how: Some(how), number: restarts, once, writable, ..begun })?;
        if let Some(ended) = self.halt(context, Some(how))? {
            last.get_or_insert(ended);
        }
        let made = self.ready(context, restarts, asked.clone());
        let booted = made.and_then(|_| self.boot(context, None, true));
        if booted.is_err() {
            // Now it is a halt that has to be carried on.
            context.operation = Operation::Halt;
        }
        self.settle(context, journal, booted)
    }
}
