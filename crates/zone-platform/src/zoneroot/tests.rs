use super::*;
use crate::mounts::host_path;
use crate::testing::{BASE, chain, mode};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use zone_config::hostpath::HostPath;

/// A root with a directory of the host beside it, which no path of the zone may ever reach.
struct Tree {
    dir: tempfile::TempDir,
    root: ZoneRoot,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["root", "host"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("host/secret"), "secret").unwrap();
        let shown = dir.path().join("root");
        let root = HostPath::open(&shown).unwrap().into_fd();
        let root = ZoneRoot::new(root, Making::Plain, &shown);
        Self { dir, root }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn point(&self, path: &str) -> Result<(), PathError> {
        self.root.mountpoint(&path.parse().unwrap(), Kind::Directory)
    }
}

#[test]
fn a_mount_point_is_made_where_it_is_missing() {
    zone_testing::needs_root!();
    let tree = Tree::new();
    tree.point("/a/b/c").unwrap();
    tree.point("/a/b/c").unwrap();
    for made in ["a", "a/b", "a/b/c"] {
        let meta = fs::metadata(tree.path(made)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o755, 0), "{made}");
    }
    tree.root.mountpoint(&"/a/file".parse().unwrap(), Kind::File).unwrap();
    assert!(fs::metadata(tree.path("a/file")).unwrap().is_file());
}

#[test]
fn what_is_in_the_way_is_named() {
    let tree = Tree::new();
    fs::write(tree.path("file"), "").unwrap();
    fs::create_dir(tree.path("real")).unwrap();
    symlink("real", tree.path("link")).unwrap();
    symlink(tree.dir.path().join("host"), tree.path("out")).unwrap();
    symlink("../../../../../../../../etc", tree.path("up")).unwrap();
    symlink("nowhere", tree.path("dangling")).unwrap();
    for (path, part, what) in [
        ("/file", "file", "is not a directory"),
        ("/file/deeper", "file", "is not a directory"),
        ("/link", "link", "is a symlink"),
        ("/link/deeper", "link", "is a symlink"),
        ("/out/new", "out", "is a symlink"),
        ("/up/new", "up", "is a symlink"),
        ("/dangling", "dangling", "is a symlink"),
    ] {
        let root = tree.path("");
        let root = root.to_str().unwrap().trim_end_matches('/');
        let expected = format!("{root}{path} is not a valid mount point: {root}/{part} {what}");
        assert_eq!(chain(&tree.point(path).unwrap_err()), expected);
    }
    let file = tree.root.mountpoint(&"/real".parse().unwrap(), Kind::File).unwrap_err();
    assert!(chain(&file).ends_with("/real is a directory"));
    let long = tree.point(&format!("/{}", "x".repeat(300))).unwrap_err();
    assert!(chain(&long).contains("is too long"), "{}", chain(&long));
    assert_eq!(fs::read_dir(tree.dir.path().join("host")).unwrap().count(), 1);
}

#[test]
fn only_one_spelling_of_a_path_is_taken() {
    for bad in ["", "/", "a", "a/b", "/a/", "//a", "/a//b", "/a/../b", "/./a", "/..", "/a\0b"] {
        assert!(bad.parse::<Canonical>().is_err(), "{bad:?}");
    }
    let path: Canonical = "/a/...".parse().unwrap();
    assert_eq!(path.to_string(), "/a/...");
    assert!(
        path.is_within(&Canonical::fixed("/a"))
            && !Canonical::fixed("/ab").is_within(&Canonical::fixed("/a"))
    );
}

#[test]
fn symlinks_lead_where_the_zone_would_go() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("usr/lib")).unwrap();
    fs::write(tree.path("usr/lib/prog"), "#!").unwrap();
    mode(&tree.path("usr/lib/prog"), 0o755);
    symlink("/usr/lib", tree.path("lib")).unwrap();
    symlink("../../../lib/prog", tree.path("usr/init")).unwrap();
    assert_eq!(tree.root.resolve("/usr/init").unwrap().path, "/usr/lib/prog");
    assert_eq!(tree.root.check_init("/lib/../lib/./prog").unwrap().name(), "prog");
    assert_eq!(tree.root.resolve("/../..").unwrap().path, "/");

    // An absolute link to a path of the host that exists there is missing in the zone.
    let secret = tree.dir.path().join("host/secret");
    symlink(&secret, tree.path("leak")).unwrap();
    let error = tree.root.check_init("/leak").unwrap_err();
    assert!(chain(&error).starts_with("could not stat "), "{}", chain(&error));
    symlink("/../../host/secret", tree.path("leak2")).unwrap();
    assert!(tree.root.resolve("/leak2").is_err());
    symlink("loop", tree.path("loop")).unwrap();
    assert!(matches!(tree.root.resolve("/loop"), Err(Refusal::Loop(_))));
    let deep = tree.root.resolve("/usr/lib/prog/x").unwrap_err();
    assert!(matches!(deep, Refusal::NotDirectory(_)), "{deep}");
}

#[test]
fn an_init_must_be_a_program() {
    zone_testing::needs_root!();
    let tree = Tree::new();
    fs::write(tree.path("plain"), "").unwrap();
    mode(&tree.path("plain"), 0o644);
    let error = tree.root.check_init("/plain").unwrap_err().to_string();
    assert!(error.contains("/root/plain is not executable"), "{error}");
    let error = chain(&tree.root.check_init("/").unwrap_err());
    assert!(error.ends_with("is a directory"), "{error}");
    assert!(tree.root.check_init("plain").is_err() && tree.root.check_init("").is_err());
    // A device of the zone's would be opened by nobody.
    rustix::fs::mknodat(
        tree.root.root(),
        "node",
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o777),
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    assert!(matches!(tree.root.check_init("/node"), Err(PathError::NotExecutable(_))));
}

#[test]
fn what_is_covered_is_looked_up_in_what_covers_it() {
    zone_testing::needs_root!();
    let mut tree = Tree::new();
    let host = host_path(&tree.dir.path().join("host")).unwrap();
    fs::create_dir(tree.path("data")).unwrap();
    symlink("/data/secret", tree.path("init")).unwrap();
    tree.root.cover(&Canonical::fixed("/data"), host.as_fd(), Making::Nothing).unwrap();
    assert_eq!(tree.root.head(&tree.root.resolve("/init").unwrap(), 16).unwrap(), b"secret");
    let error = tree.point("/data/new").unwrap_err();
    assert!(
        chain(&error).ends_with("does not exist and the file system there is read-only"),
        "{}",
        chain(&error)
    );

    let memory = crate::kernelfs::shm(BASE).unwrap();
    tree.root.cover(&Canonical::fixed("/data"), memory.as_fd(), Making::Owned(BASE)).unwrap();
    tree.point("/data/new").unwrap();
    assert_eq!(crate::testing::stat(memory.as_fd(), "new").st_uid, BASE);
    assert!(!tree.path("data/new").exists());
}

/// Another thread swaps a directory for a symlink to the host as fast as it can, while mount points are made below it.
#[test]
fn a_race_never_leads_out() {
    let tree = Tree::new();
    let outside = tree.dir.path().join("host");
    let (real, trap) = (tree.path("swap"), tree.path("trap"));
    fs::create_dir(&real).unwrap();
    symlink(&outside, &trap).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &real, CWD, &trap, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..2000 {
            let _ = tree.point(&format!("/swap/new{}", round % 50));
            let _ = tree.root.resolve("/swap/secret");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn no_path_leaves_the_root(parts in proptest::collection::vec("[.a-c]{0,3}", 0..6), target in "[/.a-c]{0,9}") {
        let tree = Tree::new();
        let _ = symlink(&target, tree.path("a"));
        let path = format!("/{}", parts.join("/"));
        if let Ok(found) = tree.root.resolve(&path) {
            let inside = fs::read_link(format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(&found.fd))).unwrap();
            prop_assert!(inside.starts_with(tree.dir.path().join("root")), "{path} {target}: {inside:?}");
        }
    }
}
