//! Tests of plans against hosts that are made up.

use super::*;
use zone_config::{Layout, ZoneName};

fn host() -> Host {
    let link = |index, name: &str, kind: Option<&str>| Link {
        index,
        name: name.to_owned(),
        kind: kind.map(str::to_owned),
        loopback: name == "lo",
        mtu: 1400,
        mac: Some(crate::Mac([2, 0, 0, 0, 0, 9])),
        ..Link::default()
    };
    let mut slave = link(5, "slave", None);
    slave.master = Some(3);
    let address = |link, net: &str| crate::rt::Address::new(link, net.parse().unwrap());
    let lan = crate::rt::Route::default_by("192.0.2.254".parse().unwrap(), 2);
    Host {
        links: vec![
            link(1, "lo", None),
            link(2, "lan", None),
            link(3, "br0", Some("bridge")),
            link(4, "spare", None),
            slave,
        ],
        addresses: vec![address(2, "192.0.2.1/24"), address(3, "198.51.100.1/24"), address(3, "fe80::1/64")],
        routes: vec![lan],
    }
}

fn net(physical: &str, lower: Lower, addresses: &[&str]) -> NetSpec {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    NetSpec {
        physical: physical.to_owned(),
        lower,
        mode: None,
        addresses: Addresses::Given(addresses),
        allowed: vec![],
        routers: vec![],
        mac: None,
        mtu: None,
        vlan: None,
        bandwidth: None,
        protection: None,
    }
}

fn planned(net: NetSpec) -> Result<Interface, String> {
    let zone: ZoneName = "web".parse().unwrap();
    let owner = Owner { installation: Layout::host().id(), zone: &zone };
    let spec = NetworkSpec { nets: vec![net], ..NetworkSpec::default() };
    let host = host();
    let plan = Plan { owner, spec: &spec, host: &host, managed: None };
    let interfaces = plan.interfaces(|_| vec![]).map_err(|error| error.to_string());
    interfaces.map(|mut interfaces| interfaces.remove(0))
}

#[test]
fn the_mode_follows_from_the_link() {
    let on = |link: &str| Lower::Link(link.to_owned());
    let bridge = planned(net("eth0", on("br0"), &["198.51.100.7"])).unwrap();
    assert_eq!(bridge.attachment, Attachment::Bridge { bridge: "br0".to_owned(), vlan: None });
    assert_eq!(bridge.addresses, ["198.51.100.7/24".parse().unwrap()]);
    assert_eq!((bridge.mtu, bridge.protection), (Some(1400), Protection::default()));
    let macvlan = planned(net("eth0", on("lan"), &["192.0.2.7"])).unwrap();
    assert_eq!(macvlan.attachment, Attachment::Macvlan { link: "lan".to_owned(), vlan: None });
    assert_eq!(macvlan.protection, Protection::NONE);
    let routed = NetSpec { mode: Some(Mode::Routed), ..net("eth0", on("lan"), &["203.0.113.9"]) };
    assert_eq!(planned(routed).unwrap().addresses, ["203.0.113.9/32".parse().unwrap()]);
    let moves = planned(net("spare", Lower::None, &[])).unwrap();
    assert_eq!(moves.attachment, Attachment::Physical { link: "spare".to_owned() });
    assert_eq!(moves.mac, crate::Mac([2, 0, 0, 0, 0, 9]));
    let renamed = NetSpec { mode: Some(Mode::Physical), ..net("eth0", on("spare"), &[]) };
    let renamed = planned(renamed).unwrap();
    assert_eq!((renamed.attachment, renamed.inside.as_str()), (moves.attachment, "eth0"));
}

#[test]
fn a_network_that_is_routed_to_the_host_is_of_no_range() {
    let network = Network {
        bridge: "zones0".to_owned(),
        mac: crate::Mac([2, 0, 0, 0, 0, 8]),
        ipv4: Some(Range::new("10.9.0.0/20".parse().unwrap())),
        ipv6: None,
        mtu: None,
        nameservers: Vec::new(),
        file: "network.toml".into(),
    };
    let routed = NetSpec { mode: Some(Mode::Routed), ..net("eth0", Lower::Managed, &["203.0.113.9"]) };
    let bridged = net("eth0", Lower::Managed, &["203.0.113.9"]);
    let zone: ZoneName = "web".parse().unwrap();
    let owner = Owner { installation: Layout::host().id(), zone: &zone };
    let host = host();
    let planned = |net: NetSpec| {
        let spec = NetworkSpec { nets: vec![net], ..NetworkSpec::default() };
        let plan = Plan { owner, spec: &spec, host: &host, managed: Some(&network) };
        plan.interfaces(|_| vec![]).map(|all| all[0].addresses.clone()).map_err(|error| error.to_string())
    };
    assert_eq!(planned(routed), Ok(vec!["203.0.113.9/32".parse().unwrap()]));
    assert!(planned(bridged).unwrap_err().contains("none of the managed network's addresses"));
}

#[test]
fn a_net_of_whose_ipv4_nothing_gets_out_is_told() {
    let on = |link: &str| Lower::Link(link.to_owned());
    let without_ip = Protection { ip: false, ..Protection::default() };
    let nets = vec![
        net("eth0", on("br0"), &[]),
        net("eth1", on("br0"), &["198.51.100.7"]),
        NetSpec { allowed: vec!["198.51.100.0/24".parse().unwrap()], ..net("eth2", on("br0"), &[]) },
        NetSpec { protection: Some(without_ip), ..net("eth3", on("br0"), &[]) },
        NetSpec { addresses: Addresses::Dhcp, ..net("eth4", on("br0"), &[]) },
        net("eth5", on("lan"), &[]),
        net("spare", Lower::None, &[]),
    ];
    let zone: ZoneName = "web".parse().unwrap();
    let spec = NetworkSpec { nets, ..NetworkSpec::default() };
    let owner = Owner { installation: Layout::host().id(), zone: &zone };
    let plan = Plan { owner, spec: &spec, host: &host(), managed: None };
    assert_eq!(plan.muted().collect::<Vec<_>>(), ["eth0"]);
}

#[test]
fn what_cannot_be_is_said() {
    let on = |link: &str| Lower::Link(link.to_owned());
    let routed_by = |net: NetSpec, router: &str| NetSpec { routers: vec![router.parse().unwrap()], ..net };
    for (net, said) in [
        (
            net("eth0", on("br9"), &[]),
            "there is no link 'br9' on this host; there are: lan, br0, spare, slave",
        ),
        (net("eth0", on("lo"), &[]), "loopback"),
        (net("br0", Lower::None, &[]), "global-nic=br0"),
        (net("lan", Lower::None, &[]), "default route"),
        (net("slave", Lower::None, &[]), "a port of 'br0'"),
        (NetSpec { mode: Some(Mode::Physical), ..net("eth0", on("slave"), &[]) }, "a port of 'br0'"),
        (NetSpec { mode: Some(Mode::Bridge), ..net("eth0", on("lan"), &[]) }, "'lan' is no bridge"),
        (net("eth0", on("br0"), &["203.0.113.9"]), "give it as 203.0.113.9/LENGTH"),
        (net("eth0", on("br0"), &["198.51.100.1"]), "an address of this host, on 'br0'"),
        (
            routed_by(net("eth0", on("br0"), &["198.51.100.7"]), "203.0.113.1"),
            "net's prefixes, which are 198.51.100.0/24",
        ),
        (
            routed_by(net("eth0", on("lan"), &["192.0.2.7"]), "192.0.2.1"),
            "a net of mode macvlan on 'lan' cannot",
        ),
        (
            NetSpec { protection: Some(Protection::default()), ..net("eth0", on("lan"), &[]) },
            "link-protection is not possible with mode macvlan",
        ),
        (
            NetSpec {
                protection: Some(Protection { isolated: true, ..Protection::NONE }),
                ..net("eth0", on("lan"), &[])
            },
            "link-protection is not possible with mode macvlan",
        ),
        (
            NetSpec { bandwidth: Some(1), ..net("eth0", on("lan"), &[]) },
            "allowed with modes bridge and routed",
        ),
        (NetSpec { vlan: Some(7), ..net("eth0", on("br0"), &[]) }, "vlan_filtering 1"),
        (
            NetSpec { mtu: Some(1000), ..net("eth0", on("br0"), &["2001:db8::7/64"]) },
            "the MTU is 1000, and IPv6 needs at least 1280",
        ),
    ] {
        let error = planned(net).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
    let beside = routed_by(net("eth0", on("br0"), &["203.0.113.9/32"]), "203.0.113.1");
    assert!(planned(beside).is_ok());
}
