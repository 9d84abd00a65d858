//! Whether file systems answer that somebody else serves.
//!
//! A call to a file system whose server is gone may never return, and no signal ends it. A daemon with a thread in such a call
//! could not be killed to the end, and its lock would stay. So whoever is about to use such a file system has a process of its own
//! try it first: if that hangs, nothing else does.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use zone_config::Layout;

use crate::Spec;
use crate::mountinfo::{self, Mount};

/// How long a file system may take to answer. A server that is merely busy takes milliseconds.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The hidden option of zoneadmd that makes it try a path and do nothing else.
pub const OPTION: &str = "--reach";

/// Types of file systems that somebody else serves; what is behind a dot is a FUSE subtype.
const SERVED: [&str; 20] = [
    "fuse", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "coda", "gfs2", "ocfs2",
    "lustre", "gpfs", "beegfs", "orangefs", "virtiofs", "autofs", "ncpfs",
];

/// A file system that does not answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file system of {} does not answer ({}): restart what serves it, or unmount it with 'umount -lf {}'{}",
    .path.display(), .fstype, .point.display(), abort(.connection)
)]
pub struct Silent {
    /// What was tried.
    path: PathBuf,
    /// The type of its file system.
    fstype: String,
    /// Where that is mounted.
    point: PathBuf,
    /// The number of a FUSE connection.
    connection: Option<u32>,
}

fn abort(connection: &Option<u32>) -> String {
    connection.map_or_else(String::new, |number| {
        format!(", or end it with 'echo 1 > /sys/fs/fuse/connections/{number}/abort'")
    })
}

/// Whether somebody else serves the file system that a path is on, as far as the table of mounts and the path's text tell.
pub(crate) fn is_served(table: &[Mount], path: &Path) -> bool {
    mount_of(table, path).is_some_and(served)
}

/// Whether anything is mounted that somebody else serves.
pub(crate) fn is_any_served(table: &[Mount]) -> bool {
    table.iter().any(served)
}

fn mount_of<'a>(table: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let longest = |mount: &&Mount| mount.point.as_os_str().len();
    // Of several at one place the last is seen.
    table.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(longest)
}

/// Whether somebody else serves file systems of this type.
pub(crate) fn is_served_type(fstype: &str) -> bool {
    SERVED.contains(&fstype.split('.').next().unwrap_or_default())
}

fn served(mount: &Mount) -> bool {
    // What is there the host's kernel and init see to, and no zone gets any of it.
    let of_the_kernel = ["/proc", "/sys", "/dev"].iter().any(|dir| mount.point.starts_with(dir));
    is_served_type(&mount.fstype) && !of_the_kernel
}

/// Tries what a zone uses of such file systems. `waiting` is told what is waited for; false ends the wait.
///
/// # Errors
/// [`Silent`]: the first that does not answer in time.
pub fn check(layout: &Layout, spec: &Spec, mut waiting: impl FnMut(&Path) -> bool) -> Result<(), Silent> {
    let Ok(table) = mountinfo::read() else { return Ok(()) };
    if !is_any_served(&table) {
        return Ok(());
    }
    // A link on the way may lead anywhere, so the text of these paths tells nothing.
    let shared = spec.mounts.iter().flat_map(|mount| mount.paths().map(Path::to_owned));
    let own = Some(spec.zonepath.clone()).filter(|path| is_served(&table, path));
    let limit = zone_fail::limit(&layout.run(), LIMIT);
    for path in shared.chain(own) {
        if !answers(&path, limit, || waiting(&path)) {
            let mount = mount_of(&table, &path);
            return Err(Silent {
                fstype: mount.map_or_else(|| "of unknown type".to_owned(), |mount| mount.fstype.clone()),
                point: mount.map_or_else(|| path.clone(), |mount| mount.point.clone()),
                connection: mount.filter(|mount| mount.fstype.starts_with("fuse")).map(|mount| mount.minor),
                path,
            });
        }
    }
    Ok(())
}

/// How long to wait for what can be left out.
const SOON: Duration = Duration::from_secs(2);

/// Tries one path, for whoever can do without what is there: false when it is on a file system that somebody else serves, and
/// that does not answer within two seconds.
#[must_use]
pub fn answers_soon(path: &Path) -> bool {
    mountinfo::read().is_ok_and(|table| !is_served(&table, path)) || answers(path, SOON, || true)
}

/// How often whoever waits is asked whether to go on.
const LOOK: Duration = Duration::from_millis(250);

fn answers(path: &Path, limit: Duration, mut waiting: impl FnMut() -> bool) -> bool {
    let mut command = Command::new(Layout::program("zoneadmd"));
    command.arg(OPTION).arg(path).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // If there is none to be had, what comes next tells.
    let Ok(mut child) = command.spawn() else { return true };
    let Ok(pidfd) = pidfd_of(&child) else { return child.wait().is_ok() };
    let begun = Instant::now();
    // Until then it is the process that takes its time: on a busy machine to start one takes longer than any answer.
    let quiet = SOON.min(limit / 4);
    while begun.elapsed() < limit {
        let slice = Timespec::try_from(LOOK.min(limit.saturating_sub(begun.elapsed()))).ok();
        match poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], slice.as_ref()) {
            Ok(1..) => return child.wait().is_ok(),
            Ok(0) if begun.elapsed() >= quiet && !waiting() => break,
            _ => {}
        }
    }
    let _ = child.kill();
    // It goes when the kernel lets it, and somebody has to take note.
    std::thread::spawn(move || child.wait());
    false
}

fn pidfd_of(child: &Child) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// What the process does that tries a path: the same calls as the platform, of which any may hang.
pub fn touch(path: &Path) {
    let found = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _ = std::fs::metadata(&found);
    let _ = rustix::fs::statvfs(&found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn mount(point: &str, fstype: &str) -> Mount {
        testing::mount(point, fstype, 52)
    }

    #[test]
    fn the_innermost_mount_counts() {
        let table = [mount("/", "ext4"), mount("/srv", "fuse.sshfs"), mount("/srv/local", "xfs")];
        for (path, expected) in
            [("/srv", true), ("/srv/a", true), ("/srv/local/a", false), ("/srvs", false), ("/", false)]
        {
            assert_eq!(is_served(&table, Path::new(path)), expected, "{path}");
        }
        let kernel = [mount("/", "ext4"), mount("/proc/sys/fs/binfmt_misc", "autofs")];
        assert!(!kernel.iter().any(served));
    }

    #[test]
    fn who_does_not_answer_is_told_with_the_remedy() {
        let text = Silent {
            path: "/srv/a".into(),
            fstype: "fuse.sshfs".into(),
            point: "/srv".into(),
            connection: Some(52),
        }
        .to_string();
        assert_eq!(
            text,
            "the file system of /srv/a does not answer (fuse.sshfs): restart what serves it, or unmount it with \
             'umount -lf /srv', or end it with 'echo 1 > /sys/fs/fuse/connections/52/abort'"
        );
    }
}
