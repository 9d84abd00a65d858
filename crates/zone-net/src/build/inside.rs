//! The zone's side of its interfaces: done by a thread that is in the zone's network namespace.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use super::{NetError, ROUTER_V4, ROUTER_V6, set_if_there};
use crate::Interface;
use crate::interface::Attachment;
use crate::rt::address::Address;
use crate::rt::link::{Generation, change};
use crate::rt::sysctl::Setting;
use crate::rt::{Link, Request, Route, Socket, address, route};

/// Configures all interfaces and the loopback in the network namespace of the calling thread.
pub(super) fn configure(interfaces: &[Interface]) -> Result<(), NetError> {
    let mut socket = Socket::here()?.inside();
    socket.run([change("lo").up().request()])?;
    let mut metrics = Metrics::beside(|_, _| false);
    for interface in interfaces {
        let gone = || NetError::Vanished(interface.inside.clone());
        let link = socket.link(&interface.inside)?.ok_or_else(gone)?;
        let told = !interface.addresses.is_empty() || !interface.routers.is_empty();
        if told {
            // A router of the network must not say anything else than the administrator does.
            set_if_there(Setting::v6(&interface.inside, "accept_ra"), "0")?;
        }
        socket.run(requests(interface, &link, &mut metrics))?;
    }
    Ok(())
}

/// The metrics of the default routes: the first one said is the best, whichever interface it is of.
pub(super) struct Metrics<F> {
    v4: u32,
    v6: u32,
    /// Those that somebody else's routes have.
    taken: F,
}

impl<F: Fn(IpAddr, u32) -> bool> Metrics<F> {
    /// Gives those that are not `taken`.
    pub(super) fn beside(taken: F) -> Self {
        Self { v4: 0, v6: 0, taken }
    }

    fn next(&mut self, router: IpAddr) -> u32 {
        /// What IPv6 takes for none (`IP6_RT_PRIO_USER`).
        const BASE: u32 = 1024;
        let (metric, base) = if router.is_ipv4() { (&mut self.v4, 0) } else { (&mut self.v6, BASE) };
        loop {
            *metric += 1;
            if !(self.taken)(router, base + *metric - 1) {
                return base + *metric - 1;
            }
        }
    }
}

pub(super) fn requests<F: Fn(IpAddr, u32) -> bool>(
    interface: &Interface,
    link: &Link,
    metrics: &mut Metrics<F>,
) -> Vec<Request<'static>> {
    let routed = matches!(interface.attachment, Attachment::Routed { .. });
    let mut set = change(link.index);
    // What is made here was made with its MTU; what has moved in was not.
    if let Some(mtu) = interface.mtu.filter(|mtu| *mtu != link.mtu) {
        set = set.mtu(mtu);
    }
    let mut requests = vec![set.generation(Generation::Eui64).request()];
    requests.extend(link_local(interface, link).map(|net| address::add(&Address::new(link.index, net))));
    requests.extend(
        interface
            .addresses
            .iter()
            .map(|net| address::add(&Address { no_prefix_route: routed, ..Address::new(link.index, *net) })),
    );
    requests.push(change(link.index).up().request());
    requests.extend(routers(interface).into_iter().map(|router| {
        let metric = Some(metrics.next(router));
        let onlink = routed || !interface.addresses.iter().any(|net| net.contains(&router));
        // A link-local router is on the link by what it is.
        let onlink = onlink && !is_link_local_v6(router);
        route::add(&Route { onlink, metric, ..Route::default_by(router, link.index) })
    }));
    requests
}

/// The routers of the default routes, of each family that the zone has addresses of.
pub(super) fn routers(interface: &Interface) -> Vec<IpAddr> {
    let mut routers = interface.routers.clone();
    if matches!(interface.attachment, Attachment::Routed { .. }) {
        for router in [IpAddr::V4(ROUTER_V4), IpAddr::V6(ROUTER_V6)] {
            let same = |address: IpAddr| address.is_ipv4() == router.is_ipv4();
            let used = interface.addresses.iter().any(|net| same(net.addr()));
            if used && !interface.routers.iter().any(|said| same(*said)) {
                routers.push(router);
            }
        }
    }
    routers
}

/// The link-local address that the kernel would form, but after a second of looking for another one that has it: with
/// nothing but that as a source, what a zone's init sends first would wait. An ipvlan shares its Ethernet address, so the
/// kernel forms another one there.
fn link_local(interface: &Interface, link: &Link) -> Option<IpNet> {
    const PREFIX: u8 = 64;
    let v6 = interface.addresses.iter().any(|net| net.addr().is_ipv6());
    let own = !matches!(interface.attachment, Attachment::Ipvlan { .. });
    let mac = link.mac.filter(|_| v6 && own)?;
    Ipv6Net::new(mac.link_local(), PREFIX).ok().map(IpNet::V6)
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
