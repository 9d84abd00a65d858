//! What is said of a command line that makes no sense: what may have been meant by it.

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use zone_config::nearest::nearest;

use crate::cli::Cli;
use crate::message::{say, warn};

/// Words that people bring along from other tools, and what is called so here. ZONE is the zone.
const WORDS: [(&str, &str); 41] = [
    ("attach-console", "zlogin -C ZONE"),
    ("cat", "zlogin ZONE cat FILE"),
    ("config", "zonecfg -z ZONE"),
    ("copy", "zoneadm cp FILE ZONE:PATH, or zoneadm cp ZONE:PATH FILE"),
    ("create", "zonecfg -z ZONE create"),
    ("delete", "zoneadm -z ZONE uninstall, and then zonecfg -z ZONE delete"),
    ("destroy", "zoneadm -z ZONE uninstall, and then zonecfg -z ZONE delete"),
    ("disable", "zonecfg -z ZONE set autoboot=false"),
    ("down", "zoneadm -z ZONE shutdown"),
    ("edit", "zonecfg -z ZONE edit"),
    ("enable", "zonecfg -z ZONE set autoboot=true"),
    ("enter", "zlogin ZONE"),
    ("exec", "zlogin ZONE COMMAND"),
    ("execute", "zlogin ZONE COMMAND"),
    ("export", "zonecfg -z ZONE export"),
    ("import", "zonecfg -z ZONE create -f FILE"),
    ("info", "zoneadm -z ZONE status, or zonecfg -z ZONE info"),
    ("inspect", "zoneadm -z ZONE status --json"),
    ("journal", "zoneadm -z ZONE log"),
    ("kill", "zoneadm -z ZONE halt"),
    ("launch", "zoneadm -z ZONE boot"),
    ("login", "zlogin ZONE"),
    ("logs", "zoneadm console ZONE --log"),
    ("ls", "zoneadm list -cv"),
    ("migrate", "zoneadm -z ZONE detach, its directory copied to the other host, and attach there"),
    ("poweroff", "zoneadm -z ZONE shutdown"),
    ("pull", "zoneadm cp ZONE:PATH FILE"),
    ("push", "zoneadm cp FILE ZONE:PATH"),
    ("remove", "zoneadm -z ZONE uninstall, and then zonecfg -z ZONE delete"),
    ("rename", "zoneadm -z ZONE detach, zonecfg -z ZONE set zonename=NEW, and then zoneadm -z NEW attach"),
    ("restart", "zoneadm -z ZONE shutdown -r, or at once: zoneadm -z ZONE reboot"),
    ("rm", "zoneadm -z ZONE uninstall, and then zonecfg -z ZONE delete"),
    ("run", "zlogin ZONE COMMAND"),
    ("shell", "zlogin ZONE"),
    ("show", "zoneadm -z ZONE status"),
    ("start", "zoneadm -z ZONE boot"),
    ("stats", "zoneadm stat"),
    ("stop", "zoneadm -z ZONE shutdown, or at once: zoneadm -z ZONE halt"),
    ("terminate", "zoneadm -z ZONE halt"),
    ("top", "zoneadm stat"),
    ("up", "zoneadm -z ZONE boot"),
];

/// Words of other tools for what is not there.
const NOTHING_LIKE_IT: [&str; 9] =
    ["checkpoint", "freeze", "pause", "restore", "resume", "snapshot", "suspend", "unfreeze", "unpause"];

/// Options that stand before the subcommand alone, and what follows them.
const BEFORE: [(&str, &str); 3] = [("-R", "ROOT"), ("-u", "UUID"), ("--state", "STATE")];

/// Says what is wrong with the command line of this process.
pub(crate) fn report(error: &clap::Error) {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match hint(error, &words) {
        Some(text) => warn(text),
        None => {
            // What clap says begins with "error: ", where all else here begins with who says it.
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            for (at, line) in text.lines().enumerate() {
                match at {
                    0 => warn(line),
                    _ => say(format_args!("{line}")),
                }
            }
        }
    }
}

/// What may have been meant.
fn hint(error: &clap::Error, words: &[String]) -> Option<String> {
    let value = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let near_to_ours = error.get(ContextKind::SuggestedSubcommand).is_some();
            unknown_verb(value(ContextKind::InvalidSubcommand)?, near_to_ours, words)
        }
        ErrorKind::UnknownArgument => {
            let word = value(ContextKind::InvalidArg)?;
            let verb = words.iter().find(|word| is_verb(word))?;
            if let Some((option, what)) = BEFORE.into_iter().find(|(option, _)| word == *option) {
                return Some(format!(
                    "{verb}: {option} stands before the subcommand, as in: zoneadm {option} {what} {verb}"
                ));
            }
            if word.starts_with('-') {
                return None;
            }
            zone_of(words)
                .is_none()
                .then(|| format!("{verb}: a zone is named with -z, as in: zoneadm -z {word} {verb}"))
        }
        _ => None,
    }
}

fn unknown_verb(verb: &str, near_to_ours: bool, words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == verb)?;
    let behind = words.get(at + 1).filter(|word| !word.starts_with('-'));
    if let Some(meant) = behind.filter(|word| is_verb(word)) {
        return Some(format!("a zone is named with -z, as in: zoneadm -z {verb} {meant}"));
    }
    let zone = zone_of(words).or(behind.map(String::as_str)).unwrap_or("ZONE");
    if NOTHING_LIKE_IT.contains(&verb) {
        return Some(format!("there is no subcommand \"{verb}\", and nothing here that does the same"));
    }
    let theirs = || WORDS.iter().map(|(word, _)| *word);
    let meant = theirs().find(|word| *word == verb);
    let meant = meant.or_else(|| nearest(verb, theirs()).filter(|_| !near_to_ours))?;
    let (_, here) = WORDS.iter().find(|(word, _)| *word == meant)?;
    Some(format!("there is no subcommand \"{verb}\"; what you mean may be: {}", here.replace("ZONE", zone)))
}

fn is_verb(word: &str) -> bool {
    Cli::command().get_subcommands().any(|verb| verb.get_name() == word)
}

/// The zone that was named.
fn zone_of(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word.starts_with("-z"))?;
    match &words[at][2..] {
        "" => words.get(at + 1).map(String::as_str),
        joined => Some(joined),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let typed = ["zoneadm".to_owned()].into_iter().chain(words.clone());
        hint(&Cli::try_parse_from(typed).unwrap_err(), &words)
    }

    #[test]
    fn the_words_of_others_lead_to_ours() {
        assert!(WORDS.is_sorted(), "in the order of the alphabet");
        for (word, _) in WORDS {
            assert!(!is_verb(word), "{word} is a word of ours by now");
        }
        let start = said("start web").unwrap();
        assert_eq!(start, "there is no subcommand \"start\"; what you mean may be: zoneadm -z web boot");
        assert_eq!(said("-z web start").unwrap(), start);
        assert_eq!(said("-zweb start").unwrap(), start);
        assert!(said("-z web stopp").unwrap().contains("zoneadm -z web shutdown"), "mistyped");
        assert!(said("-R /x enter web").unwrap().ends_with(": zlogin web"));
        assert!(said("-z web pause").unwrap().ends_with("nothing here that does the same"));
        assert!(said("-z web edit").unwrap().ends_with(": zonecfg -z web edit"));
        assert!(said("logs").unwrap().ends_with("zoneadm console ZONE --log"));
    }

    #[test]
    fn a_zone_at_another_place_is_recognized() {
        assert_eq!(said("boot web").unwrap(), "boot: a zone is named with -z, as in: zoneadm -z web boot");
        assert_eq!(said("web boot").unwrap(), "a zone is named with -z, as in: zoneadm -z web boot");
        assert_eq!(said("-z web boot now"), None);
        assert_eq!(said("-z web boot --now"), None);
        let state = "halt: --state stands before the subcommand, as in: zoneadm --state STATE halt";
        assert_eq!(said("halt --state ready").unwrap(), state);
        assert_eq!(said("halt --state=ready").unwrap(), state);
        assert!(said("boot -R /x").unwrap().ends_with("zoneadm -R ROOT boot"));
        assert_eq!(said("bot"), None, "clap's own question is the better one");
    }
}
