//! The facilities of the platform, one row each: down the list to check and to build, up the list to take down.
//!
//! A facility that is added is a module and a row. `verify` and every bring-up walk the same list: first the checks of
//! all rows, which change nothing, then what makes something, so that the mistakes of a configuration leave nothing
//! to undo.

use std::time::Duration;

use rustix::fd::AsFd;
use zone_config::{Layout, ZoneName};

use crate::build::missing;
use crate::cgroup::KillObserver;
use crate::change::Change;
use crate::check::Check;
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError, Spec};
use crate::{
    cgroup, clocks, credentials, dev, devices, filesystems, guest, ids, immutable, ipc, kernel, kernelfs,
    lxcfs, memlock, network, orderly, privileges, reboot, root, sparse, sysctl, verify,
};

/// What undoing a step may use: nothing that is only in memory.
#[derive(Clone, Copy)]
pub struct TearDown<'a> {
    /// The installation: its id names what is outside of the daemon.
    pub layout: &'a Layout,
    /// The zone.
    pub zone: &'a ZoneName,
    /// How long its processes may take to die once they are killed.
    pub limit: Duration,
    /// Who is told what holds them up, and may give up before.
    pub observer: &'a dyn KillObserver,
    /// Whether it is brought up again at once, and keeps what others hold for it, such as addresses of DHCP servers.
    pub comes_back: bool,
    /// Whether the zone's namespaces go by themselves: its first process has ended, and whatever was in them. Then nobody
    /// waits for what goes with them, and the managed network is [released](crate::network::release) by the caller.
    pub namespaces_end: bool,
}

/// Looks whether a facility could be built, and changes nothing.
pub type Look = fn(&mut Check<'_>) -> Result<(), PlatformError>;
/// Builds a facility from what its check has found.
pub type BringUp = fn(&mut Build<'_>) -> Result<(), PlatformError>;
/// Takes a facility down, whether it was built, half built or not at all. Idempotent.
pub type Undo = fn(&TearDown<'_>) -> Result<(), PlatformError>;

/// How a facility is changed in a zone that lives.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Whether two specifications differ in what this makes of them; only then is the facility's check run before.
    pub differs: fn(&Spec, &Spec) -> bool,
    /// Makes it what the new specification says, whatever it is. Idempotent: it may be killed at any instruction and is then
    /// run again, or back again. It is run in every change, and mends what somebody has taken away.
    pub make: fn(&mut Change<'_>) -> Result<(), PlatformError>,
}

/// One facility of the platform.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name, for journals, timings and whoever asks what takes so long.
    pub name: &'static str,
    /// Looks whether it could be built; `None` if nothing can be told before.
    pub check: Option<Look>,
    /// Begins what takes the kernel long and needs no other step but the checks, beside the steps that are built meanwhile: the
    /// bring-up waits for it.
    pub begin: Option<BringUp>,
    /// Builds it; `None` if it is nothing but its check.
    pub bring_up: Option<BringUp>,
    /// Changes it in a live zone; `None` if it is what it is until the next boot.
    pub update: Option<Update>,
    /// Takes it down; `None` if nothing of it is outside the daemon.
    pub tear_down: Option<Undo>,
}

/// A row to start from.
const NONE: Step = Step { name: "", check: None, begin: None, bring_up: None, update: None, tear_down: None };

static STEPS: &[Step] = &[
    Step { name: "kernel", check: Some(|_| Ok(kernel::check()?)), ..NONE },
    Step { name: "ids", check: Some(ids::look), ..NONE },
    Step { name: "limits", check: Some(privileges::look), ..NONE },
    // Below the cgroup's, so that it is taken down when the zone's processes are gone.
    Step { name: "images", tear_down: Some(filesystems::tear_down), ..NONE },
    Step {
        name: "cgroup",
        check: Some(cgroup::look),
        bring_up: Some(cgroup::bring_up),
        update: Some(Update { differs: |old, new| old.cgroup != new.cgroup, make: cgroup::update }),
        tear_down: Some(cgroup::tear_down),
        ..NONE
    },
    Step { name: "root", check: Some(root::look), bring_up: Some(root::bring_up), ..NONE },
    Step { name: "kernel-fs", bring_up: Some(kernel_fs), ..NONE },
    Step {
        name: "dev",
        check: Some(devices::look),
        bring_up: Some(make_devices),
        update: Some(Update { differs: |old, new| old.devices != new.devices, make: devices::update }),
        ..NONE
    },
    Step { name: "immutable", check: Some(immutable::look), bring_up: Some(immutable::bring_up), ..NONE },
    Step { name: "sparse", check: Some(sparse::look), bring_up: Some(sparse::bring_up), ..NONE },
    Step {
        name: "fs",
        check: Some(filesystems::look),
        bring_up: Some(filesystems::bring_up),
        update: Some(Update { differs: filesystems::differs, make: filesystems::update }),
        ..NONE
    },
    Step {
        name: "credentials",
        check: Some(credentials::look),
        bring_up: Some(credentials::bring_up),
        ..NONE
    },
    Step {
        name: "network",
        check: Some(network::look),
        begin: Some(network::begin),
        bring_up: Some(network::bring_up),
        update: Some(Update { differs: |old, new| old.network != new.network, make: network::update }),
        tear_down: Some(network::tear_down),
    },
    Step {
        name: "ipc",
        check: Some(memlock::look),
        bring_up: Some(ipc::bring_up),
        update: Some(Update {
            differs: |old, new| old.ipc != new.ipc || old.memlock != new.memlock,
            make: limits_inside,
        }),
        ..NONE
    },
    Step {
        name: "lxcfs",
        check: Some(lxcfs::look),
        update: Some(Update { differs: lxcfs::differs, make: lxcfs::update }),
        ..NONE
    },
    Step { name: "clocks", check: Some(clocks::look), bring_up: Some(clocks::bring_up), ..NONE },
    Step { name: "sysctl", check: Some(sysctl::look), ..NONE },
    Step { name: "init", check: Some(verify::look_for_init), ..NONE },
];

/// What the checks of all steps are called together, in timings and failpoints.
pub const CHECK: &str = "check";

/// The steps in the order of check and bring-up.
#[must_use]
pub fn steps() -> &'static [Step] {
    STEPS
}

/// What a bring-up and a change pass, for the list of failpoints.
#[must_use]
pub fn failpoints() -> Vec<zone_fail::Step> {
    let passed = STEPS
        .iter()
        .filter(|step| step.bring_up.is_some() || step.tear_down.is_some() || step.update.is_some());
    let points = passed.map(|step| zone_fail::Step {
        name: step.name,
        built: step.bring_up.is_some(),
        kept: step.tear_down.is_some(),
        changed: step.update.is_some(),
    });
    [zone_fail::Step { name: CHECK, built: true, kept: false, changed: false }]
        .into_iter()
        .chain(points)
        .collect()
}

/// The steps that have something to undo, in the order of tear-down.
pub fn tear_down_steps() -> impl Iterator<Item = &'static Step> {
    STEPS.iter().rev().filter(|step| step.tear_down.is_some())
}

/// Changes the limits that are in the zone's own namespaces and processes.
fn limits_inside(change: &mut Change<'_>) -> Result<(), PlatformError> {
    ipc::update(change)?;
    memlock::update(change)
}

fn kernel_fs(build: &mut Build<'_>) -> Result<(), PlatformError> {
    for point in kernelfs::POINTS {
        build.tree("kernel-fs")?.mountpoint(&Canonical::fixed(point), Kind::Directory)?;
    }
    // A zone with another name in one file than it was given is a zone all the same.
    if let Err(failed) = guest::keep_hostname(build.tree("kernel-fs")?.root(), build.spec) {
        build.warn(format!("{}; its init may set another host name", zone_sys::Chain(&failed)));
    }
    if let Err(failed) = guest::keep_hostid(build.tree("kernel-fs")?.root(), build.spec) {
        build.warn(format!("{}; hostid(1) may say something else in the zone", zone_sys::Chain(&failed)));
    }
    if let Err(failed) = guest::keep_hosts(build.tree("kernel-fs")?.root(), build.spec) {
        build.warn(format!("{}; that name may not resolve in the zone", zone_sys::Chain(&failed)));
    }
    let run = kernelfs::run(build.base(), build.spec.privileges.opened.nesting)?;
    guest::describe(run.as_fd(), build.spec, build.base())?;
    build.kept.push(guest::listen(run.as_fd(), build.base())?);
    build.kept.push(reboot::hold(run.as_fd())?);
    build.run = Some(run.try_clone().map_err(Failed::to("duplicate the descriptor of", "/run"))?);
    build.attach(run, &Canonical::fixed("/run"), Kind::Directory, Making::Owned(build.base()))
}

fn make_devices(build: &mut Build<'_>) -> Result<(), PlatformError> {
    let base = build.base();
    let mount = |build: &mut Build<'_>, mount, at, kind| {
        build.attach(mount, &Canonical::fixed(at), kind, Making::Owned(base))
    };
    let seats = orderly::wants_seats(build.tree("devices")?, build.spec);
    let nodes = std::mem::take(&mut build.found.devices);
    let installation = build.layout.id();
    let (program, pts) = match std::mem::take(&mut build.ahead).finish() {
        Some(made) => {
            build.ipc_ahead = made.ipc;
            (made.program, Some(made.pts))
        }
        None => (None, None),
    };
    let program = program.unwrap_or_else(|| devices::load(installation, &nodes));
    let cgroup = build.cgroup.as_ref().ok_or(missing("devices", "cgroup"))?;
    if let Err(failed) = devices::attach(cgroup.as_fd(), installation, program)
        && !nodes.is_empty()
    {
        build.warn(devices::unguarded(&failed));
    }
    mount(build, dev::tree(base, seats, &nodes)?, "/dev", Kind::Directory)?;
    for (at, node) in dev::of_the_zone()? {
        mount(build, node, at, Kind::File)?;
    }
    let pts = pts.unwrap_or_else(|| dev::pts(base))?;
    if seats {
        build.kept.extend(dev::seats(pts.as_fd(), base)?);
    }
    mount(build, pts, "/dev/pts", Kind::Directory)?;
    mount(build, kernelfs::shm(base)?, "/dev/shm", Kind::Directory)?;
    mount(build, dev::console(build.console, base)?, "/dev/console", Kind::File)
}

#[cfg(test)]
mod tests;
