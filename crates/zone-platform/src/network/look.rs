//! What can be told of a zone's network before anything is made.

use std::collections::HashSet;
use std::net::IpAddr;

use zone_config::{Index, Layout, ZoneConfig, ZoneName};
use zone_net::build::physical::PhysicalRecord;
use zone_net::managed::{self, ManagedError, Network};
use zone_net::names::Owner;
use zone_net::nft;
use zone_net::plan::{Host, Plan, PlanError};
use zone_net::record::Record;
use zone_net::spec::{Addresses, Lower, NetworkSpec, PortSpec};
use zone_net::{firewall, foreign};

use super::{NetworkError, asked};
use crate::PlatformError;
use crate::check::{Check, Purpose};

/// Looks whether the zone's nets and ports could be built, and keeps what the host has for whoever builds them.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let spec = check.spec;
    if spec.network.nets.is_empty() {
        return Ok(());
    }
    let owner = Owner { installation: check.layout.id(), zone: &spec.zone };
    let mut host = Host::look(&spec.network).map_err(NetworkError::from)?;
    if check.purpose != Purpose::BringUp {
        // What the zone has taken from the host is there again when it boots anew. What cannot be read is no record.
        let record = Record::load(check.layout, &spec.zone).ok().flatten().unwrap_or_default();
        host.expect(record.physical.iter().map(PhysicalRecord::link));
    }
    let managed = managed(check.layout, &spec.network)?;
    let plan = Plan { owner, spec: &spec.network, host: &host, managed: managed.as_ref() };
    if plan.needs_rules() {
        // All kinds of rules take the kernel longer to try than a zone to boot; there they are refused when they are made.
        let all = matches!(check.purpose, Purpose::Verify { .. });
        let has = if all { nft::supported() } else { nft::present() };
        has.map_err(NetworkError::NoRules)?;
    }
    for problem in plan.problems() {
        check.fail(NetworkError::from(problem));
    }
    let conflicts = conflicts(check.layout, &spec.zone, &spec.network, check.purpose)?;
    let told = !conflicts.is_empty();
    conflicts.into_iter().for_each(|problem| check.fail(problem));
    if let (Some(network), Purpose::Verify { .. }) = (&managed, check.purpose) {
        let checks = [
            managed::check_bridge(check.layout, network),
            managed::rehearse(check.layout, network, &spec.zone, wanted(&spec.network)),
        ];
        // An address of another zone has been told.
        let new = |error: &ManagedError| !(told && matches!(error, ManagedError::Taken { .. }));
        let errors = checks.into_iter().filter_map(Result::err).filter(new);
        errors.for_each(|error| check.fail(NetworkError::from(error)));
    }
    for port in &spec.network.ports {
        if let Some(address) = port.host.filter(|address| host.owner_of(*address).is_none()) {
            check.warn(format!(
                "port {} is for {address}, which is no address of this host now: until it is one, nothing comes in there",
                port.first
            ));
        }
    }
    if let (Some(network), Purpose::Verify { warns: true, .. }) = (&managed, check.purpose) {
        foreign::look(&network.bridge)
            .map_err(NetworkError::Foreign)?
            .iter()
            .for_each(|finding| check.warn(finding.to_string()));
    }
    check.found.host = Some(host);
    check.found.managed = managed;
    Ok(())
}

/// What the zone's nets in the managed network are to have of it: the addresses given, or any.
fn wanted(asked: &NetworkSpec) -> impl Iterator<Item = (&str, Option<Vec<IpAddr>>)> {
    let managed = asked.nets.iter().filter(|net| net.lower == Lower::Managed);
    managed.filter_map(|net| {
        let given = match &net.addresses {
            Addresses::Managed => None,
            Addresses::Given(given) => Some(given.iter().map(|address| address.ip).collect()),
            Addresses::Dhcp => return None,
        };
        Some((net.physical.as_str(), given))
    })
}

/// The managed network, if the zone uses it and it was chosen before.
fn managed(layout: &Layout, asked: &NetworkSpec) -> Result<Option<Network>, NetworkError> {
    if !asked.uses_managed() {
        return Ok(None);
    }
    Ok(Network::on_host_if_chosen(layout)?)
}

/// What another zone has of the network.
struct Other {
    zone: ZoneName,
    addresses: Vec<IpAddr>,
    ports: Vec<PortSpec>,
}

/// Looks whether somebody else has an address or a port of the zone. A zone that is down has none, but `verify` tells of it too.
fn conflicts(
    layout: &Layout,
    zone: &ZoneName,
    asked: &NetworkSpec,
    purpose: Purpose,
) -> Result<Vec<NetworkError>, NetworkError> {
    let given = given(asked);
    if given.is_empty() && asked.ports.is_empty() {
        return Ok(Vec::new());
    }
    let mut problems = Vec::new();
    let others = others(layout, zone, purpose)?;
    for (net, address) in given {
        if let Some(other) = others.iter().find(|other| other.addresses.contains(&address)) {
            let zone = other.zone.to_string();
            problems.push(PlanError::ZonesAddress { net: net.to_owned(), address, zone }.into());
        }
    }
    let ports = others.iter().map(|other| (&other.zone, other.ports.as_slice()));
    problems.extend(firewall::free(&asked.ports, ports).map_err(NetworkError::from).err());
    Ok(problems)
}

/// The addresses that the configuration gives, each with the name of its net.
fn given(asked: &NetworkSpec) -> Vec<(&str, IpAddr)> {
    let mut all = Vec::new();
    for net in &asked.nets {
        if let Addresses::Given(given) = &net.addresses {
            all.extend(given.iter().map(|address| (net.physical.as_str(), address.ip)));
        }
    }
    all
}

/// What the zones have that may be up; for whoever is to tell of all, what the others are configured to have, too.
fn others(layout: &Layout, zone: &ZoneName, purpose: Purpose) -> Result<Vec<Other>, NetworkError> {
    let mut others = Vec::new();
    for zone in layout.run_zones().filter(|other| other != zone) {
        // What cannot be read of another zone is for that zone to complain about.
        if let Ok(Some(record)) = Record::load(layout, &zone) {
            // What a zone has by DHCP its own root may have made up: nobody else is to be kept from booting by that.
            let known = record.interfaces.iter().filter(|interface| !interface.dhcp);
            let nets = known.flat_map(|interface| &interface.addresses);
            let addresses = nets.map(ipnet::IpNet::addr).collect();
            others.push(Other { zone, addresses, ports: record.ports });
        }
    }
    // A zone that lives is looked at before it is booted anew, which no zone that is down keeps it from.
    if purpose == Purpose::BringUp || layout.zone_network(zone).exists() {
        return Ok(others);
    }
    let known: HashSet<ZoneName> = others.iter().map(|other| other.zone.clone()).collect();
    let index = Index::load(layout)?;
    for entry in index.entries().filter(|entry| entry.name != *zone && !known.contains(&entry.name)) {
        if let Ok(config) = ZoneConfig::load(layout, &entry.name) {
            let network = asked(&config);
            let addresses = given(&network).into_iter().map(|(_, address)| address).collect();
            others.push(Other { zone: entry.name.clone(), addresses, ports: network.ports });
        }
    }
    Ok(others)
}
