//! What a zone reads from the host's disks and writes to them: `io.max`, a line a disk.

use std::path::{Path, PathBuf};

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, major, minor, stat};
use rustix::io::Errno;
use zone_config::config::Io;
use zone_config::limits::size;

use super::{CgroupError, read, write};
use crate::Failed;
use crate::claims::whole;

const FILE: &str = "io.max";
/// What the kernel says for a disk without a limit; it then shows no line for it.
const NONE: &str = "rbps=max wbps=max riops=max wiops=max";

/// Reads an `io` resource: the device, and what follows its number.
pub(super) fn asked(io: &Io) -> (PathBuf, String) {
    let bytes = |word: &Option<String>| word.as_deref().and_then(size);
    let numbers = [bytes(&io.read_bandwidth), bytes(&io.write_bandwidth), io.read_iops, io.write_iops];
    let words = ["rbps", "wbps", "riops", "wiops"].into_iter().zip(numbers);
    let words = words.map(|(word, number)| {
        number.map_or_else(|| format!("{word}=max"), |number| format!("{word}={number}"))
    });
    (PathBuf::from(&io.device), words.collect::<Vec<_>>().join(" "))
}

/// Finds the number of the disk that a device is, or is a part of: the kernel counts for whole disks only.
///
/// # Errors
/// [`CgroupError::NoDisk`]
pub(super) fn disk(device: &Path) -> Result<String, CgroupError> {
    let none = |source| CgroupError::NoDisk { device: device.to_owned(), source };
    let stat = stat(device).map_err(none)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::BlockDevice {
        return Err(none(Errno::NOTBLK));
    }
    let disk = whole((major(stat.st_rdev), minor(stat.st_rdev))).ok_or_else(|| none(Errno::NODEV))?;
    Ok(format!("{}:{}", disk.0, disk.1))
}

/// Finds what is wrong with the disks of these limits. A second limit for a disk would undo the first.
pub(super) fn look(asked: &[(PathBuf, String)]) -> Vec<CgroupError> {
    let mut disks: Vec<(String, &Path)> = Vec::new();
    let mut wrong = Vec::new();
    for (device, _) in asked {
        match disk(device) {
            Ok(number) => match disks.iter().find(|(other, _)| *other == number) {
                Some((_, first)) => {
                    wrong.push(CgroupError::SameDisk { first: first.to_path_buf(), second: device.clone() });
                }
                None => disks.push((number, device)),
            },
            Err(error) => wrong.push(error),
        }
    }
    wrong
}

/// Gives the cgroup its limits for these disks, and takes away those for others.
pub(super) fn bound(dir: BorrowedFd<'_>, asked: &[(PathBuf, String)]) -> Result<(), CgroupError> {
    let mut lines = Vec::new();
    for (device, limits) in asked {
        lines.push((disk(device)?, limits.as_str()));
    }
    let now = match read(dir, FILE) {
        Ok(now) => now,
        // Without the controller there is nothing to take away.
        Err(Errno::NOENT) if lines.is_empty() => return Ok(()),
        Err(errno) => return Err(Failed::to("read", FILE)(errno).into()),
    };
    let has = now.lines().filter_map(|line| line.split_whitespace().next());
    let others =
        has.filter(|number| !lines.iter().any(|(disk, _)| disk == number)).map(|number| (number, NONE));
    let lines = lines.iter().map(|(disk, limits)| (disk.as_str(), *limits));
    for (number, limits) in others.chain(lines) {
        let failed = Failed::to("limit what the zone reads and writes of disk", number);
        write(dir, FILE, &format!("{number} {limits}")).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_config::ZoneConfig;

    #[test]
    fn words_come_to_what_the_kernel_reads() {
        let text =
            "zonepath = \"/z\"\n[[io]]\ndevice = \"/dev/vda\"\nwrite-bandwidth = \"8M\"\nread-iops = 100\n";
        let config = ZoneConfig::parse(text, Path::new("f")).unwrap();
        let wanted = "rbps=max wbps=8388608 riops=100 wiops=max";
        assert_eq!(asked(&config.io[0]), (PathBuf::from("/dev/vda"), wanted.to_owned()));
    }

    #[test]
    fn a_disk_has_one_limit_under_all_of_its_names() {
        zone_testing::needs_root!();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (name, minor) in [("a", 0), ("b", 1)] {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let device = rustix::fs::makedev(7, minor);
            rustix::fs::mknodat(rustix::fs::CWD, path(name), FileType::BlockDevice, mode, device).unwrap();
        }
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        let looked = |names: &[&str]| {
            let asked: Vec<_> = names.iter().map(|name| (path(name), "rbps=1".to_owned())).collect();
            look(&asked).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(looked(&["a", "b"]), [""; 0]);
        let [first, second] = ["a", "link"].map(|name| path(name).display().to_string());
        let said = format!("io: {first} and {second} are one disk: put their limits into one io resource");
        assert_eq!(looked(&["a", "b", "link"]), [said]);
    }

    #[test]
    fn only_a_disk_is_a_disk() {
        for device in ["/dev/null", "/etc", "/dev/is-not-there"] {
            let error = disk(Path::new(device)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("io: {device} is no block device")), "{error}");
        }
    }
}
