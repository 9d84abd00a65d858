//! The `device` resources: which devices of the host a zone has.
//!
//! Two walls, each of which would do. A node is in the zone's `/dev` because it was made there, by the number of the device that was
//! looked at, and nobody in a user namespace can make another. And a program on the zone's cgroup lets nothing be opened but
//! what was made, should a node come into the zone by another way.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use zone_config::device::PatternError;
use zone_config::layout::InstallationId;
use zone_config::{Snapshot, ZoneName};
use zone_sys::bpf;

use crate::check::{Check, Purpose};
use crate::claims::Claims;
use crate::spec::Device;
use crate::{Failed, PlatformError, mountinfo};

mod disks;
mod find;
mod live;
mod program;

pub(crate) use disks::{Given, given_disks};
pub(crate) use live::update;

/// As many nodes as a zone can have.
const MOST: usize = 256;

/// A device that a zone cannot have.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The words of the configuration name none.
    #[error("could not verify device {text}: allowed: {source}")]
    Pattern {
        /// What was given.
        text: String,
        /// What is allowed.
        source: PatternError,
    },
    /// The host has none of that name.
    #[error(
        "could not verify device {0}: the host has no such device: load its driver or plug it in, or remove the device from the zone"
    )]
    Missing(String),
    /// What has that name is something else.
    #[error("could not verify device {name}: it is {kind} on the host, not a device")]
    Type {
        /// Its path on the host.
        name: String,
        /// What is there, with the remedy.
        kind: &'static str,
    },
    /// No zone gets it.
    #[error("could not verify device {name}: no zone gets it: {reason}")]
    Never {
        /// Its path on the host.
        name: String,
        /// Why none does, as the end of a sentence.
        reason: &'static str,
    },
    /// A disk that something on the host has opened for itself.
    #[error(
        "could not verify device {name}: the host uses it (a file system on it is mounted, it is swap space or part of another device): take it out of use there, or write a match without it"
    )]
    Busy {
        /// Its path on the host.
        name: String,
    },
    /// The kernel has it mounted for a zone, or will have.
    #[error(
        "could not verify device {name}: zone {zone} mounts it, the whole of it or a part of it (fs {dir}), and no zone may write to a disk that is mounted: write a match without it, or give the fs a disk of its own"
    )]
    Mounted {
        /// Its path on the host.
        name: String,
        /// The zone that mounts it.
        zone: ZoneName,
        /// Where that zone has it.
        dir: String,
    },
    /// More than anybody can mean.
    #[error(
        "could not verify device {pattern}: with it the zone would have more than {MOST} devices; write a narrower match"
    )]
    TooMany {
        /// The match that is one too many.
        pattern: String,
    },
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// A device that a zone has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its name below `/dev`.
    pub(crate) name: String,
    /// A block or a character device.
    pub(crate) kind: FileType,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// The permissions of the node.
    pub(crate) mode: u32,
    /// As the zone counts.
    pub(crate) owner: u32,
    /// As the zone counts.
    pub(crate) group: u32,
}

impl Node {
    /// Its path on the host.
    fn path(&self) -> String {
        format!("{}/{}", find::DEV, self.name)
    }
}

/// Looks for all devices that the zone asks for.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    if check.spec.devices.is_empty() {
        return Ok(());
    }
    // What a zone that lives has may be in use by the zone.
    let live = match check.purpose {
        Purpose::BringUp => None,
        _ => Snapshot::load(check.layout, &check.spec.zone).ok(),
    };
    let has = |device: &Device| {
        live.as_ref().is_some_and(|live| live.config.device.iter().any(|own| own.pattern == device.text))
    };
    let (dev, table) = (find::open()?, mountinfo::read()?);
    let mut nodes: Vec<Node> = Vec::new();
    for device in &check.spec.devices {
        let use_of = find::Use { table: &table, lives: has(device) };
        match find::all(dev.as_fd(), device, use_of) {
            Ok(found) if found.is_empty() => {
                check.warn(format!("no device of the host matches {}", device.text));
            }
            Ok(found) => {
                for node in found.iter().filter(|node| node.kind == FileType::BlockDevice) {
                    if let Some(mounted) = mounted(check.claims()?, &node.path())? {
                        check.fail(mounted);
                    }
                }
                // Of two that match the same the first has it.
                nodes.extend(
                    found
                        .into_iter()
                        .filter(|node| !nodes.iter().any(|other| other.name == node.name))
                        .collect::<Vec<_>>(),
                );
                if nodes.len() > MOST {
                    check.fail(DeviceError::TooMany { pattern: device.text.clone() });
                    nodes.clear();
                }
            }
            // Whoever has it mounted is named, if that is a zone.
            Err(DeviceError::Busy { name }) => {
                let mounted = mounted(check.claims()?, &name)?;
                check.fail(mounted.unwrap_or(DeviceError::Busy { name }));
            }
            Err(error) => check.fail(error),
        }
    }
    check.found.devices = nodes;
    Ok(())
}

/// What is wrong with the device that has a name on the host, if a zone mounts what is on it.
fn mounted(claims: &Claims, name: &str) -> Result<Option<DeviceError>, Failed> {
    let Some(medium) = disks::medium(name)? else { return Ok(None) };
    let mounter = claims.mounter(&medium)?;
    Ok(mounter.map(|(zone, dir)| DeviceError::Mounted {
        name: name.to_owned(),
        zone: zone.clone(),
        dir: dir.to_owned(),
    }))
}

/// Keeps the processes of a cgroup from all devices but those that every zone has and these: whatever was attached before by this
/// installation is replaced.
///
/// # Errors
/// Where the kernel has no such programs, or the host's root may not load them.
pub(crate) fn guard(
    cgroup: BorrowedFd<'_>,
    installation: InstallationId,
    nodes: &[Node],
) -> Result<(), Failed> {
    attach(cgroup, installation, load(installation, nodes))
}

/// Loads the program of [`guard`], which takes some tenths of a millisecond.
///
/// # Errors
/// As [`guard`].
pub(crate) fn load(installation: InstallationId, nodes: &[Node]) -> zone_sys::Result<OwnedFd> {
    bpf::load_for_devices(&program::of(nodes), &program_name(installation))
}

/// Does what [`guard`] does with a program that was loaded.
///
/// # Errors
/// As [`guard`].
pub(crate) fn attach(
    cgroup: BorrowedFd<'_>,
    installation: InstallationId,
    program: zone_sys::Result<OwnedFd>,
) -> Result<(), Failed> {
    let fail = || Failed::to("attach the program for the devices of", "the zone's cgroup");
    let program = program.map_err(fail())?;
    let old = attached(cgroup, &program_name(installation)).map_err(fail())?;
    bpf::attach_for_devices(cgroup, program.as_fd(), old.as_ref().map(AsFd::as_fd)).map_err(fail())
}

/// Whether a program guards the devices of a zone.
pub(crate) fn is_guarded(cgroup: BorrowedFd<'_>, installation: InstallationId) -> bool {
    attached(cgroup, &program_name(installation)).is_ok_and(|program| program.is_some())
}

/// What whoever has devices is told where nothing guards them.
pub(crate) fn unguarded(failed: &Failed) -> String {
    format!("{}; the zone is kept from other devices by its /dev alone", zone_sys::Chain(failed))
}

/// What the programs of an installation are called: the kernel keeps 15 characters.
fn program_name(installation: InstallationId) -> String {
    format!("z_{:.13}", installation.to_string())
}

/// Finds the program of that name which is attached to a cgroup.
fn attached(cgroup: BorrowedFd<'_>, name: &str) -> zone_sys::Result<Option<OwnedFd>> {
    for id in bpf::attached_for_devices(cgroup)? {
        let program = bpf::open(id)?;
        if bpf::name(program.as_fd())? == name {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
