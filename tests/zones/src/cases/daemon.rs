//! zoneadmd itself: what it refuses, when it lives, who may speak to it.

use crate::harness::{Command, Lab, cases, make_dir, proc_status, until, write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

cases![
    refuses_what_it_cannot_manage,
    refuses_when_not_fully_privileged,
    is_not_for_people_to_start,
    closes_its_run_directory,
    serves_door_and_console_when_it_says_so,
    there_is_only_one,
    leaves_when_there_is_nothing_to_do,
    has_room_for_the_descriptors_of_a_boot,
    keeps_nothing_of_its_starter,
    takes_the_place_of_what_should_not_be_there,
    others_may_not_command_it,
    no_signal_ends_it_by_accident,
    starts_with_the_limits_of_a_poor_caller,
    a_zone_that_left_the_index_is_not_installed,
    says_what_stands_in_the_way_of_its_directory,
];

fn refuses_what_it_cannot_manage(lab: &Lab) {
    lab.configured("configured", "");
    let refusal = |zone: &str| lab.command("zoneadmd", ["-z", zone]).run();
    refusal("global").refuses().stderr_has("cannot manage the global zone");
    refusal("nobody").refuses().stderr_has("could not manage nobody: No such zone configured");
    refusal("configured").refuses().stderr_has("cannot manage a zone which is in state 'configured'");
}

fn refuses_when_not_fully_privileged(lab: &Lab) {
    lab.sparse("web");
    let program = lab.program("zoneadmd");
    let less = ["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"];
    let ran = Command::new("setpriv")
        .args(less)
        .args([program])
        .args(["-z", "web"])
        .env("ZONES_ROOT", lab.root())
        .run();
    ran.refuses().stderr_has("You lack sufficient privilege to run this command (all privs required)");
}

fn is_not_for_people_to_start(lab: &Lab) {
    let ran = lab.command::<&str>("zoneadmd", []).run();
    ran.exits(2).stderr_has("Usage: zoneadmd -z zonename").stderr_has("zoneadmd should not be run directly");
}

fn closes_its_run_directory(lab: &Lab) {
    make_dir(&lab.run(), 0o755);
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok();
    for dir in [lab.run(), zone.run_dir()] {
        let meta = std::fs::metadata(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o700, 0), "{}", dir.display());
    }
}

fn serves_door_and_console_when_it_says_so(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.command("zoneadmd", ["-z", "web"]).run().ok().quiet();
    // Without a wait: that is what its exit status promises.
    for socket in ["door", "console"] {
        let connected = zone_sys::unix::connect_in(&zone.run_dir(), socket, rustix::net::SocketType::STREAM);
        assert!(connected.is_ok(), "{socket}: {connected:?}");
    }
}

fn there_is_only_one(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok();
    let daemon = zone.daemon();
    let second = lab.command("zoneadmd", ["-z", "web"]).run();
    assert!(second.code() == Some(0) || second.code() == Some(1), "{second}");
    assert_eq!(zone.daemon(), daemon, "the first one stays");
    let many: Vec<_> = (0..6).map(|_| lab.command("zoneadmd", ["-z", "web"]).start()).collect();
    many.into_iter().for_each(|one| drop(one.wait()));
    assert_eq!(zone.daemon(), daemon);
}

fn leaves_when_there_is_nothing_to_do(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let keeper = zone.keeper();
    zone.halt();
    zone.daemon_leaves();
    until("the keeper has gone with it", || {
        proc_status(keeper, "State").is_none_or(|s| s.starts_with('Z')).then_some(())
    });
    zone.boot();
}

/// A table that grows while threads share it has whoever opens something wait for a grace period of the kernel's.
fn has_room_for_the_descriptors_of_a_boot(lab: &Lab) {
    let fs = |dir| format!("add fs; set dir=/{dir}; set special=swap; set type=tmpfs; end; ");
    let more: String = ["a", "b", "c", "d"].map(fs).concat() + "add net; end; add net; end";
    let zone = lab.sparse_with("web", &more);
    // Of a caller with a high descriptor the daemon would have a large table to begin with.
    let alone = "use POSIX; POSIX::close($_) for 3 .. 1023; exec @ARGV";
    let daemon = Command::new("perl").args(["-e", alone]).args([lab.program("zoneadmd")]).args(["-z", "web"]);
    daemon.env("ZONES_ROOT", lab.root()).run().ok();
    let room = || {
        let daemon = zone.daemon().expect("there is a daemon");
        (daemon, proc_status(daemon, "FDSize").unwrap_or_default())
    };
    let before = room();
    zone.zoneadm(["boot"]).ok();
    assert_eq!(room(), before);
}

fn keeps_nothing_of_its_starter(lab: &Lab) {
    let zone = lab.sparse("web");
    let secret = lab.path("secret");
    write(&secret, "open\n");
    // Descriptor 7 and a variable that the daemon must not inherit.
    let script = format!("exec 7<{}; exec \"$0\" -z web boot", secret.display());
    let boot = Command::new("/bin/sh").args(["-c", &script]).args([lab.program("zoneadm")]);
    boot.env("ZONES_ROOT", lab.root()).env("SECRET", "42").dir(&lab.path("")).run().ok();
    let (daemon, keeper) = (zone.daemon().unwrap_or_default(), zone.keeper());
    for pid in [daemon, keeper, zone.status().pid1()] {
        let proc = Path::new("/proc").join(pid.to_string());
        let environ = std::fs::read(proc.join("environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environ).contains("SECRET"), "{pid} has the starter's environment");
        let fds = std::fs::read_dir(proc.join("fd")).into_iter().flatten().flatten();
        let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        let held: Vec<_> =
            links.filter(|link| link.starts_with(lab.path("")) && link.ends_with("secret")).collect();
        assert!(held.is_empty(), "{pid} holds {held:?}");
    }
    for pid in [daemon, keeper] {
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
        assert_eq!(cwd.as_deref(), Some(Path::new("/")), "{pid}");
    }
}

fn takes_the_place_of_what_should_not_be_there(lab: &Lab) {
    let zone = lab.sparse("web");
    make_dir(&zone.run_dir(), 0o700);
    write(&zone.run_dir().join("door"), "no socket\n");
    zone.boot();
    zone.halt();
    zone.daemon_leaves();
    let _ = std::fs::remove_file(zone.run_dir().join("door"));
    make_dir(&zone.run_dir().join("door"), 0o700);
    let ran = zone.zoneadm(["boot"]);
    assert!(ran.code() == Some(0) || ran.err().contains("door"), "either dealt with or named\n{ran}");
    let _ = std::fs::remove_dir(zone.run_dir().join("door"));
}

fn others_may_not_command_it(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let as_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let program = lab.program("zoneadm");
    let ran = Command::new("setpriv")
        .args(as_nobody)
        .args([program])
        .args(["-z", "web", "halt"])
        .env("ZONES_ROOT", lab.root())
        .run();
    if matches!(ran.code(), Some(126 | 127)) {
        crate::harness::skip("nobody cannot reach the programs in this checkout");
    }
    ran.refuses().stderr_has("only a privileged user may halt a zone.");
    zone.is("running");
}

fn no_signal_ends_it_by_accident(lab: &Lab) {
    use rustix::process::{Pid, Signal, kill_process};
    let zone = lab.sparse("web");
    zone.boot();
    let daemon = zone.daemon();
    let pid = daemon.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no daemon"));
    for signal in [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::PIPE,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::POWER,
        Signal::WINCH,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::STKFLT,
    ] {
        kill_process(pid, signal).unwrap_or_else(|e| panic!("{signal:?}: {e}"));
    }
    assert_eq!(zone.door_status()["state"], "running");
    assert_eq!(zone.daemon(), daemon);
    // What it starts hears signals as ever.
    let blocked = proc_status(zone.keeper(), "SigBlk").unwrap_or_default();
    assert_eq!(
        u64::from_str_radix(&blocked, 16).map(|mask| mask & 0x7fff_ffff & !(1 << 14)),
        Ok(0),
        "{blocked}"
    );
}

fn starts_with_the_limits_of_a_poor_caller(lab: &Lab) {
    let zone = lab.sparse("web");
    let zoneadm = lab.program("zoneadm").display().to_string();
    let boot = |limits: &str| {
        let script = format!("{limits}; exec {zoneadm} -z web boot");
        Command::new("/bin/sh").args(["-c", &script]).env("ZONES_ROOT", lab.root()).run()
    };
    boot("ulimit -Sn 20; ulimit -Sf 100").ok().quiet();
    zone.is("running");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", zone.daemon().unwrap_or_default()));
    let limits = limits.unwrap_or_default();
    let of =
        |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let files: u64 = of("Max open files").split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(files >= 1024, "{limits}");
    zone.halt();
    zone.daemon_leaves();
    // What the host does not give back is named.
    for (limit, reason) in
        [("ulimit -n 20", "the limit of open files (RLIMIT_NOFILE)"), ("ulimit -f 100", "(RLIMIT_FSIZE)")]
    {
        let ran = boot(limit);
        assert!(ran.code() == Some(0) || ran.err().contains(reason), "{limit}\n{ran}");
        zone.halt_whatever();
        zone.daemon_leaves();
    }
}

fn a_zone_that_left_the_index_is_not_installed(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.boot();
    let index = lab.etc().join("index");
    let kept = std::fs::read_to_string(&index).unwrap_or_default();
    write(&index, "");
    let call = |method: &str| zone.door_call(method, r#"{"locale":""}"#);
    // One that is up can be halted, whatever became of the index, and no reboot takes it down.
    assert_eq!(zone.door_status()["state"], "running");
    assert!(
        zone.door_call("Reboot", r#"{"bootargs":"","locale":""}"#).contains("No such zone configured"),
        "a reboot would not come up again"
    );
    assert_eq!(zone.door_status()["state"], "running");
    let console = crate::harness::Wire::attached(&zone, false);
    assert!(call("Halt").contains("\"state\":\"configured\""));
    assert_ne!(zone.door_status()["state"], "installed");
    let said = call("Halt");
    assert!(said.contains("failed to get zone state: web: No such zone configured"), "{said}");
    drop(console);
    write(&index, &kept);
}

fn says_what_stands_in_the_way_of_its_directory(lab: &Lab) {
    let zone = lab.sparse("web");
    let run = lab.run();
    let _ = std::fs::remove_dir_all(&run);
    write(&run, "");
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has(&format!("'{}' is not a directory", run.display()));
    let _ = std::fs::remove_file(&run);
}
