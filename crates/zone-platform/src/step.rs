//! The order of things: one list, up from the first to the last, down from the last to the first.

use std::time::Duration;

use rustix::fd::AsFd;
use zone_config::{Layout, ZoneName};

use crate::build::missing;
use crate::cgroup::Patience;
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, PlatformError, ZoneRoot};
use crate::{cgroup, dev, filesystems, guest, ids, kernel, kernelfs, privileges, root, seccomp, sparse};

/// What undoing a step may use: nothing that is only in memory.
#[derive(Clone, Copy)]
pub struct TearDown<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// The zone.
    pub zone: &'a ZoneName,
    /// How long its processes may take to die once they are killed.
    pub limit: Duration,
    /// Who is told what holds them up, and may give up before.
    pub patience: &'a dyn Patience,
}

/// Does a step.
pub type BringUp = fn(&mut Build<'_>) -> Result<(), PlatformError>;
/// Undoes a step, whether it was done, half done or not at all.
pub type Undo = fn(&TearDown<'_>) -> Result<(), PlatformError>;

/// One step of the platform.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name, for journals, timings and whoever asks what takes so long.
    pub name: &'static str,
    /// Does it.
    pub bring_up: BringUp,
    /// Undoes it; `None` if nothing of it is outside the daemon.
    pub tear_down: Option<Undo>,
}

const STEPS: [Step; 9] = [
    Step { name: "kernel", bring_up: |_| Ok(kernel::check()?), tear_down: None },
    Step { name: "check", bring_up: check, tear_down: None },
    Step { name: "limits", bring_up: limits, tear_down: None },
    Step { name: "cgroup", bring_up: make_cgroup, tear_down: Some(remove_cgroup) },
    Step { name: "root", bring_up: mount_root, tear_down: None },
    Step { name: "kernel-fs", bring_up: kernel_fs, tear_down: None },
    Step { name: "dev", bring_up: devices, tear_down: None },
    Step { name: "sparse", bring_up: sparse::bring_up, tear_down: None },
    Step { name: "fs", bring_up: filesystems::bring_up, tear_down: None },
];

/// The steps in the order of bring-up: what only looks comes before what makes, so that most mistakes of a configuration
/// leave nothing to undo.
#[must_use]
pub fn steps() -> &'static [Step] {
    &STEPS
}

/// The same, for the list of failpoints.
#[must_use]
pub fn failpoints() -> Vec<zone_fail::Step> {
    STEPS.iter().map(|step| zone_fail::Step { name: step.name, kept: step.tear_down.is_some() }).collect()
}

/// The steps that have something to undo, in the order of tear-down.
pub fn tear_down_steps() -> impl Iterator<Item = &'static Step> {
    STEPS.iter().rev().filter(|step| step.tear_down.is_some())
}

fn check(build: &mut Build<'_>) -> Result<(), PlatformError> {
    ids::check_live(build.snapshot.idmap, &root::others(build.layout, &build.snapshot.name)?)?;
    let found = root::check(build.layout, &build.snapshot.name, &build.snapshot.config)?;
    let fd = found
        .fd
        .try_clone()
        .map_err(crate::Failed::to("duplicate the descriptor of", found.path.display()))?;
    build.tree = Some(ZoneRoot::new(fd, Making::Plain, &found.path));
    build.checked = Some(found);
    Ok(())
}

fn limits(build: &mut Build<'_>) -> Result<(), PlatformError> {
    build.bounding = Some(privileges::bounding(&build.snapshot.config.limitpriv)?);
    build.seccomp = Some(seccomp::program(seccomp::Opened::of(&build.snapshot.config)));
    Ok(())
}

fn make_cgroup(build: &mut Build<'_>) -> Result<(), PlatformError> {
    build.cgroup = Some(cgroup::make(build.layout, &build.snapshot.name, build.base())?);
    Ok(())
}

fn remove_cgroup(down: &TearDown<'_>) -> Result<(), PlatformError> {
    Ok(cgroup::end(down.layout, down.zone, down.limit, down.patience)?)
}

fn mount_root(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let checked = build.checked.as_ref().ok_or(missing("root", "check"))?;
    build.root = Some(root::mount(checked, build.userns.as_fd())?);
    Ok(())
}

fn kernel_fs(build: &mut Build<'_>) -> Result<(), PlatformError> {
    for point in kernelfs::POINTS {
        build.tree("kernel-fs")?.mountpoint(&Canonical::fixed(point), Kind::Directory)?;
    }
    let run = kernelfs::run(build.base())?;
    guest::describe(run.as_fd(), build.snapshot)?;
    build.attach(run, &Canonical::fixed("/run"), Kind::Directory, Making::Owned(build.base()))
}

fn devices(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let base = build.base();
    let mount = |build: &mut Build<'_>, mount, at, kind| {
        build.attach(mount, &Canonical::fixed(at), kind, Making::Owned(base))
    };
    mount(build, dev::tree(base)?, "/dev", Kind::Directory)?;
    mount(build, dev::pts(base)?, "/dev/pts", Kind::Directory)?;
    mount(build, kernelfs::shm(base)?, "/dev/shm", Kind::Directory)?;
    mount(build, dev::console(build.console, base)?, "/dev/console", Kind::File)
}

#[cfg(test)]
mod tests;
