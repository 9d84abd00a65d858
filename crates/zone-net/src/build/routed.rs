//! The host's side of a routed interface: it is the zone's router, and answers for it on a network.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustix::io::Errno;

use super::{NetError, ROUTER_V4, ROUTER_V6, link, set_if_there};
use crate::Interface;
use crate::rt::address::{Address, Scope};
use crate::rt::neighbour::{Proxy, add_proxy};
use crate::rt::route::ZONES;
use crate::rt::sysctl::Setting;
use crate::rt::{Request, Route, Socket, address, link as links, route};

/// Settles how the host's end behaves, before it is up.
pub(super) fn prepare(interface: &Interface) -> Result<(), NetError> {
    let end = &*interface.host;
    // The zone may ask for any address that it believes on its link, a router that was said above all.
    Setting::v4(end, "proxy_arp").set("1")?;
    set_if_there(Setting::v6(end, "proxy_ndp"), "1")?;
    // A zone tells the host nothing about routers, whether there are rules against it or not.
    set_if_there(Setting::v6(end, "accept_ra"), "0")?;
    set_if_there(Setting::v6(end, "accept_redirects"), "0")?;
    Setting::v4(end, "accept_redirects").set("0")?;
    Ok(())
}

/// Sets the host's end up, with its address, the routes to the zone, and the addresses that the host answers for.
pub(super) fn set_up(host: &mut Socket, interface: &Interface, uplink: Option<&str>) -> Result<(), NetError> {
    set_up_beside(host, interface, uplink, &[])
}

fn set_up_beside(
    host: &mut Socket,
    interface: &Interface,
    uplink: Option<&str>,
    there: &[Route],
) -> Result<(), NetError> {
    let end = link(host, &interface.host)?.index;
    let mut requests: Vec<_> = own(interface, end, uplink.is_some()).collect();
    requests.push(links::change(end).up().request());
    requests.extend(
        said_routers(interface).map(|address| add_proxy(&Proxy { link: end, address, protocol: ZONES })),
    );
    let missing = routes(interface, end);
    let missing = missing.iter().filter(|wanted| !there.iter().any(|route| is_same(wanted, route)));
    requests.extend(missing.map(route::add));
    host.run(requests)?;
    match uplink {
        // Routes first: a proxy entry without its route belongs to nobody, and goes with the next zone that goes.
        Some(uplink) => answer(host, interface, uplink),
        None => Ok(()),
    }
}

/// Sets the host's end up as [`set_up`] does, where some of it is there, and takes back the routes by it that lead to nothing of
/// the zone any more.
pub(super) fn again(host: &mut Socket, interface: &Interface, uplink: Option<&str>) -> Result<(), NetError> {
    let end = link(host, &interface.host)?.index;
    let mut there = host.routes_by(ZONES)?;
    there.retain(|route| route.link == Some(end));
    let wanted = routes(interface, end);
    let stale = there.iter().filter(|route| !wanted.iter().any(|wanted| is_same(wanted, route)));
    host.run(stale.map(|route| route::delete(route).tolerating(&[Errno::SRCH])))?;
    set_up_beside(host, interface, uplink, &there)
}

fn is_same(one: &Route, two: &Route) -> bool {
    (one.destination, one.via, one.link) == (two.destination, two.via, two.link)
}

/// Has the host answer for the zone's addresses on the network of its uplink. Idempotent.
pub(super) fn answer(host: &mut Socket, interface: &Interface, uplink: &str) -> Result<(), NetError> {
    let network = link(host, uplink)?;
    let single: Vec<_> =
        reachable(interface).filter(|net| net.prefix_len() == net.max_prefix_len()).collect();
    if single.iter().any(|net| net.addr().is_ipv6()) {
        let setting = Setting::v6(&network.name, "proxy_ndp");
        if setting.get()? != "1" {
            setting.set("1")?;
        }
    }
    let proxies =
        single.iter().map(|net| Proxy { link: network.index, address: net.addr(), protocol: ZONES });
    let requests: Vec<_> = proxies.map(|proxy| add_proxy(&proxy)).collect();
    Ok(host.run(requests)?)
}

/// The addresses of the host's end. With an uplink the host has addresses of a network: then packets of its own to the zone
/// come from one of those, for which this one is of the least scope. Without, it may have no other.
fn own(interface: &Interface, end: u32, uplink: bool) -> impl Iterator<Item = Request<'static>> {
    const LINK_LOCAL: u8 = 64;
    let has = |v4: bool| interface.addresses.iter().any(|net| net.addr().is_ipv4() == v4);
    let scope = if uplink { Scope::Host } else { Scope::Link };
    let v4 = has(true).then(|| Address { scope, ..Address::new(end, IpNet::V4(Ipv4Net::from(ROUTER_V4))) });
    let v6 = Ipv6Net::new(ROUTER_V6, LINK_LOCAL).ok().filter(|_| has(false));
    let v6 = v6.map(|net| Address::new(end, IpNet::V6(net)));
    v4.into_iter().chain(v6).map(|address| address::add(&address))
}

/// Routers that were said and that the kernel has no answer for without an entry. For IPv4 `proxy_arp` is enough.
fn said_routers(interface: &Interface) -> impl Iterator<Item = IpAddr> {
    interface.routers.iter().copied().filter(|router| router.is_ipv6() && *router != IpAddr::V6(ROUTER_V6))
}

/// What the host has a route to: the zone's addresses, each by itself whatever its prefix, and what it may use beside
/// them. Leave to use every address is no route to everywhere.
fn reachable(interface: &Interface) -> impl Iterator<Item = IpNet> {
    let addresses = interface.addresses.iter().map(|net| IpNet::from(net.addr()));
    let allowed = interface.allowed.iter().filter(|net| net.prefix_len() > 0).map(IpNet::trunc);
    let covered = |net: &IpNet| interface.addresses.iter().any(|own| IpNet::from(own.addr()) == *net);
    addresses.chain(allowed.filter(move |net| !covered(net)))
}

fn routes(interface: &Interface, end: u32) -> Vec<Route> {
    let by = |net: &IpNet| {
        let whole = net.prefix_len() < net.max_prefix_len();
        let family = |own: &&IpNet| own.addr().is_ipv4() == net.addr().is_ipv4();
        interface.addresses.iter().find(family).filter(|_| whole).map(IpNet::addr)
    };
    let routes = reachable(interface).map(|net| {
        // A prefix is the zone's to hand on: it is asked for none of its addresses.
        let via = by(&net);
        let scope = if via.is_some() { Scope::Global } else { Scope::Link };
        Route { protocol: ZONES, via, scope, ..Route::on_link(net, end) }
    });
    routes.collect()
}
