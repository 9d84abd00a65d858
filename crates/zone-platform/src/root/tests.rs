use super::*;
use crate::testing::{BASE, Held, Lab, READY, chain, isolated, mode, run, stat, userns};
use std::fs;
use std::process::Command;

fn verdict(lab: &Lab) -> String {
    found(lab).map_or_else(|error| chain(&error), |_| "fit".to_owned())
}

fn found(lab: &Lab) -> Result<Root, RootError> {
    let spec = Spec::of(&lab.snapshot);
    find(&Claims::collect(&lab.layout, &spec, Purpose::BringUp)?, &spec, 0)
}

#[test]
fn ownership_and_modes() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    assert_eq!(verdict(&lab), "fit");
    let (zonepath, root) = (lab.snapshot.config.zonepath.clone(), lab.root());
    mode(&zonepath, 0o755);
    let text = verdict(&lab);
    assert!(text.contains("must have mode 0700, not 0755: say 'chmod 700 "), "{text}");
    mode(&zonepath, 0o700);
    mode(&root, 0o700);
    assert!(verdict(&lab).contains("must have mode 0755, not 0700"));
    mode(&root, 0o555);
    assert_eq!(verdict(&lab), "fit");
    mode(&root, 0o755);
    std::os::unix::fs::chown(&root, Some(BASE), None).unwrap();
    assert!(verdict(&lab).contains("is not owned by root: say 'chown root:root "));
}

#[test]
fn a_root_that_is_none() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let root = lab.root();
    fs::remove_dir(&root).unwrap();
    assert!(verdict(&lab).contains("does not exist: if its file system is not mounted, mount it"));
    std::os::unix::fs::symlink("/", &root).unwrap();
    assert!(verdict(&lab).ends_with("is a symlink: put the zone's root itself there"));
    fs::remove_file(&root).unwrap();
    fs::write(&root, "").unwrap();
    assert!(verdict(&lab).ends_with("is not a directory"));
}

#[test]
fn no_two_zones_meet() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let zonepath = lab.snapshot.config.zonepath.clone();
    let in_use = format!("zone root {} already in use by zone ", lab.root().display());
    for (other, path) in
        [("inside", zonepath.join("root/deep")), ("above", zonepath.parent().unwrap().to_owned())]
    {
        fs::create_dir_all(&path).unwrap();
        let entry = zone_config::Entry {
            name: other.parse().unwrap(),
            state: zone_config::State::Installed,
            zonepath: path,
            uuid: None,
        };
        let name = entry.name.clone();
        zone_config::Index::update::<_, zone_config::index::IndexError, _>(&lab.layout, |index| {
            index.add(entry)
        })
        .unwrap();
        assert!(verdict(&lab).starts_with(&format!("{in_use}{other}")), "{}", verdict(&lab));
        zone_config::Index::update::<_, zone_config::index::IndexError, _>(&lab.layout, |index| {
            index.remove(&name)
        })
        .unwrap();
    }
    // The same directory by another way: a link beside it.
    let twin = lab.dir.path().join("twin");
    fs::create_dir(&twin).unwrap();
    std::os::unix::fs::symlink(lab.root(), twin.join("root")).unwrap();
    lab.add_zone("other", &lab.dir.path().join("elsewhere"));
    assert_eq!(verdict(&lab), "fit");
    let mut live = lab.snapshot.clone();
    live.name = "lost".parse().unwrap();
    live.config.zonepath = twin;
    live.save(&lab.layout).unwrap();
    assert!(verdict(&lab).starts_with(&format!("{in_use}lost")), "{}", verdict(&lab));
}

#[test]
fn a_detached_root_has_the_zones_owners_and_no_devices() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    lab.dirs(&["etc"]);
    std::os::unix::fs::chown(lab.root().join("etc"), Some(1000), Some(1000)).unwrap();
    let found = found(&lab).unwrap();
    let mounted = mount(&found, userns().as_fd(), MountAttr::empty()).unwrap();
    assert_eq!(stat(mounted.as_fd(), "etc").st_uid, BASE + 1000);
    let flags = fstatvfs(&mounted).unwrap().f_flag;
    assert!(flags.contains(StatVfsMountFlags::NODEV) && !flags.contains(StatVfsMountFlags::NOSUID));
}

#[test]
fn a_zonepath_that_somebody_else_could_replace() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let above = lab.snapshot.config.zonepath.parent().unwrap().to_owned();
    mode(&above, 0o777);
    assert!(verdict(&lab).contains("must not be group writable"), "{}", verdict(&lab));
    mode(&above, 0o755);
    std::os::unix::fs::chown(&above, Some(1000), None).unwrap();
    assert!(verdict(&lab).contains("is not owned by root"), "{}", verdict(&lab));
    std::os::unix::fs::chown(&above, Some(0), None).unwrap();
    // A zone that may write above it could move it away.
    lab.add_zone("other", &lab.dir.path().join("other"));
    let mut other = lab.snapshot.clone();
    other.name = "other".parse().unwrap();
    other.config.zonepath = lab.dir.path().join("other");
    for special in [above.clone(), lab.snapshot.config.zonepath.clone()] {
        other.config.fs = vec![zone_config::config::Fs {
            dir: "/zones".into(),
            special: special.to_str().unwrap().to_owned(),
            fstype: zone_config::config::FsType::Lofs,
            raw: None,
            owners: zone_config::config::FsOwners::Map,
            options: vec![],
        }];
        other.config.save(&lab.layout, &other.name).unwrap();
        let text = verdict(&lab);
        assert!(
            text.contains(" cannot be a zonepath: it is below ") && text.contains("zone other"),
            "{text}"
        );
        let spec = Spec::of(&lab.snapshot);
        let claims = Claims::collect(&lab.layout, &spec, Purpose::BringUp).unwrap();
        assert!(matches!(place(&claims, &spec), Err(RootError::Conflict { .. })));
    }
}

#[test]
fn of_zones_that_are_down_those_count_that_could_have_written() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let other = lab.dir.path().join("other");
    lab.add_zone("other", &other);
    assert_eq!(verdict(&lab), "fit");
    // Edited by hand: it was never up with that.
    let above = lab.snapshot.config.zonepath.parent().unwrap().display().to_string();
    let mut theirs = lab.snapshot.clone();
    theirs.name = "other".parse().unwrap();
    theirs.config.zonepath = other;
    theirs.config.fs = vec![zone_config::config::Fs {
        dir: "/zones".into(),
        special: above,
        fstype: zone_config::config::FsType::Lofs,
        raw: None,
        owners: zone_config::config::FsOwners::Map,
        options: vec![],
    }];
    fs::write(lab.layout.config(&theirs.name), theirs.config.to_toml()).unwrap();
    assert_eq!(verdict(&lab), "fit");
    let refused = |purpose| {
        let spec = Spec::of(&lab.snapshot);
        let claims = Claims::collect(&lab.layout, &spec, purpose).unwrap();
        matches!(place(&claims, &spec), Err(RootError::Conflict { .. }))
    };
    assert!(refused(Purpose::Verify { installed: true, warns: true }), "who is to tell of all tells of it");
    // Whoever makes it ready has written that down before.
    Claims::collect(&lab.layout, &Spec::of(&theirs), Purpose::BringUp).unwrap();
    assert!(refused(Purpose::BringUp));
    fs::write(lab.layout.config(&theirs.name), "").unwrap();
    assert!(!refused(Purpose::BringUp), "what it is configured with counts");
}

fn mount_on(what: &[&str], point: &Path) {
    run(Command::new("mount").args(what).arg(point));
}

#[test]
fn mounts_left_below_are_listed() {
    zone_testing::needs_root!();
    isolated("root::tests::mounts_left_below_are_listed", || {
        let lab = Lab::new("linux");
        lab.dirs(&["a b"]);
        mount_on(&["-t", "tmpfs", "none"], &lab.root().join("a b"));
        let root = lab.root();
        let root = root.display();
        let told =
            format!("These file-systems are mounted on subdirectories of {root}: unmount them\n  {root}/a b");
        assert_eq!(verdict(&lab), told);
        run(Command::new("umount").arg(lab.root().join("a b")));
    });
}

#[test]
fn a_mount_option_that_no_zone_can_live_with() {
    zone_testing::needs_root!();
    isolated("root::tests::a_mount_option_that_no_zone_can_live_with", || {
        let lab = Lab::new("linux");
        let root = lab.root();
        for (option, remedy) in [("nosuid", "suid"), ("noexec", "exec"), ("ro", "rw")] {
            mount_on(&["-t", "tmpfs", "-o", &format!("mode=755,{option}"), "none"], &root);
            let text = verdict(&lab);
            assert!(text.contains(&format!("is on a file system mounted {option}, so that")), "{text}");
            assert!(text.ends_with(&format!("say 'mount -o remount,{remedy} {}'", root.display())), "{text}");
            run(Command::new("umount").arg(&root));
        }
        mount_on(&["-t", "tmpfs", "-o", "mode=755,nodev", "none"], &root);
        assert_eq!(verdict(&lab), "fit");
        run(Command::new("umount").arg(&root));
    });
}

#[test]
fn a_file_system_that_cannot_be_id_mapped_is_named() {
    zone_testing::needs_root!();
    isolated("root::tests::a_file_system_that_cannot_be_id_mapped_is_named", || {
        let lab = Lab::new("linux");
        let layers = lab.dir.path().join("layers");
        mount_on(&["-t", "tmpfs", "none", "--mkdir"], &layers);
        ["l", "u", "w"].iter().for_each(|name| fs::create_dir(layers.join(name)).unwrap());
        let layers_of = |name| layers.join(name).display().to_string();
        let options =
            format!("lowerdir={},upperdir={},workdir={}", layers_of("l"), layers_of("u"), layers_of("w"));
        mount_on(&["-t", "overlay", "-o", &options, "none"], &lab.root());
        let found = found(&lab).unwrap();
        let text = chain(&mount(&found, userns().as_fd(), MountAttr::empty()).unwrap_err());
        assert!(text.contains("is on a file system (overlay) that Linux "), "{text}");
        assert!(text.contains("cannot id-map: put the zonepath on ext4 or xfs"), "{text}");
        drop(found);
        run(Command::new("umount").arg(lab.root()));
        run(Command::new("umount").arg(&layers));
    });
}

#[test]
fn a_copy_is_private_and_stays_when_its_source_is_gone() {
    zone_testing::needs_root!();
    let lab = Lab::new("linux");
    let found = found(&lab).unwrap();
    let mounted = mount(&found, userns().as_fd(), MountAttr::empty()).unwrap();
    // Nothing of it shows in the mount table: it is attached nowhere.
    let held = Held::start(Command::new("sh").args(["-c", READY]));
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", held.0.id())).unwrap();
    assert!(!table.contains(&lab.dir.path().display().to_string()));
    assert!(stat(mounted.as_fd(), ".").st_uid == BASE);
}
