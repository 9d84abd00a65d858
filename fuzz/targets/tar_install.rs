//! An archive from somewhere else, unpacked by root: nothing may appear or change outside of its root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use zone_install::install::from_archive;
use zone_install::progress::Options;

/// All that can be seen of a file that must stay as it is.
fn looks(path: &Path) -> (u32, u32, u32, u64, i64, Vec<u8>) {
    let meta = path.symlink_metadata().expect("it is there");
    let content = if meta.is_file() { fs::read(path).expect("it can be read") } else { Vec::new() };
    (meta.mode(), meta.uid(), meta.gid(), meta.nlink(), meta.mtime(), content)
}

fuzz_target!(|bytes: &[u8]| {
    // Every run ends by waiting for what it wrote; in memory there is nothing to wait for.
    let place = tempfile::tempdir_in("/dev/shm").expect("a folder");
    let zonepath = place.path().join("zone");
    let (outside, archive) = (place.path().join("outside"), place.path().join("archive"));
    fs::create_dir(&zonepath).expect("a zonepath");
    fs::set_permissions(&zonepath, fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::write(&outside, "unchanged").expect("a file");
    symlink("outside", place.path().join("link")).expect("a link");
    fs::write(&archive, bytes).expect("an archive");
    let kept = [&outside, &archive].map(|path| looks(path));

    let _ = from_archive(&archive, &zonepath, &Options::default(), &mut |_| {});

    assert_eq!([&outside, &archive].map(|path| looks(path)), kept);
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    assert_eq!(names(place.path()), ["archive", "link", "outside", "zone"]);
    assert!(names(&zonepath).iter().all(|name| name == "root"));
    let mode = zonepath.metadata().expect("a zonepath").mode();
    assert_eq!(mode & 0o7777, 0o700);
});
