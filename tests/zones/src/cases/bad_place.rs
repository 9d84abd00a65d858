//! Zonepaths and roots that cannot be used, and kernels that lack something.

use crate::harness::{Command, Lab, Ran, Zone, cases, make_dir, set_mode, skip, write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

cases![
    another_zones_path,
    a_path_below_another_zones,
    the_same_root_by_a_bind_mount,
    mounts_left_below_the_root,
    a_zonepath_on_nosuid,
    a_zonepath_through_a_link,
    a_zonepath_that_others_own_or_write,
    a_zonepath_that_is_a_file,
    a_root_with_the_wrong_mode,
    a_kernel_without_what_is_needed,
    a_kernel_without_seccomp_filters,
    a_host_whose_user_namespaces_are_switched_off,
    a_kernel_without_user_namespaces,
    a_host_without_cgroup2,
    a_kernel_without_cgroup_kill,
    a_deep_root_is_no_obstacle,
];

/// Has a zone's zonepath written by hand where it can also stand, in its configuration and in the index.
fn by_hand(lab: &Lab, zone: &Zone<'_>, place: &Path) {
    let own = zone.path().display().to_string();
    for file in [format!("{}.toml", zone.name()), "index".to_owned()] {
        let file = lab.etc().join(file);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(text.contains(&own), "{text}");
        write(&file, text.replace(&own, &place.display().to_string()));
    }
}

fn another_zones_path(lab: &Lab) {
    let one = lab.sparse("one");
    let place = one.path();
    let two = lab.configured("two", "");
    two.zonecfg(&format!("set zonepath={}", place.display()))
        .refuses()
        .stderr_has("zonepath overlaps the zonepath of zone one, ")
        .stderr_has(&place.to_string_lossy());
    by_hand(lab, &two, &place);
    two.zoneadm(["install"])
        .refuses()
        .stderr_has("one")
        .stderr_has("two")
        .stderr_has(&place.to_string_lossy());
    // Both are told, for either may be the one that is wrong.
    one.zoneadm(["verify"]).refuses().stderr_has("two");
    two.remove();
    one.boot();
}

fn a_path_below_another_zones(lab: &Lab) {
    let one = lab.sparse("one");
    let place = one.path().join("root/srv/two");
    let two = lab.configured("two", "");
    two.zonecfg(&format!("set zonepath={}", place.display())).refuses().stderr_has("overlaps");
    by_hand(lab, &two, &place);
    two.zoneadm(["install"]).refuses().stderr_has("overlap");
    assert!(!place.exists());
}

fn the_same_root_by_a_bind_mount(lab: &Lab) {
    let one = lab.sparse("one");
    let two = lab.sparse("two");
    let (from, to) = (one.file("/"), two.file("/"));
    one.boot();
    Command::new("mount").args(["--bind"]).args([&from, &to]).run().ok();
    let ran = two.zoneadm(["boot"]);
    Command::new("umount").args([&to]).run().ok();
    ran.refuses().stderr_has("one");
    two.is("installed");
    two.boot();
}

fn mounts_left_below_the_root(lab: &Lab) {
    let zone = lab.sparse("web");
    let place = zone.file("/mnt");
    Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).args([&place]).run().ok();
    let ran = zone.zoneadm(["boot"]);
    Command::new("umount").args([&place]).run().ok();
    ran.refuses().stderr_has("These file-systems are mounted on subdirectories of");
    ran.stderr_has(&place.to_string_lossy());
    zone.is("installed");
    zone.boot();
}

fn a_zonepath_on_nosuid(lab: &Lab) {
    let place = lab.path("nosuid");
    make_dir(&place, 0o755);
    Command::new("mount").args(["-t", "tmpfs", "-o", "nosuid,mode=755", "tmpfs"]).args([&place]).run().ok();
    let zone = lab.configured("web", &format!("set brand=sparse; set zonepath={}/web", place.display()));
    let ran = zone.zoneadm(["install"]);
    ran.refuses().stderr_has("nosuid").stderr_has(&place.to_string_lossy());
    zone.is("configured");
    Command::new("umount").args([&place]).run().ok();
}

fn a_zonepath_through_a_link(lab: &Lab) {
    make_dir(&lab.path("real"), 0o755);
    symlink(lab.path("real"), lab.path("link")).unwrap_or_else(|e| panic!("{e}"));
    let zone =
        lab.configured("web", &format!("set brand=sparse; set zonepath={}/web", lab.path("link").display()));
    zone.zoneadm(["install"]).refuses().stderr_has("link");
    zone.is("configured");
    assert!(!lab.path("real/web").exists());
}

fn a_zonepath_that_others_own_or_write(lab: &Lab) {
    let place = lab.path("shared");
    make_dir(&place, 0o777);
    let zone = lab.configured("web", &format!("set brand=sparse; set zonepath={}/web", place.display()));
    zone.zoneadm(["install"]).refuses().stderr_has(&place.to_string_lossy());
    set_mode(&place, 0o755);
    std::os::unix::fs::chown(&place, Some(1000), None).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["install"]).refuses().stderr_has("is not owned by root");
    zone.is("configured");
    std::os::unix::fs::chown(&place, Some(0), None).unwrap_or_else(|e| panic!("{e}"));
    zone.zoneadm(["install"]).ok();
}

fn a_zonepath_that_is_a_file(lab: &Lab) {
    let place = lab.path("file");
    write(&place, "x");
    let zone = lab.configured("web", &format!("set brand=sparse; set zonepath={}", place.display()));
    zone.zoneadm(["install"]).refuses().stderr_has(&place.to_string_lossy()).stderr_has("directory");
    zone.is("configured");
}

fn a_root_with_the_wrong_mode(lab: &Lab) {
    let zone = lab.sparse("web");
    set_mode(&zone.path(), 0o755);
    zone.zoneadm(["boot"]).refuses().stderr_has(&zone.path().to_string_lossy()).stderr_has("0700");
    set_mode(&zone.path(), 0o700);
    zone.boot();
    assert_eq!(std::fs::metadata(zone.path()).map(|meta| meta.mode() & 0o777).ok(), Some(0o700));
}

/// Boots with a system call that answers ENOSYS, as on an older kernel.
fn boot_without(lab: &Lab, zone: &Zone<'_>, number: u32) -> Ran {
    let suite = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let words = ["--without-call", &number.to_string(), "--"].map(String::from);
    let boot =
        Command::new(suite).args(words).args([lab.program("zoneadm")]).args(["-z", zone.name(), "boot"]);
    boot.env("ZONES_ROOT", lab.root()).run()
}

fn a_kernel_without_what_is_needed(lab: &Lab) {
    let zone = lab.sparse("web");
    // Every row of docs/kernel-features.md that is a call. x86_64 and aarch64 agree on all that are younger than 2019. No
    // kernel has the youngest of them and lacks others, but the filter of a container may be so.
    for (name, number, since) in [
        ("mount_setattr", 442, "5.12"),
        ("close_range", 436, "5.11"),
        ("openat2", 437, "5.6"),
        ("clone3", 435, "5.3"),
        ("pidfd_open", 434, "5.3"),
        ("fsmount", 432, "5.2"),
        ("fsconfig", 431, "5.2"),
        ("fsopen", 430, "5.2"),
        ("move_mount", 429, "5.2"),
        ("open_tree", 428, "5.2"),
    ] {
        let ran = boot_without(lab, &zone, number);
        ran.refuses().stderr_has(&format!("lacks {name}")).stderr_has(&format!("Linux {since} or newer"));
        zone.is("installed");
        zone.daemon_leaves();
    }
    zone.boot();
}

fn a_kernel_without_seccomp_filters(lab: &Lab) {
    let zone = lab.sparse("web");
    let number = if cfg!(target_arch = "x86_64") { 317 } else { 277 };
    refused(&zone, &boot_without(lab, &zone, number), "no seccomp filters", "CONFIG_SECCOMP_FILTER");
    zone.boot();
}

/// The boot is refused with what is missing and the remedy, and leaves nothing.
fn refused(zone: &Zone<'_>, ran: &Ran, missing: &str, remedy: &str) {
    ran.exits(1).stderr_has(missing).stderr_has(remedy);
    zone.is("installed");
    zone.daemon_leaves();
}

/// Boots after the commands of a script, which has namespaces of its own for what it changes.
fn boot_after(lab: &Lab, zone: &Zone<'_>, namespaces: &[&str], script: &str) -> Ran {
    let script = format!("set -e\n{script}\nexec \"$0\" -z {} boot", zone.name());
    let command = Command::new("unshare").args(namespaces).args(["/bin/sh", "-c", &script]);
    command.args([lab.program("zoneadm")]).env("ZONES_ROOT", lab.root()).run()
}

fn a_host_whose_user_namespaces_are_switched_off(lab: &Lab) {
    let zone = lab.sparse("web");
    // The limit is one of the user namespace that it is written in.
    let off = "echo 0 > /proc/sys/user/max_user_namespaces";
    let ran = boot_after(lab, &zone, &["--user", "--map-root-user"], off);
    refused(&zone, &ran, "user namespaces are switched off", "sysctl user.max_user_namespaces=10000");
    zone.boot();
}

fn a_kernel_without_user_namespaces(lab: &Lab) {
    let zone = lab.sparse("web");
    let ran = boot_after(lab, &zone, &["--mount"], "mount -t tmpfs none /proc/sys/user");
    refused(&zone, &ran, "this kernel has no user namespaces", "CONFIG_USER_NS");
    zone.boot();
}

fn a_host_without_cgroup2(lab: &Lab) {
    let zone = lab.sparse("web");
    let unmount = "sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts | while read -r at; do umount -l \"$at\"; done";
    let ran = boot_after(lab, &zone, &["--mount"], unmount);
    refused(&zone, &ran, "no cgroup2 file system is mounted", "mount -t cgroup2");
    zone.boot();
}

fn a_kernel_without_cgroup_kill(lab: &Lab) {
    if Command::new("strace").args(["-V"]).run_if().is_none() {
        skip("there is no strace");
    }
    let zone = lab.sparse("web");
    let boot = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-P", "cgroup.kill"])
        .args(["-e", "inject=newfstatat,statx:error=ENOENT"])
        .args([lab.program("zoneadm")])
        .args(["-z", zone.name(), "boot"]);
    let ran = boot.env("ZONES_ROOT", lab.root()).run();
    refused(&zone, &ran, "lacks cgroup.kill", "boot Linux 5.14 or newer");
    zone.boot();
}

fn a_deep_root_is_no_obstacle(lab: &Lab) {
    // Deeper than a socket's address is long (108 bytes).
    let deep = lab.root().join("d".repeat(60)).join("e".repeat(60));
    make_dir(&deep, 0o755);
    let run = |program: &str, args: &[&str]| {
        let root = deep.to_string_lossy().into_owned();
        Command::new(lab.program(program)).args(args).env("ZONES_ROOT", root).run()
    };
    run("zonecfg", &["-z", "deep", "create; set brand=sparse"]).ok();
    for verb in [&["install"][..], &["boot"], &["list"], &["halt"], &["uninstall", "-F"]] {
        run("zoneadm", &[&["-z", "deep"], verb].concat()).ok();
    }
    run("zonecfg", &["-z", "deep", "delete", "-F"]).ok();
    assert!(!Path::new(&deep).join("var/lib/zones/deep").exists());
}
