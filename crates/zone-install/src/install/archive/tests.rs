mod attributes;
mod bounded;
mod hostile;
mod same_name;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::process::Command;

use proptest::prelude::*;
use tar::{EntryType, Header};

use self::hostile::{Hostile, unpack};
use super::*;
use crate::progress::Progress;
use crate::testing::{Ground, in_own_mounts, is_root, mode, mount_tmpfs, options, silent};

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn names_that_leave_the_root_end_the_install_and_touch_nothing() {
    let cases = [
        ("..", Hostile::default().file("../evil", "x")),
        ("a/../..", Hostile::default().file("a/../../evil", "x")),
        ("absolute", Hostile::default().file("/tmp/zone-install-evil", "x")),
        ("dir ..", Hostile::default().dir("./..")),
        ("link ..", Hostile::default().link("../evil", "x")),
        ("hard link up", Hostile::default().hard("passwd", "../../archive")),
        ("hard link absolute", Hostile::default().hard("passwd", "/etc/passwd")),
        ("pax", Hostile::default().pax(&[("path", b"../evil")]).file("harmless", "x")),
        ("pax link", Hostile::default().pax(&[("linkpath", b"../archive")]).hard("a", "b")),
        ("gnu", Hostile::default().entry(EntryType::GNULongName, "n", "", b"../evil\0").file("h", "x")),
        ("sparse name", Hostile::default().pax(&[("GNU.sparse.name", b"../evil")]).file("h", "x")),
    ];
    for (case, archive) in cases {
        let ground = Ground::new();
        let error = Hostile::default().file("before", "").and(archive).unpack(&ground).unwrap_err();
        assert!(matches!(error, Error::Leaves { .. }), "{case}: {error}");
        assert!(error.to_string().contains("would leave the zone's root"), "{case}: {error}");
        let outside = ground.outside();
        assert_eq!(outside, [ground.path("archive"), ground.zonepath.clone(), ground.root.clone()], "{case}");
    }
    assert!(!Path::new("/tmp/zone-install-evil").exists());
}

#[test]
fn links_lead_inside_the_root_whatever_they_say() {
    let ground = Ground::new();
    fs::create_dir(ground.path("victim")).unwrap();
    let victim = ground.path("victim");
    let text = victim.to_str().unwrap();
    Hostile::default()
        .dir("usr/lib")
        .link("lib", "usr/lib")
        .file("lib/a", "through a relative link")
        .link("up", "../../../../../../../..")
        .file("up/b", "through dots")
        .link("abs", "/usr")
        .file("abs/c", "through an absolute link")
        .dir(&text[1..])
        .link("out", text)
        .file("out/d", "through a link to the host")
        .unpack(&ground)
        .unwrap();
    assert_eq!(read(ground.root.join("usr/lib/a")), "through a relative link");
    assert_eq!(read(ground.root.join("b")), "through dots");
    assert_eq!(read(ground.root.join("usr/c")), "through an absolute link");
    assert_eq!(read(ground.root.join(&text[1..]).join("d")), "through a link to the host");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn a_file_over_a_link_replaces_the_link() {
    let ground = Ground::new();
    fs::write(ground.path("victim"), "mine").unwrap();
    let victim = ground.path("victim");
    Hostile::default()
        .link("x", victim.to_str().unwrap())
        .file("x", "new")
        .entry(EntryType::Fifo, "p", "", b"")
        .file("p", "not blocked by a pipe")
        .file("h1", "first")
        .hard("h2", "h1")
        .file("h2", "second")
        .unpack(&ground)
        .unwrap();
    assert_eq!(read(&victim), "mine");
    assert_eq!(read(ground.root.join("x")), "new");
    assert_eq!(read(ground.root.join("p")), "not blocked by a pipe");
    assert_eq!(read(ground.root.join("h1")), "first");
    assert_eq!(read(ground.root.join("h2")), "second");
}

#[test]
fn links_to_nowhere_and_loops_are_errors_that_name_the_entry() {
    let loops = Hostile::default().link("a", "b").link("b", "a").file("a/x", "");
    let dangling = Hostile::default().link("a", "nowhere/at/all").file("a/x", "");
    let outside = Hostile::default().link("a", "/outside").file("a/x", "");
    let file = Hostile::default().file("a", "").file("a/x", "");
    for (archive, reason) in [
        (loops, "its symbolic links lead in a circle"),
        (dangling, "it is a symbolic link to 'nowhere/at/all', and that is not in the zone's root"),
        (outside, "it is a symbolic link to '/outside', and that is not in the zone's root"),
        (file, "it is not a directory"),
    ] {
        let error = archive.unpack(&Ground::new()).unwrap_err().to_string();
        assert!(error.starts_with("cannot enter ") && error.contains("/root/a: "), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_name_that_is_too_long_is_said_to_be() {
    let deep = "d/".repeat(2100) + "f";
    let text = "t".repeat(4096);
    for archive in [
        Hostile::default().pax(&[("path", deep.as_bytes())]).file("x", ""),
        Hostile::default().pax(&[("path", &[b'x'; 256])]).file("x", ""),
        Hostile::default().pax(&[("linkpath", text.as_bytes())]).link("x", "y"),
    ] {
        let error = archive.unpack(&Ground::new()).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
        assert!(!error.to_string().contains("damaged"), "{error}");
    }
}

/// Adds an entry of this name to an archive.
type Add = fn(Hostile, &str) -> Hostile;

/// What an entry can be, with what makes it.
const KINDS: [(&str, Add); 9] = [
    ("file", |archive, name| archive.file(name, "contents")),
    ("empty directory", |archive, name| archive.mode(0o751).dir(name)),
    ("other directory", |archive, name| archive.mode(0o700).dir(name)),
    ("full directory", |archive, name| archive.mode(0o750).dir(name).file(&format!("{name}/in"), "x")),
    ("link to a directory", |archive, name| archive.link(name, "there")),
    ("link to a file", |archive, name| archive.link(name, "other")),
    ("link to nothing", |archive, name| archive.link(name, "nowhere")),
    ("hard link", |archive, name| archive.hard(name, "other")),
    ("pipe", |archive, name| archive.mode(0o640).entry(EntryType::Fifo, name, "", b"")),
];

/// An archive in each of the four forms, cut into two streams where the form has streams.
fn in_four_forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let gzip = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let xz = |bytes: &[u8]| {
        let mut packed = liblzma::write::XzEncoder::new(Vec::new(), 1);
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let (one, two) = bytes.split_at(700);
    vec![
        ("tar", bytes.to_vec()),
        ("gz", [gzip(one), gzip(two)].concat()),
        ("xz", [xz(one), vec![0; 8], xz(two)].concat()),
        ("zst", [zstd(one), zstd(two)].concat()),
    ]
}

#[test]
fn what_comes_behind_the_end_is_padding_or_left_out_in_every_form() {
    let mut bytes = Hostile::default().file("a", &"x".repeat(5000)).bytes;
    bytes.resize(bytes.len() + 1024, 0);
    for (form, packed) in in_four_forms(&bytes) {
        for (behind, rest) in [
            (&[][..], false),
            (&[0; 1], false),
            (&[0; 70_000], false),
            (b"garbage", true),
            (&[[0; 600].as_slice(), b"garbage"].concat(), true),
        ] {
            let ground = Ground::new();
            let summary = unpack(&ground, &[packed.as_slice(), behind].concat())
                .unwrap_or_else(|error| panic!("{form} with {} bytes behind: {error}", behind.len()));
            assert_eq!(summary.rest, rest, "{form} with {} bytes behind", behind.len());
            assert_eq!(read(ground.root.join("a")).len(), 5000, "{form}");
        }
        // What is missing is missing, whatever comes instead of it.
        let cut = &packed[..packed.len() - 1100.min(packed.len() / 3)];
        let error = unpack(&Ground::new(), cut).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. } | Error::Archive { .. }), "{form}: {error}");
    }
}

#[test]
fn the_last_of_several_counts_but_a_full_directory_stays() {
    let ground = Ground::new();
    Hostile::default()
        .file("a", "old")
        .dir("a")
        .file("a/b", "x")
        .dir("empty")
        .file("empty", "file")
        .file("late/f", "parent came later")
        .dir("late")
        .unpack(&ground)
        .unwrap();
    assert_eq!(read(ground.root.join("a/b")), "x");
    assert_eq!(read(ground.root.join("empty")), "file");
    let error = Hostile::default().file("d/f", "x").file("d", "y").unpack(&Ground::new()).unwrap_err();
    assert!(error.to_string().contains("/d is a directory with entries in it"), "{error}");
}

#[test]
fn devices_and_links_to_them_are_left_out_and_counted() {
    let ground = Ground::new();
    let summary = Hostile::default()
        .entry(EntryType::Char, "dev/null", "", b"")
        .hard("dev/zero", "dev/null")
        .entry(EntryType::Block, "dev/sda", "", b"")
        .file("dev/null", "a file over a device")
        .entry(EntryType::Fifo, "run/initctl", "", b"")
        .unpack(&ground)
        .unwrap();
    assert_eq!(summary.devices_skipped, 3);
    assert_eq!(read(ground.root.join("dev/null")), "a file over a device");
    assert!(!ground.root.join("dev/sda").exists());
    assert!(fs::metadata(ground.root.join("run/initctl")).unwrap().file_type().is_fifo());
}

#[test]
fn lies_are_refused_in_words() {
    let missing = Hostile::default().hard("a", "not-there");
    let root_file = Hostile::default().file("./", "").file(".", "x");
    let unknown = Hostile::default().entry(EntryType::new(b'M'), "m", "", b"");
    let records = Hostile::default().entry(EntryType::XHeader, "p", "", b"99 path=x\n").file("a", "");
    let sparse =
        Hostile::default().pax(&[("GNU.sparse.map", b"0,99"), ("GNU.sparse.size", b"10")]).file("a", "x");
    let huge = Hostile::default().pax(&[("size", b"99999999999999999999999")]).file("a", "x");
    let owner = Hostile::default().pax(&[("uid", b"4294967295")]).file("a", "x");
    let long = Hostile::default().entry(EntryType::GNULongName, "n", "", &vec![b'x'; 5 << 20]).file("a", "");
    let nul = Hostile::default().pax(&[("path", b"a\0b")]).file("a", "");
    for archive in [missing, root_file, unknown, records, sparse, huge, owner, long, nul] {
        let error = archive.unpack(&Ground::new()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[test]
fn what_is_cut_short_is_said_to_be() {
    let whole = Hostile::default().file("a", &"data".repeat(500)).bytes;
    for length in [513, 1000, whole.len() - 1] {
        let error = unpack(&Ground::new(), &whole[..length]).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{length}: {error}");
    }
    // A missing end mark is forgiven, as tar(1) does.
    unpack(&Ground::new(), &whole).unwrap();
    let lying = Hostile::default().pax(&[("size", b"900000000000")]).file("a", "x");
    let error = lying.unpack(&Ground::new()).unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
}

#[test]
fn what_is_no_archive_leaves_no_trace() {
    for (bytes, text) in [
        (&b""[..], "is empty; give a .tar"),
        (b"BZh91AY", "compressed with bzip2"),
        (&[7; 4096], "is not an archive"),
        (&[0; 4096], "an archive without entries"),
    ] {
        let ground = Ground::new();
        let error = unpack(&ground, bytes).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert!(!ground.root.exists());
    }
}

#[test]
fn a_root_that_is_there_is_not_filled_again() {
    let ground = Ground::new();
    let archive = Hostile::default().file("a", "x");
    archive.unpack(&ground).unwrap();
    let error = archive.unpack(&ground).unwrap_err();
    assert!(matches!(error, Error::RootNotEmpty(_)), "{error}");
}

#[test]
fn attributes_with_newlines_and_times_with_fractions_are_kept() {
    let ground = Ground::new();
    let value = b"a\nb=c\0d\n";
    let summary = Hostile::default()
        .pax(&[
            ("SCHILY.xattr.user.note", value),
            ("mtime", b"-5.5"),
            ("SCHILY.xattr.trusted.overlay.x", b"y"),
        ])
        .file("a", "x")
        .unpack(&ground)
        .unwrap();
    let path = ground.root.join("a");
    let stat = fs::metadata(&path).unwrap();
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (-6, 500_000_000));
    assert_eq!(summary.left.xattrs, 1);
    let mut got = [0; 64];
    let length = rustix::fs::getxattr(&path, "user.note", &mut got).unwrap();
    assert_eq!(&got[..length], value);
}

#[test]
fn the_cancel_flag_ends_it() {
    let ground = Ground::new();
    let archive = ground.path("archive");
    let mut bytes = Hostile::default().file("a", "x").file("b", "y").bytes;
    bytes.resize(bytes.len() + 1024, 0);
    fs::write(&archive, bytes).unwrap();
    let options = options();
    let cancel = std::sync::Arc::clone(&options.cancel);
    let mut report = move |progress: Progress<'_>| {
        if progress.current == Path::new("a") {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let error = from_archive(&archive, &ground.zonepath, &options, &mut report).unwrap_err();
    assert!(matches!(error, Error::Interrupted { phase: Phase::Unpacking }), "{error}");
    assert!(!ground.root.join("b").exists());
}

/// A tree as real ones are, packed by the machine's own tar in each of its formats.
#[test]
fn real_archives_come_out_as_they_were() {
    let ground = Ground::new();
    let source = ground.path("source");
    fs::create_dir_all(source.join("usr/bin")).unwrap();
    fs::create_dir(source.join("locked")).unwrap();
    fs::write(source.join("usr/bin/su"), "setuid").unwrap();
    fs::hard_link(source.join("usr/bin/su"), source.join("usr/bin/other")).unwrap();
    symlink("/nowhere/\u{e9}", source.join("link")).unwrap();
    fs::write(source.join(format!("{}-end", "long".repeat(40))), "long name").unwrap();
    let mut holes = File::create(source.join("holes")).unwrap();
    holes.write_all(b"start").unwrap();
    FileExt::write_all_at(&holes, b"middle", 5 << 20).unwrap();
    holes.set_len(9 << 20).unwrap();
    fs::write(source.join("locked/inside"), "x").unwrap();
    for (name, mode) in [("usr/bin/su", 0o4755), ("locked", 0o1511), ("holes", 0o600), ("", 0o700)] {
        crate::testing::chmod(&source.join(name), mode);
    }
    let formats: [&[&str]; 6] = [
        &["--format=gnu", "--sparse"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=0.0", "--gzip"],
        &["--format=gnu", "--xz"],
        &["--format=posix", "--zstd"],
    ];
    for format in formats {
        let archive = ground.path("packed");
        let status = Command::new("tar")
            .arg("-C")
            .arg(&source)
            .arg("-cf")
            .arg(&archive)
            .args(format)
            .arg(".")
            .status();
        if !status.unwrap().success() {
            continue; // a compressor is not installed
        }
        let ground = Ground::new();
        let mut last = (0, None);
        let mut report = |progress: Progress<'_>| {
            if progress.phase == Phase::Unpacking {
                last = (progress.done_bytes, progress.total_bytes);
            }
        };
        let summary = from_archive(&archive, &ground.zonepath, &options(), &mut report).unwrap();
        assert_eq!(last.1, Some(fs::metadata(&archive).unwrap().len()));
        let root = &ground.root;
        assert_eq!(summary.hard_links, 1, "{format:?}");
        assert_eq!(mode(&root.join("usr/bin/su")), 0o4755);
        assert_eq!(mode(&root.join("locked")), 0o1511);
        assert_eq!(mode(root), 0o755, "the root is open whatever the source was");
        let ino = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
        assert_eq!(ino("usr/bin/su"), ino("usr/bin/other"));
        assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("/nowhere/\u{e9}"));
        let holes = fs::read(root.join("holes")).unwrap();
        assert_eq!(holes, fs::read(source.join("holes")).unwrap(), "{format:?}");
        if format.contains(&"--sparse") {
            assert!(fs::metadata(root.join("holes")).unwrap().blocks() * 512 < 1 << 20, "{format:?}");
        }
        assert_eq!(read(root.join(format!("{}-end", "long".repeat(40)))), "long name");
        for name in ["usr", "locked", "holes", "link"] {
            let time = |base: &Path| fs::symlink_metadata(base.join(name)).unwrap().mtime();
            assert_eq!(time(root), time(&source), "{format:?} {name}");
        }
    }
}

#[test]
fn a_full_disk_is_one_clear_sentence() {
    if !in_own_mounts("install::archive::tests::a_full_disk_is_one_clear_sentence") {
        return;
    }
    let ground = Ground::new();
    mount_tmpfs(&ground.zonepath, "size=2m,mode=0700");
    // A few hundred bytes that unpack to 64 MiB.
    let archive = ground.path("bomb");
    let bytes = Hostile::default().entry(EntryType::Regular, "big/bomb", "", &vec![0; 64 << 20]).bytes;
    fs::write(&archive, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    let error = from_archive(&archive, &ground.zonepath, &options(), &mut silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no space left on the file system of {} while writing big/bomb; free some space, then uninstall -F \
             and install again",
            ground.root.display()
        )
    );
}

#[test]
fn damage_in_a_compressed_archive_is_found_even_behind_its_end() {
    let mut bytes = Hostile::default().file("a", &"x".repeat(5000)).bytes;
    bytes.resize(bytes.len() + 10240, 0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    let mut packed = packed.finish().unwrap();
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let error = unpack(&Ground::new(), &packed).unwrap_err();
    assert!(matches!(error, Error::Archive { .. }), "{error}");
}

#[test]
fn foreign_owners_are_kept_and_counted() {
    zone_testing::needs_root!();
    let ground = Ground::new();
    let summary = Hostile::default()
        .pax(&[("uid", b"100000"), ("gid", b"7")])
        .file("a", "x")
        .pax(&[("uid", b"65535")])
        .file("b", "x")
        .unpack(&ground)
        .unwrap();
    assert_eq!(summary.foreign_owners, 1);
    let stat = fs::metadata(ground.root.join("a")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (100_000, 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any sequence of entries with the most awkward names: whatever comes of it, nothing outside changes.
    #[test]
    fn nothing_outside_the_root_is_ever_touched(
        entries in proptest::collection::vec((0..6u8, "[ab./]{1,8}", "(/|\\.\\./){0,3}[ab./]{1,8}"), 1..12),
    ) {
        let ground = Ground::new();
        fs::write(ground.path("a"), "host").unwrap();
        let before = ground.outside();
        let mut archive = Hostile::default();
        for (kind, name, link) in &entries {
            archive = match kind {
                0 => archive.file(name, "zone"),
                1 => archive.dir(name),
                2 => archive.link(name, link),
                3 => archive.hard(name, link),
                4 => archive.entry(EntryType::Fifo, name, "", b""),
                _ => archive.entry(EntryType::Char, name, "", b""),
            };
        }
        let _ = archive.unpack(&ground);
        let mut after = ground.outside();
        after.retain(|path| *path != ground.path("archive") && *path != ground.root);
        prop_assert_eq!(before, after);
        prop_assert_eq!(read(ground.path("a")), "host");
    }

    /// Damage anywhere in an archive gives an error or a root, never a panic.
    #[test]
    fn damage_is_survived(at in 0..4096usize, byte in any::<u8>()) {
        let mut bytes = Hostile::default()
            .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")])
            .file("a", "1\n0\n9\n")
            .file("b", "data")
            .bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        // Damage behind the checksum is what a hostile writer makes.
        for block in [0, 1024, 2048] {
            let mut header = Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let _ = unpack(&Ground::new(), &bytes);
    }
}
