//! Extended attributes and access control lists of what is made in a root.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, IFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::{Keeps, Meta, Target, magic};
use crate::error::Error;
use crate::install::acl::{Acl, Names};

/// Bytes of access control lists that are kept until the names in them can be looked up.
const MOST_WAITING: usize = 32 << 20;

/// Extended attributes that belong to the files rather than to the machine they came from. Labels and hashes
/// (`security.selinux`, `security.ima`) are the host's policy, and `trusted.*` would steer an overlayfs.
pub(crate) fn keeps_xattr(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name == b"security.capability"
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
}

/// Labels and hashes: what the host's policy has of a file.
fn is_policy(name: &[u8]) -> bool {
    name.starts_with(b"security.") && name != b"security.capability"
}

/// Those that go along with a zone that stays on its host.
pub(crate) fn stays_xattr(name: &[u8]) -> bool {
    keeps_xattr(name) || is_policy(name) || name.starts_with(b"trusted.")
}

/// Access control lists whose names are looked up when all users are there.
#[derive(Default)]
pub(super) struct Waiting {
    /// The entry and its lists, by device and inode: a later entry may take the name.
    lists: HashMap<(u64, u64), (PathBuf, Vec<Acl>)>,
    bytes: usize,
}

impl Waiting {
    /// Forgets the lists of a file that is about to be removed: the next one may get its inode.
    pub(super) fn forget(&mut self, parent: &OwnedFd, name: &OsStr) {
        if !self.lists.is_empty()
            && let Ok(stat) = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            && stat.st_nlink == 1
        {
            self.lists.remove(&(stat.st_dev, stat.st_ino));
        }
    }
}

impl Target {
    /// Keeps the lists whose names may be of users that are not unpacked yet.
    pub(super) fn wait_for_names(
        &mut self,
        fd: BorrowedFd<'_>,
        entry: &Path,
        meta: &Meta,
    ) -> Result<(), Error> {
        if meta.acls.is_empty() {
            return Ok(());
        }
        let weight = meta.acls.iter().map(Acl::weight).sum::<usize>() + entry.as_os_str().len();
        if self.waiting.bytes + weight > MOST_WAITING {
            self.summary.left.acls += meta.acls.len() as u64;
            return Ok(());
        }
        self.waiting.bytes += weight;
        let stat = rustix::fs::fstat(fd).map_err(|errno| self.fault("look at", entry, errno))?;
        self.waiting.lists.insert((stat.st_dev, stat.st_ino), (entry.to_owned(), meta.acls.clone()));
        Ok(())
    }

    /// Sets the lists that have waited.
    pub(super) fn set_named_lists(&mut self) -> Result<(), Error> {
        if self.waiting.lists.is_empty() {
            return Ok(());
        }
        let names = Names::of(&self.root);
        for (identity, (entry, acls)) in std::mem::take(&mut self.waiting).lists {
            let (parent, name) = self.locate(&entry)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(fd) = rustix::fs::openat(&*parent, name, flags, Mode::empty()) else { continue };
            let stat = rustix::fs::fstat(&fd).map_err(|errno| self.fault("look at", &entry, errno))?;
            if (stat.st_dev, stat.st_ino) != identity {
                continue;
            }
            for acl in acls {
                let Some(value) = acl.encode(&names) else {
                    self.summary.left.acls += 1;
                    continue;
                };
                let set = rustix::fs::setxattr(magic(&fd), acl.attribute, &value, XattrFlags::empty());
                let fault = |errno| self.fault("set the access control list of", &entry, errno);
                self.summary.left.unsupported += u64::from(self.is_lost(set).map_err(fault)?);
            }
        }
        Ok(())
    }

    /// Makes immutable or append-only what is to be so, what is in a directory before the directory.
    pub(super) fn set_flags(&mut self) -> Result<(), Error> {
        for (entry, flags) in std::mem::take(&mut self.fixed).into_iter().rev() {
            let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let set = zone_sys::path::beneath(&self.root, &entry, open)
                .and_then(|fd| rustix::fs::ioctl_setflags(&fd, rustix::fs::ioctl_getflags(&fd)? | flags));
            match set {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::PERM) => {
                    self.summary.left.flags += 1;
                }
                Err(errno) => return Err(self.fault("set the file flags of", &entry, errno)),
            }
        }
        Ok(())
    }

    /// Remembers that it is to be immutable or append-only.
    pub(crate) fn fix(&mut self, entry: &Path, flags: IFlags) {
        self.fixed.push((entry.to_owned(), flags));
    }

    /// Sets the attributes; returns how many the file system has no place for.
    pub(super) fn attributes(
        &self,
        entry: &Path,
        meta: &Meta,
        set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
    ) -> Result<u64, Error> {
        let mut lost = 0;
        for (name, value) in &meta.xattrs {
            let fault = |errno| self.fault("set an extended attribute of", entry, errno);
            let is_lost = self.is_lost(set(name, value)).map_err(fault)?;
            // Those of the host's policy are the host's to give.
            lost += u64::from(is_lost && (self.keeps == Keeps::Files || !is_policy(name)));
        }
        Ok(lost)
    }

    /// True when an attribute was refused for what it is: the file system, or the kind of file, has no place for it.
    fn is_lost(&self, set: Result<(), Errno>) -> Result<bool, Errno> {
        is_lost(set, || {
            let stat = rustix::fs::fstatvfs(&self.root);
            stat.is_ok_and(|stat| stat.f_blocks > 0 && stat.f_bavail == 0)
        })
    }
}

fn is_lost(set: Result<(), Errno>, is_full: impl FnOnce() -> bool) -> Result<bool, Errno> {
    match set {
        Ok(()) => Ok(false),
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::RANGE | Errno::PERM | Errno::TOOBIG) => Ok(true),
        // ext4 says so of one that is larger than a block, or than what others have left of it.
        Err(Errno::NOSPC) if !is_full() => Ok(true),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Owner;
    use super::*;

    #[test]
    fn only_a_full_disk_is_one() {
        assert_eq!(is_lost(Ok(()), || true), Ok(false));
        assert_eq!(is_lost(Err(Errno::TOOBIG), || true), Ok(true));
        assert_eq!(is_lost(Err(Errno::NOSPC), || false), Ok(true));
        assert_eq!(is_lost(Err(Errno::NOSPC), || true), Err(Errno::NOSPC));
        assert_eq!(is_lost(Err(Errno::DQUOT), || false), Err(Errno::DQUOT));
    }

    #[test]
    fn an_attribute_that_is_too_large_for_the_file_system_is_counted() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let mut target = Target::open_for(dir.path(), Keeps::Files).unwrap();
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let mut meta = Meta { owner: Some(Owner { uid, gid }), ..Meta::ours(0o644) };
        // ext4 has one block for all of a file's, XFS and btrfs take each.
        meta.xattrs.push((b"user.large".to_vec(), vec![b'x'; 30_000]));
        let file = target.create_file(Path::new("f")).unwrap();
        target.finish_file(&file, Path::new("f"), &meta).unwrap();
        let kept = rustix::fs::fgetxattr(&file, "user.large", &mut vec![0; 30_000]).is_ok();
        assert_eq!(target.summary.left.unsupported, u64::from(!kept));
    }
}
