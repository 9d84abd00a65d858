//! What must hold before a verb does anything: who asks, about which zone, in which state. The order of the tests
//! and their texts are those of zoneadm on Solaris.

use zone_config::{Entry, Layout, State, ZoneName, here};
use zsched::client::operates;
use zsched::wire::Status;

use crate::context::{Context, Selection};
use crate::live;
use crate::message::{Failure, Outcome};
use crate::verbs::{install, relocate};

/// The verbs that need a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Verify,
    Install,
    Uninstall,
    Detach,
    Attach,
    Clone,
    /// Being the one that is cloned.
    Cloned,
    Move,
    Ready,
    Boot,
    Reboot,
    Halt,
    Shutdown,
    Apply,
    Set,
    Mark,
}

/// Whether a verb wants the zone up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Up,
    NotUp,
    Either,
}

impl Action {
    /// As messages spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Detach => "detach",
            Self::Attach => "attach",
            Self::Clone | Self::Cloned => "clone",
            Self::Move => "move",
            Self::Ready => "ready",
            Self::Boot => "boot",
            Self::Reboot => "reboot",
            Self::Halt => "halt",
            Self::Shutdown => "shutdown",
            Self::Apply => "apply",
            Self::Set => "set",
            Self::Mark => "mark",
        }
    }

    /// What to say to whoever asks for it inside a zone.
    fn elsewhere(self) -> String {
        let verb = self.name();
        match self {
            Self::Halt | Self::Reboot | Self::Shutdown => format!("use {verb}(8) to {verb} this zone."),
            Self::Apply => "must be in the global zone to apply a zone's configuration.".to_owned(),
            Self::Set => "must be in the global zone to set what a zone has.".to_owned(),
            _ => format!("must be in the global zone to {verb} a zone."),
        }
    }

    fn wants(self) -> Wants {
        match self {
            Self::Reboot | Self::Shutdown | Self::Apply | Self::Set => Wants::Up,
            Self::Install | Self::Uninstall | Self::Detach | Self::Attach | Self::Mark => Wants::NotUp,
            Self::Clone | Self::Cloned | Self::Move => Wants::NotUp,
            Self::Verify | Self::Ready | Self::Boot | Self::Halt => Wants::Either,
        }
    }

    /// Whether it ends the life that a zone has.
    fn ends(self) -> bool {
        matches!(self, Self::Reboot | Self::Halt | Self::Shutdown)
    }

    /// Why it cannot be done to a zone of which the index says `stored`.
    fn refusal(self, zone: &ZoneName, stored: State) -> Option<String> {
        let clear = || format!("Run \"zoneadm -z {zone} uninstall\" first, which tells what it removes.");
        match (self, stored) {
            (Self::Uninstall, State::Configured) => Some(format!("is already in state '{stored}'.")),
            (Self::Install | Self::Attach | Self::Clone, State::Installed) => {
                Some(format!("is already {stored}."))
            }
            (Self::Install | Self::Attach | Self::Clone | Self::Verify, State::Incomplete) => {
                Some(format!("zone is {stored}; uninstall required. {}", clear()))
            }
            (Self::Install | Self::Uninstall | Self::Attach | Self::Clone | Self::Verify | Self::Mark, _) => {
                None
            }
            (_, State::Incomplete) => {
                Some(format!("must be {} before {}. {}", State::Installed, self.name(), clear()))
            }
            (_, State::Configured) => Some(format!("must be {} before {}.", State::Installed, self.name())),
            _ => None,
        }
    }
}

/// A zone that a verb may be applied to.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// What is to be done.
    pub(crate) action: Action,
    /// Where everything is.
    pub(crate) layout: &'a Layout,
    /// This one.
    pub(crate) entry: Entry,
    /// What its keeper said, if the verb depends on whether the zone is up.
    pub(crate) live: Option<Status>,
}

impl Target<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &ZoneName {
        &self.entry.name
    }
}

/// Makes sure that this is the global zone and the user root, for a verb that looks at zones or their daemons.
pub(crate) fn only_root_here(what: &str) -> Outcome {
    refuse(&format!("must be in the global zone to {what}."), what)
}

/// Refuses who is in a zone, with `elsewhere`, and who is not root.
fn refuse(elsewhere: &str, what: &str) -> Outcome {
    if here::confined().is_some() {
        return Err(Failure::general(anyhow::Error::msg(elsewhere.to_owned())));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::general(anyhow::anyhow!("only a privileged user may {what}.")));
    }
    Ok(())
}

/// Makes sure that `action` makes sense, before anything is done.
pub(crate) fn check(cx: &Context, action: Action) -> Outcome<Target<'_>> {
    let verb = action.name();
    refuse(&action.elsewhere(), &format!("{verb} a zone"))?;
    let unlisted = if action == Action::Halt { cx.unlisted() } else { None };
    let selected = match unlisted {
        Some(entry) if cx.find(&entry.name)?.is_none() => Selection::Zone(entry),
        _ => cx.select()?,
    };
    let entry = match selected {
        Selection::Zone(entry) => entry,
        Selection::Nothing => return Err(Failure::no_zone()),
        Selection::Global => {
            return Err(Failure::text(
                here::GLOBAL,
                format!("{verb} operation is invalid for the global zone."),
            ));
        }
    };
    let mut target = examine(&cx.layout, action, entry)?;
    relocate::settle(&mut target)?;
    zone_fail::arm("zoneadm", || target.layout.zone_run(target.name()));
    zone_fail::pass!("client.checked");
    Ok(target)
}

/// Makes sure that a zone can be cloned.
pub(crate) fn cloned<'a>(layout: &'a Layout, source: Entry) -> Outcome<Target<'a>> {
    let mut source = examine(layout, Action::Cloned, source)?;
    relocate::settle(&mut source)?;
    Ok(source)
}

/// Looks whether `action` is for the state that a zone is in.
fn examine(layout: &Layout, action: Action, entry: Entry) -> Outcome<Target<'_>> {
    let verb = action.name();
    let mut target = Target { action, layout, entry, live: None };
    let zone = &target.entry.name;
    if action.wants() != Wants::Either || (action.ends() && target.entry.state != State::Installed) {
        let status = live::ask(layout, zone)
            .map_err(|error| Failure::of(zone)(anyhow::Error::new(error).context("could not get state")))?;
        match (action.wants(), &status) {
            // Between two lives of a reboot there is none: its daemon decides when that is over.
            (Wants::Up, None) if action.ends() && operates(&layout.zone_run(zone)) => {}
            (Wants::Up, None) => return Err(Failure::text(zone, "not running")),
            (Wants::NotUp, Some(_)) => {
                let state = live::state(status.as_ref(), target.entry.state);
                let text = format!("{verb} operation is invalid for {state} zones.");
                // Elsewhere the word means to go in.
                return Err(match action {
                    Action::Attach => Failure::text(zone, format!("{text} To enter it: zlogin {zone}")),
                    _ => Failure::text(zone, text),
                });
            }
            _ => {}
        }
        target.live = status;
    }
    // What is up can be brought down, whatever was written down of it meanwhile.
    if action.ends() && target.live.is_some() {
        return Ok(target);
    }
    let zone = target.name();
    // What is only half there because somebody is at it needs no uninstall, but patience.
    if target.entry.state == State::Incomplete
        && let Some(who) = install::at_work(target.layout, zone)
    {
        return Err(Failure::text(zone, format_args!("{who} is at work on it; wait until that has ended.")));
    }
    match action.refusal(zone, target.entry.state) {
        Some(refusal) => Err(Failure::text(zone, refusal)),
        None => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_a_zone() {
        assert_eq!(Action::Halt.elsewhere(), "use halt(8) to halt this zone.");
        assert_eq!(Action::Boot.elsewhere(), "must be in the global zone to boot a zone.");
    }

    #[test]
    fn refusals_are_the_references() {
        let zone: ZoneName = "a".parse().unwrap();
        let text = |action: Action, state| action.refusal(&zone, state).unwrap_or_default();
        for (action, state, begins) in [
            (Action::Uninstall, State::Configured, "is already in state 'configured'."),
            (Action::Install, State::Installed, "is already installed."),
            (Action::Install, State::Incomplete, "zone is incomplete; uninstall required. Run \"zoneadm"),
            (Action::Verify, State::Incomplete, "zone is incomplete; uninstall required."),
            (Action::Ready, State::Configured, "must be installed before ready."),
            (Action::Boot, State::Incomplete, "must be installed before boot. Run \"zoneadm"),
            (Action::Detach, State::Configured, "must be installed before detach."),
            (Action::Attach, State::Installed, "is already installed."),
            (Action::Clone, State::Installed, "is already installed."),
            (Action::Clone, State::Incomplete, "zone is incomplete; uninstall required."),
            (Action::Cloned, State::Configured, "must be installed before clone."),
            (Action::Move, State::Configured, "must be installed before move."),
            (Action::Halt, State::Configured, "must be installed before halt."),
        ] {
            assert!(text(action, state).starts_with(begins), "{action:?} {state}");
        }
        for (action, state) in [
            (Action::Install, State::Configured),
            (Action::Clone, State::Configured),
            (Action::Cloned, State::Installed),
            (Action::Move, State::Installed),
            (Action::Uninstall, State::Incomplete),
            (Action::Uninstall, State::Installed),
            (Action::Boot, State::Installed),
            (Action::Verify, State::Configured),
            (Action::Mark, State::Configured),
        ] {
            assert_eq!(text(action, state), "", "{action:?} {state}");
        }
    }
}
