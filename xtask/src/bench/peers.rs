//! Other managers, each with the same root and the same init, if they are installed.

use super::worker::{Job, Worker};
use crate::{say, sh};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::Path;

/// A name for the container that no other has.
const NAME: &str = "zones-bench";

/// Something that starts and stops a container by commands.
pub(super) struct Peer {
    /// What the table calls it.
    pub(super) name: String,
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
/// reason why they are left out.
pub(super) fn all(root: &Path, init: &str, dir: &Path) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (program, made) in [
        ("crun", oci("crun", root, init, dir)),
        ("runc", oci("runc", root, init, dir)),
        ("lxc-start", lxc(root, init, dir)),
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
    // crun refuses a machine whose cgroup2 hierarchy has controllers beside cgroup v1 ones: it gets
    // a mount namespace without it.
    let hide = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
    let prelude = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide];
    let worker = if program == "crun" { Worker::start(&prelude, &[])? } else { Worker::start(&[], &[])? };
    Ok(Peer {
        name: format!("{program} run"),
        worker,
        start: words(&[program, "run", "-d", "-b", &bundle, NAME]),
        stop: vec![words(&[program, "delete", "-f", NAME])],
    })
}

/// lxc-start.
fn lxc(root: &Path, init: &str, dir: &Path) -> Result<Peer> {
    let place = dir.join("lxc");
    sh::make_dir(&place.join(NAME))?;
    let config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.init.cmd = {init}\nlxc.uts.name = {NAME}\nlxc.net.0.type = empty\n\
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
        name: "lxc-start".to_owned(),
        worker: Worker::start(&[], &[])?,
        start: words("lxc-start", &[]),
        stop: vec![words("lxc-stop", &["-k"])],
    })
}
