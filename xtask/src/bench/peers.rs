//! Other managers, each with the same root and the same init, if they are installed.

use super::worker::{Job, Worker};
use crate::needs::{Need, need};
use crate::{paths, say, sh};
use anyhow::{Context, Result};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where they are from.
pub(super) const NEEDS: [Need; 5] = [
    need("crun", "crun", "a manager to measure beside ours"),
    need("runc", "runc", "a manager to measure beside ours"),
    need("lxc-start", "lxc", "a manager to measure beside ours, also with a veth pair"),
    need("systemd-nspawn", "systemd-container", "a manager to measure beside ours"),
    need("podman", "podman", "a manager with a bridge, to measure beside ours"),
];

/// A peer that no package of the distribution has, and its features that want no library.
const YOUKI: [&str; 4] = ["youki", "--no-default-features", "--features", "v1,v2"];

/// Where that is built.
fn built() -> PathBuf {
    paths::target().join("peers")
}

/// Builds the peer that is in no package, once.
///
/// # Errors
/// When it does not build, or is not to be had.
pub(super) fn build() -> Result<()> {
    if program(YOUKI[0]).is_some() {
        return Ok(());
    }
    let mut install = sh::cargo();
    install.args(["install", "--quiet", "--locked", "--root"]).arg(built()).args(YOUKI);
    say::command(&sh::line(&install));
    sh::run(&mut install)
}

/// Finds a peer's program: the machine's, or the one that was built here.
fn program(name: &str) -> Option<PathBuf> {
    sh::which(name).or_else(|| Some(built().join("bin").join(name)).filter(|built| built.exists()))
}

/// Tells the version of the peer that is in no package, if it is there.
pub(super) fn unpacked_version() -> Option<String> {
    let said = sh::capture(Command::new(program(YOUKI[0])?).arg("--version")).ok()?;
    Some(said.lines().next()?.trim().to_owned())
}

/// A name for the container that no other has.
const NAME: &str = "zones-bench";

/// Something that starts and stops a container by commands.
pub(super) struct Peer {
    /// What the table calls it.
    pub(super) name: String,
    /// Whether the container has a net on a bridge.
    pub(super) wired: bool,
    worker: Worker,
    start: Job,
    stop: Vec<Job>,
    /// What a table calls its way to run a command in a container.
    pub(super) way_in: String,
    /// What precedes a command that is to be run in the container; without, why there is none.
    enter: Result<Vec<String>, &'static str>,
}

/// A peer that is left out, and why.
pub(super) struct LeftOut {
    /// What the table would call it.
    pub(super) name: String,
    /// Whether it would have had a net.
    pub(super) wired: bool,
    /// The reason, as the program gave it.
    pub(super) why: String,
}

impl Peer {
    /// Starts the container; gives the microseconds it took.
    pub(super) fn start(&mut self) -> Result<u64> {
        Ok(self.worker.has_done(&self.start)?.0)
    }

    /// Stops it and removes what the manager keeps of it.
    pub(super) fn stop(&mut self) -> Result<u64> {
        self.stop.iter().map(|job| Ok(self.worker.has_done(job)?.0)).sum()
    }

    /// Runs a command in it.
    pub(super) fn enter(&mut self, command: &[&str]) -> Result<u64> {
        let mut words = self.enter.clone().map_err(anyhow::Error::msg)?;
        words.extend(command.iter().map(|word| (*word).to_owned()));
        Ok(self.worker.has_done(&Job::Run { words, wanted: false })?.0)
    }
}

fn run(words: Vec<String>) -> Job {
    Job::Run { words, wanted: false }
}

/// Gives all that are installed and can start a container on this machine, and the others with the reason why they are left out. `bridge`
/// is one that containers with a net can be on.
pub(super) fn all(root: &Path, init: &str, dir: &Path, bridge: &str) -> Result<(Vec<Peer>, Vec<LeftOut>)> {
    let (mut peers, mut left) = (Vec::new(), Vec::new());
    for (program, made) in [
        ("crun", oci("crun", root, init, dir)),
        ("runc", oci("runc", root, init, dir)),
        (YOUKI[0], oci(YOUKI[0], root, init, dir)),
        ("lxc-start", lxc(NAME, root, init, dir, None)),
        ("systemd-nspawn", nspawn(root, init)),
        ("lxc-start", lxc(NAME, root, init, dir, Some(bridge))),
        ("podman", podman(root, init, dir)),
    ] {
        let mut peer = made?;
        let why = if self::program(program).is_none() {
            "not installed".to_owned()
        } else {
            match peer.start().and_then(|_| peer.stop()) {
                Ok(_) => {
                    peers.push(peer);
                    continue;
                }
                Err(e) => format!("{e:#}"),
            }
        };
        left.push(LeftOut { name: peer.name, wired: peer.wired, why });
    }
    Ok((peers, left))
}

/// Writes the bundle of a container for an OCI runtime into a directory below `dir`; gives that.
pub(super) fn bundle(name: &str, root: &Path, init: &str, dir: &Path) -> Result<PathBuf> {
    let bundle = dir.join(name);
    sh::make_dir(&bundle)?;
    let namespaces: Vec<_> =
        ["pid", "mount", "network", "uts", "ipc", "cgroup"].map(|kind| json!({ "type": kind })).into();
    let mount = |what: &str, at: &str, options: &[&str]| json!({ "destination": at, "type": what, "source": what, "options": options });
    let config = json!({
        "ociVersion": "1.0.0",
        "process": { "user": { "uid": 0, "gid": 0 }, "args": [init], "env": ["PATH=/usr/bin:/bin"], "cwd": "/" },
        "root": { "path": root },
        "hostname": name,
        "mounts": [
            mount("proc", "/proc", &[]),
            mount("tmpfs", "/dev", &["nosuid", "mode=755"]),
            mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": { "namespaces": namespaces, "cgroupsPath": format!("/{NAME}-{name}") },
    });
    std::fs::write(bundle.join("config.json"), config.to_string()).context("cannot write a bundle")?;
    Ok(bundle)
}

/// An OCI runtime with a bundle of its own.
fn oci(name: &str, root: &Path, init: &str, dir: &Path) -> Result<Peer> {
    let bundle = bundle(name, root, init, dir)?;
    let program = program(name).map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned());
    let program = program.as_str();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let bundle = bundle.to_string_lossy();
    let worker = if name == "crun" { without_cgroup2()? } else { Worker::start(&[], &[])? };
    Ok(Peer {
        name: format!("{name} run"),
        wired: false,
        worker,
        start: run(words(&[program, "run", "-d", "-b", &bundle, NAME])),
        stop: vec![run(words(&[program, "delete", "-f", NAME]))],
        way_in: format!("{name} exec"),
        enter: Ok(words(&[program, "exec", NAME])),
    })
}

/// Starts a worker for crun, which refuses a machine whose cgroup2 hierarchy has controllers beside cgroup v1 ones: it gets a
/// mount namespace without it.
pub(super) fn without_cgroup2() -> Result<Worker> {
    let hide = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
    Worker::start(&["unshare", "--mount", "--propagation", "private", "sh", "-c", hide], &[])
}

/// lxc-start of a container, with a veth pair on a bridge if there is one.
pub(super) fn lxc(name: &str, root: &Path, init: &str, dir: &Path, bridge: Option<&str>) -> Result<Peer> {
    let place = dir.join(if bridge.is_some() { "lxc-veth" } else { "lxc" });
    sh::make_dir(&place.join(name))?;
    let net = bridge.map_or("type = empty\n".to_owned(), |bridge| {
        format!(
            "type = veth\nlxc.net.0.link = {bridge}\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.213.77.3/24\n\
             lxc.net.0.ipv4.gateway = 10.213.77.1\n"
        )
    });
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.init.cmd = {init}\nlxc.uts.name = {name}\nlxc.net.0.{net}\
         lxc.mount.auto = proc:mixed sys:ro\nlxc.apparmor.profile = unconfined\n",
        root.display()
    );
    std::fs::write(place.join(name).join("config"), config).context("cannot write a configuration")?;
    let place = place.to_string_lossy().into_owned();
    let words = |program: &str, more: &[&str]| {
        let mut all =
            vec![program.to_owned(), "-P".to_owned(), place.clone(), "-n".to_owned(), name.to_owned()];
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all
    };
    Ok(Peer {
        name: if bridge.is_some() { "lxc-start, veth" } else { "lxc-start" }.to_owned(),
        wired: bridge.is_some(),
        worker: Worker::start(&[], &[])?,
        start: run(words("lxc-start", &[])),
        stop: vec![run(words("lxc-stop", &["-k"]))],
        way_in: "lxc-attach".to_owned(),
        enter: Ok(words("lxc-attach", &["--"])),
    })
}

/// systemd-nspawn, which stays with its container, without a systemd that it could register that with.
fn nspawn(root: &Path, init: &str) -> Result<Peer> {
    let root = root.to_string_lossy();
    let words =
        ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe"];
    let words = words.iter().chain(&["-M", NAME, "-D", &root, init]).map(|word| (*word).to_owned()).collect();
    Ok(Peer {
        name: "systemd-nspawn, until init speaks".to_owned(),
        wired: false,
        worker: Worker::start(&[], &[])?,
        start: Job::Attend { words },
        stop: vec![Job::Dismiss],
        way_in: "systemd-nspawn".to_owned(),
        enter: Err("has no command for it without systemd and machined"),
    })
}

/// podman with its usual bridge, and with all that it keeps in a folder of its own.
fn podman(root: &Path, init: &str, dir: &Path) -> Result<Peer> {
    let place = dir.join("podman");
    sh::make_dir(&place)?;
    let at = |name: &str| place.join(name).to_string_lossy().into_owned();
    let words = |more: &[&str]| {
        let mut all: Vec<String> =
            ["podman", "--cgroup-manager", "cgroupfs", "--events-backend", "none"].map(str::to_owned).into();
        for (option, name) in [
            ("--root", "storage"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
            ("--network-config-dir", "networks"),
        ] {
            all.extend([option.to_owned(), at(name)]);
        }
        all.extend(["--storage-driver".to_owned(), "vfs".to_owned()]);
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all
    };
    let root = root.to_string_lossy();
    // What it sets without being told, not every root may.
    let (nofile, nproc) = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024");
    Ok(Peer {
        name: "podman run, bridge".to_owned(),
        wired: true,
        worker: without_cgroup2()?,
        start: run(words(&["run", "-d", "--name", NAME, nofile, nproc, "--rootfs", &root, init])),
        stop: vec![run(words(&["rm", "-f", "-t", "0", NAME]))],
        way_in: "podman exec".to_owned(),
        enter: Ok(words(&["exec", NAME])),
    })
}
