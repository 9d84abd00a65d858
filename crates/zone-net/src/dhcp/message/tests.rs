//! Packets as servers make them, and as nobody should.

use super::*;
use proptest::prelude::*;

const XID: u32 = 0x1234_5678;
const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const SERVERS_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// An address that was given for an hour.
pub(in super::super) fn ack(yours: Ipv4Addr) -> Answer {
    Answer {
        kind: Kind::Ack,
        from: SERVERS_MAC,
        server: Some(Ipv4Addr::new(192, 0, 2, 1)),
        yours,
        mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        seconds: Some(3600),
        renew: None,
        rebind: None,
        routes: vec![default_by(Ipv4Addr::new(192, 0, 2, 1))],
        nameservers: vec![Ipv4Addr::new(192, 0, 2, 53)],
        search: vec!["example.org".to_owned()],
    }
}

fn identity() -> Identity {
    Identity { mac: MAC, id: [&[1], &MAC.0[..]].concat(), name: "web".to_owned(), broadcast: false }
}

/// A frame of a server, with these options.
pub(in super::super) fn reply(mac: Mac, xid: u32, yours: Ipv4Addr, options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..3].copy_from_slice(&[2, 1, 6]);
    message[4..8].copy_from_slice(&xid.to_be_bytes());
    message[16..20].copy_from_slice(&yours.octets());
    message[28..34].copy_from_slice(&mac.0);
    message[236..].copy_from_slice(&COOKIE.to_be_bytes());
    for (kind, data) in options {
        message.extend([*kind, u8::try_from(data.len()).unwrap()]);
        message.extend_from_slice(data);
    }
    message.push(255);
    let mut bytes = around(SERVERS_MAC, (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::BROADCAST, ALL), &message);
    // Ports the other way round. The checksum is wrong by that, as it is of what has not left its host.
    bytes[34..38].copy_from_slice(&[0, 67, 0, 68]);
    bytes
}

#[test]
fn what_is_asked_is_as_servers_want_it() {
    let bytes = frame(&identity(), Words::Discover, XID, 3).unwrap();
    assert_eq!(bytes[..6], [0xff; 6]);
    assert_eq!(bytes[6..12], MAC.0);
    let ip = Ipv4Packet::new_checked(&bytes[14..]).unwrap();
    assert!(ip.verify_checksum());
    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!((udp.src_port(), udp.dst_port(), udp.payload().len()), (68, 67, 300));
    let dhcp = DhcpPacket::new_checked(udp.payload()).unwrap();
    let options: Vec<_> = dhcp.options().map(|option| (option.kind, option.data.to_vec())).collect();
    assert!(
        options.contains(&(TYPE, vec![1])) && options.contains(&(HOST_NAME, b"web".to_vec())),
        "{options:?}"
    );
    assert!(
        options.contains(&(CLIENT_ID, vec![1, 2, 0, 0, 0, 0, 7])) && options.contains(&(55, WANTED.to_vec()))
    );
    assert_eq!((dhcp.secs(), dhcp.transaction_id()), (3, XID));

    let (address, server) = (Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 1));
    let keep =
        frame(&identity(), Words::Keep { address, server: Some((server, SERVERS_MAC)) }, XID, 0).unwrap();
    assert_eq!(
        (&keep[..6], &keep[26..30], &keep[30..34]),
        (&SERVERS_MAC.0[..], &address.octets()[..], &server.octets()[..])
    );
    let release = frame(&identity(), Words::Release { address, server, at: SERVERS_MAC }, XID, 0).unwrap();
    assert_eq!((&release[..6], &release[54..58]), (&SERVERS_MAC.0[..], &address.octets()[..]), "ciaddr");
}

#[test]
fn ipvlans_of_a_link_are_told_apart_and_hear_what_is_for_all() {
    let zone = |host: &str, attachment| Interface {
        host: host.to_owned(),
        alias: String::new(),
        inside: "eth0".to_owned(),
        attachment,
        mac: MAC,
        mtu: None,
        addresses: vec![],
        routers: vec![],
        allowed: vec![],
        host_addresses: vec![],
        dhcp: true,
        bandwidth: None,
        protection: crate::spec::Protection::NONE,
    };
    let ipvlan = || Attachment::Ipvlan { link: "lan".to_owned(), vlan: None };
    let (one, two) =
        (Identity::of(&zone("z1n0", ipvlan()), "web"), Identity::of(&zone("z2n0", ipvlan()), "web"));
    assert_ne!(one.id, two.id);
    assert!(one.broadcast);
    let macvlan = Attachment::Macvlan { link: "lan".to_owned(), vlan: None };
    let own = Identity::of(&zone("z1n0", macvlan), "web.example.org");
    assert_eq!((own.id, own.name, own.broadcast), (vec![1, 2, 0, 0, 0, 0, 7], "web".to_owned(), false));
    assert_eq!(Identity::of(&zone("z1n0", ipvlan()), "with_line").name, "");
}

#[test]
fn an_answer_is_read_in_whole() {
    let yours = Ipv4Addr::new(192, 0, 2, 7);
    let all: &[(u8, &[u8])] = &[
        (TYPE, &[5]),
        (SERVER_ID, &[192, 0, 2, 1]),
        (MASK, &[255, 255, 255, 0]),
        (SECONDS, &[0, 0, 14, 16]),
        (ROUTERS, &[192, 0, 2, 1, 192, 0, 2, 2]),
        // In two parts.
        (NAMESERVERS, &[192, 0]),
        (DOMAIN, b"example.org\0"),
        (NAMESERVERS, &[2, 53]),
    ];
    assert_eq!(answer(&reply(MAC, XID, yours, all), MAC, XID), Some(ack(yours)));
    assert_eq!(answer(&reply(MAC, XID + 1, yours, all), MAC, XID), None, "another exchange");
    assert_eq!(answer(&reply(SERVERS_MAC, XID, yours, all), MAC, XID), None, "another client");
    assert_eq!(answer(&reply(MAC, XID, yours, &all[1..]), MAC, XID), None, "no type");
    let odd = [
        (TYPE, &[6][..]),
        (DOMAIN, b"a b;c $(x) d\ne"),
        (NAMESERVERS, &[127, 0, 0, 1, 9]),
        (SERVER_ID, &[1]),
    ];
    let odd = answer(&reply(MAC, XID, yours, &odd), MAC, XID).unwrap();
    assert_eq!((odd.kind, odd.server, odd.nameservers), (Kind::Nak, None, vec![]));
    assert_eq!(odd.search, ["a", "d", "e"]);
}

#[test]
fn routes_take_the_place_of_routers() {
    let routes = [0, 192, 0, 2, 9, 24, 10, 1, 2, 192, 0, 2, 3, 32, 10, 9, 9, 9, 0, 0, 0, 0, 33, 1, 2];
    let options: &[(u8, &[u8])] = &[(TYPE, &[5]), (ROUTERS, &[192, 0, 2, 1]), (ROUTES, &routes)];
    let read = answer(&reply(MAC, XID, Ipv4Addr::new(192, 0, 2, 7), options), MAC, XID).unwrap().routes;
    let shown: Vec<_> = read.iter().map(|route| format!("{} {:?}", route.to, route.via)).collect();
    assert_eq!(shown, ["0.0.0.0/0 Some(192.0.2.9)", "10.1.2.0/24 Some(192.0.2.3)", "10.9.9.9/32 None"]);
}

proptest! {
    /// Nothing that comes from the wire is too odd.
    #[test]
    fn no_frame_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = answer(&bytes, MAC, XID);
    }

    /// Nor is an answer that is almost right: any option of any length, cut anywhere, with any byte changed.
    #[test]
    fn no_answer_breaks_the_reader(
        options in proptest::collection::vec((prop_oneof![any::<u8>(), proptest::sample::select(&READ[..])], proptest::collection::vec(any::<u8>(), 0..40)), 0..30),
        cut in 0_usize..1600,
        change in any::<Option<(prop::sample::Index, u8)>>(),
        yours in any::<u32>(),
    ) {
        let mut with: Vec<(u8, &[u8])> = vec![(TYPE, &[5])];
        with.extend(options.iter().map(|(kind, data)| (*kind, data.as_slice())));
        let mut bytes = reply(MAC, XID, yours.into(), &with);
        if let Some((place, byte)) = change {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut);
        if let Some(read) = answer(&bytes, MAC, XID) {
            prop_assert!(read.routes.len() <= MOST && read.nameservers.len() <= MOST);
            prop_assert!(read.nameservers.iter().all(is_host));
            prop_assert!(read.search.iter().flat_map(|word| word.chars()).all(|c| c.is_ascii_graphic()));
            if let Some(net) = read.address() {
                prop_assert!(net.prefix_len() > 0 && is_host(&net.addr()));
            }
        }
    }

    #[test]
    fn what_is_said_is_never_too_long(id in proptest::collection::vec(any::<u8>(), 0..300), name in "[a-z]{0,300}") {
        let identity = Identity { id, name, ..identity() };
        if let Some(bytes) = frame(&identity, Words::Discover, XID, 0) {
            prop_assert!(bytes.len() <= LARGEST);
        }
    }
}
