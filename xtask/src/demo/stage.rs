//! The demo's private root, the commands in it, and the proof that it is gone.

use crate::{paths, say, sh};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use zones_suite::harness::Status;

/// The zone's name.
const ZONE: &str = "demo";
/// How long a zone may take to come back. It takes a moment; this is for a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the demo plays.
pub(super) struct Stage {
    root: PathBuf,
    bin: PathBuf,
    /// Where the zone's control group was seen to be.
    cgroup: RefCell<Option<PathBuf>>,
}

/// An incarnation of the zone.
pub(super) struct Incarnation(Status);

/// A zone's PID 1, as this machine sees it.
pub(super) struct Process {
    pid: i32,
    started: u64,
    up: f64,
}

impl Stage {
    /// Makes the private root.
    pub(super) fn set(bin: PathBuf) -> Result<Self> {
        // Debian 13 mounts /tmp nosuid, and no zone is installed there.
        let root = tempfile::Builder::new().prefix("zones-demo.").tempdir_in("/var/tmp");
        let root = root.context("cannot make a private root")?;
        Ok(Self { root: root.keep(), bin, cgroup: RefCell::default() })
    }

    /// Shows what a person would set in their shell.
    pub(super) fn introduce(&self) {
        say::command(&format!("export ZONES_ROOT={}", sh::quoted(&self.root.to_string_lossy())));
        say::command(&format!("PATH={}:$PATH", sh::quoted(&self.bin.to_string_lossy())));
    }

    pub(super) fn zone(&self) -> &'static str {
        ZONE
    }

    /// `zonecfg -z demo SCRIPT`.
    pub(super) fn zonecfg(&self, script: &str) -> Result<()> {
        self.succeeds("zonecfg", &["-z", ZONE, script])
    }

    /// `zoneadm -z demo ARGS`.
    pub(super) fn zoneadm(&self, args: &[&str]) -> Result<()> {
        self.succeeds("zoneadm", &[&["-z", ZONE], args].concat())
    }

    /// `zoneadm list -cv`.
    pub(super) fn list(&self) -> Result<()> {
        self.succeeds("zoneadm", &["list", "-cv"])
    }

    /// `zlogin demo ARGS`.
    pub(super) fn zlogin(&self, args: &[&str]) -> Result<()> {
        self.succeeds("zlogin", &[&[ZONE], args].concat())
    }

    /// The same for something that the zone must not be able to do.
    pub(super) fn zlogin_fails(&self, args: &[&str]) -> Result<()> {
        let output = self.shown("zlogin", &[&[ZONE], args].concat())?;
        ensure!(
            !output.status.success(),
            "`{}` succeeded inside the zone, which must not be possible",
            args.join(" ")
        );
        Ok(())
    }

    /// The same for something that ends the zone, and the login with it, at any moment.
    pub(super) fn zlogin_ends(&self, args: &[&str]) -> Result<()> {
        self.shown("zlogin", &[&[ZONE], args].concat()).map(|_| ())
    }

    fn succeeds(&self, program: &str, args: &[&str]) -> Result<()> {
        let output = self.shown(program, args)?;
        ensure!(output.status.success(), "`{program} {}` failed ({})", args.join(" "), output.status);
        Ok(())
    }

    /// Shows a command, runs it, shows what it printed.
    fn shown(&self, program: &str, args: &[&str]) -> Result<Output> {
        let words: Vec<String> = args.iter().map(|word| sh::quoted(word)).collect();
        say::command(&format!("{program} {}", words.join(" ")));
        let output = self.command(program, args).output();
        let output = output.with_context(|| format!("cannot start {program}"))?;
        for bytes in [&output.stdout, &output.stderr] {
            String::from_utf8_lossy(bytes).lines().for_each(say::output);
        }
        Ok(output)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.args(args).env("ZONES_ROOT", &self.root);
        command
    }

    /// The zone as `zoneadm list -v --json` has it.
    pub(super) fn status(&self) -> Result<Incarnation> {
        let text = sh::capture(&mut self.command("zoneadm", &["-z", ZONE, "list", "-v", "--json"]))?;
        let json: serde_json::Value =
            serde_json::from_str(&text).context("what `zoneadm list --json` printed")?;
        let zone = json.as_array().and_then(|zones| zones.first()).unwrap_or(&json);
        Ok(Incarnation(serde_json::from_value(zone.clone())?))
    }

    /// Waits until another incarnation than `before` runs.
    pub(super) fn wait_for_new(&self, before: &Incarnation) -> Result<Incarnation> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.status()?;
            if now.0.state == "running" && now.0.uniqid != before.0.uniqid {
                return Ok(now);
            }
            ensure!(Instant::now() < deadline, "the zone did not come back within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The zone's daemon: who serves its door, by the kernel's word.
    pub(super) fn daemon(&self) -> Result<i32> {
        let run = self.root.join("run/zones").join(ZONE);
        let door = zone_sys::unix::connect_in(&run, "door", rustix::net::SocketType::STREAM)
            .context("the zone has no daemon")?;
        Ok(zone_sys::unix::peer(&door)?.pid)
    }

    /// `kill -9 PID`, and waits for the end of it.
    pub(super) fn kill(&self, pid: i32) -> Result<()> {
        say::command(&format!("kill -9 {pid}    # zoneadmd -z {ZONE}"));
        let Some(pid) = Pid::from_raw(pid) else { bail!("{pid} is no process") };
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        kill_process(pid, Signal::KILL)?;
        rustix::event::poll(&mut [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)], None)?;
        Ok(())
    }

    /// The zone's PID 1.
    pub(super) fn first_process(&self) -> Result<Process> {
        let pid = self.status()?.0.pid.context("the zone has no PID 1")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the zone's PID 1")?;
        let field = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19));
        let started: u64 = field.context("/proc/PID/stat")?.parse()?;
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split(' ').next().context("/proc/uptime")?.parse()?;
        *self.cgroup.borrow_mut() = cgroup_of(pid);
        // In hundredths of a second (USER_HZ) since the machine was booted.
        let began = u32::try_from(started).map_or(0.0, f64::from) / 100.0;
        Ok(Process { pid, started, up: uptime - began })
    }

    /// Takes everything down, in whatever state the demo stopped. Gives what could not be removed.
    pub(super) fn clear(self) -> Result<Vec<String>> {
        if self.root.join("etc/zones").join(format!("{ZONE}.toml")).exists() {
            for args in [&["halt"][..], &["uninstall", "-F"]] {
                let _ = self.command("zoneadm", &[&["-z", ZONE], args].concat()).output();
            }
            let _ = self.command("zonecfg", &["-z", ZONE, "delete", "-F"]).output();
        }
        let deadline = Instant::now() + PATIENCE;
        let mut left = self.left()?;
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            left = self.left()?;
        }
        if left.is_empty() {
            std::fs::remove_dir_all(&self.root)
                .with_context(|| format!("cannot remove {}", self.root.display()))?;
        }
        Ok(left)
    }

    /// Processes and mounts that have to do with the private root, the zone's cgroup and its files.
    fn left(&self) -> Result<Vec<String>> {
        let root = self.root.to_string_lossy();
        let mut left = Vec::new();
        let info = std::fs::read_to_string("/proc/self/mountinfo")?;
        left.extend(info.lines().filter(|line| line.contains(&*root)).map(|line| format!("mount {line}")));
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if pid != std::process::id() && mentions(&entry.path(), &root) {
                left.push(format!("process {pid}"));
            }
        }
        left.extend(
            self.cgroup.borrow().iter().filter(|dir| dir.exists()).map(|dir| dir.display().to_string()),
        );
        let place = self.root.join("var/lib/zones").join(ZONE);
        left.extend(place.exists().then(|| format!("{}", place.display())));
        Ok(left)
    }

    /// Says how to go on with a zone that was left running.
    pub(super) fn keep(&self) {
        say::title("The zone is yours. In this folder, as root:");
        self.introduce();
        say::command(&format!("zlogin {ZONE}             # a shell; ~. at the start of a line leaves it"));
        say::command("zoneadm list -v");
        say::command(&format!("zoneadm -z {ZONE} reboot"));
        say::title("And to remove it:");
        say::command(&format!(
            "zoneadm -z {ZONE} halt; zoneadm -z {ZONE} uninstall -F; zonecfg -z {ZONE} delete -F"
        ));
        say::command("rm -r \"$ZONES_ROOT\"");
    }
}

/// The directory of a process's cgroup v2.
fn cgroup_of(pid: i32) -> Option<PathBuf> {
    let mount = paths::cgroup2()?;
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    Some(mount.join(path))
}

/// Whether a process has `root` in its arguments or environment, or was started from below it.
fn mentions(proc: &Path, root: &str) -> bool {
    let has = |name: &str| {
        std::fs::read(proc.join(name)).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(root))
    };
    let link =
        |name: &str| std::fs::read_link(proc.join(name)).is_ok_and(|to| to.to_string_lossy().contains(root));
    has("cmdline") || has("environ") || link("cwd") || link("root")
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.uniqid.as_deref().unwrap_or("-"))
    }
}

impl Process {
    /// Whether this is that process and not a later one of the same number.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the zone's PID 1 is process {} of this machine and has been up for {:.2} s",
            self.pid, self.up
        )
    }
}
