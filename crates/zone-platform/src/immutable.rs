//! Immutable zones: how much of its root a zone can write, by the property `file-mac-profile`.
//!
//! The root is mounted read-only, and writable mounts of parts of it lie on top; inside of these, what the next boot or the
//! package manager would obey is read-only again. The kernel locks all of them, since the first process' mounts are a copy that
//! belongs to another user namespace than the builder's: the zone's root can neither unmount them nor make them writable, nor
//! see what is below.
//!
//! A directory of a writable mount could still be *renamed*, with all that is kept in it, and another put in its place for the
//! next boot. The kernel refuses that for a directory that something is mounted on, as long as it is in the mount namespace of
//! who asks. So each directory between a writable one and what is kept in it has a mount of its own, and no process of such a
//! zone may leave its mounts behind: `pivot_root(2)`, after which the old root can be unmounted as a whole, is refused to it,
//! and so are, to every zone, mount namespaces that begin empty.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use zone_config::config::MacProfile;
use zone_sys::mount::MountAttr;

use crate::build::missing;
use crate::check::Check;
use crate::kernelfs::temporary;
use crate::mounts::{Below, CopyError, copy_mapped};
use crate::zoneroot::{Canonical, Kind, Making};
use crate::{Build, Failed, PlatformError};

mod scripts;

use scripts::Scripts;

/// A root that cannot be kept as the profile says.
#[derive(Debug, thiserror::Error)]
pub enum ImmutableError {
    /// Something else is where a directory must be.
    #[error(
        "file-mac-profile={profile}: {path} is no directory but a file or a symlink: put the directory itself there, or set file-mac-profile=none"
    )]
    NotDirectory {
        /// The profile, by its word.
        profile: &'static str,
        /// The path, as seen inside.
        path: &'static str,
    },
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// What becomes of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is writable, with all that is in it.
    Writable,
    /// It is as it was in what is writable around it, and has a mount so that nobody can rename it.
    Pinned,
    /// It is read-only in what is writable around it. What is not there is not made.
    Kept,
    /// The same; made when it is missing, since whoever made it could have the next boot obey what is in it.
    Sealed,
    /// [`Self::Sealed`] where the root's systemd obeys what is in it. Elsewhere [`Self::Kept`]: distributions have links of this name, in
    /// whose place their package managers would not take a directory.
    Scripts,
    /// Memory takes its place.
    Memory,
}

/// A line of the table: a directory, what becomes of it, and in which profiles.
struct Line(&'static str, Fate, &'static [MacProfile]);

const ALL: &[MacProfile] = &[MacProfile::Strict, MacProfile::Fixed, MacProfile::Flexible];
const STRICT: &[MacProfile] = &[MacProfile::Strict];
const DATA: &[MacProfile] = &[MacProfile::Fixed, MacProfile::Flexible];
const FLEXIBLE: &[MacProfile] = &[MacProfile::Flexible];

/// What of a root is not simply read-only; parents come first. `docs/immutable.md` says why.
const TABLE: [Line; 38] = [
    Line("/tmp", Fate::Memory, ALL),
    Line("/var/tmp", Fate::Memory, STRICT),
    Line("/var", Fate::Writable, DATA),
    Line("/var/cache", Fate::Pinned, DATA),
    Line("/var/cache/apt", Fate::Kept, DATA),
    Line("/var/cache/debconf", Fate::Kept, DATA),
    Line("/var/lib", Fate::Pinned, DATA),
    Line("/var/lib/alternatives", Fate::Kept, DATA),
    Line("/var/lib/apt", Fate::Kept, DATA),
    Line("/var/lib/confexts", Fate::Sealed, DATA),
    Line("/var/lib/dpkg", Fate::Kept, DATA),
    Line("/var/lib/extensions", Fate::Sealed, DATA),
    Line("/var/lib/pacman", Fate::Kept, DATA),
    Line("/var/lib/pam", Fate::Kept, DATA),
    Line("/var/lib/rpm", Fate::Kept, DATA),
    Line("/var/lib/systemd", Fate::Pinned, DATA),
    Line("/var/lib/systemd/deb-systemd-helper-enabled", Fate::Kept, DATA),
    Line("/var/lib/systemd/deb-systemd-helper-masked", Fate::Kept, DATA),
    Line("/var/lib/systemd/deb-systemd-user-helper-enabled", Fate::Kept, DATA),
    Line("/var/lib/systemd/linger", Fate::Sealed, ALL),
    Line("/var/lib/ucf", Fate::Kept, DATA),
    Line("/var/spool", Fate::Pinned, DATA),
    Line("/var/spool/cron", Fate::Sealed, DATA),
    Line("/etc", Fate::Writable, FLEXIBLE),
    Line("/etc/apt", Fate::Kept, FLEXIBLE),
    Line("/etc/dpkg", Fate::Kept, FLEXIBLE),
    Line("/etc/init.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc0.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc1.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc2.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc3.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc4.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc5.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rc6.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/rcS.d", Fate::Scripts, FLEXIBLE),
    Line("/etc/systemd", Fate::Sealed, FLEXIBLE),
    Line("/root", Fate::Writable, FLEXIBLE),
];

/// A directory of a zone's root that something is mounted on.
#[derive(Debug)]
pub(crate) struct Place {
    at: Canonical,
    fate: Fate,
    /// The directory; none if it is to be made.
    dir: Option<OwnedFd>,
}

/// The attributes of the mount of a root.
pub(crate) fn attributes(profile: MacProfile) -> MountAttr {
    if profile == MacProfile::None { MountAttr::empty() } else { MountAttr::RDONLY }
}

/// How many mounts lie over the root of a zone with this profile, at most.
pub(crate) fn mounts(profile: MacProfile) -> usize {
    TABLE.iter().filter(|Line(_, _, profiles)| profiles.contains(&profile)).count()
}

/// Whether processes of the zone may give another root to a mount namespace of theirs: where nothing is kept inside of what is
/// writable, nothing is lost by that.
pub(crate) fn lets_pivot(profile: MacProfile) -> bool {
    matches!(profile, MacProfile::None | MacProfile::Strict)
}

/// Looks at the directories of the root that its profile tells apart, and opens them.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    let (spec, profile) = (check.spec, check.spec.protection);
    let Some(root) = &check.found.root else { return Ok(()) };
    let (mut places, mut left_out) = (Vec::new(), Vec::new());
    // Asked for only where a profile has a row of them, and once.
    let has_scripts = |Line(_, fate, profiles): &Line| *fate == Fate::Scripts && profiles.contains(&profile);
    let scripts = match TABLE.iter().any(has_scripts) {
        true => scripts::of(root.fd.as_fd()).map_err(ImmutableError::Failed)?,
        false => Scripts::Unknown,
    };
    for Line(path, fate, profiles) in TABLE {
        let at = Canonical::fixed(path);
        // What is mounted there is nothing of the root.
        let covered = |mount: &crate::spec::Mount| mount.at.parse().is_ok_and(|dir| at.is_within(&dir));
        if !profiles.contains(&profile) || spec.mounts.iter().any(covered) {
            continue;
        }
        match (open(root.fd.as_fd(), path)?, fate) {
            (Found::Nothing, Fate::Scripts) if scripts.obeys(path) && surrounded(&places, &at) => {
                places.push(Place { at, fate, dir: None });
            }
            (Found::Other, Fate::Scripts) if !scripts.obeys(path) => {
                left_out.extend((scripts == Scripts::Unknown).then_some(path));
            }
            (Found::Directory(dir), fate) => places.push(Place { at, fate, dir: Some(dir) }),
            (Found::Nothing, Fate::Sealed)
                if surrounded(&places, &at) || has_parent(root.fd.as_fd(), &at)? =>
            {
                places.push(Place { at, fate, dir: None });
            }
            // Without a mount of its own it could be renamed, with what is sealed in it.
            (Found::Nothing, Fate::Pinned) if surrounded(&places, &at) && is_to_be_made(&at, profile) => {
                places.push(Place { at, fate, dir: None });
            }
            (Found::Nothing, Fate::Memory) => places.push(Place { at, fate, dir: None }),
            (Found::Nothing, _) => {}
            (Found::Other, Fate::Kept) => left_out.push(path),
            (Found::Other, _) => {
                return Err(ImmutableError::NotDirectory { profile: profile.as_str(), path }.into());
            }
        }
    }
    if !left_out.is_empty() {
        let (profile, paths) = (profile.as_str(), left_out.join(", "));
        check.warn_always(format!(
            "file-mac-profile={profile} keeps directories read-only, and these are none, so the zone's root can put others in their place: {paths}"
        ));
    }
    check.found.places = places;
    Ok(())
}

/// Whether something that is missing lies in a directory that is writable, so that the zone could make it.
fn surrounded(places: &[Place], at: &Canonical) -> bool {
    places.iter().any(|place| place.fate == Fate::Writable && at.is_within(&place.at))
}

/// Whether a directory that is missing is made in any case, since something in it is.
fn is_to_be_made(at: &Canonical, profile: MacProfile) -> bool {
    TABLE.iter().any(|Line(path, fate, profiles)| {
        *fate == Fate::Sealed && profiles.contains(&profile) && Canonical::fixed(path).is_within(at)
    })
}

/// Whether what is missing is missing in a directory that is there: a service of the guest may do without making it.
fn has_parent(root: BorrowedFd<'_>, at: &Canonical) -> Result<bool, ImmutableError> {
    let (parent, _) = at.components().split_at(at.components().len() - 1);
    Ok(matches!(open(root, &parent.join("/"))?, Found::Directory(_)))
}

/// Mounts what lies over the root.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    for Place { at, fate, dir } in std::mem::take(&mut build.found.places) {
        if fate == Fate::Memory {
            let mount = temporary(&at.to_string(), build.base())?;
            build.attach(mount, &at, Kind::Directory, Making::Owned(build.base()))?;
            continue;
        }
        let dir = match dir {
            Some(dir) => dir,
            None => make(build, &at)?,
        };
        let read_only = matches!(fate, Fate::Kept | Fate::Sealed | Fate::Scripts);
        let set = if read_only { MountAttr::NODEV | MountAttr::RDONLY } else { MountAttr::NODEV };
        // The root was mounted with these owners, so this file system can be.
        let mount = copy_mapped(dir.as_fd(), Some(build.userns.as_fd()), set, Below::NOTHING)
            .map_err(CopyError::into_inner)
            .map_err(Failed::to("copy the mount of", &at))?;
        build.attach_over(mount, &at, Kind::Directory, dir.as_fd(), Making::Plain)?;
    }
    Ok(())
}

/// Makes a directory that is to be read-only, and what is missing above it, and opens it.
fn make(build: &mut Build<'_>, at: &Canonical) -> Result<OwnedFd, PlatformError> {
    build.tree("immutable")?.mountpoint(at, Kind::Directory)?;
    let root = build.found.root.as_ref().ok_or(missing("immutable", "check"))?;
    let relative = at.components().join("/");
    let opened = zone_sys::path::in_root_unlinked(&root.fd, relative, OFlags::PATH | OFlags::DIRECTORY);
    Ok(opened.map_err(Failed::to("open the zone's", at))?)
}

enum Found {
    Directory(OwnedFd),
    Nothing,
    /// A file, or a symlink on the way or at the end, which the zone may have put there.
    Other,
}

fn open(root: BorrowedFd<'_>, path: &str) -> Result<Found, ImmutableError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    match zone_sys::path::in_root_unlinked(root, path, flags) {
        Ok(dir) => Ok(Found::Directory(dir)),
        Err(Errno::NOENT) => Ok(Found::Nothing),
        Err(Errno::NOTDIR | Errno::LOOP) => Ok(Found::Other),
        Err(errno) => Err(Failed::to("open the zone's", path)(errno).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lab;

    #[test]
    fn what_lies_around_a_directory_that_is_made_is_pinned() {
        zone_testing::needs_root!();
        let mut lab = Lab::new("linux");
        lab.snapshot.config.file_mac_profile = MacProfile::Fixed;
        lab.dirs(&["var", "sbin"]);
        std::fs::write(lab.root().join("sbin/init"), "").unwrap();
        crate::testing::mode(&lab.root().join("sbin/init"), 0o755);
        let platform = lab.build().unwrap();
        let targets: Vec<&str> = platform.attachments.iter().map(|one| &*one.target).collect();
        for made in ["/var/lib/confexts", "/var/lib/systemd/linger", "/var/spool/cron"] {
            let at = made.parse::<Canonical>().unwrap();
            let around = targets.iter().filter(|target| at.is_within(&target.parse().unwrap()));
            // Each of them but the root has a mount, so nobody can rename one.
            assert_eq!(around.count(), at.components().len(), "{made} in {targets:?}");
        }
        // Nothing is made for its own sake.
        assert!(!lab.root().join("var/cache").exists());
    }
}
