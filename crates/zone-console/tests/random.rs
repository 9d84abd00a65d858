//! Random sessions: whatever happens in whatever order, everybody sees what was said where it was
//! said, or is told how much is missing.
#![allow(clippy::unwrap_used, reason = "a test")]
mod common;

use common::{Framed, Rig, numbered, run};
use proptest::prelude::*;
use std::sync::LazyLock;
use zone_console::Notice;
use zone_console::frame::Frame;

#[derive(Clone, Debug)]
enum Step {
    Say(usize),
    Watch(&'static str),
    Steal(&'static str),
    Type(usize),
    Leave(usize),
    Read(usize),
    Notice(bool),
    /// The daemon is killed, and the clients come back to the next one.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let replay = || prop_oneof![Just(""), Just(";replay=all"), Just(";replay=3000"), Just(";replay=0")];
    prop_oneof![
        6 => (1..400_000_usize).prop_map(Step::Say),
        6 => (1..4000_usize).prop_map(Step::Say),
        2 => replay().prop_map(Step::Watch),
        2 => replay().prop_map(Step::Steal),
        2 => (1..2000_usize).prop_map(Step::Type),
        1 => (0..4_usize).prop_map(Step::Leave),
        4 => (0..4_usize).prop_map(Step::Read),
        2 => any::<bool>().prop_map(Step::Notice),
        1 => Just(Step::Restart),
    ]
}

/// Reads one frame and compares what it shows with what was said. False at the end.
async fn read(client: &mut Framed, said: &[u8]) -> bool {
    let at = usize::try_from(client.offset).unwrap();
    match client.next().await {
        Some(Frame::Data(bytes) | Frame::Replay(bytes)) => assert!(*bytes == said[at..at + bytes.len()]),
        Some(Frame::Lost(_) | Frame::Notice(_) | Frame::End(_)) => {}
        None => return false,
        other => panic!("{other:?}"),
    }
    true
}

async fn play(steps: Vec<Step>) {
    let mut rig = Rig::new();
    static SOURCE: LazyLock<Vec<u8>> = LazyLock::new(|| numbered(16 << 20));
    let source = &SOURCE[..];
    let mut total = 0;
    let mut holder: Option<Framed> = None;
    let mut others: Vec<Framed> = Vec::new();
    for step in steps {
        match step {
            Step::Say(len) => {
                rig.flood(source[total..total + len].to_vec()).await.unwrap();
                total += len;
                rig.drained(total as u64).await;
            }
            Step::Watch(replay) => others.push(Framed::new(&rig, &format!(";watch{replay}")).await),
            Step::Steal(replay) => {
                let new = Framed::new(&rig, &format!(";steal{replay}")).await;
                // The old one may still read what was sent to it before.
                others.extend(holder.replace(new));
            }
            Step::Type(len) => {
                if let Some(holder) = &mut holder {
                    holder.send(Frame::Data(&source[..len])).await;
                    assert!(rig.guest_reads(len).await == source[..len]);
                }
            }
            Step::Leave(index) if index < others.len() => drop(others.remove(index)),
            Step::Leave(_) => holder = None,
            Step::Read(index) => {
                if let Some(client) = others.get_mut(index)
                    && client.offset < total as u64
                {
                    read(client, source).await;
                }
            }
            Step::Notice(boot) => {
                let notice = if boot { Notice::Booting { args: String::new() } } else { Notice::Halted };
                rig.handle.notice(notice);
            }
            Step::Restart => {
                rig = rig.restart().await;
                others.clear();
                if let Some(old) = holder.take() {
                    let resume = format!(";resume={:x}:{}", old.ring, old.offset);
                    holder = Some(Framed::new(&rig, &resume).await);
                    assert_eq!(
                        holder.as_ref().map(|new| (new.ring, new.offset)),
                        Some((old.ring, old.offset))
                    );
                }
            }
        }
    }
    for client in holder.iter_mut().chain(&mut others) {
        while client.offset < total as u64 && read(client, source).await {}
    }
    if let Some(holder) = holder {
        assert_eq!(holder.offset, total as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_shown_what_was_not_said(steps in prop::collection::vec(step(), 1..30)) {
        run(play(steps));
    }
}
