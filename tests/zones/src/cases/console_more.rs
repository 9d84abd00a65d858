//! What the console can do beyond Solaris: replay, watchers, taking over, recordings, the list, the log.

use crate::harness::init::{ECHO, IDLE};
use crate::harness::{Command, Lab, Terminal, Wire, Zone, cases, read, skip, until, write};
use std::collections::BTreeSet;

cases![
    recent_output_is_replayed,
    as_much_as_is_asked_for_is_replayed,
    the_first_and_the_newest_part_are_kept,
    each_boot_has_a_first_part_of_its_own,
    replayed_output_asks_the_terminal_nothing,
    any_number_may_watch,
    a_watcher_can_say_nothing,
    one_may_take_over_from_another,
    who_is_attached_is_listed,
    a_recording_is_an_asciicast,
    asciinema_plays_a_recording,
    a_recording_that_cannot_be_written_is_said,
    the_log_is_printed,
    the_log_is_followed,
    the_log_is_bounded: 120,
];

/// Numbered lines, and a file when all are said.
fn counting(lines: u32) -> String {
    format!(
        "busybox stty raw -echo; busybox awk 'BEGIN {{ while (i++ < {lines}) printf \"%09d\\n\", i }}'; \
         echo > /said; {IDLE}"
    )
}

fn lines(text: &str) -> Vec<u32> {
    text.lines().filter(|line| line.len() == 9).filter_map(|line| line.parse().ok()).collect()
}

/// All that a client on a terminal shows of what is there when it attaches.
#[track_caller]
fn replayed(zone: &Zone<'_>, options: &[&str]) -> String {
    let mut terminal = zone.console(options);
    // What comes last is the notice of something that is done afterwards.
    zone.zoneadm(["reboot"]).ok();
    terminal.shows("[NOTICE: Zone rebooting]");
    // What the next boot says may have come with it.
    terminal.shown().split("[NOTICE: Zone rebooting]").next().unwrap_or_default().to_owned()
}

fn recent_output_is_replayed(lab: &Lab) {
    let zone = lab.booted_tiny(&counting(500));
    assert_eq!(zone.written("/said"), "\n");
    let shown = replayed(&zone, &[]);
    assert_eq!(lines(&shown), (1..=500).collect::<Vec<_>>(), "{shown}");
}

fn as_much_as_is_asked_for_is_replayed(lab: &Lab) {
    for (options, least) in
        [(&["--no-replay"][..], None), (&["--replay", "25"], Some(499)), (&["--replay=0"], None)]
    {
        let zone = lab.zone("web");
        if zone.path().exists() {
            let _ = std::fs::remove_file(zone.file("/said"));
            zone.halt();
            zone.boot();
        } else {
            lab.booted_tiny(&counting(500));
        }
        assert_eq!(zone.written("/said"), "\n");
        let shown = replayed(&zone, options);
        let seen = lines(&shown);
        assert_eq!(seen, least.map_or(Vec::new(), |least| (least..=500).collect()), "{options:?}: {shown:?}");
    }
}

fn the_first_and_the_newest_part_are_kept(lab: &Lab) {
    // A megabyte.
    let zone = lab.booted_tiny(&counting(100_000));
    assert_eq!(zone.written("/said"), "\n");
    let shown = replayed(&zone, &["--replay", "all"]);
    let seen: BTreeSet<_> = lines(&shown).into_iter().collect();
    assert!(seen.contains(&1) && seen.contains(&2000), "the first part of the boot: {}", &shown[..300]);
    assert!(seen.contains(&100_000) && seen.contains(&93_000), "the newest part: {}", seen.len());
    assert!(!seen.contains(&50_000), "not all of it: it is bounded");
    assert!(shown.contains(" bytes of output lost]"), "and what is not there is said");
}

fn each_boot_has_a_first_part_of_its_own(lab: &Lab) {
    let init = format!("read boot < /boot; echo the start of boot $boot; {}", counting(50_000));
    let zone = lab.tiny("web", &init);
    for boot in ["one", "two"] {
        write(&zone.file("/boot"), format!("{boot}\n"));
        let _ = std::fs::remove_file(zone.file("/said"));
        zone.boot();
        assert_eq!(zone.written("/said"), "\n");
        if boot == "one" {
            // With somebody attached the daemon and its console stay.
            let terminal = zone.console(&[]);
            zone.halt();
            write(&zone.file("/boot"), "two\n");
            let _ = std::fs::remove_file(zone.file("/said"));
            zone.boot();
            assert_eq!(zone.written("/said"), "\n");
            drop(terminal);
            break;
        }
    }
    let mut wire = Wire::connect(&zone);
    wire.says("IDENT 1 C;watch;replay=all 0\n");
    wire.hears("000050000\n");
    let said = wire.said();
    assert!(said.contains("the start of boot two"), "{}", &said[..300]);
    assert!(!said.contains("the start of boot one"));
}

fn replayed_output_asks_the_terminal_nothing(lab: &Lab) {
    // Where is the cursor? What are you? Set the title; then plain text in bold.
    let init =
        format!("printf 'x\\033[6ny\\033[cz\\033]0;title\\007\\033[1mbold\\033[m.\\n'; echo > /said; {IDLE}");
    let zone = lab.booted_tiny(&init);
    assert_eq!(zone.written("/said"), "\n");
    let shown = replayed(&zone, &[]);
    assert!(!shown.contains("\u{1b}[6n") && !shown.contains("\u{1b}[c"), "{shown:?}");
    assert!(shown.contains("xyz") && shown.contains("bold"), "{shown:?}");
}

fn any_number_may_watch(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut watchers: Vec<_> = (0..8).map(|_| zone.console(&["--watch", "--no-replay"])).collect();
    let mut holder = zone.console(&[]);
    holder.types("for all to see");
    holder.shows("for all to see");
    for watcher in &mut watchers {
        watcher.shows("for all to see");
    }
    zone.halt();
    for mut watcher in watchers {
        watcher.shows("[NOTICE: Zone halted]");
        watcher.types("~.");
        assert_eq!(watcher.ends().0.code(), Some(0));
    }
    // A crowd beyond the bound is turned away, and nobody else is the worse for it.
    let mut crowd: Vec<_> = (0..64).map(|_| Wire::connect(&zone)).collect();
    crowd.iter_mut().for_each(|wire| {
        wire.says_what_fits(b"IDENT 1 C;watch 0\n");
    });
    zone.boot();
    holder.shows("[NOTICE: Zone booting up]");
}

fn a_watcher_can_say_nothing(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut ours = zone.console(&["--watch"]);
    ours.types("not from zlogin");
    let mut raw = Wire::connect(&zone);
    raw.says("IDENT 1 C;watch 0\nnot with the line");
    raw.hears("OK\n");
    raw.says("not afterwards");
    let mut holder = Wire::attached(&zone, false);
    holder.says("from the holder");
    assert_eq!(holder.hears_bytes(15), b"from the holder");
    raw.hears("from the holder");
    ours.shows("from the holder");
    for text in [raw.said(), ours.shown()] {
        assert!(!text.contains("not "), "{text}");
    }
}

fn one_may_take_over_from_another(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut first = zone.console(&[]);
    let mut second = zone.console(&["--steal"]);
    first.shows(&format!(
        "\r\n[NOTICE: Console taken over by process ID {}.  Disconnecting...]\r\n",
        second.pid()
    ));
    second.shows(&format!("\r\n[NOTICE: Console taken over from process ID {}]\r\n", first.pid()));
    assert_eq!(first.ends().0.code(), Some(0));
    second.types("mine");
    second.shows("mine");
    // It goes on when the daemon dies, and takes nothing away from anybody then.
    zone.kill_daemon();
    second.shows("console reconnected]");
    second.types("still mine");
    second.shows("still mine");
    // From one that holds by nothing but the old protocol.
    second.types("\r~.");
    assert_eq!(second.ends().0.code(), Some(0));
    let plain = Wire::attached(&zone, false);
    let third = zone.console(&["--steal"]);
    let said = plain.closes();
    assert!(
        said.contains(&format!("taken over by process ID {}.  Disconnecting...]", third.pid())),
        "{said:?}"
    );
    // With nobody there it is an ordinary attachment.
    drop(third);
    zone.console_command(&["--watch", "--steal"]).run().exits(2);
}

fn who_is_attached_is_listed(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    assert_eq!(zone.status().consoles, Some(Vec::new()));
    let holder = zone.console(&[]);
    let watcher = zone.console(&["--watch"]);
    let consoles = zone.status().consoles.unwrap_or_default();
    let seen: Vec<_> = consoles.iter().map(|one| (one.pid.unsigned_abs(), one.uid, one.read_only)).collect();
    assert_eq!(seen, [(holder.pid(), 0, false), (watcher.pid(), 0, true)]);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let recent = |since: u64| since <= now && since + 3600 > now;
    assert!(consoles.iter().all(|one| recent(one.since)), "{consoles:?}, now is {now}");
    for one in [holder, watcher] {
        drop(one.ends_by("~."));
    }
    until("nobody is listed", || (zone.status().consoles == Some(Vec::new())).then_some(()));
}

/// Records a session in which the guest says `said`.
#[track_caller]
fn recorded(lab: &Lab) -> std::path::PathBuf {
    let zone = lab.booted_tiny(ECHO);
    let file = lab.path("session.cast");
    let mut terminal = zone.console(&["--no-replay", "--record", &file.display().to_string()]);
    terminal.types("caf\u{e9} \u{1b}[1mbold\u{1b}[m \"\\");
    terminal.shows("\"\\");
    terminal.resize(40, 120);
    zone.zoneadm(["reboot"]).ok();
    terminal.shows("[NOTICE: Zone rebooting]\r\n");
    until("the recording has it", || read(&file).contains("rebooting").then_some(()));
    let (status, _) = terminal.ends_by("\r~.");
    assert_eq!(status.code(), Some(0));
    file
}

fn a_recording_is_an_asciicast(lab: &Lab) {
    let text = read(&recorded(lab));
    let json: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let header = &json[0];
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&2.into(), &80.into(), &24.into())
    );
    let said: String =
        json[1..].iter().filter(|event| event[1] == "o").filter_map(|event| event[2].as_str()).collect();
    assert!(said.starts_with("caf\u{e9} \u{1b}[1mbold\u{1b}[m \"\\"), "{said:?}");
    assert!(said.contains("[NOTICE: Zone rebooting]"), "{said:?}");
    assert!(json[1..].iter().any(|event| event[1] == "r" && event[2] == "120x40"), "{text}");
    assert!(!json[1..].iter().any(|event| event[1] == "i"), "what is typed may be a password");
    let times: Vec<f64> = json[1..].iter().filter_map(|event| event[0].as_f64()).collect();
    assert!(times.is_sorted() && times.len() + 1 == json.len());
}

fn asciinema_plays_a_recording(lab: &Lab) {
    let places = ["/usr/bin/asciinema", "/usr/local/bin/asciinema"];
    let Some(asciinema) = places.iter().find(|path| std::path::Path::new(path).exists()) else {
        skip("there is no asciinema (Debian package asciinema)")
    };
    let file = recorded(lab);
    // It wants a terminal, and time: what lay between two words is played, at this speed and this pause at most.
    for words in [&["cat"][..], &["play", "--speed", "100", "--idle-time-limit", "0.1"]] {
        let command = Command::new(asciinema).args(words).args([&file]);
        let command = command.env("LC_ALL", "C.UTF-8").env("HOME", lab.path(""));
        let mut terminal = Terminal::start(command, 24, 80);
        terminal.shows("caf\u{e9} \u{1b}[1mbold");
        terminal.shows("[NOTICE: Zone rebooting]");
        let (status, shown) = terminal.ends();
        assert_eq!(status.code(), Some(0), "{words:?}: {shown}");
    }
}

fn a_recording_that_cannot_be_written_is_said(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let ran = zone.console_command(&["--record", "/no/such/folder/x.cast"]).run();
    ran.refuses().stderr_has("/no/such/folder/x.cast");
    zone.console_command(&["--record", "/dev/full"]).run().refuses().stderr_has("/dev/full");
    // A disk that gets full ends the recording, not the session, which is no success all the same.
    let disk = lab.path("disk");
    crate::harness::make_dir(&disk, 0o700);
    Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).args([&disk]).run().ok();
    let file = disk.join("x.cast");
    let mut terminal = zone.console(&["--no-replay", "--record", &file.display().to_string()]);
    for _ in 0..20 {
        terminal.types(&"x".repeat(1000));
    }
    terminal.shows("the recording ends here, since it could not be written");
    terminal.types("still here");
    terminal.shows("still here");
    assert_eq!(terminal.ends_by("\r~.").0.code(), Some(1));
    Command::new("umount").args([&disk]).run().ok();
}

fn the_log_is_printed(lab: &Lab) {
    let init = format!("busybox stty raw -echo; printf 'bell\\007 \\033[2Jcleared\\n'; {IDLE}");
    let zone = lab.booted_tiny(&init);
    let log = |args: &[&str]| lab.command("zoneadm", args);
    // To a pipe as it was.
    until("the log has it", || {
        let out = zone.zoneadm(["console", "--log"]).out();
        (out.contains("bell\u{7} \u{1b}[2Jcleared\n") && out.contains("NOTICE: Zone booting up]"))
            .then_some(())
    });
    log(&["console", "web", "--log"]).run().ok().stdout_has("bell\u{7} \u{1b}[2Jcleared\n");
    // To a terminal as text.
    let mut terminal = Terminal::start(log(&["-z", "web", "console", "--log"]), 24, 80);
    terminal.shows("cleared");
    let (status, shown) = terminal.ends();
    assert_eq!(status.code(), Some(0), "{shown}");
    assert!(!shown.contains(['\u{7}', '\u{1b}']), "{shown:?}");
    // And it is there when nothing runs.
    zone.halt();
    zone.daemon_leaves();
    zone.zoneadm(["console", "--log"]).ok().stdout_has("NOTICE: Zone halted]");
    log(&["console", "nobody", "--log"]).run().refuses().stderr_has("nobody");
    log(&["console", "--log"]).run().exits(2);
}

fn the_log_is_followed(lab: &Lab) {
    let zone = lab.booted_tiny(ECHO);
    let mut follower = Terminal::start(zone.zoneadm_command(["console", "--log", "--follow"]), 24, 80);
    follower.shows("NOTICE: Zone booting up]");
    let mut wire = Wire::attached(&zone, false);
    wire.says("what is new\n");
    follower.shows("what is new");
    zone.zoneadm(["reboot"]).ok();
    follower.shows("NOTICE: Zone rebooting]");
    follower.types("\u{3}");
    let _ = follower.ends();
}

fn the_log_is_bounded(lab: &Lab) {
    // 20 MB at once; the log takes a megabyte and then little, and says what is not in it.
    let zone = lab.booted_tiny(&counting(2_000_000));
    assert_eq!(zone.written("/said"), "\n");
    let dir = lab.root().join("var/log/zones");
    let names = || std::fs::read_dir(&dir).into_iter().flatten().flatten();
    until("the log tells what it has skipped", || {
        let texts = names().filter_map(|entry| std::fs::read(entry.path()).ok());
        texts.into_iter().any(|text| String::from_utf8_lossy(&text).contains(" bytes ")).then_some(())
    });
    zone.halt();
    zone.daemon_leaves();
    let sizes: Vec<u64> = names().filter_map(|entry| Some(entry.metadata().ok()?.len())).collect();
    assert!(sizes.len() <= 6 && sizes.iter().all(|&size| size <= 1 << 20), "{sizes:?}");
}
