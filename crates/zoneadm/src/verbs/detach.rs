//! `zoneadm detach`: makes a zone configured and leaves its files, with its configuration beside them.

use zone_config::{State, detached, idmap};
use zone_install::mounts;

use crate::cli::lead::DetachArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay};
use crate::output::Output;
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{leave, operation_lock, set_state};
use crate::verbs::uninstall::{dismiss, nobody_elses, sweep};
use crate::verbs::verify;

pub(crate) fn run(cx: &Context, args: DetachArgs) -> Outcome {
    let target = sanity::check(cx, Action::Detach)?;
    let zone = target.name();
    let zonepath = target.entry.zonepath.as_path();
    movable(&target)?;
    nobody_elses(&target)?;
    verify::before(&target)?;
    let manifest = detached::text(target.layout, zone).map_err(Failure::of(zone))?;
    if args.dry_run {
        let mut out = Output::new();
        String::from_utf8_lossy(&manifest).lines().try_for_each(|line| out.line(line))?;
        return out.end();
    }
    let lock = operation_lock(&target)?;
    zone_fail::pass!("detach.locked");
    // They would stay behind when the zonepath is moved.
    let mounts = mounts::below(zonepath).map_err(Failure::of(zone))?;
    if !mounts.is_empty() {
        let error = zone_install::Error::MountsBelow { zonepath: zonepath.to_owned(), mounts };
        return Err(Failure::of(zone)(error));
    }
    // Refused if the zone came up meanwhile: nothing was changed yet.
    let no_daemon = dismiss(&target)?;
    zone_fail::pass!("detach.dismissed");
    detached::write(zonepath, &manifest).map_err(Failure::of(zone))?;
    zone_fail::pass!("detach.written");
    set_state(&target, State::Configured)?;
    no_daemon.discard();
    zone_fail::pass!("detach.configured");
    // What is not given back is taken up again by an attach, and said by a delete.
    idmap::release(target.layout, zone).map_err(Failure::of(zone))?;
    zone_fail::pass!("detach.released");
    sweep(&target);
    leave(target.layout, zone, lock);
    let path = zonepath.display();
    relay(
        zone,
        &format!("detached; its files are in {path}, from where attach takes them, here or elsewhere."),
    );
    Ok(())
}

/// Makes sure that the owners of the zone's files do not depend on where they are.
pub(crate) fn movable(target: &Target<'_>) -> Outcome {
    match idmap::nested() {
        None => Ok(()),
        Some(_) => Err(Failure::text(
            target.name(),
            "in a zone the files of zones have owners of that zone alone; move them as an archive, with install -p -a.",
        )),
    }
}
