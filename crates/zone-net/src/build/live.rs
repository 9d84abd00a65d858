//! The links of a zone that runs: some more, some less, others' work mended.
//!
//! Of a pair the end on the host is ours, and what is inside is found by that. A macvlan or ipvlan is found inside by what it stands
//! on, a link that has moved in by what it is: whatever the zone's root calls them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::physical::{PhysicalRecord, give_back};
use super::{NetError, attach, inside, routed, set_if_there, teardown, vlan};
use crate::Interface;
use crate::interface::Attachment;
use crate::names::Owner;
use crate::rt::sysctl::Setting;
use crate::rt::{Link, Socket, address, link as links, namespace, route};

/// What is gone needs no deleting.
const GONE: &[Errno] = &[Errno::NODEV, Errno::NOENT];

/// The network of a zone that runs.
#[derive(Clone, Copy, Debug)]
pub struct Inside<'a> {
    /// The zone's network namespace.
    pub netns: BorrowedFd<'a>,
    /// The links of the host that have moved in, or are about to.
    pub physical: &'a [PhysicalRecord],
}

/// Takes away what was built for a zone and is none of what is `kept`: pairs by their names, the others as far as they are
/// recorded. Links of the host come back. Gives the macvlans and ipvlans that are not in the zone's network namespace any more,
/// where the zone's root may have destroyed them, or have taken them to one of its own making. Idempotent. Of links of a VLAN the
/// caller holds the lock.
///
/// # Errors
/// A link of the host that does not come back; what the kernel says.
pub fn remove_others<'a>(
    owner: Owner<'_>,
    built: &'a [Interface],
    kept: &[Interface],
    zone: Inside<'_>,
) -> Result<Vec<&'a Interface>, NetError> {
    let mut host = Socket::here()?;
    let is_kept = |name: &str| kept.iter().any(|interface| interface.host == name);
    let ours = |link: &&Link| owner.is_link(&link.name) && link.kind.as_deref() == Some("veth");
    let found = host.links()?;
    let others: Vec<_> = found.iter().filter(ours).filter(|link| !is_kept(&link.name)).collect();
    if !others.is_empty() {
        teardown::delete_all(&mut host, &others)?;
        teardown::sweep_proxies(&mut host)?;
    }
    let mut lost = Vec::new();
    for interface in built.iter().filter(|one| !one.attachment.is_reached() && !is_kept(&one.host)) {
        if let Attachment::Physical { link } = &interface.attachment {
            let record = zone.physical.iter().find(|record| record.name == *link);
            record.map_or(Ok(()), |record| give_back(record, Some(zone.netns)))?;
            continue;
        }
        let mut theirs = Socket::within(zone.netns)?;
        match find(&mut host, &theirs.links()?, interface, zone.physical)? {
            Some(index) => theirs.run([links::delete(index).tolerating(GONE)])?,
            None => lost.push(interface),
        }
        if interface.attachment.shares_vlan_link() {
            let found = host.links()?;
            vlan::release(&mut host, &found, |user| user == interface.host)?;
        }
    }
    Ok(lost)
}

/// Finds the link inside of an interface, by its index there; `None` if it is not there.
fn find(
    host: &mut Socket,
    theirs: &[Link],
    interface: &Interface,
    physical: &[PhysicalRecord],
) -> Result<Option<u32>, NetError> {
    Ok(match &interface.attachment {
        Attachment::Bridge { .. } | Attachment::Routed { .. } => {
            let end = host.link(&interface.host)?;
            end.and_then(|end| theirs.iter().find(|inside| end.lower == Some(inside.index)))
        }
        Attachment::Macvlan { link, vlan } | Attachment::Ipvlan { link, vlan } => {
            let lower = vlan::find(host, link, *vlan)?;
            upper(theirs, interface, lower)
        }
        Attachment::Physical { link } => {
            physical.iter().find(|record| record.name == *link).and_then(|record| record.find_inside(theirs))
        }
    }
    .map(|link| link.index))
}

/// Finds a macvlan or ipvlan on a link of the host: of several that by its name, then by its Ethernet address. What the zone's root
/// has made itself stands on a link of its own.
fn upper<'a>(theirs: &'a [Link], interface: &Interface, lower: Option<u32>) -> Option<&'a Link> {
    let is = |link: &&Link| {
        link.kind.as_deref() == Some(interface.attachment.mode())
            && link.lower_elsewhere
            && link.lower == lower
    };
    let alike: Vec<_> = theirs.iter().filter(is).filter(|_| lower.is_some()).collect();
    let named = alike.iter().find(|link| link.name == interface.inside);
    named.or_else(|| alike.iter().find(|link| link.mac == Some(interface.mac))).copied()
}

/// What came of [`ensure`].
#[derive(Debug, Default)]
pub struct Ensured<'a> {
    /// The interfaces whose links were made: they have nothing inside yet, and are down.
    pub made: Vec<&'a Interface>,
    /// The interfaces whose link of the host is neither in the zone nor on the host.
    pub missing: Vec<&'a Interface>,
}

/// Makes the links of a zone that are not there, and has the pairs among the others be attached as they are to be. Idempotent. A link
/// of the host that moves in has to be recorded before; of links of a VLAN the caller holds the lock.
///
/// # Errors
/// A bridge or link that is missing; what the kernel says.
pub fn ensure<'a>(interfaces: &'a [Interface], zone: Inside<'_>) -> Result<Ensured<'a>, NetError> {
    let mut host = Socket::here()?;
    let theirs = Socket::within(zone.netns)?.links()?;
    let mut ensured = Ensured::default();
    for interface in interfaces {
        let there = find(&mut host, &theirs, interface, zone.physical)?;
        if there.is_some() {
            if let Some(end) = host.link(&interface.host)?.filter(|_| interface.attachment.is_reached()) {
                attach::again(&mut host, interface, &end)?;
            }
            continue;
        }
        if let Attachment::Physical { link } = &interface.attachment {
            let record = zone.physical.iter().find(|record| record.name == *link);
            if record.is_none_or(|record| record.find_on_host(&host.links().unwrap_or_default()).is_none()) {
                ensured.missing.push(interface);
                continue;
            }
        }
        attach::create(&mut host, interface, zone.netns)?;
        ensured.made.push(interface);
    }
    Ok(ensured)
}

/// A link that is to have something else inside than it has.
#[derive(Clone, Debug)]
pub struct Changed<'a> {
    /// What it had, or may have had; nothing of a new one.
    pub old: Vec<&'a Interface>,
    /// What it is to have.
    pub new: &'a Interface,
}

/// Gives links inside their addresses and routes in the place of those that they had, and sets them up. What a DHCP server has
/// given is left to its own life.
///
/// # Errors
/// A link that is missing; what the kernel says.
pub fn configure(changed: &[Changed<'_>], zone: Inside<'_>) -> Result<(), NetError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut host = Socket::here()?;
    let theirs = Socket::within(zone.netns)?.links()?;
    let mut links = Vec::new();
    for one in changed {
        links.push((one, find(&mut host, &theirs, one.new, zone.physical)?));
    }
    let configure = || {
        let mut socket = Socket::here()?.inside();
        links.iter().try_for_each(|(one, index)| configure_one(&mut socket, one, *index))
    };
    namespace::within(zone.netns, configure).map_err(NetError::Enter)?
}

/// What of an interface the administrator gives: all, but for the address of a DHCP server.
fn given(interface: &Interface) -> Interface {
    let leased = interface.dhcp;
    let addresses = if leased { Vec::new() } else { interface.addresses.clone() };
    Interface { addresses, ..interface.clone() }
}

fn configure_one(socket: &mut Socket, changed: &Changed<'_>, index: Option<u32>) -> Result<(), NetError> {
    const GONE: &[Errno] = &[Errno::ADDRNOTAVAIL, Errno::SRCH, Errno::NODEV];
    let Changed { old, new } = changed;
    let gone = || NetError::Vanished(new.inside.clone());
    let found = socket.link(index.ok_or_else(gone)?)?.ok_or_else(gone)?;
    let is_told = |one: &Interface| !one.addresses.is_empty() || !one.routers.is_empty();
    let to_have = given(new);
    // As at a boot: what the administrator says is not for a router of the network to say.
    match (old.iter().any(|old| is_told(&given(old))), is_told(&to_have)) {
        (false, true) => set_if_there(Setting::v6(&found.name, "accept_ra"), "0")?,
        (true, false) => set_if_there(Setting::v6(&found.name, "accept_ra"), "1")?,
        _ => {}
    }
    let routes = socket.routes()?;
    let defaults = || routes.iter().filter(|route| route.destination.prefix_len() == 0);
    // Also those that it is to have: whoever was killed here may have made them, and one more of the same cannot be.
    let ours: Vec<IpAddr> = old.iter().chain([new]).flat_map(|one| inside::routers(one)).collect();
    let by_ours = |route: &&crate::rt::Route| {
        route.link == Some(found.index)
            && route.protocol != crate::dhcp::install::DHCP
            && route.via.is_some_and(|via| ours.contains(&via))
    };
    socket.run(defaults().filter(by_ours).map(|route| route::delete(route).tolerating(GONE)))?;
    let lost = old.iter().flat_map(|old| &old.addresses).filter(|address| !new.addresses.contains(address));
    let lost = lost.map(|net| address::delete(&address::Address::new(found.index, *net)).tolerating(GONE));
    socket.run(lost.collect::<Vec<_>>())?;
    // The metrics of other links' routes are taken: the first net keeps being the best.
    let others = defaults().filter(|route| route.link != Some(found.index));
    let taken: BTreeSet<(bool, u32)> =
        others.filter_map(|route| Some((route.via?.is_ipv4(), route.metric.unwrap_or_default()))).collect();
    let mut metrics =
        inside::Metrics::beside(|router: IpAddr, metric| taken.contains(&(router.is_ipv4(), metric)));
    Ok(socket.run(inside::requests(&to_have, &found, &mut metrics))?)
}

/// Sets the host's ends up, with the host's routes to what is reached by them, and without those that were. Idempotent.
///
/// # Errors
/// What the kernel says.
pub fn set_up(interfaces: &[Interface]) -> Result<(), NetError> {
    let mut host = Socket::here()?;
    let mut swept = false;
    for interface in interfaces.iter().filter(|interface| interface.attachment.is_reached()) {
        if let Attachment::Routed { uplink } = &interface.attachment {
            routed::again(&mut host, interface, uplink.as_deref())?;
            swept = true;
        } else {
            attach::set_up(&mut host, interface)?;
        }
    }
    if swept { teardown::sweep_proxies(&mut host) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mac;
    use crate::spec::Protection;

    fn net() -> Interface {
        Interface {
            host: "z0n0".to_owned(),
            alias: String::new(),
            inside: "eth0".to_owned(),
            attachment: Attachment::Macvlan { link: "up0".to_owned(), vlan: None },
            mac: Mac([2, 0, 0, 0, 0, 7]),
            mtu: None,
            addresses: Vec::new(),
            routers: Vec::new(),
            allowed: Vec::new(),
            host_addresses: Vec::new(),
            dhcp: false,
            bandwidth: None,
            protection: Protection::NONE,
        }
    }

    fn link(index: u32, name: &str, lower: Option<u32>, elsewhere: bool) -> Link {
        let kind = Some("macvlan".to_owned());
        Link { index, name: name.to_owned(), kind, lower, lower_elsewhere: elsewhere, ..Link::default() }
    }

    #[test]
    fn what_stands_on_a_link_of_the_host_is_found_whatever_it_is_called() {
        let mut net = net();
        let theirs = [
            link(2, "eth0", Some(2), false),
            link(3, "other", Some(9), true),
            Link { mac: Some(net.mac), ..link(4, "renamed", Some(2), true) },
            link(5, "second", Some(2), true),
        ];
        let found = |net: &Interface, lower| upper(&theirs, net, lower).map(|link| link.index);
        assert_eq!(found(&net, Some(2)), Some(4), "by its Ethernet address");
        net.inside = "second".to_owned();
        assert_eq!(found(&net, Some(2)), Some(5), "its name comes first");
        net.inside = "none".to_owned();
        net.mac = Mac([2, 0, 0, 0, 0, 8]);
        assert_eq!(found(&net, Some(2)), None);
        assert_eq!(found(&net, None), None, "without what it stands on it cannot be");
    }
}
