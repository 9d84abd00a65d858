//! What the kernel says of a link.

use super::attributes;
use crate::Mac;

/// Holds what the kernel says of one link of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Numbers the link in its network namespace, from 1.
    pub index: u32,
    /// Names the link, in at most 15 bytes.
    pub name: String,
    /// What it is to `ip link`: veth, bridge, vlan, ...; a device of hardware has none.
    pub kind: Option<String>,
    /// Its Ethernet address; none of one that is not Ethernet.
    pub mac: Option<Mac>,
    /// The Ethernet address that it was made with, of hardware.
    pub permanent_mac: Option<Mac>,
    /// The hardware that it belongs to, as bus and name (`pci/0000:00:03.0`).
    pub parent: Option<String>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether the line is there.
    pub carrier: bool,
    /// Whether packets leave it: the kernel comes to that some time after it is up and the line is there.
    pub running: bool,
    /// Whether it is the loopback link.
    pub loopback: bool,
    /// The index of the bridge or the like that it is a port of.
    pub master: Option<u32>,
    /// The index of the link that it is on top of, or of its peer.
    pub lower: Option<u32>,
    /// Whether that one is in another network namespace.
    pub lower_elsewhere: bool,
    /// Lists the names that it is found by beside its own, of at most 127 bytes each.
    pub altnames: Vec<String>,
    /// What it says that it is.
    pub alias: Option<String>,
    /// Numbers the group of links that it is in; 0 is that of all others.
    pub group: u32,
    /// How many packets its queue has room for.
    pub queue_length: u32,
    /// The VLAN, of a VLAN link (802.1Q).
    pub vlan: Option<u16>,
    /// Whether it is a bridge that filters VLANs.
    pub filters_vlans: bool,
    /// The VLAN that a bridge puts new ports into.
    pub default_vlan: Option<u16>,
    /// What went through it, where that was asked for.
    pub counters: Option<Counters>,
}

/// What went through a link since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that it received.
    pub rx_packets: u64,
    /// Packets that it sent.
    pub tx_packets: u64,
    /// Bytes that it received.
    pub rx_bytes: u64,
    /// Bytes that it sent.
    pub tx_bytes: u64,
    /// Packets that it received broken.
    pub rx_errors: u64,
    /// Packets that it could not send.
    pub tx_errors: u64,
    /// Packets that it received and had no room for.
    pub rx_dropped: u64,
    /// Packets that it had no room to send.
    pub tx_dropped: u64,
}

impl Link {
    /// Reads an answer: `struct ifinfomsg` and attributes (`IFLA_*` of linux/if_link.h).
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        const HEADER: usize = 16;
        const UP: u32 = 0x1;
        const RUNNING: u32 = 0x40;
        const LOOPBACK: u32 = 0x8;
        let flags = attributes::u32_at(payload, 8)?;
        let mut link = Self {
            index: attributes::u32_at(payload, 4)?,
            up: flags & UP != 0,
            running: flags & RUNNING != 0,
            loopback: flags & LOOPBACK != 0,
            ..Self::default()
        };
        let (mut bus, mut device) = (None, None);
        attributes::each(attributes::behind(payload, HEADER), |kind, value| match kind {
            1 => link.mac = mac(value),
            3 => link.name = attributes::text(value),
            4 => link.mtu = attributes::u32(value).unwrap_or_default(),
            5 => link.lower = attributes::u32(value),
            10 => link.master = attributes::u32(value).filter(|index| *index != 0),
            13 => link.queue_length = attributes::u32(value).unwrap_or_default(),
            18 => link.read_info(value),
            20 => link.alias = Some(attributes::text(value)).filter(|alias| !alias.is_empty()),
            23 => link.counters = Counters::read(value),
            27 => link.group = attributes::u32(value).unwrap_or_default(),
            33 => link.carrier = attributes::u8(value) == Some(1),
            37 => link.lower_elsewhere = true,
            52 => attributes::each(value, |kind, name| {
                if kind == 53 {
                    link.altnames.push(attributes::text(name));
                }
            }),
            54 => link.permanent_mac = mac(value),
            56 => device = Some(attributes::text(value)),
            57 => bus = Some(attributes::text(value)),
            _ => {}
        });
        // Some drivers say so of a link that is on top of nothing. In another namespace the number is another link's.
        link.lower = link.lower.filter(|index| link.lower_elsewhere || *index != link.index);
        link.parent = bus.zip(device).map(|(bus, device)| format!("{bus}/{device}"));
        Some(link)
    }

    /// `IFLA_LINKINFO`: kind, and what that kind has.
    fn read_info(&mut self, info: &[u8]) {
        const KIND: u16 = 1;
        const DATA: u16 = 2;
        const VLAN_ID: u16 = 1;
        const VLAN_PROTOCOL: u16 = 5;
        const ETH_P_8021Q: u16 = 0x8100;
        const VLAN_FILTERING: u16 = 7;
        const VLAN_DEFAULT_PVID: u16 = 39;
        self.kind = attributes::find(info, KIND).map(attributes::text);
        let data = attributes::find(info, DATA).unwrap_or_default();
        match self.kind.as_deref() {
            Some("vlan") => {
                let number = |kind| attributes::find(data, kind).and_then(attributes::u16);
                let tagged =
                    number(VLAN_PROTOCOL).is_none_or(|protocol| u16::from_be(protocol) == ETH_P_8021Q);
                self.vlan = number(VLAN_ID).filter(|_| tagged);
            }
            Some("bridge") => {
                let filtering = attributes::find(data, VLAN_FILTERING).and_then(attributes::u8);
                self.filters_vlans = filtering == Some(1);
                let default = attributes::find(data, VLAN_DEFAULT_PVID).and_then(attributes::u16);
                self.default_vlan = default.filter(|vlan| *vlan != 0);
            }
            _ => {}
        }
    }
}

impl Counters {
    /// `struct rtnl_link_stats64`.
    fn read(value: &[u8]) -> Option<Self> {
        let number = |place: usize| attributes::u64_at(value, place * 8);
        Some(Self {
            rx_packets: number(0)?,
            tx_packets: number(1)?,
            rx_bytes: number(2)?,
            tx_bytes: number(3)?,
            rx_errors: number(4)?,
            tx_errors: number(5)?,
            rx_dropped: number(6)?,
            tx_dropped: number(7)?,
        })
    }
}

fn mac(value: &[u8]) -> Option<Mac> {
    <[u8; 6]>::try_from(value).ok().map(Mac)
}
