//! Users of the zone, from its own `/etc/passwd` and `/etc/group`.
//!
//! The files are the zone's to write: they are read inside it, by a process with the rights of the
//! zone's root and no more, and believed only as to what the zone may decide anyway. Users that only
//! a directory service in the zone knows are not found; its own programs find them ([`crate::guest`]).

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The most of a file that is read, in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;
/// The most supplementary groups that a process can have (`NGROUPS_MAX`).
const MOST_GROUPS: usize = 65_536;

/// A user of the zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// Empty if the file names none that is an absolute path.
    pub(crate) home: OsString,
    /// Empty if the file names none that is an absolute path.
    pub(crate) shell: OsString,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("user '{0}' is not in the zone's /etc/passwd")]
    Unknown(String),
    #[error("the zone's {} is not a regular file", .path.display())]
    NotRegular { path: PathBuf },
    #[error("could not read the zone's {}", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Errno,
    },
}

impl User {
    /// The zone's root when its files say nothing: it can be entered however broken they are.
    pub(crate) fn root() -> Self {
        let empty = OsString::new;
        Self { name: "root".into(), uid: 0, gid: 0, groups: vec![0], home: empty(), shell: empty() }
    }

    /// Looks a user up; to be called inside the zone.
    ///
    /// # Errors
    /// [`UserError`].
    pub(crate) fn find(name: &str) -> Result<Self, UserError> {
        let found = match read_file(Path::new("/etc/passwd")) {
            Ok(passwd) => match find(&passwd, name) {
                Some(user) => user,
                None if name == "root" => Self::root(),
                None => return Err(UserError::Unknown(name.to_owned())),
            },
            Err(_) if name == "root" => Self::root(),
            Err(error) => return Err(error),
        };
        // Without the file the user has the one group that passwd names.
        let groups = groups(&read_file(Path::new("/etc/group")).unwrap_or_default(), name, found.gid);
        Ok(Self { groups, ..found })
    }
}

/// Reads whole lines, at most [`LIMIT`] bytes of them. To be called inside the zone.
///
/// # Errors
/// [`UserError::NotRegular`], [`UserError::Unreadable`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, UserError> {
    let failed = |source| UserError::Unreadable { path: path.to_owned(), source };
    // Not to be held up by a pipe that somebody put there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(failed)?;
    if FileType::from_raw_mode(fstat(&file).map_err(failed)?.st_mode) != FileType::RegularFile {
        return Err(UserError::NotRegular { path: path.to_owned() });
    }
    let mut text = Vec::new();
    let count = File::from(file)
        .take(LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if count as u64 == LIMIT {
        // What is cut must not be taken for a shorter line.
        text.truncate(text.iter().rposition(|&c| c == b'\n').unwrap_or_default());
    }
    Ok(text)
}

/// Fields of a line of passwd(5) or group(5) with exactly `N` of them.
fn fields<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    line.split(|&c| c == b':').collect::<Vec<_>>().try_into().ok()
}

/// A number and nothing else, that is an id: to setresuid(2) the largest means "as before", which is root.
fn id(field: &[u8]) -> Option<u32> {
    let digits = !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(field).ok().filter(|_| digits)?.parse().ok().filter(|id| *id != u32::MAX)
}

/// The first line of `passwd` that is the user's and makes sense.
fn find(passwd: &[u8], name: &str) -> Option<User> {
    let path = |field: &[u8]| {
        let absolute = field.first() == Some(&b'/') && !field.contains(&0);
        OsString::from_vec(if absolute { field.to_vec() } else { Vec::new() })
    };
    passwd.split(|&c| c == b'\n').find_map(|line| {
        let [user, _, uid, gid, _, home, shell] = fields::<7>(line)?;
        let (uid, gid) = (id(uid)?, id(gid)?);
        (user == name.as_bytes()).then(|| User {
            name: name.to_owned(),
            uid,
            gid,
            groups: vec![gid],
            home: path(home),
            shell: path(shell),
        })
    })
}

/// The groups that `group` lists the user in, after the user's own. Takes time in proportion to the file.
fn groups(group: &[u8], name: &str, own: u32) -> Vec<u32> {
    let mut found = vec![own];
    let mut seen = HashSet::from([own]);
    for line in group.split(|&c| c == b'\n') {
        let Some([_, _, gid, members]) = fields::<4>(line) else { continue };
        let is_member = members.split(|&c| c == b',').any(|member| member == name.as_bytes());
        if let Some(gid) = id(gid).filter(|gid| is_member && seen.insert(*gid)) {
            found.push(gid);
        }
        if found.len() == MOST_GROUPS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        bad:x:-1:0::/:/bin/sh\nbad:x:1x:0::/:/bin/sh\nbad:x:99999999999:0::/:/bin/sh\nbad:x:+1:0::/:/bin/sh\n\
        none:x:4294967295:0::/:/bin/sh\nnone:x:1:4294967295::/:/bin/sh\n\
        short:x:5:5\nlong:x:5:5::/:/bin/sh:more\nodd:x:7:8::relative:\nbob:x:1000:1001:Bob:/home/bob:/bin/zsh\n\
        bob:x:0:0::/:/bin/sh";

    #[test]
    fn users() {
        let bob = find(PASSWD, "bob").unwrap();
        assert_eq!((bob.uid, bob.gid), (1000, 1001), "the first line rules");
        assert_eq!((bob.home.to_str(), bob.shell.to_str()), (Some("/home/bob"), Some("/bin/zsh")));
        for none in
            ["bad", "none", "short", "long", "", "bo", "bobb", "bob:x", "root:x:0:0:root:/root:/bin/bash"]
        {
            assert_eq!(find(PASSWD, none), None, "{none}");
        }
        let odd = find(PASSWD, "odd").unwrap();
        assert_eq!((odd.home, odd.shell), (OsString::new(), OsString::new()));
    }

    #[test]
    fn memberships() {
        let group = b"a:x:1:bob\nb:x:2:al,bob\nc:x:3:bobb,al\nd:x:x:bob\ne:x:1001:bob\nf:x:4\ng:x:2:bob\nh:x:4294967295:bob";
        assert_eq!(groups(group, "bob", 1001), [1001, 1, 2]);
        assert_eq!(groups(b"", "bob", 7), [7]);
    }

    #[test]
    fn as_many_groups_as_a_process_can_have() {
        let group: String = (1..100_000).map(|gid| format!("g{gid}:x:{gid}:bob\n")).collect();
        let found = groups(group.as_bytes(), "bob", 7);
        assert_eq!((found.len(), found[0], found[1], found[7]), (MOST_GROUPS, 7, 1, 8));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in prop::collection::vec(any::<u8>(), 0..300), name in "[a-z:\n]{0,3}") {
            let _ = find(&text, &name);
            let _ = groups(&text, &name, 0);
        }

        #[test]
        fn a_line_is_read_as_it_was_written(
            name in "[a-z_][a-z0-9_-]{0,12}", uid in 0..u32::MAX, gid in 0..u32::MAX, home in "(/[a-z]{1,5}){1,3}", shell in "/[a-z/]{0,9}",
        ) {
            let line = format!("#\n{name}:x:{uid}:{gid}:A, B:{home}:{shell}");
            let user = find(line.as_bytes(), &name).unwrap();
            prop_assert_eq!((user.uid, user.gid), (uid, gid));
            prop_assert_eq!((user.home, user.shell), (home.into(), shell.into()));
        }
    }
}
