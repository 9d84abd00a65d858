//! What was built for a live zone: `RUN/NAME/network.toml`, written before anything is, removed when nothing of it is left.
//!
//! Who takes a zone's network down, or shows it, knows from here what it was, whatever the configuration says by now.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zone_config::file::{self, FileError};
use zone_config::{Layout, ZoneName};

use crate::Interface;
use crate::build::physical::PhysicalRecord;
use crate::dhcp::Lease;
use crate::interface::Attachment;
use crate::spec::PortSpec;

/// The version that this program writes. A program reads all versions up to its own: a zone outlives an upgrade. So a
/// field that is added has a default that means what its absence meant.
const VERSION: u32 = 1;

/// What was built for a live zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The version of this form.
    version: u32,
    /// Whether a net of the zone is in the managed network.
    #[serde(default)]
    pub managed: bool,
    /// Lists what was built for the nets of the zone, in the order of its configuration.
    #[serde(default, rename = "net")]
    pub interfaces: Vec<Interface>,
    /// The ports of the host that lead to it.
    #[serde(default, rename = "port")]
    pub ports: Vec<PortSpec>,
    /// The host's links that moved in, as they were before.
    #[serde(default)]
    pub physical: Vec<PhysicalRecord>,
    /// The host name that DHCP servers are told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// What DHCP servers have given, by the links' names inside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", rename = "lease")]
    pub leases: BTreeMap<String, Lease>,
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what this program or an earlier one has written.
    #[error("{}: not a record of a zone's network", .path.display())]
    Malformed {
        /// Names the file of the record, in the run directory of the zone.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Record {
    /// Makes the record of what is to be built.
    #[must_use]
    pub fn new(managed: bool, interfaces: Vec<Interface>, ports: Vec<PortSpec>) -> Self {
        Self { version: VERSION, managed, interfaces, ports, ..Self::default() }
    }

    /// Tells whether a net holds on to a link of the host from inside, so that the namespace must not go before it was let
    /// go of.
    #[must_use]
    pub fn holds_links(&self) -> bool {
        let holds = |interface: &Interface| {
            !matches!(interface.attachment, Attachment::Bridge { .. } | Attachment::Routed { .. })
        };
        self.interfaces.iter().any(holds)
    }

    /// Tells whether the network namespace has to be found again while the zone lives, and kept until its network is taken
    /// down: for the links, and to speak to DHCP servers.
    #[must_use]
    pub fn keeps_namespace(&self) -> bool {
        self.holds_links() || self.interfaces.iter().any(|interface| interface.dhcp)
    }

    /// Notes what a DHCP server has given a net, or that it has nothing any more.
    pub fn hold(&mut self, net: &str, lease: Option<Lease>) {
        let address = lease.as_ref().map(|lease| lease.address.into());
        for interface in self.interfaces.iter_mut().filter(|interface| interface.inside == net) {
            interface.addresses = address.into_iter().collect();
        }
        match lease {
            Some(lease) => self.leases.insert(net.to_owned(), lease),
            None => self.leases.remove(net),
        };
    }

    /// Tells whether a net is on a link of a VLAN, which all zones in that VLAN share.
    #[must_use]
    pub fn shares_vlan_link(&self) -> bool {
        self.interfaces.iter().any(|interface| interface.attachment.shares_vlan_link())
    }

    /// Tells whether taking the zone down looks at the links of VLANs, under the lock of the installation's network: if a net is on
    /// one, or if it is not known what there is.
    #[must_use]
    pub fn may_use_vlan_links(&self) -> bool {
        self.interfaces.is_empty() || self.shares_vlan_link()
    }

    /// Reads the record of a zone; `None` if it has no network.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Option<Self>, RecordError> {
        let path = layout.zone_network(zone);
        let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
        let malformed = |source: Box<dyn std::error::Error + Send + Sync>| RecordError::Malformed {
            path: path.clone(),
            source,
        };
        let text = str::from_utf8(&bytes).map_err(|error| malformed(error.into()))?;
        toml::from_str(text).map(Some).map_err(|error| malformed(error.into()))
    }

    /// Writes it, whole or not at all. It is of a live zone, so it need not outlast the host's boot.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), RecordError> {
        let path = layout.zone_network(zone);
        let text = toml::to_string(self)
            .map_err(|error| RecordError::Malformed { path: path.clone(), source: error.into() })?;
        Ok(file::replace_fast(&path, text.as_bytes(), 0o600)?)
    }

    /// Removes the record of a zone, if there is one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(layout: &Layout, zone: &ZoneName) -> Result<(), RecordError> {
        Ok(file::remove_fast(&layout.zone_network(zone))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::lease::{Times, tests_lease};
    use crate::spec::{Protection, Protocol};

    #[test]
    fn a_record_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let zone: ZoneName = "web".parse().unwrap();
        file::make_dir(&layout.zone_run(&zone), 0o700).unwrap();
        assert_eq!(Record::load(&layout, &zone).unwrap(), None);
        let interface = |attachment| Interface {
            host: "z0n0".to_owned(),
            alias: "eth0 of zone web".to_owned(),
            inside: "eth0".to_owned(),
            attachment,
            mac: "02:08:20:5e:01:07".parse().unwrap(),
            mtu: Some(1500),
            addresses: vec!["192.0.2.5/24".parse().unwrap(), "2001:db8::5/64".parse().unwrap()],
            routers: vec!["192.0.2.1".parse().unwrap()],
            allowed: vec!["198.51.100.0/24".parse().unwrap()],
            host_addresses: vec!["192.0.2.1/24".parse().unwrap()],
            dhcp: false,
            bandwidth: None,
            protection: Protection::default(),
        };
        let interfaces = vec![
            interface(Attachment::Bridge { bridge: "br0".to_owned(), vlan: Some(5) }),
            interface(Attachment::Routed { uplink: None }),
            interface(Attachment::Physical { link: "lan".to_owned() }),
        ];
        let port = PortSpec { protocol: Protocol::Udp, host: None, first: 53, last: 53, to: 5353 };
        let mut record = Record::new(true, interfaces, vec![port]);
        record.hostname = "web".to_owned();
        let times = Some(Times { renew: 5, rebind: 8, expire: 9 });
        record.hold("eth0", Some(Lease { times, ..tests_lease("192.0.2.7/24", "192.0.2.1") }));
        assert_eq!(record.interfaces[0].addresses, ["192.0.2.7/24".parse().unwrap()]);
        record.save(&layout, &zone).unwrap();
        assert_eq!(Record::load(&layout, &zone).unwrap(), Some(record));
        Record::remove(&layout, &zone).unwrap();
        assert_eq!(Record::load(&layout, &zone).unwrap(), None);
    }
}
