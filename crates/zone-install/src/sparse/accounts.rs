//! The accounts of a new sparse zone: the host's system accounts by name and number, and nobody's password.
//!
//! Files in the host's `/usr` belong to system groups (`mail`, `utmp`, `_ssh`), and its services run as system
//! users, so names and numbers have to agree. People's accounts stay on the host, as do group memberships,
//! comments and every password: no account can log in by password until root of the zone sets one.

use std::fs;
use std::path::Path;

use super::Builder;
use crate::error::Error;
use crate::install::target::{Meta, Owner};

/// Below this are system accounts (login.defs(5), `SYS_UID_MAX` and `SYS_GID_MAX`).
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65534;

/// One line of passwd(5) or group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    id: u32,
    rest: Vec<String>,
}

/// Writes `passwd`, `group`, `shadow` and `gshadow`.
pub(super) fn make(builder: &mut Builder<'_>) -> Result<(), Error> {
    let users = system(&read(builder.host, "etc/passwd"), 7, &root_user());
    let groups = system(&read(builder.host, "etc/group"), 4, &root_group());
    let mut secret = Meta::ours(0o640);
    // Nobody but root can give a file away; somebody else is running unit tests.
    if rustix::process::geteuid().is_root()
        && let Some(group) = groups.iter().find(|group| group.name == "shadow")
    {
        secret.owner = Some(Owner::new(0, group.id));
    }
    builder.file("etc/passwd", 0o644, users.iter().map(passwd_line).collect::<String>().as_bytes())?;
    builder.file("etc/group", 0o644, groups.iter().map(group_line).collect::<String>().as_bytes())?;
    let shadow: String = users.iter().map(|user| format!("{}:*:::::::\n", user.name)).collect();
    builder.file_with(Path::new("etc/shadow"), &secret, shadow.as_bytes())?;
    let gshadow: String = groups.iter().map(|group| format!("{}:*::\n", group.name)).collect();
    builder.file_with(Path::new("etc/gshadow"), &secret, gshadow.as_bytes())
}

fn root_user() -> Account {
    let rest = ["0", "", "/root", "/bin/sh"].map(str::to_owned).to_vec();
    Account { name: "root".to_owned(), id: 0, rest }
}

fn root_group() -> Account {
    Account { name: "root".to_owned(), id: 0, rest: vec![String::new()] }
}

fn read(host: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs::read(host.join(name)).unwrap_or_default()).into_owned()
}

/// The system accounts of a file whose lines have so many fields; `root` first, made up when missing.
fn system(text: &str, fields: usize, root: &Account) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for line in text.lines() {
        let mut parts = line.split(':').map(str::to_owned);
        let (Some(name), Some(_), Some(id)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Ok(id) = id.parse() else { continue };
        let rest: Vec<String> = parts.collect();
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let system = id < FIRST_PERSON || id == NOBODY;
        if system && is_name && !name.is_empty() && rest.len() + 3 == fields {
            accounts.push(Account { name, id, rest });
        }
    }
    if !accounts.iter().any(|account| account.id == 0) {
        accounts.insert(0, root.clone());
    }
    accounts
}

fn passwd_line(user: &Account) -> String {
    let field = |index: usize| user.rest.get(index).map_or("", String::as_str);
    // Comments are the host's: names of people, rooms and telephones.
    let comment = if user.id == 0 { "root" } else { "" };
    format!("{}:x:{}:{}:{comment}:{}:{}\n", user.name, user.id, field(0), field(2), field(3))
}

fn group_line(group: &Account) -> String {
    format!("{}:x:{}:\n", group.name, group.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_passwords_comments_and_members_stay_on_the_host() {
        let text = "root:$6$secret:0:0:Boss,Room 1:/root:/bin/bash\n\
                    daemon:x:1:1:d:/usr/sbin:/usr/sbin/nologin\n\
                    +nis::::::\n\
                    alice:x:1000:1000:Alice:/home/alice:/bin/bash\n\
                    nobody:x:65534:65534:n:/nonexistent:/usr/sbin/nologin\nbroken\n";
        let lines: String = system(text, 7, &root_user()).iter().map(passwd_line).collect();
        assert_eq!(
            lines,
            "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
             nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
        );
        let groups: String =
            system("sudo:x:27:alice,bob\n", 4, &root_group()).iter().map(group_line).collect();
        assert_eq!(groups, "root:x:0:\nsudo:x:27:\n");
    }
}
