//! What each command does to a zone in each state, with the reference's texts.

use crate::harness::{Lab, Zone, cases, write_program};

cases![
    configured_zones,
    installed_zones,
    ready_zones,
    running_zones,
    incomplete_zones,
    ready_of_a_running_zone_makes_it_ready_again,
    boot_arguments_reach_init,
    unknown_boot_arguments_are_passed_on,
    too_long_boot_arguments_are_refused,
    dash_s_is_the_same_as_a_boot_argument,
    timings_name_the_steps,
];

/// Runs a verb that must fail and say `text` about the zone.
#[track_caller]
fn refused(zone: &Zone<'_>, verb: &str, text: &str) {
    let ran = zone.zoneadm([verb]);
    ran.refuses().stderr_has(&format!("zone '{}': {text}", zone.name()));
}

/// Runs a verb that finds things as they should be, says so and succeeds.
#[track_caller]
fn already(zone: &Zone<'_>, verb: &str, text: &str) {
    zone.zoneadm([verb]).ok().stderr_is(&format!("zone '{}': {text}\n", zone.name()));
}

fn configured_zones(lab: &Lab) {
    let zone = lab.configured("web", "");
    for verb in ["ready", "boot", "halt"] {
        refused(&zone, verb, &format!("must be installed before {verb}."));
    }
    for verb in ["reboot", "shutdown"] {
        refused(&zone, verb, "not running");
    }
    refused(&zone, "uninstall", "is already in state 'configured'.");
    zone.is("configured");
    assert!(zone.daemon().is_none(), "no daemon is started for a zone that is only configured");
}

fn installed_zones(lab: &Lab) {
    let zone = lab.sparse("web");
    refused(&zone, "install", "is already installed.");
    for verb in ["reboot", "shutdown"] {
        refused(&zone, verb, "not running");
    }
    already(&zone, "halt", "zone is already halted");
    zone.zoneadm(["verify"]).ok();
    zone.is("installed");
}

fn ready_zones(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok().quiet();
    zone.is("ready");
    let first = zone.status().incarnation();
    already(&zone, "ready", "zone is already ready");
    for verb in ["reboot", "shutdown"] {
        refused(&zone, verb, &format!("{verb} operation is invalid for zones in state 'ready'"));
    }
    for verb in ["install", "uninstall"] {
        refused(&zone, verb, &format!("{verb} operation is invalid for ready zones."));
    }
    assert_eq!(zone.status().incarnation(), first, "nothing of this touched the zone");
    zone.zoneadm(["boot"]).ok().quiet();
    assert_eq!(zone.status().incarnation(), first, "booting a ready zone goes on with it");
    zone.halt();
    zone.zoneadm(["ready"]).ok();
    zone.halt();
}

fn running_zones(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let first = zone.status();
    already(&zone, "boot", "zone is already booted");
    for verb in ["install", "uninstall"] {
        refused(&zone, verb, &format!("{verb} operation is invalid for running zones."));
    }
    assert_eq!(zone.status().pid1(), first.pid1(), "nothing of this touched the zone");
    zone.zoneadm(["reboot"]).ok();
    let second = zone.status();
    assert_eq!(second.state, "running");
    assert_ne!(second.incarnation(), first.incarnation(), "a reboot makes another incarnation");
    zone.zoneadm(["shutdown"]).ok();
    zone.is("installed");
    assert!(!zone.run_dir().join("snapshot.toml").exists(), "an installed zone has no snapshot");
}

fn incomplete_zones(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["mark", "incomplete"]).ok();
    zone.is("incomplete");
    for verb in ["ready", "boot", "halt"] {
        refused(&zone, verb, &format!("must be installed before {verb}."));
    }
    let install = zone.zoneadm(["install"]);
    install
        .refuses()
        .stderr_has("zone is incomplete; uninstall required.")
        .stderr_has("uninstall\" first, which tells");
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.is("configured");
    zone.zoneadm(["install"]).ok();
    zone.is("installed");
}

fn ready_of_a_running_zone_makes_it_ready_again(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let first = zone.status().incarnation();
    zone.zoneadm(["ready"]).ok();
    let now = zone.status();
    assert_eq!(now.state, "ready");
    assert_ne!(now.incarnation(), first);
}

fn boot_arguments_reach_init(lab: &Lab) {
    let script = r#"echo "$0 $*" > /args; exec sleep 2147483647"#;
    let zone = lab.tiny("web", script);
    let args = || zone.written("/args");
    let again = |verb: &[&str]| {
        let _ = std::fs::remove_file(zone.file("/args"));
        zone.zoneadm(verb).ok();
    };
    again(&["boot"]);
    assert_eq!(args(), "/sbin/init \n");
    zone.halt();
    again(&["boot", "--", "-s", "-m", "verbose"]);
    assert_eq!(args(), "/sbin/init -s -m verbose\n");
    again(&["reboot", "--", "-s"]);
    assert_eq!(args(), "/sbin/init -s\n");
    zone.halt();
    zone.zonecfg("set bootargs=\"-m configured\"").ok();
    again(&["boot"]);
    assert_eq!(args(), "/sbin/init -m configured\n");
    zone.halt();
    write_program(&zone.file("/sbin/other"), &format!("#!/bin/sh\n{script}\n"));
    again(&["boot", "--", "-i", "/sbin/other", "-s"]);
    assert_eq!(args(), "/sbin/other -s\n");
}

fn unknown_boot_arguments_are_passed_on(lab: &Lab) {
    let zone = lab.tiny("web", r#"echo "$*" > /args; exec sleep 2147483647"#);
    zone.zoneadm(["boot", "--", "-x", "-s"]).ok();
    zone.is("running");
    let args = zone.written("/args");
    assert!(args.contains("-x") && args.contains("-s"), "{args:?}");
    zone.halt();
    let ran = zone.zoneadm(["boot", "--", "-s", "left", "over"]);
    ran.ok().stderr_has("WARNING: Unused or invalid boot arguments");
}

fn too_long_boot_arguments_are_refused(lab: &Lab) {
    let zone = lab.sparse("web");
    let long = "x".repeat(70_000);
    zone.zoneadm(["boot", "--", "-m", &long]).refuses().stderr_has("boot argument string too long");
    zone.is("installed");
}

fn dash_s_is_the_same_as_a_boot_argument(lab: &Lab) {
    let zone = lab.tiny("web", r#"echo "$*" > /args; exec sleep 2147483647"#);
    zone.zoneadm(["boot", "-s"]).ok();
    let args = zone.written("/args");
    assert_eq!(args, "-s\n");
}

fn timings_name_the_steps(lab: &Lab) {
    let zone = lab.sparse("web");
    let ran = zone.zoneadm(["boot", "--timings"]);
    assert!(ran.ok().out().lines().count() >= 5, "a boot has more steps than that\n{ran}");
    zone.halt();
    let json = zone.zoneadm(["boot", "--timings", "--json"]);
    assert!(json.ok().out().contains("\"usec\""), "{json}");
    let _ = json.json();
}
