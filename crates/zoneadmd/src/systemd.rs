//! Has systemd know of a zone that runs, whoever booted it: the zone's unit is started, whose process finds the zone running and
//! stays until it is over. systemd takes care of all else; that it cannot be told is no reason for anything.

use crate::blocking;
use crate::daemon::Daemon;
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::path::Path;
use std::rc::Rc;
use zone_config::file::FileLock;
use zone_config::{Layout, ZoneName};
use zone_sys::{Chain, exec, spawn};
use zsched::wire::Phase;

/// What is there where systemd runs (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// Where the unit may be that every zone's is an instance of.
const TEMPLATES: [&str; 4] = [
    "/etc/systemd/system/zone@.service",
    "/usr/local/lib/systemd/system/zone@.service",
    "/usr/lib/systemd/system/zone@.service",
    "/lib/systemd/system/zone@.service",
];
/// Where the program may be that tells systemd.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Tells systemd of each incarnation that runs, as long as the daemon lives. Of the one that was `told` of a daemon before this one has
/// told, which left because all was done.
pub(crate) async fn keep(daemon: Rc<Daemon>, mut told: Option<u64>) {
    // Units are the host's, and so are the zones that they are about.
    if !daemon.layout().is_default() || !Path::new(BOOTED).is_dir() {
        daemon.watches.unit.off();
        return daemon.stirred.notify_one();
    }
    let mut changes = daemon.changes();
    loop {
        let status = *changes.borrow_and_update();
        if status.phase == Phase::Running && told != Some(status.uniqid) {
            told = Some(status.uniqid);
            tell(&daemon).await;
            continue;
        }
        if status.phase == Phase::Running {
            daemon.watches(&daemon.watches.unit, &status, false);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(daemon: &Daemon) {
    let begun = begin(daemon.layout(), daemon.name());
    let Some(systemctl) = begun else { return };
    let ended = blocking::run(move || waitid(WaitId::PidFd(systemctl.as_fd()), WaitIdOptions::EXITED)).await;
    let status = ended.ok().and_then(Result::ok).flatten().and_then(|status| status.exit_status());
    if status != Some(0) {
        let zone = daemon.name();
        tracing::warn!(
            "systemd could not be told that the zone runs; 'systemctl status zone@{zone}' may say why"
        );
    }
}

/// Begins to tell. Whoever has the unit's lock is about to: the unit's own process, which is booting the zone, or a systemctl that a
/// daemon before this one has started. The lock is systemctl's for as long as it runs, and tells the unit's process that it
/// is not to boot anything.
fn begin(layout: &Layout, zone: &ZoneName) -> Option<OwnedFd> {
    TEMPLATES.iter().find(|path| Path::new(path).exists())?;
    let program = SYSTEMCTL.into_iter().find(|path| Path::new(path).exists())?;
    let lock = match FileLock::try_take(&layout.unit_lock(zone)) {
        Ok(lock) => lock?,
        Err(error) => {
            tracing::warn!("systemd is not told that the zone runs: {}", Chain(&error));
            return None;
        }
    };
    let unit = format!("zone@{zone}.service");
    // What it depends on is not booted with it, and nothing is waited for: it runs.
    let words =
        ["systemctl", "--quiet", "--no-ask-password", "--job-mode=ignore-dependencies", "start", &unit];
    let block = exec::block(program, &words.map(str::to_owned), &[])?;
    match spawn::spawn(&block, &[lock.as_fd()], 0) {
        Ok(systemctl) => Some(systemctl),
        Err(error) => {
            tracing::warn!("systemd is not told that the zone runs: {}", Chain(&error));
            None
        }
    }
}
