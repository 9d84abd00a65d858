use super::*;
use crate::testing::{BASE, Lab, at, chain, mode, stat};
use std::fs;
use std::os::unix::fs::{chown, symlink};

fn fs_of(fstype: FsType, special: &str, dir: &str, options: &[&str]) -> Fs {
    Fs {
        dir: dir.to_owned(),
        special: special.to_owned(),
        fstype,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn lab_with(list: Vec<Fs>) -> Lab {
    let mut lab = Lab::new("linux");
    lab.snapshot.config.fs = list;
    lab
}

/// A directory of the host outside of all zones.
fn shared() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_shared_directory_has_the_zones_owners() {
    let host = shared();
    fs::write(host.path().join("file"), "").unwrap();
    chown(host.path().join("file"), Some(1000), Some(100)).unwrap();
    let special = host.path().to_str().unwrap();
    let lab = lab_with(vec![
        fs_of(FsType::Lofs, special, "/srv/share", &[]),
        fs_of(FsType::Tmpfs, "swap", "/srv", &["size=1m", "mode=750"]),
        fs_of(FsType::Lofs, special, "/srv/ro", &["ro"]),
    ]);
    let platform = lab.build().unwrap();
    let targets: Vec<_> = platform.attachments.iter().map(|a| a.target.as_str()).collect();
    assert_eq!(targets[targets.len() - 3..], ["/srv", "/srv/ro", "/srv/share"]);
    let file = stat(at(&platform, "/srv/share"), "file");
    assert_eq!((file.st_uid, file.st_gid), (BASE + 1000, BASE + 100));
    // The mount points are in the tmpfs, not on disk below it.
    let memory = at(&platform, "/srv");
    assert_eq!((stat(memory, ".").st_mode & 0o7777, stat(memory, "share").st_uid), (0o750, BASE));
    assert_eq!(fs::read_dir(lab.root().join("srv")).unwrap().count(), 0);
    let flags = rustix::fs::fstatvfs(at(&platform, "/srv/ro")).unwrap().f_flag;
    use rustix::fs::StatVfsMountFlags as Flags;
    assert!(flags.contains(Flags::RDONLY | Flags::NODEV));
    assert!(platform.warnings.is_empty());
}

#[test]
fn a_file_can_be_shared() {
    let host = shared();
    let special = host.path().join("file");
    fs::write(&special, "words").unwrap();
    let lab = lab_with(vec![fs_of(FsType::Lofs, special.to_str().unwrap(), "/etc/words", &["ro"])]);
    let platform = lab.build().unwrap();
    assert_eq!(fstat(at(&platform, "/etc/words")).unwrap().st_size, 5);
    assert!(lab.root().join("etc/words").is_file());
}

#[test]
fn a_mount_point_is_made_in_the_shared_directory_unless_that_is_read_only() {
    let host = shared();
    let special = host.path().to_str().unwrap().to_owned();
    let nested = |options: &[&str]| {
        lab_with(vec![
            fs_of(FsType::Lofs, &special, "/data", options),
            fs_of(FsType::Tmpfs, "swap", "/data/cache", &[]),
        ])
    };
    let error = chain(&nested(&["ro"]).build().unwrap_err());
    assert!(error.ends_with("/data/cache does not exist and the file system there is read-only"), "{error}");
    nested(&[]).build().unwrap();
    assert!(host.path().join("cache").is_dir());
    nested(&["ro"]).build().unwrap();
}

#[test]
fn directories_that_are_not_to_be_had() {
    for dir in [
        "/",
        "/proc",
        "/proc/x",
        "/sys/fs",
        "/dev",
        "/dev/pts",
        "/dev/console",
        "/run",
        "/native/sbin",
        "x",
        "/a/../b",
    ] {
        let lab = lab_with(vec![fs_of(FsType::Tmpfs, "swap", dir, &[])]);
        let error = chain(&lab.build().unwrap_err());
        let expected =
            format!("invalid mount directory, type: \"tmpfs\", special: \"swap\", dir: \"{dir}\": ");
        assert!(error.starts_with(&expected), "{error}");
    }
    for dir in ["/run/mine", "/dev/mine", "/tmp", "/dev/shm/x"] {
        lab_with(vec![fs_of(FsType::Tmpfs, "swap", dir, &[])]).build().unwrap();
    }
    let twice = lab_with(vec![fs_of(FsType::Tmpfs, "a", "/x", &[]), fs_of(FsType::Tmpfs, "b", "/x", &[])]);
    assert!(chain(&twice.build().unwrap_err()).ends_with("another fs resource has this directory"));
}

#[test]
fn what_no_zone_gets() {
    let host = shared();
    symlink("/proc", host.path().join("link")).unwrap();
    let link = host.path().join("link");
    let fifo = host.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let lab = Lab::new("linux");
    let (run, zonepath) = (lab.layout.run(), lab.snapshot.config.zonepath.clone());
    lab.add_zone("other", &lab.dir.path().join("other"));
    for (special, reason) in [
        (Path::new("/"), "it is the host's root"),
        (Path::new("/proc/sys"), "it is the kernel's"),
        (&link, "it is the kernel's"),
        (&fifo, "is a fifo: a lofs is of"),
        (&run, "zones are administered through"),
        (lab.dir.path(), "zones are administered through"),
        (&zonepath.join("root"), "the zone itself is in"),
        (&lab.dir.path().join("other"), "zone other is in"),
        (Path::new("/no/such"), "could not access /no/such: No such file or directory"),
        (Path::new("relative"), "it is not an absolute path"),
    ] {
        let mut config = lab.snapshot.config.clone();
        config.fs.push(fs_of(FsType::Lofs, special.to_str().unwrap(), "/data", &[]));
        let (plans, errors) = plan(&lab.layout, &lab.snapshot.name, &config);
        assert!(plans.is_empty());
        let text = chain(&errors[0]);
        assert!(
            text.starts_with("could not verify fs /data: ") && text.contains(reason),
            "{special:?}: {text}"
        );
    }
}

#[test]
fn an_option_that_the_kernel_refuses_is_told_in_its_words() {
    let attributes = MountAttrFlags::empty();
    let error = chain(&memory("/x", BASE, &[("size", "much")], attributes).unwrap_err());
    assert!(error.starts_with("cannot make the file system for /x: tmpfs: Bad value for 'size'"), "{error}");
}

#[test]
fn a_directory_where_users_could_run_what_the_zone_leaves_is_told() {
    let host = shared();
    let special = host.path().to_str().unwrap();
    let warns = |options: &[&str]| {
        let lab = lab_with(vec![fs_of(FsType::Lofs, special, "/data", options)]);
        let (plans, _) = plan(&lab.layout, &lab.snapshot.name, &lab.snapshot.config);
        lets_users_gain(&plans[0])
    };
    mode(host.path(), 0o700);
    assert!(!warns(&[]), "others are kept out");
    mode(host.path(), 0o755);
    assert!(warns(&[]) && !warns(&["ro"]));
}
