//! Tests of the devices of a zone, with those that this machine has.

use super::*;
use crate::check::Check;
use crate::testing::{BASE, Lab, at, chain, stat};
use crate::{Spec, cgroup};
use rustix::fs::makedev;
use zone_config::config::{Device, Fs, FsOwners, FsType};
use zone_sys::loopdev::Loop;

fn device(pattern: &str) -> Device {
    Device {
        pattern: pattern.to_owned(),
        owner: 0,
        group: 0,
        mode: None,
        allow_mknod: false,
        allow_partition: false,
        allow_raw_io: false,
    }
}

fn findings(patterns: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut lab = Lab::new("linux");
    lab.snapshot.config.device = patterns.iter().map(|pattern| device(pattern)).collect();
    let spec = Spec::of(&lab.snapshot);
    let (errors, warnings) =
        Check::run(&lab.layout, &spec, Purpose::Verify { installed: false, warns: true }).into_findings();
    let of_devices = errors.iter().filter(|error| matches!(error, PlatformError::Device(_)));
    (of_devices.map(|error| chain(error)).collect(), warnings)
}

#[test]
fn what_is_no_device_of_a_zones_is_named() {
    zone_testing::needs_root!();
    for (pattern, said) in [
        ("/dev/no-such-device", "the host has no such device: load its driver"),
        ("/dev/net", "it is a directory, whose devices are matched by its name with /* behind it"),
        ("/dev/mem", "no zone gets it: it is the host's memory"),
        ("/dev/kmsg", "no zone gets it"),
        ("/dev/null", "the zone has its own"),
        ("/dev/shm/x", "the zone has its own"),
        ("/dev/*", "a name that begins with a letter or digit"),
        ("/etc/passwd", "a path below /dev"),
    ] {
        let (errors, _) = findings(&[pattern]);
        assert!(errors.len() == 1 && errors[0].contains(said), "{pattern}: {errors:?}");
    }
    // Among many they are passed over.
    let (errors, warnings) = findings(&["me[m]", "km*", "no-such-*"]);
    assert_eq!(errors, Vec::<String>::new());
    assert!(
        warnings.iter().any(|warning| warning == "no device of the host matches no-such-*"),
        "{warnings:?}"
    );
}

#[test]
fn a_disk_that_the_host_uses_is_refused() {
    zone_testing::needs_root!();
    // The machine's own root, if that is a disk.
    let root = rustix::fs::stat("/").unwrap().st_dev;
    let link = format!("/sys/dev/block/{}:{}", rustix::fs::major(root), rustix::fs::minor(root));
    let Ok(target) = std::fs::read_link(link) else { return };
    let name = target.file_name().unwrap().to_str().unwrap().to_owned();
    let (errors, _) = findings(&[&name]);
    assert!(errors[0].contains("the host uses it (a file system on it is mounted"), "{errors:?}");
    let (errors, _) = findings(&[&format!("{}*", &name[..2])]);
    assert!(errors[0].contains("write a match without it"), "{errors:?}");
}

/// An image as the check takes it, and two loop devices of it; nothing on a machine that has no such devices.
fn image(dir: &tempfile::TempDir) -> Option<(String, [Loop; 2])> {
    crate::testing::mode(dir.path(), 0o700);
    let path = dir.path().join("disk.img");
    let mut content = vec![0; 1 << 20];
    (content[1024 + 0x38], content[1024 + 0x39], content[1024 + 0x3a]) = (0x53, 0xef, 1);
    content[1024 + 0x5c] = 4;
    std::fs::write(&path, content).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let make = || Loop::make(file.as_fd(), false).ok();
    Some((path.to_str().unwrap().to_owned(), [make()?, make()?]))
}

fn disk(special: &str) -> Fs {
    Fs {
        dir: "/data".to_owned(),
        special: special.to_owned(),
        fstype: FsType::Ext4,
        raw: None,
        owners: FsOwners::Map,
        options: vec!["ro".to_owned()],
    }
}

/// What a check finds that is about a disk of two kinds.
fn conflicts(lab: &Lab, purpose: Purpose) -> Vec<String> {
    let spec = Spec::of(&lab.snapshot);
    let (errors, _) = Check::run(&lab.layout, &spec, purpose).into_findings();
    let said = errors.iter().map(|error| chain(error));
    said.filter(|said| said.contains("while it is mounted") || said.contains("a disk that is mounted"))
        .collect()
}

const VERIFY: Purpose = Purpose::Verify { installed: false, warns: true };

#[test]
fn no_zone_has_a_disk_for_a_device_and_mounted() {
    zone_testing::needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let Some((path, [one, two])) = image(&dir) else { return };
    for special in [&path, &one.path(), &two.path()] {
        let mut lab = Lab::new("linux");
        lab.snapshot.config.device = vec![device(&one.path())];
        assert_eq!(conflicts(&lab, VERIFY), Vec::<String>::new());
        lab.snapshot.config.fs = vec![disk(special)];
        let said = [
            format!(
                "could not verify device {}: zone probe mounts it, the whole of it or a part of it (fs /data)",
                one.path()
            ),
            format!(
                "could not verify fs /data: {special} cannot be shared with a zone: zone probe has it, the whole of it or a part of it as a device (match {})",
                one.path()
            ),
        ];
        let found = conflicts(&lab, VERIFY);
        assert!(
            found.len() == 2 && said.iter().all(|said| found.iter().any(|found| found.starts_with(said))),
            "{found:?}"
        );
        assert!(conflicts(&lab, Purpose::BringUp)[0].starts_with(&said[0]), "a boot ends at the first");
        lab.snapshot.config.device.clear();
        assert_eq!(conflicts(&lab, VERIFY), Vec::<String>::new());
    }
}

#[test]
fn what_another_zone_lives_with_is_seen_by_whoever_boots() {
    zone_testing::needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let Some((path, [one, two])) = image(&dir) else { return };
    for (own, theirs) in [(vec![device(&one.path())], vec![]), (vec![], vec![device(&two.path())])] {
        let mut lab = Lab::new("linux");
        lab.add_zone("other", &lab.dir.path().join("other"));
        let mut other = lab.snapshot.clone();
        other.name = "other".parse().unwrap();
        other.idmap.base += other.idmap.count;
        other.config.zonepath = lab.dir.path().join("other");
        let mounted = |devices: &[Device]| devices.is_empty().then(|| disk(&path)).into_iter().collect();
        (lab.snapshot.config.fs, other.config.fs) = (mounted(&own), mounted(&theirs));
        (lab.snapshot.config.device, other.config.device) = (own, theirs);
        // What is only configured need not be up at once.
        other.config.save(&lab.layout, &other.name).unwrap();
        assert_eq!(conflicts(&lab, Purpose::BringUp), Vec::<String>::new());
        let found = conflicts(&lab, VERIFY);
        assert!(found.len() == 1 && found[0].contains("zone other "), "{found:?}");
        other.save(&lab.layout).unwrap();
        let found = conflicts(&lab, Purpose::BringUp);
        assert!(found.len() == 1 && found[0].contains("zone other "), "{found:?}");
        // What a zone is being given counts as well.
        if !other.config.device.is_empty() {
            other.save_next(&lab.layout).unwrap();
            other.config.device.clear();
            other.save(&lab.layout).unwrap();
            assert_eq!(conflicts(&lab, Purpose::BringUp), found);
        }
    }
}

#[test]
fn an_image_is_mounted_by_no_loop_device_of_a_zones() {
    zone_testing::needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let Some((path, [one, two])) = image(&dir) else { return };
    drop(two);
    let mut lab = Lab::new("linux");
    let [other, third] = ["other.img", "third.img"].map(|name| dir.path().join(name));
    std::fs::copy(&path, &other).unwrap();
    std::fs::copy(&path, &third).unwrap();
    lab.snapshot.config.fs = vec![disk(third.to_str().unwrap())];
    // One that is named is left alone when the image is mounted.
    lab.snapshot.config.device = vec![device(&one.path())];
    assert_eq!(conflicts(&lab, VERIFY), Vec::<String>::new());
    let file = std::fs::File::options().read(true).write(true).open(&other).unwrap();
    let taken: Vec<u32> = (0..one.number() + 1).collect();
    let made = Loop::make_beside(file.as_fd(), false, &taken).unwrap();
    assert!(!taken.contains(&made.number()));
    lab.snapshot.config.device = vec![device(&format!("{}*", one.path()))];
    let spec = Spec::of(&lab.snapshot);
    let (errors, _) = Check::run(&lab.layout, &spec, VERIFY).into_findings();
    let said = errors.iter().map(|error| chain(error)).collect::<Vec<_>>();
    assert!(
        said.iter().any(|said| said.contains("zone probe has loop devices by a pattern (match /dev/loop")),
        "{said:?}"
    );
}

#[test]
fn the_nodes_are_made_and_the_cgroup_is_guarded() {
    zone_testing::needs_root!();
    let mut lab = Lab::new("linux");
    let tun = Device { owner: 7, group: 8, mode: Some("0640".to_owned()), ..device("/dev/net/t?n") };
    lab.snapshot.config.device = vec![tun, device("fuse"), device("net/tun")];
    let platform = lab.build().unwrap();
    assert_eq!(platform.warnings, Vec::<String>::new());
    let dev = at(&platform, "/dev");
    let node = stat(dev, "net/tun");
    assert_eq!((node.st_rdev, node.st_mode & 0o7777), (makedev(10, 200), 0o640));
    assert_eq!((node.st_uid, node.st_gid), (BASE + 7, BASE + 8));
    assert_eq!((stat(dev, "net").st_uid, stat(dev, "net").st_mode & 0o7777), (BASE, 0o755));
    assert_eq!(stat(dev, "fuse").st_rdev, makedev(10, 229));
    let name = program_name(lab.layout.id());
    let attached = |cgroup: &OwnedFd| bpf::attached_for_devices(cgroup.as_fd()).unwrap();
    let before = attached(&platform.cgroup);
    assert_eq!(before.len(), 1);
    // Another one takes its place, and is not put beside it.
    guard(platform.cgroup.as_fd(), lab.layout.id(), &[]).unwrap();
    let after = attached(&platform.cgroup);
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
    assert_eq!(bpf::name(bpf::open(after[0]).unwrap().as_fd()).unwrap(), name);
    drop(platform);
    lab.tear_down().unwrap();
    assert!(cgroup::open(&lab.layout, &lab.snapshot.name).unwrap().is_none());
}
