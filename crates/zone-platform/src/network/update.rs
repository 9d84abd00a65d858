//! Giving a zone that runs other nets and ports, and mending those that it has.
//!
//! A net that is as it was keeps what was built for it, as the record says; one that is new or other is worked out as a boot
//! does. What is to be there is recorded before any of it is, with what is there, and the rest of the record goes last: so this
//! can be killed anywhere and run again, forwards or back, and a tear-down finds all of it. What the zone's root has made of a
//! link inside is its own affair: only what was asked to be other is changed there.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::fstat;
use zone_net::build::live::{self, Changed, Ensured, Inside};
use zone_net::build::physical;
use zone_net::interface::Attachment;
use zone_net::managed::{self, Network};
use zone_net::names::Owner;
use zone_net::plan::{Host, Plan};
use zone_net::record::Record;
use zone_net::spec::{NetSpec, NetworkSpec, PortSpec};
use zone_net::{Interface, guard};
use zone_sys::Chain;

use super::build::{lease, nets};
use super::look::claim;
use super::publish::{answer_loopback, forward, keep_back, publish_anew};
use super::{NetworkError, dhcp, inside, release};
use crate::change::Change;
use crate::{Failed, PlatformError};

/// Makes the zone's network what the new specification says, and mends it. If nothing of it is to be other, what cannot be mended
/// is told and nothing more: the rest of the change is not about that.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let differs = change.old.network != change.new.network;
    match make(change) {
        Err(error) if !differs => {
            change.warn(format!("the network of the zone was not mended: {}", Chain(&error)));
            Ok(())
        }
        made => made,
    }
}

/// Lists the nets of `one` that `other` does not have like that.
fn unlike<'a>(one: &'a NetworkSpec, other: &'a NetworkSpec) -> impl Iterator<Item = &'a NetSpec> {
    one.nets.iter().filter(|net| !other.nets.contains(net))
}

fn make(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (layout, zone) = (change.layout, &change.new.zone);
    let new = &change.new.network;
    let owner = Owner { installation: layout.id(), zone };
    let recorded = Record::load(layout, zone).map_err(NetworkError::from)?;
    if recorded.is_none() && new.nets.is_empty() {
        return Ok(());
    }
    let record = recorded.unwrap_or_else(|| Record::new(false, Vec::new(), Vec::new()));
    let netns = namespace(change)?;
    let network = network(change)?;
    let wanted = wanted(change, owner, &record, network.as_ref())?;
    guard::check(&wanted).map_err(NetworkError::from)?;
    Ok(build(change, owner, &record, &wanted, network.as_ref(), &netns)?)
}

/// The managed network, if the zone is to be in it.
fn network(change: &mut Change<'_>) -> Result<Option<Network>, NetworkError> {
    let new = &change.new.network;
    match change.found.managed.take() {
        None if new.uses_managed() => Ok(Some(Network::on_host(change.layout)?)),
        found => Ok(found),
    }
}

/// What is to be built: what was, of each net that is as it was, else what a boot would build. What the host has on the bridge of an
/// isolated one is looked at anew.
fn wanted(
    change: &mut Change<'_>,
    owner: Owner<'_>,
    record: &Record,
    network: Option<&Network>,
) -> Result<Vec<Interface>, NetworkError> {
    let (old, new) = (&change.old.network, &change.new.network);
    let leases = match network {
        Some(network) => lease(change.layout, owner, new, network)?,
        None => Vec::new(),
    };
    let built = |net: &NetSpec| record.interfaces.iter().find(|built| built.inside == net.physical);
    let as_it_was = |net: &NetSpec| built(net).filter(|_| old.nets.contains(net)).cloned();
    let kept: Option<Vec<Interface>> = new.nets.iter().map(as_it_was).collect();
    if let Some(all) = kept.filter(|all| !all.iter().any(|net| net.protection.isolated)) {
        return Ok(all);
    }
    let host = match change.found.host.take() {
        Some(host) => host,
        None => {
            let mut host = Host::look(new)?;
            host.expect(record.physical.iter().map(physical::PhysicalRecord::link));
            host
        }
    };
    let plan = Plan { owner, spec: new, host: &host, managed: network };
    let mut numbers: Vec<String> = record.interfaces.iter().map(|built| built.host.clone()).collect();
    let mut all = Vec::new();
    for (place, net) in new.nets.iter().enumerate() {
        if let Some(mut kept) = as_it_was(net) {
            kept.host_addresses = plan.host_addresses(net, &kept.attachment);
            all.push(kept);
            continue;
        }
        let is_its = |number: &usize| match built(net) {
            Some(built) => owner.link(*number) == built.host,
            None => !numbers.contains(&owner.link(*number)),
        };
        let number = (0..).find(is_its).unwrap_or(place);
        let mut interface = plan.interface(number, net, || leases.get(place).cloned().unwrap_or_default())?;
        if let Some(built) = built(net) {
            // A link that is there keeps its Ethernet address, which may be that of another place in the list.
            interface.mac = built.mac;
        }
        if interface.dhcp
            && let Some(lease) = record.leases.get(&interface.inside)
        {
            // What it asked for, it has, though something else of it is another.
            interface.addresses = vec![lease.address.into()];
        }
        numbers.push(interface.host.clone());
        all.push(interface);
    }
    Ok(all)
}

fn build(
    change: &mut Change<'_>,
    owner: Owner<'_>,
    record: &Record,
    wanted: &[Interface],
    network: Option<&Network>,
    netns: &OwnedFd,
) -> Result<(), NetworkError> {
    let (layout, zone) = (change.layout, &change.new.zone);
    let ports = &change.new.network.ports;
    let mut both = both(record, wanted, ports, network.is_some())?;
    both.hostname.clone_from(&change.new.hostname);
    claim(layout, zone, &change.new.network, &both)?;
    zone_fail::pass!("network.recorded");
    let ready = network.map(|network| managed::ensure(layout, network)).transpose()?;
    let shares = both.shares_vlan_link() || guard::is_any_guarded(&both.interfaces);
    let lock = (shares && ready.is_none()).then(|| managed::lock(layout)).transpose()?;
    let mut told = ready.as_ref().map(|ready| ready.told.clone()).unwrap_or_default();
    told.extend(forward(wanted, !ports.is_empty())?);
    let pin = layout.zone_netns(zone);
    if both.keeps_namespace() {
        physical::pin(netns.as_fd(), &pin)?;
        zone_fail::pass!("network.pinned");
    }
    let is_leased = |net: &Interface| wanted.iter().any(|kept| kept.dhcp && kept.inside == net.inside);
    dhcp::release(record, netns.as_fd(), |net| net.dhcp && !is_leased(net));
    let inside = Inside { netns: netns.as_fd(), physical: &both.physical };
    let lost = live::remove_others(owner, &both.interfaces, wanted, inside)?;
    told.extend(lost.iter().map(|net| lost_inside(net)));
    zone_fail::pass!("network.parted");
    let Ensured { made, missing } = live::ensure(wanted, inside)?;
    told.extend(missing.iter().map(|net| nowhere(net)));
    zone_fail::pass!("network.linked");
    // Before what is new is up: no frame passes before its rules.
    let shared = guard::share(owner.installation, wanted)?;
    zone_fail::pass!("network.shared");
    // Before the rule goes that is there for it.
    keep_back(wanted, ports)?;
    guard::apply(owner, nets(wanted, ports), &shared)?;
    zone_fail::pass!("network.guarded");
    publish_anew(owner, wanted, ports, network)?;
    zone_fail::pass!("network.published");
    let other: Vec<&str> =
        unlike(&change.new.network, &change.old.network).map(|net| net.physical.as_str()).collect();
    let changed = |new| {
        let new: &Interface = new;
        let is_made = made.iter().any(|made| made.host == new.host);
        let is_missing = missing.iter().any(|missing| missing.host == new.host);
        // What was made anew has nothing of what was there.
        let old = record.interfaces.iter().filter(|old| !is_made && old.host == new.host).collect();
        let is_other = is_made || other.contains(&new.inside.as_str());
        (is_other && !is_missing).then_some(Changed { old, new })
    };
    live::configure(&wanted.iter().filter_map(changed).collect::<Vec<_>>(), inside)?;
    live::set_up(wanted)?;
    answer_loopback(wanted, ports, network)?;
    zone_fail::pass!("network.configured");
    drop((ready, lock));
    told.into_iter().for_each(|sentence| change.warn(sentence));
    let was_guarded = guard::is_any_guarded(&both.interfaces) && !guard::is_any_guarded(wanted);
    let mut left = both;
    (left.managed, left.interfaces, left.ports) = (network.is_some(), wanted.to_vec(), ports.clone());
    left.leases.retain(|net, _| wanted.iter().any(|kept| kept.dhcp && kept.inside == *net));
    left.physical.retain(|link| wanted.iter().any(|net| is_on(net, &link.name)));
    if !left.keeps_namespace() {
        // Before the record goes, by which it is found.
        physical::unpin(&pin)?;
    }
    if left.interfaces.is_empty() {
        Record::remove(layout, zone)?;
    } else {
        left.save(layout, zone)?;
    }
    if (record.managed && network.is_none()) || was_guarded {
        release(layout).map_err(|error| NetworkError::Released(Box::new(error)))?;
    }
    dhcp::give(change, &left, &other)?;
    let now = Record::load(layout, zone)?.unwrap_or_default();
    inside::tell(change, record, &now, !other.is_empty());
    Ok(())
}

/// Says that a link that a net no longer is to have was not where it was made.
fn lost_inside(net: &Interface) -> String {
    format!(
        "net {name}: its link is not in the zone's network namespace any more; if the zone's root has taken it to another one, the zone has it until it halts",
        name = net.inside
    )
}

/// Says that a link of the host is not there.
fn nowhere(net: &Interface) -> String {
    let link = net.attachment.global_nic().unwrap_or_default();
    format!(
        "net {}: the link '{link}' is neither in the zone's network namespace nor on the host",
        net.inside
    )
}

fn is_on(net: &Interface, name: &str) -> bool {
    matches!(&net.attachment, Attachment::Physical { link } if link == name)
}

/// The record of what is there and of what is to be: of a net that is to be other both, for nobody knows what of it is there once
/// this was interrupted.
fn both(
    record: &Record,
    wanted: &[Interface],
    ports: &[PortSpec],
    managed: bool,
) -> Result<Record, NetworkError> {
    let mut both = record.clone();
    let is_new = |interface: &&Interface| !record.interfaces.contains(interface);
    both.interfaces.extend(wanted.iter().filter(is_new).cloned());
    both.ports.extend(ports.iter().filter(|port| !record.ports.contains(port)).cloned());
    both.managed |= managed;
    for interface in wanted {
        if let Attachment::Physical { link } = &interface.attachment
            && !both.physical.iter().any(|known| known.name == *link)
        {
            both.physical.push(physical::record(link)?);
        }
    }
    Ok(both)
}

/// Opens the zone's network namespace: the one that is kept, else that of its first process. The one of a shared zone is the
/// host's, wherever its first process may have gone since.
fn namespace(change: &Change<'_>) -> Result<OwnedFd, PlatformError> {
    let pinned = physical::pinned(&change.layout.zone_netns(&change.new.zone)).map_err(NetworkError::from)?;
    if let Some(pinned) = pinned {
        return Ok(pinned);
    }
    let netns = change.namespace("net")?;
    if change.old.network.is_shared() && !is_the_hosts(&netns)? {
        return Err(NetworkError::Elsewhere.into());
    }
    Ok(netns)
}

/// Whether a network namespace belongs to the user namespace that this program is in.
fn is_the_hosts(netns: &OwnedFd) -> Result<bool, Failed> {
    let failed = || Failed::to("look at", "the owner of the zone's network namespace");
    let Ok(owner) = zone_sys::namespace::owner(netns) else { return Ok(false) };
    let owner = fstat(&owner).map_err(failed())?;
    let ours = rustix::fs::stat("/proc/self/ns/user").map_err(failed())?;
    Ok((owner.st_dev, owner.st_ino) == (ours.st_dev, ours.st_ino))
}
