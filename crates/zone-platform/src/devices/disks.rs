//! The disks that zones have as devices, for whoever mounts one.

use rustix::fd::AsFd;
use rustix::fs::{FileType, stat};
use rustix::io::Errno;
use zone_config::{Layout, ZoneName};

use super::find;
use crate::claims::{Claims, Medium};
use crate::spec::Device;
use crate::{Failed, Spec};

/// A disk that a zone has as a device.
#[derive(Debug)]
pub(crate) struct Given {
    /// The zone.
    pub(crate) zone: ZoneName,
    /// The words of the configuration that give it.
    pub(crate) text: String,
    /// What is on it.
    pub(crate) medium: Medium,
}

/// Finds what the zone has, or had until now, and what others have. What is taken from a zone that lives may still be open in it.
pub(crate) fn given_disks(
    layout: &Layout,
    claims: &Claims,
    spec: &Spec,
    old: Option<&Spec>,
) -> Result<Vec<Given>, Failed> {
    let own = [Some(spec), old].into_iter().flatten().map(|spec| (spec.zone.clone(), spec.devices.clone()));
    let all: Vec<(ZoneName, Vec<Device>)> = own.chain(claims.devices(layout)).collect();
    if all.iter().all(|(_, devices)| devices.is_empty()) {
        return Ok(Vec::new());
    }
    // Whoever uses them is not asked for, which would hide those that are in use.
    let (dev, use_of) = (find::open()?, find::Use { table: &[], lives: true });
    let mut given = Vec::new();
    for (zone, devices) in &all {
        for device in devices {
            // What cannot be found no zone has.
            let nodes = find::all(dev.as_fd(), device, use_of).unwrap_or_default();
            for node in nodes.iter().filter(|node| node.kind == FileType::BlockDevice) {
                if let Some(medium) = medium(&node.path())? {
                    given.push(Given { zone: zone.clone(), text: device.text.clone(), medium });
                }
            }
        }
    }
    Ok(given)
}

/// Finds what is on a device of the host; `None` if that has just gone.
pub(super) fn medium(path: &str) -> Result<Option<Medium>, Failed> {
    match stat(path) {
        Ok(stat) => Medium::of(&stat),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Failed::to("look at device", path)(errno)),
    }
}
