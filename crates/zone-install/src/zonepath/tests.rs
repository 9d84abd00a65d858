use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::testing::{in_own_mounts, mount_tmpfs, unmount_all};

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn said(result: Result<Vec<Warning>, ZonepathError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_private_directory_below_a_sticky_one_is_fine() {
    let dir = temp();
    let path = dir.path().join("zone");
    assert_eq!(prepare(&path).unwrap().repairs, []);
    assert_eq!(check("z", &path, &[]).unwrap(), []);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn missing_is_a_warning_and_parents_are_made() {
    let dir = temp();
    let path = dir.path().join("var/lib/zones/a");
    let warnings = check("a", &path, &[]).unwrap();
    assert_eq!(warnings, [Warning::Missing(path.clone())]);
    assert_eq!(
        warnings[0].to_string(),
        format!("WARNING: {} does not exist, so it could not be verified.", path.display())
    );
    assert_eq!(prepare(&path).unwrap().repairs, []);
    assert_eq!(check("a", &path, &[]).unwrap(), []);
    let parent = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(parent.permissions().mode() & 0o7777, 0o755);
}

#[test]
fn an_existing_directory_is_repaired_and_it_is_said() {
    let dir = temp();
    let path = dir.path().join("z");
    fs::create_dir(&path).unwrap();
    chmod(&path, 0o755);
    assert!(said(check("z", &path, &[])).contains("must be mode 0700 (it is 0755)"));
    let repairs = prepare(&path).unwrap().repairs;
    assert_eq!(repairs, [Repair::Permissions(path.clone())]);
    assert_eq!(repairs[0].to_string(), format!("{}: changing permissions to 0700.", path.display()));
    assert_eq!(prepare(&path).unwrap().repairs, []);
}

#[test]
fn a_strange_owner_is_refused_or_repaired() {
    if owner() != 0 {
        return;
    }
    let dir = temp();
    let path = dir.path().join("z");
    fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
    assert!(said(check("z", &path, &[])).contains("is not owned by root"));
    assert_eq!(prepare(&path).unwrap().repairs[0], Repair::Owner(path.clone()));
    assert!(said(check("z", &path.join("x"), &[(("y"), &path)])).contains("overlap."));

    let parent = dir.path().join("p");
    fs::create_dir(&parent).unwrap();
    std::os::unix::fs::chown(&parent, Some(1234), None).unwrap();
    assert!(said(check("z", &parent.join("z"), &[])).contains("/p is not owned by root"));
    assert!(prepare(&parent.join("z")).is_err());
    assert!(!parent.join("z").exists());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_directory_in_use_is_nobodys_to_change() {
    zone_testing::needs_root!();
    let dir = temp();
    let path = dir.path().join("z");
    fs::create_dir_all(path.join("data")).unwrap();
    chmod(&path, 0o755);
    let text = said(check_vacant("z", &path, &[]));
    assert!(text.contains("has files in it and is open to others (mode 0755)"), "{text}");
    assert!(text.contains(&format!("chmod 0700 {}", path.display())), "{text}");
    chmod(&path, 0o1777);
    let text = said(check_vacant("z", &path, &[]));
    assert!(text.contains("choose another zonepath") && !text.contains("chmod"), "{text}");
    assert_eq!(mode(&path), 0o1777);
    chmod(&path, 0o700);
    assert_eq!(
        check_vacant("z", &path, &[]).unwrap(),
        [],
        "what else is in it stays, as it does at an uninstall"
    );
    fs::rename(path.join("data"), path.join("lost+found")).unwrap();
    chmod(&path, 0o755);
    assert_eq!(check_vacant("z", &path, &[]).unwrap(), [], "a new file system of its own");
}

#[test]
fn what_an_uninstall_would_take_for_the_zones_is_refused() {
    for (name, left) in
        [("root/etc", true), ("dev/x", true), ("logs/x", true), ("root", false), ("mine/x", false)]
    {
        let dir = temp();
        let path = dir.path().join("z");
        fs::create_dir_all(path.join(name)).unwrap();
        chmod(&path, 0o700);
        let result = check_vacant("z", &path, &[]);
        assert_eq!(matches!(result, Err(ZonepathError::Leftover(_))), left, "{name}: {result:?}");
        if let Err(error) = result {
            assert!(!error.to_string().contains("uninstall"), "{error}");
        }
    }
    let dir = temp();
    let path = dir.path().join("z");
    prepare(&path).unwrap();
    fs::write(path.join("lastexit.toml"), "").unwrap();
    assert_eq!(check_vacant("z", &path, &[]).unwrap(), []);
    symlink("/", path.join("root")).unwrap();
    assert!(matches!(check_vacant("z", &path, &[]), Err(ZonepathError::Leftover(_))));
}

#[test]
fn what_was_made_and_changed_is_taken_back() {
    let dir = temp();
    prepare(&dir.path().join("a/b/c")).unwrap().undo().unwrap();
    assert!(!dir.path().join("a").exists());
    let prepared = prepare(&dir.path().join("a/b/c")).unwrap();
    fs::write(dir.path().join("a/other"), "").unwrap();
    prepared.undo().unwrap();
    assert!(dir.path().join("a/other").exists() && !dir.path().join("a/b").exists());
    let path = dir.path().join("z");
    fs::create_dir(&path).unwrap();
    chmod(&path, 0o751);
    let prepared = prepare(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    prepared.undo().unwrap();
    assert_eq!(mode(&path), 0o751);
    // A parent that may not be one: what was repaired before that was seen is given back.
    let parent = dir.path().join("open");
    fs::create_dir_all(parent.join("z")).unwrap();
    chmod(&parent.join("z"), 0o755);
    chmod(&parent, 0o777);
    assert!(prepare(&parent.join("z")).is_err());
    assert_eq!(mode(&parent.join("z")), 0o755);
}

#[test]
fn parents_that_others_can_change_are_refused() {
    let dir = temp();
    let parent = dir.path().join("p");
    fs::create_dir(&parent).unwrap();
    chmod(&parent, 0o775);
    assert!(said(check("z", &parent.join("z"), &[])).contains("/p must not be group writable"));
    chmod(&parent, 0o707);
    assert!(said(check("z", &parent.join("z"), &[])).contains("/p must not be world writable"));
    chmod(&parent, 0o1777);
    assert!(check("z", &parent.join("z"), &[]).is_ok());
}

#[test]
fn only_the_canonical_spelling_is_taken() {
    let dir = temp();
    let base = dir.path().to_str().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    chmod(&dir.path().join("real"), 0o700);
    symlink("real", dir.path().join("link")).unwrap();
    for bad in ["link", "link/deeper", "real/", "real//x", "./real", "real/../real"] {
        let path = PathBuf::from(format!("{base}/{bad}"));
        assert!(said(check("z", &path, &[])).contains("is not a canonical path"), "{bad}");
    }
    assert!(said(check("z", Path::new("a/b"), &[])).contains("is not an absolute path."));
    assert!(matches!(check("z", Path::new("/"), &[]), Err(ZonepathError::Global)));
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(said(check("z", &dir.path().join("file"), &[])).contains("is not a directory."));
    assert!(said(check("z", &dir.path().join("file/x"), &[])).contains("is not a directory."));
}

#[test]
fn zones_do_not_nest() {
    let dir = temp();
    let a = dir.path().join("a");
    prepare(&a).unwrap();
    symlink("a", dir.path().join("alias")).unwrap();
    let alias = dir.path().join("alias");
    let inner = dir.path().join("a/b");
    for (path, other) in [(&a, &a), (&inner, &a), (&a, &inner), (&a, &alias)] {
        let text = said(check("one", path, &[("two", other)]));
        assert_eq!(
            text,
            format!("one zonepath ({}) and two zonepath ({}) overlap.", path.display(), other.display())
        );
    }
    assert!(check("one", &a, &[("two", &dir.path().join("ab"))]).is_ok());
}

#[test]
fn forbidding_mounts_are_named() {
    if !in_own_mounts("zonepath::tests::forbidding_mounts_are_named") {
        return;
    }
    let dir = temp();
    let path = dir.path().join("z");
    for option in ["nosuid", "noexec", "ro"] {
        mount_tmpfs(dir.path(), &format!("mode=0700,{option}"));
        let text = said(check("z", &path, &[]));
        assert!(text.contains(&format!("is on a file system mounted {option};")), "{text}");
    }
    mount_tmpfs(dir.path(), "mode=0700,nodev");
    prepare(&path).unwrap();
    let warnings = check("z", &path, &[]).unwrap();
    assert_eq!(warnings, [Warning::Temporary(path.clone())]);
    assert_eq!(
        warnings[0].to_string(),
        format!("WARNING: {} is on a temporary file system.", path.display())
    );
    unmount_all(dir.path());
}
