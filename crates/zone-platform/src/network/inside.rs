//! What a guest is told of its network: by files that its own programs read.

use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use zone_config::{Layout, Snapshot, ZoneName};
use zone_net::record::Record;
use zone_net::resolver::{self, Resolver};
use zone_sys::Chain;

use super::NetworkError;
use crate::build::missing;
use crate::guest::{self, Resolver as Place};
use crate::{Build, Change, Failed, PlatformError, Spec};

/// Where the implementations of ifupdown keep what they have configured, below `/run`: Debian's, and those of busybox and Alpine.
const IFSTATE: [&str; 2] = ["network/ifstate", "ifstate"];
const RESOLVED: &str = "systemd/resolved.conf.d/zones.conf";

/// Tells the guest its nameservers, by `/etc/resolv.conf` unless that is its own and by systemd-resolved, and tells
/// systemd-networkd and ifupdown what the links have, so that they agree with it.
pub(super) fn describe(build: &mut Build<'_>, record: &Record) -> Result<(), PlatformError> {
    let of_servers = resolver::of_leases(record.leases.values());
    let resolver = match of_servers.map_or_else(|| resolver::find(build.layout), Ok) {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            build.warn(format!("{}; names will not resolve in the zone", Chain(&error)));
            None
        }
    };
    let run = build.run.take().ok_or(missing("network", "kernel-fs"))?;
    for (path, text) in files(record, resolver.as_ref()) {
        guest::keep_run(run.as_fd(), &path, &text, build.base())?;
    }
    tell_ifupdown(build, run.as_fd(), record)?;
    if let Some(text) = resolver.map(|resolver| resolver.resolv_conf()) {
        let kept = guest::keep_resolver(build.tree("network")?.root(), &text);
        let kept = kept.and_then(|place| match place {
            Place::InRun(path) => guest::keep_run(run.as_fd(), &path, &text, build.base()).map(|_| ()),
            Place::Kept | Place::Guests => Ok(()),
        });
        if let Err(failed) = kept {
            build.warn(format!("{}; names may not resolve in the zone", Chain(&failed)));
        }
    }
    Ok(())
}

/// Tells a guest that runs what its network is by now, as its boot told it what it was: with `before`, what was recorded then. Its
/// programs read the files when they look at them next. What cannot be written is told, and nothing fails for it: the files are the
/// zone's root's.
pub(super) fn tell(change: &mut Change<'_>, before: &Record, record: &Record, differs: bool) {
    let of_servers = resolver::of_leases(record.leases.values());
    let resolver = match of_servers.map_or_else(|| resolver::find(change.layout), Ok) {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            if differs && !record.interfaces.is_empty() {
                change.warn(format!("{}; names will not resolve in the zone", Chain(&error)));
            }
            None
        }
    };
    if let Err(failed) = write(change, before, record, resolver.as_ref()) {
        change.warn(format!(
            "{}; programs of the guest may not know what it has of the network",
            Chain(&failed)
        ));
    }
}

fn write(
    change: &Change<'_>,
    before: &Record,
    record: &Record,
    resolver: Option<&Resolver>,
) -> Result<(), Failed> {
    let Some(base) = change.new.ids.map(|ids| ids.base) else { return Ok(()) };
    let run = change.in_memory("run")?;
    let has_nets = !record.interfaces.is_empty();
    let wanted = files(record, resolver.filter(|_| has_nets));
    for (path, text) in &wanted {
        guest::keep_run(run.as_fd(), path, text, base)?;
    }
    let had = before.interfaces.iter().map(|net| networkd(&net.inside)).chain([RESOLVED.to_owned()]);
    for gone in had.filter(|had| !wanted.iter().any(|(path, _)| path == had)) {
        // Without nameservers to be told, those of the boot are better than none.
        if gone != RESOLVED || !has_nets {
            guest::remove_run(run.as_fd(), &gone)?;
        }
    }
    let Some(text) = resolver.filter(|_| has_nets).map(Resolver::resolv_conf) else { return Ok(()) };
    let root = root(&change.new.zonepath)?;
    if let Place::InRun(path) = guest::keep_resolver(root.as_fd(), &text)? {
        guest::keep_run(run.as_fd(), &path, &text, base)?;
    }
    Ok(())
}

/// Opens the root of a zone on the host, where nothing is mounted that the zone has mounted.
fn root(zonepath: &Path) -> Result<OwnedFd, Failed> {
    let path = zonepath.join("root");
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let opened = zone_sys::path::unlinked(CWD, &path, flags, Mode::empty());
    opened.map_err(Failed::to("open the zone's root", path.display()))
}

/// Tells a guest that runs what its network is by now, once a DHCP server has given it something else; `first` is the zone's first
/// process, as a pidfd. Gives what could not be told, a sentence each.
///
/// # Errors
/// When it is not known what the zone is or has.
pub fn retell(layout: &Layout, zone: &ZoneName, first: BorrowedFd<'_>) -> Result<Vec<String>, NetworkError> {
    let Some(record) = Record::load(layout, zone)? else { return Ok(Vec::new()) };
    let snapshot = Snapshot::load(layout, zone).map_err(|error| NetworkError::Snapshot(Box::new(error)))?;
    let spec = Spec::of(&snapshot);
    let mut change = Change::new(layout, first, &spec, &spec);
    tell(&mut change, &record, &record, true);
    Ok(change.warnings().to_vec())
}

/// The files below `/run` for systemd-networkd and systemd-resolved, each with its text.
fn files(record: &Record, resolver: Option<&Resolver>) -> Vec<(String, String)> {
    let of_net = |interface: &zone_net::Interface| {
        Some((networkd(&interface.inside), resolver::networkd(interface, resolver)?))
    };
    let mut files: Vec<_> = record.interfaces.iter().filter_map(of_net).collect();
    files.extend(resolver.map(|resolver| (RESOLVED.to_owned(), resolver.resolved_drop_in())));
    files
}

fn networkd(link: &str) -> String {
    format!("systemd/network/{}", resolver::networkd_name(link))
}

/// Tells ifupdown what it finds configured already, of the links that it would configure. Without it a guest that is the copy of
/// another machine waits for a DHCP server at its boot, and its client then takes away what the link has; and that of busybox fails
/// at the loopback, which is up.
fn tell_ifupdown(build: &Build<'_>, run: BorrowedFd<'_>, record: &Record) -> Result<(), PlatformError> {
    let stanzas = guest::interfaces(build.tree("network")?.root());
    if let Some(text) = ifstate(record, &stanzas) {
        for path in IFSTATE {
            guest::keep_run(run, path, &text, build.base())?;
        }
    }
    Ok(())
}

/// Tells a guest that has no net that its loopback is up.
pub(super) fn describe_loopback(build: &Build<'_>) -> Result<(), PlatformError> {
    let run = build.run.as_ref().ok_or(missing("network", "kernel-fs"))?;
    tell_ifupdown(build, run.as_fd(), &Record::default())
}

fn ifstate(record: &Record, stanzas: &[String]) -> Option<String> {
    let given = |interface: &&zone_net::Interface| !interface.addresses.is_empty() || interface.dhcp;
    let names = record.interfaces.iter().filter(given).map(|interface| interface.inside.as_str());
    let known = ["lo"].into_iter().chain(names).filter(|name| stanzas.iter().any(|stanza| stanza == name));
    let lines: Vec<_> = known.map(|name| format!("{name}={name}\n")).collect();
    (!lines.is_empty()).then(|| lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_net::interface::Attachment;
    use zone_net::spec::Protection;

    fn net(name: &str, address: Option<&str>) -> zone_net::Interface {
        zone_net::Interface {
            host: "z0n0".to_owned(),
            alias: String::new(),
            inside: name.to_owned(),
            attachment: Attachment::Bridge { bridge: "br0".to_owned(), vlan: None },
            mac: "02:00:00:00:00:01".parse().unwrap(),
            mtu: None,
            addresses: address.into_iter().map(|address| address.parse().unwrap()).collect(),
            routers: Vec::new(),
            allowed: Vec::new(),
            host_addresses: Vec::new(),
            dhcp: false,
            bandwidth: None,
            protection: Protection::NONE,
        }
    }

    #[test]
    fn ifupdown_is_told_of_what_it_would_configure_and_the_host_has() {
        let mut asked = net("eth2", None);
        asked.dhcp = true;
        let nets = vec![
            net("eth0", Some("192.0.2.5/24")),
            net("eth1", None),
            asked,
            net("eth3", Some("192.0.2.6/24")),
        ];
        let record = Record::new(false, nets, Vec::new());
        let stanzas = ["lo", "eth0", "eth0", "eth1", "eth2"].map(str::to_owned);
        assert_eq!(ifstate(&record, &stanzas).as_deref(), Some("lo=lo\neth0=eth0\neth2=eth2\n"));
        assert_eq!(ifstate(&record, &[]), None);
        assert_eq!(ifstate(&Record::default(), &stanzas).as_deref(), Some("lo=lo\n"));
    }
}
