//! `fs` resources that a zone gets, and loses, while it runs.

use super::fs_disk::{ext4, image};
use super::live::differs;
use crate::harness::{Lab, Zone, cases, make_dir, read, write};
use std::os::unix::fs::symlink;
use std::path::Path;

cases![
    a_zone_that_runs_gets_file_systems_and_loses_them,
    what_it_was_booted_with_goes_too,
    what_is_in_use_stays_and_who_uses_it_is_named,
    a_zone_cannot_undo_what_a_mount_forbids,
    where_it_is_mounted_the_zone_cannot_choose,
    what_lies_below_goes_and_comes_with_it,
    an_image_comes_and_goes: 120,
    what_is_refused_is_refused_whole,
    what_a_zone_has_unmounted_is_mended,
    the_language_edits_what_is_mounted,
];

fn lofs(dir: &str, special: &Path, more: &str) -> String {
    format!("add fs; set dir={dir}; set special={}; set type=lofs; {more}end; ", special.display())
}

fn tmpfs(dir: &str) -> String {
    format!("add fs; set dir={dir}; set special=swap; set type=tmpfs; end; ")
}

/// Applies, and sees that the zone lacks nothing then and is the one that it was.
#[track_caller]
fn apply(zone: &Zone<'_>) {
    let before = zone.status();
    zone.zoneadm(["apply"]).ok().stdout_has("Applied the changes");
    assert!(differs(zone).is_empty());
    let now = zone.status();
    assert_eq!((now.uniqid, now.pid), (before.uniqid, before.pid), "it is the same zone");
}

fn shared(lab: &Lab) -> std::path::PathBuf {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    write(&data.join("hello"), "from the host\n");
    data
}

fn a_zone_that_runs_gets_file_systems_and_loses_them(lab: &Lab) {
    let (data, file) = (shared(lab), lab.path("motd"));
    write(&file, "one file\n");
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg(
        &(lofs("/srv/data", &data, "") + &tmpfs("/scratch") + &lofs("/etc/shown", &file, "add options ro; ")),
    )
    .ok()
    .stderr_has("'zoneadm -z web apply' gives it fs /srv/data, fs /scratch, fs /etc/shown");
    zone.zoneadm(["apply", "-n"]).ok().stdout_has("Checking: Adding fs /srv/data");
    zone.sh("! ls /scratch /srv/data 2>/dev/null").ok();
    apply(&zone);
    zone.sh(
        "cat /srv/data/hello /etc/shown; stat -f -c %T /scratch; stat -c '%u:%a' /srv /srv/data /scratch",
    )
    .ok()
    .stdout_is("from the host\none file\ntmpfs\n0:755\n0:755\n0:1777\n");
    zone.sh("echo from the zone > /srv/data/answer && touch /scratch/x").ok();
    assert_eq!(read(&data.join("answer")), "from the zone\n");
    zone.zonecfg(
        "select fs dir=/srv/data; add options ro; end; remove fs dir=/etc/shown; remove fs dir=/scratch",
    )
    .ok();
    apply(&zone);
    zone.sh("! touch /srv/data/x 2>/dev/null && cat /srv/data/answer && grep -c ' /scratch \\| /etc/shown ' /proc/mounts")
        .stdout_has("from the zone\n0\n");
    assert!(data.join("hello").exists() && data.join("answer").exists(), "it unmounts, it does not remove");
    zone.zonecfg("remove fs dir=/srv/data").ok();
    apply(&zone);
    zone.sh("! grep ' /srv/data ' /proc/mounts && ls -A /srv/data").ok().stdout_is("");
    zone.zoneadm(["reboot"]).ok();
    zone.sh("! grep ' /srv/data ' /proc/mounts").ok();
}

fn what_it_was_booted_with_goes_too(lab: &Lab) {
    let (data, file) = (shared(lab), lab.path("motd"));
    write(&file, "one file\n");
    let zone = lab.sparse_with(
        "web",
        &(lofs("/data", &data, "") + &lofs("/etc/shown", &file, "add options ro; ") + &tmpfs("/scratch")),
    );
    zone.boot();
    zone.sh("! umount /data 2>/dev/null && ! umount /scratch 2>/dev/null").ok();
    zone.sh("chmod 0750 /data").ok();
    zone.zonecfg("remove -F fs").ok();
    apply(&zone);
    zone.sh("! grep ' /data \\| /etc/shown \\| /scratch ' /proc/mounts; ls -A /data /scratch; stat -c '%u:%a %F' /data /etc/shown")
        .ok()
        .stdout_is("/data:\n\n/scratch:\n0:755 directory\n0:644 regular empty file\n");
    assert!(data.join("hello").exists());
    zone.zonecfg(&lofs("/data", &data, "")).ok();
    apply(&zone);
    zone.sh("cat /data/hello").ok().stdout_is("from the host\n");
    zone.halt();
    // What lies below keeps the kernel's lock where it is.
    write(&zone.file("/data/covered"), "x");
    zone.boot();
    zone.zonecfg("remove -F fs").ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("fs /data is there since the zone booted");
    zone.sh("cat /data/hello").ok();
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ls -A /data").ok().stdout_is("covered\n");
}

fn what_is_in_use_stays_and_who_uses_it_is_named(lab: &Lab) {
    let data = shared(lab);
    for booted in [true, false] {
        let zone = lab.sparse(if booted { "old" } else { "new" });
        let script = lofs("/data", &data, "") + &tmpfs("/scratch");
        if booted {
            zone.zonecfg(&script).ok();
        }
        zone.boot();
        if !booted {
            zone.zonecfg(&script).ok();
            apply(&zone);
        }
        for what in ["cd /data", "exec 7</data/hello"] {
            let ran =
                zone.sh(&format!("{what} && (sleep 1000 & echo $! > /tmp/pid) >/dev/null 2>&1 </dev/null"));
            ran.ok();
            zone.zonecfg("remove -F fs").ok();
            zone.zoneadm(["apply"])
                .refuses()
                .stderr_has("fs /data is in use by process ")
                .stderr_has("(sleep)");
            zone.sh("cat /data/hello && grep -c ' /scratch ' /proc/mounts")
                .ok()
                .stdout_is("from the host\n1\n");
            zone.zonecfg(&script).ok();
            assert!(differs(&zone).is_empty(), "all or nothing");
            zone.sh("kill $(cat /tmp/pid); while kill -0 $(cat /tmp/pid) 2>/dev/null; do :; done").ok();
        }
        zone.sh("mkdir /data/below && mount -t tmpfs mine /data/below").ok();
        zone.zonecfg("remove -F fs").ok();
        zone.zoneadm(["apply"]).refuses().stderr_has("what is mounted on /data/below");
        zone.sh("umount /data/below && rmdir /data/below").ok();
        apply(&zone);
        zone.halt();
    }
}

fn a_zone_cannot_undo_what_a_mount_forbids(lab: &Lab) {
    let data = shared(lab);
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg(&(lofs("/data", &data, "add options [ro,nosuid,noexec]; ") + &lofs("/open", &data, "")))
        .ok();
    apply(&zone);
    zone.sh("grep ' /data ' /proc/mounts").ok().stdout_has("ro,nosuid,nodev,noexec");
    for attempt in [
        "touch /data/x",
        "mount -o remount,rw /data",
        "mount -o remount,bind,rw /data",
        "mount -o remount,bind,ro,exec /data",
        "mount -o remount,bind,dev /open",
        "mkdir -p /tmp/b && mount --bind /data /tmp/b && mount -o remount,bind,rw /tmp/b",
        "mknod /open/null c 1 3",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    // A node that the host has there cannot be opened.
    crate::harness::Command::new("mknod").args([&data.join("null")]).args(["c", "1", "3"]).run().ok();
    let ran = zone.sh("test -c /open/null && : > /open/null");
    assert!(ran.code() != Some(0), "{ran}");
    let ran = zone.sh("test -c /open/null && mount -o remount,bind,rw,dev /open && : > /open/null");
    assert!(ran.code() != Some(0), "{ran}");
}

fn where_it_is_mounted_the_zone_cannot_choose(lab: &Lab) {
    let data = shared(lab);
    let secret = lab.path("secret");
    make_dir(&secret, 0o755);
    let zone = lab.sparse("web");
    zone.boot();
    zone.sh(&format!("ln -s {} /out && ln -s /etc /inside && : > /file", secret.display())).ok();
    for dir in ["/out/x", "/out", "/inside/x", "/file/x"] {
        zone.zonecfg(&lofs(dir, &data, "")).ok();
        zone.zoneadm(["apply"]).refuses().stderr_has(&format!("find in the zone {dir}"));
        zone.zonecfg("remove -F fs").ok();
        assert!(differs(&zone).is_empty());
    }
    assert_eq!(std::fs::read_dir(&secret).map(Iterator::count).ok(), Some(0));
    // A link of the host's does not lead to what the zone has either.
    symlink(&data, lab.path("link")).unwrap_or_else(|e| panic!("{e}"));
    zone.zonecfg(&lofs("/data", &lab.path("link"), "")).ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("symlink");
}

fn what_lies_below_goes_and_comes_with_it(lab: &Lab) {
    let (data, other) = (shared(lab), lab.private("other"));
    make_dir(&other, 0o755);
    let zone = lab.sparse_with("web", &tmpfs("/srv/sub"));
    zone.boot();
    zone.zonecfg(&lofs("/srv", &data, "")).ok();
    apply(&zone);
    zone.sh("cat /srv/hello; stat -f -c %T /srv/sub").ok().stdout_is("from the host\ntmpfs\n");
    zone.zonecfg(&format!("select fs dir=/srv; set special={}; end", other.display())).ok();
    apply(&zone);
    zone.sh("ls /srv; stat -f -c %T /srv/sub").ok().stdout_is("sub\ntmpfs\n");
    zone.zonecfg("remove fs dir=/srv").ok();
    apply(&zone);
    zone.sh("stat -f -c %T /srv/sub; grep -c ' /srv' /proc/mounts").ok().stdout_is("tmpfs\n1\n");
}

fn an_image_comes_and_goes(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg(&ext4("/data", &image, "")).ok();
    apply(&zone);
    zone.sh("echo words > /data/file && chown 1000:100 /data/file && stat -c %u:%g /data/file")
        .ok()
        .stdout_is("1000:100\n");
    zone.zonecfg("select fs dir=/data; add options ro; end").ok();
    apply(&zone);
    zone.sh("cat /data/file; ! touch /data/x 2>/dev/null").ok().stdout_is("words\n");
    zone.zonecfg("remove fs dir=/data").ok();
    apply(&zone);
    assert_eq!(super::fs_disk::loops(&image), 0, "nothing is left when it is over");
    let damage = crate::harness::Command::new("/usr/sbin/debugfs")
        .args(["-w", "-R", "set_super_value state 3"])
        .args([&image])
        .run();
    damage.ok();
    zone.zonecfg(&ext4("/data", &image, "")).ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("says that it has errors: run fsck.ext4 on it");
    assert_eq!(super::fs_disk::loops(&image), 0);
}

fn what_is_refused_is_refused_whole(lab: &Lab) {
    let data = shared(lab);
    let zone = lab.sparse_with("web", &tmpfs("/scratch"));
    zone.boot();
    zone.sh("touch /scratch/kept").ok();
    zone.zonecfg(
        &(lofs("/data", &data, "") + &lofs("/more", Path::new("/nowhere"), "") + "remove fs dir=/scratch"),
    )
    .ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("/nowhere");
    zone.sh("ls /scratch; ! ls /data 2>/dev/null").ok().stdout_is("kept\n");
    // What is found when it is made is taken back: here a file is in the way.
    zone.zonecfg(&format!("select fs dir=/more; set dir=/file/x; set special={}; end", data.display())).ok();
    zone.sh(": > /file").ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("/file/x");
    zone.sh("stat -f -c %T /scratch; ! grep ' /data ' /proc/mounts").ok().stdout_is("tmpfs\n");
}

fn what_a_zone_has_unmounted_is_mended(lab: &Lab) {
    let data = shared(lab);
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg(&lofs("/data", &data, "")).ok();
    apply(&zone);
    zone.sh("umount /data && ! ls /data/hello 2>/dev/null").ok();
    zone.zoneadm(["apply"]).ok().stdout_has("It has what is configured");
    zone.sh("cat /data/hello; grep -c ' /data ' /proc/mounts").ok().stdout_is("from the host\n1\n");
    zone.zoneadm(["apply"]).ok();
    zone.sh("grep -c ' /data ' /proc/mounts").ok().stdout_is("1\n");
    // Boot mounts are locked: they cannot be unmounted.
    zone.zoneadm(["reboot"]).ok();
    zone.sh("! umount /data").ok();
}

fn the_language_edits_what_is_mounted(lab: &Lab) {
    let data = shared(lab);
    let zone = lab.sparse("web");
    zone.boot();
    let script = lofs("/data", &data, "") + "commit";
    lab.command("zonecfg", ["-z", "web", "-r", script.as_str()]).run().ok();
    zone.sh("cat /data/hello").ok().stdout_is("from the host\n");
    zone.zoneadm(["apply", "-n"]).ok().stdout_has("Removing fs /data");
    lab.command("zonecfg", ["-z", "web", "-r", "remove fs dir=/data; commit"]).run().ok();
    zone.sh("! grep ' /data ' /proc/mounts").ok();
}
