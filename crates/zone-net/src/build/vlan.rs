//! VLANs on links of the host.
//!
//! A link has one link for each of its VLANs, so zones share it. One that we make is named `zvL.V` (numbers of the link and
//! the VLAN, in hexadecimal) and has, for every interface on it, the name of that as an alternative name: whoever takes
//! the last of these from it takes it away. One that somebody else has made is used, and left. Who makes, uses or releases
//! one holds the lock of the installation's network: nobody takes it away between its making and its use.

use rustix::io::Errno;

use super::{NetError, link, make_kind, set_if_there, teardown};
use crate::rt::link::{Generation, Upper};
use crate::rt::sysctl::Setting;
use crate::rt::{Link, Socket, link as links};

/// Finds what a macvlan or ipvlan is made on: the link, or the link of one of its VLANs, which `user` then uses.
pub(super) fn lower(host: &mut Socket, name: &str, vlan: Option<u16>, user: &str) -> Result<u32, NetError> {
    let lower = link(host, name)?;
    let Some(vlan) = vlan else { return Ok(lower.index) };
    // The zone may have had a pair of that name, which the kernel takes some time to take away.
    teardown::delete_last(host, user)?;
    let on =
        |link: &Link| link.lower == Some(lower.index) && !link.lower_elsewhere && link.vlan == Some(vlan);
    let made = name_of(lower.index, vlan);
    if !host.links()?.iter().any(on) {
        let upper = Upper { name: &made, lower: lower.index, netns: None, mtu: None };
        // A zone of another installation may have been quicker.
        make_kind(host, "vlan", vec![links::create_vlan(&upper, vlan).tolerating(&[Errno::EXIST])])?;
    }
    let found = host.links()?.into_iter().find(on).ok_or(NetError::Vanished(made))?;
    let mut change = links::change(found.index).called(&found.name);
    let mut requests = Vec::new();
    if is_ours(&found) {
        // Each time: who made it may have died before it came to this. The host is no part of that network.
        set_if_there(Setting::v6(&found.name, "disable_ipv6"), "1")?;
        change = change.alias("VLAN of zones").generation(Generation::None);
        // Refused if something else is called so: without it the link would be nobody's, and taken away.
        let used = found.altnames.iter().any(|name| name == user);
        requests.extend((!used).then(|| links::add_altname(found.index, user)));
    }
    requests.push(change.up().request());
    host.run(requests)?;
    Ok(found.index)
}

/// Finds what a macvlan or ipvlan was made on, if that is there.
pub(super) fn find(host: &mut Socket, name: &str, vlan: Option<u16>) -> Result<Option<u32>, NetError> {
    let Some(lower) = host.link(name)?.map(|link| link.index) else { return Ok(None) };
    if vlan.is_none() {
        return Ok(Some(lower));
    }
    let on = |link: &Link| link.lower == Some(lower) && !link.lower_elsewhere && link.vlan == vlan;
    Ok(host.links()?.into_iter().find(on).map(|link| link.index))
}

/// Ends the use of the VLAN links by interfaces of one zone, and takes away those that nobody uses any more: also one whose
/// maker died before it used it.
pub(super) fn release(
    host: &mut Socket,
    links: &[Link],
    is_user: impl Fn(&str) -> bool,
) -> Result<(), NetError> {
    for link in links.iter().filter(|link| is_ours(link)) {
        let (ended, others): (Vec<_>, Vec<_>) = link.altnames.iter().partition(|name| is_user(name));
        if ended.is_empty() && !others.is_empty() {
            continue;
        }
        let gone = &[Errno::NODEV, Errno::NOENT];
        let mut requests: Vec<_> =
            ended.iter().map(|name| links::delete_altname(link.index, name).tolerating(gone)).collect();
        if others.is_empty() {
            requests.push(links::delete(link.index).tolerating(gone));
        }
        host.run(requests)?;
    }
    Ok(())
}

/// At most 14 bytes.
fn name_of(lower: u32, vlan: u16) -> String {
    format!("zv{lower:x}.{vlan:x}")
}

fn is_ours(link: &Link) -> bool {
    link.lower.zip(link.vlan).is_some_and(|(lower, vlan)| name_of(lower, vlan) == link.name)
}
