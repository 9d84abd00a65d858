//! A guest that does its worst to its console, and what is left of it at the next boot.

use crate::harness::init::IDLE;
use crate::harness::{Command, Lab, Wire, Zone, cases, numbered, skip, until, write};
use rustix::pty::{OpenptFlags, openpt};

cases![
    every_boot_has_the_same_settings,
    nothing_can_be_typed_for_it,
    it_cannot_be_stolen,
    another_line_discipline_lasts_until_the_next_boot,
    a_stop_character_stops_no_guest: 120,
    a_guest_that_stops_its_output_can_be_halted,
    opening_and_closing_it_in_a_loop,
    what_the_host_hangs_up_recovers,
    it_cannot_be_hung_up_from_inside,
    all_ptys_taken,
    the_node_removed,
    input_that_nobody_reads,
];

/// A sparse zone that runs, with the host's perl in it: the one program everywhere that can ioctl.
fn with_perl<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    if !std::path::Path::new("/usr/bin/perl").exists() {
        skip("there is no /usr/bin/perl");
    }
    let zone = lab.sparse("web");
    for name in [".profile", ".bashrc", ".bash_profile"] {
        write(&zone.file("/root").join(name), "PS1='ready> '\n");
    }
    zone.boot();
    zone
}

/// A perl script that opens the console as `F` without taking it as its terminal, and then does `what`.
fn perl(what: &str) -> String {
    format!(
        "perl -e 'use Fcntl; sysopen(F, \"/dev/console\", O_RDWR|O_NOCTTY|O_NONBLOCK) or die; $| = 1; {what}'"
    )
}

/// Says something on the console until the guest's shell answers.
#[track_caller]
fn answers(wire: &mut Wire) {
    wire.says("\r");
    wire.hears("ready> ");
    wire.says("echo it''works\r");
    wire.hears("itworks\r\n");
}

fn every_boot_has_the_same_settings(lab: &Lab) {
    // What it finds, and then what it leaves behind.
    let init = format!(
        "busybox stty -g > /settings; busybox stty raw -echo cs7 parenb 300 intr x erase y; busybox stty -g > /left; {IDLE}"
    );
    let zone = lab.tiny("web", &init);
    // BRKINT ICRNL IXON IMAXBEL; OPOST ONLCR TAB3; CS8 CREAD, 9600 both ways; ISIG ICANON ECHO ECHOE ECHOK ECHOCTL
    // ECHOKE IEXTEN; and the usual control characters.
    const USUAL: &str = "2502:1805:d00bd:8a3b:3:1c:7f:15:4:0:1:0:11:13:1a:0:12:f:17:16:0";
    let mut wire = Wire::attached(&started(lab, &zone), false);
    for verb in ["boot", "reboot", "halt", "boot"] {
        let _ = std::fs::remove_file(zone.file("/settings"));
        let _ = std::fs::remove_file(zone.file("/left"));
        zone.zoneadm([verb]).ok();
        wire.hears("]\r\n");
        if verb == "halt" {
            continue;
        }
        assert_ne!(zone.written("/left").trim_end(), USUAL);
        let settings = zone.written("/settings");
        let flags = |text: &str| text.trim_end().split(':').map(str::to_owned).collect::<Vec<_>>();
        let (seen, usual) = (flags(&settings), flags(USUAL));
        assert_eq!(seen.get(..usual.len()), Some(&usual[..]), "after {verb}: {settings}");
    }
}

/// The zone with its daemon up.
fn started<'lab>(lab: &'lab Lab, zone: &Zone<'lab>) -> Zone<'lab> {
    lab.command("zoneadmd", ["-z", zone.name()]).run().ok();
    lab.zone(zone.name())
}

fn nothing_can_be_typed_for_it(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    // TIOCSTI on one's own terminal: at the console, and at a login.
    let script =
        "perl -e 'print ioctl(STDIN, 0x5412, $x = \"x\") ? \"type\".\"d\\n\" : \"refu\".\"sed: $!\\n\"'\r";
    wire.says(script);
    wire.hears("refused: ");
    let mut login = zone.terminal(24, 80);
    login.shows("ready> ");
    login.types(script);
    login.shows("refused: ");
    login.types("exit\r");
    let _ = login.ends();
    zone.sh(&perl("print ioctl(F, 0x5412, $x = \"x\") ? \"typed\\n\" : \"refused\\n\""))
        .ok()
        .stdout_is("refused\n");
    answers(&mut wire);
}

fn it_cannot_be_stolen(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    // TIOCSCTTY with force, from a session of its own.
    let what = perl("print ioctl(F, 0x540e, 1) ? \"stolen\\n\" : \"refused\\n\"");
    zone.sh(&format!("setsid --wait {what}")).ok().stdout_is("refused\n");
    // TIOCNXCL's opposite: exclusive use. Root of the zone may have it, but not beyond its life.
    let _ = zone.sh(&perl("ioctl(F, 0x540c, 0); print \"done\\n\""));
    answers(&mut wire);
    zone.zoneadm(["reboot"]).ok();
    wire.hears("rebooting]");
    answers(&mut wire);
    zone.sh(&perl("print \"opened\\n\"")).ok().stdout_is("opened\n");
}

fn another_line_discipline_lasts_until_the_next_boot(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    // N_NULL swallows all.
    let what = "print ioctl(F, 0x5423, $d = pack(\"i\", 27)) ? \"changed\\n\" : \"refused: $!\\n\"";
    let _ = zone.sh(&perl(what)).ok();
    zone.zoneadm(["reboot"]).ok();
    wire.hears("rebooting]");
    answers(&mut wire);
    let get = "$d = pack(\"i\", 99); ioctl(F, 0x5424, $d); print unpack(\"i\", $d), \"\\n\"";
    zone.sh(&perl(get)).ok().stdout_is("0\n");
}

/// Counts what it has written: a kilobyte at a time.
const COUNTING: &str = "s=0123456789abcdef; s=$s$s$s$s$s$s$s$s; s=$s$s$s$s$s$s$s$s; i=0; \
    while :; do i=$((i+1)); echo line $i $s; echo $i > /rounds; done";

fn rounds(zone: &Zone<'_>) -> u64 {
    std::fs::read_to_string(zone.file("/rounds")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn a_stop_character_stops_no_guest(lab: &Lab) {
    let zone = lab.tiny("web", COUNTING);
    zone.boot();
    let goes_on = || {
        let before = rounds(&zone);
        // More than a terminal holds.
        until("the guest gets on", || (rounds(&zone) > before + 300).then_some(()));
    };
    let mut wire = Wire::attached(&zone, false);
    wire.hears("line ");
    wire.says("\u{13}");
    goes_on();
    // Whoever stopped it goes on where it was, or is told what is gone meanwhile.
    wire.says("\u{11}");
    wire.hears("line ");
    wire.says("\u{13}");
    drop(wire);
    goes_on();
    let mut next = Wire::attached(&zone, false);
    next.hears("line ");
    // As a person does it, and as a person is killed.
    drop(next);
    let mut terminal = zone.console(&[]);
    terminal.shows("line ");
    terminal.types("\u{13}");
    terminal.types("\r~.");
    let _ = terminal.ends();
    goes_on();
    let mut terminal = zone.console(&[]);
    terminal.shows("line ");
    terminal.types("\u{13}");
    terminal.signal(rustix::process::Signal::KILL);
    let _ = terminal.ends();
    goes_on();
    let mut last = zone.console(&["--no-replay"]);
    last.shows("line ");
}

fn a_guest_that_stops_its_output_can_be_halted(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    // TCXONC: as ^S, and then somebody writes.
    zone.sh(&perl("ioctl(F, 0x540a, 0); print \"stopped\\n\"")).ok();
    let writer = zone.zlogin_command(["sh", "-c", "yes > /dev/console"]).start();
    zone.halt();
    wire.hears("[NOTICE: Zone halted]");
    let _ = writer.wait();
    zone.boot();
    wire.hears("booting up]");
    answers(&mut wire);
}

fn opening_and_closing_it_in_a_loop(lab: &Lab) {
    let init = format!(
        "exec < /dev/null > /dev/null 2>&1; i=0; while [ $i -lt 3000 ]; do : > /dev/console; : < /dev/console; i=$((i+1)); \
         done; echo it survived > /dev/console; {IDLE}"
    );
    let zone = lab.tiny("web", &init);
    let mut wire = Wire::attached(&started(lab, &zone), false);
    zone.boot();
    wire.hears("it survived\r\n");
}

fn what_the_host_hangs_up_recovers(lab: &Lab) {
    if !std::path::Path::new("/usr/bin/perl").exists() {
        skip("there is no /usr/bin/perl");
    }
    let init = "while :; do read line < /dev/console && echo heard $line > /dev/console && echo $line > /heard; done";
    let zone = lab.tiny("web", init);
    zone.boot();
    let mut wire = Wire::attached(&zone, false);
    wire.says("one\r");
    wire.hears("heard one\r\n");
    for word in ["two", "three", "four"] {
        // TIOCVHANGUP, which takes the host's root.
        let script = "use Fcntl; sysopen(F, $ARGV[0], O_RDWR|O_NOCTTY|O_NONBLOCK) or die \"$!\"; ioctl(F, 0x5437, 0) or die \"$!\"";
        let console = format!("/proc/{}/root/dev/console", zone.status().pid1());
        Command::new("perl").args(["-e", script]).args([console]).run().ok();
        // Whoever in the zone opens its console again is heard, and hears: what was typed in between is gone.
        until("the guest hears again", || {
            wire.says(format!("{word}\r"));
            std::fs::read_to_string(zone.file("/heard")).is_ok_and(|heard| heard.trim() == word).then_some(())
        });
        wire.hears(&format!("heard {word}\r\n"));
    }
    zone.zoneadm(["reboot"]).ok();
    wire.hears("rebooting]\r\n");
    wire.says("five\r");
    wire.hears("heard five\r\n");
}

fn it_cannot_be_hung_up_from_inside(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    zone.sh(&perl("print ioctl(F, 0x5437, 0) ? \"hung up\\n\" : \"refused\\n\"")).ok().stdout_is("refused\n");
    // vhangup(2), at the console itself.
    wire.says(numbered(
        "perl -e 'print syscall(SYS_vhangup) == 0 ? \"hung\".\"up\\n\" : \"ref\".\"used\\n\"'\r",
    ));
    wire.hears("refused\r\n");
    answers(&mut wire);
}

fn all_ptys_taken(lab: &Lab) {
    let zone = with_perl(lab);
    let other = lab.sparse("other");
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    let script = "perl -e 'while (sysopen($f[$n], \"/dev/ptmx\", 2)) { $n++ } print \"took $n, then $!\\n\"; $| = 1; \
                  print \"done\\n\"; sleep 1000000'";
    wire.says(format!("{script} &\r"));
    wire.hears(", then ");
    wire.hears("done\r\n");
    // Its own console, the host and other zones have all they need.
    answers(&mut wire);
    let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
    assert!(host.is_ok(), "the host has no pty left: {host:?}");
    other.boot();
    let mut login = other.terminal(24, 80);
    login.shows("[Connected to zone 'other' pts/");
    login.types("exit\r");
    let _ = login.ends();
}

fn the_node_removed(lab: &Lab) {
    let zone = with_perl(lab);
    let mut wire = Wire::attached(&zone, false);
    answers(&mut wire);
    let _ = zone
        .sh("rm -rf /dev/console; umount /dev/console; rm -rf /dev/console; ln -s /etc/passwd /dev/console");
    zone.zoneadm(["reboot"]).ok();
    wire.hears("rebooting]");
    answers(&mut wire);
    zone.sh("test -c /dev/console").ok();
}

fn input_that_nobody_reads(lab: &Lab) {
    let zone = lab.tiny("web", COUNTING);
    zone.boot();
    let mut wire = Wire::attached(&zone, false);
    wire.says_what_fits(&[b'x'; 4 << 20]);
    // Output flows on.
    let before = rounds(&zone);
    until("the guest gets on", || (rounds(&zone) > before + 1000).then_some(()));
    wire.hears("line ");
    zone.halt();
    wire.hears("[NOTICE: Zone halted]");
}
