//! Tests of the devices of a zone, with those that this machine has.

use super::*;
use crate::check::Check;
use crate::testing::{BASE, Lab, at, chain, stat};
use crate::{Spec, cgroup};
use rustix::fs::makedev;
use zone_config::config::Device;

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
