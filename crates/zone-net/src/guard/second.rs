//! The second look at a zone's frames, at the hook after the first: whether there was a first look, and on a bridge, who
//! sends IPv4 where a DHCP server says who may.

use crate::Interface;
use crate::interface::Attachment;
use crate::nft::{self, ChainType, Family, Field, Hook, HookPoint, Rule, Set, SetType, Transaction};

use super::Learned;
use super::chains::{Chains, SEEN, UDP};
use super::protect::{first_look, ip4_and_arp, ip4_or_arp, learns};

/// The set of addresses that a DHCP server has given to a link.
const LEASES: &str = "leases";
/// What begins the options of a DHCP message (RFC 2131), and the option that says that it grants an address: servers put
/// it first.
const GRANTS: [u8; 7] = [99, 130, 83, 99, 53, 1, 5];

/// Writes the tables of a zone, and returns the families that it has some in.
///
/// # Errors
/// That what was learned so far cannot be read.
pub(super) fn write(
    transaction: &mut Transaction,
    table: &str,
    interfaces: &[Interface],
    of_servers: Learned,
) -> Result<Vec<Family>, nft::Error> {
    let guarded =
        |interface: &&Interface| interface.protection.needs_rules() || interface.bandwidth.is_some();
    let (bridged, routed): (Vec<&Interface>, Vec<&Interface>) = interfaces
        .iter()
        .filter(guarded)
        .partition(|interface| matches!(interface.attachment, Attachment::Bridge { .. }));
    let mut used = Vec::new();
    if !bridged.is_empty() || !routed.is_empty() {
        transaction.replace_table(Family::Netdev, table);
        for interface in bridged.iter().chain(&routed) {
            first_look(&mut chains(transaction, Family::Netdev, table, interface), interface);
        }
        used.push(Family::Netdev);
    }
    if !bridged.is_empty() {
        on_bridge(transaction, table, &bridged, of_servers)?;
        used.push(Family::Bridge);
    }
    if !routed.is_empty() {
        for (family, chain, point) in [
            (Family::Arp, "input", HookPoint::ArpInput),
            (Family::Ip, "prerouting", HookPoint::Prerouting),
            (Family::Ip6, "prerouting", HookPoint::Prerouting),
        ] {
            transaction.replace_table(family, table);
            transaction.chain(family, table, chain, Some(&hook(point)));
            routed
                .iter()
                .for_each(|interface| look(transaction, family, table, chain, interface, &Rule::new()));
            used.push(family);
        }
    }
    Ok(used)
}

fn chains<'a>(
    transaction: &'a mut Transaction,
    family: Family,
    table: &'a str,
    interface: &'a Interface,
) -> Chains<'a> {
    Chains { transaction, family, table, link: &interface.host }
}

fn hook(point: HookPoint) -> Hook<'static> {
    // Before everybody, conntrack and the reassembly of fragments (-400) too: it has to see what the first look saw.
    Hook { kind: ChainType::Filter, point, priority: -1000, device: None }
}

fn on_bridge(
    transaction: &mut Transaction,
    table: &str,
    interfaces: &[&Interface],
    of_servers: Learned,
) -> Result<(), nft::Error> {
    const FAMILY: Family = Family::Bridge;
    // Read before the table is replaced: a zone keeps the address that it was given.
    let mut known = Vec::new();
    for interface in interfaces {
        if let Some(learned) = learned_by(table, interface)? {
            known.push((*interface, if of_servers == Learned::Kept { learned } else { Vec::new() }));
        }
    }
    transaction.replace_table(FAMILY, table);
    for (interface, leases) in &known {
        learned(&mut chains(transaction, FAMILY, table, interface), interface, leases);
    }
    // Frames to these addresses the bridge gives to the host alone, and not by its prerouting hook.
    let to_host = Rule::new().masked_is(
        Field::ETHER_DESTINATION,
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xf0],
        &[0x01, 0x80, 0xc2, 0, 0, 0],
    );
    for (chain, point, of) in
        [("prerouting", HookPoint::Prerouting, Rule::new()), ("input", HookPoint::Input, to_host)]
    {
        transaction.chain(FAMILY, table, chain, Some(&hook(point)));
        for interface in interfaces {
            look(transaction, FAMILY, table, chain, interface, &of);
            if learns(interface) {
                let to = format!("{}-ip", interface.host);
                let rule = of.clone().link_is(Field::IN_NAME, &interface.host).jump(&to).comment("ip");
                transaction.rule(FAMILY, table, chain, rule);
            }
        }
    }
    // A port that ports of the host lead to may send back what it got (`build::hairpin`): what is for all never is that.
    transaction.chain(FAMILY, table, "forward", Some(&hook(HookPoint::Forward)));
    for interface in interfaces {
        let back =
            Rule::new().link_is(Field::IN_NAME, &interface.host).link_is(Field::OUT_NAME, &interface.host);
        let group = back.masked_is(Field::ETHER_DESTINATION, &[1, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0]);
        transaction.rule(FAMILY, table, "forward", group.drop().comment("its own, for all"));
    }
    if known.is_empty() {
        return Ok(());
    }
    transaction.chain(FAMILY, table, "postrouting", Some(&hook(HookPoint::Postrouting)));
    for (interface, _) in known {
        let set = format!("{}-{LEASES}", interface.host);
        transaction.rule(FAMILY, table, "postrouting", grant(interface, &set));
    }
    Ok(())
}

/// Reads the addresses that were learned for a link; `None` of one for which none are.
///
/// # Errors
/// What the kernel says.
pub(super) fn learned_by(table: &str, interface: &Interface) -> Result<Option<Vec<Vec<u8>>>, nft::Error> {
    if !learns(interface) {
        return Ok(None);
    }
    let set = format!("{}-{LEASES}", interface.host);
    nft::elements(Family::Bridge, table, &set).map(Some)
}

/// Drops frames that nobody has looked at, and takes the mark off the others.
fn look(
    transaction: &mut Transaction,
    family: Family,
    table: &str,
    chain: &str,
    interface: &Interface,
    of: &Rule,
) {
    let ours = || of.clone().link_is(Field::IN_NAME, &interface.host);
    let unseen = ours().is_not(Field::MARK, &SEEN.to_ne_bytes()).counter().drop();
    transaction.rule(family, table, chain, unseen.comment("came past the first look"));
    transaction.rule(family, table, chain, ours().set_mark(0).comment("the mark was ours"));
}

fn learned(chains: &mut Chains<'_>, interface: &Interface, leases: &[Vec<u8>]) {
    chains.set(LEASES, &Set::Learned(SetType::Ip, leases.to_vec()));
    let leases = chains.name(LEASES);
    ip4_and_arp(chains, interface, Some(&leases));
    chains.make(&["ip"]);
    ip4_or_arp(chains, "ip");
}

/// Learns the address that a DHCP server grants to the link's Ethernet address.
fn grant(interface: &Interface, set: &str) -> Rule {
    // Offsets from the UDP header, eight bytes before those of RFC 2131: op, chaddr, the options, yiaddr.
    let given = Field::transport(24, 4);
    Rule::new()
        .link_is(Field::OUT_NAME, &interface.host)
        .ip()
        .transport(UDP)
        .is(Field::SOURCE_PORT, &67_u16.to_be_bytes())
        .is(Field::DESTINATION_PORT, &68_u16.to_be_bytes())
        .is(Field::transport(8, 1), &[2])
        .is(Field::transport(36, 6), &interface.mac.0)
        .is(Field::transport(244, 7), &GRANTS)
        .is_not(given, &[0; 4])
        .learn(given, set)
        .comment("address from a DHCP server")
}
