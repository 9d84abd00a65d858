//! The log of a zone's daemon.

use crate::harness::{Lab, cases, until};
use std::os::unix::fs::PermissionsExt;

cases![
    what_becomes_of_a_zone_is_logged,
    its_level_changes_while_it_runs,
    a_daemon_that_is_killed_leaves_its_log,
];

fn what_becomes_of_a_zone_is_logged(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["log"]).exits(1).stderr_has("no log").stderr_has("web.log yet");
    zone.zoneadm(["boot", "--wait"]).ok();
    let following = zone.zoneadm_command(["log", "-f"]).start();
    zone.halt();
    zone.daemon_leaves();
    let log = zone.zoneadm(["log"]);
    log.ok().stdout_has("state: running").stdout_has("state: installed");
    log.stdout_has("it is ready, by notify").stdout_has("boot asked for by process").stdout_has(" [halt");
    let json = zone.zoneadm(["log", "--json"]);
    let lines: Vec<serde_json::Value> = json
        .ok()
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let running = lines.iter().find(|line| line["message"] == "state: running");
    let running = running.unwrap_or_else(|| panic!("{json}"));
    assert_eq!(
        (&running["operation"], &running["caller_uid"], &running["level"]),
        (&"boot".into(), &0.into(), &"info".into()),
        "{running}"
    );
    assert!(running["uniqid"].as_str().is_some_and(|id| id.parse::<u64>().is_ok()), "{running}");
    // Since now there is nothing, since before there is all of it.
    zone.zoneadm(["log", "--since", "2999-01-01"]).ok().stdout_is("");
    assert_eq!(zone.zoneadm(["log", "--since", "1h"]).ok().out().lines().count(), lines.len());
    // Times are the reader's.
    let east = zone.zoneadm_command(["log"]).env("TZ", "UTC-5").run();
    assert!(east.ok().out().lines().all(|line| line.contains("+05:00 ")), "{east}");
    zone.zoneadm(["log", "--since", "2999-01-01T00:00:00+05:00"]).ok().stdout_is("");
    zone.zoneadm(["log", "--since", "soon"]).exits(2).stderr_has("is no time");
    let file = lab.root().join("var/log/zones/web.log");
    let mode = std::fs::metadata(file).unwrap_or_else(|e| panic!("{e}")).permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut following = following;
    following.kill();
    following.wait().stdout_has("state: installed");
}

fn its_level_changes_while_it_runs(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let steps = || zone.zoneadm(["log"]).out().lines().filter(|line| line.contains("debug: step ")).count();
    assert_eq!(steps(), 0);
    let daemon = zone.daemon();
    zone.zoneadm(["log", "--level", "debug"]).ok();
    zone.zoneadm(["log", "--level", "loud"]).exits(2);
    until("the daemon has noticed", || {
        zone.zoneadm(["reboot"]).ok();
        (steps() > 0).then_some(())
    });
    assert_eq!(zone.daemon(), daemon, "the same one");
    // The next one knows it, too.
    zone.kill_daemon();
    let before = steps();
    zone.zoneadm(["reboot"]).ok();
    until("its steps are on disk", || (steps() > before).then_some(()));
    zone.zoneadm(["log", "--level", "info"]).ok();
    assert!(!zone.run_dir().join("loglevel").exists());
}

fn a_daemon_that_is_killed_leaves_its_log(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    until("it is on disk", || zone.zoneadm(["log"]).out().contains("state: running").then_some(()));
    zone.kill_daemon();
    zone.zoneadm(["reboot"]).ok();
    until("the next one goes on", || {
        let out = zone.zoneadm(["log"]).out();
        (out.matches("state: running").count() == 2 && out.contains("restarted zoneadmd to recover"))
            .then_some(())
    });
}
