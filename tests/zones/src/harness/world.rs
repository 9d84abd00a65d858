//! What a test could leave behind, listed before and after it.
//!
//! A test has a PID and a mount namespace of its own, so every process and every mount in sight is its own doing. Of
//! control groups, loop devices and programs of the kernel, which are the machine's, those count whose installation or file is below the test's
//! folder: other tests run at the same time. The network of a test is its own, too, and what has gone from it or changed
//! counts like what is new ([`network`]). Links and files of the machine are nobody's in particular; the runner looks at
//! them ([`Host`]).

mod network;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use zone_sys::bpf;

/// Folders of the host in which a zone program would leave something if it forgot its `-R`.
const HOST_FOLDERS: [&str; 9] =
    ["/etc", "/run", "/tmp", "/var/lib", "/var/log", "/var/tmp", "/dev/shm", "/run/netns", "/run/systemd"];

const LOOP: &str = "loop device ";
/// A program of the kernel, as `zone-platform` names those of an installation: `z_` and 13 of its digits.
const PROGRAM: &str = "program z_";
/// What a thing of the network is called that was there before and is not any more.
const GONE: &str = "gone: ";

/// Everything that can be left, as lines that can be compared and shown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct World(BTreeSet<String>);

impl World {
    /// Looks at the machine. `spared` are the processes of the suite itself.
    #[must_use]
    pub fn look(spared: &[u32]) -> Self {
        let mut seen = BTreeSet::new();
        processes(spared, &mut seen);
        for line in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
            seen.insert(format!("mount {}", mount(line)));
        }
        for dir in cgroups() {
            seen.insert(format!("cgroup {}", dir.display()));
        }
        for (device, file) in loops() {
            seen.insert(format!("{LOOP}{device} of {file}"));
        }
        programs(&mut seen);
        if super::namespaces::own_network() {
            network::look(&mut seen);
        }
        Self(seen)
    }

    /// Looks at the processes alone, and the namespaces that they hold.
    #[must_use]
    pub fn processes() -> Self {
        let mut seen = BTreeSet::new();
        processes(&[], &mut seen);
        Self(seen)
    }

    /// What is in this world, was not in the earlier one, and belongs to installations or files below `folder`.
    #[must_use]
    pub fn since(&self, before: &Self, folder: &Path) -> Vec<String> {
        self.of(before, &installations(folder), |file| file.starts_with(folder))
    }

    /// What is in this world, was not in the earlier one, and belongs to installations with one of these roots.
    #[must_use]
    pub(super) fn since_of(&self, before: &Self, roots: &[PathBuf]) -> Vec<String> {
        let own = roots.iter().map(|root| installation(root)).collect();
        self.of(before, &own, |file| {
            roots.iter().any(|root| root.parent().is_some_and(|dir| file.starts_with(dir)))
        })
    }

    fn of(&self, before: &Self, own: &BTreeSet<String>, is_own: impl Fn(&Path) -> bool) -> Vec<String> {
        let is_ours = |thing: &&String| {
            if let Some(dir) = thing.strip_prefix("cgroup ") {
                let mut parts = Path::new(dir).iter().filter_map(|part| part.to_str());
                parts.any(|part| own.contains(part)) && !is_foreign(Path::new(dir))
            } else if let Some((_, file)) = thing.strip_prefix(LOOP).and_then(|rest| rest.split_once(" of "))
            {
                is_own(Path::new(file))
            } else if let Some(digits) = thing.strip_prefix(PROGRAM).and_then(|rest| rest.split(' ').next()) {
                own.iter().any(|name| name.strip_prefix("zones-").is_some_and(|own| own.starts_with(digits)))
            } else {
                true
            }
        };
        let gone = before.0.difference(&self.0).filter(|thing| network::counts_when_gone(thing));
        let gone = gone.map(|thing| format!("{GONE}{thing}"));
        self.0.difference(&before.0).filter(is_ours).cloned().chain(gone).collect()
    }
}

/// What is on the machine once, and would be there if a program forgot its `-R`, as lines that can be compared and shown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Host(BTreeSet<String>);

impl Host {
    /// Looks at the machine.
    pub(super) fn look() -> Self {
        let mut seen = BTreeSet::new();
        for link in names(Path::new("/sys/class/net")) {
            seen.insert(format!("link {link}"));
        }
        for folder in HOST_FOLDERS {
            for name in
                names(Path::new(folder)).filter(|name| name.contains("zone") || name.contains("zsched"))
            {
                seen.insert(format!("file {folder}/{name}"));
            }
        }
        for dir in cgroups() {
            // Those of installations with a root of their own are looked for by whoever knows the root.
            if !dir.iter().filter_map(|part| part.to_str()).any(is_installation) {
                seen.insert(format!("cgroup {}", dir.display()));
            }
        }
        Self(seen)
    }

    /// What is there now and was not then.
    pub(super) fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Every process in sight, and every namespace that one of them is in or holds open.
fn processes(spared: &[u32], seen: &mut BTreeSet<String>) {
    for pid in names(Path::new("/proc")).filter_map(|name| name.parse::<u32>().ok()) {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let known = spared.contains(&pid);
        if !known {
            let words = fs::read(dir.join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
            seen.insert(format!("process {pid} {} ({})", name.trim(), words.trim()));
        }
        for kind in ["ns", "fd"] {
            for entry in names(&dir.join(kind)) {
                let target = fs::read_link(dir.join(kind).join(&entry)).unwrap_or_default();
                let target = target.to_string_lossy().into_owned();
                if kind == "ns" || namespace(&target) {
                    seen.insert(format!("namespace {target}"));
                }
            }
        }
    }
}

/// Whether the target of a link in `/proc/PID/fd` is a namespace.
fn namespace(target: &str) -> bool {
    let kind = target.split_once(":[").map(|(kind, _)| kind);
    kind.is_some_and(|kind| ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time"].contains(&kind))
}

/// Where, what type and of what, from a line of mountinfo; its numbers differ from time to time.
fn mount(line: &str) -> String {
    let (left, right) = line.split_once(" - ").unwrap_or((line, ""));
    let place = left.split(' ').nth(4).unwrap_or("?");
    let what: Vec<&str> = right.split(' ').take(2).collect();
    format!("{place} ({})", what.join(" "))
}

/// All cgroups, in all mounted hierarchies, that could be a zone's: those below one whose name says so.
fn cgroups() -> Vec<PathBuf> {
    let info = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found = Vec::new();
    for line in info.lines() {
        if line.split_once(" - ").is_some_and(|(_, right)| right.starts_with("cgroup")) {
            let mount = Path::new(line.split(' ').nth(4).unwrap_or("/nonexistent"));
            for top in names(mount).filter(|name| name.contains("zone")).map(|name| mount.join(name)) {
                walk(&top, &mut found);
                found.push(top);
            }
        }
    }
    found
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
            walk(&entry.path(), found);
        }
    }
}

/// Whether a cgroup's name is that of an installation with a root of its own: `zones-` and 16 digits.
fn is_installation(name: &str) -> bool {
    name.strip_prefix("zones-").is_some_and(|digits| digits.len() == 16)
}

/// What the cgroups of installations are called whose root is `folder/root` or any other folder not deep below it.
fn installations(folder: &Path) -> BTreeSet<String> {
    let mut roots = vec![folder.join("root"), folder.to_owned()];
    let mut at = 1;
    while let Some(root) = roots.get(at).cloned() {
        let depth = root.strip_prefix(folder).map_or(0, |rest| rest.iter().count());
        let below = names(&root).map(|name| root.join(name));
        roots.extend(below.filter(|path| depth < 2 && path.is_dir() && !path.is_symlink()));
        at += 1;
    }
    roots.iter().map(|root| installation(root)).collect()
}

/// What the cgroup of the installation with this root is called: FNV-1a, of the path as it was given.
fn installation(root: &Path) -> String {
    let hash = root.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("zones-{hash:016x}")
}

/// Whether a process from outside our PID namespace is in this cgroup or in one below it.
fn is_foreign(dir: &Path) -> bool {
    let mut all = vec![dir.to_owned()];
    walk(dir, &mut all);
    all.iter().any(|dir| {
        fs::read_to_string(dir.join("cgroup.procs")).is_ok_and(|pids| pids.lines().any(|pid| pid == "0"))
    })
}

/// Every program of the kernel that guards the devices of a zone. Without the right to see them there are none.
fn programs(seen: &mut BTreeSet<String>) {
    let mut at = 0;
    while let Ok(Some(id)) = bpf::next(at) {
        at = id;
        // It may have gone since.
        if let Ok(name) = bpf::open(id).and_then(|program| bpf::name(program.as_fd()))
            && name.starts_with("z_")
        {
            seen.insert(format!("program {name} number {id}"));
        }
    }
}

/// The loop devices in use, with the file behind each.
fn loops() -> Vec<(String, String)> {
    let devices = names(Path::new("/sys/block")).filter(|name| name.starts_with("loop"));
    let backing = |device: String| {
        let file = fs::read_to_string(format!("/sys/block/{device}/loop/backing_file")).ok()?;
        Some((device, file.trim().to_owned()))
    };
    devices.filter_map(backing).collect()
}

pub(super) fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// Removes the control groups of the installations below `folder`, whose processes have ended or are about to.
pub fn remove_cgroups(folder: &Path) {
    let own = installations(folder);
    let mut found = cgroups();
    found.retain(|dir| dir.iter().filter_map(|part| part.to_str()).any(|part| own.contains(part)));
    // The deepest first.
    found.sort_by_key(|dir| std::cmp::Reverse(dir.iter().count()));
    for dir in found {
        super::wait::within(std::time::Duration::from_secs(3), || fs::remove_dir(&dir).ok());
    }
}

/// Removes by force what a failed test left, so that the next one begins with a clean machine.
pub(super) fn sweep(left: &[String]) {
    let pids =
        left.iter().filter_map(|thing| thing.strip_prefix("process ")?.split(' ').next()?.parse().ok());
    for pid in pids.filter_map(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    // What is frozen holds processes that nothing else ends.
    for thing in left.iter().filter(|thing| thing.contains(" (ext4 ")) {
        if let Some((place, _)) = thing.strip_prefix("mount ").and_then(|rest| rest.rsplit_once(" (")) {
            let _ = std::process::Command::new("fsfreeze").args(["-u", place]).status();
        }
    }
    for thing in left.iter().rev() {
        if let Some((place, _)) = thing.strip_prefix("mount ").and_then(|rest| rest.rsplit_once(" (")) {
            let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
        } else if let Some(dir) = thing.strip_prefix("cgroup ") {
            // Empty as soon as the processes above are dead, which the look after this waits for.
            super::wait::within(std::time::Duration::from_secs(3), || fs::remove_dir(dir).ok());
        } else if let Some(device) = thing.strip_prefix(LOOP).and_then(|rest| rest.split(' ').next()) {
            let _ = std::process::Command::new("losetup").args(["-d", &format!("/dev/{device}")]).status();
        }
    }
}
