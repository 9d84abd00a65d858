//! A physical link on its way back.

use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::{NetError, PhysicalRecord};
use crate::rt::link::change;
use crate::rt::{Link, Request, Socket, address, link as links, namespace, route};

/// What a link is called that cannot have its own name yet: always free.
const UNDERWAY: &str = "zback%d";

/// Tells whether a link is called so.
pub(super) fn is_underway(name: &str) -> bool {
    UNDERWAY.strip_suffix("%d").is_some_and(|begin| name.starts_with(begin))
}

/// What is waited before all is done once more, when something that was restored is not there.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// Takes a link out of a zone's network namespace, or finds it where the kernel has put it when that went, and makes it
/// what the record says. What the zone hung on it is deleted. Idempotent: a link that has never left or is back already is
/// left as it is, as far as it is what the record says.
///
/// To udev and networkd it is a new link, which they name and configure at the same time. They go by what they were told
/// of it some time ago: what networkd has configured it deletes when it hears, however late, that the link went down, and a
/// route that it asks for in the wrong moment it never asks for again. So the link has its name and its settings before it
/// comes, nothing sets it down afterwards, and no address that is there is deleted: the kernel would take all routes along.
///
/// # Errors
/// The link is nowhere: another namespace that the zone had may still have it, until the zone's last process is gone, and a
/// namespace that has just gone gives its links back a moment later. Its name is taken by another link: all else is
/// restored. Its driver does not set it up: all is restored but its routes. Whatever the kernel refuses; all the rest is tried.
pub fn give_back(record: &PhysicalRecord, netns: Option<BorrowedFd<'_>>) -> Result<(), NetError> {
    give_back_amid(record, netns, &mut || ())
}

/// The same; `others` is called between any two steps, when others may have done something.
pub(super) fn give_back_amid(
    record: &PhysicalRecord,
    netns: Option<BorrowedFd<'_>>,
    others: &mut dyn FnMut(),
) -> Result<(), NetError> {
    let taken = netns.map_or(Ok(()), |netns| take_out(record, netns));
    others();
    let mut host = Socket::here()?;
    let mut pauses = PAUSES.iter();
    loop {
        let restored = restore(&mut host, record, others);
        let lasts = restored.as_ref().is_err_and(stays_down);
        // Who cannot look finds nothing missing.
        let done = lasts || is_whole(&mut host, record).unwrap_or(true);
        match pauses.next().filter(|_| !done) {
            Some(pause) => thread::sleep(*pause),
            None => return taken.and(restored),
        }
    }
}

fn take_out(record: &PhysicalRecord, netns: BorrowedFd<'_>) -> Result<(), NetError> {
    const GONE: &[Errno] = &[Errno::NODEV, Errno::NOENT];
    let home = namespace::current().map_err(NetError::Current)?;
    let mut inside = Socket::within(netns)?;
    let found = inside.links()?;
    let Some(link) = record.find_inside(&found) else { return Ok(()) };
    let on_top = found.iter().filter(|upper| {
        let kind = upper.kind.as_deref();
        let above = matches!(kind, Some("vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "macsec"));
        above && upper.lower == Some(link.index) && !upper.lower_elsewhere
    });
    let mut requests: Vec<_> = on_top.map(|upper| links::delete(upper.index).tolerating(GONE)).collect();
    // A name of the host's that the zone gave it would keep it from moving.
    let names = link.altnames.iter();
    requests.extend(names.map(|name| links::delete_altname(link.index, name).tolerating(GONE)));
    requests.push(change(link.index).called(&link.name).master(0).down().request());
    inside.run(requests)?;
    // What is refused here is tried again on the host.
    let _ = inside.run(attributes(record, link));
    let _ = set_mac(&mut inside, record, link);
    let begin = || change(link.index).called(&link.name);
    if link.name == record.name || inside.run([begin().name(&record.name).request()]).is_ok() {
        match inside.run([begin().move_to(home.as_fd()).request()]) {
            // The host has another link of that name.
            Err(error) if error.errno() == Errno::EXIST => {}
            moved => return Ok(moved?),
        }
    }
    Ok(inside.run([begin().name(UNDERWAY).move_to(home.as_fd()).request()])?)
}

fn find(host: &mut Socket, record: &PhysicalRecord) -> Result<Option<Link>, NetError> {
    Ok(record.find_on_host(&host.links()?).cloned())
}

/// Makes a link of the host what the record says; what it is already is not touched.
fn restore(host: &mut Socket, record: &PhysicalRecord, others: &mut dyn FnMut()) -> Result<(), NetError> {
    let lost = || NetError::Lost(record.name.clone());
    let mut link = find(host, record)?.ok_or_else(lost)?;
    let mut errors = Vec::new();
    if link.name != record.name {
        match rename(host, record, &link) {
            Ok(()) => link = find(host, record)?.ok_or_else(lost)?,
            Err(error) => errors.push(error),
        }
        others();
    }
    errors.extend(set_mac(host, record, &link).err());
    errors.extend(host.run(attributes(record, &link)).err().map(NetError::from));
    errors.extend(host.run(altnames(record, &link)).err().map(NetError::from));
    errors.extend(enslave(host, record, &link).err());
    others();
    if record.up {
        let up = host.run([change(link.index).called(&record.name).up().request()]);
        others();
        errors.extend(addresses(host, record, &link, |_| true).err());
        others();
        match up {
            Ok(()) => errors.extend(host.run(routes(record, &link)).err().map(NetError::from)),
            Err(source) => errors.push(NetError::StaysDown { name: record.name.clone(), source }),
        }
        others();
    } else {
        // Those of IPv6 a link has while it is up.
        errors.extend(addresses(host, record, &link, |net| net.addr().is_ipv4()).err());
    }
    NetError::of(errors)
}

fn stays_down(error: &NetError) -> bool {
    match error {
        NetError::StaysDown { .. } => true,
        NetError::Several(errors) => errors.iter().any(stays_down),
        _ => false,
    }
}

/// Tells whether nothing is missing of what goes away as soon as somebody sets the link down or deletes an address.
fn is_whole(host: &mut Socket, record: &PhysicalRecord) -> Result<bool, NetError> {
    let Some(link) = find(host, record)?.filter(|_| record.up) else { return Ok(true) };
    let addresses = host.addresses(Some(link.index))?;
    let has = |net| addresses.iter().any(|address| address.net == net);
    if !link.up || !record.addresses.iter().all(|address| has(address.net)) {
        return Ok(false);
    }
    if record.routes.is_empty() {
        return Ok(true);
    }
    // As the kernel does, which takes no second one of this kind.
    let routes = host.routes()?;
    let routes: Vec<_> = routes.iter().filter(|route| route.link == Some(link.index)).collect();
    let has = |destination, metric, table| {
        routes
            .iter()
            .any(|route| route.destination == destination && route.metric == metric && route.table == table)
    };
    Ok(record.routes.iter().all(|route| has(route.destination, route.metric, route.table)))
}

fn rename(host: &mut Socket, record: &PhysicalRecord, link: &Link) -> Result<(), NetError> {
    let taken = || NetError::NameTaken { name: record.name.clone(), got: link.name.clone() };
    if host.link(&record.name)?.is_some_and(|other| other.index != link.index) {
        return Err(taken());
    }
    let mut requests = Vec::new();
    if link.altnames.contains(&record.name) {
        requests.push(links::delete_altname(link.index, &record.name).tolerating(&[Errno::NOENT]));
    }
    let begin = || change(link.index).called(&link.name);
    requests.push(begin().name(&record.name).request());
    match host.run(requests) {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Errno::EXIST => Err(taken()),
        // Before Linux 6.2 a link that is up keeps its name.
        Err(error) if error.errno() == Errno::BUSY => {
            // What is virtual would end with whoever is killed while it is nowhere.
            let nowhere = if record.is_virtual() { None } else { namespace::make().ok() };
            match nowhere {
                Some(nowhere) => bring_again(host, record, link, nowhere.as_fd()),
                None => Ok(host.run([begin().down().request(), begin().name(&record.name).request()])?),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a link away from the host, where somebody has set it up under another name, and brings it again under its own.
/// Whoever configures links forgets what he did to it and begins anew; set down where it is, it would be deconfigured after it
/// was restored.
pub(super) fn bring_again(
    host: &mut Socket,
    record: &PhysicalRecord,
    link: &Link,
    nowhere: BorrowedFd<'_>,
) -> Result<(), NetError> {
    host.run([change(link.index).called(&link.name).move_to(nowhere).request()])?;
    take_out(record, nowhere)
}

/// Gives a link the Ethernet address that it had. Many drivers take another one only while they are down.
fn set_mac(host: &mut Socket, record: &PhysicalRecord, link: &Link) -> Result<(), NetError> {
    let Some(mac) = record.mac.filter(|mac| Some(*mac) != link.mac) else { return Ok(()) };
    let begin = || change(link.index).called(&record.name);
    let set = || begin().mac(mac).request();
    if host.run([set()]).is_ok() {
        return Ok(());
    }
    Ok(host.run([begin().down().request(), set()])?)
}

/// What a link is by itself, but for its names and its Ethernet address.
fn attributes(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    let begin = || change(link.index).called(&record.name);
    let mut requests = vec![begin().not_promiscuous().request()];
    if record.mtu != link.mtu {
        requests.push(begin().mtu(record.mtu).request());
    }
    if record.queue_length != link.queue_length {
        requests.push(begin().queue_length(record.queue_length).request());
    }
    if record.group != link.group {
        requests.push(begin().group(record.group).request());
    }
    if record.alias != link.alias {
        requests.push(begin().alias(record.alias.as_deref().unwrap_or_default()).request());
    }
    requests
}

/// What a link is called beside its name.
fn altnames(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    let others = link.altnames.iter().filter(|name| !record.altnames.contains(name));
    // udev names what to it is a new link, and may do that meanwhile.
    let others = others.map(|name| links::delete_altname(link.index, name).tolerating(&[Errno::NOENT]));
    let missing = record.altnames.iter().filter(|name| !link.altnames.contains(name));
    let missing = missing.map(|name| links::add_altname(link.index, name).tolerating(&[Errno::EXIST]));
    others.chain(missing).collect()
}

/// Makes it the port again that it was.
fn enslave(host: &mut Socket, record: &PhysicalRecord, link: &Link) -> Result<(), NetError> {
    let Some(name) = &record.master else { return Ok(()) };
    let master = super::link(host, name)?.index;
    if link.master == Some(master) {
        return Ok(());
    }
    Ok(host.run([change(link.index).called(&record.name).master(master).request()])?)
}

/// Gives it the addresses that it had, as far as they are `wanted`.
fn addresses(
    host: &mut Socket,
    record: &PhysicalRecord,
    link: &Link,
    wanted: impl Fn(&IpNet) -> bool,
) -> Result<(), NetError> {
    let mut there = host.addresses(Some(link.index))?;
    // The kernel calls addresses anew when it renames a link, and otherwise only if they are new.
    let misnamed: Vec<_> = (record.addresses.iter())
        .filter(|address| there.iter().any(|other| other.net == address.net && other.label != address.label))
        .map(|address| address::delete(&address.on(link.index)).tolerating(&[Errno::ADDRNOTAVAIL]))
        .collect();
    if !misnamed.is_empty() {
        host.run(misnamed)?;
        // Others may have gone with the first of their prefix.
        there = host.addresses(Some(link.index))?;
    }
    let has = |net| there.iter().any(|address| address.net == net && address.permanent);
    let missing = record.addresses.iter().filter(|address| wanted(&address.net) && !has(address.net));
    Ok(host.run(missing.map(|missing| address::add(&missing.on(link.index))))?)
}

/// The routes by it.
fn routes(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    // Routers are reached by what is on the link.
    let (by, on): (Vec<_>, Vec<_>) = record.routes.iter().partition(|route| route.via.is_some());
    let routes = on.into_iter().chain(by).map(|route| route.through(link.index));
    routes.map(|route| route::add(&route).tolerating(&[Errno::EXIST])).collect()
}
