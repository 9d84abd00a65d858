//! Bridges and their ports.

use netlink_packet_route::link::{
    AfSpecBridge, BridgeStpState, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridge, InfoBridgePort, InfoData,
    InfoKind, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Request;
use super::link::{By, born};
use crate::Mac;

/// A bridge, before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Bridge<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its Ethernet address. Without one that is given a bridge takes the lowest of its ports, and another one when that goes.
    pub mac: Mac,
    /// Its MTU in bytes; `None` for the least of its ports.
    pub mtu: Option<u32>,
    /// Whether its ports are in VLANs. Needs a kernel that has that (`CONFIG_BRIDGE_VLAN_FILTERING`).
    pub filters_vlans: bool,
}

/// Makes a bridge, down: without spanning tree, so that a port forwards as soon as it is up.
pub fn create(bridge: &Bridge<'_>) -> Request<'static> {
    let mut data = vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::ForwardDelay(0)];
    if bridge.filters_vlans {
        data.push(InfoBridge::VlanFiltering(true));
    }
    let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(data))];
    let mut message = born(bridge.name, Some(bridge.mac), bridge.mtu);
    message.attributes.push(LinkAttribute::LinkInfo(info));
    Request::create(RouteNetlinkMessage::NewLink(message), "create the bridge ", bridge.name.to_owned())
}

/// Isolates a port, or no longer: isolated ports of a bridge reach all others but one another. For a link that is a port.
pub fn isolate<'a>(port: impl Into<By<'a>>, isolated: bool) -> Request<'static> {
    change_port(port.into(), InfoBridgePort::Isolated(isolated), "isolate the bridge port ")
}

/// Lets a port send frames back to where they came from, or no longer. For a link that is a port.
pub fn hairpin<'a>(port: impl Into<By<'a>>, allowed: bool) -> Request<'static> {
    change_port(port.into(), InfoBridgePort::HairpinMode(allowed), "change the bridge port ")
}

fn change_port(port: By<'_>, option: InfoBridgePort, deed: &'static str) -> Request<'static> {
    let data = InfoPortData::BridgePort(vec![option]);
    let mut message = port.message();
    let info = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(data)];
    message.attributes.push(LinkAttribute::LinkInfo(info));
    Request::change(RouteNetlinkMessage::NewLink(message), deed, port.to_string())
}

/// Puts a port, given by index, into a VLAN (1 to 4094): what comes in untagged is of it, what goes out of it is untagged.
pub fn add_vlan(port: u32, vlan: u16) -> Request<'static> {
    let flags = BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged;
    let message = RouteNetlinkMessage::SetLink(vlan_message(port, vlan, flags));
    Request::change(message, "put a bridge port into VLAN ", vlan.to_string())
}

/// Takes a port, given by index, out of a VLAN.
pub fn delete_vlan(port: u32, vlan: u16) -> Request<'static> {
    let message = RouteNetlinkMessage::DelLink(vlan_message(port, vlan, BridgeVlanInfoFlags::empty()));
    Request::change(message, "take a bridge port out of VLAN ", vlan.to_string())
}

fn vlan_message(port: u32, vid: u16, flags: BridgeVlanInfoFlags) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = port;
    let info = AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid });
    message.attributes.push(LinkAttribute::AfSpecBridge(vec![info]));
    message
}
