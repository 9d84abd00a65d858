//! A physical link on its way back.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::{NetError, PhysicalRecord};
use crate::rt::link::change;
use crate::rt::{Link, Request, Socket, address, link as links, namespace, route};

/// What a link is called from the moment it is out of the zone until it has its own name again: always free.
const UNDERWAY: &str = "zback%d";

/// Takes a link out of a zone's network namespace, or finds it where the kernel has put it when that went, and makes it
/// what the record says. What the zone hung on it is deleted. Idempotent: a link that has never left or is back already is
/// left as it is, as far as it is what the record says.
///
/// # Errors
/// The link is nowhere: another namespace that the zone had may still have it, until the zone's last process is gone, and a
/// namespace that has just gone gives its links back a moment later. Its name is taken by another link: all else is
/// restored. Its driver does not set it up: all is restored but its routes. Whatever the kernel refuses; all the rest is tried.
pub fn give_back(record: &PhysicalRecord, netns: Option<BorrowedFd<'_>>) -> Result<(), NetError> {
    let taken = netns.map_or(Ok(()), |netns| take_out(record, netns));
    let mut host = Socket::here()?;
    let found = host.links()?;
    match (record.find(&found), taken) {
        (Some(link), taken) => taken.and(restore(&mut host, record, link)),
        (None, Ok(())) => Err(NetError::Lost(record.name.clone())),
        (None, Err(error)) => Err(error),
    }
}

fn take_out(record: &PhysicalRecord, netns: BorrowedFd<'_>) -> Result<(), NetError> {
    const GONE: &[Errno] = &[Errno::NODEV, Errno::NOENT];
    let home = namespace::current().map_err(NetError::Current)?;
    let mut inside = Socket::within(netns)?;
    let found = inside.links()?;
    let Some(link) = record.find(&found) else { return Ok(()) };
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
    Ok(inside.run([change(link.index).called(&link.name).name(UNDERWAY).move_to(home.as_fd()).request()])?)
}

/// Makes a link of the host what the record says; what it is already is not touched.
fn restore(host: &mut Socket, record: &PhysicalRecord, link: &Link) -> Result<(), NetError> {
    let mut errors = Vec::new();
    errors.extend(rename(host, record, link).err());
    errors.extend(host.run(attributes(record, link)).err().map(NetError::from));
    errors.extend(enslave(host, record, link).err());
    if record.up {
        let up = host.run([change(link.index).called(&record.name).up().request()]);
        errors.extend(host.run(addresses(record, link)).err().map(NetError::from));
        match up {
            Ok(()) => errors.extend(host.run(routes(record, link)).err().map(NetError::from)),
            Err(source) => errors.push(NetError::StaysDown { name: record.name.clone(), source }),
        }
    }
    NetError::of(errors)
}

fn rename(host: &mut Socket, record: &PhysicalRecord, link: &Link) -> Result<(), NetError> {
    if link.name == record.name {
        return Ok(());
    }
    // networkd may have set up what the kernel has put here, and before Linux 6.2 a link that is up keeps its name: within one
    // request it would be set down after that.
    let begin = || change(link.index).called(&link.name);
    host.run([begin().down().request(), begin().name(&record.name).request()]).map_err(|error| {
        match error.errno() {
            Errno::EXIST => NetError::NameTaken { name: record.name.clone(), got: link.name.clone() },
            _ => error.into(),
        }
    })
}

/// What a link is by itself.
fn attributes(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    let begin = || change(link.index).called(&record.name);
    let mut requests = vec![begin().not_promiscuous().request()];
    // Many drivers take another address only while they are down; one that has never left stays up.
    if let Some(mac) = record.mac.filter(|mac| Some(*mac) != link.mac) {
        requests.push(begin().down().request());
        requests.push(begin().mac(mac).request());
    }
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
    let others = link.altnames.iter().filter(|name| !record.altnames.contains(name));
    // udev names what to it is a new link, and may do that meanwhile.
    requests.extend(others.map(|name| links::delete_altname(link.index, name).tolerating(&[Errno::NOENT])));
    let missing = record.altnames.iter().filter(|name| !link.altnames.contains(name));
    requests.extend(missing.map(|name| links::add_altname(link.index, name).tolerating(&[Errno::EXIST])));
    requests
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

/// The addresses that a link has while it is up.
fn addresses(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    let mut requests = Vec::new();
    let addresses = record.addresses.iter().map(|address| address.on(link.index));
    if link.name != record.name {
        // One that was restored under another name has a label of that.
        let none = &[Errno::ADDRNOTAVAIL];
        requests.extend(addresses.clone().map(|address| address::delete(&address).tolerating(none)));
    }
    requests.extend(addresses.map(|address| address::add(&address)));
    requests
}

/// The routes by it.
fn routes(record: &PhysicalRecord, link: &Link) -> Vec<Request<'static>> {
    // Routers are reached by what is on the link.
    let (by, on): (Vec<_>, Vec<_>) = record.routes.iter().partition(|route| route.via.is_some());
    let routes = on.into_iter().chain(by).map(|route| route.through(link.index));
    routes.map(|route| route::add(&route).tolerating(&[Errno::EXIST])).collect()
}
