//! The console's wire protocol, byte for byte.

use crate::harness::init::ECHO;
use crate::harness::{Command, Lab, Terminal, Wire, Zone, cases, until};
use rustix::process::Signal;

cases![
    socat_is_a_client,
    the_answer_and_then_the_guests_bytes,
    the_line_may_come_in_any_pieces,
    what_is_typed_with_the_line_is_for_the_guest,
    whoever_comes_second_is_told_who_is_first,
    a_claimed_pid_counts_for_nothing,
    what_is_no_identification_is_hung_up,
    the_silent_hinder_nobody_and_are_dropped,
    a_crowd_of_silent_ones_hinders_nobody,
    a_dead_holder_is_replaced_at_once,
    a_holder_that_dies_with_input_unread_is_replaced_at_once,
    a_stopped_client_is_told_what_it_has_lost,
];

fn echoing<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.tiny("web", ECHO);
    zone.boot();
    zone
}

/// Says something until the guest gives it back: then its terminal is as it will be.
#[track_caller]
fn settles(wire: &mut Wire) {
    wire.says("S");
    wire.hears("S");
}

fn socat(zone: &Zone<'_>) -> Terminal {
    let command = Command::new("socat").args(["-,raw,echo=0", "UNIX-CONNECT:console"]).dir(&zone.run_dir());
    Terminal::start(command, 24, 80)
}

fn socat_is_a_client(lab: &Lab) {
    needs_socat();
    let zone = echoing(lab);
    let mut terminal = socat(&zone);
    until("socat has the terminal", || terminal.is_raw().then_some(()));
    terminal.types("IDENT 1 C 0\n");
    terminal.shows("OK\n");
    terminal.types("over there?");
    terminal.shows("over there?");
    zone.halt();
    terminal.shows("\r\n[NOTICE: Zone halted]\r\n");
}

fn needs_socat() {
    if !std::path::Path::new("/usr/bin/socat").exists() {
        crate::harness::skip("there is no /usr/bin/socat (Debian package socat)");
    }
}

fn the_answer_and_then_the_guests_bytes(lab: &Lab) {
    let zone = echoing(lab);
    let mut wire = Wire::connect(&zone);
    wire.says("IDENT 4711 C 0\n");
    assert_eq!(wire.hears_bytes(3), b"OK\n");
    settles(&mut wire);
    // Every byte there is, both ways, many times over, in amounts that a pty does not take at once.
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n ^ (n >> 8)).to_le_bytes()[0]).collect();
    let pieces = bytes.chunks(1000);
    for piece in pieces {
        wire.says(piece);
        assert_eq!(wire.hears_bytes(piece.len()), piece);
    }
}

fn the_line_may_come_in_any_pieces(lab: &Lab) {
    let zone = echoing(lab);
    for line in
        ["IDENT 1 C 0\n", "IDENT 1 de_DE.UTF-8 0\n", "IDENT  12345   en_US.UTF-8  1\n", "IDENT 7 a b c 0\n"]
    {
        let mut wire = Wire::connect(&zone);
        line.bytes().for_each(|byte| wire.says([byte]));
        assert_eq!(wire.hears_bytes(3), b"OK\n", "{line:?}");
    }
}

fn what_is_typed_with_the_line_is_for_the_guest(lab: &Lab) {
    let zone = echoing(lab);
    settles(&mut Wire::attached(&zone, false));
    let mut wire = Wire::connect(&zone);
    wire.says("IDENT 1 C 0\nright away");
    assert_eq!(wire.hears_bytes(13), b"OK\nright away");
}

fn whoever_comes_second_is_told_who_is_first(lab: &Lab) {
    let zone = echoing(lab);
    let mut first = Wire::attached(&zone, false);
    let mut second = Wire::connect(&zone);
    second.says("IDENT 1 C 0\n");
    assert_eq!(second.closes(), format!("{}\n", std::process::id()));
    let ran = zone.console_command(&[]).run();
    ran.refuses().stderr_has(&format!(
        "Console is already in use by process ID {}. Use --watch to look on, or --steal to take it.",
        std::process::id()
    ));
    settles(&mut first);
    drop(first);
    let terminal = zone.console(&[]);
    let mut third = Wire::connect(&zone);
    third.says("IDENT 1 C 0\n");
    assert_eq!(third.closes(), format!("{}\n", terminal.pid()));
}

fn a_claimed_pid_counts_for_nothing(lab: &Lab) {
    needs_socat();
    let zone = echoing(lab);
    let mut holder = socat(&zone);
    until("socat has the terminal", || holder.is_raw().then_some(()));
    holder.types("IDENT 999999 C 0\n");
    holder.shows("OK\n");
    let mut other = Wire::connect(&zone);
    other.says("IDENT 1 C 0\n");
    assert_eq!(other.closes(), format!("{}\n", holder.pid()));
}

fn what_is_no_identification_is_hung_up(lab: &Lab) {
    let zone = echoing(lab);
    for line in [
        "\n".to_owned(),
        "IDENT\n".into(),
        "IDENT \n".into(),
        "ident 1 C 0\n".into(),
        "IDENT one C 0\n".into(),
        "GET / HTTP/1.1\r\n\r\n".into(),
        format!("IDENT 1 {} 0\n", "x".repeat(100_000)),
        format!("{}\n", "\0".repeat(5000)),
    ] {
        let mut wire = Wire::connect(&zone);
        // It may be hung up before all of a long line was sent.
        wire.says_what_fits(line.as_bytes());
        assert_eq!(wire.closes(), "", "{:?}", &line[..line.len().min(40)]);
    }
    settles(&mut Wire::attached(&zone, false));
}

fn the_silent_hinder_nobody_and_are_dropped(lab: &Lab) {
    let zone = echoing(lab);
    let silent = Wire::connect(&zone);
    let mut half = Wire::connect(&zone);
    half.says("IDENT 1 ");
    let mut endless = Wire::connect(&zone);
    endless.says_what_fits(&[b'x'; 300_000]);
    let mut wire = Wire::attached(&zone, false);
    settles(&mut wire);
    for (what, wire) in [("silent", silent), ("half", half), ("endless", endless)] {
        assert_eq!(wire.closes(), "", "{what}");
    }
    settles(&mut wire);
}

fn a_crowd_of_silent_ones_hinders_nobody(lab: &Lab) {
    let zone = echoing(lab);
    let mut wire = Wire::attached(&zone, false);
    let crowd: Vec<_> = (0..300).map(|_| Wire::connect(&zone)).collect();
    settles(&mut wire);
    drop(wire);
    settles(&mut Wire::attached(&zone, false));
    drop(crowd);
}

fn a_dead_holder_is_replaced_at_once(lab: &Lab) {
    let zone = echoing(lab);
    for _ in 0..20 {
        let holder = zone.console(&[]);
        holder.signal(Signal::KILL);
        until("it is dead", || {
            let pid = i32::try_from(holder.pid()).unwrap_or(0);
            let state = crate::harness::proc_status(pid, "State");
            state.is_none_or(|state| state.starts_with('Z')).then_some(())
        });
        // Not a moment later.
        let mut wire = Wire::connect(&zone);
        wire.says("IDENT 1 C 0\n");
        assert_eq!(wire.hears_bytes(3), b"OK\n");
        let _ = holder.ends();
    }
}

fn a_holder_that_dies_with_input_unread_is_replaced_at_once(lab: &Lab) {
    // Its guest reads nothing.
    let zone = lab.tiny("web", "busybox stty raw -echo; exec sleep 2147483647");
    zone.boot();
    for _ in 0..5 {
        let mut holder = Wire::attached(&zone, false);
        holder.says_what_fits(&[b'x'; 1_000_000]);
        drop(holder);
        let mut wire = Wire::connect(&zone);
        wire.says("IDENT 1 C 0\n");
        assert_eq!(wire.hears_bytes(3), b"OK\n");
    }
}

fn a_stopped_client_is_told_what_it_has_lost(lab: &Lab) {
    // 30 MB, each line telling where it stands; then it waits for a line.
    const LINES: u64 = 2_000_000;
    let init = format!(
        "busybox stty raw -echo; read go; busybox awk 'BEGIN {{ while (i++ < {LINES}) printf \"%014d\\n\", i }}'; echo > /done; read go; echo the end; \
         exec sleep 2147483647"
    );
    let zone = lab.tiny("web", &init);
    zone.boot();
    let mut wire = Wire::attached(&zone, false);
    wire.says("go\n");
    // It reads nothing, and the guest comes to its end.
    assert_eq!(zone.written("/done"), "\n");
    wire.says("go\n");
    let stream = wire.hears("the end\n");
    let (mut next, mut lost, mut told) = (0_u64, 0_u64, 0);
    let mut rest = stream.as_str();
    while let Some((before, after)) = rest.split_once("\r\n[NOTICE: ") {
        next += before.len() as u64;
        let (count, after) =
            after.split_once(" bytes of output lost]\r\n").unwrap_or_else(|| panic!("{after:?}"));
        let count: u64 = count.parse().unwrap_or_else(|e| panic!("{count:?}: {e}"));
        (next, lost, told, rest) = (next + count, lost + count, told + 1, after);
        // What comes next is what stands there.
        let at = usize::try_from((15 - next % 15) % 15).unwrap_or(0);
        if let Some(line) = rest.get(at..at + 15).filter(|line| !line.starts_with("the end")) {
            assert_eq!(line, format!("{:014}\n", next.div_ceil(15) + 1), "after {lost} bytes lost");
        }
    }
    next += rest.len() as u64;
    assert!(told > 0 && lost > 0, "30 MB do not fit any bounded buffer");
    assert_eq!(next, LINES * 15 + "the end\n".len() as u64, "told {told} times, {lost} bytes lost");
}
