//! What a zone sends in somebody else's name, as raw frames from inside: with its link protection it arrives neither at
//! another zone nor at the host; without, it does.

use super::net_auto::{address, booted};
use super::net_modes::managed_bridge;
use crate::harness::frames::{self, Ear, Mac, arp, ethernet, icmp6, mac, neighbour, send, udp};
use crate::harness::{Lab, Zone, bridges_by_themselves, cases, until};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

cases![
    nothing_forged_arrives: 120,
    without_protection_all_of_it_arrives: 120,
    each_word_keeps_back_what_it_says: 240,
    an_allowed_address_opens_what_it_says: 120,
    a_bridge_in_the_zone_gives_nothing_away: 120,
];

/// A station that there is not.
const STRANGER: Mac = [2, 0, 0, 0, 0x66, 0x66];

/// What is forged, the word of link-protection that keeps it back, and the frame, which ends with its name.
type Forged = (&'static str, &'static str, Vec<u8>);

/// Who sends, and in whose names.
struct Sender {
    mac: Mac,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    /// The link-local address that follows from the Ethernet address.
    local: Ipv6Addr,
    other4: Ipv4Addr,
    other6: Ipv6Addr,
}

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

impl Sender {
    #[track_caller]
    fn of(zone: &Zone<'_>, other: &Zone<'_>) -> Self {
        let own = mac(&zone.sh("cat /sys/class/net/eth0/address").ok().out());
        let [a, b, c, d, e, f] = own.map(u16::from);
        let local = Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f);
        Self {
            mac: own,
            v4: parse(&address(zone, "eth0", 4)),
            v6: parse(&address(zone, "eth0", 6)),
            local,
            other4: parse(&address(other, "eth0", 4)),
            other6: parse(&address(other, "eth0", 6)),
        }
    }

    fn forged(&self) -> Vec<Forged> {
        let far4: IpAddr = Ipv4Addr::new(203, 0, 113, 66).into();
        let far6: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 0x66, 0, 0, 0, 0, 1).into();
        let router: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let data = |mac, from: IpAddr| udp(mac, from, (9, 9), b"");
        let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
        let redirect4 = [5, 1, 0, 0, 203, 0, 113, 66].to_vec();
        let list: [(&str, &str, Vec<u8>); 17] = [
            ("source-v4", "ip-nospoof", data(self.mac, far4)),
            ("source-v6", "ip-nospoof", data(self.mac, far6)),
            ("source-of-another-zone-v4", "ip-nospoof", data(self.mac, self.other4.into())),
            ("source-of-another-zone-v6", "ip-nospoof", data(self.mac, self.other6.into())),
            ("arp-of-another-zone", "ip-nospoof", arp(self.mac, self.mac, self.other4)),
            ("neighbour-of-another-zone", "ip-nospoof", neighbour(self.mac, self.v6, self.other6, self.mac)),
            ("neighbour-router", "ip-nospoof", neighbour(self.mac, self.local, router, self.mac)),
            ("mac", "mac-nospoof", data(STRANGER, self.v4.into())),
            ("mac-v6", "mac-nospoof", data(STRANGER, self.v6.into())),
            ("arp-station", "mac-nospoof", arp(self.mac, STRANGER, self.v4)),
            ("neighbour-station", "mac-nospoof", neighbour(self.mac, self.v6, self.v6, STRANGER)),
            ("dhcp-server", "dhcp-nospoof", udp(self.mac, self.v4.into(), (67, 68), b"")),
            ("dhcpv6-server", "dhcp-nospoof", udp(self.mac, self.local.into(), (547, 546), b"")),
            (
                "router-advertisement",
                "dhcp-nospoof",
                icmp6(self.mac, self.local, 134, &[64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            ("redirect-v4", "dhcp-nospoof", {
                let to = Ipv4Addr::BROADCAST.into();
                ethernet(self.mac, 0x0800, &frames::packet(self.v4.into(), to, 1, &redirect4))
            }),
            ("vlan", "restricted", tagged(&data(self.mac, self.v4.into()))),
            ("ethertype", "restricted", ethernet(self.mac, 0x88b5, b"experimental")),
        ];
        list.into_iter().map(|(name, word, frame)| (name, word, [frame, mark(name)].concat())).collect()
    }

    /// What arrives in any case, for whoever waits.
    fn end(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let mark = mark(&format!("the-end-{number}"));
        (udp(self.mac, self.v4.into(), (9, 9), &mark), mark)
    }
}

/// Behind what the frame says it has, where no rule looks.
fn mark(name: &str) -> Vec<u8> {
    format!("<forged {name}>").into_bytes()
}

/// Two zones, the first of which sends, and who listens.
struct Stage<'lab> {
    web: Zone<'lab>,
    sender: Sender,
    ears: Vec<(&'static str, Ear)>,
    sent: usize,
    _db: Zone<'lab>,
}

impl<'lab> Stage<'lab> {
    #[track_caller]
    fn new(lab: &'lab Lab, property: &str) -> Self {
        // Or the bridge would cut off what is behind a packet's end.
        bridges_by_themselves();
        let db = booted(lab, "db", "");
        let web = lab.sparse_with("web", &format!("add net; {property}end"));
        web.zoneadm(["boot"]).ok();
        let ears = vec![
            ("another zone", Ear::in_zone(&db, "eth0")),
            ("the host", Ear::of_host(lab, &managed_bridge())),
        ];
        Self { sender: Sender::of(&web, &db), web, ears, sent: 0, _db: db }
    }

    /// Sends frames, and waits until what was sent after them is everywhere.
    #[track_caller]
    fn send(&mut self, frames: &[Vec<u8>]) {
        self.sent += 1;
        let (end, mark) = self.sender.end(self.sent);
        send(&self.web, &[frames, &[end]].concat());
        for (who, ear) in &self.ears {
            until(&format!("what is not forged arrives at {who}"), || ear.heard(&mark).then_some(()));
        }
    }

    /// Sends all that is forged; gives what arrived somewhere, and what arrived everywhere.
    #[track_caller]
    fn try_all(&mut self) -> (Vec<&'static str>, Vec<&'static str>) {
        let forged = self.sender.forged();
        let frames: Vec<_> = forged.iter().map(|(.., frame)| frame.clone()).collect();
        self.send(&frames);
        let heard = |name: &str| self.ears.iter().filter(|(_, ear)| ear.heard(&mark(name))).count();
        let names = || forged.iter().map(|(name, ..)| *name);
        (
            names().filter(|name| heard(name) > 0).collect(),
            names().filter(|name| heard(name) == self.ears.len()).collect(),
        )
    }
}

fn nothing_forged_arrives(lab: &Lab) {
    let mut stage = Stage::new(lab, "");
    let (somewhere, _) = stage.try_all();
    assert!(somewhere.is_empty(), "these must not arrive: {somewhere:?}");
}

fn without_protection_all_of_it_arrives(lab: &Lab) {
    let mut stage = Stage::new(lab, "set link-protection=none; ");
    let (_, everywhere) = stage.try_all();
    let all: Vec<_> = stage.sender.forged().iter().map(|(name, ..)| *name).collect();
    assert_eq!(everywhere, all, "without protection all arrives, or the other tests would see nothing");
}

fn each_word_keeps_back_what_it_says(lab: &Lab) {
    let mut stage = Stage::new(lab, "set link-protection=none; ");
    for word in ["mac-nospoof", "ip-nospoof", "dhcp-nospoof", "restricted"] {
        stage.web.zonecfg(&format!("select net physical=eth0; set link-protection={word}; end")).ok();
        stage.web.zoneadm(["reboot"]).ok();
        let forged = stage.sender.forged();
        let of_word: Vec<_> = forged.iter().filter(|(_, by, _)| *by == word).collect();
        assert!(!of_word.is_empty());
        let frames: Vec<_> = of_word.iter().map(|(.., frame)| frame.clone()).collect();
        stage.send(&frames);
        for (name, ..) in of_word {
            for (who, ear) in &stage.ears {
                assert!(!ear.heard(&mark(name)), "with {word} alone, {name} must not arrive at {who}");
            }
        }
    }
}

fn an_allowed_address_opens_what_it_says(lab: &Lab) {
    let mut stage = Stage::new(lab, "set allowed-address=[203.0.113.64/28,2001:db8:66::/64]; ");
    let from = |sender: &Sender, address: &str| {
        [udp(sender.mac, parse(address), (9, 9), b""), mark(address)].concat()
    };
    let tried = ["203.0.113.66", "2001:db8:66::1", "203.0.113.80", "203.0.113.63", "2001:db8:67::1"];
    let sent: Vec<_> = tried.iter().map(|address| from(&stage.sender, address)).collect();
    stage.send(&sent);
    for (who, ear) in &stage.ears {
        let heard: Vec<_> = tried.iter().filter(|address| ear.heard(&mark(address))).collect();
        assert_eq!(heard, tried[..2].iter().collect::<Vec<_>>(), "at {who}");
    }
}

fn a_bridge_in_the_zone_gives_nothing_away(lab: &Lab) {
    let mut stage = Stage::new(lab, "");
    // The zone's root owns its network: a namespace behind a bridge of its own has another Ethernet address.
    stage
        .web
        .sh("ip link add br0 type bridge && ip link set br0 up && ip link set eth0 master br0 && \
        ip link add in0 type veth peer name in1 && ip link set in0 master br0 up && ip link set in1 up")
        .ok();
    let (somewhere, _) = stage.try_all();
    assert!(somewhere.is_empty(), "these must not arrive: {somewhere:?}");
}
