use super::*;
use crate::Spec;
use crate::check::Purpose;
use crate::testing::{BASE, Lab, at, chain, isolated, mode, run, stat};
use rustix::fs::fstat;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use zone_config::config::{Fs, FsOwners, FsType, MacProfile};
use zone_config::{Layout, Snapshot};
use zone_sys::unix::MAX_FDS;

fn fs_of(fstype: FsType, special: &str, dir: &str, options: &[&str]) -> Fs {
    Fs {
        dir: dir.to_owned(),
        special: special.to_owned(),
        fstype,
        raw: None,
        owners: FsOwners::Map,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn lab_with(list: Vec<Fs>) -> Lab {
    let mut lab = Lab::new("linux");
    lab.snapshot.config.fs = list;
    lab
}

/// A directory of the host outside of all zones, where no user of the host gets.
fn shared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    mode(dir.path(), 0o700);
    dir
}

#[test]
fn a_shared_directory_has_the_zones_owners() {
    zone_testing::needs_root!();
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
    zone_testing::needs_root!();
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
    zone_testing::needs_root!();
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
    zone_testing::needs_root!();
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
        (&link, "/link is a symlink: write the path without it, /proc"),
        (&fifo, "is a fifo: a lofs is of"),
        (&run, "zones are administered through"),
        (lab.dir.path(), "zones are administered through"),
        (&zonepath.join("root"), "the zone itself is in"),
        (&lab.dir.path().join("other"), "zone other is in"),
        (Path::new("/no/such"), "could not access /no: No such file or directory"),
        (Path::new("relative"), "relative is not a canonical path: write it absolute"),
    ] {
        let mut config = lab.snapshot.config.clone();
        config.fs.push(fs_of(FsType::Lofs, special.to_str().unwrap(), "/data", &[]));
        let mut snapshot = lab.snapshot.clone();
        snapshot.config = config;
        let text = errors_with(&lab, &snapshot).remove(0);
        assert!(
            text.starts_with("could not verify fs /data: ") && text.contains(reason),
            "{special:?}: {text}"
        );
    }
}

#[test]
fn an_installation_that_is_reached_by_a_symlink_is_no_less_guarded() {
    let mut lab = Lab::new("linux");
    let host = shared();
    let link = host.path().join("root");
    symlink(lab.dir.path(), &link).unwrap();
    lab.layout = Layout::new(Some(link)).unwrap();
    let special = lab.dir.path().join("etc/zones");
    lab.snapshot.config.fs = vec![fs_of(FsType::Lofs, special.to_str().unwrap(), "/data", &["ro"])];
    let errors = errors_of(&lab);
    assert!(errors[0].contains("zones are administered through"), "{errors:?}");
}

#[test]
fn an_option_that_the_kernel_refuses_is_told_in_its_words() {
    zone_testing::needs_root!();
    let attributes = rustix::mount::MountAttrFlags::empty();
    let error = chain(&memory("/x", BASE, &[("size", "much")], attributes).unwrap_err());
    assert!(error.starts_with("cannot make the file system for /x: tmpfs: Bad value for 'size'"), "{error}");
}

fn errors_of(lab: &Lab) -> Vec<String> {
    errors_with(lab, &lab.snapshot)
}

/// What the check of the `fs` resources says.
fn errors_with(lab: &Lab, snapshot: &Snapshot) -> Vec<String> {
    let spec = Spec::of(snapshot);
    let (errors, _) =
        Check::run(&lab.layout, &spec, Purpose::Verify { installed: false, warns: true }).into_findings();
    let of_fs = errors.iter().filter(|error| matches!(error, PlatformError::Fs(_)));
    of_fs.map(|error| chain(error)).collect()
}

#[test]
fn a_directory_where_users_could_run_what_the_zone_leaves_is_refused() {
    zone_testing::needs_root!();
    let host = shared();
    let file = host.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = |special: &Path, options: &[&str]| {
        let special = special.to_str().unwrap();
        let errors = errors_of(&lab_with(vec![fs_of(FsType::Lofs, special, "/data", options)]));
        assert!(
            errors.iter().all(|text| text.contains("can be reached by users of the host, who could run"))
        );
        !errors.is_empty()
    };
    mode(host.path(), 0o700);
    assert!(!refused(host.path(), &[]) && !refused(&file, &[]), "users are kept out");
    mode(host.path(), 0o755);
    assert!(refused(host.path(), &[]) && refused(&file, &[]) && refused(host.path(), &["nosuid"]));
    assert!(!refused(host.path(), &["ro"]));
}

#[test]
fn a_nosuid_mount_of_the_host_can_be_shared_with_what_is_mounted_below_it() {
    zone_testing::needs_root!();
    isolated(
        "filesystems::tests::a_nosuid_mount_of_the_host_can_be_shared_with_what_is_mounted_below_it",
        || {
            let host = shared();
            mode(host.path(), 0o755);
            let mount = |options: &str, at: &Path| {
                run(std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at));
            };
            mount("mode=755,nosuid", host.path());
            let fs = |options| {
                lab_with(vec![fs_of(FsType::Lofs, host.path().to_str().unwrap(), "/data", options)])
            };
            assert_eq!(errors_of(&fs(&[])), Vec::<String>::new());
            let below = host.path().join("below");
            fs::create_dir(&below).unwrap();
            mount("mode=755", &below);
            assert_eq!(errors_of(&fs(&[])).len(), 1);
            assert_eq!(errors_of(&fs(&["nosub"])), Vec::<String>::new());
            run(std::process::Command::new("umount").args([&below, host.path()]));
        },
    );
}

#[test]
fn nothing_is_mounted_from_below_what_a_zone_can_write_to() {
    zone_testing::needs_root!();
    let host = shared();
    let path = |name: &str| host.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir_all(host.path().join("share/sub/deep")).unwrap();
    let (outer, inner) = (path("share"), path("share/sub"));
    let both = |first: &[&str], second: &[&str]| {
        errors_of(&lab_with(vec![
            fs_of(FsType::Lofs, &outer, "/share", first),
            fs_of(FsType::Lofs, &inner, "/sub", second),
        ]))
    };
    for second in [&[][..], &["ro"]] {
        let errors = both(&[], second);
        let text =
            format!("{inner} cannot be shared with a zone: it is below {outer}, where zone probe can put");
        assert!(errors.iter().any(|error| error.contains(&text)), "{errors:?}");
    }
    assert_eq!(both(&["ro"], &[]), Vec::<String>::new());

    // What the zone has put there is not even named.
    fs::remove_dir_all(host.path().join("share/sub")).unwrap();
    symlink("/root", host.path().join("share/sub")).unwrap();
    let errors = both(&[], &[]);
    assert!(errors.iter().all(|error| !error.contains("/root")), "{errors:?}");
    assert!(!both(&["ro"], &[]).is_empty());
}

#[test]
fn what_other_zones_may_write_to_counts_as_well() {
    zone_testing::needs_root!();
    let host = shared();
    fs::create_dir_all(host.path().join("share/sub")).unwrap();
    let outer = fs_of(FsType::Lofs, host.path().join("share").to_str().unwrap(), "/theirs", &[]);
    let inner = fs_of(FsType::Lofs, host.path().join("share/sub").to_str().unwrap(), "/data", &[]);
    let with_other = |own: &Fs, theirs: &Fs, live: bool| {
        let lab = lab_with(vec![own.clone()]);
        lab.add_zone("other", &lab.dir.path().join("other"));
        let mut other = lab.snapshot.clone();
        other.name = "other".parse().unwrap();
        other.config.zonepath = lab.dir.path().join("other");
        other.config.fs = vec![theirs.clone()];
        if live {
            other.save(&lab.layout).unwrap();
        } else {
            other.config.save(&lab.layout, &other.name).unwrap();
        }
        errors_of(&lab).pop().unwrap_or_default()
    };
    for live in [false, true] {
        let text = with_other(&inner, &outer, live);
        assert!(text.contains("where zone other can put anything in its place (fs /theirs)"), "{text}");
        let text = with_other(&outer, &inner, live);
        assert!(text.contains("/share/sub, which zone other mounts (fs /data), is below it"), "{text}");
        // One and the same directory may be meant.
        assert_eq!(with_other(&outer, &outer, live), "");
    }
    let read_only = Fs { options: vec!["ro".to_owned()], ..outer.clone() };
    assert_eq!(with_other(&inner, &read_only, true), "");
    assert_eq!(with_other(&read_only, &inner, true), "");
}

#[test]
fn a_second_name_of_a_directory_is_seen_through() {
    zone_testing::needs_root!();
    isolated("filesystems::tests::a_second_name_of_a_directory_is_seen_through", || {
        let host = shared();
        fs::create_dir_all(host.path().join("share/sub")).unwrap();
        let alias = host.path().join("alias");
        fs::create_dir(&alias).unwrap();
        run(std::process::Command::new("mount").arg("--bind").args([&host.path().join("share"), &alias]));
        let errors = errors_of(&lab_with(vec![
            fs_of(FsType::Lofs, host.path().join("share").to_str().unwrap(), "/share", &[]),
            fs_of(FsType::Lofs, alias.join("sub").to_str().unwrap(), "/sub", &[]),
        ]));
        assert!(errors.iter().any(|error| error.contains("where zone probe can put")), "{errors:?}");
        run(std::process::Command::new("umount").arg(&alias));
    });
}

#[test]
fn a_way_that_users_of_the_host_can_change_is_refused() {
    zone_testing::needs_root!();
    let host = shared();
    let user = host.path().join("user");
    fs::create_dir_all(user.join("data")).unwrap();
    chown(&user, Some(1000), Some(1000)).unwrap();
    let special = user.join("data").to_str().unwrap().to_owned();
    let errors = errors_of(&lab_with(vec![fs_of(FsType::Lofs, &special, "/data", &["ro"])]));
    assert!(errors[0].contains("/user is not owned by root, so its owner could put anything"), "{errors:?}");
    // What the user has may be shared; only where the name leads must not be the user's to say.
    let errors = errors_of(&lab_with(vec![fs_of(FsType::Lofs, user.to_str().unwrap(), "/data", &[])]));
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn a_directory_that_users_reach_by_another_mount_is_refused() {
    zone_testing::needs_root!();
    isolated("filesystems::tests::a_directory_that_users_reach_by_another_mount_is_refused", || {
        let (host, open) = (shared(), shared());
        mode(open.path(), 0o755);
        let top = host.path().join("top");
        let (share, part) = (top.join("share"), top.join("share/part"));
        fs::create_dir_all(&part).unwrap();
        for dir in [&top, &share, &part] {
            mode(dir, 0o755);
        }
        let refused = |change: &dyn Fn(&mut Fs)| {
            let mut fs = fs_of(FsType::Lofs, share.to_str().unwrap(), "/data", &[]);
            change(&mut fs);
            errors_of(&lab_with(vec![fs])).pop().unwrap_or_default()
        };
        let asis = |_: &mut Fs| {};
        let mount = |options: &str, what: &Path| {
            run(std::process::Command::new("mount").args(["-o", options]).args([what, open.path()]));
        };
        let unmount = || run(std::process::Command::new("umount").arg(open.path()));
        assert_eq!(refused(&asis), "");
        for (what, name) in [(&*share, ""), (&*top, "/share"), (&*part, "")] {
            mount("bind", what);
            let text = refused(&asis);
            let named =
                format!("is {}{name} as well, where users of the host could run", open.path().display());
            assert!(text.contains(&named), "{text}");
            assert_eq!(refused(&|fs| fs.owners = FsOwners::Host), "");
            assert_eq!(refused(&|fs| fs.options = vec!["ro".to_owned()]), "");
            mode(open.path(), 0o700);
            assert_eq!(refused(&asis), "", "users are kept out of it");
            mode(open.path(), 0o755);
            unmount();
        }
        mount("bind", &share);
        run(std::process::Command::new("mount").args(["-o", "remount,bind,nosuid"]).arg(open.path()));
        assert_eq!(refused(&asis), "");
        unmount();
    });
}

#[test]
fn with_the_owners_of_the_host_the_zone_may_have_what_users_reach() {
    zone_testing::needs_root!();
    let host = shared();
    mode(host.path(), 0o755);
    fs::write(host.path().join("file"), "").unwrap();
    let mut fs = fs_of(FsType::Lofs, host.path().to_str().unwrap(), "/data", &[]);
    fs.owners = FsOwners::Host;
    let lab = lab_with(vec![fs]);
    assert_eq!(errors_of(&lab), Vec::<String>::new());
    let platform = lab.build().unwrap();
    let file = stat(at(&platform, "/data"), "file");
    assert_eq!((file.st_uid, file.st_gid), (0, 0), "it is the host's root's, who is nobody in the zone");
}

#[test]
fn more_than_zsched_can_be_handed_are_refused_before_anything_is_made() {
    zone_testing::needs_root!();
    let with = |lab: &mut Lab, count: usize| {
        let one = |nth| fs_of(FsType::Tmpfs, "swap", &format!("/srv/{nth}"), &[]);
        lab.snapshot.config.fs = (0..count).map(one).collect();
    };
    for (brand, profile) in [
        ("linux", MacProfile::None),
        ("linux", MacProfile::Flexible),
        ("sparse", MacProfile::None),
        ("sparse", MacProfile::Fixed),
    ] {
        let mut lab = Lab::new(brand);
        lab.snapshot.config.file_mac_profile = profile;
        let most = count::most(&Spec::of(&lab.snapshot));
        assert!((45..=MAX_FDS).contains(&most), "{brand} {profile:?}: {most}");
        with(&mut lab, most);
        let platform = lab.build().unwrap();
        let handed = platform.attachments.len() + BESIDE;
        assert!(handed <= MAX_FDS, "{brand} {profile:?}: {handed}");
        with(&mut lab, most + 1);
        let error = chain(&lab.build().unwrap_err());
        assert!(error.contains(&format!("has at most {most} fs resources")), "{error}");
        let spec = Spec::of(&lab.snapshot);
        let found = crate::verify::errors(&lab.layout, &spec);
        assert!(found.iter().any(|found| found.text == error), "{found:?}");
    }
}
