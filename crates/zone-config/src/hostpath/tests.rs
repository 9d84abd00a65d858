use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn refused(path: &Path) -> String {
    HostPath::open(path).unwrap_err().to_string()
}

#[test]
fn a_path_is_opened_with_all_that_is_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let found = HostPath::open(&dir.path().join("a//./b/")).unwrap();
    assert_eq!(found.path(), deep);
    assert_eq!(found.stat().st_ino, fs::metadata(&deep).unwrap().ino());
    let above = HostPath::open(dir.path()).unwrap();
    assert!(found.is_below(above.id()) && !found.is_below(found.id()) && !above.is_below(found.id()));
    let part = HostPath::open_existing_part(&deep.join("c/d")).unwrap();
    assert_eq!(part.id(), found.id());
    let error = HostPath::open(&deep.join("c/d")).unwrap_err();
    assert!(error.is_missing());
    assert_eq!(error.to_string(), format!("could not access {}/c", deep.display()));
}

#[test]
fn a_path_that_somebody_else_could_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("a/b"));
    fs::create_dir_all(&b).unwrap();
    for (bits, whose) in [(0o775, "group"), (0o757, "world")] {
        mode(&a, bits);
        let text = refused(&b);
        assert!(text.contains(&format!("must not be {whose} writable")), "{text}");
        assert!(text.ends_with(&format!("run chmod go-w {}", a.display())), "{text}");
    }
    // The last may be anybody's, and written by anybody.
    mode(&a, 0o755);
    mode(&b, 0o777);
    assert!(HostPath::open(&b).is_ok());
    mode(&a, 0o1777);
    assert!(HostPath::open(&b).is_ok(), "in a sticky directory root's own stays");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&b, Some(1000), None).unwrap();
        assert!(refused(&b).starts_with(&format!("{} is not owned by root", b.display())));
        mode(&a, 0o755);
        assert!(HostPath::open(&b).is_ok());
        std::os::unix::fs::chown(&a, Some(1000), None).unwrap();
        assert!(refused(&b).starts_with(&format!("{} is not owned by root", a.display())));
    }
}

#[test]
fn no_symlink_is_followed_and_the_real_path_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("real/x")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("dead\u{1b}[2J")).unwrap();
    let text = refused(&dir.path().join("link/x"));
    assert!(
        text.ends_with(&format!(" is a symlink: write the path without it, {}/real/x", dir.path().display())),
        "{text}"
    );
    let text = refused(&dir.path().join("dead\u{1b}[2J"));
    assert!(text.ends_with("/dead\\u{1b}[2J is a symlink: write the path without it"), "{text}");
    for odd in ["relative", "/tmp/../etc"] {
        assert!(refused(Path::new(odd)).contains("is not a canonical path"));
    }
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(refused(&dir.path().join("file/x")).ends_with("/file is not a directory"));
}

/// A directory of a user's in a sticky one may be taken by whoever makes it root's, and is nothing to use as it is.
#[test]
fn a_users_own_in_a_sticky_directory_can_be_taken_and_not_used() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    mode(dir.path(), 0o1777);
    std::os::unix::fs::chown(&own, Some(1000), None).unwrap();
    assert!(HostPath::open_existing_part(&own).is_err());
    assert_eq!(HostPath::open_to_take(&own).unwrap().path(), own);
    assert!(HostPath::open_to_take(&own.join("below")).is_err());
    let missing = HostPath::open_to_take(&dir.path().join("a/b")).unwrap();
    assert_eq!((missing.path(), missing.missing()), (dir.path(), &["a".into(), "b".into()][..]));
}

#[test]
fn each_link_on_the_way_is_looked_at_where_links_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (real, open) = (dir.path().join("real"), dir.path().join("open"));
    fs::create_dir_all(real.join("x")).unwrap();
    fs::create_dir(&open).unwrap();
    symlink("open/second", dir.path().join("first")).unwrap();
    symlink(real.join("x/.."), open.join("second")).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    let found = HostPath::open_by_links(&dir.path().join("first/x/none/../n")).unwrap();
    assert_eq!((found.path(), found.missing()[0].as_os_str()), (&*real.join("x"), "none".as_ref()));
    mode(&open, 0o777);
    let error = HostPath::open_by_links(&dir.path().join("first")).unwrap_err();
    assert!(matches!(&error, HostPathError::Writable { at, .. } if *at == open), "{error}");
    let error = HostPath::open_by_links(&dir.path().join("loop")).unwrap_err();
    assert!(
        matches!(&error, HostPathError::Access { source, .. } if source.raw_os_error() == Some(Errno::LOOP.raw_os_error()))
    );
}

#[test]
fn who_can_get_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let kept = |path: &Path| HostPath::open(path).unwrap().is_kept_from_users();
    if rustix::process::geteuid().is_root() {
        mode(dir.path(), 0o700);
        assert!(kept(&inner));
        for open in [0o701, 0o710] {
            mode(dir.path(), open);
            assert!(!kept(&inner), "{open:o}");
        }
        mode(&inner, 0o744);
        assert!(kept(&inner));
    }
}

/// A directory and a symlink take each other's place all the time: what is opened is the directory or nothing.
#[test]
fn a_race_for_the_last_component_is_lost_by_whoever_swaps() {
    let dir = tempfile::tempdir().unwrap();
    let (place, aside, link) = (dir.path().join("p"), dir.path().join("aside"), dir.path().join("link"));
    fs::create_dir(&place).unwrap();
    symlink("/etc", &link).unwrap();
    let genuine = fs::metadata(&place).unwrap().ino();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&place, &aside).unwrap();
                fs::rename(&link, &place).unwrap();
                fs::rename(&place, &link).unwrap();
                fs::rename(&aside, &place).unwrap();
            }
        });
        let mut seen = [0; 2];
        for _ in 0..5000 {
            match HostPath::open(&place) {
                Ok(found) => {
                    assert_eq!(found.stat().st_ino, genuine);
                    seen[0] += 1;
                }
                Err(_) => seen[1] += 1,
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(seen[0] > 0, "{seen:?}");
    });
}
