//! An installation of zones in a directory of its own, and `zoneadm` at work on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: i32,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(lab.path("etc/zones")).unwrap();
        lab
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// A zone as `zonecfg` would leave it, or with the state of a later day.
    pub(crate) fn configure(&self, name: &str, brand: &str, state: &str) {
        let zonepath = self.path(&format!("zones/{name}"));
        let mut index = fs::read_to_string(self.path("etc/zones/index")).unwrap_or_default();
        index.push_str(&format!("{name}:{state}:{}:\n", zonepath.display()));
        fs::write(self.path("etc/zones/index"), index).unwrap();
        let config = format!("zonepath = {:?}\nbrand = {brand:?}\n", zonepath.display().to_string());
        fs::write(self.path(&format!("etc/zones/{name}.toml")), config).unwrap();
    }

    /// The state that the index has for a zone.
    pub(crate) fn stored(&self, name: &str) -> String {
        let index = fs::read_to_string(self.path("etc/zones/index")).unwrap();
        let line = index.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split(':').nth(1).unwrap().to_owned()
    }

    pub(crate) fn zoneadm(&self, args: &str) -> Said {
        self.program(env!("CARGO_BIN_EXE_zoneadm").into(), args)
    }

    /// The same for a copy of the program that is elsewhere.
    pub(crate) fn program(&self, program: PathBuf, args: &str) -> Said {
        let mut command = Command::new(program);
        command.arg("-R").arg(self.dir.path()).args(args.split_whitespace());
        let Output { status, stdout, stderr } =
            command.env("SHOULD_NOT_BE_PASSED_ON", "1").stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { out: text(stdout), err: text(stderr), status: status.code().unwrap() }
    }
}

impl Said {
    /// Fails unless it went well and nothing was complained about.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.err);
        assert!(!self.err.contains("zoneadm: "), "{}", self.err);
        self
    }

    /// Fails unless it ended with this status and said this.
    #[track_caller]
    pub(crate) fn refused(self, status: i32, text: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.err);
        assert!(self.err.contains(text), "{}", self.err);
        self
    }
}
