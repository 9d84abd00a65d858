//! Who gets the console, and who does not.
#![allow(clippy::unwrap_used, reason = "a test")]
mod common;

use common::{Rig, run};
use proptest::prelude::*;
use std::time::Duration;
use zone_console::Limits;
use zone_console::server::{Access, State};

fn own_pid() -> Vec<u8> {
    format!("{}\n", std::process::id()).into_bytes()
}

#[test]
fn a_plain_client_gets_ok_and_then_bytes() {
    run(async {
        let rig = Rig::new();
        rig.say(b"before anybody came");
        rig.drained(19).await;
        let mut client = rig.client("IDENT 4711 en_US.UTF-8 0\n").await;
        client.expect(b"OK\n").await;
        rig.say(b"login: \x1b[1m\0\xff");
        client.expect(b"login: \x1b[1m\0\xff").await;
        client.send(b"root\r\0\xff\x03").await;
        assert_eq!(rig.guest_reads(8).await, b"root\r\0\xff\x03");
    });
}

#[test]
fn a_line_may_come_in_pieces_and_with_input_behind_it() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.client("IDE").await;
        rig.handle.state().wait_for(|state| state.handshakes == 1).await.unwrap();
        client.send(b"NT 1 C 0").await;
        client.send(b"\nls\r").await;
        client.expect(b"OK\n").await;
        assert_eq!(rig.guest_reads(3).await, b"ls\r");
    });
}

#[test]
fn a_second_client_is_told_the_kernels_pid_of_the_first() {
    run(async {
        let rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        for line in ["IDENT 2 C 0\n", "IDENT 2 C;replay=all 0\n", "what?\n", &("x".repeat(10_000) + "\n")] {
            let mut second = rig.client(line).await;
            second.expect(&own_pid()).await;
            second.ended().await;
        }
        rig.say(b"still here");
        holder.expect(b"still here").await;
        let clients = rig.handle.clients();
        assert_eq!(clients.len(), 1);
        assert_eq!(clients[0].pid.unsigned_abs(), std::process::id());
        assert!(!clients[0].read_only && rig.handle.has_client());
    });
}

#[test]
fn the_next_client_is_served_when_the_first_has_left() {
    run(async {
        let rig = Rig::new();
        for _ in 0..5 {
            drop(rig.holder("", 0).await);
        }
        rig.holder("", 0).await.send(b"x").await;
        assert_eq!(rig.guest_reads(1).await, b"x");
    });
}

#[test]
fn a_dead_holder_whose_input_the_guest_does_not_take_is_replaced_at_once() {
    run(async {
        let rig = Rig::new();
        let stuck = rig.holder("", 0).await;
        // More than the pty takes, so that the server stops reading this client.
        stuck.stream.try_write(&vec![b'x'; 150_000]).unwrap();
        let mut second = rig.client("IDENT 2 C 0\n").await;
        second.expect(&own_pid()).await;
        drop(stuck);
        let mut third = rig.holder("", 0).await;
        rig.say(b"hello");
        third.expect(b"hello").await;
        drop(third);
        rig.clients(0).await;
    });
}

#[test]
fn malformed_and_over_long_lines_are_dropped() {
    run(async {
        let rig = Rig::new();
        let long = "IDENT 1 ".to_owned() + &"x".repeat(5000) + " 0\n";
        for line in ["\n", "hello\n", "IDENT\n", "IDENT x C 0\n", &long] {
            rig.client(line).await.ended().await;
        }
        rig.holder("", 0).await;
    });
}

#[test]
fn the_silent_delay_nobody() {
    run(async {
        let rig = Rig::with(Limits { handshakes: 3, ..Limits::default() });
        let oldest = rig.client("IDENT 1 C").await;
        let others = [rig.connect().await, rig.client("I").await, rig.connect().await];
        // Only so many may be undecided at once: the oldest goes.
        oldest.ended().await;
        drop(rig.client("IDENT 1 C 0\n").await);
        rig.holder("", 0).await;
        drop(others);
    });
}

/// The clock stands still while anything can happen, and jumps when nothing can.
#[tokio::test(start_paused = true)]
async fn the_silent_are_dropped_after_a_while() {
    tokio::task::LocalSet::new()
        .run_until(async {
            let rig = Rig::new();
            let start = tokio::time::Instant::now();
            let half = rig.client("IDENT 1 C").await;
            rig.connect().await.ended().await;
            half.ended().await;
            assert!(start.elapsed() >= Duration::from_secs(5));
            rig.handle.state().wait_for(State::is_quiet).await.unwrap();
        })
        .await;
}

#[test]
fn a_newcomer_can_steal_and_both_are_told() {
    run(async {
        let rig = Rig::new();
        let mut first = rig.holder("", 0).await;
        rig.say(b"said before");
        first.expect(b"said before").await;
        let mut second = rig.holder(";steal", 0).await;
        let pid = std::process::id();
        second.expect(format!("\r\n[NOTICE: Console taken over from process ID {pid}]\r\n").as_bytes()).await;
        let told = format!("\r\n[NOTICE: Console taken over by process ID {pid}.  Disconnecting...]\r\n");
        assert_eq!(first.rest().await, told.as_bytes());
        rig.say(b"mine");
        second.expect(b"mine").await;
        rig.clients(1).await;
        // With nobody to steal from it is a plain attach.
        drop(second);
        let mut third = rig.holder(";steal", 0).await;
        rig.say(b"ours");
        third.expect(b"ours").await;
    });
}

#[test]
fn watchers_see_everything_and_say_nothing() {
    run(async {
        let rig = Rig::with(Limits { watchers: 2, ..Limits::default() });
        let mut watcher = rig.holder(";watch", 0).await;
        let mut holder = rig.holder("", 0).await;
        let mut other = rig.holder(";watch", 0).await;
        rig.client("IDENT 1 C;watch 0\n").await.ended().await;
        watcher.send(b"not heard").await;
        holder.send(b"heard").await;
        assert_eq!(rig.guest_reads(5).await, b"heard");
        rig.say(b"for all");
        for conn in [&mut watcher, &mut holder, &mut other] {
            conn.expect(b"for all").await;
        }
        let kinds: Vec<bool> = rig.handle.clients().iter().map(|client| client.read_only).collect();
        assert_eq!(kinds, [false, true, true]);
        drop(holder);
        rig.clients(2).await;
        assert!(rig.handle.clients().iter().all(|client| client.read_only));
    });
}

#[test]
fn who_may_not_is_turned_away() {
    run(async {
        let rig = Rig::with(Limits { access: |_| Access::Refuse, ..Limits::default() });
        rig.client("IDENT 1 C 0\n").await.ended().await;
        let rig = Rig::with(Limits { access: |_| Access::Watch, ..Limits::default() });
        rig.client("IDENT 1 C 0\n").await.ended().await;
        rig.client("IDENT 1 C;steal 0\n").await.ended().await;
        rig.holder(";watch", 0).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever strangers send, the holder's bytes flow and the next client is served.
    #[test]
    fn nothing_a_stranger_sends_matters(
        strangers in prop::collection::vec(
            (prop_oneof![Just("".to_owned()), Just("IDENT 1 C;watch 0\n".to_owned()), Just("IDENT ".to_owned()),
                Just("IDENT 1 C;frames;watch;replay=all 0\n".to_owned()), "IDENT [0-9]{1,30} [ -~]{0,40}\n?"],
             prop::collection::vec(any::<u8>(), 0..6000)),
            0..6),
    ) {
        run(async {
            let rig = Rig::new();
            let mut holder = rig.holder("", 0).await;
            let mut kept = Vec::new();
            for (head, tail) in strangers {
                // A stranger that talks a take-over language may have it; this is about the others.
                if head.contains("steal") { continue }
                let conn = rig.connect().await;
                let _ = conn.stream.try_write(head.as_bytes());
                let _ = conn.stream.try_write(&tail);
                kept.push(conn);
                rig.say(b"x");
                holder.expect(b"x").await;
            }
            drop(kept);
            holder.send(b"y").await;
            assert_eq!(rig.guest_reads(1).await, b"y");
            drop(holder);
            rig.clients(0).await;
            rig.holder("", 0).await;
        });
    }
}
