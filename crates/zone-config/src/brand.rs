//! Brands: what kinds of guest differ in.
//!
//! A brand is a TOML file. Two are built in; a file of the same name in the brand directory beside the
//! running program, or in `/usr/share/zones/brands`, replaces a built-in one or adds another.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError};
use crate::nearest::did_you_mean;

/// The brand of a zone whose configuration names none.
pub const DEFAULT: &str = "sparse";

const BUILT_IN: [(&str, &str); 2] =
    [("linux", include_str!("../brands/linux.toml")), ("sparse", include_str!("../brands/sparse.toml"))];

const SYSTEM_DIR: &str = "/usr/share/zones/brands";

/// A kind of guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Brand {
    /// Its name: that of its file.
    #[serde(default)]
    pub name: String,
    /// What it is, in a few words.
    pub description: String,
    /// The program that is PID 1, as seen inside; a zone's `init` property and `boot -- -i` come before it.
    pub init: String,
    /// Arguments that init always gets, before the boot arguments.
    #[serde(default)]
    pub init_args: Vec<String>,
    /// `PATH` for what zlogin runs.
    pub login_path: String,
    /// The shell of a user who has none in the zone's /etc/passwd.
    #[serde(default = "default_shell")]
    pub shell: String,
    /// How init is asked to shut down: `auto` looks at what runs as PID 1, another word (`systemd`, `sysvinit`, ...) says it.
    #[serde(default = "default_orderly")]
    pub orderly: String,
    /// The signal that asks init to halt, when `orderly` cannot know it; a name such as `SIGUSR2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt_signal: Option<String>,
    /// The signal that asks init to reboot, when `orderly` cannot know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_signal: Option<String>,
    /// Whether the zone sees the host's /usr, read-only, and our own small programs in /native.
    #[serde(default)]
    pub host_usr: bool,
    /// What its root can be made from: `sparse`, `directory`, `archive`, `debootstrap`.
    pub install: Vec<String>,
}

fn default_shell() -> String {
    "/bin/sh".to_owned()
}

fn default_orderly() -> String {
    "auto".to_owned()
}

/// A brand that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrandError {
    /// No file and no built-in of that name.
    #[error("no brand {name:?}; there are {}{}", .known.join(", "), did_you_mean(.name, .known.iter().map(String::as_str)))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file makes no sense.
    #[error("brand file {} is not right", .path.display())]
    Parse {
        /// The file, or the brand's name when it is built in.
        path: PathBuf,
        /// What is wrong, with line, column and what is allowed.
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Brand {
    /// Finds a brand by its name.
    ///
    /// # Errors
    /// [`BrandError`]; for an unknown name, with those there are.
    pub fn load(name: &str) -> Result<Self, BrandError> {
        Self::load_from(&dirs(), name)
    }

    /// The names of all brands, sorted.
    pub fn known() -> Vec<String> {
        known_in(&dirs())
    }

    fn load_from(dirs: &[PathBuf], name: &str) -> Result<Self, BrandError> {
        // A name is a file's name: one with a slash or a leading dot would leave the directory.
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && !name.contains('/');
        for path in dirs.iter().filter(|_| is_name).map(|dir| dir.join(format!("{name}.toml"))) {
            if let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? {
                return Self::parse(&path, name, &String::from_utf8_lossy(&bytes));
            }
        }
        match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            Some((_, text)) => Self::parse(Path::new(name), name, text),
            None => Err(BrandError::Unknown { name: name.to_owned(), known: known_in(dirs) }),
        }
    }

    fn parse(path: &Path, name: &str, text: &str) -> Result<Self, BrandError> {
        let parsed = toml::from_str::<Self>(text);
        let brand =
            parsed.map_err(|source| BrandError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        Ok(Self { name: name.to_owned(), ..brand })
    }
}

fn dirs() -> Vec<PathBuf> {
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(|dir| dir.join("brands")));
    beside.into_iter().chain([PathBuf::from(SYSTEM_DIR)]).collect()
}

fn known_in(dirs: &[PathBuf]) -> Vec<String> {
    let files = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let in_files =
        files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned));
    let mut names: Vec<String> =
        BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).chain(in_files).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ones() {
        let sparse = Brand::load_from(&[], DEFAULT).unwrap();
        assert_eq!((sparse.name.as_str(), sparse.init.as_str()), ("sparse", "/native/sbin/init"));
        assert!(sparse.host_usr && sparse.orderly == "auto");
        let linux = Brand::load_from(&[], "linux").unwrap();
        assert!(!linux.host_usr && !linux.login_path.contains("/native"));
        let unknown = Brand::load_from(&[], "solaris").unwrap_err();
        assert_eq!(unknown.to_string(), "no brand \"solaris\"; there are linux, sparse");
        let near = BrandError::Unknown { name: "spars".to_owned(), known: known_in(&[]) };
        assert_eq!(near.to_string(), "no brand \"spars\"; there are linux, sparse; did you mean \"sparse\"?");
        assert!(matches!(Brand::load_from(&[], "../linux"), Err(BrandError::Unknown { .. })));
    }

    #[test]
    fn a_file_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().to_owned()];
        let text = "description = \"d\"\ninit = \"/i\"\nlogin-path = \"/bin\"\ninstall = []\n";
        fs::write(dir.path().join("linux.toml"), text).unwrap();
        fs::write(dir.path().join("mine.toml"), text).unwrap();
        fs::write(dir.path().join("bad.toml"), "nonsense = 1\n").unwrap();
        assert_eq!(Brand::load_from(&dirs, "linux").unwrap().init, "/i");
        assert_eq!(Brand::load_from(&dirs, "mine").unwrap().name, "mine");
        assert!(matches!(Brand::load_from(&dirs, "bad"), Err(BrandError::Parse { .. })));
        assert_eq!(known_in(&dirs), ["bad", "linux", "mine", "sparse"]);
    }
}
