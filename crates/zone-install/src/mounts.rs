//! Which mounts lie below a directory, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The mount points strictly below `directory`, in the caller's mount namespace, in mount order.
///
/// # Errors
/// [`Error::Io`] when `/proc/self/mountinfo` cannot be read.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut points = at_or_below(directory)?;
    points.retain(|point| point != directory);
    Ok(points)
}

/// As [`below`], with those on the directory itself.
pub(crate) fn at_or_below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    const FILE: &str = "/proc/self/mountinfo";
    let text = std::fs::read(FILE).map_err(|source| Error::io("read", FILE, source))?;
    Ok(points(&text).filter(|point| point.starts_with(directory)).collect())
}

/// The mount points of a mountinfo text: the fifth field of each line.
fn points(text: &[u8]) -> impl Iterator<Item = PathBuf> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(unescape(field)))
}

/// Undoes the kernel's `\ooo` for blank, tab, newline and backslash.
fn unescape(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        match octal(rest) {
            Some((value, tail)) => {
                plain.push(value);
                rest = tail;
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    // The kernel appends this to the path of a mount point whose directory was removed.
    let name = OsString::from_vec(plain);
    name.as_bytes()
        .strip_suffix(b"//deleted")
        .map_or_else(|| name.clone(), |bytes| OsString::from_vec(bytes.to_vec()))
}

fn octal(field: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = field.strip_prefix(b"\\")?.split_at_checked(3)?;
    let text = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(text, 8).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fifth_field_is_the_mount_point() {
        let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n\
                     37 35 0:5 / /a\\040b\\134c rw - tmpfs t rw\n\n";
        let found: Vec<_> = points(text).collect();
        assert_eq!(found, [PathBuf::from("/mnt2"), PathBuf::from("/a b\\c")]);
    }

    #[test]
    fn only_what_is_strictly_below_counts() {
        let found = below(Path::new("/")).unwrap();
        assert!(found.contains(&PathBuf::from("/proc")));
        assert!(!found.contains(&PathBuf::from("/")));
        assert!(below(Path::new("/pro")).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = points(&text).count();
        }

        #[test]
        fn escaping_is_undone(name in "[a-z /\\\\\t]{0,40}") {
            let escaped: String = name.chars().map(|c| match c {
                ' ' | '\\' | '\t' => format!("\\{:03o}", u32::from(c)),
                other => other.to_string(),
            }).collect();
            prop_assert_eq!(unescape(escaped.as_bytes()), OsString::from(name));
        }
    }
}
