//! A daemon that is killed while it gives a zone that runs what is configured by now: the next one gives it the rest, and the
//! zone is the same one all the time. And one that is killed while it takes back what could not all be given.

use super::crash::{Judge, be_up, leaves_nothing, sweep_of, zone};
use super::live::differs;
use crate::harness::world::World;
use crate::harness::{Lab, Ran, Status, Zone, cases, need_failpoints};

cases![
    apply: 600,
    apply_and_its_recovery: 1200,
    apply_that_is_taken_back: 180,
];

/// A zone that is up and lacks something that it can be given.
pub(super) fn be_changed(zone: &Zone<'_>) {
    zone.zonecfg("set shutdown-timeout=60").ok();
    be_up(zone);
    zone.zonecfg("set shutdown-timeout=77").ok();
}

/// It has all, and is the zone that it was.
pub(super) fn is_given(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    let now = zone.status();
    assert_eq!((&now.state, &now.uniqid, now.pid), (&before.state, &before.uniqid, before.pid), "{ran}");
    assert!(differs(zone).is_empty(), "{ran}");
    assert!(!zone.run_dir().join("snapshot.next.toml").exists(), "{ran}");
    zone.zlogin(["true"]).ok();
}

fn sweep(lab: &Lab, second: usize, judge: Judge) {
    sweep_of(&zone(lab), be_changed, &["apply"], second, judge);
}

fn apply(lab: &Lab) {
    sweep(lab, 0, is_given);
}

fn apply_and_its_recovery(lab: &Lab) {
    sweep(lab, 6, is_given);
}

/// The last step fails; the daemon takes back what it has done, and is killed in that. The next one begins anew, and now it
/// does not fail.
fn apply_that_is_taken_back(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_changed(&zone);
    let before = zone.status();
    zone.fails("zoneadmd", "snapshot.commit", 1, "EIO", false);
    zone.zoneadm(["apply"]).refuses().stderr_has("could not keep what the zone is changed to");
    let failed = zone.fail_no_more();
    need_failpoints(&failed);
    assert_eq!(failed, ["zoneadmd snapshot.commit EIO"]);
    assert_eq!(differs(&zone).len(), 1, "nothing was given");
    assert_eq!(zone.unfinished(), None);
    zone.fails_and_dies("zoneadmd", "snapshot.commit", "EIO", "apply.back");
    let ran = zone.zoneadm(["apply"]);
    let deaths = zone.die_no_more();
    assert!(deaths.contains(&"zoneadmd apply.back".to_owned()), "{deaths:?}\n{ran}");
    is_given(&zone, &before, &ran);
    leaves_nothing(&zone, &world, "apply.back");
}
