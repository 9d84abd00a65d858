//! What to build, in the platform's own words: which root, which mounts, whose ids, and what its processes may do.
//!
//! A zone's configuration is one way to say it. The platform reads nothing but this, so that another document can ask
//! for a zone as well, and so that two of them can be compared when a zone is changed while it lives.

use std::fmt;
use std::path::{Path, PathBuf};

use zone_config::config::{self, Fs, FsOwners, FsType, MacProfile, Uptime};
use zone_config::device::mode;
use zone_config::filesystem::{MountOption, read_option};
use zone_config::limits::OwnCpus;
use zone_config::value::host_id;
use zone_config::{Brand, IdRange, Snapshot, Uuid, ZoneConfig, ZoneName};
use zone_net::spec::NetworkSpec;

use crate::confinement::Confinement;
use crate::filesystems::Options;
use crate::immutable;
use crate::network;
use crate::privileges::PrivilegeError;
use crate::seccomp::Opened;
use crate::{cgroup, ipc, memlock, sysctl};

/// All that the platform is told of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The zone's name, of which there is one in an installation.
    pub zone: ZoneName,
    /// The zone's identity, which the guest is told.
    pub uuid: Uuid,
    /// The word for what kind of zone it is, which the guest is told.
    pub brand: String,
    /// The host name that the zone begins with.
    pub hostname: String,
    /// Whether somebody has asked for that host name, so that it wins over the one in the zone's files.
    pub keeps_hostname: bool,
    /// Whether its monotonic clocks begin when it does.
    pub own_uptime: bool,
    /// Whether its /proc has files of lxcfs; where that runs, if nobody has said.
    pub lxcfs: Option<bool>,
    /// What its `/etc/hostid` is made to say.
    pub hostid: Option<u32>,
    /// The directory of the zone on the host, of mode 0700; the root of the zone is `root` in it.
    pub zonepath: PathBuf,
    /// Whether the zone has the host's programs and our own init, read-only.
    pub host_programs: bool,
    /// How much of its root the zone can write.
    pub protection: MacProfile,
    /// File systems that are mounted before init runs, in any order.
    pub mounts: Vec<Mount>,
    /// Settings of the kernel that it has for itself: names and values.
    pub sysctls: Vec<(String, String)>,
    /// Devices of the host that it has.
    pub devices: Vec<Device>,
    /// The ids on the host; `None` for a zone that has not been given any, which cannot be built.
    pub ids: Option<IdRange>,
    /// The bounds of the zone's cgroup.
    pub cgroup: CgroupSpec,
    /// The limits of its System V IPC: the kernel's files below /proc/sys/kernel, and the numbers in them.
    pub ipc: Vec<(String, u64)>,
    /// How many bytes each of its processes can lock in memory, if not as many as on the host.
    pub memlock: Option<u64>,
    /// What it has of the network.
    pub network: NetworkSpec,
    /// What its processes may do.
    pub privileges: Privileges,
    /// What the zone runs.
    pub process: Process,
    /// How init is asked to stop.
    pub orderly: OrderlySpec,
    /// What its init is given in secret: names, and where each is from.
    pub credentials: Vec<(String, Secret)>,
    /// The file of the host that is cloud-init's user data.
    pub user_data: Option<PathBuf>,
    /// The command of the zone's shell that tells whether it is ready; its init tells if there is none.
    pub ready_check: Option<String>,
}

/// Where a secret is from.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// This is it.
    Data(String),
    /// It is in this file of the host.
    File(PathBuf),
}

impl Secret {
    fn of(credential: &config::Credential) -> Self {
        match &credential.source {
            Some(path) => Self::File(path.into()),
            None => Self::Data(credential.data.clone().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(_) => f.write_str(zone_config::schema::SECRET),
            Self::File(path) => path.fmt(f),
        }
    }
}

/// A file system of the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The absolute path of the mount point, as seen inside.
    pub at: String,
    /// What is mounted.
    pub source: Source,
    /// Whether its files are those of the zone's ids; if not they stay the host's.
    pub mapped: bool,
    /// Mount options of that type of file system, in order; a later one takes back an earlier one.
    pub options: Vec<String>,
}

/// Devices of the host that a zone has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which, by name; see [`zone_config::device`].
    pub text: String,
    /// The owner of the nodes, as the zone counts.
    pub owner: u32,
    /// The group of the nodes, as the zone counts.
    pub group: u32,
    /// Their mode; that of the host's nodes if nothing is said.
    pub mode: Option<u32>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory or file of the host.
    Host(PathBuf),
    /// The file system of a type that is on a block device of the host, or in an image.
    Disk(PathBuf, FsType),
    /// Directories of the host one above the other.
    Overlay {
        /// What can only be read, the uppermost first.
        lower: Vec<PathBuf>,
        /// Where what the zone changes is kept.
        upper: Option<PathBuf>,
    },
    /// A directory of a server, as `server:/directory`.
    Server(String),
    /// Memory; the word shows in messages only.
    Memory(String),
}

/// The bounds of a zone's cgroup, by the names of the kernel's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupSpec {
    /// What is written to which file of the zone's own cgroup.
    pub bounds: Vec<(String, String)>,
    /// What is written to which file of the cgroup around it, which stands beside those of other zones.
    pub beside: Vec<(String, String)>,
    /// The CPUs that it has of its own.
    pub cpus: Option<OwnCpus>,
    /// What is written to `io.max`: a block device of the host, and what follows its number.
    pub io: Vec<(PathBuf, String)>,
}

/// What a zone's processes may do: words, or what they came to when the zone was made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// The words of `limitpriv`.
    pub words: Vec<String>,
    /// What of the configuration has no meaning on Linux, in a sentence each.
    pub idle: Vec<String>,
    /// What is taken out of the list of refused system calls.
    pub opened: Opened,
    /// What is in force in a zone that lives.
    pub in_force: Option<Confinement>,
}

impl Privileges {
    /// Gives what is in force, or what the words come to with the tables of this program.
    ///
    /// # Errors
    /// [`PrivilegeError`] when the words ask for what no zone can have.
    pub fn confinement(&self) -> Result<Confinement, PrivilegeError> {
        self.in_force.clone().map_or_else(|| Confinement::resolve(&self.words, self.opened), Ok)
    }
}

/// The first process of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The path of the program, as seen inside.
    pub init: String,
    /// Its `PATH`.
    pub path: String,
}

/// How init is asked to stop, as far as the one who made the zone has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderlySpec {
    /// The name of an init program, or `auto` for what init's path leads to.
    pub init: String,
    /// The signal that halts an init that is not known.
    pub halt_signal: Option<String>,
    /// The signal that reboots an init that is not known.
    pub reboot_signal: Option<String>,
}

impl Spec {
    /// Reads what a live zone was made with.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { name, uuid, idmap, brand, config, .. } = snapshot;
        let mut spec = Self::asked(name, *uuid, Some(*idmap), brand, config);
        spec.protection = snapshot.protection();
        spec.privileges.opened.pivot_root = immutable::lets_pivot(spec.protection);
        spec.privileges.in_force = snapshot.confinement.as_ref().map(Confinement::of);
        spec
    }

    /// Reads what a configuration asks for: of a zone that may not even be installed.
    #[must_use]
    pub fn asked(
        zone: &ZoneName,
        uuid: Uuid,
        ids: Option<IdRange>,
        brand: &Brand,
        config: &ZoneConfig,
    ) -> Self {
        Self {
            zone: zone.clone(),
            uuid,
            brand: brand.name.clone(),
            hostname: config.hostname(zone).to_owned(),
            keeps_hostname: config.hostname.is_some(),
            own_uptime: config.uptime == Uptime::Zone,
            lxcfs: config.lxcfs,
            hostid: config.hostid.as_deref().and_then(host_id),
            zonepath: config.zonepath.clone(),
            host_programs: brand.host_usr,
            protection: config.file_mac_profile,
            sysctls: sysctl::asked(config),
            mounts: config.fs.iter().map(Mount::of).collect(),
            devices: config.device.iter().map(Device::of).collect(),
            ids,
            cgroup: cgroup::limits::asked(config),
            ipc: ipc::asked(config),
            memlock: memlock::asked(config),
            network: network::asked(config),
            privileges: Privileges {
                words: config.limitpriv.clone(),
                idle: config.idle(),
                opened: Opened::of(config),
                in_force: None,
            },
            process: Process { init: config.init(brand).to_owned(), path: brand.login_path.clone() },
            orderly: OrderlySpec {
                init: brand.orderly.clone(),
                halt_signal: brand.halt_signal.clone(),
                reboot_signal: brand.reboot_signal.clone(),
            },
            credentials: config.credential.iter().map(|one| (one.name.clone(), Secret::of(one))).collect(),
            user_data: config.user_data.clone().map(PathBuf::from),
            ready_check: config.ready_check.clone(),
        }
    }

    /// The root of the zone on the host.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.zonepath.join("root")
    }
}

impl Default for CgroupSpec {
    fn default() -> Self {
        Self {
            bounds: cgroup::BOUNDS.map(|(file, bound)| (file.to_owned(), bound.to_owned())).to_vec(),
            beside: Vec::new(),
            cpus: None,
            io: Vec::new(),
        }
    }
}

impl Device {
    /// Reads a `device` resource.
    pub(crate) fn of(device: &config::Device) -> Self {
        // The table lets no number pass that is none of a zone's ids.
        let id = |number: u64| u32::try_from(number).unwrap_or(u32::from(u16::MAX));
        let mode = device.mode.as_deref().and_then(mode);
        Self { text: device.pattern.clone(), owner: id(device.owner), group: id(device.group), mode }
    }
}

impl Mount {
    /// Reads an `fs` resource.
    pub(crate) fn of(fs: &Fs) -> Self {
        let source = match fs.fstype {
            FsType::Lofs => Source::Host(PathBuf::from(&fs.special)),
            FsType::Tmpfs => Source::Memory(fs.special.clone()),
            FsType::Overlay => {
                let (mut lower, mut upper) = (vec![PathBuf::from(&fs.special)], None);
                for option in &fs.options {
                    match read_option(fs.fstype, option) {
                        Ok(MountOption::Lower(path)) => lower.push(PathBuf::from(path)),
                        Ok(MountOption::Upper(path)) => upper = Some(PathBuf::from(path)),
                        _ => {}
                    }
                }
                Source::Overlay { lower, upper }
            }
            FsType::Nfs => Source::Server(fs.special.clone()),
            disk => Source::Disk(PathBuf::from(&fs.special), disk),
        };
        let mapped = fs.owners == FsOwners::Map;
        Self { at: fs.dir.clone(), source, mapped, options: fs.options.clone() }
    }

    /// The type of file system, by the word of the configuration.
    pub(crate) fn fstype(&self) -> FsType {
        match self.source {
            Source::Host(_) => FsType::Lofs,
            Source::Disk(_, fstype) => fstype,
            Source::Memory(_) => FsType::Tmpfs,
            Source::Overlay { .. } => FsType::Overlay,
            Source::Server(_) => FsType::Nfs,
        }
    }

    /// Whether the zone cannot write to it.
    pub(crate) fn is_read_only(&self) -> bool {
        Options::parse(self.fstype(), &self.options).is_ok_and(|options| options.read_only())
    }

    /// The paths of the host that it shows.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let (one, lower, upper) = match &self.source {
            Source::Host(path) | Source::Disk(path, _) => (Some(path), &[][..], None),
            Source::Overlay { lower, upper } => (None, &lower[..], upper.as_ref()),
            Source::Memory(_) | Source::Server(_) => (None, &[][..], None),
        };
        one.into_iter().chain(lower).chain(upper).map(PathBuf::as_path)
    }

    /// What is mounted, as text for messages.
    pub(crate) fn special(&self) -> String {
        match &self.source {
            Source::Host(path) | Source::Disk(path, _) => zone_config::hostpath::shown(path),
            Source::Memory(word) | Source::Server(word) => word.clone(),
            Source::Overlay { lower, .. } => {
                lower.first().map(|path| zone_config::hostpath::shown(path)).unwrap_or_default()
            }
        }
    }
}
