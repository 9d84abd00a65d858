//! The configuration of a zone, typed.
//!
//! The structs below are the one list of fields: each names the property of the [`schema`](crate::schema) that it holds. From that
//! list they are read and written; what a property is when nobody sets it is in the schema alone.

use std::path::{Path, PathBuf};

use crate::document::{Document, DocumentError, Problem};
use crate::file::{self, FileError};
use crate::schema::GLOBALS;
use crate::{Brand, Layout, ZoneName, privilege, secflags, sharing, store};

mod choice;
mod record;
mod serial;

pub use choice::*;
use record::{Record, records};

records! {
    /// The configuration of a zone, as `/etc/zones/NAME.toml` has it and the properties of `zonecfg` name it.
    pub struct ZoneConfig {
        /// Where the zone is; its root is `zonepath/root`.
        pub zonepath: PathBuf = "zonepath",
        /// The name of its brand.
        pub brand: String = "brand",
        /// Whether it is to boot with the host.
        pub autoboot: bool = "autoboot",
        /// When it boots among others that boot with the host.
        pub boot_priority: BootPriority = "boot-priority",
        /// The zones that boot before it, where they boot with the host; they are wanted, too.
        pub depends: Vec<String> = "depends",
        /// What those wait for that depend on it.
        pub boot_wait: BootWait = "boot-wait",
        /// What becomes of it when the host goes down.
        pub autoshutdown: Autoshutdown = "autoshutdown",
        /// Boot arguments when a boot names none.
        pub bootargs: String = "bootargs",
        /// How much of its root the zone can write.
        pub file_mac_profile: MacProfile = "file-mac-profile",
        /// The privileges, as words: `default`, a capability's name, or one after `!`; empty means the brand's own.
        pub limitpriv: Vec<String> = "limitpriv",
        /// Whether user namespaces can be made in it.
        pub nesting: bool = "nesting",
        /// Whether io_uring can be used in it.
        pub io_uring: bool = "io-uring",
        /// Whether 32-bit x86 programs in it can make sockets by `socketcall(2)`.
        pub socketcall: bool = "socketcall",
        /// Whose network stack it has.
        pub ip_type: IpType = "ip-type",
        /// Since when its monotonic clocks run.
        pub uptime: Uptime = "uptime",
        /// Whether files of lxcfs are in its /proc; where lxcfs runs, when unset.
        pub lxcfs: Option<bool> = "lxcfs",
        /// Its host id, as hexadecimal digits.
        pub hostid: Option<String> = "hostid",
        /// Its host name; the zone's name when unset, see [`Self::hostname`].
        pub hostname: Option<String> = "hostname",
        /// The file of the host that is cloud-init's user data.
        pub user_data: Option<String> = "user-data",
        /// PID 1, as seen inside; the brand's when unset, see [`Self::init`].
        pub init: Option<String> = "init",
        /// The command that tells whether the zone is ready; when unset, its init tells.
        pub ready_check: Option<String> = "ready-check",
        /// Whether an init that exits is started again; false halts the zone.
        pub restart_init: bool = "restart-init",
        /// With `restart_init`: only when it exited with 0.
        pub restart_init_on_exit_0: bool = "restart-init-on-exit-0",
        /// Whether an init that exits reboots the zone.
        pub reboot_on_init_exit: bool = "reboot-on-init-exit",
        /// How long an orderly shutdown may take, in seconds.
        pub shutdown_timeout: u64 = "shutdown-timeout",
        /// Its share of the CPUs beside other zones; see [`limits`](crate::limits).
        pub cpu_shares: Option<u64> = "cpu-shares",
        /// The most threads that it can have.
        pub max_lwps: Option<u64> = "max-lwps",
        /// The most processes, counted with their threads.
        pub max_processes: Option<u64> = "max-processes",
        /// The most System V shared memory, a word of [`limits::size`](crate::limits::size).
        pub max_shm_memory: Option<String> = "max-shm-memory",
        /// The most System V shared memory segments.
        pub max_shm_ids: Option<u64> = "max-shm-ids",
        /// The most System V message queues.
        pub max_msg_ids: Option<u64> = "max-msg-ids",
        /// The most sets of System V semaphores.
        pub max_sem_ids: Option<u64> = "max-sem-ids",
        /// The file systems that a zone of Solaris may mount, kept.
        pub fs_allowed: Option<String> = "fs-allowed",
        /// A pool of processors of Solaris, kept.
        pub pool: Option<String> = "pool",
        /// A scheduling class of Solaris, kept.
        pub scheduling_class: Option<String> = "scheduling-class",
    }
    resources {
        /// File systems, mounted in this order.
        pub fs: Vec<Fs> = "fs",
        /// Devices of the host that it has.
        pub device: Vec<Device> = "device",
        /// What it has of the network.
        pub net: Vec<Net> = "net",
        /// Ports of the host that lead into it.
        pub port: Vec<Port> = "port",
        /// The most memory that it can use; one at most.
        pub capped_memory: Vec<CappedMemory> = "capped-memory",
        /// The most time of CPUs that it can use; one at most.
        pub capped_cpu: Vec<CappedCpu> = "capped-cpu",
        /// Settings of the kernel that it has for itself.
        pub sysctl: Vec<Sysctl> = "sysctl",
        /// What processes begin with, keep and may have of Solaris' security flags; one at most.
        pub security_flags: Vec<SecurityFlags> = "security-flags",
        /// CPUs that it shares with nobody; one at most.
        pub dedicated_cpu: Vec<DedicatedCpu> = "dedicated-cpu",
        /// Limits of what it reads and writes, a disk each.
        pub io: Vec<Io> = "io",
        /// What its init is given in secret.
        pub credential: Vec<Credential> = "credential",
        /// Resource controls of Solaris that have no meaning here, kept.
        pub rctl: Vec<Rctl> = "rctl",
        /// Data sets of ZFS, kept.
        pub dataset: Vec<Dataset> = "dataset",
        /// Who may administer the zone, kept.
        pub admin: Vec<Admin> = "admin",
        /// Data of the administrator's.
        pub attr: Vec<Attr> = "attr",
    }
}

records! {
    /// A file system of the zone.
    pub struct Fs {
        /// Where, as seen inside: an absolute path.
        pub dir: String = "dir",
        /// What: for lofs an absolute path of the host, for tmpfs a word.
        pub special: String = "special",
        /// Kept, and obeyed by nothing.
        pub raw: Option<String> = "raw",
        /// Its type.
        pub fstype: FsType = "type",
        /// Whose its files are.
        pub owners: FsOwners = "owners",
        /// Mount options, in order; see [`filesystem`](crate::filesystem).
        pub options: Vec<String> = "options",
    }
}

records! {
    /// Devices of the host that a zone has.
    pub struct Device {
        /// Which, by name; see [`device`](crate::device).
        pub pattern: String = "match",
        /// The user whose they are, as the zone counts.
        pub owner: u64 = "owner",
        /// The group, as the zone counts.
        pub group: u64 = "group",
        /// The mode of the nodes, in octal digits; that of the host's nodes when unset.
        pub mode: Option<String> = "mode",
        /// Kept, and obeyed by nothing.
        pub allow_mknod: bool = "allow-mknod",
        /// Kept, and obeyed by nothing.
        pub allow_partition: bool = "allow-partition",
        /// Kept, and obeyed by nothing.
        pub allow_raw_io: bool = "allow-raw-io",
    }
}

records! {
    /// A net of the zone: a link, with its addresses.
    pub struct Net {
        /// The link's name inside; without `global_nic` also that of the host's link that moves in.
        pub physical: String = "physical",
        /// What it is attached to: `auto`, a bridge or an Ethernet link.
        pub global_nic: Option<String> = "global-nic",
        /// How it is attached.
        pub mode: NetMode = "mode",
        /// Its addresses; see [`net`](crate::net).
        pub address: Vec<String> = "address",
        /// Addresses and prefixes that it may use beside its own.
        pub allowed_address: Vec<String> = "allowed-address",
        /// The routers of its default routes.
        pub defrouter: Vec<String> = "defrouter",
        /// Its Ethernet address.
        pub mac_addr: Option<String> = "mac-addr",
        /// Its MTU, in bytes.
        pub mtu: Option<u64> = "mtu",
        /// The VLAN that it is in.
        pub vlan_id: Option<u64> = "vlan-id",
        /// The most it sends and the most it receives, as a rate; see [`net::bandwidth`](crate::net::bandwidth).
        pub maxbw: Option<String> = "maxbw",
        /// What is kept from leaving it, as words; empty means all that is possible there but isolation.
        pub link_protection: Vec<String> = "link-protection",
    }
}

records! {
    /// A port of the host, or a range of them, that leads into the zone.
    pub struct Port {
        /// The ports on the host, see [`HostPorts`](crate::net::HostPorts).
        pub host: String = "host",
        /// The port of the zone that the first leads to.
        pub to: u64 = "to",
        /// For which protocols.
        pub protocol: Vec<String> = "protocol",
    }
}

records! {
    /// The most memory that a zone can use, in words of [`limits::size`](crate::limits::size).
    pub struct CappedMemory {
        /// Memory of the machine.
        pub physical: Option<String> = "physical",
        /// Swap space of the host.
        pub swap: Option<String> = "swap",
        /// What each process can lock in memory.
        pub locked: Option<String> = "locked",
    }
}

records! {
    /// The most time of CPUs that a zone can use.
    pub struct CappedCpu {
        /// A number of CPUs, see [`limits::cpus`](crate::limits::cpus).
        pub ncpus: String = "ncpus",
    }
}

records! {
    /// A setting of the kernel that a zone has for itself, see [`sysctl`](crate::sysctl).
    pub struct Sysctl {
        /// Its name, once in a zone.
        pub name: String = "name",
        /// What is written to it.
        pub value: String = "value",
    }
}

records! {
    /// Sets of security flags, see [`crate::secflags`].
    pub struct SecurityFlags {
        /// What processes begin with.
        pub default: Vec<String> = "default",
        /// What they cannot give up.
        pub lower: Vec<String> = "lower",
        /// What they can have.
        pub upper: Vec<String> = "upper",
    }
}

records! {
    /// CPUs that a zone shares with nobody: so many, or these.
    pub struct DedicatedCpu {
        /// How many, see [`limits::whole_cpus`](crate::limits::whole_cpus).
        pub ncpus: Option<String> = "ncpus",
        /// Which, see [`limits::cpu_list`](crate::limits::cpu_list).
        pub cpus: Option<String> = "cpus",
        /// Kept, and without a meaning.
        pub importance: Option<u64> = "importance",
    }
}

records! {
    /// The most that a zone reads from a disk and writes to it in a second.
    pub struct Io {
        /// The block device, by its path on the host.
        pub device: String = "device",
        /// Bytes read.
        pub read_bandwidth: Option<String> = "read-bandwidth",
        /// Bytes written.
        pub write_bandwidth: Option<String> = "write-bandwidth",
        /// Requests to read.
        pub read_iops: Option<u64> = "read-iops",
        /// Requests to write.
        pub write_iops: Option<u64> = "write-iops",
    }
}

records! {
    /// Something secret that the zone's init is given: one of data and source.
    pub struct Credential {
        /// Its name, once in a zone.
        pub name: String = "name",
        /// What it is.
        pub data: Option<String> = "data",
        /// The file of the host that has it.
        pub source: Option<String> = "source",
    }
}

records! {
    /// A resource control of Solaris that has no meaning here.
    pub struct Rctl {
        /// Its name.
        pub name: String = "name",
        /// Its values.
        pub value: Vec<String> = "value",
    }
}

records! {
    /// A data set of ZFS.
    pub struct Dataset {
        /// Its name.
        pub name: String = "name",
    }
}

records! {
    /// A user who may administer the zone.
    pub struct Admin {
        /// The user's name on the host.
        pub user: String = "user",
        /// What that user may do.
        pub auths: Vec<String> = "auths",
    }
}

records! {
    /// A datum of the administrator's; nothing in the zone depends on it.
    pub struct Attr {
        /// Its name, once in a zone.
        pub name: String = "name",
        /// What the value must look like.
        pub attrtype: AttrType = "type",
        /// The value, as written.
        pub value: String = "value",
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The zone has no configuration.
    #[error("{0}: No such zone configured")]
    NoSuchZone(ZoneName),
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its file has a place that is not a configuration.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Its file lacks something.
    #[error("{}: {problem}", .origin.display())]
    Incomplete {
        /// The file.
        origin: PathBuf,
        /// What is missing, with what is allowed.
        problem: Problem,
    },
}

impl ZoneConfig {
    /// A configuration with everything at its default.
    pub fn new(zonepath: PathBuf) -> Self {
        Self { zonepath, ..Self::defaults() }
    }

    /// What the schema says of a zone of which nothing is set, the zonepath included, which is then empty.
    #[must_use]
    pub fn defaults() -> Self {
        let unset = Document::default();
        Self::read(GLOBALS, &unset.globals, &unset.resources)
    }

    /// The typed form of what was set, with defaults for the rest; `origin` is the file's name for errors.
    ///
    /// # Errors
    /// [`ConfigError::Incomplete`] when something that must be set is not.
    pub fn from_document(document: &Document, origin: &Path) -> Result<Self, ConfigError> {
        match document.missing() {
            Some(problem) => Err(ConfigError::Incomplete { origin: origin.to_owned(), problem }),
            None => Ok(Self::read(GLOBALS, &document.globals, &document.resources)),
        }
    }

    /// What must be set so that everything else follows from defaults.
    pub fn to_document(&self) -> Document {
        let mut document = Document::default();
        self.write(GLOBALS, &mut document.globals, &mut document.resources);
        document.globals.clear_defaults(GLOBALS);
        for instance in &mut document.resources {
            instance.values.clear_defaults(instance.resource.properties);
        }
        document
    }

    /// The zone's root directory, on the host.
    pub fn root(&self) -> PathBuf {
        self.zonepath.join("root")
    }

    /// The zone's host name.
    pub fn hostname<'a>(&'a self, zone: &'a ZoneName) -> &'a str {
        self.hostname.as_deref().unwrap_or(zone.as_str())
    }

    /// What of it has no meaning on Linux, a sentence for each property.
    #[must_use]
    pub fn idle(&self) -> Vec<String> {
        privilege::idle_words(&self.limitpriv)
            .into_iter()
            .chain(secflags::idle(&self.security_flags))
            .collect()
    }

    /// Names what of it has no meaning on Linux, for a list.
    #[must_use]
    pub fn idle_names(&self) -> Vec<String> {
        let words = privilege::idle(&self.limitpriv).into_iter().map(|word| format!("limitpriv {word}"));
        let flags = secflags::idle_names(&self.security_flags).into_iter();
        words.chain(flags.map(|flag| format!("security-flags {flag}"))).collect()
    }

    /// The path of PID 1, as seen inside.
    pub fn init<'a>(&'a self, brand: &'a Brand) -> &'a str {
        self.init.as_deref().unwrap_or(&brand.init)
    }

    /// Reads a zone's configuration.
    ///
    /// # Errors
    /// When there is none, or it cannot be read or understood.
    pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Self, ConfigError> {
        let document = store::load(layout, zone)?;
        Self::from_document(&document, &layout.config(zone))
    }

    /// Reads a configuration from text; `origin` is the file's name for errors.
    ///
    /// # Errors
    /// When it is not a configuration.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        Self::from_document(&Document::parse(text, origin)?, origin)
    }

    /// The form on disk.
    pub fn to_toml(&self) -> String {
        self.to_document().to_toml()
    }

    /// Writes a zone's configuration, whole or not at all; the index is not touched, see [`store`] for that.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), ConfigError> {
        file::make_dir(&layout.etc(), 0o755)?;
        let document = self.to_document();
        let text = document.to_toml();
        if sharing::may_share(&text) {
            sharing::add(layout, zone)?;
        }
        Ok(file::replace(&layout.config(zone), text.as_bytes(), document.mode())?)
    }
}

#[cfg(test)]
mod tests;
