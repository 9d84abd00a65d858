//! Second names of a directory of the host: what is mounted of a file system can be mounted at many places, and each
//! has its own way to it and its own options.

use std::path::{Path, PathBuf};

use zone_config::hostpath::{FileId, HostPath};

use crate::mountinfo::{self, Mount};
use crate::root::mount_of;

/// Finds a place by which users of the host reach what is shared, or a part of it, and run set-user-ID programs there,
/// beside the path that was walked; `recursive` if what is mounted below is shared as well.
pub(super) fn reached(table: &[Mount], found: &HostPath, recursive: bool) -> Option<PathBuf> {
    let own = mount_of(found.fd(), table)?;
    let inside = found.path().strip_prefix(&own.point).ok()?;
    let shared = Part { mount: own, path: own.root.join(inside), id: Some(found.id()) };
    let below = mountinfo::below(table, found.path()).filter(|_| recursive);
    let parts = below.map(|mount| Part { mount, path: mount.root.clone(), id: None });
    std::iter::once(shared).chain(parts).find_map(|part| part.reached(table))
}

/// A directory or file of a file system, and the mount by which it is shared.
struct Part<'a> {
    mount: &'a Mount,
    path: PathBuf,
    id: Option<FileId>,
}

impl Part<'_> {
    fn reached(&self, table: &[Mount]) -> Option<PathBuf> {
        let device = |mount: &Mount| (mount.major, mount.minor);
        let others = table.iter().filter(|other| {
            other.id != self.mount.id && device(other) == device(self.mount) && !other.ignores_set_user_id()
        });
        others
            .filter_map(|other| self.name_by(other))
            .find(|(path, id)| users_reach(path, *id))
            .map(|(path, _)| path)
    }

    /// What this, or the part of it that is mounted there, is called by another mount.
    fn name_by(&self, other: &Mount) -> Option<(PathBuf, Option<FileId>)> {
        match self.path.strip_prefix(&other.root) {
            Ok(rest) if rest.as_os_str().is_empty() => Some((other.point.clone(), self.id)),
            Ok(rest) => Some((other.point.join(rest), self.id)),
            Err(_) => other.root.starts_with(&self.path).then(|| (other.point.clone(), None)),
        }
    }
}

/// Whether users of the host get to a place. One where something else is found is hidden by what is mounted over it; one
/// that a user could change the way to is reached.
fn users_reach(path: &Path, id: Option<FileId>) -> bool {
    match HostPath::open(path) {
        Ok(found) => !found.is_kept_from_users() && id.is_none_or(|id| id == found.id()),
        Err(error) => !error.is_missing(),
    }
}
