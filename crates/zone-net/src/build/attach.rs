//! The host's side of an interface.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::{NetError, link, make_kind, routed, teardown, vlan};
use crate::interface::Attachment;
use crate::rt::link::{End, Generation, Upper};
use crate::rt::{Link, Request, Socket, bridge, link as links, qdisc};
use crate::{Interface, Mac};

/// Makes the links of one interface.
pub(super) fn create(
    host: &mut Socket,
    interface: &Interface,
    netns: BorrowedFd<'_>,
) -> Result<(), NetError> {
    match &interface.attachment {
        Attachment::Bridge { bridge, vlan } => port(host, interface, netns, bridge, *vlan),
        Attachment::Routed { .. } => {
            teardown::delete_last(host, &interface.host)?;
            make_kind(host, "veth", pair(interface, netns, None))?;
            limit(host, interface)?;
            routed::prepare(interface)
        }
        Attachment::Macvlan { link, vlan } => {
            let lower = vlan::lower(host, link, *vlan, &interface.host)?;
            let request = links::create_macvlan(&upper(interface, lower, netns), interface.mac);
            make_kind(host, "macvlan", vec![request])
        }
        Attachment::Ipvlan { link, vlan } => {
            let lower = vlan::lower(host, link, *vlan, &interface.host)?;
            make_kind(host, "ipvlan", vec![links::create_ipvlan(&upper(interface, lower, netns))])
        }
        Attachment::Physical { link: name } => {
            let link = link(host, name)?;
            let change = links::change(link.index).called(name).name(&interface.inside).move_to(netns);
            Ok(host.run([change.request()])?)
        }
    }
}

/// Sets the host's end of one interface up, with what goes through it.
pub(super) fn set_up(host: &mut Socket, interface: &Interface) -> Result<(), NetError> {
    match &interface.attachment {
        Attachment::Bridge { bridge, .. } => {
            let gone = || NetError::Vanished(interface.inside.clone());
            let end = host.link(&interface.host)?.ok_or_else(gone)?;
            if end.master.is_none() {
                // A port of nothing reaches nobody, and nobody would tell.
                return Err(NetError::Vanished(bridge.clone()));
            }
            Ok(host.run([links::change(end.index).called(&interface.host).up().request()])?)
        }
        Attachment::Routed { uplink } => routed::set_up(host, interface, uplink.as_deref()),
        Attachment::Macvlan { .. } | Attachment::Ipvlan { .. } | Attachment::Physical { .. } => Ok(()),
    }
}

/// Has a pair that is there be attached as it is to be: somebody may have made its bridge anew, or it is to have other limits.
pub(super) fn again(host: &mut Socket, interface: &Interface, end: &Link) -> Result<(), NetError> {
    if let Attachment::Bridge { bridge: name, vlan } = &interface.attachment {
        let master = link(host, name)?;
        if end.master != Some(master.index) {
            is_fit(name, &master, *vlan)?;
            host.run([links::change(end.index).master(master.index).request()])?;
            join(host, end.index, &master, *vlan)?;
        }
        host.run([bridge::isolate(end.index, interface.protection.isolated)])?;
    }
    match interface.bandwidth {
        Some(_) => limit(host, interface),
        // Without a limit there is none to end.
        None => Ok(host.run([qdisc::delete(end.index).tolerating(&[Errno::NOENT, Errno::INVAL])])?),
    }
}

/// Whether a link can have the port that is asked for.
fn is_fit(name: &str, master: &Link, vlan: Option<u16>) -> Result<(), NetError> {
    if master.kind.as_deref() != Some("bridge") {
        return Err(NetError::NotBridge(name.to_owned()));
    }
    if vlan.is_some() && !master.filters_vlans {
        return Err(NetError::NotFiltering(name.to_owned()));
    }
    Ok(())
}

/// Puts a port into its VLAN, and out of that of all others there.
fn join(host: &mut Socket, port: u32, master: &Link, vlan: Option<u16>) -> Result<(), NetError> {
    let Some(vlan) = vlan else { return Ok(()) };
    let mut requests = vec![bridge::add_vlan(port, vlan)];
    // Otherwise it would get what is for all there.
    let others = master.default_vlan.filter(|default| *default != vlan);
    requests.extend(others.map(|default| bridge::delete_vlan(port, default).tolerating(&[Errno::NOENT])));
    Ok(host.run(requests)?)
}

/// Makes a pair whose end on the host is a port of a bridge.
fn port(
    host: &mut Socket,
    interface: &Interface,
    netns: BorrowedFd<'_>,
    name: &str,
    vlan: Option<u16>,
) -> Result<(), NetError> {
    let master = link(host, name)?;
    is_fit(name, &master, vlan)?;
    teardown::delete_last(host, &interface.host)?;
    let mut requests = pair(interface, netns, Some(master.index));
    if interface.protection.isolated {
        requests.push(bridge::isolate(&interface.host, true));
    }
    make_kind(host, "veth", requests)?;
    if vlan.is_some() {
        let port = link(host, &interface.host)?.index;
        join(host, port, &master, vlan)?;
    }
    limit(host, interface)
}

/// Makes a pair, and has its end on the host say what it is. That end forms no address: it is a port, or gets one.
fn pair<'fd>(interface: &Interface, netns: BorrowedFd<'fd>, master: Option<u32>) -> Vec<Request<'fd>> {
    let mtu = interface.mtu;
    let end = End { name: &interface.host, mac: opposite(interface.mac), mtu };
    let peer = End { name: &interface.inside, mac: interface.mac, mtu };
    let mut change = links::change(&interface.host).alias(&interface.alias).generation(Generation::None);
    if let Some(bridge) = master {
        change = change.master(bridge);
    }
    let mut requests = vec![links::create_veth(&end, &peer, netns), change.request()];
    if let Some(name) = altname(&interface.alias) {
        // For people's eyes only: a zone of another installation may have the same.
        requests.push(links::add_altname(&interface.host, &name).tolerating(&[Errno::EXIST]));
    }
    requests
}

/// The Ethernet address of the host's end, the same whenever the zone's is: a zone remembers that of its router. A bridge,
/// which takes the lowest of its ports for its own unless it has one, takes every other one before this.
pub(super) fn opposite(mac: Mac) -> Mac {
    let [first, rest @ ..] = mac.0;
    let [a, b, c, d, e] = rest;
    Mac([if first == 0xfe { 0xfa } else { 0xfe }, a, b, c, d, e])
}

/// A name that a link can have, of what it says that it is.
fn altname(alias: &str) -> Option<String> {
    const LONGEST: usize = 127;
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let words: Vec<_> = alias.split(|char| !fits(char)).filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    (!name.is_empty() && name.len() <= LONGEST && !matches!(&*name, "." | "..")).then_some(name)
}

/// Limits what goes towards the zone.
fn limit(host: &mut Socket, interface: &Interface) -> Result<(), NetError> {
    let Some(bits) = interface.bandwidth else { return Ok(()) };
    let end = link(host, &interface.host)?.index;
    Ok(host.run([qdisc::limit(end, &qdisc::Rate::of(bits))])?)
}

fn upper<'a, 'fd>(interface: &'a Interface, lower: u32, netns: BorrowedFd<'fd>) -> Upper<'a, 'fd> {
    Upper { name: &interface.inside, lower, netns: Some(netns), mtu: interface.mtu }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_makes_a_name() {
        assert_eq!(altname("zone web, eth0").as_deref(), Some("zone-web-eth0"));
        assert_eq!(altname("zone-web-net0").as_deref(), Some("zone-web-net0"));
        assert_eq!(altname(" / "), None);
        assert_eq!(altname(".."), None);
        assert_eq!(altname(&"x".repeat(128)), None);
    }

    #[test]
    fn the_ends_of_a_pair_have_two_addresses() {
        for first in [0x02, 0xfe] {
            let mac = Mac([first, 1, 2, 3, 4, 5]);
            assert_ne!(opposite(mac), mac);
            assert_eq!(opposite(mac).0[0] & 3, 2, "of one station, and local");
        }
    }
}
