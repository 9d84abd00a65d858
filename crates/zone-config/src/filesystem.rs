//! What an `fs` resource may say: mount options, a closed list for each type, and the directories that nothing is mounted on.
//!
//! All of it is text, so that `zonecfg commit` refuses what a boot would refuse. What an option means to the kernel is
//! `zone-platform`'s.

use crate::config::FsType;

/// A mount option, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountOption<'a> {
    /// `ro`, or `rw`, which takes it back.
    ReadOnly(bool),
    /// `nosuid`, or `suid`, which takes it back.
    NoSuid(bool),
    /// `noexec`, or `exec`, which takes it back.
    NoExec(bool),
    /// `nodev` or `nodevices`, which hold for every file system of a zone anyway.
    NoDevices,
    /// `nosub`: what is mounted below the directory of the host does not come along.
    NoSubmounts,
    /// `rslave`: what the host mounts below the directory from then on appears in the zone; or `rprivate`, which takes it back.
    Follows(bool),
    /// `lower=`: a directory below `special` in an overlay.
    Lower(&'a str),
    /// `upper=`: the directory that keeps what the zone changes in an overlay.
    Upper(&'a str),
    /// An option of tmpfs or nfs that has a value, which the kernel reads as we do; of a bare word it is empty.
    Value(&'static str, &'a str),
}

/// A mount option that its type of file system does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The word is none of the type's options.
    #[error("option {option:?} is not one of {fstype}: {allowed}")]
    Unknown {
        /// What was given.
        option: String,
        /// The type of file system.
        fstype: &'static str,
        /// The options of that type.
        allowed: &'static str,
    },
    /// Devices of a zone come another way.
    #[error("option {0:?} is not allowed: no device node of a file system can be opened in a zone")]
    Devices(String),
    /// The option cannot have this value.
    #[error("option {option:?}: {expected}")]
    Value {
        /// What was given.
        option: String,
        /// The values that it can have.
        expected: &'static str,
    },
}

const FLAGS: [(&str, MountOption<'static>); 8] = [
    ("ro", MountOption::ReadOnly(true)),
    ("rw", MountOption::ReadOnly(false)),
    ("nosuid", MountOption::NoSuid(true)),
    ("suid", MountOption::NoSuid(false)),
    ("noexec", MountOption::NoExec(true)),
    ("exec", MountOption::NoExec(false)),
    ("nodev", MountOption::NoDevices),
    ("nodevices", MountOption::NoDevices),
];

const ON_DISK: &str = "ro, rw, nosuid, suid, noexec, exec, nodev";

/// The options of each type, to follow "allowed: ".
pub const OPTIONS: [(FsType, &str); 9] = [
    (FsType::Lofs, "ro, rw, nosuid, suid, noexec, exec, nodev, nosub, rslave, rprivate"),
    (FsType::Tmpfs, "ro, rw, nosuid, suid, noexec, exec, nodev, size=, nr_inodes=, mode="),
    (FsType::Ext4, ON_DISK),
    (FsType::Xfs, ON_DISK),
    (FsType::Btrfs, ON_DISK),
    (FsType::Vfat, ON_DISK),
    (FsType::Iso9660, ON_DISK),
    (FsType::Overlay, "ro, rw, nosuid, suid, noexec, exec, nodev, upper=, lower="),
    (
        FsType::Nfs,
        "ro, rw, nosuid, suid, noexec, exec, nodev, hard, soft, vers=, port=, timeo=, retrans=, rsize=, wsize=",
    ),
];

/// Lists the options of a type of file system, those that have a value with `=` behind them; without a type, of any.
#[must_use]
pub fn option_words(fstype: Option<FsType>) -> Vec<&'static str> {
    let of = OPTIONS.iter().filter(|(of, _)| fstype.is_none_or(|fstype| fstype == *of));
    of.flat_map(|(_, words)| words.split(", ")).collect()
}

/// Lists the values of an option that [`option_words`] names with `=` behind it, where they are so few.
#[must_use]
pub fn option_values(option: &str) -> &'static [&'static str] {
    if option == "vers=" { &NFS_VERSIONS } else { &[] }
}

/// Understands one mount option of a type of file system.
///
/// # Errors
/// With what is allowed.
pub fn read_option(fstype: FsType, option: &str) -> Result<MountOption<'_>, OptionError> {
    if let Some((_, known)) = FLAGS.iter().find(|(name, _)| *name == option) {
        return Ok(*known);
    }
    match (option, fstype, option.split_once('=')) {
        ("dev" | "devices", ..) => Err(OptionError::Devices(option.to_owned())),
        ("nosub", FsType::Lofs, _) => Ok(MountOption::NoSubmounts),
        ("rslave", FsType::Lofs, _) => Ok(MountOption::Follows(true)),
        ("rprivate", FsType::Lofs, _) => Ok(MountOption::Follows(false)),
        (_, FsType::Overlay, Some(("upper" | "lower", path))) if !path.starts_with('/') => {
            Err(OptionError::Value { option: option.to_owned(), expected: "an absolute path of the host" })
        }
        (_, FsType::Overlay, Some(("lower", path))) => Ok(MountOption::Lower(path)),
        (_, FsType::Overlay, Some(("upper", path))) => Ok(MountOption::Upper(path)),
        ("hard", FsType::Nfs, _) => Ok(MountOption::Value("hard", "")),
        ("soft", FsType::Nfs, _) => Ok(MountOption::Value("soft", "")),
        (_, FsType::Tmpfs, Some((name, value))) => read_value(&VALUES, fstype, option, name, value),
        (_, FsType::Nfs, Some((name, value))) => read_value(&OF_NFS, fstype, option, name, value),
        _ => Err(unknown(fstype, option)),
    }
}

fn read_value<'a>(
    known: &[Valued],
    fstype: FsType,
    option: &str,
    name: &str,
    value: &'a str,
) -> Result<MountOption<'a>, OptionError> {
    match known.iter().find(|(one, ..)| *one == name) {
        None => Err(unknown(fstype, option)),
        Some(&(name, fits, _)) if fits(value) => Ok(MountOption::Value(name, value)),
        Some(&(_, _, expected)) => Err(OptionError::Value { option: option.to_owned(), expected }),
    }
}

/// Takes what is mounted of a server apart: its name or address, and the directory there. An address of IPv6 is in brackets.
///
/// # Errors
/// With what is allowed.
pub fn server(special: &str) -> Result<(&str, &str), &'static str> {
    const ALLOWED: &str = "a server and a directory of it, such as nas:/export or [fd00::1]:/export";
    let (host, path) = special.split_once(":/").ok_or(ALLOWED)?;
    let path = &special[special.len() - path.len() - 1..];
    let is_name = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        (1..=253).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let fits = address.map_or_else(|| is_name(host), |text| text.parse::<std::net::Ipv6Addr>().is_ok());
    // The kernel takes no longer path, and the table of mounts shows it.
    let plain = path.len() < 1024 && !path.bytes().any(|byte| byte.is_ascii_control());
    if fits && plain { Ok((address.unwrap_or(host), path)) } else { Err(ALLOWED) }
}

/// What options lack that are understood each: an overlay of one directory would be that directory.
#[must_use]
pub fn lacking(fstype: FsType, options: &[String]) -> Option<&'static str> {
    let names = |wanted: &str| options.iter().filter(|option| option.starts_with(wanted)).count();
    match (fstype, names("upper="), names("lower=")) {
        (FsType::Overlay, 0, 0) => Some(
            "an overlay needs upper=, a directory for what the zone changes, or lower=, one below special",
        ),
        (FsType::Overlay, 2.., _) => Some("an overlay has one upper="),
        _ => None,
    }
}

fn unknown(fstype: FsType, option: &str) -> OptionError {
    let allowed = OPTIONS.iter().find(|(of, _)| *of == fstype).map_or("", |(_, words)| words);
    OptionError::Unknown { option: option.to_owned(), fstype: fstype.as_str(), allowed }
}

/// An option that has a value: its name, whether a value fits, and what would.
type Valued = (&'static str, fn(&str) -> bool, &'static str);

const VALUES: [Valued; 3] = [
    ("size", is_size_or_share, "a size is a number from 1, with k, m, g or % behind it if need be"),
    ("nr_inodes", is_size, "a number from 1, with k, m or g behind it if need be"),
    ("mode", is_mode, "a mode is up to four octal digits, such as 1777"),
];

const NFS_VERSIONS: [&str; 3] = ["4.0", "4.1", "4.2"];

const OF_NFS: [Valued; 6] = [
    ("vers", |value| NFS_VERSIONS.contains(&value), "one of 4.0, 4.1, 4.2"),
    ("port", |value| is_number(value, 65_535), "a port is a number from 1 to 65535"),
    ("timeo", |value| is_number(value, 60_000), "tenths of a second, from 1 to 60000"),
    ("retrans", |value| is_number(value, 100), "a number from 1 to 100"),
    ("rsize", |value| is_number(value, 1_048_576), "bytes, from 1 to 1048576"),
    ("wsize", |value| is_number(value, 1_048_576), "bytes, from 1 to 1048576"),
];

fn is_mode(value: &str) -> bool {
    (1..=4).contains(&value.len()) && value.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
}

fn is_size_or_share(value: &str) -> bool {
    value.strip_suffix('%').is_some_and(|number| is_number(number, 100)) || is_size(value)
}

fn is_size(value: &str) -> bool {
    // The kernel lets too large a number wrap around; this much of any unit does not.
    is_number(value.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G']).unwrap_or(value), u64::MAX >> 30)
}

/// Digits only, and not 0, which is the kernel's word for "no limit".
fn is_number(text: &str, most: u64) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u64>().is_ok_and(|number| (1..=most).contains(&number))
}

/// Directories whose content is the kernel's or ours, with what is below them.
const RESERVED: [(&str, &str); 5] = [
    ("/proc", "the zone has its own /proc"),
    ("/sys", "the zone has its own /sys"),
    ("/dev/pts", "the zone has its own terminals"),
    ("/dev/mqueue", "the zone has its own message queues"),
    ("/native", "the zone's init is there"),
];

/// Directories of which only what is below can be mounted on.
const RESERVED_ITSELF: [(&str, &str); 3] = [
    ("/dev", "the zone has its own /dev, of which a directory below can be mounted on"),
    ("/dev/console", "the zone's console is there"),
    ("/run", "the zone has its own /run, of which a directory below can be mounted on"),
];

/// Why nothing may be mounted on a directory of a zone, an absolute path without `.`, `..` and doubled slashes; `None` when
/// it may.
#[must_use]
pub fn reserved(dir: &str) -> Option<&'static str> {
    let is_within =
        |at: &str| dir.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let within = RESERVED.iter().find(|(at, _)| is_within(at));
    within.or_else(|| RESERVED_ITSELF.iter().find(|(at, _)| *at == dir)).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_type_has_its_options() {
        for (fstype, words) in OPTIONS {
            for word in words.split(", ") {
                let value = match word {
                    "mode=" => "700",
                    "upper=" | "lower=" => "/srv",
                    "vers=" => "4.2",
                    _ => "1",
                };
                let option = if word.ends_with('=') { format!("{word}{value}") } else { word.to_owned() };
                assert!(read_option(fstype, &option).is_ok(), "{fstype:?} {option}");
            }
        }
        assert_eq!(read_option(FsType::Tmpfs, "size=20%"), Ok(MountOption::Value("size", "20%")));
        for bad in ["size=1m", "dev", "bind", "ro=1", "uid=0", " ro", ""] {
            assert!(read_option(FsType::Lofs, bad).is_err(), "{bad}");
        }
        for bad in [
            "nosub",
            "size=",
            "size=0",
            "size=0%",
            "size=x",
            "size=1m=2",
            "size=101%",
            "mode=8",
            "mode=17777",
        ] {
            assert!(read_option(FsType::Tmpfs, bad).is_err(), "{bad}");
        }
        for bad in ["upper=", "lower=srv", "upperdir=/srv", "size=1m", "rslave"] {
            assert!(read_option(FsType::Overlay, bad).is_err(), "{bad}");
        }
        let given = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(lacking(FsType::Overlay, &given(&["ro"])).is_some_and(|text| text.contains("needs upper=")));
        assert!(lacking(FsType::Overlay, &given(&["upper=/a", "upper=/b"])).is_some());
        assert_eq!(lacking(FsType::Overlay, &given(&["upper=/a"])), None);
        assert_eq!(lacking(FsType::Overlay, &given(&["lower=/a", "lower=/b"])), None);
        assert_eq!(lacking(FsType::Lofs, &[]), None);
        for bad in ["uid=0", "size=99999999999999999999g", "nr_inodes=0", "devices"] {
            assert!(read_option(FsType::Tmpfs, bad).is_err(), "{bad}");
        }
        for bad in
            ["vers=3", "vers=", "port=0", "port=65536", "sec=krb5", "addr=10.0.0.1", "soft=1", "nolock"]
        {
            assert!(read_option(FsType::Nfs, bad).is_err(), "{bad}");
        }
        let error = read_option(FsType::Lofs, "bind").unwrap_err();
        assert!(error.to_string().starts_with("option \"bind\" is not one of lofs: ro, rw,"), "{error}");
    }

    #[test]
    fn a_server_and_its_directory() {
        assert_eq!(server("nas:/export"), Ok(("nas", "/export")));
        assert_eq!(server("10.0.0.1:/"), Ok(("10.0.0.1", "/")));
        assert_eq!(server("[fd00::1]:/a:/b"), Ok(("fd00::1", "/a:/b")));
        for bad in [
            "",
            "/export",
            "nas",
            "nas:export",
            ":/x",
            "-o:/x",
            "fd00::1:/x",
            "[nas]:/x",
            "a b:/x",
            "nas:/a\nb",
        ] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reserved_directories() {
        for dir in ["/proc", "/proc/sys", "/dev", "/dev/console", "/run", "/native/bin"] {
            assert!(reserved(dir).is_some(), "{dir}");
        }
        for dir in ["/process", "/dev/shm", "/run/data", "/data", "/nativ"] {
            assert_eq!(reserved(dir), None, "{dir}");
        }
    }

    proptest! {
        #[test]
        fn no_value_passes_unread(text in ".{0,20}") {
            if let Ok(MountOption::Value(_, value)) = read_option(FsType::Tmpfs, &text) {
                prop_assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'%'));
            }
        }
    }
}
