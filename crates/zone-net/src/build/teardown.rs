//! Taking a zone's interfaces away, from names alone.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::physical::{PhysicalRecord, give_back};
use super::{NetError, vlan};
use crate::Interface;
use crate::interface::Attachment;
use crate::names::Owner;
use crate::record::Record;
use crate::rt::neighbour::delete_proxy;
use crate::rt::route::ZONES;
use crate::rt::{Link, Request, Socket, link as links};

/// What is gone needs no deleting.
const GONE: &[Errno] = &[Errno::NODEV, Errno::NOENT];

/// Takes away all that was made for a zone on the host, and, if its network namespace is at hand, what of it holds on to
/// links of the host. Idempotent: it needs no memory, and copes with what was half made, half taken away or has gone with
/// the namespace. Links that moved in are given back as their records say. Everything is tried, whatever else fails. The caller
/// holds the lock of the installation's network, for the links of VLANs.
///
/// # Errors
/// What could not be taken away or given back.
pub fn tear_down(
    owner: Owner<'_>,
    records: &[PhysicalRecord],
    netns: Option<BorrowedFd<'_>>,
) -> Result<(), NetError> {
    take_away(owner, records, netns, true)
}

/// The same, of links of VLANs only if that is said.
fn take_away(
    owner: Owner<'_>,
    records: &[PhysicalRecord],
    netns: Option<BorrowedFd<'_>>,
    vlans: bool,
) -> Result<(), NetError> {
    let back = records.iter().map(|record| match give_back(record, netns) {
        // Hardware comes back by itself; what is virtual goes with its namespace, and never does.
        Err(NetError::Lost(name)) if record.is_virtual() => Err(NetError::Destroyed(name)),
        result => result,
    });
    let mut errors: Vec<_> = back.filter_map(Result::err).collect();
    if let Some(netns) = netns {
        errors.extend(release_lower(netns).err());
    }
    errors.extend(on_host(owner, vlans).err());
    NetError::of(errors)
}

/// The same for a zone of which is known what was made, without a look at the links of all others. `namespace_ends` tells
/// that the zone's network namespace goes with its last process: the kernel then deletes the pairs with it, which takes it some
/// 30 ms that nobody waits for, and here they are cut off, so that nothing goes through them from now on. What has such a
/// name when the zone boots again is deleted then. If the record [may use links of VLANs](Record::may_use_vlan_links), the caller holds
/// the lock of the installation's network.
///
/// # Errors
/// What could not be taken away or given back.
pub fn tear_down_recorded(
    owner: Owner<'_>,
    record: &Record,
    netns: Option<BorrowedFd<'_>>,
    namespace_ends: bool,
) -> Result<(), NetError> {
    if record.interfaces.is_empty() || record.holds_links() {
        return take_away(owner, &record.physical, netns, record.may_use_vlan_links());
    }
    let mut host = Socket::here()?;
    let mut requests = Vec::new();
    for interface in &record.interfaces {
        let Some(found) = pair(&mut host, &interface.host)? else { continue };
        if namespace_ends {
            requests.extend(cut(&found));
        } else {
            requests.push(links::delete(found.index).tolerating(GONE));
        }
    }
    let mut errors = Vec::new();
    errors.extend(host.run(requests).err().map(NetError::from));
    let answers =
        |interface: &Interface| matches!(interface.attachment, Attachment::Routed { uplink: Some(_) });
    if record.interfaces.iter().any(answers) {
        errors.extend(sweep_proxies(&mut host).err());
    }
    NetError::of(errors)
}

/// Deletes links, which may have gone.
pub(super) fn delete_all(host: &mut Socket, found: &[&Link]) -> Result<(), NetError> {
    Ok(host.run(found.iter().map(|link| links::delete(link.index).tolerating(GONE)))?)
}

/// Deletes a pair that is still there of a zone's last incarnation.
pub(super) fn delete_last(host: &mut Socket, name: &str) -> Result<(), NetError> {
    match pair(host, name)? {
        Some(found) => Ok(host.run([links::delete(found.index).tolerating(GONE)])?),
        None => Ok(()),
    }
}

/// Finds the host's end of a pair.
fn pair(host: &mut Socket, name: &str) -> Result<Option<Link>, NetError> {
    Ok(host.link(name)?.filter(|link| link.kind.as_deref() == Some("veth")))
}

/// Has an end of a pair take and give nothing any more: it is down, and a port of no bridge, which may go meanwhile. Only then it is
/// in no group any more, by which its frames were looked at.
fn cut(end: &Link) -> impl Iterator<Item = Request<'static>> {
    let change = || links::change(end.index).called(&end.name);
    let down = if end.master.is_some() { change().down().master(0) } else { change().down() };
    let apart = (end.group != 0).then(|| change().group(0));
    [Some(down), apart].into_iter().flatten().map(|change| change.request().tolerating(GONE))
}

/// Deletes the macvlans and ipvlans inside: while their namespace is on its way out, no other link may have their Ethernet
/// addresses, and the zone may boot again before that is over.
fn release_lower(netns: BorrowedFd<'_>) -> Result<(), NetError> {
    let mut inside = Socket::within(netns)?;
    let on_lower = |link: &Link| matches!(link.kind.as_deref(), Some("macvlan" | "ipvlan"));
    let found = inside.links()?;
    let requests = found.iter().filter(|link| on_lower(link));
    Ok(inside.run(requests.map(|link| links::delete(link.index).tolerating(GONE)))?)
}

fn on_host(owner: Owner<'_>, vlans: bool) -> Result<(), NetError> {
    let mut host = Socket::here()?;
    let found = host.links()?;
    let ours = |link: &&Link| {
        let kind = link.kind.as_deref();
        owner.is_link(&link.name) && matches!(kind, Some("veth" | "macvlan" | "ipvlan"))
    };
    let mut errors = Vec::new();
    let requests = found.iter().filter(ours).map(|link| links::delete(link.index).tolerating(GONE));
    errors.extend(host.run(requests).err().map(NetError::from));
    if vlans {
        errors.extend(vlan::release(&mut host, &found, |name| owner.is_link(name)).err());
    }
    errors.extend(sweep_proxies(&mut host).err());
    NetError::of(errors)
}

/// Has the host no longer answer for addresses that it has no route of ours to. Routes go with their link, however that
/// goes; entries are on somebody else's link and stay. A zone that comes up has its route before its entry, so of a zone
/// that has both the list of entries, which is made first, holds none that the list of routes does not.
pub(super) fn sweep_proxies(host: &mut Socket) -> Result<(), NetError> {
    let proxies: Vec<_> = host.proxies()?.into_iter().filter(|proxy| proxy.protocol == ZONES).collect();
    if proxies.is_empty() {
        return Ok(());
    }
    let routes: Vec<_> = host.routes()?.into_iter().filter(|route| route.protocol == ZONES).collect();
    // An entry for a router that was said is on a link of ours, and goes with it.
    let lost = proxies.iter().filter(|proxy| {
        let route = |route: &crate::rt::Route| route.destination.addr() == proxy.address;
        !routes.iter().any(route) && !routes.iter().any(|route| route.link == Some(proxy.link))
    });
    Ok(host.run(lost.map(|proxy| delete_proxy(proxy).tolerating(GONE)))?)
}
