use std::net::IpAddr;

use rustix::fd::AsFd;

use super::*;
use crate::interface::Attachment;
use crate::needs_program;
use crate::rt::bridge::{self, Bridge};
use crate::rt::link as links;
use crate::testing::{Zone, alone, echo, json, mac, namespace, nets, run, within};

mod attached;
mod gone;

/// A bridge with an address, as the managed network has one.
fn managed() {
    let bridge = Bridge { name: "br0", mac: mac("02:00:00:00:00:0b"), mtu: None, filters_vlans: false };
    let mut host = Socket::here().unwrap();
    host.run([bridge::create(&bridge)]).unwrap();
    run("ip addr add 10.1.0.1/24 dev br0");
    run("ip addr add fd00:1::1/64 dev br0 nodad");
    host.run([links::change("br0").up().request()]).unwrap();
}

fn on_bridge() -> Attachment {
    Attachment::Bridge { bridge: "br0".to_owned(), vlan: None }
}

/// The network of a host's uplink, with another host on it: `up0` here, `far0` there.
fn uplink() -> rustix::fd::OwnedFd {
    let far = namespace();
    let mut host = Socket::here().unwrap();
    let end = links::End { name: "up0", mac: mac("02:00:00:00:01:01"), mtu: None };
    let peer = links::End { name: "far0", mac: mac("02:00:00:00:01:02"), mtu: None };
    host.run([links::create_veth(&end, &peer, far.as_fd())]).unwrap();
    run("ip addr add 192.0.2.1/24 dev up0");
    run("ip addr add 2001:db8::1/64 dev up0 nodad");
    run("ip link set up0 up");
    within(&far, || {
        run("ip addr add 192.0.2.2/24 dev far0");
        run("ip addr add 2001:db8::2/64 dev far0 nodad");
        run("ip link set far0 up");
    });
    far
}

fn forward() {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many links, routes of ours and entries of ours there are.
fn left() -> (usize, usize, usize) {
    let mut host = Socket::here().unwrap();
    let routes =
        host.routes().unwrap().into_iter().filter(|route| route.protocol == rt::route::ZONES).count();
    (host.links().unwrap().len(), routes, host.proxies().unwrap().len())
}
