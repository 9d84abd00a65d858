//! An install and an uninstall that are killed at every point: the zone is what it was, or incomplete, or what it was
//! to be; an incomplete one is cleared by an uninstall; and nothing of it stays.

use crate::harness::tarball::{file, tarball};
use crate::harness::world::World;
use crate::harness::{
    Command, Lab, Place, Ran, Zone, cases, make_dir, need_failpoints, places, until, until_none, write,
    write_program,
};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

cases![
    install_of_the_sparse_brand: 240,
    install_from_a_directory: 240,
    install_from_an_archive: 240,
    install_into_a_directory_that_is_there: 240,
    install_by_debootstrap: 240,
    a_decompressor_that_is_killed: 120,
    a_failed_install: 120,
    uninstall: 240,
    uninstall_with_a_daemon_there: 240,
];

/// A name that no other test's zone has.
const NAME: &str = "wreck";

/// How the zone gets its files.
struct Source {
    brand: &'static str,
    words: Vec<OsString>,
    /// A folder that stands in for /usr/local/sbin, for this command alone.
    programs: Option<PathBuf>,
    /// The zonepath is there before, open to others.
    finds_directory: bool,
}

impl Source {
    fn new(brand: &'static str, words: &[&OsStr]) -> Self {
        let words = std::iter::once("install".into()).chain(words.iter().map(OsString::from));
        Self { brand, words: words.collect(), programs: None, finds_directory: false }
    }

    fn prepare(&self, zone: &Zone<'_>) {
        if self.finds_directory {
            make_dir(&zone.path(), 0o755);
        }
    }

    /// Takes away what was there before, where an install has not made it its own, and an uninstall so has left it.
    fn tidy(&self, zone: &Zone<'_>) {
        if self.finds_directory {
            let _ = std::fs::remove_dir(zone.path());
        }
    }

    fn install(&self, zone: &Zone<'_>, lab: &Lab) -> Ran {
        let Some(programs) = &self.programs else { return zone.zoneadm(&self.words) };
        let script = "mount --bind \"$1\" /usr/local/sbin && shift && exec \"$@\"";
        let command = Command::new("unshare").args(["--mount", "/bin/sh", "-c", script, "sh"]);
        let command = command.args([programs.as_os_str()]).args([lab.program("zoneadm")]);
        command.args(["-z", zone.name()]).args(&self.words).env("ZONES_ROOT", lab.root()).run()
    }
}

/// Nothing is there of a zone but its configuration. What was half written of a file that all zones share is there until
/// its next change.
#[track_caller]
fn is_clean(lab: &Lab, zone: &Zone<'_>, world: &World, at: &str) {
    zone.is("configured");
    assert!(!zone.path().exists(), "the zonepath is there after a death at {at}");
    for file in ["etc/zones/idmap", "etc/subuid", "etc/subgid"] {
        let text = std::fs::read_to_string(lab.root().join(file)).unwrap_or_default();
        assert!(!text.contains(zone.name()), "{file} after a death at {at}: {text}");
    }
    let known =
        ["index", ".index.new", "idmap", ".idmap.new", &format!("{}.toml", zone.name())].map(str::to_owned);
    let etc = std::fs::read_dir(lab.etc()).into_iter().flatten().flatten();
    let others: Vec<_> = etc
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !known.contains(name))
        .collect();
    assert!(others.is_empty(), "etc/zones has {others:?} after a death at {at}");
    until_none(&format!("nothing is left after a death at {at}"), || {
        let mut left = World::look(&[]).since(world, &lab.root());
        // Other suites on this machine have other zones.
        let own = format!("/{NAME}");
        left.retain(|thing| {
            !(thing.starts_with("file ") || thing.starts_with("cgroup ") && !thing.contains(&own))
        });
        left
    });
}

/// What the reference does: an incomplete zone is uninstalled before it is installed.
#[track_caller]
fn installed_at_last(lab: &Lab, zone: &Zone<'_>, source: &Source, at: &str) {
    let state = zone.status().state;
    let ran = source.install(zone, lab);
    match state.as_str() {
        "configured" => drop(ran.ok()),
        "incomplete" => {
            ran.refuses().stderr_has("zone is incomplete; uninstall required.");
            zone.zoneadm(["boot"]).refuses().stderr_has("must be installed before boot.");
            zone.zoneadm(["uninstall", "-F"]).ok();
            zone.is("configured");
            source.install(zone, lab).ok();
        }
        "installed" => drop(ran.refuses().stderr_has("is already installed.")),
        other => panic!("after a death at {at} the zone is {other}"),
    }
    zone.is("installed");
}

fn sweep(lab: &Lab, source: &Source) {
    let _memory = lab.in_memory();
    let zone = lab.configured(NAME, &format!("set brand={}", source.brand));
    let world = World::look(&[]);
    source.prepare(&zone);
    let passed = zone.passed_by("zoneadm", || {
        source.install(&zone, lab).ok();
    });
    need_failpoints(&passed);
    let how_many = |zone: &Zone<'_>| Command::new("find").args([zone.file("/")]).run().out().lines().count();
    let whole = how_many(&zone);
    zone.zoneadm(["uninstall", "-F"]).ok();
    is_clean(lab, &zone, &world, "nothing");
    for Place { point, passage } in places(&passed) {
        let at = format!("{point} {passage}");
        source.prepare(&zone);
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = source.install(&zone, lab);
        eprintln!("{at}: {} {ran}", zone.status().state);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        installed_at_last(lab, &zone, source, &at);
        assert_eq!(how_many(&zone), whole, "what was installed after a death at {at}");
        zone.zoneadm(["uninstall", "-F"]).ok();
        is_clean(lab, &zone, &world, &at);
        // And the way without another install.
        source.prepare(&zone);
        zone.dies(&[("zoneadm", &point, passage)]);
        drop(source.install(&zone, lab));
        zone.die_no_more();
        if zone.status().state != "configured" {
            zone.zoneadm(["uninstall", "-F"]).ok();
        }
        source.tidy(&zone);
        is_clean(lab, &zone, &world, &at);
    }
}

fn install_of_the_sparse_brand(lab: &Lab) {
    sweep(lab, &Source::new("sparse", &[]));
}

fn install_from_a_directory(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    sweep(lab, &Source::new("linux", &[OsStr::new("-d"), tree.as_os_str()]));
}

fn archive(lab: &Lab) -> PathBuf {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    let archive = lab.path("root.tar.gz");
    let pack = ["--create", "--auto-compress", "--numeric-owner", "--file"];
    let command = Command::new("tar").args(pack).args([archive.as_os_str()]);
    command.args(["-C"]).args([tree.as_os_str()]).args(["."]).run().ok();
    archive
}

fn install_from_an_archive(lab: &Lab) {
    let archive = archive(lab);
    sweep(lab, &Source::new("linux", &[OsStr::new("-a"), archive.as_os_str()]));
}

/// By mkdir, by whoever has prepared the place.
fn install_into_a_directory_that_is_there(lab: &Lab) {
    sweep(lab, &Source { finds_directory: true, ..Source::new("sparse", &[]) });
}

/// What debootstrap does, as far as it matters here.
fn install_by_debootstrap(lab: &Lab) {
    let tree = lab.tiny_tree("tree", "exec sleep 2147483647");
    let programs = lab.path("programs");
    make_dir(&programs, 0o755);
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\necho 'I: Retrieving'\nsleep 0.1\ncp -a {}/. \"$last\"\n",
        tree.display()
    );
    write_program(&programs.join("debootstrap"), &script);
    let words = ["--debootstrap", "bookworm"].map(OsStr::new);
    sweep(lab, &Source { programs: Some(programs), ..Source::new("linux", &words) });
}

/// The process that reads what strangers wrote may be killed for it; the install then fails and says so.
fn a_decompressor_that_is_killed(lab: &Lab) {
    let _memory = lab.in_memory();
    let archive = archive(lab);
    let source = Source::new("linux", &[OsStr::new("-a"), archive.as_os_str()]);
    let zone = lab.configured(NAME, "set brand=linux");
    let world = World::look(&[]);
    for point in ["worker.begun", "worker.midway", "worker.ended"] {
        zone.dies(&[("installer", point, 1)]);
        let ran = source.install(&zone, lab);
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        assert_eq!(deaths, [format!("installer {point}")], "{ran}");
        ran.refuses().stderr_has("root.tar.gz");
        let state = zone.status().state;
        eprintln!("{point}: {state} {ran}");
        assert!(["configured", "incomplete"].contains(&state.as_str()), "{state} after a death at {point}");
        installed_at_last(lab, &zone, &source, point);
        zone.zoneadm(["uninstall", "-F"]).ok();
        is_clean(lab, &zone, &world, point);
    }
}

/// The way back of an install that fails by itself has points, too.
fn a_failed_install(lab: &Lab) {
    let _memory = lab.in_memory();
    let zone = lab.configured(NAME, "set brand=linux");
    let world = World::look(&[]);
    // That it is of no use is known when all of it is there: then it is taken back.
    let archive = lab.path("data.tar");
    write(&archive, tarball(&[file("data/one", b"1\n"), file("data/two", b"2\n")]));
    let source = Source::new("linux", &[OsStr::new("-a"), archive.as_os_str()]);
    let passed = zone.passed_by("zoneadm", || {
        source.install(&zone, lab).refuses();
    });
    need_failpoints(&passed);
    is_clean(lab, &zone, &world, "nothing");
    assert!(passed.iter().any(|point| point == "install.failed"), "{passed:?}");
    for Place { point, passage } in places(&passed) {
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = source.install(&zone, lab);
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        if zone.status().state == "incomplete" {
            zone.zoneadm(["uninstall", "-F"]).ok();
        }
        is_clean(lab, &zone, &world, &point);
    }
}

fn sweep_uninstall(lab: &Lab, prepare: fn(&Lab, &Zone<'_>)) {
    let _memory = lab.in_memory();
    let zone = lab.configured(NAME, "set brand=sparse");
    let world = World::look(&[]);
    zone.zoneadm(["install"]).ok();
    prepare(lab, &zone);
    let passed = zone.passed_by("zoneadm", || {
        zone.zoneadm(["uninstall", "-F"]).ok();
    });
    need_failpoints(&passed);
    for Place { point, passage } in places(&passed) {
        let at = format!("{point} {passage}");
        zone.zoneadm(["install"]).ok();
        prepare(lab, &zone);
        zone.dies(&[("zoneadm", &point, passage)]);
        let ran = zone.zoneadm(["uninstall", "-F"]);
        let state = zone.status().state;
        eprintln!("{at}: {state} {ran}");
        assert_eq!(zone.die_no_more(), [format!("zoneadm {point}")], "{ran}");
        let again = zone.zoneadm(["uninstall", "-F"]);
        match state.as_str() {
            "installed" | "incomplete" => drop(again.ok()),
            "configured" => drop(again.refuses().stderr_has("is already in state 'configured'.")),
            other => panic!("after a death at {at} the zone is {other}"),
        }
        zone.daemon_leaves();
        is_clean(lab, &zone, &world, &at);
    }
}

fn uninstall(lab: &Lab) {
    sweep_uninstall(lab, |_, _| {});
}

fn uninstall_with_a_daemon_there(lab: &Lab) {
    sweep_uninstall(lab, |lab, zone| {
        // The cgroup of the daemons is made by those who start them.
        zone.zoneadm(["halt"]).ok();
        // One that is leaving is no use, and nobody takes its place before it has left.
        until("a daemon has come to stay", || {
            lab.command("zoneadmd", ["-z", NAME]).run().code().filter(|&code| code == 0)
        });
    });
}
