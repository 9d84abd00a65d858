//! `zoneadm install`: puts an operating system under the zonepath.

mod init;
mod source;

use std::fs;
use std::time::Duration;

use zone_config::file::FileLock;
use zone_config::store::{self, Begun};
use zone_config::{Brand, IdRange, Index, Layout, Settings, State, ZoneConfig, ZoneName, detached, idmap};
use zone_install::identity::{self, Change};
use zone_install::install::Summary;
use zone_install::progress::Options;
use zone_install::zonepath::Prepared;
use zone_install::{Error, owners, remove, zonepath};
use zone_sys::Chain;

use crate::cli::lead::InstallArgs;
use crate::context::Context;
use crate::message::{Failure, Outcome, relay, warn_zone};
use crate::sanity::{self, Action, Target};
use crate::verbs::verify;
use crate::work::{self, Display, Thing};

use init::NoInit;
use source::{Opened, Source};

pub(crate) use source::run_as_worker;

pub(crate) fn run(cx: &Context, args: &InstallArgs) -> Outcome {
    let target = sanity::check(cx, Action::Install)?;
    put(&target, |target| Checked::of(target, args))
}

/// Installs what `look` has found to be as it must be.
pub(crate) fn put<'a>(target: &Target<'a>, look: impl FnOnce(&Target<'a>) -> Outcome<Checked>) -> Outcome {
    let zone = target.name();
    let lock = operation_lock(target)?;
    zone_fail::pass!("install.locked");
    // Whatever can be known is known before anything is changed: a zone that cannot be installed stays configured,
    // and nothing that is there is touched.
    let checked = look(target).and_then(|checked| {
        zone_fail::pass!("install.checked");
        let options = work::interruptible().map_err(Failure::of(zone))?.options;
        let ids = begin(target)?;
        Ok((checked, options, ids))
    });
    let (checked, options, ids) = match checked {
        Ok(begun) => begun,
        Err(failure) => {
            leave(target.layout, zone, lock);
            return Err(failure);
        }
    };
    // What an incomplete zone has, an uninstall finds, should we be killed from here on.
    zone_fail::pass!("install.begun");
    let Checked { config, source, brand, first_id } = checked;
    let mut made = Made { config: &config, prepared: None, options: &options };
    if let Err(failure) = made.room(target) {
        failure.report();
        made.undo(target, false)?;
        leave(target.layout, zone, lock);
        return Err(Failure::Told);
    }
    let filled = fill(zone, &config, &brand, source, &options).and_then(|filled| {
        // In a zone: there are no owners but those on the disk.
        if idmap::nested().is_some() {
            owners::shift(&config.zonepath, first_id, ids.base, ids.count, &options).map_err(Failed::Fill)?;
        }
        Ok(filled)
    });
    match filled {
        Ok((summary, changes)) => {
            zone_fail::pass!("install.filled");
            set_state(target, State::Installed)?;
            zone_fail::pass!("install.over");
            tell(zone, &config, &summary, &changes);
            Ok(())
        }
        Err(failed) => {
            let undone = failed.is_of_no_use(&config);
            failed.tell(zone, undone);
            zone_fail::pass!("install.failed");
            if undone {
                made.undo(target, failed.has_filled())?;
                leave(target.layout, zone, lock);
            } else {
                let remedy = format!("run \"zoneadm -z {zone} uninstall -F\", then install it again");
                warn_zone(zone, format_args!("the zone is {} now: {remedy}.", State::Incomplete));
            }
            Err(Failure::Told)
        }
    }
}

/// What an install needs, of which everything has been looked at.
pub(crate) struct Checked {
    config: ZoneConfig,
    brand: Brand,
    source: Opened,
    /// The first of the ids that owners in the source have.
    first_id: u32,
}

impl Checked {
    fn of(target: &Target<'_>, args: &InstallArgs) -> Outcome<Self> {
        let zone = target.name();
        let (config, brand) = Self::room(target)?;
        let settings = Settings::load(target.layout).map_err(Failure::general)?;
        let source =
            Source::of(args, &brand, &settings)?.open(&config.zonepath).map_err(Failure::of(zone))?;
        if let Some(tree) = source.tree() {
            init::check(tree, init_of(&config, &brand)).map_err(Failure::of(zone))?;
        }
        Ok(Self { config, brand, source, first_id: 0 })
    }

    /// Of the files of another zone, which nobody changes meanwhile.
    pub(crate) fn of_zone(target: &Target<'_>, name: &ZoneName, other: &ZoneConfig) -> Outcome<Self> {
        let zone = target.name();
        let (config, brand) = Self::room(target)?;
        if config.brand != other.brand {
            let (own, theirs) = (&config.brand, &other.brand);
            let text =
                format!("zone {name} is of brand {theirs}, this one of {own}; both must be of the same.");
            return Err(Failure::text(zone, text));
        }
        let source = Opened::of_zone(&other.root(), &config.zonepath).map_err(Failure::of(zone))?;
        let first_id = match idmap::nested() {
            None => 0,
            Some(_) => {
                let ids = idmap::lookup(target.layout, name).map_err(Failure::of(name))?;
                ids.map_or(0, |ids| ids.base)
            }
        };
        Ok(Self { config, brand, source, first_id })
    }

    /// Where it is to be, of which everything has been looked at.
    fn room(target: &Target<'_>) -> Outcome<(ZoneConfig, Brand)> {
        let zone = target.name();
        let manifest = detached::manifest(&target.entry.zonepath);
        if manifest.exists() {
            let path = manifest.display();
            return Err(Failure::text(
                zone,
                format_args!("Cannot install detached zone.  Use attach or remove {path}."),
            ));
        }
        let config = verify::installable(target)?;
        let brand = Brand::load(&config.brand).map_err(Failure::of(zone))?;
        Ok((config, brand))
    }

    /// The configuration of the zone that is to be.
    pub(crate) fn config(&self) -> &ZoneConfig {
        &self.config
    }
}

/// The program that the zone will be started with.
fn init_of<'a>(config: &'a ZoneConfig, brand: &'a Brand) -> &'a str {
    config.init.as_deref().unwrap_or(&brand.init)
}

/// Why the root was not filled.
enum Failed {
    /// On the way.
    Fill(Error),
    /// All of it is there, and could not be booted.
    Useless(NoInit),
}

impl Failed {
    /// Whether there is nothing that anybody could want to look at: then it is all taken back.
    fn is_of_no_use(&self, config: &ZoneConfig) -> bool {
        match self {
            Self::Useless(_) | Self::Fill(Error::RootNotEmpty(_)) => true,
            Self::Fill(_) => is_missing(config),
        }
    }

    /// Whether the root that is there is what this install has made.
    fn has_filled(&self) -> bool {
        matches!(self, Self::Useless(_))
    }

    fn tell(&self, zone: &ZoneName, undone: bool) {
        match self {
            // Its own text speaks of the zone that would have to be cleared first.
            Self::Fill(Error::Interrupted { .. }) if undone => {
                warn_zone(zone, "the install was interrupted before it had written anything");
            }
            Self::Useless(reason) => warn_zone(zone, reason),
            Self::Fill(error) => warn_zone(zone, Chain(error)),
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
    let Some(lock) = lock else {
        let who = at_work(target.layout, target.name()).unwrap_or_else(|| "another zoneadm".to_owned());
        return Err(Failure::text(target.name(), format_args!("{who} has an operation in progress.")));
    };
    lock.note(&format!("{} {}", target.action.name(), std::process::id()));
    Ok(lock)
}

/// Who is at work on the zone's files, if somebody is: `"zoneadm install" (process 4711)`.
pub(crate) fn at_work(layout: &Layout, zone: &ZoneName) -> Option<String> {
    let held = FileLock::held_for(&layout.oplock(zone))?;
    Some(match held.split_once(' ') {
        Some((verb, pid)) => format!("\"zoneadm {verb}\" (process {pid})"),
        None => "another zoneadm".to_owned(),
    })
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

/// What an install has made and changed so far.
struct Made<'a> {
    config: &'a ZoneConfig,
    prepared: Option<Prepared>,
    options: &'a Options,
}

impl Made<'_> {
    /// Makes the zonepath, telling what had to be changed.
    fn room(&mut self, target: &Target<'_>) -> Outcome {
        let zone = target.name();
        let prepared = zonepath::prepare(&self.config.zonepath).map_err(Failure::of(zone))?;
        prepared.repairs.iter().for_each(|repair| warn_zone(zone, repair));
        self.prepared = Some(prepared);
        zone_fail::pass!("install.prepared");
        Ok(())
    }

    /// Takes it all back, and makes the zone configured again.
    fn undo(self, target: &Target<'_>, filled: bool) -> Outcome {
        let zone = target.name();
        if filled {
            remove::root(&self.config.zonepath, self.options, &mut |_| {}).map_err(Failure::of(zone))?;
        }
        zone_fail::pass!("install.cleared");
        self.prepared.map_or(Ok(()), Prepared::undo).map_err(Failure::of(zone))?;
        zone_fail::pass!("install.unprepared");
        idmap::release(target.layout, zone).map_err(Failure::of(zone))?;
        set_state(target, State::Configured)
    }
}

/// Takes the zone from configured to incomplete and gives it its ids, unless somebody else was faster.
fn begin(target: &Target<'_>) -> Outcome<IdRange> {
    let zone = target.name();
    match store::begin(target.layout, zone).map_err(Failure::of(zone))? {
        Begun::Incomplete(ids) => Ok(ids),
        Begun::Already(other) => Err(already(zone, other)),
    }
}

fn already(zone: &ZoneName, state: State) -> Failure {
    Failure::text(zone, format_args!("is already {state}."))
}

/// Takes the zone from configured to a state, unless somebody else was faster: the one that was looked at before the
/// lock was taken may be an old one.
pub(crate) fn advance(target: &Target<'_>, to: State) -> Outcome {
    let zone = target.name();
    let state = Index::update(target.layout, |index| {
        let state = index.get(zone).map_or(State::Configured, |entry| entry.state);
        if state == State::Configured {
            index.set_state(zone, to)?;
        }
        Ok::<_, zone_config::index::IndexError>(state)
    });
    match state.map_err(Failure::of(zone))? {
        State::Configured => Ok(()),
        other => Err(already(zone, other)),
    }
}

fn fill(
    zone: &ZoneName,
    config: &ZoneConfig,
    brand: &Brand,
    source: Opened,
    options: &Options,
) -> Result<(Summary, Vec<Change>), Failed> {
    let mut display = Display::new(zone);
    let hostname = config.hostname(zone);
    let (origin, needs_init, given) = (source.origin(), source.needs_init(), source.given().to_owned());
    let summary = source
        .fill(hostname, &config.zonepath, options, &mut |progress| display.show(progress))
        .map_err(Failed::Fill)?;
    let root = config.root();
    if let Some(sort) = needs_init {
        // On the whole root: an archive is not read twice.
        match init::check_root(&root, &given, init_of(config, brand), sort) {
            Ok(None) => {}
            Ok(Some(warning)) => warn_zone(zone, warning),
            Err(reason) => return Err(Failed::Useless(reason)),
        }
    }
    let changes = match origin {
        Some(origin) => identity::renew(&root, hostname, origin).map_err(Failed::Fill)?,
        None => Vec::new(),
    };
    Ok((summary, changes))
}

fn is_missing(config: &ZoneConfig) -> bool {
    matches!(fs::symlink_metadata(config.root()), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn tell(zone: &ZoneName, config: &ZoneConfig, summary: &Summary, changes: &[Change]) {
    let entries = work::count(summary.entries, Thing::Entry);
    let root = config.root();
    relay(zone, &format!("installed in {}: {entries}, {}.", root.display(), work::size(summary.bytes)));
    let left = summary.left;
    for (number, thing, why) in [
        (summary.devices_skipped, Thing::DeviceNode, "left out: a zone gets a /dev of its own."),
        (summary.sockets_skipped, Thing::Socket, "left out: nobody listens there any more."),
        (left.xattrs, Thing::ExtendedAttribute, "left out: the label or hash of the other machine's policy."),
        (
            left.unsupported,
            Thing::ExtendedAttribute,
            "left out: the file system of the zonepath has no place for it.",
        ),
        (
            left.acls,
            Thing::AccessControlList,
            "left out: it names users or groups that are not in the root's own /etc/passwd and /etc/group.",
        ),
        (
            left.flags,
            Thing::Entry,
            "made without the file flags (chattr) it had: nobody in the zone could take them away again.",
        ),
        (
            summary.foreign_owners,
            Thing::Entry,
            "with an owner or group above 65535, who is nobody inside the zone.",
        ),
    ] {
        if number > 0 {
            relay(zone, &format!("{} {why}", work::count(number, thing)));
        }
    }
    if summary.rest {
        relay(zone, "there is something behind the end of the archive, which was left out.");
    }
    for mount in &summary.mounts_skipped {
        relay(zone, &format!("{} is another file system and was not entered.", mount.display()));
    }
    for change in changes {
        relay(zone, &change.to_string());
    }
}
