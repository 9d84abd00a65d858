//! The console from *installed* on, through boots, reboots and halts, to the uninstall; its notices.

use crate::harness::{Lab, Terminal, Wire, Zone, cases};

cases![
    it_is_there_before_the_first_boot,
    it_stays_over_reboots_and_a_halt: 120,
    it_ends_with_an_uninstall,
    the_notices_without_arguments,
    the_notices_with_arguments,
    who_asked_for_it_is_disconnected_at_a_halt,
    who_asked_for_it_is_disconnected_when_a_boot_fails,
    the_daemon_stays_for_a_client_and_leaves_after_it,
    a_zone_that_is_not_installed_has_none,
];

/// A zone whose console has a shell that says `ready> `.
fn with_a_shell<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.sparse("web");
    for name in [".profile", ".bashrc", ".bash_profile"] {
        crate::harness::write(&zone.file("/root").join(name), "PS1='ready> '\n");
    }
    zone
}

#[track_caller]
fn answers(terminal: &mut Terminal) {
    terminal.shows("ready> ");
    terminal.types("echo it''works\r");
    terminal.shows("itworks\r\n");
    // The next one that is seen is that of another shell.
    terminal.shows("ready> ");
}

fn it_is_there_before_the_first_boot(lab: &Lab) {
    let zone = with_a_shell(lab);
    assert_eq!(zone.daemon(), None, "nobody serves a zone that was only installed");
    let mut terminal = zone.console(&[]);
    assert!(zone.daemon().is_some(), "the console has brought the daemon");
    zone.is("installed");
    zone.boot();
    terminal.shows("\r\n[NOTICE: Zone booting up]\r\n");
    answers(&mut terminal);
    terminal.types("\r~.");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.ends_with("\n[Connection to zone 'web' console closed]\r\n"), "{screen:?}");
}

fn it_stays_over_reboots_and_a_halt(lab: &Lab) {
    let zone = with_a_shell(lab);
    let mut terminal = zone.console(&[]);
    zone.boot();
    answers(&mut terminal);
    for _ in 0..2 {
        zone.zoneadm(["reboot"]).ok();
        terminal.shows("\r\n[NOTICE: Zone rebooting]\r\n");
        answers(&mut terminal);
        // What the shell says that is about to die may come after the notice.
        terminal.types("PS1=; reboot\r");
        terminal.shows("\r\n[NOTICE: Zone rebooting]\r\n");
        answers(&mut terminal);
    }
    zone.halt();
    terminal.shows("\r\n[NOTICE: Zone halted]\r\n");
    zone.boot();
    terminal.shows("\r\n[NOTICE: Zone booting up]\r\n");
    answers(&mut terminal);
    terminal.types("poweroff\r");
    terminal.shows("\r\n[NOTICE: Zone halted]\r\n");
    zone.becomes("installed");
    zone.zoneadm(["ready"]).ok();
    terminal.shows("\r\n[NOTICE: Zone readied]\r\n");
    zone.boot();
    terminal.shows("\r\n[NOTICE: Zone booting up]\r\n");
    answers(&mut terminal);
    terminal.types("\r~.");
    assert_eq!(terminal.ends().0.code(), Some(0));
}

fn it_ends_with_an_uninstall(lab: &Lab) {
    let zone = lab.sparse("web");
    let mut terminal = zone.console(&[]);
    let raw = Wire::connect(&zone);
    zone.zoneadm(["uninstall", "-F"]).ok();
    terminal.shows("\r\n[NOTICE: Zone is being uninstalled.  Disconnecting...]\r\n");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.ends_with("\n[Connection to zone 'web' console closed]\r\n"), "{screen:?}");
    assert_eq!(raw.closes(), "", "who has not said who it is learns nothing");
    zone.daemon_leaves();
}

fn the_notices_without_arguments(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let _ = lab.command("zoneadmd", ["-z", "web"]).run();
    let mut wire = Wire::attached(&zone, false);
    let mut goes = |verb: &str, notice: &str| {
        zone.zoneadm([verb]).ok();
        assert_eq!(wire.hears("]\r\n"), format!("\r\n[NOTICE: {notice}]\r\n"));
    };
    goes("ready", "Zone readied");
    goes("boot", "Zone booting up");
    goes("reboot", "Zone rebooting");
    goes("halt", "Zone halted");
    goes("boot", "Zone booting up");
    goes("ready", "Zone readied");
    goes("halt", "Zone halted");
    zone.zoneadm(["boot", "--", "-i", "/no/such/init"]).refuses();
    assert_eq!(
        wire.hears("failed]\r\n"),
        "\r\n[NOTICE: Zone booting up with arguments: -i /no/such/init]\r\n\r\n[NOTICE: Zone boot failed]\r\n"
    );
    zone.zoneadm(["uninstall", "-F"]).ok();
    assert_eq!(wire.closes(), "\r\n[NOTICE: Zone is being uninstalled.  Disconnecting...]\r\n");
}

fn the_notices_with_arguments(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let _ = lab.command("zoneadmd", ["-z", "web"]).run();
    let mut wire = Wire::attached(&zone, false);
    zone.zoneadm(["boot", "--", "-s", "-m", "verbose"]).ok();
    assert_eq!(wire.hears("]\r\n"), "\r\n[NOTICE: Zone booting up with arguments: -s -m verbose]\r\n");
    zone.zoneadm(["reboot", "--", "-s"]).ok();
    assert_eq!(wire.hears("]\r\n"), "\r\n[NOTICE: Zone rebooting with arguments: -s]\r\n");
    zone.zoneadm(["reboot", "--", "-x", "\u{1b}[2J"]).ok();
    let told = wire.hears("2J]\r\n");
    assert_eq!(told, "\r\n[NOTICE: Zone rebooting with arguments: -x \\u{1b}[2J]\r\n");
    assert_eq!(wire.hears("]\r\n"), "\r\n[WARNING: Ignoring invalid boot arguments: -x]\r\n");
    zone.halt();
    wire.hears("[NOTICE: Zone halted]\r\n");
    zone.zonecfg("set bootargs=-s").ok();
    zone.boot();
    assert_eq!(wire.hears("]\r\n"), "\r\n[NOTICE: Zone booting up with arguments: -s]\r\n");
}

fn who_asked_for_it_is_disconnected_at_a_halt(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let mut terminal = zone.console(&["-d"]);
    for (verb, notice) in [("boot", "booting up"), ("reboot", "rebooting"), ("ready", "readied")] {
        zone.zoneadm([verb]).ok();
        terminal.shows(&format!("\r\n[NOTICE: Zone {notice}]\r\n"));
    }
    zone.halt();
    terminal.shows("\r\n[NOTICE: Zone halted.  Disconnecting...]\r\n");
    assert_eq!(terminal.ends().0.code(), Some(0));
    zone.daemon_leaves();
    zone.boot();
    let wire = Wire::attached(&zone, true);
    zone.halt();
    assert_eq!(wire.closes(), "\r\n[NOTICE: Zone halted.  Disconnecting...]\r\n");
}

fn who_asked_for_it_is_disconnected_when_a_boot_fails(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let mut terminal = zone.console(&["-d"]);
    zone.zoneadm(["boot", "--", "-i", "/no/such/init"]).refuses();
    terminal.shows("\r\n[NOTICE: Zone boot failed.  Disconnecting...]\r\n");
    assert_eq!(terminal.ends().0.code(), Some(0));
}

fn the_daemon_stays_for_a_client_and_leaves_after_it(lab: &Lab) {
    let zone = lab.tiny("web", "exec sleep 2147483647");
    let mut terminal = zone.console(&[]);
    let daemon = zone.daemon();
    zone.boot();
    zone.halt();
    terminal.shows("[NOTICE: Zone halted]");
    zone.boot();
    zone.halt();
    terminal.shows("[NOTICE: Zone halted]");
    assert_eq!(zone.daemon(), daemon, "the same daemon, since somebody is attached");
    terminal.types("~.");
    assert_eq!(terminal.ends().0.code(), Some(0));
    zone.daemon_leaves();
}

fn a_zone_that_is_not_installed_has_none(lab: &Lab) {
    let zone = lab.configured("web", "set brand=sparse");
    zone.console_command(&[]).run().refuses().stderr_has("cannot login to a zone which is 'configured'");
    lab.command("zlogin", ["-C", "nobody"]).run().refuses().stderr_has("zone 'nobody' unknown");
    lab.command("zlogin", ["-C", "global"]).run().refuses().stderr_has("not applicable to the global zone");
}
