//! Configuring zones.

use crate::harness::{Lab, cases, read, write};

cases![
    creates_a_zone_with_defaults,
    shows_what_was_set,
    a_command_file_does_what_it_says,
    export_makes_the_same_zone_again,
    a_bad_command_file_changes_nothing,
    errors_name_the_property_and_what_is_allowed,
    an_fs_resource_needs_all_its_properties,
    names_follow_the_rule,
    an_existing_zone_is_not_overwritten,
    an_unknown_zone_is_said_to_be_unknown,
    delete_wants_force_without_a_terminal,
    a_root_keeps_its_configuration,
    a_root_of_somebody_elses_is_none,
    what_nothing_acts_on_yet_is_said,
    an_installed_zone_keeps_its_path_and_brand,
    a_live_zone_keeps_what_it_was_booted_with,
    several_programs_write_the_index_at_once,
    configurations_of_other_systems_are_taken_over,
    what_is_only_tried_is_not_saved,
    the_global_zone_is_shown,
    options_may_share_a_word,
];

/// A zone of illumos, as its host has it.
const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE zone PUBLIC "-//Sun Microsystems Inc//DTD Zones//EN" "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1">
<zone name="old" zonepath="/zones/web" autoboot="false" brand="lipkg" ip-type="exclusive" bootargs="-m verbose">
  <filesystem special="/srv" directory="/data" type="lofs"><fsoption name="ro"/></filesystem>
  <filesystem special="tank/x" directory="/x" type="zfs"/>
  <network physical="web0" allowed-address="192.0.2.5/24"/>
  <rctl name="zone.max-lwps"><rctl-value priv="privileged" limit="500" action="deny"/></rctl>
  <dataset name="tank/data"/>
</zone>
"#;

/// The same, as its `zonecfg export` wrote it.
const SCRIPT: &str = "create -b
set zonepath=/zones/web
set brand=lipkg
set autoboot=false
set bootargs=-m verbose
set ip-type=exclusive
add fs
set dir=/data
set special=/srv
set type=lofs
add options ro
end
add fs
set dir=/x
set special=tank/x
set type=zfs
end
add net
set allowed-address=192.0.2.5/24
set physical=web0
end
add rctl
set name=zone.max-lwps
add value (priv=privileged,limit=500,action=deny)
end
add dataset
set name=tank/data
end
";

fn configurations_of_other_systems_are_taken_over(lab: &Lab) {
    let (xml, script, old) = (lab.path("a b.xml"), lab.path("old.cfg"), lab.path("old"));
    write(&xml, XML);
    write(&script, SCRIPT);
    std::fs::create_dir(&old).unwrap_or_else(|e| panic!("{}: {e}", old.display()));
    write(&old.join("SUNWdetached.xml"), XML);
    let told = "note: kept, but without a meaning on Linux: dataset tank/data; left out, for there is nothing like it here: \
                brand lipkg (it is linux), fs /x (type zfs)\n";
    let mut exports = Vec::new();
    for (name, option, from) in [("one", 'f', &xml), ("two", 'f', &script), ("three", 'a', &old)] {
        lab.zone(name);
        // Two zones cannot have one path.
        let ran = lab
            .zonecfg(name, &format!("create -{option} \"{}\"; set zonepath=/zones/{name}", from.display()));
        ran.ok();
        // All three are of one zone.
        let others = exports.len().checked_sub(1).map(|at| ["", ", and for 1 more"][at]);
        let beside = others.map_or_else(String::new, |more| {
            let note =
                |what| format!("zonecfg: note: net web0: {what} is configured for zone one, too{more}\n");
            note("address 192.0.2.5") + &note("the host's link web0")
        });
        assert_eq!(ran.err(), format!("zonecfg: {told}{beside}"), "{ran}");
        exports.push(lab.zonecfg(name, "export").ok().out().replace(&format!("/zones/{name}"), "PATH"));
    }
    assert!(
        exports[0].contains("set brand=linux\n") && exports[0].contains("add address [192.0.2.5/24]\n"),
        "{exports:?}"
    );
    assert!(exports[0] == exports[1] && exports[0] == exports[2], "{exports:#?}");
    lab.zone("new");
    lab.zonecfg("new", &format!("create -a \"{}\"; info zonepath", old.display()))
        .ok()
        .stdout_is(&format!("zonepath: {}\n", old.display()));
    // What is no configuration makes no zone, and is told with its line.
    lab.zone("bad");
    write(&xml, XML.replace("</zone>", "<network"));
    lab.zonecfg("bad", &format!("create -f \"{}\"", xml.display())).refuses().stderr_has("On line 9 of ");
    write(&xml, "<!DOCTYPE zone [<!ENTITY a \"aaaa\">]><zone name=\"&a;\"/>");
    lab.zonecfg("bad", &format!("create -f \"{}\"", xml.display()))
        .refuses()
        .stderr_has("declarations of its own");
    lab.zonecfg("bad", &format!("create -a \"{}\"", lab.root().display()))
        .refuses()
        .stderr_has("invalid path to detached zone");
    lab.zonecfg("bad", "create -f /dev/zero").refuses().stderr_has("cannot read /dev/zero");
    lab.zonecfg("bad", "info").refuses().stderr_has("No such zone configured");
}

fn what_is_only_tried_is_not_saved(lab: &Lab) {
    let zone = lab.configured("web", "");
    let dry = |name: &str, script: &str| lab.command("zonecfg", ["-n", "-z", name, script]).run();
    dry("web", "set hostname=www; commit; info hostname").ok().stdout_is("hostname: www\n");
    dry("web", "delete -F").ok().quiet();
    dry("web", "set brand=nonsense").refuses().stderr_has("no brand");
    dry("new", "create; export --json").ok().stdout_has("\"zonename\": \"new\"");
    zone.zonecfg("info hostname").ok().stdout_is("[hostname: web]\n");
    lab.zonecfg("new", "info").refuses().stderr_has("No such zone configured");
    // A type of which a zone has none is empty; one that is asked for by its values is missed.
    zone.zonecfg("info fs").ok().stdout_is("").quiet();
    zone.zonecfg("info rctl").ok().stdout_is("");
    zone.zonecfg("info --json net").ok().stdout_is("{\n  \"net\": []\n}\n");
    zone.zonecfg("info fs dir=/data").refuses().stderr_has("No such fs resource.");
}

fn the_global_zone_is_shown(lab: &Lab) {
    lab.zonecfg("global", "info").ok().stdout_is("pool: \n").quiet();
    lab.zonecfg("global", "info capped-memory; info net; export; verify").ok().stdout_is("").quiet();
    lab.zonecfg("global", "add net").refuses().stderr_has("Cannot add a net resource to the global zone.");
    lab.zonecfg("global", "set autoboot=true")
        .refuses()
        .stderr_has("autoboot is not a valid property for the global zone.");
    lab.zonecfg("global", "info nonsense").refuses().stderr_has("nonsense");
    lab.zonecfg("global", "delete -F").refuses().stderr_has("the global zone cannot be changed");
}

fn creates_a_zone_with_defaults(lab: &Lab) {
    let zone = lab.zone("web");
    lab.zonecfg("web", "create").ok().quiet();
    zone.is("configured");
    let index = read(&lab.etc().join("index"));
    let place = zone.path();
    let line = format!("web:configured:{}:", place.display());
    assert!(index.lines().any(|l| l == line), "the index must have {line:?}:\n{index}");
    assert!(read(&lab.etc().join("web.toml")).contains(&*place.to_string_lossy()));
    lab.zonecfg("web", "info").ok().stdout_has("brand: sparse\n").stdout_has("ip-type: exclusive\n");
}

fn shows_what_was_set(lab: &Lab) {
    let script = "set autoboot=true; set bootargs=\"-m verbose\"; add fs; set dir=/data; set special=/srv; \
                  set type=lofs; add options [ro,nodev]; end; add attr; set name=owner; set type=string; \
                  set value=\"the web team\"; end; verify; commit";
    lab.configured("web", script);
    let all = lab.zonecfg("web", "info");
    all.ok()
        .stdout_has("zonename: web\n")
        .stdout_has("autoboot: true\n")
        .stdout_has("bootargs: -m verbose\n");
    all.stdout_has("fs:\n\tdir: /data\n\tspecial: /srv\n").stdout_has("options: [ro,nodev]\n");
    lab.zonecfg("web", "info autoboot").ok().stdout_is("autoboot: true\n");
    lab.zonecfg("web", "info fs dir=/data").ok().stdout_has("special: /srv");
    lab.zonecfg("web", "select fs dir=/data; set special=/opt; end").ok();
    lab.zonecfg("web", "info fs").ok().stdout_has("special: /opt");
    lab.zonecfg("web", "remove fs dir=/data").ok();
    let rest = lab.zonecfg("web", "info");
    assert!(!rest.ok().out().contains("/data"), "{rest}");
}

fn a_command_file_does_what_it_says(lab: &Lab) {
    let file = lab.path("web.cfg");
    write(
        &file,
        "# a comment\ncreate\nset bootargs=-v\nadd fs\nset dir=/scratch\nset special=swap\nset type=tmpfs\nend\n",
    );
    lab.zone("web");
    let file = file.to_string_lossy().into_owned();
    lab.command("zonecfg", ["-z", "web", "-f", &file]).run().ok().quiet();
    lab.zonecfg("web", "info").ok().stdout_has("bootargs: -v\n").stdout_has("type: tmpfs\n");
}

fn export_makes_the_same_zone_again(lab: &Lab) {
    let script = "set hostname=first; set bootargs=\"-m verbose\"; add fs; set dir=/data; set special=/srv; set type=lofs; end";
    lab.configured("one", script);
    let export = lab.zonecfg("one", "export");
    export.ok().stdout_has("create\n").stdout_has("add fs\n").stdout_has("end\n");
    let file = lab.path("two.cfg");
    write(&file, export.out());
    lab.zone("two");
    lab.command("zonecfg", ["-z", "two", "-f", &file.to_string_lossy()]).run().ok();
    assert_eq!(lab.zonecfg("two", "export").ok().out(), export.out());
    // In another ROOT, where the zone is at home as it was here.
    let root = lab.path("elsewhere");
    let there = |words: &[&str]| {
        let root = root.display().to_string();
        lab.command("zonecfg", [&["-R", &root, "-z", "one"], words].concat()).run()
    };
    there(&["-f", &file.to_string_lossy()]).ok();
    assert_eq!(there(&["export"]).ok().out(), export.out());
    let own = format!("zonepath: {}", root.display());
    there(&["info", "zonepath"]).ok().stdout_has(&own);
    // One that somebody has chosen is kept.
    lab.zonecfg("two", "set zonepath=/zones/two").ok();
    lab.zonecfg("two", "export").ok().stdout_has("create -b\nset zonepath=/zones/two\n");
}

fn a_bad_command_file_changes_nothing(lab: &Lab) {
    let file = lab.path("bad.cfg");
    write(&file, "create\nset autoboot=true\nset brand=no such thing\ncommit\n");
    lab.zone("web");
    let path = file.to_string_lossy().into_owned();
    let ran = lab.command("zonecfg", ["-z", "web", "-f", &path]).run();
    ran.refuses().stderr_has("line 3").stderr_has(&path);
    assert!(!lab.etc().join("web.toml").exists(), "a failed command file must leave nothing");
    lab.configured("other", "");
    let before = read(&lab.etc().join("other.toml"));
    write(&file, "set autoboot=true\ncommit\nset nonsense=1\n");
    let ran = lab.command("zonecfg", ["-z", "other", "-f", &path]).run();
    ran.refuses().stderr_has("line 3").stderr_has("nonsense");
    assert_eq!(read(&lab.etc().join("other.toml")), before, "a failed command file must change nothing");
}

fn errors_name_the_property_and_what_is_allowed(lab: &Lab) {
    lab.configured("web", "");
    for (script, named, allowed) in [
        ("set autoboot=perhaps", "autoboot", "true"),
        ("set zonepath=relative/path", "zonepath", "/"),
        ("set ip-type=carrier-pigeon", "ip-type", "exclusive"),
        ("set shutdown-timeout=soon", "shutdown-timeout", "seconds"),
        ("set colour=blue", "colour", "autoboot"),
        ("add fs; set type=ntfs", "type", "lofs"),
        ("add net-of-fish", "net-of-fish", "fs"),
        ("set limitpriv=\"cap_of_wonder\"", "cap_of_wonder", "limitpriv"),
        (
            "add fs; set dir=/d; set special=/srv; set type=lofs; set options=[bogus]; end",
            "\"bogus\"",
            "nosuid",
        ),
        ("add fs; set dir=/sys/d; set special=x; set type=tmpfs; end", "/sys/d", "the zone has its own /sys"),
    ] {
        lab.zonecfg("web", script).refuses().stderr_has(named).stderr_has(allowed);
    }
    lab.zonecfg("web", "frobnicate").exits(1).stderr_has("frobnicate");
    lab.zonecfg("web", "end").refuses().stderr_has("The end command only makes sense in the resource scope.");
    let in_resource = lab.zonecfg("web", "add fs; commit");
    in_resource.refuses();
}

fn an_fs_resource_needs_all_its_properties(lab: &Lab) {
    lab.configured("web", "");
    lab.zonecfg("web", "add fs; set dir=/data; end").refuses().stderr_has("special not specified");
    lab.zonecfg("web", "add fs; set dir=/data; set special=/srv; set type=lofs; end").ok();
    let again = lab.zonecfg("web", "add fs; set dir=/data; set special=/opt; set type=lofs; end");
    again.refuses().stderr_has("A fs resource with the dir '/data' already exists.");
}

fn names_follow_the_rule(lab: &Lab) {
    let long = "n".repeat(63);
    for good in ["a", "9lives", "a.b-c_d", &long] {
        lab.zone(good);
        lab.zonecfg(good, "create").ok();
    }
    let too_long = "n".repeat(64);
    for bad in ["-a", ".a", "_a", "a/b", "a b", "SUNWzone", "..", "ä", "a\nb", &too_long] {
        let ran = lab.zonecfg(bad, "create");
        assert!(matches!(ran.code(), Some(1 | 2)), "must be refused\n{ran}");
    }
    assert_eq!(lab.zoneadm(["list", "-cn"]).ok().out().lines().count(), 4);
}

fn an_existing_zone_is_not_overwritten(lab: &Lab) {
    lab.configured("web", "set autoboot=true");
    lab.zonecfg("web", "create").refuses().stderr_has("-F not specified");
    lab.zonecfg("web", "info autoboot").ok().stdout_is("autoboot: true\n");
    lab.zonecfg("web", "create -F").ok();
    lab.zonecfg("web", "info autoboot").ok().stdout_is("autoboot: false\n");
}

fn an_unknown_zone_is_said_to_be_unknown(lab: &Lab) {
    lab.zonecfg("nobody", "info").refuses().stderr_has("nobody: No such zone configured");
    lab.zoneadm(["-z", "nobody", "boot"])
        .refuses()
        .stderr_has("nobody")
        .stderr_has("No such zone configured");
}

fn delete_wants_force_without_a_terminal(lab: &Lab) {
    let zone = lab.configured("web", "");
    lab.zonecfg("web", "delete").refuses().stderr_has("-F");
    zone.is("configured");
    lab.zonecfg("web", "delete -F").ok();
    assert!(!lab.etc().join("web.toml").exists());
    assert!(!read(&lab.etc().join("index")).contains("web:"));
}

fn a_root_keeps_its_configuration(lab: &Lab) {
    let zone = lab.sparse("web");
    let ids = || read(&lab.etc().join("idmap"));
    let root = zone.path().join("root");
    for script in ["delete", "delete -F", "delete -F; create; commit"] {
        let refused = lab.zonecfg("web", script);
        refused.refuses().stderr_has(&root.to_string_lossy()).stderr_has("'zoneadm -z web uninstall'");
        zone.is("installed");
    }
    assert!(root.join("etc/passwd").exists() && ids().contains("web:"));
    // What keeps it is the root, and that alone: without one nothing can have the ids any more.
    std::fs::rename(&root, lab.path("kept")).unwrap_or_else(|e| panic!("{e}"));
    lab.zonecfg("web", "delete").refuses().stderr_has("Use -F to force delete.");
    lab.zonecfg("web", "delete -F").ok();
    assert!(!ids().contains("web:") && !zone.run_dir().exists());
    for left in [lab.path("kept"), zone.path()] {
        std::fs::remove_dir_all(left).unwrap_or_else(|e| panic!("{e}"));
    }
}

fn a_root_of_somebody_elses_is_none(lab: &Lab) {
    let zone = lab.sparse("web");
    let root = lab.root();
    let chown = |to| std::os::unix::fs::chown(&root, Some(to), None).unwrap_or_else(|e| panic!("{e}"));
    let mode = |mode: u32| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&root, mode).unwrap_or_else(|e| panic!("{e}"));
    };
    let before = read(&lab.etc().join("index"));
    let all = |said: &str| {
        for args in [["-z", "web", "info"].as_slice(), &["-z", "new", "create"], &["-z", "web", "delete -F"]]
        {
            lab.command("zonecfg", args.iter()).run().exits(1).stderr_has(said);
        }
        for args in [["list", "-c"].as_slice(), &["-z", "web", "boot"], &["-z", "web", "uninstall", "-F"]] {
            lab.zoneadm(args.iter()).exits(1).stderr_has(said);
        }
        let login = zone.zlogin(["true"]);
        assert_ne!(login.code(), Some(0), "{login}");
        login.stderr_has(said);
        let daemon = lab.command("zoneadmd", ["-z", "web"]).run();
        assert_ne!(daemon.code(), Some(0), "{daemon}");
    };
    chown(65_534);
    all("belongs to user 65534: a root of zones, and all above it, must be root's");
    chown(0);
    mode(0o777);
    all("is writable by others than root");
    mode(0o755);
    assert_eq!(read(&lab.etc().join("index")), before);
    zone.boot();
}

fn what_nothing_acts_on_yet_is_said(lab: &Lab) {
    lab.configured("web", "");
    let device = "add device; set match=/dev/ppp; set allow-partition=true; end";
    lab.zonecfg("web", device).ok().stderr_has("allow-partition of device is kept, but");
    lab.zonecfg("web", "set bootargs=-v").ok().quiet();
}

fn an_installed_zone_keeps_its_path_and_brand(lab: &Lab) {
    lab.sparse("web");
    for (property, value) in [("zonepath", "/elsewhere"), ("brand", "linux")] {
        let ran = lab.zonecfg("web", &format!("set {property}={value}"));
        ran.refuses().stderr_has(&format!("Zone web already installed; set {property} not allowed."));
    }
    lab.zonecfg("web", "set autoboot=true").ok();
}

fn a_live_zone_keeps_what_it_was_booted_with(lab: &Lab) {
    let zone = lab.sparse_with("web", "set hostname=before");
    zone.boot();
    zone.zonecfg("set hostname=after").ok();
    zone.zlogin(["uname", "-n"]).ok().stdout_is("before\n");
    zone.zoneadm(["reboot"]).ok();
    zone.zlogin(["uname", "-n"]).ok().stdout_is("after\n");
}

fn several_programs_write_the_index_at_once(lab: &Lab) {
    let names: Vec<String> = (0..12).map(|n| format!("zone{n}")).collect();
    let running: Vec<_> = names
        .iter()
        .map(|name| {
            lab.zone(name);
            lab.command("zonecfg", ["-z", name, "create"]).start()
        })
        .collect();
    for one in running {
        one.wait().ok();
    }
    let listed = lab.zoneadm(["list", "-cn"]);
    let mut listed: Vec<&str> =
        std::str::from_utf8(&listed.ok().stdout).unwrap_or_default().lines().collect::<Vec<_>>();
    listed.sort_unstable();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(listed, names);
}

/// As getopt(3) takes them, in every program.
fn options_may_share_a_word(lab: &Lab) {
    let web = lab.configured("web", "set brand=sparse");
    let run = |program: &str, words: &[&str]| lab.command(program, words).run();
    run("zonecfg", &["-zweb", "info", "brand"]).ok().stdout_is("brand: sparse\n");
    run("zonecfg", &["-nzweb", "set autoboot=true"]).ok();
    run("zonecfg", &["-zweb", "info", "autoboot"]).ok().stdout_is("autoboot: false\n");
    run("zoneadm", &["-zweb", "list"]).ok().stdout_is("web\n");
    run("zlogin", &["-nlroot", "web", "true"])
        .refuses()
        .stderr_has("cannot login to a zone which is 'configured'");
    web.is("configured");
}
