//! Who is in a zone's cgroup.

use super::{CgroupError, Tree, ZONE};
use crate::Failed;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use zone_config::{Layout, ZoneName};

/// Whether a process is in the zone's cgroup, or below it, where the zone may have named cgroups with any bytes. One that has ended is not.
///
/// # Errors
/// [`CgroupError`] when that cannot be told.
pub fn has(layout: &Layout, zone: &ZoneName, pid: i32) -> Result<bool, CgroupError> {
    let tree = Tree::find(layout.id(), zone)?;
    let file = format!("/proc/{pid}/cgroup");
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if has_ended(&error) => return Ok(false),
        Err(error) => return Err(Failed::to("read", file)(error).into()),
    };
    let path = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    let names: Vec<_> = tree.above(ZONE).iter().map(OsStr::new).chain([OsStr::new(ZONE)]).collect();
    Ok(path.is_some_and(|path| is_below(path, &names)))
}

/// Whether that is what the kernel says of a process that is not there any more.
fn has_ended(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::SRCH))
}

/// Whether `names` follow each other somewhere in `path`: what is above them depends on where cgroup2 was mounted from.
fn is_below(path: &[u8], names: &[&OsStr]) -> bool {
    let parts: Vec<_> = Path::new(OsStr::from_bytes(path)).iter().collect();
    parts.windows(names.len()).any(|window| window == names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_not_beside() {
        let names = ["zones", "web", "zone"].map(OsStr::new);
        for (path, below) in [
            (&b"/zones/web/zone"[..], true),
            (b"/zones/web/zone/init.scope", true),
            (b"/host/zones/web/zone/a/b", true),
            (b"/zones/web/zone/\xff/a", true),
            (b"/host\xff/zones/web/zone", true),
            (b"/zones/\xff/web/zone", false),
            (b"/zones/web/supervisor", false),
            (b"/zones/webber/zone", false),
            (b"/zones/web", false),
            (b"/", false),
            (b"", false),
        ] {
            assert_eq!(is_below(path, &names), below, "{}", path.escape_ascii());
        }
    }

    #[test]
    fn who_has_ended_is_nowhere() {
        let gone = |errno: Errno| has_ended(&errno.into());
        assert_eq!((gone(Errno::NOENT), gone(Errno::SRCH)), (true, true));
        assert_eq!((gone(Errno::NFILE), gone(Errno::NOMEM)), (false, false));
    }
}
