//! Interactive `zlogin ZONE`, on a real terminal.

use crate::harness::{Lab, Terminal, Zone, cases, until};

cases![
    a_shell_on_a_terminal_of_the_zone,
    its_exit_status_is_ours,
    the_window_size_follows,
    tilde_dot_leaves,
    tilde_dot_in_a_line_does_not,
    another_escape_and_none,
    interrupt_goes_to_the_command_inside,
    the_terminal_is_restored,
    when_the_zone_halts_the_login_ends,
    a_command_on_a_terminal_has_one,
    what_there_is_to_escape_is_told,
    closed_and_opened_again_it_is_the_same,
];

fn login<'lab>(lab: &'lab Lab) -> (Zone<'lab>, Terminal) {
    let zone = lab.sparse("web");
    zone.boot();
    zone.sh("printf 'PS1=\"ready> \"\\n' > /root/.profile; printf 'PS1=\"ready> \"\\n' > /root/.bashrc").ok();
    let terminal = zone.terminal(30, 100);
    (zone, terminal)
}

fn a_shell_on_a_terminal_of_the_zone(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("[Connected to zone 'web' pts/");
    terminal.shows("ready> ");
    assert!(terminal.is_raw(), "the terminal is raw while the login lasts");
    terminal.types("tty; test -t 0 && echo term''inal; uname -n\r");
    terminal.shows("/dev/pts/");
    terminal.shows("terminal");
    terminal.shows("web");
    terminal.types("ps -o tty= -p $$ >/dev/null 2>&1; exec 3</dev/tty && echo con''trolling\r");
    terminal.shows("controlling");
    terminal.types("exit\r");
    let (status, screen) = terminal.ends();
    assert!(status.success(), "{screen}");
    assert!(screen.contains("[Connection to zone 'web' pts/") && screen.contains(" closed]"), "{screen}");
}

fn its_exit_status_is_ours(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("exit 7\r");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(7), "{screen}");
}

fn the_window_size_follows(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("stty size\r");
    terminal.shows("30 100");
    terminal.types("trap 'echo re''sized $(stty size)' WINCH; echo tra''pped\r");
    terminal.shows("trapped");
    terminal.resize(41, 132);
    // The shell runs its trap when the next command has ended.
    until("the new size is inside", || {
        terminal.types("stty size | tr ' ' x\r");
        terminal.shows("x");
        terminal.shows("\r\n").contains("132").then_some(())
    });
    terminal.types("exit\r");
    let _ = terminal.ends();
}

fn tilde_dot_leaves(lab: &Lab) {
    let (zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("sleep 4242\r");
    until("the command runs", || {
        zone.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").out().contains("4242").then_some(())
    });
    terminal.types("~.");
    let (status, screen) = terminal.ends();
    assert!(status.success(), "{screen}");
    assert!(screen.contains("~."), "what left is shown: {screen}");
    until("the shell inside is hung up", || {
        (!zone.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").out().contains("4242")).then_some(())
    });
}

fn tilde_dot_in_a_line_does_not(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("echo a~.b\r");
    terminal.shows("\na~.b");
    // The reference swallows the tilde of "~x"; it must arrive.
    terminal.types("~x() { echo lost no''thing; }; ~x\r");
    terminal.shows("lost nothing");
    terminal.types("exit\r");
    let _ = terminal.ends();
}

fn another_escape_and_none(lab: &Lab) {
    let (_zone, first) = login(lab);
    drop(first);
    let with = |option: &[&str]| {
        let mut words = option.to_vec();
        words.push("web");
        Terminal::start(lab.command("zlogin", words), 24, 80)
    };
    let mut terminal = with(&["-e", "%"]);
    terminal.shows("ready> ");
    terminal.types("~.\r");
    terminal.shows("ready> ");
    terminal.types("%.");
    let (status, _) = terminal.ends();
    assert!(status.success());
    let mut terminal = with(&["-E"]);
    terminal.shows("ready> ");
    terminal.types("~.\r");
    terminal.shows("ready> ");
    terminal.types("exit 3\r");
    let (status, _) = terminal.ends();
    assert_eq!(status.code(), Some(3));
}

fn interrupt_goes_to_the_command_inside(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("sleep 4243 || echo inter''rupted $?\r");
    until("the command runs", || {
        _zone.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").out().contains("4243").then_some(())
    });
    terminal.types("\u{3}");
    terminal.shows("ready> ");
    terminal.types("echo still he''re; exit\r");
    terminal.shows("still here");
    let (status, _) = terminal.ends();
    assert!(status.success());
}

fn the_terminal_is_restored(lab: &Lab) {
    let (zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    assert!(terminal.is_raw());
    // Killed with SIGTERM, as a session manager would; setsid(1) has become zlogin by now.
    if let Some(pid) = i32::try_from(terminal.pid()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    until("the terminal is as it was", || (!terminal.is_raw()).then_some(()));
    let _ = terminal.ends();
    zone.zlogin(["true"]).ok();
}

fn when_the_zone_halts_the_login_ends(lab: &Lab) {
    let (zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    zone.zoneadm(["halt"]).ok();
    let (status, screen) = terminal.ends();
    assert!(!status.success(), "{screen}");
    assert!(screen.contains(" closed]"), "{screen}");
}

fn a_command_on_a_terminal_has_one(lab: &Lab) {
    let (zone, terminal) = login(lab);
    drop(terminal);
    let ask = "test -t 0 && echo term''inal $(stty size) || echo no''ne; exit 7";
    let with = |options: &[&str]| {
        let command = lab.command("zlogin", options).args([zone.name(), ask]);
        let (status, screen) = Terminal::start(command, 24, 80).ends();
        assert_eq!(status.code(), Some(7), "{screen}");
        assert!(!screen.contains("Connect"), "a command has no words of ours: {screen}");
        screen
    };
    assert!(with(&[]).contains("terminal 24 80"));
    assert!(with(&["-T"]).contains("none"));
    assert!(with(&["-n"]).contains("none"));
    assert!(with(&["-T", "-i"]).contains("terminal 24 80"), "the last one counts");
    // Where ours is none there is none, but when asked for; the command goes on when the input has ended.
    zone.zlogin([ask]).exits(7).stdout_is("none\n");
    let forced = lab.command("zlogin", ["-t", zone.name(), "sleep 1; tty"]).run();
    forced.ok().stdout_has("/dev/pts/").quiet();
    lab.command("zlogin", ["-t", "-n", zone.name(), "tty"]).run().exits(2);
}

fn what_there_is_to_escape_is_told(lab: &Lab) {
    let (_zone, mut terminal) = login(lab);
    terminal.shows("ready> ");
    terminal.types("~?");
    terminal.shows("~.  ends this session");
    terminal.shows("~~  sends ~");
    terminal.types("echo st''ill\r");
    terminal.shows("still");
    terminal.types("~.");
    assert!(terminal.ends().0.success());
}

/// As login(1) does, if not for as long.
fn closed_and_opened_again_it_is_the_same(lab: &Lab) {
    let zone = lab.booted_sparse();
    let script = "tty=$(tty); exec < /dev/null > /dev/null 2>&1; sleep 1; exec < $tty > $tty 2>&1; \
                  echo ba''ck; read line; echo got $line";
    let mut terminal = Terminal::start(lab.command("zlogin", ["-t", zone.name(), script]), 24, 80);
    terminal.shows("back");
    terminal.types("words\r");
    terminal.shows("got words");
    let (status, screen) = terminal.ends();
    assert!(status.success(), "{screen}");
}
