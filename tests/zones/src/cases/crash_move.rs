//! A move and a clone that are killed at every point: the zone is whole at the old or at the new zonepath, and can be booted there; the
//! same command again does the rest. A clone is configured, incomplete or installed, as an install is, and its source is what it was.

use crate::harness::{Lab, Place, Zone, cases, make_dir, need_failpoints, places, read, write};
use std::path::{Path, PathBuf};

cases![
    a_move_by_renaming: 240,
    a_move_to_another_file_system: 240,
    a_clone: 240,
];

fn zonepath(zone: &Zone<'_>) -> PathBuf {
    let listed = zone.zoneadm(["list", "-p"]).out();
    PathBuf::from(listed.split(':').nth(3).expect("the zonepath"))
}

#[track_caller]
fn moves(zone: &Zone<'_>, to: &Path) {
    let from = zonepath(zone);
    zone.zoneadm(["move".as_ref(), to.as_os_str()]).ok();
    assert_eq!(zonepath(zone), to);
    assert_eq!(read(&to.join("root/etc/kept")), "yes\n");
    assert!(from == to || !from.exists(), "{} is left", from.display());
}

fn sweep(lab: &Lab, zone: &Zone<'_>, new: &Path) {
    write(&zone.file("/etc/kept"), "yes\n");
    let old = zone.path();
    let passed = zone.passed_by("zoneadm", || moves(zone, new));
    need_failpoints(&passed);
    moves(zone, &old);
    for Place { point, passage } in places(&passed) {
        let at = format!("{point} {passage}");
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["move".as_ref(), new.as_os_str()]);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        // What comes next finds it, though configuration and index may not have known.
        zone.zoneadm(["verify"]).ok();
        zone.is("installed");
        let place = zonepath(zone);
        assert!([&old, new].contains(&place.as_path()), "after a death at {at} it is in {}", place.display());
        assert_eq!(read(&place.join("root/etc/kept")), "yes\n", "{at}");
        moves(zone, new);
        assert!(!old.exists(), "{} is left after a death at {at}", old.display());
        assert!(!lab.etc().join("wreck.moving").exists(), "the record is left after a death at {at}");
        moves(zone, &old);
    }
    // Who wants it to stay is asked no questions either; and of half a copy nothing is left.
    zone.dies(&[("zoneadm", "fill.entry", 3)]);
    let _ = zone.zoneadm(["move".as_ref(), new.as_os_str()]);
    if !zone.die_no_more().is_empty() {
        zone.boot();
        zone.halt();
        zone.zoneadm(["uninstall", "-F"]).refuses().stderr_has("was interrupted; finish that first");
        // An incomplete zone cannot be moved any more, so that one of the two trees would stay for ever.
        zone.zoneadm(["mark", "incomplete"]).refuses().stderr_has("was interrupted; finish that first");
        zone.is("installed");
        moves(zone, &old);
        assert!(!new.exists());
    } else {
        moves(zone, &old);
    }
    zone.boot();
    zone.halt();
    zone.zoneadm(["uninstall", "-F"]).ok();
}

fn a_move_by_renaming(lab: &Lab) {
    let _memory = lab.in_memory();
    let zone = lab.tiny("wreck", "exec sleep 2147483647");
    sweep(lab, &zone, &lab.root().join("srv/wreck"));
}

fn a_move_to_another_file_system(lab: &Lab) {
    let _memory = lab.in_memory();
    let other = lab.root().join("srv");
    make_dir(&other, 0o755);
    let _other = lab.memory_at(&other);
    let zone = lab.tiny("wreck", "exec sleep 2147483647");
    sweep(lab, &zone, &other.join("wreck"));
}

fn a_clone(lab: &Lab) {
    let _memory = lab.in_memory();
    let source = lab.tiny("mould", "exec sleep 2147483647");
    let zone = lab.configured("wreck", "set brand=linux");
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(["clone", "mould"]).ok();
    });
    need_failpoints(&passed);
    zone.zoneadm(["uninstall", "-F"]).ok();
    for Place { point, passage } in places(&passed) {
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["clone", "mould"]);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        let again = zone.status().state;
        let ran = zone.zoneadm(["clone", "mould"]);
        match again.as_str() {
            "configured" => {
                ran.ok();
            }
            "incomplete" => {
                ran.refuses().stderr_has("zone is incomplete; uninstall required.");
                zone.zoneadm(["uninstall", "-F"]).ok();
                zone.zoneadm(["clone", "mould"]).ok();
            }
            _ => {
                ran.refuses().stderr_has("is already installed.");
            }
        }
        zone.is("installed");
        source.is("installed");
        zone.zoneadm(["uninstall", "-F"]).ok();
        assert!(!zone.path().exists());
    }
    source.boot();
    source.halt();
    source.zoneadm(["uninstall", "-F"]).ok();
}
