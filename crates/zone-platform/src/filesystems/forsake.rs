//! The end of waiting for a server that has gone: what the kernel still wants of it is given up.
//!
//! A process that has written cannot be killed while the server owes an answer, and no mount of a zone can be unmounted by force, for
//! the kernel has locked them. So the kernel is told to ask no more (`/sys/fs/nfs/DEVICE/shutdown`, since Linux 6.5): each request
//! ends with an error, and what was not written yet is lost.

use std::fs;
use std::path::{Path, PathBuf};

use zone_config::Snapshot;

use crate::mountinfo;
use crate::spec::{Mount, Source};

/// Where the kernel has a directory for each file system of a server that it has mounted.
const MOUNTED: &str = "/sys/fs/nfs";

/// Gives up what the kernel still wants of the servers of a live zone's `fs` resources, and tells of which; `processes` are some of
/// the zone's. It names none where nothing can be given up, or nothing is mounted.
#[must_use]
pub fn forsake(snapshot: &Snapshot, processes: &[i32]) -> Vec<String> {
    let wanted: Vec<Mount> = snapshot.config.fs.iter().map(Mount::of).collect();
    if !wanted.iter().any(|mount| matches!(mount.source, Source::Server(_))) {
        return Vec::new();
    }
    // One that is about to be gone has none any more.
    let mut tables = processes.iter().filter_map(|process| mountinfo::read_of(*process).ok());
    let Some(of_zone) = tables.find(|table| !table.is_empty()) else { return Vec::new() };
    // What the host has, too, which a zone may have by lofs, is not the zone's.
    let Ok(of_host) = mountinfo::read() else { return Vec::new() };
    let mut forsaken = Vec::new();
    for (dir, special) in own(&wanted, &of_zone, &of_host) {
        if fs::write(dir.join("shutdown"), "1").is_ok() {
            forsaken.push(special);
        }
    }
    forsaken
}

/// The kernel's directories of the file systems of servers that a zone has by its resources and nobody else has, and their names.
fn own(
    wanted: &[Mount],
    of_zone: &[mountinfo::Mount],
    of_host: &[mountinfo::Mount],
) -> Vec<(PathBuf, String)> {
    let is_own = |entry: &&mountinfo::Mount| {
        let is_wanted = |mount: &Mount| {
            matches!(&mount.source, Source::Server(special) if *special == entry.source)
                && Path::new(&mount.at) == entry.point
        };
        let device = (entry.major, entry.minor);
        entry.fstype.starts_with("nfs")
            && wanted.iter().any(is_wanted)
            && !of_host.iter().any(|other| (other.major, other.minor) == device)
    };
    let named = |entry: &mountinfo::Mount| {
        (Path::new(MOUNTED).join(format!("{}:{}", entry.major, entry.minor)), entry.source.clone())
    };
    of_zone.iter().filter(is_own).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_config::ZoneConfig;

    fn wanted() -> Vec<Mount> {
        let fs = |dir, special| {
            format!("[[fs]]\ndir = \"{dir}\"\nspecial = \"{special}\"\ntype = \"nfs\"\nowners = \"host\"\n")
        };
        let text = ["zonepath = \"/z\"\n".to_owned(), fs("/net", "nas:/export"), fs("/more", "nas:/more")];
        let config = ZoneConfig::parse(&text.concat(), Path::new("f")).unwrap();
        config.fs.iter().map(Mount::of).collect()
    }

    #[test]
    fn only_what_is_the_zones_own_is_given_up() {
        let wanted = wanted();
        let zone = mountinfo::parse_all(
            b"1 0 0:50 / /net rw - nfs4 nas:/export rw\n\
              2 0 0:51 / /more rw - nfs4 nas:/more rw\n\
              3 0 0:52 / /other rw - nfs4 nas:/export rw\n\
              4 0 0:53 / /net rw - nfs4 nas:/elsewhere rw\n\
              5 0 0:54 / /net rw - ext4 nas:/export rw\n",
        );
        let host = mountinfo::parse_all(b"9 0 0:51 / /mnt rw - nfs4 nas:/more rw\n");
        let found = own(&wanted, &zone, &host);
        assert_eq!(found, [(PathBuf::from("/sys/fs/nfs/0:50"), "nas:/export".to_owned())]);
        assert_eq!(own(&wanted, &zone, &zone), []);
    }
}
