//! What the figures were taken on.

use super::stage::{self, Build};
use crate::paths;
use anyhow::Result;
use std::fs;
use std::process::Command;

/// A machine, and what was measured on it, when.
pub(super) struct Machine {
    /// What is said of it, by what that is about.
    pub(super) facts: Vec<(&'static str, String)>,
}

/// The packages whose programs stand in the tables.
const PACKAGES: [&str; 9] =
    ["conmon", "crun", "dtach", "iperf3", "lxc", "podman", "runc", "systemd-container", "tmux"];

impl Machine {
    /// Looks at this one.
    pub(super) fn now(build: &Build) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_matches(|c: char| c.is_whitespace() || c == ':' || c == '=' || c == '"').to_owned()
        };
        let said = |words: &[&str]| {
            let output = Command::new(words[0]).args(&words[1..]).current_dir(paths::top()).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
        };
        let processors = std::thread::available_parallelism()?;
        let versions = PACKAGES.iter().filter_map(|package| {
            let version = said(&["dpkg-query", "-W", "-f", "${Version}", package]);
            (!version.is_empty()).then(|| format!("{package} {version}"))
        });
        let programs = match &build.bin {
            Some(folder) => format!("the programs in {}", folder.display()),
            None if build.debug => "debug build".to_owned(),
            None => "release build, static, as it ships".to_owned(),
        };
        let virtual_machine = if read("/proc/cpuinfo").contains(" hypervisor") { ", virtual" } else { "" };
        Ok(Self {
            facts: vec![
                ("Date", said(&["date", "+%-d %B %Y, %H:%M"])),
                (
                    "Machine",
                    format!(
                        "{processors} processors, {}{virtual_machine}",
                        field(&read("/proc/cpuinfo"), "model name")
                    ),
                ),
                ("Memory", field(&read("/proc/meminfo"), "MemTotal")),
                ("Kernel", rustix::system::uname().release().to_string_lossy().into_owned()),
                ("System", field(&read(paths::OS_RELEASE), "PRETTY_NAME")),
                ("cgroups", cgroups(&read("/proc/self/mountinfo"))),
                (
                    "This project",
                    format!("{programs}, commit {}", said(&["git", "describe", "--always", "--dirty"])),
                ),
                ("Peers", versions.chain(super::peers::unpacked_version()).collect::<Vec<_>>().join(", ")),
                ("Load before", stage::load()),
            ],
        })
    }
}

fn cgroups(mounts: &str) -> String {
    match (mounts.contains(" - cgroup "), mounts.contains(" - cgroup2 ")) {
        (true, true) => "version 1 and 2 side by side",
        (true, false) => "version 1",
        (false, true) => "version 2",
        (false, false) => "none",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_are_seen() {
        let old = "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let new = "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroups(&format!("{old}{new}")), "version 1 and 2 side by side");
        assert_eq!(cgroups(new), "version 2");
    }
}
