//! Programs of the guest that know more than its files: its login(1), which keeps its books of who is logged in and asks its
//! PAM, and its name service. To be asked inside the zone.
//!
//! What runs, runs inside: each is executed as any command would be, with what the zone's root may do and no more, and
//! nothing that it says is believed by anybody out here.

use crate::users;
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where programs are, the first that has it counts.
const PLACES: [&str; 4] = ["usr/bin", "bin", "usr/sbin", "sbin"];
/// Says whom login(1) lets in, where it is one that asks PAM; without it that refuses everybody.
const PAM: &str = "etc/pam.d/login";
/// Sources of users that are in no directory service.
const FILES: [&str; 2] = ["files", "compat"];

/// A root directory: that of the zone, inside.
#[derive(Debug, Clone)]
pub(crate) struct Guest(PathBuf);

impl Guest {
    /// The zone that this process is in.
    pub(crate) fn here() -> Self {
        Self("/".into())
    }

    /// Its login(1), if it has one that lets in whom it is told to let in.
    pub(crate) fn login(&self) -> Option<PathBuf> {
        let program = self.program("login")?;
        let target = std::fs::read_link(self.0.join(program.strip_prefix("/").ok()?));
        let is_busybox = target.is_ok_and(|target| target.file_name() == Some(OsStr::new("busybox")));
        (is_busybox || self.0.join(PAM).is_file()).then_some(program)
    }

    /// The program that runs another as a user whom the name service knows, if there may be users who are not in the files.
    pub(crate) fn runuser(&self) -> Option<PathBuf> {
        self.has_directory().then(|| self.program("runuser")).flatten()
    }

    /// Whether there may be users who are not in the files.
    pub(crate) fn has_directory(&self) -> bool {
        let text = users::read_file(&self.0.join("etc/nsswitch.conf")).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().any(names_a_directory)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let is_there = |path: &Path| access(self.0.join(path), Access::EXEC_OK).is_ok();
        let found = PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| is_there(path))?;
        Some(Path::new("/").join(found))
    }
}

/// Whether this line of nsswitch.conf(5) is about users, and has a source that is no file.
fn names_a_directory(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    let Some((_, sources)) = line.split_once(':').filter(|(of, _)| of.trim() == "passwd") else {
        return false;
    };
    sources.split_whitespace().any(|source| !source.starts_with('[') && !FILES.contains(&source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn guest(programs: &[&str]) -> (tempfile::TempDir, Guest) {
        let dir = tempfile::tempdir().unwrap();
        create_dir_all(dir.path().join("usr/bin")).unwrap();
        create_dir_all(dir.path().join("etc/pam.d")).unwrap();
        for name in programs {
            let path = dir.path().join("usr/bin").join(name);
            write(&path, "").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let guest = Guest(dir.path().to_owned());
        (dir, guest)
    }

    #[test]
    fn a_login_that_would_refuse_everybody_is_none() {
        let (dir, guest) = guest(&["login", "busybox"]);
        assert_eq!(guest.login(), None);
        write(dir.path().join(PAM), "").unwrap();
        assert_eq!(guest.login(), Some("/usr/bin/login".into()));
        std::fs::remove_file(dir.path().join(PAM)).unwrap();
        std::fs::remove_file(dir.path().join("usr/bin/login")).unwrap();
        assert_eq!(guest.login(), None);
        symlink("busybox", dir.path().join("usr/bin/login")).unwrap();
        assert_eq!(guest.login(), Some("/usr/bin/login".into()));
    }

    #[test]
    fn who_has_only_files_has_no_directory() {
        let (dir, guest) = guest(&["runuser"]);
        for (text, has) in [
            ("passwd: files\ngroup: ldap\n", false),
            ("passwd: compat # sss\n", false),
            ("passwd:files [NOTFOUND=return]\n", false),
            ("group: files\n passwd:  files sss\n", true),
            ("passwd: files systemd\n", true),
            ("", false),
        ] {
            write(dir.path().join("etc/nsswitch.conf"), text).unwrap();
            assert_eq!(guest.has_directory(), has, "{text:?}");
            assert_eq!(guest.runuser().is_some(), has, "{text:?}");
        }
    }
}
