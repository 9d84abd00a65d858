//! Getting through to the console, whether or not the daemon runs.

use crate::exit::Failure;
use crate::target::Zone;
use rustix::io::Errno;
use rustix::net::SocketType;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zone_config::layout::CONSOLE;
use zone_console::client::{GreetError, greet};
use zone_console::ident::{Answer, Ident};
use zone_start::Started;

/// So long in all is a daemon waited for and started.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long may an answer take.
const ANSWER: Duration = Duration::from_secs(10);
/// The first pause; a daemon in its death throes is gone within about that.
const FIRST: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(200);

/// Connects and says who we are. What a daemon says that is started for it is given to `say`.
///
/// # Errors
/// When another has the console, or nobody serves it.
pub(super) fn connect(zone: &Zone, ident: &Ident, mut say: impl FnMut(&str)) -> Result<UnixStream, Failure> {
    let until = Instant::now() + PATIENCE;
    let mut pause = FIRST;
    loop {
        let error = match once(zone, ident) {
            Ok((stream, Answer::Ok)) => return Ok(stream),
            Ok((_, Answer::Busy(pid))) => {
                return Err(Failure::text(format_args!("Console is already in use by process ID {pid}.")));
            }
            Err(error) => error,
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || !error.passes() {
            return Err(Failure::Error(
                anyhow::Error::new(error).context("Could not connect to zone console"),
            ));
        }
        let served = match error {
            Missed::NotListening(_) => zone_start::start(&zone.layout, &zone.name, left, &mut say)
                .map_err(|e| Failure::Error(anyhow::Error::new(e).context("could not start zoneadmd")))?,
            _ => Started::Beaten,
        };
        if served == Started::Beaten {
            // Nothing tells when a daemon that is going or coming has done so.
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("no daemon listens")]
    NotListening(#[source] Errno),
    #[error("could not connect")]
    Connect(#[source] Errno),
    #[error(transparent)]
    Greet(#[from] GreetError),
}

impl Missed {
    /// Whether it may be otherwise in a moment.
    fn passes(&self) -> bool {
        matches!(self, Self::NotListening(_) | Self::Greet(GreetError::Closed))
    }
}

fn once(zone: &Zone, ident: &Ident) -> Result<(UnixStream, Answer), Missed> {
    let run = zone.layout.zone_run(&zone.name);
    let socket =
        zone_sys::unix::connect_in(&run, CONSOLE, SocketType::STREAM).map_err(|e| match e.errno() {
            errno @ (Errno::NOENT | Errno::CONNREFUSED) => Missed::NotListening(errno),
            errno => Missed::Connect(errno),
        })?;
    let mut stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(ANSWER)).map_err(GreetError::Io)?;
    let answer = greet(&mut stream, ident)?;
    stream.set_read_timeout(None).map_err(GreetError::Io)?;
    Ok((stream, answer))
}
