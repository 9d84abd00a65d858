//! What goes through the links of a live zone, and how far they are what they were made.

use ipnet::IpNet;
use rustix::fd::BorrowedFd;

use crate::build::NetError;
use crate::interface::Attachment;
use crate::names::Owner;
use crate::rt::{Address, Counters, Link, Socket};
use crate::{Interface, Mac};

/// The links of a live zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Its ends of pairs on the host. What they receive the zone has sent.
    pub host: Vec<Status>,
    /// Those in its network namespace, its own ones too, the loopback first.
    pub inside: Vec<Status>,
}

/// A link as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its index in its namespace.
    pub index: u32,
    /// The index of its peer, of one end of a pair; the peer is in another namespace.
    pub peer: Option<u32>,
    /// Its name.
    pub name: String,
    /// What it is to `ip link`; a device of hardware, and the loopback, have none.
    pub kind: Option<String>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether the line is there.
    pub carrier: bool,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// What went through it since it was made.
    pub counters: Counters,
}

/// One net of a live zone: what it was made, and its links as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net<'a> {
    /// What was made.
    pub made: &'a Interface,
    /// Its end on the host; there is none where the link itself is in the zone.
    pub host: Option<Status>,
    /// Its link inside; none if the zone's root, or somebody on the host, has taken it away.
    pub inside: Option<Status>,
}

/// What of a link can be other than it was made. Whoever may change it, the zone's root in an exclusive zone, need not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Gone,
    /// It has another name.
    Name,
    /// It is down.
    Down,
    /// It has another Ethernet address.
    Mac,
    /// It has another MTU.
    Mtu,
    /// It lacks an address, or has one more.
    Addresses,
}

impl Net<'_> {
    /// Compares what is with what was made.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let made = self.made;
        let Some(inside) = &self.inside else { return vec![Difference::Gone] };
        let all = [
            (inside.name != made.inside, Difference::Name),
            (!inside.up, Difference::Down),
            (inside.mac.is_some_and(|mac| mac != made.mac), Difference::Mac),
            (made.mtu.is_some_and(|mtu| mtu != inside.mtu), Difference::Mtu),
            (!self.has_its_addresses(inside), Difference::Addresses),
        ];
        all.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
    }

    /// Whether a link has the addresses that it was given, and no others. What a link gives itself is nobody's, and of one that
    /// was given none all are the zone's own matter.
    fn has_its_addresses(&self, inside: &Status) -> bool {
        let given = &self.made.addresses;
        let own = given.is_empty() || self.made.dhcp;
        given.iter().all(|address| inside.addresses.contains(address))
            && (own
                || inside.addresses.iter().all(|address| given.contains(address) || is_link_local(address)))
    }
}

/// Tells whether an address is good on its own link only, as those are that IPv6 has links give themselves.
#[must_use]
pub fn is_link_local(address: &IpNet) -> bool {
    matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local())
}

impl Links {
    /// Tells which link is which net of a zone, by the record of what was made; the second answer is those in the zone that are
    /// none. A link has the name that the zone's root gives it: an end of a pair is known by the other one, any other by
    /// its name, else by its Ethernet address.
    #[must_use]
    pub fn nets(self, made: &[Interface]) -> (Vec<Net<'_>>, Vec<Status>) {
        let Self { mut host, mut inside } = self;
        let nets = made.iter().map(|made| {
            let host = take(&mut host, |link| link.name == made.host);
            let paired = matches!(made.attachment, Attachment::Bridge { .. } | Attachment::Routed { .. });
            let found = if paired {
                let peer = host.as_ref().and_then(|host| host.peer);
                take(&mut inside, |link| peer == Some(link.index))
            } else {
                take(&mut inside, |link| link.name == made.inside)
                    .or_else(|| take(&mut inside, |link| link.mac == Some(made.mac)))
            };
            Net { made, host, inside: found }
        });
        (nets.collect(), inside)
    }
}

fn take(links: &mut Vec<Status>, is: impl Fn(&Status) -> bool) -> Option<Status> {
    links.iter().position(is).map(|place| links.remove(place))
}

/// Lists the links of a live zone with their counters. Names inside are the zone's to choose: filter them before they are
/// printed.
///
/// # Errors
/// What the kernel says.
pub fn links(owner: Owner<'_>, netns: BorrowedFd<'_>) -> Result<Links, NetError> {
    let host = statuses(&mut Socket::here()?, |link| owner.is_link(&link.name))?;
    let inside = statuses(&mut Socket::within(netns)?, |_| true)?;
    Ok(Links { host, inside })
}

fn statuses(socket: &mut Socket, wanted: impl Fn(&Link) -> bool) -> Result<Vec<Status>, NetError> {
    let mut links = socket.links_counted()?;
    links.retain(wanted);
    let addresses = if links.is_empty() { Vec::new() } else { socket.addresses(None)? };
    Ok(links.into_iter().map(|link| status(link, &addresses)).collect())
}

fn status(link: Link, addresses: &[Address]) -> Status {
    let own = addresses.iter().filter(|address| address.link == link.index);
    Status {
        index: link.index,
        peer: link.lower.filter(|_| link.lower_elsewhere),
        addresses: own.map(|address| address.net).collect(),
        name: link.name,
        kind: link.kind,
        mac: link.mac,
        mtu: link.mtu,
        up: link.up,
        carrier: link.carrier,
        counters: link.counters.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build;
    use crate::interface::Attachment;
    use crate::testing::{Zone, alone, echo, nets, run, within};

    #[test]
    fn what_goes_into_one_end_comes_out_of_the_other() {
        zone_testing::needs_root!();
        alone(|| {
            let zone = Zone::new("web");
            let net = zone.interface(0, Attachment::Routed { uplink: None }, &["10.7.0.1/32"]);
            build::bring_up(std::slice::from_ref(&net), zone.fd()).unwrap();
            echo(&zone.netns, "10.7.0.1");
            let links = links(zone.owner(), zone.fd()).unwrap();
            let [host] = links.host.as_slice() else { panic!("{links:?}") };
            let [lo, inside] = links.inside.as_slice() else { panic!("{links:?}") };
            assert_eq!((lo.name.as_str(), &lo.kind, lo.up), ("lo", &None, true));
            assert_eq!((&host.name, inside.name.as_str(), inside.mac), (&net.host, "eth0", Some(net.mac)));
            assert_eq!(inside.addresses.first(), nets(&["10.7.0.1/32"]).first());
            assert!(host.addresses.contains(&nets(&["169.254.0.1/32"])[0]), "{host:?}");
            assert!(inside.up && inside.carrier && inside.mtu == 1500);
            let counters = inside.counters;
            assert!(
                counters.rx_packets >= 2 && counters.tx_packets >= 2,
                "ARP and the datagram: {counters:?}"
            );
            assert!(counters.rx_bytes > 64 && counters.tx_bytes > 64, "{counters:?}");
            assert!(host.counters.tx_packets >= 2 && host.counters.rx_packets >= 2, "{host:?}");
        });
    }

    #[test]
    fn what_was_changed_inside_is_told_and_the_link_found_all_the_same() {
        zone_testing::needs_root!();
        alone(|| {
            let zone = Zone::new("web");
            let mut net = zone.interface(0, Attachment::Routed { uplink: None }, &["10.7.0.1/32"]);
            net.mtu = Some(1500);
            let inside = |line: &str| drop(within(&zone.netns, || run(line)));
            let made = std::slice::from_ref(&net);
            build::bring_up(made, zone.fd()).unwrap();
            let differences = || {
                let (nets, others) = links(zone.owner(), zone.fd()).unwrap().nets(made);
                assert!(nets[0].host.is_some());
                (nets[0].differences(), others.len())
            };
            assert_eq!(differences(), (vec![], 1), "the loopback is nobody's net");
            inside("ip link set eth0 down");
            inside("ip link set eth0 name wan mtu 1400");
            let (found, _) = differences();
            let expected = [Difference::Name, Difference::Down, Difference::Mtu];
            assert!(expected.iter().all(|what| found.contains(what)), "{found:?}");
            inside("ip addr add 10.9.9.9/32 dev wan");
            inside("ip link add eth0 type bridge");
            let (found, others) = differences();
            assert!(found.contains(&Difference::Addresses) && others == 2, "{found:?}");
            inside("ip link del wan");
            let (nets, others) = links(zone.owner(), zone.fd()).unwrap().nets(made);
            assert_eq!((nets[0].differences(), others.len()), (vec![Difference::Gone], 2));
            assert_eq!(nets[0].host, None, "one end of a pair goes with the other");
        });
    }
}
