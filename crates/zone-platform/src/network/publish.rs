//! What the host does for others to reach a zone: it forwards, and leads its ports there.

use std::net::IpAddr;

use ipnet::IpNet;
use rustix::io::Errno;
use zone_net::Interface;
use zone_net::build as links;
use zone_net::firewall::{self, Way};
use zone_net::forwarding::{self, Family};
use zone_net::interface::Attachment;
use zone_net::managed::Network;
use zone_net::names::Owner;
use zone_net::plan::PlanError;
use zone_net::record::Record;
use zone_net::rt::sysctl::Setting;
use zone_net::spec::{PortSpec, Protocol};

use super::NetworkError;

/// The setting of a link by which the host routes what comes from there to its own 127.0.0.0/8.
const LOCALNET: &str = "route_localnet";

/// Has the host forward what comes for routed nets and for ports, and tells what was switched on. The managed network has
/// seen to its own.
pub(super) fn forward(interfaces: &[Interface], published: bool) -> Result<Vec<String>, NetworkError> {
    let forwarded = interfaces.iter().filter(|interface| match interface.attachment {
        Attachment::Routed { .. } => true,
        Attachment::Bridge { .. } => published,
        _ => false,
    });
    let mut families = Vec::new();
    for address in forwarded.flat_map(|interface| &interface.addresses) {
        let family = if address.addr().is_ipv4() { Family::V4 } else { Family::V6 };
        if !families.contains(&family) {
            families.push(family);
        }
    }
    Ok(if families.is_empty() { Vec::new() } else { forwarding::ensure(&families)? })
}

/// Leads the ports of the host to the first net that the host reaches, and bounds the connections of routed nets.
pub(super) fn publish(
    owner: Owner<'_>,
    interfaces: &[Interface],
    ports: &[PortSpec],
    managed: Option<&Network>,
) -> Result<(), NetworkError> {
    let bounded = bounded(interfaces, ports);
    if ports.is_empty() {
        return if bounded.is_empty() { Ok(()) } else { Ok(firewall::of_zone(owner, None, &[], &bounded)?) };
    }
    let (interface, link) = reached(interfaces).ok_or(PlanError::Unreached)?;
    let addresses: Vec<IpAddr> = interface.addresses.iter().map(IpNet::addr).collect();
    let way = Way { link, addresses: &addresses, loopback: is_own(interface, link, managed) };
    firewall::of_zone(owner, Some(way), ports, &bounded)?;
    if has_datagrams(ports) {
        settle(&addresses, ports, way.loopback);
    }
    if matches!(interface.attachment, Attachment::Routed { .. }) {
        // For the host's own loopback; what arrives there from outside of the host is dropped by the rules, which are there by now.
        Setting::v4(link, LOCALNET).set("1")?;
    }
    if matches!(interface.attachment, Attachment::Bridge { .. }) && interface.protection.needs_rules() {
        links::hairpin(&interface.host, true)?;
    }
    Ok(())
}

/// Has no port of a bridge send back what came from it, but for that to which ports of the host are to lead: another may have been
/// that one.
pub(super) fn keep_back(interfaces: &[Interface], ports: &[PortSpec]) -> Result<(), NetworkError> {
    let led = reached(interfaces).filter(|_| !ports.is_empty()).map(|(interface, _)| interface);
    for other in interfaces.iter().filter(|one| led.is_none_or(|led| led.host != one.host)) {
        if matches!(other.attachment, Attachment::Bridge { .. }) {
            links::hairpin(&other.host, false)?;
        }
    }
    Ok(())
}

/// Publishes what a zone that runs is to have by now, in the place of what it had.
pub(super) fn publish_anew(
    owner: Owner<'_>,
    interfaces: &[Interface],
    ports: &[PortSpec],
    managed: Option<&Network>,
) -> Result<(), NetworkError> {
    close_loopback(interfaces, ports)?;
    if ports.is_empty() && bounded(interfaces, ports).is_empty() {
        firewall::remove_ports(owner)?;
    } else {
        publish(owner, interfaces, ports, managed)?;
    }
    if !has_datagrams(ports) {
        // It may have had some.
        forget(interfaces);
    }
    Ok(())
}

/// Has the host forget the flows of datagrams that ports have led to a zone.
pub(super) fn forget(interfaces: &[Interface]) {
    let addresses = interfaces.iter().flat_map(|interface| &interface.addresses).map(IpNet::addr);
    settle(&addresses.collect::<Vec<_>>(), &[], false);
}

/// Has flows of datagrams go where ports lead by now. One that goes on elsewhere comes right when it rests, and is no reason to refuse
/// a zone.
fn settle(addresses: &[IpAddr], ports: &[PortSpec], loopback: bool) {
    let _ = firewall::flows::settle(addresses, ports, loopback);
}

/// Whether any of the ports is one of UDP.
pub(super) fn has_datagrams(ports: &[PortSpec]) -> bool {
    ports.iter().any(|port| port.protocol == Protocol::Udp)
}

/// Has no link of the zone lead to the host's loopback any more, but for that to which ports of the host are to lead: another may have
/// been that one, and the rules that make it safe go with the ports.
fn close_loopback(interfaces: &[Interface], ports: &[PortSpec]) -> Result<(), NetworkError> {
    let led = reached(interfaces).filter(|_| !ports.is_empty()).map(|(_, link)| link);
    for other in interfaces.iter().filter(|one| one.attachment.is_reached() && led != Some(&one.host)) {
        match Setting::v4(&other.host, LOCALNET).set("0") {
            Err(error) if error.errno() != Errno::NOENT => return Err(error.into()),
            // What is not there leads nowhere.
            _ => {}
        }
    }
    Ok(())
}

/// The links of routed nets, whose zone may fill the host's table of connections, where the host has one: by the ports of the zone, or
/// by rules of others. Who asks for no protection is trusted with that, too.
fn bounded<'a>(interfaces: &'a [Interface], ports: &[PortSpec]) -> Vec<&'a str> {
    let is_routed = |interface: &&Interface| {
        matches!(interface.attachment, Attachment::Routed { .. }) && interface.protection.needs_rules()
    };
    let links: Vec<_> =
        interfaces.iter().filter(is_routed).map(|interface| interface.host.as_str()).collect();
    if links.is_empty() || (ports.is_empty() && !firewall::tracks()) { Vec::new() } else { links }
}

/// Has the host take what comes back to its `::1` from its ports, by a link that is ours: one that is up, as the route for it
/// has to be.
pub(super) fn answer_loopback(
    interfaces: &[Interface],
    ports: &[PortSpec],
    managed: Option<&Network>,
) -> Result<(), NetworkError> {
    let Some((interface, link)) = reached(interfaces).filter(|_| !ports.is_empty()) else { return Ok(()) };
    if is_own(interface, link, managed) && interface.addresses.iter().any(|address| address.addr().is_ipv6())
    {
        links::accept_loopback(link)?;
    }
    Ok(())
}

/// Tells whether the way to a net is by a link of ours, by which the host's loopback may be answered: what others' links do with it is
/// theirs to say.
fn is_own(interface: &Interface, link: &str, managed: Option<&Network>) -> bool {
    managed.is_some_and(|network| network.bridge == *link) || *link == interface.host
}

/// Leads the ports of a zone's host to the addresses that the zone has by now, where those come from a DHCP server, and tells
/// what was switched on for it.
pub(super) fn again(owner: Owner<'_>, record: &Record) -> Result<Vec<String>, NetworkError> {
    let ours = reached(&record.interfaces).is_some_and(|(interface, _)| interface.dhcp);
    if !ours || record.ports.is_empty() {
        return Ok(Vec::new());
    }
    let told = forward(&record.interfaces, true)?;
    // Such a net is not of the managed network.
    publish(owner, &record.interfaces, &record.ports, None)?;
    answer_loopback(&record.interfaces, &record.ports, None)?;
    Ok(told)
}

/// Finds the first net that the host reaches, and by which link.
fn reached(interfaces: &[Interface]) -> Option<(&Interface, &String)> {
    interfaces.iter().find_map(|interface| match &interface.attachment {
        Attachment::Bridge { bridge, .. } => Some((interface, bridge)),
        Attachment::Routed { .. } => Some((interface, &interface.host)),
        _ => None,
    })
}
