//! Files of lxcfs in the `/proc` and `/sys` of a zone: they show what the zone may use, where the kernel's own show the machine.
//!
//! They are mounts of single files, read-only, on top of the zone's `/proc`: a curtain that the zone's root can take away, and behind it is
//! what every user of the host sees. So they are put there when there is a `/proc`, by entering the zone's mount namespace, in the same
//! way while the first process waits, in a zone that lives, and when lxcfs was restarted: then what the zone has is of a server that is
//! gone, and answers `ENOTCONN`. Only the table of mounts tells which is which. lxcfs itself is asked by another process first, and here only
//! if that got an answer: nothing of ours hangs with it.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::fchdir;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use zone_sys::Chain;
use zone_sys::mount::MountAttr;
use zone_sys::path::{beneath, in_root_unlinked, unlinked};

use crate::change::{Change, root_of};
use crate::check::{Check, Purpose};
use crate::mountinfo::{self, Mount};
use crate::mounts::copy_mapped;
use crate::{Failed, PlatformError, Spec, reach};

/// Where lxcfs is mounted on a host.
const AT: &str = "/var/lib/lxcfs";
/// The type of its file system in the table of mounts.
const TYPE: &str = "fuse.lxcfs";

/// A file that lxcfs has, and the zone's that it lies over: the file system that this is of, the directory there, and the name.
struct File {
    fs: &'static str,
    dir: &'static str,
    name: &'static str,
}

const fn of_proc(name: &'static str) -> File {
    File { fs: "proc", dir: ".", name }
}

const FILES: [File; 8] = [
    of_proc("cpuinfo"),
    of_proc("diskstats"),
    of_proc("loadavg"),
    of_proc("meminfo"),
    of_proc("stat"),
    of_proc("swaps"),
    of_proc("uptime"),
    File { fs: "sys", dir: "devices/system/cpu", name: "online" },
];

impl File {
    /// Its path below a directory.
    fn below(&self, top: &str) -> PathBuf {
        let above = Path::new(top).join(self.fs);
        if self.dir == "." { above.join(self.name) } else { above.join(self.dir).join(self.name) }
    }

    /// The type of the file system that it is of.
    fn fstype(&self) -> &'static str {
        if self.fs == "proc" { "proc" } else { "sysfs" }
    }
}

/// Why a zone that asks for lxcfs cannot have it.
#[derive(Debug, thiserror::Error)]
pub enum LxcfsError {
    /// It is not there.
    #[error(
        "lxcfs=true needs lxcfs, which is not mounted on {AT}: install the package lxcfs and start its service, or clear the property"
    )]
    Absent,
    /// Its process does not answer, or is gone.
    #[error("{0}, or clear the property lxcfs")]
    Silent(Silent),
}

/// That lxcfs is mounted, and of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lxcfs does not answer on {AT}: restart it, such as with 'systemctl restart lxcfs'")]
pub struct Silent;

/// What came of putting the files of lxcfs in order in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are as they should be.
    Kept,
    /// The zone has got them.
    Given,
    /// Those of an lxcfs that is gone, or is not wanted, were taken away.
    Taken,
    /// The zone should have them, and lxcfs does not answer.
    Silent,
}

/// A connection to lxcfs: the device of its file system.
pub type Connection = (u32, u32);

/// Tells which lxcfs runs on this host, if one does, by the table of mounts alone.
#[must_use]
pub fn connection() -> Option<Connection> {
    here(&mountinfo::read().ok()?)
}

fn here(table: &[Mount]) -> Option<Connection> {
    let top = table.iter().rfind(|mount| mount.point == Path::new(AT))?;
    (top.fstype == TYPE).then_some((top.major, top.minor))
}

/// Whether a zone has files of lxcfs, where that runs. With user namespaces in it none, if nobody asks: these get no `/proc` where something
/// is mounted on it.
#[must_use]
pub fn is_wanted(spec: &Spec) -> bool {
    spec.lxcfs.unwrap_or(!spec.privileges.opened.nesting)
}

/// Whether a zone has this one of them. Clocks of its own the kernel shows better.
fn has(spec: &Spec, file: &File) -> bool {
    is_wanted(spec) && !(spec.own_uptime && file.name == "uptime")
}

/// Whether two specifications differ in what is made of them here.
pub(crate) fn differs(old: &Spec, new: &Spec) -> bool {
    FILES.iter().any(|file| has(old, file) != has(new, file)) || old.lxcfs != new.lxcfs
}

/// Looks whether a zone that asks for lxcfs could have it.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let asked = check.spec.lxcfs == Some(true);
    match (connection(), is_wanted(check.spec)) {
        (_, false) | (None, true) if !asked => Ok(()),
        (None, _) => Err(LxcfsError::Absent.into()),
        // Tried when it is used, and nobody hears a warning from here.
        (Some(_), _) if !asked && check.purpose == Purpose::BringUp => Ok(()),
        (Some(_), _) if answers() => Ok(()),
        (Some(_), _) if asked => Err(LxcfsError::Silent(Silent).into()),
        (Some(_), _) => {
            check.warn(without(Silent));
            Ok(())
        }
    }
}

/// Says what a zone lacks.
fn without(why: impl std::error::Error + 'static) -> String {
    format!("{}; until then /proc shows what the machine has, and not the zone", Chain(&why))
}

/// Whether lxcfs answers: tried by another process, and by this one only after it.
fn answers() -> bool {
    let probe = FILES[0].below(AT);
    // Of a file the kernel remembers for a second what the last one said; of the file system it asks each time.
    reach::answers_soon(&probe) && std::fs::metadata(&probe).is_ok() && rustix::fs::statvfs(&probe).is_ok()
}

/// Whether there is something to be done for a zone that boots.
#[must_use]
pub fn is_due(spec: &Spec) -> bool {
    is_wanted(spec) && (spec.lxcfs == Some(true) || connection().is_some())
}

/// Gives a zone its files of lxcfs while its first process waits; tells what there is to be warned of.
///
/// # Errors
/// When a zone that asks for them does not get them.
pub fn put(first: BorrowedFd<'_>, spec: &Spec) -> Result<Option<String>, PlatformError> {
    match settle(first, spec) {
        Ok(Outcome::Silent) if spec.lxcfs == Some(true) => Err(LxcfsError::Silent(Silent).into()),
        Err(failed) if spec.lxcfs == Some(true) => Err(failed.into()),
        Ok(Outcome::Silent) => Ok(Some(without(Silent))),
        Err(failed) => Ok(Some(without(failed))),
        Ok(_) => Ok(None),
    }
}

/// Gives a zone that lives its files of lxcfs, or takes them away.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (_, new) = change.specs();
    match settle(change.first(), new) {
        Ok(Outcome::Silent) => change.warn(without(Silent)),
        // What the zone's root has done to its own /proc is no reason to refuse the host's all else.
        Err(failed) => {
            let told = Chain(&failed).to_string();
            change.warn(format!("{told}; 'zoneadm apply' tries again, and so does the next boot"));
        }
        Ok(_) if new.lxcfs == Some(true) && connection().is_none() => {
            change.warn(LxcfsError::Absent.to_string());
        }
        Ok(_) => {}
    }
    Ok(())
}

/// Puts the files of lxcfs in order in the zone whose first process is behind a pidfd: those that it should have are of the lxcfs that
/// runs, and no others are there. Where all is right, two tables are read.
///
/// # Errors
/// When the zone's `/proc` is not what it was made with, or the kernel refuses.
pub fn settle(first: BorrowedFd<'_>, spec: &Spec) -> Result<Outcome, Failed> {
    let (number, root) = root_of(first)?;
    let table = mountinfo::read_of(number)?;
    let runs = here(&mountinfo::read()?);
    let mut orders = orders(&table, spec, runs);
    if orders.is_empty() {
        return Ok(Outcome::Kept);
    }
    let silent = orders.iter().any(|order| order.put) && !answers();
    if silent {
        orders.iter_mut().for_each(|order| order.put = false);
    }
    let takes = orders.iter().any(|order| order.take > 0);
    let jobs =
        orders.into_iter().map(|order| Job::prepare(order, &root, &table)).collect::<Result<Vec<_>, _>>()?;
    let gives = jobs.iter().any(|job| job.mount.is_some());
    carry_out(first, &jobs)?;
    Ok(match (silent, gives, takes) {
        (true, ..) => Outcome::Silent,
        (_, true, _) => Outcome::Given,
        (_, _, true) => Outcome::Taken,
        _ => Outcome::Kept,
    })
}

/// What is to be done with one file in a zone.
struct Order {
    file: &'static File,
    /// How many mounts of lxcfs on top of it are to be taken away.
    take: usize,
    put: bool,
}

/// Works out what is to be done, from the zone's table of mounts and the lxcfs that runs.
fn orders(table: &[Mount], spec: &Spec, runs: Option<Connection>) -> Vec<Order> {
    let order = |file: &'static File| {
        let place = file.below("/");
        let right = runs.filter(|_| has(spec, file));
        let there: Vec<&Mount> = table.iter().filter(|mount| mount.point == place).collect();
        let is_right = |mount: &&&Mount| mount.fstype == TYPE && right == Some((mount.major, mount.minor));
        let is_wrong = |mount: &&&Mount| mount.fstype == TYPE && !is_right(mount);
        // What the zone has mounted there itself, and what lies below that, is its own affair.
        let take = there.iter().rev().take_while(is_wrong).count();
        let put = right.is_some() && !there.iter().any(|mount| is_right(&mount));
        Order { file, take, put }
    };
    FILES.iter().map(order).filter(|order| order.take > 0 || order.put).collect()
}

/// One file, with all that is needed opened before the zone's mount namespace is entered.
struct Job {
    name: &'static str,
    /// The zone's directory that it is in.
    dir: OwnedFd,
    take: usize,
    mount: Option<OwnedFd>,
}

impl Job {
    fn prepare(order: Order, root: &OwnedFd, table: &[Mount]) -> Result<Self, Failed> {
        let Order { file, take, put } = order;
        let mount = if put { source(file)? } else { None };
        Ok(Self { name: file.name, dir: directory(file, root, table)?, take, mount })
    }
}

/// A mount of a file of lxcfs, detached and read-only; `None` if this lxcfs has no such file.
fn source(file: &File) -> Result<Option<OwnedFd>, Failed> {
    let path = file.below(AT);
    let failed = |errno: Errno| Failed::to("open", path.display())(errno);
    let opened = match unlinked(CWD, &path, OFlags::PATH, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if FileType::from_raw_mode(fstat(&opened).map_err(failed)?.st_mode) != FileType::RegularFile {
        return Err(failed(Errno::INVAL));
    }
    let safe = MountAttr::RDONLY | MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
    let copied = copy_mapped(opened.as_fd(), None, safe, crate::mounts::Below::NOTHING)
        .map_err(crate::mounts::CopyError::into_inner);
    copied.map(Some).map_err(|error| failed(error.errno()))
}

/// Opens the zone's directory that a file is in, if it is of the kernel's own file system: on what the zone's root serves itself no
/// call would ever end.
fn directory(file: &File, root: &OwnedFd, table: &[Mount]) -> Result<OwnedFd, Failed> {
    let failed = |errno: Errno| Failed::to("open the zone's", format!("/{}", file.fs))(errno);
    let is = |fd: BorrowedFd<'_>, fits: &dyn Fn(&str) -> bool| {
        mountinfo::of(table, fd).is_some_and(|mount| fits(&mount.fstype))
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    if !is(root.as_fd(), &|fstype| !reach::is_served_type(fstype)) {
        return Err(failed(Errno::XDEV));
    }
    let top = in_root_unlinked(root, file.fs, flags).map_err(failed)?;
    if !is(top.as_fd(), &|fstype| fstype == file.fstype()) {
        return Err(failed(Errno::XDEV));
    }
    beneath(&top, file.dir, flags).map_err(failed)
}

/// Enters the zone's mount namespace, in a thread that ends after it, and mounts and unmounts there.
fn carry_out(first: BorrowedFd<'_>, jobs: &[Job]) -> Result<(), Failed> {
    let work = || {
        let enter = |errno: Errno| Failed::to("enter", "the zone's mount namespace")(errno);
        zone_sys::mount::unshare_directories().map_err(|error| enter(error.errno()))?;
        move_into_thread_name_spaces(first, ThreadNameSpaceType::MOUNT).map_err(enter)?;
        jobs.iter().try_for_each(|job| one(job).map_err(Failed::to("put lxcfs on the zone's", job.name)))
    };
    let joined = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("lxcfs".to_owned()).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    joined.map_err(Failed::to("start", "a thread"))?
}

fn one(job: &Job) -> Result<(), Errno> {
    fchdir(&job.dir)?;
    for _ in 0..job.take {
        match unmount(job.name, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // The zone's root was faster.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    let Some(mount) = &job.mount else { return Ok(()) };
    let place = openat(CWD, job.name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let by_fd = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    match move_mount(mount, c"", &place, c"", by_fd) {
        // A machine without this file has nothing to lie over.
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lab, mount};

    fn spec(lxcfs: Option<bool>, nesting: bool) -> Spec {
        let mut lab = Lab::new("linux");
        lab.snapshot.config.lxcfs = lxcfs;
        lab.snapshot.config.nesting = nesting;
        Spec::of(&lab.snapshot)
    }

    /// What is done with /proc/meminfo: how many are taken away, and whether one is put.
    fn of_meminfo(table: &[Mount], spec: &Spec, runs: Option<Connection>) -> (usize, bool) {
        let orders = orders(table, spec, runs);
        orders.iter().find(|order| order.file.name == "meminfo").map_or((0, false), |o| (o.take, o.put))
    }

    #[test]
    fn a_zone_has_the_files_of_the_lxcfs_that_runs() {
        zone_testing::needs_root!();
        let (on, off, nests) = (spec(None, false), spec(Some(false), false), spec(None, true));
        let (now, before) = (Some((0, 9)), mount("/proc/meminfo", TYPE, 5));
        let right = mount("/proc/meminfo", TYPE, 9);
        let own = mount("/proc/meminfo", "tmpfs", 30);
        for (table, spec, runs, expected) in [
            (vec![], &on, now, (0, true)),
            (vec![], &on, None, (0, false)),
            (vec![], &off, now, (0, false)),
            (vec![], &nests, now, (0, false)),
            (vec![right.clone()], &on, now, (0, false)),
            (vec![right.clone()], &off, now, (1, false)),
            (vec![before.clone()], &on, now, (1, true)),
            (vec![before.clone(), before.clone()], &on, None, (2, false)),
            // What the zone has mounted over it stays, and what it hides as well.
            (vec![right, own.clone()], &on, now, (0, false)),
            (vec![before, own], &on, now, (0, true)),
        ] {
            assert_eq!(of_meminfo(&table, spec, runs), expected, "{table:?} {runs:?}");
        }
        let all = orders(&[], &on, now).len();
        let mut clocks = on;
        clocks.own_uptime = true;
        assert_eq!(orders(&[], &clocks, now).len(), all - 1, "the kernel shows its uptime");
    }

    #[test]
    fn lxcfs_is_what_is_on_top_of_its_place() {
        assert_eq!(here(&[mount(AT, TYPE, 7)]), Some((0, 7)));
        assert_eq!(here(&[mount(AT, TYPE, 7), mount(AT, TYPE, 8)]), Some((0, 8)));
        assert_eq!(here(&[mount(AT, TYPE, 7), mount(AT, "tmpfs", 8)]), None);
        assert_eq!(here(&[mount("/var/lib", TYPE, 7)]), None);
    }

    #[test]
    fn paths_are_those_of_lxcfs_and_of_the_zone() {
        assert_eq!(FILES[3].below(AT), Path::new("/var/lib/lxcfs/proc/meminfo"));
        assert_eq!(FILES[7].below("/"), Path::new("/sys/devices/system/cpu/online"));
    }
}
