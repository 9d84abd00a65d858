//! The end of the zone: ask everybody, wait for them, end what is left, call `reboot(2)`.

use crate::processes;
use crate::request::Request;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, wait,
};
use std::time::{Duration, Instant};
use zone_sys::signal;

/// How long processes may take to end after they were asked. It is a limit, not a delay: when all
/// are gone, nothing is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Processes watched at a time; bounded by the usual limit of 1024 open files.
const WATCHED: usize = 500;

/// Ends the zone. Returns only if the kernel refuses, with its reason.
pub(crate) fn run(mut request: Request, signals: &OwnedFd) -> Errno {
    signal_all(Signal::TERM);
    // Interactive shells ignore SIGTERM; this is what they get when their terminal goes.
    for login in processes::others().iter().filter(|process| process.login) {
        let _ = kill_process(login.pid, Signal::HUP);
    }
    // A stopped process acts on neither until it goes on.
    signal_all(Signal::CONT);
    if let Some(other) = wait_for_all(signals, Instant::now() + GRACE) {
        // Asked a second time: no more patience.
        request = other;
    }
    signal_all(Signal::KILL);
    // No sync(2): the file systems are the host's, which goes on.
    match rustix::system::reboot(request.command()) {
        Ok(()) => Errno::INVAL,
        Err(errno) => errno,
    }
}

/// Sends to every process of the zone but this one: `kill(-1)`, which is how process group 1 is
/// addressed.
fn signal_all(signal: Signal) {
    // Nobody there is as good as everybody told.
    let _ = kill_process_group(Pid::INIT, signal);
}

/// Waits until no process is left, `deadline` has come, or another request (returned) has.
///
/// Those that came in by zlogin are no children of ours, so `SIGCHLD` would not tell of them.
fn wait_for_all(signals: &OwnedFd, deadline: Instant) -> Option<Request> {
    loop {
        reap();
        let mut watched: Vec<OwnedFd> = processes::others()
            .iter()
            .filter(|process| !process.zombie)
            .take(WATCHED)
            .filter_map(|process| pidfd_open(process.pid, PidfdFlags::empty()).ok())
            .collect();
        if watched.is_empty() {
            return None;
        }
        while !watched.is_empty() {
            let left = deadline.checked_duration_since(Instant::now())?;
            let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(watched.len() + 1);
            fds.push(PollFd::new(signals, PollFlags::IN));
            fds.extend(watched.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
            let mut ended =
                fds[1..].iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
            watched.retain(|_| !ended.next().unwrap_or(true));
            while let Ok(Some((number, _))) = signal::read(signals) {
                if let Some(request) = Request::of_signal(number) {
                    return Some(request);
                }
            }
            reap();
        }
    }
}

/// Reaps every child that has ended; says which and with what status, newest last.
pub(crate) fn reap() -> Vec<Pid> {
    let mut ended = Vec::new();
    while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
        ended.push(pid);
    }
    ended
}
