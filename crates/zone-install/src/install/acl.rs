//! POSIX access control lists as archives have them (text, with names) and as the kernel takes them (acl(5)).
//!
//! tar(1) writes them with the names of the machine that it runs on; bsdtar adds the numbers. A name means what
//! the `/etc/passwd` and `/etc/group` that are unpacked beside it say, never what the host's say.

use std::collections::HashMap;
use std::io::Read;

use rustix::fd::AsFd;
use rustix::fs::{FileType, OFlags};

/// Version of the kernel's form (`POSIX_ACL_XATTR_VERSION`).
const VERSION: u32 = 2;
/// The attributes that hold lists: what a file allows, and what is made in a directory is to allow.
pub(crate) const ACCESS: &[u8] = b"system.posix_acl_access";
pub(crate) const DEFAULT: &[u8] = b"system.posix_acl_default";
/// The longest value of an attribute.
pub(crate) const LONGEST: usize = 65536;
/// Entries that fit into the longest attribute (64 KiB), of 8 bytes each behind 4 of version.
const MOST_ENTRIES: usize = (LONGEST - 4) / 8;
/// Bytes of a file of users or groups; a longer one is not read.
const LONGEST_FILE: u64 = 4 << 20;

/// Whom an entry is for. The numbers are the kernel's tags, in the order that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Owner = 1,
    User = 2,
    OwningGroup = 4,
    Group = 8,
    Mask = 16,
    Other = 32,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// The owner, the mask, others.
    Nobody,
    Id(u32),
    Name(Vec<u8>),
}

/// The list of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acl {
    /// The extended attribute that holds it.
    pub(crate) attribute: &'static [u8],
    entries: Vec<(Tag, Who, u16)>,
}

impl Acl {
    /// Reads the text of a list, whose entries are apart by commas or newlines; `None` when it is not one.
    pub(crate) fn parse(attribute: &'static [u8], text: &[u8]) -> Option<Self> {
        let mut entries = Vec::new();
        for line in text.split(|byte| *byte == b'\n' || *byte == b',') {
            // "#effective:r--" and other remarks.
            let line = line.split(|byte| *byte == b'#').next()?.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if entries.len() == MOST_ENTRIES {
                return None;
            }
            entries.push(entry(line)?);
        }
        (!entries.is_empty()).then_some(Self { attribute, entries })
    }

    /// True when it has names in it that have to be looked up.
    pub(crate) fn has_names(&self) -> bool {
        self.entries.iter().any(|(_, who, _)| matches!(who, Who::Name(_)))
    }

    /// Bytes that it takes while it waits for the names, roughly.
    pub(crate) fn weight(&self) -> usize {
        let name = |who: &Who| if let Who::Name(name) = who { name.len() } else { 0 };
        self.entries.iter().map(|(_, who, _)| name(who) + size_of::<(Tag, Who, u16)>()).sum()
    }

    /// The list as the kernel takes it; `None` when a name is not known.
    pub(crate) fn encode(&self, names: &Names) -> Option<Vec<u8>> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for (tag, who, permissions) in &self.entries {
            let id = match who {
                Who::Nobody => u32::MAX,
                Who::Id(id) => *id,
                Who::Name(name) if *tag == Tag::User => *names.users.get(name)?,
                Who::Name(name) => *names.groups.get(name)?,
            };
            entries.push((*tag, id, *permissions));
        }
        entries.sort_unstable();
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, id, permissions) in entries {
            bytes.extend((tag as u16).to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        Some(bytes)
    }
}

/// Gives the ids in a list, in the kernel's form, as `shifted` says; true when there was one.
pub(crate) fn shift(list: &mut [u8], shifted: impl Fn(u32) -> u32) -> bool {
    let mut any = false;
    for entry in list.get_mut(4..).unwrap_or_default().chunks_exact_mut(8) {
        let [tag, tag_high, _, _, id @ ..] = entry else { continue };
        let tag = u16::from_le_bytes([*tag, *tag_high]);
        if let (true, Ok(known)) =
            (tag == Tag::User as u16 || tag == Tag::Group as u16, <[u8; 4]>::try_from(&*id))
        {
            id.copy_from_slice(&shifted(u32::from_le_bytes(known)).to_le_bytes());
            any = true;
        }
    }
    any
}

/// Reads `user:NAME:rwx`, with the number behind it where bsdtar has written one.
fn entry(line: &[u8]) -> Option<(Tag, Who, u16)> {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let (kind, who, permissions, id) = match parts.as_slice() {
        // The name's place may be missing where there is never one.
        [kind @ (b"mask" | b"m" | b"other" | b"o"), permissions] => (*kind, &b""[..], *permissions, None),
        [kind, who, permissions] => (*kind, *who, *permissions, None),
        [kind, who, permissions, id] => (*kind, *who, *permissions, Some(number(id)?)),
        _ => return None,
    };
    let tag = match (kind, who.is_empty()) {
        (b"user" | b"u", true) => Tag::Owner,
        (b"user" | b"u", false) => Tag::User,
        (b"group" | b"g", true) => Tag::OwningGroup,
        (b"group" | b"g", false) => Tag::Group,
        (b"mask" | b"m", true) => Tag::Mask,
        (b"other" | b"o", true) => Tag::Other,
        _ => return None,
    };
    let who = match (who, id.or_else(|| number(who))) {
        (b"", _) => Who::Nobody,
        (_, Some(id)) => Who::Id(id),
        (name, None) => Who::Name(name.to_vec()),
    };
    let mut bits = 0;
    for letter in permissions {
        bits |= match letter {
            b'r' => 4,
            b'w' => 2,
            b'x' => 1,
            b'-' => 0,
            _ => return None,
        };
    }
    Some((tag, who, bits))
}

/// A number that may be an id; the last one stands for none.
fn number(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok().filter(|id| *id != u32::MAX)
}

/// The users and groups of a root.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: HashMap<Vec<u8>, u32>,
    groups: HashMap<Vec<u8>, u32>,
}

impl Names {
    /// Reads them from `etc/passwd` and `etc/group` inside a root; what cannot be read names nobody.
    pub(crate) fn of(root: impl AsFd) -> Self {
        Self { users: table(&root, "etc/passwd"), groups: table(&root, "etc/group") }
    }
}

/// First and third field of each line. The first of several lines with one name counts (getpwnam(3)).
fn table(root: impl AsFd, path: &str) -> HashMap<Vec<u8>, u32> {
    let mut table = HashMap::new();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(fd) = zone_sys::path::in_root(root, path, flags) else { return table };
    let is_file = rustix::fs::fstat(&fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let mut text = Vec::new();
    let read = std::fs::File::from(fd).take(LONGEST_FILE + 1).read_to_end(&mut text);
    if !is_file || read.is_err() || text.len() as u64 > LONGEST_FILE {
        return table;
    }
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        if let (Some(name), Some(id)) = (fields.next(), fields.nth(1).and_then(number)) {
            table.entry(name.to_vec()).or_insert(id);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Acl> {
        Acl::parse(ACCESS, text.as_bytes())
    }

    fn entries(bytes: &[u8]) -> Vec<(u16, u16, u32)> {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!(bytes[..4], 2u32.to_le_bytes());
        (4..bytes.len())
            .step_by(8)
            .map(|at| {
                (short(at), short(at + 2), u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()))
            })
            .collect()
    }

    #[test]
    fn names_mean_what_the_root_says() {
        let mut names = Names::default();
        names.users.insert(b"lisa".to_vec(), 501);
        names.groups.insert(b"lisa".to_vec(), 77);
        let text = "user::rw-\nuser:lisa:r-x\t#effective:r--\nuser:12:rwx\ngroup::r--\ngroup:lisa:---\nmask::r--\nother::r--\n\n";
        let acl = parse(text).unwrap();
        assert!(acl.has_names());
        assert_eq!(acl.encode(&Names::default()), None);
        let none = u32::MAX;
        assert_eq!(
            entries(&acl.encode(&names).unwrap()),
            [(1, 6, none), (2, 7, 12), (2, 5, 501), (4, 4, none), (8, 0, 77), (16, 4, none), (32, 4, none)],
            "in the kernel's order"
        );
    }

    #[test]
    fn only_ids_are_shifted() {
        let names = Names::default();
        let mut list = parse("u::rw-,u:12:rwx,g::r--,g:7:---,m::rwx,o::r--").unwrap().encode(&names).unwrap();
        assert!(shift(&mut list, |id| 8192 + id));
        assert_eq!(
            list,
            parse("u::rw-,u:8204:rwx,g::r--,g:8199:---,m::rwx,o::r--").unwrap().encode(&names).unwrap()
        );
        let mut plain = parse("u::rw-,g::r--,o::r--").unwrap().encode(&names).unwrap();
        assert!(!shift(&mut plain, |id| id + 1) && !shift(&mut [2, 0], |id| id));
    }

    #[test]
    fn bsdtar_writes_the_number_behind() {
        let acl = parse("user::rwx,group::r-x,other::r-x,user:lisa:rwx:502,mask:rwx").unwrap();
        assert!(!acl.has_names());
        assert!(entries(&acl.encode(&Names::default()).unwrap()).contains(&(2, 7, 502)));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for bad in
            ["", "user", "user::rwz", "mask:x:rwx", "other:1:rwx", "user:a:rwx:x", "x::rwx", "u:a:b:c:d"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&"u:1:rwx,".repeat(MOST_ENTRIES + 1)), None);
    }
}
