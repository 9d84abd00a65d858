//! A Debian in a zone with a network: its own programs find addresses, router and names, and nothing is done inside.

use super::net_auto::{address, addresses};
use crate::harness::{Command, Internet, Lab, Ran, Zone, cases, ip, make_dir, outside, read, until, write};
use std::path::Path;

cases![
    debian_installs_from_a_mirror: 300,
    networkd_leaves_what_it_finds: 300,
    a_resolver_of_the_source_gives_way: 180,
    a_link_to_a_resolver_leads_somewhere: 180,
    ifupdown_takes_nothing_away: 180,
    ifupdown_ng_takes_nothing_away: 300,
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
    // What the archive had is of the machine that it was made on.
    assert!(read(&zone.file("/etc/resolv.conf")).starts_with("# Written by zones"));
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

const WAITS: &str = "while :; do sleep 1000; done";

/// Installs a zone from a tree.
#[track_caller]
fn install(zone: &Zone<'_>, option: &str, tree: &Path) -> Ran {
    let ran = zone.zoneadm(["install".as_ref(), option.as_ref(), tree.as_os_str()]);
    ran.ok();
    ran
}

fn a_resolver_of_the_source_gives_way(lab: &Lab) {
    let _internet = lab.internet();
    let tree = lab.tiny_tree("tree", WAITS);
    let of_source = "# by hand\nnameserver 198.51.100.53\n";
    write(&tree.join("etc/resolv.conf"), of_source);
    let zone = lab.configured("web", "set brand=linux");
    install(&zone, "-d", &tree).stderr_has("etc/resolv.conf names the nameservers of its source");
    let text = || read(&zone.file("/etc/resolv.conf"));
    assert!(text().ends_with(of_source), "it is good for nothing else yet: {}", text());
    zone.boot();
    assert!(text().ends_with(of_source), "without a net nothing is known better: {}", text());
    zone.halt_whatever();
    zone.zonecfg("add net; end").ok();
    zone.zoneadm(["boot"]).ok();
    assert!(text().contains(outside::ROUTER4) && !text().contains("198.51.100.53"), "{}", text());
    zone.sh(&format!("/bin/busybox wget -q -O - http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    // What its root says from then on is its own.
    zone.sh(&format!("echo nameserver {} > /etc/resolv.conf", outside::ROUTER6)).ok();
    zone.zoneadm(["reboot"]).ok();
    assert_eq!(text(), format!("nameserver {}\n", outside::ROUTER6));
    // A machine that moves here keeps what it has.
    let moved = lab.configured("moved", "set brand=linux; add net; end");
    moved.zoneadm(["install".as_ref(), "-p".as_ref(), "-d".as_ref(), tree.as_os_str()]).ok();
    moved.zoneadm(["boot"]).ok();
    assert_eq!(read(&moved.file("/etc/resolv.conf")), of_source);
}

fn a_link_to_a_resolver_leads_somewhere(lab: &Lab) {
    let _internet = lab.internet();
    for (name, link) in [
        ("resolved", "../run/systemd/resolve/stub-resolv.conf"),
        ("resolvconf", "/run/resolvconf/resolv.conf"),
        ("old", "/var/run/resolv.conf"),
    ] {
        let tree = lab.tiny_tree(&format!("{name}.tree"), WAITS);
        std::os::unix::fs::symlink(link, tree.join("etc/resolv.conf")).unwrap_or_else(|e| panic!("{e}"));
        std::os::unix::fs::symlink("../run", tree.join("var/run")).unwrap_or_else(|e| panic!("{e}"));
        let zone = lab.configured(name, "set brand=linux; add net; end");
        install(&zone, "-d", &tree);
        zone.zoneadm(["boot"]).ok();
        zone.sh("cat /etc/resolv.conf").ok().stdout_has(&format!("nameserver {}\n", outside::ROUTER4));
        zone.sh(&format!("/bin/busybox wget -q -O - http://{}/", outside::NAME))
            .ok()
            .stdout_is(outside::PAGE);
        let stays = std::fs::read_link(zone.file("/etc/resolv.conf")).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(stays, Path::new(link), "the link is the guest's");
        // What the guest's program puts there is the guest's, until it is gone with /run.
        zone.sh("echo nameserver 198.51.100.53 > /run/new; /bin/busybox mv /run/new $(/bin/busybox readlink -f /etc/resolv.conf)").ok();
        zone.zoneadm(["apply"]).ok();
        zone.sh("cat /etc/resolv.conf").ok().stdout_is("nameserver 198.51.100.53\n");
    }
}

/// A guest as it was on a machine with a DHCP server: busybox' ifup and DHCP client, as Alpine has them.
fn ifupdown_takes_nothing_away(lab: &Lab) {
    let _internet = lab.internet();
    let script = "cat /run/ifstate > /root/part 2>&1; busybox ifup -a >> /root/part 2>&1; echo ended with $? >> /root/part";
    let tree = lab.tiny_tree("tree", &format!("{script}; busybox mv /root/part /root/ifup; {WAITS}"));
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, tree.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    link("../run", "var/run");
    for applet in ["ip", "run-parts", "udhcpc"] {
        link("busybox", &format!("bin/{applet}"));
    }
    for dir in ["", "if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d"] {
        make_dir(&tree.join("etc/network").join(dir), 0o755);
    }
    write(
        &tree.join("etc/network/interfaces"),
        "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n",
    );
    let zone = lab.configured("web", "set brand=linux; add net; end");
    install(&zone, "-d", &tree);
    zone.zoneadm(["boot"]).ok();
    let said = zone.written("/root/ifup");
    assert!(said.starts_with("lo=lo\neth0=eth0\n") && said.ends_with("ended with 0\n"), "{said}");
    assert!(!said.contains("udhcpc"), "{said}");
    zone.sh("ip -4 -o address show dev eth0 | grep -c inet").ok().stdout_is("1\n");
    zone.sh(&format!("busybox wget -q -O - http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    zone.halt_whatever();
    // A net that is left to the zone is left to its ifupdown.
    ip("link add br0 type bridge").ok();
    zone.zonecfg("remove -F net; add net; set physical=eth0; set global-nic=br0; end").ok();
    std::fs::remove_file(zone.file("/root/ifup")).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["boot"]).ok();
    let said = zone.written("/root/ifup");
    assert!(said.starts_with("lo=lo\n") && !said.contains("eth0=eth0") && said.contains("udhcpc"), "{said}");
    zone.halt_whatever();
    ip("link delete br0").ok();
}

/// Waits until OpenRC has started its service, and sees that the link has what the host gave it, no more and no less, and no client asks
/// for another address.
#[track_caller]
fn networking_left(zone: &Zone<'_>, given: Option<&[String; 2]>) -> [String; 2] {
    until("OpenRC has started its networking", || {
        (zone.zlogin(["rc-service", "networking", "status"]).code() == Some(0)).then_some(())
    });
    let has = addresses(zone);
    if let Some(given) = given {
        assert_eq!(&has, given);
    }
    zone.sh("ip -4 -o address show dev eth0 | grep -c inet").ok().stdout_is("1\n");
    for family in ["-4", "-6"] {
        zone.sh(&format!("ip {family} route show default | grep -c 'default via'")).ok().stdout_is("1\n");
    }
    zone.sh("cat /run/ifstate").ok().stdout_has("eth0=eth0");
    zone.sh("cat /etc/resolv.conf").ok().stdout_has(&format!("nameserver {}\n", outside::ROUTER4));
    zone.sh("cat /proc/[0-9]*/comm 2>/dev/null | grep -cxE 'udhcpc|dhcpcd|dhclient'").stdout_is("0\n");
    zone.sh(&format!("busybox wget -q -O - http://{}/", outside::NAME)).ok().stdout_is(outside::PAGE);
    has
}

/// The ifupdown of today's Alpine, started by OpenRC as Alpine does, in a guest as it was on a machine with a DHCP server, and then with
/// an address of its own.
fn ifupdown_ng_takes_nothing_away(lab: &Lab) {
    let _internet = lab.internet();
    let zone = lab.guest("ng", "debian13-ifupdown-ng", "add net; end");
    let interfaces = |stanza: &str| {
        let text = format!("auto lo\niface lo inet loopback\n\nauto eth0\n{stanza}\n");
        write(&zone.file("/etc/network/interfaces"), text);
    };
    interfaces("iface eth0 inet dhcp");
    zone.zoneadm(["boot"]).ok();
    let given = networking_left(&zone, None);
    interfaces(
        "iface eth0 inet static\n    address 198.51.100.77\n    netmask 255.255.255.0\n    gateway 198.51.100.1",
    );
    zone.zoneadm(["reboot"]).ok();
    networking_left(&zone, Some(&given));
    // Without the list of what is up it would have done what the file says.
    let _ = zone.sh("rm /run/ifstate; ifup eth0");
    zone.sh("ip -4 -o address show dev eth0").ok().stdout_has("198.51.100.77");
    zone.halt_whatever();
    zone.zoneadm_within(180, ["uninstall", "-F"]).ok();
}
