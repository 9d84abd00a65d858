//! `zoneadm move`: takes a zone's files to another zonepath.
//!
//! What is where at each point says `zone_config::moving`. Whoever is killed leaves a record, and the zone whole at one of the two places.

use std::fs;
use std::path::{Path, PathBuf};

use zone_config::moving::{Copy, Moving};
use zone_config::{Index, State, ZoneConfig, schema, store};
use zone_install::progress::Options;
use zone_install::zonepath::{self, Prepared, ZonepathError};
use zone_install::{Error, mounts, relocate, remove};

use crate::cli::lead::MoveArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay, warn_zone};
use crate::sanity::{self, Action, Target};
use crate::verbs::install::{at_work, leave, operation_lock};
use crate::verbs::uninstall::{dismiss, nobody_elses};
use crate::verbs::verify;
use crate::work::{self, Display};

pub(crate) fn run(cx: &Context, args: &MoveArgs) -> Outcome {
    let mut target = sanity::check(cx, Action::Move)?;
    let lock = operation_lock(&target)?;
    zone_fail::pass!("move.locked");
    // Refused if the zone came up meanwhile: nothing was changed yet.
    let no_daemon = dismiss(&target)?;
    zone_fail::pass!("move.dismissed");
    let options = work::interruptible().map_err(Failure::of(target.name()))?.options;
    let done = finish(&mut target, &options).and_then(|()| go(&target, &args.zonepath, &options));
    no_daemon.discard();
    leave(target.layout, target.name(), lock);
    done
}

fn go(target: &Target<'_>, to: &Path, options: &Options) -> Outcome {
    let (zone, from) = (target.name(), target.entry.zonepath.as_path());
    if to == from {
        relay(zone, &format!("is in {} already.", from.display()));
        return Ok(());
    }
    nobody_elses(target)?;
    verify::before(target)?;
    let mounts = mounts::below(from).map_err(Failure::of(zone))?;
    if !mounts.is_empty() {
        let error = Error::MountsBelow { zonepath: from.to_owned(), mounts };
        return Err(Failure::of(zone)(error));
    }
    look_at(target, to)?;
    let mut begun = Begun { target, to, prepared: None, done: Done::Nothing, options };
    if let Err(failure) = begun.there() {
        failure.report();
        begun.undo()?;
        warn_zone(zone, format_args!("it was not moved, and stays in {}.", from.display()));
        return Err(Failure::Told);
    }
    zone_fail::pass!("move.switched");
    if let Done::Copied = begun.done {
        relay(zone, &format!("Cleaning up zonepath {}...", from.display()));
        clear(target, from, to, options)?;
    }
    zone_fail::pass!("move.cleared");
    Moving::forget(target.layout, zone).map_err(Failure::of(zone))?;
    zone_fail::pass!("move.over");
    relay(zone, &format!("moved to {}.", to.display()));
    tell_of_mounts(target, from);
    Ok(())
}

/// Looks at the new zonepath before anything is changed.
fn look_at(target: &Target<'_>, to: &Path) -> Outcome {
    let (zone, from) = (target.name(), &target.entry.zonepath);
    let text = to.to_str().ok_or_else(|| Failure::text(zone, "the new zonepath is not valid UTF-8."))?;
    if let Some(row) = schema::global("zonepath") {
        row.read(text).map_err(Failure::of(zone))?;
    }
    if to.starts_with(from) || from.starts_with(to) {
        return Err(Failure::of(zone)(ZonepathError::Overlap {
            zone: zone.to_string(),
            path: to.to_owned(),
            other: zone.to_string(),
            other_path: from.clone(),
        }));
    }
    verify::relocatable(target, to)?;
    let used =
        fs::read_dir(to).into_iter().flatten().flatten().any(|entry| entry.file_name() != "lost+found");
    if used {
        return Err(Failure::text(
            zone,
            format_args!("{} is not empty; choose another zonepath.", to.display()),
        ));
    }
    Ok(())
}

/// How far the files have come.
enum Done {
    Nothing,
    Renamed,
    Copied,
}

/// A move that has been begun.
struct Begun<'a> {
    target: &'a Target<'a>,
    to: &'a Path,
    prepared: Option<Prepared>,
    done: Done,
    options: &'a Options,
}

impl Begun<'_> {
    /// Brings the zone to the new zonepath: from then on configuration and index name that one.
    fn there(&mut self) -> Outcome {
        let (layout, zone) = (self.target.layout, self.target.name());
        let from = &self.target.entry.zonepath;
        let mut moving = Moving { from: from.clone(), to: self.to.to_owned(), copy: None };
        moving.save(layout, zone).map_err(Failure::of(zone))?;
        zone_fail::pass!("move.recorded");
        let prepared = zonepath::prepare(self.to).map_err(Failure::of(zone))?;
        prepared.repairs.iter().for_each(|repair| warn_zone(zone, repair));
        self.prepared = Some(prepared);
        zone_fail::pass!("move.prepared");
        if relocate::rename(from, self.to).map_err(Failure::of(zone))? {
            // Before anything else can fail: what is taken back is what was done.
            self.done = Done::Renamed;
            relocate::sync(from, self.to).map_err(Failure::of(zone))?;
        } else {
            moving.copy = Copy::of(from, self.to);
            moving.save(layout, zone).map_err(Failure::of(zone))?;
            self.done = Done::Copied;
            zone_fail::pass!("move.copying");
            relay(zone, &format!("Moving across file systems; copying {}...", from.display()));
            let mut display = Display::new(zone);
            relocate::copy(from, self.to, self.options, &mut |progress| display.show(progress))
                .map_err(|error| failed(self.target, error))?;
        }
        zone_fail::pass!("move.there");
        store::set_zonepath(layout, zone, self.to).map_err(Failure::of(zone))
    }

    /// Takes it all back.
    fn undo(self) -> Outcome {
        let (layout, zone, from) = (self.target.layout, self.target.name(), &self.target.entry.zonepath);
        // Before the files: should we be killed, it is by these that they are found where they still are.
        self.name_old()?;
        match self.done {
            Done::Nothing => {}
            Done::Renamed => {
                relocate::rename(self.to, from).map_err(Failure::of(zone))?;
                relocate::sync(self.to, from).map_err(Failure::of(zone))?;
            }
            // An interruption was one of the copy, and not of this.
            Done::Copied => {
                remove::all(self.to, &Options::default(), &mut |_| {}).map_err(Failure::of(zone))?;
            }
        }
        self.prepared.map_or(Ok(()), Prepared::undo).map_err(Failure::of(zone))?;
        Moving::forget(layout, zone).map_err(Failure::of(zone))
    }

    /// Sees to it that configuration and index say the old zonepath. One of them may say the new one: a file that could not be put on the
    /// disk has its name all the same.
    fn name_old(&self) -> Outcome {
        let (layout, zone, from) = (self.target.layout, self.target.name(), &self.target.entry.zonepath);
        let entry = Index::find(layout, zone).map_err(Failure::of(zone))?;
        if configured(self.target)? == *from && entry.is_some_and(|entry| entry.zonepath == *from) {
            return Ok(());
        }
        store::set_zonepath(layout, zone, from).map_err(Failure::of(zone))
    }
}

/// Why a copy came to nothing. Some texts of an install would advise to uninstall the zone.
fn failed(target: &Target<'_>, error: Error) -> Failure {
    let zone = target.name();
    match error {
        Error::Interrupted { .. } => Failure::text(zone, "the move was interrupted."),
        Error::NoSpace { place, .. } => {
            Failure::text(zone, format_args!("no space left on the file system of {}.", place.display()))
        }
        error => Failure::of(zone)(error),
    }
}

/// Removes what is left of a copy at the other one of the two zonepaths.
fn clear(target: &Target<'_>, left: &Path, place: &Path, options: &Options) -> Outcome {
    let zone = target.name();
    let removed = {
        let mut display = Display::new(zone);
        remove::all(left, options, &mut |progress| display.show(progress))
    };
    match removed {
        Ok(removed) => {
            removed.left.iter().for_each(|left| warn_zone(zone, left));
            Ok(())
        }
        Err(error) => {
            failed(target, error).report();
            let (left, place) = (left.display(), place.display());
            warn_zone(
                zone,
                format_args!(
                    "it is in {place}; to remove what is left in {left}: zoneadm -z {zone} move {place}"
                ),
            );
            Err(Failure::Told)
        }
    }
}

/// Finishes what an earlier move has left: the zone is where it is, and nothing of it is elsewhere.
fn finish(target: &mut Target<'_>, options: &Options) -> Outcome {
    let (layout, zone) = (target.layout, target.name().clone());
    let Some(moving) = Moving::load(layout, &zone).map_err(Failure::of(&zone))? else { return Ok(()) };
    if is_of(&moving, target) {
        let place = put_right(target, &moving)?;
        if let Some(left) = moving.left(&place).filter(|left| !is_anothers(target, left)) {
            relay(&zone, &format!("Cleaning up zonepath {}...", left.display()));
            clear(target, left, &place, options)?;
        }
    }
    Moving::forget(layout, &zone).map_err(Failure::of(&zone))
}

/// Sees to it that configuration and index know where a zone is whose move was interrupted, before anything else is done to it. What is
/// removed by an uninstall, or left by a detach, must be all of it.
///
/// # Errors
/// When it cannot be known, or that has to wait for the end of the move.
pub(crate) fn settle(target: &mut Target<'_>) -> Outcome {
    if target.action == Action::Move || target.entry.state != State::Installed {
        return Ok(());
    }
    let (layout, zone) = (target.layout, target.name().clone());
    let Some(moving) = Moving::load(layout, &zone).map_err(Failure::of(&zone))? else { return Ok(()) };
    if !is_of(&moving, target) {
        return Ok(());
    }
    if let Some(who) = at_work(layout, &zone) {
        return Err(Failure::text(&zone, format_args!("{who} has an operation in progress.")));
    }
    if !is_right(target, &moving)? {
        let lock = operation_lock(target)?;
        let put = put_right(target, &moving);
        leave(layout, &zone, lock);
        put?;
    }
    if matches!(target.action, Action::Uninstall | Action::Detach | Action::Mark) {
        return Err(interrupted(target, &moving));
    }
    Ok(())
}

/// Makes sure that nothing is left of a move: what an incomplete zone had elsewhere nobody would ever find.
pub(crate) fn is_finished(target: &Target<'_>) -> Outcome {
    if target.entry.state != State::Installed {
        return Ok(());
    }
    let moving = Moving::load(target.layout, target.name()).map_err(Failure::of(target.name()))?;
    match moving.filter(|moving| is_of(moving, target)) {
        Some(moving) => Err(interrupted(target, &moving)),
        None => Ok(()),
    }
}

fn interrupted(target: &Target<'_>, moving: &Moving) -> Failure {
    let zone = target.name();
    let (from, to, here) = (moving.from.display(), moving.to.display(), target.entry.zonepath.display());
    let text = format!(
        "its move from {from} to {to} was interrupted; finish that first: zoneadm -z {zone} move {here}"
    );
    Failure::text(zone, text)
}

/// Whether a record is about the zone as it is; nobody takes one away who edits the index by hand.
fn is_of(moving: &Moving, target: &Target<'_>) -> bool {
    [&moving.from, &moving.to].contains(&&target.entry.zonepath)
}

/// What the configuration says.
fn configured(target: &Target<'_>) -> Outcome<PathBuf> {
    let zone = target.name();
    ZoneConfig::load(target.layout, zone).map(|config| config.zonepath).map_err(Failure::of(zone))
}

fn is_right(target: &Target<'_>, moving: &Moving) -> Outcome<bool> {
    let (config, index) = (configured(target)?, &target.entry.zonepath);
    let place = moving.place(&config, index);
    Ok(config == place && index == place)
}

/// Writes where the zone is; the lock on its files is held. Gives the place.
fn put_right(target: &mut Target<'_>, moving: &Moving) -> Outcome<PathBuf> {
    let place = moving.place(&configured(target)?, &target.entry.zonepath).to_owned();
    if !is_right(target, moving)? {
        let zone = target.name();
        store::set_zonepath(target.layout, zone, &place).map_err(Failure::of(zone))?;
        target.entry.zonepath.clone_from(&place);
    }
    Ok(place)
}

/// Whether a directory is another zone's by now.
fn is_anothers(target: &Target<'_>, path: &Path) -> bool {
    let overlapping = Index::overlapping(target.layout, path).unwrap_or_default();
    overlapping.iter().any(|entry| entry.name != *target.name())
}

/// What the configuration says of the old zonepath beside the zonepath is not ours to change.
fn tell_of_mounts(target: &Target<'_>, from: &Path) {
    let Ok(config) = ZoneConfig::load(target.layout, target.name()) else { return };
    for fs in config.fs.iter().filter(|fs| Path::new(&fs.special).starts_with(from)) {
        let (dir, special) = (&fs.dir, &fs.special);
        warn_zone(
            target.name(),
            format_args!("WARNING: fs {dir}: its special {special} was in the old zonepath."),
        );
    }
}
