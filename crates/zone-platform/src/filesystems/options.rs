//! The mount options of `fs` resources, as flags and values for the kernel.

use rustix::mount::MountAttrFlags;
use zone_config::config::FsType;
use zone_config::filesystem::{MountOption, OptionError, read_option};
use zone_sys::mount::MountAttr;

use crate::mounts::Below;

/// The size of a tmpfs that names none: the kernel's own is half of the memory, for each.
const SIZE: (&str, &str) = ("size", "10%");

/// The options of one `fs` resource. A later option takes back an earlier one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// Always with `NODEV`.
    pub(crate) attributes: MountAttr,
    /// Of a lofs, whether what is mounted below comes too.
    pub(crate) recursive: bool,
    /// Of a lofs, whether what the host mounts below later comes too.
    pub(crate) follows: bool,
    /// Of a tmpfs or a server's, with their names.
    pub(crate) values: Vec<(&'a str, &'a str)>,
    set: Vec<MountAttr>,
}

impl<'a> Options<'a> {
    pub(crate) fn parse(fstype: FsType, given: &'a [String]) -> Result<Self, OptionError> {
        let (mut set, mut recursive, mut follows) = (Vec::new(), true, false);
        let mut values: Vec<(&str, &str)> = Vec::new();
        let mut switch = |attr: MountAttr, on: bool| {
            set.retain(|other| *other != attr);
            set.extend(on.then_some(attr));
        };
        for option in given {
            match read_option(fstype, option)? {
                MountOption::ReadOnly(on) => switch(MountAttr::RDONLY, on),
                MountOption::NoSuid(on) => switch(MountAttr::NOSUID, on),
                MountOption::NoExec(on) => switch(MountAttr::NOEXEC, on),
                MountOption::NoDevices => {}
                MountOption::NoSubmounts => recursive = false,
                MountOption::Follows(on) => follows = on,
                // They are paths of the specification.
                MountOption::Lower(_) | MountOption::Upper(_) => {}
                MountOption::Value(name, value) => {
                    let same = |other: &str| {
                        other == name || [("hard", "soft"), ("soft", "hard")].contains(&(other, name))
                    };
                    values.retain(|(other, _)| !same(other));
                    values.push((name, value));
                }
            }
        }
        if fstype == FsType::Iso9660 && !set.contains(&MountAttr::RDONLY) {
            // There is no other way to mount one.
            set.push(MountAttr::RDONLY);
        }
        if fstype == FsType::Tmpfs && !values.iter().any(|(name, _)| *name == SIZE.0) {
            values.push(SIZE);
        }
        let attributes = set.iter().fold(MountAttr::NODEV, |all, attr| all | *attr);
        Ok(Self { attributes, recursive, follows, values, set })
    }

    /// Those of a layer of an overlay.
    pub(crate) fn of_layer(attributes: MountAttr) -> Self {
        let set = if attributes.is_empty() { Vec::new() } else { vec![attributes] };
        Self {
            attributes: attributes | MountAttr::NODEV,
            recursive: false,
            follows: false,
            values: Vec::new(),
            set,
        }
    }

    /// What comes along of what is mounted below.
    pub(crate) fn below(&self) -> Below {
        Below { now: self.recursive, later: self.follows }
    }

    /// The same as `attributes`, for a file system that is made.
    pub(crate) fn mount_attributes(&self) -> MountAttrFlags {
        let attributes = [
            (MountAttr::RDONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
            (MountAttr::NOSUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
            (MountAttr::NOEXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        ];
        let wanted = attributes.into_iter().filter(|(attr, _)| self.has(*attr)).map(|(_, flag)| flag);
        wanted.fold(MountAttrFlags::MOUNT_ATTR_NODEV, |all, flag| all | flag)
    }

    pub(crate) fn has(&self, attr: MountAttr) -> bool {
        self.set.contains(&attr)
    }

    pub(crate) fn read_only(&self) -> bool {
        self.has(MountAttr::RDONLY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Vec<String> {
        text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_later_option_takes_back_an_earlier_one() {
        let text = given("ro,nosuid,rw,nosub");
        let lofs = Options::parse(FsType::Lofs, &text).unwrap();
        assert!(!lofs.read_only() && !lofs.recursive && lofs.has(MountAttr::NOSUID));
        assert_eq!(lofs.attributes, MountAttr::NODEV | MountAttr::NOSUID);
        let text = given("size=1m,mode=700,size=20%");
        let tmpfs = Options::parse(FsType::Tmpfs, &text).unwrap();
        assert_eq!(tmpfs.values, [("mode", "700"), ("size", "20%")]);
        assert_eq!(Options::parse(FsType::Tmpfs, &[]).unwrap().values, [SIZE]);
        assert!(Options::parse(FsType::Iso9660, &given("rw")).unwrap().read_only());
        let text = given("soft,ro,hard,vers=4.1");
        let nfs = Options::parse(FsType::Nfs, &text).unwrap();
        assert_eq!(nfs.values, [("hard", ""), ("vers", "4.1")]);
        assert!(Options::parse(FsType::Lofs, &given("bogus")).is_err());
    }
}
