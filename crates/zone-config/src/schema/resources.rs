//! The rows of the table for resources: every type, with its properties.

use super::{Property, Resource, Unset};
use crate::config::{AttrType, FsOwners, FsType, NetMode};
use crate::limits::RCTLS;
use crate::net::{MTU, PROTECTION, PROTOCOLS};
use crate::secflags;
use crate::value::Kind;

/// What a user may be allowed.
const AUTHS: [&str; 3] = ["login", "manage", "clonefrom"];
const IOPS: Kind = Kind::Number(1, 4_294_967_295);

/// The types of resources, in the order of `info` and `export`.
pub static RESOURCES: &[Resource] = &[
    Resource {
        name: "fs",
        key: "dir",
        single: false,
        properties: &[
            Property::new("dir", Kind::Path, Unset::Required, "Where it is mounted, as seen inside.").live(),
            Property::new(
                "special",
                Kind::Word,
                Unset::Required,
                "What is mounted: for lofs and overlay a path of the host, for tmpfs any word, for nfs SERVER:/DIRECTORY, else a block device or an image file.",
            )
            .live(),
            Property::new(
                "raw",
                Kind::Path,
                Unset::Nothing,
                "On Solaris: the raw device of special, for its fsck.",
            )
            .at_once()
            .pending("Linux has no raw devices: what a file system says of its state is read before each mount."),
            Property::new(
                "type",
                Kind::Choice(FsType::WORDS),
                Unset::Required,
                "The type: lofs shows a directory or file of the host, tmpfs is memory, overlay lays directories of the host one above the other, nfs is a directory of a server, the others are on a disk or in an image.",
            )
            .live(),
            Property::new(
                "owners",
                Kind::Choice(FsOwners::WORDS),
                Unset::Is("map"),
                "Whose its files are: map gives what is root's on disk to the zone's root, and so for all ids; host leaves them the host's.",
            )
            .live(),
            Property::new(
                "options",
                Kind::Options,
                Unset::Nothing,
                "Mount options, such as ro, nosuid, noexec; of tmpfs also size=, nr_inodes=, mode=; of overlay upper= and lower=; of lofs nosub, rslave; of nfs vers=, port=, soft and more.",
            )
            .live(),
        ],
        help: "A file system that is mounted in the zone before its init starts.",
        since: "0.1.0",
    },
    Resource {
        name: "device",
        key: "match",
        single: false,
        properties: &[
            Property::new(
                "match",
                Kind::Devices,
                Unset::Required,
                "Which devices of the host: a name below /dev, in which *, ? and [a-z] stand for parts of names.",
            )
            .live(),
            Property::new(
                "owner",
                Kind::Number(0, 65_535),
                Unset::Is("0"),
                "Whose the nodes are: a user id of the zone.",
            )
            .live(),
            Property::new(
                "group",
                Kind::Number(0, 65_535),
                Unset::Is("0"),
                "Whose group the nodes have: a group id of the zone.",
            )
            .live(),
            Property::new(
                "mode",
                Kind::Mode,
                Unset::From("the host's node"),
                "Who in the zone may read and write them, in octal digits.",
            )
            .live(),
            Property::new(
                "allow-mknod",
                Kind::Bool,
                Unset::Is("false"),
                "On Solaris: whether nodes can be made in the zone.",
            )
            .at_once()
            .pending(
                "Linux lets nobody in a zone make device nodes: those that match are there from boot on.",
            ),
            Property::new(
                "allow-partition",
                Kind::Bool,
                Unset::Is("false"),
                "On Solaris: whether the zone may partition disks that match.",
            )
            .at_once()
            .pending("on Linux who may write to a disk may partition it; mode says who may."),
            Property::new(
                "allow-raw-io",
                Kind::Bool,
                Unset::Is("false"),
                "On Solaris: whether the zone may send SCSI commands of its own.",
            )
            .at_once()
            .pending("Linux lets nobody in a zone do that."),
        ],
        help: "Devices of the host that the zone has in its /dev.",
        since: "0.2.0",
    },
    Resource {
        name: "net",
        key: "physical",
        single: false,
        properties: &[
            Property::new(
                "physical",
                Kind::Link,
                Unset::Required,
                "The link's name inside; a new net is the first free of eth0, eth1, ... Without a global-nic, the host's link that moves in.",
            )
            .live(),
            Property::new(
                "global-nic",
                Kind::Lower,
                Unset::Nothing,
                "What it is attached to: auto is the managed network of this host; or a bridge, or an Ethernet link; with mode physical, what moves in.",
            ),
            Property::new(
                "mode",
                Kind::Choice(NetMode::WORDS),
                Unset::Is("auto"),
                "How it is attached; auto is bridge on a bridge, macvlan on an Ethernet link, physical without a global-nic.",
            ),
            Property::new(
                "address",
                Kind::Addresses,
                Unset::From("the managed network, else none"),
                "Its addresses, each with the length of its prefix, or dhcp.",
            )
            .live(),
            Property::new(
                "allowed-address",
                Kind::Prefixes,
                Unset::Nothing,
                "Addresses and prefixes that the zone may use beside its own.",
            )
            .live(),
            Property::new(
                "defrouter",
                Kind::Routers,
                Unset::From("the managed network, else none"),
                "The routers of its default routes, one of each family.",
            )
            .live(),
            Property::new(
                "mac-addr",
                Kind::Mac,
                Unset::From("the host and the zone's name"),
                "Its Ethernet address.",
            ),
            Property::new(
                "mtu",
                Kind::Number(MTU.0, MTU.1),
                Unset::From("what it is attached to"),
                "The most bytes of a packet.",
            ),
            Property::new("vlan-id", Kind::Number(1, 4094), Unset::Nothing, "The VLAN that it is in."),
            Property::new(
                "maxbw",
                Kind::Bandwidth,
                Unset::Nothing,
                "The most that it sends, and the most that it receives, in bits in a second; a number without a letter is in megabits, as on Solaris.",
            )
            .live(),
            Property::new(
                "link-protection",
                Kind::Words(&PROTECTION),
                Unset::From("all but isolated where there is a link of the host, else none"),
                "What is kept from leaving it: forged Ethernet and IP addresses, answers of a DHCP server, other protocols than IP; isolated keeps it from other zones.",
            )
            .live(),
        ],
        help: "A net of the zone: a link with its addresses and routes. 'add net; end' gives the internet.",
        since: "0.2.0",
    },
    Resource {
        name: "port",
        key: "host",
        single: false,
        properties: &[
            Property::new(
                "host",
                Kind::HostPorts,
                Unset::Required,
                "The port of the host, or a range of them, of all its addresses or of one.",
            )
            .live(),
            Property::new(
                "to",
                Kind::Number(1, 65_535),
                Unset::Required,
                "The port of the zone that it leads to; of a range, the first one.",
            )
            .live(),
            Property::new("protocol", Kind::Words(&PROTOCOLS), Unset::Is("tcp"), "For which protocols.").live(),
        ],
        help: "A port of the host that leads into the zone.",
        since: "0.2.0",
    },
    Resource {
        name: "capped-memory",
        key: "physical",
        single: true,
        properties: &[
            Property::new(
                "physical",
                Kind::Size,
                Unset::Nothing,
                "The most memory: beyond it the kernel frees what it can, and then kills a process of the zone.",
            )
            .live(),
            Property::new(
                "swap",
                Kind::Size,
                Unset::Nothing,
                "The most that it has in the host's swap space.",
            )
            .live(),
            Property::new(
                "locked",
                Kind::Size,
                Unset::Nothing,
                "The most that each of its processes can lock in memory. All that is locked counts as physical.",
            )
            .live(),
        ],
        help: "The most memory that the zone can use.",
        since: "0.2.0",
    },
    Resource {
        name: "capped-cpu",
        key: "ncpus",
        single: true,
        properties: &[Property::new(
            "ncpus",
            Kind::Cpus,
            Unset::Required,
            "The most time of CPUs, as a number of CPUs; the zone may run on any of them.",
        )
        .live()],
        help: "The most time of the CPUs that the zone can use.",
        since: "0.2.0",
    },
    Resource {
        name: "sysctl",
        key: "name",
        single: false,
        properties: &[
            Property::new(
                "name",
                Kind::Sysctl,
                Unset::Required,
                "Its name, as sysctl(8) has it: one that each zone has for itself.",
            ),
            Property::new("value", Kind::Word, Unset::Required, "What is written to it before init runs."),
        ],
        help: "A setting of the kernel that the zone has for itself, by its network, IPC or UTS namespace.",
        since: "0.2.0",
    },
    Resource {
        name: "security-flags",
        key: "default",
        single: true,
        properties: &[
            Property::new(
                "default",
                Kind::Words(&secflags::WORDS),
                Unset::From("what Linux has"),
                "The flags that processes begin with.",
            ),
            Property::new(
                "lower",
                Kind::Words(&secflags::WORDS),
                Unset::Nothing,
                "Those that they cannot give up; aslr keeps them from turning random layouts off.",
            ),
            Property::new("upper", Kind::Words(&secflags::WORDS), Unset::Nothing, "Those that they can have."),
        ],
        help: "Solaris' security flags, as far as Linux has what they do.",
        since: "0.2.0",
    },
    Resource {
        name: "dedicated-cpu",
        key: "ncpus",
        single: true,
        properties: &[
            Property::new(
                "ncpus",
                Kind::WholeCpus,
                Unset::Nothing,
                "How many CPUs the zone has of its own; of a range as many as are free.",
            ),
            Property::new("cpus", Kind::CpuList, Unset::Nothing, "Which CPUs the zone has of its own."),
            Property::new(
                "importance",
                Kind::Number(0, 1 << 31),
                Unset::Nothing,
                "Which of two zones would get a CPU that both could have: no CPUs are moved between zones here.",
            )
            .foreign(),
        ],
        help: "CPUs that the zone shares with nobody, from boot to halt; the host keeps one at least.",
        since: "0.2.0",
    },
    Resource {
        name: "io",
        key: "device",
        single: false,
        properties: &[
            Property::new(
                "device",
                Kind::Path,
                Unset::Required,
                "The block device of the host; of a partition the disk that it is on.",
            )
            .live(),
            Property::new("read-bandwidth", Kind::Size, Unset::Nothing, "The most bytes read in a second.").live(),
            Property::new("write-bandwidth", Kind::Size, Unset::Nothing, "The most bytes written in a second.")
                .live(),
            Property::new("read-iops", IOPS, Unset::Nothing, "The most requests to read in a second.").live(),
            Property::new("write-iops", IOPS, Unset::Nothing, "The most requests to write in a second.").live(),
        ],
        help: "The most that the zone reads from a disk and writes to it.",
        since: "0.2.0",
    },
    Resource {
        name: "credential",
        key: "name",
        single: false,
        properties: &[
            Property::new(
                "name",
                Kind::Credential,
                Unset::Required,
                "Its name, as systemd has it, such as ssh.authorized_keys.root or passwd.hashed-password.root.",
            ),
            Property::new(
                "data",
                Kind::Word,
                Unset::Nothing,
                "What it is, on one line; it is shown to nobody, and /etc/zones/NAME.toml is then root's alone to read.",
            )
            .secret(),
            Property::new(
                "source",
                Kind::Path,
                Unset::Nothing,
                "The file of the host that has it, read at every boot; instead of data.",
            ),
        ],
        help: "A secret that the zone's init is given, as systemd's credentials: a key or a password, set at the first boot.",
        since: "0.2.0",
    },
    Resource {
        name: "rctl",
        key: "name",
        single: false,
        properties: &[
            Property::new("name", Kind::Choice(&RCTLS), Unset::Required, "The name that Solaris has for it.")
                .at_once()
                .foreign(),
            Property::new(
                "value",
                Kind::RctlValues,
                Unset::Required,
                "The limit, with the privilege and the action that Solaris knows.",
            )
            .at_once(),
        ],
        help: "A resource control as Solaris writes it; one that is a property here sets that.",
        since: "0.2.0",
    },
    Resource {
        name: "dataset",
        key: "name",
        single: false,
        properties: &[
            Property::new("name", Kind::Word, Unset::Required, "The name of the data set.").at_once().foreign(),
        ],
        help: "A data set of ZFS that the zone administers on Solaris.",
        since: "0.2.0",
    },
    Resource {
        name: "admin",
        key: "user",
        single: false,
        properties: &[
            Property::new("user", Kind::HostName, Unset::Required, "A user of the host, by name or by number.").at_once(),
            Property::new(
                "auths",
                Kind::Words(&AUTHS),
                Unset::Required,
                "What that user may do: login is zlogin; manage is zoneadm's ready, boot, reboot, halt, shutdown and apply, and the console; clonefrom is kept, for cloning is root's.",
            )
            .at_once(),
        ],
        help: "Who may administer the zone beside root, by zone-access(8). It counts at once, and ends as soon as it is removed.",
        since: "0.2.0",
    },
    Resource {
        name: "attr",
        key: "name",
        single: false,
        properties: &[
            Property::new("name", Kind::Label, Unset::Required, "Its name.").at_once(),
            Property::new(
                "type",
                Kind::Choice(AttrType::WORDS),
                Unset::Required,
                "What the value must look like.",
            )
            .at_once(),
            Property::new("value", Kind::Text, Unset::Required, "The value.").at_once(),
        ],
        help: "A named value for the administrator's own use; the zone does not see it.",
        since: "0.1.0",
    },
];
