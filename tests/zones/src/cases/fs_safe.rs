//! `fs` resources whose place on the host somebody else than the administrator could choose, or use against the host.

use crate::harness::{Command, Lab, Zone, cases, make_dir, read, until, write};
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

cases![
    a_zone_cannot_choose_what_a_nested_fs_mounts,
    a_zone_that_swaps_all_the_time_cannot_either,
    nothing_of_what_another_zone_may_write_to_is_mounted,
    a_zonepath_below_what_a_zone_may_write_to_is_refused,
    a_way_that_a_user_of_the_host_owns_is_refused,
    a_symlink_on_the_way_is_refused_with_the_real_path,
    set_user_id_programs_of_a_zone_are_out_of_users_reach,
    a_directory_with_the_hosts_owners_may_be_in_users_reach,
    a_second_mount_of_a_shared_directory_in_users_reach_is_refused,
    two_zones_with_one_range_of_ids_are_refused,
];

fn lofs(dir: &str, special: &Path, more: &str) -> String {
    format!("add fs; set dir={dir}; set special={}; set type=lofs; {more}end; ", special.display())
}

/// A directory of the host that no zone is to see.
fn secret(lab: &Lab) -> PathBuf {
    let secret = lab.path("secret");
    make_dir(&secret, 0o700);
    write(&secret.join("file"), "the host's own\n");
    secret
}

/// Has a zone with a writable `/share` swap its directory `sub` for a symlink, and looks what a second `fs` of it gives.
fn a_zone_cannot_choose_what_a_nested_fs_mounts(lab: &Lab) {
    let (secret, share) = (secret(lab), lab.private("share"));
    make_dir(&share.join("sub"), 0o755);
    // As it was allowed once: booted with the outer one alone, and the inner one added then.
    let zone = lab.sparse_with("web", &lofs("/share", &share, ""));
    zone.boot();
    zone.sh(&format!("rmdir /share/sub && ln -s {} /share/sub", secret.display())).ok();
    zone.zonecfg(&lofs("/sub", &share.join("sub"), "add options ro; ")).ok();
    for verb in ["verify", "reboot"] {
        let ran = zone.zoneadm([verb]);
        ran.refuses().stderr_has("where zone web can put anything in its place (fs /share)");
        assert!(
            !ran.err().contains(&*secret.to_string_lossy()),
            "where the zone leads is not even named\n{ran}"
        );
    }
    zone.halt_whatever();
    zone.zoneadm(["boot"]).refuses().stderr_has("it is below");
    // The same with a directory in its place, and the other way round in the configuration.
    std::fs::remove_file(share.join("sub")).unwrap_or_else(|e| panic!("{e}"));
    make_dir(&share.join("sub"), 0o755);
    zone.zoneadm(["boot"]).refuses().stderr_has("it is below");
    zone.zonecfg("select fs dir=/share; add options ro; end").ok();
    zone.boot();
    zone.sh("rmdir /share/sub || touch /share/x").refuses();
    zone.halt();
}

/// The outer `fs` is the other zone's, which swaps as fast as it can while this one boots.
fn a_zone_that_swaps_all_the_time_cannot_either(lab: &Lab) {
    let (secret, share) = (secret(lab), lab.private("share"));
    make_dir(&share.join("sub"), 0o755);
    let attacker = lab.sparse_with("attacker", &lofs("/share", &share, ""));
    attacker.boot();
    let script = format!(
        "cd /share; (while :; do mv sub aside; ln -s {} sub; touch swapped; rm sub; mv aside sub; done) >/dev/null 2>&1 &",
        secret.display()
    );
    attacker.sh(&script).ok();
    until("the attacker swaps", || share.join("swapped").exists().then_some(()));
    let zone = lab.configured("web", &format!("set brand=sparse; {}", lofs("/sub", &share.join("sub"), "")));
    for _ in 0..20 {
        let ran = zone.zoneadm(["verify"]);
        ran.refuses().stderr_has("where zone attacker can put anything in its place (fs /share)");
        assert!(!ran.err().contains(&*secret.to_string_lossy()), "{ran}");
    }
    attacker.halt();
}

fn nothing_of_what_another_zone_may_write_to_is_mounted(lab: &Lab) {
    let share = lab.private("share");
    make_dir(&share.join("sub"), 0o755);
    let first = lab.sparse_with("first", &lofs("/share", &share, ""));
    let second =
        lab.configured("second", &format!("set brand=sparse; {}", lofs("/sub", &share.join("sub"), "")));
    second
        .zoneadm(["install"])
        .refuses()
        .stderr_has("where zone first can put anything in its place (fs /share)");
    second.is("configured");
    // What lives counts as it lives, whatever its configuration says now.
    first.boot();
    first.zonecfg("remove fs dir=/share").ok();
    second.zoneadm(["verify"]).refuses().stderr_has("zone first");
    first.halt();
    second.zoneadm(["install"]).ok();
    // The same directory for two zones is what somebody may mean.
    first.zonecfg(&lofs("/sub", &share.join("sub"), "")).ok();
    first.boot();
    second.boot();
    first.sh("echo both > /sub/file").ok();
    second.zlogin(["cat", "/sub/file"]).ok().stdout_is("both\n");
    // And who wants all of what a part is another's is told so.
    first.halt();
    first.zonecfg(&format!("remove fs dir=/sub; {}", lofs("/share", &share, ""))).ok();
    first.zoneadm(["boot"]).refuses().stderr_has("which zone second mounts (fs /sub), is below it");
    second.halt();
}

fn a_zonepath_below_what_a_zone_may_write_to_is_refused(lab: &Lab) {
    let share = lab.private("share");
    make_dir(&share, 0o755);
    let _first = lab.sparse_with("first", &lofs("/share", &share, ""));
    let zonepath = share.join("second");
    let second = lab.configured("second", &format!("set brand=sparse; set zonepath={}", zonepath.display()));
    second
        .zoneadm(["install"])
        .refuses()
        .stderr_has("cannot be a zonepath: it is below")
        .stderr_has("zone first");
    second.is("configured");
    assert!(!zonepath.exists());
}

fn a_way_that_a_user_of_the_host_owns_is_refused(lab: &Lab) {
    let user = lab.private("user");
    make_dir(&user.join("data"), 0o755);
    let zone = lab.sparse_with("web", &lofs("/data", &user.join("data"), ""));
    zone.boot();
    zone.halt();
    chown(&user, Some(4242), Some(4242)).unwrap_or_else(|e| panic!("{e}"));
    for verb in ["verify", "boot", "ready"] {
        zone.zoneadm([verb])
            .refuses()
            .stderr_has("/user is not owned by root, so its owner could put anything");
        zone.is("installed");
    }
    chown(&user, Some(0), Some(0)).unwrap_or_else(|e| panic!("{e}"));
    zone.boot();
}

fn a_symlink_on_the_way_is_refused_with_the_real_path(lab: &Lab) {
    let real = lab.private("real");
    make_dir(&real.join("data"), 0o755);
    symlink("real", lab.private("link")).unwrap_or_else(|e| panic!("{e}"));
    let script = format!("set brand=sparse; {}", lofs("/data", &lab.private("link/data"), ""));
    let zone = lab.configured("web", &script);
    let remedy = format!("/link is a symlink: write the path without it, {}/data", real.display());
    zone.zoneadm(["install"]).refuses().stderr_has(&remedy);
    zone.zonecfg(&format!("select fs dir=/data; set special={}/data; end", real.display())).ok();
    zone.zoneadm(["install"]).ok();
    zone.boot();
}

/// What the zone's root marks set-user-ID is root's on the host.
fn set_user_id_programs_of_a_zone_are_out_of_users_reach(lab: &Lab) {
    let open = PathBuf::from(format!("/tmp/zones-suite-open-{}", std::process::id()));
    make_dir(&open, 0o755);
    let script = |special: &Path, more: &str| format!("set brand=sparse; {}", lofs("/data", special, more));
    let reached =
        "can be reached by users of the host, who could run set-user-ID programs that the zone leaves there";
    let zone = lab.configured("web", &script(&open, ""));
    zone.zoneadm(["install"]).refuses().stderr_has(reached).stderr_has("add option ro, have its file system");
    zone.zonecfg("select fs dir=/data; add options ro; end").ok();
    zone.zoneadm(["install"]).ok();
    zone.boot();
    zone.sh("cp /usr/bin/id /data/s").refuses();
    zone.halt();
    // Where users cannot get, the zone may; where they can since, it does not boot.
    zone.zonecfg("select fs dir=/data; remove options ro; end").ok();
    Command::new("chmod").args(["0700"]).args([&open]).run().ok();
    zone.boot();
    zone.sh("cp /usr/bin/id /data/s && chmod 4755 /data/s").ok();
    let user = |program: PathBuf| {
        // The shell between them has no capabilities any more, which setpriv keeps.
        let args = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c"];
        Command::new("setpriv").args(args).args([&format!("exec {}", program.display())]).run()
    };
    let ran = user(open.join("s"));
    assert!(ran.code() != Some(0), "a user must not get there\n{ran}");
    zone.halt();
    Command::new("chmod").args(["0755"]).args([&open]).run().ok();
    zone.zoneadm(["boot"]).refuses().stderr_has(reached);
    // A mount without set-user-ID is as good.
    std::fs::remove_file(open.join("s")).unwrap_or_else(|e| panic!("{e}"));
    Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755,nosuid", "none"]).args([&open]).run().ok();
    zone.boot();
    zone.sh("cp /usr/bin/id /data/s && chmod 4755 /data/s").ok();
    let ran = user(open.join("s"));
    ran.ok();
    assert!(!ran.out().contains("euid=0"), "{ran}");
    zone.halt();
    Command::new("umount").args([&open]).run().ok();
    std::fs::remove_dir(&open).unwrap_or_else(|e| panic!("{e}"));
}

/// Where the zone's root is for the host who he is, what he marks set-user-ID is so for nobody of the host.
fn a_directory_with_the_hosts_owners_may_be_in_users_reach(lab: &Lab) {
    let open = PathBuf::from(format!("/tmp/zones-suite-host-{}", std::process::id()));
    make_dir(&open, 0o755);
    write(&open.join("file"), "the host's\n");
    make_dir(&open.join("drop"), 0o1777);
    Command::new("chmod").args(["1777"]).args([&open.join("drop")]).run().ok();
    let zone = lab.sparse_with("web", &lofs("/data", &open, "set owners=host; "));
    zone.boot();
    zone.zlogin(["cat", "/data/file"]).ok().stdout_is("the host's\n");
    zone.zlogin(["stat", "-c", "%u", "/data/file"]).ok().stdout_is("65534\n");
    for attempt in ["echo x > /data/file", "touch /data/mine", "chmod 700 /data", "chown 0 /data/file"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "the host's files are not the zone's\n{ran}");
    }
    zone.sh("cp /usr/bin/id /data/drop/s && chmod 4755 /data/drop/s").ok();
    let user = |script: String| {
        let args = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c"];
        Command::new("setpriv").args(args).args([&script]).run()
    };
    let ran = user(format!("exec {} -u", open.join("drop/s").display()));
    let base = read(&lab.etc().join("idmap"));
    let base = base.lines().find_map(|line| line.strip_prefix("web:")?.split(':').next()).unwrap_or("?");
    ran.ok().stdout_is(&format!("{base}\n"));
    zone.halt();
    std::fs::remove_dir_all(&open).unwrap_or_else(|e| panic!("{e}"));
}

fn a_second_mount_of_a_shared_directory_in_users_reach_is_refused(lab: &Lab) {
    let share = lab.private("share");
    make_dir(&share, 0o755);
    let open = PathBuf::from(format!("/tmp/zones-suite-second-{}", std::process::id()));
    make_dir(&open, 0o755);
    let zone = lab.sparse_with("web", &lofs("/data", &share, ""));
    Command::new("mount").args(["--bind"]).args([&share, &open]).run().ok();
    let reached = format!("is {} as well, where users of the host could run", open.display());
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb]).refuses().stderr_has(&reached).stderr_has("set owners=host, add option ro");
    }
    Command::new("mount").args(["-o", "remount,bind,nosuid"]).args([&open]).run().ok();
    zone.boot();
    zone.halt();
    Command::new("umount").args([&open]).run().ok();
    std::fs::remove_dir(&open).unwrap_or_else(|e| panic!("{e}"));
}

fn two_zones_with_one_range_of_ids_are_refused(lab: &Lab) {
    let (first, second) = (lab.sparse("first"), lab.sparse("second"));
    let idmap = lab.etc().join("idmap");
    let text = read(&idmap);
    let range = |zone: &Zone<'_>| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{}:", zone.name())));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    second.boot();
    // While it runs with ids of its own, its record is edited.
    write(&idmap, format!("first:{0}\nsecond:{0}\n", range(&first)));
    for verb in ["verify", "boot", "ready"] {
        first
            .zoneadm([verb])
            .refuses()
            .stderr_has("no two zones may have an id in common")
            .stderr_has("'second'");
        first.is("installed");
    }
    // The record is right, and somebody lives who does not keep to it.
    write(&idmap, format!("first:{}\nsecond:{}\n", range(&second), range(&first)));
    for verb in ["verify", "boot"] {
        first.zoneadm([verb]).refuses().stderr_has("are in use by zone second");
    }
    second.halt();
    write(&idmap, text.clone());
    first.boot();
    second.boot();
}
