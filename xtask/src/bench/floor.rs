//! The least that starting a container can cost here: one `clone3` with the namespaces, the mounts,
//! `pivot_root`, `exec`. No user namespace, no seccomp, nothing is checked, nobody is asked. With a net, what [`wire`]
//! makes comes between mounts and `exec`.

pub(super) mod wire;

use anyhow::{Context, Result, bail};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdir, mknodat, open, symlink};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, unmount,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, chdir, pidfd_send_signal, pivot_root, waitid};
use std::path::{Path, PathBuf};
use wire::Wire;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};

/// A minimal container that was started.
pub(super) struct Floor {
    pidfd: OwnedFd,
    cgroup: Option<PathBuf>,
    wire: Option<Wire>,
}

/// The device nodes of a container, with their numbers (Documentation/admin-guide/devices.txt).
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

impl Floor {
    /// Starts it, with a net on `bridge` if there is one. Returns when `init` has been executed.
    pub(super) fn start(
        root: &Path,
        init: &str,
        cgroup: Option<&Path>,
        bridge: Option<&str>,
    ) -> Result<Self> {
        let block = zone_sys::exec::block(init, &[init.to_owned()], &[]).context("the path of init")?;
        // Both ends close on exec: the end of the pipe tells that init runs.
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // The child waits for its net at this one.
        let (gate, opener) = pipe_with(PipeFlags::CLOEXEC)?;
        let cgroup_dir = match cgroup {
            Some(dir) => {
                std::fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
                Some(open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
            }
            None => None,
        };
        let mut clone = Clone::new(Namespaces::ZONE);
        if let Some(dir) = &cgroup_dir {
            clone = clone.into_cgroup(dir.as_fd());
        }
        let (pid, pidfd) = match clone.spawn(SingleThreaded::assert()?)? {
            Cloned::Child => {
                drop(opener);
                let wired = |()| match bridge.map(|_| rustix::io::read(&gate, &mut [0])) {
                    None | Some(Ok(1)) => Ok(()),
                    // Its parent has given it up.
                    _ => Err(("the net", Errno::PIPE)),
                };
                let why = match set_up(root).and_then(wired) {
                    Ok(()) => zone_sys::exec::exec(&block).to_string(),
                    Err((what, errno)) => format!("{what}: {errno}"),
                };
                let _ = rustix::io::write(&write, why.as_bytes());
                exit_now(1);
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((write, gate));
        let mut floor = Self { pidfd, cgroup: cgroup.map(Path::to_owned), wire: None };
        if let Some(bridge) = bridge {
            match Wire::lay(bridge, pid) {
                Ok(wire) => floor.wire = Some(wire),
                Err(e) => {
                    floor.stop()?;
                    return Err(e);
                }
            }
            rustix::io::write(&opener, b".")?;
        }
        drop(opener);
        let mut why = [0; 256];
        let n = rustix::io::read(&read, &mut why)?;
        if n > 0 {
            floor.stop()?;
            bail!("the floor: {}", String::from_utf8_lossy(&why[..n]));
        }
        Ok(floor)
    }

    /// Kills it, waits until it is dead, removes its cgroup.
    pub(super) fn stop(self) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(e) => return Err(e.into()),
        }
        waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)?;
        if let Some(wire) = self.wire {
            wire.take_up()?;
        }
        if let Some(dir) = &self.cgroup {
            std::fs::remove_dir(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        Ok(())
    }
}

/// In the child: all mounts, then the new root.
fn set_up(root: &Path) -> Result<(), (&'static str, Errno)> {
    let safe = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", all).map_err(|e| ("mount --make-rprivate", e))?;
    mount_bind_recursive(root, root).map_err(|e| ("bind the root", e))?;
    chdir(root).map_err(|e| ("chdir", e))?;
    mount("proc", "proc", "proc", safe, None).map_err(|e| ("mount proc", e))?;
    mount("sysfs", "sys", "sysfs", safe | MountFlags::RDONLY, None).map_err(|e| ("mount sysfs", e))?;
    mount("tmpfs", "dev", "tmpfs", MountFlags::NOSUID, Some(c"mode=755")).map_err(|e| ("mount /dev", e))?;
    mkdir("dev/pts", Mode::from_raw_mode(0o755)).map_err(|e| ("mkdir /dev/pts", e))?;
    let pts = Some(c"newinstance,ptmxmode=666,mode=620");
    mount("devpts", "dev/pts", "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, pts)
        .map_err(|e| ("mount devpts", e))?;
    for (name, major, minor) in NODES {
        let path = format!("dev/{name}");
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(major, minor))
            .map_err(|e| ("mknod", e))?;
    }
    symlink("pts/ptmx", "dev/ptmx").map_err(|e| ("ln /dev/ptmx", e))?;
    pivot_root(".", ".").map_err(|e| ("pivot_root", e))?;
    unmount(".", UnmountFlags::DETACH).map_err(|e| ("umount", e))?;
    chdir("/").map_err(|e| ("chdir /", e))?;
    zone_sys::net::loopback_up().map_err(|e| ("loopback", e.errno()))
}
