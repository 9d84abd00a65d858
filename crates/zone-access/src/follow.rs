//! A program that prints as it goes, for as long as its caller listens: the caller gets the near ends of its output, so that
//! nothing is kept here, and who does not read holds up nobody but that program.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use zone_config::Layout;
use zone_config::file::{self, FileError, FileLock};
use zone_door::Caller;
use zone_door::access::{Answer, Ended, Refusal, reply};

use crate::act::{begun, failed};

/// So many of these one user can have at a time. Each holds a connection to the daemon of every zone that it follows, of which a
/// daemon has 64 for all.
const EACH: usize = 4;
/// So many all users together.
const ALL: usize = 16;

/// Runs it until it ends, or its caller has gone.
pub(crate) fn run(
    stream: &mut UnixStream,
    layout: &Layout,
    caller: Caller,
    mut command: Command,
) -> Result<(), Refusal> {
    let room = Room::take(layout, caller.uid)?;
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        started.map_err(|error| failed(format!("could not run zoneadm: {}", zone_sys::Chain(&error))))?;
    let ended = see(stream, &mut child);
    room.leave();
    if let Some(ended) = ended {
        let _ = stream.write_all(&reply(&Answer::Ended(ended), false));
    }
    Ok(())
}

/// Sees the program through; `None` if the caller has gone, and then it has been ended.
fn see(stream: &mut UnixStream, child: &mut Child) -> Option<Ended> {
    let ends = child.stdout.take().zip(child.stderr.take());
    // Not reaped yet: the number is its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let told = ends.is_some_and(|(out, err)| begun(stream, None, &[out.as_fd(), err.as_fd()]));
    let stays = told && process.as_ref().is_some_and(|process| until_over(stream, process));
    if !stays {
        match &process {
            Some(process) => drop(pidfd_send_signal(process, Signal::KILL)),
            None => drop(child.kill()),
        }
    }
    let status = child.wait().ok()?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    stays.then_some(Ended { status: status.code(), signal, gone: false })
}

/// Waits; `false` if the caller went first. What the caller says meanwhile means nothing.
fn until_over(stream: &mut UnixStream, process: &OwnedFd) -> bool {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
    loop {
        let mut fds = [PollFd::new(stream, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let (heard, ended) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if ended {
            return true;
        }
        if !heard {
            continue;
        }
        match stream.read(&mut [0; 256]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return false,
        }
    }
}

/// A place among those of the user, and among those of all. They are locks, which the kernel gives back however this ends.
struct Room([FileLock; 2]);

impl Room {
    fn take(layout: &Layout, uid: u32) -> Result<Self, Refusal> {
        let lost = |error: FileError| failed(zone_sys::Chain(&error).to_string());
        file::make_dir(&layout.run(), 0o700).map_err(lost)?;
        let one = |name: &str, most: usize| {
            (0..most)
                .map(|number| FileLock::try_take(&layout.run().join(format!("{name}.{number}.lock"))))
                .find(|taken| !matches!(taken, Ok(None)))
                .transpose()
                .map(Option::flatten)
        };
        let own = one(&format!("zone-access.follow.{uid}"), EACH).map_err(lost)?;
        let own = own.ok_or_else(|| {
            failed(format!("user {uid} follows zones {EACH} times already: end one of these first"))
        })?;
        match one("zone-access.follow", ALL).map_err(lost)? {
            Some(shared) => Ok(Self([own, shared])),
            None => {
                own.discard();
                Err(failed(format!("all users together follow zones {ALL} times: try again later")))
            }
        }
    }

    /// Gives the place back, and leaves no file.
    fn leave(self) {
        self.0.into_iter().for_each(FileLock::discard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_does_not_take_the_place_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let said =
            |uid| Room::take(&layout, uid).err().map(|refused| refused.to_string()).unwrap_or_default();
        let mut rooms: Vec<Room> = (0..EACH).map(|_| Room::take(&layout, 1000).unwrap()).collect();
        assert!(said(1000).starts_with("user 1000 follows zones 4 times already"));
        let users = 1001..1001 + u32::try_from(ALL / EACH - 1).unwrap();
        for uid in users.clone() {
            rooms.extend((0..EACH).map(|_| Room::take(&layout, uid).unwrap()));
        }
        assert!(said(users.end).starts_with("all users together follow zones 16 times"));
        rooms.pop().unwrap().leave();
        rooms.push(Room::take(&layout, users.end).unwrap());
        rooms.into_iter().for_each(Room::leave);
        let left: Vec<_> = std::fs::read_dir(layout.run()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn it_ends_with_its_caller() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let spawn = |script: &str| {
            Command::new("sh")
                .args(["-c", script])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        assert_eq!(see(&mut near, &mut spawn("exit 7")), Some(Ended { status: Some(7), ..Ended::default() }));
        let mut endless = spawn("exec sleep 1000");
        drop(far);
        assert_eq!(see(&mut near, &mut endless), None);
    }
}
