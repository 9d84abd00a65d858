//! Entries that meet something already there.

use super::*;

/// Everything in a tree, in words.
fn listed(tree: &Path) -> String {
    let format = "%P %y %m %l %n\n";
    let output = Command::new("find").arg(tree).args(["-mindepth", "1", "-printf", format]).output().unwrap();
    assert!(output.status.success());
    let mut lines: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn the_last_entry_of_a_name_counts_for_every_pair_as_with_tar() {
    for (first_name, first) in KINDS {
        for (second_name, second) in KINDS {
            let case = format!("{second_name} over {first_name}");
            let archive =
                Hostile::default().mode(0o711).dir("there").file("there/in", "x").file("other", "o");
            let mut archive = second(first(archive, "a"), "a");
            archive.bytes.resize(archive.bytes.len() + 1024, 0);
            let ground = Ground::new();
            fs::write(ground.path("packed"), &archive.bytes).unwrap();
            let theirs = ground.path("theirs");
            fs::create_dir(&theirs).unwrap();
            // -p and no umask: as root does it.
            let tar = Command::new("tar")
                .args(["--no-same-owner", "-p", "-xf"])
                .arg(ground.path("packed"))
                .arg("-C")
                .arg(&theirs)
                .output()
                .unwrap();
            match unpack(&ground, &archive.bytes) {
                Ok(_) => {
                    assert!(tar.status.success(), "{case}: tar refuses it: {tar:?}");
                    assert_eq!(listed(&ground.root), listed(&theirs), "{case}");
                }
                Err(error) => {
                    assert!(!tar.status.success(), "{case}: tar takes it: {error}");
                    assert!(matches!(error, Error::NotReplaced(_)), "{case}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_directory_named_twice_has_its_last_owner_and_mode() {
    let ground = Ground::new();
    let mut archive = Hostile::default().mode(0o700).dir("d").file("d/f", "x").mode(0o2751).dir("d");
    if is_root() {
        archive = archive.pax(&[("uid", b"12"), ("gid", b"34")]).mode(0o2751).dir("d");
    }
    // And by another way to the same directory.
    archive.link("way", "d").dir("way/e").mode(0o711).dir("d/e").unpack(&ground).unwrap();
    let stat = fs::metadata(ground.root.join("d")).unwrap();
    assert_eq!(stat.mode() & 0o7777, 0o2751);
    if is_root() {
        assert_eq!((stat.uid(), stat.gid()), (12, 34));
    }
    assert_eq!(mode(&ground.root.join("d/e")), 0o711);
}

#[test]
fn what_a_device_takes_the_place_of_is_gone() {
    let ground = Ground::new();
    let summary = Hostile::default()
        .file("a", "x")
        .entry(EntryType::Char, "a", "", b"")
        .entry(EntryType::Char, "b", "", b"")
        .file("b", "a file after all")
        .hard("c", "b")
        .entry(EntryType::Block, "no/parent", "", b"")
        .unpack(&ground)
        .unwrap();
    assert_eq!(summary.devices_skipped, 3);
    assert!(!ground.root.join("a").exists() && !ground.root.join("no").exists());
    assert_eq!(read(ground.root.join("c")), "a file after all");
}

#[test]
fn a_hard_link_to_itself_by_another_way_is_one_file() {
    let ground = Ground::new();
    Hostile::default().file("usr/f", "x").link("way", "usr").hard("way/f", "usr/f").unpack(&ground).unwrap();
    assert_eq!(read(ground.root.join("usr/f")), "x");
}
