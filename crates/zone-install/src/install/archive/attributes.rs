//! What an archive says of an entry beside owner, mode and time: extended attributes, access control lists and
//! file flags, under the names that the several writers give them.

use super::pax::Records;
use crate::install::Left;
use crate::install::acl::{self, Acl, Names};
use crate::install::target::{Xattrs, keeps_xattr};

/// The longest list of names that a file's attributes have (`XATTR_LIST_MAX`).
const LONGEST_LIST: usize = 65536;

/// Attributes of one entry, and what could not be taken along.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) xattrs: Xattrs,
    /// Lists with names in them, to be looked up when everything is there.
    pub(super) acls: Vec<Acl>,
    pub(super) left: Left,
}

/// Gathers them from the records that are in force for an entry.
pub(super) fn of(records: &Records) -> Attributes {
    let mut found = Attributes::default();
    let decoded = records.prefixed("LIBARCHIVE.xattr.").map(|(name, value)| (percent(name), base64(value)));
    let plain =
        records.prefixed("SCHILY.xattr.").map(|(name, value)| (Some(name.to_vec()), Some(value.to_vec())));
    // bsdtar writes both; what stands there as it is comes last and counts.
    for (name, value) in decoded.chain(plain) {
        match (name, value) {
            (Some(name), Some(value)) if keeps_xattr(&name) && !name.contains(&0) && name.len() <= 255 => {
                if value.len() > acl::LONGEST || names(&found.xattrs) + name.len() >= LONGEST_LIST {
                    found.left.unsupported += 1;
                    continue;
                }
                set(&mut found.xattrs, name, value);
            }
            (Some(name), _) if found.xattrs.iter().any(|(known, _)| *known == name) => {}
            _ => found.left.xattrs += 1,
        }
    }
    // A label, as Red Hat's tar writes it.
    found.left.xattrs += u64::from(records.get("RHT.security.selinux").is_some());
    for (key, attribute) in [
        ("SCHILY.acl.access", &b"system.posix_acl_access"[..]),
        ("SCHILY.acl.default", b"system.posix_acl_default"),
    ] {
        let Some(text) = records.get(key) else { continue };
        match Acl::parse(attribute, text) {
            Some(acl) if acl.has_names() => found.acls.push(acl),
            Some(acl) => match acl.encode(&Names::default()) {
                Some(value) => set(&mut found.xattrs, attribute.to_vec(), value),
                None => found.left.acls += 1,
            },
            None => found.left.acls += 1,
        }
    }
    // Lists of NFSv4, which no file system of Linux keeps.
    found.left.acls += u64::from(records.get("SCHILY.acl.ace").is_some());
    found.left.flags += u64::from(records.get("SCHILY.fflags").is_some());
    found
}

/// Bytes of the list of their names, as the kernel has it.
fn names(xattrs: &Xattrs) -> usize {
    xattrs.iter().map(|(name, _)| name.len() + 1).sum()
}

fn set(xattrs: &mut Xattrs, name: Vec<u8>, value: Vec<u8>) {
    xattrs.retain(|(earlier, _)| *earlier != name);
    xattrs.push((name, value));
}

/// Undoes URL encoding.
fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            plain.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            plain.push(*byte);
            rest = tail;
        }
    }
    Some(plain)
}

/// Undoes base64 (RFC 4648, section 4), with or without the padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let digits = text.iter().rev().skip_while(|byte| **byte == b'=').count();
    let mut plain = Vec::with_capacity(digits * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for byte in &text[..digits] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            plain.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    (held < 6).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encodings_are_undone() {
        assert_eq!(percent(b"user.a%20b%25"), Some(b"user.a b%".to_vec()));
        assert_eq!(percent(b"%4"), None);
        assert_eq!(base64(b"aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64(b"aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(base64(b"AP//"), Some(vec![0, 255, 255]));
        assert_eq!(base64(b"a"), None);
        assert_eq!(base64(b"a?b="), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (percent(&text), base64(&text), Acl::parse(b"", &text));
        }
    }
}
