//! File systems on disks: a block device of the host, or an image, which is a file that a loop device makes one of.
//!
//! The kernel's code for file systems trusts the disk. So nobody but the host's root may write to it while it is mounted, and one
//! that says of itself that it is damaged is not mounted. No program of the host is run on what is on it.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, major, minor, openat};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountAttrFlags, fsopen};
use zone_config::config::FsType;
use zone_config::hostpath::{HostPath, HostPathError, shown};
use zone_sys::loopdev::{Backing, Loop};

use super::options::Options;
use super::{Own, Unfit};
use crate::Failed;
use crate::mountinfo::Mount;
use crate::mounts::new_fs_of;

/// A disk that a zone cannot have.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Neither a block device nor a file.
    #[error("{} is neither a block device nor an image of one in a regular file", shown(.0))]
    Type(PathBuf),
    /// Whoever writes to an image that is mounted can have the kernel do anything.
    #[error(
        "{} can be written to by others than root, who could change it while it is mounted; run chown root and chmod go-w on it",
        shown(.0)
    )]
    Writable(PathBuf),
    /// The host has it mounted, or somebody else has it open for himself.
    #[error("{} is in use on the host ({by}): unmount it there, or share the directory that it is mounted on as lofs", shown(.path))]
    Busy {
        /// The path on the host.
        path: PathBuf,
        /// By whom.
        by: String,
    },
    /// The kernel does not know the type.
    #[error(
        "this kernel has no file system {0}: load its module (modprobe {0}), or boot a kernel that has it"
    )]
    Unknown(&'static str),
    /// There is something else on it.
    #[error("there is no file system {fstype} on {}", shown(.path))]
    Other {
        /// The path on the host.
        path: PathBuf,
        /// The type that was asked for.
        fstype: &'static str,
    },
    /// It says that it needs a repair.
    #[error("the file system on {} says that it {what}: run fsck.{fstype} on it", shown(.path))]
    Damaged {
        /// The path on the host.
        path: PathBuf,
        /// The type of file system.
        fstype: &'static str,
        /// What it says.
        what: &'static str,
    },
    /// The owners cannot be had.
    #[error(
        "Linux {release} cannot id-map {fstype}, so its files would belong to nobody in the zone: set owners=host to have it so"
    )]
    Idmap {
        /// The type of file system.
        fstype: &'static str,
        /// The kernel.
        release: String,
    },
}

/// A disk that was found fit, opened by name only.
pub(crate) struct Disk {
    fd: OwnedFd,
    path: PathBuf,
    fstype: FsType,
    stat: Stat,
    read_only: bool,
    /// Loop devices that zones have, which an image is never mounted by.
    taken: Vec<u32>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.fstype.as_str(), self.path.display())
    }
}

/// Walks to a disk. What udev's links in `/dev` lead to is what they mean.
pub(super) fn walk(path: &Path) -> Result<HostPath, HostPathError> {
    match HostPath::open(path) {
        Err(HostPathError::Symlink { real: Some(real), .. })
            if path.starts_with("/dev") && real.starts_with("/dev") =>
        {
            HostPath::open(&real)
        }
        other => other,
    }
}

impl Disk {
    /// Looks at a disk that was walked to; what the zone has mounted itself is no reason to refuse it.
    pub(super) fn look(
        found: HostPath,
        fstype: FsType,
        options: &Options<'_>,
        table: &[Mount],
        own: Own<'_>,
    ) -> Result<Self, Unfit> {
        let (path, stat) = (found.path().to_owned(), *found.stat());
        let read_only = options.read_only();
        let disk = Self { fd: found.into_fd(), path, fstype, stat, read_only, taken: Vec::new() };
        match disk.kind() {
            FileType::RegularFile if stat.st_uid != 0 || stat.st_mode & 0o022 != 0 => {
                return Err(DiskError::Writable(disk.path).into());
            }
            FileType::RegularFile | FileType::BlockDevice => {}
            _ => return Err(DiskError::Type(disk.path).into()),
        }
        if !is_known(fstype.as_str()) {
            return Err(DiskError::Unknown(fstype.as_str()).into());
        }
        let lives = match own {
            Own::Nothing => false,
            Own::Of(mounts) => mounts.iter().any(|mount| disk.is_mounted_as(mount)),
            Own::Any => true,
        };
        if !lives && let Some(by) = disk.user(table)? {
            return Err(DiskError::Busy { path: disk.path, by }.into());
        }
        if !lives {
            disk.check_state()?;
        }
        Ok(disk)
    }

    /// Has it mounted by no loop device of these numbers.
    pub(super) fn beside(self, taken: Vec<u32>) -> Self {
        Self { taken, ..self }
    }

    /// Whether a mount is of this disk.
    pub(super) fn is_mounted_as(&self, mount: &Mount) -> bool {
        let is_of = |device: &str| mount.fstype == self.fstype.as_str() && mount.source == device;
        match self.kind() {
            FileType::BlockDevice => is_of(&self.path.to_string_lossy()),
            _ => loops(&self.stat).is_ok_and(|loops| loops.iter().any(|(device, _)| is_of(&device.path()))),
        }
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens what was looked at.
    fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat(CWD, format!("/proc/self/fd/{}", self.fd.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Who uses it, if somebody does. Two that only read do not disturb each other.
    fn user(&self, table: &[Mount]) -> Result<Option<String>, Failed> {
        if self.kind() == FileType::BlockDevice {
            let number = (major(self.stat.st_rdev), minor(self.stat.st_rdev));
            if let Some(mount) = table.iter().find(|mount| (mount.major, mount.minor) == number) {
                return Ok(Some(format!("mounted on {}", shown(&mount.point))));
            }
            let taken = self.open(OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK);
            return Ok((taken.err() == Some(Errno::BUSY))
                .then(|| "a file system, swap space or another device has it".to_owned()));
        }
        let mut users = loops(&self.stat)?.into_iter().filter_map(|(device, backing)| {
            let number = (7, device.number());
            let is_mounted = table.iter().any(|mount| (mount.major, mount.minor) == number);
            let disturbs = !(backing.read_only && self.read_only);
            of_host(&device.path(), is_mounted, backing.is_plain).filter(|_| disturbs)
        });
        Ok(users.next())
    }

    /// Reads what the file system says of itself.
    fn check_state(&self) -> Result<(), Unfit> {
        let fail = || Failed::to("read", self.path.display());
        let fd = self.open(OFlags::RDONLY | OFlags::NONBLOCK).map_err(fail())?;
        let mut head = [0; 2048];
        let mut at = 0;
        while at < head.len() {
            match rustix::io::pread(&fd, &mut head[at..], at as u64).map_err(fail())? {
                0 => break,
                read => at += read,
            }
        }
        let fstype = self.fstype.as_str();
        match state(self.fstype, &head) {
            State::Fit => Ok(()),
            State::Other => Err(DiskError::Other { path: self.path.clone(), fstype }.into()),
            State::Damaged(what) => Err(DiskError::Damaged { path: self.path.clone(), fstype, what }.into()),
        }
    }

    /// Mounts it, detached; `base` owns all of a file system that has no owners to map.
    pub(super) fn mount(
        &self,
        dir: &str,
        options: &Options<'_>,
        base: Option<u32>,
    ) -> Result<OwnedFd, Failed> {
        let attributes = options.mount_attributes();
        if self.kind() == FileType::BlockDevice {
            return self.mount_device(&self.path.to_string_lossy(), dir, attributes, base);
        }
        let fail = || Failed::to("make a loop device of", self.path.display());
        // Nobody else makes one of the same file meanwhile. The lock is not of what the device keeps open.
        let lock = self.open(OFlags::RDONLY).map_err(fail())?;
        flock(&lock, FlockOperation::LockExclusive).map_err(fail())?;
        let flags = if self.read_only { OFlags::RDONLY } else { OFlags::RDWR };
        let file = self.open(flags).map_err(fail())?;
        // One that is still there is about to go with the zone's last life: it is used again, for two of one file would each
        // write as if alone.
        let left = loops(&fstat(&file).map_err(fail())?)?;
        let is_left = |backing: &Backing| backing.is_plain && backing.read_only == self.read_only;
        let left = left.into_iter().find(|(_, backing)| is_left(backing));
        let device = match left {
            Some((device, _)) => device,
            None => Loop::make_beside(file.as_fd(), self.read_only, &self.taken)
                .map_err(Failed::to("make a loop device of", self.path.display()))?,
        };
        zone_fail::pass!("fs.loop");
        self.mount_device(&device.path(), dir, attributes, base)
    }

    fn mount_device(
        &self,
        device: &str,
        dir: &str,
        attributes: MountAttrFlags,
        base: Option<u32>,
    ) -> Result<OwnedFd, Failed> {
        let owner = base.map(|base| base.to_string());
        let mut options = Vec::new();
        if self.read_only {
            options.push(("ro", ""));
        }
        if let Some(owner) = owner.as_deref().filter(|_| self.fstype == FsType::Iso9660) {
            options.extend([("uid", owner), ("gid", owner)]);
        }
        new_fs_of(dir, self.fstype.as_str(), device, &options, attributes)
    }

    /// Whether its files have owners, which are then to be mapped.
    pub(super) fn has_owners(&self) -> bool {
        self.fstype != FsType::Iso9660
    }

    /// The error of a file system whose owners cannot be mapped.
    pub(super) fn cannot_be_mapped(&self) -> Unfit {
        DiskError::Idmap { fstype: self.fstype.as_str(), release: crate::kernel::release() }.into()
    }
}

/// Whether the kernel knows a type. One that is in a module is known from when it is asked for: the kernel loads that.
pub(super) fn is_known(fstype: &str) -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().last() == Some(fstype))
        || fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).err() != Some(Errno::NODEV)
}

/// The loop devices of a file.
pub(super) fn loops(stat: &Stat) -> Result<Vec<(Loop, Backing)>, Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop")?.parse().ok());
        let Some(number) = number.filter(|_| entry.path().join("loop").exists()) else { continue };
        let opened = Loop::open(number).map_err(Failed::to("look at", format!("/dev/loop{number}")))?;
        found.extend(
            opened.filter(|(_, backing)| (backing.device, backing.inode) == (stat.st_dev, stat.st_ino)),
        );
    }
    Ok(found)
}

/// What of the host has an image by a loop device: a mount, or one who has made a device that does not go with what is mounted of it, or
/// shows a part of the image only. None if the device is one of a zone's life before.
fn of_host(device: &str, is_mounted: bool, is_plain: bool) -> Option<String> {
    match (is_mounted, is_plain) {
        (true, _) => Some(device.to_owned()),
        (false, false) => Some(format!("{device}, which 'losetup -d {device}' takes off it")),
        (false, true) => None,
    }
}

/// What a file system says of itself.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Fit,
    Other,
    Damaged(&'static str),
}

/// Reads the state from the beginning of a disk. Journals that the kernel replays when it mounts are no damage; of xfs,
/// btrfs and iso9660 the kernel looks for itself.
fn state(fstype: FsType, head: &[u8]) -> State {
    let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    match fstype {
        // The superblock is at 1024 (Documentation/filesystems/ext4/super.rst).
        FsType::Ext4 => {
            let (is_ext, state, journal) =
                (word(1024 + 0x38) == 0xef53, word(1024 + 0x3a), word(1024 + 0x5c) & 4);
            match (is_ext, state & 1, state & 2) {
                (false, ..) => State::Other,
                (_, _, 2) => State::Damaged("has errors"),
                (_, 0, _) if journal == 0 => State::Damaged("was not unmounted, and has no journal"),
                _ => State::Fit,
            }
        }
        FsType::Vfat => {
            // FAT12 and FAT16 have the number of sectors of a table here, FAT32 has 0.
            let flags = if word(22) == 0 { head[65] } else { head[37] };
            match (word(510) == 0xaa55, flags & 1, flags & 2) {
                (false, ..) => State::Other,
                (_, _, 2) => State::Damaged("has errors"),
                (_, 1, _) => State::Damaged("was not unmounted"),
                _ => State::Fit,
            }
        }
        _ => State::Fit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_tells_its_state() {
        let ext = |state: u8, features: u8| {
            let mut head = [0; 2048];
            (head[1024 + 0x38], head[1024 + 0x39]) = (0x53, 0xef);
            (head[1024 + 0x3a], head[1024 + 0x5c]) = (state, features);
            state_of(FsType::Ext4, &head)
        };
        fn state_of(fstype: FsType, head: &[u8]) -> State {
            state(fstype, head)
        }
        assert_eq!(state_of(FsType::Ext4, &[0; 2048]), State::Other);
        assert_eq!((ext(1, 4), ext(0, 4), ext(1, 0)), (State::Fit, State::Fit, State::Fit));
        assert_eq!(ext(3, 4), State::Damaged("has errors"));
        assert_eq!(ext(0, 0), State::Damaged("was not unmounted, and has no journal"));
        let fat = |at: usize, flags: u8| {
            let mut head = [0; 2048];
            (head[510], head[511], head[at]) = (0x55, 0xaa, flags);
            head[22] = u8::from(at == 37);
            state_of(FsType::Vfat, &head)
        };
        assert_eq!((fat(37, 0), fat(65, 0)), (State::Fit, State::Fit));
        assert_eq!(
            (fat(37, 1), fat(65, 1)),
            (State::Damaged("was not unmounted"), State::Damaged("was not unmounted"))
        );
        assert_eq!(state_of(FsType::Vfat, &[0; 2048]), State::Other);
        assert_eq!(state_of(FsType::Xfs, &[0; 2048]), State::Fit, "the kernel says it");
    }

    #[test]
    fn a_loop_device_is_the_hosts_if_it_is_mounted_or_none_of_ours() {
        let of = |is_mounted, is_plain| of_host("/dev/loop3", is_mounted, is_plain);
        assert_eq!(of(false, true), None);
        assert_eq!((of(true, true), of(true, false)), (Some("/dev/loop3".into()), Some("/dev/loop3".into())));
        assert!(of(false, false).is_some_and(|by| by.contains("'losetup -d /dev/loop3'")));
    }

    #[test]
    fn a_device_that_shows_a_part_or_stays_is_known() {
        use std::process::Command;
        zone_testing::needs_root!();
        if !Path::new("/dev/loop-control").exists() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // Each has an image of its own, for a device may be in use for a while after its end (udev).
        let image = |name: &str| {
            let image = dir.path().join(name);
            std::fs::File::create(&image).unwrap().set_len(1 << 20).unwrap();
            image
        };
        let plain = |image: &Path| {
            let found = loops(&rustix::fs::stat(image).unwrap()).unwrap();
            found.iter().map(|(_, backing)| backing.is_plain).collect::<Vec<_>>()
        };
        let ours = image("ours");
        let file = std::fs::File::options().read(true).write(true).open(&ours).unwrap();
        let made = Loop::make(file.as_fd(), false).unwrap();
        assert_eq!(plain(&ours), [true]);
        drop(made);
        for (name, more) in [("stays", &[][..]), ("part", &["--offset", "4096"])] {
            let theirs = image(name);
            let made = Command::new("losetup").args(["--find", "--show"]).args(more).arg(&theirs).output();
            let device = String::from_utf8(made.unwrap().stdout).unwrap();
            let found = plain(&theirs);
            Command::new("losetup").args(["--detach", device.trim()]).status().unwrap();
            assert_eq!(found, [false], "{name} {device}");
        }
    }
}
