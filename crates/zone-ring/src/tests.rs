//! The ring against a model that keeps everything.
extern crate std;

use super::*;
use proptest::prelude::*;
use std::fs::File;
use std::vec;
use std::vec::Vec;

const FIRST: u64 = 5000;
const NEWEST: u64 = MIN_NEWEST_CAP + 1000;

fn file() -> File {
    tempfile::tempfile().unwrap()
}

fn ring() -> Ring<File> {
    Ring::create(file(), FIRST, NEWEST).unwrap()
}

/// Reads from `offset` to the end, and counts what was lost on the way.
fn drain(ring: &Ring<File>, mut offset: u64, step: usize) -> (Vec<u8>, u64) {
    let (mut all, mut lost) = (Vec::new(), 0);
    let mut buffer = vec![0; step];
    loop {
        let read = ring.read_from(offset, &mut buffer).unwrap();
        all.extend_from_slice(&buffer[..read.len]);
        lost += read.lost;
        offset += read.lost + read.len as u64;
        if read.len == 0 {
            return (all, lost);
        }
    }
}

#[test]
fn an_empty_ring_says_nothing() {
    let ring = ring();
    assert_eq!(ring.read_from(0, &mut [0; 10]).unwrap(), Read::default());
    assert_eq!(ring.read_from(77, &mut [0; 10]).unwrap(), Read::default());
    assert_eq!(ring.replay_start(u64::MAX), 0);
}

#[test]
fn first_and_newest_part_remain() {
    let mut ring = ring();
    ring.append(b"old boot").unwrap();
    ring.mark_boot().unwrap();
    let said: Vec<u8> = (0..60_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for piece in said.chunks(700) {
        ring.append(piece).unwrap();
    }
    let (kept, lost) = drain(&ring, ring.replay_start(u64::MAX), 333);
    let first = usize::try_from(FIRST).unwrap();
    let newest = usize::try_from(NEWEST - GUARD).unwrap();
    assert_eq!(kept.len(), first + newest);
    assert_eq!(kept[..first], said[..first]);
    assert_eq!(kept[first..], said[said.len() - newest..]);
    assert_eq!(lost, (said.len() - first - newest) as u64);
}

#[test]
fn what_is_no_ring_is_refused() {
    assert_eq!(Ring::open(file()).unwrap_err(), Error::NotARing);
    let short = ring();
    short.fd.set_len(5000).unwrap();
    assert_eq!(Ring::open(short.into_fd()).unwrap_err(), Error::TooShort);
    assert!(matches!(Ring::create(file(), 0, 10), Err(Error::Sizes { .. })));
}

#[test]
fn a_failed_append_gives_up_what_was_kept_and_counts_on() {
    let mut ring = ring();
    ring.append(b"before").unwrap();
    let path = std::format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&ring.fd));
    let mut broken = Ring { fd: File::open(path).unwrap(), header: ring.header };
    assert!(matches!(broken.append(b"never"), Err(Error::Io { operation: "pwrite", .. })));
    assert_eq!(broken.total(), 11);
    assert_eq!(broken.read_from(0, &mut [0; 20]).unwrap(), Read { lost: 11, len: 0 });
}

#[test]
fn a_memfd_is_sealed() {
    let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let ring = Ring::create(fd, DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP).unwrap();
    assert!(rustix::fs::ftruncate(ring.as_fd(), 0).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    /// An append that is killed after its data, before its commit.
    Killed(usize),
    MarkBoot,
    Logged(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3 * usize::try_from(NEWEST).unwrap()).prop_map(Step::Append),
        8 => (0..300_usize).prop_map(Step::Append),
        2 => (0..3 * usize::try_from(NEWEST).unwrap()).prop_map(Step::Killed),
        2 => (0..300_usize).prop_map(Step::Killed),
        2 => Just(Step::MarkBoot),
        1 => (0..100_000_u64).prop_map(Step::Logged),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read is what was said at that place, and what should be kept is kept, although the
    /// ring is opened anew after every step.
    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(step(), 1..25), from in 0..200_000_u64) {
        let mut ring = ring();
        let mut model: Vec<u8> = Vec::new();
        let mut next = 0_u8;
        let mut boot = 0_usize;
        let mut logged = 0;
        for step in steps {
            match step {
                Step::Append(len) | Step::Killed(len) => {
                    let bytes: Vec<u8> = (0..len).map(|_| { next = next.wrapping_mul(5).wrapping_add(3); next }).collect();
                    if matches!(step, Step::Append(_)) {
                        ring.append(&bytes).unwrap();
                        model.extend_from_slice(&bytes);
                    } else {
                        ring.store(&bytes).unwrap();
                    }
                }
                Step::MarkBoot => { ring.mark_boot().unwrap(); boot = model.len(); }
                Step::Logged(offset) => { ring.set_logged(offset).unwrap(); logged = offset.min(model.len() as u64); }
            }
            ring = Ring::open(ring.into_fd()).unwrap();
            prop_assert_eq!(ring.total(), model.len() as u64);
            prop_assert_eq!(ring.boot_start(), boot as u64);
            prop_assert_eq!(ring.logged(), logged);
            for offset in [0, boot as u64, from, ring.replay_start(100), ring.replay_start(u64::MAX)] {
                let offset = offset.min(model.len() as u64);
                let mut buffer = vec![0; 1777];
                let read = ring.read_from(offset, &mut buffer).unwrap();
                let at = usize::try_from(offset + read.lost).unwrap();
                prop_assert_eq!(&buffer[..read.len], &model[at..at + read.len]);
                prop_assert!(read.len > 0 || at == model.len());
            }
            let (kept, _) = drain(&ring, ring.replay_start(u64::MAX), 1000);
            prop_assert!(kept.len() as u64 <= FIRST + NEWEST);
            let first = (model.len() - boot).min(usize::try_from(FIRST).unwrap());
            let (head, _) = drain(&ring, boot as u64, 1000);
            prop_assert_eq!(&head[..first], &model[boot..boot + first]);
        }
    }

    /// Without a kill, all but the guard of the rolling area can be read.
    #[test]
    fn keeps_what_it_promises(lens in prop::collection::vec(1..5000_usize, 1..20)) {
        let mut ring = ring();
        let mut total = 0;
        for len in lens {
            ring.append(&vec![b'x'; len]).unwrap();
            total += len as u64;
            prop_assert!(ring.available(total.saturating_sub(NEWEST - GUARD)) == total.saturating_sub(NEWEST - GUARD));
        }
    }
}
