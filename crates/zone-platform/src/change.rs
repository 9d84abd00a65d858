//! A zone that lives on its way from one specification to another.
//!
//! The steps that have an `update` are asked one after the other; what they have to look at before is looked at by their
//! ordinary checks, before the first of them changes anything. Whoever has a zone changed keeps both specifications until it
//! is done: the same change can be run again after a kill at any instruction, and back again from what came of it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use zone_config::Layout;

use crate::check::{Check, Found, Purpose};
use crate::step::Step;
use crate::{Failed, PlatformError, Spec, mountinfo, steps};

/// A change of a zone that lives.
#[derive(Debug)]
pub struct Change<'a> {
    pub(crate) layout: &'a Layout,
    /// What the zone has, or had until this was begun.
    pub(crate) old: &'a Spec,
    /// What it is to have.
    pub(crate) new: &'a Spec,
    first: BorrowedFd<'a>,
    /// What the checks have opened; nothing where a change is taken back, of which nothing was checked.
    pub(crate) found: Found<'a>,
    waiter: Option<Waiter<'a>>,
    warnings: Vec<String>,
}

/// Whoever has a zone changed and is told what is waited for; whether to go on waiting.
struct Waiter<'a>(&'a dyn Fn(&str) -> bool);

impl std::fmt::Debug for Waiter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiter")
    }
}

impl<'a> Change<'a> {
    /// Begins a change of the zone whose first process, as a pidfd, is `first`.
    #[must_use]
    pub fn new(layout: &'a Layout, first: BorrowedFd<'a>, old: &'a Spec, new: &'a Spec) -> Self {
        Self { layout, old, new, first, found: Found::default(), waiter: None, warnings: Vec::new() }
    }

    /// Has what others are asked for (a DHCP server) be waited for, as long as the caller, who is told what it is, goes on with it.
    /// Without that nothing is asked: whoever keeps it while the zone lives does.
    #[must_use]
    pub fn waiting(mut self, goes_on: &'a dyn Fn(&str) -> bool) -> Self {
        self.waiter = Some(Waiter(goes_on));
        self
    }

    /// Whether anything may be waited for.
    pub(crate) fn may_wait(&self) -> bool {
        self.waiter.is_some()
    }

    /// Tells what is waited for; whether to go on.
    pub(crate) fn goes_on(&self, waiting: &str) -> bool {
        self.waiter.as_ref().is_some_and(|waiter| (waiter.0)(waiting))
    }

    /// Runs the checks of the steps that have something to change. Nothing is changed.
    ///
    /// # Errors
    /// All that is not right.
    pub fn check(&mut self) -> Result<(), Vec<PlatformError>> {
        let (old, new) = (self.old, self.new);
        let differs = |step: &Step| step.update.is_some_and(|update| (update.differs)(old, new));
        let inside = self.root().and_then(|(number, _)| mountinfo::read_of(number));
        let inside = inside.map_err(|failed| vec![failed.into()])?;
        let check = Check::run_those(self.layout, Some(old), Some(inside), new, Purpose::Update, differs);
        let (found, errors, warnings) = check.into_parts();
        if !errors.is_empty() {
            return Err(errors);
        }
        self.found = found;
        warnings.into_iter().for_each(|warning| self.warn(warning));
        Ok(())
    }

    /// What the zone has, or had until this was begun, and what it is to have.
    #[must_use]
    pub fn specs(&self) -> (&'a Spec, &'a Spec) {
        (self.old, self.new)
    }

    /// What is to be told though nothing failed, each one sentence.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Has something told though nothing failed.
    pub(crate) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The zone's first process, as a pidfd: by it setns(2) enters its namespaces.
    #[must_use]
    pub fn first(&self) -> BorrowedFd<'a> {
        self.first
    }

    /// Opens a namespace of the zone's first process, by the name that /proc has for it: `net`, `mnt`, `user`.
    ///
    /// # Errors
    /// When the process has ended, or the kernel refuses.
    pub fn namespace(&self, kind: &str) -> Result<OwnedFd, Failed> {
        let failed = |errno: Errno| Failed::to("open the zone's namespace", kind)(errno);
        open_of(self.first, &format!("ns/{kind}"), OFlags::RDONLY).map(|(_, fd)| fd).map_err(failed)
    }

    /// Opens the zone's root directory as its first process has it, and tells that process' number.
    ///
    /// # Errors
    /// When the process has ended, or the kernel refuses.
    pub(crate) fn root(&self) -> Result<(i32, OwnedFd), Failed> {
        root_of(self.first)
    }

    /// Opens a directory of the zone's that its first process sees, and which is in memory: on what the zone's root may serve itself
    /// no call would ever end. It is that of the zone's root, who may have anything in it.
    pub(crate) fn in_memory(&self, path: &str) -> Result<OwnedFd, Failed> {
        const OPEN: &str = "open the zone's";
        let subject = || format!("/{path}");
        let (number, root) = self.root()?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let dir =
            zone_sys::path::in_root_unlinked(&root, path, flags).map_err(Failed::to(OPEN, subject()))?;
        let table = mountinfo::read_of(number)?;
        let in_memory = mountinfo::of(&table, dir.as_fd()).is_some_and(|mount| mount.fstype == "tmpfs");
        let mounted = || Failed::to(OPEN, subject())("the zone has mounted another file system on it");
        in_memory.then_some(dir).ok_or_else(mounted)
    }
}

/// Opens the root directory of the process behind a pidfd, and tells its number.
///
/// # Errors
/// When the process has ended, or the kernel refuses.
pub(crate) fn root_of(process: BorrowedFd<'_>) -> Result<(i32, OwnedFd), Failed> {
    open_of(process, "root", OFlags::PATH | OFlags::DIRECTORY).map_err(Failed::to("open", "the zone's root"))
}

/// Opens what /proc has of the process behind a pidfd.
fn open_of(process: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<(i32, OwnedFd), Errno> {
    let pid = || zone_sys::pidfd::pid(process).map_err(|error| error.errno());
    let number = pid()?.ok_or(Errno::SRCH)?;
    let path = format!("/proc/{number}/{name}");
    let opened = openat(CWD, &path, flags | OFlags::CLOEXEC, Mode::empty())?;
    // Only now is it certain that the number was that process' still.
    if pid()? == Some(number) { Ok((number, opened)) } else { Err(Errno::SRCH) }
}

/// The steps that change something in a zone that lives, in the order of bring-up. Each is run in every change, whether or not
/// the specifications differ: it also mends what somebody has taken away.
pub fn update_steps() -> impl Iterator<Item = &'static Step> {
    steps().iter().filter(|step| step.update.is_some())
}
