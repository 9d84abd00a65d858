//! Immutable zones: what a `file-mac-profile` leaves writable, and that root inside cannot change that.

use super::guests::reaches_multi_user;
use crate::harness::{Lab, Zone, cases, make_dir, need_failpoints, numbered, skip, until, write};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

cases![
    strict_leaves_nothing,
    fixed_configuration_leaves_data,
    flexible_configuration_leaves_configuration,
    a_whole_root_is_kept_as_well,
    an_fs_resource_is_the_administrators_word,
    root_inside_cannot_lift_it,
    nobody_leaves_the_mounts_behind,
    nothing_is_made_writable_by_a_new_user_namespace,
    writable_once,
    writable_once_under_a_killed_daemon,
    a_symlink_in_its_place_is_refused,
    where_a_symlink_is_no_more_than_told_nothing_is_kept,
    scripts_that_the_next_boot_would_obey_are_kept,
    where_no_profile_is_w_is_nothing,
    debian_boots_with_strict: 240,
    debian_boots_with_fixed_configuration: 240,
    debian_boots_with_flexible_configuration: 240,
    debian_is_upgraded_when_it_is_writable: 300,
];

/// What of a root is tried: a directory that every root of this file has, and the profiles that leave it writable.
const PLACES: [(&str, &[&str]); 12] = [
    ("/", &[]),
    ("/etc", &["flexible-configuration"]),
    ("/root", &["flexible-configuration"]),
    ("/home", &[]),
    ("/var", &["flexible-configuration", "fixed-configuration"]),
    ("/var/lib", &["flexible-configuration", "fixed-configuration"]),
    ("/var/lib/dpkg", &[]),
    ("/var/lib/extensions", &[]),
    ("/var/spool", &["flexible-configuration", "fixed-configuration"]),
    ("/var/spool/cron", &[]),
    ("/etc/systemd", &[]),
    ("/usr", &[]),
];

/// What is no part of the root, or has memory in its place.
const ALWAYS: [&str; 4] = ["/tmp", "/run", "/dev/shm", "/dev"];

/// Makes what a Debian has, and a file in each directory.
#[track_caller]
fn furnish(zone: &Zone<'_>) {
    for (place, _) in PLACES {
        if place != "/usr" {
            fs::create_dir_all(zone.file(place)).unwrap_or_else(|e| panic!("{place}: {e}"));
            write(&zone.file(place).join("there"), "as it was\n");
        }
    }
}

/// Boots it with a profile and tries every place.
#[track_caller]
fn leaves(zone: &Zone<'_>, profile: &str) {
    zone.zonecfg(&format!("set file-mac-profile={profile}")).ok();
    zone.boot();
    for (place, profiles) in PLACES {
        let (made, may) = (format!("{place}/made"), profiles.contains(&profile));
        let ran = zone.sh(&format!("echo x > {made}"));
        assert_eq!(ran.code() == Some(0), may, "{profile}: {made}\n{ran}");
        if !may && place != "/usr" {
            ran.stderr_has("Read-only file system");
            zone.sh(&format!("echo y > {place}/there")).stderr_has("Read-only file system");
            assert!(!zone.file(&made).exists(), "{made}");
        }
    }
    for place in ALWAYS {
        zone.sh(&format!("echo x > {place}/made && cat {place}/made")).ok().stdout_is("x\n");
    }
    assert!(!zone.file("/tmp/made").exists(), "what is in /tmp is memory");
    zone.halt();
}

fn strict_leaves_nothing(lab: &Lab) {
    let zone = lab.sparse("web");
    furnish(&zone);
    leaves(&zone, "strict");
}

fn fixed_configuration_leaves_data(lab: &Lab) {
    let zone = lab.sparse("web");
    furnish(&zone);
    leaves(&zone, "fixed-configuration");
}

fn flexible_configuration_leaves_configuration(lab: &Lab) {
    let zone = lab.sparse("web");
    furnish(&zone);
    leaves(&zone, "flexible-configuration");
}

fn a_whole_root_is_kept_as_well(lab: &Lab) {
    let zone = lab.tiny("web", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done");
    fs::create_dir_all(zone.file("/usr")).unwrap_or_else(|e| panic!("{e}"));
    furnish(&zone);
    for profile in ["strict", "fixed-configuration", "flexible-configuration"] {
        leaves(&zone, profile);
        for (place, _) in PLACES {
            let _ = fs::remove_file(zone.file(place).join("made"));
        }
    }
}

fn an_fs_resource_is_the_administrators_word(lab: &Lab) {
    let (site, whole) = (lab.private("site"), lab.private("whole"));
    let fs = |dir: &str, special: &Path| {
        format!("add fs; set dir={dir}; set special={}; set type=lofs; end; ", special.display())
    };
    make_dir(&site, 0o755);
    make_dir(&whole, 0o755);
    let script = format!("set file-mac-profile=strict; {}{}", fs("/srv/site", &site), fs("/var", &whole));
    let zone = lab.sparse_with("web", &script);
    furnish(&zone);
    make_dir(&whole.join("lib"), 0o755);
    zone.boot();
    zone.sh("echo x > /srv/site/page && echo y > /var/lib/y").ok();
    assert!(site.join("page").exists() && whole.join("lib/y").exists());
    zone.sh("touch /srv/x").stderr_has("Read-only file system");
}

/// Everything that a root could try with programs that every Debian has.
const ATTEMPTS: [&str; 22] = [
    "mount -o remount,rw /",
    "mount -o remount,bind,rw /",
    "mount -o remount,bind,rw /var/lib/dpkg",
    "umount /var/lib/dpkg",
    "umount -l /var/lib/dpkg",
    "umount -l /var",
    "umount -l /",
    "mount --move /var/lib/dpkg /tmp",
    "mount --bind / /tmp/m && touch /tmp/m/made",
    "mount --bind /var /tmp/m && touch /tmp/m/lib/dpkg/made",
    "mount --rbind / /tmp/m && mount -o remount,bind,rw /tmp/m && touch /tmp/m/made",
    "mount --rbind / /tmp/m && touch /tmp/m/etc/made",
    "mount --bind /etc /tmp/m && touch /tmp/m/made",
    "mount --bind /var/lib/dpkg /tmp/m && mount -o remount,bind,rw /tmp/m && touch /tmp/m/made",
    "touch /proc/1/root/etc/made",
    "touch /proc/self/root/etc/made",
    "unshare -m sh -c 'umount -l /var/lib/dpkg || mount -o remount,bind,rw / && touch /etc/made'",
    "mv /var/lib /var/lib.old",
    "mv /var/lib/dpkg /var/lib/dpkg.old",
    "rmdir /var/lib/extensions",
    "ln /var/lib/dpkg/there /var/lib/mine",
    "mv /var/spool /var/spool.old",
];

fn root_inside_cannot_lift_it(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=fixed-configuration");
    furnish(&zone);
    zone.boot();
    for attempt in ATTEMPTS {
        // Beside the mounts of init, which see what is mounted on their peers.
        let script = format!("mount --make-rprivate / && mkdir -p /tmp/m && {attempt}");
        let ran = zone.zlogin(["unshare", "-m", "sh", "-c", &script]);
        assert!(ran.code() != Some(0), "must not be possible inside of an immutable zone\n{ran}");
        assert!(!ran.err().contains("--make-rprivate"), "nothing was tried\n{ran}");
        zone.sh("test -d /var/lib/dpkg && test -d /var/spool/cron && ! test -e /etc/made").ok();
    }
    // The disk itself, by its number; and by what the kernel would do for whoever may write to /proc/sys.
    let disk = fs::metadata(zone.path()).unwrap_or_else(|e| panic!("{e}")).dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    let ran = zone.sh(&format!("mknod /tmp/disk b {major} {minor} && head -c1 /tmp/disk"));
    assert!(ran.code() != Some(0), "{ran}");
    let ran = zone.sh("echo '|/bin/touch /etc/made' > /proc/sys/kernel/core_pattern");
    assert!(ran.code() != Some(0), "{ran}");
    for path in ["/etc/made", "/made", "/var/lib/dpkg/made"] {
        assert!(!zone.file(path).exists(), "{path}");
    }
    // A login sees the same as init.
    let of = |pid: &str| zone.sh(&format!("cat /proc/{pid}/mountinfo")).ok().out();
    assert_eq!(of("1"), of("self"));
}

/// A process that left the mounts behind could rename what they lie on, for the next boot to find.
fn nobody_leaves_the_mounts_behind(lab: &Lab) {
    if !Path::new("/usr/bin/perl").exists() {
        skip("there is no /usr/bin/perl");
    }
    const LEAVE: &str = r#"opendir(my $dir, "/var") or die; my ($t, $n, $k) = ("t", "/tmp/n", "tmpfs");
        mkdir $n or die; syscall(SYS_mount, $t, $n, $k, 0, 0) == 0 or die "mount: $!"; mkdir "/tmp/n/old" or die;
        my $old = "/tmp/n/old"; my $left = syscall(SYS_pivot_root, $n, $old) == 0; print $left ? "left\n" : "$!\n";
        exit unless $left; chdir "/"; my $gone = "/old"; syscall(SYS_umount2, $gone, 2) == 0 or die "umount: $!";
        my ($from, $to) = ("spool", "spool.old"); print syscall(SYS_renameat, fileno($dir), $from, fileno($dir), $to), "\n";"#;
    let leave = &numbered(LEAVE);
    let zone = lab.sparse_with("web", "set file-mac-profile=fixed-configuration; set nesting=true");
    furnish(&zone);
    zone.boot();
    zone.zlogin(["unshare", "-m", "perl", "-e", leave]).ok().stdout_is("Operation not permitted\n");
    let ran = zone.zlogin(["unshare", "-U", "-r", "-m", "perl", "-e", leave]);
    assert!(!ran.out().contains("left"), "{ran}");
    // A mount namespace that begins with one mount alone, of kernels that have it.
    let alone = r#"my $p = "/tmp"; print syscall(SYS_open_tree, -100, $p, 3) == -1 ? "$!\n" : "made\n";"#;
    zone.zlogin(["perl", "-e", &numbered(alone)]).ok().stdout_is("Invalid argument\n");
    assert!(zone.file("/var/spool/cron").exists() && !zone.file("/var/spool.old").exists());
    zone.zoneadm(["halt"]).ok();
    // Where nothing is kept inside of what is writable, nothing is lost by it.
    zone.zonecfg("set file-mac-profile=none").ok();
    zone.boot();
    let ran = zone.zlogin(["unshare", "-m", "perl", "-e", leave]);
    assert!(ran.out().starts_with("left"), "{ran}");
}

fn nothing_is_made_writable_by_a_new_user_namespace(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=fixed-configuration; set nesting=true");
    furnish(&zone);
    zone.boot();
    zone.zlogin(["unshare", "-U", "-r", "-m", "true"]).ok();
    for attempt in ATTEMPTS {
        let script = format!("mkdir -p /tmp/m && {attempt}");
        let ran = zone.zlogin(["unshare", "-U", "-r", "-m", "sh", "-c", &script]);
        assert!(ran.code() != Some(0), "must not be possible in a user namespace of a zone\n{ran}");
    }
    assert!(!zone.file("/etc/made").exists());
}

/// `R`, `W` or nothing, as `zoneadm list` says it to programs.
#[track_caller]
fn access(zone: &Zone<'_>) -> Option<String> {
    let json = zone.zoneadm(["list", "--json"]).ok().json();
    json[0]["root_access"].as_str().map(str::to_owned)
}

fn writable_once(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=strict");
    zone.zonecfg("info file-mac-profile").ok().stdout_is("file-mac-profile: strict\n");
    assert_eq!(access(&zone), None, "it is not up");
    zone.boot();
    assert_eq!(access(&zone).as_deref(), Some("R"));
    zone.zoneadm(["list", "-v"]).ok().stdout_has("read-only (strict)");
    let fields = zone.zoneadm(["list", "-p"]).ok().out();
    assert_eq!(fields.trim_end().split(':').count(), 7, "{fields}");
    zone.zoneadm(["reboot", "-w"]).ok().quiet();
    assert_eq!(access(&zone).as_deref(), Some("W"));
    zone.zoneadm(["list", "-v"]).ok().stdout_has("read-write until its next boot");
    zone.sh("echo upgraded > /etc/made").ok();
    let before = zone.status();
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&before);
    assert_eq!(access(&zone).as_deref(), Some("R"));
    zone.sh("cat /etc/made; touch /etc/made").stdout_is("upgraded\n").stderr_has("Read-only file system");
    zone.halt();
    // What Solaris has as boot -W.
    zone.zoneadm(["boot", "-w", "--wait"]).ok().quiet();
    assert_eq!(access(&zone).as_deref(), Some("W"));
    zone.zoneadm(["shutdown", "-r"]).ok();
    assert_eq!(access(&zone).as_deref(), Some("R"));
    zone.halt();
    zone.zoneadm(["ready"]).ok();
    zone.zoneadm(["boot", "-w"]).refuses().stderr_has("'zoneadm -z web halt' first");
    zone.boot();
    assert_eq!(access(&zone).as_deref(), Some("R"));
    let log = zone.zoneadm(["console", "--log"]).ok().out();
    assert_eq!(
        log.matches("NOTICE: Read-only zone boots read-write, until its next boot").count(),
        2,
        "{log}"
    );
}

fn writable_once_under_a_killed_daemon(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=strict");
    zone.boot();
    let before = zone.status();
    zone.dies(&[("zoneadmd", "step.root", 1)]);
    let _ = zone.zoneadm(["reboot", "-w"]);
    need_failpoints(&zone.die_no_more());
    // Whoever asks finds the reboot carried on.
    zone.runs_again(&before);
    until("the wish outlives the daemon", || (access(&zone).as_deref() == Some("W")).then_some(()));
    zone.sh("touch /etc/made").ok();
}

fn a_symlink_in_its_place_is_refused(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=fixed-configuration");
    make_dir(&zone.file("/elsewhere"), 0o755);
    let spool = zone.file("/var/spool");
    fs::remove_dir_all(&spool).unwrap_or_else(|e| panic!("{e}"));
    symlink("/elsewhere", &spool).unwrap_or_else(|e| panic!("{e}"));
    let said = "/var/spool is no directory but a file or a symlink";
    zone.zoneadm(["verify"]).refuses().stderr_has(said);
    zone.zoneadm(["boot"]).refuses().stderr_has(said).stderr_has("set file-mac-profile=none");
    zone.is("installed");
}

fn where_a_symlink_is_no_more_than_told_nothing_is_kept(lab: &Lab) {
    let zone = lab.sparse_with("web", "set file-mac-profile=flexible-configuration");
    let etc = zone.file("/etc");
    make_dir(&etc.join("elsewhere"), 0o755);
    let _ = fs::remove_dir_all(etc.join("rc2.d"));
    symlink("elsewhere", etc.join("rc2.d")).unwrap_or_else(|e| panic!("{e}"));
    // Nothing of a sparse zone obeys it, and that is said.
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb]).ok().stderr_has("keeps directories read-only, and these are none");
    }
    zone.sh("echo x > /etc/rc2.d/made").ok();
    zone.sh("echo x > /etc/systemd/made").stderr_has("Read-only file system");
}

/// A root whose systemd makes units of them.
fn scripts_that_the_next_boot_would_obey_are_kept(lab: &Lab) {
    let zone = lab.tiny("web", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done");
    let generators = zone.file("/usr/lib/systemd/system-generators");
    fs::create_dir_all(&generators).unwrap_or_else(|e| panic!("{e}"));
    write(&generators.join("systemd-sysv-generator"), "/etc/init.d\n");
    zone.zonecfg("set file-mac-profile=flexible-configuration").ok();
    zone.boot();
    for place in ["/etc/init.d", "/etc/rc2.d", "/etc/rcS.d"] {
        zone.sh(&format!("echo x > {place}/made")).stderr_has("Read-only file system");
        zone.sh(&format!("busybox mv {place} {place}.old")).refuses();
    }
    zone.sh("busybox mkdir /etc/rc.d && echo x > /etc/made").ok();
    zone.halt();
    fs::remove_dir(zone.file("/etc/rc2.d")).unwrap_or_else(|e| panic!("{e}"));
    symlink("rc.d", zone.file("/etc/rc2.d")).unwrap_or_else(|e| panic!("{e}"));
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb]).refuses().stderr_has("/etc/rc2.d is no directory but a file or a symlink");
    }
    zone.is("installed");
}

fn where_no_profile_is_w_is_nothing(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["boot", "-w"]).ok().stderr_has("its file-mac-profile is none, and -w changes nothing");
    assert_eq!(access(&zone), None);
    zone.zonecfg("set file-mac-profile=dynamic-zones").refuses().stderr_has("strict");
}

/// Boots a Debian 12 with systemd to the end, and says which units failed.
#[track_caller]
fn boots_with(lab: &Lab, profile: &str) {
    let zone = lab.guest("deb", "debian12-systemd", &format!("set file-mac-profile={profile}"));
    zone.boot();
    reaches_multi_user(&zone);
    zone.sh("touch /usr/made").stderr_has("Read-only file system");
    zone.sh("dpkg --force-all -r hostname").exits(2).stderr_has("Read-only file system");
    zone.sh("test -x /bin/hostname").ok();
    let before = zone.status();
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&before);
    reaches_multi_user(&zone);
}

fn debian_boots_with_strict(lab: &Lab) {
    boots_with(lab, "strict");
}

fn debian_boots_with_fixed_configuration(lab: &Lab) {
    boots_with(lab, "fixed-configuration");
}

fn debian_boots_with_flexible_configuration(lab: &Lab) {
    boots_with(lab, "flexible-configuration");
}

fn debian_is_upgraded_when_it_is_writable(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "set file-mac-profile=fixed-configuration");
    zone.boot();
    reaches_multi_user(&zone);
    zone.sh("systemctl mask --quiet systemd-timesyncd.service").refuses();
    zone.zoneadm_within(120, ["reboot", "-w"]).ok();
    reaches_multi_user(&zone);
    zone.sh("dpkg --configure -a && dpkg-reconfigure -f noninteractive debconf && touch /usr/made").ok();
    let before = zone.status();
    let _ = zone.zlogin(["reboot"]);
    zone.runs_again(&before);
    reaches_multi_user(&zone);
    zone.sh("rm /usr/made").stderr_has("Read-only file system");
}
