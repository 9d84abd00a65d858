//! A Debian in a zone with a network: its own programs find addresses, router and names, and nothing is done inside.

use super::net_auto::{address, addresses};
use crate::harness::{Command, Internet, Lab, Zone, cases, make_dir, outside, until, write};
use std::path::Path;

cases![
    debian_installs_from_a_mirror: 300,
    networkd_leaves_what_it_finds: 300,
];

/// Waits until systemd has reached its target, with every unit up.
#[track_caller]
fn is_running(zone: &Zone<'_>) {
    until("systemd has done what it had to", || {
        let ran = zone.zlogin_command(["systemctl", "is-system-running", "--wait"]).within(90).run();
        let state = ran.out().trim().to_owned();
        if state == "degraded" {
            panic!("{}", zone.sh("systemctl --failed --no-legend; systemctl status --failed --no-pager"));
        }
        (state == "running").then_some(())
    });
}

/// A mirror with one small package, on the outside's web server.
#[track_caller]
fn mirror(lab: &Lab, internet: &Internet) {
    let tree = lab.path("package");
    for dir in ["DEBIAN", "usr/share/zones-test"] {
        make_dir(&tree.join(dir), 0o755);
    }
    let control = "Package: zones-test\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@zones.test>\n\
        Description: a package that a zone installs\n";
    write(&tree.join("DEBIAN/control"), control);
    write(&tree.join("usr/share/zones-test/file"), "from the mirror\n");
    let name = "zones-test_1.0_all.deb";
    let deb = internet.www().join(name);
    Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).args([&tree, &deb]).run().ok();
    let of = |file: &Path| {
        let sum = Command::new("sha256sum").args([file]).run().ok().out();
        let size = std::fs::metadata(file).map_or(0, |file| file.len());
        (sum.split(' ').next().unwrap_or_default().to_owned(), size)
    };
    let (sum, size) = of(&deb);
    let packages = internet.www().join("Packages");
    write(&packages, format!("{control}Filename: ./{name}\nSize: {size}\nSHA256: {sum}\n"));
    let (sum, size) = of(&packages);
    let release = format!("Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {sum} {size} Packages\n");
    write(&internet.www().join("Release"), release);
}

fn debian_installs_from_a_mirror(lab: &Lab) {
    let internet = lab.internet();
    if !Path::new("/usr/bin/dpkg-deb").exists() {
        crate::harness::skip("there is no dpkg-deb, to make a package of");
    }
    mirror(lab, &internet);
    let zone = lab.guest("deb", "debian12-systemd", "add net; end");
    // That of the machine that the archive was made on: to a zone, its own.
    let _ = std::fs::remove_file(zone.file("/etc/resolv.conf"));
    zone.zoneadm(["boot"]).ok();
    is_running(&zone);
    let sources = format!("deb [trusted=yes] http://{}/ ./\n", outside::NAME);
    zone.sh(&format!(
        "printf '{}' > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*proxy*",
        sources.trim()
    ))
    .ok();
    let apt = |words: &str| {
        zone.zlogin_command(["sh", "-c", &format!("DEBIAN_FRONTEND=noninteractive apt-get {words}")])
            .within(120)
            .run()
    };
    let update = apt("-o APT::Update::Error-Mode=any update");
    update.ok().stdout_has("Packages");
    eprintln!("{update}");
    apt("install -y zones-test").ok();
    zone.zlogin(["cat", "/usr/share/zones-test/file"]).ok().stdout_is("from the mirror\n");
    is_running(&zone);
    zone.zoneadm(["reboot"]).ok();
    is_running(&zone);
    apt("update").ok();
    zone.halt_whatever();
    zone.zoneadm_within(180, ["uninstall", "-F"]).ok();
}

fn networkd_leaves_what_it_finds(lab: &Lab) {
    let internet = lab.internet();
    let zone = lab.guest("deb", "debian12-systemd", "add net; end");
    zone.zoneadm(["boot"]).ok();
    is_running(&zone);
    zone.zlogin(["systemctl", "enable", "systemd-networkd.service"]).ok();
    let before = addresses(&zone);
    zone.zoneadm(["reboot"]).ok();
    is_running(&zone);
    zone.zlogin(["systemctl", "is-active", "systemd-networkd"]).ok();
    until("networkd has looked at the link", || {
        let ran = zone.zlogin(["networkctl", "list", "eth0", "--no-legend"]);
        let words: Vec<_> = ran.out().split_whitespace().map(str::to_owned).collect();
        words.contains(&"configured".to_owned()).then_some(())
    });
    assert_eq!(addresses(&zone), before, "it keeps what the link has");
    zone.sh("ip route; ip -6 route").ok().stdout_has("default via");
    for family in [4, 6] {
        address(&zone, "eth0", family);
    }
    for server in [outside::SERVER4, outside::SERVER6] {
        // No more in it than a shell has.
        let fetch = format!("exec 3<>/dev/tcp/{server}/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
        zone.zlogin(["bash", "-c", &fetch]).ok().stdout_has(outside::PAGE);
    }
    zone.sh("systemctl restart systemd-networkd").ok();
    is_running(&zone);
    assert_eq!(addresses(&zone), before, "over a restart of it");
    zone.halt_whatever();
    drop(internet);
    zone.zoneadm_within(180, ["uninstall", "-F"]).ok();
}
