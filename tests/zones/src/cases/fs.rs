//! `fs` resources.

use crate::harness::{Lab, cases, make_dir, read, write};
use std::os::unix::fs::symlink;

cases![
    a_directory_of_the_host_is_shown,
    a_single_file_is_shown,
    read_only_is_read_only,
    tmpfs_is_empty_each_time,
    parents_come_before_children,
    a_missing_source_is_named,
    links_in_the_zone_do_not_lead_out,
    what_is_mounted_inside_does_not_show_outside,
    mount_points_are_made,
];

fn a_directory_of_the_host_is_shown(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    write(&data.join("hello"), "from the host\n");
    let script = format!("add fs; set dir=/data; set special={}; set type=lofs; end", data.display());
    let zone = lab.sparse_with("web", &script);
    zone.boot();
    zone.zlogin(["cat", "/data/hello"]).ok().stdout_is("from the host\n");
    zone.sh("echo from the zone > /data/answer").ok();
    assert_eq!(read(&data.join("answer")), "from the zone\n");
    zone.zlogin(["stat", "-c", "%u:%g", "/data/hello"]).ok();
    zone.halt();
    assert!(data.join("hello").exists(), "a halt unmounts, it does not remove");
}

fn a_single_file_is_shown(lab: &Lab) {
    let file = lab.path("motd");
    write(&file, "one file\n");
    let script = format!(
        "add fs; set dir=/etc/shown; set special={}; set type=lofs; add options ro; end",
        file.display()
    );
    let zone = lab.sparse_with("web", &script);
    zone.boot();
    zone.zlogin(["cat", "/etc/shown"]).ok().stdout_is("one file\n");
    let ran = zone.sh("echo x > /etc/shown");
    assert!(ran.code() != Some(0), "{ran}");
}

fn read_only_is_read_only(lab: &Lab) {
    let data = lab.path("data");
    make_dir(&data, 0o777);
    let script = format!(
        "add fs; set dir=/data; set special={}; set type=lofs; add options [ro,nodev]; end",
        data.display()
    );
    let zone = lab.sparse_with("web", &script);
    zone.boot();
    for attempt in [
        "touch /data/x",
        "mount -o remount,rw /data",
        "mount -o remount,bind,rw /data",
        "umount /data",
        "chmod 700 /data",
    ] {
        let ran = zone.sh(attempt);
        assert!(ran.code() != Some(0), "must not be possible inside a zone\n{ran}");
    }
    assert_eq!(std::fs::read_dir(&data).map(Iterator::count).ok(), Some(0));
}

fn tmpfs_is_empty_each_time(lab: &Lab) {
    let script = "add fs; set dir=/scratch; set special=swap; set type=tmpfs; add options \"size=1m\"; end";
    let zone = lab.sparse_with("web", script);
    zone.boot();
    zone.sh("echo here > /scratch/file && cat /scratch/file").ok().stdout_is("here\n");
    let ran = zone.sh("head -c 4000000 /dev/zero > /scratch/big");
    assert!(ran.code() != Some(0), "the size is a limit\n{ran}");
    zone.zoneadm(["reboot"]).ok();
    zone.sh("ls -A /scratch | wc -l").ok().stdout_is("0\n");
    assert!(!zone.file("/scratch/file").exists());
}

fn parents_come_before_children(lab: &Lab) {
    let inner = lab.private("inner");
    make_dir(&inner, 0o755);
    write(&inner.join("deep"), "deep\n");
    // Written with the child first.
    let script = format!(
        "add fs; set dir=/a/b; set special={}; set type=lofs; end; add fs; set dir=/a; set special=swap; set type=tmpfs; end",
        inner.display()
    );
    let zone = lab.sparse_with("web", &script);
    zone.boot();
    zone.zlogin(["cat", "/a/b/deep"]).ok().stdout_is("deep\n");
}

fn a_missing_source_is_named(lab: &Lab) {
    let source = lab.private("source");
    let text = source.display().to_string();
    let script = format!("set brand=sparse; add fs; set dir=/data; set special={text}; set type=lofs; end");
    let zone = lab.configured("web", &script);
    zone.zoneadm(["install"]).refuses().stderr_has(&text).stderr_has("/data");
    zone.is("configured");
    make_dir(&source, 0o755);
    zone.zoneadm(["install"]).ok();
    std::fs::remove_dir(&source).unwrap_or_else(|e| panic!("{e}"));
    for verb in ["verify", "boot", "ready"] {
        zone.zoneadm([verb]).refuses().stderr_has(&text).stderr_has("/data");
        zone.is("installed");
    }
}

fn links_in_the_zone_do_not_lead_out(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    make_dir(&lab.path("outside/etc"), 0o755);
    let script = format!("add fs; set dir=/opt/way; set special={}; set type=lofs; end", data.display());
    let zone = lab.sparse_with("web", &script);
    // What a zone's root may have done to its own /opt while it ran.
    std::fs::remove_dir(zone.file("/opt")).unwrap_or_else(|e| panic!("{e}"));
    symlink(lab.path("outside"), zone.file("/opt")).unwrap_or_else(|e| panic!("{e}"));
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has("/opt").stderr_has("symlink");
    zone.is("installed");
    assert!(!lab.path("outside/way").exists(), "nothing was made where the link leads");
}

fn what_is_mounted_inside_does_not_show_outside(lab: &Lab) {
    let data = lab.private("data");
    make_dir(&data, 0o755);
    let script = format!("add fs; set dir=/data; set special={}; set type=lofs; end", data.display());
    let zone = lab.sparse_with("web", &script);
    zone.boot();
    zone.sh("mkdir -p /data/sub && mount -t tmpfs tmpfs /data/sub && touch /data/sub/hidden").ok();
    assert!(!data.join("sub/hidden").exists());
    assert!(!read(std::path::Path::new("/proc/self/mountinfo")).contains("/data/sub"));
    zone.halt();
}

fn mount_points_are_made(lab: &Lab) {
    let zone =
        lab.sparse_with("web", "add fs; set dir=/made/on/the/way; set special=swap; set type=tmpfs; end");
    zone.boot();
    zone.sh("touch /made/on/the/way/x").ok();
}
