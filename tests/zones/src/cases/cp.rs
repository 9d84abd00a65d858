//! `zoneadm cp`: files into a zone and out of it, and a zone that wants more than that.

use crate::harness::{Command, Lab, Terminal, Zone, cases, until, write};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

cases![
    a_tree_goes_in_and_comes_out_as_it_was,
    what_is_there_is_left_alone_and_what_was_interrupted_goes_on,
    links_of_the_zone_lead_nowhere_on_the_host: 120,
    a_zone_that_races_gets_nothing_of_the_host: 120,
    what_cannot_be_copied_is_said,
];

fn cp(lab: &Lab, options: &[&str], from: &str, to: &str) -> Command {
    lab.command("zoneadm", ["cp"]).args(options).args([from, to])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn started(lab: &Lab) -> Zone<'_> {
    lab.booted_tiny("exec sleep 100000")
}

fn a_tree_goes_in_and_comes_out_as_it_was(lab: &Lab) {
    let zone = started(lab);
    let tree = lab.path("tree");
    fs::create_dir_all(tree.join("sub/deep")).expect("mkdir");
    write(&tree.join("sub/deep/name with blanks\nand lines"), "contents\n");
    write(&tree.join("tool"), "#!/bin/sh\necho runs as $(id -u)\n");
    fs::set_permissions(tree.join("tool"), PermissionsExt::from_mode(0o6755)).expect("chmod");
    std::os::unix::fs::chown(tree.join("sub"), Some(1234), Some(1234)).expect("chown");
    symlink("/etc/passwd", tree.join("link")).expect("symlink");
    cp(lab, &["-r"], text(&tree), "web:/root").run().ok().quiet();
    zone.sh("/root/tree/tool").ok().stdout_is("runs as 0\n");
    let inside = |path: &str| fs::symlink_metadata(zone.file(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(inside("/root/tree/tool").mode() & 0o7777, 0o755, "no set-uid bit comes along");
    zone.sh("busybox stat -c %u:%g /root/tree/sub /root/tree/link").ok().stdout_is("0:0\n0:0\n");
    // Out again, under another name: contents, links and times are those of before.
    let back = lab.path("back");
    cp(lab, &["-r"], "web:/root/tree", text(&back)).run().ok().quiet();
    Command::new("diff").args(["-r", "--no-dereference"]).args([&tree, &back]).run().ok().stdout_is("");
    let time = |dir: &Path| fs::metadata(dir.join("tool")).map(|stat| (stat.mtime(), stat.mtime_nsec())).ok();
    assert_eq!(time(&tree), time(&back));
    assert_eq!(fs::metadata(back.join("tool")).map(|stat| stat.uid()).ok(), Some(0), "it is the caller's");
    // A single file, to a name and to a directory.
    cp(lab, &[], text(&tree.join("tool")), "web:/root/renamed").run().ok().quiet();
    zone.sh("/root/renamed").ok();
    cp(lab, &[], "web:root/renamed", text(&lab.path("back"))).run().ok().quiet();
    assert!(back.join("renamed").is_file());
    // On a terminal it is shown.
    let command = cp(lab, &["-r"], text(&tree), "web:/tmp");
    let (status, screen) = Terminal::start(command, 24, 80).ends();
    assert!(status.success() && screen.contains("3 files copied"), "{screen}");
}

fn what_is_there_is_left_alone_and_what_was_interrupted_goes_on(lab: &Lab) {
    let zone = started(lab);
    let big = lab.path("big");
    let bytes: Vec<u8> = (0..16_000_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&big, &bytes).expect("write");
    let copy = || cp(lab, &[], text(&big), "web:/root/big");
    let part = || {
        let all = fs::read_dir(zone.file("/root")).ok()?.filter_map(Result::ok);
        let mut parts = all.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".zones-cp."));
        parts.find(|entry| entry.metadata().is_ok_and(|stat| stat.len() > 0))
    };
    let mut running = copy().start();
    until("a part is there, or all", || (part().is_some() || zone.file("/root/big").exists()).then_some(()));
    running.kill();
    drop(running);
    until("the process in the zone has gone", || {
        (!zone.sh("cat /proc/[0-9]*/comm 2>/dev/null").out().contains("zoneadm")).then_some(())
    });
    let there = part().map(|part| (part.path(), part.metadata().map(|stat| stat.ino()).ok()));
    copy().run().ok().quiet();
    let inode = || fs::metadata(zone.file("/root/big")).map(|stat| stat.ino()).ok();
    if let Some((path, ino)) = there {
        assert!(!path.exists() && inode() == ino, "the part became the file");
    }
    assert!(fs::read(zone.file("/root/big")).expect("read") == bytes, "it is the same");
    let before = inode();
    copy().run().ok();
    assert_eq!(inode(), before, "what is there is left alone");
    write(&big, "short");
    copy().run().ok();
    assert_eq!(fs::read(zone.file("/root/big")).expect("read"), b"short");
}

fn links_of_the_zone_lead_nowhere_on_the_host(lab: &Lab) {
    let zone = started(lab);
    let outside = lab.path("outside");
    fs::create_dir(&outside).expect("mkdir");
    write(&outside.join("secret"), "of the host\n");
    let path = text(&outside);
    zone.sh(&format!(
        "busybox ln -s {path}/secret /root/link; busybox ln -s {path} /root/dir; busybox ln -s / /root/tree"
    ))
    .ok();
    // To read: what the zone has there is what is meant, and it has nothing.
    cp(lab, &[], "web:/root/link", text(&lab.path("got"))).run().refuses().stderr_has("No such file");
    cp(lab, &["-r"], "web:/root/dir", text(&lab.path("got"))).run().refuses();
    // To write: the same.
    let new = lab.path("new");
    write(&new, "of a copy\n");
    cp(lab, &[], text(&new), "web:/root/dir/secret").run().refuses();
    cp(lab, &[], text(&new), "web:/root/link").run().ok();
    assert_eq!(zone.sh("cat /root/link").out(), "of a copy\n", "a link in the place of a file is replaced");
    // A link that came first, and a directory in its place the second time.
    let got = lab.path("got");
    fs::create_dir(&got).expect("mkdir");
    zone.sh(&format!("busybox mkdir /root/t; busybox ln -s {path} /root/t/x")).ok();
    cp(lab, &["-r"], "web:/root/t", text(&got)).run().ok();
    assert_eq!(fs::read_link(got.join("t/x")).ok().as_deref(), Some(outside.as_path()), "a link as a link");
    zone.sh("busybox rm /root/t/x; busybox mkdir /root/t/x; echo taken > /root/t/x/secret").ok();
    let ran = cp(lab, &["-r"], "web:/root/t", text(&got)).run();
    ran.refuses().stderr_has("t/x").stderr_has("symbolic link in its place");
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("read"), "of the host\n");
    assert_eq!(fs::read_dir(&outside).expect("read").count(), 1);
    // Nor does a root that is a link to the root lead anywhere but there.
    cp(lab, &[], "web:/root/tree/etc/passwd", text(&lab.path("passwd"))).run().ok();
    assert_eq!(fs::read(lab.path("passwd")).ok(), fs::read(zone.file("/etc/passwd")).ok());
}

fn a_zone_that_races_gets_nothing_of_the_host(lab: &Lab) {
    let zone = started(lab);
    let outside = lab.path("outside");
    fs::create_dir(&outside).expect("mkdir");
    write(&outside.join("file"), "of the host\n");
    let (tree, got) = (lab.path("tree"), lab.path("got"));
    fs::create_dir_all(tree.join("a")).expect("mkdir");
    write(&tree.join("a/file"), "of the copy\n");
    fs::create_dir(&got).expect("mkdir");
    let script = format!(
        "mkdir -p /root/tree/b /root/tree/a; echo inside > /root/tree/b/file; cd /root/tree; \
         while :; do mv a c; ln -s {0} a; rm a; mv c a; mv b/file b/g; ln -s {0}/file b/file; rm b/file; mv b/g b/file; done",
        text(&outside)
    );
    let script = script.replace("mkdir ", "busybox mkdir ").replace("mv ", "busybox mv ");
    let script = script.replace("ln ", "busybox ln ").replace("rm ", "busybox rm ");
    let mut racer = zone.zlogin_command(["sh", "-c", &script]).start();
    until("it races", || zone.file("/root/tree/b").exists().then_some(()));
    for _ in 0..25 {
        // Either may fail, and says so; what it may not do is to touch the host's.
        let _ = cp(lab, &["-r"], text(&tree), "web:/root").run();
        let _ = cp(lab, &["-r"], "web:/root/tree", text(&got)).run();
    }
    racer.kill();
    assert_eq!(fs::read_to_string(outside.join("file")).expect("read"), "of the host\n");
    assert_eq!(fs::read_dir(&outside).expect("read").count(), 1);
    for file in ["tree/a/file", "tree/b/file", "tree/b/g"] {
        let text = fs::read_to_string(got.join(file)).unwrap_or_default();
        let is_link = fs::symlink_metadata(got.join(file)).is_ok_and(|stat| stat.is_symlink())
            || fs::symlink_metadata(got.join("tree/a")).is_ok_and(|stat| stat.is_symlink());
        assert!(is_link || text != "of the host\n", "{file} was read from the host");
    }
}

fn what_cannot_be_copied_is_said(lab: &Lab) {
    let zone = started(lab);
    let tree = lab.path("tree");
    fs::create_dir(&tree).expect("mkdir");
    write(&tree.join("file"), "x");
    let tree = text(&tree);
    cp(lab, &[], "a", "b").run().exits(2).stderr_has("neither is in a zone");
    cp(lab, &[], "web:/a", "web:/b").run().exits(2).stderr_has("both are in zones");
    lab.command("zoneadm", ["-z", "db", "cp", "a", "web:/b"]).run().exits(2).stderr_has("named twice");
    cp(lab, &[], tree, "nowhere:/").run().refuses().stderr_has("No such zone configured");
    cp(lab, &[], tree, "web:/root").run().refuses().stderr_has("with -r");
    cp(lab, &[], "web:/root", tree).run().refuses().stderr_has("with -r");
    cp(lab, &[], "/dev/null", "web:/root").run().refuses().stderr_has("neither a file nor a directory");
    cp(lab, &["-r"], tree, "web:/no/such/place").run().refuses().stderr_has("web:/no/such/place in the zone");
    cp(lab, &[], "web:/etc/passwd", "/no/such/place").run().refuses().stderr_has("/no/such/place");
    zone.sh("mkfifo /root/pipe; echo x > \"/root/$(printf '\\033[2Jname')\"").ok();
    let ran = cp(lab, &["-r"], "web:/root", &format!("{tree}/got")).run();
    ran.refuses().stderr_has("root/pipe is neither file, directory nor link, and is left out");
    assert!(!ran.err().contains('\u{1b}'), "{ran}");
    assert_eq!(fs::read_dir(format!("{tree}/got")).expect("read").count(), 1, "the rest is there");
    zone.halt();
    cp(lab, &[], "web:/etc/passwd", tree).run().refuses().stderr_has("web is 'installed'");
}
