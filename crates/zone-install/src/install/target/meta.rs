//! What an entry has beside its name and contents.

use std::os::fd::OwnedFd;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::install::Summary;
use crate::install::acl::Acl;

/// Names and values of extended attributes.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// What an entry has beside its name and contents.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) mode: u32,
    /// Nothing for what is ours.
    pub(crate) owner: Option<Owner>,
    /// Nothing for what is as old as this moment.
    pub(crate) times: Option<Timestamps>,
    /// Only those that [`keeps_xattr`](super::keeps_xattr) lets through.
    pub(crate) xattrs: Xattrs,
    /// Access control lists with names in them.
    pub(crate) acls: Vec<Acl>,
}

impl Meta {
    /// Something of our own making: root's, and as old as this moment.
    pub(crate) fn ours(mode: u32) -> Self {
        Self { mode, owner: None, times: None, xattrs: Vec::new(), acls: Vec::new() }
    }

    /// Bytes that its attributes and lists take, roughly.
    pub(super) fn weight(&self) -> usize {
        let xattr =
            |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + size_of::<(Vec<u8>, Vec<u8>)>();
        self.xattrs.iter().map(xattr).chain(self.acls.iter().map(Acl::weight)).sum()
    }
}

/// Both times the same.
pub(crate) fn both(time: Timespec) -> Timestamps {
    Timestamps { last_access: time, last_modification: time }
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Owner {
    /// The owner with these numbers.
    pub(crate) fn new(uid: u32, gid: u32) -> Self {
        Self { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) }
    }

    /// Whether it is nobody inside of a zone.
    pub(super) fn is_foreign(self) -> bool {
        self.uid.as_raw() >= Summary::IDS || self.gid.as_raw() >= Summary::IDS
    }
}

/// The owner of what we make of our own, and whether it is that by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ourselves {
    owner: Owner,
    /// What is made here belongs to us from the beginning. A directory may give its own group to what is made in it (its setgid
    /// bit, the mount option `grpid`); where the top one has our group and not the bit, all below that are made by us have it too.
    inherited: bool,
}

impl Ourselves {
    /// Looks who we are, and whose what is made in a directory will be. Somebody else than root can only be running unit tests.
    pub(super) fn in_directory(directory: &OwnedFd) -> Result<Self, Errno> {
        let uid = rustix::process::geteuid();
        let owner = Owner { uid, gid: if uid.is_root() { Gid::ROOT } else { rustix::process::getegid() } };
        let stat = rustix::fs::fstat(directory)?;
        let inherited = Owner::new(stat.st_uid, stat.st_gid) == owner
            && rustix::process::getegid() == owner.gid
            && !Mode::from_raw_mode(stat.st_mode).contains(Mode::SGID);
        Ok(Self { owner, inherited })
    }

    /// The owner of what is ours.
    pub(super) fn owner(self) -> Owner {
        self.owner
    }

    /// The owner that an entry does not have yet when it has just been made.
    pub(super) fn owner_to_set(self, meta: &Meta) -> Option<Owner> {
        meta.owner.or((!self.inherited).then_some(self.owner))
    }
}
