//! File systems that come and go while a zone lives.
//!
//! What differs is taken away, children first, and then given, parents first; what lies below something that differs goes and comes
//! with it. A change that was cut short is run again: what is mounted already as it is to be is left alone. So is what nothing
//! is changed of, unless the zone's root has unmounted it, which is mended.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, chmodat, chownat, fstat, mkdirat, openat, unlinkat};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use zone_config::config::FsType;
use zone_config::hostpath::HostPath;
use zone_sys::path::beneath;

use super::mounter::{self, Unmounted};
use super::{Found, FsError, Judge, Made, Own, Plan, gone, plan};
use crate::change::Change;
use crate::check::Purpose;
use crate::claims::Claims;
use crate::devices::is_guarded;
use crate::mountinfo::{self, Mount as Entry};
use crate::root::mount_of;
use crate::spec::{self, Mount};
use crate::zoneroot::Canonical;
use crate::{Failed, PlatformError, cgroup};

/// As many processes as a message names.
const MOST_NAMED: usize = 5;

/// As many mounts as are taken away at one place: the zone's root may have put more on top.
const MOST_LAYERS: usize = 64;

/// A file system of the zone that is in use, or that nobody can take away.
#[derive(Debug, thiserror::Error)]
pub enum Stays {
    /// Somebody uses it.
    #[error("fs {dir} is in use{}: end what uses it, or have the removal wait until the zone boots next", by(.holders))]
    Busy {
        /// Where it is in the zone.
        dir: String,
        /// Who uses it: processes, and mounts below.
        holders: Vec<String>,
    },
    /// The kernel keeps what was mounted at boot, but where its mount point can be replaced.
    #[error(
        "fs {dir} is there since the zone booted and can only be taken away from an empty directory of the zone's root: it goes when the zone boots next"
    )]
    Locked {
        /// Where it is in the zone.
        dir: String,
    },
}

fn by(holders: &[String]) -> String {
    if holders.is_empty() { String::new() } else { format!(" by {}", holders.join(", ")) }
}

/// Whether two specifications differ in what a zone has mounted.
pub(crate) fn differs(old: &crate::Spec, new: &crate::Spec) -> bool {
    old.mounts != new.mounts
}

/// Gives a zone that lives its file systems, and takes those away that it is not to have any more.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (old, new) = (&change.old.mounts, &change.new.mounts);
    if old.is_empty() && new.is_empty() {
        return Ok(());
    }
    let differing = Differing::between(old, new);
    let mut plans = std::mem::take(&mut change.found.mounts);
    let missing = |table: &[Entry], mount: &Mount| top(table, &mount.at).is_none();
    let table = table(change)?;
    let wanted: Vec<&Mount> =
        new.iter().filter(|mount| differing.has(&mount.at) || missing(&table, mount)).collect();
    // Nothing was looked for where nothing is new, or where a change is taken back.
    if plans.is_empty() && !wanted.is_empty() {
        plans = find(change, &wanted)?;
    }
    plans.retain(|plan| wanted.contains(&plan.mount));
    // One that is there as it is to be, since this was done before and cut short.
    let is_given = |table: &[Entry], plan: &Plan<'_>| {
        let was = old.iter().find(|mount| mount.at == plan.mount.at);
        // Of these the table of mounts does not tell one from another.
        let is_plain = |mount: &Mount| matches!(mount.fstype(), FsType::Tmpfs | FsType::Overlay);
        let same_to_the_eye =
            was.is_some_and(|was| was.source == plan.mount.source || is_plain(was) && is_plain(plan.mount));
        !same_to_the_eye && top(table, &plan.mount.at).is_some_and(|entry| shows(entry, plan))
    };
    plans.retain(|plan| !is_given(&table, plan));
    let goes = |mount: &&Mount| {
        !new.iter().any(|one| one.at == mount.at) || plans.iter().any(|plan| plan.mount.at == mount.at)
    };
    let gone: Vec<&Mount> = differing.taken.iter().copied().filter(goes).collect();
    for mount in &gone {
        match take(change, mount, &gone) {
            // It goes with what it is in.
            Err(PlatformError::Fs(FsError::Stays(Stays::Locked { .. })))
                if is_below_another(&gone, mount) => {}
            done => done?,
        }
        zone_fail::pass!("fs.taken");
    }
    let left = self::table(change)?;
    if let Some(mount) = gone.iter().find(|mount| top(&left, &mount.at).is_some()) {
        return Err(FsError::Stays(Stays::Locked { dir: mount.at.clone() }).into());
    }
    wait_for(change, gone.iter().copied())?;
    for plan in plans {
        give(change, plan)?;
        zone_fail::pass!("fs.given");
    }
    Ok(())
}

/// What of two lists of mounts is to be taken away, children first, and at which places something differs.
#[derive(Debug)]
struct Differing<'a> {
    taken: Vec<&'a Mount>,
    places: Vec<PathBuf>,
}

impl<'a> Differing<'a> {
    fn between(old: &'a [Mount], new: &[Mount]) -> Self {
        let alone = |mount: &&Mount| !(old.contains(mount) && new.contains(mount));
        let places: Vec<PathBuf> =
            old.iter().chain(new).filter(alone).map(|mount| PathBuf::from(&mount.at)).collect();
        let mut taken: Vec<&Mount> = old.iter().filter(|mount| is_within(&places, &mount.at)).collect();
        taken.sort_by(|a, b| Path::new(&b.at).cmp(Path::new(&a.at)));
        Self { taken, places }
    }

    fn has(&self, at: &str) -> bool {
        is_within(&self.places, at)
    }
}

fn is_below_another(mounts: &[&Mount], mount: &Mount) -> bool {
    let above = |other: &&&Mount| other.at != mount.at && Path::new(&mount.at).starts_with(&other.at);
    mounts.iter().any(|other| above(&other))
}

fn is_within(places: &[PathBuf], at: &str) -> bool {
    places.iter().any(|place| Path::new(at).starts_with(place))
}

fn table(change: &Change<'_>) -> Result<Vec<Entry>, Failed> {
    let (number, _) = change.root()?;
    mountinfo::read_of(number)
}

/// What is mounted last at a place, as the zone's first process sees it.
fn top<'a>(table: &'a [Entry], at: &str) -> Option<&'a Entry> {
    table.iter().rev().find(|entry| entry.point == Path::new(at))
}

/// Whether a mount is what a plan would make, as far as the table of mounts tells.
fn shows(entry: &Entry, plan: &Plan<'_>) -> bool {
    let has = |option: &str| entry.options.split(',').any(|has| has == option);
    let same = match &plan.source {
        Found::Overlay(_) => entry.fstype == "overlay",
        Found::Memory => entry.fstype == "tmpfs" && entry.root == Path::new("/"),
        Found::Disk(disk) => disk.is_mounted_as(entry),
        Found::Server(server) => server.is_mounted_as(entry),
        Found::Source(source) => {
            let Ok(table) = mountinfo::read() else { return false };
            let Some(own) = mount_of(source.fd(), &table) else { return false };
            let Ok(inside) = source.path().strip_prefix(&own.point) else { return false };
            (entry.major, entry.minor) == (own.major, own.minor) && entry.root == own.root.join(inside)
        }
    };
    same && has("ro") == plan.options.read_only()
}

/// Looks for what is to be mounted where no check has.
fn find<'a>(change: &Change<'a>, wanted: &[&'a Mount]) -> Result<Vec<Plan<'a>>, PlatformError> {
    let judge = Judge::new(change.layout)?;
    let claims = Claims::collect(change.layout, change.new, Purpose::Update)?;
    let mut plans = Vec::new();
    for mount in wanted {
        plans.push(plan(&judge, &claims, mount, Own::Any)?);
    }
    plans.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(plans)
}

fn give(change: &mut Change<'_>, plan: Plan<'_>) -> Result<(), PlatformError> {
    let base = change.new.ids.ok_or(PlatformError::NoIds)?.base;
    let cgroup = cgroup::open(change.layout, &change.new.zone)?;
    let guarded = cgroup.is_some_and(|cgroup| is_guarded(cgroup.as_fd(), change.layout.id()));
    plan.permit(guarded)?;
    let user = change.namespace("user")?;
    let Made { mount, kind, refusal, shortfall } = plan.make(user.as_fd(), base)?;
    if let Some(shortfall) = shortfall {
        change.warn(shortfall.warning(&plan.mount.special()));
    }
    if let Some(refusal) = refusal {
        super::map_owners(mount.as_fd(), user.as_fd(), refusal, plan.mount)?;
    }
    Ok(mounter::attach(change, mount.as_fd(), &plan.dir, kind)?)
}

/// Takes away all that is mounted at a place; `going` is what is to go as well.
fn take(change: &Change<'_>, mount: &Mount, going: &[&Mount]) -> Result<(), PlatformError> {
    let dir: Canonical = mount
        .at
        .parse()
        .map_err(|error: crate::zoneroot::Refusal| super::directory_error(mount, error.into()))?;
    for _ in 0..MOST_LAYERS {
        let table = table(change)?;
        let Some(entry) = top(&table, &mount.at) else { return Ok(()) };
        let busy = || {
            let holders = holders(change, &table, entry, going);
            FsError::Stays(Stays::Busy { dir: mount.at.clone(), holders })
        };
        match mounter::take(change, &dir)? {
            Unmounted::Done => {}
            Unmounted::Busy => return Err(busy().into()),
            Unmounted::Locked => {
                if !holders(change, &table, entry, going).is_empty() {
                    return Err(busy().into());
                }
                replace(change, &dir)?;
                break;
            }
        }
    }
    match top(&table(change)?, &mount.at) {
        None => Ok(()),
        Some(_) => Err(FsError::Stays(Stays::Locked { dir: mount.at.clone() }).into()),
    }
}

/// Replaces an empty mount point by another one, on the host, where nothing is mounted on it: with it the kernel takes away what is
/// mounted there in any namespace, locked or not (rmdir(2), mount_namespaces(7)). The way is on the file system of the zone's root
/// and by no link, so nothing but what the zone owns is reached.
fn replace(change: &Change<'_>, dir: &Canonical) -> Result<(), PlatformError> {
    let locked = || FsError::Stays(Stays::Locked { dir: dir.to_string() });
    let shown = change.new.root();
    let fail = || Failed::to("replace the mount point", format!("{}{dir}", shown.display()));
    let zonepath = HostPath::open(&change.new.zonepath).map_err(crate::root::RootError::from)?;
    let root = beneath(zonepath.fd(), "root", OFlags::PATH | OFlags::DIRECTORY).map_err(fail())?;
    let Some((name, dirs)) = dir.components().split_last() else { return Err(locked().into()) };
    let above = match dirs {
        [] => Ok(root),
        _ => beneath(&root, dirs.join("/"), OFlags::PATH | OFlags::DIRECTORY),
    };
    let above = above.map_err(|_| locked())?;
    let found = beneath(&above, name.as_str(), OFlags::PATH | OFlags::NOFOLLOW).map_err(|_| locked())?;
    let stat = fstat(&found).map_err(fail())?;
    let remade = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            match unlinkat(&above, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => return Err(locked().into()),
                done => done.map_err(fail())?,
            }
            mkdirat(&above, name, Mode::from_raw_mode(0o700))
        }
        FileType::RegularFile if stat.st_size == 0 => {
            unlinkat(&above, name, AtFlags::empty()).map_err(fail())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            openat(&above, name, flags, Mode::from_raw_mode(0o600)).map(drop)
        }
        _ => return Err(locked().into()),
    };
    match remade {
        // The zone's root was faster, and has what it wants there.
        Err(Errno::EXIST) => Ok(()),
        made => made.and_then(|()| as_before(&above, name, &stat)).map_err(|errno| fail()(errno).into()),
    }
}

/// Gives a new mount point owner and mode of the one before.
fn as_before(above: impl AsFd, name: &str, stat: &Stat) -> Result<(), Errno> {
    let made = beneath(&above, name, OFlags::PATH | OFlags::NOFOLLOW)?;
    if FileType::from_raw_mode(fstat(&made)?.st_mode) != FileType::from_raw_mode(stat.st_mode) {
        return Ok(());
    }
    let own = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&made));
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(&made, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    chmodat(rustix::fs::CWD, own, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())
}

/// Waits until the images that were written to are let go, but for those that are mounted again.
fn wait_for<'a>(change: &Change<'_>, gone: impl Iterator<Item = &'a Mount>) -> Result<(), PlatformError> {
    let stays = |path: &Path| {
        let of = |mount: &Mount| matches!(&mount.source, spec::Source::Disk(other, _) if other == path);
        change.new.mounts.iter().any(of)
    };
    let images = gone.filter(|mount| !mount.is_read_only()).filter_map(|mount| match &mount.source {
        spec::Source::Disk(path, _) if !stays(path) => Some(path.clone()),
        _ => None,
    });
    let limit = zone_fail::limit(&change.layout.run(), crate::reach::LIMIT);
    Ok(gone::wait(&images.collect::<Vec<_>>(), limit).map_err(FsError::from)?)
}

/// Who uses a mount: mounts below it, and processes of the zone with something of it open. Their text alone is read, for what
/// they have open may be on a file system that does not answer.
fn holders(change: &Change<'_>, table: &[Entry], mount: &Entry, going: &[&Mount]) -> Vec<String> {
    let goes = |below: &&Entry| !going.iter().any(|other| Path::new(&other.at) == below.point);
    let mut named: Vec<String> = mountinfo::below(table, &mount.point)
        .filter(goes)
        .map(|below| format!("what is mounted on {}", below.point.display().to_string().escape_debug()))
        .collect();
    for pid in cgroup::processes(change.layout, &change.new.zone).unwrap_or_default() {
        if named.len() >= MOST_NAMED {
            break;
        }
        if uses(pid, mount) {
            let name = zone_sys::proc::text(format!("/proc/{pid}/comm")).unwrap_or_default();
            named.push(format!("process {pid} ({})", name.trim_end().escape_debug()));
        }
    }
    named.truncate(MOST_NAMED);
    named
}

fn uses(pid: i32, mount: &Entry) -> bool {
    let Ok(table) = mountinfo::read_of(pid) else { return false };
    let key = |entry: &Entry| (entry.major, entry.minor, entry.root.clone(), entry.point.clone());
    let ids: Vec<u64> = table.iter().filter(|entry| key(entry) == key(mount)).map(|entry| entry.id).collect();
    let open = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    // Text of the zone's: names in it have any bytes, those of files that io_uring has among them.
    let of = |text: Vec<u8>| {
        let text = String::from_utf8_lossy(&text);
        let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        id.is_some_and(|id| ids.contains(&id))
    };
    let mut infos = open.filter_map(|entry| beginning(&entry.path(), INFO).ok());
    let links = ["cwd", "root", "exe"].map(|name| fs::read_link(format!("/proc/{pid}/{name}")));
    // Seen from here what a process in a namespace of its own has begins with the zone's root.
    let inside = |path: &Path| path.starts_with(&mount.point);
    infos.any(of)
        || links.iter().flatten().any(|path| inside(path))
        || beginning(format!("/proc/{pid}/maps").as_ref(), MAPS)
            .is_ok_and(|maps| maps.len() as u64 == MAPS || mapped(&maps).any(inside))
}

/// So much of a file of `/proc/PID/fdinfo` is read: the mount is in its first lines, and what follows has no end that the zone does not
/// give it.
const INFO: u64 = 4096;
/// So much of a process' mappings is gone through. One that has more, by paths as deep as it likes, is taken for a user of the mount.
const MAPS: u64 = 32 << 20;

fn beginning(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that proc_pid_maps(5) names; a name is whatever bytes the zone gave it.
fn mapped(maps: &[u8]) -> impl Iterator<Item = &Path> {
    let path = |line: &[u8]| line.iter().position(|&byte| byte == b'/');
    maps.split(|&byte| byte == b'\n')
        .filter_map(move |line| Some(Path::new(OsStr::from_bytes(&line[path(line)?..]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(at: &str, source: &str) -> Mount {
        let source = spec::Source::Host(source.into());
        Mount { at: at.into(), source, mapped: true, options: Vec::new() }
    }

    fn taken(old: &[Mount], new: &[Mount]) -> Vec<String> {
        Differing::between(old, new).taken.iter().map(|mount| mount.at.clone()).collect()
    }

    #[test]
    fn what_differs_is_taken_with_what_lies_below() {
        let (a, b, c) = (mount("/a", "/1"), mount("/a/b", "/2"), mount("/ab", "/3"));
        let all = [a.clone(), b.clone(), c.clone()];
        assert_eq!(taken(&all, &all), Vec::<String>::new());
        assert_eq!(taken(&all, &[a.clone(), c.clone()]), ["/a/b"]);
        assert_eq!(taken(&all, &[mount("/a", "/other"), b.clone(), c.clone()]), ["/a/b", "/a"]);
        assert_eq!(taken(&all, &[]), ["/ab", "/a/b", "/a"]);
        // What is new above something has that mounted again on top of it.
        assert_eq!(taken(std::slice::from_ref(&b), &[a.clone(), b.clone()]), ["/a/b"]);
        let given = Differing::between(&all, &[a, b]);
        assert!(given.has("/ab") && given.has("/ab/c") && !given.has("/a"));
    }

    #[test]
    fn a_mapping_whose_name_is_no_text_hides_none() {
        let maps = b"55d0-55d1 r-xp 00000000 fe:01 7   /usr/bin/a\xff\n7f00-7f01 rw-p 00000000 00:00 0 \n\
            7f02-7f03 r--s 00000000 00:2a 9   /data/b c\n7ffd-7ffe rw-p 00000000 00:00 0   [stack]\n";
        let names: Vec<&[u8]> = mapped(maps).map(|path| path.as_os_str().as_bytes()).collect();
        assert_eq!(names, [&b"/usr/bin/a\xff"[..], b"/data/b c"]);
    }

    #[test]
    fn the_last_mount_at_a_place_is_on_top() {
        let entry = |id: u64, point: &str| Entry {
            id,
            major: 0,
            minor: 1,
            root: "/".into(),
            point: point.into(),
            fstype: "tmpfs".into(),
            shared: false,
            source: "tmpfs".into(),
            options: "rw,nodev".into(),
        };
        let table = [entry(1, "/"), entry(2, "/a"), entry(3, "/a"), entry(4, "/ab")];
        assert_eq!(top(&table, "/a").map(|entry| entry.id), Some(3));
        assert!(top(&table, "/b").is_none());
    }
}
