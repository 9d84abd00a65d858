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
    for net in plan.muted() {
        check.warn(format!(
            "net {net} has no address, and its link-protection lets nothing of IPv4 out of it: set address, or allowed-address to the prefix that the zone takes one of, or link-protection without ip-nospoof"
        ));
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
    if given(asked).is_empty() && asked.ports.is_empty() {
        return Ok(Vec::new());
    }
    let others = others(layout, zone, purpose)?;
    let mut problems = addresses_of_others(asked, &others);
    let ports = others.iter().map(|other| (&other.zone, other.ports.as_slice()));
    problems.extend(firewall::free(&asked.ports, ports).map_err(NetworkError::from).err());
    Ok(problems)
}

/// Records what is to be of a zone's network, unless another zone has recorded an address or a port of it since the checks: of zones
/// that come up at once the first has them, and the others leave nothing behind.
pub(super) fn claim(
    layout: &Layout,
    zone: &ZoneName,
    asked: &NetworkSpec,
    record: &Record,
) -> Result<(), NetworkError> {
    let claims = !given(asked).is_empty() || !asked.ports.is_empty();
    // Who looks and records under it is seen by whoever looks next.
    let _lock = claims.then(|| managed::lock(layout)).transpose()?;
    if claims {
        let others = others(layout, zone, Purpose::BringUp)?;
        let mut problems = addresses_of_others(asked, &others);
        let ports = others.iter().map(|other| (&other.zone, other.ports.as_slice()));
        problems.extend(firewall::free_of_zones(&asked.ports, ports).map_err(NetworkError::from).err());
        problems.into_iter().next().map_or(Ok(()), Err)?;
    }
    Ok(record.save(layout, zone)?)
}

fn addresses_of_others(asked: &NetworkSpec, others: &[Other]) -> Vec<NetworkError> {
    let mut problems = Vec::new();
    for (net, address) in given(asked) {
        if let Some(other) = others.iter().find(|other| other.addresses.contains(&address)) {
            let zone = other.zone.to_string();
            problems.push(PlanError::ZonesAddress { net: net.to_owned(), address, zone }.into());
        }
    }
    problems
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> NetworkSpec {
        let text = format!("zonepath = \"/z\"\n{text}");
        asked(&ZoneConfig::parse(&text, std::path::Path::new("f")).unwrap())
    }

    fn layout(dir: &tempfile::TempDir) -> Layout {
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        for zone in ["web", "db"] {
            let path = layout.zone_network(&zone.parse().unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        layout
    }

    #[test]
    fn what_another_zone_has_recorded_since_the_checks_is_refused_and_nothing_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(&dir);
        let (web, db): (ZoneName, ZoneName) = ("web".parse().unwrap(), "db".parse().unwrap());
        let port =
            "[[net]]\nphysical = \"eth0\"\nglobal-nic = \"auto\"\n[[port]]\nhost = \"8080\"\nto = 80\n";
        let address = "[[net]]\nphysical = \"eth0\"\nglobal-nic = \"br0\"\naddress = [\"192.0.2.5/24\"]\n";
        let interface = |spec: &NetworkSpec| match spec.nets[0].addresses {
            Addresses::Given(ref given) => given.iter().map(|address| address.net()).collect(),
            _ => Vec::new(),
        };
        for (text, said) in [
            (port, "port tcp 8080 of the host is already that of zone web; choose another one"),
            (address, "net eth0: 192.0.2.5 is an address of zone 'web'; give this zone another one"),
        ] {
            let spec = spec(text);
            let net = zone_net::Interface {
                host: "z0n0".to_owned(),
                alias: String::new(),
                inside: "eth0".to_owned(),
                attachment: zone_net::interface::Attachment::Routed { uplink: None },
                mac: zone_net::Mac([2, 0, 0, 0, 0, 1]),
                mtu: None,
                addresses: interface(&spec),
                routers: Vec::new(),
                allowed: Vec::new(),
                host_addresses: Vec::new(),
                dhcp: false,
                bandwidth: None,
                protection: zone_net::spec::Protection::default(),
            };
            let record = Record::new(false, vec![net], spec.ports.clone());
            claim(&layout, &web, &spec, &record).unwrap();
            claim(&layout, &web, &spec, &record).unwrap();
            assert_eq!(claim(&layout, &db, &spec, &record).unwrap_err().to_string(), said);
            assert!(Record::load(&layout, &db).unwrap().is_none(), "there is nothing to take down");
            Record::remove(&layout, &web).unwrap();
            claim(&layout, &db, &spec, &record).unwrap();
            Record::remove(&layout, &db).unwrap();
        }
    }
}
