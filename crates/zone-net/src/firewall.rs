//! The rules of the managed network, and the ports of the host that lead into zones.
//!
//! **The managed network** has one table of the family inet, named after the installation: its zones get out by
//! masquerade, and nobody gets in but by a port. It touches nothing else of the host's: every rule is about the bridge, and
//! what it lets through, other tables may still drop ([`crate::foreign`] finds those).
//!
//! **The ports of a zone** are a table of the zone's. A connection to an address that is the host's goes to the zone: from
//! outside and from zones in `prerouting`, from the host itself in `output`. The zone sees who connects, but for what
//! would come back another way: from a zone on the same bridge, the zone itself among them, and from the host's
//! loopback addresses, it comes from the address of the bridge.
//!
//! What the caller sees to: `net.ipv4.ip_forward` and `net.ipv6.conf.all.forwarding` are 1, and the zone routes by the
//! bridge's addresses. For the host's own loopback addresses two things more, once the table of the network is there:
//! `net.ipv4.conf.BRIDGE.route_localnet` is 1 for 127.0.0.1; for `::1`, where the kernel has no such switch, the bridge
//! has a route of its own for what comes back, `ip -6 route add local ::1 dev BRIDGE table local metric 4096` (the host's
//! `::1` stays on its loopback link, whose route has metric 0). Either would let zones talk to what listens on the host's
//! loopback addresses, hence the first chain of the network's table; of `::1` the kernel drops what comes by a wire, too.

pub mod flows;
mod ports;
mod taken;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;
use rustix::io::Errno;
use zone_config::ZoneName;
use zone_config::layout::InstallationId;

use crate::names::{self, Owner};
use crate::nft::{self, ChainType, Family, Field, Hook, HookPoint, Rule, Set, SetType, Transaction};
use crate::spec::PortSpec;

pub use taken::{Holder, free, free_of_zones};

/// Priorities of linux/netfilter_ipv4.h: before conntrack, after it, translation of destinations, filtering, of sources.
const RAW: i32 = -300;
const MANGLE: i32 = -150;
const DESTINATION_NAT: i32 = -100;
const FILTER: i32 = 0;
const SOURCE_NAT: i32 = 100;

/// Bits of `ct state` and `ct status`.
const ESTABLISHED_OR_RELATED: u32 = 1 << 1 | 1 << 2;
const DESTINATION_TRANSLATED: u32 = 1 << 5;
const NEW: u32 = 1 << 3;

/// What a rule says that drops them.
const TOO_MANY: &str = "more connections than one zone may have";

/// Why rules are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rules of the managed network were not changed.
    #[error("cannot change the rules of the managed network {bridge}")]
    Network {
        /// Its bridge, or its table where that is all that is known.
        bridge: String,
        /// What the kernel said to the transaction.
        source: nft::Error,
    },
    /// The ports of a zone were not changed.
    #[error("cannot change the rules for the ports of zone '{zone}'")]
    Ports {
        /// The zone.
        zone: ZoneName,
        /// What the kernel said to the transaction.
        source: nft::Error,
    },
    /// A range of ports is no range, or leads beyond the last port.
    #[error(
        "port {} of zone '{zone}' leads beyond port 65535, or its range ends before it begins",
        show(port)
    )]
    Range {
        /// The zone.
        zone: ZoneName,
        /// The port.
        port: PortSpec,
    },
    /// Somebody has a port already.
    #[error("port {} of the host is already that of {holder}; choose another one", show(port))]
    Taken {
        /// The port.
        port: PortSpec,
        /// Who has it.
        holder: Holder,
    },
    /// What listens on the host cannot be read.
    #[error("cannot read what listens on the host from {file}")]
    Listening {
        /// The file of proc(5).
        file: &'static str,
        /// What the kernel said to the write.
        source: std::io::Error,
    },
}

impl Error {
    /// The kernel's errno for rules, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Network { source, .. } | Self::Ports { source, .. } => source.errno(),
            _ => None,
        }
    }
}

/// Writes a port as it is configured: `tcp 8080`, `udp 192.0.2.1:53`, `tcp 8000-8010`.
fn show(port: &PortSpec) -> String {
    let protocol = ports::name(port.protocol);
    let host = match port.host {
        None => String::new(),
        Some(IpAddr::V4(address)) => format!("{address}:"),
        Some(IpAddr::V6(address)) => format!("[{address}]:"),
    };
    let last = if port.last == port.first { String::new() } else { format!("-{}", port.last) };
    format!("{protocol} {host}{}{last}", port.first)
}

fn hook(kind: ChainType, point: HookPoint, priority: i32) -> Hook<'static> {
    Hook { kind, point, priority, device: None }
}

/// Has the table of the managed network of an installation be what it must, replacing one that somebody has changed:
/// `ranges` are those of the zones on `bridge`, one of each family. Idempotent.
///
/// # Errors
/// What the kernel refuses; then the rules are what they were.
pub fn network(installation: InstallationId, bridge: &str, ranges: &[IpNet]) -> Result<(), Error> {
    network_with(installation, bridge, ranges, connections())
}

/// As [`network`], with the most connections that an address may have.
fn network_with(
    installation: InstallationId,
    bridge: &str,
    ranges: &[IpNet],
    most: u32,
) -> Result<(), Error> {
    const FAMILY: Family = Family::Inet;
    let table = &names::table(installation);
    let mut transaction = Transaction::new();
    martians(&mut transaction, table, bridge);
    bound(&mut transaction, table, ranges, most);
    transaction.chain(FAMILY, table, "forward", Some(&hook(ChainType::Filter, HookPoint::Forward, FILTER)));
    let inwards = || Rule::new().link_is_not(Field::IN_NAME, bridge).link_is(Field::OUT_NAME, bridge);
    let known = |field, bits: u32| inwards().masked_is_not(field, &bits.to_ne_bytes(), &[0; 4]).accept();
    let answers = known(Field::ConnectionState, ESTABLISHED_OR_RELATED).comment("answers");
    let ports = known(Field::ConnectionStatus, DESTINATION_TRANSLATED).comment("ports of the host");
    let others = inwards().counter().drop().comment("connections from outside");
    for rule in [answers, ports, others] {
        transaction.rule(FAMILY, table, "forward", rule);
    }

    let point = hook(ChainType::Nat, HookPoint::Postrouting, SOURCE_NAT);
    transaction.chain(FAMILY, table, "postrouting", Some(&point));
    for range in ranges {
        let outwards = Rule::new().source_in(*range).link_is_not(Field::OUT_NAME, bridge);
        transaction.rule(FAMILY, table, "postrouting", outwards.masquerade());
    }
    let settled = nft::settle(FAMILY, table, "managed network of zones", transaction);
    settled.map(drop).map_err(|source| Error::Network { bridge: bridge.to_owned(), source })
}

/// Keeps what comes by a link from the host's loopback, which `route_localnet` opens to it: before conntrack, that the
/// answers to the host's own connections to a port, which have its address until then, pass.
fn martians(transaction: &mut Transaction, table: &str, link: &str) {
    const FAMILY: Family = Family::Inet;
    const CHAIN: &str = "martians";
    transaction.chain(FAMILY, table, CHAIN, Some(&hook(ChainType::Filter, HookPoint::Prerouting, RAW)));
    for loopback in [LOOPBACK4, LOOPBACK6].map(loopback) {
        let from = || Rule::new().link_is(Field::IN_NAME, link);
        for rule in [from().source_in(loopback), from().destination_in(loopback)] {
            transaction.rule(FAMILY, table, CHAIN, rule.counter().drop().comment("the host's loopback"));
        }
    }
}

/// Bounds the connections of each address of the zones, so that none of them takes all that the host can remember.
fn bound(transaction: &mut Transaction, table: &str, ranges: &[IpNet], most: u32) {
    const FAMILY: Family = Family::Inet;
    let point = hook(ChainType::Filter, HookPoint::Prerouting, MANGLE);
    transaction.chain(FAMILY, table, "connections", Some(&point));
    for range in ranges {
        let (set, kind, source) = match range {
            IpNet::V4(_) => ("connections4", SetType::Ip, Field::IP_SOURCE),
            IpNet::V6(_) => ("connections6", SetType::Ip6, Field::IP6_SOURCE),
        };
        transaction.set(FAMILY, table, set, &Set::Counted(kind));
        let new =
            Rule::new().source_in(*range).masked_is_not(Field::ConnectionState, &NEW.to_ne_bytes(), &[0; 4]);
        let rule = new.beyond(source, set, most).counter().drop();
        transaction.rule(FAMILY, table, "connections", rule.comment(TOO_MANY));
    }
}

/// How many connections one address may have at a time: an eighth of those that the host remembers.
fn connections() -> u32 {
    const LEAST: u32 = 1024;
    let most = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    let most = most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_536);
    (most / 8).max(LEAST)
}

/// Removes the table of the managed network of an installation. Idempotent.
///
/// # Errors
/// What the kernel refuses.
pub fn remove_network(installation: InstallationId) -> Result<(), Error> {
    let table = names::table(installation);
    nft::remove(&[Family::Inet], &table).map_err(|source| Error::Network { bridge: table, source })
}

/// Leads ports of the host into a zone, replacing those that it had; none removes the table. `link` is the host's link by
/// which the zone is reached: the bridge, or of a routed net its own. `addresses` are those of the zone; a port leads to
/// the first of each family. Idempotent.
///
/// # Errors
/// [`Error::Range`], and what the kernel refuses; then the rules are what they were.
pub fn ports(owner: Owner<'_>, link: &str, addresses: &[IpAddr], ports: &[PortSpec]) -> Result<(), Error> {
    of_zone(owner, Some(Way { link, addresses, loopback: true }), ports, &[])
}

/// The way by which ports of the host lead into a zone.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The host's link by which the zone is reached.
    pub link: &'a str,
    /// The addresses of the zone.
    pub addresses: &'a [IpAddr],
    /// Whether the host's own loopback is answered by that link, so that ports of its addresses lead there, too.
    pub loopback: bool,
}

/// Makes the table of a zone what it has to be: its ports, as [`ports()`] has them, with the link and the addresses that they lead to,
/// and a bound for the connections that come by each of the links that are `bounded`, those of routed nets, whatever addresses the
/// zone has for them. Without either there is no table. Idempotent.
///
/// # Errors
/// As [`ports()`].
pub fn of_zone(
    owner: Owner<'_>,
    way: Option<Way<'_>>,
    ports: &[PortSpec],
    bounded: &[&str],
) -> Result<(), Error> {
    of_zone_with(owner, way, ports, bounded, connections())
}

/// As [`of_zone`], with the most connections that a link may have.
fn of_zone_with(
    owner: Owner<'_>,
    way: Option<Way<'_>>,
    ports: &[PortSpec],
    bounded: &[&str],
    most: u32,
) -> Result<(), Error> {
    let way = way.filter(|_| !ports.is_empty());
    if way.is_none() && bounded.is_empty() {
        return remove_ports(owner);
    }
    let mut transaction = Transaction::new();
    transaction.replace_table(Family::Inet, &owner.table());
    if let Some(way) = way {
        ports::write(&mut transaction, owner, way, ports)?;
    }
    bound_links(&mut transaction, &owner.table(), bounded, most);
    transaction.commit().map_err(|source| Error::Ports { zone: owner.zone.clone(), source })
}

/// Tells whether the host tracks connections now. Where it does not, a rule about them would have it begin.
#[must_use]
pub fn tracks() -> bool {
    let count = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count");
    count.is_ok_and(|text| text.trim() != "0")
}

fn bound_links(transaction: &mut Transaction, table: &str, links: &[&str], most: u32) {
    const FAMILY: Family = Family::Inet;
    const CHAIN: &str = "connections";
    if links.is_empty() {
        return;
    }
    transaction.chain(FAMILY, table, CHAIN, Some(&hook(ChainType::Filter, HookPoint::Prerouting, MANGLE)));
    for link in links {
        let new = Rule::new().link_is(Field::IN_NAME, link).masked_is_not(
            Field::ConnectionState,
            &NEW.to_ne_bytes(),
            &[0; 4],
        );
        transaction.rule(FAMILY, table, CHAIN, new.beyond_all(most).counter().drop().comment(TOO_MANY));
    }
}

/// Removes the ports of a zone. Idempotent; needs no configuration.
///
/// # Errors
/// What the kernel refuses.
pub fn remove_ports(owner: Owner<'_>) -> Result<(), Error> {
    nft::remove(&[Family::Inet], &owner.table())
        .map_err(|source| Error::Ports { zone: owner.zone.clone(), source })
}

const LOOPBACK4: (IpAddr, u8) = (IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), 8);
const LOOPBACK6: (IpAddr, u8) = (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128);

fn loopback((address, length): (IpAddr, u8)) -> IpNet {
    IpNet::new_assert(address, length)
}
