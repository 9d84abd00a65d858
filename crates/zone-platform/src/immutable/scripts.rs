//! Where the systemd of a root looks for scripts of SysV init, of which it makes units at each boot.
//!
//! Distributions compile the path in: Debian has `/etc/init.d` and, for what is enabled, `/etc/rc?.d`; Fedora has both in `/etc/rc.d`, and
//! links to them where Debian has directories. The generator (systemd-sysv-generator(8)) is in `/usr`, which no zone writes to that
//! something is kept in. An init that is not systemd obeys `/etc/inittab` and the like, which a zone that writes to `/etc` has anyway.

use std::fs::File;
use std::io::Read;

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

use crate::Failed;

/// Where it is, with and without a merged `/usr`.
const GENERATORS: [&str; 2] = [
    "usr/lib/systemd/system-generators/systemd-sysv-generator",
    "lib/systemd/system-generators/systemd-sysv-generator",
];
/// More than the program has.
const MOST: u64 = 4 << 20;

/// Where scripts are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scripts {
    /// In `/etc/init.d`, as `/etc/rc?.d` says.
    Etc,
    /// In `/etc/rc.d`.
    RcD,
    /// There is no such generator, or it has another path.
    Unknown,
}

impl Scripts {
    /// Whether what is in this directory of the table is obeyed.
    pub(super) fn obeys(self, path: &str) -> bool {
        match self {
            Self::Etc => path != "/etc/rc.d",
            Self::RcD => path == "/etc/rc.d",
            Self::Unknown => false,
        }
    }
}

/// Finds out where the systemd of a root obeys them.
///
/// # Errors
/// When that cannot be read, which is no reason to keep nothing.
pub(super) fn of(root: BorrowedFd<'_>) -> Result<Scripts, Failed> {
    for path in GENERATORS {
        let Some(program) = read(root, path).map_err(Failed::to("read the zone's", path))? else { continue };
        let has = |path: &str| program.windows(path.len()).any(|part| part == path.as_bytes());
        return Ok(match (has("/etc/rc.d/init.d"), has("/etc/init.d")) {
            (true, _) => Scripts::RcD,
            (false, true) => Scripts::Etc,
            (false, false) => Scripts::Unknown,
        });
    }
    Ok(Scripts::Unknown)
}

/// What is in it; `None` if there is no such file.
fn read(root: BorrowedFd<'_>, path: &str) -> std::io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match zone_sys::path::in_root(root, path, flags) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        opened => opened?,
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let mut program = Vec::new();
    File::from(file).take(MOST).read_to_end(&mut program)?;
    Ok(Some(program))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Lab, chain, mode};
    use crate::verify::verify;
    use crate::{Platform, PlatformError, Spec};
    use std::fs;
    use std::os::unix::fs::symlink;
    use zone_config::config::MacProfile;

    /// A root whose systemd has this path compiled in, built with the profile that leaves `/etc` writable.
    fn lab(generator: Option<&str>, furnish: impl FnOnce(&std::path::Path)) -> Lab {
        let mut lab = Lab::new("linux");
        lab.snapshot.config.file_mac_profile = MacProfile::Flexible;
        lab.dirs(&["etc", "sbin", "usr/lib/systemd/system-generators"]);
        fs::write(lab.root().join("sbin/init"), "\x7fELF").unwrap();
        mode(&lab.root().join("sbin/init"), 0o755);
        if let Some(path) = generator {
            fs::write(lab.root().join(super::GENERATORS[0]), format!("\x7fELF\0{path}\0")).unwrap();
        }
        furnish(&lab.root().join("etc"));
        lab
    }

    /// What of `/etc` is mounted.
    fn mounted(built: &Result<Platform, PlatformError>) -> Vec<&str> {
        let attached = built.as_ref().unwrap().attachments.iter().map(|one| one.target.as_str());
        attached.filter(|target| target.starts_with("/etc/") && *target != "/etc/systemd").collect()
    }

    #[test]
    fn what_is_missing_is_made_where_systemd_would_obey_it() {
        zone_testing::needs_root!();
        let debian = lab(Some("/etc/init.d"), |etc| fs::create_dir(etc.join("rc2.d")).unwrap());
        let rc = ["0", "1", "2", "3", "4", "5", "6", "S"].map(|level| format!("/etc/rc{level}.d"));
        let all: Vec<&str> = std::iter::once("/etc/init.d").chain(rc.iter().map(String::as_str)).collect();
        assert_eq!(mounted(&debian.build()), all);
        assert!(debian.root().join("etc/init.d").is_dir());
        // A package would not be put in the place of one that is made in vain.
        assert_eq!(mounted(&lab(Some("/etc/rc.d/init.d"), |_| {}).build()), ["/etc/rc.d"]);
        let other = lab(None, |etc| fs::create_dir(etc.join("init.d")).unwrap());
        assert_eq!(mounted(&other.build()), ["/etc/init.d"]);
    }

    #[test]
    fn a_symlink_that_systemd_would_follow_is_refused() {
        zone_testing::needs_root!();
        let furnish = |etc: &std::path::Path| {
            fs::create_dir_all(etc.join("rc.d/init.d")).unwrap();
            symlink("rc.d/init.d", etc.join("init.d")).unwrap();
        };
        let said =
            "file-mac-profile=flexible-configuration: /etc/init.d is no directory but a file or a symlink";
        let debian = lab(Some("/etc/init.d"), furnish);
        assert!(chain(&debian.build().unwrap_err()).starts_with(said));
        let texts = verify(&debian.layout, &Spec::of(&debian.snapshot), true);
        assert!(texts.iter().any(|finding| finding.text.starts_with(said)), "{texts:?}");
        // What such a link leads to is obeyed by its own name there.
        let fedora = lab(Some("/etc/rc.d/init.d"), furnish).build();
        assert_eq!(
            (mounted(&fedora), fedora.as_ref().unwrap().warnings.as_slice()),
            (vec!["/etc/rc.d"], &[][..])
        );
        // Who obeys it is not known: it is said, and by a boot as well.
        let other = lab(None, furnish).build().unwrap();
        assert!(other.warnings.len() == 1 && other.warnings[0].ends_with("in their place: /etc/init.d"));
    }
}
