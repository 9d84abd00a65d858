//! What `install.sh` installs, as a distribution without a package of ours has it.

use crate::harness::{Command, Lab, cases, make_dir, skip, write, write_program};
use std::path::{Path, PathBuf};

cases![
    what_is_installed_by_hand_works_and_goes_again: 120,
    a_package_takes_it_below_a_folder_of_its_own,
];

/// What the archive has beside the programs.
const FILES: [(&str, &str); 11] = [
    ("install.sh", include_str!("../../../../packaging/install.sh")),
    ("systemd/zone@.service", include_str!("../../../../packaging/systemd/zone@.service")),
    ("systemd/zones.service", include_str!("../../../../packaging/systemd/zones.service")),
    ("systemd/zones.target", include_str!("../../../../packaging/systemd/zones.target")),
    ("systemd/zone-access.socket", include_str!("../../../../packaging/systemd/zone-access.socket")),
    ("systemd/zone-access.service", include_str!("../../../../packaging/systemd/zone-access.service")),
    ("init/sysv/zones", include_str!("../../../../packaging/init/sysv/zones")),
    ("init/openrc/zones", include_str!("../../../../packaging/init/openrc/zones")),
    ("man/zones.7", ".TH ZONES 7\n"),
    ("completions/bash/zoneadm", "# completion\n"),
    ("zones.toml", "#parallelism = 4\n"),
];
/// All programs that are installed.
pub(super) const PROGRAMS: [&str; 10] = [
    "zoneadm",
    "zonecfg",
    "zlogin",
    "zonename",
    "zoneadmd",
    "zsched",
    "zinit",
    "zone-access",
    "zones-host",
    "zone-generator",
];

/// Lays out what the archive has.
fn unpacked(lab: &Lab) -> PathBuf {
    let tree = lab.path("unpacked");
    for (name, text) in FILES {
        let path = tree.join(name);
        make_dir(path.parent().unwrap_or(&tree), 0o755);
        write(&path, text);
    }
    write_program(&tree.join("install.sh"), FILES[0].1);
    make_dir(&tree.join("bin"), 0o755);
    for program in PROGRAMS {
        // Installed as it is, be it linked.
        std::os::unix::fs::symlink(lab.program(program), tree.join("bin").join(program)).expect("a link");
    }
    tree
}

/// A copy of the host's `/etc` over it, in the namespace of the test alone.
struct OwnEtc;

impl OwnEtc {
    fn new(lab: &Lab) -> Self {
        let etc = lab.path("etc-of-the-host");
        Command::new("cp").args(["-a", "/etc"]).args([&etc]).run().ok();
        Command::new("mount").args(["--bind"]).args([etc]).args(["/etc"]).run().ok();
        Self
    }
}

impl Drop for OwnEtc {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l", "/etc"]).status();
    }
}

/// The files below a directory.
fn below(dir: &Path) -> Vec<String> {
    let ran = Command::new("find").args([dir]).args(["-printf", "%P\n"]).run();
    let mut all: Vec<String> = ran.out().lines().map(str::to_owned).collect();
    all.sort_unstable();
    all
}

fn what_is_installed_by_hand_works_and_goes_again(lab: &Lab) {
    if Path::new("/run/systemd/system").is_dir() {
        skip("the systemd of this machine would be told: tests/host/boot.sh looks at that");
    }
    let _etc = OwnEtc::new(lab);
    let (tree, prefix) = (unpacked(lab), lab.path("prefix"));
    let of_init = || {
        let all = below(Path::new("/etc")).into_iter();
        let is = |path: &String| {
            path.contains("init.d/")
                || path.contains(".d/S")
                || path.contains(".d/K")
                || path.starts_with("systemd")
        };
        // What update-rc.d(8) knows of the order of others.
        all.filter(|path| is(path) && !path.contains(".depend")).collect::<Vec<_>>()
    };
    let before = of_init();
    // A folder that somebody else has made, as Debian has those of /usr/local.
    make_dir(&prefix.join("share/man"), 0o755);
    let install = |words: &[&str]| {
        Command::new("sh")
            .args([tree.join("install.sh")])
            .args(words)
            .args(["--prefix"])
            .args([&prefix])
            .within(60)
            .run()
    };
    install(&[]).ok();
    let has = |name: &str| assert!(prefix.join(name).is_file(), "{name}: {:?}", below(&prefix));
    for name in ["sbin/zoneadm", "bin/zlogin", "libexec/zones/zones-host", "share/man/man7/zones.7"] {
        has(name);
    }
    Command::new("getent").args(["group", "zones"]).run().ok();
    // What is found elsewhere names what is below the prefix.
    let named = format!("{}/libexec/zones/zones-host start", prefix.display());
    let unit = std::fs::read_to_string("/etc/systemd/system/zone@.service").expect("the unit");
    assert!(unit.contains(&named) && !unit.contains("/usr/libexec"), "{unit}");
    // A life with these programs and no others.
    let program = |name: &str, words: &[&str]| {
        Command::new(prefix.join(name)).args(words).env("ZONES_ROOT", lab.root()).within(60).run()
    };
    program("sbin/zonecfg", &["-z", "web", "create"]).ok();
    program("sbin/zoneadm", &["-z", "web", "install"]).ok();
    program("sbin/zoneadm", &["-z", "web", "boot"]).ok();
    program("bin/zlogin", &["web", "echo", "inside"]).ok().stdout_is("inside\n");
    let web = lab.zone("web");
    for pid in [web.daemon().expect("a daemon"), web.keeper()] {
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).expect("its program");
        assert!(exe.starts_with(prefix.join("libexec/zones")), "{}", exe.display());
    }
    // Over what runs: it is replaced and the zone does not notice.
    let first = web.status();
    install(&[]).ok();
    assert_eq!(web.status().pid1(), first.pid1());
    // As its service manager's script boots and halts zones.
    program("sbin/zonecfg", &["-z", "web", "set autoboot=true"]).ok();
    // A time that began long ago is not the one that it has.
    std::fs::write(lab.root().join("run/zones/.going-down"), "0.001\n").expect("a record");
    program("libexec/zones/zones-host", &["shutdown"]).ok();
    web.is("installed");
    program("libexec/zones/zones-host", &["begin"]).ok();
    program("libexec/zones/zones-host", &["boot"]).ok();
    web.is("running");
    let take = || {
        let words = ["--uninstall", "--prefix"];
        Command::new("sh")
            .args([tree.join("install.sh")])
            .args(words)
            .args([&prefix])
            .env("ZONES_ROOT", lab.root())
            .run()
    };
    take().exits(1).stderr_has("still up: web").stderr_has("zoneadm --all shutdown");
    has("sbin/zoneadm");
    program("sbin/zoneadm", &["-z", "web", "halt"]).ok();
    take().ok().stdout_has("what is the zones' own stays");
    assert_eq!(below(&prefix), ["", "share", "share/man"], "but for what was there before");
    assert_eq!(of_init(), before, "nothing is left in /etc");
    assert!(!Path::new("/etc/systemd/system/zone@.service").exists());
    // The zone is there as it was, for programs that come next.
    web.daemon_leaves();
    web.boot();
}

fn a_package_takes_it_below_a_folder_of_its_own(lab: &Lab) {
    let (tree, package) = (unpacked(lab), lab.path("package"));
    let install = |words: &[&str]| {
        Command::new("sh").args([tree.join("install.sh")]).args(words).args([&package]).within(60).run()
    };
    install(&[]).ok();
    let has = below(&package);
    for name in [
        "usr/sbin/zoneadm",
        "usr/lib/systemd/system/zone@.service",
        "usr/lib/systemd/system-generators/zone-generator",
    ] {
        assert!(has.iter().any(|path| path == name), "{name}: {has:?}");
    }
    // Of what is the host's there are settings that set nothing, and what the package's tools see to is theirs.
    let of_etc: Vec<&str> = has.iter().map(String::as_str).filter(|path| path.starts_with("etc")).collect();
    assert_eq!(of_etc, ["etc", "etc/zones", "etc/zones/zones.toml"]);
    assert!(!has.iter().any(|path| path.contains("/man/")), "{has:?}");
    install(&["--uninstall"]).ok();
    let left: Vec<String> = below(&package)
        .into_iter()
        .filter(|path| path != "usr" && path != "etc" && !path.is_empty())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    install(&["--nonsense"]).exits(2).stderr_has("usage: install.sh");
    install(&["--prefix", "relative"]).exits(2).stderr_has("is not an absolute path");
}
