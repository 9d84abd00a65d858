//! The command line as it is typed. Options end at the zone's name, as getopt(3) has it; everything after it
//! is the command, untouched.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser, ValueHint};

use crate::exit::{self, Failure};
use crate::options::{self, Options};

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "zlogin",
    version,
    about = "Enter a zone",
    long_about = "Enter a zone: with a login, with a command, or at its console.\n\n\
        One word after the zone is a command line for the user's shell, as with ssh(1): blanks, quotes and \
        variables are the shell's. Several are a program and its arguments, passed on as they are, with no shell \
        between. A '--' before them is left out.\n\n\
        A login has a terminal of the zone's own, and so has a command where the three streams are a terminal. It is \
        the guest's own login(1) that logs in, where it has one, so that its utmp, PAM and name service know of it. \
        Where standard input is no terminal, the login shell takes its commands from the input and ends with it.\n\n\
        TERM, LANG and LC_* are handed over; where the zone does not have the locale, LANG is C.UTF-8.\n\n\
        Typed at the start of a line, '~.' ends a session on a terminal, and '~?' tells what else there is.",
    after_long_help = HELP,
    disable_help_flag = true,
    args_override_self = true,
    max_term_width = 100,
    override_usage = USAGE
)]
pub(crate) struct Cli {
    /// Connect to the zone's console, which is there from installed on
    #[arg(short = 'C')]
    pub(crate) console: bool,
    /// With -C: disconnect when the zone halts or fails to boot
    #[arg(short = 'd')]
    pub(crate) disconnect: bool,
    /// No escape character
    #[arg(short = 'E')]
    pub(crate) no_escape: bool,
    /// Another escape character than '~', or its number in octal: -e '\001'
    #[arg(short = 'e', value_name = "CHAR", allow_hyphen_values = true)]
    pub(crate) escape: Option<OsString>,
    /// Log in as USER of the zone, not as root
    #[arg(short = 'l', value_name = "USER", allow_hyphen_values = true)]
    pub(crate) login: Option<OsString>,
    /// The command's input is empty
    #[arg(short = 'n')]
    pub(crate) no_input: bool,
    /// Do not say that the connection is made and closed
    #[arg(short = 'Q')]
    pub(crate) quiet: bool,
    /// The zones under ROOT instead of the host's
    #[arg(short = 'R', value_name = "ROOT", value_hint = ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,
    /// Failsafe: run /bin/sh as root, and read none of the zone's files for it
    #[arg(short = 'S')]
    pub(crate) failsafe: bool,
    /// A terminal for the command, also where ours is none; the default where the three streams are one
    #[arg(short = 't', short_alias = 'i', overrides_with = "no_terminal")]
    pub(crate) terminal: bool,
    /// No terminal: three streams, as they are
    #[arg(short = 'T', overrides_with = "terminal")]
    pub(crate) no_terminal: bool,
    /// Begin in DIR of the zone; one that is not absolute is taken from the user's home
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<OsString>,
    /// Set a variable of the environment; without a value as it is here
    #[arg(long, value_name = "NAME[=VALUE]", action = ArgAction::Append)]
    pub(crate) env: Vec<OsString>,
    /// With -C: look on beside whoever has the console; nothing typed is sent
    #[arg(long)]
    pub(crate) watch: bool,
    /// With -C: take the console from whoever has it
    #[arg(long)]
    pub(crate) steal: bool,
    /// With -C: begin with so much of the console's earlier output ('all' for all that is kept)
    #[arg(long, value_name = "BYTES", overrides_with = "no_replay")]
    pub(crate) replay: Option<String>,
    /// With -C: begin with what comes next
    #[arg(long, overrides_with = "replay")]
    pub(crate) no_replay: bool,
    /// With -C: write an asciicast v2 of what is shown, for 'asciinema play'
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) record: Option<PathBuf>,
    /// Print help
    #[arg(short = 'h', visible_short_alias = '?', long, action = ArgAction::HelpLong)]
    help: Option<bool>,
    /// The zone to enter
    #[arg(value_name = "ZONE", required = true)]
    pub(crate) zone: OsString,
    /// What to run in it: one word for the user's shell, or a program and its arguments
    #[arg(
        value_name = "COMMAND",
        num_args = 0..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(crate) words: Vec<OsString>,
}

pub(crate) const USAGE: &str = "zlogin [-R ROOT] [-tT] [-EQS] [-e CHAR] [-l USER] [--cwd DIR]
           [--env NAME[=VALUE]]... ZONE
       zlogin [-R ROOT] [-tTn] [-EQS] [-e CHAR] [-l USER] [--cwd DIR]
           [--env NAME[=VALUE]]... ZONE COMMAND [ARGUMENT...]
       zlogin [-R ROOT] -C [-dEQ] [-e CHAR] [--watch | --steal]
           [--replay BYTES | --no-replay] [--record FILE] ZONE";

const HELP: &str = "\
Examples:
  zlogin web                        a login shell
  zlogin web 'cd /etc && ls *.conf' a command line for the shell
  zlogin web tar -C /etc -cf - . | tar -tf -
  zlogin web < setup.sh             the login shell takes its commands from a file
  zlogin -l www web crontab -l
  zlogin web vi /etc/rc             on a terminal; -T for none
  zlogin --cwd /srv --env DEBUG=1 web make
  zlogin -C web                     the console; boot the zone from elsewhere and look on

Exit status:
  0 to 255  that of the command or shell, or of the login(1) that ran the shell
  128 + N   signal N ended it
  126, 127  the command could not be executed; it was not found
  1         the zone could not be entered, or it went down; what it said could
            not be written here, or its input not be read
  2         the command line makes no sense";

/// Reads the command line, the program's name first. Help and version are printed.
///
/// # Errors
/// What is wrong with it, as [`Failure::Usage`]; [`Failure::Done`] when all that was asked for has been printed.
pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Options, Failure> {
    match parse(args) {
        Ok(cli) => options::together(cli).map_err(|text| Failure::Usage(format!("{text}\nusage: {USAGE}"))),
        Err(error) if error.exit_code() == 0 => {
            exit::print(&error.render().to_string())?;
            Err(Failure::Done)
        }
        Err(error) => {
            // What clap says begins with "error: ", where all else here begins with who says it.
            let text = error.render().to_string();
            Err(Failure::Usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()))
        }
    }
}

/// Parses the words of a command line, the program's name first.
///
/// # Errors
/// What clap says, which may also be the help.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut cli = zone_locale::help::parse::<Cli>(end_options(args.into_iter().collect()))?;
    if cli.words.first().is_some_and(|word| word == "--") {
        cli.words.remove(0);
    }
    Ok(cli)
}

/// Puts a `--` before the zone's name, where options end: clap alone would look for its own behind it, too.
fn end_options(mut args: Vec<OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let mut at = 1;
    while let Some(arg) = args.get(at).map(|arg| arg.as_bytes()) {
        if arg == b"--" {
            break;
        }
        if !arg.starts_with(b"-") || arg.len() == 1 {
            args.insert(at, "--".into());
            break;
        }
        at += if takes_next(&command, arg) { 2 } else { 1 };
    }
    args
}

/// Whether the word after this option, or cluster of them, is its value.
fn takes_next(command: &clap::Command, option: &[u8]) -> bool {
    let takes = |arg: &clap::Arg| arg.get_action().takes_values();
    if let Some(long) = option.strip_prefix(b"--") {
        return command
            .get_arguments()
            .any(|arg| arg.get_long().is_some_and(|name| name.as_bytes() == long) && takes(arg));
    }
    let letters = &option[1..];
    let with_value = letters.iter().position(|&letter| {
        command.get_arguments().any(|arg| arg.get_short() == Some(char::from(letter)) && takes(arg))
    });
    with_value.is_some_and(|at| at + 1 == letters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_has_examples() {
        let help = Cli::command().render_long_help().to_string();
        for part in ["Examples:", "Exit status:", "--no-replay", "-l <USER>"] {
            assert!(help.contains(part), "{part} is missing in\n{help}");
        }
    }
}
