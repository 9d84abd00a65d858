//! Whatever state a zone was left in, nothing of it stays, and nothing else goes.

use super::*;

fn net(zone: &Zone) -> Interface {
    let uplink = Some("up0".to_owned());
    zone.interface(0, Attachment::Routed { uplink }, &["192.0.2.5/24", "2001:db8::5/64"])
}

#[test]
fn every_partial_state_is_taken_down() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        managed();
        forward();
        let before = left();
        let zone = Zone::new("web");
        let nets = [net(&zone), zone.interface(1, on_bridge(), &["10.1.0.5/24"])];
        let states: [&dyn Fn(); 5] = [
            &|| {},
            &|| create(&nets, zone.fd()).unwrap(),
            &|| create(&nets[..1], zone.fd()).unwrap(),
            &|| {
                // The second one fails: its name is taken inside.
                within(&zone.netns, || run("ip link add eth1 type bridge"));
                assert!(bring_up(&nets, zone.fd()).is_err());
                within(&zone.netns, || run("ip link del eth1"));
            },
            &|| bring_up(&nets, zone.fd()).unwrap(),
        ];
        for (number, state) in states.iter().enumerate() {
            state();
            for netns in [Some(zone.fd()), None] {
                tear_down(zone.owner(), &[], netns).unwrap();
                assert_eq!(left(), before, "state {number}");
            }
        }
    });
}

#[test]
fn what_a_dead_zone_left_is_found() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        forward();
        let before = left();
        let web = Zone::new("web");
        bring_up(&[net(&web)], web.fd()).unwrap();
        let mut other = Zone::new("db").interface(
            0,
            Attachment::Routed { uplink: Some("up0".to_owned()) },
            &["192.0.2.9/32"],
        );
        let db = Zone::new("db");
        other.host = db.owner().link(0);
        bring_up(&[other], db.fd()).unwrap();
        run("ip neigh add proxy 192.0.2.77 dev up0");
        // Its end of the pair goes as it does when the namespace goes: the entries on the uplink stay.
        let end = web.owner().link(0);
        run(&format!("ip link del {end}"));
        assert_eq!(left(), (before.0 + 1, 1, 4));
        tear_down(web.owner(), &[], None).unwrap();
        assert_eq!(left(), (before.0 + 1, 1, 2), "the other zone's, and the administrator's");
        tear_down(db.owner(), &[], None).unwrap();
        assert_eq!(left(), (before.0, 0, 1), "the administrator's");
    });
}

#[test]
fn an_end_whose_namespace_goes_with_it_is_cut_off_meanwhile() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        managed();
        let zone = Zone::new("web");
        let net = zone.interface(0, on_bridge(), &["10.1.0.5/24"]);
        bring_up(std::slice::from_ref(&net), zone.fd()).unwrap();
        let end = || Socket::here().unwrap().link(&net.host).unwrap().unwrap();
        run(&format!("ip link set {} group 4711", net.host));
        assert!(end().up && end().master.is_some() && end().group == 4711);
        let record = crate::record::Record::new(true, vec![net.clone()], Vec::new());
        for _ in 0..2 {
            tear_down_recorded(zone.owner(), &record, None, true).unwrap();
            assert_eq!((end().up, end().master, end().group), (false, None, 0));
        }
    });
}

#[test]
fn links_that_only_look_alike_stay() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let zone = Zone::new("web");
        let (end, prefix) = (zone.owner().link(0), zone.owner().link_prefix());
        run(&format!("ip link add {end} type bridge"));
        run(&format!("ip link add {prefix}x type veth peer name other"));
        tear_down(zone.owner(), &[], None).unwrap();
        assert_eq!(left().0, 4, "lo, the bridge, the pair");
    });
}

#[test]
fn what_cannot_be_is_said() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        managed();
        let zone = Zone::new("web");
        let said = |attachment: Attachment| {
            let error = bring_up(&[zone.interface(0, attachment, &[])], zone.fd()).unwrap_err();
            zone_sys::Chain(&error).to_string()
        };
        let bridge = |name: &str, vlan| Attachment::Bridge { bridge: name.to_owned(), vlan };
        assert_eq!(said(bridge("nothing", None)), "there is no link 'nothing'");
        assert_eq!(said(bridge("lo", None)), "the link 'lo' is not a bridge");
        assert_eq!(
            said(bridge("br0", Some(7))),
            "the bridge 'br0' does not filter VLANs ('ip link set br0 type bridge vlan_filtering 1' has it do so)"
        );
        assert_eq!(left().0, 2, "and nothing was made");
        within(&zone.netns, || run("ip link add eth0 type bridge"));
        let said = said(on_bridge());
        assert!(said.starts_with("could not create the veth pair z"), "{said}");
        assert!(said.contains(": File exists"), "{said}");
        let error = bring_up(&[], std::fs::File::open("/dev/null").unwrap().as_fd()).unwrap_err();
        assert_eq!(
            zone_sys::Chain(&error).to_string(),
            "could not enter the zone's network namespace: Invalid argument"
        );
    });
}
