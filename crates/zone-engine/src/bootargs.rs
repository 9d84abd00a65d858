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
    /// What the zone's own root has given for this boot, and for no later one.
    pub once: Option<String>,
    /// What the zone boots with: the arguments for this boot, else the given ones, else the configured ones.
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
    /// The arguments that hold in their place for this boot only.
    pub once: Option<String>,
    /// That the zone can write its whole root this once.
    pub writable: bool,
}

impl BootArguments {
    /// Chooses between what was asked for and the configured arguments: the one place that does.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn choose(asked: Asked, configured: &str) -> Result<Self, TooLong> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (given, once, writable) = (said(asked.args), said(asked.once), asked.writable);
        let text = once.as_deref().or(given.as_deref()).unwrap_or(configured).to_owned();
        let parsed = BootArgs::parse(&text)?;
        Ok(Self { given, once, text, parsed, writable })
    }

    /// Gives what was asked for, without what it came to.
    pub fn asked(self) -> Asked {
        Asked { args: self.given, once: self.once, writable: self.writable }
    }

    /// Gives the arguments with which the zone of a snapshot boots.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn of(snapshot: &Snapshot) -> Result<Self, TooLong> {
        let (args, once) = (snapshot.bootargs.clone(), snapshot.bootargs_once.clone());
        Self::choose(Asked { args, once, writable: snapshot.writable }, &snapshot.config.bootargs)
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
    /// Gives the arguments of a boot: those that are asked for, else those that were given to the incarnation that lives, else the
    /// configured ones.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn boot_arguments(&self, mut asked: Asked, platform: Platform) -> Result<BootArguments, TooLong> {
        let live = Snapshot::load(&self.layout, &self.name).ok();
        let held = live.as_ref().and_then(|snapshot| snapshot.bootargs.clone());
        asked.args = asked.args.filter(|given| !given.is_empty()).or(held);
        let config = match live {
            Some(snapshot) if platform == Platform::Present => Some(snapshot.config),
            _ => ZoneConfig::load(&self.layout, &self.name).ok(),
        };
        BootArguments::choose(asked, config.as_ref().map_or("", |config| &config.bootargs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_comes_before_what_is_configured() {
        let of = |given: Option<&str>, configured| {
            BootArguments::choose(Asked { args: given.map(str::to_owned), ..Asked::default() }, configured)
                .unwrap()
        };
        assert_eq!(of(None, "-s").parsed.args, ["-s"]);
        assert_eq!(of(Some(""), "-s").given, None);
        let given = of(Some("-i /bin/sh"), "-s");
        assert_eq!((given.parsed.init.as_deref(), given.parsed.args.len()), (Some("/bin/sh"), 0));
        let long = Asked { args: Some("x".repeat(2000)), ..Asked::default() };
        assert!(BootArguments::choose(long, "").is_err());
    }

    #[test]
    fn what_holds_once_comes_before_all_and_is_not_what_was_given() {
        let asked =
            |once: &str| Asked { args: Some("-m given".into()), once: Some(once.into()), writable: true };
        let once = BootArguments::choose(asked("-s"), "-m configured").unwrap();
        assert_eq!((once.text.as_str(), once.given.as_deref()), ("-s", Some("-m given")));
        assert_eq!(once.asked(), asked("-s"));
        let none = BootArguments::choose(asked(""), "").unwrap();
        assert_eq!((none.text.as_str(), none.once), ("-m given", None));
    }
}
