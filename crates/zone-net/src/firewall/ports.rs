//! The table of a zone's ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{
    ChainType, DESTINATION_NAT, DESTINATION_TRANSLATED, Error, Family, Field, HookPoint, LOOPBACK4,
    LOOPBACK6, Owner, PortSpec, Rule, SOURCE_NAT, Transaction, Way, hook, loopback, martians,
};
use crate::nft::{Set, SetType};
use crate::spec::Protocol;

const FAMILY: Family = Family::Inet;
/// RTN_LOCAL of linux/rtnetlink.h: an address of the host.
const LOCAL: u32 = 2;

/// Names a protocol as nft(8) does.
pub(super) fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Writes the ports into the zone's table, which is there.
pub(super) fn write(
    transaction: &mut Transaction,
    owner: Owner<'_>,
    way: Way<'_>,
    ports: &[PortSpec],
) -> Result<(), Error> {
    let Way { link, addresses, loopback: answered } = way;
    let table = &owner.table();
    // Of the bridge of the managed network, that network's own table has this once for all zones.
    if owner.is_link(link) {
        martians(transaction, table, link);
    }
    for (chain, point, priority) in [
        ("prerouting", HookPoint::Prerouting, DESTINATION_NAT),
        ("output", HookPoint::Output, DESTINATION_NAT),
        ("postrouting", HookPoint::Postrouting, SOURCE_NAT),
    ] {
        transaction.chain(FAMILY, table, chain, Some(&hook(ChainType::Nat, point, priority)));
    }
    if !answered {
        // Of these nothing would come back, and whoever listens there would go deaf.
        for own in [LOOPBACK4, LOOPBACK6].map(loopback) {
            let stays = Rule::new().destination_in(own).accept().comment("the host's loopback");
            transaction.rule(FAMILY, table, "output", stays);
        }
    }
    let four = addresses.iter().copied().find(IpAddr::is_ipv4);
    let six = addresses.iter().copied().find(IpAddr::is_ipv6);
    let lead = |transaction: &mut Transaction, group: Group, ends: &dyn Fn(Rule, IpAddr) -> Rule| {
        for address in [four, six].into_iter().flatten() {
            if group.1.is_some_and(|host| host.is_ipv4() != address.is_ipv4()) {
                continue;
            }
            for chain in ["prerouting", "output"] {
                transaction.rule(FAMILY, table, chain, ends(connection(group, address), address));
            }
        }
    };
    let mut maps: BTreeMap<Group, Vec<(u16, u16)>> = BTreeMap::new();
    for port in ports {
        let wrong = || Error::Range { zone: owner.zone.clone(), port: port.clone() };
        let more = port.last.checked_sub(port.first).ok_or_else(wrong)?;
        let last = port.to.checked_add(more).ok_or_else(wrong)?;
        let group = (port.protocol, port.host);
        // A range that leads to the same ports needs no look at each.
        if port.to == port.first && more > 0 {
            let (first, last) = (port.first.to_be_bytes(), port.last.to_be_bytes());
            lead(transaction, group, &|rule, address| {
                rule.between(Field::DESTINATION_PORT, &first, &last).dnat(address)
            });
        } else {
            maps.entry(group).or_default().extend((port.first..=port.last).zip(port.to..=last));
        }
    }
    // All others of a protocol are one rule of each family and a map: a connection looks once, however many they are.
    // Backwards, since what is for one address comes before what is for all.
    for (place, (group, pairs)) in maps.into_iter().rev().enumerate() {
        let map = format!("{}-{place}", name(group.0));
        let bytes = |port: u16| port.to_be_bytes().to_vec();
        let pairs = pairs.into_iter().map(|(from, to)| (bytes(from), bytes(to))).collect();
        transaction.set(FAMILY, table, &map, &Set::Map(SetType::Port, SetType::Port, pairs));
        lead(transaction, group, &|rule, address| rule.dnat_map(address, &map));
    }
    for address in [four, six].into_iter().flatten() {
        for rule in back(link, address) {
            transaction.rule(FAMILY, table, "postrouting", rule);
        }
    }
    Ok(())
}

/// A protocol, and the address of the host that a port is for.
type Group = (Protocol, Option<IpAddr>);

/// Begins a rule that is true of connections of a protocol to the host, of the family of an address.
fn connection((protocol, host): Group, address: IpAddr) -> Rule {
    let mut rule = Rule::new().family_of(address);
    if let Some(host) = host {
        rule = rule.destination_in(host.into());
    }
    rule.is(Field::DestinationKind, &LOCAL.to_ne_bytes()).transport(number(protocol))
}

/// What would not come back to the host: has the address of the link. Where frames on bridges go through these rules, what the
/// zone sends to itself has come by no link here.
fn back(link: &str, address: IpAddr) -> [Rule; 3] {
    let translated = DESTINATION_TRANSLATED.to_ne_bytes();
    let to_zone = || {
        Rule::new().destination_in(address.into()).link_is(Field::OUT_NAME, link).masked_is_not(
            Field::ConnectionStatus,
            &translated,
            &[0; 4],
        )
    };
    let own = loopback(if address.is_ipv4() { LOOPBACK4 } else { LOOPBACK6 });
    [
        to_zone().link_is(Field::IN_NAME, link).masquerade().comment("from the zone's own link"),
        to_zone().source_in(address.into()).masquerade().comment("from the zone itself"),
        to_zone().source_in(own).masquerade().comment("from the host's loopback"),
    ]
}
