//! A test's own installation of zones: a private root, the programs, the zones made in it.

use super::command::words;
use super::{Command, Ran, Zone, skip};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where everything is that a test needs.
#[derive(Debug, Clone)]
pub struct LabSpec {
    /// The test's own directory, empty.
    pub dir: PathBuf,
    /// Where the programs are.
    pub bin: PathBuf,
    /// Where the guests' archives are, if they were made.
    pub guests: Option<PathBuf>,
    /// A Python that has the `varlink` package, if there is one.
    pub python: Option<PathBuf>,
    /// What the test's installation has for `daemon-idle`, in place of the default.
    pub daemon_idle: Option<String>,
}

/// Beside the folders of all tests: copies of programs that are executed by another name.
pub(super) const COPIES: &str = "programs";

/// The stage of one test.
pub struct Lab {
    spec: LabSpec,
    zones: RefCell<Vec<String>>,
}

impl Lab {
    /// Sets the stage.
    #[must_use]
    pub fn new(spec: LabSpec) -> Self {
        let lab = Self { spec, zones: RefCell::default() };
        make_dir(&lab.root(), 0o755);
        if let Some(idle) = &lab.spec.daemon_idle {
            lab.daemons_leave_after(idle);
        }
        lab
    }

    /// Has daemons of this installation leave after so many seconds, or `"never"`, when nothing needs them.
    #[track_caller]
    pub fn daemons_leave_after(&self, idle: &str) {
        make_dir(&self.etc(), 0o755);
        // Whole at any time: a daemon that cannot read it does not leave.
        let new = self.etc().join(format!("zones.toml.{:?}", std::thread::current().id()));
        write(&new, format!("daemon-idle = {idle}\n"));
        let there = self.etc().join("zones.toml");
        fs::rename(&new, &there).unwrap_or_else(|e| panic!("{}: {e}", there.display()));
    }

    /// Where everything is.
    #[must_use]
    pub fn spec(&self) -> &LabSpec {
        &self.spec
    }

    /// ROOT: what `-R` would be given.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.spec.dir.join("root")
    }

    /// A path for the test's own files, outside ROOT.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.spec.dir.join(name)
    }

    /// A path as [`Self::path`] gives, in a directory that only root may pass: what a zone may write to.
    #[track_caller]
    #[must_use]
    pub fn private(&self, name: &str) -> PathBuf {
        let dir = self.path("private");
        make_dir(&dir, 0o700);
        dir.join(name)
    }

    /// A path beside the folders of all tests of this run.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.spec.dir.with_file_name(name)
    }

    /// ROOT in memory, until what this gives is dropped with all that is in it: for a test that installs very
    /// often, and would wait for the disk for most of its time.
    #[track_caller]
    #[must_use]
    pub fn in_memory(&self) -> Memory {
        self.memory_at(self.root())
    }

    /// Memory in place of a directory of the host, for this run of the suite only, until what this gives is dropped.
    #[track_caller]
    #[must_use]
    pub fn memory_at(&self, dir: impl Into<PathBuf>) -> Memory {
        let (dir, kind) = (dir.into(), ["-t", "tmpfs", "-o", "mode=755", "tmpfs"]);
        Command::new("mount").args(kind).args([&dir]).run().ok();
        Memory(dir)
    }

    /// ROOT/etc/zones.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.root().join("etc/zones")
    }

    /// ROOT/run/zones.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root().join("run/zones")
    }

    /// The path of one of our programs. A case for which nobody has built it fails here, and not by what it misses later.
    #[track_caller]
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let program = self.spec.bin.join(name);
        assert!(program.is_file(), "{name} is not in {}", self.spec.bin.display());
        program
    }

    /// Gives a program another name, by which it is the one that is executed: what a program starts is found beside that. The new name is
    /// one more of a copy that is made once in a run, on the file system where the tests have their folders.
    #[track_caller]
    pub(crate) fn name_program(&self, from: &Path, to: &Path) {
        let copies = self.beside(COPIES);
        let copy = copies.join(from.file_name().unwrap_or_default());
        let named = fs::hard_link(&copy, to).or_else(|_| {
            make_dir(&copies, 0o755);
            // Others may be at it, too: each has a whole one.
            let own = copies.join(self.spec.dir.file_name().unwrap_or_default());
            fs::copy(from, &own)?;
            fs::rename(&own, &copy)?;
            fs::hard_link(&copy, to)
        });
        named.unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    }

    /// One of our programs, told of the private root.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Command {
        Command::new(self.program(program)).args(words(args)).env("ZONES_ROOT", self.root())
    }

    /// Runs `zoneadm ARGS`.
    #[track_caller]
    #[must_use]
    pub fn zoneadm<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command("zoneadm", args).run()
    }

    /// Runs `zonecfg -z ZONE SCRIPT`, the script as one argument.
    #[track_caller]
    #[must_use]
    pub fn zonecfg(&self, zone: &str, script: &str) -> Ran {
        self.command("zonecfg", ["-z", zone, script]).run()
    }

    /// A zone by its name, which need not exist. It is removed at the end if it does.
    pub fn zone(&self, name: &str) -> Zone<'_> {
        let mut zones = self.zones.borrow_mut();
        if !zones.iter().any(|known| known == name) {
            zones.push(name.to_owned());
        }
        Zone::new(self, name)
    }

    /// Configures a zone: `create`, then `script`.
    #[track_caller]
    pub fn configured(&self, name: &str, script: &str) -> Zone<'_> {
        let zone = self.zone(name);
        self.zonecfg(name, &format!("create; {script}")).ok();
        zone
    }

    /// Configures and installs a sparse zone.
    #[track_caller]
    pub fn sparse(&self, name: &str) -> Zone<'_> {
        self.sparse_with(name, "")
    }

    /// Configures and installs a sparse zone that has more in its configuration.
    #[track_caller]
    pub fn sparse_with(&self, name: &str, script: &str) -> Zone<'_> {
        let zone = self.configured(name, &format!("set brand=sparse; {script}"));
        zone.zoneadm(["install"]).ok();
        zone
    }

    /// Configures and installs a zone of brand `linux` whose root is busybox and whose init is the
    /// shell script `init`.
    #[track_caller]
    pub fn tiny(&self, name: &str, init: &str) -> Zone<'_> {
        let tree = self.tiny_tree(&format!("{name}.tree"), init);
        let zone = self.configured(name, "set brand=linux");
        zone.zoneadm([OsStr::new("install"), OsStr::new("-d"), tree.as_os_str()]).ok();
        zone
    }

    /// Configures, installs and boots the zone `web`: as [`Lab::tiny`] does, with this init.
    #[track_caller]
    pub fn booted_tiny(&self, init: &str) -> Zone<'_> {
        let zone = self.tiny("web", init);
        zone.boot();
        zone
    }

    /// Configures, installs and boots the sparse zone `web`.
    #[track_caller]
    pub fn booted_sparse(&self) -> Zone<'_> {
        let zone = self.sparse("web");
        zone.boot();
        zone
    }

    /// A directory tree with busybox and the shell script `init` as `/sbin/init`.
    #[track_caller]
    #[must_use]
    pub fn tiny_tree(&self, name: &str, init: &str) -> PathBuf {
        let tree = self.path(name);
        for dir in ["bin", "sbin", "etc", "dev", "proc", "sys", "run", "root", "var"] {
            make_dir(&tree.join(dir), 0o755);
        }
        make_dir(&tree.join("tmp"), 0o1777);
        copy_program(&busybox(), &tree.join("bin/busybox"));
        for applet in APPLETS {
            symlink("busybox", tree.join("bin").join(applet)).unwrap_or_else(|e| panic!("{applet}: {e}"));
        }
        write(&tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
        write(&tree.join("etc/group"), "root:x:0:\n");
        write_program(&tree.join("sbin/init"), &format!("#!/bin/sh\n{init}\n"));
        tree
    }

    /// Configures a zone of brand `linux` and installs a real guest into it.
    #[track_caller]
    pub fn guest(&self, name: &str, guest: &str, script: &str) -> Zone<'_> {
        let archive = self.guest_archive(guest);
        let zone = self.configured(name, &format!("set brand=linux; {script}"));
        let install = [OsStr::new("install"), OsStr::new("-a"), archive.as_os_str()];
        zone.zoneadm_within(180, install).ok();
        zone
    }

    /// The archive of a guest. Skips the test when it was not made.
    #[must_use]
    pub fn guest_archive(&self, guest: &str) -> PathBuf {
        let Some(dir) = &self.spec.guests else { skip("no guests were made for this run") };
        let archive = dir.join(format!("{guest}.tar"));
        if !archive.is_file() {
            skip(format!(
                "the guest {guest} was not made for this run (cargo xtask test --all-guests makes it)"
            ));
        }
        archive
    }

    /// A Python that can `import varlink`. Skips the test when there is none.
    #[must_use]
    pub fn python(&self) -> &Path {
        match &self.spec.python {
            Some(python) => python,
            None => skip("there is no Python with the varlink package"),
        }
    }

    /// Takes the stage down: every zone halted, uninstalled and deleted by our own programs, and
    /// nothing of them left in ROOT.
    #[track_caller]
    pub fn finish(&self) {
        let zones = self.zones.take();
        for name in &zones {
            if self.etc().join(format!("{name}.toml")).exists() {
                Zone::new(self, name).remove();
            }
        }
        // Not even a lock file.
        let run = zones.iter().flat_map(|name| entries(&self.run().join(name)));
        let rest = ["etc/zones", "var/lib/zones"].iter().flat_map(|dir| entries(&self.root().join(dir)));
        let of_zone = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            zones.iter().any(|zone| {
                name.strip_prefix(zone).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        let left: Vec<String> =
            run.chain(rest.filter(of_zone)).map(|path| path.display().to_string()).collect();
        assert!(left.is_empty(), "after all zones were deleted there is still: {}", left.join(", "));
    }

    /// Kills everything that this test has started: all that its PID namespace has but the processes that hold the test.
    pub(crate) fn kill_all(&self) {
        let own = [1, rustix::process::getpid().as_raw_nonzero().get(), parent()];
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for pid in pids.filter(|pid| !own.contains(pid)).filter_map(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Removes what a failed test left, as far as our own programs can, and reports nothing.
    pub fn abandon(&self) {
        for name in self.zones.take() {
            let _ = self.zoneadm(["-z", &name, "halt"]);
            let _ = self.zoneadm(["-z", &name, "uninstall", "-F"]);
        }
    }
}

/// The process that supervises this test.
fn parent() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// A directory, in memory, that is going to be forgotten.
pub struct Memory(PathBuf);

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// What is in a directory, if it is there.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// What of busybox has a name of its own in a small root.
const APPLETS: [&str; 22] = [
    "cat", "echo", "env", "false", "grep", "halt", "head", "id", "kill", "ls", "mkfifo", "mount", "poweroff",
    "printf", "ps", "reboot", "sh", "sleep", "touch", "true", "umount", "wc",
];

/// The static busybox that small roots are made of.
fn busybox() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"];
    match places.iter().map(PathBuf::from).find(|path| path.is_file()) {
        Some(path) => path,
        None => skip("there is no /bin/busybox (Debian package busybox-static)"),
    }
}

/// Makes a directory and what is above it.
#[track_caller]
pub(crate) fn make_dir(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    set_mode(path, mode);
}

/// Writes a file.
#[track_caller]
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Reads a file of text.
#[track_caller]
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes an executable file.
#[track_caller]
pub(crate) fn write_program(path: &Path, content: &str) {
    write(path, content);
    set_mode(path, 0o755);
}

#[track_caller]
fn copy_program(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    set_mode(to, 0o755);
}

/// Changes the mode of a file.
#[track_caller]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    let done = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
