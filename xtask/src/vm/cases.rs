//! The scripts of tests/host that run in machines, and what each is given.

/// A script in a machine of its own.
pub(super) struct Case {
    /// What people call it.
    pub(super) name: &'static str,
    /// The script's name in tests/host.
    pub(super) script: &'static str,
    /// What its environment has beside the usual.
    pub(super) environment: &'static str,
    /// Its words after the folder of the programs; one that ends in `.tar` is an archive of the guests.
    pub(super) words: &'static [&'static str],
    /// Whether it finds the package beside itself, in each of [`VERSIONS`].
    pub(super) packages: bool,
    /// Programs that only tests have, which it finds beside ours.
    pub(super) also: &'static [&'static str],
    /// Whether it is run only when it is named: what takes long, and is done elsewhere too.
    pub(super) by_name: bool,
    /// How often its machine is booted.
    pub(super) boots: u32,
    /// What kernel it takes.
    pub(super) kernel: Kernel,
    /// How much memory its machine has, in MiB.
    pub(super) megabytes: u64,
    /// After how many seconds it is given up, on a machine that does other things beside.
    pub(super) seconds: u64,
}

/// What a case asks of its kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// What User-Mode Linux has: controllers but for cpuset, file systems, most kinds of links.
    Any,
    /// The same, and no controllers.
    Plain,
    /// Rules of nf_tables for every family, bridges; no controllers, no modules.
    Rules,
    /// All: rules of nf_tables for every family, cpuset, two processors, wireguard, a network card.
    Full,
}

/// The versions of the package that a script is given, all with the same programs: the older one first.
pub(super) const VERSIONS: [&str; 2] = ["0.0.1", "9.0.0"];

/// The longest first: machines run side by side.
pub(super) const ALL: [Case; 23] = [
    Case { seconds: 1500, ..net("net-bridges", "PARTS='bridge_vlan moved tunnel'") },
    Case { kernel: Kernel::Rules, ..net("net-managed", "PARTS=managed") },
    Case { kernel: Kernel::Rules, ..net("net-firewalls", "PARTS='policies shared'") },
    Case { kernel: Kernel::Rules, words: &["debian12-systemd.tar"], ..net("net-guest", "PARTS=guest") },
    Case { kernel: Kernel::Any, ..net("net-links", "PARTS='ipvlan vlan'") },
    Case { kernel: Kernel::Full, seconds: 900, ..any("guide", "guide.sh", &["debian12-systemd.tar"]) },
    Case { kernel: Kernel::Full, seconds: 900, ..any("cpus", "cpus.sh", &[]) },
    // User-Mode Linux has died of 1024 MiB here, as it made room.
    Case { megabytes: 2048, ..any("privileges", "privileges.sh", &["debian12-systemd.tar"]) },
    Case { packages: true, seconds: 1500, ..any("upgrade", "upgrade.sh", &["debian12-systemd.tar"]) },
    Case { packages: true, boots: 3, seconds: 900, ..any("reboot", "reboot.sh", &[]) },
    Case { packages: true, kernel: Kernel::Plain, ..any("sysv", "sysv.sh", &["debian12-sysvinit.tar"]) },
    any("limits", "limits.sh", &[]),
    Case { seconds: 1200, ..any("boot", "boot.sh", &[]) },
    any("lxcfs", "lxcfs.sh", &["debian12-systemd.tar"]),
    any("live", "live.sh", &[]),
    any("rights", "rights.sh", &[]),
    any("dumps", "dumps.sh", &[]),
    any("fs", "fs.sh", &[]),
    any("life-systemd", "life.sh", &["debian12-systemd.tar"]),
    Case { kernel: Kernel::Plain, ..any("life-sysvinit", "life.sh", &["debian12-sysvinit.tar"]) },
    any("life-sparse", "life.sh", &["sparse"]),
    // A measurement.
    Case { by_name: true, megabytes: 2048, seconds: 3000, ..any("fifty", "fifty.sh", &[]) },
    Case {
        kernel: Kernel::Full,
        also: &["zones-suite"],
        by_name: true,
        megabytes: 2048,
        seconds: 3000,
        ..any("core", "core.sh", &[])
    },
];

const fn any(name: &'static str, script: &'static str, words: &'static [&'static str]) -> Case {
    Case {
        name,
        script,
        environment: "",
        words,
        packages: false,
        also: &[],
        by_name: false,
        boots: 1,
        kernel: Kernel::Any,
        megabytes: 1024,
        seconds: 600,
    }
}

const fn net(name: &'static str, environment: &'static str) -> Case {
    let script = "net.sh";
    Case {
        name,
        script,
        environment,
        words: &[],
        packages: false,
        also: &[],
        by_name: false,
        boots: 1,
        kernel: Kernel::Full,
        megabytes: 1024,
        seconds: 900,
    }
}

impl Case {
    /// Which archives it needs.
    pub(super) fn archives(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().copied().filter(|word| word.ends_with(".tar"))
    }

    /// What its machine runs, in a folder with the script, `bin` and the archives.
    pub(super) fn command(&self) -> String {
        let Self { script, environment, words, .. } = self;
        format!("{environment} bash host/{script} /root/in/bin {}", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{guests, paths};

    #[test]
    fn every_script_for_hosts_is_run() {
        let dir = paths::top().join("tests/host");
        for entry in std::fs::read_dir(dir).expect("tests/host").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = name == "common.sh" || ALL.iter().any(|case| case.script == name);
            assert!(known, "{name} is in no case");
        }
    }

    #[test]
    fn every_part_of_the_networks_script_is_run() {
        let script = std::fs::read_to_string(paths::top().join("tests/host/net.sh")).expect("net.sh");
        let parts = script.lines().find_map(|line| line.split_once("PARTS:-")?.1.split_once('}'));
        for part in parts.expect("the list of parts").0.split(' ') {
            let known = ALL.iter().filter(|case| case.script == "net.sh");
            let run =
                known.flat_map(|case| case.environment.split(['=', '\'', ' '])).any(|word| word == part);
            assert!(run, "{part} is in no case");
        }
    }

    #[test]
    fn every_archive_is_that_of_a_usual_guest() {
        for archive in ALL.iter().flat_map(Case::archives) {
            let known = guests::USUAL.iter().any(|guest| format!("{}.tar", guest.name) == archive);
            assert!(known, "{archive} is made by nobody");
        }
    }
}
