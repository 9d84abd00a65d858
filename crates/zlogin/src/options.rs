//! The command line, by the rules of getopt(3): options end at the zone's name, and everything after
//! it is the command, untouched.

use crate::escape;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const USAGE: &str = "\
usage: zlogin [-R ROOT] [-EQS] [-e CHAR] [-l USER] ZONE
       zlogin [-R ROOT] [-nQS] [-l USER] ZONE COMMAND [ARGUMENT...]
       zlogin [-R ROOT] -C [-dEQ] [-e CHAR] [--watch | --steal] [--replay BYTES | --no-replay] [--record FILE] ZONE";

const HELP: &str = "\
Enter a zone: with a login, with a command, or at its console.

Options:
  -C             connect to the zone's console, which is there from installed on
  -d             with -C: disconnect when the zone halts or fails to boot
  -E             no escape character
  -e CHAR        another escape character than '~', or its number in octal: -e '\\001'
  -l USER        log in as USER of the zone, not as root
  -n             the command's input is empty
  -Q             do not say that the connection is made and closed
  -R ROOT        the zones under ROOT instead of the host's
  -S             failsafe: run /bin/sh as root, and read none of the zone's files for it
  --watch        with -C: look on beside whoever has the console; nothing typed is sent
  --steal        with -C: take the console from whoever has it
  --replay BYTES with -C: begin with so much of the console's earlier output ('all' for all that is kept)
  --no-replay    with -C: begin with what comes next
  --record FILE  with -C: write an asciicast v2 of what is shown, for 'asciinema play'
  -h, --help     print this
  -V, --version  print the version

Typed at the start of a line, '~.' ends the session. The exit status is the command's; 128 and the
signal's number if a signal ended it; 126 if the command could not be executed, 127 if it was not
found; 1 if the zone could not be entered or went down; 2 for a wrong command line.

Examples:
  zlogin web                        a login shell
  zlogin web tar -C /etc -cf - . | tar -tf -
  zlogin -l www web crontab -l
  zlogin -C web                     the console; boot the zone from elsewhere and look on
";

/// What of the earlier output is shown by default, in bytes: some screens of text.
const REPLAY: u64 = 16 * 1024;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Print this and be done.
    Print(String),
    Enter(Options),
}

/// How to enter which zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) root: Option<PathBuf>,
    /// As it was typed.
    pub(crate) zone: String,
    /// The escape character; `None`: there is none.
    pub(crate) escape: Option<u8>,
    pub(crate) quiet: bool,
    pub(crate) mode: Mode,
}

/// The three ways in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    Console(Console),
    Login(Who),
    Command { user: Who, no_input: bool, args: Vec<OsString> },
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

/// What was typed, before it is known what it means together.
#[derive(Debug, Default)]
struct Typed {
    console: bool,
    disconnect: bool,
    no_escape: bool,
    escape: Option<u8>,
    login: Option<String>,
    no_input: bool,
    quiet: bool,
    failsafe: bool,
    root: Option<PathBuf>,
    watch: bool,
    steal: bool,
    replay: Option<u64>,
    record: Option<PathBuf>,
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it, and the usage.
pub(crate) fn parse(args: &[OsString]) -> Result<Action, String> {
    let usage = |text: String| format!("{text}\n{USAGE}");
    let mut typed = Typed::default();
    let mut rest = args.iter().map(OsString::as_os_str);
    let mut zone = None;
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            zone = rest.next();
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            match long_option(&mut typed, long, &mut rest).map_err(usage)? {
                Some(text) => return Ok(Action::Print(text)),
                None => continue,
            }
        }
        let Some(letters) = bytes.strip_prefix(b"-").filter(|letters| !letters.is_empty()) else {
            zone = Some(arg);
            break;
        };
        if let Some(text) = letter_options(&mut typed, letters, &mut rest).map_err(usage)? {
            return Ok(Action::Print(text));
        }
    }
    let zone = zone.ok_or_else(|| usage("the name of a zone is missing".into()))?;
    let command: Vec<OsString> = rest.map(OsStr::to_owned).collect();
    let zone = zone.to_string_lossy().into_owned();
    typed.together(zone, command).map(Action::Enter).map_err(usage)
}

fn long_option<'a>(
    typed: &mut Typed,
    long: &'a [u8],
    rest: &mut impl Iterator<Item = &'a OsStr>,
) -> Result<Option<String>, String> {
    let mut parts = long.splitn(2, |&c| c == b'=');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let given = parts.next().map(OsStr::from_bytes);
    let has_value = given.is_some();
    let mut value =
        || given.or_else(|| rest.next()).ok_or_else(|| format!("option '--{name}' needs a value"));
    match name.as_str() {
        "replay" => {
            let text = value()?.to_string_lossy().into_owned();
            let bytes = if text == "all" { Some(u64::MAX) } else { text.parse().ok() };
            let wrong = || format!("'{text}' is no number of bytes: give --replay one, or 'all'");
            typed.replay = Some(bytes.ok_or_else(wrong)?);
            return Ok(None);
        }
        "record" => {
            typed.record = Some(value()?.into());
            return Ok(None);
        }
        _ => {}
    }
    match name.as_str() {
        _ if has_value => return Err(format!("option '--{name}' has no value")),
        "watch" => typed.watch = true,
        "steal" => typed.steal = true,
        "no-replay" => typed.replay = Some(0),
        "help" => return Ok(Some(help())),
        "version" => return Ok(Some(version())),
        _ => return Err(format!("there is no option '--{name}'")),
    }
    Ok(None)
}

fn letter_options<'a>(
    typed: &mut Typed,
    mut letters: &'a [u8],
    rest: &mut impl Iterator<Item = &'a OsStr>,
) -> Result<Option<String>, String> {
    while let Some((&letter, after)) = letters.split_first() {
        letters = after;
        if matches!(letter, b'e' | b'l' | b'R') {
            let attached = Some(OsStr::from_bytes(after)).filter(|value| !value.is_empty());
            let missing = || format!("option '-{}' needs a value", char::from(letter));
            let value = attached.or_else(|| rest.next()).ok_or_else(missing)?;
            match letter {
                b'e' => typed.escape = Some(escape_of(value)?),
                b'l' => typed.login = Some(login_of(value)?),
                _ => typed.root = Some(value.into()),
            }
            return Ok(None);
        }
        match letter {
            b'C' => typed.console = true,
            b'd' => typed.disconnect = true,
            b'E' => typed.no_escape = true,
            b'n' => typed.no_input = true,
            b'Q' => typed.quiet = true,
            b'S' => typed.failsafe = true,
            b'h' | b'?' => return Ok(Some(help())),
            b'V' => return Ok(Some(version())),
            other => return Err(format!("there is no option '-{}'", char::from(other).escape_default())),
        }
    }
    Ok(None)
}

fn help() -> String {
    format!("{USAGE}\n\n{HELP}")
}

fn version() -> String {
    format!("zlogin {}\n", env!("CARGO_PKG_VERSION"))
}

fn escape_of(value: &OsStr) -> Result<u8, String> {
    let wrong = "Invalid escape character specifier";
    escape::parse(value.as_bytes()).ok_or_else(|| {
        format!(
            "{wrong} {value:?}: give -e one character, or its number as a backslash and octal up to \\377"
        )
    })
}

fn login_of(value: &OsStr) -> Result<String, String> {
    let name = value.to_str().filter(|name| !name.is_empty() && !name.contains([':', '\n', '/']));
    name.map(str::to_owned).ok_or_else(|| format!("{value:?} is no user's name"))
}

impl Typed {
    /// What it means together; the texts are those of zlogin(1) on Solaris.
    fn together(self, zone: String, command: Vec<OsString>) -> Result<Options, String> {
        let refuse = |wrong: bool, text: &str| if wrong { Err(text.to_owned()) } else { Ok(()) };
        if self.console {
            refuse(self.login.is_some(), "-l may not be specified for console login")?;
            refuse(self.no_input, "-n may not be specified for console login")?;
            refuse(self.failsafe, "-S may not be specified for console login")?;
            refuse(!command.is_empty(), "Commands may not be specified for console login.")?;
            refuse(self.watch && self.steal, "--watch and --steal may not be specified together")?;
        } else {
            refuse(self.disconnect, "-d may only be specified with console login")?;
            let extra = self.watch || self.steal || self.replay.is_some() || self.record.is_some();
            let only = "--watch, --steal, --replay, --no-replay and --record may only be specified with console login";
            refuse(extra, only)?;
            refuse(self.login.is_some() && self.failsafe, "-l may not be specified for failsafe login")?;
            refuse(self.no_input && command.is_empty(), "-n may not be specified for interactive login")?;
        }
        let escape = if self.no_escape { None } else { Some(self.escape.unwrap_or(escape::DEFAULT)) };
        let who = if self.failsafe {
            Who::Failsafe
        } else {
            Who::User(self.login.unwrap_or_else(|| "root".to_owned()))
        };
        let mode = if self.console {
            Mode::Console(Console {
                disconnect: self.disconnect,
                watch: self.watch,
                steal: self.steal,
                replay: self.replay.unwrap_or(REPLAY),
                record: self.record,
            })
        } else if command.is_empty() {
            Mode::Login(who)
        } else {
            Mode::Command { user: who, no_input: self.no_input, args: command }
        };
        Ok(Options { root: self.root, zone, escape, quiet: self.quiet, mode })
    }
}

#[cfg(test)]
mod tests;
