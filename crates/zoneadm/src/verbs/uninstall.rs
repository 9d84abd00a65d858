//! `zoneadm uninstall`: removes what install put there, and everything that was written since.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use zone_config::file::{self, FileLock};
use zone_config::{Index, State, idmap, layout};
use zone_door::{Client, Console, Request};
use zone_install::remove::{self, Fixed, Plan, Removed};
use zone_install::zonepath::ZonepathError;
use zone_locale::Locale;

use crate::cli::lead::UninstallArgs;
use crate::context::Context;
use crate::daemon;
use crate::message::{Failure, Outcome, relay, warn_zone};
use crate::output::Output;
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{leave, operation_lock, set_state};
use crate::work::{self, Display, Interruptible, Thing};

/// How long the daemon may take to leave after it was told of the uninstall.
const DEPARTURE: Duration = Duration::from_secs(5);
/// How long a daemon that does not leave may take to say why.
const ANSWER: Duration = Duration::from_secs(1);
/// How long the daemon, whose lock is free, and the keeper may take to be gone from their cgroup.
const GOING: Duration = Duration::from_secs(2);

pub(crate) fn run(cx: &Context, args: UninstallArgs) -> Outcome {
    let target = sanity::check(cx, Action::Uninstall)?;
    let zone = target.name();
    nobody_elses(&target)?;
    if !args.force && !io::stdin().is_terminal() {
        let text = "Input not from terminal and -F not specified: uninstall not done.";
        return Err(Failure::text(zone, text));
    }
    let lock = operation_lock(&target)?;
    zone_fail::pass!("uninstall.locked");
    let work = work::interruptible().map_err(Failure::of(zone))?;
    let options = &work.options;
    let zonepath = target.entry.zonepath.as_path();
    let plan = {
        let mut display = Display::new(zone);
        let incomplete = target.entry.state == State::Incomplete;
        remove::plan(zonepath, incomplete, options, &mut |progress| display.show(progress))
            .map_err(Failure::of(zone))?
    };
    if !plan.mounts.is_empty() {
        let mounts = plan.mounts.clone();
        let error = zone_install::Error::MountsBelow { zonepath: zonepath.to_owned(), mounts };
        return Err(Failure::of(zone)(error));
    }
    // Whoever forces it has said that everything is to go; whoever is asked has not been told of these.
    let fixed = if args.force { Fixed::Clear } else { Fixed::Refuse };
    plan.refuse(fixed).map_err(Failure::of(zone))?;
    describe(&plan)?;
    if !args.force && !agreed(&target, &work)? {
        return Err(Failure::text(zone, "uninstall not done, nothing was changed."));
    }
    zone_fail::pass!("uninstall.planned");
    daemon::notify(target.layout, zone, &Request::NoteUninstalling { locale: daemon::locale() });
    zone_fail::pass!("uninstall.noted");
    let no_daemon = dismiss(&target)?;
    zone_fail::pass!("uninstall.dismissed");
    set_state(&target, State::Incomplete)?;
    // From here on it is the state that keeps a daemon from starting.
    no_daemon.discard();
    zone_fail::pass!("uninstall.begun");
    let removed = {
        let mut display = Display::new(zone);
        remove::execute(&plan, fixed, options, &mut |progress| display.show(progress))
            .map_err(Failure::of(zone))?
    };
    zone_fail::pass!("uninstall.removed");
    tell(&target, &removed);
    idmap::release(target.layout, zone).map_err(Failure::of(zone))?;
    zone_fail::pass!("uninstall.released");
    sweep(&target);
    zone_fail::pass!("uninstall.swept");
    // Last: who is killed before can be told to do it again.
    set_state(&target, State::Configured)?;
    leave(target.layout, zone, lock);
    Ok(())
}

/// Removes what the daemon and the keeper were in; where there is no cgroup2 there is nothing to remove.
pub(crate) fn sweep(target: &Target<'_>) {
    let _ = zone_platform::cgroup::sweep(target.layout, target.name(), GOING);
}

/// An index that was edited by hand may give two zones one zonepath; what would be removed is then the other's.
pub(crate) fn nobody_elses(target: &Target<'_>) -> Outcome {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let own = real(&target.entry.zonepath);
    let overlaps = |path: &Path| own.starts_with(path) || path.starts_with(&own);
    let index = Index::load(target.layout).map_err(Failure::of(target.name()))?;
    let others = index.entries().filter(|other| other.name != *target.name());
    for other in others.filter(|other| other.state != State::Configured) {
        if overlaps(&real(&other.zonepath)) {
            return Err(Failure::of(target.name())(ZonepathError::Overlap {
                zone: target.name().to_string(),
                path: target.entry.zonepath.clone(),
                other: other.name.to_string(),
                other_path: other.zonepath.clone(),
            }));
        }
    }
    Ok(())
}

/// Says what will be gone.
fn describe(plan: &Plan) -> Outcome {
    let mut out = Output::new();
    if plan.standard.is_empty() {
        out.said(&format!("There is nothing to remove in {}.", plan.zonepath().display()))?;
    } else {
        out.said("This will be removed:")?;
    }
    for part in &plan.standard {
        let entries = work::count(part.entries, Thing::Entry);
        let path = plan.zonepath().join(&part.name);
        out.said(&format!("  {} ({entries}, {})", path.display(), work::size(part.bytes)))?;
    }
    if plan.fixed > 0 {
        let files = work::count(plan.fixed, Thing::File);
        out.said(&format!("That includes {files} made immutable or append-only with chattr."))?;
    }
    if !plan.extra.is_empty() {
        let names: Vec<_> = plan.extra.iter().map(|name| name.to_string_lossy()).collect();
        out.said(&format!("This is not part of the zone and stays: {}", names.join(", ")))?;
    }
    out.end()
}

/// Asks. An interruption, and the end of input, are a no.
fn agreed(target: &Target<'_>, work: &Interruptible) -> Outcome<bool> {
    let ask = || -> io::Result<bool> {
        let question = format!("Are you sure you want to uninstall zone {} (y/[n])? ", target.name());
        write!(io::stdout(), "{}", zone_locale::here(&question))?;
        io::stdout().flush()?;
        let mut answer = String::new();
        if !work.wait_for(io::stdin())? || io::stdin().lock().read_line(&mut answer)? == 0 {
            // The cursor is behind the question.
            writeln!(io::stdout())?;
            return Ok(false);
        }
        Ok(answer.trim_start().starts_with(['y', 'Y']) || Locale::here().is_yes(&answer))
    };
    ask().map_err(Failure::general)
}

/// Sees that neither daemon nor keeper of the zone is left, and what their sockets were: the zone is not up, so the
/// keeper holds a console at most, and the daemon has been told to leave. No other comes as long as the lock is held.
pub(crate) fn dismiss(target: &Target<'_>) -> Outcome<FileLock> {
    let (layout, zone) = (target.layout, target.name());
    let run = layout.zone_run(zone);
    let daemon = FileLock::take_within(&layout.lock(zone), DEPARTURE).map_err(Failure::of(zone))?;
    let daemon = daemon.ok_or_else(|| stays(target))?;
    match zsched::client::Client::connect(&run).and_then(|keeper| keeper.quit()) {
        Ok(()) | Err(zsched::client::ClientError::NotRunning) => {}
        Err(error) => return Err(Failure::of(zone)(error)),
    }
    let leftovers = [layout::DOOR, layout::CONSOLE, layout::ZSCHED].map(|name| run.join(name));
    let files = [layout.snapshot(zone), layout.journal(zone), layout.keeper_lock(zone)];
    for path in leftovers.into_iter().chain(files) {
        file::remove(&path).map_err(Failure::of(zone))?;
    }
    FileLock::discard_if_free(&layout.unit_lock(zone));
    Ok(daemon)
}

/// Says what keeps a daemon that does not leave.
fn stays(target: &Target<'_>) -> Failure {
    let asked = Client::connect(&target.layout.zone_run(target.name())).ok().and_then(|mut door| {
        door.set_timeout(Some(ANSWER)).ok()?;
        door.status().ok()
    });
    let text = match asked.as_ref().and_then(|status| status.consoles.first()) {
        Some(Console { pid, uid, .. }) => {
            format!("process {pid} of user {uid} is at its console; have that left ('~.'), and try again.")
        }
        None => "its zoneadmd does not leave; it may be at work.".to_owned(),
    };
    Failure::text(target.name(), text)
}

fn tell(target: &Target<'_>, removed: &Removed) {
    if let Some(left) = &removed.left {
        left.to_string().lines().for_each(|line| warn_zone(target.name(), line));
    }
    let entries = work::count(removed.entries, Thing::Entry);
    relay(target.name(), &format!("uninstalled: {entries} removed."));
}
