//! The links of a zone that runs: some more, some less, others' work mended. Of pairs only, whose end on the host is ours; what is
//! inside is found by that end, whatever the zone's root calls it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::{NetError, attach, inside, link, routed, teardown};
use crate::Interface;
use crate::interface::Attachment;
use crate::names::Owner;
use crate::rt::{Link, Socket, address, namespace, route};

/// Takes away the pairs of a zone that are none of these. Idempotent.
///
/// # Errors
/// What the kernel says.
pub fn remove_others(owner: Owner<'_>, kept: &[Interface]) -> Result<(), NetError> {
    let mut host = Socket::here()?;
    let is_kept = |link: &Link| kept.iter().any(|interface| interface.host == link.name);
    let ours = |link: &&Link| owner.is_link(&link.name) && link.kind.as_deref() == Some("veth");
    let found = host.links()?;
    let others: Vec<_> = found.iter().filter(ours).filter(|link| !is_kept(link)).collect();
    if others.is_empty() {
        return Ok(());
    }
    teardown::delete_all(&mut host, &others)?;
    teardown::sweep_proxies(&mut host)
}

/// Makes the pairs of a zone that are not there, and has the others be attached as they are to be. Gives those that were made,
/// which have nothing inside yet and are down. Idempotent.
///
/// # Errors
/// A bridge or link that is missing; what the kernel says.
pub fn ensure<'a>(
    interfaces: &'a [Interface],
    netns: BorrowedFd<'_>,
) -> Result<Vec<&'a Interface>, NetError> {
    let mut host = Socket::here()?;
    let theirs = Socket::within(netns)?.links()?;
    let mut made = Vec::new();
    for interface in interfaces.iter().filter(|interface| interface.attachment.is_reached()) {
        let found = host.link(&interface.host)?;
        match found.filter(|end| theirs.iter().any(|inside| end.lower == Some(inside.index))) {
            Some(end) => attach::again(&mut host, interface, &end)?,
            None => {
                attach::create(&mut host, interface, netns)?;
                made.push(interface);
            }
        }
    }
    Ok(made)
}

/// A pair that is to have something else inside than it has.
#[derive(Clone, Debug)]
pub struct Changed<'a> {
    /// What it had, or may have had; nothing of a new one.
    pub old: Vec<&'a Interface>,
    /// What it is to have.
    pub new: &'a Interface,
}

/// Gives links inside their addresses and routes in the place of those that they had, and sets them up.
///
/// # Errors
/// A link that is missing; what the kernel says.
pub fn configure(changed: &[Changed<'_>], netns: BorrowedFd<'_>) -> Result<(), NetError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut host = Socket::here()?;
    let mut links = Vec::new();
    for one in changed {
        links.push((one, link(&mut host, &one.new.host)?.lower));
    }
    let configure = || {
        let mut socket = Socket::here()?.inside();
        links.iter().try_for_each(|(one, index)| configure_one(&mut socket, one, *index))
    };
    namespace::within(netns, configure).map_err(NetError::Enter)?
}

fn configure_one(socket: &mut Socket, changed: &Changed<'_>, index: Option<u32>) -> Result<(), NetError> {
    const GONE: &[Errno] = &[Errno::ADDRNOTAVAIL, Errno::SRCH, Errno::NODEV];
    let Changed { old, new } = changed;
    let gone = || NetError::Vanished(new.inside.clone());
    let found = socket.link(index.ok_or_else(gone)?)?.ok_or_else(gone)?;
    let routes = socket.routes()?;
    let defaults = || routes.iter().filter(|route| route.destination.prefix_len() == 0);
    // Also those that it is to have: whoever was killed here may have made them, and one more of the same cannot be.
    let ours: Vec<IpAddr> = old.iter().chain([new]).flat_map(|one| inside::routers(one)).collect();
    let by_ours = |route: &&crate::rt::Route| {
        route.link == Some(found.index) && route.via.is_some_and(|via| ours.contains(&via))
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
    Ok(socket.run(inside::requests(new, &found, &mut metrics))?)
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
