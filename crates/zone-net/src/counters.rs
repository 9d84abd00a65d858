//! What goes through the links of a live zone.

use ipnet::IpNet;
use rustix::fd::BorrowedFd;

use crate::Mac;
use crate::build::NetError;
use crate::names::Owner;
use crate::rt::{Address, Counters, Link, Socket};

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
    use crate::testing::{Zone, alone, echo, nets};

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
}
