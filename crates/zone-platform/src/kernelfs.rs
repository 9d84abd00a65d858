//! The file systems that the kernel provides: where they go, and what of them a zone does not see.
//!
//! proc, sysfs, cgroup2 and mqueue show the namespaces of whoever mounts them, so PID 1 of the zone mounts them
//! itself, before it runs anything of the zone. Here are made those that are only memory.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Gid, Uid, chownat};
use rustix::mount::MountAttrFlags;

use crate::Failed;
use crate::mounts::new_fs;

/// Directories that must be in the root for the rest to be mounted on; made when missing.
pub(crate) const POINTS: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// What PID 1 hides below /proc and /sys: the machine's, not the zone's. A file is covered by the zone's /dev/null, a
/// directory by an empty one; what is not there is skipped.
///
/// The permissions of the kernel already keep a zone in its user namespace from most of these; hiding them guards
/// against the day when one of them is forgotten.
pub const MASKED: [&str; 16] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
];

/// What PID 1 makes read-only below /proc. Not /proc/sys: what a zone may write there is its own, by namespace, and
/// the kernel refuses the rest.
pub const READONLY: [&str; 4] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"];

/// Gives what PID 1 hides. In a zone with user namespaces of its own nothing is hidden: a mount on /proc that such a namespace has
/// locked keeps it from a /proc of its own (`mount_too_revealing` in the kernel), without which no container or sandbox works.
pub(crate) fn masked(nesting: bool) -> &'static [&'static str] {
    if nesting { &[] } else { &MASKED }
}

/// Gives what PID 1 makes read-only; as with [`masked`], nothing where a mount on /proc would be in the way.
pub(crate) fn readonly(nesting: bool) -> &'static [&'static str] {
    if nesting { &[] } else { &READONLY }
}

/// /run: empty at every boot, as guests expect. What a container in the zone mounts below it must not have what the kernel has locked
/// for the zone: systemd-nspawn takes `nosuid` and `nodev` off. No node can be made in the zone, and a set-user-ID program is the zone's.
pub(crate) fn run(base: u32, nesting: bool) -> Result<OwnedFd, Failed> {
    let guarded = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attributes = if nesting { MountAttrFlags::empty() } else { guarded };
    memory("/run", base, &[("mode", "755"), ("size", "10%"), ("nr_inodes", "400k")], attributes)
}

/// /dev/shm: POSIX shared memory.
pub(crate) fn shm(base: u32) -> Result<OwnedFd, Failed> {
    temporary("/dev/shm", base)
}

/// A directory for temporary files, in memory.
pub(crate) fn temporary(at: &str, base: u32) -> Result<OwnedFd, Failed> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    memory(at, base, &[("mode", "1777"), ("size", "10%"), ("nr_inodes", "400k")], attributes)
}

/// A tmpfs whose root belongs to the zone's root. Always with a size: memory has an end, and without one a zone may
/// take half of the host's.
///
/// The root is given away afterwards: the owner as a mount option would be shown in the zone as the host counts, and no guest that
/// remounts with what it reads there could give that back.
pub(crate) fn memory(
    at: &str,
    base: u32,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Failed> {
    let mount = new_fs(at, "tmpfs", options, attributes)?;
    let owner = (Some(Uid::from_raw(base)), Some(Gid::from_raw(base)));
    chownat(&mount, "", owner.0, owner.1, AtFlags::EMPTY_PATH).map_err(Failed::to("give the zone", at))?;
    Ok(mount)
}
