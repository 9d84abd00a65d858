//! What a guest is told of its network: by files that its own programs read.

use rustix::fd::AsFd;
use zone_net::record::Record;
use zone_net::resolver::{self, Resolver};

use crate::build::missing;
use crate::{Build, PlatformError, guest};

/// Tells the guest its nameservers, by `/etc/resolv.conf` unless that is its own and by systemd-resolved, and tells
/// systemd-networkd what the links have, so that it agrees with it.
pub(super) fn describe(build: &mut Build<'_>, record: &Record) -> Result<(), PlatformError> {
    let of_servers = resolver::of_leases(record.leases.values());
    let resolver = match of_servers.map_or_else(|| resolver::find(build.layout), Ok) {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            build.warn(format!("{}; names will not resolve in the zone", zone_sys::Chain(&error)));
            None
        }
    };
    if let Some(resolver) = &resolver
        && let Err(failed) = guest::keep_resolver(build.tree("network")?.root(), &resolver.resolv_conf())
    {
        build.warn(format!("{}; names may not resolve in the zone", zone_sys::Chain(&failed)));
    }
    let run = build.run.take().ok_or(missing("network", "kernel-fs"))?;
    let mut files = Vec::new();
    for interface in &record.interfaces {
        if let Some(text) = resolver::networkd(interface, resolver.as_ref()) {
            files.push(("systemd/network", resolver::networkd_name(&interface.inside), text));
        }
    }
    files.extend(resolver.iter().map(resolved));
    for (dir, name, text) in files {
        guest::write_run(run.as_fd(), dir, &name, &text, build.base())?;
    }
    Ok(())
}

fn resolved(resolver: &Resolver) -> (&'static str, String, String) {
    ("systemd/resolved.conf.d", "zones.conf".to_owned(), resolver.resolved_drop_in())
}
