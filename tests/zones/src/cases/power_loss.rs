//! The host loses its power: at whatever call of whatever command, what is on the disk afterwards is the old or the new.

use crate::harness::journal_fs::{Call, Disk, TRACED, Tree, calls};
use crate::harness::{Command, Lab, cases, make_dir, read, skip, write};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

cases![every_prefix_of_a_zones_life: 300];

/// A life, a command a line.
const LIFE: &str = "zonecfg -z web 'create; set brand=sparse'
zonecfg -z web 'set bootargs=-s'
zoneadm -z web install
zonecfg -z db 'create; set brand=sparse'
zoneadm -z db install
zoneadm -z web boot
zoneadm -z web halt
zoneadm -z web mark incomplete
zoneadm -z web uninstall -F
zonecfg -z web delete -F
zonecfg -z db 'set bootargs=-v'
zoneadm -z db uninstall -F
zonecfg -z db delete -F
";

/// The name of a file by which the script says that a command is over.
const MARK: &str = "MARK";

fn every_prefix_of_a_zones_life(lab: &Lab) {
    let calls = recorded(lab);
    let marks = calls.iter().filter(|call| is_mark(call)).count();
    assert_eq!(marks, LIFE.lines().count(), "{calls:?}");
    let mut disk = Disk::default();
    let mut told = BTreeMap::new();
    let (mut tried, mut seen) = (0, BTreeSet::new());
    for (nth, call) in calls.iter().enumerate() {
        if is_mark(call) {
            // The command has said that it is done, and that is kept.
            for tree in disk.after_a_failure() {
                let (is, must) = (named(&tree), named(&disk.complete()));
                let differs = |path: &&PathBuf| is.get(*path) != must.get(*path);
                // How the zone ended the last time but one is true as well.
                let matters = |path: &&PathBuf| !path.ends_with("lastexit.toml");
                let wrong: Vec<_> = is.keys().chain(must.keys()).filter(differs).filter(matters).collect();
                assert!(
                    wrong.is_empty(),
                    "not on the disk after call {nth}, {:?}: {wrong:?}",
                    calls[nth - 1]
                );
            }
            continue;
        }
        disk.play(call);
        note(&disk, &mut told);
        for tree in disk.after_a_failure() {
            let known = whole(lab, &tree, &told);
            assert!(known.is_ok(), "after {call:?}: {known:?}");
            if seen.insert(of_etc(lab, &tree)) {
                load(lab, &of_etc(lab, &tree), call);
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
    println!("{} calls, {tried} different disks", calls.len());
}

/// Runs a life under strace, and gives what it did to the files that matter.
fn recorded(lab: &Lab) -> Vec<Call> {
    if Command::new("strace").args(["-V"]).run_if().is_none() {
        skip("there is no strace");
    }
    let (script, trace) = (lab.path("life"), lab.path("trace"));
    let mark = |nth: usize| format!(": > {}/{MARK}.{nth}\n", lab.path("").display());
    let lines = LIFE.lines().enumerate();
    let lines: String = lines.map(|(nth, line)| format!("$BIN/{line} || exit 1\n{}", mark(nth))).collect();
    write(&script, lines);
    // As on a host: there is an /etc, and a /var/lib.
    make_dir(&lab.root().join("etc"), 0o755);
    make_dir(&lab.root().join("var/lib"), 0o755);
    // The zones are gone when it ends; if it fails they are to be removed.
    let zones = ["web", "db"].map(|name| lab.zone(name));
    let bin = lab.program("zoneadm");
    let strace =
        Command::new("strace").args(["-f", "-y", "-qq", "-s", "100000", "-e", TRACED, "-o"]).args([&trace]);
    let strace = strace.args([Path::new("/bin/sh"), &script]).env("ZONES_ROOT", lab.root());
    strace.env("BIN", bin.parent().unwrap_or(Path::new("/"))).within(200).run().ok();
    drop(zones);
    let matters = |path: &Path| {
        path.starts_with(lab.root().join("etc"))
            || path.ends_with("lastexit.toml")
            || path.ends_with(".lastexit.toml.new")
            || path.parent() == Some(&lab.root().join("var/lib/zones"))
            || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MARK))
    };
    let mut calls = calls(&read(&trace));
    for call in &mut calls {
        // The zones may be on a file system of their own: no more than that is put on the disk.
        if let Call::SyncBelow(path) = call {
            path.clone_from(&lab.root().join("var/lib"));
        }
    }
    calls.retain(|call| match call {
        Call::Create(path) | Call::Write(path, _) | Call::Unlink(path) => matters(path),
        Call::Sync(path) | Call::Mkdir(path) | Call::Rmdir(path) => {
            matters(path) || path == &lab.root().join("var/lib/zones")
        }
        Call::SyncBelow(path) => path.starts_with(lab.root()),
        Call::Rename(from, _) => matters(from),
    });
    calls
}

fn is_mark(call: &Call) -> bool {
    matches!(call, Call::Create(path) if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MARK)))
}

/// Without what is only on its way to a name.
fn named(tree: &Tree) -> Tree {
    tree.iter()
        .filter(|(path, _)| !is_temporary(path))
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect()
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Every version of a file that was whole at some time.
fn note(disk: &Disk, told: &mut BTreeMap<PathBuf, BTreeSet<Vec<u8>>>) {
    for (path, file) in disk.complete() {
        if let Some(file) = file.filter(|_| !is_temporary(&path)) {
            told.entry(path).or_default().insert(file);
        }
    }
}

/// Whether every file is a version that was once whole, every line of the index has its configuration, every installed zone has its
/// ids, no ids are two zones', and none are registered that no zone has.
fn whole(lab: &Lab, tree: &Tree, told: &BTreeMap<PathBuf, BTreeSet<Vec<u8>>>) -> Result<(), String> {
    for (path, file) in named(tree) {
        if let Some(file) = file
            && !told.get(&path).is_some_and(|versions| versions.contains(&file))
        {
            return Err(format!(
                "{} is neither old nor new: {:?}",
                path.display(),
                String::from_utf8_lossy(&file)
            ));
        }
    }
    let text = |name: &str| {
        let file = tree.get(&lab.etc().join(name)).cloned().flatten().unwrap_or_default();
        String::from_utf8_lossy(&file).into_owned()
    };
    let idmap = text("idmap");
    let ranges: Vec<&str> =
        idmap.lines().filter_map(|line| line.split_once(':').map(|(_, range)| range)).collect();
    if ranges.iter().collect::<BTreeSet<_>>().len() != ranges.len() {
        return Err(format!("ids that are two zones': {idmap}"));
    }
    for register in ["etc/subuid", "etc/subgid"] {
        let file = tree.get(&lab.root().join(register)).cloned().flatten().unwrap_or_default();
        for line in String::from_utf8_lossy(&file).lines() {
            // Nobody would ever give them back.
            if !idmap.lines().any(|record| line.strip_prefix("zone-") == Some(record)) {
                return Err(format!("{register} has ids of which there is no record: {line}"));
            }
        }
    }
    for line in text("index").lines() {
        let mut fields = line.split(':');
        let (name, state) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if text(&format!("{name}.toml")).is_empty() {
            return Err(format!("{name} is in the index and has no configuration"));
        }
        // One that is incomplete may be on its way out, with its files gone already.
        if state == "installed" && !idmap.lines().any(|line| line.starts_with(&format!("{name}:"))) {
            return Err(format!("{name} is {state} and has no ids"));
        }
    }
    Ok(())
}

fn of_etc(lab: &Lab, tree: &Tree) -> Tree {
    let etc = lab.root().join("etc");
    tree.iter()
        .filter(|(path, _)| path.starts_with(&etc))
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect()
}

/// Has the real programs read a tree, and do what an administrator may want to do next.
fn load(lab: &Lab, tree: &Tree, call: &Call) {
    let root = lab.path("after");
    let _ = fs::remove_dir_all(&root);
    make_dir(&root.join("etc"), 0o755);
    let mut zones = BTreeSet::new();
    for (path, file) in tree {
        let place = root.join(path.strip_prefix(lab.root()).unwrap_or(path));
        match file {
            None => make_dir(&place, 0o755),
            Some(bytes) => write(&place, bytes),
        }
        if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) {
            zones.insert(name.to_owned());
        }
    }
    let run = |program: &str, words: &[&str]| {
        let ran = Command::new(lab.program(program)).args(words).env("ZONES_ROOT", &root).run();
        assert!(ran.code() == Some(0), "after {call:?}, with {:?}\n{ran}", tree.keys());
        ran
    };
    run("zoneadm", &["list", "-cp"]).quiet();
    let index = fs::read_to_string(root.join("etc/zones/index")).unwrap_or_default();
    for line in index.lines() {
        let name = line.split(':').next().unwrap_or_default();
        run("zonecfg", &["-z", name, "info"]).quiet();
        run("zonecfg", &["-z", name, "export"]).quiet();
    }
    for name in zones.iter().filter(|name| !name.starts_with('.')) {
        // What has files keeps its configuration.
        let is_free = |line: &str| !line.starts_with(&format!("{name}:")) || line.contains(":configured:");
        if index.lines().all(is_free) {
            run("zonecfg", &["-z", name, "create -F; set brand=sparse"]);
        }
        run("zonecfg", &["-z", name, "delete -F"]);
    }
    run("zoneadm", &["list", "-cp"]).quiet();
    let _ = fs::remove_dir_all(&root);
}
