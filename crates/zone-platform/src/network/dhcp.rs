//! Addresses that DHCP servers give: asked for before there is a first process, and kept for as long as the zone lives by
//! whoever administers it.
//!
//! What is in the record of the zone's network is what the zone is to have; a daemon that begins makes it so again. So one
//! can be killed anywhere.

use std::net::Ipv4Addr;
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use zone_config::{Layout, ZoneName};
use zone_net::build::physical;
use zone_net::dhcp::wire::{self, Question};
use zone_net::dhcp::{Identity, install};
use zone_net::interface::Attachment;
use zone_net::names::Owner;
use zone_net::record::Record;
use zone_net::{Interface, guard, managed};
use zone_sys::Chain;

pub use zone_net::dhcp::Lease;
pub use zone_net::dhcp::lease::{Due, now};
pub use zone_net::dhcp::wire::Outcome;

use super::build::nets;
use super::{NetworkError, publish};
use crate::Build;

/// How long a boot waits for an address.
const BOOT: Duration = Duration::from_secs(10);
/// How long an answer is waited for in a zone that lives.
const LIVE: Duration = Duration::from_secs(15);

/// Asks for the addresses of a zone that is being brought up, and gives them to its links. A zone that gets none boots
/// without: that is warned of, and it is asked for again when the zone lives. Nobody but this speaks in the zone's network
/// yet, so that what is heard there is the network's.
///
/// # Errors
/// When what a server has given cannot be noted or made.
pub(super) fn first(
    build: &mut Build<'_>,
    owner: Owner<'_>,
    record: &mut Record,
    netns: BorrowedFd<'_>,
) -> Result<(), NetworkError> {
    let nets: Vec<Interface> = record.interfaces.iter().filter(|net| net.dhcp).cloned().collect();
    if nets.is_empty() {
        return Ok(());
    }
    let waiting = format!("a DHCP server for {} has not answered yet", names(&nets));
    let asked = {
        let called_off = || !build.namespaces.goes_on(&waiting);
        wire::ask(netns, &questions(&nets, record), BOOT, &called_off)
    };
    let outcomes = match asked {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let text = format!("{}; {}", Chain(&error), later(&nets));
            build.warn(text);
            return Ok(());
        }
    };
    for (net, outcome) in nets.iter().zip(outcomes) {
        match outcome {
            Outcome::Granted(lease) => record.hold(&net.inside, Some(*lease)),
            Outcome::Refused | Outcome::Silent => build.warn(unanswered(net)),
        }
    }
    if record.leases.is_empty() {
        return Ok(());
    }
    record.save(build.layout, owner.zone)?;
    guard(build.layout, owner, record, guard::apply)?;
    for told in publish::again(owner, record)? {
        build.warn(told);
    }
    Ok(install_all(record, netns)?)
}

/// Guards the links of a zone by what they have by now. One that earlier programs have booted comes to what zones share.
fn guard(
    layout: &Layout,
    owner: Owner<'_>,
    record: &Record,
    apply: fn(Owner<'_>, guard::Nets<'_>, &guard::Shared) -> Result<(), guard::Error>,
) -> Result<(), NetworkError> {
    let _lock = managed::lock(layout)?;
    let shared = guard::share(owner.installation, &record.interfaces)?;
    Ok(apply(owner, nets(&record.interfaces, &record.ports), &shared)?)
}

fn names(nets: &[Interface]) -> String {
    let names: Vec<_> = nets.iter().map(|net| format!("net {}", net.inside)).collect();
    names.join(" and ")
}

fn questions<'a>(nets: &'a [Interface], record: &Record) -> Vec<Question<'a>> {
    let one = |net: &'a Interface| Question {
        link: &net.inside,
        identity: Identity::of(net, &record.hostname),
        lease: None,
    };
    nets.iter().map(one).collect()
}

fn later(nets: &[Interface]) -> String {
    format!("{} has no address yet, and is given one when a DHCP server answers", names(nets))
}

/// Says that nobody has answered, and where to look.
fn unanswered(net: &Interface) -> String {
    let (place, link) = place(net);
    format!(
        "net {}: no DHCP server on {place} has answered within {} seconds, so it has no address yet, and is given one when one answers: see that a server is there, and what 'tcpdump -ni {link} port 67 or port 68' shows",
        net.inside,
        BOOT.as_secs(),
    )
}

/// Names what a net is attached to, and the link of the host on which it can be listened.
fn place(net: &Interface) -> (String, &str) {
    match &net.attachment {
        Attachment::Bridge { bridge, .. } => (format!("the bridge '{bridge}'"), bridge),
        Attachment::Macvlan { link, .. }
        | Attachment::Ipvlan { link, .. }
        | Attachment::Physical { link } => (format!("the network of '{link}'"), link),
        Attachment::Routed { .. } => ("a routed net".to_owned(), &net.host),
    }
}

fn install_all(record: &Record, netns: BorrowedFd<'_>) -> Result<(), zone_net::dhcp::DhcpError> {
    let time = now();
    let leased = record.interfaces.iter().enumerate();
    let leased = leased.filter_map(|(number, net)| Some((number, net, record.leases.get(&net.inside)?)));
    leased.into_iter().try_for_each(|(number, net, lease)| install::install(netns, net, number, lease, time))
}

/// Makes nets of a running zone have what they were given by servers, and asks for the addresses of those that are to have one
/// and have none yet, as long as a boot does; `asked` names the nets. What was not answered by then is told, and asked for again by
/// whoever keeps the zone's addresses.
///
/// # Errors
/// When what is given cannot be made.
pub(super) fn give(
    change: &mut crate::Change<'_>,
    record: &Record,
    asked: &[&str],
) -> Result<(), NetworkError> {
    if !record.interfaces.iter().any(|net| net.dhcp) {
        return Ok(());
    }
    let netns = kept(change.layout, &change.new.zone)?;
    install_all(record, netns.as_fd())?;
    let without = |net: &&Interface| {
        net.dhcp && asked.contains(&net.inside.as_str()) && !record.leases.contains_key(&net.inside)
    };
    let nets: Vec<Interface> = record.interfaces.iter().filter(without).cloned().collect();
    if nets.is_empty() || !change.may_wait() {
        return Ok(());
    }
    let waiting = format!("a DHCP server for {} has not answered yet", names(&nets));
    let called_off = || !change.goes_on(&waiting);
    let outcomes = match wire::ask(netns.as_fd(), &questions(&nets, record), BOOT, &called_off) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let text = format!("{}; {}", Chain(&error), later(&nets));
            change.warn(text);
            return Ok(());
        }
    };
    for (net, outcome) in nets.iter().zip(outcomes) {
        // What is heard in a zone that runs its root may have said: that is looked at there.
        match outcome {
            Outcome::Granted(_) => {
                if let Err(error) = settle(change.layout, &change.new.zone, &net.inside, outcome) {
                    change.warn(format!("{}; {}", Chain(&error), later(&nets)));
                }
            }
            Outcome::Refused | Outcome::Silent => change.warn(unanswered(net)),
        }
    }
    Ok(())
}

/// A net of a live zone whose address comes from a DHCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub net: String,
    /// What it has.
    pub lease: Option<Lease>,
}

/// What has become of a net's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is what it was, for longer perhaps.
    None,
    /// It is this one now.
    Given(Ipv4Addr, Ipv4Addr),
    /// This one is gone, and there is none.
    Lost(Ipv4Addr),
}

/// Lists the nets of a live zone whose addresses come from DHCP servers.
///
/// # Errors
/// [`NetworkError`].
pub fn held(layout: &Layout, zone: &ZoneName) -> Result<Vec<Held>, NetworkError> {
    let Some(record) = Record::load(layout, zone)? else { return Ok(Vec::new()) };
    let nets = record.interfaces.iter().filter(|net| net.dhcp);
    Ok(nets
        .map(|net| Held { net: net.inside.clone(), lease: record.leases.get(&net.inside).cloned() })
        .collect())
}

/// Makes a live zone have again what the record says that it has. Idempotent; what is over is left to [`settle`]. The caller
/// sees to it that nobody else changes the zone meanwhile.
///
/// # Errors
/// [`NetworkError`].
pub fn restore(layout: &Layout, zone: &ZoneName) -> Result<(), NetworkError> {
    let Some(record) = Record::load(layout, zone)?.filter(|record| !record.leases.is_empty()) else {
        return Ok(());
    };
    let owner = Owner { installation: layout.id(), zone };
    guard(layout, owner, &record, guard::apply)?;
    publish::again(owner, &record)?;
    Ok(install_all(&record, kept(layout, zone)?.as_fd())?)
}

/// Asks for the address of a net of a live zone, or for more time with it, and waits for an answer unless it is
/// `called_off`. Changes nothing.
///
/// # Errors
/// [`NetworkError`].
pub fn ask(
    layout: &Layout,
    zone: &ZoneName,
    held: &Held,
    called_off: &dyn Fn() -> bool,
) -> Result<Outcome, NetworkError> {
    let Some(record) = Record::load(layout, zone)? else { return Ok(Outcome::Silent) };
    let Some(net) = record.interfaces.iter().find(|net| net.inside == held.net) else {
        return Ok(Outcome::Silent);
    };
    let identity = Identity::of(net, &record.hostname);
    let question = Question { link: &net.inside, identity, lease: held.lease.as_ref() };
    let outcomes = wire::ask(kept(layout, zone)?.as_fd(), &[question], LIVE, called_off)?;
    Ok(outcomes.into_iter().next().unwrap_or(Outcome::Silent))
}

/// Makes what has been answered so. The caller sees to it that nobody else changes the zone meanwhile, and that it is the
/// one that was asked for.
///
/// # Errors
/// [`NetworkError`]; [`NetworkError::Forged`] for an address that nobody outside of the zone has given it.
pub fn settle(layout: &Layout, zone: &ZoneName, net: &str, outcome: Outcome) -> Result<Change, NetworkError> {
    let Some(mut record) = Record::load(layout, zone)? else { return Ok(Change::None) };
    let found = record.interfaces.iter().enumerate().find(|(_, other)| other.inside == net && other.dhcp);
    let Some((number, interface)) = found.map(|(number, found)| (number, found.clone())) else {
        return Ok(Change::None);
    };
    let old = record.leases.get(net).cloned();
    let over = old.as_ref().is_some_and(|old| old.due(now()) == Due::Expired);
    let new = match outcome {
        Outcome::Granted(lease) => Some(*lease),
        Outcome::Refused => None,
        Outcome::Silent if over => None,
        Outcome::Silent => return Ok(Change::None),
    };
    let owner = Owner { installation: layout.id(), zone };
    let netns = kept(layout, zone)?;
    let address = |lease: &Option<Lease>| lease.as_ref().map(|lease| lease.address.addr());
    let (before, after) = (address(&old), address(&new));
    if let Some(address) = after.filter(|_| before != after)
        && !guard::is_granted(owner, &interface, address)?
    {
        return Err(NetworkError::Forged { net: net.to_owned(), address });
    }
    let stays = matches!((&old, &new), (Some(old), Some(new)) if old.is_same_to_link(new));
    if let Some(old) = old.filter(|_| !stays) {
        install::remove(netns.as_fd(), &interface, old.address)?;
    }
    record.hold(net, new.clone());
    record.save(layout, zone)?;
    if before != after {
        guard(layout, owner, &record, guard::apply_anew)?;
        publish::again(owner, &record)?;
    }
    let Some(new) = new else { return Ok(before.map_or(Change::None, Change::Lost)) };
    install::install(netns.as_fd(), &interface, number, &new, now())?;
    let given = Change::Given(new.address.addr(), new.server);
    Ok(if before == after { Change::None } else { given })
}

/// Gives the addresses of a zone's nets that go back to their servers, as far as these can be told.
pub(super) fn release(record: &Record, netns: BorrowedFd<'_>, goes: impl Fn(&Interface) -> bool) {
    for net in record.interfaces.iter().filter(|net| goes(net)) {
        let Some(lease) = record.leases.get(&net.inside) else { continue };
        if lease.due(now()) != Due::Expired {
            // Nobody answers it either: where it is not heard, the address is free when its time is over.
            let _ = wire::release(netns, &net.inside, &Identity::of(net, &record.hostname), lease);
        }
    }
}

/// Opens the network namespace of a live zone, as it was when the zone began: its first process may be in another one.
fn kept(layout: &Layout, zone: &ZoneName) -> Result<OwnedFd, NetworkError> {
    physical::pinned(&layout.zone_netns(zone))?.ok_or(NetworkError::NotKept)
}
