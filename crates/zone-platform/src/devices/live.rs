//! Devices that come and go while a zone lives.
//!
//! The zone's root owns its `/dev` and may have put anything there meanwhile: so each directory is opened beneath the one before, by
//! no link and on one file system, and what was made is looked at by descriptor before it is given away.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid, chmodat, chownat, fstat, makedev, mkdirat, mknodat,
    unlinkat,
};
use rustix::io::Errno;
use zone_sys::path::beneath;

use super::{Node, find, guard};
use crate::change::Change;
use crate::spec::Device;
use crate::{Failed, PlatformError, cgroup, mountinfo};

const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

/// Gives a zone that lives its devices, and takes away those that it is not to have any more. What is open stays open: the kernel
/// takes no descriptor back.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (old, new) = (&change.old.devices, &change.new.devices);
    if old.is_empty() && new.is_empty() {
        return Ok(());
    }
    let base = change.new.ids.ok_or(PlatformError::NoIds)?.base;
    let Some(cgroup) = cgroup::open(change.layout, &change.new.zone)? else { return Ok(()) };
    // Nothing was looked for where nothing is new, or where a change is taken back.
    let found = std::mem::take(&mut change.found.devices);
    let nodes = if found.is_empty() { there(new)? } else { found };
    let gone: Vec<Node> =
        there(old)?.into_iter().filter(|node| !nodes.iter().any(|kept| kept.name == node.name)).collect();
    if let Err(failed) = guard(cgroup.as_fd(), change.layout.id(), &nodes)
        && let Some(warning) = unguarded(&failed, &nodes, &gone)
    {
        change.warn(warning);
    }
    // What the zone's root has done to its own /dev is no reason to refuse the host's all else.
    let mut obstacles = Vec::new();
    match change.in_memory("dev") {
        Err(failed) => obstacles.push(failed),
        Ok(dev) => {
            let taken =
                gone.iter().map(|node| take(dev.as_fd(), node).map_err(failed("take away the zone's", node)));
            obstacles.extend(taken.filter_map(Result::err));
            let made = nodes
                .iter()
                .map(|node| put(dev.as_fd(), node, base).map_err(failed("make the zone's", node)));
            obstacles.extend(made.filter_map(Result::err));
        }
    }
    for obstacle in obstacles {
        change.warn(format!(
            "{}; 'zoneadm apply' tries again, and so does the next boot",
            zone_sys::Chain(&obstacle)
        ));
    }
    Ok(())
}

/// What is to be said where nothing guards the devices of a zone that has these and had those besides. The zone's root owns its /dev:
/// what is taken away there may have another name by then.
fn unguarded(failed: &Failed, nodes: &[Node], gone: &[Node]) -> Option<String> {
    if gone.is_empty() {
        return (!nodes.is_empty()).then(|| super::unguarded(failed));
    }
    Some(format!(
        "{}; what is taken away goes from the zone's /dev alone, and the zone can go on to use it where it has given it another name",
        zone_sys::Chain(failed)
    ))
}

fn failed(operation: &'static str, node: &Node) -> impl FnOnce(Errno) -> Failed {
    Failed::to(operation, format!("/dev/{}", node.name))
}

/// What is there of some devices; what is not is not to be had.
fn there(devices: &[Device]) -> Result<Vec<Node>, Failed> {
    let (dev, table) = (find::open()?, mountinfo::read()?);
    let use_of = find::Use { table: &table, lives: true };
    Ok(devices.iter().filter_map(|device| find::all(dev.as_fd(), device, use_of).ok()).flatten().collect())
}

/// Opens the directory that a device is in; made where it is missing with `base` for its owner.
fn above<'a>(dev: BorrowedFd<'_>, name: &'a str, base: Option<u32>) -> Result<(OwnedFd, &'a str), Errno> {
    let (dirs, last) = name.rsplit_once('/').map_or((None, name), |(dirs, last)| (Some(dirs), last));
    let mut at = beneath(dev, ".", NAME_ONLY | OFlags::DIRECTORY)?;
    for part in dirs.into_iter().flat_map(|dirs| dirs.split('/')) {
        if let Some(base) = base {
            match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
                Ok(()) => own(at.as_fd(), part, base, base, AtFlags::SYMLINK_NOFOLLOW)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        at = beneath(&at, part, NAME_ONLY | OFlags::DIRECTORY)?;
    }
    Ok((at, last))
}

fn own(dir: BorrowedFd<'_>, name: &str, user: u32, group: u32, flags: AtFlags) -> Result<(), Errno> {
    chownat(dir, name, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)), flags)
}

fn is(node: &Node, stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == node.kind && stat.st_rdev == makedev(node.major, node.minor)
}

/// Makes a device, in the place of whatever has its name.
fn put(dev: BorrowedFd<'_>, node: &Node, base: u32) -> Result<(), Errno> {
    let (dir, name) = above(dev, &node.name, Some(base))?;
    let (owner, group) = (base + node.owner, base + node.group);
    if let Ok(there) = beneath(&dir, name, NAME_ONLY) {
        let stat = fstat(&there)?;
        if is(node, &stat) && (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (owner, group, node.mode) {
            return Ok(());
        }
        unlinkat(&dir, name, AtFlags::empty())?;
    }
    mknodat(&dir, name, node.kind, Mode::from_raw_mode(0), makedev(node.major, node.minor))?;
    let made = beneath(&dir, name, NAME_ONLY)?;
    if !is(node, &fstat(&made)?) {
        // The zone's root was faster.
        return Err(Errno::BUSY);
    }
    let path = format!("/proc/self/fd/{}", made.as_raw_fd());
    chmodat(CWD, path, Mode::from_raw_mode(node.mode), AtFlags::empty())?;
    own(made.as_fd(), "", owner, group, AtFlags::EMPTY_PATH)
}

/// Removes a device; what else has its name is the zone's own.
fn take(dev: BorrowedFd<'_>, node: &Node) -> Result<(), Errno> {
    let (dir, name) = match above(dev, &node.name, None) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    match beneath(&dir, name, NAME_ONLY) {
        Ok(there) if is(node, &fstat(&there)?) => match unlinkat(&dir, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_guards_it_is_said_what_that_means() {
        let node = || Node {
            name: "fuse".to_owned(),
            kind: FileType::CharacterDevice,
            major: 10,
            minor: 229,
            mode: 0o600,
            owner: 0,
            group: 0,
        };
        let failed = Failed::to("attach the program for the devices of", "the zone's cgroup")(Errno::PERM);
        let said = |nodes: &[Node], gone: &[Node]| unguarded(&failed, nodes, gone).unwrap_or_default();
        assert_eq!(said(&[], &[]), "");
        assert!(said(&[node()], &[]).ends_with("; the zone is kept from other devices by its /dev alone"));
        for nodes in [vec![], vec![node()]] {
            let text = said(&nodes, &[node()]);
            assert!(text.contains("; what is taken away goes from the zone's /dev alone, and"), "{text}");
        }
    }
}
