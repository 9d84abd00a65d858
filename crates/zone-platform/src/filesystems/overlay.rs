//! Overlays: directories of the host one above the other, of which only the uppermost is written to.
//!
//! The host's root mounts it, so what the kernel keeps of it on disk (`trusted.overlay.*`) is nothing that the zone's root could
//! write. The owners are mapped in the layers, for an overlay itself cannot be id-mapped: since Linux 5.19 it takes layers that
//! are. Each layer is a copy of the mount of what was walked to, and gets a name of ours in a directory in memory that nobody
//! else sees, so that no path of the host is looked up again, or told to the zone.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, chmodat, chownat, fstat, mkdirat, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::thread::{capabilities, set_capabilities, set_thread_res_gid, set_thread_res_uid};
use zone_sys::mount::MountAttr;
use zone_sys::path::beneath;

use super::Unfit;
use super::disk::{DiskError, is_known};
use super::options::Options;
use super::source::{Judge, Source};
use crate::Failed;
use crate::claims::Claims;
use crate::mounts::{Below, CopyError, aside, attach, copy_mapped, new_fs, workshop};
use crate::spec::Mount;
use crate::zoneroot::Kind;

/// What the overlay keeps in its upper directory, the files and what it needs besides.
const KEPT: [&str; 2] = ["upper", "work"];

/// The layers of an overlay, found and opened.
#[derive(Debug)]
pub(crate) struct Overlay {
    lower: Vec<Source>,
    upper: Option<Source>,
}

impl Overlay {
    /// Looks at the layers of an overlay at a place of the zone.
    pub(super) fn look(
        judge: &Judge,
        claims: &Claims,
        at: &Mount,
        lower: &[PathBuf],
        upper: Option<&Path>,
    ) -> Result<Self, Unfit> {
        let layer = |path: &Path, attributes: MountAttr| {
            let found = judge.source(claims, path, at.mapped, &Options::of_layer(attributes))?;
            match found.kind() {
                Kind::Directory => Ok(found),
                Kind::File => Err(Unfit::Layer(path.to_owned())),
            }
        };
        if !is_known("overlay") {
            return Err(DiskError::Unknown("overlay").into());
        }
        let lower = lower.iter().map(|path| layer(path, MountAttr::RDONLY)).collect::<Result<_, _>>()?;
        if let Some(path) = upper {
            judge.alone(claims, path, &at.at)?;
        }
        let upper = upper.map(|path| layer(path, MountAttr::empty())).transpose()?;
        Ok(Self { lower, upper })
    }

    /// Whether nothing can be changed in it.
    pub(super) fn is_read_only(&self) -> bool {
        self.upper.is_none()
    }

    /// Mounts it, detached, with the owners of the zone if there are its user namespace and the id that is 0 in it.
    pub(super) fn mount(
        &self,
        dir: &str,
        owners: Option<(BorrowedFd<'_>, u32)>,
        options: &Options<'_>,
    ) -> Result<OwnedFd, Failed> {
        let fail = || Failed::to("lay out the overlay for", dir);
        let copy = |source: &Source, set: MountAttr| {
            copy_mapped(source.fd(), owners.map(|(userns, _)| userns), set | MountAttr::NODEV, Below::NOTHING)
                .map_err(CopyError::into_inner)
                .map_err(Failed::to("copy the mount of", source.path().display()))
        };
        let mut layers = Vec::new();
        for (number, source) in self.lower.iter().enumerate() {
            layers.push((number.to_string(), copy(source, MountAttr::RDONLY)?));
        }
        let lower: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
        let lower = lower.join(":");
        let mut words = vec![("lowerdir", lower.as_str())];
        if let Some(upper) = &self.upper {
            self.prepare(upper)
                .map_err(Failed::to("make what an overlay needs in", upper.path().display()))?;
            layers.push(("kept".to_owned(), copy(upper, MountAttr::empty())?));
            words.extend([("upperdir", "kept/upper"), ("workdir", "kept/work")]);
        }
        aside(dir, || {
            let place = workshop().map_err(fail())?;
            for (name, mount) in &layers {
                put(place.as_fd(), name, mount.as_fd()).map_err(fail())?;
            }
            if let Some((_, base)) = owners {
                become_owner(base).map_err(fail())?;
            }
            new_fs(dir, "overlay", &words, options.mount_attributes())
        })
    }

    /// Makes what an overlay needs in its upper directory, if it is not there: the directory for the files has owner and mode of
    /// the uppermost one below, for it is what is seen.
    fn prepare(&self, upper: &Source) -> Result<(), Errno> {
        KEPT.into_iter().try_for_each(|name| {
            let seen = self.lower.first().filter(|_| name == KEPT[0]);
            let seen = seen.map(|source| fstat(source.fd())).transpose()?;
            make_kept(upper.fd(), name, seen.as_ref())
        })
    }
}

/// Makes a directory if it is not there, with owner and mode of what is seen of it. It has another name until it has them: whoever comes
/// after one who was killed here would take what is there for whole.
fn make_kept(dir: BorrowedFd<'_>, name: &str, seen: Option<&Stat>) -> Result<(), Errno> {
    match beneath(dir, name, OFlags::PATH | OFlags::NOFOLLOW) {
        Err(Errno::NOENT) => {}
        found => {
            let is_directory = FileType::from_raw_mode(fstat(found?)?.st_mode) == FileType::Directory;
            return if is_directory { Ok(()) } else { Err(Errno::NOTDIR) };
        }
    }
    let half = format!("{name}.new");
    match unlinkat(dir, &*half, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    mkdirat(dir, &*half, Mode::from_raw_mode(0o700))?;
    if let Some(seen) = seen {
        let (user, group) = (Uid::from_raw(seen.st_uid), Gid::from_raw(seen.st_gid));
        chownat(dir, &*half, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        chmodat(dir, &*half, Mode::from_raw_mode(seen.st_mode & 0o7777), AtFlags::empty())?;
    }
    renameat(dir, &*half, dir, name)
}

/// Makes the calling thread one of whom the mapped layers know: what the kernel makes in them of its own accord, it makes as whoever
/// has mounted the overlay. The rights stay the host's root's.
fn become_owner(base: u32) -> Result<(), Errno> {
    let has = capabilities(None)?;
    set_thread_res_gid(Gid::ROOT, Gid::from_raw(base), Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::from_raw(base), Uid::ROOT)?;
    set_capabilities(None, has)
}

/// Attaches a layer in the workshop.
fn put(place: BorrowedFd<'_>, name: &str, mount: BorrowedFd<'_>) -> Result<(), Errno> {
    mkdirat(place, name, Mode::from_raw_mode(0o700))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    attach(mount, openat(place, name, flags, Mode::empty())?.as_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_is_kept_is_whole_after_whoever_was_killed_at_it() {
        zone_testing::needs_root!();
        let lab = tempfile::tempdir().unwrap();
        let (seen, at) = (lab.path().join("seen"), lab.path().join("upper"));
        fs::create_dir(&seen).unwrap();
        crate::testing::mode(&seen, 0o2755);
        std::os::unix::fs::chown(&seen, Some(7), Some(8)).unwrap();
        crate::testing::mode(&seen, 0o2755);
        // As much as there is of it before it has its owner.
        fs::create_dir(lab.path().join("upper.new")).unwrap();
        let dir = fs::File::open(lab.path()).unwrap();
        let make = |name| make_kept(dir.as_fd(), name, Some(&rustix::fs::stat(&seen).unwrap()));
        make("upper").unwrap();
        let found =
            || fs::metadata(&at).map(|found| (found.mode() & 0o7777, found.uid(), found.gid())).unwrap();
        assert_eq!(found(), (0o2755, 7, 8));
        assert!(!lab.path().join("upper.new").exists());
        // What the zone has made of it stays.
        crate::testing::mode(&at, 0o700);
        make("upper").unwrap();
        assert_eq!(found(), (0o700, 7, 8));
        fs::write(lab.path().join("file"), "").unwrap();
        assert_eq!(make("file"), Err(Errno::NOTDIR));
        // Nothing that is somebody's is taken away.
        fs::create_dir_all(lab.path().join("work.new/theirs")).unwrap();
        assert_eq!(make("work"), Err(Errno::NOTEMPTY));
    }
}
