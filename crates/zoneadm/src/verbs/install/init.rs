//! Is there anything in a root that a zone could be started with?

use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zone_platform::zoneroot::{Making, ZoneRoot};

use super::source::Sort;

/// Directories of which a root that can be used has one at least.
const PROGRAMS: [&str; 5] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/native/sbin"];
/// Where inits are that nobody has made a link to.
const INITS: [&str; 6] = [
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/usr/sbin/init",
    "/usr/bin/init",
    "/bin/busybox",
    "/init",
];
/// How many directories of a root are looked into for another root.
const MOST_LOOKED_AT: usize = 1000;

/// No program that could be an init, nor a place for one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoInit {
    /// The root is one directory further down in what was given.
    #[error(
        "{init} is not in {}, nor any program; nothing was installed. Did you mean {}?",
        .given.display(),
        deeper(.given, .below, *.sort)
    )]
    Below {
        /// The init that was looked for.
        init: String,
        /// In what was given.
        given: PathBuf,
        /// The directory that has one.
        below: PathBuf,
        /// What sort of source that was.
        sort: Sort,
    },
    /// There is none.
    #[error(
        "{init} is not in {}, nor any program: that is no root of an operating system; nothing was installed",
        .given.display()
    )]
    Nothing {
        /// The init that was looked for.
        init: String,
        /// In what was given.
        given: PathBuf,
    },
}

fn deeper(given: &Path, below: &Path, sort: Sort) -> String {
    let name = below.display();
    match sort {
        Sort::Archive => format!(
            "what is below '{name}' in it? Then unpack it and use -d, or make it again from there (tar -C {name} ... .)"
        ),
        Sort::Directory | Sort::Debootstrap => format!("{}", given.join(below).display()),
    }
}

/// Something that stops nothing: `Display` is the warning.
#[derive(Debug, thiserror::Error)]
#[error(
    "WARNING: {init} is not a program in it, so it cannot be booted; set another init: \
     zonecfg -z ZONE 'set init={}'",
    .found.unwrap_or("PATH")
)]
pub(crate) struct OtherInit {
    init: String,
    found: Option<&'static str>,
}

/// Looks before anything is copied; what is only worth a warning is told afterwards, of what is there then.
///
/// # Errors
/// [`NoInit`].
pub(crate) fn check(tree: &Path, init: &str) -> Result<(), NoInit> {
    check_root(tree, tree, init, Sort::Directory).map(drop)
}

/// Looks for init in a root, as the zone would see it. `given` is what it was made of, for messages.
///
/// # Errors
/// [`NoInit`].
pub(crate) fn check_root(
    tree: &Path,
    given: &Path,
    init: &str,
    sort: Sort,
) -> Result<Option<OtherInit>, NoInit> {
    // A root that cannot be looked at is told by whoever works with it.
    let Some(root) = open(tree) else { return Ok(None) };
    if root.check_init(init).is_ok() {
        return Ok(None);
    }
    if has_programs(&root) {
        let found = INITS.into_iter().find(|path| *path != init && root.check_init(path).is_ok());
        return Ok(Some(OtherInit { init: init.to_owned(), found }));
    }
    let (init, given) = (init.to_owned(), given.to_owned());
    match below(tree, &init) {
        Some(below) => Err(NoInit::Below { init, given, below, sort }),
        None => Err(NoInit::Nothing { init, given }),
    }
}

/// The tree as a zone would see it; nothing is made in it.
fn open(tree: &Path) -> Option<ZoneRoot> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(tree, flags, Mode::empty()).ok()?;
    Some(ZoneRoot::new(fd, Making::Nothing, tree))
}

fn has_programs(root: &ZoneRoot) -> bool {
    PROGRAMS.into_iter().any(|path| root.resolve(path).is_ok())
}

/// The first directory in it that looks like a root.
fn below(tree: &Path, init: &str) -> Option<PathBuf> {
    let mut names: Vec<_> = std::fs::read_dir(tree).ok()?.flatten().take(MOST_LOOKED_AT).collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    names.into_iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).find_map(|entry| {
        let root = open(&entry.path())?;
        (root.check_init(init).is_ok() || has_programs(&root)).then(|| entry.file_name().into())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_root_has_an_init_or_programs_or_is_none() {
        let tree = tempfile::tempdir().unwrap();
        let look = |sort| check_root(tree.path(), tree.path(), "/sbin/init", sort);
        assert!(matches!(look(Sort::Directory), Err(NoInit::Nothing { .. })));
        program(&tree.path().join("odd/sbin/init"));
        let error = look(Sort::Directory).unwrap_err().to_string();
        assert!(error.ends_with(&format!("Did you mean {}?", tree.path().join("odd").display())), "{error}");
        let error = look(Sort::Archive).unwrap_err().to_string();
        assert!(error.contains("what is below 'odd' in it?"), "{error}");
        program(&tree.path().join("usr/lib/systemd/systemd"));
        fs::create_dir(tree.path().join("usr/bin")).unwrap();
        let warning = look(Sort::Directory).unwrap().unwrap().to_string();
        assert!(warning.contains("'set init=/usr/lib/systemd/systemd'"), "{warning}");
        symlink("usr/sbin", tree.path().join("sbin")).unwrap();
        fs::create_dir(tree.path().join("usr/sbin")).unwrap();
        symlink("/usr/lib/systemd/systemd", tree.path().join("usr/sbin/init")).unwrap();
        assert!(look(Sort::Directory).unwrap().is_none());
    }
}
