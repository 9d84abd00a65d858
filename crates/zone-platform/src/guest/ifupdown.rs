//! What a guest's ifupdown is to configure: Debian's, busybox' and Alpine's read the same file.

use std::fs::File;
use std::io::Read;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Dir, FileType, OFlags, fstat};
use zone_sys::path::beneath;

/// Bounds each file, in bytes, and how many of them are read.
const LONGEST: u64 = 64 << 10;
const MOST: usize = 64;
const DIR: &str = "etc/network/interfaces.d";

/// Lists the links that the files of interfaces(5) in a root have a stanza for. What cannot be read says nothing: these files are
/// the zone's root's.
pub(crate) fn interfaces(root: BorrowedFd<'_>) -> Vec<String> {
    let mut texts = vec![read(root, "etc/network/interfaces")];
    let opened = beneath(root, DIR, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
    let entries = opened.and_then(Dir::read_from).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    texts.extend(names.take(MOST).map(|name| read(root, &format!("{DIR}/{name}"))));
    texts.iter().flatten().flat_map(|text| stanzas(text)).collect()
}

fn read(root: BorrowedFd<'_>, path: &str) -> Option<String> {
    let fd: OwnedFd = beneath(root, path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK).ok()?;
    if FileType::from_raw_mode(fstat(&fd).ok()?.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(fd).take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn stanzas(text: &str) -> impl Iterator<Item = String> {
    let name = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "iface").and_then(|_| words.next()).map(str::to_owned)
    };
    text.lines().filter_map(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fd::AsFd;

    use super::*;

    #[test]
    fn stanzas_are_found_in_the_file_and_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = File::open(dir.path()).unwrap();
        assert!(interfaces(root.as_fd()).is_empty());
        let network = dir.path().join("etc/network");
        fs::create_dir_all(network.join("interfaces.d")).unwrap();
        let text = "auto lo eth0\niface lo inet loopback\n# iface eth9 inet dhcp\n  iface eth0 inet dhcp\n\thostname x\niface\n";
        fs::write(network.join("interfaces"), text).unwrap();
        fs::write(network.join("interfaces.d/50-cloud"), "iface eth1 inet6 auto\n").unwrap();
        fs::write(dir.path().join("other"), "iface eth2 inet dhcp\n").unwrap();
        symlink("../../../other", network.join("interfaces.d/link")).unwrap();
        assert_eq!(interfaces(root.as_fd()), ["lo", "eth0", "eth1"]);
    }
}
