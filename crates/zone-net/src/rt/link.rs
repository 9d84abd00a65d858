//! Links: listed, made, changed, taken away.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoVeth,
    InfoVlan, IpVlanMode, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, MacVlanMode, Prop,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::fd::{AsRawFd, BorrowedFd};

use super::{Error, Request, Socket, attributes};
use crate::Mac;

pub use read::{Counters, Link};

mod read;

/// Which link: by its index, or by any of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// The link of this index.
    Index(u32),
    /// The link that has this name or alternative name.
    Name(&'a str),
}

impl From<u32> for By<'_> {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl<'a> From<&'a str> for By<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for By<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

impl std::fmt::Display for By<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "number {index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl By<'_> {
    /// Begins a message about the link.
    pub(super) fn message(self) -> LinkMessage {
        /// The longest name, in bytes without the NUL, that is not an alternative one.
        const NAME: usize = 15;
        const ALTERNATIVE: u16 = 53; // IFLA_ALT_IFNAME
        let mut message = LinkMessage::default();
        match self {
            Self::Index(index) => message.header.index = index,
            // Beside no index it says which link, and is not a new name.
            Self::Name(name) if name.len() <= NAME => {
                message.attributes.push(LinkAttribute::IfName(name.to_owned()));
            }
            Self::Name(name) => {
                let bytes = name.bytes().chain([0]).collect();
                message.attributes.push(LinkAttribute::Other(DefaultNla::new(ALTERNATIVE, bytes)));
            }
        }
        message
    }
}

/// One end of a veth pair, before it is made.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its Ethernet address. One that is given is nobody's to change: udev leaves it.
    pub mac: Mac,
    /// Its MTU in bytes; `None` for the kernel's 1500.
    pub mtu: Option<u32>,
}

/// A link that is made on top of another one.
#[derive(Clone, Copy, Debug)]
pub struct Upper<'a, 'fd> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// The index of the link that it is made on.
    pub lower: u32,
    /// The network namespace that it is born in; `None` for the socket's.
    pub netns: Option<BorrowedFd<'fd>>,
    /// Its MTU in bytes; `None` for that of the lower one.
    pub mtu: Option<u32>,
}

/// Makes a veth pair, both ends down: one in the socket's network namespace, and its peer in another one.
pub fn create_veth<'fd>(end: &End<'_>, peer: &End<'_>, netns: BorrowedFd<'fd>) -> Request<'fd> {
    let mut other = born(peer.name, Some(peer.mac), peer.mtu);
    other.attributes.push(LinkAttribute::NetNsFd(netns.as_raw_fd()));
    let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other)))];
    let mut message = born(end.name, Some(end.mac), end.mtu);
    message.attributes.push(LinkAttribute::LinkInfo(info));
    Request::create(RouteNetlinkMessage::NewLink(message), "create the veth pair ", end.name.to_owned())
}

/// Makes a macvlan in bridge mode, down: those of one lower link reach each other.
pub fn create_macvlan<'fd>(upper: &Upper<'_, 'fd>, mac: Mac) -> Request<'fd> {
    let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)]);
    create_upper(upper, Some(mac), InfoKind::MacVlan, data, "create the macvlan ")
}

/// Makes an ipvlan in L2 mode, down. Its Ethernet address is that of the lower link.
pub fn create_ipvlan<'fd>(upper: &Upper<'_, 'fd>) -> Request<'fd> {
    let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(IpVlanMode::L2)]);
    create_upper(upper, None, InfoKind::IpVlan, data, "create the ipvlan ")
}

/// Makes a link, down, of what a VLAN (802.1Q, 1 to 4094) carries on another one.
pub fn create_vlan<'fd>(upper: &Upper<'_, 'fd>, vlan: u16) -> Request<'fd> {
    create_upper(
        upper,
        None,
        InfoKind::Vlan,
        InfoData::Vlan(vec![InfoVlan::Id(vlan)]),
        "create the VLAN link ",
    )
}

fn create_upper<'fd>(
    upper: &Upper<'_, 'fd>,
    mac: Option<Mac>,
    kind: InfoKind,
    data: InfoData,
    what: &'static str,
) -> Request<'fd> {
    let mut message = born(upper.name, mac, upper.mtu);
    message.attributes.push(LinkAttribute::Link(upper.lower));
    message.attributes.extend(upper.netns.map(|netns| LinkAttribute::NetNsFd(netns.as_raw_fd())));
    message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]));
    Request::create(RouteNetlinkMessage::NewLink(message), what, upper.name.to_owned())
}

pub(super) fn born(name: &str, mac: Option<Mac>, mtu: Option<u32>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message.attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message
}

/// Deletes a link; of a veth pair the peer goes too, and all that is on top of it.
pub fn delete<'a>(link: impl Into<By<'a>>) -> Request<'static> {
    let link = link.into();
    Request::change(RouteNetlinkMessage::DelLink(link.message()), "delete the link ", link.to_string())
}

/// Gives a link an alternative name, at most 127 bytes.
pub fn add_altname<'a>(link: impl Into<By<'a>>, name: &str) -> Request<'static> {
    let message = RouteNetlinkMessage::NewLinkProp(altname(link.into(), name));
    Request::create(message, "add the alternative name ", name.to_owned())
}

/// Takes an alternative name from a link.
pub fn delete_altname<'a>(link: impl Into<By<'a>>, name: &str) -> Request<'static> {
    let message = RouteNetlinkMessage::DelLinkProp(altname(link.into(), name));
    Request::change(message, "delete the alternative name ", name.to_owned())
}

fn altname(link: By<'_>, name: &str) -> LinkMessage {
    let mut message = link.message();
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(name.to_owned())]));
    message
}

/// How a link forms its IPv6 link-local address when it goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// From its Ethernet address.
    Eui64,
    /// Has the link form no address of its own, a link-local one neither.
    None,
}

/// A change of a link, put together of what is to change. Within one change the kernel moves the link to its namespace
/// first, and sets it up or down after all else but the address generation.
#[derive(Clone, Debug)]
#[must_use]
pub struct Change<'fd> {
    message: LinkMessage,
    object: String,
    netns: Option<BorrowedFd<'fd>>,
}

/// Begins a change of a link.
pub fn change<'a>(link: impl Into<By<'a>>) -> Change<'static> {
    let link = link.into();
    Change { message: link.message(), object: link.to_string(), netns: None }
}

impl<'fd> Change<'fd> {
    /// Has errors call the link by its name, though it is said by its index.
    pub fn called(self, name: &str) -> Self {
        Self { object: name.to_owned(), ..self }
    }

    /// Sets the link up, so that it takes and gives frames.
    pub fn up(self) -> Self {
        self.flag(LinkFlags::Up, true)
    }

    /// Sets the link down, which takes its routes away.
    pub fn down(self) -> Self {
        self.flag(LinkFlags::Up, false)
    }

    /// Has it no longer take what is not for it.
    pub fn not_promiscuous(self) -> Self {
        self.flag(LinkFlags::Promisc, false).flag(LinkFlags::Allmulti, false)
    }

    /// Gives it another name, at most 15 bytes. For a link that is said by its index.
    pub fn name(self, name: &str) -> Self {
        self.with(LinkAttribute::IfName(name.to_owned()))
    }

    /// Gives it another Ethernet address.
    pub fn mac(self, mac: Mac) -> Self {
        self.with(LinkAttribute::Address(mac.0.to_vec()))
    }

    /// Gives it another MTU, in bytes.
    pub fn mtu(self, mtu: u32) -> Self {
        self.with(LinkAttribute::Mtu(mtu))
    }

    /// Makes it a port of a bridge or the like, given by index; 0 for none.
    pub fn master(self, index: u32) -> Self {
        self.with(LinkAttribute::Controller(index))
    }

    /// Has it say what it is, in at most 255 bytes; nothing takes that from it.
    pub fn alias(self, alias: &str) -> Self {
        self.with(LinkAttribute::IfAlias(alias.to_owned()))
    }

    /// Puts it into a group.
    pub fn group(self, group: u32) -> Self {
        self.with(LinkAttribute::Group(group))
    }

    /// Sets how many packets its queue has room for.
    pub fn queue_length(self, packets: u32) -> Self {
        self.with(LinkAttribute::TxQueueLen(packets))
    }

    /// Sets how it forms its link-local address.
    pub fn generation(self, generation: Generation) -> Self {
        let mode = match generation {
            Generation::Eui64 => In6AddrGenMode::Eui64,
            Generation::None => In6AddrGenMode::None,
        };
        self.with(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            mode,
        )])]))
    }

    /// Moves it to another network namespace, where it has the new name if one is set; `%d` in that is the first free number.
    pub fn move_to<'other>(self, netns: BorrowedFd<'other>) -> Change<'other> {
        let Self { message, object, .. } = self.with(LinkAttribute::NetNsFd(netns.as_raw_fd()));
        Change { message, object, netns: Some(netns) }
    }

    /// Makes a request of it.
    pub fn request(self) -> Request<'fd> {
        let what = if self.netns.is_some() { "move the link " } else { "change the link " };
        Request::change(RouteNetlinkMessage::SetLink(self.message), what, self.object)
    }

    fn with(mut self, attribute: LinkAttribute) -> Self {
        self.message.attributes.push(attribute);
        self
    }

    fn flag(mut self, flag: LinkFlags, on: bool) -> Self {
        self.message.header.flags.set(flag, on);
        self.message.header.change_mask |= flag;
        self
    }
}

impl Socket {
    /// Lists all links, without their counters.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.list(vec![LinkExtentMask::SkipStats])
    }

    /// Lists all links with their counters.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn links_counted(&mut self) -> Result<Vec<Link>, Error> {
        self.list(Vec::new())
    }

    fn list(&mut self, mask: Vec<LinkExtentMask>) -> Result<Vec<Link>, Error> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Unspec;
        message.attributes.push(LinkAttribute::ExtMask(mask));
        self.dump(&RouteNetlinkMessage::GetLink(message), "list the links", Link::read)
    }

    /// Tells whether a bridge has a port. However many it has, only some are read, so the socket is of no use afterwards.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn has_port(self, bridge: u32) -> Result<bool, Error> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Unspec;
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        message.attributes.push(LinkAttribute::Controller(bridge));
        // A kernel that does not filter gives all links.
        let is_port = |payload: &[u8]| Link::read(payload)?.master.filter(|master| *master == bridge);
        self.dump_any(&RouteNetlinkMessage::GetLink(message), "list the ports", is_port)
    }

    /// Tells whether a link is in a group. However many links there are, they are read up to the first that is, so the socket is of no
    /// use afterwards.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn has_in_group(self, group: u32) -> Result<bool, Error> {
        let mut message = LinkMessage::default();
        message.header.interface_family = AddressFamily::Unspec;
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let is_in = |payload: &[u8]| Some(Link::read(payload)?.group).filter(|of| *of == group);
        self.dump_any(&RouteNetlinkMessage::GetLink(message), "list the links", is_in)
    }

    /// Finds one link by index, name or alternative name; `None` if there is none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn link<'a>(&mut self, link: impl Into<By<'a>>) -> Result<Option<Link>, Error> {
        let link = link.into();
        let message = RouteNetlinkMessage::GetLink(link.message());
        self.get(&message, "find the link ", &link.to_string(), Link::read)
    }
}

#[cfg(test)]
mod tests;
