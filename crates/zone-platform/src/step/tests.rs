use super::*;
use crate::ZoneRoot;
use crate::change::update_steps;
use crate::testing::{BASE, Lab, NoNamespaces, at, isolated, pty, run, stat, userns};
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, makedev, openat};
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::process::Command;
use zone_config::config::{Fs, FsOwners, FsType};

#[test]
fn a_linux_zone_gets_its_platform_and_leaves_nothing() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    lab.dirs(&["etc"]);
    let platform = lab.build().unwrap();
    let targets: Vec<_> = platform.attachments.iter().map(|attachment| attachment.target.as_str()).collect();
    assert_eq!(targets, ["/run", "/dev", "/dev/pts", "/dev/shm", "/dev/console"]);

    // The root: what is 0 on disk is the zone's 0, and so are the mount points that were made.
    assert_eq!(stat(platform.root.as_fd(), "etc").st_uid, BASE);
    for point in ["proc", "sys", "dev", "run"] {
        let made = stat(platform.root.as_fd(), point);
        assert_eq!((made.st_uid, made.st_gid, made.st_mode & 0o7777), (BASE, BASE, 0o755), "{point}");
    }

    let dev = at(&platform, "/dev");
    for (name, major, minor) in [("null", 1, 3), ("urandom", 1, 9), ("tty", 5, 0)] {
        let node = stat(dev, name);
        assert_eq!((node.st_rdev, node.st_mode & 0o7777, node.st_uid), (makedev(major, minor), 0o666, BASE));
    }
    let null = openat(dev, "null", OFlags::WRONLY, Mode::empty()).unwrap();
    assert_eq!(rustix::io::write(&null, b"x"), Ok(1));

    let pts = at(&platform, "/dev/pts");
    assert_eq!((stat(pts, "ptmx").st_uid, stat(pts, "ptmx").st_mode & 0o777), (BASE, 0o666));
    assert_eq!(stat(at(&platform, "/dev/shm"), ".").st_mode & 0o7777, 0o1777);
    let console = rustix::fs::fstat(at(&platform, "/dev/console")).unwrap();
    assert_eq!((console.st_uid, console.st_gid, console.st_mode & 0o777), (BASE, BASE + 5, 0o620));

    let run = at(&platform, "/run");
    let mut name = [0; 16];
    let file = openat(run, "zone/name", OFlags::RDONLY, Mode::empty()).unwrap();
    let read = rustix::io::read(&file, &mut name).unwrap();
    assert_eq!(&name[..read], b"probe\n");
    assert_eq!(stat(run, "host/container-uuid").st_mode & 0o777, 0o444);

    assert_eq!(platform.hostname, "probe");
    assert!(platform.warnings.is_empty(), "{:?}", platform.warnings);
    let environment = guest::environment(&Spec::of(&lab.snapshot));
    assert!(environment.contains(&("container".to_owned(), "zones".to_owned())));

    lab.tear_down().unwrap();
    assert!(cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().is_none());
    lab.tear_down().unwrap();
}

#[test]
fn a_terminal_of_the_zone_is_the_zones() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let platform = lab.build().unwrap();
    let pts = at(&platform, "/dev/pts");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let manager = openat(pts, "ptmx", flags, Mode::empty()).unwrap();
    rustix::pty::unlockpt(&manager).unwrap();
    assert_eq!(stat(pts, "0").st_gid, BASE + 5);
}

/// A sparse zone as its installer leaves it, as far as it matters here.
fn sparse_lab() -> Lab {
    let lab = Lab::new("sparse");
    lab.dirs(&["usr", "etc", "native/sbin"]);
    for link in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if std::fs::read_link(format!("/{link}")).is_ok() {
            std::os::unix::fs::symlink(format!("usr/{link}"), lab.root().join(link)).unwrap();
        }
    }
    lab
}

#[test]
fn a_sparse_zone_sees_the_hosts_usr() {
    zone_testing::needs_root!();
    let lab = sparse_lab();
    let platform = lab.build().unwrap();
    assert_eq!(stat(at(&platform, "/usr"), "bin").st_uid, BASE);
    assert!(platform.tree.check_init("/native/sbin/init").is_ok());
    assert!(platform.tree.check_init("/bin/sh").unwrap().path.starts_with("/usr/bin/"));
    // Who comes later sees the same from the snapshot alone.
    assert!(
        ZoneRoot::of(&Spec::of(&lab.snapshot))
            .unwrap()
            .check_init("/bin/sh")
            .unwrap()
            .path
            .starts_with("/usr/bin/")
    );
    assert!(lab.root().join("native/sbin/init").is_file());
}

/// Puts everything together as the keeper does, and looks at it as the zone's root.
#[test]
fn the_whole_is_what_a_zone_expects() {
    zone_testing::needs_root!();
    isolated("step::tests::the_whole_is_what_a_zone_expects", || {
        let mut lab = sparse_lab();
        lab.snapshot.config.fs.push(Fs {
            dir: "/srv/data".to_owned(),
            special: "swap".to_owned(),
            fstype: FsType::Tmpfs,
            raw: None,
            owners: FsOwners::Map,
            options: vec!["noexec".to_owned()],
        });
        let platform = lab.build().unwrap();
        let top = lab.dir.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&platform.root, "", CWD, &top, empty).unwrap();
        let root = openat(CWD, &top, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for attachment in &platform.attachments {
            let to = zone_sys::path::in_root_unlinked(&root, &attachment.target, OFlags::PATH);
            let to = to.unwrap_or_else(|errno| panic!("{}: {errno}", attachment.target));
            let flags = empty | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            move_mount(&attachment.mount, "", &to, "", flags).unwrap();
        }
        let script = r#"set -e
            cd /
            stat -c '%u %n' / /usr /usr/bin /dev /dev/null /dev/pts/ptmx /run /srv/data /native/sbin/init
            touch /etc/mine /run/mine /dev/mine /srv/data/mine
            stat -c '%u %n' /etc/mine /srv/data/mine
            echo x > /dev/null
            head -c 4 /dev/urandom > /dev/shm/random
            for refused in /usr/mine /usr/bin/mine /native/sbin/init; do
                if (echo x > $refused) 2> /dev/null; then echo wrote $refused; fi
            done
            if mknod /etc/null c 1 3 2> /dev/null; then echo made a node; fi
            cp /usr/bin/true /srv/data/true
            if /srv/data/true 2> /dev/null; then echo executed; fi
            test -u /usr/bin/su || test ! -e /usr/bin/su"#;
        let user = format!("/proc/{}/fd/{}", std::process::id(), platform.userns.as_raw_fd());
        let mut enter = Command::new("nsenter");
        enter.arg(format!("--user={user}")).arg(format!("--root={}", top.display()));
        enter.args(["--setuid=0", "--setgid=0", "/bin/sh", "-c", script]);
        let expected = "0 /\n0 /usr\n0 /usr/bin\n0 /dev\n0 /dev/null\n0 /dev/pts/ptmx\n0 /run\n0 /srv/data\n0 /native/sbin/init\n0 /etc/mine\n0 /srv/data/mine\n";
        assert_eq!(run(&mut enter), expected);
        let made = std::fs::metadata(lab.root().join("etc/mine")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0, "on disk the owner is an ordinary one");
        // The host sees none of it where the root really is.
        assert!(!lab.root().join("run/mine").exists());
        run(Command::new("umount").args(["--recursive", "--lazy"]).arg(&top));
    });
}

#[test]
fn a_mistake_is_found_before_anything_is_made() {
    zone_testing::needs_root!();
    let mut lab = Lab::new("linux");
    lab.snapshot.config.limitpriv = vec!["nonsense".to_owned()];
    assert!(matches!(lab.build(), Err(PlatformError::Privilege(_))));
    assert!(cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().is_none());
}

#[test]
fn steps_out_of_order_are_told() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let (_manager, console) = pty();
    let (mut spec, mut namespaces) = (Spec::of(&lab.snapshot), NoNamespaces);
    let mut build = Build::new(&lab.layout, &spec, console.as_fd(), userns(), &mut namespaces).unwrap();
    let root = steps().iter().find_map(|step| step.bring_up.filter(|_| step.name == "root")).unwrap();
    assert!(matches!(root(&mut build), Err(PlatformError::Order { needs: "check", .. })));
    assert!(matches!(build.finish(), Err(PlatformError::Order { .. })));
    assert_eq!(tear_down_steps().map(|step| step.name).collect::<Vec<_>>(), ["network", "cgroup", "images"]);
    spec.ids = None;
    let nothing = Build::new(&lab.layout, &spec, console.as_fd(), userns(), &mut namespaces);
    assert!(matches!(nothing, Err(PlatformError::NoIds)));
}

/// Every row is complete: what is built outside of the daemon is undone, and what can change is there to be changed.
#[test]
fn every_row_does_something_and_has_a_name_of_its_own() {
    let mut names: Vec<_> = steps().iter().map(|step| step.name).collect();
    assert!(!names.contains(&CHECK) && !names.contains(&""));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), steps().len());
    for step in steps() {
        // What "fs" has made is waited for when the processes are gone, so that is a row of its own.
        let waits = step.name == "images";
        assert!(waits || step.check.is_some() || step.bring_up.is_some(), "{}", step.name);
        assert!(waits || step.tear_down.is_none() || step.bring_up.is_some(), "{}", step.name);
        // The files of lxcfs go over a /proc, which only the zone's first process mounts: a boot gives them as an update.
        let comes_later = step.name == "lxcfs";
        assert!(comes_later || step.update.is_none() || step.bring_up.is_some(), "{}", step.name);
    }
}

#[test]
fn a_live_zone_is_given_other_bounds_as_often_as_one_likes() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let _platform = lab.build().unwrap();
    let (old, mut new) = (Spec::of(&lab.snapshot), Spec::of(&lab.snapshot));
    new.cgroup.bounds = vec![("cgroup.max.descendants".to_owned(), "7".to_owned())];
    let first = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let update = |old: &Spec, new: &Spec| {
        let row = update_steps().find(|step| step.name == "cgroup").unwrap().update.unwrap();
        let mut change = Change::new(&lab.layout, first.as_fd(), old, new);
        assert_eq!((row.differs)(old, new), old.cgroup != new.cgroup);
        (row.make)(&mut change)
    };
    let dir = cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().unwrap();
    let bound = || {
        let fd = openat(&dir, "cgroup.max.descendants", OFlags::RDONLY, Mode::empty()).unwrap();
        std::io::read_to_string(std::fs::File::from(fd)).unwrap()
    };
    assert_eq!(bound(), "16384\n");
    for _ in 0..2 {
        update(&old, &new).unwrap();
        assert_eq!(bound(), "7\n");
    }
    // Also when it was cut short: the old one is what was, not what is.
    update(&old, &old).unwrap();
    assert_eq!(bound(), "16384\n");
    new.cgroup.bounds[0].1 = "many".to_owned();
    assert!(update(&old, &new).is_err());
    drop(dir);
    lab.tear_down().unwrap();
    assert!(update(&old, &old).is_ok(), "a zone that has ended has nothing to be changed");
}

#[test]
fn a_change_that_is_refused_is_refused_in_all_its_parts_at_once() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let _platform = lab.build().unwrap();
    let (old, mut new) = (Spec::of(&lab.snapshot), Spec::of(&lab.snapshot));
    let first = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    // Both are told where the host lacks them, and nobody asks for what has not changed.
    let limit = |file: &str| (file.to_owned(), "1".to_owned());
    new.cgroup.bounds.extend([limit("memory.max"), limit("pids.max")]);
    let errors = Change::new(&lab.layout, first.as_fd(), &old, &new).check().err().unwrap_or_default();
    let has = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let missing =
        ["memory", "pids"].into_iter().filter(|name| !has.split_whitespace().any(|has| has == *name));
    assert_eq!(errors.len(), missing.count(), "{errors:?}");
    assert!(Change::new(&lab.layout, first.as_fd(), &new, &new).check().is_ok());
    let change = Change::new(&lab.layout, first.as_fd(), &old, &new);
    let ours = std::fs::metadata("/proc/self/ns/net").unwrap();
    let opened = rustix::fs::fstat(change.namespace("net").unwrap()).unwrap();
    assert_eq!(opened.st_ino, std::os::unix::fs::MetadataExt::ino(&ours));
}
