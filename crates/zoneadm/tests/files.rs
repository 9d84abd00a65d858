//! What `zoneadm` does without a daemon: list, verify, install, uninstall, mark. As root, in a root of its own.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use support::Lab;

#[test]
fn a_sparse_zone_is_installed_and_uninstalled() {
    let lab = Lab::new();
    lab.configure("web", "sparse", "configured");
    lab.zoneadm("-z web boot").refused(1, "zoneadm: zone 'web': must be installed before boot.");
    lab.zoneadm("-z web install").ok();
    assert_eq!(lab.stored("web"), "installed");
    for private in ["zones/web", "run/zones"] {
        let mode = fs::metadata(lab.path(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{private}");
    }
    assert!(fs::read_to_string(lab.path("etc/zones/idmap")).unwrap().starts_with("web:"));
    lab.zoneadm("-z web verify").ok();
    lab.zoneadm("-z web install").refused(1, "zone 'web': is already installed.");
    lab.zoneadm("-z web reboot").refused(1, "zone 'web': not running");

    let text = "Input not from terminal and -F not specified: uninstall not done.";
    lab.zoneadm("-z web uninstall").refused(1, text);
    let said = lab.zoneadm("-z web uninstall -F").ok();
    assert!(said.out.contains("zones/web/root ("), "{}", said.out);
    assert_eq!(lab.stored("web"), "configured");
    assert!(!lab.path("zones/web").exists());
    assert_eq!(fs::read_to_string(lab.path("etc/zones/idmap")).unwrap(), "");
    lab.zoneadm("-z web uninstall -F").refused(1, "is already in state 'configured'.");
}

#[test]
fn a_linux_zone_is_installed_from_an_archive_and_from_a_directory() {
    let lab = Lab::new();
    lab.configure("deb", "linux", "configured");
    fs::create_dir_all(lab.path("src/etc")).unwrap();
    fs::write(lab.path("src/etc/hostname"), "source\n").unwrap();
    fs::create_dir(lab.path("src/sbin")).unwrap();
    fs::write(lab.path("src/sbin/init"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(lab.path("src/sbin/init"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/hostname", lab.path("src/link")).unwrap();
    let node = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        lab.path("src/null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        node,
    )
    .unwrap();
    let archive = lab.path("deb.tar.gz");
    let tar = Command::new("tar").arg("-C").arg(lab.path("src")).arg("-czf").arg(&archive).arg(".").status();
    assert!(tar.unwrap().success());

    lab.zoneadm("-z deb install").refused(2, "brand linux needs exactly one of -d DIRECTORY, -a ARCHIVE");
    // What fails before anything was written leaves nothing to clear.
    lab.zoneadm("-z deb install -a /nowhere.tar").refused(1, "/nowhere.tar: No such file or directory");
    assert_eq!(lab.stored("deb"), "configured");
    assert!(!lab.path("zones/deb").exists());

    for source in [format!("-a {}", archive.display()), format!("-d {}", lab.path("src").display())] {
        let said = lab.zoneadm(&format!("-z deb install {source}")).ok();
        assert!(said.err.contains("zone 'deb': 1 device node left out"), "{}", said.err);
        let root = lab.path("zones/deb/root");
        assert_eq!(fs::read_to_string(root.join("etc/hostname")).unwrap(), "deb\n");
        assert_eq!(fs::read_link(root.join("link")).unwrap().to_str(), Some("/etc/hostname"));
        lab.zoneadm("-z deb uninstall -F").ok();
    }
}

#[test]
fn an_install_that_fails_leaves_a_zone_that_can_only_be_uninstalled() {
    let lab = Lab::new();
    lab.configure("deb", "linux", "configured");
    fs::create_dir(lab.path("src")).unwrap();
    fs::write(lab.path("src/big"), vec![7; 3 << 20]).unwrap();
    fs::write(lab.path("src/small"), "x").unwrap();
    let archive = lab.path("a.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(lab.path("src")).arg("-cf").arg(&archive).args(["small", "big"]);
    assert!(tar.status().unwrap().success());
    fs::File::options().write(true).open(&archive).unwrap().set_len(1 << 20).unwrap();

    let said = lab.zoneadm(&format!("-z deb install -a {}", archive.display()));
    let said = said.refused(1, "ends in the middle of 'big'");
    assert!(said.err.contains("run \"zoneadm -z deb uninstall -F\""), "{}", said.err);
    assert_eq!(lab.stored("deb"), "incomplete");
    let text = "zone is incomplete; uninstall required.";
    lab.zoneadm("-z deb install -a x").refused(1, text);
    lab.zoneadm("-z deb verify").refused(1, text);
    lab.zoneadm("-z deb boot").refused(1, "must be installed before boot.");
    lab.zoneadm("-z deb uninstall -F").ok();
    assert_eq!(lab.stored("deb"), "configured");
}

#[test]
fn what_is_not_the_zones_stays() {
    let lab = Lab::new();
    lab.configure("web", "sparse", "configured");
    lab.zoneadm("-z web install").ok();
    fs::write(lab.path("zones/web/mine"), "x").unwrap();
    let said = lab.zoneadm("-z web uninstall -F");
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.err.contains("WARNING: Unable to completely remove "), "{}", said.err);
    assert!(lab.path("zones/web/mine").exists() && !lab.path("zones/web/root").exists());
}

#[test]
fn two_zones_never_share_files() {
    let lab = Lab::new();
    lab.configure("a", "sparse", "configured");
    lab.configure("b", "sparse", "configured");
    lab.zoneadm("-z a install").ok();
    // As somebody with an editor would do it.
    for file in ["etc/zones/b.toml", "etc/zones/index"] {
        let text = fs::read_to_string(lab.path(file)).unwrap().replace("zones/b", "zones/a");
        fs::write(lab.path(file), text.replace("b:configured", "b:incomplete")).unwrap();
    }
    lab.zoneadm("-z b uninstall -F").refused(1, "overlap.");
    fs::write(
        lab.path("etc/zones/index"),
        fs::read_to_string(lab.path("etc/zones/index")).unwrap().replace("b:incomplete", "b:configured"),
    )
    .unwrap();
    lab.zoneadm("-z b install").refused(1, "overlap.");
    assert!(lab.path("zones/a/root").exists());
    assert_eq!(lab.stored("b"), "configured");
}

#[test]
fn marked_incomplete() {
    let lab = Lab::new();
    lab.configure("web", "sparse", "configured");
    lab.zoneadm("-z web install").ok();
    lab.zoneadm("-z web mark installed").refused(2, "incomplete");
    lab.zoneadm("-z web mark incomplete").ok();
    assert_eq!(lab.stored("web"), "incomplete");
}

#[test]
fn lists_of_zones_that_are_not_up() {
    let lab = Lab::new();
    for (name, state) in [("c", "configured"), ("b", "installed"), ("a", "incomplete")] {
        lab.configure(name, "sparse", state);
    }
    let names = |args: &str| lab.zoneadm(args).ok().out.lines().collect::<Vec<_>>().join(" ");
    assert_eq!(names("list"), "global");
    assert_eq!(names("list -n"), "");
    assert_eq!(names("list -i"), "global b");
    assert_eq!(names("list -cn"), "a b c");
    assert_eq!(names("-z c list"), "c");
    assert_eq!(names("-z global list"), "global");
    lab.zoneadm("list -pv").refused(2, "zoneadm: list -p and -v are mutually exclusive.");
    lab.zoneadm("-z a list -c").refused(2, "cannot be given with -z");
    lab.zoneadm("-z nope list").refused(1, "zoneadm: zone 'nope': No such zone configured");

    // One bad zone is no reason not to show the others, or itself.
    fs::write(lab.path("etc/zones/a.toml"), "zonepath = 3\n").unwrap();
    fs::remove_file(lab.path("etc/zones/b.toml")).unwrap();
    let said = lab.zoneadm("list -cp").refused(1, "zone 'a': could not get brand name: ");
    assert!(said.err.contains("b.toml is missing"), "{}", said.err);
    let lines: Vec<_> = said.out.lines().map(|line| line.split(':').collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["0", "global", "running", "/", "", "linux", "shared"]);
    assert_eq!((lines[1][5], lines[2][5], lines[3][5]), ("sparse", "???", "???"));

    let json: serde_json::Value = serde_json::from_str(&lab.zoneadm("-z c list -v --json").ok().out).unwrap();
    assert_eq!((&json[0]["state"], &json[0]["pid"]), (&"configured".into(), &serde_json::Value::Null));
    assert!(!lab.path("run").exists(), "a list makes nothing");
}

#[test]
fn nobody_has_to_read_it() {
    let lab = Lab::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let zoneadm = || Command::new(env!("CARGO_BIN_EXE_zoneadm"));
    let root = lab.path("");
    let status = zoneadm().arg("-R").arg(&root).arg("list").stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = zoneadm().arg("-R").arg(&root).arg("list").stdout(writer).output().unwrap();
    assert_eq!((said.status.code(), said.stderr.len()), (Some(0), 0));
}

#[test]
fn sanity_comes_first() {
    let lab = Lab::new();
    lab.zoneadm("boot").refused(2, "zoneadm: no zone specified");
    lab.zoneadm("-z global halt").refused(1, "halt operation is invalid for the global zone.");
    lab.zoneadm("-z nope boot").refused(1, "zone 'nope': No such zone configured");
    lab.zoneadm("-z a/b boot").refused(1, "a zone name has letters");
    lab.zoneadm("-z a frobnicate").refused(2, "frobnicate");
    lab.zoneadm("-z a shutdown -- -s").refused(2, "only with -r");
    assert!(lab.zoneadm("-z a boot -?").ok().out.contains("Usage: zoneadm [-R ROOT] -z ZONE boot"));
    assert!(lab.zoneadm("help shutdown").ok().out.contains("Examples:"));
}
