//! What a disk is, whatever it is called: a device or an image of one, a part or the whole.
//!
//! Whoever has a disk as a `device` can write to it, and the kernel trusts what it has mounted. The kernel refuses to mount what somebody
//! has for himself, and the other way round; but a zone that opens its device has that no more for itself than any reader.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat, major, minor};
use zone_config::{Layout, Snapshot, ZoneConfig, ZoneName};
use zone_sys::loopdev::Loop;

use super::Claims;
use crate::Failed;
use crate::spec::Device;

/// A device, by its numbers.
pub(crate) type Number = (u32, u32);

/// What is on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Medium {
    /// What it was named by: the node of a device, or an image.
    file: (u64, u64),
    /// The device, and the disk that it is or is a part of.
    device: Option<(Number, Number)>,
    /// The number of the loop device, if it is one.
    number: Option<u32>,
    /// What that makes a disk of.
    behind: Option<(u64, u64)>,
}

impl Medium {
    /// Finds what is on what `stat` is of; `None` if that is neither a block device nor a regular file.
    pub(crate) fn of(stat: &Stat) -> Result<Option<Self>, Failed> {
        let file = (stat.st_dev, stat.st_ino);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(Self { file, device: None, number: None, behind: None })),
            FileType::BlockDevice => {
                let number = (major(stat.st_rdev), minor(stat.st_rdev));
                let disk = whole(number).unwrap_or(number);
                let (device, number) = (Some((number, disk)), loop_number(disk));
                let behind = number.map(behind).transpose()?.flatten();
                Ok(Some(Self { file, device, number, behind }))
            }
            _ => Ok(None),
        }
    }

    /// Whether something is on both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self.device, other.device) {
            // Two parts of a disk have nothing of each other.
            (Some((own, disk)), Some((number, its))) if disk == its => {
                own == number || own == disk || number == disk
            }
            _ => self.files().any(|file| other.files().any(|its| its == file)),
        }
    }

    /// The number of the loop device that it is on, be there something behind it or not.
    pub(crate) fn loop_number(&self) -> Option<u32> {
        self.number
    }

    /// Whether it is an image, which gets a loop device when it is mounted.
    pub(crate) fn is_image(&self) -> bool {
        self.device.is_none()
    }

    fn files(&self) -> impl Iterator<Item = (u64, u64)> {
        [Some(self.file), self.behind].into_iter().flatten()
    }
}

/// Finds the disk that a device is a part of, or is; `None` if it has just gone.
pub(crate) fn whole(number: Number) -> Option<Number> {
    let here = directory(number);
    if !here.join("partition").exists() {
        return Some(number);
    }
    let part = here.canonicalize().ok()?;
    let text = std::fs::read_to_string(part.parent()?.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What the kernel tells of a device.
fn directory((major, minor): Number) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}

/// The number of a loop device.
fn loop_number(disk: Number) -> Option<u32> {
    let real = directory(disk).canonicalize().ok()?;
    real.file_name()?.to_str()?.strip_prefix("loop")?.parse().ok()
}

/// The file that a loop device makes a disk of.
fn behind(number: u32) -> Result<Option<(u64, u64)>, Failed> {
    let opened = Loop::open(number).map_err(Failed::to("look at", format!("/dev/loop{number}")))?;
    Ok(opened.map(|(_, backing)| (backing.device, backing.inode)))
}

impl Claims {
    /// Finds the `fs` resource whose file system is on what a zone is to have as a device, and its zone. Of other zones those count that
    /// live; those that are only configured as well for whoever wants to know whether all could be up.
    pub(crate) fn mounter(&self, medium: &Medium) -> Result<Option<(&ZoneName, &str)>, Failed> {
        for share in self.shares.iter().filter(|share| share.disk && !share.upper && share.counts) {
            let on = share.spot.stat().map(Medium::of).transpose()?.flatten();
            if on.is_some_and(|on| on.meets(medium)) {
                return Ok(Some((&share.zone, &share.dir)));
            }
        }
        Ok(None)
    }

    /// The `device` resources of other zones, of the same as [`Self::mounter`] has. This reads what they live with.
    pub(crate) fn devices(&self, layout: &Layout) -> Vec<(ZoneName, Vec<Device>)> {
        let of = |config: &ZoneConfig| config.device.iter().map(Device::of).collect::<Vec<_>>();
        let mut found = Vec::new();
        for zone in self.others.iter().filter(|other| other.live.is_some()).map(|other| &other.zone) {
            if [layout.snapshot(zone), layout.snapshot_next(zone)].iter().any(|path| may_have(path)) {
                let next = Snapshot::load_next(layout, zone).ok().flatten();
                let snapshots = Snapshot::load(layout, zone).ok().into_iter().chain(next);
                found.extend(snapshots.map(|snapshot| (zone.clone(), of(&snapshot.config))));
            }
        }
        let configured = self.others.iter().filter(|other| self.tells_all && other.live.is_none());
        for zone in configured.map(|other| &other.zone) {
            let path = layout.config(zone);
            let config = may_have(&path).then(|| ZoneConfig::load(layout, zone).ok()).flatten();
            found.extend(config.map(|config| (zone.clone(), of(&config))));
        }
        found
    }
}

/// Whether there may be a `device` in a snapshot or a configuration: to parse it takes longer than to look.
fn may_have(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_met_by_its_parts_and_by_what_is_behind_it() {
        let file = |inode| Medium { file: (1, inode), device: None, number: None, behind: None };
        let device = |number, disk, behind: Option<u64>| Medium {
            file: (9, u64::from(number)),
            device: Some(((8, number), (8, disk))),
            number: None,
            behind: behind.map(|inode| (1, inode)),
        };
        let (disk, first, second, other) =
            (device(0, 0, None), device(1, 0, None), device(2, 0, None), device(16, 16, None));
        let (one, two, part) = (device(40, 40, Some(7)), device(41, 41, Some(7)), device(42, 41, Some(7)));
        for (a, b, meet) in [
            (&disk, &disk, true),
            (&disk, &first, true),
            (&first, &first, true),
            (&first, &second, false),
            (&disk, &other, false),
            // Loop devices of one image, a part of such a one, and one of a disk.
            (&one, &two, true),
            (&one, &part, true),
            (&one, &file(7), true),
            (&part, &file(7), true),
            (&one, &file(8), false),
            (&file(7), &file(7), true),
            (&Medium { behind: Some(other.file), ..one.clone() }, &other, true),
        ] {
            assert_eq!((a.meets(b), b.meets(a)), (meet, meet), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_no_disk_is_none() {
        let of = |path: &str| Medium::of(&rustix::fs::stat(path).unwrap()).unwrap();
        assert_eq!((of("/"), of("/dev/null")), (None, None));
        assert!(of("/proc/self/exe").is_some());
    }
}
