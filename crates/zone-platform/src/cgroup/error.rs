//! Why a zone's cgroup cannot be made, bounded or removed.

use std::path::PathBuf;

use rustix::io::Errno;
use zone_config::ZoneName;

use crate::{Failed, holders};

/// A cgroup that cannot be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no version 2.
    #[error(
        "no cgroup2 file system is mounted, and a zone cannot live without: say 'mount -t cgroup2 none /sys/fs/cgroup/unified', or boot with systemd.unified_cgroup_hierarchy=1"
    )]
    NoCgroup2,
    /// The kernel is too old to end a zone for certain.
    #[error(
        "Linux {0} lacks cgroup.kill, without which a zone cannot be ended for certain: boot Linux 5.14 or newer"
    )]
    NoKill(String),
    /// A limit needs a controller that is not version 2's on this host.
    #[error(
        "{property} needs the controller '{controller}' of cgroup version 2, which this host has not: it is bound to version 1 (boot with systemd.unified_cgroup_hierarchy=1, or cgroup_no_v1=all), or not in this kernel"
    )]
    NoController {
        /// The property that asks for it.
        property: &'static str,
        /// The controller.
        controller: &'static str,
    },
    /// A limit needs a capability that this host keeps from its root.
    #[error(
        "{property} needs the capability CAP_SYS_RESOURCE, which root has not here: run this on a host, or in a container, that does not take it away"
    )]
    NoCapability {
        /// The property that asks for it.
        property: &'static str,
    },
    /// There are not so many CPUs to give.
    #[error(
        "dedicated-cpu wants {wanted} of the host's CPUs for the zone alone, and there are {spare} to give beside the one that the host keeps: ask for less, or halt a zone that has some"
    )]
    NoCpus {
        /// How many, or which.
        wanted: String,
        /// How many could be had.
        spare: usize,
    },
    /// The kernel does not make a partition of CPUs.
    #[error(
        "dedicated-cpu: the kernel does not give the zone CPUs of its own ({said}): see whether a unit of systemd has AllowedCPUs="
    )]
    NoPartition {
        /// What it says.
        said: String,
    },
    /// A disk whose use is to be limited is none.
    #[error("io: {} is no block device of this host", zone_config::hostpath::shown(.device))]
    NoDisk {
        /// Its path.
        device: PathBuf,
        /// What the kernel says.
        source: Errno,
    },
    /// A disk that has two limits, of which the kernel would keep the last.
    #[error(
        "io: {} and {} are one disk: put their limits into one io resource",
        zone_config::hostpath::shown(.first), zone_config::hostpath::shown(.second)
    )]
    SameDisk {
        /// A device that it is, or is in it.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// A limit of memory below what a live zone holds.
    #[error(
        "capped-memory.physical of {wanted} MiB is less than the {held} MiB that zone '{zone}' holds and cannot give back: the kernel would kill its processes; end some before, or have it configured and say 'zoneadm -z {zone} reboot'"
    )]
    Held {
        /// The zone.
        zone: ZoneName,
        /// The limit, in MiB.
        wanted: u64,
        /// What the zone holds.
        held: u64,
    },
    /// Processes that do not die: most often they wait for a device or a file server.
    #[error(
        "zone '{zone}' still has processes {seconds} s after they were killed: {}", holders::sentence(.holders)
    )]
    Alive {
        /// The zone that they are in.
        zone: ZoneName,
        /// How long they had, in seconds.
        seconds: u64,
        /// The processes that are left.
        holders: Vec<holders::Holder>,
    },
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}
