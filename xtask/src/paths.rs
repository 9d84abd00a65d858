//! Where things are in the checkout.

use crate::arch::Arch;
use std::path::{Path, PathBuf};

/// The top of the checkout.
pub(crate) fn top() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), |dir| top().join(dir))
}

/// Where `cargo build` puts the programs.
pub(crate) fn debug() -> PathBuf {
    target().join("debug")
}

/// Where `cargo xtask build --release` puts them.
pub(crate) fn dist() -> PathBuf {
    target().join("zones")
}

/// Where it puts those for a processor.
pub(crate) fn dist_for(arch: Arch) -> PathBuf {
    target().join(format!("zones{}", arch.suffix()))
}

/// The programs of the project, the smallest first.
pub(crate) const PROGRAMS: [&str; 7] =
    ["zsched", "zinit", "zonename", "zlogin", "zonecfg", "zoneadm", "zoneadmd"];

/// What only an installed system has a use for.
pub(crate) const HOST_PROGRAMS: [&str; 3] = ["zone-generator", "zones-host", "zone-access"];

/// What tells which distribution this machine runs.
pub(crate) const OS_RELEASE: &str = "/etc/os-release";

/// Where cgroup v2 is mounted on this machine.
pub(crate) fn cgroup2() -> Option<PathBuf> {
    let info = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = info.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}
