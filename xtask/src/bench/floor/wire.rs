//! The least that a net on a bridge can cost: a veth pair with one end as a port and the other in the container, an address
//! and a default route of each family, and a chain at the port that drops forged sources. Messages to the kernel, as few as
//! it takes, and nothing else.

use anyhow::{Context, Result};
use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Pid;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use zone_net::Mac;
use zone_net::nft::{ChainType, Family, Field, Hook, HookPoint, Rule, Transaction};
use zone_net::rt::link::{End, Generation, change, create_veth};
use zone_net::rt::{Address, Route, Socket, address, bridge, link, namespace, route};

/// The addresses of a net.
pub(in crate::bench) struct Net {
    /// Where the container reaches the host.
    pub(in crate::bench) host: &'static str,
    /// The host's, which is the router, of each family.
    routers: [&'static str; 2],
    /// The container's.
    addresses: [&'static str; 2],
}

/// The net of a bridge.
pub(in crate::bench) const BRIDGED: Net = Net {
    host: "10.213.77.1",
    routers: ["10.213.77.1/24", "fd5a:77::1/64"],
    addresses: ["10.213.77.2/24", "fd5a:77::2/64"],
};

/// The net of a pair that is no bridge's.
pub(in crate::bench) const BARE: Net = Net {
    host: "10.213.78.1",
    routers: ["10.213.78.1/24", "fd5a:78::1/64"],
    addresses: ["10.213.78.2/24", "fd5a:78::2/64"],
};

const MAC: Mac = Mac([0x02, 0x5a, 0x77, 0, 0, 2]);

/// A bridge for the floor, until it is dropped.
pub(in crate::bench) struct Bridge(&'static str);

impl Bridge {
    /// Makes one, up and with its addresses.
    pub(in crate::bench) fn make(name: &'static str) -> Result<Self> {
        let mut socket = Socket::here()?;
        let mac = Mac([0x02, 0x5a, 0x77, 0, 0, 1]);
        socket.run([bridge::create(&bridge::Bridge { name, mac, mtu: None, filters_vlans: false })])?;
        let made = Self(name);
        have(&mut socket, name, BRIDGED.routers)?;
        Ok(made)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Socket::here().and_then(|mut socket| socket.run([link::delete(self.0)]));
    }
}

/// A net that was made.
pub(in crate::bench) struct Wire {
    table: String,
}

impl Wire {
    /// Connects the network namespace of a process with a bridge.
    pub(super) fn lay(bridge: &str, pid: Pid) -> Result<Self> {
        /// Its last one may not have gone yet.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("floor{}", COUNT.fetch_add(1, Ordering::Relaxed));
        bridged_pair(bridge, &name, pid, || guard(&name))?;
        Ok(Self { table: name })
    }

    /// Removes its rules; the rest goes with the container.
    pub(super) fn take_up(self) -> Result<()> {
        let mut transaction = Transaction::new();
        transaction.delete_table(Family::Netdev, &self.table);
        Ok(transaction.commit()?)
    }
}

/// Connects the network namespace of a process with a bridge by a pair whose port has this name. It is set up when it is `guarded`.
pub(in crate::bench) fn bridged_pair(
    bridge: &str,
    name: &str,
    pid: Pid,
    guarded: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
    let netns = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut socket = Socket::here()?;
    let master = socket.link(bridge)?.context("the bridge has gone")?.index;
    let end = End { name, mac: Mac([0xfe, 0x5a, 0x77, 0, 0, 2]), mtu: None };
    let peer = End { name: "eth0", mac: MAC, mtu: None };
    socket.run([
        create_veth(&end, &peer, netns.as_fd()),
        change(name).master(master).generation(Generation::None).request(),
    ])?;
    namespace::within(netns.as_fd(), || inside(&BRIDGED))??;
    guarded()?;
    Ok(socket.run([change(name).up().request()])?)
}

/// Connects the network namespace of a process with the caller's by a pair alone: no bridge, no rule. The caller's end has the
/// address of [`BARE`].
pub(in crate::bench) fn bare_pair(pid: Pid) -> Result<()> {
    let path = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
    let netns = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut socket = Socket::here()?;
    let end = End { name: "bare0", mac: Mac([0xfe, 0x5a, 0x77, 0, 0, 3]), mtu: None };
    let peer = End { name: "eth0", mac: MAC, mtu: None };
    socket.run([create_veth(&end, &peer, netns.as_fd())])?;
    have(&mut socket, "bare0", BARE.routers)?;
    namespace::within(netns.as_fd(), || inside(&BARE))?
}

/// Gives a link of the host its addresses, and sets it up.
fn have(socket: &mut Socket, name: &str, routers: [&str; 2]) -> Result<()> {
    let index = socket.link(name)?.context("the link has gone")?.index;
    let mut requests = Vec::new();
    for net in routers {
        requests.push(address::add(&Address::new(index, net.parse()?)));
    }
    requests.push(change(index).up().request());
    Ok(socket.run(requests)?)
}

/// In the container's network.
fn inside(net: &Net) -> Result<()> {
    let mut socket = Socket::here()?;
    let index = socket.link("eth0")?.context("the link has gone")?.index;
    let mut requests = vec![change("lo").up().request()];
    for address in net.addresses {
        requests.push(address::add(&Address::new(index, address.parse()?)));
    }
    requests.push(change(index).up().request());
    for router in net.routers {
        let router: ipnet::IpNet = router.parse()?;
        requests.push(route::add(&Route::default_by(router.addr(), index)));
    }
    Ok(socket.run(requests)?)
}

/// Drops what comes from the container with another source.
fn guard(name: &str) -> Result<()> {
    let (family, chain) = (Family::Netdev, "guard");
    let mut rules = Transaction::new();
    rules.table(family, name);
    let (kind, point) = (ChainType::Filter, HookPoint::NetdevIngress);
    rules.chain(family, name, chain, Some(&Hook { kind, point, priority: 0, device: Some(name) }));
    rules.rule(family, name, chain, Rule::new().ether().is_not(Field::ETHER_SOURCE, &MAC.0).drop());
    for net in BRIDGED.addresses {
        let rule = match net.parse::<ipnet::IpNet>()?.addr() {
            IpAddr::V4(address) => Rule::new().ip().is_not(Field::IP_SOURCE, &address.octets()),
            IpAddr::V6(address) => Rule::new().ip6().is_not(Field::IP6_SOURCE, &address.octets()),
        };
        rules.rule(family, name, chain, rule.drop());
    }
    Ok(rules.commit()?)
}
