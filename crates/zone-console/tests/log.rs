//! What reaches the log on disk.
#![allow(clippy::unwrap_used, reason = "a test")]
mod common;

use common::{FIRST, NEWEST, Rig, find, numbered, run};
use std::path::Path;
use zone_console::frame::End;
use zone_console::log::{ConsoleLog, LogLimits, LogReader, Style};
use zone_console::{Limits, Notice};

fn open(dir: &Path, limits: LogLimits) -> ConsoleLog {
    ConsoleLog::open(dir, "console.log", limits).unwrap()
}

fn rig(dir: &Path, limits: LogLimits) -> Rig {
    Rig::logged(Limits::default(), open(dir, limits))
}

/// Ends the server, which logs what is left, and reads the log.
async fn ended(rig: Rig, dir: &Path) -> (Vec<u8>, Rig) {
    let mut rig = rig;
    rig.handle.stop(End::Leaving);
    (&mut rig.task).await.unwrap();
    let mut said = Vec::new();
    LogReader::open(dir, "console.log", Style::Raw).unwrap().copy(&mut said, false).unwrap();
    (said, rig)
}

/// Takes the notices out of a log: the rest, and what the notices say without their time.
fn sort(log: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (mut said, mut notices, mut rest) = (Vec::new(), Vec::new(), log);
    while let Some(at) = find(rest, b"\r\n[2") {
        let end = at + find(&rest[at..], b"]\r\n").unwrap();
        said.extend_from_slice(&rest[..at]);
        let notice = str::from_utf8(&rest[at + 3..end]).unwrap();
        notices.push(notice.split_once("Z ").unwrap().1.to_owned());
        rest = &rest[end + 3..];
    }
    said.extend_from_slice(rest);
    (said, notices)
}

#[test]
fn output_and_notices_are_logged_in_their_order_and_once() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let rig = rig(dir.path(), LogLimits::default());
        rig.handle.notice(Notice::Booting { args: "-s".into() });
        let mut client = rig.holder("", 0).await;
        rig.say(b"one");
        client.expect(b"one").await;
        rig.handle.notice(Notice::Halted);
        client.until(b"halted]\r\n").await;
        rig.say(b"two");
        rig.drained(6).await;
        let (log, rig) = ended(rig, dir.path()).await;
        let text = String::from_utf8(log.clone()).unwrap();
        assert!(text.find("booting up with arguments: -s]\r\n") < text.find("one\r\n[2"));
        assert!(text.find("halted]\r\ntwo") < text.find("Zone daemon is ending"));
        assert_eq!(sort(&log).0, b"onetwo");

        // While nobody serves the console, its output is kept in the ring; the next server logs it.
        let mut ring = zone_console::ring::Ring::open(rig.ring.try_clone().unwrap()).unwrap();
        ring.append(b"three").unwrap();
        let rig = rig.restart_logged(open(dir.path(), LogLimits::default())).await;
        rig.say(b"four");
        rig.drained(15).await;
        let (log, _) = ended(rig, dir.path()).await;
        assert_eq!(sort(&log).0.escape_ascii().to_string(), "onetwothreefour");
    });
}

#[test]
fn a_flood_is_logged_no_faster_than_allowed_and_what_is_left_out_is_counted() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let limits = LogLimits { bytes: 1 << 20, files: 2, rate: 1, burst: 100_000 };
        let rig = rig(dir.path(), limits);
        let said = numbered(8 << 20);
        rig.flood(said.clone()).await.unwrap();
        rig.drained(said.len() as u64).await;
        let (log, _) = ended(rig, dir.path()).await;
        assert!((log.len() as u64) < 100_000 + FIRST + NEWEST + (64 << 10) + 10_000, "{}", log.len());
        let (kept, notices) = sort(&log);
        let lost: usize = notices
            .iter()
            .filter_map(|text| {
                text.strip_prefix("NOTICE: ")?.strip_suffix(" bytes of output lost")?.parse::<usize>().ok()
            })
            .sum();
        assert_eq!(kept.len() + lost, said.len());
        assert!(kept.ends_with(&said[said.len() - 1000..]));
    });
}

#[test]
fn a_log_that_cannot_be_written_harms_nobody() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let rig = rig(dir.path(), LogLimits::default());
        dir.close().unwrap();
        let mut client = rig.holder("", 0).await;
        rig.flood(numbered(1 << 20)).await.unwrap();
        client.until(&numbered(1 << 20)[(1 << 20) - 50..]).await;
        rig.handle.stop(End::Leaving);
        rig.task.await.unwrap();
    });
}
