//! `fs` resources on disks: images here, for a test has no disk of its own.

use crate::harness::{Command, Lab, cases, make_dir, read, skip, until, write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

cases![
    an_image_is_the_zones_and_let_go_at_halt,
    a_reboot_and_a_dead_daemon_keep_it,
    what_no_kernel_should_mount_is_refused,
    an_image_has_one_zone,
    an_image_that_a_zone_could_write_to_is_refused,
    who_holds_an_image_is_named: 120,
    a_block_device_is_mounted_by_its_node,
    no_zone_has_a_disk_for_a_device_that_is_mounted,
    a_server_that_is_not_there_is_told,
];

/// An image of an ext4 file system.
pub(super) fn image(at: &Path) -> PathBuf {
    if !Path::new("/usr/sbin/mkfs.ext4").exists() || !Path::new("/dev/loop-control").exists() {
        skip("this machine has no mkfs.ext4, or no loop devices");
    }
    Command::new("truncate").args(["-s", "16M"]).args([at]).run().ok();
    Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-F"]).args([at]).run().ok();
    at.to_owned()
}

pub(super) fn ext4(dir: &str, image: &Path, more: &str) -> String {
    format!("add fs; set dir={dir}; set special={}; set type=ext4; {more}end; ", image.display())
}

#[track_caller]
fn debugfs(image: &Path, what: &str) -> String {
    Command::new("/usr/sbin/debugfs").args(["-w", "-R", what]).args([image]).run().out().to_owned()
}

/// The loop devices of an image.
pub(super) fn loops(image: &Path) -> usize {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files =
        entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("loop/backing_file")).ok());
    files.filter(|file| Path::new(file.trim()) == image).count()
}

fn an_image_is_the_zones_and_let_go_at_halt(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    // What is mounted below it needs a directory in it, which is made.
    let more = "add fs; set dir=/data/cache; set special=swap; set type=tmpfs; end";
    let zone = lab.sparse_with("web", &(ext4("/data", &image, "") + more));
    assert_eq!(loops(&image), 0);
    zone.boot();
    assert_eq!(loops(&image), 1);
    zone.sh("echo words > /data/file && chown 1000:100 /data/file && cp /usr/bin/id /data/id && chmod 4755 /data/id").ok();
    zone.sh("stat -c '%u:%g' /data /data/file /data/cache").ok().stdout_is("0:0\n1000:100\n0:0\n");
    zone.sh("stat -f -c %T /data /data/cache").ok().stdout_is("ext2/ext3\ntmpfs\n");
    zone.sh("cut -d' ' -f2,4 /proc/mounts").ok().stdout_has("/data rw,").stdout_has("nodev");
    for attempt in ["umount /data", "mknod /data/null c 1 3", "mount -o remount,dev /data"] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    // A running zone could boot again.
    zone.zoneadm(["verify"]).ok();
    zone.halt();
    assert_eq!(loops(&image), 0, "nothing is left when a halt is over");
    let stat = debugfs(&image, "stat /file");
    assert!(stat.contains("User:  1000") && stat.contains("Group:   100"), "{stat}");
    assert_eq!(debugfs(&image, "cat /file"), "words\n");
    zone.zonecfg("select fs dir=/data; add options ro; end").ok();
    zone.boot();
    zone.sh("cat /data/file").ok().stdout_is("words\n");
    let ran = zone.sh("touch /data/x || mount -o remount,rw /data");
    assert!(ran.code() != Some(0), "read-only is read-only\n{ran}");
}

fn a_reboot_and_a_dead_daemon_keep_it(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let zone = lab.sparse_with("web", &ext4("/data", &image, ""));
    zone.boot();
    for number in 0..5 {
        zone.sh(&format!("test \"$(ls /data | grep -c file)\" = {number} && touch /data/file{number}")).ok();
        zone.zoneadm(["reboot"]).ok();
        assert_eq!(loops(&image), 1, "two would each write as if alone");
    }
    zone.kill_daemon();
    zone.sh("ls /data").ok().stdout_has("file4");
    zone.halt_whatever();
    assert_eq!(loops(&image), 0);
}

fn what_no_kernel_should_mount_is_refused(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let zone = lab.sparse_with("web", &ext4("/data", &image, ""));
    let refused = |said: &str| {
        for verb in ["verify", "boot"] {
            zone.zoneadm([verb]).refuses().stderr_has("could not verify fs /data: ").stderr_has(said);
        }
        zone.is("installed");
    };
    debugfs(&image, "set_super_value state 3");
    refused("says that it has errors: run fsck.ext4 on it");
    debugfs(&image, "set_super_value state 1");
    chown(&image, Some(1000), None).unwrap_or_else(|e| panic!("{e}"));
    refused("can be written to by others than root");
    chown(&image, Some(0), None).unwrap_or_else(|e| panic!("{e}"));
    Command::new("chmod").args(["0666"]).args([&image]).run().ok();
    refused("can be written to by others than root");
    Command::new("chmod").args(["0600"]).args([&image]).run().ok();
    let plain = lab.private("plain");
    make_dir(&plain, 0o700);
    zone.zonecfg(&format!("select fs dir=/data; set special={}; end", plain.display())).ok();
    refused("is neither a block device nor an image of one in a regular file");
    let empty = lab.path("empty.img");
    Command::new("truncate").args(["-s", "16M"]).args([&empty]).run().ok();
    zone.zonecfg(&format!("select fs dir=/data; set special={}; end", empty.display())).ok();
    refused("there is no file system ext4 on");
    if !read(Path::new("/proc/filesystems")).contains("iso9660") {
        zone.zonecfg("select fs dir=/data; set type=iso9660; end").ok();
        refused("this kernel has no file system iso9660: load its module (modprobe iso9660)");
    }
    // What only the kernel sees is told in its words, and nothing is left.
    zone.zonecfg("select fs dir=/data; set type=xfs; end").ok();
    zone.zoneadm(["boot"]).refuses().stderr_has("cannot make the file system for /data");
    zone.is("installed");
    assert_eq!(loops(&empty), 0);
}

fn an_image_has_one_zone(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let first = lab.sparse_with("first", &ext4("/data", &image, ""));
    let second = lab.configured("second", &format!("set brand=sparse; {}", ext4("/mine", &image, "")));
    second.zoneadm(["install"]).refuses().stderr_has("zone first has it for its own (fs /data)");
    first.zonecfg("select fs dir=/data; add options ro; end").ok();
    second.zoneadm(["install"]).refuses().stderr_has("or add option ro to both");
    second.zonecfg("select fs dir=/mine; add options ro; end").ok();
    second.zoneadm(["install"]).ok();
    first.boot();
    second.boot();
    second.sh("ls -d /mine/lost+found").ok();
    first.halt();
    second.sh("ls -d /mine/lost+found").ok();
    second.halt();
    until("both have let go of it", || (loops(&image) == 0).then_some(()));
    // The host has it.
    let mount = lab.path("mnt");
    make_dir(&mount, 0o700);
    Command::new("mount").args(["-o", "loop"]).args([&image, &mount]).run().ok();
    first.zonecfg("select fs dir=/data; remove options ro; end").ok();
    second.zonecfg("remove fs dir=/mine").ok();
    first.zoneadm(["boot"]).refuses().stderr_has("is in use on the host (/dev/loop");
    Command::new("umount").args([&mount]).run().ok();
    until("the host has let go of it", || (loops(&image) == 0).then_some(()));
    // So it has by a device that nothing is mounted of, and that does not clear itself.
    let attach = || {
        let ran = Command::new("losetup").args(["--find", "--show"]).args([&image]).run();
        ran.ok().out().trim().to_owned()
    };
    let detach = |device: &str| {
        Command::new("losetup").args(["--detach", device]).run().ok();
        until("it is detached", || (loops(&image) == 0).then_some(()));
    };
    let device = attach();
    let said = format!("is in use on the host ({device}, which 'losetup -d {device}' takes off it)");
    first.zoneadm(["boot"]).refuses().stderr_has(&said);
    detach(&device);
    first.boot();
    let device = attach();
    first.halt();
    detach(&device);
}

fn an_image_that_a_zone_could_write_to_is_refused(lab: &Lab) {
    let share = lab.private("share");
    make_dir(&share, 0o755);
    let image = image(&share.join("disk.img"));
    let lofs = |special: &Path| {
        format!("add fs; set dir=/share; set special={}; set type=lofs; end; ", special.display())
    };
    let attacker = lab.sparse_with("attacker", &lofs(&share));
    let zone = lab.configured("web", &format!("set brand=sparse; {}", ext4("/data", &image, "")));
    zone.zoneadm(["install"]).refuses().stderr_has("where zone attacker can put anything in its place");
    // The file itself is no better.
    attacker.zonecfg(&format!("remove fs dir=/share; {}", lofs(&image))).ok();
    zone.zoneadm(["install"]).refuses().stderr_has("zone attacker");
    attacker.zonecfg("remove fs dir=/share").ok();
    zone.zoneadm(["install"]).ok();
    attacker.zonecfg(&lofs(&share)).ok();
    attacker.zoneadm(["boot"]).refuses().stderr_has("which zone web mounts (fs /data), is below it");
}

fn who_holds_an_image_is_named(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let zone = lab.sparse_with("web", &ext4("/data", &image, ""));
    zone.boot();
    let script = format!("cd /proc/{}/root/data && exec sleep 10000", zone.status().pid1());
    let mut holder =
        std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap_or_else(|e| panic!("{e}"));
    let name = PathBuf::from(format!("/proc/{}/comm", holder.id()));
    until("the holder is there", || (read(&name) == "sleep\n").then_some(()));
    let named = format!("process {} (sleep)", holder.id());
    write(&lab.run().join("patience"), "2");
    let ran = zone.zoneadm(["halt"]);
    let _ = holder.kill();
    let _ = holder.wait();
    ran.refuses().stderr_has("is still mounted as /dev/loop").stderr_has(&named);
    zone.zoneadm(["halt"]).ok();
    zone.is("installed");
    assert_eq!(loops(&image), 0);
}

fn a_block_device_is_mounted_by_its_node(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let ran = Command::new("losetup").args(["--find", "--show"]).args([&image]).run();
    let device = PathBuf::from(ran.ok().out().trim());
    let zone = lab.sparse_with("web", &ext4("/data", &device, ""));
    // The host has it.
    let mount = lab.path("mnt");
    make_dir(&mount, 0o700);
    Command::new("mount").args([&device, &mount]).run().ok();
    zone.zoneadm(["boot"]).refuses().stderr_has("is in use on the host (mounted on");
    Command::new("umount").args([&mount]).run().ok();
    zone.boot();
    zone.sh("echo words > /data/file && chown 1000:100 /data/file && stat -c %u:%g /data/file")
        .ok()
        .stdout_is("1000:100\n");
    zone.sh("cut -d' ' -f1,2 /proc/mounts").ok().stdout_has(&format!("{} /data", device.display()));
    let other = lab.configured("other", &format!("set brand=sparse; {}", ext4("/mine", &device, "")));
    other.zoneadm(["install"]).refuses().stderr_has("(fs /data)");
    zone.zonecfg("remove fs dir=/data").ok();
    zone.zoneadm(["apply"]).ok();
    Command::new("mount").args([&device, &mount]).run().ok();
    assert_eq!(read(&mount.join("file")), "words\n");
    zone.zonecfg(&ext4("/data", &device, "")).ok();
    zone.zoneadm(["apply"]).refuses().stderr_has("is in use on the host (mounted on");
    Command::new("umount").args([&mount]).run().ok();
    zone.zoneadm(["apply"]).ok();
    zone.zoneadm(["reboot"]).ok();
    zone.sh("cat /data/file").ok().stdout_is("words\n");
    zone.halt();
    Command::new("losetup").args(["--detach"]).args([&device]).run().ok();
    until("nothing of it is left", || (loops(&image) == 0).then_some(()));
}

/// Be it the same zone or two: the kernel trusts what is on a disk.
fn no_zone_has_a_disk_for_a_device_that_is_mounted(lab: &Lab) {
    let image = image(&lab.path("disk.img"));
    let ran = Command::new("losetup").args(["--find", "--show"]).args([&image]).run();
    let disk = PathBuf::from(ran.ok().out().trim());
    let add = format!("add device; set match={}; end; ", disk.display());
    let remove = format!("remove device match={}", disk.display());
    let given = format!("as a device (match {})", disk.display());
    let first = lab.sparse_with("first", &add);
    first.boot();
    // By its node and by what is behind it, and also to be read only.
    let second = lab.configured("second", "set brand=sparse");
    for special in [&image, &disk] {
        second.zonecfg(&ext4("/data", special, "add options ro; ")).ok();
        second.zoneadm(["install"]).refuses().stderr_has("zone first has it").stderr_has(&given);
        first.zonecfg(&ext4("/data", special, "")).ok();
        first.zoneadm(["apply"]).refuses().stderr_has("zone first").stderr_has(&given);
        for zone in [&first, &second] {
            zone.zonecfg("remove fs dir=/data").ok();
        }
    }
    // A zone that has it only configured keeps nobody from a boot, and is kept from its own.
    first.halt();
    second.zoneadm(["install"]).ok();
    second.zonecfg(&ext4("/data", &disk, "")).ok();
    second.zoneadm(["verify"]).refuses().stderr_has(&given);
    second.boot();
    for verb in ["verify", "boot"] {
        first.zoneadm([verb]).refuses().stderr_has("zone second mounts it").stderr_has("(fs /data)");
    }
    first.zonecfg(&remove).ok();
    first.boot();
    first.zonecfg(&add).ok();
    first.zoneadm(["apply"]).refuses().stderr_has("zone second mounts it");
    second.halt();
    until("the kernel has let go of it", || (first.zoneadm(["apply"]).code() == Some(0)).then_some(()));
    second.zoneadm(["boot"]).refuses().stderr_has("zone first has it").stderr_has(&given);
    first.halt();
    second.boot();
    second.halt();
    Command::new("losetup").args(["--detach"]).args([&disk]).run().ok();
    until("nothing of it is left", || (loops(&image) == 0).then_some(()));
}

/// That a server's directory is mounted is seen in a machine with a server (tests/host/fs.sh).
fn a_server_that_is_not_there_is_told(lab: &Lab) {
    let fs = |special: &str, more: &str| {
        format!("add fs; set dir=/net; set special={special}; set type=nfs; {more}end")
    };
    let zone = lab.sparse("web");
    for (special, more, said) in [
        ("nas:/export", "", "for type nfs allowed: host"),
        ("/export", "set owners=host; ", "a server and a directory of it"),
        ("nas:/export", "set owners=host; add options \"sec=krb5\"; ", "is not one of nfs"),
        ("nas:/export", "set owners=host; add options \"vers=3\"; ", "one of 4.0, 4.1, 4.2"),
    ] {
        zone.zonecfg(&fs(special, more)).refuses().stderr_has(said);
    }
    // The test's network has nobody on this port.
    zone.zonecfg(&fs("127.0.0.1:/export", "set owners=host; add options \"port=9\"; ")).ok();
    let known = read(Path::new("/proc/filesystems")).contains("nfs");
    let said = match known {
        true => "the server 127.0.0.1 does not answer on port 9",
        false => "this kernel has no file system nfs",
    };
    for verb in ["verify", "boot"] {
        zone.zoneadm([verb]).refuses().stderr_has("could not verify fs /net: ").stderr_has(said);
    }
    zone.is("installed");
    zone.zonecfg("remove fs dir=/net").ok();
    zone.boot();
    zone.zonecfg(&fs("127.0.0.1:/export", "set owners=host; add options \"port=9\"; ")).ok();
    zone.zoneadm(["apply"]).refuses().stderr_has(said);
    zone.sh("test ! -e /net").ok();
}
