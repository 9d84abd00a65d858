//! A daemon that is killed again and again while the guest speaks: what the guest has said is shown, or it is said
//! how much of it is not.

use crate::harness::{Lab, Zone, cases, until, write};
use std::collections::BTreeSet;
use std::path::Path;

cases![
    every_byte_of_a_flood_is_shown_or_counted: 180,
    nothing_is_missing_where_all_of_it_fits: 180,
];

/// Bytes of a line; each tells where it stands.
const LINE: u64 = 15;
const END: &str = "the end\n";

/// Starts `zlogin -C` with its output in `file`.
fn recorded(lab: &Lab, zone: &Zone<'_>, file: &Path) -> crate::harness::Running {
    let script = format!("exec \"$0\" -C -Q {} > {}", zone.name(), file.display());
    let shell = crate::harness::Command::new("sh").args(["-c", &script]).args([lab.program("zlogin")]);
    shell.env("ZONES_ROOT", lab.root()).within(170).start()
}

/// Kills the daemon as soon as there is one that was not killed yet.
#[track_caller]
fn kill_next(zone: &Zone<'_>, killed: &mut BTreeSet<i32>) {
    until("there is another daemon", || zone.daemon().filter(|pid| !killed.contains(pid)));
    killed.insert(zone.kill_daemon());
}

/// What a console has shown: how much, how much it said is lost, how often it was reconnected.
struct Shown {
    bytes: u64,
    lost: u64,
    restarts: u32,
}

/// Goes through all that was shown. Panics where it is not what the guest said there.
#[track_caller]
fn account(mut rest: &str) -> Shown {
    let mut shown = Shown { bytes: 0, lost: 0, restarts: 0 };
    while !rest.is_empty() {
        // The guest says no carriage return: such a line is a notice, or zlogin's own.
        let mut parts = rest.splitn(3, "\r\n");
        let (said, notice) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        rest = parts.next().unwrap_or_default();
        check(shown.bytes + shown.lost, said);
        shown.bytes += said.len() as u64;
        if let Some(count) = notice.strip_suffix(" bytes of output lost]") {
            let count = count.trim_start_matches("[NOTICE: ").parse::<u64>();
            shown.lost += count.unwrap_or_else(|e| panic!("{notice:?}: {e}"));
        } else if notice.contains("console reconnected") {
            shown.restarts += 1;
        }
    }
    shown
}

/// `said` is what the guest said at that place.
#[track_caller]
fn check(mut at: u64, said: &str) {
    for piece in said.split_inclusive('\n') {
        let line = format!("{:014}\n", at / LINE + 1);
        let rest = &line[usize::try_from(at % LINE).unwrap_or(0)..];
        assert!(
            rest.starts_with(piece) || END.contains(piece),
            "{piece:?} at {at}, which is not {rest:?}, in {:?}",
            &said[said.len().saturating_sub(300)..]
        );
        at += piece.len() as u64;
    }
}

fn shown(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

fn ends_with(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    bytes[bytes.len().saturating_sub(1000)..].windows(text.len()).any(|window| window == text.as_bytes())
}

fn every_byte_of_a_flood_is_shown_or_counted(lab: &Lab) {
    let init = "busybox stty raw -echo; busybox awk 'BEGIN { while (!stop) { printf \"%014d\\n\", ++i; \
                if (i % 10000 == 0) { stop = (getline line < \"/stop\") > 0; close(\"/stop\") } } \
                print i > \"/lines\"; close(\"/lines\"); print \"the end\" }'; exec sleep 2147483647";
    let zone = lab.tiny("web", init);
    let file = lab.path("shown");
    let mut login = recorded(lab, &zone, &file);
    let mut killed = BTreeSet::new();
    until("somebody is attached", || {
        zone.daemon().and_then(|_| zone.status().consoles).is_some_and(|all| all.len() == 1).then_some(())
    });
    zone.boot();
    for _ in 0..25 {
        let before = size(&file);
        until("more of it is shown", || (size(&file) > before + 10_000).then_some(()));
        kill_next(&zone, &mut killed);
    }
    write(&zone.file("/stop"), "stop\n");
    let lines: u64 = zone.written("/lines").trim().parse().unwrap_or(0);
    until("the end is shown", || ends_with(&file, END).then_some(()));
    let shown = account(&shown(&file));
    assert_eq!(shown.bytes + shown.lost, lines * LINE + END.len() as u64, "{} of them lost", shown.lost);
    // Some are killed before anybody has come back to them.
    assert!(shown.restarts > 0);
    login.kill();
    let _ = login.wait();
}

fn nothing_is_missing_where_all_of_it_fits(lab: &Lab) {
    const BURST: u64 = 4000;
    const BURSTS: u64 = 30;
    // A burst is less than what is kept at least, and the next begins when this one has been shown.
    let init = format!(
        "busybox stty raw -echo; busybox awk 'BEGIN {{ for (b = 1; b <= {BURSTS}; b++) {{ \
         while ((getline line < \"/go\") <= 0 || line < b) {{ close(\"/go\"); system(\"busybox usleep 1000\") }} \
         close(\"/go\"); for (n = 0; n < {BURST}; n++) printf \"%014d\\n\", ++i; fflush() }} print \"the end\" }}'; \
         exec sleep 2147483647"
    );
    let zone = lab.tiny("web", &init);
    write(&zone.file("/go"), "0\n");
    let file = lab.path("shown");
    let mut login = recorded(lab, &zone, &file);
    let mut killed = BTreeSet::new();
    until("somebody is attached", || {
        zone.daemon().and_then(|_| zone.status().consoles).is_some_and(|all| all.len() == 1).then_some(())
    });
    zone.boot();
    for burst in 1..=BURSTS {
        let last = format!("{:014}\n", burst * BURST);
        until("there is another daemon", || zone.daemon().filter(|pid| !killed.contains(pid)));
        write(&zone.file("/new"), format!("{burst}\n"));
        let renamed = std::fs::rename(zone.file("/new"), zone.file("/go"));
        renamed.unwrap_or_else(|e| panic!("/go: {e}"));
        kill_next(&zone, &mut killed);
        until("the burst is shown, or zlogin has ended", || {
            (ends_with(&file, &last) || login.ended()).then_some(())
        });
        if login.ended() {
            panic!("zlogin must not end\n{}", login.wait());
        }
    }
    until("the end is shown", || ends_with(&file, END).then_some(()));
    let shown = account(&shown(&file));
    assert_eq!((shown.bytes, shown.lost), (BURSTS * BURST * LINE + END.len() as u64, 0));
    assert!(shown.restarts > 0);
    login.kill();
    let _ = login.wait();
}
