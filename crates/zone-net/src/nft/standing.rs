//! Tables that are left alone as long as they are what they should be.
//!
//! Whoever replaces a table forgets what the kernel has noted in it meanwhile (how many connections somebody has), and has
//! the kernel do the work of it anew. So such a table says in its comment of what it was made, and before it is made again
//! its rules are read, and compared with those that it should have.

use netlink_packet_netfilter::nftables::{TableAttribute, TableMessage};
use zone_config::hash;

use super::error::{Error, Subject};
use super::transaction::{Transaction, user_data};
use super::{Family, NETFILTER, NETLINK, dump};
use crate::rt::attributes::{behind, each, find};

/// Has a table be made of this and of nothing else: `content` is all of it but the table. Tells whether it had to be made.
///
/// # Errors
/// What the kernel refuses; then the table is what it was.
pub fn settle(family: Family, table: &str, what: &str, content: Transaction) -> Result<bool, Error> {
    let note = user_data(&format!("{what}, {:016x}", content.digest(family)));
    if stands(family, table, &note, &content)? {
        return Ok(false);
    }
    let mut transaction = Transaction::new();
    transaction.absent(family, table);
    let attributes = vec![TableAttribute::Name(table.to_owned()), TableAttribute::UserData(note)];
    transaction.create_table(family, table, TableMessage { attributes });
    transaction.then(content);
    transaction.commit().map(|()| true)
}

fn stands(family: Family, table: &str, note: &[u8], content: &Transaction) -> Result<bool, Error> {
    if dump::note(family, table)?.is_none_or(|noted| noted != note) {
        return Ok(false);
    }
    let found = dump::rules(family, table)?;
    let wanted = content.contents().filter(|(subject, _)| matches!(subject, Subject::Rule(..))).count();
    if found.len() != wanted {
        return Ok(false);
    }
    for chain in content.subjects().filter_map(chain_name) {
        let rules = content.contents().filter_map(|(subject, bytes)| match subject {
            Subject::Rule(_, _, of, _) if of == chain => Some(bytes),
            _ => None,
        });
        let there = found.iter().filter(|rule| rule.chain == chain);
        if !rules.zip(there).all(|(rule, there)| is_rule(behind(rule, NETLINK), there.message())) {
            return Ok(false);
        }
        // A policy can be changed in its place; a hook cannot.
        if dump::chain(family, table, chain)?.is_none_or(|chain| chain.drops) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn chain_name(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::Chain(_, _, name) => Some(name),
        _ => None,
    }
}

/// Tells whether a rule as the kernel has it does what a rule says that it was sent, both from netfilter's header on.
fn is_rule(sent: &[u8], there: &[u8]) -> bool {
    const EXPRESSIONS: u16 = 4; // NFTA_RULE_EXPRESSIONS
    let expressions = |message| find(behind(message, NETFILTER), EXPRESSIONS).unwrap_or_default();
    says(expressions(sent), expressions(there))
}

/// Tells whether attributes are those that were sent. What the kernel says beyond them is 0.
fn says(sent: &[u8], there: &[u8]) -> bool {
    const NAME: u16 = 1; // NFTA_EXPR_NAME
    if find(sent, NAME) == Some(b"counter\0".as_slice()) {
        // It has counted.
        return find(sent, NAME) == find(there, NAME);
    }
    let mut sent = attributes(sent).into_iter().peekable();
    for (kind, value) in attributes(there) {
        match sent.next_if(|(wanted, _)| *wanted == kind) {
            Some((_, wanted)) if wanted == value || (is_nest(wanted) && says(wanted, value)) => {}
            None if value.iter().all(|byte| *byte == 0) => {}
            _ => return false,
        }
    }
    sent.next().is_none()
}

/// Tells whether bytes are attributes, as far as can be seen.
fn is_nest(bytes: &[u8]) -> bool {
    let all: usize = attributes(bytes).iter().map(|(_, value)| 4 + value.len().next_multiple_of(4)).sum();
    !bytes.is_empty() && all == bytes.len().next_multiple_of(4)
}

/// The attributes, kind and value, by kind: the kernel has an order of its own, but for those of one kind, which are a list.
fn attributes(bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    each(bytes, |kind, value| all.push((kind, value)));
    all.sort_by_key(|(kind, _)| *kind);
    all
}

impl Transaction {
    fn digest(&self, family: Family) -> u64 {
        let begin = hash::fnv1a(family.name().as_bytes());
        self.contents().fold(begin, |digest, (_, bytes)| hash::fnv1a_after(digest, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Netns;
    use crate::nft::{ChainType, Field, Hook, HookPoint, Rule, Set, SetType};

    const TABLE: &str = "zones-test";

    fn content(port: u16) -> Transaction {
        let mut content = Transaction::new();
        let hook = Hook { kind: ChainType::Filter, point: HookPoint::Forward, priority: 0, device: None };
        content.chain(Family::Inet, TABLE, "forward", Some(&hook));
        let ports = Set::Values(SetType::Port, vec![port.to_be_bytes().to_vec()]);
        content.set(Family::Inet, TABLE, "ports", &ports);
        content.chain(Family::Inet, TABLE, "more", None);
        for chain in ["forward", "more"] {
            content.rule(Family::Inet, TABLE, chain, Rule::new().link_is(Field::IN_NAME, "d0").counter());
        }
        content.rule(Family::Inet, TABLE, "forward", Rule::new().drop());
        content
    }

    #[test]
    fn a_table_is_made_again_only_if_it_is_not_what_it_should_be() {
        zone_testing::needs_root!();
        let netns = Netns::new();
        let settle = |port| netns.run(|| settle(Family::Inet, TABLE, "for tests", content(port)).unwrap());
        assert!(settle(1));
        assert!(!settle(1));
        let listed = netns.sh("nft list ruleset");
        assert!(listed.contains("comment \"for tests, "), "{listed}");
        assert!(settle(2));
        assert!(!settle(2));
        for change in [
            "nft flush chain inet zones-test more",
            "nft add rule inet zones-test more accept",
            "nft insert rule inet zones-test forward accept",
            "nft replace rule inet zones-test more handle 5 accept",
            "nft delete rule inet zones-test forward handle 6",
            "nft delete table inet zones-test",
            "nft add chain inet zones-test forward { policy drop ; }",
            "nft add table inet zones-test { flags dormant ; }",
        ] {
            netns.sh(change);
            assert!(settle(2), "{change}: {}", netns.sh("nft -a list ruleset"));
            assert!(!settle(2), "{change}");
        }
    }
}
