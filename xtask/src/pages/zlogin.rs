//! zlogin's command line. It reads its words by itself, as getopt(3) does, so what there is to be
//! known of its options is the help that it prints.

use crate::sh;
use anyhow::{Context, Result};
use clap::{Arg, ArgAction, Command, ValueHint};
use std::path::Path;

/// The command line of the zlogin in `bin`.
pub(super) fn command(bin: &Path) -> Result<Command> {
    let help = sh::capture(std::process::Command::new(bin.join("zlogin")).arg("--help"))?;
    // For the life of this program: clap keeps what it is given.
    parse(help.leak()).context("zlogin --help has no options, or none that could be read")
}

fn parse(help: &'static str) -> Option<Command> {
    let (usage, rest) = help.split_once("\n\n")?;
    let (about, rest) = rest.split_once("\n\n")?;
    let (options, after) = rest.strip_prefix("Options:\n")?.split_once("\n\n")?;
    let usage = usage.trim_start_matches("usage:").trim();
    let command = Command::new("zlogin")
        .about(about.trim())
        .override_usage(usage)
        .after_help(after.trim())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new("zone").value_name("ZONE").required(true).help("The zone to enter"))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .value_hint(ValueHint::CommandWithArguments)
                .help("What to run in it, with its arguments; a login shell if there is none"),
        );
    options.lines().map(option).try_fold(command, |command, option| Some(command.arg(option?)))
}

/// One line: the option and its value, two spaces or a full column, what it does.
fn option(line: &'static str) -> Option<Arg> {
    let mut words = line.trim().splitn(2, "  ");
    let (mut spec, mut help) = (words.next()?, words.next().unwrap_or_default().trim());
    if help.is_empty() {
        // An option that fills its column.
        let at = spec.match_indices(' ').nth(usize::from(spec.starts_with("--")))?.0;
        (spec, help) = (&spec[..at], spec[at..].trim());
    }
    let first = spec.split([' ', ',']).next()?;
    let mut arg = Arg::new(first.trim_start_matches('-')).help(help);
    let mut value = None;
    for word in spec.split([' ', ',']).filter(|word| !word.is_empty()) {
        match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => arg = arg.long(long),
            (None, Some(short)) => arg = arg.short(short.chars().next()?),
            (None, None) => value = Some(word),
        }
    }
    Some(match value {
        Some(name) if name == "FILE" => arg.value_name(name).value_hint(ValueHint::FilePath),
        Some(name) if name == "ROOT" => arg.value_name(name).value_hint(ValueHint::DirPath),
        Some(name) => arg.value_name(name),
        None => arg.action(ArgAction::SetTrue),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_is_read() {
        let help = "usage: zlogin [-E] ZONE\n\nEnter a zone\n\nOptions:\n  -E             no escape\n  \
                    -R ROOT        there\n  --replay BYTES with -C: so much\n  -h, --help     this\n\nMore.\n";
        let command = parse(help).unwrap();
        command.clone().debug_assert();
        let names: Vec<_> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
        assert_eq!(names, ["zone", "command", "E", "R", "replay", "h"]);
        let replay = command.get_arguments().find(|arg| arg.get_id() == "replay").unwrap();
        assert_eq!(replay.get_help().unwrap().to_string(), "with -C: so much");
        assert!(parse("zlogin: no such option").is_none());
    }
}
