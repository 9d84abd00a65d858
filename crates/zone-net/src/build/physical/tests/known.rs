//! What a link is known by.

use super::super::*;
use crate::testing::mac;

#[test]
fn links_are_known_by_their_hardware() {
    let card = |index, name: &str, permanent: &str| Link {
        index,
        name: name.to_owned(),
        parent: Some("pci/0000:00:03.0".to_owned()),
        permanent_mac: Some(mac(permanent)),
        mac: Some(mac(permanent)),
        ..Link::default()
    };
    let record = PhysicalRecord {
        name: "up0".to_owned(),
        index: 3,
        kind: None,
        vlan: None,
        parent: Some("pci/0000:00:03.0".to_owned()),
        permanent_mac: Some(mac("02:00:00:00:00:01")),
        mac: Some(mac("02:00:00:00:00:01")),
        lower: None,
        mtu: 1500,
        up: true,
        queue_length: 1000,
        group: 0,
        master: None,
        alias: None,
        altnames: Vec::new(),
        addresses: Vec::new(),
        routes: Vec::new(),
    };
    let mut own = card(9, "mine", "02:00:00:00:00:01");
    own.mac = Some(mac("02:00:00:00:00:66"));
    let other = card(3, "up1", "02:00:00:00:00:02");
    let forged = Link { kind: Some("macvlan".to_owned()), ..card(3, "up0", "02:00:00:00:00:01") };
    let loose = Link { parent: None, ..card(3, "up0", "02:00:00:00:00:01") };
    let all = [other.clone(), forged.clone(), loose.clone(), own.clone()];
    for find in [PhysicalRecord::find_inside, PhysicalRecord::find_on_host] {
        assert_eq!(find(&record, &all), Some(&own), "under another index, name and address");
        assert_eq!(find(&record, &[other.clone(), forged.clone(), loose.clone()]), None);
    }
    let text = toml::to_string(&record).unwrap();
    assert_eq!(toml::from_str::<PhysicalRecord>(&text).unwrap(), record, "{text}");
}

/// A record of a virtual link, and the link as it is.
fn of_virtual(kind: &str, vlan: Option<u16>, mac: Option<Mac>, lower: Option<u32>) -> (PhysicalRecord, Link) {
    let text = format!(
        "name = \"up0\"\nindex = 7\nmtu = 1500\nup = true\nqueue-length = 1000\ngroup = 0\nkind = \"{kind}\"\n"
    );
    let record: PhysicalRecord = toml::from_str(&text).unwrap();
    let link = Link {
        index: 7,
        name: "up0".to_owned(),
        kind: Some(kind.to_owned()),
        vlan,
        mac,
        lower,
        ..Link::default()
    };
    (PhysicalRecord { vlan, mac, lower, ..record }, link)
}

#[test]
fn a_virtual_link_is_never_another_one_of_the_host() {
    let ether = Some(mac("02:00:00:00:00:01"));
    for (kind, vlan, mac, lower) in [
        ("wireguard", None, None, None),
        ("tun", None, None, None),
        ("dummy", None, ether, None),
        ("vlan", Some(7), ether, Some(2)),
    ] {
        let (record, own) = of_virtual(kind, vlan, mac, lower);
        let sibling = Link { index: 8, name: "up1".to_owned(), ..own.clone() };
        assert_eq!(record.find_on_host(std::slice::from_ref(&sibling)), None, "{kind}: it is destroyed");
        let renamed = Link { name: "dev7".to_owned(), ..own.clone() };
        assert_eq!(
            record.find_on_host(&[sibling.clone(), renamed.clone()]),
            Some(&renamed),
            "{kind}: by its number"
        );
        let anew = Link { index: 9, ..own.clone() };
        assert_eq!(record.find_on_host(&[sibling.clone(), anew.clone()]), Some(&anew), "{kind}: by its name");
        let inside = Link { name: "mine".to_owned(), ..anew.clone() };
        assert_eq!(
            record.find_inside(std::slice::from_ref(&inside)),
            Some(&inside),
            "{kind}: its number was taken"
        );
        let two = [inside.clone(), Link { index: 10, ..inside.clone() }];
        let found = record.find_inside(&two);
        assert_eq!(
            found,
            mac.is_some().then_some(&inside),
            "{kind}: without an address it is like all others"
        );
        let underway = Link { name: "zback0".to_owned(), ..anew };
        assert_eq!(record.find_on_host(&[sibling, underway.clone()]), Some(&underway), "{kind}");
    }
}

#[test]
fn a_link_of_another_vlan_is_another_link() {
    let (record, own) = of_virtual("vlan", Some(7), Some(mac("02:00:00:00:00:01")), Some(2));
    let other = Link { vlan: Some(8), ..own.clone() };
    assert_eq!(record.find_on_host(&[other.clone(), own.clone()]), Some(&own));
    assert_eq!(record.find_inside(std::slice::from_ref(&other)), None);
    let earlier = PhysicalRecord { vlan: None, ..record };
    assert_eq!(
        earlier.find_on_host(std::slice::from_ref(&own)),
        Some(&own),
        "recorded by an earlier program"
    );
}
