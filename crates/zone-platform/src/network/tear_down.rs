//! Taking the network of a zone down.

use rustix::fd::AsFd;
use zone_config::Layout;
use zone_net::build::{self as links, NetError, physical};
use zone_net::names::Owner;
use zone_net::record::Record;
use zone_net::{guard, managed};

use super::publish::{forget, has_datagrams};
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
    // All is tried, and the first error told.
    let lock = record.may_use_vlan_links().then(|| managed::lock(layout));
    let lock = lock.transpose().map_err(NetworkError::from)?;
    let links = physical::pinned(&pin).and_then(|netns| {
        let netns = netns.as_ref().map(AsFd::as_fd);
        if let Some(netns) = netns.filter(|_| !down.comes_back) {
            dhcp::release(&record, netns, |_| true);
        }
        links::tear_down_recorded(owner, &record, netns, down.namespaces_end)
    });
    drop(lock);
    zone_fail::pass!("network.unlinked");
    // What was not given back is still in the namespace, unless there is no more to do about it: that is told, once.
    let over = links.as_ref().is_err_and(NetError::is_final);
    let unpinned = if links.is_ok() || over { physical::unpin(&pin) } else { Ok(()) };
    zone_fail::pass!("network.unpinned");
    // Nothing goes through the links any more, so the rules can go.
    let unguarded = guard::remove_with_ports(owner);
    if has_datagrams(&record.ports) {
        forget(&record.interfaces);
    }
    zone_fail::pass!("network.unguarded");
    let others = unpinned.map_err(NetworkError::from).and(unguarded.map_err(NetworkError::from));
    if over && others.is_ok() {
        Record::remove(layout, zone).map_err(NetworkError::from)?;
    }
    links.map_err(NetworkError::from).and(others)?;
    if !down.namespaces_end {
        release(layout)?;
    }
    Ok(Record::remove(layout, zone).map_err(NetworkError::from)?)
}

/// Takes the managed network of the host, and the rules that zones share, away if no zone uses them. The kernel takes 40 to
/// 120 ms for a bridge: who has halted a zone need not wait for that, and for one that reboots it would be made again.
///
/// # Errors
/// What the kernel refuses.
pub fn release(layout: &Layout) -> Result<(), PlatformError> {
    let unbridged = || zone_fail::pass!("network.unbridged");
    managed::release_if_unused(layout, unbridged).map_err(NetworkError::from)?;
    zone_fail::pass!("network.released");
    // Who has never shared anything needs no lock for it.
    if layout.network_lock().exists() {
        let _lock = managed::lock(layout).map_err(NetworkError::from)?;
        guard::release_if_unused(layout.id()).map_err(NetworkError::from)?;
    }
    zone_fail::pass!("network.unshared");
    Ok(())
}
