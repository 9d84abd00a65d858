//! The mount options of `fs` resources: a closed list for each type, nothing of which reaches the kernel unread.

use zone_config::config::FsType;
use zone_sys::mount::MountAttr;

/// A mount option that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such option for this type.
    #[error("option {option:?} is not one of {fstype}: {allowed}")]
    Unknown {
        /// What was given.
        option: String,
        /// The type.
        fstype: &'static str,
        /// Those there are.
        allowed: String,
    },
    /// Devices come another way.
    #[error("option {0:?} is not allowed: no device node of a file system can be opened in a zone")]
    Devices(String),
    /// A value that its option cannot have.
    #[error("option {option:?}: {expected}")]
    Value {
        /// What was given.
        option: String,
        /// What would be right.
        expected: &'static str,
    },
}

const FLAGS: [(&str, MountAttr, bool); 6] = [
    ("ro", MountAttr::RDONLY, true),
    ("rw", MountAttr::RDONLY, false),
    ("nosuid", MountAttr::NOSUID, true),
    ("suid", MountAttr::NOSUID, false),
    ("noexec", MountAttr::NOEXEC, true),
    ("exec", MountAttr::NOEXEC, false),
];
const LOFS: &str = "ro, rw, nosuid, suid, noexec, exec, nodev, nosub";
const TMPFS: &str = "ro, rw, nosuid, suid, noexec, exec, nodev, size=, nr_inodes=, mode=";

/// The size of a tmpfs that names none: the kernel's own is half of the memory, for each.
const SIZE: (&str, &str) = ("size", "10%");

/// The options of one `fs` resource. A later option takes back an earlier one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// Always with `NODEV`.
    pub(crate) attributes: MountAttr,
    /// Of a lofs, whether what is mounted below comes too.
    pub(crate) recursive: bool,
    /// Of a tmpfs, with their names.
    pub(crate) values: Vec<(&'a str, &'a str)>,
    set: Vec<MountAttr>,
}

impl<'a> Options<'a> {
    pub(crate) fn parse(fstype: FsType, given: &'a [String]) -> Result<Self, OptionError> {
        let (mut set, mut recursive) = (Vec::new(), true);
        let mut values: Vec<(&str, &str)> = Vec::new();
        for option in given.iter().map(|option| option.trim()) {
            if let Some((_, attr, on)) = FLAGS.iter().find(|(name, ..)| *name == option) {
                set.retain(|other| other != attr);
                set.extend(on.then_some(*attr));
                continue;
            }
            match (option, fstype, option.split_once('=')) {
                ("nodev" | "nodevices", ..) => {}
                ("dev" | "devices", ..) => return Err(OptionError::Devices(option.to_owned())),
                ("nosub", FsType::Lofs, _) => recursive = false,
                (_, FsType::Tmpfs, Some((name @ ("size" | "nr_inodes" | "mode"), value))) => {
                    check_value(name, value)
                        .map_err(|expected| OptionError::Value { option: option.to_owned(), expected })?;
                    values.retain(|(other, _)| *other != name);
                    values.push((name, value));
                }
                _ => return Err(unknown(option, fstype)),
            }
        }
        if !values.iter().any(|(name, _)| *name == SIZE.0) {
            values.push(SIZE);
        }
        let attributes = set.iter().fold(MountAttr::NODEV, |all, attr| all.and(*attr));
        Ok(Self { attributes, recursive, values, set })
    }

    pub(crate) fn has(&self, attr: MountAttr) -> bool {
        self.set.contains(&attr)
    }

    pub(crate) fn read_only(&self) -> bool {
        self.has(MountAttr::RDONLY)
    }
}

fn unknown(option: &str, fstype: FsType) -> OptionError {
    let allowed = match fstype {
        FsType::Lofs => LOFS,
        FsType::Tmpfs => TMPFS,
    };
    OptionError::Unknown { option: option.to_owned(), fstype: fstype.as_str(), allowed: allowed.to_owned() }
}

fn check_value(name: &str, value: &str) -> Result<(), &'static str> {
    match name {
        "mode" => {
            let octal = value.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            let right = octal && (1..=4).contains(&value.len());
            if right { Ok(()) } else { Err("a mode is up to four octal digits, such as 1777") }
        }
        "size" => {
            let percent = value.strip_suffix('%').is_some_and(|number| is_number(number, 100));
            let right = percent || is_size(value);
            if right {
                Ok(())
            } else {
                Err("a size is a number from 1, with k, m, g or % behind it if need be")
            }
        }
        _ if is_size(value) => Ok(()),
        _ => Err("a number from 1, with k, m or g behind it if need be"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn given(text: &str) -> Vec<String> {
        text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn the_options() {
        let text = given("ro,nosuid,rw,nosub");
        let lofs = Options::parse(FsType::Lofs, &text).unwrap();
        assert!(!lofs.read_only() && !lofs.recursive && lofs.has(MountAttr::NOSUID));
        assert_eq!(lofs.attributes, MountAttr::NODEV.and(MountAttr::NOSUID));
        let text = given("size=1m,mode=700,size=20%");
        let tmpfs = Options::parse(FsType::Tmpfs, &text).unwrap();
        assert_eq!(tmpfs.values, [("mode", "700"), ("size", "20%")]);
        assert_eq!(Options::parse(FsType::Tmpfs, &[]).unwrap().values, [SIZE]);
        for bad in ["size=1m", "dev", "bind", "ro=1", "uid=0"] {
            assert!(Options::parse(FsType::Lofs, &given(bad)).is_err(), "{bad}");
        }
        for bad in [
            "nosub",
            "size=",
            "size=0",
            "size=0%",
            "size=x",
            "mode=8",
            "mode=17777",
            "uid=0",
            "size=1m=2",
            "size=101%",
            "size=99999999999999999999g",
            "nr_inodes=0",
        ] {
            assert!(Options::parse(FsType::Tmpfs, &given(bad)).is_err(), "{bad}");
        }
        let error = Options::parse(FsType::Lofs, &given("bind")).unwrap_err();
        assert!(error.to_string().starts_with("option \"bind\" is not one of lofs: ro, rw,"), "{error}");
    }

    proptest! {
        #[test]
        fn nothing_passes_unread(text in ".{0,20}") {
            let words = [text.clone()];
            if let Ok(options) = Options::parse(FsType::Tmpfs, &words) {
                prop_assert!(options.values.iter().all(|(_, value)| value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'%')));
            }
        }
    }
}
