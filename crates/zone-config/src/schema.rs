//! The one table of what a zone's configuration can say.
//!
//! The parser of `NAME.toml`, the `zonecfg` language, `info`, `export`, help, manual page and completion
//! all read it: a property is added by a row here, a line in the list of fields of [`config`](crate::config), and
//! whatever acts on it. Defaults are here and nowhere else.

use crate::config::{AttrType, FsType, IpType, NetMode};
use crate::net::{MTU, PROTECTION, PROTOCOLS};
use crate::value::{Kind, Value};

/// What a property is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// It must be set.
    Required,
    /// It is this word.
    Is(&'static str),
    /// It comes from elsewhere, in these words.
    From(&'static str),
    /// It is nothing.
    Nothing,
}

/// When a change of a property takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// Never once the zone is installed: the property cannot be changed from then on.
    Sealed,
    /// When the zone boots next: until then a live zone has what it was booted with.
    NextBoot,
    /// As soon as it is committed, also for a live zone.
    Live,
}

impl Applies {
    /// Says it in a sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Sealed => "It cannot be changed once the zone is installed.",
            Self::NextBoot => "A change takes effect when the zone boots next.",
            Self::Live => "A change takes effect at once.",
        }
    }
}

/// One property, of the zone or of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name, in the language and in TOML.
    pub name: &'static str,
    /// What its values may be.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub unset: Unset,
    /// When a change of it takes effect.
    pub applies: Applies,
    /// What of its effect is not there yet, to follow "but "; then `commit` says so too.
    pub pending: Option<&'static str>,
    /// Whether it is in `NAME.toml`; the zone's name is the file's.
    pub stored: bool,
    /// What it is for, in a sentence.
    pub help: &'static str,
    /// The first version that had it.
    pub since: &'static str,
}

/// One type of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name, in the language and in TOML.
    pub name: &'static str,
    /// The property that no two of them share.
    pub key: &'static str,
    /// Whether a zone has at most one.
    pub single: bool,
    /// Its properties, in the order of `info` and `export`.
    pub properties: &'static [Property],
    /// What it is for, in a sentence.
    pub help: &'static str,
    /// The first version that had it.
    pub since: &'static str,
}

impl Property {
    const fn new(name: &'static str, kind: Kind, unset: Unset, help: &'static str) -> Self {
        Self {
            name,
            kind,
            unset,
            applies: Applies::NextBoot,
            pending: None,
            stored: true,
            help,
            since: "0.1.0",
        }
    }

    const fn sealed(mut self) -> Self {
        self.applies = Applies::Sealed;
        self
    }

    const fn live(mut self) -> Self {
        self.applies = Applies::Live;
        self
    }

    const fn pending(mut self, what: &'static str) -> Self {
        self.pending = Some(what);
        self
    }

    const fn not_stored(mut self) -> Self {
        self.stored = false;
        self
    }

    /// Whether it must be set.
    pub fn is_required(&self) -> bool {
        self.unset == Unset::Required
    }

    /// The value it has when nobody sets it, when that is the same for every zone.
    pub fn default_value(&self) -> Option<Value> {
        match self.unset {
            Unset::Is(word) => self.kind.read(word),
            _ => None,
        }
    }

    /// Understands a word given for it.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn read(&self, word: &str) -> Result<Value, ValueError> {
        self.kind.read(word).ok_or_else(|| ValueError::new(self, format!("\"{word}\"")))
    }

    /// Understands a list given for it; one item is as good as the word alone.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn read_list(&self, items: Vec<String>) -> Result<Value, ValueError> {
        let given = format!("[{}]", items.join(","));
        let value = match (self.kind.read_list(items.clone()), items.as_slice()) {
            (None, [one]) => self.kind.read(one),
            (value, _) => value,
        };
        value.ok_or_else(|| ValueError::new(self, given))
    }
}

impl Resource {
    /// One of its properties.
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        let synonym = SYNONYMS.iter().find(|(theirs, _)| self.name == "net" && *theirs == name);
        let name = synonym.map_or(name, |(_, ours)| ours);
        self.properties.iter().find(|property| property.name == name)
    }
}

/// A value that its property does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {given} is not allowed; allowed: {allowed}")]
pub struct ValueError {
    /// The property.
    pub property: &'static str,
    /// What was given, as it was written.
    pub given: String,
    /// What is allowed instead.
    pub allowed: String,
}

impl ValueError {
    pub(crate) fn new(property: &Property, mut given: String) -> Self {
        // Enough to find it by.
        const SHOWN: usize = 200;
        if let Some((at, _)) = given.char_indices().nth(SHOWN) {
            given.truncate(at);
            given.push_str("...");
        }
        Self { property: property.name, given, allowed: property.kind.allowed() }
    }
}

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
    Property::new("autoboot", Kind::Bool, Unset::Is("false"), "Whether the zone is to boot with the host.")
        .live()
        .pending("nothing boots zones with the host yet."),
    Property::new(
        "bootargs",
        Kind::BootArgs,
        Unset::Is(""),
        "The boot arguments when 'zoneadm boot' names none.",
    ),
    Property::new(
        "limitpriv",
        Kind::Privileges,
        Unset::From("the brand's default"),
        "The capabilities that processes in the zone can have at most.",
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
        "hostname",
        Kind::HostName,
        Unset::From("the zone's name"),
        "The zone's host name. One that is set is written to the zone's /etc/hostname at every boot.",
    ),
    Property::new(
        "init",
        Kind::Path,
        Unset::From("the brand's init"),
        "The program that is the zone's PID 1, as seen inside.",
    ),
    Property::new(
        "restart-init",
        Kind::Bool,
        Unset::Is("true"),
        "Whether an init that exits is started again; if not, the zone halts.",
    ),
    Property::new(
        "restart-init-on-exit-0",
        Kind::Bool,
        Unset::Is("false"),
        "Whether init is started again only when it exited with 0; otherwise the zone halts.",
    ),
    Property::new(
        "reboot-on-init-exit",
        Kind::Bool,
        Unset::Is("false"),
        "Whether an init that exits reboots the zone; with restart-init-on-exit-0 only when it exited with 0.",
    ),
    Property::new(
        "shutdown-timeout",
        Kind::Seconds(86_400),
        Unset::Is("60"),
        "How many seconds 'zoneadm shutdown' gives the zone's init before the zone is halted.",
    ),
    Property::new(
        "cpu-shares",
        Kind::Number(1, 10_000),
        Unset::From("100"),
        "The zone's share of the CPUs beside other zones, when they are all busy: a zone with 200 gets twice as much as one with 100.",
    ),
    Property::new(
        "max-lwps",
        Kind::Number(1, 4_194_304),
        Unset::Nothing,
        "The most threads that the zone can have at a time; a process has at least one.",
    ),
];

/// The types of resources, in the order of `info` and `export`.
pub static RESOURCES: &[Resource] = &[
    Resource {
        name: "fs",
        key: "dir",
        single: false,
        properties: &[
            Property::new("dir", Kind::Path, Unset::Required, "Where it is mounted, as seen inside."),
            Property::new(
                "special",
                Kind::Word,
                Unset::Required,
                "What is mounted: for lofs a path of the host, for tmpfs any word.",
            ),
            Property::new(
                "type",
                Kind::Choice(FsType::WORDS),
                Unset::Required,
                "The type: lofs shows a directory or file of the host, tmpfs is memory.",
            ),
            Property::new(
                "options",
                Kind::Options,
                Unset::Nothing,
                "Mount options, such as ro, nosuid, noexec; of tmpfs also size=, nr_inodes=, mode=.",
            ),
        ],
        help: "A file system that is mounted in the zone before its init starts.",
        since: "0.1.0",
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
            ),
            Property::new(
                "global-nic",
                Kind::Lower,
                Unset::Nothing,
                "What it is attached to: auto is the managed network of this host; or a bridge, or an Ethernet link.",
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
            ),
            Property::new(
                "allowed-address",
                Kind::Prefixes,
                Unset::Nothing,
                "Addresses and prefixes that the zone may use beside its own.",
            ),
            Property::new(
                "defrouter",
                Kind::Routers,
                Unset::From("the managed network, else none"),
                "The routers of its default routes, one of each family.",
            ),
            Property::new("mac-addr", Kind::Mac, Unset::From("the zone's name"), "Its Ethernet address."),
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
                "The most that it sends, and the most that it receives, in bits in a second.",
            ),
            Property::new(
                "link-protection",
                Kind::Words(&PROTECTION),
                Unset::From("all but isolated where there is a link of the host, else none"),
                "What is kept from leaving it: forged Ethernet and IP addresses, answers of a DHCP server, other protocols than IP; isolated keeps it from other zones.",
            ),
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
            ),
            Property::new(
                "to",
                Kind::Number(1, 65_535),
                Unset::Required,
                "The port of the zone that it leads to; of a range, the first one.",
            ),
            Property::new("protocol", Kind::Words(&PROTOCOLS), Unset::Is("tcp"), "For which protocols."),
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
            ),
            Property::new(
                "swap",
                Kind::Size,
                Unset::Nothing,
                "The most that it has in the host's swap space.",
            ),
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
        )],
        help: "The most time of the CPUs that the zone can use.",
        since: "0.2.0",
    },
    Resource {
        name: "attr",
        key: "name",
        single: false,
        properties: &[
            Property::new("name", Kind::Label, Unset::Required, "Its name.").live(),
            Property::new(
                "type",
                Kind::Choice(AttrType::WORDS),
                Unset::Required,
                "What the value must look like.",
            )
            .live(),
            Property::new("value", Kind::Text, Unset::Required, "The value.").live(),
        ],
        help: "A named value for the administrator's own use; the zone does not see it.",
        since: "0.1.0",
    },
];

/// What Solaris calls some properties of its `anet`, and what they are called here.
const SYNONYMS: [(&str, &str); 3] =
    [("linkname", "physical"), ("lower-link", "global-nic"), ("mac-address", "mac-addr")];

/// Solaris' word for a net on the managed network, or on a link that it names.
pub const ANET: &str = "anet";

/// A property of the zone, by its name.
pub fn global(name: &str) -> Option<&'static Property> {
    GLOBALS.iter().find(|property| property.name == name)
}

/// A type of resource, by its name.
pub fn resource(name: &str) -> Option<&'static Resource> {
    let name = if name == ANET { "net" } else { name };
    RESOURCES.iter().find(|resource| resource.name == name)
}

/// The names of rows, for "allowed: ".
pub fn names<'a>(rows: impl IntoIterator<Item = &'a Property>) -> String {
    rows.into_iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

/// The names of all types of resources, for "allowed: ".
pub fn resource_names() -> String {
    RESOURCES.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        let tables = RESOURCES.iter().map(|resource| resource.properties).chain([GLOBALS]);
        for table in tables {
            let names: BTreeSet<_> = table.iter().map(|property| property.name).collect();
            assert_eq!(names.len(), table.len(), "{names:?}");
            for property in table {
                assert!(property.help.ends_with('.'), "{}", property.name);
                assert!(property.pending.is_none_or(|text| text.ends_with('.')), "{}", property.name);
                if let Unset::Is(word) = property.unset {
                    assert!(property.kind.read(word).is_some(), "{}", property.name);
                }
            }
        }
        for resource in RESOURCES {
            assert!(resource.property(resource.key).is_some_and(|key| key.is_required() || resource.single));
            assert!(global(resource.name).is_none(), "{}", resource.name);
        }
    }

    #[test]
    fn a_refusal_says_what_is_allowed() {
        let fs_type = resource("fs").unwrap().property("type").unwrap();
        assert_eq!(
            fs_type.read("ext4").unwrap_err().to_string(),
            "type: \"ext4\" is not allowed; allowed: lofs, tmpfs"
        );
        assert!(fs_type.read_list(vec!["lofs".into()]).is_ok());
        let long = fs_type.read(&"é".repeat(300_000)).unwrap_err().to_string();
        assert!(long.contains("éé... is not allowed") && long.len() < 500, "{long}");
    }
}
