//! A real Debian, driven through its console as a person would, by one client that never leaves.

use crate::harness::{Lab, Terminal, cases};

cases![debian12_through_its_console: 300];

#[track_caller]
fn logs_in(terminal: &mut Terminal) {
    terminal.shows("login: ");
    terminal.types("root\r");
    terminal.shows("Password: ");
    terminal.types("root\r");
    terminal.shows("# ");
}

fn debian12_through_its_console(lab: &Lab) {
    let zone = lab.guest("deb", "debian12-systemd", "");
    let mut terminal = zone.console(&[]);
    let pid = terminal.pid();
    zone.boot();
    terminal.shows("\r\n[NOTICE: Zone booting up]\r\n");
    // The messages of its boot, the prompt of its getty.
    terminal.shows("Welcome to ");
    logs_in(&mut terminal);
    terminal.types("tty; cat /proc/1/comm; echo pa''st $((6*7))\r");
    terminal.shows("/dev/console");
    terminal.shows("systemd");
    terminal.shows("past 42");
    terminal.types("stty size\r");
    terminal.shows("24 80");
    terminal.resize(33, 111);
    terminal.types("sleep 0; stty size | tr ' ' x\r");
    terminal.shows("33x111");
    let before = zone.status();
    // By exec: a bash that has been told of a SIGHUP between its look at that and its wait for a key waits on, and
    // systemd kills it only after 90 seconds.
    terminal.types("exec reboot\r");
    terminal.shows("\r\n[NOTICE: Zone rebooting]\r\n");
    zone.runs_again(&before);
    terminal.shows("Welcome to ");
    logs_in(&mut terminal);
    // A daemon that dies meanwhile is no matter.
    zone.kill_daemon();
    terminal.shows("console reconnected]");
    terminal.types("echo st''ill here; exec poweroff\r");
    terminal.shows("still here");
    terminal.shows("\r\n[NOTICE: Zone halted]\r\n");
    zone.becomes("installed");
    zone.boot();
    terminal.shows("\r\n[NOTICE: Zone booting up]\r\n");
    logs_in(&mut terminal);
    assert_eq!(terminal.pid(), pid);
    zone.halt();
    terminal.shows("\r\n[NOTICE: Zone halted]\r\n");
    zone.zoneadm_within(120, ["uninstall", "-F"]).ok();
    terminal.shows("\r\n[NOTICE: Zone is being uninstalled.  Disconnecting...]\r\n");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(0));
    assert!(screen.ends_with("\n[Connection to zone 'deb' console closed]\r\n"), "{screen:?}");
}
