//! The names of all that is made for zones: derived, so that it is found again by whoever knows the installation and the
//! zone, and so that two zones or two installations never meet.

use std::path::Path;

use zone_config::ZoneName;
use zone_config::layout::InstallationId;
use zone_config::{file, hash};

use crate::Mac;

/// One zone of one installation, as its links and tables are named.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Gives the identity of the installation, which follows from its root.
    pub installation: InstallationId,
    /// Names the zone, of which an installation has one.
    pub zone: &'a ZoneName,
}

impl Owner<'_> {
    /// Names the host's link for the net of this number (from 0): at most 15 bytes, as the kernel wants it.
    #[must_use]
    pub fn link(&self, net: usize) -> String {
        format!("{}{net}", self.link_prefix())
    }

    /// What the names of all its links on the host begin with; a number follows, and nothing else.
    #[must_use]
    pub fn link_prefix(&self) -> String {
        format!("z{:010x}n", self.number() & 0xff_ffff_ffff)
    }

    /// Tells whether a link of the host is named as one of this zone.
    #[must_use]
    pub fn is_link(&self, name: &str) -> bool {
        let number = name.strip_prefix(&self.link_prefix());
        number.is_some_and(|number| number.parse::<usize>().is_ok_and(|net| self.link(net) == name))
    }

    /// Names its tables of rules, one in each family that it has rules in.
    #[must_use]
    pub fn table(&self) -> String {
        format!("{}-{}", table(self.installation), self.zone)
    }

    /// The Ethernet address of the net of this number, the same for ever, if the administrator names none.
    #[must_use]
    pub fn mac(&self, net: usize) -> Mac {
        self.mac_on(net, &machine())
    }

    /// The same on a machine of this identity: zones of one name on two hosts may be on one network.
    fn mac_on(&self, net: usize, machine: &str) -> Mac {
        // Other zones' numbers are far away: it is a hash.
        Mac::local(hash::fnv1a_after(self.number(), machine.as_bytes()).wrapping_add(net as u64))
    }

    fn number(&self) -> u64 {
        self.installation.of_zone(self.zone)
    }
}

/// The identity of this host, of machine-id(5); nothing on one that has none.
fn machine() -> String {
    /// Bounds the file in bytes: it has 33.
    const MOST: u64 = 64;
    let bytes = file::read_if_there(Path::new("/etc/machine-id"), MOST).ok().flatten();
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default()
}

/// Tells whether a link of the host is named as one of some zone, of whatever installation.
#[must_use]
pub fn is_of_a_zone(link: &str) -> bool {
    let parts = link.strip_prefix('z').and_then(|rest| rest.split_once('n'));
    parts.is_some_and(|(zone, net)| {
        let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        zone.len() == 10 && zone.chars().all(hexadecimal) && net.parse::<u8>().is_ok()
    })
}

/// Names the bridge of the managed network of an installation: `zones0` for the host's own.
#[must_use]
pub fn bridge(installation: InstallationId) -> String {
    if is_hosts_own(installation) { "zones0".to_owned() } else { format!("zbr{}", short(installation)) }
}

/// Names the tables of rules of the managed network of an installation: `zones` for the host's own. No zone's name has a
/// slash: what another installation has is never called like what a zone of the host's own has.
#[must_use]
pub fn table(installation: InstallationId) -> String {
    if is_hosts_own(installation) { "zones".to_owned() } else { format!("zones/{}", short(installation)) }
}

/// Numbers the group of links that the host's ends of an installation's guarded nets are in. It is a large one: people, and what
/// names groups (`/etc/iproute2/group`), begin with small ones, and 0 is that of all other links.
#[must_use]
pub fn group(installation: InstallationId) -> u32 {
    const LEAST: u32 = 1 << 30;
    // Positive as a signed number as well, which is what some programs take it for.
    let digest = hash::fnv1a_after(hash::fnv1a(installation.to_string().as_bytes()), b"group");
    LEAST | ((digest >> 32) as u32 & (LEAST - 1))
}

fn is_hosts_own(installation: InstallationId) -> bool {
    installation == zone_config::Layout::host().id()
}

fn short(installation: InstallationId) -> String {
    installation.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_config::Layout;
    use zone_config::net::MOST_NETS;

    #[test]
    fn names_fit_and_do_not_meet() {
        let zone: ZoneName = "web".parse().unwrap();
        let other: ZoneName = "web1".parse().unwrap();
        let installation = Layout::host().id();
        let owner = Owner { installation, zone: &zone };
        let name = owner.link(MOST_NETS - 1);
        assert!(name.len() <= 15, "{name}");
        assert!(owner.is_link(&name) && is_of_a_zone(&name));
        assert!(!is_of_a_zone("zones0") && !is_of_a_zone("zbr0123456789n1"));
        for bad in [owner.link_prefix(), format!("{name}x"), format!("{}00", owner.link_prefix())] {
            assert!(!owner.is_link(&bad), "{bad}");
        }
        assert!(!Owner { installation, zone: &other }.is_link(&name));
        assert_ne!(owner.mac(0), owner.mac(1));
        assert_ne!(owner.mac_on(0, "one"), owner.mac_on(0, "other"));
        assert_eq!(bridge(installation), "zones0");
        let elsewhere = Layout::new(Some("/nowhere/at/all".into())).unwrap().id();
        assert!(bridge(elsewhere).len() <= 15);
        assert_ne!(table(elsewhere), table(installation));
        assert_ne!(group(elsewhere), group(installation));
        for group in [group(elsewhere), group(installation)] {
            assert!(group >= 1 << 30 && i32::try_from(group).is_ok(), "{group}");
        }
    }
}
