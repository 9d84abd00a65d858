//! Where everything is, under the host's root or under `-R ROOT`.

use std::path::{Path, PathBuf};
use std::{env, fmt};

use crate::{ZoneName, hash};

mod trusted;

/// Names the root for every program that was not given `-R`.
pub const ROOT_VARIABLE: &str = "ZONES_ROOT";

/// The daemon's request socket, in [`Layout::zone_run`].
pub const DOOR: &str = "door";
/// The console's socket, in [`Layout::zone_run`].
pub const CONSOLE: &str = "console";
/// The socket for users who are not root, in [`Layout::access_dir`].
pub const ACCESS: &str = "zone-access";
/// The keeper's socket, in [`Layout::zone_run`].
pub const ZSCHED: &str = "zsched";

/// Where an installed copy keeps the programs that people do not start themselves.
const LIBEXEC: [&str; 2] = ["/usr/libexec/zones", "/usr/lib/zones"];
/// Where it keeps those that administrators start.
const SBIN: &str = "/usr/sbin";

/// The places of one installation of zones. A test suite or a second installation has another root and
/// never touches the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// A root that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A relative path would name another place for the daemon than for its client.
    #[error("{origin}: {root:?} is not an absolute path: the root of an installation starts with '/'")]
    Relative {
        /// `-R` or the name of the environment variable.
        origin: &'static str,
        /// What was given.
        root: PathBuf,
    },
    /// Whoever owns the root, or a directory above it, decides what the programs run and who is root in every zone.
    #[error(
        "{origin}: {} belongs to user {owner}: a root of zones, and all above it, must be root's (chown 0:0 {})",
        .path.display(), .path.display()
    )]
    Owner {
        /// `-R` or the name of the environment variable.
        origin: &'static str,
        /// The root, or what is above it.
        path: PathBuf,
        /// Who owns it instead, by user id.
        owner: u32,
    },
    /// Whoever can write to the root, or to a directory above it that is not sticky, can put another in its place.
    #[error(
        "{origin}: {} is writable by others than root: a root of zones, and all above it, must not be (chmod go-w {})",
        .path.display(), .path.display()
    )]
    Writable {
        /// `-R` or the name of the environment variable.
        origin: &'static str,
        /// The root, or what is above it.
        path: PathBuf,
    },
    /// Something else is where the root should be.
    #[error("{origin}: {} is not a directory", .path.display())]
    NotDirectory {
        /// `-R` or the name of the environment variable.
        origin: &'static str,
        /// The root, or what is above it.
        path: PathBuf,
    },
}

/// A root that was typed and is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no directory {}, which -R or {ROOT_VARIABLE} names as the root of the zones ('zonecfg -z ZONE create' makes it)",
    .0.display()
)]
pub struct NoRoot(PathBuf);

impl LayoutError {
    /// Whether what was typed is at fault, and not what is on the disk.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Relative { .. })
    }
}

/// What tells one installation of zones from every other on the host, in the names of what lives outside of its root
/// (cgroups), and where the search for ids begins. It is a hash of the root's path: another root is another installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstallationId(u64);

impl InstallationId {
    /// A number for one zone of the installation, the same at each call.
    #[must_use]
    pub fn of_zone(self, zone: &ZoneName) -> u64 {
        hash::fnv1a_after(hash::fnv1a_after(self.0, b"\0"), zone.as_str().as_bytes())
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Layout {
    /// The layout under the root of the `-R` option, else of `$ZONES_ROOT`, else under `/`.
    ///
    /// # Errors
    /// When the root is not absolute, or somebody else than root could change what is there; what does not exist yet is
    /// nobody's. A user's own programs may work below a root of the user's own.
    pub fn new(root: Option<PathBuf>) -> Result<Self, LayoutError> {
        let (origin, root) = match (root, env::var_os(ROOT_VARIABLE)) {
            (Some(root), _) => ("-R", root),
            (None, Some(root)) if !root.is_empty() => (ROOT_VARIABLE, PathBuf::from(root)),
            _ => return Ok(Self::host()),
        };
        if !root.is_absolute() {
            return Err(LayoutError::Relative { origin, root });
        }
        trusted::check(origin, &root)?;
        Ok(Self { root })
    }

    /// The host's own layout, whatever the environment says.
    pub fn host() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// Makes sure that the root is there: one that was mistyped is not a new installation.
    ///
    /// # Errors
    /// When it is not.
    pub fn existing(self) -> Result<Self, NoRoot> {
        match self.root.try_exists() {
            Ok(false) => Err(NoRoot(self.root)),
            _ => Ok(self),
        }
    }

    /// Whether this is the host's own.
    pub fn is_default(&self) -> bool {
        self.root == Path::new("/")
    }

    /// What tells this installation from others on the host.
    #[must_use]
    pub fn id(&self) -> InstallationId {
        InstallationId(hash::fnv1a(self.root.as_os_str().as_encoded_bytes()))
    }

    /// The directory below which everything is, `/` for the host's own.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `ROOT/etc/zones`: configurations and the index.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc/zones")
    }

    /// `ROOT/run/zones`: sockets and locks. Its mode, 0700, is what keeps others from the sockets.
    pub fn run(&self) -> PathBuf {
        self.root.join("run/zones")
    }

    /// Gives the directory of the socket at which users who are not root are served, `ROOT/run`: all may pass it, as none
    /// may pass [`Layout::run`].
    pub fn access_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Gives the directory of the host's logs about zones, `ROOT/var/log/zones`.
    pub fn log_dir(&self) -> PathBuf {
        self.root.join("var/log/zones")
    }

    /// The index of zones.
    pub fn index(&self) -> PathBuf {
        self.etc().join("index")
    }

    /// Held while the index or the id map is changed.
    pub fn index_lock(&self) -> PathBuf {
        self.run().join("index.lock")
    }

    /// Which zone owns which range of ids.
    pub fn idmap(&self) -> PathBuf {
        self.etc().join("idmap")
    }

    /// Gives the path of the managed network's file, which people may edit.
    pub fn network(&self) -> PathBuf {
        self.etc().join("network.toml")
    }

    /// Gives the path of the file of what holds for all zones, which people write.
    pub fn settings(&self) -> PathBuf {
        self.etc().join("zones.toml")
    }

    /// Gives the path of the file that says which zone owns which addresses of the managed network.
    pub fn addresses(&self) -> PathBuf {
        self.etc().join("addresses")
    }

    /// Gives the path of the lock that is held while the managed network, or who has which address of it, is changed. Whoever
    /// holds it does not take the lock of the index.
    pub fn network_lock(&self) -> PathBuf {
        self.run().join("network.lock")
    }

    /// Gives the path of the file that says which zones may mount something of the host.
    pub fn sharing(&self) -> PathBuf {
        self.run().join(".sharing")
    }

    /// What is noted of the snapshots of zones that are up.
    pub fn outlines(&self) -> PathBuf {
        self.run().join(".outlines")
    }

    /// Lists the zones that have a run directory: all that are up, and some that are not.
    pub fn run_zones(&self) -> impl Iterator<Item = ZoneName> {
        let entries = std::fs::read_dir(self.run()).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|of| of.is_dir()));
        dirs.filter_map(|dir| dir.file_name().to_str()?.parse().ok())
    }

    /// Gives the path of a zone's configuration.
    pub fn config(&self, zone: &ZoneName) -> PathBuf {
        self.etc().join(format!("{zone}.toml"))
    }

    /// Gives the path of the record of a zone's move to another zonepath, which is there until all of it is done.
    pub fn moving(&self, zone: &ZoneName) -> PathBuf {
        self.etc().join(format!("{zone}.moving"))
    }

    /// Where a zone's files go unless its configuration says otherwise.
    pub fn default_zonepath(&self, zone: &ZoneName) -> PathBuf {
        self.root.join("var/lib/zones").join(zone)
    }

    /// The directory of a zone's sockets, locks and live records.
    pub fn zone_run(&self, zone: &ZoneName) -> PathBuf {
        self.run().join(zone)
    }

    /// The configuration that a live zone runs with; exists from ready to halt.
    pub fn snapshot(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("snapshot.toml")
    }

    /// How much the zone's daemon tells, if somebody has asked for more or less.
    pub fn log_level(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("loglevel")
    }

    /// Gives the name of what the zone's daemon has told, in [`Self::log_dir`].
    pub fn log_name(&self, zone: &ZoneName) -> String {
        format!("{zone}.log")
    }

    /// Whether the zone that runs is ready, as far as that was found out.
    pub fn ready(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("ready")
    }

    /// What a live zone is being changed to, until it is.
    pub fn snapshot_next(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("snapshot.next.toml")
    }

    /// What the bring-up of a live zone has done so far.
    pub fn journal(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("journal")
    }

    /// What a live zone has of the network; exists as long as there may be anything of it.
    pub fn zone_network(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("network.toml")
    }

    /// Where the network namespace of a live zone is mounted that holds on to links of the host.
    pub fn zone_netns(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("netns")
    }

    /// Held by the zone's daemon for its whole life.
    pub fn lock(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("lock")
    }

    /// Held by whoever is telling systemd that the zone runs, or has been asked by systemd to boot it.
    pub fn unit_lock(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("unit.lock")
    }

    /// Gives the path of one of the locks of which whoever boots a zone with the host holds one. No zone has such a name.
    pub fn boot_slot(&self, number: usize) -> PathBuf {
        self.run().join(format!(".boot.{number}.lock"))
    }

    /// Gives the path of the file that says since when the host goes down.
    pub fn going_down(&self) -> PathBuf {
        self.run().join(".going-down")
    }

    /// Held by a command that changes the zone's state (install, uninstall, ...).
    pub fn oplock(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("oplock")
    }

    /// The file on which the zone's keeper has a lock for as long as it lives.
    #[must_use]
    pub fn keeper_lock(&self, zone: &ZoneName) -> PathBuf {
        self.zone_run(zone).join("zsched.lock")
    }

    /// Finds a program of this workspace: beside the running one, so that a build directory works
    /// uninstalled, then below the same prefix, then where packages put it. When it is nowhere, the answer is where
    /// it belongs, so that the failure to execute it names a path that helps.
    pub fn program(name: &str) -> PathBuf {
        let exe = env::current_exe().unwrap_or_default();
        let beside = exe.parent().map(|dir| dir.join(name));
        // Where libexec/zones is: this program may be one of those there.
        let prefix = exe.ancestors().nth(3).map(Path::to_path_buf);
        let below = exe.parent().and_then(Path::parent).map(|prefix| prefix.join("libexec/zones").join(name));
        beside
            .into_iter()
            .chain(below)
            .chain(prefix.map(|prefix| prefix.join("sbin").join(name)))
            .chain(LIBEXEC.iter().chain([&SBIN]).map(|dir| Path::new(dir).join(name)))
            .find(|path| path.is_file())
            .unwrap_or_else(|| Path::new(LIBEXEC[0]).join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_below_the_root() {
        let layout = Layout::new(Some("/a/b".into())).unwrap();
        let zone = "web".parse().unwrap();
        for path in [
            layout.index(),
            layout.index_lock(),
            layout.idmap(),
            layout.network(),
            layout.addresses(),
            layout.settings(),
            layout.network_lock(),
            layout.config(&zone),
            layout.moving(&zone),
            layout.default_zonepath(&zone),
            layout.snapshot(&zone),
            layout.journal(&zone),
            layout.lock(&zone),
            layout.oplock(&zone),
            layout.keeper_lock(&zone),
            layout.log_dir(),
        ] {
            assert!(path.starts_with("/a/b"), "{path:?}");
        }
        assert_eq!(Layout::host().config(&zone), Path::new("/etc/zones/web.toml"));
        assert!(Layout::host().is_default());
        assert!(!layout.is_default());
    }

    #[test]
    fn a_relative_root_is_refused() {
        let refused = Layout::new(Some("a".into())).unwrap_err();
        assert!(refused.to_string().starts_with("-R: \"a\" is not an absolute path"));
    }

    #[test]
    fn an_installation_is_told_by_its_root() {
        let id = |root: &str| Layout { root: root.into() }.id();
        // Cgroups of zones that live, and the ids of zones that are installed, have been found by these.
        assert_eq!(id("/").to_string(), "af63a24c860189fe");
        assert_ne!(id("/a"), id("/b"));
        let (web, db) = ("web".parse().unwrap(), "db".parse().unwrap());
        assert_eq!(id("/").of_zone(&web), hash::fnv1a(b"/\0web"));
        assert_ne!(id("/").of_zone(&web), id("/").of_zone(&db));
    }
}
