//! A zone that runs is given what is configured by now: all that it can have, or nothing, and it says which.

use crate::harness::{Lab, Zone, cases, until};
use std::fs;

cases![
    what_is_configured_is_given_and_the_rest_waits,
    a_trial_changes_nothing,
    what_is_refused_changes_nothing,
    only_what_is_up_is_given_anything,
    commit_says_what_the_zone_lacks_and_how_it_gets_it,
    a_daemon_that_comes_later_goes_by_what_was_given,
    set_changes_what_runs_until_the_next_boot,
    what_runs_is_edited_in_the_same_language,
    what_somebody_else_has_changed_is_not_written_over,
];

/// What differs, as `apply -n --json` tells it: the change, and when it applies.
#[track_caller]
pub(super) fn differs(zone: &Zone<'_>) -> Vec<(String, String)> {
    let json = zone.zoneadm(["apply", "-n", "--json"]).ok().json();
    assert_eq!(json["dry_run"], true);
    let changes = json["changes"].as_array().cloned().unwrap_or_default();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let one = |change: &serde_json::Value| {
        let parts = [&change["resource"], &change["property"]].map(word);
        (parts.join(" ").trim().to_owned(), word(&change["applies"]))
    };
    changes.iter().map(one).collect()
}

fn pair(name: &str, applies: &str) -> (String, String) {
    (name.to_owned(), applies.to_owned())
}

fn what_is_configured_is_given_and_the_rest_waits(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let before = zone.status();
    assert!(differs(&zone).is_empty());
    zone.zoneadm(["apply"]).ok().stdout_has("zone 'web': It has what is configured");
    zone.zonecfg("set shutdown-timeout=7; set hostname=other").ok();
    assert_eq!(differs(&zone), [pair("hostname", "next_boot"), pair("shutdown-timeout", "live")]);
    let ran = zone.zoneadm(["apply"]);
    ran.ok()
        .stdout_has("zone 'web': Checking: Modifying shutdown-timeout=7\n")
        .stdout_has("zone 'web': Modifying hostname=other waits until the zone boots next\n")
        .stdout_has("zone 'web': Applied the changes\n");
    assert_eq!(differs(&zone), [pair("hostname", "next_boot")]);
    zone.zoneadm(["apply"]).ok().stdout_has("zone 'web': Nothing to apply\n");
    zone.zoneadm(["apply", "-q"]).ok().quiet();
    let now = zone.status();
    assert_eq!((now.uniqid, now.pid), (before.uniqid, before.pid), "it is the same zone");
    zone.zlogin(["hostname"]).ok().stdout_is("web\n");
    zone.zoneadm(["reboot"]).ok();
    assert!(differs(&zone).is_empty());
    zone.zlogin(["hostname"]).ok().stdout_is("other\n");
}

fn a_trial_changes_nothing(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let file = zone.run_dir().join("snapshot.toml");
    let snapshot = || fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}"));
    let before = snapshot();
    zone.zonecfg("set shutdown-timeout=7").ok();
    zone.zoneadm(["apply", "-n"])
        .ok()
        .stdout_has("Checking: Modifying shutdown-timeout=7")
        .stdout_has("only a trial");
    assert_eq!(snapshot(), before);
    assert_eq!(differs(&zone), [pair("shutdown-timeout", "live")]);
}

/// What one facility refuses keeps all others from being changed. On a host whose controllers are bound to version 2 nothing
/// is refused here.
fn what_is_refused_changes_nothing(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg("set shutdown-timeout=7; set max-lwps=1000").ok();
    let ran = zone.zoneadm(["apply"]);
    if ran.code() == Some(0) {
        crate::harness::skip("all controllers of this host are version 2's");
    }
    ran.refuses()
        .stderr_has("the zone stays as it is")
        .stderr_has("max-processes needs the controller 'pids'");
    zone.zoneadm(["apply", "-n"]).refuses().stderr_has("max-processes needs the controller 'pids'");
    zone.zonecfg("clear max-lwps").ok();
    assert_eq!(differs(&zone), [pair("shutdown-timeout", "live")], "nothing of it was given");
    zone.zoneadm(["apply"]).ok();
    assert!(differs(&zone).is_empty());
}

fn only_what_is_up_is_given_anything(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["apply"]).refuses().stderr_has("not running");
    zone.zoneadm(["ready"]).ok();
    zone.zonecfg("set shutdown-timeout=7").ok();
    zone.zoneadm(["apply"]).ok().stdout_has("Applied the changes");
    zone.zoneadm(["boot"]).ok();
    assert!(differs(&zone).is_empty());
    // The file that another hand has spoilt is told, and changes nothing.
    let config = lab.root().join("etc/zones/web.toml");
    let text = fs::read_to_string(&config).unwrap_or_else(|error| panic!("{error}"));
    fs::write(&config, format!("{text}\nnonsense = 1\n")).unwrap_or_else(|error| panic!("{error}"));
    zone.zoneadm(["apply"]).refuses().stderr_has("nonsense");
    fs::write(&config, text).unwrap_or_else(|error| panic!("{error}"));
    zone.zoneadm(["apply"]).ok();
}

fn commit_says_what_the_zone_lacks_and_how_it_gets_it(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zonecfg("set shutdown-timeout=8").ok().quiet();
    zone.boot();
    zone.zonecfg("set shutdown-timeout=7; set hostname=other; add attr; set name=a; set type=int; set value=1; end")
        .ok()
        .stderr_is(
            "zonecfg: note: the zone is up; 'zoneadm -z web apply' gives it shutdown-timeout; what waits until it boots next is hostname\n",
        );
    zone.zoneadm(["apply"]).ok();
    zone.zonecfg("clear hostname").ok().quiet();
}

/// The snapshot is what a daemon goes by: a shutdown takes the time that was given, whoever carries it out.
fn a_daemon_that_comes_later_goes_by_what_was_given(lab: &Lab) {
    let zone = lab.tiny("web", "trap '' TERM INT HUP PWR; while :; do sleep 1000; done");
    zone.zonecfg("set shutdown-timeout=86400").ok();
    zone.boot();
    zone.zonecfg("set shutdown-timeout=1").ok();
    zone.zoneadm(["apply"]).ok();
    zone.kill_daemon();
    zone.zoneadm(["shutdown"]).ok();
    until("the zone is down", || (zone.status().state == "installed").then_some(()));
}

fn set_changes_what_runs_until_the_next_boot(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["set", "shutdown-timeout=7"]).refuses().stderr_has("not running");
    zone.boot();
    let before = zone.status();
    zone.zoneadm(["set", "shutdown-timeout=7", "restart-init=false"])
        .ok()
        .stdout_has("zone 'web': Checking: Modifying shutdown-timeout=7\n")
        .stdout_has("zone 'web': Applied the changes\n");
    zone.zonecfg("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 60\n");
    assert_eq!(differs(&zone), [pair("restart-init", "live"), pair("shutdown-timeout", "live")]);
    let listed = zone.zoneadm(["list", "--json"]).ok().json();
    let shown = &listed[0]["differs"][1];
    assert_eq!(
        (&shown["property"], &shown["from"], &shown["to"]),
        (&"shutdown-timeout".into(), &"7".into(), &"60".into())
    );
    zone.zoneadm(["set", "restart-init="]).ok();
    assert_eq!(differs(&zone), [pair("shutdown-timeout", "live")]);
    zone.zoneadm(["apply"]).ok().stdout_has("Modifying shutdown-timeout=60");
    assert!(differs(&zone).is_empty());
    zone.zoneadm(["set", "shutdown-timeout=7"]).ok();
    zone.zoneadm(["set", "shutdown-timeout=many"])
        .refuses()
        .stderr_has("shutdown-timeout: \"many\" is not allowed");
    zone.zoneadm(["set", "hostname=other"]).refuses().stderr_has("cannot be given this: hostname");
    zone.zoneadm(["set", "shutdown-timeout"]).exits(2).stderr_has("PROPERTY=VALUE");
    assert_eq!(differs(&zone), [pair("shutdown-timeout", "live")], "what was refused has changed nothing");
    assert_eq!(zone.status().uniqid, before.uniqid);
    zone.zoneadm(["reboot"]).ok();
    assert!(differs(&zone).is_empty());
}

fn what_runs_is_edited_in_the_same_language(lab: &Lab) {
    let zone = lab.sparse("web");
    let live = |script: &str| lab.command("zonecfg", ["-z", "web", "-r", script]).run();
    live("info").refuses().stderr_has("is not running");
    zone.boot();
    zone.zonecfg("set shutdown-timeout=90").ok();
    live("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 60\n");
    live("set shutdown-timeout=7; commit").ok().stdout_has("Applied the changes\n");
    live("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 7\n");
    live("export").ok().stdout_has("set shutdown-timeout=7\n");
    zone.zonecfg("export").ok().stdout_has("set shutdown-timeout=90\n");
    live("set shutdown-timeout=8; set hostname=other; commit").refuses().stderr_has("hostname");
    live("set zonepath=/elsewhere").refuses().stderr_has("zonepath");
    live("delete -F").refuses().stderr_has("leave -r out");
    live("create -F").refuses().stderr_has("leave -r out");
    live("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 7\n");
    // Nobody there: one is started for it.
    zone.kill_daemon();
    live("set shutdown-timeout=9").ok().stdout_has("Applied the changes\n");
    live("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 9\n");
    zone.zoneadm(["reboot"]).ok();
    live("info shutdown-timeout").ok().stdout_is("shutdown-timeout: 90\n");
}

fn what_somebody_else_has_changed_is_not_written_over(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let wanted =
        fs::read_to_string(lab.root().join("etc/zones/web.toml")).unwrap_or_else(|error| panic!("{error}"));
    let call = |timeout: u32, base: &str| {
        let config = serde_json::Value::from(format!("{wanted}shutdown-timeout = {timeout}\n"));
        zone.door_call("Apply", &format!("{{\"config\":{config},\"base\":\"{base}\"}}"))
    };
    let refused = call(7, "1");
    assert!(refused.contains("was changed by somebody else"), "{refused}");
    assert!(differs(&zone).is_empty());
    zone.zoneadm(["set", "shutdown-timeout=7"]).ok();
    // Who asks again for what it has got, as after a lost answer, is not told that somebody else was there.
    let again = call(7, "1");
    assert!(again.contains("\"changes\":[]"), "{again}");
    assert!(call(8, "1").contains("was changed by somebody else"));
    assert_eq!(differs(&zone), [pair("shutdown-timeout", "live")]);
}
