//! What the host does for others to reach a zone: it forwards, and leads its ports there.

use std::net::IpAddr;

use ipnet::IpNet;
use zone_net::Interface;
use zone_net::build as links;
use zone_net::firewall;
use zone_net::forwarding::{self, Family};
use zone_net::interface::Attachment;
use zone_net::managed::Network;
use zone_net::names::Owner;
use zone_net::plan::PlanError;
use zone_net::record::Record;
use zone_net::rt::sysctl::Setting;
use zone_net::spec::PortSpec;

use super::NetworkError;

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
) -> Result<(), NetworkError> {
    let bounded = bounded(interfaces, ports);
    if ports.is_empty() {
        return if bounded.is_empty() { Ok(()) } else { Ok(firewall::of_zone(owner, None, &[], &bounded)?) };
    }
    let (interface, link) = reached(interfaces).ok_or(PlanError::Unreached)?;
    if matches!(interface.attachment, Attachment::Routed { .. }) {
        // For the host's own loopback; what arrives there from outside of the host is dropped by the rules.
        Setting::v4(link, "route_localnet").set("1")?;
    }
    let addresses: Vec<IpAddr> = interface.addresses.iter().map(IpNet::addr).collect();
    firewall::of_zone(owner, Some((link, &addresses)), ports, &bounded)?;
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
) -> Result<(), NetworkError> {
    if ports.is_empty() && bounded(interfaces, ports).is_empty() {
        return Ok(firewall::remove_ports(owner)?);
    }
    publish(owner, interfaces, ports)
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
    let own = managed.is_some_and(|network| network.bridge == *link) || *link == interface.host;
    if own && interface.addresses.iter().any(|address| address.addr().is_ipv6()) {
        links::accept_loopback(link)?;
    }
    Ok(())
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
    publish(owner, &record.interfaces, &record.ports)?;
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
