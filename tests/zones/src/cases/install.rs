//! Installing a zone from archives, directories and nothing, and what is refused.

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
    debootstrap_makes_a_zone: 400 online,
    the_brands_want_their_own_sources,
    a_zonepath_in_use_is_left_as_it_is,
    what_a_failed_install_made_is_taken_back,
    an_old_root_is_nobodys_to_remove,
    what_has_no_init_is_not_installed,
    a_copy_is_another_machine,
    a_host_name_that_is_set_wins_at_every_boot,
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
    let init = file("sbin/init", b"#!/bin/sh\n");
    write(&archive, tarball(&[init, file("etc/fine", b"fine\n"), node("dev/one"), node("dev/two")]));
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
    let begun = || std::fs::read_dir(zone.file("/")).is_ok_and(|mut root| root.next().is_some());
    until("the install has begun", || begun().then_some(()));
    install.kill();
    let ran = install.wait();
    assert_eq!(ran.code(), None, "the install was killed in its midst\n{ran}");
    is_incomplete_and_can_be_cleared(&zone);
    let mut install = zone.zoneadm_command(["install", "-d", "/usr"]).start();
    let begun = || std::fs::read_dir(zone.file("/")).is_ok_and(|mut root| root.next().is_some());
    until("the install has begun", || begun().then_some(()));
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
    // What debootstrap takes from the host is not the zone's.
    assert_eq!(read(&zone.file("/etc/hostname")), "deb\n");
    assert!(!zone.file("/etc/resolv.conf").exists(), "the host's resolver");
    assert_eq!(read(&zone.file("/etc/machine-id")), "");
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

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).mode() & 0o7777
}

/// The zone is what it was before an install that was refused.
#[track_caller]
fn nothing_has_happened(lab: &Lab, zone: &Zone<'_>) {
    zone.is("configured");
    assert!(!zone.run_dir().exists(), "no run files stay");
    let idmap = std::fs::read_to_string(lab.etc().join("idmap")).unwrap_or_default();
    assert!(!idmap.contains(zone.name()), "no ids stay: {idmap}");
}

fn a_zonepath_in_use_is_left_as_it_is(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    let dir = lab.path("used");
    make_dir(&dir.join("data"), 0o755);
    let zone = lab.configured("web", &format!("set brand=linux; set zonepath={}", dir.display()));
    for (had, advice) in [(0o755, "chmod 0700"), (0o1777, "choose another zonepath")] {
        set_mode(&dir, had);
        for source in [Path::new("/nonexist"), &tree] {
            let ran = install(&zone, "-d", source);
            ran.refuses().stderr_has(&dir.to_string_lossy()).stderr_has("has files in it").stderr_has(advice);
            assert!(had != 0o1777 || !ran.err().contains("chmod"), "nobody closes a place for all\n{ran}");
            assert_eq!(mode(&dir), had);
            assert!(!dir.join("root").exists());
            nothing_has_happened(lab, &zone);
        }
    }
    // Closed by whoever it belongs to, it is fine, and what is in it stays.
    set_mode(&dir, 0o700);
    install(&zone, "-d", Path::new("/nonexist")).refuses().stderr_has("/nonexist");
    nothing_has_happened(lab, &zone);
    install(&zone, "-d", &tree).ok();
    zone.zoneadm(["uninstall", "-F"]).ok();
    assert!(dir.join("data").is_dir());
}

fn what_a_failed_install_made_is_taken_back(lab: &Lab) {
    // A good archive of no use: known when all of it is there.
    let archive = lab.path("data.tar");
    write(&archive, tarball(&[file("data/one", b"1\n"), file("data/two", b"2\n")]));
    let parent = lab.path("new");
    let zone = lab.configured("web", &format!("set brand=linux; set zonepath={}/deep/web", parent.display()));
    install(&zone, "-a", &archive).refuses().stderr_has("nothing was installed");
    nothing_has_happened(lab, &zone);
    assert!(!parent.exists(), "the directories that it made");
    make_dir(&parent.join("deep/web"), 0o751);
    install(&zone, "-a", &archive).refuses().stderr_has("changing permissions to 0700");
    nothing_has_happened(lab, &zone);
    assert_eq!(mode(&parent.join("deep/web")), 0o751, "the mode that it changed");
    assert!(!parent.join("deep/web/root").exists());
}

fn an_old_root_is_nobodys_to_remove(lab: &Lab) {
    for brand in ["sparse", "linux"] {
        let zone = lab.configured(brand, &format!("set brand={brand}"));
        make_dir(&zone.file("/etc"), 0o755);
        set_mode(&zone.path(), 0o700);
        write(&zone.file("/etc/precious"), "mine\n");
        let ran = if brand == "linux" {
            install(&zone, "-d", &lab.tiny_tree("tree", "exec sleep 2147483647"))
        } else {
            zone.zoneadm(["install"])
        };
        ran.refuses().stderr_has(&zone.path().join("root").to_string_lossy()).stderr_has("is there already");
        assert!(!ran.err().contains("uninstall"), "no advice that would remove it\n{ran}");
        nothing_has_happened(lab, &zone);
        assert_eq!(read(&zone.file("/etc/precious")), "mine\n");
        // As the message says.
        let elsewhere = lab.path(&format!("elsewhere-{brand}"));
        std::fs::rename(zone.path().join("root"), &elsewhere).unwrap_or_else(|e| panic!("{e}"));
        if brand == "sparse" {
            zone.zoneadm(["install"]).ok();
        } else {
            install(&zone, "-d", &lab.tiny_tree("other", "exec sleep 2147483647")).ok();
        }
        zone.zoneadm(["uninstall", "-F"]).ok();
        assert_eq!(read(&elsewhere.join("etc/precious")), "mine\n");
    }
}

fn what_has_no_init_is_not_installed(lab: &Lab) {
    let empty = lab.path("empty");
    make_dir(&empty, 0o755);
    let zone = lab.configured("web", "set brand=linux");
    install(&zone, "-d", &empty)
        .refuses()
        .stderr_has("/sbin/init is not in")
        .stderr_has("nothing was installed");
    nothing_has_happened(lab, &zone);
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    let above = lab.path("above");
    make_dir(&above, 0o755);
    std::fs::rename(&tree, above.join("odd")).unwrap_or_else(|e| panic!("{e}"));
    let meant = above.join("odd");
    install(&zone, "-d", &above).refuses().stderr_has(&format!("Did you mean {}?", meant.display()));
    nothing_has_happened(lab, &zone);
    let archive = lab.path("odd.tar");
    let pack =
        [OsStr::new("-C"), above.as_os_str(), OsStr::new("-cf"), archive.as_os_str(), OsStr::new("odd")];
    Command::new("tar").args(pack).run().ok();
    let ran = install(&zone, "-a", &archive);
    ran.refuses().stderr_has("odd.tar").stderr_has("'odd'");
    nothing_has_happened(lab, &zone);
    assert!(!zone.path().exists());
    // One that can be booted once another init is set is a root.
    std::fs::remove_file(meant.join("sbin/init")).unwrap_or_else(|e| panic!("{e}"));
    install(&zone, "-d", &meant).ok().stderr_has("WARNING: /sbin/init is not").stderr_has("set init=");
    zone.is("installed");
}

fn a_copy_is_another_machine(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    make_dir(&tree.join("etc/ssh"), 0o755);
    let id = "0123456789abcdef0123456789abcdef\n";
    let files = [
        ("etc/hostname", "source\n"),
        ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 source\n"),
        ("etc/machine-id", id),
        ("etc/ssh/ssh_host_ed25519_key", "secret\n"),
        ("etc/ssh/ssh_host_ed25519_key.pub", "public\n"),
    ];
    for (name, text) in files {
        write(&tree.join(name), text);
    }
    let copy = lab.configured("copy", "set brand=linux; set hostname=copy.example");
    let ran = install(&copy, "-d", &tree);
    ran.ok()
        .stderr_has("its host name is copy.example")
        .stderr_has("machine id")
        .stderr_has("2 ssh host key");
    assert_eq!(read(&copy.file("/etc/hostname")), "copy.example\n");
    assert_eq!(read(&copy.file("/etc/machine-id")), "");
    assert!(read(&copy.file("/etc/hosts")).ends_with("127.0.1.1\tcopy.example\n"));
    assert!(!copy.file("/etc/ssh/ssh_host_ed25519_key").exists());
    let moved = lab.configured("moved", "set brand=linux");
    let with = [OsStr::new("install"), OsStr::new("-p"), OsStr::new("-d"), tree.as_os_str()];
    moved.zoneadm(with).ok();
    for (name, text) in files {
        assert_eq!(read(&moved.file(&format!("/{name}"))), text, "{name}");
        assert_eq!(read(&tree.join(name)), text, "the source is as it was");
    }
    lab.configured("sparse", "set brand=sparse").zoneadm(["install", "-p"]).exits(2).stderr_has("-p keeps");
}

fn a_host_name_that_is_set_wins_at_every_boot(lab: &Lab) {
    // As an init of a distribution does.
    let zone = lab.tiny("web", "busybox hostname -F /etc/hostname; exec sleep 2147483647");
    let says = |zone: &Zone<'_>| {
        zone.boot();
        let name = until("init has set the host name", || {
            let name = zone.zlogin(["/bin/busybox", "hostname"]).out();
            (!name.is_empty()).then_some(name)
        });
        zone.halt();
        name
    };
    write(&zone.file("/etc/hostname"), "image\n");
    assert_eq!(read(&zone.file("/etc/hostname")), "image\n");
    let _ = says(&zone);
    assert_eq!(
        read(&zone.file("/etc/hostname")),
        "image\n",
        "without a host name the file is the zone's own matter"
    );
    zone.zonecfg("set hostname=given").ok();
    assert_eq!(says(&zone), "given\n");
    assert_eq!(read(&zone.file("/etc/hostname")), "given\n");
    // Whatever the zone has put there meanwhile, nothing outside is written.
    let precious = lab.path("precious");
    write(&precious, "precious\n");
    for place in ["/etc/hostname", "/etc/.hostname.new"] {
        let _ = std::fs::remove_file(zone.file(place));
        std::os::unix::fs::symlink(&precious, zone.file(place)).unwrap_or_else(|e| panic!("{e}"));
    }
    assert_eq!(says(&zone), "given\n");
    assert!(zone.file("/etc/hostname").is_file() && !zone.file("/etc/hostname").is_symlink());
    std::fs::rename(zone.file("/etc"), zone.file("/old")).unwrap_or_else(|e| panic!("{e}"));
    std::os::unix::fs::symlink(lab.path("outside"), zone.file("/etc")).unwrap_or_else(|e| panic!("{e}"));
    make_dir(&lab.path("outside"), 0o755);
    let _ = zone.zoneadm(["boot"]);
    zone.halt_whatever();
    assert_eq!(std::fs::read_dir(lab.path("outside")).map(Iterator::count).unwrap_or(1), 0);
    assert_eq!(read(&precious), "precious\n");
}
