//! `zoneadm list`, help and usage.

use crate::harness::{Lab, cases, kill_and_wait, need_failpoints, proc_status, until};
use rustix::process::{Pid, Signal, kill_process};

cases![
    names_only,
    a_table,
    lines_for_programs,
    many_are_looked_at_side_by_side,
    no_keeper_is_woken_for_a_list,
    a_keeper_that_shows_nothing_is_asked,
    json_has_everything,
    nets_have_a_table,
    nets_are_in_json,
    one_zone_by_name_or_uuid,
    the_two_formats_exclude_each_other,
    help_is_there,
    nonsense_is_exit_2,
    the_global_zone_is_left_alone,
];

fn names_only(lab: &Lab) {
    lab.configured("aaa", "");
    lab.sparse("bbb");
    let zone = lab.sparse("ccc");
    zone.boot();
    lab.zoneadm(["list"]).ok().stdout_is("global\nccc\n");
    lab.zoneadm(["list", "-n"]).ok().stdout_is("ccc\n");
    lab.zoneadm(["list", "-i"]).ok().stdout_is("global\nccc\nbbb\n");
    lab.zoneadm(["list", "-c"]).ok().stdout_is("global\nccc\naaa\nbbb\n");
}

fn a_table(lab: &Lab) {
    let zone = lab.sparse("web");
    // A path that is longer than the reference's column makes it wider.
    let path = zone.path().display().to_string();
    let wide = path.len().max(30);
    let row = |id: &str, state: &str| {
        format!("{id:>4} {:<16} {state:<10} {path:<wide$} {:<8} {:<6}\n", "web", "sparse", "excl")
    };
    let header = format!("  ID NAME             STATUS     {:<wide$} BRAND    IP    \n", "PATH");
    let table = lab.zoneadm(["list", "-cv"]);
    table.ok().stdout_has(&header).stdout_has(&row("-", "installed")).quiet();
    zone.zoneadm(["ready"]).ok();
    let ready = zone.status().pid1().to_string();
    lab.zoneadm(["list", "-v"]).ok().stdout_has(&row(&ready, "ready"));
    zone.zoneadm(["boot"]).ok();
    let running = zone.status().pid1().to_string();
    assert_eq!(ready, running, "the PID 1 that waits in a ready zone is the one that becomes init");
    lab.zoneadm(["list", "-v"]).ok().stdout_has(&row(&running, "running"));
}

fn lines_for_programs(lab: &Lab) {
    let zone = lab.configured("web", "");
    let path = zone.path().display().to_string();
    lab.zoneadm(["list", "-cp"]).ok().stdout_has(&format!("\n-:web:configured:{path}::sparse:excl\n"));
    zone.zoneadm(["install"]).ok();
    let uuid = zone.status().uuid.unwrap_or_default();
    assert_eq!(uuid.len(), 36, "an installed zone has a uuid: {uuid:?}");
    lab.zoneadm(["list", "-cp"]).ok().stdout_has(&format!("\n-:web:installed:{path}:{uuid}:sparse:excl\n"));
    zone.boot();
    let pid = zone.status().pid1();
    lab.zoneadm(["list", "-p"]).ok().stdout_has(&format!("\n{pid}:web:running:{path}:{uuid}:sparse:excl\n"));
    zone.halt();
    assert_eq!(zone.status().uuid, Some(uuid), "the uuid is the installation's");
    let place = lab.root().join("with:colon");
    lab.configured("colon", &format!("set zonepath={}", place.display()));
    lab.zoneadm(["list", "-cp"]).ok().stdout_has("with\\:colon:");
}

fn many_are_looked_at_side_by_side(lab: &Lab) {
    let names: Vec<String> = (0..40).map(|number| format!("z{number:02}")).collect();
    for name in names.iter().rev() {
        lab.configured(name, "");
    }
    // One that is up comes first, one that cannot be read is told of, and the others stay in their order.
    lab.zoneadm(["-z", "z20", "install"]).ok();
    lab.zoneadm(["-z", "z20", "ready"]).ok();
    let spoilt = lab.root().join("etc/zones/z30.toml");
    let whole = std::fs::read(&spoilt).expect("the configuration is read");
    std::fs::write(&spoilt, "brand = 7\n").expect("it is spoilt");
    let mut rest = names.clone();
    rest.remove(20);
    let wanted = format!("global\nz20\n{}\n", rest.join("\n"));
    lab.zoneadm(["list", "-c"]).ok().stdout_is(&wanted);
    let listed = lab.zoneadm(["list", "-cp"]);
    listed.refuses().stderr_has("z30");
    let out = listed.out();
    let seen: Vec<&str> = out.lines().filter_map(|line| line.split(':').nth(1)).collect();
    let by_index: Vec<&str> =
        ["global", "z20"].into_iter().chain(rest.iter().rev().map(String::as_str)).collect();
    assert_eq!(seen, by_index, "for programs the order of the index stays");
    std::fs::write(&spoilt, whole).expect("it is mended");
}

/// Two zones, of which one stays as it is installed: so none is alone in a list.
fn no_keeper_is_woken_for_a_list(lab: &Lab) {
    lab.sparse("aaa");
    let zone = lab.tiny("web", "exec sleep 9999");
    let listed = |state: &str| {
        lab.zoneadm(["list", "-cp"]).ok().stdout_has(&format!(":web:{state}:")).quiet();
    };
    zone.zoneadm(["ready"]).ok();
    listed("ready");
    zone.zoneadm(["boot"]).ok();
    listed("running");
    let keeper = zone.keeper();
    let process = Pid::from_raw(keeper).unwrap_or_else(|| panic!("{keeper} is no process id"));
    let signal = |signal| kill_process(process, signal).unwrap_or_else(|e| panic!("kill({keeper}): {e}"));
    // One that would have to answer cannot.
    signal(Signal::STOP);
    until("it is stopped", || proc_status(keeper, "State").filter(|state| state.starts_with('T')));
    listed("running");
    signal(Signal::CONT);
    // What it has shown is not believed of one that is dead, nor of the next before that has a zone.
    zone.zoneadm(["halt"]).ok();
    listed("installed");
    zone.boot();
    let (before, first) = (zone.keeper(), zone.status().pid1());
    kill_and_wait(before);
    listed("running");
    super::adopt::adopted(&zone, before);
    lab.zoneadm(["list", "-p"]).ok().stdout_has(&format!("\n{first}:web:running:"));
    zone.halt();
}

fn a_keeper_that_shows_nothing_is_asked(lab: &Lab) {
    lab.sparse("aaa");
    let zone = lab.tiny("web", "exec sleep 9999");
    for (error, always) in [("ENOSPC", true), ("EIO", false)] {
        zone.fails("zsched", "status.show", 1, error, always);
        zone.zoneadm(["boot"]).ok();
        lab.zoneadm(["list", "-p"]).ok().stdout_has(":web:running:").quiet();
        let failed = zone.fail_no_more();
        need_failpoints(&failed);
        assert!(failed.iter().all(|failed| *failed == format!("zsched status.show {error}")), "{failed:?}");
        zone.halt();
        lab.zoneadm(["list", "-cp"]).ok().stdout_has(":web:installed:").quiet();
    }
}

fn json_has_everything(lab: &Lab) {
    let zone = lab.sparse("web");
    let before = zone.status();
    assert!(before.uniqid.is_none() && before.pid.is_none() && before.last_exit.is_none(), "{before:?}");
    zone.boot();
    let now = zone.status();
    assert_eq!(
        (now.name.as_str(), now.brand.as_deref(), now.state.as_str()),
        ("web", Some("sparse"), "running")
    );
    assert_eq!(now.zonepath, zone.path().display().to_string());
    let first = now.incarnation();
    zone.halt();
    let ended = zone.status().last_exit;
    let Some(ended) = ended else { panic!("a halted zone must tell how it ended") };
    assert_eq!((ended.how.as_str(), ended.uniqid.as_str()), ("halted", first.as_str()));
    let all = lab.zoneadm(["list", "-c", "--json"]);
    let names = all.ok().json();
    let names: Vec<_> =
        names.as_array().into_iter().flatten().filter_map(|zone| zone["name"].as_str()).collect();
    assert_eq!(names, ["global", "web"], "{all}");
}

fn nets_have_a_table(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; end");
    lab.sparse("plain").boot();
    // What is switched on in the host is said.
    zone.zoneadm(["boot"]).ok();
    let table = lab.zoneadm(["list", "--net"]);
    let out = table.ok().quiet().out();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ZONE", "LINK", "MODE", "OVER", "ADDRESS"]);
    assert_eq!(lines.len(), 3, "an address of each family\n{table}");
    assert!(
        lines[1..].iter().all(|line| line.len() == 5 && line[..3] == ["web", "eth0", "bridge"]),
        "{table}"
    );
    zone.sh("ip link set eth0 down; ip link set eth0 name \"$(printf 'a\\033[2Jb')\"").ok();
    let table = lab.zoneadm(["list", "--net"]);
    table.ok().stdout_has("a\\u{1b}[2Jb").stdout_has("was eth0; is down");
    assert!(!table.out().contains('\u{1b}'), "what a zone has chosen is filtered");
    for option in ["-v", "-p", "--json"] {
        lab.zoneadm(["list", "--net", option]).exits(2);
    }
}

fn nets_are_in_json(lab: &Lab) {
    let zone = lab.sparse_with("web", "add net; end; add port; set host=8080; set to=80; end");
    zone.zoneadm(["boot"]).ok();
    let network = || zone.zoneadm(["list", "--json"]).ok().json()[0]["network"].clone();
    let before = network();
    let net = &before["nets"][0];
    assert_eq!(
        (net["inside"]["name"].as_str(), net["mode"].as_str()),
        (Some("eth0"), Some("bridge")),
        "{net}"
    );
    assert_eq!(net["differs"].as_array().map(Vec::len), Some(0), "{net}");
    assert_eq!(net["address"].as_array().map(Vec::len), Some(2), "{net}");
    assert!(net["host"]["name"].as_str().is_some_and(|name| name.starts_with('z')), "{net}");
    assert_eq!(before["ports"][0]["first"].as_u64(), Some(8080), "{before}");
    assert!(before["configured"].is_null(), "{before}");
    let router = net["defrouter"][0].as_str().unwrap_or_default();
    let ping = zone.sh(&format!("ping -n -c1 -W10 {router}"));
    ping.ok();
    let after = network();
    let sent = |network: &serde_json::Value| network["nets"][0]["host"]["counters"]["rx_packets"].as_u64();
    assert!(sent(&after) > sent(&before), "what the zone sends its end on the host receives\n{after}");
    lab.zonecfg("web", "remove port host=8080").ok().stderr_has("port 8080");
    let pending = network();
    assert_eq!(pending["configured"]["ports"].as_array().map(Vec::len), Some(0), "{pending}");
    zone.zoneadm(["halt"]).ok();
    assert!(network().is_null());
}

fn one_zone_by_name_or_uuid(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.configured("other", "");
    zone.zoneadm(["list"]).ok().stdout_is("web\n");
    let uuid = zone.status().uuid.unwrap_or_default();
    lab.zoneadm(["-u", &uuid, "list"]).ok().stdout_is("web\n");
    lab.zoneadm(["-z", "nobody", "list"]).refuses().stderr_has("nobody");
    // With a zone, the options that select zones make no sense.
    let ran = zone.zoneadm(["list", "-c"]);
    assert!(ran.code() != Some(0), "{ran}");
}

fn the_two_formats_exclude_each_other(lab: &Lab) {
    lab.zoneadm(["list", "-pv"]).exits(2).stderr_has("list -p and -v are mutually exclusive.");
}

fn help_is_there(lab: &Lab) {
    lab.zoneadm(["help"]).ok().stdout_has("install").stdout_has("shutdown");
    lab.zoneadm(["help", "boot"]).ok().stdout_has("boot");
    lab.zoneadm(["boot", "-?"]).ok().stdout_has("boot");
    lab.command("zonecfg", ["help"]).run().ok().stdout_has("create").stdout_has("commit");
    for program in ["zoneadm", "zonecfg", "zlogin"] {
        lab.command(program, ["--version"]).run().ok().stdout_has(env!("CARGO_PKG_VERSION"));
    }
}

fn nonsense_is_exit_2(lab: &Lab) {
    lab.zoneadm(["frobnicate"]).exits(2).stderr_has("frobnicate");
    lab.zoneadm(["-z", "web", "boot", "--no-such-option"]).exits(2);
    let nothing = lab.zoneadm::<&str>([]);
    nothing.exits(2);
    lab.command::<&str>("zlogin", []).run().exits(2);
    for verb in ["boot", "install", "halt", "log", "apply"] {
        lab.zoneadm([verb]).exits(2).stderr_has("no zone specified");
    }
    for (program, words) in [
        ("zoneadm", &["-R", "relative", "list"][..]),
        ("zonecfg", &["-R", "relative", "-z", "web", "info"]),
        ("zlogin", &["-R", "relative", "web"]),
        ("zone-access", &["-R", "relative"]),
    ] {
        lab.command(program, words).run().exits(2).stderr_has("relative");
    }
    lab.command("zonecfg", ["help", "nonsense"]).run().exits(2).stderr_has("no help about 'nonsense'");
    lab.command("zonename", ["nonsense"]).run().exits(2);
}

fn the_global_zone_is_left_alone(lab: &Lab) {
    for verb in ["boot", "halt", "install", "uninstall"] {
        let ran = lab.zoneadm(["-z", "global", verb]);
        ran.refuses().stderr_has(&format!("{verb} operation is invalid for the global zone."));
    }
}
