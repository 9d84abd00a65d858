use super::*;
use crate::testing::{BASE, Held, Lab, READY, chain, mode, stat, userns};
use std::process::Command;

fn verdict(lab: &Lab) -> String {
    let Lab { layout, snapshot, .. } = lab;
    match check(layout, &snapshot.name, &snapshot.config) {
        Ok(_) => "fit".to_owned(),
        Err(error) => chain(&error),
    }
}

#[test]
fn ownership_and_modes() {
    let lab = Lab::new("linux");
    assert_eq!(verdict(&lab), "fit");
    let (zonepath, root) = (lab.snapshot.config.zonepath.clone(), lab.root());
    mode(&zonepath, 0o755);
    let text = verdict(&lab);
    assert!(text.contains("must have mode 0700, not 0755: say 'chmod 700 "), "{text}");
    mode(&zonepath, 0o700);
    mode(&root, 0o700);
    assert!(verdict(&lab).contains("must have mode 0755, not 0700"));
    mode(&root, 0o755);
    std::os::unix::fs::chown(&root, Some(BASE), None).unwrap();
    assert!(verdict(&lab).contains("is not owned by root: say 'chown root:root "));
}

#[test]
fn a_root_that_is_none() {
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
    let lab = Lab::new("linux");
    lab.dirs(&["etc"]);
    std::os::unix::fs::chown(lab.root().join("etc"), Some(1000), Some(1000)).unwrap();
    let found = check(&lab.layout, &lab.snapshot.name, &lab.snapshot.config).unwrap();
    let mounted = mount(&found, userns().as_fd()).unwrap();
    assert_eq!(stat(mounted.as_fd(), "etc").st_uid, BASE + 1000);
    let flags = fstatvfs(&mounted).unwrap().f_flag;
    assert!(flags.contains(StatVfsMountFlags::NODEV) && !flags.contains(StatVfsMountFlags::NOSUID));
}

/// Runs this test alone in a mount namespace of its own, where `script` has mounted what it likes below `$ROOT`.
fn with_mounts(lab: &Lab, test: &str, script: &str) {
    let exe = std::env::current_exe().unwrap();
    let run = format!("{script}\nexec \"$EXE\" --exact root::tests::{test} --nocapture");
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", &run])
        .env("EXE", exe)
        .env("ROOT", lab.root())
        .env("ZONEPATH", &lab.snapshot.config.zonepath)
        .env("LAB", lab.dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

/// The lab that the process that started this one made, in the child of [`with_mounts`].
fn inherited() -> Option<(Layout, ZoneConfig)> {
    let layout = Layout::new(Some(std::env::var_os("LAB")?.into())).unwrap();
    Some((layout, ZoneConfig::new(std::env::var_os("ZONEPATH")?.into())))
}

fn verdict_inherited(layout: &Layout, config: &ZoneConfig) -> String {
    chain(&check(layout, &"probe".parse().unwrap(), config).unwrap_err())
}

#[test]
fn mounts_left_below_are_listed() {
    if let Some((layout, config)) = inherited() {
        let (text, root) = (verdict_inherited(&layout, &config), config.root());
        let root = root.display();
        assert_eq!(
            text,
            format!("These file-systems are mounted on subdirectories of {root}: unmount them\n  {root}/a b")
        );
        return;
    }
    let lab = Lab::new("linux");
    lab.dirs(&["a b"]);
    with_mounts(&lab, "mounts_left_below_are_listed", "mount -t tmpfs none \"$ROOT/a b\"");
}

#[test]
fn a_nosuid_file_system_is_refused() {
    if let Some((layout, config)) = inherited() {
        let text = verdict_inherited(&layout, &config);
        assert!(
            text.contains("is on a file system mounted nosuid, so that su, sudo and passwd would fail"),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("say 'mount -o remount,suid {}'", config.root().display())),
            "{text}"
        );
        return;
    }
    let lab = Lab::new("linux");
    with_mounts(&lab, "a_nosuid_file_system_is_refused", "mount -t tmpfs -o nosuid,mode=755 none \"$ROOT\"");
}

#[test]
fn a_file_system_that_cannot_be_id_mapped_is_named() {
    if let Some((layout, config)) = inherited() {
        let found = check(&layout, &"probe".parse().unwrap(), &config).unwrap();
        let text = chain(&mount(&found, userns().as_fd()).unwrap_err());
        assert!(text.contains("is on a file system (overlay) that Linux "), "{text}");
        assert!(text.contains("cannot id-map: put the zonepath on ext4 or xfs"), "{text}");
        return;
    }
    let lab = Lab::new("linux");
    let script = "mount -t tmpfs none \"$ZONEPATH\" -o mode=700; cd \"$ZONEPATH\"; mkdir -m 755 l u w root;
        mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none root";
    with_mounts(&lab, "a_file_system_that_cannot_be_id_mapped_is_named", script);
}

#[test]
fn a_copy_is_private_and_stays_when_its_source_is_gone() {
    let lab = Lab::new("linux");
    let found = check(&lab.layout, &lab.snapshot.name, &lab.snapshot.config).unwrap();
    let mounted = mount(&found, userns().as_fd()).unwrap();
    // Nothing of it shows in the mount table: it is attached nowhere.
    let held = Held::start(Command::new("sh").args(["-c", READY]));
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", held.0.id())).unwrap();
    assert!(!table.contains(&lab.dir.path().display().to_string()));
    assert!(stat(mounted.as_fd(), ".").st_uid == BASE);
}
