//! A zlogin that is killed at every point, and so is its process in the zone. A command goes on without its zlogin, as
//! under ssh: its input has ended, and nobody takes its output. A login is hung up. The zone itself is what it was.

use super::crash::{be_up, leaves_nothing, zone};
use crate::harness::world::World;
use crate::harness::{
    Identity, Lab, Place, Terminal, Zone, cases, need_failpoints, places, proc_status, until, until_none,
};
use std::fs;

cases![
    a_command: 180,
    a_command_that_does_not_end: 120,
    a_login: 180,
    a_console: 180,
    a_console_with_no_daemon_there: 180,
    the_process_in_the_zone: 180,
    the_process_in_the_zone_of_a_login: 180,
];

/// The processes in sight that are zlogins, or were made by one and have not become anything else yet.
fn zlogins() -> Vec<String> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        // One that the test has not waited for is no process any more.
        let state = proc_status(i32::try_from(pid).ok()?, "State")?;
        (name.trim() == "zlogin" && !state.starts_with('Z')).then(|| pid.to_string())
    })
    .collect()
}

#[track_caller]
fn no_zlogin_is_left(at: &str) {
    until_none(&format!("no process of a zlogin is left after a death at {at}"), zlogins);
}

/// The zone has not noticed, and can be entered as ever.
#[track_caller]
fn is_unhurt(zone: &Zone<'_>, before: &Identity, at: &str) {
    assert_eq!(zone.identity().as_ref(), Some(before), "after a death at {at}");
    zone.zlogin(["echo", "here"]).ok().stdout_is("here\n");
}

/// A command that writes, whether or not anybody reads, waits for the end of its input, and leaves a mark.
const COMMAND: &str = "trap '' PIPE; echo begun; cat > /dev/null; echo ended > /root/mark";

/// A zone that is up, the world before it, and who its first process is.
fn begin(lab: &Lab) -> (Zone<'_>, World, Identity) {
    let zone = zone(lab);
    let _ = lab.points();
    let world = World::look(&[]);
    be_up(&zone);
    let before = zone.identity().unwrap_or_else(|| panic!("it must run"));
    (zone, world, before)
}

fn a_command(lab: &Lab) {
    let (zone, world, before) = begin(lab);
    let passed = zone.passed_by("zlogin", || {
        zone.sh(COMMAND).ok().stdout_is("begun\n").quiet();
    });
    need_failpoints(&passed);
    // How often bytes are moved is another matter each time.
    let is_sure = |place: &Place| place.point != "command.running" || place.passage == 1;
    for Place { point, passage } in places(&passed).into_iter().filter(is_sure) {
        let at = format!("{point} {passage}");
        let _ = fs::remove_file(zone.file("/root/mark"));
        zone.dies(&[("zlogin", &point, passage)]);
        let ran = zone.sh(COMMAND);
        eprintln!("{at}: {ran}");
        assert_eq!(zone.die_no_more(), [format!("zlogin {point}")], "{ran}");
        assert_eq!(ran.code(), None, "{ran}");
        if point == "enter.found" {
            assert!(!zone.file("/root/mark").exists(), "nothing was started in the zone");
        } else {
            until(&format!("the command has ended by itself after a death at {at}"), || {
                zone.file("/root/mark").exists().then_some(())
            });
        }
        no_zlogin_is_left(&at);
        is_unhurt(&zone, &before, &at);
    }
    leaves_nothing(&zone, &world, "the deaths");
}

/// One that neither reads nor writes is not told; it ends with the zone, and so does what watches over it.
fn a_command_that_does_not_end(lab: &Lab) {
    let (zone, world, _) = begin(lab);
    zone.dies(&[("zlogin", "enter.entered", 1)]);
    let ran = zone.zlogin(["sleep", "2147483647"]);
    need_failpoints(&zone.die_no_more());
    assert_eq!(ran.code(), None, "{ran}");
    zone.sh("until grep -q 2147483647 /proc/[0-9]*/cmdline; do sleep 0.01; done").ok();
    leaves_nothing(&zone, &world, "enter.entered");
    no_zlogin_is_left("enter.entered");
}

/// What a terminal is when nobody has changed it.
fn is_as_before(terminal: &Terminal, at: &str) {
    until(&format!("the terminal is not raw any more after a death at {at}"), || {
        (!terminal.is_raw()).then_some(())
    });
}

fn a_login(lab: &Lab) {
    let (zone, world, before) = begin(lab);
    zone.sh("echo \"PS1='ready> '; trap 'echo hung up > /root/mark' HUP\" > /root/.profile").ok();
    zone.sh("cp /root/.profile /root/.bashrc").ok();
    for (point, typed) in
        [("enter.found", ""), ("enter.entered", ""), ("login.raw", ""), ("login.ended", "exit 0\r")]
    {
        zone.dies(&[("zlogin", point, 1)]);
        let mut terminal = zone.terminal(24, 80);
        let settings = terminal.settings();
        if !typed.is_empty() {
            terminal.shows("ready> ");
            terminal.types(typed);
        }
        until(&format!("zlogin has died at {point}"), || (!zone.deaths().is_empty()).then_some(()));
        zone.die_no_more();
        is_as_before(&terminal, point);
        no_zlogin_is_left(point);
        if point != "login.raw" && point != "login.ended" {
            assert_eq!(terminal.settings(), settings, "after a death at {point}");
        }
        until(&format!("no shell of a login is left after a death at {point}"), || {
            let shells = zone.sh("ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c '/dev/pts/'").out();
            (shells.trim() == "0").then_some(())
        });
        drop(terminal.ends());
        is_unhurt(&zone, &before, point);
    }
    leaves_nothing(&zone, &world, "the deaths");
}

fn a_console(lab: &Lab) {
    let (zone, world, before) = begin(lab);
    for point in ["console.connected", "console.raw", "console.broken"] {
        zone.dies(&[("zlogin", point, 1)]);
        let terminal = if point == "console.broken" {
            let terminal = zone.console(&[]);
            zone.kill_daemon();
            terminal
        } else {
            Terminal::start(zone.console_command(&[]), 24, 80)
        };
        until(&format!("zlogin has died at {point}"), || (!zone.deaths().is_empty()).then_some(()));
        zone.die_no_more();
        is_as_before(&terminal, point);
        no_zlogin_is_left(point);
        drop(terminal.ends());
        zone.zoneadm(["boot"]).ok().stderr_has("already booted");
        zone.waits_for("nobody is at the console any more", |now| {
            now.consoles.as_ref().is_none_or(Vec::is_empty)
        });
        // The console is free, and works.
        let console = zone.console(&[]);
        let (status, screen) = console.ends_by("~.");
        assert!(status.success(), "{screen}");
        is_unhurt(&zone, &before, point);
    }
    leaves_nothing(&zone, &world, "the deaths");
}

fn a_console_with_no_daemon_there(lab: &Lab) {
    let zone = zone(lab);
    let _ = lab.points();
    let world = World::look(&[]);
    for point in ["start.locked", "start.spawned", "start.served"] {
        be_up(&zone);
        let before = zone.identity().unwrap_or_else(|| panic!("it must run"));
        zone.kill_daemon();
        zone.dies(&[("zlogin", point, 1)]);
        let terminal = Terminal::start(zone.console_command(&[]), 24, 80);
        until(&format!("zlogin has died at {point}"), || (!zone.deaths().is_empty()).then_some(()));
        zone.die_no_more();
        no_zlogin_is_left(point);
        drop(terminal.ends());
        let console = zone.console(&[]);
        let (status, screen) = console.ends_by("~.");
        assert!(status.success(), "{screen}");
        is_unhurt(&zone, &before, point);
        leaves_nothing(&zone, &world, point);
    }
}

const INSIDE: [&str; 4] = ["middle.born", "middle.inside", "middle.streams", "middle.started"];

/// zlogin says that it came to nothing, and a command that was started already is the zone's own business.
fn the_process_in_the_zone(lab: &Lab) {
    let (zone, world, before) = begin(lab);
    for point in INSIDE {
        zone.dies(&[("middle", point, 1)]);
        let ran = zone.sh(COMMAND);
        let deaths = zone.die_no_more();
        need_failpoints(&deaths);
        eprintln!("{point}: {ran}");
        assert_eq!(deaths, [format!("middle {point}")], "{ran}");
        let expected = if ["middle.streams", "middle.started"].contains(&point) { 137 } else { 1 };
        assert_eq!(ran.code(), Some(expected), "{ran}");
        assert!(expected == 137 || !ran.err().is_empty(), "it must say so\n{ran}");
        no_zlogin_is_left(point);
        is_unhurt(&zone, &before, point);
    }
    leaves_nothing(&zone, &world, "the deaths");
}

fn the_process_in_the_zone_of_a_login(lab: &Lab) {
    let (zone, world, before) = begin(lab);
    for point in INSIDE {
        zone.dies(&[("middle", point, 1)]);
        let terminal = zone.terminal(24, 80);
        let (status, screen) = terminal.ends();
        zone.die_no_more();
        assert!([Some(1), Some(137)].contains(&status.code()), "{point}: {status}: {screen}");
        no_zlogin_is_left(point);
        is_unhurt(&zone, &before, point);
    }
    leaves_nothing(&zone, &world, "the deaths");
}
