//! The rows of the table that every zone has one of: its own properties.

use super::{Property, Unset};
use crate::config::{Autoshutdown, BootPriority, BootWait, IpType, MacProfile, Uptime};
use crate::value::Kind;

/// As many as the kernel has numbers for (`IPCMNI`).
const IPC_IDS: Kind = Kind::Number(1, 32_768);

/// The properties of a zone, in the order of `info` and `export`.
pub static GLOBALS: &[Property] = &[
    Property::new(
        "zonename",
        Kind::ZoneName,
        Unset::Required,
        "The zone's name; setting it renames the zone.",
    )
    .sealed()
    .not_stored(),
    Property::new(
        "zonepath",
        Kind::Path,
        Unset::Required,
        "The host's directory that holds the zone; its root is ZONEPATH/root.",
    )
    .sealed(),
    Property::new(
        "brand",
        Kind::Label,
        Unset::Is(crate::brand::DEFAULT),
        "The kind of guest: sparse shares the host's /usr, linux is a whole root of its own.",
    )
    .sealed(),
    Property::new("autoboot", Kind::Bool, Unset::Is("false"), "Whether the zone boots with the host.").at_once(),
    Property::new(
        "boot-priority",
        Kind::Choice(BootPriority::WORDS),
        Unset::Is("normal"),
        "When it boots among the zones that boot with the host: all of a higher priority have booted before.",
    )
    .at_once(),
    Property::new(
        "depends",
        Kind::Zones,
        Unset::Nothing,
        "Zones that the host boots before it, and with it, and takes down after it.",
    )
    .at_once(),
    Property::new(
        "boot-wait",
        Kind::Choice(BootWait::WORDS),
        Unset::Is("started"),
        "What zones that depend on it wait for, where systemd boots it: that its init is started, or that it is ready.",
    )
    .at_once(),
    Property::new(
        "autoshutdown",
        Kind::Choice(Autoshutdown::WORDS),
        Unset::Is("shutdown"),
        "What becomes of it when the host goes down: shutdown asks its init to end, halt does not.",
    )
    .at_once(),
    Property::new(
        "bootargs",
        Kind::BootArgs,
        Unset::Is(""),
        "The boot arguments when 'zoneadm boot' names none.",
    ),
    Property::new(
        "file-mac-profile",
        Kind::Choice(MacProfile::WORDS),
        Unset::Is("none"),
        "How much of its root the zone can write: strict is nothing, fixed-configuration is /var, flexible-configuration is also /etc and /root.",
    ),
    Property::new(
        "limitpriv",
        Kind::Privileges,
        Unset::From("default, the safe set"),
        "The privileges that processes in the zone can have at most: capabilities, or Solaris' names for them.",
    ),
    Property::new(
        "nesting",
        Kind::Bool,
        Unset::Is("false"),
        "Whether programs in the zone can make user namespaces, as containers and some services do.",
    ),
    Property::new(
        "io-uring",
        Kind::Bool,
        Unset::Is("false"),
        "Whether programs in the zone can use io_uring, whose calls no filter sees.",
    ),
    Property::new(
        "socketcall",
        Kind::Bool,
        Unset::Is("false"),
        "Whether 32-bit x86 programs in the zone can make sockets by socketcall(2).",
    ),
    Property::new(
        "ip-type",
        Kind::Choice(IpType::WORDS),
        Unset::Is("exclusive"),
        "Who configures the zone's network: exclusive is the zone's root, shared is the host alone.",
    ),
    Property::new(
        "uptime",
        Kind::Choice(Uptime::WORDS),
        Unset::Is("host"),
        "Since when the zone's monotonic clocks and its uptime run: host is since the machine was booted, zone since the zone was.",
    ),
    Property::new(
        "lxcfs",
        Kind::Bool,
        Unset::From("true where lxcfs runs, and nesting is not set"),
        "Whether /proc/meminfo, cpuinfo, stat, uptime and the like show what the zone may use, by lxcfs of the host.",
    )
    .live(),
    Property::new(
        "hostid",
        Kind::HostId,
        Unset::Nothing,
        "The zone's host id, written to its /etc/hostid at every boot, where gethostid(3) reads it.",
    ),
    Property::new(
        "hostname",
        Kind::HostName,
        Unset::From("the zone's name"),
        "The zone's host name. One that is set is written to the zone's /etc/hostname at every boot.",
    ),
    Property::new(
        "user-data",
        Kind::Path,
        Unset::Nothing,
        "The file of the host that cloud-init in the zone finds as its user-data, at the place of the data source NoCloud.",
    ),
    Property::new(
        "init",
        Kind::Path,
        Unset::From("the brand's init"),
        "The program that is the zone's PID 1, as seen inside.",
    ),
    Property::new(
        "ready-check",
        Kind::Word,
        Unset::From("what its init says of itself"),
        "A command of the zone's shell, run in the zone as its root: the zone is ready when it exits with 0.",
    )
    .live(),
    Property::new(
        "restart-init",
        Kind::Bool,
        Unset::Is("true"),
        "Whether an init that exits is started again; if not, the zone halts.",
    )
    .live(),
    Property::new(
        "restart-init-on-exit-0",
        Kind::Bool,
        Unset::Is("false"),
        "Whether init is started again only when it exited with 0; otherwise the zone halts.",
    )
    .live(),
    Property::new(
        "reboot-on-init-exit",
        Kind::Bool,
        Unset::Is("false"),
        "Whether an init that exits reboots the zone; with restart-init-on-exit-0 only when it exited with 0.",
    )
    .live(),
    Property::new(
        "shutdown-timeout",
        Kind::Seconds(86_400),
        Unset::Is("60"),
        "How many seconds 'zoneadm shutdown' gives the zone's init before the zone is halted.",
    )
    .live(),
    Property::new(
        "cpu-shares",
        Kind::Number(1, 10_000),
        Unset::From("100"),
        "The zone's share of the CPUs beside other zones, when they are all busy: a zone with 200 gets twice as much as one with 100.",
    )
    .live(),
    Property::new(
        "max-lwps",
        Kind::Number(1, 4_194_304),
        Unset::Nothing,
        "The most threads that the zone can have at a time; a process has at least one.",
    )
    .live(),
    Property::new(
        "max-processes",
        Kind::Number(1, 4_194_304),
        Unset::Nothing,
        "The most processes. Linux counts them with their threads, so the smaller of this and max-lwps is the most threads.",
    )
    .live(),
    Property::new(
        "max-shm-memory",
        Kind::Size,
        Unset::Nothing,
        "The most memory in System V shared memory. With it, and with the next three, no IPC namespace can be made in the zone.",
    )
    .live(),
    Property::new("max-shm-ids", IPC_IDS, Unset::Nothing, "The most System V shared memory segments.").live(),
    Property::new("max-msg-ids", IPC_IDS, Unset::Nothing, "The most System V message queues.").live(),
    Property::new("max-sem-ids", IPC_IDS, Unset::Nothing, "The most sets of System V semaphores.").live(),
    Property::new(
        "fs-allowed",
        Kind::Word,
        Unset::Nothing,
        "On Solaris: which types of file systems the zone's root may mount. On Linux the kernel says so.",
    )
    .at_once()
    .foreign(),
    Property::new("pool", Kind::HostName, Unset::Nothing, "A pool of processors; see dedicated-cpu for such on Linux.")
        .at_once()
        .foreign(),
    Property::new(
        "scheduling-class",
        Kind::HostName,
        Unset::Nothing,
        "A scheduling class; on Linux shares hold in all of them.",
    )
    .at_once()
    .foreign(),
];
