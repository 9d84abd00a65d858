//! Transactions: what is changed at once or not at all.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook as HookAttribute, HookNumber, NfTablesMessage, RuleAttribute,
    RuleMessage, SetAttribute, SetDescription, SetElementList, SetElementMessage, SetFlags, SetMessage,
    TableAttribute, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use rustix::io::Errno;

use super::error::{Error, Subject};
use super::expression::nested;
use super::socket::{Answer, Socket, packet, serialize};
use super::{COUNTED, Family, Hook, LEARNED, NETLINK, Rule, Set, tables};

/// NFNL_SUBSYS_NFTABLES of linux/netfilter/nfnetlink.h: whom a batch is for.
const SUBSYSTEM: u16 = 10;
/// NFTA_RULE_EXPRESSIONS of linux/netfilter/nf_tables.h.
const EXPRESSIONS: u16 = 4;
/// How many elements of a set go into one message: the attribute that they are in has at most 64 KiB.
const ELEMENTS: usize = 500;
/// How often a removal looks again for what somebody else may be removing too.
const REMOVALS: usize = 5;
/// The longest comment that nft(8) prints.
const COMMENT: usize = 127;

/// Changes that the kernel makes at once or not at all.
#[derive(Debug, Default)]
pub struct Transaction {
    messages: Vec<Message>,
    sets: u32,
}

#[derive(Debug)]
struct Message {
    subject: Subject,
    family: Family,
    flags: u16,
    /// As the kernel reads it, but for family, flags and sequence number, which are 0.
    bytes: Vec<u8>,
}

impl Transaction {
    /// Makes one that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn push(&mut self, subject: Subject, family: Family, flags: u16, body: NfTablesMessage) {
        self.messages.push(Message { subject, family, flags, bytes: packet(body, 0, 0, 0) });
    }

    /// Removes a table that there is, with all that is in it.
    pub fn delete_table(&mut self, family: Family, name: &str) {
        let table = TableMessage { attributes: vec![TableAttribute::Name(name.to_owned())] };
        self.push(Subject::Table(family, name.to_owned()), family, 0, NfTablesMessage::DeleteTable(table));
    }

    /// Removes the tables of these families that have a name, of those that there are now.
    ///
    /// # Errors
    /// That the tables cannot be listed.
    fn delete_tables(&mut self, families: &[Family], name: &str) -> Result<(), Error> {
        for table in tables()? {
            if table.name == name && families.contains(&table.family) {
                self.delete_table(table.family, name);
            }
        }
        Ok(())
    }

    /// Removes a table, whether there is one of its name or not. The kernel has to have the family.
    pub fn absent(&mut self, family: Family, name: &str) {
        self.table(family, name);
        self.delete_table(family, name);
    }

    /// Makes a table unless there is one of its name.
    pub fn table(&mut self, family: Family, name: &str) {
        let attributes = vec![TableAttribute::Name(name.to_owned())];
        self.create_table(family, name, TableMessage { attributes });
    }

    pub(super) fn create_table(&mut self, family: Family, name: &str, table: TableMessage) {
        let subject = Subject::Table(family, name.to_owned());
        self.push(subject, family, NLM_F_CREATE, NfTablesMessage::NewTable(table));
    }

    /// Makes the changes of another one after those of this one, in which there is no set yet.
    pub(super) fn then(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.sets += other.sets;
    }

    /// What it changes, in order, as the kernel reads it; family, flags and sequence number are 0.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Subject, &[u8])> {
        self.messages.iter().map(|message| (&message.subject, message.bytes.as_slice()))
    }

    /// What its changes are about, in order.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.messages.iter().map(|message| &message.subject)
    }

    /// Makes an empty table, whether there is one of its name or not.
    pub fn replace_table(&mut self, family: Family, name: &str) {
        self.absent(family, name);
        self.table(family, name);
    }

    /// Makes a chain; with a hook, packets come through it.
    pub fn chain(&mut self, family: Family, table: &str, name: &str, hook: Option<&Hook<'_>>) {
        let mut attributes =
            vec![ChainAttribute::Table(table.to_owned()), ChainAttribute::Name(name.to_owned())];
        if let Some(hook) = hook {
            let mut place = vec![
                HookAttribute::Number(HookNumber::Other(hook.point.number())),
                HookAttribute::Priority(u32::from_ne_bytes(hook.priority.to_ne_bytes())),
            ];
            place.extend(hook.device.map(|device| HookAttribute::NetDeviceName(device.to_owned())));
            // The policy NF_ACCEPT.
            attributes.extend([
                ChainAttribute::Hook(place),
                ChainAttribute::Policy(1),
                ChainAttribute::Type(hook.kind.name().to_owned()),
            ]);
        }
        let subject = Subject::Chain(family, table.to_owned(), name.to_owned());
        self.push(subject, family, NLM_F_CREATE, NfTablesMessage::NewChain(ChainMessage { attributes }));
    }

    /// Adds a rule at the end of a chain.
    pub fn rule(&mut self, family: Family, table: &str, chain: &str, rule: Rule) {
        let (expressions, comment) = rule.into_parts();
        let mut attributes = vec![
            RuleAttribute::Table(table.to_owned()),
            RuleAttribute::Chain(chain.to_owned()),
            RuleAttribute::Other(nested(EXPRESSIONS, &expressions)),
        ];
        attributes.extend(comment.as_deref().map(user_data).map(RuleAttribute::UserData));
        let subject = Subject::Rule(family, table.to_owned(), chain.to_owned(), comment.unwrap_or_default());
        let body = NfTablesMessage::NewRule(RuleMessage { attributes });
        self.push(subject, family, NLM_F_CREATE | NLM_F_APPEND, body);
    }

    /// Makes a set or a map, with what is in it. It has to come before the rules that look into it.
    pub fn set(&mut self, family: Family, table: &str, name: &str, set: &Set) {
        self.sets += 1;
        let (flags, key, value) = set.shape();
        let mut attributes = vec![
            SetAttribute::Table(table.to_owned()),
            SetAttribute::Name(name.to_owned()),
            SetAttribute::Flags(SetFlags::from_bits_retain(flags)),
            SetAttribute::KeyType(key.number()),
            SetAttribute::KeyLen(key.length()),
            SetAttribute::Id(self.sets),
        ];
        if let Some(value) = value {
            attributes
                .extend([SetAttribute::DataType(value.number()), SetAttribute::DataLen(value.length())]);
        }
        let most = match set {
            Set::Learned(..) => Some(LEARNED),
            Set::Counted(_) => Some(COUNTED),
            _ => None,
        };
        attributes.extend(most.map(|most| SetAttribute::Description(vec![SetDescription::Size(most)])));
        let subject = Subject::Set(family, table.to_owned(), name.to_owned());
        let body = NfTablesMessage::NewSet(SetMessage { attributes });
        self.push(subject.clone(), family, NLM_F_CREATE, body);
        for elements in set.elements().chunks(ELEMENTS) {
            let attributes = vec![
                SetElementList::Table(table.to_owned()),
                SetElementList::Set(name.to_owned()),
                SetElementList::Elements(elements.to_vec()),
            ];
            let body = NfTablesMessage::NewSetElement(SetElementMessage { attributes });
            self.push(subject.clone(), family, NLM_F_CREATE, body);
        }
    }

    /// Makes the changes, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// What the kernel refuses and why; then none of the changes is made.
    pub fn commit(self) -> Result<(), Error> {
        self.prepare().commit()
    }

    /// Writes the changes as the kernel reads them, for whoever has time to do so before they are to be made.
    #[must_use]
    pub fn prepare(self) -> Prepared {
        self.write(true)
    }

    /// Has the kernel check the changes without making them.
    ///
    /// # Errors
    /// What the kernel would refuse and why.
    pub fn check(self) -> Result<(), Error> {
        self.write(false).send()
    }

    fn write(self, commit: bool) -> Prepared {
        let mut bytes = control(ControlMessage::BatchBegin, 1);
        let mut subjects = Vec::with_capacity(self.messages.len());
        let last = self.messages.len().saturating_sub(1);
        for (index, message) in self.messages.into_iter().enumerate() {
            let sequence = first_sequence(index);
            // One word of praise suffices: without it silence could also mean that nobody listened.
            let ack = if index == last { NLM_F_ACK } else { 0 };
            let flags = NLM_F_REQUEST | message.flags | ack;
            let at = bytes.len();
            bytes.extend(message.bytes);
            address(&mut bytes[at..], message.family, flags, sequence);
            subjects.push(message.subject);
        }
        if commit {
            bytes.extend(control(ControlMessage::BatchEnd, first_sequence(subjects.len())));
        }
        Prepared { bytes, subjects }
    }
}

/// Changes as the kernel reads them.
#[derive(Debug)]
pub struct Prepared {
    bytes: Vec<u8>,
    subjects: Vec<Subject>,
}

impl Prepared {
    /// Makes the changes, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// What the kernel refuses and why; then none of the changes is made.
    pub fn commit(self) -> Result<(), Error> {
        if self.subjects.is_empty() { Ok(()) } else { self.send() }
    }

    fn send(self) -> Result<(), Error> {
        let mut socket = Socket::open()?;
        let answers = socket.batch(&self.bytes)?;
        socket.keep();
        if answers.is_empty() {
            return Err(Error::Answer("a transaction with nothing"));
        }
        match answers.into_iter().find_map(|answer| Some((answer.refused?, answer))) {
            None => Ok(()),
            Some((source, answer)) => Err(refusal(source, answer, self.subjects)),
        }
    }
}

fn refusal(source: Errno, answer: Answer, subjects: Vec<Subject>) -> Error {
    let Answer { sequence, text: said_text, .. } = answer;
    let place = usize::try_from(sequence).ok().and_then(|sequence| sequence.checked_sub(2));
    match place.and_then(|place| subjects.into_iter().nth(place)) {
        Some(subject) => Error::Refused { subject: Box::new(subject), said_text, source },
        // What the batch's own header is answered: nobody is there for it, or it may not be sent.
        None if matches!(source, Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::NOSYS) => {
            Error::Unsupported { source }
        }
        None => Error::Transaction { said_text, source },
    }
}

/// Writes into a message what it was made without: struct nlmsghdr of linux/netlink.h, then struct nfgenmsg of
/// linux/netfilter/nfnetlink.h.
fn address(message: &mut [u8], family: Family, flags: u16, sequence: u32) {
    message[6..8].copy_from_slice(&flags.to_ne_bytes());
    message[8..12].copy_from_slice(&sequence.to_ne_bytes());
    message[NETLINK] = family.number();
}

/// The sequence number of a message: 1 is the header of the batch.
fn first_sequence(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(2)
}

fn control(message: ControlMessage, sequence: u32) -> Vec<u8> {
    let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM);
    serialize(NetfilterMessage::new(header, message), NLM_F_REQUEST, sequence)
}

/// A comment as nft(8) keeps it with a rule: NFTNL_UDATA_RULE_COMMENT, a length of one byte, text with a NUL.
pub(super) fn user_data(comment: &str) -> Vec<u8> {
    let text: Vec<u8> = comment.bytes().take(COMMENT).chain([0]).collect();
    let mut bytes = vec![0, u8::try_from(text.len()).unwrap_or(u8::MAX)];
    bytes.extend(text);
    bytes
}

/// Removes the tables of these families that have this name, those that there are. None is there on a kernel without
/// nf_tables. Tables of others are not looked at, however many there are, unless the kernel lacks one of the families.
///
/// # Errors
/// What the kernel refuses and why.
pub fn remove(families: &[Family], name: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    families.iter().for_each(|family| transaction.absent(*family, name));
    match transaction.commit() {
        Err(error) if is_without_family(&error) => remove_found(families, name),
        done => done,
    }
}

/// Tells whether the kernel has no tables of a family of the transaction, or none at all.
pub(crate) fn is_without_family(error: &Error) -> bool {
    matches!(error, Error::Unsupported { .. }) || error.errno() == Some(Errno::OPNOTSUPP)
}

fn remove_found(families: &[Family], name: &str) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        let mut transaction = Transaction::new();
        transaction.delete_tables(families, name)?;
        tries += 1;
        match transaction.commit() {
            // Somebody else was quicker with one of them, and so none was removed.
            Err(error) if error.errno() == Some(Errno::NOENT) && tries < REMOVALS => {}
            done => return done,
        }
    }
}
