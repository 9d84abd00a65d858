//! The tree of a zone for whoever looks at one that somebody else has brought up, or that is not up.

use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, openat};
use zone_config::hostpath::HostPath;

use crate::spec::Source;
use crate::zoneroot::{Canonical, Making};
use crate::{Failed, Spec, ZoneRoot, sparse};

impl ZoneRoot {
    /// Opens the tree of a zone as it is on disk, with what is mounted there of the host.
    ///
    /// # Errors
    /// When the root, or a directory of the host that is part of the zone, cannot be opened.
    pub fn of(spec: &Spec) -> Result<Self, Failed> {
        let zonepath = HostPath::open(&spec.zonepath).map_err(Failed::to("open", spec.zonepath.display()))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = spec.root();
        let dir = openat(zonepath.fd(), "root", flags, Mode::empty())
            .map_err(Failed::to("open", root.display()))?;
        let mut tree = Self::new(dir, Making::Plain, &root);
        if spec.host_programs {
            for (at, fd) in sparse::host_places()? {
                tree.cover(&at, fd.as_fd(), Making::Nothing)?;
            }
        }
        for mount in &spec.mounts {
            // One that is not right is not mounted either, and told elsewhere.
            if let (Ok(at), Some(Ok(source))) = (mount.at.parse::<Canonical>(), opened(&mount.source)) {
                tree.cover(&at, source.fd(), Making::Nothing)?;
            }
        }
        Ok(tree)
    }
}

fn opened(source: &Source) -> Option<Result<HostPath, zone_config::hostpath::HostPathError>> {
    match source {
        Source::Host(path) => Some(HostPath::open(Path::new(path))),
        Source::Memory(_) | Source::Disk(..) | Source::Overlay { .. } | Source::Server(_) => None,
    }
}
