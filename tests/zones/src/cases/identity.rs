//! What a zone is given to be somebody: credentials, cloud-init's user data.

use super::guests::reaches_multi_user;
use crate::harness::{Command, Lab, cases, make_dir, read, set_mode, write};
use std::os::unix::fs::{PermissionsExt, symlink};

cases![
    credentials_are_for_init_and_nobody_else,
    a_secret_is_shown_by_nothing,
    a_source_that_is_not_roots_is_refused,
    user_data_is_where_cloud_init_looks,
    debian12_reads_its_credentials: 240,
    debian12_has_the_hosts_time_zone_and_a_locale: 240,
];

/// A directory of root's.
fn private(lab: &Lab) -> std::path::PathBuf {
    let dir = lab.private("secrets");
    make_dir(&dir, 0o700);
    dir
}

fn credentials_are_for_init_and_nobody_else(lab: &Lab) {
    let source = private(lab).join("key");
    write(&source, "from a file\nof two lines\n");
    set_mode(&source, 0o600);
    let zone = lab.sparse_with(
        "web",
        &format!(
            "add credential; set name=first; set data=\"from here\"; end; \
             add credential; set name=ssh.authorized_keys.root; set source={}; end",
            source.display()
        ),
    );
    zone.boot();
    let at = "/run/host/credentials";
    zone.zlogin(["ls", at]).ok().stdout_is("first\nssh.authorized_keys.root\n");
    zone.zlogin(["cat", &format!("{at}/first")]).ok().stdout_is("from here");
    let second = format!("{at}/ssh.authorized_keys.root");
    zone.zlogin(["cat", &second]).ok().stdout_is("from a file\nof two lines\n");
    zone.zlogin(["stat", "-c", "%a %u", at, &second]).ok().stdout_is("500 0\n400 0\n");
    zone.sh(&format!("tr '\\0' '\\n' < /proc/1/environ | grep -x CREDENTIALS_DIRECTORY={at}")).ok();
    // Nobody else of the zone reads it, and its root cannot change it.
    zone.zlogin(["setpriv", "--reuid", "1000", "cat", &second]).exits(1).stderr_has("Permission denied");
    zone.sh(&format!("! touch {at}/x && ! rm -f {second} && ! mount -o remount,rw {at} 2>/dev/null")).ok();
    assert_eq!(zone.zlogin(["findmnt", "-no", "FSTYPE", at]).out(), "ramfs\n");
    // What is in the file counts when it boots.
    write(&source, "another");
    zone.zlogin(["cat", &second]).ok().stdout_is("from a file\nof two lines\n");
    zone.zoneadm(["reboot"]).ok();
    zone.zlogin(["cat", &second]).ok().stdout_is("another");
    zone.zonecfg("remove credential name=first; remove credential name=ssh.authorized_keys.root").ok();
    zone.zoneadm(["reboot"]).ok();
    zone.sh(&format!("test ! -e {at} && ! grep -q CREDENTIALS_DIRECTORY /proc/1/environ")).ok();
}

fn a_secret_is_shown_by_nothing(lab: &Lab) {
    const SECRET: &str = "hunter2-hunter2";
    let zone = lab.sparse("web");
    let config = lab.etc().join("web.toml");
    let mode = || std::fs::metadata(&config).unwrap_or_else(|e| panic!("{e}")).permissions().mode() & 0o777;
    assert_eq!(mode(), 0o644);
    zone.boot();
    zone.zonecfg(&format!("add credential; set name=x; set data={SECRET}; end")).ok();
    assert_eq!(mode(), 0o600, "with a secret in it, it is root's alone");
    for words in [
        vec!["info"],
        vec!["info", "--json"],
        vec!["export"],
        vec!["export", "--json"],
        vec!["info", "credential"],
    ] {
        let shown = lab.zonecfg("web", &words.join(" "));
        assert!(!shown.ok().out().contains(SECRET), "{shown}");
        assert!(words[0] != "info" || shown.out().contains("(secret)"), "{shown}");
    }
    zone.zoneadm(["reboot"]).ok();
    zone.zonecfg("select credential name=x; set data=other-secret; end").ok();
    for ran in
        [zone.zoneadm(["list", "-v", "--json"]), zone.zoneadm(["apply", "-n"]), zone.zoneadm(["list", "-v"])]
    {
        let all = format!("{}{}", ran.out(), ran.err());
        assert!(!all.contains(SECRET) && !all.contains("other-secret"), "{ran}");
    }
    // The files that have it are root's: it is on none that others read.
    let run = zone.run_dir();
    for entry in std::fs::read_dir(&run).into_iter().flatten().flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let has = String::from_utf8_lossy(&text).contains(SECRET);
        let mode = entry.metadata().map_or(0, |meta| meta.permissions().mode());
        assert!(!has || mode & 0o077 == 0, "{}", entry.path().display());
    }
    zone.halt();
    let manifest = zone.zoneadm(["detach", "-n"]);
    manifest.ok().stdout_has("data = \"(secret)\"");
    assert!(!manifest.out().contains("other-secret"), "{manifest}");
    zone.zonecfg("remove credential name=x").ok();
    assert_eq!(mode(), 0o644);
}

fn a_source_that_is_not_roots_is_refused(lab: &Lab) {
    let dir = private(lab);
    let source = dir.join("key");
    let zone = lab.sparse("web");
    let set = |path: &std::path::Path| {
        let _ = zone.zonecfg("remove -F credential");
        zone.zonecfg(&format!("add credential; set name=x; set source={}; end", path.display())).ok();
    };
    set(&source);
    zone.zoneadm(["verify"])
        .exits(1)
        .stderr_has("cannot give credential x to the zone")
        .stderr_has("No such file");
    zone.zoneadm(["boot"]).exits(1).stderr_has("cannot give credential x to the zone");
    zone.is("installed");
    write(&source, "key");
    set_mode(&source, 0o666);
    zone.zoneadm(["boot"]).exits(1).stderr_has("can be written by others than root");
    set_mode(&source, 0o600);
    zone.boot();
    zone.halt();
    symlink(&source, dir.join("link")).unwrap_or_else(|e| panic!("{e}"));
    set(&dir.join("link"));
    zone.zoneadm(["boot"]).exits(1).stderr_has("is a symlink");
    set(&dir);
    zone.zoneadm(["boot"]).exits(1).stderr_has("is not a file");
    // Neither, and both, are told before that.
    zone.zonecfg("select credential name=x; clear source; end").exits(1).stderr_has("set data, or source");
    zone.zonecfg("select credential name=x; set data=y; end").exits(1).stderr_has("one of them is it");
    zone.zonecfg("add credential; set name=../x; set data=y; end").exits(1).stderr_has("is not allowed");
}

fn user_data_is_where_cloud_init_looks(lab: &Lab) {
    let source = private(lab).join("user-data");
    write(&source, "#cloud-config\nhostname: web\n");
    let zone = lab.sparse_with("web", &format!("set user-data={}", source.display()));
    zone.boot();
    let uuid = zone.status().uuid.unwrap_or_default();
    let seed = "/var/lib/cloud/seed/nocloud";
    zone.zlogin(["ls", seed]).ok().stdout_is("meta-data\nuser-data\n");
    zone.zlogin(["cat", &format!("{seed}/user-data")]).ok().stdout_is("#cloud-config\nhostname: web\n");
    zone.zlogin(["cat", &format!("{seed}/meta-data")])
        .ok()
        .stdout_is(&format!("instance-id: {uuid}\nlocal-hostname: web\n"));
    zone.halt();
    let left = std::fs::read_dir(zone.file(seed)).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing of it is on the zone's disk");
}

fn debian12_reads_its_credentials(lab: &Lab) {
    let source = private(lab).join("key");
    write(&source, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake root@here\n");
    set_mode(&source, 0o600);
    let script = format!(
        "add credential; set name=ssh.authorized_keys.root; set source={}; end; \
         add credential; set name=mine; set data=for-a-service; end",
        source.display()
    );
    let zone = lab.guest("deb", "debian12-systemd", &script);
    zone.boot();
    reaches_multi_user(&zone);
    zone.zlogin(["systemd-creds", "--system", "list", "--no-legend"])
        .ok()
        .stdout_has("ssh.authorized_keys.root");
    zone.zlogin(["systemd-creds", "--system", "cat", "mine"]).ok().stdout_has("for-a-service");
    // systemd-tmpfiles has put the key where sshd looks.
    zone.zlogin(["cat", "/root/.ssh/authorized_keys"]).ok().stdout_has("ssh-ed25519 AAAAC3Nza");
    zone.zlogin(["stat", "-c", "%a %U", "/root/.ssh/authorized_keys"]).ok().stdout_is("600 root\n");
    // A unit gets what it asks for by name.
    let unit = [
        "systemd-run",
        "-q",
        "--wait",
        "--pipe",
        "-p",
        "LoadCredential=mine",
        "sh",
        "-c",
        "cat $CREDENTIALS_DIRECTORY/mine",
    ];
    zone.zlogin(unit).ok().stdout_is("for-a-service");
}

/// Another `/etc` over the host's, in the namespace of the test alone.
struct OtherEtc;

impl OtherEtc {
    fn with_time_zone(lab: &Lab, name: &str) -> Self {
        let etc = lab.path("etc-of-the-host");
        Command::new("cp").args(["-a", "/etc"]).args([&etc]).run().ok();
        let link = etc.join("localtime");
        let _ = std::fs::remove_file(&link);
        symlink(format!("/usr/share/zoneinfo/{name}"), &link).unwrap_or_else(|e| panic!("{e}"));
        Command::new("mount").args(["--bind"]).args([etc]).args(["/etc"]).run().ok();
        Self
    }
}

impl Drop for OtherEtc {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l", "/etc"]).status();
    }
}

fn debian12_has_the_hosts_time_zone_and_a_locale(lab: &Lab) {
    let archive = lab.guest_archive("debian12-systemd");
    let root = lab.path("debian");
    make_dir(&root, 0o755);
    Command::new("tar").args(["-xf"]).args([&archive]).args(["-C"]).args([&root]).within(120).run().ok();
    // One that says itself where it is stays there; this one has nothing to say.
    std::fs::remove_file(root.join("etc/localtime")).unwrap_or_else(|e| panic!("{e}"));
    let _etc = OtherEtc::with_time_zone(lab, "Asia/Tokyo");
    let zone = lab.configured("deb", "set brand=linux");
    let root = root.display().to_string();
    zone.zoneadm_within(180, ["install", "-d", root.as_str()]).ok();
    assert_eq!(read(&zone.file("/etc/timezone")), "Asia/Tokyo\n");
    assert_eq!(read(&zone.file("/etc/default/locale")), "LANG=C.UTF-8\n");
    zone.boot();
    reaches_multi_user(&zone);
    zone.zlogin(["date", "+%Z %z"]).ok().stdout_is("JST +0900\n");
    zone.zlogin(["timedatectl", "show", "-p", "Timezone", "--value"]).ok().stdout_is("Asia/Tokyo\n");
    // What its init gives to all services.
    zone.zlogin(["systemctl", "show-environment"]).ok().stdout_has("LANG=C.UTF-8\n");
}
