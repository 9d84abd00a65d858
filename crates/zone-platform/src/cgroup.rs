//! The zone's cgroup: version 2 only, one tree for each installation of zones.
//!
//! `CGROUP2/zones/NAME/zone` is the zone's, delegated to its root; `CGROUP2/zones/NAME/supervisor` may hold its daemon
//! and keeper. An installation under another root than `/` has its own first directory, so that a test suite and the
//! host's zones never meet. On a host that systemd runs it is `zones.units.slice/zone@NAME.service`, and where systemd has a
//! `zones.slice`, the host's zones are in that: its limits are then those of all zones together. A zone that has CPUs of its own is elsewhere, see `cpus`. Processes are born in their cgroup (`CLONE_INTO_CGROUP`): a write to `cgroup.procs` takes
//! about ten milliseconds on an idle machine, and nothing here makes one.

use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, fstatfs, mkdirat, openat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;
use zone_config::layout::InstallationId;
use zone_config::{Layout, ZoneName};

use crate::change::Change;
use crate::check::{Check, Purpose};
use crate::spec::CgroupSpec;
use crate::step::TearDown;
use crate::{Build, Failed, PlatformError, mountinfo};

mod below;
mod cpus;
mod end;
mod error;
mod held;
mod io;
pub(crate) mod limits;
mod member;
pub mod oom;
mod usage;

pub use below::{Members, all_processes, processes};
pub use end::{KillObserver, WaitToTheLimit, end, is_populated, kill, sweep};
pub use error::CgroupError;
pub use member::has;
pub use usage::{Bounded, OomKills, Pressure, Usage};

/// `CGROUP2_SUPER_MAGIC` of statfs(2).
const MAGIC: u64 = 0x6367_7270;
/// Where cgroup2 is mounted on a host with version 2 only, and on one that has both.
const USUAL: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// Which files belong to a delegated cgroup, in the kernel's own words (Linux 4.15).
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";
/// What a zone may make below its own: more than any guest was seen with, and little enough that the kernel's memory for it, and the
/// time to remove it, have an end.
pub(crate) const BOUNDS: [(&str, &str); 2] =
    [("cgroup.max.depth", "64"), ("cgroup.max.descendants", "16384")];
/// The directory of systemd's unit of that name, which an administrator may make: systemd leaves alone what others make in
/// a slice, and removes it only when it is empty (seen with 252 and 257). A delegated service would be more by its book,
/// but its cgroup is gone as soon as no process is in it.
const SLICE: &str = "zones.slice";
/// The first directory of the host's zones where there is no such unit, and no systemd.
const PLAIN: &str = "zones";
/// What zones are in on a host that systemd runs: to whoever reads the path of a cgroup as systemd's programs do, a slice, and in it a
/// zone's unit. systemd-machined takes a machine whose first process is in a unit, and ps(1) finds a machine by it. No unit has
/// this name, so that the path is nobody else's, also where an administrator puts the units of zones in a slice.
const UNITS: &str = "zones.units.slice";
/// What is there where systemd runs (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// The zone's own, in its directory.
const ZONE: &str = "zone";
/// Where the zone's daemon and keeper may live.
const SUPERVISOR: &str = "supervisor";

/// Where the cgroups of one zone are.
#[derive(Debug)]
pub(crate) struct Tree {
    mount: OwnedFd,
    point: PathBuf,
    /// The directories above the zone's two cgroups, from the top.
    names: Vec<String>,
    /// Those above the zone's own cgroup if it has CPUs of its own; the first of them has the CPUs.
    own: Vec<String>,
    /// Whether it has, and its cgroup is there.
    apart: bool,
    /// All that these can be.
    places: Places,
}

/// Where the cgroups of one zone can be: each place is the names of the directories above, from the top.
#[derive(Debug)]
struct Places {
    /// Of one among others.
    usual: Vec<Vec<String>>,
    /// Of one that has CPUs of its own.
    apart: Vec<Vec<String>>,
}

impl Tree {
    /// Finds cgroup2 and the place in it of a zone of an installation; makes nothing.
    pub(crate) fn find(installation: InstallationId, zone: &ZoneName) -> Result<Self, CgroupError> {
        let (mount, point) = mounted()?;
        let places = Places::of(installation, zone);
        let systemd = Path::new(BOOTED).is_dir();
        let names = match &places.usual[..] {
            [only] => only.clone(),
            usual => host_place(mount.as_fd(), usual, systemd),
        };
        let (own, apart) = place_apart(mount.as_fd(), &places.apart, systemd);
        Ok(Self { mount, point, names, own, apart, places })
    }

    /// The names of the directories above one of the zone's two cgroups.
    fn above(&self, name: &str) -> &[String] {
        if self.apart && name == ZONE { &self.own } else { &self.names }
    }

    /// The zone's directory, above its own cgroup.
    fn path(&self) -> PathBuf {
        self.above(ZONE).iter().fold(self.point.clone(), |path, name| path.join(name))
    }

    /// Opens one of the zone's two cgroups; `None` if it is not there.
    fn open(&self, name: &str) -> Result<Option<OwnedFd>, Failed> {
        let mut dir = None;
        for part in self.above(name).iter().map(String::as_str).chain([name]) {
            let parent = dir.as_ref().map_or(self.mount.as_fd(), AsFd::as_fd);
            match open_dir(parent, part) {
                Ok(child) => dir = Some(child),
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(Failed::to("open cgroup", self.path().join(name).display())(errno)),
            }
        }
        Ok(dir)
    }

    /// Opens what stands beside the cgroups of other zones: the zone's directory, or the first one of a zone with CPUs of its own.
    fn around(&self) -> Result<OwnedFd, Errno> {
        let names = if self.apart { &self.own[..1] } else { &self.names };
        let mut dir = open_dir(self.mount.as_fd(), &names[0])?;
        for name in &names[1..] {
            dir = open_dir(dir.as_fd(), name)?;
        }
        Ok(dir)
    }

    /// Makes one of the zone's two cgroups, with every controller that the host lets it have.
    fn make(&self, name: &str) -> Result<OwnedFd, Failed> {
        let mut dir = None;
        for part in self.above(name).iter().map(String::as_str).chain([name]) {
            let parent = dir.as_ref().map_or(self.mount.as_fd(), AsFd::as_fd);
            enable_controllers(parent);
            let made = match mkdirat(parent, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => open_dir(parent, part),
                Err(errno) => Err(errno),
            };
            dir = Some(made.map_err(Failed::to("make cgroup", self.path().join(name).display()))?);
        }
        dir.ok_or_else(|| Failed::to("make cgroup", name)(Errno::NOENT))
    }
}

/// Opens the place where cgroup2 is mounted.
fn mounted() -> Result<(OwnedFd, PathBuf), CgroupError> {
    let usual = USUAL.iter().find_map(|point| Some((open_cgroup(Path::new(point))?, PathBuf::from(point))));
    match usual {
        Some(found) => Ok(found),
        None => elsewhere()?.ok_or(CgroupError::NoCgroup2),
    }
}

impl Places {
    /// Those of a zone of an installation: of another one than the host's it is one of each kind.
    fn of(installation: InstallationId, zone: &ZoneName) -> Self {
        if installation == Layout::host().id() {
            return Self::on_host(zone);
        }
        let first = format!("zones-{installation}");
        let apart = vec![vec![format!("{first}.cpus.{zone}")]];
        Self { usual: vec![vec![first, zone.to_string()]], apart }
    }

    /// Those of a zone of the host: without systemd, and with it; the usual ones each also in the slice.
    fn on_host(zone: &ZoneName) -> Self {
        let unit = format!("zone@{zone}.service");
        let (alone, of_unit) = (format!("{PLAIN}.cpus.{zone}"), format!("zones.units.{zone}.slice"));
        let place = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            usual: vec![
                place(&[PLAIN, zone.as_str()]),
                place(&[SLICE, zone.as_str()]),
                place(&[UNITS, &unit]),
                place(&[SLICE, UNITS, &unit]),
            ],
            apart: vec![place(&[&alone]), place(&[&of_unit, &unit])],
        }
    }
}

/// Where cgroup2 is mounted when it is nowhere that one would look first: the last such mount, which is the visible one.
fn elsewhere() -> Result<Option<(OwnedFd, PathBuf)>, CgroupError> {
    let table = mountinfo::read()?;
    let mut points = table.iter().rev().filter(|mount| mount.fstype == "cgroup2").map(|mount| &mount.point);
    Ok(points.find_map(|point| Some((open_cgroup(point)?, point.clone()))))
}

/// Where those of a zone of the host are, among these: one that lives, or has a daemon there, stays where it is, whatever has come
/// since, which may be the slice, or a version of these programs that has another place. So does what is left of one that has ended.
fn host_place(mount: BorrowedFd<'_>, places: &[Vec<String>], systemd: bool) -> Vec<String> {
    // What a daemon could not remove because it lived there has nobody in it.
    let lives = |names: &&Vec<String>| {
        let events = path_of(names).join("cgroup.events");
        let events = events.to_str().and_then(|events| read(mount, events).ok());
        events.is_some_and(|events| events.lines().any(|line| line == "populated 1"))
    };
    let remains = |names: &&Vec<String>| statat(mount, path_of(names).join(ZONE), AtFlags::empty()).is_ok();
    let usual = || &places[2 * usize::from(systemd) + usize::from(open_dir(mount, SLICE).is_ok())];
    let found = places.iter().find(lives).or_else(|| places.iter().find(remains));
    found.unwrap_or_else(usual).clone()
}

/// Where that of a zone with CPUs of its own is, among these, and whether it is there.
fn place_apart(mount: BorrowedFd<'_>, places: &[Vec<String>], systemd: bool) -> (Vec<String>, bool) {
    let found = places.iter().find(|names| open_dir(mount, &names[0]).is_ok());
    let usual = || &places[usize::from(systemd).min(places.len() - 1)];
    (found.unwrap_or_else(usual).clone(), found.is_some())
}

fn path_of(names: &[String]) -> PathBuf {
    names.iter().collect()
}

fn open_cgroup(point: &Path) -> Option<OwnedFd> {
    let dir = openat(CWD, point, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let is_cgroup2 = u64::try_from(fstatfs(&dir).ok()?.f_type).ok()? == MAGIC;
    is_cgroup2.then_some(dir)
}

fn open_dir(parent: BorrowedFd<'_>, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Reads one of the kernel's files in a cgroup; they are small.
fn read(dir: BorrowedFd<'_>, name: &str) -> Result<String, Errno> {
    let fd = openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    read_open(&fd)
}

/// Reads such a file to its end. Its length, for which `File` would ask first, is zero always.
fn read_open(fd: &OwnedFd) -> Result<String, Errno> {
    let mut bytes = Vec::with_capacity(READ);
    while retry_on_intr(|| rustix::io::read(fd, spare_capacity(&mut bytes)))? > 0 {
        bytes.reserve(READ);
    }
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

/// How much of such a file is read at a time.
const READ: usize = 1024;

/// Writes one of the kernel's files in a cgroup, in one go.
fn write(dir: BorrowedFd<'_>, name: &str, text: &str) -> Result<(), Errno> {
    let fd = openat(dir, name, OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&fd, text.as_bytes()).map(drop)
}

/// Passes on to the children what a cgroup has. What cannot be passed on is not an error: on a host whose controllers
/// are bound to version 1 there is none, and whoever asks for a limit is told then.
fn enable_controllers(dir: BorrowedFd<'_>) {
    let Ok(available) = read(dir, "cgroup.controllers") else { return };
    let enabled = read(dir, "cgroup.subtree_control").unwrap_or_default();
    let missing: Vec<String> = available
        .split_whitespace()
        .filter(|name| !enabled.split_whitespace().any(|enabled| enabled == *name))
        .map(|name| format!("+{name}"))
        .collect();
    // Busy is a cgroup with processes in it, as that of a zone may be for the zones in it. It could still pass on those that count
    // threads, and what is below it would be no place for processes any more.
    if missing.is_empty()
        || matches!(write(dir, "cgroup.subtree_control", &missing.join(" ")), Ok(()) | Err(Errno::BUSY))
    {
        return;
    }
    // One that is refused has all refused.
    for name in &missing {
        let _ = write(dir, "cgroup.subtree_control", name);
    }
}

/// Makes the zone's cgroup and gives it to the zone's root, whose id on the host is `base`. The descriptor is what
/// `CLONE_INTO_CGROUP` takes.
///
/// # Errors
/// [`CgroupError`]
pub fn make(layout: &Layout, zone: &ZoneName, spec: &CgroupSpec, base: u32) -> Result<OwnedFd, CgroupError> {
    let mut tree = Tree::find(layout.id(), zone)?;
    if tree.apart && spec.cpus.is_none() {
        // What a zone that has ended has left, which had CPUs of its own.
        end::remove_in(&tree)?;
    }
    tree.apart = spec.cpus.is_some();
    if let Some(wanted) = &spec.cpus {
        cpus::take(&tree, wanted)?;
    }
    let dir = tree.make(ZONE)?;
    if statat(&dir, "cgroup.kill", AtFlags::empty()).is_err() {
        return Err(CgroupError::NoKill(crate::kernel::release()));
    }
    bound(&tree, dir.as_fd(), spec)?;
    delegate(dir.as_fd(), base).map_err(Failed::to("delegate cgroup", tree.path().join(ZONE).display()))?;
    Ok(dir)
}

/// Writes the bounds of the zone's cgroup, whatever they are now. The directory around it stays from boot to boot: what is not
/// asked for any more is taken away there.
fn bound(tree: &Tree, dir: BorrowedFd<'_>, spec: &CgroupSpec) -> Result<(), CgroupError> {
    for (file, bound) in &spec.bounds {
        write(dir, file, bound).map_err(Failed::to("bound cgroup", tree.path().join(ZONE).display()))?;
    }
    io::bound(dir, &spec.io)?;
    let around = tree.around().map_err(Failed::to("open cgroup", tree.path().display()))?;
    for (file, bound) in &spec.beside {
        write(around.as_fd(), file, bound).map_err(Failed::to("bound cgroup", tree.path().display()))?;
    }
    Ok(limits::clear_beside(around.as_fd(), spec)
        .map_err(Failed::to("unbound cgroup", tree.path().display()))?)
}

/// Looks whether a cgroup2 file system is there at all, and whether it can hold the zone to its limits.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let tree = Tree::find(check.layout.id(), &check.spec.zone)?;
    let controllers = read(tree.mount.as_fd(), "cgroup.controllers");
    let controllers =
        controllers.map_err(Failed::to("read", tree.point.join("cgroup.controllers").display()))?;
    let missing = limits::missing(&check.spec.cgroup, &controllers);
    if missing.is_empty()
        && let Some(wanted) = &check.spec.cgroup.cpus
        && let Err(error) = cpus::look(&tree, wanted)
    {
        match check.purpose {
            // That is so at this moment, and no fault of the zone's.
            Purpose::Verify { .. } => check.warn(format!("{error}; it would not boot now")),
            _ => check.fail(error),
        }
    }
    io::look(&check.spec.cgroup.io).into_iter().for_each(|error| check.fail(error));
    if missing.is_empty()
        && let Some(old) = check.old
        && let Err(error) = held::look(&tree, &check.spec.zone, held::limit(&old.cgroup), &check.spec.cgroup)
    {
        check.fail(error);
    }
    missing.into_iter().for_each(|missing| check.fail(missing));
    Ok(())
}

/// Makes the zone's cgroup.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let spec = build.spec;
    build.cgroup = Some(make(build.layout, &spec.zone, &spec.cgroup, build.base())?);
    Ok(())
}

/// Gives the cgroup of a live zone other bounds.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (zone, bounds) = (&change.new.zone, &change.new.cgroup);
    let tree = Tree::find(change.layout.id(), zone)?;
    match tree.open(ZONE)? {
        Some(dir) => {
            if let (true, Some(wanted)) = (tree.apart, &bounds.cpus) {
                cpus::take(&tree, wanted)?;
            }
            limits::clear(dir.as_fd(), bounds)
                .map_err(Failed::to("unbound cgroup", tree.path().join(ZONE).display()))?;
            let (bounds, held) = held::bearable(dir.as_fd(), zone, bounds);
            if let Some(held) = held {
                change.warn(format!("{held}; it keeps the limit that it has"));
            }
            Ok(bound(&tree, dir.as_fd(), &bounds)?)
        }
        // It has ended meanwhile, and the next boot bounds it anew.
        None => Ok(()),
    }
}

/// Ends the zone's processes and removes its cgroup.
pub(crate) fn tear_down(down: &TearDown<'_>) -> Result<(), PlatformError> {
    Ok(end(down.layout.id(), down.zone, down.limit, down.observer)?)
}

fn delegate(dir: BorrowedFd<'_>, base: u32) -> Result<(), Errno> {
    let (user, group) = (Some(Uid::from_raw(base)), Some(Gid::from_raw(base)));
    let files = std::fs::read_to_string(DELEGATE)
        .unwrap_or_else(|_| "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n".to_owned());
    // The list is of all controllers; a cgroup has the files of its own.
    for file in files.lines().filter(|file| !file.is_empty() && !file.contains('/')) {
        match chownat(dir, file, user, group, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::fs::fchown(dir, user, group)
}

/// The cgroup for the zone's daemon, made when missing: zoneadm starts the daemon in it.
///
/// # Errors
/// [`CgroupError`]
pub fn supervisor(layout: &Layout, zone: &ZoneName) -> Result<OwnedFd, CgroupError> {
    Ok(Tree::find(layout.id(), zone)?.make(SUPERVISOR)?)
}

/// The zone's cgroup if it is there, for whoever enters the zone.
///
/// # Errors
/// [`CgroupError`]
pub fn open(layout: &Layout, zone: &ZoneName) -> Result<Option<OwnedFd>, CgroupError> {
    Ok(Tree::find(layout.id(), zone)?.open(ZONE)?)
}

fn rmdir(dir: BorrowedFd<'_>, name: impl Arg) -> Result<(), Errno> {
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
