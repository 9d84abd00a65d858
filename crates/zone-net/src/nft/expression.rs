//! The expressions of rules, as netlink wants them. Numbers are those of linux/netfilter/nf_tables.h.

use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute, Lookup, Meta,
    Operator, Payload, Register, Verdict, VerdictAttribute,
};

use super::Family;
use super::field::Field;

pub(super) type Expression = ListAttribute<ExpressionAttribute>;

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

fn other(name: &str, attributes: Vec<DefaultNla>) -> Expression {
    Expressions::Other { expression_type: name.to_owned(), attributes }.into()
}

pub(super) fn data(bytes: &[u8]) -> DataAttribute {
    DataAttribute::Value(bytes.to_vec())
}

/// Loads a field into a register.
pub(super) fn load(field: Field, into: Register) -> Expression {
    match field {
        Field::Payload { base, offset, length } => Expressions::Payload(vec![
            Payload::DestinationRegister(into),
            Payload::Base(base.number()),
            Payload::Offset(offset),
            Payload::Len(length),
        ])
        .into(),
        Field::Meta(key, _) => {
            Expressions::Meta(vec![Meta::DestinationRegister(into), Meta::Key(key)]).into()
        }
        // NFTA_CT_DREG and NFTA_CT_KEY: NFT_CT_STATE is 0, NFT_CT_STATUS is 2.
        Field::ConnectionState => other("ct", vec![number(1, into.into()), number(2, 0)]),
        Field::ConnectionStatus => other("ct", vec![number(1, into.into()), number(2, 2)]),
        // NFTA_FIB_DREG, NFTA_FIB_RESULT: the type of the address, NFTA_FIB_FLAGS: of the destination or the source.
        Field::DestinationKind => other("fib", vec![number(1, into.into()), number(2, 3), number(3, 1 << 1)]),
        Field::SourceKind => other("fib", vec![number(1, into.into()), number(2, 3), number(3, 1 << 0)]),
        // NFTA_EXTHDR_DREG, _TYPE (IPPROTO_FRAGMENT), _OFFSET, _LEN.
        Field::FragmentOffset => other(
            "exthdr",
            vec![number(1, into.into()), DefaultNla::new(2, vec![44]), number(3, 2), number(4, 2)],
        ),
        // NFTA_EXTHDR_FLAGS: whether it is there.
        Field::Fragmented => other(
            "exthdr",
            vec![
                number(1, into.into()),
                DefaultNla::new(2, vec![44]),
                number(3, 0),
                number(4, 1),
                number(5, 1),
            ],
        ),
    }
}

/// Compares the value.
pub(super) fn compare(operator: Operator, bytes: &[u8]) -> Expression {
    Expressions::Cmp(vec![Cmp::SourceRegister(VALUE), Cmp::Op(operator), Cmp::Data(data(bytes))]).into()
}

/// Leaves of the value what a mask covers.
pub(super) fn mask(bytes: &[u8]) -> Expression {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(VALUE),
        Bitwise::DestinationRegister(VALUE),
        Bitwise::Length(length),
        Bitwise::Mask(data(bytes)),
        Bitwise::Xor(data(&vec![0; bytes.len()])),
    ])
    .into()
}

/// Looks the value up in a set, or of a map what it leads to into a register.
pub(super) fn lookup(set: &str, inverted: bool, result: Option<Register>) -> Expression {
    let mut attributes = vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(VALUE)];
    attributes.extend(result.map(Lookup::DestinationRegister));
    if inverted {
        attributes.push(Lookup::Flags(1));
    }
    Expressions::Lookup(attributes).into()
}

/// Adds the value to a set that learns.
pub(super) fn add_to_set(set: &str) -> Expression {
    // NFTA_DYNSET_SET_NAME, _OP (add), _SREG_KEY.
    let name = DefaultNla::new(1, set.bytes().chain([0]).collect());
    other("dynset", vec![name, number(3, 0), number(4, VALUE.into())])
}

/// Adds the value to a set that counts; true of the connections beyond so many for one value.
pub(super) fn count_in_set(set: &str, most: u32) -> Expression {
    // NFTA_EXPR_NAME, _DATA in NFTA_DYNSET_EXPR, behind _SET_NAME, _OP, _SREG_KEY.
    let name = DefaultNla::new(1, set.bytes().chain([0]).collect());
    let limit = nested(2, &connections_over(most));
    let expression = nested(7, &[DefaultNla::new(1, b"connlimit\0".to_vec()), limit]);
    other("dynset", vec![name, number(3, 0), number(4, VALUE.into()), expression])
}

/// True of the connections beyond so many.
pub(super) fn count(most: u32) -> Expression {
    other("connlimit", connections_over(most).into())
}

/// `NFTA_CONNLIMIT_COUNT`, and `_FLAGS`: over it.
fn connections_over(most: u32) -> [DefaultNla; 2] {
    [number(1, most), number(2, 1)]
}

/// An attribute of attributes.
fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    const NESTED: u16 = 1 << 15;
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    DefaultNla::new(kind | NESTED, bytes)
}

/// Puts bytes into a register.
pub(super) fn immediate(bytes: &[u8], into: Register) -> Expression {
    Expressions::Immediate(vec![Immediate::DestinationRegister(into), Immediate::Data(data(bytes))]).into()
}

/// Ends the rule.
pub(super) fn verdict(code: Verdict, chain: Option<&str>) -> Expression {
    let mut verdict = vec![VerdictAttribute::Code(code)];
    verdict.extend(chain.map(|chain| VerdictAttribute::Chain(chain.to_owned())));
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(verdict)),
    ])
    .into()
}

/// Counts packets and bytes.
pub(super) fn counter() -> Expression {
    other("counter", vec![long(1, 0), long(2, 0)])
}

/// Matches what goes over a rate, in bytes.
pub(super) fn limit_over(rate: u64, burst: u32) -> Expression {
    // NFTA_LIMIT_RATE, _UNIT (a second), _BURST, _TYPE (bytes), _FLAGS (over).
    other("limit", vec![long(1, rate), long(2, 1), number(3, burst), number(4, 1), number(5, 1)])
}

/// Sets the packet's mark to the value.
pub(super) fn set_mark() -> Expression {
    use netlink_packet_netfilter::nftables::MetaKey;
    Expressions::Meta(vec![Meta::Key(MetaKey::Mark), Meta::SourceRegister(VALUE)]).into()
}

/// Gives the connection the address of the link that it leaves by.
pub(super) fn masquerade() -> Expression {
    other("masq", Vec::new())
}

/// Sends the connection to the address in the value, and with `port` to the port in the second register.
pub(super) fn dnat(family: Family, port: bool) -> Expression {
    // NFTA_NAT_TYPE (destination), _FAMILY, _REG_ADDR_MIN, _REG_PROTO_MIN.
    let mut attributes = vec![number(1, 1), number(2, family.number().into()), number(3, VALUE.into())];
    if port {
        attributes.push(number(5, SECOND.into()));
    }
    other("nat", attributes)
}
