//! What the tests of this crate stand on: a zone in a directory of its own, and a user namespace for it.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Stat, statat};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use zone_config::index::IndexError;
use zone_config::{Brand, Entry, IdRange, Index, Layout, Snapshot, State, Uuid, ZoneConfig, ZoneName};

use crate::mountinfo::Mount;
use crate::step::TearDown;
use crate::{Build, Namespaces, Platform, PlatformError, Spec, steps, tear_down_steps};

/// Within the range that zones get, but nobody's.
pub(crate) const BASE: u32 = 1_000_013_824;

/// A line of a table of mounts: a file system of this type, whose device has the number 0:`minor`.
pub(crate) fn mount(point: &str, fstype: &str, minor: u32) -> Mount {
    Mount {
        id: u64::from(minor),
        major: 0,
        minor,
        root: "/".into(),
        point: point.into(),
        fstype: fstype.into(),
        shared: false,
        source: String::new(),
        options: String::new(),
    }
}

/// An installation of zones with one installed zone.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) layout: Layout,
    pub(crate) snapshot: Snapshot,
    /// Both sides of the console: a terminal is gone when nobody holds its manager.
    pty: (OwnedFd, OwnedFd),
}

impl Lab {
    pub(crate) fn new(brand: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let name: ZoneName = "probe".parse().unwrap();
        let zonepath = layout.default_zonepath(&name);
        let mut config = ZoneConfig::new(zonepath.clone());
        brand.clone_into(&mut config.brand);
        let idmap = IdRange { base: BASE, count: 65_536 };
        let snapshot = Snapshot::new(name, Uuid::new_v4(), idmap, Brand::load(brand).unwrap(), config);
        let lab = Self { dir, layout, snapshot, pty: pty() };
        lab.add_zone("probe", &zonepath);
        lab
    }

    pub(crate) fn add_zone(&self, name: &str, zonepath: &Path) {
        std::fs::create_dir_all(zonepath.join("root")).unwrap();
        mode(zonepath, 0o700);
        mode(&zonepath.join("root"), 0o755);
        let name: ZoneName = name.parse().unwrap();
        let entry = Entry { name, state: State::Installed, zonepath: zonepath.to_owned(), uuid: None };
        Index::update::<_, IndexError, _>(&self.layout, |index| index.add(entry)).unwrap();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.snapshot.config.root()
    }

    /// What stands for our own init: a unit test has no other program.
    pub(crate) fn program(&self) -> PathBuf {
        let program = self.dir.path().join("zinit");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        mode(&program, 0o755);
        program
    }

    /// Makes directories below the zone's root.
    pub(crate) fn dirs(&self, dirs: &[&str]) {
        for dir in dirs {
            std::fs::create_dir_all(self.root().join(dir)).unwrap();
        }
    }

    /// Runs all steps.
    pub(crate) fn build(&self) -> Result<Platform, PlatformError> {
        let (spec, mut namespaces) = (Spec::of(&self.snapshot), NoNamespaces);
        let mut build = Build::new(&self.layout, &spec, self.pty.1.as_fd(), userns(), &mut namespaces)?;
        build.program = self.program();
        build.check()?;
        steps().iter().filter_map(|step| step.begin).try_for_each(|begin| begin(&mut build))?;
        steps().iter().filter_map(|step| step.bring_up).try_for_each(|bring_up| bring_up(&mut build))?;
        build.finish()
    }

    pub(crate) fn tear_down(&self) -> Result<(), PlatformError> {
        let limit = std::time::Duration::from_secs(10);
        let down = TearDown {
            layout: &self.layout,
            zone: &self.snapshot.name,
            limit,
            observer: &crate::cgroup::WaitToTheLimit,
            comes_back: false,
            namespaces_end: false,
        };
        tear_down_steps().filter_map(|step| step.tear_down).try_for_each(|undo| undo(&down))
    }
}

/// Who makes no namespaces: for zones without a network.
#[derive(Debug)]
pub(crate) struct NoNamespaces;

impl Namespaces for NoNamespaces {
    fn network(&mut self, _: BorrowedFd<'_>) -> Result<OwnedFd, Box<dyn Error + Send + Sync>> {
        Err("nobody makes namespaces here".into())
    }

    fn goes_on(&self, _: &str) -> bool {
        true
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let torn_down = self.tear_down();
        if !std::thread::panicking() {
            torn_down.unwrap();
        }
    }
}

pub(crate) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Runs the body of the test of this name in a process and a mount namespace of its own, where it may mount what it likes.
pub(crate) fn isolated(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "ZONE_PLATFORM_ISOLATED";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Runs a program and insists on its success; what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that lives until it is dropped.
pub(crate) struct Held(pub(crate) Child);

impl Held {
    /// Starts `command`, which says a line when it is where it should be and then waits for its input to end.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

pub(crate) const READY: &str = "echo ready; read x";

/// A user namespace whose ids are those of the zone.
pub(crate) fn userns() -> OwnedFd {
    let held = Held::start(Command::new("unshare").args(["--user", "sh", "-c", READY]));
    let proc = PathBuf::from(format!("/proc/{}", held.0.id()));
    for map in ["uid_map", "gid_map"] {
        std::fs::write(proc.join(map), format!("0 {BASE} 65536\n")).unwrap();
    }
    std::fs::File::open(proc.join("ns/user")).unwrap().into()
}

/// A terminal: manager and subsidiary.
pub(crate) fn pty() -> (OwnedFd, OwnedFd) {
    let manager = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&manager).unwrap();
    unlockpt(&manager).unwrap();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let subsidiary = ioctl_tiocgptpeer(&manager, flags).unwrap();
    (manager, subsidiary)
}

/// What is at a path in a mount.
pub(crate) fn stat(mount: BorrowedFd<'_>, path: &str) -> Stat {
    statat(mount, path, AtFlags::SYMLINK_NOFOLLOW).unwrap_or_else(|errno| panic!("{path}: {errno}"))
}

/// The descriptor of the attachment at `target`.
pub(crate) fn at<'a>(platform: &'a Platform, target: &str) -> BorrowedFd<'a> {
    let found = platform.attachments.iter().find(|attachment| attachment.target == target);
    found.unwrap_or_else(|| panic!("nothing at {target}")).mount.as_fd()
}

/// The whole chain of an error in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    zone_sys::Chain(error).to_string()
}
