//! The devices of the host that a pattern names.
//!
//! `/dev` is walked by descriptor and on its own file system: what users of the host can write to (`/dev/shm`) is another. Symlinks
//! there are udev's names for devices; they are followed as far as they stay inside.

use std::path::Path;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, major, minor, openat};
use rustix::io::Errno;
use zone_config::device::{self, Pattern};
use zone_config::hostpath::HostPath;
use zone_sys::path::in_root;

use super::{DeviceError, MOST, Node};
use crate::Failed;
use crate::mountinfo::Mount;
use crate::spec::Device;

pub(super) const DEV: &str = "/dev";
/// The most names of a directory that are looked at.
const MOST_NAMES: usize = 65_536;

/// Devices that no zone gets whatever they are called: of the first major number those that are memory and ports, and the log;
/// of the fifth the console of the host. Source: Documentation/admin-guide/devices.txt.
const NEVER: [(u32, u32, &str); 6] = [
    (1, 1, "it is the host's memory"),
    (1, 2, "it is the host's memory"),
    (1, 4, "it is the host's hardware"),
    (1, 11, "it is the host's log"),
    (5, 1, "it is the host's console"),
    (5, 2, "the zone has its own"),
];

/// Opens the host's `/dev`.
pub(super) fn open() -> Result<OwnedFd, Failed> {
    let found = HostPath::open(Path::new(DEV)).map_err(Failed::to("look for devices in", DEV))?;
    in_root(found.fd(), ".", OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(Failed::to("look for devices in", DEV))
}

/// Finds all devices that a resource asks for, in the order of their names.
pub(super) fn all(dev: BorrowedFd<'_>, device: &Device, use_of: Use<'_>) -> Result<Vec<Node>, DeviceError> {
    let fail = |source| DeviceError::Pattern { text: device.text.clone(), source };
    let pattern: Pattern = device.text.parse().map_err(fail)?;
    if let Some(reason) = pattern.refused() {
        return Err(DeviceError::Never { name: pattern.to_string(), reason });
    }
    let mut names = vec![String::new()];
    for part in pattern.parts() {
        names = step(dev, &names, part)?;
        if names.len() > MOST_NAMES {
            return Err(DeviceError::TooMany { pattern: pattern.to_string() });
        }
    }
    let mut nodes = Vec::new();
    for name in names {
        match node(dev, &name, device, use_of) {
            Ok(node) => nodes.push(node),
            // Among many there are directories, and what no zone gets.
            Err(DeviceError::Type { .. } | DeviceError::Never { .. } | DeviceError::Missing(_))
                if !pattern.is_literal() => {}
            Err(error) => return Err(error),
        }
        if nodes.len() > MOST {
            return Err(DeviceError::TooMany { pattern: pattern.to_string() });
        }
    }
    Ok(nodes)
}

/// Takes each name on by one part of a pattern.
fn step(dev: BorrowedFd<'_>, names: &[String], part: &str) -> Result<Vec<String>, Failed> {
    let join = |above: &String, name: &str| {
        if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
    };
    if !device::is_wild(part) {
        return Ok(names.iter().map(|above| join(above, part)).collect());
    }
    let mut found = Vec::new();
    for above in names {
        let here = if above.is_empty() { "." } else { above };
        let dir = match in_root(dev, here, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => continue,
            Err(errno) => return Err(Failed::to("look for devices in", format!("{DEV}/{above}"))(errno)),
        };
        let fail = |errno| Failed::to("look for devices in", format!("{DEV}/{above}"))(errno);
        for entry in Dir::read_from(&dir).map_err(fail)?.take(MOST_NAMES) {
            let entry = entry.map_err(fail)?;
            // A name that is not text is none that a pattern can have.
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
                && (!above.is_empty() || device::never(name).is_none())
                && device::fits(part, name)
            {
                found.push(join(above, name));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Looks at what has a name.
fn node(dev: BorrowedFd<'_>, name: &str, device: &Device, use_of: Use<'_>) -> Result<Node, DeviceError> {
    let shown = || format!("{DEV}/{name}");
    let fd = match in_root(dev, name, OFlags::PATH) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(DeviceError::Missing(shown())),
        Err(Errno::XDEV) => {
            return Err(DeviceError::Type { name: shown(), kind: "on another file system than /dev" });
        }
        Err(errno) => return Err(Failed::to("look at device", shown())(errno).into()),
    };
    let stat = fstat(&fd).map_err(Failed::to("look at device", shown()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let other = match kind {
        FileType::BlockDevice | FileType::CharacterDevice => None,
        FileType::Directory => Some("a directory, whose devices are matched by its name with /* behind it,"),
        _ => Some("a file"),
    };
    if let Some(kind) = other {
        return Err(DeviceError::Type { name: shown(), kind });
    }
    let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
    let never = NEVER.iter().find(|(never, number, _)| (*never, *number) == (major, minor));
    if let (FileType::CharacterDevice, Some((.., reason))) = (kind, never) {
        return Err(DeviceError::Never { name: shown(), reason });
    }
    if kind == FileType::BlockDevice && use_of.is_busy(fd.as_fd(), (major, minor)) {
        return Err(DeviceError::Busy { name: shown() });
    }
    let mode = device.mode.unwrap_or(stat.st_mode & 0o777);
    Ok(Node { name: name.to_owned(), kind, major, minor, mode, owner: device.owner, group: device.group })
}

/// What the host does with its disks.
#[derive(Clone, Copy)]
pub(super) struct Use<'a> {
    /// What is mounted.
    pub(super) table: &'a [Mount],
    /// Whether the zone lives, and may use them itself.
    pub(super) lives: bool,
}

impl Use<'_> {
    /// Whether somebody has a disk, or a part of it, for himself. One without a medium is nobody's.
    fn is_busy(self, fd: BorrowedFd<'_>, number: (u32, u32)) -> bool {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let taken = || openat(CWD, path, flags, Mode::empty()).is_err_and(|errno| errno == Errno::BUSY);
        self.table.iter().any(|mount| (mount.major, mount.minor) == number) || !self.lives && taken()
    }
}
