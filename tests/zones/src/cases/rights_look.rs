//! Users who are not root, and what they may look at: as much as the group `zones` gives, and no more.

use crate::harness::users::{ADMINS, Host, USERS};
use crate::harness::{Command, Lab, cases, make_dir, until};
use std::fs;
use std::path::PathBuf;

cases![
    who_may_list_may_look: 120,
    what_happens_is_shown_as_it_happens: 120,
    who_follows_holds_nobody_up: 120,
];

fn who_may_list_may_look(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    let bad = lab.tiny("bad", "echo my secret is on the console; exit 3");
    bad.zonecfg("set restart-init=false").ok();
    web.boot();
    let _ = bad.zoneadm(["boot"]);
    bad.becomes("installed");
    let first = web.status().pid1().to_string();
    // What looks: for a member of the group as for root, and of one zone for who has a right in it.
    for (words, shows) in [
        (vec!["status"], "web: running since"),
        (vec!["status", "--json"], "\"running\""),
        (vec!["ps"], first.as_str()),
        (vec!["ps", "--json"], "\"zone_pid\": 1,"),
        (vec!["stat", "-c", "1"], "%CPU"),
        (vec!["stat", "-c", "1", "-i", "1", "--json"], "\"zone\":\"web\""),
        (vec!["events"], "web is running"),
        (vec!["events", "--json"], "\"state\":\"running\""),
        (vec!["list", "-o", "name,state"], "running"),
        (vec!["list", "--csv", "-o", "state,name"], "running,web"),
    ] {
        let one = [vec!["-z", "web"], words.clone()].concat();
        let as_root = lab.zoneadm(&one);
        as_root.ok().stdout_has(shows);
        for user in ["rita", "manny", "logan"] {
            let ran = host.user(user, "zoneadm", &one);
            ran.ok().stdout_has(shows).quiet();
            if words[0] == "list" {
                assert_eq!(ran.out().lines().count(), as_root.out().lines().count(), "{ran}");
            }
        }
        // Without a zone "status" is the table of all.
        let of_all = if words == ["status"] { "web" } else { shows };
        host.user("rita", "zoneadm", &words).ok().stdout_has(of_all);
        host.user("rita", "zoneadm", &[vec!["-z", "w*,bad"], words.clone()].concat()).ok().stdout_has(shows);
        host.user("rita", "zoneadm", &[vec!["--state", "running"], words.clone()].concat())
            .ok()
            .stdout_has(shows);
    }
    host.user("rita", "zoneadm", &["list", "-s", "installed", "-o", "name"]).ok().stdout_is("NAME\nbad\n");
    // A right in one zone is none in another, by whatever words that is named.
    for (user, words, what) in [
        ("manny", vec!["ps"], "zones"),
        ("manny", vec!["-z", "web,bad", "ps"], "zones"),
        ("logan", vec!["-z", "*", "stat", "-c", "1"], "zones"),
        ("logan", vec!["--all", "events"], "zones"),
        ("logan", vec!["-z", "bad", "status"], "bad zone"),
        ("nick", vec!["-z", "web", "status"], "web zone"),
        ("nick", vec!["-z", "web", "ps"], "web zone"),
        ("nick", vec!["-z", "web", "stat", "-c", "1"], "web zone"),
        ("nick", vec!["-z", "web", "events", "-f"], "web zone"),
    ] {
        let text =
            format!("User {user} is not authorized to look at {what}: members of the group zones are.");
        host.user(user, "zoneadm", &words).exits(1).stderr_has(&text).stdout_is("");
    }
    // What was said on a console is for who manages the zone.
    lab.zoneadm(["-z", "bad", "status"]).ok().stdout_has("my secret is on the console");
    let seen = host.user("rita", "zoneadm", &["-z", "bad", "status"]);
    seen.ok().stdout_has("its init ended with exit status 3");
    assert!(!seen.out().contains("secret"), "{seen}");
    // What changes something, or reads logs, is not looking.
    for words in [["console", "--log"], ["wait", "--ready"], ["log", "--json"], ["set", "max-lwps=5"]] {
        host.user("rita", "zoneadm", &[vec!["-z", "web"], words.to_vec()].concat())
            .exits(1)
            .stderr_has("only a privileged user may");
    }
    let script = r#"
        for my $bad ('"zone":"web","zones":"bad"', '"zone":"web","all":true', '"zone":"web","states":["running"]',
            '"zone":"-R"', '"zone":"web","follow":true', '"zone":"web","count":-1', '"zone":"web","width":1') {
            my $got = call('{"method":"org.zones.access.Ps","parameters":{' . $bad . "}}\0");
            die "taken: $bad -> $got" unless $got =~ /"error":"org\.(zones\.access\.(Failed|NotAuthorized)|varlink)/;
        }
        print "done";
    "#;
    host.perl("manny", script).run().ok().stdout_is("done");
    let script = r#"
        for my $bad ('"zones":"-R"', '"zones":"/"', '"zones":""', '"zones":"a b"', '"zones":"web\u0000"', '"states":["x"]') {
            my $got = call('{"method":"org.zones.access.Stat","parameters":{' . $bad . "}}\0");
            die "taken: $bad -> $got" unless $got =~ /"error":"org\.varlink/;
        }
        for my $bad ('"columns":["-R"]', '"columns":["name,x y"]', '"columns":[""]', '"in_state":["-c"]') {
            my $got = call('{"method":"org.zones.access.List","parameters":{' . $bad . "}}\0");
            die "taken: $bad -> $got" unless $got =~ /"error":"org\.varlink/;
        }
        print "done";
    "#;
    host.perl("rita", script).run().ok().stdout_is("done");
}

/// The programs of root's that follow zones on behalf of somebody.
fn following() -> usize {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let words = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let root = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line).replace('\0', " ");
        line.contains("zoneadm ") && line.contains(" events -f") && line.contains(" -R ")
    };
    words.filter(root).count()
}

fn what_happens_is_shown_as_it_happens(lab: &Lab) {
    let host = Host::new(lab);
    lab.sparse_with("web", ADMINS);
    let own = lab.path("own");
    make_dir(&own, 0o777);
    let follow = |user: &str, file: &str, words: &str| {
        let file = own.join(file);
        let zoneadm = lab.program("zoneadm");
        let line = format!("exec {} {words} > {}", zoneadm.display(), file.display());
        let uid = USERS.iter().find(|(name, _)| *name == user).map_or(0, |(_, uid)| *uid).to_string();
        let command = Command::new("setpriv")
            .args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "sh", "-c", &line])
            .env("ZONES_ROOT", lab.root());
        (command.start(), file)
    };
    let has = |file: &PathBuf, text: &str| fs::read_to_string(file).unwrap_or_default().contains(text);
    let (mut all, of_all) = follow("rita", "all", "events -f");
    let (mut one, of_one) = follow("logan", "one", "-z web events -f --json");
    until("the state of now is there", || has(&of_all, "web is installed").then_some(()));
    until("for each of both", || has(&of_one, "\"state\":\"installed\"").then_some(()));
    // While they run on: nothing waits for the end.
    host.user("manny", "zoneadm", &["-z", "web", "boot"]).ok();
    until("it is there", || has(&of_all, "web is running").then_some(()));
    until("it is there", || has(&of_one, "\"state\":\"running\"").then_some(()));
    lab.sparse("late");
    until("one that came later", || has(&of_all, "late is").then_some(()));
    let (mut counts, of_counts) = follow("rita", "counts", "stat -i 1");
    until("an interval is over", || has(&of_counts, "web").then_some(()));
    let intervals = || fs::read_to_string(&of_counts).unwrap_or_default().matches("%CPU").count();
    until("and another", || (intervals() > 1).then_some(()));
    assert!(!all.ended() && !one.ended() && !counts.ended());
    // Whoever follows is gone, and so is what was run for it, though nothing happens.
    until("both are followed", || (following() == 2).then_some(()));
    one.kill();
    all.kill();
    counts.kill();
    until("nobody follows", || (following() == 0).then_some(()));
    let left = || {
        fs::read_dir(lab.run())
            .expect("run")
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("zone-access.follow"))
    };
    until("no place is taken", || (!left()).then_some(()));
    // So it is with a reader that takes what it wants.
    let line = format!("{} -z web events -f | head -1", lab.program("zoneadm").display());
    Command::new("sh").args(["-c", &line]).env("ZONES_ROOT", lab.root()).run().ok().stdout_has("web is");
}

fn who_follows_holds_nobody_up(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    // One who asks and reads nothing, not even what comes beside the answer; and writes all the time.
    let silent = r#"$SIG{PIPE} = 'IGNORE'; my @held = map { my $s = open_one();
        print $s '{"method":"org.zones.access.Events","parameters":{"zone":"web","follow":true},"more":true}' . "\0"; $s->flush; $s } 1..4;
        print "held\n"; STDOUT->flush; while (1) { for my $s (@held) { syswrite($s, 'x' x 1000) } select(undef, undef, undef, 0.1) }"#;
    let mut held = host.perl("logan", silent).within(100).start();
    until("all are followed", || (following() == 4).then_some(()));
    host.user("logan", "zoneadm", &["-z", "web", "events", "-f"])
        .exits(1)
        .stderr_has("user 4102 follows zones 4 times already: end one of these first");
    // Others have their places, and all else goes on.
    host.user("rita", "zoneadm", &["stat", "-c", "1"]).ok();
    host.user("logan", "zoneadm", &["-z", "web", "status"]).ok();
    host.user("logan", "zlogin", &["web", "true"]).ok();
    for _ in 0..3 {
        web.zoneadm(["reboot"]).ok();
    }
    assert!(!held.ended(), "it went on all the while");
    held.kill();
    until("nobody follows", || (following() == 0).then_some(()));
    // What the last one had was given back a moment later.
    until("there is a place again", || {
        let ran = host.user("logan", "zoneadm", &["-z", "web", "stat", "-c", "1"]);
        (ran.code() == Some(0)).then_some(())
    });
    // A right that is taken away ends at the next call.
    host.know(&USERS.map(|(name, _)| name), "");
    host.user("rita", "zoneadm", &["stat", "-c", "1"])
        .exits(1)
        .stderr_has("is not authorized to look at zones");
}
