//! With what arguments a zone boots.

use crate::zone::Zone;
use zone_config::bootargs::{BootArgs, TooLong};
use zone_config::{Snapshot, ZoneConfig};

/// The arguments of one boot.
#[derive(Debug, Clone, Default)]
pub struct BootArguments {
    /// What somebody has given for this boot, or for an earlier one: it holds until other arguments are given, or the zone is
    /// halted.
    pub given: Option<String>,
    /// What the zone boots with: the given arguments, else the configured ones.
    pub text: String,
    /// The same, understood.
    pub parsed: BootArgs,
    /// Whether the zone can write its whole root this once; unlike arguments this holds for no later boot.
    pub writable: bool,
}

/// What somebody has asked of a boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The arguments, if any were given.
    pub args: Option<String>,
    /// That the zone can write its whole root this once.
    pub writable: bool,
}

impl BootArguments {
    /// Chooses between given and configured arguments: the one place that does.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn choose(given: Option<String>, configured: &str) -> Result<Self, TooLong> {
        let given = given.filter(|given| !given.is_empty());
        let text = given.clone().unwrap_or_else(|| configured.to_owned());
        let parsed = BootArgs::parse(&text)?;
        Ok(Self { given, text, parsed, writable: false })
    }

    /// Gives what was asked for, without what it came to.
    pub fn asked(self) -> Asked {
        Asked { args: self.given, writable: self.writable }
    }

    /// Gives the arguments with which the zone of a snapshot boots.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn of(snapshot: &Snapshot) -> Result<Self, TooLong> {
        Self::choose(snapshot.bootargs.clone(), &snapshot.config.bootargs)
    }
}

/// Which configuration a boot takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// That of the platform that is there, from its snapshot.
    Present,
    /// The one on disk, of which a snapshot will be made.
    New,
}

impl Zone {
    /// Gives the arguments of a boot: `given`, else those that were given to the incarnation that lives, else the configured
    /// ones.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn boot_arguments(&self, given: &str, platform: Platform) -> Result<BootArguments, TooLong> {
        let live = Snapshot::load(&self.layout, &self.name).ok();
        let held = live.as_ref().and_then(|snapshot| snapshot.bootargs.clone());
        let given = Some(given.to_owned()).filter(|given| !given.is_empty()).or(held);
        let config = match live {
            Some(snapshot) if platform == Platform::Present => Some(snapshot.config),
            _ => ZoneConfig::load(&self.layout, &self.name).ok(),
        };
        BootArguments::choose(given, config.as_ref().map_or("", |config| &config.bootargs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_before_what_is_configured() {
        let of = |given: Option<&str>, configured| {
            BootArguments::choose(given.map(str::to_owned), configured).unwrap()
        };
        assert_eq!(of(None, "-s").parsed.args, ["-s"]);
        assert_eq!(of(Some(""), "-s").given, None);
        let given = of(Some("-i /bin/sh"), "-s");
        assert_eq!((given.parsed.init.as_deref(), given.parsed.args.len()), (Some("/bin/sh"), 0));
        assert!(BootArguments::choose(Some("x".repeat(2000)), "").is_err());
    }
}
