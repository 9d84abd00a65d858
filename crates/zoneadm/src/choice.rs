//! Which zones a command is about when it is not one alone: by a list, a pattern, their state, or all.

use zone_config::nearest::did_you_mean;
use zone_config::{Entry, Index, State, ZoneName, here, pattern};

use crate::cli::watch::StatusArgs;
use crate::cli::{Cli, Verb};
use crate::message::{Failure, Outcome, warn};

/// What was said of the zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The names and patterns of `-z`; none where all zones are meant.
    words: Vec<String>,
    /// Those of `--state`.
    states: Vec<State>,
}

impl Choice {
    /// Reads what was typed; `None` if it names one zone or none.
    pub(crate) fn of(cli: &Cli) -> Outcome<Option<Self>> {
        let text = named(cli)?;
        if cli.all && (text.is_some() || cli.uuid.is_some()) {
            return Err(Failure::Usage("--all and a zone that is named: give one of the two".to_owned()));
        }
        let several = text.is_some_and(|text| text.contains(',') || pattern::is_pattern(text));
        if !cli.all && cli.states.is_empty() && !several {
            return Ok(None);
        }
        let words = text.map(|text| text.split(',').map(str::to_owned).collect());
        Ok(Some(Self { words: words.unwrap_or_default(), states: cli.states.clone() }))
    }

    /// The zones of `-z`, or all, in the order that they were named in, each once.
    ///
    /// # Errors
    /// When a name or a pattern stands for no zone: then nothing is done to the others either.
    pub(crate) fn named(&self, index: &Index) -> Outcome<Vec<Entry>> {
        index.problems().iter().for_each(warn);
        if self.words.is_empty() {
            return Ok(index.entries().cloned().collect());
        }
        let mut chosen: Vec<Entry> = Vec::new();
        for word in &self.words {
            let before = chosen.len();
            let mut known = false;
            for entry in index.entries().filter(|entry| pattern::matches(word, entry.name.as_str())) {
                known = true;
                if !chosen.iter().any(|other| other.name == entry.name) {
                    chosen.push(entry.clone());
                }
            }
            if !known && chosen.len() == before {
                return Err(unknown(word, index));
            }
        }
        Ok(chosen)
    }

    /// The names and patterns as they were typed; none where all zones are meant.
    pub(crate) fn text(&self) -> Option<String> {
        (!self.words.is_empty()).then(|| self.words.join(","))
    }

    /// The states of `--state`.
    pub(crate) fn of_states(&self) -> &[State] {
        &self.states
    }

    /// Whether `--state` says which.
    pub(crate) fn has_states(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whether a zone in this state is meant, which may be unknown.
    pub(crate) fn is_wanted(&self, state: Option<State>) -> bool {
        !self.has_states() || state.is_some_and(|state| self.wants(state))
    }

    /// Whether every zone is meant.
    pub(crate) fn is_all(&self) -> bool {
        self.words.is_empty() && self.states.is_empty()
    }

    /// Whether `--state` names this one.
    pub(crate) fn wants(&self, state: State) -> bool {
        self.states.contains(&state)
    }

    /// The states of `--state`, for people.
    pub(crate) fn states(&self) -> String {
        self.states.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }
}

/// What was said of the zones by name: by `-z`, or behind the verb where it takes them there.
///
/// # Errors
/// When they were named in two places.
pub(crate) fn named(cli: &Cli) -> Outcome<Option<&str>> {
    let Verb::Status(StatusArgs { zone: Some(zone), .. }) = &cli.verb else { return Ok(cli.zone.as_deref()) };
    if cli.zone.as_ref().is_some_and(|other| other != zone) || cli.uuid.is_some() || cli.all {
        return Err(Failure::Usage(
            "status: the zone was named twice; name it once, by -z, by -u or after \"status\"".to_owned(),
        ));
    }
    Ok(Some(zone))
}

fn unknown(word: &str, index: &Index) -> Failure {
    if pattern::is_pattern(word) {
        return Failure::general(anyhow::anyhow!("no zone has a name like '{word}'; nothing was done"));
    }
    if word == here::GLOBAL {
        return Failure::text(word, "the global zone is not one of several; name it alone");
    }
    match word.parse::<ZoneName>() {
        Ok(name) => {
            let meant = did_you_mean(word, index.entries().map(|entry| entry.name.as_str()));
            Failure::text(&name, format_args!("No such zone configured{meant}"))
        }
        Err(error) => Failure::general(error),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn choice(line: &str) -> Option<Choice> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        Choice::of(&cli).unwrap_or_else(|failure| panic!("{line}: {failure:?}"))
    }

    fn names(choice: &Choice) -> Result<String, String> {
        let zones = ["web1", "web2", "db"].map(|name| Entry {
            name: name.parse().unwrap(),
            state: State::Installed,
            zonepath: format!("/zones/{name}").into(),
            uuid: None,
        });
        let mut index = Index::default();
        for zone in zones {
            index.add(zone).unwrap();
        }
        match choice.named(&index) {
            Ok(chosen) => Ok(chosen.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(" ")),
            Err(Failure::Error { error, .. }) => Err(error.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_zone_is_no_choice() {
        assert_eq!(choice("zoneadm -z web boot"), None);
        assert_eq!(choice("zoneadm boot -z web"), None);
        assert_eq!(choice("zoneadm list"), None);
        assert_eq!(choice("zoneadm status web"), None);
    }

    #[test]
    fn lists_and_patterns_are_in_the_order_that_was_typed() {
        let of = |line: &str| names(&choice(line).unwrap());
        assert_eq!(of("zoneadm -z db,web* boot").unwrap(), "db web1 web2");
        assert_eq!(of("zoneadm boot -z web2,web*").unwrap(), "web2 web1");
        assert_eq!(of("zoneadm status web*").unwrap(), "web1 web2");
        assert_eq!(of("zoneadm --all halt").unwrap(), "web1 web2 db");
        assert_eq!(of("zoneadm halt --all").unwrap(), "web1 web2 db");
        assert_eq!(of("zoneadm --state running,ready halt").unwrap(), "web1 web2 db");
        assert!(choice("zoneadm --state running,ready halt").unwrap().wants(State::Ready));
    }

    #[test]
    fn a_name_without_a_zone_ends_all() {
        let of = |line: &str| names(&choice(line).unwrap()).unwrap_err();
        assert_eq!(of("zoneadm -z web1,wbe2 boot"), "No such zone configured; did you mean \"web2\"?");
        assert!(of("zoneadm -z db,x* boot").starts_with("no zone has a name like 'x*'"));
        assert!(of("zoneadm -z db,global boot").contains("name it alone"));
        assert!(!of("zoneadm -z db, boot").is_empty());
    }
}
