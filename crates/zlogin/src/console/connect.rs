//! Getting through to the console, whether or not the daemon runs.

use crate::exit::Failure;
use crate::target::Zone;
use rustix::io::Errno;
use rustix::net::SocketType;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zone_config::layout::CONSOLE;
use zone_console::client::{GreetError, greet};
use zone_console::ident::{Answer, Ident};
use zone_start::Unreached;

/// So long may an answer take.
const ANSWER: Duration = Duration::from_secs(10);
/// Connects and says who we are. What a daemon says that is started for it is given to `say`.
///
/// # Errors
/// When another has the console, or nobody serves it.
pub(super) fn connect(zone: &Zone, ident: &Ident, say: impl FnMut(&str)) -> Result<UnixStream, Failure> {
    let attempt = || once(zone, ident).map_err(Missed::after);
    let unreached = match zone_start::reach(&zone.layout, &zone.name, say, attempt) {
        Ok((stream, Answer::Ok)) => return Ok(stream),
        Ok((_, Answer::Busy(pid))) => {
            return Err(Failure::text(format_args!("Console is already in use by process ID {pid}.")));
        }
        Ok((_, Answer::Full)) => {
            let name = &zone.name;
            return Err(Failure::text(format_args!(
                "Could not connect to zone console: the zoneadmd of zone '{name}' has no descriptor left for another client"
            )));
        }
        Err(unreached) => unreached,
    };
    Err(Failure::Error(match unreached {
        Unreached::Start(error) => anyhow::Error::new(error).context("could not start zoneadmd"),
        Unreached::GaveUp(error) | Unreached::Failed(error) => {
            anyhow::Error::new(error).context("Could not connect to zone console")
        }
    }))
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
    /// Says whether it may be otherwise in a moment.
    fn after(self) -> zone_start::Missed<Self> {
        match self {
            Self::NotListening(_) => zone_start::Missed::NotListening(self),
            Self::Greet(GreetError::Closed) => zone_start::Missed::Gone(self),
            _ => zone_start::Missed::Final(self),
        }
    }
}

fn once(zone: &Zone, ident: &Ident) -> Result<(UnixStream, Answer), Missed> {
    let run = zone.layout.zone_run(&zone.name);
    let socket =
        zone_sys::unix::connect_in(&run, CONSOLE, SocketType::STREAM).map_err(|e| match e.errno() {
            errno @ (Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => Missed::NotListening(errno),
            errno => Missed::Connect(errno),
        })?;
    let mut stream = UnixStream::from(socket);
    stream.set_read_timeout(Some(ANSWER)).map_err(GreetError::Io)?;
    let answer = greet(&mut stream, ident)?;
    stream.set_read_timeout(None).map_err(GreetError::Io)?;
    Ok((stream, answer))
}
