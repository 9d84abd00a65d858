//! The bridge of the managed network.

use rustix::io::Errno;
use zone_config::layout::InstallationId;

use super::{ManagedError, Network};
use crate::rt::route::ZONES;
use crate::rt::{Address, Link, Socket, address, bridge, link};

/// What the bridge says that it is: by this, or by its Ethernet address, it is known as ours.
pub(super) fn alias(installation: InstallationId) -> String {
    format!("managed network of zones (installation {installation})")
}

/// Finds the bridge; `None` if there is no link of its name.
///
/// # Errors
/// [`ManagedError::NotOurs`] for a link of its name that is another's.
pub(super) fn find(
    socket: &mut Socket,
    network: &Network,
    installation: InstallationId,
) -> Result<Option<Link>, ManagedError> {
    let Some(link) = socket.link(&network.bridge)? else { return Ok(None) };
    let kind = link.kind.as_deref().unwrap_or("device");
    // Between the two requests that make it, the alias is still missing; and people may change either.
    let marked = link.alias.as_deref() == Some(&alias(installation)) || link.mac == Some(network.mac);
    if link.name == network.bridge && kind == "bridge" && marked {
        return Ok(Some(link));
    }
    let what = match kind {
        _ if link.name != network.bridge => format!("another name of {}", link.name),
        "bridge" => "a bridge that somebody else has made".to_owned(),
        kind => format!("a {kind} and not a bridge"),
    };
    Err(ManagedError::NotOurs { link: network.bridge.clone(), what, path: network.file.clone() })
}

/// Makes the bridge if it is missing, down, and makes it what it has to be: its Ethernet address, its MTU and
/// its alias.
///
/// # Errors
/// As [`find`], and what the kernel says.
pub(super) fn make(
    socket: &mut Socket,
    network: &Network,
    installation: InstallationId,
) -> Result<Link, ManagedError> {
    if find(socket, network, installation)?.is_none() {
        let wanted = bridge::Bridge {
            name: &network.bridge,
            mac: network.mac,
            mtu: network.mtu,
            filters_vlans: false,
        };
        // Alone: were it sent with what comes next, that would change the link of somebody who was faster.
        socket.run([bridge::create(&wanted)])?;
    }
    let gone = || ManagedError::Vanished(network.bridge.clone());
    let found = find(socket, network, installation)?.ok_or_else(gone)?;
    let wanted = alias(installation);
    let mut change = link::change(found.index).called(&network.bridge);
    let mut differs = false;
    if found.alias.as_deref() != Some(&wanted) {
        (change, differs) = (change.alias(&wanted), true);
    }
    if found.mac != Some(network.mac) {
        (change, differs) = (change.mac(network.mac), true);
    }
    if let Some(mtu) = network.mtu.filter(|mtu| *mtu != found.mtu) {
        (change, differs) = (change.mtu(mtu), true);
    }
    if differs {
        socket.run([change.request()])?;
    }
    Ok(found)
}

/// Gives the bridge its addresses and sets it up, as far as it is not. Addresses that people have added stay.
///
/// # Errors
/// What the kernel says.
pub(super) fn set_up(socket: &mut Socket, network: &Network, found: &Link) -> Result<(), ManagedError> {
    let there: Vec<_> = socket.addresses(Some(found.index))?.into_iter().map(|address| address.net).collect();
    let missing = network.bridge_addresses().into_iter().filter(|address| !there.contains(address));
    let mut requests: Vec<_> =
        missing.map(|missing| address::add(&Address::new(found.index, missing))).collect();
    if !found.up {
        requests.push(link::change(found.index).called(&network.bridge).up().request());
    }
    Ok(socket.run(requests)?)
}

/// Tells whether a zone uses the network: a port of the bridge, or a route to an address of its ranges.
///
/// # Errors
/// What the kernel says.
pub(super) fn is_used(
    socket: &mut Socket,
    network: &Network,
    found: Option<&Link>,
) -> Result<bool, ManagedError> {
    if let Some(bridge) = found
        && Socket::here()?.has_port(bridge.index)?
    {
        return Ok(true);
    }
    let routed =
        |route: &crate::rt::Route| network.ranges().any(|range| range.contains(route.destination.addr()));
    Ok(socket.routes_by(ZONES)?.iter().any(routed))
}

/// Deletes the bridge; one that has gone is fine.
///
/// # Errors
/// What the kernel says.
pub(super) fn delete(socket: &mut Socket, found: &Link) -> Result<(), ManagedError> {
    const GONE: &[Errno] = &[Errno::NODEV];
    Ok(socket.run([link::delete(found.index).tolerating(GONE)])?)
}
