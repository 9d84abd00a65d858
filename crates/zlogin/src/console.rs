//! `zlogin -C ZONE`: the zone's console, which outlives its boots.
//!
//! The daemon serves it, and is started if it does not run. It may be killed and restarted under an
//! open connection: then this comes back by itself, to the very byte where it was.

use crate::escape::Escape;
use crate::exit::{Failure, Outcome, print, status};
use crate::options::{Console, Options};
use crate::screen::{self, Raw};
use crate::signals::Signals;
use connect::Place;
use rustix::termios::Termios;
use std::path::Path;
use std::time::{Instant, SystemTime};
use zone_console::Locale;
use zone_console::frame::End;
use zone_console::ident::{Ident, Options as Wishes};
use zone_console::record::Recorder;
use zone_console::term::Size;
use zone_platform::enter::End as Ended;
use zone_sys::clone::SingleThreaded;

mod connect;
mod keys;
mod session;

use session::{Over, Session};

/// Connects to the console until either side has enough.
pub(crate) fn run(options: &Options, console: &Console) -> Outcome {
    let proof = SingleThreaded::assert()?;
    let zone = Place::find(options)?;
    let wanted = ident(console);
    // Before the connection: a console is free the moment that its holder dies.
    let (settings, raw) = (screen::settings(), Raw::prepare(proof)?);
    let connection = connect::connect(&zone, &wanted, crate::exit::say);
    zone.record(connection.is_ok());
    let connection = connection?;
    zone_fail::pass!("console.connected");
    let record = record(&zone, console)?;
    if !options.quiet {
        print(&format!("[Connected to zone '{}' console]\n", zone.name()))?;
    }
    let over = converse(options, console, &zone, wanted, connection, record, (settings, raw));
    let (over, unrecorded) = over?;
    // The terminal is what it was by now.
    if !options.quiet {
        print(&format!("\n[Connection to zone '{}' console closed]\n", zone.name()))?;
    }
    if let Some(error) = unrecorded {
        return Err(not_recorded(console, error));
    }
    match over {
        Over::Told(signal) => Ok(status(Ended::Killed(signal.as_raw()))),
        Over::Escaped | Over::Unread | Over::Closed(_) | Over::Broken(_) => Ok(0),
    }
}

/// Who we are, and what we want to see first.
fn ident(console: &Console) -> Ident {
    let options = Wishes {
        watch: console.watch,
        steal: console.steal,
        replay: Some(console.replay).filter(|&bytes| bytes > 0),
        size: size().filter(|_| !console.watch),
        frames: true,
        resume: None,
    };
    let locale = Locale::name_in(|name| std::env::var(name).ok());
    Ident { pid: std::process::id().into(), locale, disconnect: console.disconnect, options }
}

/// The caller's window; `None` if it is not known.
fn size() -> Option<Size> {
    let size = screen::size()?;
    Some(Size { rows: size.ws_row, cols: size.ws_col }).filter(|size| size.rows > 0 && size.cols > 0)
}

fn record(zone: &Place, console: &Console) -> Result<Option<session::Record>, Failure> {
    let Some(path) = &console.record else { return Ok(None) };
    let failed = |error| not_recorded(console, error);
    let file = std::fs::File::create(path).map_err(failed)?;
    let title = format!("zone '{}' console", zone.name());
    let recorder =
        Recorder::new(file, &title, size().unwrap_or_default(), SystemTime::now()).map_err(failed)?;
    Ok(Some(session::Record { recorder, began: Instant::now() }))
}

fn not_recorded(console: &Console, error: std::io::Error) -> Failure {
    let path = console.record.as_deref().unwrap_or(Path::new(""));
    let context = format!("could not write the recording {}", path.display());
    Failure::Error(anyhow::Error::new(error).context(context))
}

/// Holds sessions, one after the other, until one ends for good; gives how, and why the recording ended before.
fn converse(
    options: &Options,
    console: &Console,
    zone: &Place,
    mut wanted: Ident,
    connection: std::os::unix::net::UnixStream,
    record: Option<session::Record>,
    (settings, mut raw): (Option<Termios>, Option<Raw>),
) -> Result<(Over, Option<std::io::Error>), Failure> {
    let signals = Signals::of_a_terminal()?;
    let escape = Escape::new(options.escape.filter(|_| settings.is_some()), settings.as_ref());
    raw.iter_mut().try_for_each(Raw::begin)?;
    zone_fail::pass!("console.raw");
    let mut session = Session::new(signals, escape, raw, console.watch, record);
    // What was shown once is not shown again; nor is the console to be taken away twice.
    wanted.options.replay = None;
    let mut connection = connection;
    loop {
        let over = session.run(connection)?;
        let position = match over {
            Over::Broken(position) | Over::Closed((End::Restarting, position)) => position,
            over => return Ok((over, session.unrecorded())),
        };
        zone_fail::pass!("console.broken");
        wanted.options.resume = position;
        wanted.options.size = size().filter(|_| !console.watch);
        connection = match connect::connect(zone, &wanted, |line| session.say(line)) {
            Ok(connection) => connection,
            // It may be gone for good: halted, uninstalled.
            Err(failure) => {
                drop(session);
                return Err(failure);
            }
        };
        wanted.options.steal = false;
    }
}
