//! What there is of nf_tables, ours and others'.

use netlink_packet_core::ParseableParametrized;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, GenMessage, Hook, ListAttribute, NfTablesMessage,
    RuleAttribute, RuleMessage, SetElementAttribute, SetElementList, SetElementMessage, TableAttribute,
    TableMessage,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use rustix::io::Errno;

use super::error::Error;
use super::socket::{Listed, Socket};
use super::{ChainType, Family, HookPoint, NETFILTER, Rule, Transaction};
use crate::rt::attributes::{behind, find, text};

/// Names a table of rules that was found, whoever has made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTable {
    /// Tells the family of packets that its rules are for.
    pub family: Family,
    /// Gives its name, of at most 255 bytes.
    pub name: String,
}

/// Holds what is known of a chain of rules that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChain {
    /// The family of its table.
    pub family: Family,
    /// Names the table that it is in.
    pub table: String,
    /// Gives its name, of at most 255 bytes.
    pub name: String,
    /// The number of its hook and its priority, if it has one.
    pub hook: Option<(u32, i32)>,
    /// Whether it drops what none of its rules decides.
    pub drops: bool,
}

/// A rule of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRule {
    /// The family of its table.
    pub family: Family,
    /// Names the table that it is in.
    pub table: String,
    /// Names the chain that it is in.
    pub chain: String,
    /// What it says, as the kernel has it.
    message: Vec<u8>,
}

impl FoundChain {
    /// Tells whether packets through the host come through it.
    #[must_use]
    pub fn forwards(&self) -> bool {
        let families = [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge];
        families.contains(&self.family)
            && self.hook.is_some_and(|(number, _)| number == HookPoint::Forward.number())
    }
}

impl FoundRule {
    /// What it says, as the kernel has it: from netfilter's header on.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Tells whether a link is named in it.
    #[must_use]
    pub fn names(&self, link: &str) -> bool {
        // A value that it compares with: NFTA_DATA_VALUE, the name, a NUL.
        let name: Vec<u8> = 1_u16.to_ne_bytes().into_iter().chain(link.bytes()).chain([0]).collect();
        self.message.windows(name.len()).any(|bytes| bytes == name)
    }
}

/// Lists the tables of the caller's network namespace; none if the kernel has no nf_tables.
///
/// # Errors
/// What the kernel says.
pub fn tables() -> Result<Vec<FoundTable>, Error> {
    let request = NfTablesMessage::GetTable(TableMessage { attributes: Vec::new() });
    let found = list("tables", None, request, |family, message| {
        let NfTablesMessage::NewTable(TableMessage { attributes }) = message else { return None };
        let name = attributes.into_iter().find_map(|attribute| match attribute {
            TableAttribute::Name(name) => Some(name),
            _ => None,
        })?;
        Some(FoundTable { family, name })
    });
    none_without(found)
}

/// Tells whether there is a table of a family that has a name; there is none on a kernel without that family.
///
/// # Errors
/// What the kernel says.
pub(crate) fn has_table(family: Family, name: &str) -> Result<bool, Error> {
    let attributes = vec![TableAttribute::Name(name.to_owned())];
    let request = NfTablesMessage::GetTable(TableMessage { attributes });
    match get("tables", family, request) {
        Err(Error::List { source, .. }) if is_missing(source) => Ok(false),
        Err(Error::Unsupported { .. }) => Ok(false),
        found => Ok(found?.is_some()),
    }
}

/// Lists the chains of a family; none if the kernel has no nf_tables.
///
/// # Errors
/// What the kernel says.
pub fn chains(family: Family) -> Result<Vec<FoundChain>, Error> {
    let request = NfTablesMessage::GetChain(ChainMessage { attributes: Vec::new() });
    none_without(list("chains", Some(family), request, chain_of))
}

/// Finds a chain.
///
/// # Errors
/// What the kernel says.
pub(crate) fn chain(family: Family, table: &str, name: &str) -> Result<Option<FoundChain>, Error> {
    let attributes = vec![ChainAttribute::Table(table.to_owned()), ChainAttribute::Name(name.to_owned())];
    let request = NfTablesMessage::GetChain(ChainMessage { attributes });
    Ok(get("chains", family, request)?.and_then(|message| chain_of(family, message)))
}

/// Finds what whoever made a table has noted with it; `None` if nothing, or if nothing comes through the table.
///
/// # Errors
/// What the kernel says.
pub(crate) fn note(family: Family, table: &str) -> Result<Option<Vec<u8>>, Error> {
    let attributes = vec![TableAttribute::Name(table.to_owned())];
    let request = NfTablesMessage::GetTable(TableMessage { attributes });
    let Some(NfTablesMessage::NewTable(TableMessage { attributes })) = get("tables", family, request)? else {
        return Ok(None);
    };
    let (mut note, mut dormant) = (None, false);
    for attribute in attributes {
        match attribute {
            TableAttribute::UserData(noted) => note = Some(noted),
            TableAttribute::Flags(flags) => dormant = !flags.is_empty(),
            _ => {}
        }
    }
    Ok(note.filter(|_| !dormant))
}

fn chain_of(family: Family, message: NfTablesMessage) -> Option<FoundChain> {
    let NfTablesMessage::NewChain(ChainMessage { attributes }) = message else { return None };
    let mut chain =
        FoundChain { family, table: String::new(), name: String::new(), hook: None, drops: false };
    for attribute in attributes {
        match attribute {
            ChainAttribute::Table(table) => chain.table = table,
            ChainAttribute::Name(name) => chain.name = name,
            ChainAttribute::Policy(policy) => chain.drops = policy == 0,
            ChainAttribute::Hook(hook) => chain.hook = place(&hook),
            _ => {}
        }
    }
    Some(chain)
}

/// Lists the rules of the chains of a table, whatever is in them; none if there is no such table.
///
/// # Errors
/// What the kernel says.
pub fn rules(family: Family, table: &str) -> Result<Vec<FoundRule>, Error> {
    /// `NFTA_RULE_TABLE` and `NFTA_RULE_CHAIN` of linux/netfilter/nf_tables.h.
    const TABLE: u16 = 1;
    const CHAIN: u16 = 2;
    let attributes = vec![RuleAttribute::Table(table.to_owned())];
    let request = NfTablesMessage::GetRule(RuleMessage { attributes });
    // Not by the library: its reader writes the bytes of everything down for an error that does not come.
    let found = none_without(dumped("rules", Some(family), &request))?;
    let rule = |message: Vec<u8>| {
        let name = |kind| find(behind(&message, NETFILTER), kind).map(text);
        let (family, table, chain) = (Family::of(*message.first()?)?, name(TABLE)?, name(CHAIN)?);
        Some(FoundRule { family, table, chain, message })
    };
    Ok(found.into_iter().filter_map(|(_, message)| rule(message)).collect())
}

/// Lists the values of a set, none if there is no such set.
///
/// # Errors
/// What the kernel says.
pub fn elements(family: Family, table: &str, set: &str) -> Result<Vec<Vec<u8>>, Error> {
    let attributes = vec![SetElementList::Table(table.to_owned()), SetElementList::Set(set.to_owned())];
    let request = NfTablesMessage::GetSetElement(SetElementMessage { attributes });
    let found = list("elements of a set", Some(family), request, |_, message| {
        let NfTablesMessage::NewSetElement(SetElementMessage { attributes }) = message else { return None };
        let elements = attributes.into_iter().filter_map(|attribute| match attribute {
            SetElementList::Elements(elements) => Some(elements),
            _ => None,
        });
        let values = elements.flatten().filter_map(|element| match element {
            ListAttribute::Element(attributes) => {
                attributes.into_iter().find_map(|attribute| match attribute {
                    SetElementAttribute::Key(DataAttribute::Value(value)) => Some(value),
                    _ => None,
                })
            }
            _ => None,
        });
        Some(values.collect::<Vec<_>>())
    });
    match found {
        Err(Error::List { source: Errno::NOENT, .. } | Error::Unsupported { .. }) => Ok(Vec::new()),
        found => Ok(found?.into_iter().flatten().collect()),
    }
}

fn place(hook: &[Hook]) -> Option<(u32, i32)> {
    let number = hook.iter().find_map(|part| match part {
        Hook::Number(number) => Some(u32::from(*number)),
        _ => None,
    });
    let priority = hook.iter().find_map(|part| match part {
        Hook::Priority(priority) => Some(i32::from_ne_bytes(priority.to_ne_bytes())),
        _ => None,
    });
    number.zip(priority)
}

fn none_without<T>(found: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match found {
        Err(Error::Unsupported { .. }) => Ok(Vec::new()),
        found => found,
    }
}

/// Dumps, and makes of each message that can be understood what `of` does: others' rules have expressions that no
/// library knows.
fn list<T>(
    what: &'static str,
    family: Option<Family>,
    request: NfTablesMessage,
    of: impl Fn(Family, NfTablesMessage) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let understood = dumped(what, family, &request)?.into_iter().filter_map(|listed| {
        let (family, message) = understand(&listed)?;
        of(family, message)
    });
    Ok(understood.collect())
}

fn dumped(
    what: &'static str,
    family: Option<Family>,
    request: &NfTablesMessage,
) -> Result<Vec<Listed>, Error> {
    let mut socket = Socket::open()?;
    let dumped = match socket.dump(what, family.map_or(0, Family::number), request) {
        Err(Error::List { source, .. }) if is_missing(source) => return Err(Error::Unsupported { source }),
        dumped => dumped?,
    };
    socket.keep();
    Ok(dumped)
}

fn get(
    what: &'static str,
    family: Family,
    request: NfTablesMessage,
) -> Result<Option<NfTablesMessage>, Error> {
    let mut socket = Socket::open()?;
    let got = socket.get(request, family.number()).map_err(|source| Error::List { what, source })?;
    socket.keep();
    Ok(got.and_then(|listed| Some(understand(&listed)?.1)))
}

fn understand((kind, bytes): &Listed) -> Option<(Family, NfTablesMessage)> {
    let message = NetfilterMessage::parse_with_param(bytes, *kind).ok()?;
    let family = Family::of(message.header.family.into())?;
    match message.inner {
        NetfilterMessageInner::NfTables(message) => Some((family, message)),
        _ => None,
    }
}

/// What netfilter's netlink answers if nf_tables is not in the kernel and cannot be loaded.
fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT)
}

/// Checks that the kernel has nf_tables. Nothing is changed; modules may be loaded.
///
/// # Errors
/// That it is missing.
pub fn present() -> Result<(), Error> {
    let generation = NfTablesMessage::GetGen(GenMessage { attributes: Vec::new() });
    let mut socket = Socket::open()?;
    socket.get(generation, 0).map_err(|source| Error::Unsupported { source })?;
    socket.keep();
    Ok(())
}

/// Checks that the kernel has nf_tables, and all kinds of tables, chains and rules that this crate makes. Without it
/// there is no link protection, no address translation and no port of the host. Nothing is changed; modules may be
/// loaded. It takes a grace period of the kernel's, as everything does that it refuses or forgets.
///
/// # Errors
/// That it is missing, or which kind of rule is.
pub fn supported() -> Result<(), Error> {
    present()?;
    sample().check()
}

/// One of each kind, in a table that is never made.
fn sample() -> Transaction {
    use super::{Field, Hook as Place};
    const TABLE: &str = "zones-check";
    let mut sample = Transaction::new();
    let rules = [
        (
            Family::Inet,
            ChainType::Nat,
            HookPoint::Postrouting,
            Rule::new().masquerade().comment("masquerade"),
        ),
        (
            Family::Inet,
            ChainType::Nat,
            HookPoint::Prerouting,
            Rule::new()
                .is(Field::DestinationKind, &2_u32.to_ne_bytes())
                .family_of(std::net::Ipv4Addr::LOCALHOST.into())
                .dnat(std::net::Ipv4Addr::LOCALHOST.into())
                .comment("fib, dnat"),
        ),
        (
            Family::Bridge,
            ChainType::Filter,
            HookPoint::Prerouting,
            Rule::new().over(1 << 20, 1 << 17).set_mark(1).counter().comment("limit, mark, counter"),
        ),
    ];
    for (family, kind, point, rule) in rules {
        let chain = match point {
            HookPoint::Prerouting => "prerouting",
            _ => "postrouting",
        };
        sample.table(family, TABLE);
        sample.chain(family, TABLE, chain, Some(&Place { kind, point, priority: 0, device: None }));
        sample.rule(family, TABLE, chain, rule);
    }
    sample.table(Family::Netdev, TABLE);
    sample.table(Family::Arp, TABLE);
    sample
}
