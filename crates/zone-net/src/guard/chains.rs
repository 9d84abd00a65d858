//! The writing of chains and their rules into one table.

use crate::nft::{ChainType, Family, Field, Hook, HookPoint, Rule, Set, Transaction};

/// The IPv6 protocol numbers, and those of IPv4, that rules are about.
pub(super) const ICMP: u8 = 1;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

/// What a frame is marked with between the two looks at it; no number of anybody's that we know.
pub(super) const SEEN: u32 = 0x5a4f_4e45;

/// When the second look is: before everybody, conntrack and the reassembly of fragments (-400) too, for it has to see what the first
/// look saw.
pub(super) const BEFORE_ALL: i32 = -1000;

/// A place among those who filter at a hook.
pub(super) fn hook(point: HookPoint, priority: i32) -> Hook<'static> {
    Hook { kind: ChainType::Filter, point, priority, device: None }
}

/// Begins a rule for the frames that a bridge gives to the host alone, by their destination, and not by its prerouting hook.
pub(super) fn to_host() -> Rule {
    Rule::new().masked_is(
        Field::ETHER_DESTINATION,
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xf0],
        &[0x01, 0x80, 0xc2, 0, 0, 0],
    )
}

/// The chains of one link in the table of a zone.
pub(super) struct Chains<'a> {
    pub(super) transaction: &'a mut Transaction,
    pub(super) family: Family,
    pub(super) table: &'a str,
    /// The link; the names of its chains and sets begin with it.
    pub(super) link: &'a str,
}

impl Chains<'_> {
    /// Names a chain or set of the link.
    pub(super) fn name(&self, chain: &str) -> String {
        format!("{}-{chain}", self.link)
    }

    /// Makes chains, before rules go into them and to them.
    pub(super) fn make(&mut self, chains: &[&str]) {
        for chain in chains {
            let name = self.name(chain);
            self.transaction.chain(self.family, self.table, &name, None);
        }
    }

    /// Makes the base chain.
    pub(super) fn base(&mut self, hook: &Hook<'_>) {
        self.transaction.chain(self.family, self.table, self.link, Some(hook));
    }

    /// Adds a rule to the base chain.
    pub(super) fn add_to_base(&mut self, rule: Rule) {
        self.transaction.rule(self.family, self.table, self.link, rule);
    }

    /// Adds a rule to a chain.
    pub(super) fn add(&mut self, chain: &str, rule: Rule) {
        let name = self.name(chain);
        self.transaction.rule(self.family, self.table, &name, rule);
    }

    /// Adds a rule that counts and drops what the others left.
    pub(super) fn drop(&mut self, chain: &str, rule: Rule, why: &str) {
        self.add(chain, rule.counter().drop().comment(why));
    }

    /// Makes a set.
    pub(super) fn set(&mut self, name: &str, set: &Set) {
        let name = self.name(name);
        self.transaction.set(self.family, self.table, &name, set);
    }
}
