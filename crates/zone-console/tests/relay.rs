//! What the clients see and the guest gets.
#![allow(clippy::unwrap_used, reason = "a test")]
mod common;

use common::{Framed, Rig, TIOCSETD, TIOCVHANGUP, find, ioctl, numbered, open_tty, pty, run};
use rustix::termios::{Action, OptionalActions, SpecialCodeIndex, tcflow, tcgetattr, tcsetattr};
use zone_console::frame::{End, Frame};
use zone_console::ring::{Ring, window};
use zone_console::term::{self, Size};
use zone_console::{Limits, Locale, Notice};

fn line(text: &str) -> Vec<u8> {
    zone_console::notice::line(text)
}

#[test]
fn notices_stand_where_they_happened() {
    run(async {
        let rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        let mut watcher = rig.holder(";watch", 0).await;
        rig.say(b"one");
        rig.drained(3).await;
        rig.handle.notice(Notice::Rebooting { args: "-s".into() });
        holder.expect(b"one").await;
        holder.expect(&line("NOTICE: Zone rebooting with arguments: -s")).await;
        rig.say(b"two");
        holder.expect(b"two").await;
        watcher.until(b"-s]\r\ntwo").await;
    });
}

#[test]
fn who_is_disconnected_by_which_notice() {
    run(async {
        for flag in [0, 1] {
            for notice in [
                Notice::Booting { args: String::new() },
                Notice::Readied,
                Notice::Halted,
                Notice::Rebooting { args: String::new() },
                Notice::Uninstalling,
                Notice::BootFailed,
                Notice::BadArgs { args: "-x".into() },
            ] {
                let rig = Rig::new();
                let mut holder = rig.holder("", flag).await;
                rig.handle.notice(notice.clone());
                holder.expect(&line(&notice.text(Locale::C, flag == 1))).await;
                if notice.disconnects(flag == 1) {
                    holder.ended().await;
                    rig.clients(0).await;
                } else {
                    rig.say(b"on");
                    holder.expect(b"on").await;
                }
            }
        }
    });
}

/// Sums up what a plain client got: bytes of the guest, and bytes it was told are lost.
fn account(mut got: &[u8], said: &[u8]) -> (usize, usize) {
    let (head, tail) = (b"\r\n[NOTICE: ", b" bytes of output lost]\r\n");
    let (mut at, mut kept, mut lost) = (0, 0, 0);
    while !got.is_empty() {
        let next = find(got, head).unwrap_or(got.len());
        assert!(got[..next] == said[at..at + next], "what is shown is not what was said at {at}");
        at += next;
        kept += next;
        got = &got[next..];
        if got.is_empty() {
            break;
        }
        let end = find(got, tail).unwrap();
        let count: usize = str::from_utf8(&got[head.len()..end]).unwrap().parse().unwrap();
        at += count;
        lost += count;
        got = &got[end + tail.len()..];
    }
    (kept, lost)
}

#[test]
fn a_client_that_does_not_read_stops_nobody_and_is_told_what_it_missed() {
    run(async {
        let rig = Rig::new();
        let mut slow = rig.holder("", 0).await;
        let mut frames = Framed::new(&rig, ";watch").await;
        let said = numbered(8 << 20);
        rig.flood(said.clone()).await.unwrap();
        rig.drained(said.len() as u64).await;
        let newest = usize::try_from(common::NEWEST - window(common::NEWEST)).unwrap();

        let end = &said[said.len() - 100..];
        let mut got = slow.until(end).await;
        got.extend_from_slice(end);
        let (kept, lost) = account(&got, &said);
        assert_eq!(kept + lost, said.len());
        assert!(kept >= newest && lost > 0);

        let (mut at, mut lost) = (0, 0);
        while at < said.len() {
            match frames.next().await.unwrap() {
                Frame::Data(bytes) => {
                    assert!(
                        *bytes == said[at..at + bytes.len()],
                        "what is shown is not what was said at {at}"
                    );
                    at += bytes.len();
                }
                Frame::Lost(count) => {
                    lost = usize::try_from(count).unwrap();
                    at += lost;
                }
                Frame::Notice(text) => {
                    assert_eq!(text, Notice::Lost { bytes: lost as u64 }.text(Locale::C, false));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(lost > 0);
        rig.say(b"and on");
        slow.expect(b"and on").await;
    });
}

#[test]
fn a_client_that_reads_gets_it_all_or_is_told() {
    run(async {
        let rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        let said = numbered(16 << 20);
        let flood = rig.flood(said.clone());
        let end = &said[said.len() - 100..];
        let mut got = holder.until(end).await;
        got.extend_from_slice(end);
        flood.await.unwrap();
        let (kept, lost) = account(&got, &said);
        assert_eq!(kept + lost, said.len());
    });
}

#[test]
fn input_that_the_guest_does_not_read_stops_nobody_and_is_not_lost() {
    run(async {
        let rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        let typed = numbered(300_000);
        let (mut reader, mut writer) = holder.stream.into_split();
        let sent = typed.clone();
        let typing = tokio::task::spawn_local(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &sent).await.unwrap();
            writer
        });
        // The guest does not read a byte, and is heard all the same.
        let mut got = vec![0; 5];
        rig.say(b"heard");
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut got).await.unwrap();
        assert_eq!(got, b"heard");
        assert!(rig.guest_reads(typed.len()).await == typed);
        holder = common::Conn { stream: typing.await.unwrap().reunite(reader).unwrap(), got: Vec::new() };
        rig.say(b"on");
        holder.expect(b"on").await;
    });
}

#[test]
fn replay_begins_at_a_line_and_frames_tell_it_from_what_is_new() {
    run(async {
        let rig = Rig::new();
        rig.say(b"first line\nsecond line\nthird");
        rig.drained(28).await;
        rig.holder(";replay=all", 0).await.expect(b"first line\nsecond line\nthird").await;
        let mut holder = rig.holder(";replay=15", 0).await;
        holder.expect(b"third").await;
        let mut none = rig.holder(";watch;replay=0", 0).await;
        let mut frames = Framed::new(&rig, ";watch;replay=15").await;
        rig.say(b" line");
        none.expect(b" line").await;
        holder.expect(b" line").await;
        assert_eq!(frames.next().await, Some(Frame::Replay(b"third")));
        assert_eq!(frames.next().await, Some(Frame::Data(b" line")));
        assert_eq!(frames.offset, 33);
    });
}

#[test]
fn the_first_and_the_newest_part_of_a_boot_are_replayed() {
    run(async {
        let rig = Rig::new();
        rig.say(b"an older boot\n");
        rig.drained(14).await;
        rig.handle.notice(Notice::Booting { args: String::new() });
        // The mark is made when the notice is obeyed, which a client can see.
        let mut witness = rig.holder("", 0).await;
        rig.handle.notice(Notice::Readied);
        witness.until(b"readied]\r\n").await;
        let said = numbered(1 << 20);
        rig.flood(said.clone()).await.unwrap();
        rig.drained(14 + said.len() as u64).await;

        let end = &said[said.len() - 50..];
        let mut watcher = rig.holder(";watch;replay=all", 0).await;
        let mut got = watcher.until(end).await;
        got.extend_from_slice(end);
        let (kept, lost) = account(&got, &said);
        assert_eq!(kept + lost, said.len());
        let (most, ready) = (common::FIRST + common::NEWEST, window(common::NEWEST));
        assert!((most - ready..=most).contains(&(kept as u64)), "{kept}");
    });
}

#[test]
fn a_client_goes_on_after_a_restart_of_the_daemon() {
    run(async {
        let rig = Rig::new();
        let mut client = Framed::new(&rig, "").await;
        rig.say(b"one ");
        assert_eq!(client.next().await, Some(Frame::Data(b"one ")));
        let rig = rig.restart().await;
        assert_eq!(client.next().await, None);
        rig.say(b"two ");
        rig.drained(8).await;

        let resume = format!(";resume={:x}:{}", client.ring, client.offset);
        let mut client = Framed::new(&rig, &resume).await;
        assert_eq!(client.next().await, Some(Frame::Data(b"two ")));
        assert_eq!(client.next().await, Some(Frame::Notice(Notice::Restarted.text(Locale::C, false).into())));

        // What the ring no longer has by then is told.
        let rig = rig.restart().await;
        let said = numbered(1 << 20);
        rig.flood(said.clone()).await.unwrap();
        rig.drained(8 + said.len() as u64).await;
        let resume = format!(";resume={:x}:{}", client.ring, client.offset);
        let mut late = Framed::new(&rig, &resume).await;
        let newest = Ring::open(&rig.ring).unwrap();
        let newest = newest.available(newest.total() - common::NEWEST);
        assert!(newest <= 8 + said.len() as u64 - common::NEWEST + window(common::NEWEST));
        let lost = newest - late.offset.max(8);
        let mut first = 0;
        loop {
            match late.next().await.unwrap() {
                Frame::Data(bytes) => first += bytes.len() as u64,
                Frame::Lost(count) => {
                    assert_eq!(count, lost - first, "{first} bytes from the first part");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        // An offset of another ring means nothing here.
        let mut other = Framed::new(&rig, ";watch;resume=1:5").await;
        assert_eq!(other.offset, 8 + said.len() as u64);
        assert_eq!(other.next().await, Some(Frame::Notice(Notice::Restarted.text(Locale::C, false).into())));
    });
}

#[test]
fn a_client_that_speaks_frames_is_told_why_it_ends() {
    run(async {
        let rig = Rig::new();
        let mut client = Framed::new(&rig, "").await;
        let mut thief = Framed::new(&rig, ";steal").await;
        assert!(matches!(client.next().await, Some(Frame::Notice(text)) if text.contains("taken over by")));
        assert_eq!(client.next().await, Some(Frame::End(End::TakenOver)));
        assert_eq!(client.next().await, None);
        assert!(matches!(thief.next().await, Some(Frame::Notice(text)) if text.contains("taken over from")));
        rig.handle.stop(End::Restarting);
        assert_eq!(thief.next().await, Some(Frame::End(End::Restarting)));
        rig.task.await.unwrap();
    });
}

#[test]
fn stopping_waits_for_nobody_who_does_not_read() {
    run(async {
        let rig = Rig::with(Limits { linger: std::time::Duration::from_millis(20), ..Limits::default() });
        let stopped = rig.holder("", 0).await;
        rig.flood(numbered(4 << 20)).await.unwrap();
        let mut watcher = rig.holder(";watch", 0).await;
        rig.handle.stop(End::Leaving);
        watcher.until(&line("NOTICE: Zone daemon is ending.  Disconnecting...")).await;
        watcher.ended().await;
        rig.task.await.unwrap();
        drop(stopped);
    });
}

#[test]
fn the_server_ends_with_its_last_handle() {
    run(async {
        let Rig { handle, task, .. } = Rig::new();
        drop(handle);
        task.await.unwrap();
    });
}

#[test]
fn the_window_size_follows_the_holder() {
    run(async {
        let rig = Rig::new();
        let mut holder = Framed::new(&rig, ";size=24x80").await;
        assert_eq!(Size::of(&rig.guest).unwrap(), Size { rows: 24, cols: 80 });
        let mut watcher = Framed::new(&rig, ";watch;size=1x1").await;
        watcher.send(Frame::Window(Size { rows: 2, cols: 2 })).await;
        watcher.send(Frame::Data(b"unheard")).await;
        holder.send(Frame::Window(Size { rows: 50, cols: 132 })).await;
        holder.send(Frame::Data(b"done")).await;
        assert_eq!(rig.guest_reads(4).await, b"done");
        assert_eq!(Size::of(&rig.guest).unwrap(), Size { rows: 50, cols: 132 });
        assert_eq!(rig.handle.window(), Size { rows: 50, cols: 132 });
        drop(holder);
        rig.clients(1).await;
        assert_eq!(rig.handle.window(), Size::default());
    });
}

#[test]
fn who_breaks_the_frames_is_disconnected() {
    run(async {
        let rig = Rig::new();
        let mut client = Framed::new(&rig, "").await;
        client.conn.send(b"ls -l\n").await;
        assert_eq!(client.next().await, None);
        rig.holder("", 0).await;
    });
}

#[test]
fn a_guest_that_hangs_up_is_heard_again_when_it_comes_back() {
    run(async {
        let mut rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        for _ in 0..20 {
            // The last subsidiary goes, and the manager's reads fail with EIO.
            rig.guest =
                rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
            rig.handle.notice(Notice::Readied);
            holder.until(b"readied]\r\n").await;
            rig.guest = open_tty(&rig.manager);
            rig.say(b"back");
            holder.expect(b"back").await;
        }
        assert!(!rig.handle.state().borrow().manager_lost);
    });
}

#[test]
fn a_console_that_root_of_the_host_hangs_up_works_on_for_who_opens_it_again() {
    zone_testing::needs_root!();
    run(async {
        let mut rig = Rig::new();
        let mut holder = rig.holder("", 0).await;
        for _ in 0..3 {
            ioctl(&rig.guest, TIOCVHANGUP, 0);
            assert!(rustix::io::write(&rig.guest, b"lost").is_err());
            rig.guest = open_tty(&rig.manager);
            rig.say(b"back");
            holder.expect(b"back").await;
            let fresh = rig.handle.subsidiary().await.unwrap();
            term::reset(&fresh, Size::default()).unwrap();
            rustix::io::write(&fresh, b"fresh").unwrap();
            holder.expect(b"fresh").await;
            common::make_raw(&rig.guest);
            holder.send(b"typed").await;
            assert_eq!(rig.guest_reads(5).await, b"typed");
        }
    });
}

#[test]
fn a_pty_that_is_lost_for_good_is_replaced() {
    run(async {
        // The end of a pipe can be read until its other end is closed, and cannot be opened again.
        let (pipe, guest) = rustix::pipe::pipe().unwrap();
        let mut rig = Rig::on(pipe, guest, common::new_ring(), Limits::default());
        let mut holder = rig.holder("", 0).await;
        rig.say(b"one");
        holder.expect(b"one").await;
        let (manager, guest) = pty();
        rig.guest = guest;
        rig.handle.state().wait_for(|state| state.manager_lost).await.unwrap();
        rig.handle.replace_manager(manager);
        rig.handle.state().wait_for(|state| !state.manager_lost).await.unwrap();
        rig.say(b"two");
        holder.expect(b"two").await;
    });
}

#[test]
fn a_stop_character_pauses_the_holder_and_never_the_guest() {
    run(async {
        let (manager, guest) = pty();
        term::reset(&guest, Size { rows: 24, cols: 80 }).unwrap();
        let rig = Rig::on(manager, guest, common::new_ring(), Limits::default());
        let mut holder = rig.holder("", 0).await;
        holder.send(b"\x13abc\r").await;
        // The guest has the line only after the server has seen the stop before it.
        assert_eq!(rig.guest_reads(4).await, b"abc\n");
        rig.flood(vec![b'x'; 100_000]).await.unwrap();
        holder.send(b"\x11").await;
        holder.until(&[b'x'; 1000]).await;
    });
}

#[test]
fn who_comes_after_a_stop_is_not_paused_and_finds_no_half_line() {
    run(async {
        let (manager, guest) = pty();
        term::reset(&guest, Size { rows: 24, cols: 80 }).unwrap();
        let rig = Rig::on(manager, guest, common::new_ring(), Limits::default());
        // As an earlier daemon may have left it.
        tcflow(&rig.guest, Action::OOff).unwrap();
        let mut first = rig.holder("", 0).await;
        first.send(b"done\r\x13rm -rf").await;
        assert_eq!(rig.guest_reads(5).await, b"done\n");
        drop(first);
        rig.handle.state().wait_for(|state| state.clients.is_empty()).await.unwrap();
        let mut second = rig.holder("", 0).await;
        second.send(b"ls\r").await;
        assert_eq!(rig.guest_reads(3).await, b"ls\n");
        rig.say(b"heard");
        second.until(b"heard").await;
    });
}

#[test]
fn each_boot_finds_the_terminal_as_solaris_has_it() {
    let (manager, guest) = pty();
    let fresh = format!("{:?}", tcgetattr(&guest).unwrap().special_codes);
    let mut spoilt = tcgetattr(&guest).unwrap();
    spoilt.make_raw();
    spoilt.special_codes[SpecialCodeIndex::VINTR] = b'x';
    tcsetattr(&guest, OptionalActions::Now, &spoilt).unwrap();
    Size { rows: 3, cols: 3 }.apply(&guest).unwrap();
    // Under N_NULL, which any guest may choose, every word is swallowed.
    ioctl(&guest, TIOCSETD, 27);

    term::reset(&guest, Size { rows: 25, cols: 81 }).unwrap();
    let settings = tcgetattr(&guest).unwrap();
    use rustix::termios::{ControlModes as C, InputModes as I, LocalModes as L, OutputModes as O};
    assert_eq!(settings.input_modes, I::BRKINT | I::ICRNL | I::IXON | I::IMAXBEL);
    assert_eq!(settings.output_modes, O::OPOST | O::ONLCR | O::XTABS);
    assert_eq!(settings.control_modes & (C::CSIZE | C::CREAD | C::PARENB), C::CS8 | C::CREAD);
    let local = L::ISIG | L::ICANON | L::ECHO | L::ECHOE | L::ECHOK | L::ECHOCTL | L::ECHOKE | L::IEXTEN;
    assert_eq!(settings.local_modes, local);
    assert_eq!((settings.input_speed(), settings.output_speed()), (9600, 9600));
    assert_eq!(format!("{:?}", settings.special_codes), fresh);
    assert_eq!(Size::of(&guest).unwrap(), Size { rows: 25, cols: 81 });
    // And its words come through again.
    rustix::io::write(&guest, b"x\n").unwrap();
    let mut said = [0; 3];
    assert_eq!(rustix::io::read(&manager, &mut said), Ok(3));
    assert_eq!(&said, b"x\r\n");
}

#[test]
fn nobody_watching_costs_the_guest_nothing_but_the_oldest_bytes() {
    run(async {
        let rig = Rig::new();
        let said = numbered(4 << 20);
        rig.flood(said.clone()).await.unwrap();
        rig.drained(said.len() as u64).await;
        let ring = Ring::open(rig.ring.try_clone().unwrap()).unwrap();
        let mut buffer = vec![0; 1000];
        let start = ring.replay_start(1000);
        assert_eq!(ring.read_from(start, &mut buffer).unwrap().len, 1000);
        assert!(buffer == said[said.len() - 1000..]);
    });
}
