//! What the host has that a range could meet.

use std::collections::{BTreeSet, HashMap};

use crate::rt::route::{LOCAL, UNICAST, ZONES};
use crate::rt::{Address, Link, Route, Socket};

use super::{HostPrefix, ManagedError};

/// The kind of a route that drops what it is for (`RTN_BLACKHOLE`): somebody keeps the prefix for something.
/// One that refuses it (`RTN_UNREACHABLE`, `RTN_PROHIBIT`) says that nobody has it.
const BLACKHOLE: u8 = 6;

/// Lists the prefixes of the routes and addresses of the host, but for those on this bridge and those that
/// lead to zones.
pub(super) fn prefixes(socket: &mut Socket, bridge: &str) -> Result<Vec<HostPrefix>, ManagedError> {
    let (addresses, routes) = (socket.addresses(None)?, socket.routes()?);
    // Afterwards: what is on a link that is not there now has gone with it meanwhile, the bridge's own too.
    let of_routes = routes.iter().filter(is_others).filter_map(|route| route.link);
    let links = links(socket, addresses.iter().map(|address| address.link).chain(of_routes).collect())?;
    Ok(without_ours(&links, &addresses, &routes, bridge))
}

/// Finds links: a host of many zones has many more than those.
fn links(socket: &mut Socket, wanted: BTreeSet<u32>) -> Result<Vec<Link>, ManagedError> {
    /// So many are asked for one by one, more are listed.
    const FEW: usize = 16;
    if wanted.len() > FEW {
        return Ok(socket.links()?);
    }
    let found = wanted.into_iter().filter_map(|index| socket.link(index).transpose());
    Ok(found.collect::<Result<_, _>>()?)
}

/// Tells whether a route leads to a network of somebody else's.
fn is_others(route: &&Route) -> bool {
    route.table != LOCAL && route.protocol != ZONES && matches!(route.kind, UNICAST | BLACKHOLE)
}

fn without_ours(links: &[Link], addresses: &[Address], routes: &[Route], bridge: &str) -> Vec<HostPrefix> {
    let names: HashMap<u32, &str> = links.iter().map(|link| (link.index, link.name.as_str())).collect();
    let name = |index: u32| names.get(&index).copied();
    let own = addresses.iter().map(|address| (Some(address.link), address.net.trunc()));
    let routed = routes.iter().filter(is_others).map(|route| (route.link, route.destination));
    let mut all: Vec<HostPrefix> = Vec::new();
    for (link, prefix) in own.chain(routed) {
        let link = match link.map(name) {
            Some(None) => continue,
            Some(Some(name)) if name == bridge => continue,
            link => link.flatten().map(str::to_owned),
        };
        let found = HostPrefix { prefix, link };
        // An address brings a route to its prefix.
        if !all.contains(&found) {
            all.push(found);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::route::STATIC;

    #[test]
    fn what_zones_have_is_not_the_hosts() {
        let link = |index, name: &str| Link { index, name: name.to_owned(), ..Link::default() };
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "zones0"), link(4, "z0123456789n0")];
        let net = |text: &str| text.parse().unwrap();
        let addresses = [
            Address::new(2, net("192.0.2.5/24")),
            Address::new(3, net("10.160.0.1/20")),
            Address::new(2, net("2001:db8::5/64")),
        ];
        let route = |destination, link| Route { link, ..Route::on_link(net(destination), 0) };
        let routes = [
            route("192.0.2.0/24", Some(2)),
            route("0.0.0.0/0", Some(2)),
            route("10.160.0.0/20", Some(3)),
            Route { protocol: ZONES, ..route("10.160.0.9/32", Some(4)) },
            Route { protocol: STATIC, ..route("10.8.0.0/16", None) },
            Route { kind: BLACKHOLE, ..route("10.9.0.0/16", None) },
            Route { kind: 7, ..route("fd00::/8", None) },
            route("10.7.0.0/16", Some(9)),
            Route { table: LOCAL, ..route("192.0.2.5/32", Some(2)) },
        ];
        let found = without_ours(&links, &addresses, &routes, "zones0");
        let shown: Vec<String> = found.iter().map(HostPrefix::to_string).collect();
        assert_eq!(
            shown,
            [
                "192.0.2.0/24 (dev eth0)",
                "2001:db8::/64 (dev eth0)",
                "0.0.0.0/0 (dev eth0)",
                "10.8.0.0/16",
                "10.9.0.0/16"
            ]
        );
    }
}
