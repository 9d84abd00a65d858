//! What a zone has of its own: the first look at its frames, and of the second what is about this zone alone. On a bridge that is who
//! sends IPv4 where a DHCP server says who may, that nothing comes back to it that it has sent to all, and that an isolated zone does
//! not have the host send on to another zone what the bridge does not.

use ipnet::IpNet;

use crate::Interface;
use crate::interface::Attachment;
use crate::nft::{self, Family, Field, HookPoint, Rule, Set, SetType, Transaction, intervals};

use super::chains::{BEFORE_ALL, Chains, UDP, hook, to_host};
use super::protect::{first_look, ip4_and_arp, ip4_or_arp, learns};
use super::{Learned, Nets, is_guarded};

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
    nets: Nets<'_>,
    of_servers: Learned,
) -> Result<Vec<Family>, nft::Error> {
    let guarded: Vec<&Interface> = nets.interfaces.iter().filter(|interface| is_guarded(interface)).collect();
    let mut used = Vec::new();
    if !guarded.is_empty() {
        transaction.replace_table(Family::Netdev, table);
        for interface in &guarded {
            first_look(&mut chains(transaction, Family::Netdev, table, interface), interface);
        }
        used.push(Family::Netdev);
    }
    let on_bridge = |interface: &&Interface| matches!(interface.attachment, Attachment::Bridge { .. });
    let bridged: Vec<&Interface> = guarded.into_iter().filter(on_bridge).collect();
    let learning: Vec<&Interface> = bridged.iter().copied().filter(|interface| learns(interface)).collect();
    let returning = if nets.published { bridged } else { Vec::new() };
    let isolated: Vec<&Interface> = nets.interfaces.iter().filter(|one| is_apart(one)).collect();
    if !learning.is_empty() || !returning.is_empty() || !isolated.is_empty() {
        on_bridges(transaction, table, &learning, &returning, of_servers)?;
        keep_apart(transaction, table, &isolated);
        used.push(Family::Bridge);
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

/// Writes the table of bridges, for the nets whose addresses are learned and those that may get back what they have sent.
fn on_bridges(
    transaction: &mut Transaction,
    table: &str,
    learning: &[&Interface],
    returning: &[&Interface],
    of_servers: Learned,
) -> Result<(), nft::Error> {
    const FAMILY: Family = Family::Bridge;
    // Read before the table is replaced: a zone keeps the address that it was given.
    let mut known = Vec::new();
    for interface in learning {
        let leases = learned_by(table, interface)?.unwrap_or_default();
        known.push((*interface, if of_servers == Learned::Kept { leases } else { Vec::new() }));
    }
    transaction.replace_table(FAMILY, table);
    for (interface, leases) in &known {
        learned(&mut chains(transaction, FAMILY, table, interface), interface, leases);
    }
    if !known.is_empty() {
        for (chain, point, of) in
            [("prerouting", HookPoint::Prerouting, Rule::new()), ("input", HookPoint::Input, to_host())]
        {
            transaction.chain(FAMILY, table, chain, Some(&hook(point, BEFORE_ALL)));
            for interface in learning {
                let to = format!("{}-ip", interface.host);
                let rule = of.clone().link_is(Field::IN_NAME, &interface.host).jump(&to).comment("ip");
                transaction.rule(FAMILY, table, chain, rule);
            }
        }
        transaction.chain(FAMILY, table, "postrouting", Some(&hook(HookPoint::Postrouting, BEFORE_ALL)));
        for (interface, _) in known {
            let set = format!("{}-{LEASES}", interface.host);
            transaction.rule(FAMILY, table, "postrouting", grant(interface, &set));
        }
    }
    if !returning.is_empty() {
        // A port that ports of the host lead to may send back what it got (`build::hairpin`): what is for all never is that.
        transaction.chain(FAMILY, table, "forward", Some(&hook(HookPoint::Forward, BEFORE_ALL)));
    }
    for interface in returning {
        let back =
            Rule::new().link_is(Field::IN_NAME, &interface.host).link_is(Field::OUT_NAME, &interface.host);
        let group = back.masked_is(Field::ETHER_DESTINATION, &[1, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0]);
        transaction.rule(FAMILY, table, "forward", group.drop().comment("its own, for all"));
    }
    Ok(())
}

/// Tells whether an interface is kept from others of its bridge on which the host has addresses, and so the way to them.
fn is_apart(interface: &Interface) -> bool {
    let bridge = matches!(interface.attachment, Attachment::Bridge { .. });
    bridge && interface.protection.isolated && !interface.host_addresses.is_empty()
}

/// Has the host not send on to another zone of the bridge what an isolated one gives it: that would come from the bridge itself, which
/// is no isolated port. Of the network there it may send to the host alone. What the bridge itself passes on, to a router or a station
/// that is no zone, does not come by here, nor what ports of the host lead to, which is for the host until then.
fn keep_apart(transaction: &mut Transaction, table: &str, isolated: &[&Interface]) {
    const FAMILY: Family = Family::Bridge;
    const CHAIN: &str = "isolated";
    if isolated.is_empty() {
        return;
    }
    transaction.chain(FAMILY, table, CHAIN, Some(&hook(HookPoint::Input, BEFORE_ALL)));
    for interface in isolated {
        let to = format!("{}-{CHAIN}", interface.host);
        let chains = &mut chains(transaction, FAMILY, table, interface);
        chains.make(&[CHAIN]);
        let host: Vec<IpNet> = interface.host_addresses.iter().map(|net| net.addr().into()).collect();
        // A net that the guest configures has its addresses among the host's prefixes, if anywhere.
        let around = [&interface.host_addresses, &interface.addresses].map(Vec::as_slice).concat();
        let rule = |v4: bool| if v4 { Rule::new().ip() } else { Rule::new().ip6() };
        for (v4, kind, field, allowed, kept) in [
            (true, SetType::Ip, Field::IP_DESTINATION, "host4", "network4"),
            (false, SetType::Ip6, Field::IP6_DESTINATION, "host6", "network6"),
        ] {
            chains.set(allowed, &Set::Intervals(kind, intervals(&host, kind)));
            chains.set(kept, &Set::Intervals(kind, intervals(&around, kind)));
            let [allowed, kept] = [allowed, kept].map(|set| chains.name(set));
            chains.add(CHAIN, rule(v4).is_in(field, &allowed).leave().comment("the host"));
            chains.drop(CHAIN, rule(v4).is_in(field, &kept), "by the host to the zones of the bridge");
        }
        let rule = Rule::new().link_is(Field::IN_NAME, &interface.host).jump(&to).comment(CHAIN);
        transaction.rule(FAMILY, table, CHAIN, rule);
    }
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
