//! A command in a zone for somebody else: what zone-access does for users who are not root. Nothing of this process is the
//! command's, and whoever asked gets the near ends of its input and output.

use crate::exit::{Failure, reason};
use crate::inside::{What, go_in, plan, work_in};
use crate::language;
use crate::options::{Around, Mode, Options, Who, login_of};
use crate::plan::{Caller, Planner};
use crate::target::{self, Live};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use zone_audit::Asker;
use zone_config::Layout;
use zone_door::access::Enter;
use zone_platform::enter::{End, Ends, Entered};
use zone_sys::clone::SingleThreaded;

/// The most of `TERM`, in bytes: no terminal's name is as long.
const MOST_TERM: usize = 64;

/// A command that runs.
#[derive(Debug)]
pub struct Session {
    zone: Live,
    entered: Entered,
}

/// Why there is none.
#[derive(Debug)]
pub struct Refused {
    /// What zlogin exits with.
    pub status: u8,
    /// The sentence.
    pub message: String,
}

/// Enters a zone and runs what is wished.
///
/// # Errors
/// [`Refused`]; nothing runs in the zone then.
pub fn enter(
    proof: SingleThreaded,
    layout: &Layout,
    wish: &Enter,
    caller: Asker,
) -> Result<(Session, Ends), Refused> {
    try_enter(proof, layout, wish, caller).map_err(|failure| {
        let (status, message) = failure.into_words();
        Refused { status, message }
    })
}

/// Enters a zone and does `work` there as its root, with pipes as the standard streams, in place of a program; recorded as `op`.
///
/// # Errors
/// [`Refused`]; nothing is done then.
pub fn work(
    proof: SingleThreaded,
    layout: &Layout,
    zone: &str,
    (op, caller): (&str, Asker),
    work: &dyn Fn() -> i32,
) -> Result<(Session, Ends), Refused> {
    let root = (!layout.is_default()).then(|| layout.root().to_owned());
    let (mode, around) = (Mode::Login(Who::Failsafe), Around::default());
    let options = Options { root, zone: zone.to_owned(), escape: None, quiet: true, mode, around };
    let enter = || {
        let zone = target::find(&options)?.live()?;
        let (entered, ends) = work_in(proof, &zone, (op, caller), work)?;
        Ok((Session { zone, entered }, ends))
    };
    enter().map_err(|failure: Failure| {
        let (status, message) = failure.into_words();
        Refused { status, message }
    })
}

fn try_enter(
    proof: SingleThreaded,
    layout: &Layout,
    wish: &Enter,
    caller: Asker,
) -> Result<(Session, Ends), Failure> {
    let mut texts = wish.words.iter().chain(&wish.term).chain(&wish.cwd).chain(&wish.env);
    if texts.any(|text| text.contains('\0')) {
        return Err(Failure::text("no word of a command can have a byte of value 0"));
    }
    let around = Around {
        terminal: Some(wish.terminal.is_some()),
        cwd: wish.cwd.as_ref().map(PathBuf::from),
        env: wish.env.iter().map(|text| variable(text)).collect::<Result<_, _>>()?,
    };
    let language = wish.language.iter().filter_map(|text| {
        let (name, value) = text.split_once('=')?;
        language::kept(name, value.into())
    });
    let user = match wish.user.as_deref() {
        Some(name) => Who::User(login_of(OsStr::new(name)).map_err(Failure::Usage)?),
        None => Who::Failsafe,
    };
    let term = wish.term.clone().filter(|term| term.len() <= MOST_TERM).map(OsString::from);
    let caller_of = Caller { term, language: language.collect() };
    let terminal = wish.terminal.as_ref().map(crate::screen::of_numbers).transpose()?;
    let root = (!layout.is_default()).then(|| layout.root().to_owned());
    let words: Vec<OsString> = wish.words.iter().map(OsString::from).collect();
    let mode = Mode::Login(user.clone());
    let options = Options { root, zone: wish.zone.clone(), escape: None, quiet: true, mode, around };
    let zone = target::find(&options)?.live()?;
    let planner = Planner::new(&user, &zone, caller_of, &options.around);
    let what = if words.is_empty() { What::Login } else { What::Command(&words) };
    let (entered, ends) =
        go_in(proof, &zone, terminal, caller, &|| plan(&planner, what, wish.terminal.is_some()))?;
    Ok((Session { zone, entered }, ends))
}

fn variable(text: &str) -> Result<(String, OsString), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.into())),
        _ => Err(Failure::text(format_args!("{text:?} sets no variable"))),
    }
}

impl Session {
    /// Becomes readable when the command has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.entered.pidfd()
    }

    /// Sends a signal to the command's process group.
    pub fn signal(&self, signal: Signal) {
        self.entered.signal(signal);
    }

    /// Waits for the command's end; tells also whether the zone has gone, or is about to.
    ///
    /// # Errors
    /// What `waitid(2)` says.
    pub fn wait(&self) -> Result<(End, bool), Errno> {
        let end = self.entered.wait()?;
        Ok((end, matches!(end, End::Killed(_)) && self.zone.is_going()))
    }
}

impl Failure {
    /// What is to be told, and the status to exit with.
    fn into_words(self) -> (u8, String) {
        match self {
            Self::Usage(text) => (crate::exit::USAGE, text),
            Self::Error(error) => (crate::exit::FAILED, reason(&error)),
            Self::Execute(error, errno) => {
                (crate::exit::not_executed(errno), reason(&anyhow::Error::new(error)))
            }
            Self::Done | Self::Told | Self::With(_) => (crate::exit::FAILED, String::new()),
        }
    }
}
