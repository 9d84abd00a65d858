//! The expressions of rules, as netlink wants them. Numbers are those of linux/netfilter/nf_tables.h.

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, Nla};
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, Immediate, Lookup, Meta, Operator, Payload, Register, Verdict,
    VerdictAttribute,
};

use super::Family;
use super::field::Field;

/// One of a rule's list, written already: the library asks each attribute at each level above it for its length again, and the
/// levels multiply.
pub(super) type Expression = DefaultNla;

/// The register that a value is loaded into.
pub(super) const VALUE: Register = Register::Reg1;
/// The register for what belongs to the value, a port to an address.
pub(super) const SECOND: Register = Register::Reg2;

fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

fn long(kind: u16, value: u64) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

/// An expression of a name, with what belongs to it.
fn expression(name: &str, attributes: &[impl Nla]) -> Expression {
    // NFTA_EXPR_NAME and _DATA in NFTA_LIST_ELEM.
    nested(1, &[text(1, name), nested(2, attributes)])
}

fn text(kind: u16, text: &str) -> DefaultNla {
    DefaultNla::new(kind, text.bytes().chain([0]).collect())
}

/// An attribute of attributes.
pub(super) fn nested(kind: u16, attributes: &[impl Nla]) -> DefaultNla {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    DefaultNla::new(kind | NLA_F_NESTED, bytes)
}

pub(super) fn data(bytes: &[u8]) -> DataAttribute {
    DataAttribute::Value(bytes.to_vec())
}

/// Loads a field into a register.
pub(super) fn load(field: Field, into: Register) -> Expression {
    match field {
        Field::Payload { base, offset, length } => expression(
            "payload",
            &[
                Payload::DestinationRegister(into),
                Payload::Base(base.number()),
                Payload::Offset(offset),
                Payload::Len(length),
            ],
        ),
        Field::Meta(key, _) => expression("meta", &[Meta::DestinationRegister(into), Meta::Key(key)]),
        // NFTA_CT_DREG and NFTA_CT_KEY: NFT_CT_STATE is 0, NFT_CT_STATUS is 2.
        Field::ConnectionState => expression("ct", &[number(1, into.into()), number(2, 0)]),
        Field::ConnectionStatus => expression("ct", &[number(1, into.into()), number(2, 2)]),
        // NFTA_FIB_DREG, NFTA_FIB_RESULT: the type of the address, NFTA_FIB_FLAGS: of the destination or the source.
        Field::DestinationKind => {
            expression("fib", &[number(1, into.into()), number(2, 3), number(3, 1 << 1)])
        }
        Field::SourceKind => expression("fib", &[number(1, into.into()), number(2, 3), number(3, 1 << 0)]),
        // NFTA_EXTHDR_DREG, _TYPE (IPPROTO_FRAGMENT), _OFFSET, _LEN.
        Field::FragmentOffset => expression(
            "exthdr",
            &[number(1, into.into()), DefaultNla::new(2, vec![44]), number(3, 2), number(4, 2)],
        ),
        // NFTA_EXTHDR_FLAGS: whether it is there.
        Field::Fragmented => expression(
            "exthdr",
            &[number(1, into.into()), DefaultNla::new(2, vec![44]), number(3, 0), number(4, 1), number(5, 1)],
        ),
    }
}

/// Compares the value.
pub(super) fn compare(operator: Operator, bytes: &[u8]) -> Expression {
    expression("cmp", &[Cmp::SourceRegister(VALUE), Cmp::Op(operator), Cmp::Data(data(bytes))])
}

/// Leaves of the value what a mask covers.
pub(super) fn mask(bytes: &[u8]) -> Expression {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    expression(
        "bitwise",
        &[
            Bitwise::SourceRegister(VALUE),
            Bitwise::DestinationRegister(VALUE),
            Bitwise::Length(length),
            Bitwise::Mask(data(bytes)),
            Bitwise::Xor(data(&vec![0; bytes.len()])),
        ],
    )
}

/// Looks the value up in a set, or of a map what it leads to into a register.
pub(super) fn lookup(set: &str, inverted: bool, result: Option<Register>) -> Expression {
    let mut attributes = vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(VALUE)];
    attributes.extend(result.map(Lookup::DestinationRegister));
    if inverted {
        attributes.push(Lookup::Flags(1));
    }
    expression("lookup", &attributes)
}

/// Adds the value to a set that learns.
pub(super) fn add_to_set(set: &str) -> Expression {
    // NFTA_DYNSET_SET_NAME, _OP (add), _SREG_KEY.
    let name = text(1, set);
    expression("dynset", &[name, number(3, 0), number(4, VALUE.into())])
}

/// Adds the value to a set that counts; true of the connections beyond so many for one value.
pub(super) fn count_in_set(set: &str, most: u32) -> Expression {
    // NFTA_EXPR_NAME, _DATA in NFTA_DYNSET_EXPR, behind _SET_NAME, _OP, _SREG_KEY.
    let name = text(1, set);
    let limit = nested(2, &connections_over(most));
    let counts = nested(7, &[text(1, "connlimit"), limit]);
    expression("dynset", &[name, number(3, 0), number(4, VALUE.into()), counts])
}

/// True of the connections beyond so many.
pub(super) fn count(most: u32) -> Expression {
    expression("connlimit", &connections_over(most))
}

/// `NFTA_CONNLIMIT_COUNT`, and `_FLAGS`: over it.
fn connections_over(most: u32) -> [DefaultNla; 2] {
    [number(1, most), number(2, 1)]
}

/// Puts bytes into a register.
pub(super) fn immediate(bytes: &[u8], into: Register) -> Expression {
    expression("immediate", &[Immediate::DestinationRegister(into), Immediate::Data(data(bytes))])
}

/// Ends the rule.
pub(super) fn verdict(code: Verdict, chain: Option<&str>) -> Expression {
    let mut verdict = vec![VerdictAttribute::Code(code)];
    verdict.extend(chain.map(|chain| VerdictAttribute::Chain(chain.to_owned())));
    expression(
        "immediate",
        &[
            Immediate::DestinationRegister(Register::Verdict),
            Immediate::Data(DataAttribute::Verdict(verdict)),
        ],
    )
}

/// Counts packets and bytes.
pub(super) fn counter() -> Expression {
    expression("counter", &[long(1, 0), long(2, 0)])
}

/// Matches what goes over a rate, in bytes.
pub(super) fn limit_over(rate: u64, burst: u32) -> Expression {
    // NFTA_LIMIT_RATE, _UNIT (a second), _BURST, _TYPE (bytes), _FLAGS (over).
    expression("limit", &[long(1, rate), long(2, 1), number(3, burst), number(4, 1), number(5, 1)])
}

/// Sets the packet's mark to the value.
pub(super) fn set_mark() -> Expression {
    use netlink_packet_netfilter::nftables::MetaKey;
    expression("meta", &[Meta::Key(MetaKey::Mark), Meta::SourceRegister(VALUE)])
}

/// Gives the connection the address of the link that it leaves by.
pub(super) fn masquerade() -> Expression {
    expression("masq", &[] as &[DefaultNla])
}

/// Sends the connection to the address in the value, and with `port` to the port in the second register.
pub(super) fn dnat(family: Family, port: bool) -> Expression {
    // NFTA_NAT_TYPE (destination), _FAMILY, _REG_ADDR_MIN, _REG_PROTO_MIN.
    let mut attributes = vec![number(1, 1), number(2, family.number().into()), number(3, VALUE.into())];
    if port {
        attributes.push(number(5, SECOND.into()));
    }
    expression("nat", &attributes)
}
