//! Building the network of a zone, before there is a first process in it.

use std::net::IpAddr;

use ipnet::IpNet;
use rustix::fd::{AsFd, OwnedFd};
use zone_config::Layout;
use zone_net::build::{self as links, physical};
use zone_net::interface::Attachment;
use zone_net::managed::{self, ManagedError, Network};
use zone_net::names::Owner;
use zone_net::plan::{Host, Plan};
use zone_net::record::Record;
use zone_net::spec::{Addresses, Lower, NetworkSpec, PortSpec};
use zone_net::{Interface, foreign, guard, rt};

use super::publish::{answer_loopback, forward, publish};
use super::{NetworkError, dhcp, inside};
use crate::build::missing;
use crate::{Build, PlatformError};

/// Makes the links, rules and addresses of a zone. What is to be is recorded before anything of it is.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    if build.spec.network.nets.is_empty() {
        // Nothing but loopback; of a shared zone that, too, is only the host's to change.
        if build.spec.network.is_shared() {
            let netns = namespace(build)?;
            links::configure(&[], netns.as_fd()).map_err(NetworkError::from)?;
            build.netns = Some(netns);
        }
        inside::describe_loopback(build)?;
        return Ok(());
    }
    let host = build.found.host.take().ok_or(missing("network", "check"))?;
    let netns = namespace(build)?;
    let mut record = make(build, &host, &netns)?;
    let owner = Owner { installation: build.layout.id(), zone: &build.spec.zone };
    dhcp::first(build, owner, &mut record, netns.as_fd())?;
    inside::describe(build, &record)?;
    build.netns = Some(netns);
    Ok(())
}

/// Gives the namespace that the links are for: the zone's, or for a shared zone one of the host's user namespace.
fn namespace(build: &mut Build<'_>) -> Result<OwnedFd, NetworkError> {
    if build.spec.network.is_shared() {
        let failed = |errno: rustix::io::Errno| NetworkError::Namespace(errno.into());
        let netns = rt::namespace::make().map_err(failed)?;
        if let Some(ids) = build.spec.ids {
            // In one of its own the zone's first process does the one itself, and its root needs no leave for the other.
            let allow = || {
                rt::sysctl::allow_ping(ids.base, ids.base + (ids.count - 1))?;
                rt::sysctl::allow_low_ports()
            };
            rt::namespace::within(netns.as_fd(), allow).map_err(failed)??;
        }
        return Ok(netns);
    }
    build.namespaces.network(build.userns.as_fd()).map_err(NetworkError::Namespace)
}

fn make(build: &mut Build<'_>, host: &Host, netns: &OwnedFd) -> Result<Record, NetworkError> {
    let (layout, spec) = (build.layout, build.spec);
    let asked = &spec.network;
    let owner = Owner { installation: layout.id(), zone: &spec.zone };
    let network = match build.found.managed.take() {
        None if asked.uses_managed() => Some(Network::on_host(layout)?),
        found => found,
    };
    let leases = match &network {
        Some(network) => lease(layout, owner, asked, network)?,
        None => Vec::new(),
    };
    let plan = Plan { owner, spec: asked, host, managed: network.as_ref() };
    let interfaces = plan.interfaces(|number| leases.get(number).cloned().unwrap_or_default())?;
    guard::check(&interfaces)?;
    let mut record = record(network.is_some(), &interfaces, &asked.ports)?;
    record.hostname.clone_from(&spec.hostname);
    record.save(layout, &spec.zone)?;
    zone_fail::pass!("network.recorded");
    // Until the zone's links are there, this keeps the last other zone from taking the network along.
    let ready = network.as_ref().map(|network| managed::ensure(layout, network)).transpose()?;
    let vlans = record.shares_vlan_link() && ready.is_none();
    let _lock = vlans.then(|| managed::lock(layout)).transpose()?;
    if ready.is_some() {
        zone_fail::pass!("network.managed");
    }
    let mut told = ready.as_ref().map(|ready| ready.told.clone()).unwrap_or_default();
    if let Some(network) = &network {
        // Not touched, but told: with them the zone would be cut off without a word.
        let others = foreign::look(&network.bridge).map_err(NetworkError::Foreign)?;
        told.extend(others.iter().map(ToString::to_string));
    }
    told.extend(forward(&interfaces, !asked.ports.is_empty())?);
    if record.keeps_namespace() {
        physical::pin(netns.as_fd(), &layout.zone_netns(&spec.zone))?;
        zone_fail::pass!("network.pinned");
    }
    links::create(&interfaces, netns.as_fd())?;
    zone_fail::pass!("network.linked");
    // Before a link of the host is up: no frame passes before its rules.
    guard::apply(owner, &interfaces)?;
    zone_fail::pass!("network.guarded");
    publish(owner, &interfaces, &asked.ports)?;
    zone_fail::pass!("network.published");
    links::configure(&interfaces, netns.as_fd())?;
    answer_loopback(&interfaces, &asked.ports, network.as_ref())?;
    zone_fail::pass!("network.configured");
    told.into_iter().for_each(|sentence| build.warn(sentence));
    Ok(record)
}

/// Has addresses of the managed network given to the nets that want some, and those set aside that were given by hand.
pub(super) fn lease(
    layout: &Layout,
    owner: Owner<'_>,
    asked: &NetworkSpec,
    network: &Network,
) -> Result<Vec<Vec<IpNet>>, ManagedError> {
    let names: Vec<&str> = asked.nets.iter().map(|net| net.physical.as_str()).collect();
    managed::retain(layout, owner.zone, &names)?;
    let one = |net: &zone_net::spec::NetSpec| match &net.addresses {
        Addresses::Managed => managed::allocate(layout, network, owner.zone, &net.physical),
        Addresses::Given(given) if net.lower == Lower::Managed => {
            let addresses: Vec<IpAddr> = given.iter().map(|address| address.ip).collect();
            managed::reserve(layout, network, owner.zone, &net.physical, &addresses).map(|()| Vec::new())
        }
        _ => Ok(Vec::new()),
    };
    asked.nets.iter().map(one).collect()
}

fn record(managed: bool, interfaces: &[Interface], ports: &[PortSpec]) -> Result<Record, NetworkError> {
    let mut record = Record::new(managed, interfaces.to_vec(), ports.to_vec());
    for interface in interfaces {
        if let Attachment::Physical { link } = &interface.attachment {
            record.physical.push(physical::record(link)?);
        }
    }
    Ok(record)
}
