//! The ring against a model that keeps everything.
use super::*;
use proptest::prelude::*;
use std::fs::File;

const FIRST: u64 = 5000;
const NEWEST: u64 = 2 * MIN_NEWEST_CAP + 1001;

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
    let newest = kept.len() - first;
    assert!((NEWEST - window(NEWEST)..=NEWEST).contains(&(newest as u64)));
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
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&ring.fd));
    let mut broken = Ring::open(File::open(path).unwrap()).unwrap();
    assert!(matches!(broken.append(b"never"), Err(Error::Io { operation: "mmap", .. })));
    assert_eq!(broken.total(), 11);
    assert_eq!(broken.read_from(0, &mut [0; 20]).unwrap(), Read { lost: 11, len: 0 });
}

#[test]
fn a_memfd_is_sealed() {
    let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let ring = Ring::create(fd, DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP).unwrap();
    assert!(rustix::fs::ftruncate(ring.as_fd(), 0).is_err());
}

/// The console says `bytes`, and the ring receives them, a piece at a time. What has left the pipe is
/// added to `received`: that is what must never be lost.
fn say(ring: &mut Ring<File>, bytes: &[u8], received: &mut Vec<u8>) -> Result<(), Error> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let mut rest = bytes;
    while !rest.is_empty() {
        ring.prepare()?;
        while let Ok(written) = rustix::io::write(&writer, &rest[..rest.len().min(3000)]) {
            let mut left = written;
            while left > 0 {
                match ring.receive(&reader) {
                    Ok(count) => {
                        received.extend_from_slice(&rest[..count]);
                        (left, rest) = (left - count, &rest[count..]);
                    }
                    Err(Errno::NOBUFS) => {
                        ring.publish()?;
                        ring.prepare()?;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        ring.publish()?;
    }
    Ok(())
}

#[test]
fn what_is_received_is_there_before_it_is_published() {
    let mut ring = ring();
    ring.append(b"one").unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&writer, b"two").unwrap();
    ring.prepare().unwrap();
    assert_eq!(ring.receive(&reader), Ok(3));
    assert_eq!(ring.total(), 3);
    // Its process is killed here.
    let mut heir = Ring::inherit(ring.into_fd()).unwrap();
    assert_eq!(drain(&heir, 0, 100), (b"onetwo".to_vec(), 0));
    heir.reload().unwrap();
    assert_eq!(heir.total(), 6, "nothing is found twice");
    heir.append(b"three").unwrap();
    assert_eq!(drain(&heir, 0, 100), (b"onetwothree".to_vec(), 0));
}

#[test]
fn without_room_nothing_is_received() {
    let mut ring = ring();
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    assert_eq!(ring.receive(&reader), Err(Errno::NOBUFS));
    // A ring that cannot be written makes none.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&ring.fd));
    let mut broken = Ring::open(File::open(path).unwrap()).unwrap();
    assert!(broken.prepare().is_err());
    assert_eq!(broken.receive(&reader), Err(Errno::NOBUFS));
}

#[test]
fn of_bytes_that_are_no_text_the_last_may_go_with_a_kill() {
    for (last, kept) in [(filling::from(7, 1), 7), (&b"\0"[..], 8)] {
        let mut ring = ring();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"no text").unwrap();
        rustix::io::write(&writer, last).unwrap();
        ring.prepare().unwrap();
        assert_eq!(ring.receive(&reader), Ok(8));
        let heir = Ring::inherit(ring.into_fd()).unwrap();
        assert_eq!(heir.total(), kept);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Say(usize),
    /// The writer is killed after so many writes, with something said meanwhile.
    Killed(usize, u32),
    /// And so is who appends: of that, what is missing is missing at the end.
    KilledAppend(usize, u32),
    MarkBoot,
    Logged(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let long = || 0..3 * usize::try_from(NEWEST).unwrap();
    prop_oneof![
        4 => long().prop_map(Step::Append),
        4 => (0..300_usize).prop_map(Step::Append),
        8 => long().prop_map(Step::Say),
        8 => (0..300_usize).prop_map(Step::Say),
        4 => (long(), 0..40_u32).prop_map(|(len, lives)| Step::Killed(len, lives)),
        4 => (0..300_usize, 0..6_u32).prop_map(|(len, lives)| Step::Killed(len, lives)),
        2 => (long(), 0..40_u32).prop_map(|(len, lives)| Step::KilledAppend(len, lives)),
        2 => Just(Step::MarkBoot),
        1 => (0..100_000_u64).prop_map(Step::Logged),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    /// Whatever is read is what was said at that place, what should be kept is kept, and what was
    /// received is never lost, although every step ends with the writer's death.
    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(step(), 1..25), from in 0..200_000_u64) {
        let mut ring = ring();
        let mut model: Vec<u8> = Vec::new();
        let mut next = 0_u8;
        let mut boot = 0_usize;
        let mut logged = 0;
        let mut text = |len: usize| -> Vec<u8> {
            (0..len).map(|_| { next = next.wrapping_mul(5).wrapping_add(3); next % 128 }).collect()
        };
        for step in steps {
            match step {
                Step::Append(len) => {
                    let bytes = text(len);
                    ring.append(&bytes).unwrap();
                    model.extend_from_slice(&bytes);
                }
                Step::Say(len) => say(&mut ring, &text(len), &mut model).unwrap(),
                Step::Killed(len, lives) => {
                    ring.lives = Some(lives);
                    // It may have come through.
                    let _ = say(&mut ring, &text(len), &mut model);
                }
                Step::KilledAppend(len, lives) => {
                    ring.lives = Some(lives);
                    let bytes = text(len);
                    let _ = ring.append(&bytes);
                    ring = Ring::inherit(ring.into_fd()).unwrap();
                    let kept = usize::try_from(ring.total()).unwrap() - model.len();
                    model.extend_from_slice(&bytes[..kept]);
                }
                Step::MarkBoot => { ring.mark_boot().unwrap(); boot = model.len(); }
                Step::Logged(offset) => { ring.set_logged(offset).unwrap(); logged = offset.min(model.len() as u64); }
            }
            ring = Ring::inherit(ring.into_fd()).unwrap();
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
            let newest = (model.len() as u64).saturating_sub(NEWEST - window(NEWEST));
            prop_assert_eq!(ring.available(newest), newest);
            let (kept, _) = drain(&ring, ring.replay_start(u64::MAX), 1000);
            prop_assert!(kept.len() as u64 <= FIRST + NEWEST);
            let first = (model.len() - boot).min(usize::try_from(FIRST).unwrap());
            let (head, _) = drain(&ring, boot as u64, 1000);
            prop_assert_eq!(&head[..first], &model[boot..boot + first]);
        }
    }
}
