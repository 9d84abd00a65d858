//! Rules: nf_tables through netlink, in transactions.
//!
//! A [`Transaction`] is one batch, which the kernel applies whole or not at all. What belongs to one owner is one table
//! of each family ([`crate::names`]), and a change replaces that table: between two packets the rules are the old ones
//! or the new ones, never none.
//!
//! The words are nft(8)'s: tables, chains, rules, sets, maps. Everything made here is meant to be read with
//! `nft list ruleset`, so rules carry the protocol that they are about and a comment that says what they are for.
//! What connections there are is told by the same socket ([`tracked`]).

mod dump;
mod error;
mod expression;
mod field;
mod rule;
mod set;
mod socket;
mod standing;
pub mod tracked;
mod transaction;

#[cfg(test)]
mod tests;

pub(crate) use dump::has_table;
pub use dump::{FoundChain, FoundRule, FoundTable, chains, elements, present, rules, supported, tables};
pub use error::{Error, Subject};
pub use field::{Base, Field};
pub use rule::Rule;
pub use set::{COUNTED, Interval, LEARNED, Set, SetType, intervals};
pub use standing::settle;
pub(crate) use transaction::is_without_family;
pub use transaction::{Prepared, Transaction, remove};

/// How long the headers of a message are, netlink's and netfilter's after it.
const NETLINK: usize = 16;
const NETFILTER: usize = 4;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// ARP.
    Arp,
    /// Frames of bridges.
    Bridge,
    /// Frames of links, before anything else sees them.
    Netdev,
}

impl Family {
    const ALL: [Self; 6] = [Self::Inet, Self::Ip, Self::Ip6, Self::Arp, Self::Bridge, Self::Netdev];

    /// Names it as nft(8) does.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }

    /// NFPROTO_* of linux/netfilter.h.
    fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.number() == number)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a chain is called from: type, hook, priority and, of the family netdev, the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook<'a> {
    /// The type of the chain.
    pub kind: ChainType,
    /// The hook.
    pub point: HookPoint,
    /// The order among the chains of the hook, lowest first.
    pub priority: i32,
    /// The link, for [`HookPoint::NetdevIngress`].
    pub device: Option<&'a str>,
}

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Decides whether packets pass.
    Filter,
    /// Translates addresses: sees the first packet of a connection only.
    Nat,
    /// Has a packet routed anew if it changes it.
    Route,
}

impl ChainType {
    fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        }
    }
}

/// A hook; the numbers are those of the inet, arp, bridge and netdev families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    /// inet, bridge: before routing.
    Prerouting,
    /// inet, bridge: to the host.
    Input,
    /// inet, bridge: through the host.
    Forward,
    /// inet, bridge: from the host.
    Output,
    /// inet, bridge: after routing.
    Postrouting,
    /// arp: to the host.
    ArpInput,
    /// netdev: as a frame arrives on a link.
    NetdevIngress,
}

impl HookPoint {
    fn number(self) -> u32 {
        match self {
            Self::Prerouting | Self::ArpInput | Self::NetdevIngress => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}
