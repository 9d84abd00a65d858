//! Installing.

use crate::harness::tarball::{TarEntry, file, hard_link, symlink, tarball};
use crate::harness::{Command, Lab, Zone, cases, make_dir, read, set_mode, skip, until, write};
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

cases![
    sparse_is_made_of_nothing,
    a_directory_is_copied_as_it_is,
    every_kind_of_archive_is_unpacked,
    device_nodes_are_left_out_and_counted,
    hostile_archives_are_refused,
    damaged_archives_leave_the_zone_incomplete,
    what_is_no_source_is_refused,
    a_killed_install_leaves_the_zone_incomplete,
    a_full_disk_is_said_to_be_full,
    debootstrap_that_is_missing_is_named,
    debootstrap_makes_a_zone: 400,
    the_brands_want_their_own_sources,
];

/// Runs `install` with one more option and its value.
#[track_caller]
fn install(zone: &Zone<'_>, option: &str, source: &Path) -> crate::harness::Ran {
    zone.zoneadm([OsStr::new("install"), OsStr::new(option), source.as_os_str()])
}

/// A zone whose install failed must be incomplete, refuse an install with the remedy, and be
/// installable after the remedy.
#[track_caller]
fn is_incomplete_and_can_be_cleared(zone: &Zone<'_>) {
    zone.is("incomplete");
    let again = zone.zoneadm(["install"]);
    again
        .refuses()
        .stderr_has("zone is incomplete; uninstall required.")
        .stderr_has("uninstall\" first, which tells");
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.is("configured");
    assert!(!zone.file("/").exists(), "uninstall must remove the root of an incomplete zone");
}

fn sparse_is_made_of_nothing(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    let began = std::time::Instant::now();
    zone.zoneadm(["install"]).ok();
    println!("installed in {} ms", began.elapsed().as_millis());
    let mode =
        |path: &Path| std::fs::metadata(path).map(|meta| (meta.mode() & 0o7777, meta.uid(), meta.gid())).ok();
    assert_eq!(mode(&zone.path()), Some((0o700, 0, 0)));
    assert_eq!(mode(&zone.file("/")), Some((0o755, 0, 0)));
    assert!(read(&zone.file("/etc/hostname")).starts_with("web"));
    let idmap = read(&lab.etc().join("idmap"));
    assert!(idmap.contains("web"), "the zone's range of ids is recorded: {idmap}");
}

fn a_directory_is_copied_as_it_is(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    write(&tree.join("etc/owned"), "x");
    chown(tree.join("etc/owned"), Some(1000), Some(100)).unwrap_or_else(|e| panic!("chown: {e}"));
    set_mode(&tree.join("etc/owned"), 0o4751);
    std::fs::hard_link(tree.join("etc/owned"), tree.join("etc/linked"))
        .unwrap_or_else(|e| panic!("link: {e}"));
    let xattr = ["-n", "user.colour", "-v", "blue"];
    let has_xattrs =
        Command::new("setfattr").args(xattr).args([tree.join("etc/owned")]).run().code() == Some(0);
    let zone = lab.configured("web", "set brand=linux");
    install(&zone, "-d", &tree).ok();
    let meta =
        |path: &str| std::fs::symlink_metadata(zone.file(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let owned = meta("/etc/owned");
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o7777), (1000, 100, 0o4751));
    assert_eq!(owned.ino(), meta("/etc/linked").ino(), "a hard link stays one");
    assert!(meta("/bin/sh").is_symlink());
    if has_xattrs {
        let get = ["--only-values", "-n", "user.colour"];
        Command::new("getfattr").args(get).args([zone.file("/etc/owned")]).run().ok().stdout_is("blue");
    }
    assert!(tree.join("sbin/init").exists(), "the source is as it was");
    zone.boot();
    zone.zlogin(["/bin/sh", "-c", "ls -ln /etc/owned"]).ok().stdout_has("1000").stdout_has("100");
}

fn every_kind_of_archive_is_unpacked(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    for (number, suffix) in ["tar", "tar.gz", "tar.xz", "tar.zst"].iter().enumerate() {
        let archive = lab.path(&format!("root.{suffix}"));
        let pack = ["--create", "--auto-compress", "--numeric-owner", "--file"];
        Command::new("tar")
            .args(pack)
            .args([archive.as_os_str()])
            .args(["-C"])
            .args([tree.as_os_str()])
            .args(["."])
            .run()
            .ok();
        let zone = lab.configured(&format!("zone{number}"), "set brand=linux");
        install(&zone, "-a", &archive).ok();
        zone.boot();
        zone.zlogin(["/bin/id", "-u"]).ok().stdout_is("0\n");
        zone.remove();
    }
}

fn device_nodes_are_left_out_and_counted(lab: &Lab) {
    let archive = lab.path("nodes.tar");
    let node = |name| TarEntry { name, kind: b'3', link: "", content: b"" };
    write(&archive, tarball(&[file("etc/fine", b"fine\n"), node("dev/one"), node("dev/two")]));
    let zone = lab.configured("web", "set brand=linux");
    let ran = install(&zone, "-a", &archive);
    let said = ran.ok().out() + &ran.err();
    assert!(said.contains('2') && said.contains("device"), "two skipped device nodes must be told\n{ran}");
    assert!(zone.file("/etc/fine").is_file() && !zone.file("/dev/one").exists());
}

fn hostile_archives_are_refused(lab: &Lab) {
    make_dir(&lab.path("outside"), 0o755);
    write(&lab.path("outside/precious"), "precious\n");
    let outside = lab.path("outside");
    let (outside, target) = (outside.to_string_lossy(), lab.path("outside/precious"));
    let target = target.to_string_lossy();
    let through = [symlink("way", &outside), file("way/planted", b"evil\n")];
    let link = [hard_link("stolen", &target)];
    let climbing = [hard_link("stolen", "../../../../../outside/precious")];
    let above = [file("../planted", b"evil\n")];
    let hidden = [file("etc/../../planted", b"evil\n")];
    let cases: [(&str, &[TarEntry<'_>]); 5] = [
        ("above", &above),
        ("hidden", &hidden),
        ("through", &through),
        ("link", &link),
        ("climbing", &climbing),
    ];
    for (name, entries) in cases {
        let archive = lab.path(&format!("{name}.tar"));
        write(&archive, tarball(entries));
        let zone = lab.configured(name, "set brand=linux");
        let ran = install(&zone, "-a", &archive);
        ran.refuses();
        let names_it = ran.err().contains(&*archive.to_string_lossy()) || ran.err().contains("/root/way");
        assert!(names_it, "must name the archive or what is in the way\n{ran}");
        // A look at the archive may have been enough to refuse it; else what was unpacked can be cleared.
        if zone.status().state != "configured" {
            is_incomplete_and_can_be_cleared(&zone);
        }
        assert!(!zone.file("/").exists(), "{name}: nothing of it stays");
        assert_eq!(read(&lab.path("outside/precious")), "precious\n", "{name}");
        assert!(!lab.path("outside/planted").exists() && !zone.path().join("planted").exists(), "{name}");
    }
}

fn damaged_archives_leave_the_zone_incomplete(lab: &Lab) {
    let whole = tarball(&[file("etc/one", &[b'x'; 4096]), file("etc/two", &[b'y'; 4096])]);
    let archive = lab.path("short.tar");
    write(&archive, &whole[..whole.len() - 4096]);
    let zone = lab.configured("web", "set brand=linux");
    install(&zone, "-a", &archive).refuses().stderr_has("short.tar");
    is_incomplete_and_can_be_cleared(&zone);
}

fn what_is_no_source_is_refused(lab: &Lab) {
    let zone = lab.configured("web", "set brand=linux");
    let text = lab.path("text.tar");
    write(&text, "this is no archive\n");
    for (option, source) in [("-a", "/nonexistent.tar"), ("-d", "/nonexistent"), ("-d", "/etc/passwd")] {
        install(&zone, option, Path::new(source)).refuses().stderr_has(source);
        if zone.status().state == "incomplete" {
            is_incomplete_and_can_be_cleared(&zone);
        }
    }
    install(&zone, "-a", &text).refuses().stderr_has("text.tar");
    if zone.status().state == "incomplete" {
        is_incomplete_and_can_be_cleared(&zone);
    }
    zone.is("configured");
}

fn a_killed_install_leaves_the_zone_incomplete(lab: &Lab) {
    let zone = lab.configured("web", "set brand=linux");
    let mut install = zone.zoneadm_command(["install", "-d", "/usr"]).start();
    until("the install has begun", || zone.file("/").join("share").exists().then_some(()));
    install.kill();
    let ran = install.wait();
    assert_eq!(ran.code(), None, "the install was killed in its midst\n{ran}");
    is_incomplete_and_can_be_cleared(&zone);
    let mut install = zone.zoneadm_command(["install", "-d", "/usr"]).start();
    until("the install has begun", || zone.file("/").join("share").exists().then_some(()));
    let pid = i32::try_from(install.pid()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // As ^C does.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
    until("the install has ended", || install.ended().then_some(()));
    let ran = install.wait();
    assert!(ran.code() != Some(0), "{ran}");
    is_incomplete_and_can_be_cleared(&zone);
}

fn a_full_disk_is_said_to_be_full(lab: &Lab) {
    let small = lab.path("small");
    make_dir(&small, 0o755);
    let zone = lab.configured("web", &format!("set brand=linux; set zonepath={}/web", small.display()));
    Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k,mode=755", "tmpfs"])
        .args([&small])
        .run()
        .ok();
    let tree = lab.tiny_tree("tree", "true");
    install(&zone, "-d", &tree).refuses().stderr_has("no space left on").stderr_has("uninstall -F");
    zone.is("incomplete");
    zone.zoneadm(["uninstall", "-F"]).ok();
    zone.is("configured");
    Command::new("umount").args([&small]).run().ok();
}

fn debootstrap_that_is_missing_is_named(lab: &Lab) {
    let zone = lab.configured("web", "set brand=linux");
    let places = ["/usr/sbin/debootstrap", "/usr/bin/debootstrap", "/usr/local/sbin/debootstrap"];
    let there: Vec<_> = places.into_iter().filter(|place| Path::new(place).exists()).collect();
    // What is no file is not there; this mount namespace is the suite's own.
    for place in &there {
        Command::new("mount").args(["--bind", "/dev/null", place]).run().ok();
    }
    let ran = zone.zoneadm(["install", "--debootstrap", "bookworm"]);
    for place in &there {
        Command::new("umount").args([place]).run().ok();
    }
    ran.refuses().stderr_has("install the package 'debootstrap'");
    zone.zoneadm(["install", "--debootstrap", "../../etc"]).refuses();
}

fn debootstrap_makes_a_zone(lab: &Lab) {
    if !Path::new("/usr/sbin/debootstrap").exists() {
        skip("debootstrap is not installed");
    }
    let mirrors = Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]).run();
    let mirrors = mirrors.out();
    let Some(mirror) = mirrors.lines().filter(|uri| !uri.contains("security")).min() else {
        skip("apt has no package source")
    };
    let zone = lab.configured("deb", "set brand=linux");
    let ran = zone.zoneadm_within(380, ["install", "--debootstrap", "bookworm", "--mirror", mirror]);
    ran.ok();
    zone.is("installed");
    assert!(read(&zone.file("/etc/debian_version")).starts_with("12"));
}

fn the_brands_want_their_own_sources(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "true");
    let zone = lab.configured("sparse", "set brand=sparse");
    let ran = install(&zone, "-d", &tree);
    assert!(ran.code() != Some(0), "a sparse zone takes no source\n{ran}");
    let zone = lab.configured("linux", "set brand=linux");
    let ran = zone.zoneadm(["install"]);
    assert!(ran.code() != Some(0), "a linux zone needs a source\n{ran}");
    ran.stderr_has("-d").stderr_has("-a");
    zone.is("configured");
}
