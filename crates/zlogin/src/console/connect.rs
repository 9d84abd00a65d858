//! Getting through to the console, whether or not the daemon runs.

use crate::exit::Failure;
use crate::inside;
use crate::options::Options;
use crate::target::{self, Zone};
use rustix::io::Errno;
use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zone_config::Layout;
use zone_config::layout::{ACCESS, CONSOLE};
use zone_console::client::{GreetError, greet};
use zone_console::ident::{Answer, Ident};
use zone_door::access::{AccessError, Ask, Connection, OneZone};
use zone_start::Unreached;

/// So long may an answer take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often zone-access is asked again whose console was gone when it was greeted.
const ATTEMPTS: u32 = 5;

/// Who connects.
#[derive(Debug)]
pub(super) enum Place {
    /// This process, which is root's.
    Own(Zone),
    /// zone-access, and what it is to be held by.
    Access(Options, RefCell<Option<Connection>>),
}

impl Place {
    /// Finds the zone of the command line, or who finds it.
    ///
    /// # Errors
    /// When there is none, or the caller may not have its console.
    pub(super) fn find(options: &Options) -> Result<Self, Failure> {
        let served =
            || Layout::new(options.root.clone()).map(|layout| layout.access_dir().join(ACCESS).exists());
        if !rustix::process::geteuid().is_root() && served()? {
            return Ok(Self::Access(options.clone(), RefCell::default()));
        }
        target::find(options).map(Self::Own)
    }

    /// Records for the host's audit that the console was attached to, or not; zone-access does so itself.
    pub(super) fn record(&self, attached: bool) {
        if let Self::Own(zone) = self {
            let asker = zone_audit::Asker::own();
            zone_audit::control(&zone.machine(), "console", "attached", Some(asker), attached);
        }
    }

    /// The zone's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own(zone) => zone.name.as_str(),
            Self::Access(options, _) => &options.zone,
        }
    }
}

/// Connects and says who we are. What a daemon says that is started for it is given to `say`.
///
/// # Errors
/// When another has the console, or nobody serves it.
pub(super) fn connect(place: &Place, ident: &Ident, say: impl FnMut(&str)) -> Result<UnixStream, Failure> {
    let zone = match place {
        Place::Own(zone) => zone,
        Place::Access(options, held) => return by_access(options, held, ident),
    };
    let attempt = || once(zone, ident).map_err(Missed::after);
    let unreached = match zone_start::reach(&zone.layout, &zone.name, say, attempt) {
        Ok(answered) => return admitted(place, answered),
        Err(unreached) => unreached,
    };
    Err(Failure::Error(match unreached {
        Unreached::Start(error) => anyhow::Error::new(error).context("could not start zoneadmd"),
        Unreached::GaveUp(error) | Unreached::Failed(error) => {
            anyhow::Error::new(error).context("Could not connect to zone console")
        }
    }))
}

/// The connection, if it is one.
fn admitted(place: &Place, answered: (UnixStream, Answer)) -> Result<UnixStream, Failure> {
    match answered {
        (stream, Answer::Ok) => Ok(stream),
        (_, Answer::Busy(pid)) => Err(Failure::text(format_args!(
            "Console is already in use by process ID {pid}. Use --watch to look on, or --steal to take it."
        ))),
        (_, Answer::Full) => {
            let name = place.name();
            Err(Failure::text(format_args!(
                "Could not connect to zone console: the zoneadmd of zone '{name}' has no descriptor left for another client"
            )))
        }
    }
}

/// Has zone-access connect, and start a daemon if there is none.
fn by_access(
    options: &Options,
    held: &RefCell<Option<Connection>>,
    ident: &Ident,
) -> Result<UnixStream, Failure> {
    let ask = Ask::Console(OneZone { zone: options.zone.clone() });
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let Some(mut begun) = inside::ask(options, &ask)? else { break };
        let stream = UnixStream::from(begun.fds.take(0).ok_or(AccessError::Protocol)?);
        held.replace(Some(begun.connection));
        match greeted(stream, ident) {
            Ok(answered) => return admitted(&Place::Access(options.clone(), RefCell::default()), answered),
            Err(error @ GreetError::Closed) => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let error = last.map_or_else(|| anyhow::Error::new(AccessError::Gone), anyhow::Error::new);
    Err(Failure::Error(error.context("Could not connect to zone console")))
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
    let socket = zsched::client::connect_served(&run, CONSOLE).map_err(|e| match e.errno() {
        errno @ (Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => Missed::NotListening(errno),
        errno => Missed::Connect(errno),
    })?;
    Ok(greeted(UnixStream::from(socket), ident)?)
}

fn greeted(mut stream: UnixStream, ident: &Ident) -> Result<(UnixStream, Answer), GreetError> {
    stream.set_read_timeout(Some(ANSWER)).map_err(GreetError::Io)?;
    let answer = greet(&mut stream, ident)?;
    stream.set_read_timeout(None).map_err(GreetError::Io)?;
    Ok((stream, answer))
}
