//! `fs` resources of type overlay, those that follow what the host mounts later, and what a zone may mount itself.

use super::live::differs;
use crate::harness::{Command, Lab, cases, make_dir, read, skip, write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

cases![
    an_overlay_keeps_what_the_zone_changes,
    an_overlay_of_two_directories_is_read_only,
    what_an_overlay_changes_is_nobody_elses,
    an_overlay_comes_and_goes_while_the_zone_runs,
    what_the_host_mounts_later_appears_when_asked,
    a_private_mount_is_followed_by_nobody,
    what_a_zone_may_mount_the_kernel_says,
];

fn lower(lab: &Lab) -> PathBuf {
    if !read(Path::new("/proc/filesystems")).lines().any(|line| line.ends_with("\toverlay")) {
        skip("this kernel has no overlay");
    }
    let lower = lab.private("lower");
    make_dir(&lower, 0o755);
    write(&lower.join("hello"), "from below\n");
    write(&lower.join("other"), "other\n");
    lower
}

fn upper(lab: &Lab) -> PathBuf {
    let upper = lab.private("upper");
    make_dir(&upper, 0o755);
    upper
}

fn overlay(dir: &str, lower: &Path, options: &str) -> String {
    format!(
        "add fs; set dir={dir}; set special={}; set type=overlay; add options \"{options}\"; end; ",
        lower.display()
    )
}

fn an_overlay_keeps_what_the_zone_changes(lab: &Lab) {
    let (lower, upper) = (lower(lab), upper(lab));
    let zone = lab.sparse_with("web", &overlay("/data", &lower, &format!("upper={}", upper.display())));
    zone.boot();
    zone.sh("cat /data/hello; stat -c '%u:%g' /data /data/hello; stat -f -c %T /data")
        .ok()
        .stdout_is("from below\n0:0\n0:0\noverlayfs\n");
    zone.sh(
        "echo from the zone > /data/hello && rm /data/other && touch /data/mine && chown 1000:100 /data/mine",
    )
    .ok();
    assert_eq!(read(&lower.join("hello")), "from below\n");
    assert!(lower.join("other").exists(), "what is below is never changed");
    let kept = upper.join("upper");
    assert_eq!(read(&kept.join("hello")), "from the zone\n");
    let owner = |name: &str| std::fs::metadata(kept.join(name)).map(|found| (found.uid(), found.gid())).ok();
    assert_eq!((owner("hello"), owner("mine")), (Some((0, 0)), Some((1000, 100))), "as the zone counts");
    // Nothing of the host's paths is told, and nothing that is forbidden can be had.
    let table = zone.sh("grep ' /data ' /proc/mounts");
    assert!(!table.ok().out().contains(&*lower.to_string_lossy()), "{table}");
    for attempt in ["umount /data", "mount -o remount,bind,dev /data", "mknod /data/null c 1 3"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    zone.zoneadm(["verify"]).ok();
    zone.zoneadm(["reboot"]).ok();
    zone.sh("cat /data/hello; ls /data").ok().stdout_is("from the zone\nhello\nmine\n");
    zone.halt();
    zone.zonecfg("select fs dir=/data; add options ro; end").ok();
    zone.boot();
    zone.sh("cat /data/hello; ! touch /data/x 2>/dev/null").ok().stdout_is("from the zone\n");
}

fn an_overlay_of_two_directories_is_read_only(lab: &Lab) {
    let (lower, more) = (lower(lab), lab.private("more"));
    make_dir(&more, 0o755);
    write(&more.join("more"), "more\n");
    write(&more.join("hello"), "hidden\n");
    let zone = lab.sparse("web");
    zone.zonecfg(&format!("add fs; set dir=/data; set special={}; set type=overlay; end", lower.display()))
        .refuses()
        .stderr_has("an overlay needs upper=");
    zone.zonecfg(&overlay("/data", &lower, "upper=srv")).refuses().stderr_has("an absolute path of the host");
    zone.zonecfg(&overlay("/data", &lower, &format!("lower={}", more.display()))).ok();
    zone.boot();
    zone.sh("cat /data/hello /data/more; ! touch /data/x 2>/dev/null").ok().stdout_is("from below\nmore\n");
}

fn what_an_overlay_changes_is_nobody_elses(lab: &Lab) {
    let (lower, upper) = (lower(lab), upper(lab));
    let options = format!("upper={}", upper.display());
    let zone = lab.sparse_with("web", &overlay("/data", &lower, &options));
    let other = lab.configured("other", &format!("set brand=sparse; {}", overlay("/mine", &lower, &options)));
    other.zoneadm(["install"]).refuses().stderr_has("zone web has it for its own (fs /data)");
    // What is below may be everybody's.
    let own = lab.private("own");
    make_dir(&own, 0o755);
    other.zonecfg("remove fs dir=/mine").ok();
    other.zonecfg(&overlay("/mine", &lower, &format!("upper={}", own.display()))).ok();
    other.zoneadm(["install"]).ok();
    zone.boot();
    other.boot();
    other.sh("rm /mine/hello").ok();
    zone.sh("cat /data/hello").ok().stdout_is("from below\n");
    other.halt();
    // What the zone leaves there is root's, so no user may reach it.
    let open = lab.path("open");
    make_dir(&open, 0o755);
    other.zonecfg("remove fs dir=/mine").ok();
    other.zonecfg(&overlay("/mine", &lower, &format!("upper={}", open.display()))).ok();
    other.zoneadm(["boot"]).refuses().stderr_has("can be reached by users of the host");
}

fn an_overlay_comes_and_goes_while_the_zone_runs(lab: &Lab) {
    let (lower, upper) = (lower(lab), upper(lab));
    let zone = lab.sparse("web");
    zone.boot();
    zone.zonecfg(&overlay("/data", &lower, &format!("upper={}", upper.display()))).ok();
    zone.zoneadm(["apply"]).ok();
    zone.sh("echo changed > /data/hello && stat -c '%u %U' /data/hello").ok().stdout_is("0 root\n");
    zone.zonecfg("remove fs dir=/data").ok();
    zone.zoneadm(["apply"]).ok();
    zone.sh("! grep ' /data ' /proc/mounts").ok();
    assert!(differs(&zone).is_empty());
    assert_eq!(read(&upper.join("upper/hello")), "changed\n");
}

#[track_caller]
fn mount(words: &[&str], paths: &[&Path]) {
    Command::new("mount").args(words).args(paths).run().ok();
}

fn what_the_host_mounts_later_appears_when_asked(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data.join("sub"), 0o755);
    mount(&["--bind"], &[&data, &data]);
    mount(&["--make-shared"], &[&data]);
    let lofs = |options: &str| {
        format!("add fs; set dir=/data; set special={}; set type=lofs; {options}end", data.display())
    };
    let (zone, plain) =
        (lab.sparse_with("web", &lofs("add options rslave; ")), lab.sparse_with("plain", &lofs("")));
    plain.boot();
    let ran = zone.zoneadm(["boot"]);
    if ran.err().contains("no program guards them") {
        skip("this host cannot guard devices");
    }
    ran.ok();
    let sub = data.join("sub");
    mount(&["-t", "tmpfs", "-o", "mode=755", "disk"], &[&sub]);
    write(&sub.join("file"), "mounted later\n");
    Command::new("mknod").args(["-m", "0666"]).args([&sub.join("kmsg")]).args(["c", "1", "11"]).run().ok();
    Command::new("cp").args(["/usr/bin/id"]).args([&sub.join("id")]).run().ok();
    Command::new("chmod").args(["4755"]).args([&sub.join("id")]).run().ok();
    zone.sh("cat /data/sub/file; stat -c %u /data/sub/file").ok().stdout_is("mounted later\n65534\n");
    plain.sh("ls -A /data/sub").ok().stdout_is("");
    // Neither the host's devices nor its set-user-ID programs come with it.
    for attempt in ["head -c1 /data/sub/kmsg", "touch /data/sub/x", "mount -o remount,bind,suid,dev /data"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    zone.sh("/data/sub/id -u").ok().stdout_is("0\n");
    zone.sh("mount -t tmpfs mine /data/sub").ok();
    assert!(sub.join("file").exists(), "what the zone mounts does not show on the host");
    zone.sh("umount /data/sub").ok();
    Command::new("umount").args([&sub]).run().ok();
    zone.sh("ls -A /data/sub").ok().stdout_is("");
    // The same for one that is given while the zone runs.
    plain.zonecfg("select fs dir=/data; add options rslave; end").ok();
    plain.zoneadm(["apply"]).ok();
    mount(&["-t", "tmpfs", "-o", "mode=755", "disk"], &[&sub]);
    write(&sub.join("file"), "once more\n");
    plain.sh("cat /data/sub/file").ok().stdout_is("once more\n");
    zone.halt();
    plain.halt();
    Command::new("umount").args([&sub]).run().ok();
    Command::new("umount").args([&data]).run().ok();
}

fn a_private_mount_is_followed_by_nobody(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    mount(&["--bind"], &[&data, &data]);
    mount(&["--make-private"], &[&data]);
    let script = format!(
        "add fs; set dir=/data; set special={}; set type=lofs; add options rslave; end",
        data.display()
    );
    let zone = lab.configured("web", &format!("set brand=sparse; {script}"));
    zone.zoneadm(["verify"]).refuses().stderr_has("its mount is private: say 'mount --make-shared");
    Command::new("umount").args([&data]).run().ok();
}

/// `fs-allowed` of Solaris is kept, and what it would forbid is what Linux lets nobody do in a user namespace.
fn what_a_zone_may_mount_the_kernel_says(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zonecfg("set fs-allowed=ufs,pcfs")
        .ok()
        .stderr_has("kept, but without a meaning on Linux: fs-allowed");
    zone.zonecfg("info fs-allowed").ok().stdout_has("fs-allowed: ufs,pcfs");
    zone.boot();
    zone.sh("mkdir -p /tmp/m && mount -t tmpfs mine /tmp/m && umount /tmp/m").ok();
    for fstype in ["ext4", "xfs", "btrfs", "squashfs", "vfat", "iso9660"] {
        let ran = zone.sh(&format!("truncate -s 1M /tmp/image; mount -t {fstype} /tmp/image /tmp/m"));
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
}
