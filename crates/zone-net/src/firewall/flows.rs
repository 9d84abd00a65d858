//! Flows of datagrams that do not go where the ports of a zone lead by now.
//!
//! The kernel translates the first datagram of a flow and leads the others after it, as long as it does not rest for half a minute. A
//! client that sends to a port all the time, as those of syslog, of WireGuard or of a name server do, would never come to a zone that
//! boots meanwhile, and would go on to one that has ended when another has its port. Connections of TCP end by themselves.

use std::net::{IpAddr, SocketAddr};

use super::PortSpec;
use crate::nft::tracked::{self, Flow};
use crate::nft::{self, Family};
use crate::rt;
use crate::spec::Protocol;

/// Has the kernel forget the flows to ports of the host that are led elsewhere than to a zone that they are for by now, and those that
/// are led to the zone by ports that it has no more. `addresses` are the zone's, of which a port leads to the first of each family;
/// `loopback` is whether ports of the host's own loopback lead there, too. Idempotent.
///
/// # Errors
/// What the kernel says; a kernel that tells nobody of its connections refuses to list them.
pub fn settle(addresses: &[IpAddr], ports: &[PortSpec], loopback: bool) -> Result<(), nft::Error> {
    if !super::tracks() {
        return Ok(());
    }
    let host = rt::Socket::here().and_then(|mut socket| socket.addresses(None)).unwrap_or_default();
    let host: Vec<IpAddr> = host.iter().map(|address| address.net.addr()).collect();
    let is_led = |address: &IpAddr| match address.is_loopback() {
        true => loopback,
        false => host.contains(address),
    };
    for family in [Family::Ip, Family::Ip6] {
        let is_wrong = |flow: &Flow| match wanted(flow.sent_to, addresses, ports)
            .filter(|_| is_led(&flow.sent_to.ip()))
        {
            Some(wanted) => flow.led_to != wanted,
            None => addresses.contains(&flow.led_to.ip()) && !addresses.contains(&flow.sent_to.ip()),
        };
        tracked::forget(&tracked::flows(family, is_wrong)?)?;
    }
    Ok(())
}

/// Where the rules lead what is sent to an address and port of the host.
fn wanted(to: SocketAddr, addresses: &[IpAddr], ports: &[PortSpec]) -> Option<SocketAddr> {
    let address = addresses.iter().find(|address| address.is_ipv4() == to.is_ipv4())?;
    let leads = |port: &&PortSpec| {
        port.protocol == Protocol::Udp
            && (port.first..=port.last).contains(&to.port())
            && port.host.is_none_or(|host| host == to.ip())
    };
    // What is for one address comes before what is for all.
    let port = ports.iter().filter(leads).max_by_key(|port| port.host.is_some())?;
    Some(SocketAddr::new(*address, port.to.checked_add(to.port() - port.first)?))
}
