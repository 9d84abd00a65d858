//! A detach and an attach that are killed at every point: the zone is configured or installed, done again it is what it was to be, and
//! its files are as they were.

use crate::harness::{Lab, Place, cases, need_failpoints, places, read, write};

cases![a_detach_and_an_attach_are_done_again: 240, nothing_of_a_detach_outlives_an_uninstall: 240];

fn a_detach_and_an_attach_are_done_again(lab: &Lab) {
    let _memory = lab.in_memory();
    let zone = lab.tiny("wreck", "exec sleep 2147483647");
    write(&zone.file("/etc/kept"), "yes\n");
    for (verb, after, back) in [("detach", "configured", "attach"), ("attach", "installed", "detach")] {
        if verb == "attach" {
            zone.zoneadm(["detach"]).ok();
        }
        let passed = zone.passed_by("zoneadm", || {
            zone.zoneadm([verb]).ok();
        });
        need_failpoints(&passed);
        zone.zoneadm([back]).ok();
        for Place { point, passage } in places(&passed) {
            let at = format!("{point} {passage}");
            zone.dies(&[("zoneadm", &point, passage)]);
            let ran = zone.zoneadm([verb]);
            assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
            if zone.status().state == after {
                zone.zoneadm([verb]).refuses();
            } else {
                zone.zoneadm([verb]).ok();
            }
            zone.is(after);
            assert_eq!(read(&zone.file("/etc/kept")), "yes\n", "{at}");
            zone.zoneadm([back]).ok();
        }
        if verb == "attach" {
            zone.zoneadm(["attach"]).ok();
        }
    }
    zone.boot();
    zone.halt();
    // As long as there is a file system that it is on.
    zone.zoneadm(["uninstall", "-F"]).ok();
}

fn nothing_of_a_detach_outlives_an_uninstall(lab: &Lab) {
    let _memory = lab.in_memory();
    let zone = lab.sparse("wreck");
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(["detach"]).ok();
    });
    need_failpoints(&passed);
    zone.zoneadm(["attach"]).ok();
    for Place { point, passage } in places(&passed) {
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["detach"]);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        if zone.status().state == "configured" {
            zone.zoneadm(["mark", "incomplete"]).ok();
        }
        zone.zoneadm(["uninstall", "-F"]).ok();
        assert!(!zone.path().exists(), "something is left after a death at {point} {passage}");
        zone.zoneadm(["install"]).ok();
    }
    zone.zoneadm(["uninstall", "-F"]).ok();
}
