//! Who has which address of the managed network.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use zone_config::addresses::{self, Addresses, Record};
use zone_config::{Layout, ZoneName, hash};

use super::{ManagedError, Network, Range};

/// Gives a net of a zone an address of each family that the network has, with the length of the range: the
/// recorded ones when there are any, else free ones, recorded before this returns. The search starts where a
/// hash of root, zone and net points, so that a zone that is made again mostly has the addresses it had, and
/// nobody else soon has them after it.
///
/// A recorded address that is outside of the range, because somebody has written another range, is replaced.
///
/// Takes the lock of the managed network.
///
/// # Errors
/// [`ManagedError::Full`], and when the file of addresses cannot be read, understood or written.
pub fn allocate(
    layout: &Layout,
    network: &Network,
    zone: &ZoneName,
    net: &str,
) -> Result<Vec<IpNet>, ManagedError> {
    if let Some(record) = addresses::find(layout, zone, net)?
        && let Some(given) = standing(network, &record)
    {
        return Ok(given);
    }
    Addresses::update(layout, |recorded| give(recorded, layout, network, zone, net))
}

/// Gives what is recorded of a net with the lengths of the ranges, if that is all that it would be given.
fn standing(network: &Network, record: &Record) -> Option<Vec<IpNet>> {
    let in_range = |range: Range| {
        let address = record.addresses.iter().copied().find(|address| range.zone_place(*address).is_some());
        address.map(|address| range.with_length(address))
    };
    let given = network.ranges().map(in_range).collect::<Option<Vec<_>>>()?;
    given.iter().map(IpNet::addr).eq(record.addresses.iter().copied()).then_some(given)
}

fn give(
    recorded: &mut Addresses,
    layout: &Layout,
    network: &Network,
    zone: &ZoneName,
    net: &str,
) -> Result<Vec<IpNet>, ManagedError> {
    let there = recorded.get(zone, net)?.map(|record| record.addresses.clone()).unwrap_or_default();
    let seed = layout.id().of_zone(zone);
    let mut number = hash::fnv1a_after(hash::fnv1a_after(seed, b"\0"), net.as_bytes()).into();
    let mut given = Vec::new();
    for range in network.ranges() {
        let kept = there.iter().copied().find(|address| range.zone_place(*address).is_some());
        let address = match kept {
            Some(address) => address,
            None => free(recorded, network, range, number, zone)?,
        };
        // The next family has the same number behind its prefix, if that is free: people see that they
        // belong together.
        number = range.zone_place(address).map_or(number, Range::zone_number);
        given.push(range.with_length(address));
    }
    let addresses = given.iter().map(IpNet::addr).collect();
    recorded.set(Record { zone: zone.clone(), net: net.to_owned(), addresses })?;
    Ok(given)
}

/// Tells whether the nets of a zone that are in the managed network could have their addresses: those that are given with
/// each name, or one of each family where none are given. Records nothing.
///
/// # Errors
/// Those of [`allocate`] and [`reserve`].
pub fn rehearse<'a>(
    layout: &Layout,
    network: &Network,
    zone: &ZoneName,
    nets: impl IntoIterator<Item = (&'a str, Option<Vec<IpAddr>>)>,
) -> Result<(), ManagedError> {
    let mut recorded = Addresses::load(layout)?;
    let nets: Vec<_> = nets.into_iter().collect();
    recorded.remove(zone, &nets.iter().map(|(net, _)| *net).collect::<Vec<_>>());
    for (net, given) in nets {
        match given {
            Some(given) => set_aside(&mut recorded, zone, net, ours(network, &given)?)?,
            None => drop(give(&mut recorded, layout, network, zone, net)?),
        }
    }
    Ok(())
}

/// Finds the addresses that a net of a zone has in the ranges of the network, with the lengths of the ranges;
/// none if it was never given any.
///
/// # Errors
/// When the file of addresses cannot be read, the net's line in it makes no sense, or another net has one of
/// the addresses.
pub fn lookup(
    layout: &Layout,
    network: &Network,
    zone: &ZoneName,
    net: &str,
) -> Result<Vec<IpNet>, ManagedError> {
    let recorded = Addresses::load(layout)?;
    let addresses = recorded.get(zone, net)?.map(|record| record.addresses.clone()).unwrap_or_default();
    let in_range = |address: &IpAddr| network.ranges().find(|range| range.zone_place(*address).is_some());
    Ok(addresses
        .iter()
        .filter_map(|address| in_range(address).map(|range| range.with_length(*address)))
        .collect())
}

/// Records the addresses that an administrator has given a net, in place of what was recorded for it, as far
/// as they are in the ranges of the network: nobody else is given them then. Takes the lock of the managed
/// network.
///
/// # Errors
/// [`ManagedError::Taken`], [`ManagedError::NotForZones`], and when the file of addresses cannot be read,
/// understood or written.
pub fn reserve(
    layout: &Layout,
    network: &Network,
    zone: &ZoneName,
    net: &str,
    addresses: &[IpAddr],
) -> Result<(), ManagedError> {
    let ours = ours(network, addresses)?;
    if ours.is_empty() && !layout.addresses().exists() {
        return Ok(());
    }
    Addresses::update(layout, |recorded| set_aside(recorded, zone, net, ours))
}

/// Those of some addresses that are in the ranges of the network.
fn ours(network: &Network, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, ManagedError> {
    let mut ours = Vec::new();
    for address in addresses {
        let Some(range) = network.ranges().find(|range| range.contains(*address)) else { continue };
        if let Some(what) = range.reserved(*address) {
            return Err(ManagedError::NotForZones {
                address: *address,
                what,
                range: Box::new(range.prefix()),
            });
        }
        if !ours.contains(address) {
            ours.push(*address);
        }
    }
    Ok(ours)
}

fn set_aside(
    recorded: &mut Addresses,
    zone: &ZoneName,
    net: &str,
    ours: Vec<IpAddr>,
) -> Result<(), ManagedError> {
    if !ours.is_empty() {
        recorded.check()?;
    }
    let others = recorded.records().filter(|record| record.zone != *zone || record.net != net);
    let taken = |record: &Record| {
        let address = ours.iter().copied().find(|address| record.addresses.contains(address));
        address.map(|address| (address, record.clone()))
    };
    if let Some((address, Record { zone, net, .. })) = others.filter_map(taken).next() {
        return Err(ManagedError::Taken { path: recorded.path().to_owned(), address, zone, net });
    }
    Ok(recorded.set(Record { zone: zone.clone(), net: net.to_owned(), addresses: ours })?)
}

/// Finds the first free address of a range from a number on.
fn free(
    recorded: &Addresses,
    network: &Network,
    range: Range,
    number: u128,
    zone: &ZoneName,
) -> Result<IpAddr, ManagedError> {
    recorded.check()?;
    let all = recorded.records().flat_map(|record| &record.addresses);
    let taken: HashSet<u128> = all.filter_map(|address| range.zone_place(*address)).collect();
    // Of as many as are taken and one more, one is free, or there are not that many.
    let most = range.span().min(taken.len() as u128 + 1);
    let start = number % range.span();
    let mut candidates = (0..most).map(|step| range.zone_address(start + step));
    let free = candidates.find(|address| range.zone_place(*address).is_some_and(|at| !taken.contains(&at)));
    free.ok_or_else(|| ManagedError::Full {
        path: recorded.path().to_owned(),
        range: Box::new(range.prefix()),
        used: taken.len() as u64,
        network: network.file.clone(),
        zone: zone.clone(),
    })
}
