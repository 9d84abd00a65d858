//! The mounter: a process of the daemon's that attaches a mount in a zone that lives, or takes one away there.
//!
//! A mount that the zone's root could make writable again, or let device nodes be opened in, would be the host's loss. So the mounter
//! first attaches it in a mount namespace of the host's, enters the zone's user namespace and copies that namespace: with the copy the
//! kernel locks what each mount forbids (mount_namespaces(7), "Restrictions on mount namespaces"). Of the copy it takes the mount along
//! into the zone's mount namespace. From the zone's user namespace on it is the zone's root and nobody else, so that whatever
//! the zone has put on the way leads it to nothing that the zone does not have anyway. It may hang there, and then is killed.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, UnmountFlags, open_tree, unmount};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, fchdir, set_parent_process_death_signal, umask};
use rustix::thread::{
    LinkNameSpaceType, move_into_link_name_space, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use zone_config::Layout;
use zone_sys::path::in_root_unlinked;
use zone_sys::{process, unix};

use crate::change::Change;
use crate::mounts::{self, workshop};
use crate::zoneroot::{Canonical, Kind};
use crate::{Failed, reach};

/// The hidden option of zoneadmd that makes it the mounter and nothing else.
pub const OPTION: &str = "--mounter";

/// The longest request: a letter and a path.
const LONGEST: usize = 4097;

/// Where the mount is while the mounter has it.
const HELD: &str = "held";

/// What the mounter does next; its number is what it answers with when that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Request = 1,
    Hold,
    Enter,
    Copy,
    Inside,
    Find,
    Make,
    Attach,
    Unmount,
}

const STAGES: [(Stage, &str); 9] = [
    (Stage::Request, "ask for the mount of"),
    (Stage::Hold, "hold the mount of"),
    (Stage::Enter, "enter the zone's user namespace for"),
    (Stage::Copy, "lock the mount of"),
    (Stage::Inside, "enter the zone's mount namespace for"),
    (Stage::Find, "find in the zone"),
    (Stage::Make, "make in the zone"),
    (Stage::Attach, "mount in the zone on"),
    (Stage::Unmount, "unmount in the zone"),
];

type Step<T> = Result<T, (Stage, Errno)>;

fn at(stage: Stage) -> impl Fn(Errno) -> (Stage, Errno) {
    move |errno| (stage, errno)
}

/// What came of an attempt to unmount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmounted {
    /// It is gone.
    Done,
    /// Somebody uses it.
    Busy,
    /// It is of the zone's boot, and the kernel has locked it; or the zone's root has hidden it.
    Locked,
}

/// Attaches a mount in the zone.
pub(super) fn attach(
    change: &Change<'_>,
    mount: BorrowedFd<'_>,
    dir: &Canonical,
    kind: Kind,
) -> Result<(), Failed> {
    let letter = if kind == Kind::Directory { 'd' } else { 'f' };
    ask(change, letter, dir, Some(mount)).map_err(|failure| failed(dir, failure))
}

/// Takes away what is mounted last at a place in the zone, if nobody uses it.
pub(super) fn take(change: &Change<'_>, dir: &Canonical) -> Result<Unmounted, Failed> {
    match ask(change, 'u', dir, None) {
        Ok(()) => Ok(Unmounted::Done),
        Err((Stage::Unmount, Errno::BUSY)) => Ok(Unmounted::Busy),
        // The zone's root may have hidden it, too.
        Err(
            (Stage::Unmount, Errno::INVAL | Errno::NOENT)
            | (Stage::Find, Errno::NOENT | Errno::NOTDIR | Errno::LOOP),
        ) => Ok(Unmounted::Locked),
        Err(failure) => Err(failed(dir, failure)),
    }
}

fn failed(dir: &Canonical, (stage, errno): (Stage, Errno)) -> Failed {
    let operation = STAGES.iter().find(|(known, _)| *known == stage).map_or("mount", |(_, words)| words);
    Failed::to(operation, dir)(errno)
}

/// Has a mounter do something, and gives its answer.
fn ask(change: &Change<'_>, letter: char, dir: &Canonical, mount: Option<BorrowedFd<'_>>) -> Step<()> {
    let fail = at(Stage::Request);
    let namespace = |kind| change.namespace(kind).map_err(|_| (Stage::Inside, Errno::SRCH));
    let (user, mounts) = (namespace("user")?, namespace("mnt")?);
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(&fail)?;
    let limit: Duration = zone_fail::limit(&change.layout.run(), reach::LIMIT);
    set_socket_timeout(&ours, Timeout::Recv, Some(limit)).map_err(&fail)?;
    let mut command = Command::new(Layout::program("zoneadmd"));
    command.arg(OPTION).env_clear().current_dir("/");
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    let mut child = child.map_err(|error| fail(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    // The copy of their end that the command has would keep a dead mounter from being noticed.
    drop(command);
    let request = format!("{letter}{dir}");
    let fds: Vec<BorrowedFd<'_>> = [user.as_fd(), mounts.as_fd()].into_iter().chain(mount).collect();
    let answer =
        unix::send(&ours, request.as_bytes(), &fds).map_err(|error| fail(error.errno())).and_then(|_| {
            let mut bytes = [0; 5];
            match unix::recv(&ours, &mut bytes, RecvFlags::empty()) {
                Ok((5, _)) => decode(bytes),
                Ok(_) => Err((Stage::Request, Errno::PIPE)),
                Err(error) if error.errno() == Errno::AGAIN => Err((Stage::Find, Errno::TIMEDOUT)),
                Err(error) => Err(fail(error.errno())),
            }
        });
    if matches!(answer, Err((_, Errno::TIMEDOUT))) {
        let _ = child.kill();
        // It goes when the kernel lets it, and somebody has to take note.
        std::thread::spawn(move || child.wait());
    } else {
        let _ = child.wait();
    }
    answer
}

fn encode(answer: Step<()>) -> [u8; 5] {
    let (stage, errno) =
        answer.map_or_else(|(stage, errno)| (stage as u8, errno.raw_os_error()), |()| (0, 0));
    let [a, b, c, d] = errno.to_le_bytes();
    [stage, a, b, c, d]
}

fn decode([stage, a, b, c, d]: [u8; 5]) -> Step<()> {
    match STAGES.iter().find(|(known, _)| *known as u8 == stage) {
        Some((stage, _)) => {
            let number = i32::from_le_bytes([a, b, c, d]);
            let known = (1..4096).contains(&number);
            Err((*stage, if known { Errno::from_raw_os_error(number) } else { Errno::IO }))
        }
        None => Ok(()),
    }
}

/// Does what is asked for on the socket that is the standard input, and answers there.
#[must_use]
pub fn run() -> ExitCode {
    let socket = rustix::stdio::stdin();
    let mut request = [0; LONGEST];
    let Ok((length, mut fds)) = unix::recv(socket, &mut request, RecvFlags::empty()) else {
        return ExitCode::FAILURE;
    };
    let answer = encode(serve(&request[..length], &mut fds));
    ExitCode::from(u8::from(unix::send(socket, &answer, &[]).is_err()))
}

fn serve(request: &[u8], fds: &mut unix::Fds) -> Step<()> {
    let malformed = || (Stage::Request, Errno::INVAL);
    let text = std::str::from_utf8(request).map_err(|_| malformed())?;
    let (letter, dir) = text.split_at_checked(1).ok_or_else(malformed)?;
    let dir: Canonical = dir.parse().map_err(|_| malformed())?;
    let (user, inner) = (fds.take(0).ok_or_else(malformed)?, fds.take(1).ok_or_else(malformed)?);
    let fail = at(Stage::Hold);
    dies_with_the_daemon().map_err(&fail)?;
    process::set_dumpable(false).map_err(|error| fail(error.errno()))?;
    umask(Mode::WGRP | Mode::WOTH);
    let kind = match letter {
        "d" => Kind::Directory,
        "f" => Kind::File,
        "u" => {
            enter(&user)?;
            inside(&inner)?;
            return unmount_at(&dir);
        }
        _ => return Err(malformed()),
    };
    let mount = fds.take(2).ok_or_else(malformed)?;
    hold(mount.as_fd(), kind).map_err(&fail)?;
    enter(&user)?;
    let copy = copy()?;
    inside(&inner)?;
    let place = place(&dir, kind)?;
    mounts::attach(copy.as_fd(), place.as_fd()).map_err(at(Stage::Attach))
}

/// A mounter that goes on after the daemon would do what the next one does as well.
fn dies_with_the_daemon() -> Result<(), Errno> {
    set_parent_process_death_signal(Some(Signal::KILL))
}

/// Attaches the mount in a mount namespace of the mounter's own, in a directory that is the working directory then.
fn hold(mount: BorrowedFd<'_>, kind: Kind) -> Result<(), Errno> {
    let place = workshop()?;
    make(place.as_fd(), HELD, kind)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    mounts::attach(mount, openat(&place, HELD, flags, Mode::empty())?.as_fd())
}

fn make(dir: BorrowedFd<'_>, name: &str, kind: Kind) -> Result<(), Errno> {
    match kind {
        Kind::Directory => mkdirat(dir, name, Mode::from_raw_mode(0o755)),
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(dir, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    }
}

/// Becomes the zone's root, and nobody on the host.
fn enter(user: &OwnedFd) -> Step<()> {
    let fail = at(Stage::Enter);
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User)).map_err(&fail)?;
    set_thread_groups(&[]).map_err(&fail)?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(&fail)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(&fail)?;
    // A change of user takes both back.
    process::set_dumpable(false).map_err(|error| fail(error.errno()))?;
    dies_with_the_daemon().map_err(&fail)
}

/// Copies the mount namespace, whose copy the kernel locks, and takes the mount out of the copy.
fn copy() -> Step<OwnedFd> {
    zone_sys::mount::unshare_thread().map_err(|error| (Stage::Copy, error.errno()))?;
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, HELD, flags).map_err(at(Stage::Copy))
}

fn inside(mounts: &OwnedFd) -> Step<()> {
    move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount)).map_err(at(Stage::Inside))
}

fn root() -> Step<OwnedFd> {
    openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(at(Stage::Find))
}

/// Opens where something is to be mounted; what is missing is made.
fn place(dir: &Canonical, kind: Kind) -> Step<OwnedFd> {
    let root = root()?;
    let mut above = in_root_unlinked(&root, ".", OFlags::PATH).map_err(at(Stage::Find))?;
    let mut walked = String::new();
    let components = dir.components();
    for (index, name) in components.iter().enumerate() {
        let wanted = if index + 1 == components.len() { kind } else { Kind::Directory };
        walked = format!("{walked}/{name}");
        let open = || in_root_unlinked(&root, walked.as_str(), OFlags::PATH | OFlags::NOFOLLOW);
        let found = match open() {
            Err(Errno::NOENT) => {
                make(above.as_fd(), name, wanted).map_err(at(Stage::Make))?;
                open()
            }
            found => found,
        };
        above = found.map_err(at(Stage::Find))?;
        let there = FileType::from_raw_mode(fstat(&above).map_err(at(Stage::Find))?.st_mode);
        match (there, wanted) {
            (FileType::Symlink, _) => return Err((Stage::Find, Errno::LOOP)),
            (FileType::Directory, Kind::File) => return Err((Stage::Find, Errno::ISDIR)),
            (FileType::Directory, Kind::Directory) | (_, Kind::File) => {}
            (_, Kind::Directory) => return Err((Stage::Find, Errno::NOTDIR)),
        }
    }
    Ok(above)
}

fn unmount_at(dir: &Canonical) -> Step<()> {
    let Some((name, dirs)) = dir.components().split_last() else {
        return Err((Stage::Request, Errno::INVAL));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let above = in_root_unlinked(root()?, format!("/{}", dirs.join("/")), flags).map_err(at(Stage::Find))?;
    fchdir(&above).map_err(at(Stage::Find))?;
    unmount(name.as_str(), UnmountFlags::NOFOLLOW).map_err(at(Stage::Unmount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_arrives_as_it_was_sent() {
        assert_eq!(decode(encode(Ok(()))), Ok(()));
        for (stage, _) in STAGES {
            assert_eq!(decode(encode(Err((stage, Errno::BUSY)))), Err((stage, Errno::BUSY)));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for request in [&b""[..], b"u", b"urelative", b"x/data", b"d/../etc", b"\xff\xff"] {
            let answer = serve(request, &mut unix::Fds::new());
            assert_eq!(answer, Err((Stage::Request, Errno::INVAL)), "{request:?}");
        }
    }
}
