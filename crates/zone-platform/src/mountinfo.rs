//! The table of mounts, `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsRawFd, BorrowedFd};

use crate::Failed;

const TABLE: &str = "/proc/self/mountinfo";
/// The longest table of a zone in bytes: as many mounts as the kernel lets a mount namespace have (`fs.mount-max`), with paths as they are
/// in use. The kernel bounds no path of a mount, and who is root in a zone chooses them.
const MOST: u64 = 32 << 20;

/// A zone's table that is longer than any has to be.
#[derive(Debug, thiserror::Error)]
#[error("what the zone has mounted fills more than {} MiB: have it unmount that, or reboot it", MOST >> 20)]
struct TooLong;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The id of the mount, which `statx(2)` also gives.
    pub(crate) id: u64,
    /// The major number of the device of its file system.
    pub(crate) major: u32,
    /// The minor number of that device, which for FUSE is the number of the connection.
    pub(crate) minor: u32,
    /// The directory or file of its file system that is mounted.
    pub(crate) root: PathBuf,
    /// The directory or file that it is mounted on.
    pub(crate) point: PathBuf,
    /// The type of its file system.
    pub(crate) fstype: String,
    /// Whether what is mounted below it shows in copies of it.
    pub(crate) shared: bool,
    /// What is mounted, in the words of its file system: of a disk its device.
    pub(crate) source: String,
    /// The options of the mount itself, as the table has them: `rw,nosuid,nodev`.
    pub(crate) options: String,
}

impl Mount {
    /// Whether the host runs no set-user-ID program from there, whoever writes one.
    pub(crate) fn ignores_set_user_id(&self) -> bool {
        self.options.split(',').any(|option| matches!(option, "nosuid" | "noexec" | "ro"))
    }
}

/// All mounts that this process sees, in the kernel's order: a later one at the same place hides an earlier one.
pub(crate) fn read() -> Result<Vec<Mount>, Failed> {
    Ok(parse_all(&read_whole(TABLE).map_err(Failed::to("read", TABLE))?))
}

/// All mounts that another process sees.
///
/// # Errors
/// Also for a table of more than 32 MiB.
pub(crate) fn read_of(process: i32) -> Result<Vec<Mount>, Failed> {
    let table = format!("/proc/{process}/mountinfo");
    match read_at_most(&table, MOST).map_err(Failed::to("read", &table))? {
        Some(bytes) => Ok(parse_all(&bytes)),
        None => Err(Failed::to("read", table)(TooLong)),
    }
}

/// The mount that a descriptor is open on, of a table that has it.
pub(crate) fn of<'a>(table: &'a [Mount], fd: BorrowedFd<'_>) -> Option<&'a Mount> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok())?;
    table.iter().find(|mount| mount.id == id)
}

/// Reads a file that does not say how long it is, with few calls: the kernel walks all mounts up to the part that is asked for.
fn read_whole(path: &str) -> std::io::Result<Vec<u8>> {
    Ok(read_at_most(path, u64::MAX - 1)?.unwrap_or_default())
}

/// As [`read_whole`]; `None` if it is longer than so many bytes.
fn read_at_most(path: &str, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(16 << 10);
    let read = File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= most).then_some(bytes))
}

/// The mounts below a directory, whose path has no symlinks; not one at the directory itself.
pub(crate) fn below<'a>(mounts: &'a [Mount], dir: &'a Path) -> impl Iterator<Item = &'a Mount> {
    mounts.iter().filter(move |mount| mount.point != dir && mount.point.starts_with(dir))
}

/// The lines of a table.
pub(crate) fn parse_all(table: &[u8]) -> Vec<Mount> {
    table.split(|&b| b == b'\n').filter_map(parse).collect()
}

/// A line; one that is not understood is skipped, for fields may be added only where they do no harm.
fn parse(line: &[u8]) -> Option<Mount> {
    // id parent major:minor root point options [optional...] - fstype source superoptions
    let mut fields = line.split(|&b| b == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    let (root, point) = (fields.next()?, fields.next()?);
    let options = fields.next()?;
    let optional: Vec<_> = fields.by_ref().take_while(|field| *field != b"-").collect();
    let shared = optional.iter().any(|field| field.starts_with(b"shared:"));
    let fstype = fields.next()?;
    let source = unescape(fields.next().unwrap_or_default());
    Some(Mount {
        id,
        major,
        minor,
        root: path(root),
        point: path(point),
        fstype: String::from_utf8_lossy(fstype).into_owned(),
        shared,
        source: String::from_utf8_lossy(&source).into_owned(),
        options: String::from_utf8_lossy(options).into_owned(),
    })
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

/// Blank, tab, line break and backslash stand as a backslash with three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'\\').then(|| after.first_chunk::<3>().and_then(octal)).flatten();
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    out
}

fn octal(digits: &[u8; 3]) -> Option<u8> {
    let value = digits.iter().try_fold(0u32, |value, digit| {
        (b'0'..=b'7').contains(digit).then(|| value * 8 + u32::from(digit - b'0'))
    });
    value.and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_taken_apart() {
        let mount = parse(br"36 35 98:0 /m\0401 /mnt\134\0112 rw,noatime master:1 shared:2 - ext4 /dev/x rw")
            .unwrap();
        assert_eq!((mount.id, (mount.major, mount.minor), mount.fstype.as_str()), (36, (98, 0), "ext4"));
        assert_eq!((mount.root.as_path(), mount.source.as_str()), (Path::new("/m 1"), "/dev/x"));
        assert!(mount.shared);
        assert!(mount.options == "rw,noatime" && !mount.ignores_set_user_id());
        assert_eq!(mount.point.to_str(), Some("/mnt\\\t2"));
        let plain = parse(b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755").unwrap();
        assert_eq!(plain.fstype, "tmpfs");
        assert!(parse(b"").is_none() && parse(b"1 2 0:1 / /x rw shared:1").is_none());
        assert_eq!(unescape(br"\999\04\777"), br"\999\04\777");
    }

    #[test]
    fn no_more_is_read_of_a_zones_table_than_it_may_have() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("mountinfo");
        std::fs::write(&table, "0123456789").unwrap();
        let read = |most| read_at_most(table.to_str().unwrap(), most).unwrap();
        assert_eq!((read(10), read(9)), (Some(b"0123456789".to_vec()), None));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(read_of(own).unwrap().len(), super::read().unwrap().len());
    }

    #[test]
    fn what_is_below() {
        let at = |point: &str| testing::mount(point, "x", 0);
        let mounts = ["/z", "/z/root", "/z/root/a b", "/z/rootless"].map(at);
        let below: Vec<_> = below(&mounts, Path::new("/z/root")).map(|m| m.point.to_str()).collect();
        assert_eq!(below, [Some("/z/root/a b")]);
        assert!(read().unwrap().iter().any(|mount| mount.point == Path::new("/proc")));
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&line);
            prop_assert!(unescape(&line).len() <= line.len());
        }
    }
}
