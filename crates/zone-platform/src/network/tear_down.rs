//! Taking the network of a zone down.

use rustix::fd::AsFd;
use zone_net::build::{self as links, physical};
use zone_net::names::Owner;
use zone_net::record::Record;
use zone_net::{firewall, guard, managed};

use super::{NetworkError, dhcp};
use crate::{PlatformError, TearDown};

/// Takes away what the record of the zone's network says, or may say, that there is; without a record there is nothing.
/// The record goes last: until then it can be done again.
pub(crate) fn tear_down(down: &TearDown<'_>) -> Result<(), PlatformError> {
    let (layout, zone) = (down.layout, down.zone);
    let record = match Record::load(layout, zone) {
        Ok(None) => return Ok(()),
        Ok(Some(record)) => record,
        // Somebody has changed it: by their names all but the host's own links are found as well.
        Err(_) => Record::default(),
    };
    let owner = Owner { installation: layout.id(), zone };
    let pin = layout.zone_netns(zone);
    let lock = record.shares_vlan_link().then(|| managed::lock(layout));
    let lock = lock.transpose().map_err(NetworkError::from)?;
    let links = physical::pinned(&pin).and_then(|netns| {
        let netns = netns.as_ref().map(AsFd::as_fd);
        if let Some(netns) = netns.filter(|_| !down.comes_back) {
            dhcp::release(&record, netns);
        }
        links::tear_down(owner, &record.physical, netns)
    });
    drop(lock);
    // All is tried, and the first error told. What was not given back is still in the namespace.
    let unpinned = if links.is_ok() { physical::unpin(&pin) } else { Ok(()) };
    let undone: [Result<(), NetworkError>; 5] = [
        links.map_err(NetworkError::from),
        unpinned.map_err(NetworkError::from),
        guard::remove(owner).map_err(NetworkError::from),
        firewall::remove_ports(owner).map_err(NetworkError::from),
        managed::release_if_unused(layout).map(drop).map_err(NetworkError::from),
    ];
    undone.into_iter().collect::<Result<(), _>>()?;
    Ok(Record::remove(layout, zone).map_err(NetworkError::from)?)
}
