//! `zlogin -C`: its options, the escape, the terminal, and a daemon that dies under it.

use crate::harness::init::{ECHO, IDLE};
use crate::harness::{Command, Lab, Terminal, cases, until};
use rustix::process::{Pid, Signal, kill_process};

cases![
    the_escape_counts_only_where_a_line_begins,
    another_escape,
    no_escape,
    no_words_with_q,
    the_terminal_is_restored_when_a_signal_ends_it,
    the_terminal_is_restored_when_it_is_killed,
    it_can_be_stopped_and_continued,
    the_window_size_is_sent,
    without_a_terminal_it_is_a_pipe,
    it_comes_back_when_the_daemon_was_killed,
    no_byte_is_lost_over_killed_daemons: 120,
    what_is_typed_after_the_daemon_died_arrives,
    what_is_typed_while_there_is_no_daemon_arrives,
    it_comes_back_in_the_midst_of_a_boot,
];

/// An init that says what it hears, each byte by its number.
const NUMBERS: &str = "busybox stty raw -echo; exec busybox od -An -v -tu1 -w1";

/// What the guest heard until a full stop of its own line.
fn heard(terminal: &mut Terminal) -> String {
    let said = terminal.shows("46\n");
    let numbers = said.split_ascii_whitespace().filter_map(|word| word.parse::<u8>().ok());
    numbers.map(char::from).collect()
}

fn leaves(mut terminal: Terminal) {
    terminal.types("\r~.");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(
        screen.ends_with("~.\r\n\n[Connection to zone 'web' console closed]\r\n")
            || screen.contains(" closed]")
    );
}

fn the_escape_counts_only_where_a_line_begins(lab: &Lab) {
    let zone = lab.booted_tiny(NUMBERS);
    let mut terminal = zone.console(&[]);
    for (typed, sent) in [
        ("\ra~.", "\ra~."),
        ("\r~/bin.", "\r~/bin."),
        ("\r~~.", "\r~."),
        ("\r~x.", "\r~x."),
        ("\r ~.", "\r ~."),
        ("\n~~~.", "\n~~."),
        ("\u{3}~\r.", "\u{3}~\r."),
    ] {
        terminal.types(typed);
        assert_eq!(heard(&mut terminal), sent, "typed {typed:?}");
    }
    leaves(terminal);
    zone.is("running");
    for typed in ["~.", "x\r~.", "x\n~.", "x\u{3}~.", "~\u{4}"] {
        let mut terminal = zone.console(&[]);
        terminal.types(typed);
        let (status, screen) = terminal.ends();
        assert_eq!(status.code(), Some(0), "typed {typed:?}: {screen}");
        assert!(screen.contains("~."), "the escape is shown: {screen:?}");
    }
}

fn another_escape(lab: &Lab) {
    let zone = lab.booted_tiny(NUMBERS);
    for (option, typed) in [("%", "%"), ("\\001", "\u{1}"), ("\\1", "\u{1}"), ("\\176", "~"), ("\\\\", "\\")]
    {
        let mut terminal = zone.console(&["-e", option]);
        if typed != "~" {
            terminal.types("\r~.");
            assert_eq!(heard(&mut terminal), "\r~.", "-e {option}");
        }
        terminal.types(&format!("\r{typed}."));
        let (status, screen) = terminal.ends();
        assert_eq!(status.code(), Some(0), "-e {option}: {screen}");
    }
    for wrong in ["", "ab", "\\400", "\\8", "\\1234"] {
        let ran = zone.console_command(&["-e", wrong]).run();
        ran.exits(2).stderr_has("Invalid escape character specifier");
    }
}

fn no_escape(lab: &Lab) {
    let zone = lab.booted_tiny(NUMBERS);
    let mut terminal = zone.console(&["-E"]);
    terminal.types("\r~.");
    assert_eq!(heard(&mut terminal), "\r~.");
    terminal.signal(Signal::TERM);
    let _ = terminal.ends();
}

fn no_words_with_q(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut terminal = Terminal::start(zone.console_command(&["-Q", "--no-replay"]), 24, 80);
    until("it has the terminal", || terminal.is_raw().then_some(()));
    terminal.types("one");
    terminal.shows("one");
    terminal.types("\r~.");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(0));
    assert!(!screen.contains('['), "{screen:?}");
}

fn the_terminal_is_restored_when_a_signal_ends_it(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1), (Signal::INT, 2), (Signal::QUIT, 3)] {
        let before = Terminal::start(zone.console_command(&["--help"]), 24, 80).settings();
        let terminal = zone.console(&[]);
        until("it has the terminal", || terminal.is_raw().then_some(()));
        terminal.signal(signal);
        until("the terminal is as it was", || (terminal.settings() == before).then_some(()));
        let (status, screen) = terminal.ends();
        assert_eq!(status.code(), Some(128 + number), "{screen}");
        assert!(screen.contains("[Connection to zone 'web' console closed]"), "{screen:?}");
    }
}

fn the_terminal_is_restored_when_it_is_killed(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    for signal in [Signal::KILL, Signal::ABORT, Signal::ILL] {
        // Started from a shell, as by a person: the end of a session's leader hangs its terminal up,
        // and there is nothing to restore then.
        let script = "\"$0\" -C web; echo the shell goes on; read line";
        let shell = Command::new("sh").args(["-c", script]).args([lab.program("zlogin")]);
        let mut terminal = Terminal::start(shell.env("ZONES_ROOT", lab.root()), 24, 80);
        let before = Terminal::start(zone.console_command(&["--help"]), 24, 80).settings();
        terminal.shows("[Connected to zone 'web' console]");
        until("it has the terminal", || terminal.is_raw().then_some(()));
        let consoles = zone.status().consoles.unwrap_or_default();
        let pid = consoles.first().and_then(|attached| Pid::from_raw(attached.pid));
        let sent = pid.map(|pid| kill_process(pid, signal));
        assert!(matches!(sent, Some(Ok(()))), "{consoles:?}: {sent:?}");
        terminal.shows("the shell goes on");
        until("the terminal is as it was", || (terminal.settings() == before).then_some(()));
        terminal.types("\r");
        let _ = terminal.ends();
    }
}

fn it_can_be_stopped_and_continued(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut terminal = zone.console(&[]);
    until("it has the terminal", || terminal.is_raw().then_some(()));
    terminal.signal(Signal::TSTP);
    until("a stopped one leaves the terminal as it was", || (!terminal.is_raw()).then_some(()));
    terminal.signal(Signal::CONT);
    until("it has the terminal again", || terminal.is_raw().then_some(()));
    terminal.types("still here");
    terminal.shows("still here");
    leaves(terminal);
}

fn the_window_size_is_sent(lab: &Lab) {
    // Says its size whenever it is told that it has changed.
    let init = "trap 'echo size $(busybox stty size).' WINCH; busybox stty -echo; echo size $(busybox stty size).; \
                while :; do read line; echo heard $line $(busybox stty size).; done";
    let zone = lab.tiny("web", init);
    let mut terminal = Terminal::start(zone.console_command(&[]), 30, 100);
    terminal.shows("[Connected to zone");
    zone.boot();
    terminal.shows("size 30 100.");
    terminal.types("one\r");
    terminal.shows("heard one 30 100.");
    terminal.resize(41, 132);
    until("the new size is inside", || {
        terminal.types("two\r");
        terminal.shows("heard two ");
        terminal.shows(".").contains("41 132").then_some(())
    });
    leaves(terminal);
    // Attaching to what runs already.
    let mut other = Terminal::start(zone.console_command(&[]), 50, 90);
    other.shows("[Connected to zone");
    other.types("three\r");
    other.shows("heard three 50 90.");
    // A watcher's window is its own affair.
    let watcher = Terminal::start(zone.console_command(&["--watch"]), 7, 7);
    until("two are there", || (zone.status().consoles.unwrap_or_default().len() == 2).then_some(()));
    watcher.resize(8, 8);
    other.types("four\r");
    other.shows("heard four 50 90.");
    // It stays over a reboot.
    zone.zoneadm(["reboot"]).ok();
    other.shows("rebooting]");
    other.shows("size 50 90.");
}

fn without_a_terminal_it_is_a_pipe(lab: &Lab) {
    let zone = lab.booted_tiny("busybox stty raw -echo; read line; echo heard $line; exec sleep 2147483647");
    let login = zone.console_command(&["-Q"]).stdin("~.\n").start();
    until("the guest has answered", || {
        let kept = zone.zoneadm(["list", "-v", "--json"]);
        kept.ok();
        (zone.status().consoles.unwrap_or_default().len() == 1).then_some(())
    });
    let mut watcher = zone.console(&["--watch"]);
    watcher.shows("heard ~.");
    zone.halt();
    watcher.shows("[NOTICE: Zone halted]");
    zone.zoneadm(["uninstall", "-F"]).ok();
    let ran = login.wait();
    ran.ok().stdout_has("heard ~.").stdout_has("[NOTICE: Zone is being uninstalled.  Disconnecting...]");
}

const RECONNECTED: &str = "\r\n[NOTICE: Zone daemon restarted, console reconnected]\r\n";

fn it_comes_back_when_the_daemon_was_killed(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut terminal = zone.console(&[]);
    for n in 0..5 {
        terminal.types("here");
        terminal.shows("here");
        let before = zone.kill_daemon();
        terminal.shows(RECONNECTED);
        assert_ne!(zone.daemon(), Some(before), "round {n}");
        let consoles = zone.status().consoles.unwrap_or_default();
        assert_eq!(consoles.len(), 1, "{consoles:?}");
    }
    terminal.types("there");
    terminal.shows("there");
    let shown = terminal.shown();
    assert_eq!(shown.matches("console reconnected").count(), 5, "each is said once: {shown:?}");
    assert!(terminal.is_raw(), "the terminal was never given back");
    leaves(terminal);
}

fn no_byte_is_lost_over_killed_daemons(lab: &Lab) {
    // Three times 30 000 bytes, each when it is told to, while nobody shows them: that fits the ring.
    let init = "busybox stty raw -echo; i=100000; for round in 1 2 3; do n=$((i+5000)); \
                while [ $i -lt $n ]; do echo $i; i=$((i+1)); done; echo > /round$round; \
                while [ ! -e /go$round ]; do busybox usleep 10000; done; done; echo end; exec sleep 2147483647";
    let zone = lab.tiny("web", init);
    let mut terminal = zone.console(&[]);
    // It is stopped, and so takes nothing; what it is sent waits in its socket.
    terminal.signal(Signal::STOP);
    zone.boot();
    assert_eq!(zone.written("/round1"), "\n");
    zone.kill_daemon();
    // Now nobody is there but the keeper.
    crate::harness::write(&zone.file("/go1"), "");
    assert_eq!(zone.written("/round2"), "\n");
    terminal.signal(Signal::CONT);
    terminal.shows(RECONNECTED);
    zone.kill_daemon();
    crate::harness::write(&zone.file("/go2"), "");
    assert_eq!(zone.written("/round3"), "\n");
    crate::harness::write(&zone.file("/go3"), "");
    terminal.shows("end\n");
    // A notice stands where the console was when somebody came back to it, in the midst of a line as well.
    let shown = terminal.shown().replace(RECONNECTED, "");
    let lines: Vec<u32> = shown.lines().filter_map(|line| line.parse().ok()).collect();
    let expected: Vec<u32> = (100_000..115_000).collect();
    let differs =
        lines.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(lines.len().min(expected.len()));
    assert!(lines == expected, "{} of 15 000 lines came, they differ from number {differs} on", lines.len());
    assert!(!shown.contains("lost"), "{shown}");
}

fn what_is_typed_after_the_daemon_died_arrives(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut terminal = zone.console(&[]);
    terminal.types("one");
    terminal.shows("one");
    zone.kill_daemon();
    terminal.shows(RECONNECTED);
    terminal.types("two");
    terminal.shows("two");
    leaves(terminal);
}

fn what_is_typed_while_there_is_no_daemon_arrives(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut terminal = zone.console(&[]);
    terminal.types("begin");
    terminal.shows("begin");
    for n in 0..25 {
        zone.kill_daemon();
        // zlogin may know of it already, or come to know by this, or have begun to start another.
        for piece in ["<", &n.to_string(), ">"] {
            terminal.types(piece);
        }
        terminal.shows(RECONNECTED);
        terminal.types(".");
        let shown = terminal.shows(".");
        assert!(shown.contains(&format!("<{n}>.")), "round {n}: {shown:?}");
    }
    leaves(terminal);
}

fn it_comes_back_in_the_midst_of_a_boot(lab: &Lab) {
    let zone = lab.tiny("web", IDLE);
    let mut terminal = zone.console(&[]);
    zone.kill_daemon();
    terminal.shows("console reconnected]");
    zone.boot();
    terminal.shows("[NOTICE: Zone booting up]");
    zone.kill_daemon();
    terminal.shows("console reconnected]");
    zone.zoneadm(["reboot"]).ok();
    terminal.shows("[NOTICE: Zone rebooting]");
    zone.halt();
    terminal.shows("[NOTICE: Zone halted]");
    zone.kill_daemon();
    terminal.shows("console reconnected]");
    leaves(terminal);
}
