//! Calls of our own code that fail, once or from then on, at each of the points of the list that can fail and with each
//! of their errors: whoever asked is told in a sentence, what is shown is true, the plain command once more finds its
//! way, and nothing is left.

use super::crash::zone_with_net;
use super::failing::{self, Deed, again, is_told, is_true, settle};
use crate::harness::world::World;
use crate::harness::{Lab, Place, Point, cases, is_error, need_failpoints, places, skip, within, write};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

cases![
    the_daemon_in_ready: 600,
    the_daemon_in_a_boot: 600,
    the_daemon_in_a_halt: 600,
    the_daemon_in_a_reboot: 600,
    the_daemon_in_an_apply: 600,
    zoneadm_in_a_boot: 300,
    zoneadm_in_a_halt: 300,
    zoneadm_in_an_install: 300,
    zoneadm_in_an_uninstall: 300,
    zoneadm_in_a_copy,
    every_call_of_the_list_has_failed: 60 last,
];

/// The point that is passed as often as somebody calls: this suite, too, looks on until the zone has settled.
const BY_WHO_LOOKS_ON: &str = "door.accept";

/// How long a call is waited for that is to fail.
const PATIENCE: Duration = Duration::from_secs(40);

fn sweep(lab: &Lab, deed: &Deed) {
    let zone = zone_with_net(lab);
    let world = World::look(&[]);
    let points = lab.points();
    // The managed network is chosen once, and the zone given its addresses: by the first time it is up.
    (deed.prepare)(&zone);
    zone.zoneadm(deed.command).ok();
    settle(&zone, &world, deed.command, "the first time");
    (deed.prepare)(&zone);
    let calls = zone.calls_in(|| {
        zone.zoneadm(deed.command).ok();
    });
    settle(&zone, &world, deed.command, "nothing");
    let of_program = calls.iter().filter_map(|call| call.strip_prefix(deed.program)?.strip_prefix(' '));
    let passed: Vec<String> = of_program.map(str::to_owned).collect();
    need_failpoints(&passed);
    for Place { point, passage } in places(&passed) {
        let name = format!("{} {point}", deed.program);
        let Some(known) = points.iter().find(|known| known.is_call() && known.with_program() == name) else {
            panic!("not in the list of crates/zone-fail/src/list.rs: {name}");
        };
        for error in known.errors.split(' ') {
            // No signal comes for ever.
            for always in [false, true].into_iter().filter(|always| !always || error != "EINTR") {
                let at = format!("{name} {passage} {error} {}", if always { "for ever" } else { "once" });
                (deed.prepare)(&zone);
                zone.fails(deed.program, &point, passage, error, always);
                let ran = zone.zoneadm_within(90, deed.command);
                is_told(&ran);
                is_true(&zone, &ran);
                // What is found out beside the answer, as whether the zone is ready, is written when it is.
                let is_made = || (!zone.deaths().is_empty()).then_some(());
                if within(PATIENCE, is_made).is_none() {
                    assert!(passage > 1 && point == BY_WHO_LOOKS_ON, "{at}: the call does not fail\n{ran}");
                    eprintln!("{at}: not made so often this time");
                    zone.fail_no_more();
                    settle(&zone, &world, deed.command, &at);
                    continue;
                }
                let failed = zone.fail_no_more();
                eprintln!("{at}: {failed:?}\n{ran}");
                assert!(
                    failed.iter().all(|failed| known.is_hit(failed)) && !failed.is_empty(),
                    "{at}: {failed:?}\n{ran}"
                );
                again(&zone, deed.command, &ran);
                zone.waits_for("it settles", |now| now.operation.is_none());
                zone.is(deed.to);
                settle(&zone, &world, deed.command, &at);
            }
        }
    }
}

fn the_daemon_in_ready(lab: &Lab) {
    sweep(lab, &failing::DAEMON_READY);
}

fn the_daemon_in_a_boot(lab: &Lab) {
    sweep(lab, &failing::DAEMON_BOOT);
}

fn the_daemon_in_a_halt(lab: &Lab) {
    sweep(lab, &failing::DAEMON_HALT);
}

fn the_daemon_in_a_reboot(lab: &Lab) {
    sweep(lab, &failing::DAEMON_REBOOT);
}

fn the_daemon_in_an_apply(lab: &Lab) {
    sweep(lab, &failing::DAEMON_APPLY);
}

fn zoneadm_in_a_boot(lab: &Lab) {
    sweep(lab, &failing::CLIENT_BOOT);
}

fn zoneadm_in_a_halt(lab: &Lab) {
    sweep(lab, &failing::CLIENT_HALT);
}

fn zoneadm_in_an_install(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &failing::CLIENT_INSTALL);
}

fn zoneadm_in_an_uninstall(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &failing::CLIENT_UNINSTALL);
}

/// What was copied cannot be put on the disk: that is said with its name, and the next copy does not believe it.
fn zoneadm_in_a_copy(lab: &Lab) {
    let zone = lab.booted_tiny("exec sleep 100000");
    write(&zone.file("/root/file"), "contents\n");
    let to = lab.path("file");
    let copy = || lab.command("zoneadm", ["cp", "web:/root/file"]).args([&to]).run();
    for (error, text) in [("EIO", "Input/output error"), ("ENOSPC", "No space left on device")] {
        zone.fails("zoneadm", "copy.sync", 1, error, false);
        let ran = copy();
        let failed = zone.fail_no_more();
        need_failpoints(&failed);
        assert_eq!(failed, [format!("zoneadm copy.sync {error}")], "{ran}");
        ran.refuses().stderr_has(text).stderr_has("could not write file");
        let time = || fs::metadata(&to).and_then(|stat| stat.modified()).expect("stat");
        let of_source = fs::metadata(zone.file("/root/file")).and_then(|stat| stat.modified()).expect("stat");
        assert_ne!(time(), of_source, "it is not believed");
        copy().ok();
        assert_eq!(time(), of_source);
        fs::remove_file(&to).expect("remove");
    }
    // The same inside, where a file goes into the zone.
    let from = lab.path("in");
    write(&from, "contents\n");
    let copy = || lab.command("zoneadm", ["cp"]).args([&from]).args(["web:/root/in"]).run();
    let inside = zone.file("/root/in");
    for (error, text) in [("EIO", "Input/output error"), ("ENOSPC", "No space left on device")] {
        zone.fails("copier", "copy.sync", 1, error, false);
        let ran = copy();
        assert_eq!(zone.fail_no_more(), [format!("copier copy.sync {error}")], "{ran}");
        ran.refuses().stderr_has(text).stderr_has("could not write in");
        let time = |path: &Path| fs::metadata(path).and_then(|stat| stat.modified()).expect("stat");
        assert_ne!(time(&inside), time(&from), "it is not believed");
        copy().ok();
        assert_eq!(time(&inside), time(&from));
        fs::remove_file(&inside).expect("remove");
    }
}

fn every_call_of_the_list_has_failed(lab: &Lab) {
    let (points, faults) = (lab.points(), lab.faults());
    let own = "error_points::every_call_of_the_list_has_failed";
    let all = super::all().map(|case| case.name()).filter(|name| is_error(name) && name != own);
    if !all.collect::<BTreeSet<_>>().is_subset(&faults.ran) {
        skip("only a part of the error suite was run");
    }
    let wanted = points.iter().filter(|point| point.is_call() && point.except.is_empty());
    let each = wanted.flat_map(|point: &Point| {
        point.errors.split(' ').map(|error| format!("{} {error}", point.with_program()))
    });
    let forgotten: Vec<_> = each.filter(|failure| !faults.errors.contains(failure)).collect();
    assert!(forgotten.is_empty(), "no test of the error suite has made these fail: {forgotten:#?}");
}
