//! What a command line means: the three ways in, and what goes together. The texts are those of zlogin(1) on
//! Solaris.

use crate::cli::Cli;
use crate::escape;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What of the earlier output is shown by default, in bytes: some screens of text.
const REPLAY: u64 = 16 * 1024;

/// How to enter which zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) root: Option<PathBuf>,
    /// The zone's name as it was typed, which need not be one.
    pub(crate) zone: String,
    /// The escape character; `None`: there is none.
    pub(crate) escape: Option<u8>,
    pub(crate) quiet: bool,
    pub(crate) mode: Mode,
    pub(crate) around: Around,
}

/// What is around a login or a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// Whether there is to be a terminal; `None`: where ours is one.
    pub(crate) terminal: Option<bool>,
    /// The directory of the zone to begin in, from the user's home on.
    pub(crate) cwd: Option<PathBuf>,
    /// Variables of the environment.
    pub(crate) env: Vec<(String, OsString)>,
}

/// The three ways in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    Console(Console),
    Login(Who),
    Command { user: Who, no_input: bool, words: Vec<OsString> },
}

/// Who enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// A user, to be looked up in the zone.
    User(String),
    /// Root, and nothing is looked up.
    Failsafe,
}

/// What is wanted of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Console {
    pub(crate) disconnect: bool,
    pub(crate) watch: bool,
    pub(crate) steal: bool,
    /// Bytes of earlier output; 0 for none.
    pub(crate) replay: u64,
    pub(crate) record: Option<PathBuf>,
}

/// Makes options of what was typed.
///
/// # Errors
/// A sentence that says what does not go together, or which value makes no sense.
pub(crate) fn together(cli: Cli) -> Result<Options, String> {
    let refuse = |wrong: bool, text: &str| if wrong { Err(text.to_owned()) } else { Ok(()) };
    let zone = cli.zone.to_string_lossy().into_owned();
    refuse(zone.is_empty(), "the name of a zone is missing")?;
    let login = cli.login.as_deref().map(login_of).transpose()?;
    let escape = cli.escape.as_deref().map(escape_of).transpose()?;
    let replay = cli.replay.as_deref().map(replay_of).transpose()?;
    if cli.console {
        refuse(login.is_some(), "-l may not be specified for console login")?;
        refuse(cli.no_input, "-n may not be specified for console login")?;
        refuse(cli.failsafe, "-S may not be specified for console login")?;
        refuse(!cli.words.is_empty(), "Commands may not be specified for console login.")?;
        let around = cli.terminal || cli.no_terminal || cli.cwd.is_some() || !cli.env.is_empty();
        refuse(around, "-t, -T, --cwd and --env may not be specified for console login")?;
        refuse(cli.watch && cli.steal, "--watch and --steal may not be specified together")?;
    } else {
        refuse(cli.disconnect, "-d may only be specified with console login")?;
        let extra = cli.watch || cli.steal || replay.is_some() || cli.no_replay || cli.record.is_some();
        let only =
            "--watch, --steal, --replay, --no-replay and --record may only be specified with console login";
        refuse(extra, only)?;
        refuse(login.is_some() && cli.failsafe, "-l may not be specified for failsafe login")?;
        refuse(cli.no_input && cli.terminal, "-n may not be specified with a terminal (-t)")?;
        refuse(cli.no_input && cli.words.is_empty(), "-n may not be specified for interactive login")?;
    }
    let escape = if cli.no_escape { None } else { Some(escape.unwrap_or(escape::DEFAULT)) };
    let who =
        if cli.failsafe { Who::Failsafe } else { Who::User(login.unwrap_or_else(|| "root".to_owned())) };
    let around = Around {
        terminal: match (cli.terminal, cli.no_terminal) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        cwd: cli.cwd.map(PathBuf::from),
        env: cli.env.iter().map(|text| variable_of(text)).collect::<Result<_, _>>()?,
    };
    let mode = if cli.console {
        Mode::Console(Console {
            disconnect: cli.disconnect,
            watch: cli.watch,
            steal: cli.steal,
            replay: if cli.no_replay { 0 } else { replay.unwrap_or(REPLAY) },
            record: cli.record,
        })
    } else if cli.words.is_empty() {
        Mode::Login(who)
    } else {
        Mode::Command { user: who, no_input: cli.no_input, words: cli.words }
    };
    Ok(Options { root: cli.root, zone, escape, quiet: cli.quiet, mode, around })
}

fn replay_of(text: &str) -> Result<u64, String> {
    let bytes = if text == "all" { Some(u64::MAX) } else { text.parse().ok() };
    bytes.ok_or_else(|| format!("'{text}' is no number of bytes: give --replay one, or 'all'"))
}

fn escape_of(value: &OsStr) -> Result<u8, String> {
    let wrong = "Invalid escape character specifier";
    escape::parse(value.as_bytes()).ok_or_else(|| {
        format!(
            "{wrong} {value:?}: give -e one character, or its number as a backslash and octal up to \\377"
        )
    })
}

/// A variable and its value, which is ours if none is given.
fn variable_of(text: &OsStr) -> Result<(String, OsString), String> {
    let bytes = text.as_bytes();
    let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]).to_owned())),
        None => (bytes, None),
    };
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("{text:?} names no variable: give --env NAME=VALUE"))?;
    let value = value.or_else(|| std::env::var_os(name));
    let value =
        value.ok_or_else(|| format!("--env {name}: there is no such variable here; give it a value"))?;
    Ok((name.to_owned(), value))
}

pub(crate) fn login_of(value: &OsStr) -> Result<String, String> {
    let name = value.to_str().filter(|name| !name.is_empty() && !name.contains([':', '\n', '/']));
    name.map(str::to_owned).ok_or_else(|| format!("{value:?} is no user's name"))
}

#[cfg(test)]
mod tests;
