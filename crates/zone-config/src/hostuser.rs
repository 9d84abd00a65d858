//! Users and groups of the host, as its name service knows them at the moment: `getent(1)` is asked, so that
//! directories count as much as `/etc/passwd` does. Where there is none, that file is read.

use std::io::{ErrorKind, Read as _};
use std::process::{Command, Stdio};

/// Every C library with a name service has it here.
const GETENT: &str = "/usr/bin/getent";
/// What it exits with for a name that is not known.
const UNKNOWN: i32 = 2;
/// The most that is read of its answer, or of a file.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The name service did not answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {what} in the host's {database}")]
pub struct LookupError {
    what: String,
    database: &'static str,
    #[source]
    source: std::io::Error,
}

/// A user of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// Finds the user with this id; the first, if several have it.
///
/// # Errors
/// [`LookupError`].
pub fn by_id(uid: u32) -> Result<Option<User>, LookupError> {
    let text = lookup("passwd", "/etc/passwd", &uid.to_string())?;
    Ok(text.lines().filter_map(user).find(|user| user.uid == uid))
}

/// Finds the id of the user that a configuration names: a number is an id, whether or not somebody has it, and never a
/// name. `None`: there is no such user.
///
/// # Errors
/// [`LookupError`].
pub fn id_of(word: &str) -> Result<Option<u32>, LookupError> {
    if let Some(uid) = number(word) {
        return Ok(Some(uid));
    }
    let text = lookup("passwd", "/etc/passwd", word)?;
    Ok(text.lines().filter_map(user).find(|user| user.name == word).map(|user| user.uid))
}

/// Tells whether a user is a member of a group: it is the user's primary one, or lists the user. A group that is not there
/// has no members.
///
/// # Errors
/// [`LookupError`].
pub fn is_member(user: &User, group: &str) -> Result<bool, LookupError> {
    let text = lookup("group", "/etc/group", group)?;
    Ok(text.lines().any(|line| is_listed(line, user, group)))
}

/// A number and nothing else, that is an id: the largest means "none".
fn number(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|uid| digits && *uid != u32::MAX)
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
    let (uid, gid) = (number(uid)?, number(gid)?);
    (fields.len() == 7).then(|| User { name: (*name).to_owned(), uid, gid })
}

fn is_listed(line: &str, user: &User, group: &str) -> bool {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields.as_slice() else { return false };
    let listed = members.split(',').any(|member| !member.is_empty() && member == user.name);
    *name == group && (listed || number(gid) == Some(user.gid))
}

/// The lines of the database that may be the key's.
fn lookup(database: &'static str, file: &str, key: &str) -> Result<String, LookupError> {
    let failed = |source| LookupError { what: key.to_owned(), database, source };
    let mut getent = Command::new(GETENT);
    getent.args(["--", database, key]).env_clear().env("PATH", "/usr/bin:/bin");
    let said = getent.stdin(Stdio::null()).stderr(Stdio::null()).output();
    match said {
        Ok(said) if said.status.success() => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        Ok(said) if said.status.code() == Some(UNKNOWN) => Ok(String::new()),
        Ok(said) => Err(failed(std::io::Error::other(format!("getent: {}", said.status)))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut text = Vec::new();
            let read = std::fs::File::open(file).and_then(|file| file.take(LIMIT).read_to_end(&mut text));
            read.map_err(failed)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_root_and_not_everybody() {
        assert_eq!(by_id(0).unwrap().map(|user| (user.name, user.gid)), Some(("root".into(), 0)));
        assert_eq!(id_of("root").unwrap(), Some(0));
        assert_eq!(id_of("no-such-user-here").unwrap(), None);
        assert_eq!(by_id(4_000_000_123).unwrap(), None);
        let root = by_id(0).unwrap().unwrap();
        assert!(is_member(&root, "root").unwrap(), "by the primary group");
        assert!(!is_member(&root, "no-such-group-here").unwrap());
    }

    #[test]
    fn numbers_are_ids() {
        assert_eq!(id_of("4000000123").unwrap(), Some(4_000_000_123));
        for word in ["+1", "-1", "0x1", "4294967295", "99999999999", ""] {
            assert_eq!(number(word), None, "{word}");
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_nobodys() {
        let bob = User { name: "bob".into(), uid: 1000, gid: 1001 };
        assert_eq!(user("bob:x:1000:1001:Bob:/home/bob:/bin/sh"), Some(bob.clone()));
        for line in
            ["bob:x:1000:1001", "bob:x:-1:0::/:/bin/sh", "bob:x::0::/:/bin/sh", "bob:x:0:0::/:/bin/sh:x", ""]
        {
            assert_eq!(user(line), None, "{line}");
        }
        assert!(is_listed("zones:x:7:al,bob", &bob, "zones"));
        assert!(is_listed("zones:x:1001:", &bob, "zones"));
        for line in ["zones:x:7:bobb,al", "zones:x:7:", "zone:x:7:bob", "zones:x:bob", "zones:x:7:bob:"] {
            assert!(!is_listed(line, &bob, "zones"), "{line}");
        }
    }
}
