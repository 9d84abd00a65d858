//! What is looked at before a zone that runs is taken down to be booted again: nothing is taken down for what is known to fail.

use crate::bootargs::BootArguments;
use crate::context::OperationContext;
use crate::error::Error;
use crate::ready::check_init;
use crate::zone::Zone;
use zone_config::Snapshot;
use zone_platform::Spec;
use zone_platform::verify;

impl Zone {
    /// Checks the configuration that the zone would boot with, and its init.
    ///
    /// # Errors
    /// Everything that would keep the zone from booting.
    pub fn preflight(&self, context: &mut OperationContext, args: &BootArguments) -> Result<(), Error> {
        let mut snapshot = self.snapshot(args.clone().asked()).map_err(Error::Snapshot)?;
        if args.parsed.init.is_some() {
            snapshot.config.init.clone_from(&args.parsed.init);
        }
        let spec = Spec::of(&snapshot);
        self.reach(context, &spec)?;
        context.make("verify", |_| {
            let findings = verify::errors(&self.layout, &spec);
            if findings.is_empty() { Ok(()) } else { Err(Error::Verify(findings)) }
        })
    }

    /// Checks the init that boot arguments name, if they name one.
    ///
    /// # Errors
    /// What would keep the zone from starting it.
    pub fn check_named_init(&self, args: &BootArguments) -> Result<(), Error> {
        let Some(init) = &args.parsed.init else { return Ok(()) };
        check_init(&self.snapshot(args.clone().asked()).map_err(Error::Snapshot)?, init)
    }

    /// The path of the init of the zone that lives.
    #[must_use]
    pub fn init(&self) -> String {
        let snapshot = Snapshot::load(&self.layout, &self.name);
        snapshot.map_or_else(|_| "???".into(), |snapshot| snapshot.config.init(&snapshot.brand).to_owned())
    }
}
