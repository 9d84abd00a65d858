//! Where commands come from: the command line, a file, a terminal.

use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use zone_config::command::{Command, Script, SyntaxError};
use zone_config::lex::Place;
use zone_config::{Layout, file, here};
use zone_sys::Chain;

use crate::args::{self, Args};
use crate::error::Failure;
use crate::global;
use crate::help;
use crate::line::{self, Reader, Typed};
use crate::session::{Flow, Session};
use crate::talk::Talk;

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Runs the program with the arguments of this process, and gives the status to exit with.
pub fn main() -> ExitCode {
    let args = match zone_locale::help::parse::<Args>(args::separated(std::env::args_os())) {
        Ok(args) => args,
        Err(error) if error.exit_code() == 0 => error.exit(),
        Err(error) => {
            // What clap says begins with "error: ", where all else here begins with who says it.
            let text = error.render().to_string();
            eprint!("zonecfg: {}", zone_locale::here(text.strip_prefix("error: ").unwrap_or(&text)));
            return ExitCode::from(USAGE);
        }
    };
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut talk = Talk::new(&mut out, &mut err);
    let status = match start(&args, &mut talk) {
        Ok(status) => status,
        Err(error) => {
            talk.note(&Chain(error.as_ref()).to_string());
            FAILED
        }
    };
    ExitCode::from(status)
}

fn start(args: &Args, talk: &mut Talk<'_>) -> anyhow::Result<u8> {
    let zone = match (&args.zone, args.commands.as_slice()) {
        (Some(zone), _) => zone,
        (None, [help, topic @ ..]) if help == "help" && topic.len() < 3 => {
            let text = match help::about(topic.last().map(String::as_str)) {
                Ok(text) => text,
                Err(failure) => return usage(talk, &failure.to_string()),
            };
            talk.help(&text)?;
            return Ok(0);
        }
        (None, _) => return usage(talk, "name the zone with -z"),
    };
    if args.file.is_some() && !args.commands.is_empty() {
        return usage(talk, "commands come from -f or from the command line, not both");
    }
    if zone == global::NAME && !args.running {
        return global::start(args, talk);
    }
    let zone = match zone.parse() {
        Ok(zone) => zone,
        Err(error) => return usage(talk, &format!("-z: {error}")),
    };
    let layout = match Layout::new(args.root.clone()) {
        Ok(layout) => layout,
        Err(error) if error.is_usage() => return usage(talk, &error.to_string()),
        Err(error) => return Err(error.into()),
    };
    if here::confined().is_some() && layout.is_default() {
        anyhow::bail!("zonecfg can only be run from the global zone.");
    }

    let (text, origin) = given(args)?;
    let with_person = text.is_none();
    // Who is asked for commands may create a zone yet.
    let layout = if text.as_deref().is_none_or(creates) { layout } else { layout.existing()? };
    let mut session = if args.running {
        Session::begin_live(layout, zone, with_person)?
    } else {
        Session::begin(layout, zone, with_person, talk)?
    };
    if args.dry_run {
        session.save_nothing();
    }
    Ok(u8::from(match text {
        Some(text) => !run_script(&mut session, &text, &origin, talk),
        None => !converse(&mut session, talk),
    }))
}

/// The commands that were given, and what they are called in errors; none when a person is to be asked for them.
pub(crate) fn given(args: &Args) -> anyhow::Result<(Option<String>, Origin)> {
    let (text, origin) = match &args.file {
        Some(path) if path == Path::new("-") => (None, Origin::File("standard input".to_owned())),
        Some(path) => {
            // Not only regular files: a shell's <(COMMAND) is a pipe.
            let text = std::fs::File::open(path)
                .and_then(commands_of)
                .with_context(|| format!("cannot read the command file {}", path.display()))?;
            (Some(text), Origin::File(path.display().to_string()))
        }
        None if args.commands.is_empty() => (None, Origin::File("standard input".to_owned())),
        None => (Some(args.commands.join(" ")), Origin::CommandLine),
    };
    match text {
        None if !io::stdin().is_terminal() => {
            Ok((Some(commands_of(io::stdin()).context("cannot read standard input")?), origin))
        }
        text => Ok((text, origin)),
    }
}

/// Whether a text has the command that makes a zone, and with it the root of the zones where there is none.
fn creates(text: &str) -> bool {
    let mut commands = Script::new(text, 1).flatten();
    commands.any(|located| matches!(located.command, Command::Create { .. }))
}

/// Reads a text of commands, which is of a bounded size and UTF-8.
fn commands_of(from: impl Read) -> io::Result<String> {
    String::from_utf8(file::read_at_most(from, file::DOCUMENT)?).map_err(io::Error::other)
}

/// What a text of commands is called in errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, by this name.
    File(String),
    /// The command line, or the line a person typed.
    CommandLine,
}

/// How the commands of a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All were done.
    Finished,
    /// One of them was to leave.
    Left,
    /// One failed at least, and that was said.
    Failed,
}

/// Does the commands of a text, and saves what was committed if none fails. Whether none did.
pub fn run_script(session: &mut Session, text: &str, origin: &Origin, talk: &mut Talk<'_>) -> bool {
    match run_commands(text, origin, talk, |command, talk| session.execute(command, talk)) {
        Ended::Left => true,
        Ended::Failed => false,
        Ended::Finished => match session.finish(talk) {
            Ok(()) => true,
            Err(failure) => {
                talk.note(&Chain(&failure).to_string());
                false
            }
        },
    }
}

/// Has the commands of a text executed. A file is left with the first that fails. Of a command line the others are executed as well, so that
/// whoever typed it sees at once all that is wrong with it.
pub(crate) fn run_commands(
    text: &str,
    origin: &Origin,
    talk: &mut Talk<'_>,
    mut execute: impl FnMut(&Command, &mut Talk<'_>) -> Result<Flow, Failure>,
) -> Ended {
    let mut ended = Ended::Finished;
    // What is said of a resource that could not be entered would be taken as said of the zone.
    let mut in_no_resource = false;
    for found in Script::new(text, 1) {
        let command = found.as_ref().ok().map(|located| &located.command);
        if in_no_resource {
            in_no_resource = !matches!(command, Some(Command::End | Command::Cancel));
            continue;
        }
        if ended == Ended::Failed && matches!(command, Some(Command::Exit { .. })) {
            return ended;
        }
        let is_last = match &found {
            Ok(located) => match execute(&located.command, talk) {
                Ok(Flow::Next) => continue,
                Ok(Flow::Quit) => return Ended::Left,
                Err(failure) => {
                    report(&failure, origin, located.place, text.contains('\n'), talk);
                    in_no_resource = located.command.enters_a_resource();
                    failure.ends_a_command_line()
                }
            },
            Err(error) => {
                report_syntax(error, origin, text.contains('\n'), talk);
                false
            }
        };
        ended = Ended::Failed;
        if is_last || *origin != Origin::CommandLine {
            break;
        }
    }
    ended
}

/// Does what a person types, line by line, until they leave. Whether everything that was to be saved is.
fn converse(session: &mut Session, talk: &mut Talk<'_>) -> bool {
    if session.is_read_only() {
        talk.note("WARNING: you do not have write access to this zone's configuration file;");
        talk.note("going into read-only mode.");
    }
    if !session.has_zone() {
        talk.note(&format!(
            "{}: No such zone configured{}\nUse 'create' to begin configuring a new zone.",
            session.zone(),
            session.meant()
        ));
    }
    // ^C gives up a line and no more.
    zone_sys::signal::ignore(zone_sys::signal::SIGINT);
    let mut reader = match Reader::new() {
        Ok(reader) => reader,
        Err(error) => {
            talk.note(&format!("cannot read from the terminal: {}", Chain(&error)));
            return false;
        }
    };
    loop {
        let line = match reader.read(&session.prompt(), session.place()) {
            Typed::Line(line) => line,
            Typed::Cleared => continue,
            // As `exit`, which asks about what cannot be saved; who has gone answers nothing.
            Typed::End => match session.exit(false, talk) {
                Ok(Flow::Quit) => return true,
                Ok(Flow::Next) => continue,
                Err(failure) => {
                    talk.note(&Chain(&failure).to_string());
                    return false;
                }
            },
        };
        for found in Script::new(&line, 1) {
            match found.map(|located| execute(session, &located.command, talk)) {
                Ok(Ok(Flow::Next)) => {}
                Ok(Ok(Flow::Quit)) => return true,
                Ok(Err(failure)) => talk.note(&Chain(&failure).to_string()),
                Err(error) => report_syntax(&error, &Origin::CommandLine, false, talk),
            }
        }
    }
}

/// Does a command that a person typed; what may be long is shown by a pager.
fn execute(session: &mut Session, command: &Command, talk: &mut Talk<'_>) -> Result<Flow, Failure> {
    let is_long =
        matches!(command, Command::Help { .. } | Command::Info { .. } | Command::Export { file: None, .. });
    if !is_long {
        return session.execute(command, talk);
    }
    let mut text = Vec::new();
    let (person, program) = (talk.person, talk.program);
    let done = session.execute(command, &mut Talk { out: &mut text, err: &mut *talk.err, person, program });
    talk.out.flush()?;
    line::page(&String::from_utf8_lossy(&text))?;
    done
}

pub(crate) fn report(
    failure: &Failure,
    origin: &Origin,
    place: Place,
    many_lines: bool,
    talk: &mut Talk<'_>,
) {
    if let Failure::Stream(error) = failure
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        return;
    }
    let text = Chain(failure).to_string();
    match origin {
        Origin::File(name) => talk.note(&format!("On line {} of {name}: {text}", place.line)),
        Origin::CommandLine if many_lines => {
            talk.note(&format!("On line {} of the command line: {text}", place.line));
        }
        Origin::CommandLine => talk.note(&text),
    }
}

/// Says where a command makes no sense, by line and column where there are lines.
pub(crate) fn report_syntax(error: &SyntaxError, origin: &Origin, many_lines: bool, talk: &mut Talk<'_>) {
    let Place { line, column } = error.place;
    let name = match origin {
        Origin::File(name) => Some(name.as_str()),
        Origin::CommandLine => many_lines.then_some("the command line"),
    };
    match name {
        Some(name) => talk.note(&format!("syntax error on line {line} of {name}, column {column}: {error}")),
        None => talk.note(&format!("syntax error: {error}")),
    }
    for usage in error.usage {
        talk.note(&format!("usage: {usage}"));
    }
}

fn usage(talk: &mut Talk<'_>, text: &str) -> anyhow::Result<u8> {
    talk.note(text);
    talk.err.write_all(zone_locale::here(&help::about(Some("usage"))?).as_bytes())?;
    Ok(USAGE)
}
