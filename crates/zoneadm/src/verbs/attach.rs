//! `zoneadm attach`: makes a zone of files that are there already, such as those of a zone that was detached.

use zone_config::file;
use zone_config::{State, ZoneConfig, detached, idmap};

use crate::cli::lead::AttachArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay};
use crate::sanity::{self, Action, Target};
use crate::verbs::detach::movable;
use crate::verbs::install::{advance, leave, operation_lock};
use crate::verbs::verify;

pub(crate) fn run(cx: &Context, args: AttachArgs) -> Outcome {
    let target = sanity::check(cx, Action::Attach)?;
    let zone = target.name();
    let lock = operation_lock(&target)?;
    zone_fail::pass!("attach.locked");
    let checked = check(&target, args.force);
    if args.dry_run || checked.is_err() {
        leave(target.layout, zone, lock);
        checked?;
        relay(zone, &format!("can be attached in {}; nothing was changed.", target.entry.zonepath.display()));
        return Ok(());
    }
    zone_fail::pass!("attach.checked");
    idmap::allocate(target.layout, zone).map_err(Failure::of(zone))?;
    zone_fail::pass!("attach.ids");
    advance(&target, State::Installed)?;
    zone_fail::pass!("attach.installed");
    // What is left of it by whoever is killed here is replaced by the next detach, and goes with an uninstall.
    file::remove(&detached::manifest(&target.entry.zonepath)).map_err(Failure::of(zone))?;
    zone_fail::pass!("attach.over");
    relay(zone, &format!("attached in {}.", target.entry.zonepath.display()));
    Ok(())
}

/// Looks at everything that can be known before anything is changed. With `force` it need not be a zone that was detached.
fn check(target: &Target<'_>, force: bool) -> Outcome {
    let zone = target.name();
    movable(target)?;
    let config = ZoneConfig::load(target.layout, zone).map_err(Failure::of(zone))?;
    if !config.root().is_dir() {
        let text = format!("there is no {}: nothing to attach.", config.root().display());
        return Err(Failure::text(zone, text));
    }
    if !force {
        was_detached(target, &config)?;
    }
    verify::attachable(target)
}

/// Makes sure that the files are those of a zone of the same brand.
fn was_detached(target: &Target<'_>, config: &ZoneConfig) -> Outcome {
    let zone = target.name();
    let manifest = detached::manifest(&config.zonepath);
    match detached::config(&config.zonepath).map_err(Failure::of(zone))? {
        Some(was) if was.brand == config.brand => Ok(()),
        Some(was) => Err(Failure::text(
            zone,
            format_args!(
                "{}: the zone that was detached is of brand {}, this one of {}.",
                manifest.display(),
                was.brand,
                config.brand
            ),
        )),
        None => Err(Failure::text(
            zone,
            format_args!(
                "there is no {}: no zone was detached there. attach -F takes the files as they are.",
                manifest.display()
            ),
        )),
    }
}
