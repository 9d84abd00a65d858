//! The nets of a zone that is up: what they were made, and what they are.
//!
//! What the zone's root may choose (names of links) goes through the filter for foreign text, whatever it is printed as, and
//! there is a bound to how much of it is told.

use rustix::fd::AsFd;
use serde::Serialize;
use zone_config::config::{Net as NetConfig, Port as PortConfig};
use zone_config::{Layout, Snapshot, ZoneConfig, ZoneName};
use zone_console::sanitize::visible;
use zone_net::Interface;
use zone_net::counters::{self, Difference, Net as NetStatus, Status};
use zone_net::names::Owner;
use zone_net::record::Record;
use zone_net::rt::Counters as Counted;
use zone_net::spec::{PortSpec, Protection, Protocol};
use zone_sys::Chain;

use crate::live;
use crate::message::warn_zone;

/// The most links of a zone's own, and the most addresses of a link, that are told: a zone's root can make very many.
const MOST: usize = 64;

/// What a zone that is up has of the network.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Network {
    pub(super) nets: Vec<Net>,
    ports: Vec<Port>,
    /// Links that the zone has made itself, its loopback left out.
    other_links: Vec<Link>,
    /// How many more of them there are.
    more_links: usize,
    /// What is configured by now; null as long as that is what the zone was made ready with.
    configured: Option<Configured>,
}

/// One net: what it was made, and its two links as they are.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Net {
    /// The name that it was given inside.
    pub(super) physical: String,
    pub(super) mode: &'static str,
    /// The host's link that it is attached to.
    pub(super) global_nic: Option<String>,
    vlan_id: Option<u16>,
    mac_addr: String,
    mtu: Option<u32>,
    pub(super) address: Vec<String>,
    dhcp: bool,
    allowed_address: Vec<String>,
    defrouter: Vec<String>,
    /// In bits in a second.
    maxbw: Option<u64>,
    link_protection: Vec<&'static str>,
    /// The link in the zone; null if it is not there any more.
    pub(super) inside: Option<Link>,
    /// The end of the pair on the host, whose received bytes are those that the zone has sent; null where there is no pair.
    host: Option<Link>,
    /// What of the link inside is not what it was made.
    pub(super) differs: Vec<&'static str>,
}

/// A link as it is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    pub(super) name: String,
    kind: Option<String>,
    mac_addr: Option<String>,
    mtu: u32,
    up: bool,
    carrier: bool,
    address: Vec<String>,
    more_addresses: usize,
    counters: Counters,
    /// Those that are good beyond the link, for the table.
    #[serde(skip)]
    pub(super) wide: Vec<String>,
}

/// What went through a link since it was made.
#[derive(Clone, Copy, Debug, Serialize)]
struct Counters {
    rx_bytes: u64,
    rx_packets: u64,
    rx_errors: u64,
    rx_dropped: u64,
    tx_bytes: u64,
    tx_packets: u64,
    tx_errors: u64,
    tx_dropped: u64,
}

/// A port of the host that leads into the zone.
#[derive(Clone, Debug, Serialize)]
struct Port {
    protocol: &'static str,
    /// The address of the host; null for all of them.
    address: Option<String>,
    first: u16,
    last: u16,
    to: u16,
}

/// What the zone has when it boots next, in the words of its configuration.
#[derive(Clone, Debug, Serialize)]
struct Configured {
    ip_type: &'static str,
    nets: Vec<ConfiguredNet>,
    ports: Vec<ConfiguredPort>,
}

#[derive(Clone, Debug, Serialize)]
struct ConfiguredNet {
    physical: String,
    mode: &'static str,
    global_nic: Option<String>,
    vlan_id: Option<u64>,
    mac_addr: Option<String>,
    mtu: Option<u64>,
    address: Vec<String>,
    allowed_address: Vec<String>,
    defrouter: Vec<String>,
    maxbw: Option<String>,
    link_protection: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ConfiguredPort {
    host: String,
    to: u64,
    protocol: Vec<String>,
}

impl Network {
    /// Looks at the network of a zone that is up. What cannot be seen is told about and is `None`, as is the network of a zone
    /// that has come down meanwhile.
    pub(super) fn of(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let record = match Record::load(layout, zone) {
            Ok(record) => record.unwrap_or_default(),
            Err(error) => {
                warn_zone(zone, Chain(&error));
                return None;
            }
        };
        let fds = live::enter(layout, zone)?;
        let owner = Owner { installation: layout.id(), zone };
        let links = match counters::links(owner, fds.pidfd.as_fd()) {
            Ok(links) => links,
            Err(error) => {
                warn_zone(zone, Chain(&error));
                return None;
            }
        };
        let (nets, mut others) = links.nets(&record.interfaces);
        others.retain(|link| link.name != "lo");
        Some(Self {
            nets: nets.into_iter().map(Net::of).collect(),
            ports: record.ports.iter().map(Port::of).collect(),
            more_links: others.len().saturating_sub(MOST),
            other_links: others.iter().take(MOST).map(Link::of).collect(),
            configured: Configured::of(layout, zone),
        })
    }
}

#[cfg(test)]
impl Network {
    /// Makes one that has these nets and nothing else.
    pub(super) fn with(nets: Vec<Net>) -> Self {
        Self { nets, ports: Vec::new(), other_links: Vec::new(), more_links: 0, configured: None }
    }
}

impl Net {
    pub(super) fn of(net: NetStatus<'_>) -> Self {
        let differs = net.differences().into_iter().map(word).collect();
        let Interface { attachment, protection, .. } = net.made;
        Self {
            physical: net.made.inside.clone(),
            mode: attachment.mode(),
            global_nic: attachment.global_nic().map(str::to_owned),
            vlan_id: attachment.vlan(),
            mac_addr: net.made.mac.to_string(),
            mtu: net.made.mtu,
            address: texts(&net.made.addresses),
            dhcp: net.made.dhcp,
            allowed_address: texts(&net.made.allowed),
            defrouter: texts(&net.made.routers),
            maxbw: net.made.bandwidth,
            link_protection: words(*protection),
            inside: net.inside.as_ref().map(Link::of),
            host: net.host.as_ref().map(Link::of),
            differs,
        }
    }
}

impl Link {
    fn of(status: &Status) -> Self {
        let wide = status.addresses.iter().filter(|address| !counters::is_link_local(address));
        Self {
            name: visible(&status.name),
            kind: status.kind.as_deref().map(visible),
            mac_addr: status.mac.map(|mac| mac.to_string()),
            mtu: status.mtu,
            up: status.up,
            carrier: status.carrier,
            address: texts(&status.addresses[..status.addresses.len().min(MOST)]),
            more_addresses: status.addresses.len().saturating_sub(MOST),
            counters: status.counters.into(),
            wide: wide.take(MOST).map(ToString::to_string).collect(),
        }
    }
}

impl From<Counted> for Counters {
    fn from(counted: Counted) -> Self {
        Self {
            rx_bytes: counted.rx_bytes,
            rx_packets: counted.rx_packets,
            rx_errors: counted.rx_errors,
            rx_dropped: counted.rx_dropped,
            tx_bytes: counted.tx_bytes,
            tx_packets: counted.tx_packets,
            tx_errors: counted.tx_errors,
            tx_dropped: counted.tx_dropped,
        }
    }
}

impl Port {
    fn of(port: &PortSpec) -> Self {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let address = port.host.map(|host| host.to_string());
        Self { protocol, address, first: port.first, last: port.last, to: port.to }
    }
}

impl Configured {
    /// What a zone is configured with by now, if that is not what it was made ready with. A configuration that cannot be read
    /// has been told about.
    fn of(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let made = Snapshot::load(layout, zone).ok()?.config;
        let now = ZoneConfig::load(layout, zone).ok()?;
        let same = (now.ip_type, &now.net, &now.port) == (made.ip_type, &made.net, &made.port);
        (!same).then(|| Self {
            ip_type: now.ip_type.as_str(),
            nets: now.net.into_iter().map(ConfiguredNet::from).collect(),
            ports: now.port.into_iter().map(ConfiguredPort::from).collect(),
        })
    }
}

impl From<NetConfig> for ConfiguredNet {
    fn from(net: NetConfig) -> Self {
        Self {
            physical: net.physical,
            mode: net.mode.as_str(),
            global_nic: net.global_nic,
            vlan_id: net.vlan_id,
            mac_addr: net.mac_addr,
            mtu: net.mtu,
            address: net.address,
            allowed_address: net.allowed_address,
            defrouter: net.defrouter,
            maxbw: net.maxbw,
            link_protection: net.link_protection,
        }
    }
}

impl From<PortConfig> for ConfiguredPort {
    fn from(PortConfig { host, to, protocol }: PortConfig) -> Self {
        Self { host, to, protocol }
    }
}

fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Gone => "gone",
        Difference::Name => "name",
        Difference::Down => "down",
        Difference::Mac => "mac-addr",
        Difference::Mtu => "mtu",
        Difference::Addresses => "address",
    }
}

/// The words of `link-protection` for what is kept from leaving a net.
fn words(protection: Protection) -> Vec<&'static str> {
    let Protection { mac, ip, dhcp, restricted, isolated } = protection;
    let all = [
        (mac, "mac-nospoof"),
        (ip, "ip-nospoof"),
        (dhcp, "dhcp-nospoof"),
        (restricted, "restricted"),
        (isolated, "isolated"),
    ];
    all.into_iter().filter_map(|(on, word)| on.then_some(word)).collect()
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
