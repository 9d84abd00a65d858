//! Overlays: directories of the host one above the other, of which only the uppermost is written to.
//!
//! The host's root mounts it, so what the kernel keeps of it on disk (`trusted.overlay.*`) is nothing that the zone's root could
//! write. The owners are mapped in the layers, for an overlay itself cannot be id-mapped: since Linux 5.19 it takes layers that
//! are. Each layer is a copy of the mount of what was walked to, and gets a name of ours in a directory in memory that nobody
//! else sees, so that no path of the host is looked up again, or told to the zone.

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::thread::{capabilities, set_capabilities, set_thread_res_gid, set_thread_res_uid};
use zone_sys::mount::MountAttr;
use zone_sys::path::beneath;

use super::Unfit;
use super::disk::DiskError;
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
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.lines().any(|line| line.split_whitespace().last() == Some("overlay")) {
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
        for name in KEPT {
            match mkdirat(upper.fd(), name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) => {
                    let found = beneath(upper.fd(), name, OFlags::PATH | OFlags::NOFOLLOW)?;
                    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Directory {
                        return Err(Errno::NOTDIR);
                    }
                    continue;
                }
                made => made?,
            }
            let seen = self.lower.first().filter(|_| name == KEPT[0]);
            if let Some(seen) = seen.map(|source| fstat(source.fd())).transpose()? {
                let (user, group) = (Uid::from_raw(seen.st_uid), Gid::from_raw(seen.st_gid));
                chownat(upper.fd(), name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
                chmodat(upper.fd(), name, Mode::from_raw_mode(seen.st_mode & 0o7777), AtFlags::empty())?;
            }
        }
        Ok(())
    }
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
