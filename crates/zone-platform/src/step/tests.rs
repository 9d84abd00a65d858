use super::*;
use crate::testing::{BASE, Lab, at, chain, pty, stat, userns};
use rustix::fs::{Mode, OFlags, makedev, openat};

#[test]
fn a_linux_zone_gets_its_platform_and_leaves_nothing() {
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
    assert!(platform.environment.contains(&("container".to_owned(), "zones".to_owned())));

    lab.tear_down().unwrap();
    assert!(cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().is_none());
    lab.tear_down().unwrap();
}

#[test]
fn a_terminal_of_the_zone_is_the_zones() {
    let lab = Lab::new("linux");
    let platform = lab.build().unwrap();
    let pts = at(&platform, "/dev/pts");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let manager = openat(pts, "ptmx", flags, Mode::empty()).unwrap();
    rustix::pty::unlockpt(&manager).unwrap();
    assert_eq!(stat(pts, "0").st_gid, BASE + 5);
}

#[test]
fn a_sparse_zone_sees_the_hosts_usr_and_cannot_write_it() {
    let lab = Lab::new("sparse");
    lab.dirs(&["usr", "etc"]);
    for link in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if std::fs::read_link(format!("/{link}")).is_ok() {
            std::os::unix::fs::symlink(format!("usr/{link}"), lab.root().join(link)).unwrap();
        }
    }
    if !sparse::program_is_there() {
        // Built with the workspace; a build of this crate alone has none, and says where it should be.
        let error = chain(&lab.build().unwrap_err());
        assert!(error.starts_with("cannot give the zone its init"), "{error}");
        return;
    }
    let platform = lab.build().unwrap();
    let usr = at(&platform, "/usr");
    assert_eq!(stat(usr, "bin").st_uid, BASE);
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let refused = openat(usr, "intruder", flags, Mode::from_raw_mode(0o600)).unwrap_err();
    assert!([rustix::io::Errno::ROFS, rustix::io::Errno::OVERFLOW].contains(&refused), "{refused}");
    assert!(platform.tree.check_init("/native/sbin/init").is_ok());
    assert_eq!(stat(at(&platform, "/native/sbin"), "reboot").st_uid, BASE);
    assert!(platform.tree.check_init("/bin/sh").unwrap().path.starts_with("/usr/bin/"));
}

#[test]
fn a_mistake_is_found_before_anything_is_made() {
    let mut lab = Lab::new("linux");
    lab.snapshot.config.limitpriv = vec!["nonsense".to_owned()];
    assert!(matches!(lab.build(), Err(PlatformError::Privilege(_))));
    assert!(cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().is_none());
}

#[test]
fn steps_out_of_order_are_told() {
    let lab = Lab::new("linux");
    let (_manager, console) = pty();
    let mut build = Build::new(&lab.layout, &lab.snapshot, console.as_fd(), userns());
    let root = steps().iter().find(|step| step.name == "root").unwrap();
    assert!(matches!((root.bring_up)(&mut build), Err(PlatformError::Order { needs: "check", .. })));
    assert!(matches!(build.finish(), Err(PlatformError::Order { .. })));
    assert_eq!(tear_down_steps().map(|step| step.name).collect::<Vec<_>>(), ["cgroup"]);
}
