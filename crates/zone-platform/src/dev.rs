//! The zone's /dev: our own tmpfs, node by node, and never one of the guest's.
//!
//! The nodes are made by the host's root, for no root in a user namespace can make any; so what is here is all
//! that the zone will ever have. The file system belongs to the zone's root, who may remove and rename in it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fchmod, fchown, makedev, mkdirat,
};
use rustix::fs::{mknodat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::pty::unlockpt;
use zone_config::idmap;
use zone_sys::mount::{MountAttr, set_attr};

use crate::Failed;
use crate::devices::Node;
use crate::kernelfs::memory;
use crate::mounts::{Below, CopyError, aside, copy, copy_mapped, host_path, new_fs};

/// The group that owns terminals, in every distribution.
const TTY_GID: u32 = 5;
/// As many terminals as a zone's own instance has. A zone that mounts more of them gets no further than
/// `kernel.pty.max` less `kernel.pty.reserve`, which the host's processes have to themselves.
const MOST_PTYS: &str = "1024";

/// Character devices that no zone can do harm with, by name, major and minor (Documentation/admin-guide/devices.txt).
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    // The devpts instance's own, which makes terminals in that instance.
    ("ptmx", "pts/ptmx"),
];

/// Mount points in /dev.
const DIRS: [&str; 3] = ["pts", "shm", "mqueue"];

/// The consoles of a PC that inits of before systemd start a getty on: the first is the zone's console, the others are the first
/// terminals of its devpts, see [`seats`].
const SEATS: [(&str, &str); 6] = [
    ("tty1", "console"),
    ("tty2", "pts/0"),
    ("tty3", "pts/1"),
    ("tty4", "pts/2"),
    ("tty5", "pts/3"),
    ("tty6", "pts/4"),
];

/// Builds the tmpfs of /dev with everything in it; with tty1 to tty6 for an init that expects them, and with `devices` of the
/// host's.
///
/// # Errors
/// When something cannot be made in it.
pub(crate) fn tree(base: u32, seats: bool, devices: &[Node]) -> Result<OwnedFd, Failed> {
    // Not nodev, of course; and not noexec, since programs map /dev/zero to have executable memory.
    let options = [("mode", "755"), ("size", "4m"), ("nr_inodes", "64k")];
    let dev = memory("/dev", base, &options, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    for (name, major, minor) in NODES {
        let rdev = makedev(major, minor);
        let mode = Mode::from_raw_mode(0o666);
        let group = if name == "tty" { base + TTY_GID } else { base };
        node(&dev, name, mode, rdev)
            // The mode at creation is cut by the umask. Nobody but us can reach the file system yet.
            .and_then(|()| chmodat(&dev, name, mode, AtFlags::empty()))
            .and_then(|()| own(&dev, name, base, group))
            .map_err(failed(name))?;
    }
    devices.iter().try_for_each(|node| make(dev.as_fd(), node, base))?;
    let is_device = |name: &str| devices.iter().any(|node| node.name == name);
    let seats = if seats { &SEATS[..] } else { &[] };
    for &(name, target) in LINKS.iter().chain(seats).filter(|(name, _)| !is_device(name)) {
        symlinkat(target, &dev, name).and_then(|()| own(&dev, name, base, base)).map_err(failed(name))?;
    }
    for name in DIRS {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))
            .and_then(|()| chmodat(&dev, name, Mode::from_raw_mode(0o755), AtFlags::empty()))
            .and_then(|()| own(&dev, name, base, base))
            .map_err(failed(name))?;
    }
    // An empty file for the console to be mounted on.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(&dev, "console", flags, Mode::from_raw_mode(0o600)).map_err(failed("console"))?;
    own(&dev, "console", base, base).map_err(failed("console"))?;
    Ok(dev)
}

/// Makes a node; in a zone, whose root makes none, a file for one of the zone's own to be mounted on (see [`of_the_zone`]).
fn node(dev: &OwnedFd, name: &str, mode: Mode, rdev: u64) -> Result<(), Errno> {
    match mknodat(dev, name, FileType::CharacterDevice, mode, rdev) {
        Err(Errno::PERM) if idmap::nested().is_some() => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            openat(dev, name, flags, mode).map(drop)
        }
        made => made,
    }
}

/// What is mounted on the files of a /dev that was made in a zone: that zone's own nodes.
///
/// # Errors
/// When one of them cannot be had.
pub(crate) fn of_the_zone() -> Result<Vec<(&'static str, OwnedFd)>, Failed> {
    if idmap::nested().is_none() {
        return Ok(Vec::new());
    }
    let one = |at: &'static str| {
        let set = MountAttr::NOSUID | MountAttr::NOEXEC;
        let found = host_path(std::path::Path::new(at)).map_err(Failed::to("open", at))?;
        let mount = copy_mapped(found.as_fd(), None, set, Below::NOTHING).map_err(CopyError::into_inner);
        Ok((at, mount.map_err(Failed::to("copy the mount of", at))?))
    };
    BOUND.into_iter().map(one).collect()
}

/// The paths of [`NODES`].
pub(crate) const BOUND: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Makes a device of the host's, with the directories that it is in.
pub(crate) fn make(dev: BorrowedFd<'_>, node: &Node, base: u32) -> Result<(), Failed> {
    let fail = || Failed::to("make the zone's", format!("/dev/{}", node.name));
    let dir_mode = Mode::from_raw_mode(0o755);
    let above = node.name.match_indices('/').map(|(at, _)| &node.name[..at]);
    for dir in above {
        match mkdirat(dev, dir, dir_mode) {
            Ok(()) => chmodat(dev, dir, dir_mode, AtFlags::empty())
                .and_then(|()| own(dev, dir, base, base))
                .map_err(fail())?,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(fail()(errno)),
        }
    }
    let mode = Mode::from_raw_mode(node.mode);
    mknodat(dev, &*node.name, node.kind, mode, makedev(node.major, node.minor))
        .and_then(|()| chmodat(dev, &*node.name, mode, AtFlags::empty()))
        .and_then(|()| own(dev, &node.name, base + node.owner, base + node.group))
        .map_err(fail())
}

fn own(dir: impl AsFd, name: &str, user: u32, group: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    chownat(dir, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
}

fn failed(name: &'static str) -> impl FnOnce(Errno) -> Failed {
    Failed::to("make the zone's", format!("/dev/{name}"))
}

/// The zone's terminals: an instance of devpts of its own. One that is mounted in the host's initial mount namespace may take the
/// host's reserve of terminals too (`kernel.pty.reserve`), so it is mounted in another.
///
/// # Errors
/// When the kernel refuses it.
pub(crate) fn pts(base: u32) -> Result<OwnedFd, Failed> {
    aside("/dev/pts", || pts_aside(base))
}

/// The same, for a thread that has left the host's initial mount namespace.
///
/// # Errors
/// When the kernel refuses it.
pub(crate) fn pts_aside(base: u32) -> Result<OwnedFd, Failed> {
    let gid = (base + TTY_GID).to_string();
    let options = [
        // What every instance is since Linux 4.7; older documentation and mount tables still show it.
        ("newinstance", ""),
        ("gid", gid.as_str()),
        ("mode", "620"),
        ("ptmxmode", "666"),
        ("max", MOST_PTYS),
    ];
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let pts = new_fs("/dev/pts", "devpts", &options, attributes)?;
    // Made by the host's root, they would be nobody's in the zone.
    own(&pts, ".", base, base)
        .and_then(|()| own(&pts, "ptmx", base, base))
        .map_err(Failed::to("give the zone", "/dev/pts"))?;
    Ok(pts)
}

/// Opens the terminals behind tty2 to tty6 in the zone's devpts, which nobody has used yet, and gives their managers. A getty
/// there finds a terminal and waits for ever, as it does on a PC where nobody presses Alt-F2; without one it ends at once, and
/// its init starts it again and again. They hang up when the managers are closed.
///
/// # Errors
/// When the kernel has no terminals left.
pub(crate) fn seats(pts: BorrowedFd<'_>, base: u32) -> Result<Vec<OwnedFd>, Failed> {
    let seat = |path: &'static str| {
        let name = path.strip_prefix("pts/").unwrap_or(path);
        let open = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let manager = openat(pts, "ptmx", flags, Mode::empty())?;
            unlockpt(&manager)?;
            let (user, group) = (Uid::from_raw(base), Gid::from_raw(base + TTY_GID));
            chownat(pts, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(manager)
        };
        open().map_err(failed(path))
    };
    SEATS[1..].iter().map(|&(_, path)| seat(path)).collect()
}

/// The mount of the console on /dev/console: the pty's subsidiary side, by its descriptor, never by its name.
///
/// # Errors
/// When the terminal cannot be given to the zone or copied as a mount.
pub(crate) fn console(pty: BorrowedFd<'_>, base: u32) -> Result<OwnedFd, Failed> {
    const WHAT: &str = "the console's terminal";
    if !rustix::termios::isatty(pty) {
        return Err(Failed::to("use as", WHAT)(Errno::NOTTY));
    }
    fchown(pty, Some(Uid::from_raw(base)), Some(Gid::from_raw(base + TTY_GID)))
        .and_then(|()| fchmod(pty, Mode::from_raw_mode(0o620)))
        .map_err(Failed::to("give the zone", WHAT))?;
    let mount = copy(pty, Below::NOTHING).map_err(Failed::to("copy the mount of", WHAT))?;
    // Where the host mounts its devpts nodev or read-only, the zone's console must still open.
    let clear = MountAttr::NODEV | MountAttr::RDONLY;
    set_attr(mount.as_fd(), MountAttr::NOSUID | MountAttr::NOEXEC, clear, false)
        .map_err(Failed::to("set the mount options of", WHAT))?;
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// A number of the kernel's about terminals.
    fn number(name: &str) -> usize {
        std::fs::read_to_string(format!("/proc/sys/kernel/pty/{name}")).unwrap().trim().parse().unwrap()
    }

    /// Opens terminals until there are no more.
    fn take_all(pts: &OwnedFd, held: &mut Vec<OwnedFd>) {
        while let Ok(pty) = openat(pts, "ptmx", OFlags::RDWR | OFlags::NOCTTY, Mode::empty()) {
            held.push(pty);
        }
    }

    /// All that zones may take together leaves the host its reserve. Needs root, and is about the host's first mount
    /// namespace: in another one, such as the suite's, nobody may take the reserve.
    #[test]
    fn the_hosts_reserve_of_terminals_is_not_the_zones() {
        const BASE: u32 = 1 << 20;
        let (max, reserve) = (number("max"), number("reserve"));
        let all = u64::try_from(max).unwrap() + 64;
        let limit = getrlimit(Resource::Nofile).maximum.map_or(all, |hard| hard.min(all));
        setrlimit(
            Resource::Nofile,
            Rlimit { current: Some(limit), maximum: getrlimit(Resource::Nofile).maximum },
        )
        .unwrap();
        let zones: Vec<_> = (0..=max / 1024).map(|_| pts(BASE).unwrap()).collect();
        let mut held = Vec::new();
        zones.iter().for_each(|pts| take_all(pts, &mut held));
        let taken = held.len();
        drop(held);
        assert!(taken <= max - reserve, "{taken} of {max} with {reserve} in reserve");
        assert!(taken > 1024, "they were taken at all: {taken}");
    }
}
