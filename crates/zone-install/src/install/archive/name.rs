//! Names in an archive, made safe.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// `PATH_MAX` and `NAME_MAX` of Linux, without the closing NUL.
pub(super) const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It would leave the root, for this reason.
    Leaves(&'static str),
    /// It has this, and Linux takes no path so long.
    TooLong(&'static str),
    /// It is no file name.
    Malformed(&'static str),
}

/// The name as a path relative to the root: without `.` components and superfluous slashes; the root itself
/// is the empty path.
///
/// Archives of a root are made with names such as `./etc/passwd` or `etc/passwd`. A name that begins with
/// `/` says where the file was on another machine, and `..` says to go up: both are refused and not
/// reinterpreted, since an archive with such names was not made to be unpacked into a root (or was made to
/// break out of one).
pub(super) fn inside(raw: &[u8]) -> Result<PathBuf, Wrong> {
    if raw.contains(&0) {
        return Err(Wrong::Malformed("has a NUL in its name"));
    }
    if raw.len() > LONGEST_PATH {
        return Err(Wrong::TooLong("a name of more than 4095 bytes"));
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(raw)).components() {
        match component {
            Component::Normal(name) if name.len() > LONGEST_NAME => {
                return Err(Wrong::TooLong("a component of more than 255 bytes in its name"));
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(Wrong::Leaves("its name has '..' in it")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(Wrong::Leaves("its name begins with '/'"));
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_relative_or_refused() {
        let ok = |raw: &str| inside(raw.as_bytes()).unwrap();
        assert_eq!(ok("./etc//passwd"), Path::new("etc/passwd"));
        assert_eq!(ok("etc/./x/"), Path::new("etc/x"));
        assert_eq!(ok("./"), Path::new(""));
        assert_eq!(ok("..."), Path::new("..."));
        for bad in ["..", "a/../b", "/etc/passwd", "//x", "./..", "a/.."] {
            assert!(matches!(inside(bad.as_bytes()), Err(Wrong::Leaves(_))), "{bad}");
        }
        assert!(matches!(inside(b"a\0b"), Err(Wrong::Malformed(_))));
        assert!(matches!(inside(&[b'x'; 256]), Err(Wrong::TooLong(_))));
        assert!(matches!(inside(&b"x/".repeat(3000)), Err(Wrong::TooLong(_))));
    }

    proptest! {
        #[test]
        fn nothing_but_plain_components_comes_out(raw in "[a./\\PC]{0,40}") {
            if let Ok(path) = inside(raw.as_bytes()) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(inside(path.as_os_str().as_bytes()), Ok(path));
            }
        }
    }
}
