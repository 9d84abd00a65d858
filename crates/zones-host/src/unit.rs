//! A zone's unit of systemd: its process stands for the zone. The zone's own processes are elsewhere, and whatever happens to the
//! unit and its process nothing happens to them, unless the unit is stopped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fd::AsFd;
use zone_config::config::{Autoshutdown, BootWait};
use zone_config::file::FileLock;
use zone_config::{Layout, State, ZoneConfig, ZoneName};

use crate::child::Zoneadm;
use crate::deadline::Deadline;
use crate::machine::Machine;
use crate::stop::Stop;
use crate::{Failed, failed, notify, ready, say, settings, slots, watch};

/// How long a zone has at least to be halted, where the host's time is over before anybody has begun with it.
pub(crate) const LAST: Duration = Duration::from_secs(10);
/// A keeper that is ill must not keep the host from going down.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Boots the zone, tells systemd when it runs, and stays until it does not any more. Where the zone's daemon is telling systemd
/// that somebody has booted the zone, it boots nothing: that may be over by now.
pub(crate) fn start(layout: &Layout, zone: &ZoneName) -> Result<(), Failed> {
    let stop = Stop::heed(layout, zone).map_err(|error| failed(&error))?;
    // Held by a daemon that tells systemd, or by us as long as there is nothing to tell.
    let ours = FileLock::try_take(&layout.unit_lock(zone)).map_err(|error| failed(&error))?;
    if let Some(lock) = ours {
        if let Err(why) = boot(layout, zone, &stop) {
            stop.end();
            // There may be no such zone, and then nothing of it.
            lock.discard();
            let _ = std::fs::remove_dir(layout.zone_run(zone));
            return Err(why);
        }
        is_up(layout, zone);
        stop.end();
        // Only now: until then the zone's daemon has nothing to tell systemd.
        drop(lock);
    } else if state(layout, zone)? < State::Ready {
        return Err(Some(format!(
            "zone '{zone}' was booted, and had ended before systemd knew of it: systemctl start zone@{zone} boots it"
        )));
    } else {
        is_up(layout, zone);
        stop.end();
    }
    watch::until_over(layout, zone, &mut Machine::new(layout, zone));
    // From here on systemd takes a start for one that is to come after us. Whoever has booted the zone again before that has told systemd
    // of a zone that it took for this one.
    notify::notify_and_wait("STOPPING=1\nSTATUS=The zone is down");
    if state(layout, zone).is_ok_and(|state| state >= State::Ready) {
        start_after(layout, zone);
    }
    Ok(())
}

/// Has systemd start the unit when this process has ended, for a zone that was booted meanwhile. Whoever waits for that has the unit's
/// lock, as a daemon's systemctl does: should the zone be over by then, it is not booted.
fn start_after(layout: &Layout, zone: &ZoneName) {
    let lock = FileLock::try_take(&layout.unit_lock(zone)).ok().flatten();
    // Somebody else is about to tell.
    let Some(Ok(lock)) = lock.map(|lock| lock.as_fd().try_clone_to_owned()) else { return };
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["--quiet", "--no-ask-password", "--job-mode=ignore-dependencies", "start"]);
    if let Err(error) = systemctl.arg(format!("zone@{zone}.service")).stdin(lock).spawn() {
        say(&format!("systemd is not told that the zone runs: {}", zone_sys::Chain(&error)));
    }
}

/// Boots the zone when there is room for one more.
fn boot(layout: &Layout, zone: &ZoneName, stop: &Stop) -> Result<(), Failed> {
    let _slot = slots::take(layout, &settings(layout), zone).map_err(|error| failed(&error))?;
    let boots = || Ok::<_, Failed>(Zoneadm::start(zone, &["boot"])?.wait());
    if stop.unless_it_has_come(boots).transpose()? == Some(true) { Ok(()) } else { Err(None) }
}

/// Tells systemd that the zone is up; when it is ready, if those are to wait for that who depend on it. One that does not become so
/// runs all the same.
fn is_up(layout: &Layout, zone: &ZoneName) {
    notify::notify(if !is_waited_for(layout, zone) || ready::becomes_ready(layout, zone) {
        "READY=1\nSTATUS=The zone runs"
    } else {
        "READY=1\nSTATUS=The zone runs, and has not become ready"
    });
}

/// Whether a zone has booted, for those that come after it, not before it is ready.
pub(crate) fn is_waited_for(layout: &Layout, zone: &ZoneName) -> bool {
    ZoneConfig::load(layout, zone).is_ok_and(|config| config.boot_wait == BootWait::Ready)
}

/// Takes the zone down, in the way that its configuration says. A unit whose process has ended is one whose zone has, or one
/// whose process was killed: neither is a reason to do anything to a zone.
pub(crate) fn stop(layout: &Layout, zone: &ZoneName) -> Result<(), Failed> {
    if std::env::var_os("MAINPID").is_none_or(|pid| pid.is_empty()) || state(layout, zone)? < State::Ready {
        return Ok(());
    }
    let deadline = goes_down().then(|| Deadline::of(layout, &settings(layout)));
    take_down(layout, zone, deadline)
}

/// Takes a zone down, within the host's time if that is going down.
pub(crate) fn take_down(layout: &Layout, zone: &ZoneName, deadline: Option<Deadline>) -> Result<(), Failed> {
    let config = ZoneConfig::load(layout, zone).unwrap_or_else(|_| ZoneConfig::defaults());
    let Some(deadline) = deadline else {
        let words = if config.autoshutdown == Autoshutdown::Halt { "halt" } else { "shutdown" };
        return if Zoneadm::start(zone, &[words])?.wait() { Ok(()) } else { Err(None) };
    };
    let orderly = deadline.orderly().as_secs().min(config.shutdown_timeout);
    let seconds = orderly.to_string();
    let words: &[&str] = match config.autoshutdown {
        Autoshutdown::Shutdown if orderly > 0 => &["shutdown", "-t", &seconds],
        _ => &["halt"],
    };
    match Zoneadm::start(zone, words)?.wait_for(deadline.left().max(LAST)) {
        Some(true) => Ok(()),
        Some(false) if state(layout, zone)? < State::Ready => Ok(()),
        Some(false) => Err(Some(format!("zone '{zone}' could not be stopped"))),
        None => Err(Some(format!(
            "zone '{zone}' could not be stopped within the {} seconds that zones have (shutdown-time in {})",
            deadline.total().as_secs(),
            layout.settings().display()
        ))),
    }
}

/// The zone's state, asked of what lives of it.
pub(crate) fn state(layout: &Layout, zone: &ZoneName) -> Result<State, Failed> {
    let live = zone_live::ask(layout, zone, ANSWER).map_err(|error| failed(&error))?;
    Ok(zone_live::state(live.as_ref(), State::Installed))
}

/// Tells whether the host is on its way down, as far as systemd knows; without systemd whoever asks knows.
pub(crate) fn goes_down() -> bool {
    if !Path::new("/run/systemd/system").is_dir() {
        return true;
    }
    let mut systemctl = Command::new("systemctl");
    systemctl.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null());
    systemctl.output().is_ok_and(|said| said.stdout.trim_ascii() == b"stopping")
}
