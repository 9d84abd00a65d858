use super::*;
use crate::wire::{Answer, Say};
use proptest::prelude::*;
use rustix::pipe::pipe;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path as FsPath, PathBuf};

struct Dirs {
    _top: tempfile::TempDir,
    from: PathBuf,
    to: PathBuf,
}

fn dirs() -> Dirs {
    let top = tempfile::tempdir().unwrap();
    let (from, to) = (top.path().join("from"), top.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    Dirs { _top: top, from, to }
}

/// What the two sides said of it.
type Said = (Result<(), String>, Vec<String>);

fn word(event: Event<'_>) -> String {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    match event {
        Event::Begins { path, there, .. } => format!("begins {} at {there}", text(path)),
        Event::Bytes(_) => String::new(),
        Event::Copied => "copied".to_owned(),
        Event::Unchanged => "unchanged".to_owned(),
        Event::Unread { path, errno } => format!("unread {} {}", text(path), errno.raw_os_error()),
        Event::Unwritten { path, errno } => format!("unwritten {} {}", text(path), errno.raw_os_error()),
        Event::LeftOut { path } => format!("left out {}", text(path)),
    }
}

/// Copies; gives what the sender saw and what the receiver saw.
fn copy(from: &FsPath, to: &FsPath) -> (Said, Said) {
    let ((there_in, there_out), (back_in, back_out)) = (pipe().unwrap(), pipe().unwrap());
    let from = from.to_owned();
    let sender = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let source = Source::open(&from, true).map_err(|errno| (b"source".to_vec(), errno));
        let mut watch = |event: Event<'_>| seen.push(word(event));
        let outcome = send(source, File::from(back_in), File::from(there_out), &mut watch);
        (outcome.map_err(|error| error.to_string()), seen)
    });
    let mut seen = Vec::new();
    let mut watch = |event: Event<'_>| seen.push(word(event));
    let outcome = receive(Target::open(to), File::from(there_in), File::from(back_out), &mut watch);
    let clean = |(outcome, seen): Said| (outcome, seen.into_iter().filter(|word| !word.is_empty()).collect());
    (clean(sender.join().unwrap()), clean((outcome.map_err(|error| error.to_string()), seen)))
}

#[track_caller]
fn fine(from: &FsPath, to: &FsPath) -> Vec<String> {
    let (sent, got) = copy(from, to);
    assert_eq!((&sent.0, &got.0), (&Ok(()), &Ok(())), "{sent:?} {got:?}");
    assert_eq!(sent.1, got.1, "both sides see the same");
    sent.1
}

/// Has a receiver hear what a hostile sender says.
fn hears(to: &FsPath, says: &[Say]) -> (Result<(), String>, Vec<u8>) {
    let mut bytes = Vec::new();
    says.iter().for_each(|say| say.write(&mut bytes).unwrap());
    let mut answers = Vec::new();
    let outcome = receive(Target::open(to), bytes.as_slice(), &mut answers, &mut |_| ());
    (outcome.map_err(|error| error.to_string()), answers)
}

#[test]
fn a_tree_arrives_as_it_is() {
    let Dirs { from, to, _top } = dirs();
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/file"), vec![7; 300_000]).unwrap();
    fs::write(from.join("empty"), "").unwrap();
    fs::set_permissions(from.join("empty"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::set_permissions(from.join("a/b"), PermissionsExt::from_mode(0o2500)).unwrap();
    symlink("/etc/passwd", from.join("a/link")).unwrap();
    fine(&from, &to.join("new"));
    let new = to.join("new");
    assert_eq!(fs::read(new.join("a/b/file")).unwrap(), vec![7; 300_000]);
    assert_eq!(fs::read_link(new.join("a/link")).unwrap(), FsPath::new("/etc/passwd"));
    let mode = |path: &str| fs::symlink_metadata(new.join(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("empty") & 0o7000, 0, "no set-uid bit comes along");
    assert_eq!((mode("empty") & 0o700, mode("a/b")), (0o700, 0o500));
    // Into a directory that is there it goes by its own name.
    fine(&from.join("a"), &to);
    assert!(to.join("a/b/file").exists());
    // And without a name of its own what is in it goes there.
    fine(&from.join("a/."), &to);
    assert!(to.join("b/file").exists());
}

#[test]
fn what_is_there_is_left_alone_and_what_is_half_goes_on() {
    let Dirs { from, to, _top } = dirs();
    fs::write(from.join("file"), vec![1; 500_000]).unwrap();
    assert_eq!(fine(&from, &to), ["begins from/file at 0", "copied"]);
    assert_eq!(fine(&from, &to), ["unchanged"]);
    let there = to.join("from/file");
    let stat = fs::metadata(&there).unwrap();
    let time = (stat.mtime(), u32::try_from(stat.mtime_nsec()).unwrap());
    fs::remove_file(&there).unwrap();
    let part = to.join("from").join(partial::name(b"file", 500_000, time));
    let stale = to.join("from").join(partial::name(b"file", 1, time));
    for (path, bytes) in [(&part, vec![1; 400_000]), (&stale, vec![3])] {
        write_part(path, bytes);
    }
    assert_eq!(fine(&from, &to), ["begins from/file at 400000", "copied"]);
    assert!(fs::read(&there).unwrap() == vec![1; 500_000]);
    assert_eq!(fs::read_dir(to.join("from")).unwrap().count(), 1, "no part is left");
    // A part that somebody else could have put there is none.
    fs::remove_file(&there).unwrap();
    symlink("/etc/passwd", &part).unwrap();
    assert_eq!(fine(&from, &to), ["begins from/file at 0", "copied"]);
    fs::remove_file(&there).unwrap();
    fs::write(&part, "x").unwrap();
    fs::hard_link(&part, to.join("other")).unwrap();
    assert_eq!(fine(&from, &to), ["begins from/file at 0", "copied"]);
    assert_eq!(fs::read(to.join("other")).unwrap(), b"x");
}

/// Puts a part there as an interrupted copy leaves it.
fn write_part(path: &FsPath, bytes: Vec<u8>) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// The place of the part of `from`, a file of its own, in `to`.
fn part_of(from: &FsPath, to: &FsPath) -> PathBuf {
    let stat = fs::metadata(from).unwrap();
    let time = (stat.mtime(), u32::try_from(stat.mtime_nsec()).unwrap());
    to.join(partial::name(from.file_name().unwrap().as_encoded_bytes(), stat.len(), time))
}

#[test]
fn a_part_that_has_lost_its_bytes_is_not_believed_by_its_length() {
    let Dirs { from, to, _top } = dirs();
    let file = from.join("file");
    fs::write(&file, vec![1; 500_000]).unwrap();
    let part = part_of(&file, &to);
    // As some file systems have it after a power loss: the end was written, and before it is a hole.
    let lost = [vec![1; 100_000], vec![0; 4096], vec![1; 295_904]].concat();
    for lost in [lost, vec![0; 500_000], vec![1; 500_001]] {
        write_part(&part, lost);
        assert_eq!(fine(&file, &to), ["begins file at 0", "copied"]);
        assert!(fs::read(to.join("file")).unwrap() == vec![1; 500_000]);
        fs::remove_file(to.join("file")).unwrap();
    }
    // All of it is there, and it has not got its name.
    write_part(&part, vec![1; 500_000]);
    assert_eq!(fine(&file, &to), ["begins file at 500000", "copied"]);
}

#[test]
fn a_part_of_another_state_goes_where_a_file_is_copied_alone() {
    let Dirs { from, to, _top } = dirs();
    let file = from.join("file");
    fs::write(&file, "before").unwrap();
    write_part(&part_of(&file, &to), b"be".to_vec());
    fs::write(&file, "after it").unwrap();
    assert_eq!(fine(&file, &to), ["begins file at 0", "copied"]);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "no part is left");
}

#[test]
fn a_file_gets_its_time_when_the_disk_has_it() {
    let Dirs { from, to, _top } = dirs();
    let file = from.join("file");
    fs::write(&file, "x").unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    // The copy is broken off after the file has its name.
    let says =
        [Say::File { name: b"file".to_vec(), mode: 0o644, size: 1, time: (1_000_000, 0) }, Say::Begins(0)];
    let (outcome, _) = hears(&to, &[says.as_slice(), &[Say::Bytes(b"y".to_vec()), Say::End(0)]].concat());
    assert!(outcome.unwrap_err().contains("ended before"));
    assert_eq!(fs::read(to.join("file")).unwrap(), b"y");
    assert_eq!(fine(&file, &to), ["begins file at 0", "copied"], "nobody knows whether it is on the disk");
    assert_eq!(fs::read(to.join("file")).unwrap(), b"x");
    assert_eq!(fine(&file, &to), ["unchanged"]);
}

#[test]
fn two_copies_do_not_write_one_part() {
    let Dirs { from, to, _top } = dirs();
    let file = from.join("file");
    fs::write(&file, "contents").unwrap();
    let part = part_of(&file, &to);
    write_part(&part, b"cont".to_vec());
    let other = File::open(&part).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = format!("unwritten file {}", Errno::BUSY.raw_os_error());
    assert_eq!(fine(&file, &to), [busy]);
    drop(other);
    assert_eq!(fine(&file, &to), ["begins file at 4", "copied"]);
}

#[test]
fn more_files_than_wait_for_the_disk_at_once_all_get_their_times() {
    let Dirs { from, to, _top } = dirs();
    for nth in 0..150 {
        fs::write(from.join(format!("{nth}")), "x").unwrap();
    }
    fine(&from, &to);
    let again = fine(&from, &to);
    assert_eq!(again, vec!["unchanged"; 150]);
}

#[test]
fn links_in_the_way_are_replaced_and_never_followed() {
    let Dirs { from, to, _top } = dirs();
    let outside = to.join("../outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "kept").unwrap();
    fs::create_dir_all(from.join("dir")).unwrap();
    fs::write(from.join("dir/file"), "new").unwrap();
    fs::write(from.join("file"), "new").unwrap();
    fs::create_dir(to.join("from")).unwrap();
    symlink(&outside, to.join("from/dir")).unwrap();
    symlink(outside.join("file"), to.join("from/file")).unwrap();
    let mut seen = fine(&from, &to);
    seen.sort();
    assert_eq!(seen, ["begins from/file at 0", "copied", "unwritten from/dir 40"]);
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"kept");
    assert!(fs::symlink_metadata(to.join("from/file")).unwrap().is_file());
    // A directory is not replaced by a file, nor a file by a directory.
    fs::remove_file(to.join("from/dir")).unwrap();
    fs::write(to.join("from/dir"), "").unwrap();
    fs::remove_file(to.join("from/file")).unwrap();
    fs::create_dir(to.join("from/file")).unwrap();
    let mut seen = fine(&from, &to);
    seen.sort();
    assert_eq!(seen, ["unwritten from/dir 20", "unwritten from/file 21"]);
}

#[test]
fn what_is_neither_file_nor_directory_is_left_out() {
    let Dirs { from, to, _top } = dirs();
    let socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    assert_eq!(fine(&from, &to), ["left out from/socket"]);
    drop(socket);
    assert_eq!(Source::open(FsPath::new("/dev/null"), true).unwrap_err(), Errno::INVAL);
    assert_eq!(Source::open(&from, false).unwrap_err(), Errno::ISDIR);
    assert_eq!(Source::open(&from.join("none"), false).unwrap_err(), Errno::NOENT);
}

#[test]
fn no_place_to_go_is_told_to_the_other_side() {
    let Dirs { from, to, _top } = dirs();
    fs::write(from.join("file"), "x").unwrap();
    assert_eq!(fine(&from.join("file"), &to.join("no/such")), ["unwritten file 2"]);
    assert_eq!(fine(&from.join("file"), &to.join("new/")), ["unwritten file 2"]);
    assert_eq!(fine(&from.join("none"), &to), ["unread source 2"]);
    fine(&from.join("file"), &to.join("renamed"));
    assert_eq!(fs::read(to.join("renamed")).unwrap(), b"x");
}

#[test]
fn a_full_disk_ends_the_copy_and_both_say_so() {
    // /dev/full is no file; a limit is as good.
    let Dirs { from, to, _top } = dirs();
    let file = Say::File { name: b"file".to_vec(), mode: 0o644, size: u64::MAX >> 1, time: (0, 0) };
    let (outcome, _) = hears(&to, &[file, Say::Begins(0), Say::Bytes(vec![1; 10])]);
    assert!(outcome.unwrap_err().contains("ended before all was copied"));
    let mut out = Vec::new();
    Answer::From { there: 0, sum: 0 }.write(&mut out).unwrap();
    Answer::Stop { errno: 28, path: b"file".to_vec() }.write(&mut out).unwrap();
    fs::write(from.join("file"), "x").unwrap();
    let source = Source::open(&from.join("file"), false).map_err(|errno| (Vec::new(), errno));
    let outcome = send(source, out.as_slice(), &mut Vec::new(), &mut |_| ());
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, CopyError::Write { path, source: Errno::NOSPC } if path == b"file"),
        "{error:?}"
    );
}

#[test]
fn what_leads_anywhere_else_ends_the_copy() {
    let Dirs { to, _top, .. } = dirs();
    let dir = |name: &[u8]| Say::Directory { name: name.to_vec(), mode: 0o755 };
    let file = |name: &[u8]| Say::File { name: name.to_vec(), mode: 0o644, size: 1, time: (0, 0) };
    let link = |name: &[u8], to: &[u8]| Say::Link { name: name.to_vec(), target: to.to_vec() };
    for says in [
        vec![dir(b"..")],
        vec![dir(b"a/b")],
        vec![dir(b"/etc")],
        vec![dir(b"")],
        vec![dir(b"a"), dir(b".")],
        vec![file(b"../x")],
        vec![file(b"x\0")],
        vec![file(&[b'x'; 256])],
        vec![link(b"..", b"x")],
        vec![link(b"x", b"")],
        vec![Say::Up],
        vec![Say::End(0)],
        vec![Say::Bytes(vec![1])],
        vec![dir(b"a"), Say::Over],
        vec![dir(b"a"), Say::Up, dir(b"b")],
        vec![Say::Begins(0)],
        vec![file(b"f"), Say::Begins(0), Say::Bytes(vec![1, 2])],
        vec![file(b"g"), Say::Begins(0), Say::End(0)],
        vec![file(b"h"), Say::Begins(0), dir(b"x")],
        vec![file(b"i"), Say::Bytes(vec![1])],
        vec![file(b"j"), Say::Begins(1)],
    ] {
        let (outcome, _) = hears(&to, &says);
        let error = outcome.unwrap_err();
        assert!(error.contains("does not keep to the protocol"), "{says:?}: {error}");
    }
    // A link of its own does not lead it out either.
    let says = [dir(b"d"), link(b"out", b"/tmp"), dir(b"out"), Say::Up, Say::Over];
    let (outcome, answers) = hears(&to, &says[..3]);
    assert!(outcome.unwrap_err().contains("ended before"));
    let mut answers = answers.as_slice();
    let all: Vec<_> = std::iter::from_fn(|| Answer::read(&mut answers).ok()).collect();
    assert_eq!(all[..2], [Answer::Fine, Answer::Fine]);
    assert!(
        matches!(all[2], Answer::Refused(number) if Errno::from_raw_os_error(number.cast_signed()) == Errno::LOOP)
    );
}

#[test]
fn a_tree_without_end_is_cut() {
    let Dirs { to, _top, .. } = dirs();
    let mut says = vec![Say::Directory { name: b"d".to_vec(), mode: 0o755 }; MOST_DEPTH + 1];
    says.extend(vec![Say::Up; MOST_DEPTH]);
    says.push(Say::Over);
    let (outcome, answers) = hears(&to, &says);
    assert_eq!(outcome, Ok(()));
    let mut answers = answers.as_slice();
    let all: Vec<_> = std::iter::from_fn(|| Answer::read(&mut answers).ok()).collect();
    assert_eq!(all.iter().filter(|answer| matches!(answer, Answer::Refused(_))).count(), 1);
}

proptest! {
    #[test]
    fn nothing_panics_and_nothing_leaves(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Say::read(&mut bytes.as_slice());
        let _ = Answer::read(&mut bytes.as_slice());
        let Dirs { to, _top, .. } = dirs();
        let _ = receive(Target::open(&to), bytes.as_slice(), Vec::new(), &mut |_| ());
        prop_assert_eq!(fs::read_dir(to.join("..")).unwrap().count(), 2);
    }

    #[test]
    fn what_is_said_is_what_is_read(
        name in "[a-z]{1,9}", mode: u32, size: u64, seconds: i64, target in "[a-z/.]{1,20}", number in 0..4096_u32,
    ) {
        for say in [
            Say::Directory { name: name.clone().into(), mode },
            Say::File { name: name.clone().into(), mode, size, time: (seconds, 5) },
            Say::Link { name: name.clone().into(), target: target.into() },
            Say::Begins(size),
            Say::Bytes(vec![1, 2]),
            Say::End(number),
            Say::Up,
            Say::Unread { name: name.clone().into(), errno: number },
            Say::LeftOut { name: name.into() },
            Say::Over,
        ] {
            let mut bytes = Vec::new();
            say.write(&mut bytes).unwrap();
            prop_assert_eq!(Say::read(&mut bytes.as_slice()).unwrap(), say);
        }
        for answer in [
            Answer::Fine,
            Answer::Have,
            Answer::From { there: size, sum: size ^ 1 },
            Answer::Refused(number),
            Answer::Stop { errno: number, path: b"a/b".to_vec() },
        ] {
            let mut bytes = Vec::new();
            answer.write(&mut bytes).unwrap();
            prop_assert_eq!(Answer::read(&mut bytes.as_slice()).unwrap(), answer);
        }
    }
}
