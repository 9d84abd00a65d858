//! The values of properties, and what each kind of property allows.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::device::{Pattern, mode};
use crate::filesystem::OPTIONS;
use crate::nearest::did_you_mean;
use crate::net::{self, Address, DHCP, HostPorts, Mac};
use crate::{ZoneName, bootargs, limits, privilege, sysctl};

/// A value that its property allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// One word or one line of text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// Words, in order.
    List(Vec<String>),
}

impl Value {
    /// How it is written.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Text(_) => Shape::Text,
            Self::Bool(_) => Shape::Bool,
            Self::Number(_) => Shape::Number,
            Self::List(_) => Shape::List,
        }
    }
}

/// How a value is written, in TOML and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// An integer.
    Number,
    /// An array of strings.
    List,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Bool => "true or false, without quotes",
            Self::Number => "a number, without quotes",
            Self::List => "an array of strings",
        })
    }
}

/// What a property's values may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The name of a zone.
    ZoneName,
    /// Names of zones.
    Zones,
    /// An absolute path other than `/`.
    Path,
    /// Any text, perhaps empty.
    Text,
    /// Any text but the empty one.
    Word,
    /// Boot arguments.
    BootArgs,
    /// The name of a host.
    HostName,
    /// The name of a setting of the kernel that a zone has for itself.
    Sysctl,
    /// The identity of a host: 32 bits but the last value.
    HostId,
    /// The name of a thing of the administrator's.
    Label,
    /// The name of a credential of systemd's.
    Credential,
    /// `true` or `false`.
    Bool,
    /// A number of seconds, from 1 to this.
    Seconds(u64),
    /// A whole number, from the first to the second.
    Number(u64, u64),
    /// A size in bytes.
    Size,
    /// A number of CPUs, with two digits behind the point.
    Cpus,
    /// A number of whole CPUs, or a range of them.
    WholeCpus,
    /// A list of CPUs by their numbers.
    CpuList,
    /// Values of a resource control.
    RctlValues,
    /// The name of a link.
    Link,
    /// Where a net is attached: `auto` or the name of a link.
    Lower,
    /// Addresses of a zone, or `dhcp`.
    Addresses,
    /// Addresses and prefixes.
    Prefixes,
    /// Addresses of routers.
    Routers,
    /// The Ethernet address of one station.
    Mac,
    /// A rate in bits in a second; a number without a letter is in megabits.
    Bandwidth,
    /// Words, from this list.
    Words(&'static [&'static str]),
    /// Ports of the host.
    HostPorts,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Mount options.
    Options,
    /// Names of privileges.
    Privileges,
    /// The name of device nodes.
    Devices,
    /// The mode of a file, in octal digits.
    Mode,
}

/// Bounds the items of a list: what is done for each pair of them has an end.
const MOST_ITEMS: usize = 256;

/// Longest host name the kernel keeps, in bytes (sethostname(2)).
const HOST_NAME_MAX: usize = 64;

impl Kind {
    /// How its values are written.
    pub fn shape(self) -> Shape {
        match self {
            Self::Bool => Shape::Bool,
            Self::Seconds(_) | Self::Number(..) => Shape::Number,
            Self::Options
            | Self::Privileges
            | Self::Zones
            | Self::Addresses
            | Self::Prefixes
            | Self::Routers
            | Self::RctlValues
            | Self::Words(_) => Shape::List,
            _ => Shape::Text,
        }
    }

    /// What is allowed, to follow "allowed: ".
    pub fn allowed(self) -> String {
        match self {
            Self::ZoneName => "1 to 63 letters, digits, '_', '-' and '.', the first a letter or digit; not 'global', not 'SUNW...'".to_owned(),
            Self::Path => "an absolute path other than '/', without '.', '..', double quotes and control characters".to_owned(),
            Self::Text => "text on one line, without double quotes".to_owned(),
            Self::Word => "text on one line, without double quotes, not empty".to_owned(),
            Self::BootArgs => format!("text on one line, without double quotes, at most {} bytes", bootargs::MAX_LEN),
            Self::HostName => format!("1 to {HOST_NAME_MAX} letters, digits, '_', '-' and '.', the first a letter or digit"),
            Self::Sysctl => sysctl::allowed(),
            Self::HostId => "a hexadecimal number from 0 to fffffffe".to_owned(),
            Self::Label => "letters, digits, '-' and '.', the first a letter or digit".to_owned(),
            Self::Credential => {
                "letters, digits, '-', '_' and '.', the first a letter or digit, at most 200 bytes".to_owned()
            }
            Self::Bool => "true, false".to_owned(),
            Self::Seconds(most) => format!("a whole number of seconds from 1 to {most}"),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Size => "a size: a whole number of bytes, or with K, M, G or T, from 1M, such as 512M".to_owned(),
            Self::Cpus => "a number of CPUs with at most two digits behind the point, from 0.01, such as 1.5".to_owned(),
            Self::RctlValues => "(priv=privileged,limit=NUMBER,action=deny), or action=none".to_owned(),
            Self::WholeCpus => "a whole number of CPUs from 1, or a range such as 2-4".to_owned(),
            Self::CpuList => "numbers of CPUs and ranges of them, such as 2-3,6".to_owned(),
            Self::Link => "the name of a link: at most 15 bytes, without '/', ':', '%' and spaces".to_owned(),
            Self::Lower => "auto, or the name of a link of the host: a bridge or an Ethernet link".to_owned(),
            Self::Addresses => "dhcp, or a list of IPv4 and IPv6 addresses of hosts with the lengths of their prefixes, such as [192.0.2.5/24,2001:db8::5/64]".to_owned(),
            Self::Prefixes => "a list of addresses and prefixes, such as [192.0.2.7,2001:db8:1::/48]".to_owned(),
            Self::Routers => "a list of addresses, such as [192.0.2.1,fe80::1]".to_owned(),
            Self::Mac => "an Ethernet address of one station, such as 02:08:20:5e:01:07".to_owned(),
            Self::Bandwidth => "bits in a second: a whole number with K, M or G, from 8K to 1000G, such as 100M, or without a letter in megabits".to_owned(),
            Self::Words(words) => format!("a list of these: {}", words.join(", ")),
            Self::HostPorts => format!(
                "a port from 1 to 65535 or a range of at most {}, with or without an address of the host: 8080, 8000-8010, 192.0.2.1:8080, \"[2001:db8::1]:8080\"",
                net::MOST_PORTS
            ),
            Self::Choice(words) => words.join(", "),
            Self::Options => {
                let of = OPTIONS.map(|(fstype, words)| format!("for {} {words}", fstype.as_str()));
                format!("a list of at most {MOST_ITEMS} words such as [ro,nosuid]: {}", of.join("; "))
            }
            Self::Zones => format!("a list of at most {MOST_ITEMS} names of zones"),
            Self::Privileges => "a list of 'default', 'all', 'none', a capability such as net_raw or a privilege of Solaris such as proc_owner, with '!' before one that is taken away".to_owned(),
            Self::Devices => "a path below /dev that begins with a letter or digit, with *, ? and [a-z], such as /dev/net/tun or /dev/snd/*".to_owned(),
            Self::Mode => "a mode of three or four octal digits without set-ID bits, such as 0660".to_owned(),
        }
    }

    /// Asks whether a word was meant that is allowed, by what was given and is not; empty if none is near.
    pub(crate) fn meant(self, given: &str) -> String {
        let given = given.trim_matches(['"', '[', ']']);
        let mut items = given.split(',').map(str::trim);
        match self {
            Self::Privileges => items.find_map(privilege::meant).unwrap_or_default(),
            Self::Words(words) => {
                let wrong = items.find(|item| !words.contains(item)).unwrap_or_default();
                did_you_mean(wrong, words.iter().copied())
            }
            _ => did_you_mean(given, self.allowed().split(", ").filter(|word| !word.contains(' '))),
        }
    }

    /// Understands one word; `None` when it is not allowed. A list takes it as its items, separated by commas.
    pub fn read(self, word: &str) -> Option<Value> {
        let text = |allowed: bool| allowed.then(|| Value::Text(word.to_owned()));
        match self {
            Self::ZoneName => text(word.parse::<ZoneName>().is_ok()),
            Self::Path => clean_path(word).map(Value::Text),
            Self::Text => text(is_line(word)),
            Self::Word => text(is_line(word) && !word.is_empty()),
            Self::BootArgs => text(is_line(word) && word.len() <= bootargs::MAX_LEN),
            Self::HostName => text(is_name(word, "_-.") && word.len() <= HOST_NAME_MAX),
            Self::Sysctl => text(sysctl::is_own(word)),
            Self::HostId => text(host_id(word).is_some()),
            Self::Label => text(is_name(word, "-.")),
            Self::Credential => text(is_name(word, "-_.") && word.len() <= 200),
            Self::Bool => word.parse().ok().map(Value::Bool),
            Self::Seconds(most) => number(word, 1, most),
            Self::Number(least, most) => number(word, least, most),
            Self::Size => text(limits::size(word).is_some()),
            Self::Cpus => text(limits::cpus(word).is_some()),
            Self::WholeCpus => text(limits::whole_cpus(word).is_some()),
            Self::CpuList => text(limits::cpu_list(word).is_some()),
            Self::RctlValues => self.read_list(vec![word.to_owned()]),
            Self::Link => text(net::is_link_name(word)),
            Self::Lower => text(word == net::AUTO || net::is_link_name(word)),
            Self::Mac => text(word.parse::<Mac>().is_ok()),
            Self::Bandwidth => text(net::bandwidth(word).is_some()),
            Self::HostPorts => text(word.parse::<HostPorts>().is_ok()),
            Self::Choice(words) => text(words.contains(&word)),
            Self::Devices => word.parse::<Pattern>().ok().map(|pattern| Value::Text(pattern.to_string())),
            Self::Mode => text(mode(word).is_some()),
            Self::Options
            | Self::Privileges
            | Self::Zones
            | Self::Addresses
            | Self::Prefixes
            | Self::Routers
            | Self::Words(_) => {
                let items = word.split(',').filter(|_| !word.is_empty()).map(str::to_owned);
                self.read_list(items.collect())
            }
        }
    }

    /// Whether a value is one of its own, whoever made it.
    pub fn allows(self, value: &Value) -> bool {
        match value {
            Value::List(items) => self.read_list(items.clone()).as_ref() == Some(value),
            value => self.read(&value.to_string()).as_ref() == Some(value),
        }
    }

    /// Understands a list; `None` when an item is not allowed, or when a list is not.
    pub fn read_list(self, items: Vec<String>) -> Option<Value> {
        let allowed = |item: &String| match self {
            Self::Options => is_option(item),
            Self::Privileges => privilege::is_word(item),
            Self::RctlValues => limits::rctl_value(item).is_some(),
            Self::Zones => item.parse::<ZoneName>().is_ok(),
            Self::Addresses => item == DHCP || item.parse::<Address>().is_ok(),
            Self::Prefixes => net::allowed(item).is_some(),
            Self::Routers => item.parse().is_ok_and(net::is_of_one_host),
            Self::Words(words) => words.contains(&item.as_str()),
            _ => false,
        };
        let fits = self.shape() == Shape::List && items.len() <= MOST_ITEMS && items.iter().all(allowed);
        fits.then_some(Value::List(items))
    }
}

/// What is written for people: a list in brackets.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::List(items) => write!(f, "[{}]", items.join(",")),
        }
    }
}

/// Whether the zonecfg language can write a text: quotes have no escapes there, and a line ends a command.
fn is_line(text: &str) -> bool {
    !text.chars().any(|c| c == '"' || (c.is_control() && c != '\t'))
}

/// A number has one way to be written: no sign, no zeros before it.
fn number(word: &str, least: u64, most: u64) -> Option<Value> {
    let number = word.parse().ok().filter(|number: &u64| number.to_string() == word)?;
    (least..=most).contains(&number).then_some(Value::Number(number))
}

/// Reads a host id: up to eight hexadecimal digits, with `0x` before them or not. The last value means that there is none.
#[must_use]
pub fn host_id(word: &str) -> Option<u32> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let fits = (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| u32::from_str_radix(digits, 16).ok()).flatten().filter(|id| *id != u32::MAX)
}

fn is_option(text: &str) -> bool {
    is_line(text) && !text.is_empty() && !text.contains([',', ' ', '\t'])
}

fn is_name(text: &str, marks: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

/// An absolute path with its doubled and trailing slashes gone.
fn clean_path(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.strip_prefix('/')?.split('/').filter(|part| !part.is_empty()).collect();
    let proper = !parts.is_empty() && is_line(text) && !parts.contains(&".") && !parts.contains(&"..");
    proper.then(|| format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.to_owned()))
    }

    #[test]
    fn each_kind_knows_its_values() {
        assert_eq!(Kind::Path.read("//a///b/"), text("/a/b"));
        for bad in ["", "a", "/", "//", "/a/../b", "/a/./b", "/a\"b", "/a\nb"] {
            assert_eq!(Kind::Path.read(bad), None, "{bad:?}");
        }
        assert_eq!(Kind::Bool.read("true"), Some(Value::Bool(true)));
        assert_eq!(Kind::Bool.read("True"), None);
        assert_eq!(Kind::Seconds(60).read("60"), Some(Value::Number(60)));
        for bad in ["0", "61", "-1", "+1", "01", "1s", ""] {
            assert_eq!(Kind::Seconds(60).read(bad), None, "{bad:?}");
        }
        assert_eq!(Kind::Choice(&["lofs", "tmpfs"]).read("ext4"), None);
        assert_eq!(
            Kind::Options.read("ro,size=1m"),
            Kind::Options.read_list(vec!["ro".into(), "size=1m".into()])
        );
        assert_eq!(Kind::Options.read(""), Some(Value::List(vec![])));
        assert_eq!(Kind::Options.read("ro,,rw"), None);
        assert_eq!(Kind::Text.read_list(vec![]), None);
        assert!(Kind::Options.read_list(vec!["ro".into(); MOST_ITEMS]).is_some());
        assert_eq!(Kind::Options.read_list(vec!["ro".into(); MOST_ITEMS + 1]), None);
        assert_eq!(Kind::Privileges.read("default,!sys_time").unwrap().to_string(), "[default,!sys_time]");
        assert_eq!(Kind::Privileges.read("default,fly"), None);
        assert_eq!(Kind::HostName.read(&"h".repeat(65)), None);
        assert_eq!(
            (host_id("80f0C086"), host_id("0x1"), host_id("0")),
            (Some(0x80f0_c086), Some(1), Some(0))
        );
        for bad in ["", "0x", "ffffffff", "123456789", "12g", "-1", "+1"] {
            assert_eq!(Kind::HostId.read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_typo_in_a_list_of_words_is_asked_about() {
        let asked = |word: &str| format!("; did you mean \"{word}\"?");
        assert_eq!(Kind::Privileges.meant("\"default,!net_rwa,fly\""), asked("net_raw"));
        assert_eq!(Kind::Privileges.meant("[CAP_SYS_ADMN]"), asked("sys_admin"));
        assert_eq!(Kind::Privileges.meant("[deafult]"), asked("default"));
        assert_eq!(Kind::Privileges.meant("[default,proc_onwer]"), asked("proc_owner"));
        assert_eq!(Kind::Privileges.meant("\"default,fly\""), "");
        assert_eq!(Kind::Words(&["login", "manage"]).meant("[login,mange]"), asked("manage"));
        assert_eq!(Kind::Choice(&["lofs", "tmpfs"]).meant("\"tmpsf\""), asked("tmpfs"));
        assert_eq!(Kind::Addresses.meant("\"dhpc\""), asked("dhcp"));
    }

    proptest! {
        #[test]
        fn what_was_read_reads_the_same_again(word in ".{0,40}") {
            for kind in [Kind::Path, Kind::Text, Kind::HostName, Kind::Bool, Kind::Seconds(99), Kind::Label] {
                if let Some(value) = kind.read(&word) {
                    prop_assert_eq!(kind.read(&value.to_string()), Some(value));
                }
            }
        }
    }
}
