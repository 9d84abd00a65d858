//! Truncated, scribbled on, from the future: the files that the programs read.

use crate::harness::{Command, Lab, cases, read, write};

cases![
    an_index_with_unknown_lines_keeps_them,
    a_truncated_index_is_named,
    a_missing_configuration_is_named,
    a_configuration_edited_into_nonsense,
    a_configuration_from_the_future,
    index_and_configuration_that_disagree,
    a_truncated_snapshot_of_a_live_zone,
    unknown_lines_in_a_snapshot,
    a_truncated_journal,
    a_scribbled_journal,
    a_snapshot_without_a_zone,
    an_idmap_scribbled_on,
    fifos_and_devices_in_the_place_of_files,
    an_index_of_twenty_thousand_lines,
];

fn an_index_with_unknown_lines_keeps_them(lab: &Lab) {
    lab.sparse("web");
    let index = lab.etc().join("index");
    let strange = "# a comment of mine\n\nstrange:line:that:nobody:knows:of\n";
    write(&index, format!("{strange}{}", read(&index)));
    lab.zoneadm(["list", "-c"]).ok().stdout_has("web\n");
    lab.configured("other", "");
    let now = read(&index);
    assert!(
        now.contains("# a comment of mine\n") && now.contains("strange:line:that:nobody:knows:of\n"),
        "{now}"
    );
    lab.zone("web").boot();
}

/// What hangs here runs into the test's time limit.
fn fifos_and_devices_in_the_place_of_files(lab: &Lab) {
    let zone = lab.sparse("web");
    let etc = lab.etc();
    for (file, args) in [
        (etc.join("index"), ["list", "-c"].as_slice()),
        (etc.join("index"), &["-z", "web", "boot"]),
        (etc.join("web.toml"), &["-z", "web", "boot"]),
        (etc.join("web.toml"), &["-z", "web", "verify"]),
        (etc.join("idmap"), &["-z", "web", "boot"]),
        (lab.run().join("index.lock"), &["-z", "web", "mark", "incomplete"]),
    ] {
        let aside = lab.path("aside");
        std::fs::rename(&file, &aside).unwrap_or_else(|e| panic!("{e}"));
        Command::new("mkfifo").args([&file]).run().ok();
        lab.zoneadm(args.iter()).refuses().stderr_has(&file.to_string_lossy()).stderr_has("a fifo");
        std::fs::rename(&aside, &file).unwrap_or_else(|e| panic!("{e}"));
    }
    std::fs::rename(etc.join("web.toml"), lab.path("aside")).unwrap_or_else(|e| panic!("{e}"));
    std::os::unix::fs::symlink("/dev/zero", etc.join("web.toml")).unwrap_or_else(|e| panic!("{e}"));
    zone.zonecfg("info").refuses().stderr_has("it is a device, not a regular file");
    std::fs::rename(lab.path("aside"), etc.join("web.toml")).unwrap_or_else(|e| panic!("{e}"));
    let endless = lab.command("zonecfg", ["-z", "web", "-f", "/dev/zero"]).run();
    endless.exits(1).stderr_has("/dev/zero: it has more than 1048576 bytes");
    zone.boot();
    // The snapshot of a live zone: a login is refused, a halt is not.
    let snapshot = zone.run_dir().join("snapshot.toml");
    zone.kill_daemon();
    std::fs::remove_file(&snapshot).unwrap_or_else(|e| panic!("{e}"));
    Command::new("mkfifo").args([&snapshot]).run().ok();
    let login = zone.zlogin(["true"]);
    assert_ne!(login.code(), Some(0), "{login}");
    login.stderr_has("a fifo");
    zone.zoneadm(["halt"]).ok().stderr_has("restarted zoneadmd to recover");
    zone.is("installed");
}

/// As above: the time limit is what an index that takes the square of its lines runs into.
fn an_index_of_twenty_thousand_lines(lab: &Lab) {
    let zone = lab.sparse("web");
    let index = lab.etc().join("index");
    let ours = read(&index);
    let many: String = (0..20_000).map(|n| format!("z{n}:configured:/zones/z{n}:\n")).collect();
    write(&index, format!("{many}{ours}"));
    assert_eq!(lab.zoneadm(["list", "-c"]).ok().out().lines().count(), 20_002);
    zone.boot();
    zone.halt();
    write(&index, ours);
}

fn a_truncated_index_is_named(lab: &Lab) {
    let zone = lab.sparse("web");
    let index = lab.etc().join("index");
    let whole = read(&index);
    write(&index, whole.trim_end().rsplit_once(':').map_or("", |(most, _)| &most[..most.len() - 3]));
    let ran = lab.zoneadm(["-z", "web", "boot"]);
    assert!(ran.code() == Some(0) || !ran.err().is_empty(), "{ran}");
    write(&index, &whole.as_bytes()[..3]);
    let ran = lab.zoneadm(["-z", "web", "halt"]);
    assert!(matches!(ran.code(), Some(0 | 1)), "{ran}");
    write(&index, &whole);
    zone.halt_whatever();
    zone.boot();
}

fn a_missing_configuration_is_named(lab: &Lab) {
    let zone = lab.sparse("web");
    let file = lab.etc().join("web.toml");
    let whole = read(&file);
    std::fs::remove_file(&file).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["boot"]).refuses().stderr_has("web.toml");
    lab.zoneadm(["list", "-cv"]).stdout_has("web");
    write(&file, whole);
    zone.boot();
}

fn a_configuration_edited_into_nonsense(lab: &Lab) {
    let zone = lab.sparse("web");
    let file = lab.etc().join("web.toml");
    let whole = read(&file);
    for (nonsense, named) in [
        ("this is not toml [[[", "web.toml"),
        ("", "zonepath"),
        ("zonepath = 5\n", "zonepath"),
        ("zonepath = \"relative\"\n", "zonepath"),
        ("zonepath = \"/\"\n", "zonepath"),
    ] {
        write(&file, nonsense);
        zone.zoneadm(["boot"]).refuses().stderr_has(named);
        zone.zoneadm(["verify"]).refuses();
    }
    for (from, to, named) in [
        ("brand = \"sparse\"", "brand = \"nonesuch\"", "nonesuch"),
        ("brand = \"sparse\"", "brand = 7", "brand"),
    ] {
        write(&file, whole.replace(from, to));
        zone.zoneadm(["boot"]).refuses().stderr_has(named);
    }
    write(&file, [0xff, 0xfe, 0, 1, 2]);
    zone.zoneadm(["boot"]).refuses().stderr_has("web.toml");
    assert!(
        read(&lab.etc().join("index")).contains("web:installed:"),
        "its state is no matter of its configuration"
    );
    write(&file, whole);
    zone.boot();
}

fn a_configuration_from_the_future(lab: &Lab) {
    let zone = lab.sparse("web");
    let file = lab.etc().join("web.toml");
    let whole = read(&file);
    write(&file, format!("teleport = true\n{whole}"));
    zone.zoneadm(["boot"]).refuses().stderr_has("teleport");
    write(&file, whole);
    zone.boot();
}

fn index_and_configuration_that_disagree(lab: &Lab) {
    let zone = lab.sparse("web");
    let file = lab.etc().join("web.toml");
    let whole = read(&file);
    let path = zone.path().display().to_string();
    write(&file, whole.replace(&path, "/somewhere/else"));
    let ran = zone.zoneadm(["verify"]);
    ran.refuses().stderr_has("/somewhere/else").stderr_has(&path);
    zone.zoneadm(["boot"]).refuses();
    write(&file, whole);
    zone.boot();
}

/// Spoils a file of a live zone whose daemon was killed, and sees that the zone can be halted all
/// the same and that nothing is left.
fn spoilt(lab: &Lab, name: &str, spoil: impl Fn(&str) -> String) {
    let zone = lab.sparse_with("web", "add fs; set dir=/data; set special=swap; set type=tmpfs; end");
    zone.boot();
    let pid1 = zone.status().pid1();
    zone.kill_daemon();
    let file = zone.run_dir().join(name);
    let whole = read(&file);
    write(&file, spoil(&whole));
    zone.is("running");
    let ran = zone.zoneadm(["boot"]);
    assert!(matches!(ran.code(), Some(0 | 1)) && !ran.err().is_empty(), "{ran}");
    if ran.code() == Some(1) {
        ran.stderr_has(name);
    }
    assert_eq!(zone.status().pid1(), pid1, "the zone has not suffered");
    zone.zoneadm(["halt"]).ok();
    zone.is("installed");
    zone.boot();
    zone.zlogin(["true"]).ok();
}

fn a_truncated_snapshot_of_a_live_zone(lab: &Lab) {
    spoilt(lab, "snapshot.toml", |whole| whole[..whole.len() / 2].to_owned());
}

fn unknown_lines_in_a_snapshot(lab: &Lab) {
    spoilt(lab, "snapshot.toml", |whole| format!("from_the_future = true\n{whole}"));
}

fn a_truncated_journal(lab: &Lab) {
    spoilt(lab, "journal", |whole| whole[..whole.len().saturating_sub(5)].to_owned());
}

fn a_scribbled_journal(lab: &Lab) {
    spoilt(lab, "journal", |whole| format!("{whole}warp drive begun\n\u{0}\u{1}\n"));
}

fn a_snapshot_without_a_zone(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let snapshot = read(&zone.run_dir().join("snapshot.toml"));
    let journal = read(&zone.run_dir().join("journal"));
    zone.halt();
    zone.daemon_leaves();
    // As after a crash of the whole host with a run directory on a disk.
    crate::harness::make_dir(&zone.run_dir(), 0o700);
    write(&zone.run_dir().join("snapshot.toml"), snapshot);
    write(&zone.run_dir().join("journal"), journal);
    zone.is("installed");
    zone.zoneadm(["boot"]).ok();
    zone.is("running");
}

fn an_idmap_scribbled_on(lab: &Lab) {
    let zone = lab.sparse("web");
    let file = lab.etc().join("idmap");
    let whole = read(&file);
    write(&file, "web:perhaps:65536\n\u{1}\n");
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has("idmap");
    zone.is("installed");
    write(&file, whole);
    zone.boot();
}
