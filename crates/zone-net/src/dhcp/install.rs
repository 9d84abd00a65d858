//! A link has what a DHCP server has given, for as long as it is given: the kernel itself takes the address away when the
//! time is over, and the routes with it, though nobody be there to do it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

use super::{DhcpError, Lease};
use crate::Interface;
use crate::rt::{Address, Link, Request, Route, Socket, address, route};

/// The protocol of routes that are learned by DHCP (`RTPROT_DHCP`); networkd leaves them with its `KeepConfiguration`.
pub(crate) const DHCP: u8 = 16;
/// The metric of the routes of the first net; below are those that an administrator has said.
const METRIC: u32 = 100;
const GONE: &[Errno] = &[Errno::ADDRNOTAVAIL, Errno::SRCH, Errno::NODEV];

/// Gives a link of a network namespace the address of a lease and its routes, or more time with them. `number` is that of the
/// net, of which the first has the best routes. A configured router takes the place of the lease's.
///
/// # Errors
/// [`DhcpError`].
pub fn install(
    netns: BorrowedFd<'_>,
    interface: &Interface,
    number: usize,
    lease: &Lease,
    now: Duration,
) -> Result<(), DhcpError> {
    let mut socket = Socket::within(netns)?;
    let link = find(&mut socket, &interface.inside)?;
    let left = lease.left(now);
    if left == Some(0) {
        return Ok(());
    }
    let mut requests = vec![address::add_for(&Address::new(link.index, lease.address.into()), left)];
    requests.extend(routes(interface, number, lease, link.index));
    Ok(socket.run(requests)?)
}

/// Takes an address from a link, and with it the routes that packets with it take. It may be gone already.
///
/// # Errors
/// [`DhcpError`].
pub fn remove(netns: BorrowedFd<'_>, interface: &Interface, address: Ipv4Net) -> Result<(), DhcpError> {
    let mut socket = Socket::within(netns)?;
    let link = match find(&mut socket, &interface.inside) {
        Ok(link) => link,
        Err(DhcpError::Gone(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let delete = address::delete(&Address::new(link.index, address.into())).tolerating(GONE);
    Ok(socket.run([delete])?)
}

fn find(socket: &mut Socket, name: &str) -> Result<Link, DhcpError> {
    socket.link(name)?.ok_or_else(|| DhcpError::Gone(name.to_owned()))
}

fn routes(interface: &Interface, number: usize, lease: &Lease, link: u32) -> Vec<Request<'static>> {
    let said = interface.routers.iter().any(IpAddr::is_ipv4);
    let metric = METRIC.saturating_add(u32::try_from(number).unwrap_or(u32::MAX));
    let heeded = lease.routes.iter().filter(|route| !said || route.to.prefix_len() > 0);
    let make = |leased: &super::message::Route| {
        let source = Some(IpAddr::V4(lease.address.addr()));
        let to = IpNet::V4(leased.to);
        let onlink = leased.via.is_some_and(|router| !lease.address.contains(&router));
        let base = match leased.via {
            Some(router) => Route {
                via: Some(router.into()),
                scope: Default::default(),
                onlink,
                ..Route::on_link(to, link)
            },
            None => Route::on_link(to, link),
        };
        // What is sent from the address goes by them, and they go with it.
        route::replace(&Route { source, protocol: DHCP, metric: Some(metric), ..base })
    };
    // A router may be reached by a route of the lease: that one first.
    let (direct, by): (Vec<_>, Vec<_>) = heeded.partition(|route| route.via.is_none());
    direct.into_iter().chain(by).map(make).collect()
}
