//! Archives of some kB that would take all of the host's memory.

use super::*;

/// More than half of what all records in force may be.
const MUCH: usize = 3 << 20;

fn refused(archive: Hostile) {
    let error = archive.unpack(&Ground::new()).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("extended headers of more than 4 MiB"), "{error}");
}

#[test]
fn records_in_force_are_bounded_together() {
    let value = vec![b'x'; MUCH];
    let many = |archive: Hostile| archive.pax(&[("comment", &value)]);
    refused(many(many(Hostile::default())).file("a", ""));
    refused(many(Hostile::default().global(&[("comment", &value)])).file("a", ""));
    refused(Hostile::default().global(&[("first", &value)]).global(&[("second", &value)]).file("a", ""));
    // Those of one member are gone with it, and a global one gives way to the next of its key.
    let mut fine = Hostile::default();
    for name in ["a", "b", "c"] {
        fine = fine.global(&[("comment", &value[..MUCH / 2])]).file(name, "");
    }
    fine.unpack(&Ground::new()).unwrap();
    many(many(Hostile::default()).file("a", "")).file("b", "").unpack(&Ground::new()).unwrap();
}

#[test]
fn attributes_that_no_file_can_have_are_counted_and_not_kept() {
    let ground = Ground::new();
    let long = vec![b'x'; 65537];
    let summary = Hostile::default()
        .global(&[("SCHILY.xattr.user.long", &long), ("SCHILY.xattr.user.note", b"y")])
        .dir("d")
        .dir("d")
        .file("f", "")
        .unpack(&ground)
        .unwrap();
    assert_eq!(summary.left.unsupported, 3);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(ground.root.join("d"), "user.note", &mut value), Ok(1));
    // More names than their list can be long; to the file system they are not even shown.
    let keys: Vec<_> = (0..1000).map(|number| format!("SCHILY.xattr.user.{number:0>200}")).collect();
    let records: Vec<_> = keys.iter().map(|key| (key.as_str(), &b"y"[..])).collect();
    let mut in_force = pax::Records::default();
    in_force.add(&Hostile::records(&records)).unwrap();
    let found = super::super::attributes::of(&in_force);
    assert_eq!((found.xattrs.len() as u64 + found.left.unsupported, found.xattrs.len()), (1000, 65536 / 206));
}

#[test]
fn devices_are_remembered_up_to_a_bound() {
    let mut devices = Devices::default();
    let name = |number: u32| PathBuf::from(format!("{number:0>4000}"));
    (0..5000).for_each(|number| devices.remember(name(number)));
    assert!(devices.bytes <= Devices::MOST && devices.names.len() > 4000, "{}", devices.names.len());
    assert!(devices.names.contains(&name(0)) && !devices.names.contains(&name(4999)));
    (0..5000).for_each(|number| devices.forget(&name(number)));
    assert_eq!(devices.bytes, 0);
}
