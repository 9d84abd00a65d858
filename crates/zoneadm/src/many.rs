//! A verb that is done to several zones: side by side, each by a process of its own, which is what a person would type.
//!
//! So one zone that fails, hangs or is interrupted is no business of another's, and each is done exactly as it is done alone.

mod run;
mod show;

use zone_config::{Entry, State, here};

use crate::choice::Choice;
use crate::cli::Verb;
use crate::context::Context;
use crate::live;
use crate::message::{Failure, Outcome, warn};

/// Does `verb` to the zones that were chosen.
pub(crate) fn run(cx: &Context, choice: &Choice, verb: &Verb) -> Outcome {
    let name = verb.name();
    if here::confined().is_some() {
        let text = format!("must be in the global zone to {name} several zones.");
        return Err(Failure::general(anyhow::Error::msg(text)));
    }
    if !verb.takes_several() {
        return Err(Failure::Usage(format!("{name} is done to one zone at a time; name it with -z")));
    }
    if matches!(verb, Verb::Uninstall(args) if !args.force) {
        let text = "uninstall of several zones asks nothing, so it must be told with -F; or name one zone";
        return Err(Failure::Usage(text.to_owned()));
    }
    let zones = chosen(cx, choice, verb)?;
    if zones.is_empty() {
        let which = match choice.has_states() {
            true => format!("no zone is {}", choice.states()),
            false => format!("no zone is in a state that {name} is for"),
        };
        warn(format_args!("{which}; nothing to do"));
        return Ok(());
    }
    run::each(&zones, verb)
}

/// The zones that are meant. Those of `--all` are the ones whose state makes sense for the verb.
fn chosen(cx: &Context, choice: &Choice, verb: &Verb) -> Outcome<Vec<Entry>> {
    let mut zones = Vec::new();
    for entry in choice.named(&cx.index()?)? {
        let wanted = if choice.has_states() || choice.is_all() {
            let live = live::ask_among_others(&cx.layout, &entry.name).map_err(|error| {
                Failure::of(&entry.name)(anyhow::Error::new(error).context("could not get state"))
            })?;
            let state = live::state(live.as_ref(), entry.state);
            if choice.has_states() { choice.wants(state) } else { is_for(verb.name(), state) }
        } else {
            true
        };
        if wanted {
            zones.push(entry);
        }
    }
    Ok(zones)
}

/// Whether `--all` means zones in this state, for a verb by its name.
pub(crate) fn is_for(verb: &str, state: State) -> bool {
    match verb {
        "install" | "attach" | "clone" => state == State::Configured,
        "uninstall" => matches!(state, State::Incomplete | State::Installed),
        "detach" | "move" | "mark" | "ready" => state == State::Installed,
        "verify" => state != State::Incomplete,
        "boot" => state >= State::Installed && state != State::Running,
        "shutdown" => matches!(state, State::Running | State::ShuttingDown),
        "reboot" | "halt" | "apply" | "set" => state >= State::Ready,
        _ => true,
    }
}

impl Verb {
    /// As it is typed.
    fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Status(_) => "status",
            Self::Cp(_) => "cp",
            Self::Ps(_) => "ps",
            Self::Stat(_) => "stat",
            Self::Events(_) => "events",
            Self::Verify => "verify",
            Self::Install(_) => "install",
            Self::Uninstall(_) => "uninstall",
            Self::Detach(_) => "detach",
            Self::Attach(_) => "attach",
            Self::Clone(_) => "clone",
            Self::Move(_) => "move",
            Self::Ready => "ready",
            Self::Boot(_) => "boot",
            Self::Reboot(_) => "reboot",
            Self::Halt(_) => "halt",
            Self::Shutdown(_) => "shutdown",
            Self::Apply(_) => "apply",
            Self::Set(_) => "set",
            Self::Mark(_) => "mark",
            Self::RenewDaemon(_) => "renew-daemon",
            Self::Console(_) => "console",
            Self::Wait(_) => "wait",
            Self::Log(_) => "log",
        }
    }

    /// Whether it changes nothing, and looks at all zones by itself that were named.
    pub(crate) fn only_looks(&self) -> bool {
        matches!(self, Self::List(_) | Self::Status(_) | Self::Ps(_) | Self::Stat(_) | Self::Events(_))
    }

    /// Whether it makes sense to do it to several zones with the same words.
    fn takes_several(&self) -> bool {
        !matches!(self, Self::Console(_) | Self::Log(_) | Self::Cp(_) | Self::Move(_))
    }

    /// Whether it prints JSON.
    fn prints_json(&self) -> bool {
        match self {
            Self::Boot(args) => args.json,
            Self::Apply(args) => args.json,
            Self::RenewDaemon(args) => args.json,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    fn verb(line: &str) -> Verb {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}")).verb
    }

    #[test]
    fn all_means_those_that_the_verb_is_for() {
        let states = |line: &str| {
            let verb = verb(&format!("zoneadm --all {line}"));
            State::ALL
                .into_iter()
                .filter(|&state| is_for(verb.name(), state))
                .map(State::as_str)
                .collect::<Vec<_>>()
        };
        assert_eq!(states("install"), ["configured"]);
        assert_eq!(states("boot"), ["installed", "ready", "shutting_down", "down"]);
        assert_eq!(states("shutdown -t 3"), ["running", "shutting_down"]);
        assert_eq!(states("uninstall -F"), ["incomplete", "installed"]);
    }

    #[test]
    fn names_are_those_that_are_typed() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let more = match name {
                "mark" => " incomplete",
                "set" => " max-lwps=5000",
                "console" => " --log",
                "wait" => " --ready",
                "cp" => " motd web:/etc",
                "clone" => " db",
                "move" => " /srv/web",
                _ => "",
            };
            assert_eq!(verb(&format!("zoneadm {name}{more}")).name(), name);
        }
    }
}
