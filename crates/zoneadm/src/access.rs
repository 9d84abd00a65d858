//! What a user who is not root may have done all the same: by zone-access, which knows who calls and what that user may do.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Lines, Write as _};

use clap::ValueEnum as _;
use zone_config::ZoneName;
use zone_door::access::{
    Access, AccessError, Ask, Begun, Connection, Done, List, Look, Refusal, Verb as Wish,
};
use zone_sys::Chain;
use zone_sys::stdio::terminal_columns;

use crate::choice::Choice;
use crate::cli::Verb;
use crate::context::{Context, Selection};
use crate::daemon::locale;
use crate::list::Column;
use crate::message::{Failure, Outcome, harmless, say, warn};
use crate::table::{begin, width};
use crate::verbs::stat::{self, Shown};

/// Has it done by zone-access. `None`: it is for this process to do, or to refuse, since the user is root, the verb is root's,
/// or this host has no zone-access.
///
/// # Errors
/// When it was not done; everything about that has then been said.
pub(crate) fn instead(cx: &Context, verb: &Verb) -> Option<Outcome> {
    if rustix::process::geteuid().is_root() || zone_config::here::confined().is_some() {
        return None;
    }
    let zone = match cx.select().ok()? {
        Selection::Zone(entry) => Some(entry.name),
        Selection::Nothing if verb.only_looks() => None,
        Selection::Nothing | Selection::Global => return None,
    };
    let ask = ask(cx, verb, zone.as_ref())?;
    let dir = cx.layout.access_dir();
    let access = Access::in_dir(&dir);
    let done = if matches!(verb, Verb::Stat(args) if stat::is_for_a_person(args)) {
        access.begin(&ask).map(show)
    } else if matches!(ask, Ask::Stat(_) | Ask::Events(_)) {
        access.begin(&ask).map(follow)
    } else {
        // A line of ps is as long as a command's.
        let width = terminal_columns().filter(|_| matches!(ask, Ask::Ps(_)));
        access.run(&ask).map(|done| pass_on(&done, width))
    };
    match done {
        Ok(done) => Some(done),
        Err(AccessError::NotListening { .. }) => None,
        // What everybody may see of zones is still there to be listed.
        Err(AccessError::Refused(Refusal::NotAuthorized { .. })) if everybody_may(verb, zone.as_ref()) => {
            None
        }
        Err(error) => Some(Err(match zone {
            Some(zone) => Failure::of(&zone)(error),
            None => Failure::general(error),
        })),
    }
}

/// Whether there is something of it for everybody.
fn everybody_may(verb: &Verb, zone: Option<&ZoneName>) -> bool {
    matches!((verb, zone), (Verb::List(_), _) | (Verb::Status(_), None))
}

/// How wide tables may be: what is run for us has no terminal.
fn columns(asked: Option<u16>) -> Option<u16> {
    width(asked).and_then(|width| u16::try_from(width).ok())
}

/// The call; `None` for what is root's.
fn ask(cx: &Context, verb: &Verb, zone: Option<&ZoneName>) -> Option<Ask> {
    let choice = cx.choice.as_ref();
    let zones = choice.and_then(Choice::text);
    let states = choice.map(|choice| choice.of_states().to_vec()).unwrap_or_default();
    let look = Look {
        zone: zone.map(ToString::to_string),
        all: choice.is_some_and(Choice::is_all),
        zones: zones.clone(),
        states: states.clone(),
        locale: locale(),
        ..Look::default()
    };
    match verb {
        Verb::List(args) => {
            return Some(Ask::List(List {
                zone: zone.map(ToString::to_string),
                configured: args.configured,
                installed: args.installed,
                no_global: args.no_global,
                parsable: args.parsable,
                verbose: args.verbose,
                net: args.net,
                json: args.json,
                locale: locale(),
                zones,
                states,
                in_state: args.in_state.clone(),
                columns: args.columns.iter().filter_map(word).collect(),
                csv: args.csv,
                width: columns(args.width).filter(|_| !(args.parsable || args.csv || args.json)),
            }));
        }
        Verb::Status(args) => return Some(Ask::Status(Look { json: args.json, ..look })),
        Verb::Ps(args) => return Some(Ask::Ps(Look { json: args.json, ..look })),
        Verb::Stat(args) => {
            let interval = Some(args.interval);
            // A screen is drawn here, of what is counted there.
            let (count, json) = (args.count, args.json || stat::is_for_a_person(args));
            let width = columns(args.width).filter(|_| !json);
            return Some(Ask::Stat(Look { interval, count, json, width, ..look }));
        }
        Verb::Events(args) => {
            return Some(Ask::Events(Look { follow: args.follow, json: args.json, ..look }));
        }
        _ => {}
    }
    let wish = Wish { zone: zone?.to_string(), locale: locale(), ..Wish::default() };
    Some(match verb {
        Verb::Ready => Ask::Ready(wish),
        Verb::Boot(args) if !args.timings => Ask::Boot(Wish {
            wait: args.wait,
            single: args.single,
            writable: args.writable,
            bootargs: args.bootargs.words().to_vec(),
            ..wish
        }),
        Verb::Reboot(args) => {
            Ask::Reboot(Wish { writable: args.writable, bootargs: args.bootargs.words().to_vec(), ..wish })
        }
        Verb::Halt(args) => Ask::Halt(Wish { force: args.force, ..wish }),
        Verb::Shutdown(args) => Ask::Shutdown(Wish {
            timeout: args.timeout,
            reboot: args.reboot,
            bootargs: args.bootargs.words().to_vec(),
            ..wish
        }),
        Verb::Apply(args) => {
            Ask::Apply(Wish { dry_run: args.dry_run, quiet: args.quiet, json: args.json, ..wish })
        }
        _ => return None,
    })
}

/// A column as it is typed.
fn word(column: &Column) -> Option<String> {
    Some(column.to_possible_value()?.get_name().to_owned())
}

/// Prints what the program printed, no line longer than `width`, and ends as it did.
fn pass_on(done: &Done, width: Option<usize>) -> Outcome {
    for line in done.errors.lines() {
        say(format_args!("{line}"));
    }
    let mut stdout = io::stdout().lock();
    let printed = if stdout.is_terminal() {
        let cut = |line| begin(line, width.unwrap_or(usize::MAX));
        done.output.lines().try_for_each(|line| writeln!(stdout, "{}", harmless(cut(line))))
    } else {
        stdout.write_all(done.output.as_bytes())
    };
    printed.and_then(|()| stdout.flush()).or_else(unwritten)?;
    ended(Some(done.status.into()))
}

/// Prints what the program prints, as it comes, and ends as it does.
fn follow(begun: Begun) -> Outcome {
    let (out, errors, mut connection) = streams(begun)?;
    let errors =
        std::thread::spawn(move || errors.map_while(Result::ok).for_each(|line| say(format_args!("{line}"))));
    let (mut out, mut line) = (BufReader::new(out), Vec::new());
    let mut stdout = io::stdout().lock();
    let terminal = stdout.is_terminal();
    // An error in reading is an end, too: how it has ended comes from elsewhere.
    while matches!(out.read_until(b'\n', &mut line), Ok(1..)) {
        let written = if terminal {
            let text = String::from_utf8_lossy(&line);
            writeln!(stdout, "{}", harmless(text.trim_end_matches('\n')))
        } else {
            stdout.write_all(&line)
        };
        // Whoever left has ended the program: the connection ends with this process.
        written.and_then(|()| stdout.flush()).or_else(unwritten)?;
        line.clear();
    }
    // A thread that panicked has said so.
    let _ = errors.join();
    ended(connection.wait().map_err(Failure::general)?.status)
}

/// Shows on a screen what the program counts.
fn show(begun: Begun) -> Outcome {
    let (out, errors, mut connection) = streams(begun)?;
    // Said when the terminal is one again.
    let errors = std::thread::spawn(move || errors.map_while(Result::ok).collect::<Vec<_>>());
    match stat::show(out)? {
        // The program ends with the connection.
        Shown::Left => Ok(()),
        Shown::Over => {
            errors.join().unwrap_or_default().iter().for_each(|line| say(format_args!("{line}")));
            ended(connection.wait().map_err(Failure::general)?.status)
        }
    }
}

/// What a program prints that runs for us, the lines of what it says is wrong, and the connection on which its end is told.
fn streams(begun: Begun) -> Outcome<(File, Lines<BufReader<File>>, Connection)> {
    let Begun { mut fds, connection, .. } = begun;
    let (Some(out), Some(err)) = (fds.take(0), fds.take(1)) else {
        return Err(Failure::general(AccessError::Protocol));
    };
    Ok((out.into(), BufReader::new(File::from(err)).lines(), connection))
}

fn unwritten(error: io::Error) -> Outcome {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Err(Failure::Unread);
    }
    warn(format_args!("could not write to standard output: {}", Chain(&error)));
    Err(Failure::Told)
}

/// Ends as the program did, which has said why.
fn ended(status: Option<i32>) -> Outcome {
    match status {
        Some(0) => Ok(()),
        Some(2) => Err(Failure::Unusable),
        _ => Err(Failure::Told),
    }
}
