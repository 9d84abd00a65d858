//! What a configuration has in common with those of other zones, of that of which there is one: a zonepath, an address, a port, a CPU or a
//! link of the host.
//!
//! What is saved is compared, and the machine is not looked at. Zones that are never up at the same time may have such a thing in turn, so
//! that all but a zonepath is worth a note and no more: whether it is free is seen at the boot.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use crate::document::{Document, Instance};
use crate::index::IndexError;
use crate::limits::{self, OwnCpus};
use crate::net::{self, HostPorts, Mac};
use crate::{Index, Layout, ZoneName, store};

/// A thing of which there is one, as a configuration names it for its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Claim {
    Address(IpAddr),
    /// One that the zone may use beside its own. Two zones that both may hand it over to each other.
    Allowed(IpAddr),
    Mac(Mac),
    Ports(HostPorts, Vec<String>),
    Cpus(Vec<u64>),
    Link(String),
}

/// What two zones name for themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Thing {
    /// An address of IPv4 or IPv6.
    #[error("address {0}")]
    Address(IpAddr),
    /// An Ethernet address.
    #[error("Ethernet address {0}")]
    Mac(Mac),
    /// A port of the host, or a range.
    #[error("the host's port {0}")]
    Ports(HostPorts),
    /// CPUs by their numbers, as [`limits::cpu_list`] reads them.
    #[error("CPU {0}")]
    Cpus(String),
    /// A link of the host that moves in.
    #[error("the host's link {0}")]
    Link(String),
}

/// A thing that a configuration names, and those of other zones as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The resource that names it, as `net eth0`.
    pub resource: String,
    /// What is named.
    pub thing: Thing,
    /// The first of the other zones.
    pub zone: ZoneName,
    /// How many zones more there are.
    pub more: usize,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, thing, zone, more } = self;
        match more {
            0 => write!(f, "{resource}: {thing} is configured for zone {zone}, too"),
            _ => write!(f, "{resource}: {thing} is configured for zone {zone}, too, and for {more} more"),
        }
    }
}

/// Finds what a configuration names that a saved one of another zone names, too; `own` are the names that are not another zone's. One
/// that cannot be read names nothing here; its own verify says why.
#[must_use]
pub fn look(layout: &Layout, index: &Index, own: &[&ZoneName], document: &Document) -> Vec<Shared> {
    // Most zones name nothing of the kind, and then no other configuration is read.
    if claims(document).is_empty() {
        return Vec::new();
    }
    let others = index.entries().map(|entry| &entry.name).filter(|name| !own.contains(name));
    shared(document, others.filter_map(|name| Some((name.clone(), store::load(layout, name).ok()?))))
}

/// Finds the zones whose zonepaths meet a zone's: the same one, or one within the other.
///
/// # Errors
/// When the index cannot be read.
pub fn zonepaths(
    layout: &Layout,
    own: &[&ZoneName],
    zonepath: &Path,
) -> Result<Vec<crate::Entry>, IndexError> {
    let mut found = Index::overlapping(layout, zonepath)?;
    found.retain(|entry| !own.contains(&&entry.name));
    Ok(found)
}

/// Compares a configuration with those of other zones.
fn shared(document: &Document, others: impl Iterator<Item = (ZoneName, Document)>) -> Vec<Shared> {
    let own = claims(document);
    let mut found: Vec<Shared> = Vec::new();
    for (zone, other) in others {
        let theirs = claims(&other);
        for (resource, claim) in &own {
            let Some(thing) = theirs.iter().find_map(|(_, their)| claim.meets(their)) else { continue };
            match found.iter_mut().find(|one| one.resource == *resource && one.thing == thing) {
                Some(known) => known.more += 1,
                None => found.push(Shared { resource: resource.clone(), thing, zone: zone.clone(), more: 0 }),
            }
        }
    }
    found
}

/// Lists what a configuration names, each with the resource that does.
fn claims(document: &Document) -> Vec<(String, Claim)> {
    let named = |instance: &Instance, claims: Vec<Claim>| {
        let resource = instance.named();
        claims.into_iter().map(move |claim| (resource.clone(), claim)).collect::<Vec<_>>()
    };
    let nets = document.of("net").flat_map(|instance| named(instance, of_net(instance)));
    let ports = document.of("port").flat_map(|instance| {
        let ports = net::host_ports(instance).map(|host| Claim::Ports(host, net::protocols(instance)));
        named(instance, ports.into_iter().collect())
    });
    let cpus = document.of("dedicated-cpu").flat_map(|instance| {
        let these = match instance.values.text("cpus").and_then(limits::cpu_list) {
            Some(OwnCpus::These(these)) => Some(Claim::Cpus(these)),
            _ => None,
        };
        named(instance, these.into_iter().collect())
    });
    nets.chain(ports).chain(cpus).collect()
}

fn of_net(instance: &Instance) -> Vec<Claim> {
    let net = net::Net::of(&instance.values);
    let addresses = net.addresses().map(|address| Claim::Address(address.ip));
    let allowed = instance.values.list("allowed-address").iter().filter_map(|word| net::allowed(word));
    let hosts = allowed.filter(|net| net.prefix_len() == net.max_prefix_len());
    let mac = instance.values.text("mac-addr").and_then(|mac| mac.parse().ok()).map(Claim::Mac);
    let link = net.taken().map(|link| Claim::Link(link.to_owned()));
    addresses.chain(hosts.map(|net| Claim::Allowed(net.addr()))).chain(mac).chain(link).collect()
}

impl Claim {
    /// What of it another zone names as well.
    fn meets(&self, other: &Self) -> Option<Thing> {
        match (self, other) {
            (Self::Address(one), Self::Address(two) | Self::Allowed(two))
            | (Self::Allowed(one), Self::Address(two)) => (one == two).then_some(Thing::Address(*one)),
            (Self::Mac(one), Self::Mac(two)) => (one == two).then_some(Thing::Mac(*one)),
            (Self::Link(one), Self::Link(two)) => (one == two).then(|| Thing::Link(one.clone())),
            (Self::Ports(one, words), Self::Ports(two, others)) => {
                let both = HostPorts {
                    address: one.address.or(two.address),
                    first: one.first.max(two.first),
                    last: one.last.min(two.last),
                };
                let meet = one.meets(two) && words.iter().any(|word| others.contains(word));
                meet.then_some(Thing::Ports(both))
            }
            (Self::Cpus(one), Self::Cpus(two)) => {
                let both: Vec<u64> = one.iter().copied().filter(|cpu| two.contains(cpu)).collect();
                (!both.is_empty()).then(|| Thing::Cpus(limits::cpu_text(&both)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(&format!("zonepath = \"/z\"\n{text}"), Path::new("f")).unwrap()
    }

    fn net(rest: &str) -> String {
        format!("[[net]]\nphysical = \"eth0\"\n{rest}\n")
    }

    fn told(own: &str, others: &[&str]) -> Vec<String> {
        let others = others.iter().enumerate().map(|(number, text)| {
            let name = format!("z{}", number + 1);
            (name.parse().unwrap(), document(text))
        });
        shared(&document(own), others).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_there_is_once_is_told_with_who_names_it() {
        let bridge = |rest: &str| net(&format!("global-nic = \"br0\"\n{rest}"));
        let address = bridge("address = [\"192.0.2.5/24\", \"2001:db8::5/64\"]");
        let port = |host: &str, rest: &str| format!("[[port]]\nhost = \"{host}\"\nto = 80\n{rest}\n");
        let cpus = |list: &str| format!("[[dedicated-cpu]]\ncpus = \"{list}\"\n");
        let mac = |mac: &str| bridge(&format!("mac-addr = \"{mac}\""));
        for (own, other, said) in [
            (
                address.clone(),
                bridge("address = [\"192.0.2.5/16\"]"),
                "net eth0: address 192.0.2.5 is configured for zone z1, too",
            ),
            (
                address.clone(),
                bridge("allowed-address = [\"2001:db8::5\"]"),
                "net eth0: address 2001:db8::5 is configured for zone z1, too",
            ),
            (
                mac("02:08:20:5E:01:07"),
                mac("2:8:20:5e:1:7"),
                "net eth0: Ethernet address 02:08:20:5e:01:07 is",
            ),
            (
                port("80-90", ""),
                port("192.0.2.1:85-95", ""),
                "port 80-90: the host's port 192.0.2.1:85-90 is",
            ),
            (cpus("1-4,6"), cpus("3-9"), "dedicated-cpu: CPU 3-4,6 is configured"),
            (
                net(""),
                "[[net]]\nphysical = \"lan\"\nglobal-nic = \"eth0\"\nmode = \"physical\"\n".into(),
                "net eth0: the host's link eth0 is",
            ),
        ] {
            let told = told(&own, &[&other]);
            assert!(told.len() == 1 && told[0].starts_with(said), "{own}\n{other}\n{told:?}");
        }
        let often = told(&address, &[&address, "", &address]);
        assert_eq!(
            often,
            [
                "net eth0: address 192.0.2.5 is configured for zone z1, too, and for 1 more",
                "net eth0: address 2001:db8::5 is configured for zone z1, too, and for 1 more",
            ]
        );
    }

    #[test]
    fn what_each_can_have_is_not_told() {
        let bridge = |rest: &str| net(&format!("global-nic = \"br0\"\n{rest}"));
        let vip = bridge("allowed-address = [\"192.0.2.9\", \"10.0.0.0/8\"]");
        let port = |rest: &str| format!("[[port]]\nhost = \"80\"\nto = 80\n{rest}\n");
        for (own, other) in [
            (vip.clone(), vip.clone()),
            (vip, bridge("address = [\"10.0.0.1/8\"]")),
            (bridge("address = [\"192.0.2.5/24\"]"), bridge("address = [\"192.0.2.6/24\"]")),
            (net("global-nic = \"auto\""), net("global-nic = \"auto\"")),
            (port(""), port("protocol = [\"udp\"]")),
            ("[[dedicated-cpu]]\nncpus = \"2\"\n".into(), "[[dedicated-cpu]]\nncpus = \"2\"\n".into()),
        ] {
            assert_eq!(told(&own, &[&other]), [""; 0], "{own}\n{other}");
        }
    }

    #[test]
    fn the_own_configuration_is_no_others_and_one_that_makes_no_sense_names_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        std::fs::create_dir_all(layout.etc()).unwrap();
        let text = "zonepath = \"/z\"\n[[net]]\nphysical = \"lan0\"\n";
        let names: Vec<ZoneName> = ["web", "db", "bad"].map(|name| name.parse().unwrap()).into();
        for name in &names {
            std::fs::write(layout.config(name), if name.as_str() == "bad" { "[[" } else { text }).unwrap();
        }
        let lines = "web:configured:/z/web:\ndb:configured:/z/db:\nbad:configured:/z/db/bad:\n";
        std::fs::write(layout.index(), lines).unwrap();
        let index = Index::load(&layout).unwrap();
        let found = look(&layout, &index, &[&names[0]], &document("[[net]]\nphysical = \"lan0\"\n"));
        assert_eq!(found.iter().map(|one| one.zone.as_str()).collect::<Vec<_>>(), ["db"]);
        let paths = zonepaths(&layout, &[&names[1]], Path::new("/z/db")).unwrap();
        assert_eq!(paths.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["bad"]);
    }
}
