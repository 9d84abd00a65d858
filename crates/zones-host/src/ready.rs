//! Waiting until a zone is ready.

use std::time::{Duration, Instant};

use zone_config::readiness::{Found, ReadyState};
use zone_config::{Layout, ZoneName};
use zone_door::Client;
use zsched::wire::Phase;

use crate::{say, watch};

/// How long a zone has to become ready; those that depend on it are booted then all the same.
const LIMIT: Duration = Duration::from_secs(300);
/// The pause before the second look; each is longer than the one before, up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(5);
const SLOWEST: Duration = Duration::from_millis(200);
/// How long a keeper may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Tells whether the zone becomes ready: waits for that as long as the zone runs, and no longer than [`LIMIT`]. There is no child that
/// waits, since one would go on when systemd ends this process, and wait for a zone that may have been deleted since.
pub(crate) fn becomes_ready(layout: &Layout, zone: &ZoneName) -> bool {
    let (begun, mut pause) = (Instant::now(), FIRST);
    while begun.elapsed() < LIMIT {
        let status = zone_live::ask(layout, zone, ANSWER).ok().flatten();
        match status.filter(|status| status.phase == Phase::Running) {
            Some(status) => match Found::load(layout, zone, status.uniqid).map(|found| found.state) {
                Some(state) => return state == ReadyState::Ready,
                // It is a daemon that finds it out: to whoever connects the keeper gives one.
                None => drop(Client::connect(&layout.zone_run(zone))),
            },
            None if watch::is_over(layout, zone) => return false,
            None => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(SLOWEST);
    }
    say(&format!(
        "zone '{zone}' is not ready after {} seconds: zoneadm -z {zone} status says more",
        LIMIT.as_secs()
    ));
    false
}
