//! A zone of a test, driven through the programs.

use super::command::words;
use super::{Command, Lab, Ran, Status, Terminal, until, within};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock that is there may be missing from the kernel's list.
const LISTED: Duration = Duration::from_millis(200);

/// A zone by its name.
pub struct Zone<'lab> {
    lab: &'lab Lab,
    name: String,
}

impl<'lab> Zone<'lab> {
    pub(super) fn new(lab: &'lab Lab, name: &str) -> Self {
        Self { lab, name: name.to_owned() }
    }

    /// The stage it is on.
    #[must_use]
    pub(super) fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `zoneadm -z NAME ARGS`, not yet run.
    #[must_use]
    pub fn zoneadm_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.lab.command("zoneadm", ["-z", &self.name]).args(words(args))
    }

    /// Runs `zoneadm -z NAME ARGS`.
    #[track_caller]
    #[must_use]
    pub fn zoneadm<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.zoneadm_command(args).run()
    }

    /// Runs `zoneadm -z NAME ARGS`, which may take long.
    #[track_caller]
    #[must_use]
    pub fn zoneadm_within<S: AsRef<OsStr>>(&self, secs: u64, args: impl IntoIterator<Item = S>) -> Ran {
        self.zoneadm_command(args).within(secs).run()
    }

    /// Runs `zonecfg -z NAME SCRIPT`.
    #[track_caller]
    #[must_use]
    pub fn zonecfg(&self, script: &str) -> Ran {
        self.lab.zonecfg(&self.name, script)
    }

    /// `zlogin NAME ARGS`, not yet run.
    #[must_use]
    pub fn zlogin_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.lab.command("zlogin", [&self.name]).args(words(args))
    }

    /// Runs `zlogin NAME ARGS`.
    #[track_caller]
    #[must_use]
    pub fn zlogin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.zlogin_command(args).run()
    }

    /// Runs `zlogin NAME /bin/sh -c SCRIPT`.
    #[track_caller]
    #[must_use]
    pub fn sh(&self, script: &str) -> Ran {
        self.zlogin(["/bin/sh", "-c", script])
    }

    /// Starts `zlogin NAME` on a terminal.
    #[track_caller]
    #[must_use]
    pub fn terminal(&self, rows: u16, columns: u16) -> Terminal {
        Terminal::start(self.zlogin_command::<&str>([]), rows, columns)
    }

    /// Starts `zlogin -C OPTIONS NAME` on a terminal, and waits until it is connected and has the terminal raw.
    #[track_caller]
    #[must_use]
    pub fn console(&self, options: &[&str]) -> Terminal {
        let mut terminal = Terminal::start(self.console_command(options), 24, 80);
        terminal.shows(&format!("[Connected to zone '{}' console]", self.name));
        until("zlogin has the terminal", || terminal.is_raw().then_some(()));
        terminal
    }

    /// `zlogin -C OPTIONS NAME`, not yet run.
    #[must_use]
    pub fn console_command(&self, options: &[&str]) -> Command {
        self.lab.command("zlogin", ["-C"]).args(options).args([&self.name])
    }

    /// Boots it, which must succeed without a word.
    #[track_caller]
    pub fn boot(&self) {
        self.zoneadm(["boot"]).ok().quiet();
        self.is("running");
    }

    /// Halts it, which must succeed without a word.
    #[track_caller]
    pub fn halt(&self) {
        self.zoneadm(["halt"]).ok().quiet();
        self.is("installed");
    }

    /// Halts it, whatever there is to halt and whatever is said about it.
    #[track_caller]
    pub fn halt_whatever(&self) {
        self.zoneadm(["halt"]).ok();
        self.is("installed");
    }

    /// What `zoneadm list` says of it.
    #[track_caller]
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_if_shown().unwrap_or_else(|ran| panic!("must succeed\n{ran}"))
    }

    /// Its line of `zoneadm list`, or what that said instead.
    #[track_caller]
    pub fn status_if_shown(&self) -> Result<Status, Ran> {
        let ran = self.zoneadm(["list", "-v", "--json"]);
        if ran.code() != Some(0) {
            return Err(ran);
        }
        let json = ran.json();
        let zone = json.as_array().and_then(|zones| zones.first()).unwrap_or(&json);
        Ok(serde_json::from_value(zone.clone()).unwrap_or_else(|e| panic!("{e}\n{ran}")))
    }

    /// Asserts its state.
    #[track_caller]
    pub fn is(&self, state: &str) {
        let status = self.status();
        assert!(status.state == state, "zone '{}' must be {state}: {status:?}", self.name);
    }

    /// Waits until its state is `state`.
    #[track_caller]
    pub fn becomes(&self, state: &str) -> Status {
        self.waits_for(&format!("zone '{}' becomes {state}", self.name), |status| status.state == state)
    }

    /// Waits until another incarnation than `before` runs.
    #[track_caller]
    pub fn runs_again(&self, before: &Status) -> Status {
        self.waits_for(&format!("zone '{}' runs anew", self.name), |now| {
            now.state == "running" && now.uniqid.is_some() && now.uniqid != before.uniqid
        })
    }

    /// Waits until its status is as `condition` says.
    #[track_caller]
    pub fn waits_for(&self, what: &str, condition: impl Fn(&Status) -> bool) -> Status {
        until(what, || Some(self.status()).filter(&condition))
    }

    /// ROOT.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.lab.root()
    }

    /// ROOT/run/zones/NAME.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.lab.run().join(&self.name)
    }

    /// Its zonepath, as long as nobody configured another.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.lab.root().join("var/lib/zones").join(&self.name)
    }

    /// A file below its root.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.path().join("root").join(path.trim_start_matches('/'))
    }

    /// What the zone writes to a file: waits until it ends with a whole line.
    #[track_caller]
    #[must_use]
    pub fn written(&self, path: &str) -> String {
        until(&format!("zone '{}' writes {path}", self.name), || {
            fs::read_to_string(self.file(path)).ok().filter(|text| text.ends_with('\n'))
        })
    }

    /// The process that serves its door, by the kernel's word: who has its lock. `None` when nobody does. Nobody is
    /// connected to for that: whoever is in the door's queue has a daemon started for him when this one is killed.
    #[must_use]
    pub fn daemon(&self) -> Option<i32> {
        // A list that others change while it is read can lack a line that was in it all the time.
        let found = within(LISTED, || match self.served() {
            Some(lock) => holder(&lock).map(Some),
            None => Some(None),
        });
        found.flatten()
    }

    /// The file of its daemon's locks, if a daemon serves the door.
    fn served(&self) -> Option<fs::File> {
        let lock = fs::File::open(self.run_dir().join("lock")).ok()?;
        zone_sys::lock::is_taken(&lock).ok()?.then_some(lock)
    }

    /// Whether a daemon shows, by the kind of its lock, that it is at work.
    pub(super) fn is_at_work(&self) -> bool {
        let kind = self.served().and_then(|lock| zone_sys::lock::held(&lock).ok()?);
        kind == Some(zone_sys::lock::Kind::Exclusive)
    }

    /// A connection to its door, if a daemon serves it: without one the zone's zsched would start one for whoever connects.
    fn served_door(&self) -> Option<OwnedFd> {
        self.served()?;
        zone_sys::unix::connect_in(&self.run_dir(), "door", rustix::net::SocketType::STREAM).ok()
    }

    /// What its daemon says of it, if there is one.
    #[must_use]
    pub fn door_status_if(&self) -> Option<serde_json::Value> {
        let reply = self.door_call_if("GetStatus", "{}")?;
        let reply: serde_json::Value = serde_json::from_slice(&reply).ok()?;
        Some(reply["parameters"]["status"].clone())
    }

    /// What its daemon answers to a call of METHOD with PARAMETERS (JSON).
    #[track_caller]
    #[must_use]
    pub fn door_call(&self, method: &str, parameters: &str) -> String {
        let reply = self.door_call_if(method, parameters);
        let reply = reply.unwrap_or_else(|| panic!("the daemon of zone '{}' must answer", self.name));
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn door_call_if(&self, method: &str, parameters: &str) -> Option<Vec<u8>> {
        ask(self.served_door()?, method, parameters).map(|(_, reply)| reply)
    }

    /// What its daemon says of it, at once.
    #[track_caller]
    #[must_use]
    pub fn door_status(&self) -> serde_json::Value {
        self.door_status_if().unwrap_or_else(|| panic!("the daemon of zone '{}' must answer", self.name))
    }

    /// Kills its daemon with SIGKILL and waits until it is no more. Gives the pid it had. Of a zone that is up one is brought back
    /// first if it has left.
    #[track_caller]
    pub fn kill_daemon(&self) -> i32 {
        let found = self.daemon().map(|pid| (pid, None)).or_else(|| {
            let door = zone_sys::unix::connect_in(&self.run_dir(), "door", rustix::net::SocketType::STREAM);
            let answered = ask(door.ok()?, "GetStatus", "{}");
            // As long as somebody is connected it does not leave again.
            answered.and_then(|connection| Some((self.daemon()?, Some(connection))))
        });
        let (pid, _connection) =
            found.unwrap_or_else(|| panic!("zone '{}' has no zoneadmd to kill", self.name));
        kill_and_wait(pid);
        pid
    }

    /// Waits until nobody serves its door, and who did has written out what it had to say.
    #[track_caller]
    pub fn daemon_leaves(&self) {
        until(&format!("the daemon of zone '{}' has gone", self.name), || {
            (self.daemon().is_none() && self.nobody_is_daemon()).then_some(())
        });
    }

    /// Its keeper, zsched.
    #[track_caller]
    #[must_use]
    pub fn keeper(&self) -> i32 {
        let status = self.status();
        status.zsched.as_ref().unwrap_or_else(|| panic!("zone '{}' has no zsched: {status:?}", self.name)).pid
    }

    /// Halts, uninstalls and deletes it, whatever its state. Each must succeed.
    #[track_caller]
    pub fn remove(&self) {
        if ["ready", "running", "shutting_down", "down"].contains(&self.status().state.as_str()) {
            self.zoneadm(["halt"]).ok();
        }
        if self.status().state != "configured" {
            // Tens of thousands of files, on a disk that others write to as well.
            self.zoneadm_within(180, ["uninstall", "-F"]).ok();
        }
        self.zonecfg("delete -F").ok();
        self.daemon_leaves();
    }
}

/// The process that has locked a file (proc_locks(5)), if the list has it.
fn holder(lock: &fs::File) -> Option<i32> {
    let inode = format!(":{}", rustix::fs::fstat(lock).ok()?.st_ino);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let pid = held.filter(|words| words.get(1) == Some(&"FLOCK")).find_map(|words| {
        words.get(5).filter(|place| place.ends_with(&inode)).and(words.get(4)?.parse().ok())
    });
    pid.filter(|&pid: &i32| pid > 0)
}

/// Makes a call over a connection to a door, and gives it back with the answer.
fn ask(door: OwnedFd, method: &str, parameters: &str) -> Option<(UnixStream, Vec<u8>)> {
    let mut door = UnixStream::from(door);
    door.set_read_timeout(Some(super::stretched(Duration::from_secs(20)))).ok()?;
    let call = format!("{{\"method\":\"org.zones.zoneadmd.{method}\",\"parameters\":{parameters}}}\0");
    door.write_all(call.as_bytes()).ok()?;
    let mut reply = Vec::new();
    let mut byte = [0];
    while door.read(&mut byte).ok()? == 1 && byte[0] != 0 {
        reply.push(byte[0]);
    }
    Some((door, reply))
}

/// Kills a process with SIGKILL and waits until the kernel has ended it.
#[track_caller]
pub(crate) fn kill_and_wait(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap_or_else(|| panic!("{pid} is no process id"));
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap_or_else(|e| panic!("pidfd_open({pid:?}): {e}"));
    kill_process(pid, Signal::KILL).unwrap_or_else(|e| panic!("kill({pid:?}): {e}"));
    let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    let ended = rustix::event::poll(&mut fds, Some(&limit)).unwrap_or(0);
    assert!(ended == 1, "{pid:?} outlived SIGKILL");
}

/// A line of `/proc/PID/status`.
#[must_use]
pub(crate) fn proc_status(pid: i32, field: &str) -> Option<String> {
    // A process may have named itself with any bytes.
    let text = fs::read(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

/// When a process was started, in clock ticks since the machine's boot: together with its number
/// this tells whether it is still the same one.
#[must_use]
pub(crate) fn started_at(pid: i32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    String::from_utf8_lossy(&stat).rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}
