//! What every measurement stands on: programs to measure, and a private root that is cleared however it ends.

use super::guard;
use super::worker::{Job, Worker};
use crate::arch::Arch;
use crate::needs::{Need, need};
use crate::{dist, paths};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use zone_sys::clone::Namespaces;
use zones_suite::harness::{Lab, LabSpec};

/// What every measurement needs.
pub(super) const NEEDS: [Need; 3] = [
    need("busybox", "busybox-static", "the smallest root file systems"),
    need("ip", "iproute2", "the networks of the zones that are measured"),
    need("nft", "nftables", "the rules of the floor with a net"),
];

/// Which programs are measured.
#[derive(clap::Args)]
pub(super) struct Build {
    /// Measure the debug build instead of building the release
    #[arg(long, global = true, conflicts_with = "prebuilt")]
    pub(super) debug: bool,
    /// Measure the release as it was built last
    #[arg(long, global = true)]
    prebuilt: bool,
    /// Measure the programs in this folder, on a machine that builds none
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with_all = ["debug", "prebuilt"])]
    pub(super) bin: Option<PathBuf>,
}

/// A private installation of zones.
pub(super) struct Stage {
    pub(super) lab: Lab,
    pub(super) bin: PathBuf,
    dir: PathBuf,
}

impl Stage {
    /// Builds what is to be built, and sets the stage, in a network of this process' own.
    pub(super) fn set(build: &Build) -> Result<Self> {
        let bin = match &build.bin {
            Some(folder) => {
                std::fs::canonicalize(folder).with_context(|| format!("no folder {}", folder.display()))?
            }
            None if build.debug => {
                dist::debug()?;
                paths::debug()
            }
            None => {
                if !build.prebuilt {
                    dist::release(Arch::here())?;
                }
                paths::dist()
            }
        };
        own_network()?;
        let dir = guard::folder().context("a measurement that nobody guards")?;
        let spec =
            LabSpec { dir: dir.clone(), bin: bin.clone(), guests: None, python: None, daemon_idle: None };
        Ok(Self { lab: Lab::new(spec), bin, dir })
    }

    /// A worker that measures commands on this installation.
    pub(super) fn worker(&self) -> Result<Worker> {
        Worker::start(&[], &[("ZONES_ROOT", &self.lab.root().to_string_lossy())])
    }

    /// One of the programs that are measured, with its words.
    pub(super) fn job(&self, program: &str, words: &[&str]) -> Job {
        let program = self.bin.join(program).to_string_lossy().into_owned();
        let words = words.iter().map(|word| (*word).to_owned());
        Job::Run { words: std::iter::once(program).chain(words).collect(), wanted: true }
    }

    /// A folder for whatever else is needed.
    pub(super) fn folder(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.lab.abandon();
    }
}

/// Moves this process, and what it starts from now on, to a network of its own, with a /sys that shows it: the machine's is
/// left alone.
fn own_network() -> Result<()> {
    use rustix::mount::{self, MountFlags, MountPropagationFlags, UnmountFlags};
    const CGROUPS: &str = "/sys/fs/cgroup";
    zone_sys::namespace::unshare(Namespaces::NET | Namespaces::MOUNT)?;
    zone_sys::net::loopback_up()?;
    mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let aside = tempfile::tempdir()?;
    mount::mount_bind_recursive(CGROUPS, aside.path())?;
    mount::mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None)?;
    mount::mount_bind_recursive(aside.path(), CGROUPS)?;
    Ok(mount::unmount(aside.path(), UnmountFlags::DETACH)?)
}

/// Waits until somebody listens on a TCP port of this host, for ten seconds at most.
pub(super) fn until_served(port: &str) -> Result<()> {
    let began = std::time::Instant::now();
    while let Err(e) = std::net::TcpStream::connect(format!("127.0.0.1:{port}")) {
        anyhow::ensure!(began.elapsed().as_secs() < 10, "nobody listens on port {port}: {e}");
        std::thread::yield_now();
    }
    Ok(())
}

/// Tells the load of the machine, as the kernel has it.
pub(super) fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
