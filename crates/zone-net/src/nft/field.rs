//! Where in a packet something stands.

use netlink_packet_netfilter::nftables::MetaKey;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Bytes of the packet.
    Payload {
        /// Says which header the offset is counted from.
        base: Base,
        /// How many bytes after it.
        offset: u32,
        /// Gives the length in bytes, 1 to 16.
        length: u32,
    },
    /// What the kernel knows about the packet, of so many bytes.
    Meta(MetaKey, u32),
    /// The state of its connection, as bits.
    ConnectionState,
    /// What happened to its connection, as bits.
    ConnectionStatus,
    /// What kind of an address its destination is.
    DestinationKind,
    /// What kind of an address its source is.
    SourceKind,
    /// The offset of an IPv6 fragment with the flags below it.
    FragmentOffset,
    /// Whether an IPv6 packet has a fragment header: 1 or 0.
    Fragmented,
}

/// What an offset in a packet counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The Ethernet header; with the tag that the kernel keeps beside the frame put back.
    Link,
    /// The header of IP or ARP.
    Network,
    /// The header of TCP, UDP, ICMP, ...: not there in a fragment but the first.
    Transport,
}

impl Base {
    /// enum nft_payload_bases.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Link => 0,
            Self::Network => 1,
            Self::Transport => 2,
        }
    }
}

impl Field {
    /// The kind of the link that it came by: ARPHRD_* of linux/if_arp.h, in the host's byte order.
    pub const IN_KIND: Self = Self::Meta(MetaKey::Iftype, 2);
    /// The source of a frame.
    pub const ETHER_SOURCE: Self = Self::link(6, 6);
    /// The destination of a frame.
    pub const ETHER_DESTINATION: Self = Self::link(0, 6);
    /// What is in a frame; of one with a tag, that of the tag.
    pub const ETHER_TYPE: Self = Self::link(12, 2);
    /// What is in a frame behind its first tag.
    pub const PROTOCOL: Self = Self::Meta(MetaKey::EtherTypeProtocol, 2);
    /// Whether a packet of the family inet is IPv4 or IPv6.
    pub const NF_PROTOCOL: Self = Self::Meta(MetaKey::Nfproto, 1);
    /// The protocol above IP, behind the extension headers of IPv6; not there if it cannot be found.
    pub const TRANSPORT_PROTOCOL: Self = Self::Meta(MetaKey::L4Proto, 1);
    /// The name of the link that it came by.
    pub const IN_NAME: Self = Self::Meta(MetaKey::Iifname, 16);
    /// The name of the link that it leaves by.
    pub const OUT_NAME: Self = Self::Meta(MetaKey::Oifname, 16);
    /// The group of the link that it came by, 4 bytes in the machine's order.
    pub const IN_GROUP: Self = Self::Meta(MetaKey::Iifgroup, 4);
    /// Reads the mark of a packet, 4 bytes in the machine's order.
    pub const MARK: Self = Self::Meta(MetaKey::Mark, 4);
    /// The kinds of addresses of an ARP message, and their lengths.
    pub const ARP_KIND: Self = Self::network(0, 6);
    /// What an ARP message is.
    pub const ARP_OPERATION: Self = Self::network(6, 2);
    /// The Ethernet address of who sends an ARP message.
    pub const ARP_SENDER_ETHER: Self = Self::network(8, 6);
    /// The IPv4 address of who sends an ARP message.
    pub const ARP_SENDER_IP: Self = Self::network(14, 4);
    /// The IPv4 address that an ARP message is about.
    pub const ARP_TARGET_IP: Self = Self::network(24, 4);
    /// The offset of an IPv4 fragment, with the flags above it.
    pub const IP_FRAGMENT: Self = Self::network(6, 2);
    /// The source of an IPv4 packet.
    pub const IP_SOURCE: Self = Self::network(12, 4);
    /// The destination of an IPv4 packet.
    pub const IP_DESTINATION: Self = Self::network(16, 4);
    /// The source of an IPv6 packet.
    pub const IP6_SOURCE: Self = Self::network(8, 16);
    /// The destination of an IPv6 packet.
    pub const IP6_DESTINATION: Self = Self::network(24, 16);
    /// The source port of TCP or UDP.
    pub const SOURCE_PORT: Self = Self::transport(0, 2);
    /// The destination port of TCP or UDP.
    pub const DESTINATION_PORT: Self = Self::transport(2, 2);
    /// The type of an ICMP or ICMPv6 message.
    pub const ICMP_TYPE: Self = Self::transport(0, 1);
    /// The address that a neighbour solicitation or advertisement is about.
    pub const ND_TARGET: Self = Self::transport(8, 16);

    const fn link(offset: u32, length: u32) -> Self {
        Self::Payload { base: Base::Link, offset, length }
    }

    const fn network(offset: u32, length: u32) -> Self {
        Self::Payload { base: Base::Network, offset, length }
    }

    /// The bytes of a transport header.
    #[must_use]
    pub const fn transport(offset: u32, length: u32) -> Self {
        Self::Payload { base: Base::Transport, offset, length }
    }

    /// Its length in bytes.
    pub(super) fn length(self) -> u32 {
        match self {
            Self::Payload { length, .. } | Self::Meta(_, length) => length,
            Self::FragmentOffset => 2,
            Self::Fragmented => 1,
            Self::ConnectionState | Self::ConnectionStatus | Self::DestinationKind | Self::SourceKind => 4,
        }
    }
}
