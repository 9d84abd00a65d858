//! Other managers, each with the same root and the same init, if they are installed.

use super::worker::{Job, Worker};
use crate::needs::{Need, need};
use crate::{say, sh};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::Path;

/// Where they are from.
pub(super) const NEEDS: [Need; 3] = [
    need("crun", "crun", "a manager to measure beside ours"),
    need("lxc-start", "lxc", "a manager to measure beside ours, also with a veth pair"),
    need("podman", "podman", "a manager with a bridge, to measure beside ours"),
];

/// A name for the container that no other has.
const NAME: &str = "zones-bench";

/// Something that starts and stops a container by commands.
pub(super) struct Peer {
    /// What the table calls it.
    pub(super) name: String,
    /// Whether the container has a net on a bridge.
    pub(super) wired: bool,
    worker: Worker,
    start: Vec<String>,
    stop: Vec<Vec<String>>,
}

impl Peer {
    /// Starts the container; gives the microseconds it took.
    pub(super) fn start(&mut self) -> Result<u64> {
        done(&mut self.worker, &self.start)
    }

    /// Stops it and removes what the manager keeps of it.
    pub(super) fn stop(&mut self) -> Result<u64> {
        let mut usec = 0;
        for words in &self.stop {
            usec += done(&mut self.worker, words)?;
        }
        Ok(usec)
    }
}

fn done(worker: &mut Worker, words: &[String]) -> Result<u64> {
    let done = worker.ask(&Job::Run { words: words.to_vec(), wanted: false })?;
    match done.error {
        Some(why) => bail!("{why}"),
        None => Ok(done.usec),
    }
}

/// All that are installed and can start a container on this machine. The others are named with the
/// reason why they are left out. `bridge` is one that containers with a net can be on.
pub(super) fn all(root: &Path, init: &str, dir: &Path, bridge: &str) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (program, made) in [
        ("crun", oci("crun", root, init, dir)),
        ("runc", oci("runc", root, init, dir)),
        ("lxc-start", lxc(root, init, dir, None)),
        ("lxc-start", lxc(root, init, dir, Some(bridge))),
        ("podman", podman(root, init, dir)),
    ] {
        if sh::which(program).is_none() {
            say::note(&format!("{program} is not installed"));
            continue;
        }
        let mut peer = made?;
        match peer.start().and_then(|_| peer.stop()) {
            Ok(_) => peers.push(peer),
            Err(e) => say::note(&format!("{program} is left out, it cannot start a container here: {e:#}")),
        }
    }
    Ok(peers)
}

/// An OCI runtime with a bundle of its own.
fn oci(program: &str, root: &Path, init: &str, dir: &Path) -> Result<Peer> {
    let bundle = dir.join(program);
    sh::make_dir(&bundle)?;
    let namespaces: Vec<_> =
        ["pid", "mount", "network", "uts", "ipc", "cgroup"].map(|kind| json!({ "type": kind })).into();
    let mount = |what: &str, at: &str, options: &[&str]| json!({ "destination": at, "type": what, "source": what, "options": options });
    let config = json!({
        "ociVersion": "1.0.0",
        "process": { "user": { "uid": 0, "gid": 0 }, "args": [init], "cwd": "/" },
        "root": { "path": root },
        "hostname": NAME,
        "mounts": [
            mount("proc", "/proc", &[]),
            mount("tmpfs", "/dev", &["nosuid", "mode=755"]),
            mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": { "namespaces": namespaces, "cgroupsPath": format!("/{NAME}") },
    });
    std::fs::write(bundle.join("config.json"), config.to_string()).context("cannot write a bundle")?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let bundle = bundle.to_string_lossy();
    let worker = if program == "crun" { without_cgroup2()? } else { Worker::start(&[], &[])? };
    Ok(Peer {
        name: format!("{program} run"),
        wired: false,
        worker,
        start: words(&[program, "run", "-d", "-b", &bundle, NAME]),
        stop: vec![words(&[program, "delete", "-f", NAME])],
    })
}

/// Starts a worker for crun, which refuses a machine whose cgroup2 hierarchy has controllers beside cgroup v1 ones: it gets a
/// mount namespace without it.
fn without_cgroup2() -> Result<Worker> {
    let hide = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
    Worker::start(&["unshare", "--mount", "--propagation", "private", "sh", "-c", hide], &[])
}

/// lxc-start, with a veth pair on a bridge if there is one.
fn lxc(root: &Path, init: &str, dir: &Path, bridge: Option<&str>) -> Result<Peer> {
    let place = dir.join(if bridge.is_some() { "lxc-veth" } else { "lxc" });
    sh::make_dir(&place.join(NAME))?;
    let net = bridge.map_or("type = empty\n".to_owned(), |bridge| {
        format!(
            "type = veth\nlxc.net.0.link = {bridge}\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.213.77.3/24\n\
             lxc.net.0.ipv4.gateway = 10.213.77.1\n"
        )
    });
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.init.cmd = {init}\nlxc.uts.name = {NAME}\nlxc.net.0.{net}\
         lxc.mount.auto = proc:mixed sys:ro\nlxc.apparmor.profile = unconfined\n",
        root.display()
    );
    std::fs::write(place.join(NAME).join("config"), config).context("cannot write a configuration")?;
    let place = place.to_string_lossy().into_owned();
    let words = |program: &str, more: &[&str]| {
        let mut all =
            vec![program.to_owned(), "-P".to_owned(), place.clone(), "-n".to_owned(), NAME.to_owned()];
        all.extend(more.iter().map(|word| (*word).to_owned()));
        all
    };
    Ok(Peer {
        name: if bridge.is_some() { "lxc-start, veth" } else { "lxc-start" }.to_owned(),
        wired: bridge.is_some(),
        worker: Worker::start(&[], &[])?,
        start: words("lxc-start", &[]),
        stop: vec![words("lxc-stop", &["-k"])],
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
        start: words(&["run", "-d", "--name", NAME, nofile, nproc, "--rootfs", &root, init]),
        stop: vec![words(&["rm", "-f", "-t", "0", NAME])],
    })
}
