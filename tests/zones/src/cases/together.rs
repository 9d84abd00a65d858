//! Several commands at once.

use crate::harness::{Lab, Running, Zone, cases};

cases![
    ten_boots_of_one_zone,
    ten_zones_at_once: 120,
    halt_during_boot: 120,
    boot_during_halt: 120,
    ten_halts_of_one_zone,
    a_storm_of_everything: 180,
    reboots_from_both_sides: 120,
];

fn start(zone: &Zone<'_>, verb: &str) -> Running {
    zone.zoneadm_command([verb]).start()
}

fn ten_boots_of_one_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    let boots: Vec<_> = (0..10).map(|_| start(&zone, "boot")).collect();
    let ran: Vec<_> = boots.into_iter().map(Running::wait).collect();
    for one in ran {
        one.ok();
    }
    let status = zone.status();
    assert_eq!(status.state, "running");
    assert!(status.last_exit.is_none(), "it was booted once: {status:?}");
}

fn ten_zones_at_once(lab: &Lab) {
    let zones: Vec<_> = (0..10).map(|n| lab.sparse(&format!("zone{n}"))).collect();
    for verb in ["boot", "reboot", "halt"] {
        let running: Vec<_> = zones.iter().map(|zone| start(zone, verb)).collect();
        for one in running {
            one.wait().ok();
        }
        for zone in &zones {
            zone.is(if verb == "halt" { "installed" } else { "running" });
        }
    }
}

fn halt_during_boot(lab: &Lab) {
    let zone = lab.sparse("web");
    for _ in 0..6 {
        let boot = start(&zone, "boot");
        let halt = start(&zone, "halt");
        let (boot, halt) = (boot.wait(), halt.wait());
        halt.ok();
        let state = zone.status().state;
        match state.as_str() {
            // The halt came first and found nothing to do.
            "running" => {
                boot.ok();
            }
            "installed" => {}
            other => panic!("the zone must not be left {other}\n{boot}\n{halt}"),
        }
        zone.halt_whatever();
    }
}

fn boot_during_halt(lab: &Lab) {
    let zone = lab.sparse("web");
    for _ in 0..6 {
        zone.zoneadm(["boot"]).ok();
        let halt = start(&zone, "halt");
        let boot = start(&zone, "boot");
        let (halt, boot) = (halt.wait(), boot.wait());
        halt.ok();
        let state = zone.status().state;
        match (state.as_str(), boot.code()) {
            ("running", Some(0)) => {}
            // The boot came first and found the zone booted, or was told that a halt was going on.
            ("installed", _) => {}
            (other, _) => panic!("the zone must not be left {other}\n{boot}\n{halt}"),
        }
        zone.halt_whatever();
    }
}

fn ten_halts_of_one_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let halts: Vec<_> = (0..10).map(|_| start(&zone, "halt")).collect();
    for one in halts {
        one.wait().ok();
    }
    zone.is("installed");
}

fn a_storm_of_everything(lab: &Lab) {
    let zone = lab.sparse("web");
    for _ in 0..3 {
        let verbs =
            ["boot", "ready", "reboot", "halt", "boot", "shutdown", "halt", "ready", "boot", "reboot"];
        let running: Vec<_> = verbs.iter().map(|verb| (verb, start(&zone, verb))).collect();
        for (verb, one) in running {
            let ran = one.wait();
            assert!(matches!(ran.code(), Some(0 | 1)), "{verb}\n{ran}");
            assert!(ran.code() == Some(0) || !ran.err().is_empty(), "who is refused is told why\n{ran}");
        }
        let state = zone.status().state;
        assert!(["installed", "ready", "running"].contains(&state.as_str()), "left {state}");
        zone.halt_whatever();
    }
    zone.boot();
    zone.zlogin(["true"]).ok();
}

fn reboots_from_both_sides(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    for _ in 0..4 {
        let before = zone.status();
        let inside = zone.zlogin_command(["reboot"]).start();
        let outside = start(&zone, "reboot");
        drop(inside.wait());
        let outside = outside.wait();
        assert!(matches!(outside.code(), Some(0 | 1)), "{outside}");
        zone.runs_again(&before);
        // Both reboots are over only when nobody works on the zone any more.
        zone.waits_for("the zone settles", |now| now.state == "running" && now.operation.is_none());
    }
    zone.zlogin(["true"]).ok();
}
