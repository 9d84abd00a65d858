//! A command that runs in a zone: started by this process if it is root's, by zone-access if the user is another.

use crate::exit::{FAILED, Failure, not_entered};
use crate::options::{Options, Who};
use crate::plan::{Caller, Planner};
use crate::screen;
use crate::target::{self, Live};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::process::Signal;
use rustix::termios::isatty;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use zone_audit::Asker;
use zone_config::Layout;
use zone_door::access::{self, Access, AccessError, Ask, Begun, Connection, Refusal};
use zone_platform::enter::{End, Ends, Entered, Entry, Plan, Terminal, enter};
use zone_platform::{Confinement, Spec};
use zone_sys::clone::SingleThreaded;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'a> {
    /// A login shell.
    Login,
    /// A command.
    Command(&'a [OsString]),
}

/// A command that runs.
#[derive(Debug)]
pub(crate) enum Inside {
    /// A child of this process.
    Own(Box<Live>, Entered),
    /// A child of zone-access.
    Access {
        /// The zone.
        zone: String,
        /// Where its end is told.
        connection: RefCell<Connection>,
        /// Whether the zone has gone down with it.
        gone: Cell<bool>,
    },
}

/// Starts it, with a terminal or with pipes.
///
/// # Errors
/// Why not.
pub(crate) fn start(
    options: &Options,
    user: &Who,
    what: What<'_>,
    terminal: Option<Terminal>,
) -> Result<(Inside, Ends), Failure> {
    if !rustix::process::geteuid().is_root()
        && let Some(begun) = ask(options, &wish(options, user, what, terminal.as_ref())?)?
    {
        return by_access(&options.zone, begun);
    }
    let proof = SingleThreaded::assert()?;
    let zone = target::find(options)?.live()?;
    let has_terminal = terminal.is_some();
    let planner = Planner::new(user, &zone, Caller::own(), &options.around);
    let (entered, ends) =
        go_in(proof, &zone, terminal, Asker::own(), &|| plan(&planner, what, has_terminal))?;
    Ok((Inside::Own(Box::new(zone), entered), ends))
}

/// Plans it; to be called inside the zone.
pub(crate) fn plan(planner: &Planner, what: What<'_>, terminal: bool) -> Result<Plan, String> {
    match what {
        What::Login => planner.login(terminal),
        What::Command(words) => planner.command(words),
    }
}

/// Enters a running zone, which is recorded of `caller`.
///
/// # Errors
/// Why not.
pub(crate) fn go_in(
    proof: SingleThreaded,
    zone: &Live,
    terminal: Option<Terminal>,
    caller: Asker,
    plan: &dyn Fn() -> Result<Plan, String>,
) -> Result<(Entered, Ends), Failure> {
    enter_for(proof, zone, terminal, ("login", caller), plan, None)
}

/// Enters a running zone as its root, to do `work` there in place of a program.
///
/// # Errors
/// Why not.
pub(crate) fn work_in(
    proof: SingleThreaded,
    zone: &Live,
    (op, caller): (&str, Asker),
    work: &dyn Fn() -> i32,
) -> Result<(Entered, Ends), Failure> {
    let plan = || {
        let empty = OsString::new;
        let groups = vec![0];
        let (directory, named, args, env) = ("/".into(), false, Vec::new(), Vec::new());
        Ok(Plan { uid: 0, gid: 0, groups, directory, named, program: empty(), name: empty(), args, env })
    };
    enter_for(proof, zone, None, (op, caller), &plan, Some(work))
}

fn enter_for(
    proof: SingleThreaded,
    zone: &Live,
    terminal: Option<Terminal>,
    (op, caller): (&str, Asker),
    plan: &dyn Fn() -> Result<Plan, String>,
    work: Option<&dyn Fn() -> i32>,
) -> Result<(Entered, Ends), Failure> {
    // What init has, whatever the tables of this program say.
    let confinement = Confinement::in_force(&zone.snapshot)?;
    let spec = Spec::of(&zone.snapshot);
    let entry = Entry {
        pidfd: zone.fds.pidfd.as_fd(),
        cgroup: zone.fds.cgroup.as_fd(),
        bounding: confinement.capabilities.bits(),
        seccomp: &confinement.filter,
        memlock: spec.memlock,
        own_uptime: spec.own_uptime,
        terminal,
        plan,
        work,
    };
    let entered = enter(proof, &entry);
    zone_audit::control(&zone.machine(), op, "entered", Some(caller), entered.is_ok());
    entered
        .inspect(|_| zone_fail::pass!("enter.entered"))
        .map_err(|error| if zone.is_going() { zone.gone() } else { not_entered(zone.name(), error) })
}

/// Asks zone-access for something that begins; `None` if this host has none, and what root alone may do is said otherwise.
///
/// # Errors
/// When it was refused, or failed.
pub(crate) fn ask(options: &Options, ask: &Ask) -> Result<Option<Begun>, Failure> {
    let layout = Layout::new(options.root.clone())?;
    match Access::in_dir(&layout.access_dir()).begin(ask) {
        Ok(begun) => Ok(Some(begun)),
        Err(AccessError::NotListening { .. }) => Ok(None),
        Err(AccessError::Refused(Refusal::Failed { status, message })) if status != FAILED => {
            crate::exit::say(&message);
            Err(Failure::With(status))
        }
        Err(error) => Err(error.into()),
    }
}

fn wish(options: &Options, user: &Who, what: What<'_>, terminal: Option<&Terminal>) -> Result<Ask, Failure> {
    let words = match what {
        What::Login => &[],
        What::Command(words) => words,
    };
    let words = words.iter().map(|word| word.to_str().map(str::to_owned));
    let words = words.collect::<Option<Vec<_>>>();
    let words = words.ok_or_else(|| Failure::text("only root may pass on words that are not valid UTF-8"))?;
    let user = match user {
        Who::User(name) => Some(name.clone()),
        Who::Failsafe => None,
    };
    let term = std::env::var("TERM").ok();
    let terminal = terminal.map(screen::in_numbers);
    let cwd = options.around.cwd.as_ref().map(|cwd| cwd.to_str().map(str::to_owned).ok_or(()));
    let cwd = cwd
        .transpose()
        .map_err(|()| Failure::text("only root may pass on a path that is not valid UTF-8"))?;
    let variables = |all: &[(String, OsString)]| {
        let text = |(name, value): &(String, OsString)| Some(format!("{name}={}", value.to_str()?));
        all.iter().map(text).collect::<Option<Vec<_>>>()
    };
    let env = variables(&options.around.env)
        .ok_or_else(|| Failure::text("only root may pass on a variable that is not valid UTF-8"))?;
    let language = variables(&crate::language::own()).unwrap_or_default();
    let zone = options.zone.clone();
    Ok(Ask::Enter(access::Enter { zone, user, words, term, terminal, cwd, env, language }))
}

fn by_access(zone: &str, begun: Begun) -> Result<(Inside, Ends), Failure> {
    let Begun { terminal, mut fds, connection } = begun;
    let ends = match (terminal, fds.take(0), fds.take(1), fds.take(2)) {
        (Some(name), Some(manager), None, None) if isatty(&manager) => Some(Ends::Terminal { manager, name }),
        (None, Some(stdin), Some(stdout), Some(stderr)) => Some(Ends::Pipes { stdin, stdout, stderr }),
        _ => None,
    };
    let ends = ends.ok_or(AccessError::Protocol)?;
    let (zone, connection) = (zone.to_owned(), RefCell::new(connection));
    Ok((Inside::Access { zone, connection, gone: Cell::new(false) }, ends))
}

impl Inside {
    /// The zone's name.
    pub(crate) fn zone(&self) -> &str {
        match self {
            Self::Own(zone, _) => zone.name(),
            Self::Access { zone, .. } => zone,
        }
    }

    /// Becomes readable when the command has ended. It is valid as long as `self` is not waited for.
    pub(crate) fn with_watch<T>(&self, act: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Self::Own(_, entered) => act(entered.pidfd()),
            Self::Access { connection, .. } => act(connection.borrow().watch()),
        }
    }

    /// Sends a signal to the command's process group. A command that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Self::Own(_, entered) => entered.signal(signal),
            Self::Access { connection, .. } => {
                connection.borrow().signal(u8::try_from(signal.as_raw()).unwrap_or_default());
            }
        }
    }

    /// Waits for the command's end.
    ///
    /// # Errors
    /// When nobody tells.
    pub(crate) fn wait(&self) -> Result<End, Failure> {
        match self {
            Self::Own(_, entered) => Ok(entered.wait()?),
            Self::Access { connection, gone, .. } => {
                let ended = connection.borrow_mut().wait()?;
                gone.set(ended.gone);
                Ok(match (ended.status, ended.signal) {
                    (Some(status), _) => End::Exited(status),
                    (None, signal) => End::Killed(signal.unwrap_or_default()),
                })
            }
        }
    }

    /// Whether the zone has ended, or is about to: what tells a command that was killed with its zone from one that was
    /// killed in it.
    pub(crate) fn is_going(&self) -> bool {
        match self {
            Self::Own(zone, _) => zone.is_going(),
            Self::Access { gone, .. } => gone.get(),
        }
    }

    /// The end of a session whose zone has gone.
    pub(crate) fn gone(&self) -> Failure {
        Failure::text(format_args!("zone '{}' went down, and the session with it", self.zone()))
    }
}
