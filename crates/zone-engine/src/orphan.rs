//! A zone that is found without a zsched, by a daemon that has just started: both were killed, so its console was hung up and
//! what was kept of the console's output is lost. Its first process lives, or has ended and nobody was there to see how.

use crate::handover::words;
use crate::keeper::Keeper;
use crate::keeper_error::KeeperError;
use rustix::fd::{AsFd, OwnedFd};
use zone_config::{Layout, Snapshot, ZoneName, idmap};
use zone_live::{Fate, Incarnation, Orphan};
use zone_ring::Ring;
use zone_sys::Chain;
use zone_sys::clone::SingleThreaded;
use zsched::client::{Client, ConsoleFds};
use zsched::wire::{Adopt, Lost, Phase, Status};

/// Hands to a zsched that was just started what is left of the zone, and gives the zone another console. Gives what is to be said
/// of it; `None` if no zone was up.
///
/// # Errors
/// When zsched does not take it.
pub fn take_over(
    proof: SingleThreaded,
    layout: &Layout,
    name: &ZoneName,
    heir: &Client,
    console: &ConsoleFds,
) -> Result<Option<String>, KeeperError> {
    match zone_live::fate(layout, name) {
        Fate::Lives(orphan) => {
            let (status, why) = hand_over(proof, layout, name, heir, console, &orphan)?;
            Ok(Some(words(&status) + &why))
        }
        // One that was ready has ended as it had to; the ordinary recovery takes away what is left of it.
        Fate::Ended(record) if record.booted => {
            let zone = adopt(&record, Phase::Down, Lost::TERMINAL | Lost::OUTPUT);
            // Nobody enters it any more, so what stands for its cgroup does not matter.
            let cgroup = zone_platform::cgroup::open(layout, name).ok().flatten();
            let status = heir.adopt(&zone, &[cgroup.as_ref().unwrap_or(&console.subsidiary).as_fd()])?;
            Ok(Some(words(&status)))
        }
        Fate::Ended(_) => {
            let text = "WARNING: zsched has died, and with it the zone, which was ready but not running; it is installed now";
            Ok(Some(text.into()))
        }
        Fate::Unknown => Ok(None),
        Fate::Unclear(why) => Err(why.into()),
    }
}

/// The same for a zsched that was found without a zone: a daemon that died had started it, for a zone that lives and that it has
/// not been handed.
///
/// # Errors
/// As [`take_over`].
pub fn take_up(
    proof: SingleThreaded,
    layout: &Layout,
    name: &ZoneName,
    keeper: &mut Keeper,
) -> Result<Option<String>, KeeperError> {
    let orphan = match zone_live::fate(layout, name) {
        Fate::Lives(orphan) => orphan,
        Fate::Unclear(why) => return Err(why.into()),
        Fate::Ended(_) | Fate::Unknown => return Ok(None),
    };
    let (status, why) = hand_over(proof, layout, name, &keeper.requests, &keeper.console, &orphan)?;
    keeper.status = status;
    Ok(Some(words(&status) + &why))
}

/// Hands a zone that lives to a zsched. With the status comes what else is to be said.
fn hand_over(
    proof: SingleThreaded,
    layout: &Layout,
    name: &ZoneName,
    heir: &Client,
    console: &ConsoleFds,
    Orphan { record, fds }: &Orphan,
) -> Result<(Status, String), KeeperError> {
    // Something was said on it: it is the zone's already.
    let is_its_own = Ring::open(console.ring.as_fd()).is_ok_and(|ring| ring.total() > 0);
    let mut lost = Lost::empty();
    let mut why = String::new();
    if !is_its_own {
        lost = Lost::TERMINAL | Lost::OUTPUT;
        if let Err(error) = give_console(proof, layout, name, &fds.pidfd, console) {
            lost |= Lost::CONSOLE;
            why = format!(" ({})", Chain(&error));
        }
    }
    zone_fail::pass!("orphan.console");
    let run = zone_platform::reboot::run_of(fds.pidfd.as_fd());
    let zone = Adopt { kept: u8::from(run.is_some()), ..adopt(record, Phase::Running, lost) };
    let mut all = vec![fds.cgroup.as_fd(), fds.pidfd.as_fd()];
    all.extend(run.as_ref().map(AsFd::as_fd));
    let status = heir.adopt(&zone, &all)?;
    zone_fail::pass!("orphan.adopted");
    Ok((status, why))
}

fn adopt(record: &Incarnation, phase: Phase, lost: Lost) -> Adopt {
    let &Incarnation { uniqid, pid, since, restarts, end, .. } = record;
    let (end, ended) = match (phase, end) {
        (Phase::Down, Some((end, when))) => (Some(end), when),
        (Phase::Down, None) => (None, crate::clock::now()),
        _ => (None, 0),
    };
    Adopt { phase, uniqid, pid, since, end, ended, restarts, lost, owed: false, kept: 0 }
}

/// Why a zone has no terminal for its console.
#[derive(Debug, thiserror::Error)]
enum NoTerminal {
    #[error("the zone's ids are not known")]
    Ids,
    #[error(transparent)]
    Reset(#[from] zone_console::Error),
    #[error(transparent)]
    Replace(#[from] zone_platform::PlatformError),
}

/// Gives the zone a terminal as a boot would find it.
fn give_console(
    proof: SingleThreaded,
    layout: &Layout,
    name: &ZoneName,
    first: &OwnedFd,
    console: &ConsoleFds,
) -> Result<(), NoTerminal> {
    let base = match Snapshot::load(layout, name) {
        Ok(snapshot) => snapshot.idmap.base,
        Err(_) => idmap::lookup(layout, name).ok().flatten().ok_or(NoTerminal::Ids)?.base,
    };
    zone_console::term::reset(console.subsidiary.as_fd(), zone_console::term::Size::default())?;
    zone_platform::console::replace(proof, first.as_fd(), console.subsidiary.as_fd(), base)?;
    Ok(())
}
