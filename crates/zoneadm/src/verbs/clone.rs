//! `zoneadm clone`: makes a zone of a copy of another one's files.

use zone_config::file::FileLock;
use zone_config::nearest::did_you_mean;
use zone_config::{ZoneConfig, ZoneName};

use crate::cli::lead::CloneArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay, warn_zone};
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{self, Checked, leave, operation_lock};
use crate::verbs::uninstall::dismiss;
use crate::verbs::verify;

pub(crate) fn run(cx: &Context, args: &CloneArgs) -> Outcome {
    if args.snapshot.is_some() {
        let text = "clone: there are no snapshots of zones here; without -s the zone is copied as it is";
        return Err(Failure::Usage(text.to_owned()));
    }
    let target = sanity::check(cx, Action::Clone)?;
    let zone = target.name();
    let (source, held) = hold(cx, zone, &args.source)?;
    let done = dismiss(&source).and_then(|no_daemon| {
        zone_fail::pass!("clone.held");
        let done = install::put(&target, |target| {
            let config =
                ZoneConfig::load(source.layout, source.name()).map_err(Failure::of(source.name()))?;
            let checked = Checked::of_zone(target, source.name(), &config)?;
            in_both(checked.config(), &config).iter().for_each(|text| warn_zone(zone, text));
            Ok(checked)
        });
        no_daemon.discard();
        done
    });
    leave(source.layout, source.name(), held);
    done
}

/// Takes the lock of the zone that is cloned: from here on nobody boots it, and nobody changes its files. Another clone of it is
/// waited for, since that leaves it as it was.
fn hold<'a>(cx: &'a Context, zone: &ZoneName, name: &ZoneName) -> Outcome<(Target<'a>, FileLock)> {
    let checked = source(cx, zone, name)?;
    verify::before(&checked)?;
    let mut waited = false;
    let held = loop {
        let refused = match operation_lock(&checked) {
            Ok(held) => break held,
            Err(refused) => refused,
        };
        let holder = FileLock::held_for(&checked.layout.oplock(name));
        match holder.as_deref().map(|text| (text, text.split(' ').next().unwrap_or_default())) {
            // It is free by now, or somebody has just taken it and has not said yet what for.
            None | Some(("", _)) => {}
            Some((_, "clone")) if waited => {}
            Some((_, "clone")) => {
                waited = true;
                let who = install::at_work(checked.layout, name);
                let who = who.unwrap_or_else(|| "another zoneadm".to_owned());
                relay(zone, &format!("waiting for {who}, which is copying zone {name}."));
            }
            Some(_) => return Err(refused),
        }
    };
    // Since it was looked at it may have been booted, moved or uninstalled.
    match source(cx, zone, name) {
        Ok(source) => Ok((source, held)),
        Err(failure) => {
            leave(checked.layout, name, held);
            Err(failure)
        }
    }
}

/// The zone that is cloned, in a state for it.
fn source<'a>(cx: &'a Context, zone: &ZoneName, name: &ZoneName) -> Outcome<Target<'a>> {
    if name == zone {
        return Err(Failure::text(zone, "a zone is not cloned from itself."));
    }
    match cx.find(name)? {
        Some(entry) => sanity::cloned(&cx.layout, entry),
        None => {
            let index = cx.index()?;
            let meant = did_you_mean(name.as_str(), index.entries().map(|entry| entry.name.as_str()));
            Err(Failure::text(name, format_args!("No such zone configured{meant}")))
        }
    }
}

/// What only one zone should have, and both are configured with.
fn in_both(one: &ZoneConfig, other: &ZoneConfig) -> Vec<String> {
    let mut both = Vec::new();
    let mut tell = |thing: &str, name: &str| {
        both.push(format!("WARNING: {thing} '{name}' is configured in both zones."));
    };
    for device in
        one.device.iter().filter(|one| other.device.iter().any(|other| other.pattern == one.pattern))
    {
        tell("device", &device.pattern);
    }
    let is_shared = |special: &str| other.fs.iter().any(|fs| fs.special == special);
    for fs in one.fs.iter().filter(|fs| fs.special.starts_with('/') && is_shared(&fs.special)) {
        if !fs.options.iter().any(|option| option == "ro") {
            tell("fs", &fs.special);
        }
    }
    let addresses = |config: &ZoneConfig| -> Vec<String> {
        let all = config.net.iter().flat_map(|net| &net.address).cloned();
        all.filter(|address| address.starts_with(|c: char| c.is_ascii_digit()) || address.contains(':'))
            .collect()
    };
    let others = addresses(other);
    for address in addresses(one).iter().filter(|address| others.contains(address)) {
        tell("network address", address);
    }
    for dataset in one.dataset.iter().filter(|one| other.dataset.contains(one)) {
        tell("dataset", &dataset.name);
    }
    both
}
