//! Tests of files that are replaced and read.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_file_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    replace(&path, b"one", 0o600).unwrap();
    replace(&path, b"two", 0o644).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    fs::write(temporary(&path), "left by one that was killed").unwrap();
    replace(&path, b"three", 0o600).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    fs::write(temporary(&path), "left by one that was killed").unwrap();
    remove(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    remove(&path).unwrap();
    assert_eq!(read_if_there(&path, 3).unwrap(), None);
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let error = read_if_there(path, 3).unwrap_err();
        format!("{error}: {}", error.source)
    };
    let path = dir.path().join("f");
    fs::write(&path, "123").unwrap();
    assert_eq!(read_if_there(&path, 3).unwrap().unwrap(), b"123");
    fs::write(&path, "1234").unwrap();
    assert_eq!(
        said(&path),
        format!("cannot read {}: it has more than 3 bytes, the most that is read", path.display())
    );
    let fifo = dir.path().join("fifo");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(said(&fifo), format!("cannot read {}: it is a fifo, not a regular file", fifo.display()));
    assert!(said(dir.path()).ends_with("it is a directory, not a regular file"));
    assert!(said(Path::new("/dev/zero")).ends_with("it is a device, not a regular file"));
    assert!(FileLock::try_take(&fifo).is_err());
    let endless = read_at_most(File::open("/dev/zero").unwrap(), 5).unwrap_err();
    assert_eq!(endless.to_string(), "it has more than 5 bytes, the most that is read");
}
