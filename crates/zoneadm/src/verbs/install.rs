//! `zoneadm install`: puts an operating system under the zonepath.

mod source;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use zone_config::file::FileLock;
use zone_config::{Brand, Index, Layout, State, ZoneConfig, ZoneName, idmap};
use zone_install::install::Summary;
use zone_install::progress::Options;
use zone_install::{remove, zonepath};

use crate::cli::InstallArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay, warn_zone};
use crate::sanity::{self, Action, Target};
use crate::verbs::verify;
use crate::work::{self, Display};

use source::Source;

pub(crate) use source::run_as_worker;

pub(crate) fn run(cx: &Context, args: &InstallArgs) -> Outcome {
    let target = sanity::check(cx, Action::Install)?;
    let config = verify::installable(&target)?;
    let brand = Brand::load(&config.brand).map_err(Failure::of(target.name()))?;
    let source = Source::of(args, &brand)?;
    let lock = operation_lock(&target)?;
    zone_fail::pass!("install.locked");
    let options = work::interruptible().map_err(Failure::of(target.name()))?;
    let is_new = fs::symlink_metadata(&config.zonepath).is_err();
    // Before anything is made: what an incomplete zone has, an uninstall finds.
    begin(&target)?;
    zone_fail::pass!("install.begun");
    if let Err(failure) = make_room(&target, &config) {
        failure.report();
        undo(&target, &config, is_new, &options)?;
        return Err(Failure::Told);
    }
    match fill(target.name(), &config, &source, &options) {
        Ok(summary) => {
            zone_fail::pass!("install.filled");
            set_state(&target, State::Installed)?;
            zone_fail::pass!("install.over");
            tell(target.name(), &config.root(), &summary);
            Ok(())
        }
        Err(error) => {
            let zone = target.name();
            let untouched = is_missing(&config.root());
            match error {
                // Its own text speaks of the zone that would have to be cleared first.
                zone_install::Error::Interrupted { .. } if untouched => {
                    warn_zone(zone, "the install was interrupted before it had written anything");
                }
                error => warn_zone(zone, format_args!("{:#}", anyhow::Error::new(error))),
            }
            zone_fail::pass!("install.failed");
            if untouched {
                undo(&target, &config, is_new, &options)?;
                leave(target.layout, zone, lock);
            } else {
                let remedy = format!("run \"zoneadm -z {zone} uninstall -F\", then install it again");
                warn_zone(zone, format_args!("the zone is {} now: {remedy}.", State::Incomplete));
            }
            Err(Failure::Told)
        }
    }
}

/// The lock that says that somebody is at work on the zone's files.
///
/// # Errors
/// When somebody else has it: an install may take an hour, and waiting for it in silence helps nobody.
pub(crate) fn operation_lock(target: &Target<'_>) -> Outcome<FileLock> {
    // What a zoneadm that was killed had started lets go of it in a moment.
    const MOMENT: Duration = Duration::from_secs(1);
    let lock = FileLock::take_within(&target.layout.oplock(target.name()), MOMENT)
        .map_err(Failure::of(target.name()))?;
    lock.ok_or_else(|| Failure::text(target.name(), "another zoneadm may have an operation in progress."))
}

/// Gives the lock up for a zone that is configured again, of which nothing is left that could run.
pub(crate) fn leave(layout: &Layout, zone: &ZoneName, lock: FileLock) {
    lock.discard();
    // Not if somebody has come meanwhile, who has made files of his own.
    let _ = fs::remove_dir(layout.zone_run(zone));
}

/// Records a state.
pub(crate) fn set_state(target: &Target<'_>, state: State) -> Outcome {
    Index::update(target.layout, |index| index.set_state(target.name(), state))
        .map_err(Failure::of(target.name()))
}

/// Makes the zonepath, and gives the zone its ids.
fn make_room(target: &Target<'_>, config: &ZoneConfig) -> Outcome {
    prepare(target, config)?;
    zone_fail::pass!("install.prepared");
    idmap::allocate(target.layout, target.name()).map_err(Failure::of(target.name()))?;
    zone_fail::pass!("install.ids");
    Ok(())
}

/// Makes the zonepath what it must be, telling what had to be changed.
fn prepare(target: &Target<'_>, config: &ZoneConfig) -> Outcome {
    let repairs = zonepath::prepare(&config.zonepath).map_err(Failure::of(target.name()))?;
    repairs.iter().for_each(|repair| warn_zone(target.name(), repair));
    // What was repaired may have kept the check from getting as far as the other zones' paths.
    verify::zonepath(target, config)
}

/// Takes the zone from configured to incomplete, unless somebody else was faster: the state that was looked at
/// before the lock was taken may be an old one.
fn begin(target: &Target<'_>) -> Outcome {
    let zone = target.name();
    let state = Index::update(target.layout, |index| {
        let state = index.get(zone).map_or(State::Configured, |entry| entry.state);
        if state == State::Configured {
            index.set_state(zone, State::Incomplete)?;
        }
        Ok::<_, zone_config::index::IndexError>(state)
    });
    match state.map_err(Failure::of(zone))? {
        State::Configured => Ok(()),
        other => Err(Failure::text(zone, format_args!("is already {other}."))),
    }
}

fn fill(
    zone: &ZoneName,
    config: &ZoneConfig,
    source: &Source,
    options: &Options,
) -> Result<Summary, zone_install::Error> {
    let mut display = Display::new(zone);
    source.fill(config.hostname(zone), &config.zonepath, options, &mut |progress| display.show(progress))
}

fn is_missing(root: &Path) -> bool {
    matches!(fs::symlink_metadata(root), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Goes back to configured, when the install failed before it had put anything there.
fn undo(target: &Target<'_>, config: &ZoneConfig, is_new: bool, options: &Options) -> Outcome {
    let zone = target.name();
    if is_new {
        // A directory that is not ours alone, or not empty, stays; then there is nothing that needs it gone.
        let _ = remove::plan(&config.zonepath, options, &mut |_| {})
            .and_then(|plan| remove::execute(&plan, options, &mut |_| {}));
    }
    idmap::release(target.layout, zone).map_err(Failure::of(zone))?;
    set_state(target, State::Configured)
}

fn tell(zone: &ZoneName, root: &Path, summary: &Summary) {
    let entries = work::count(summary.entries, "entry", "entries");
    relay(zone, &format!("installed in {}: {entries}, {}.", root.display(), work::size(summary.bytes)));
    for (number, one, many, why) in [
        (summary.devices_skipped, "device node", "device nodes", "left out: a zone gets a /dev of its own."),
        (summary.sockets_skipped, "socket", "sockets", "left out: nobody listens there any more."),
        (
            summary.xattrs_skipped,
            "extended attribute",
            "extended attributes",
            "left out: only the other machine, or another file system, knows what to do with it.",
        ),
        (
            summary.foreign_owners,
            "entry",
            "entries",
            "with an owner or group above 65535, who is nobody inside the zone.",
        ),
    ] {
        if number > 0 {
            relay(zone, &format!("{} {why}", work::count(number, one, many)));
        }
    }
    for mount in &summary.mounts_skipped {
        relay(zone, &format!("{} is another file system and was not entered.", mount.display()));
    }
}
