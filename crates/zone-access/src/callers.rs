//! The processes of callers: how many there may be, and who gives way.
//!
//! Users can have as many uids as they have subordinate ones, so a bound for each uid alone bounds nobody. Who has been found to
//! have a right is somebody whom root has named, and counts among all of these; who has not yet been can be anybody, and
//! takes no place of theirs.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

/// So many connections of one user there are at once; root has no bound but that of all.
const EACH: usize = 16;
/// So many of all users who have a right.
const ALL: usize = 256;
/// So many of callers of whom that is not known yet; the oldest gives way to the next.
const ASKING: usize = 64;
/// So long none of these gives way: an honest call has arrived and been looked at by then. Who connects meanwhile waits.
const GRACE: Duration = Duration::from_millis(500);

/// The callers' processes, the oldest first.
#[derive(Default)]
pub(crate) struct Callers(Vec<Child>);

struct Child {
    pidfd: OwnedFd,
    uid: u32,
    stage: Stage,
}

/// How far a call has come.
enum Stage {
    /// Nobody knows whether its caller may: since when, and where the process tells that it does ([`allowed`]).
    Asking { since: Instant, told: OwnedFd },
    /// Its caller may do what was asked for.
    Allowed,
    /// It ends.
    Ending,
}

/// Tells the parent that the caller has a right. It may have ended by now, and then nobody counts.
pub(crate) fn allowed(tell: &OwnedFd) {
    let _ = rustix::io::write(tell, b".");
}

impl Callers {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the process of a caller, with the end at which it is heard, which is not waited for.
    pub(crate) fn add(&mut self, pidfd: OwnedFd, uid: u32, told: OwnedFd) {
        self.0.push(Child { pidfd, uid, stage: Stage::Asking { since: Instant::now(), told } });
    }

    /// Why a caller gets no process, if that is so.
    pub(crate) fn no_room(&self, uid: u32) -> Option<String> {
        let of_user = |child: &&Child| child.uid == uid && !matches!(child.stage, Stage::Ending);
        let allowed = self.0.iter().filter(|child| matches!(child.stage, Stage::Allowed)).count();
        no_room(uid, self.0.iter().filter(of_user).count(), allowed)
    }

    /// How long nobody is to be accepted yet.
    pub(crate) fn full_for(&self, now: Instant) -> Option<Duration> {
        let oldest = self.asking().nth(ASKING - 1).and(self.asking().next())?;
        GRACE.checked_sub(now.saturating_duration_since(*oldest)).filter(|left| !left.is_zero())
    }

    /// Makes room for one more of whom nothing is known.
    pub(crate) fn make_room(&mut self) {
        if self.asking().nth(ASKING - 1).is_none() {
            return;
        }
        let oldest = self.0.iter_mut().find(|child| child.is_asking());
        if let Some(child) = oldest {
            // It may have told just now.
            child.listen();
            if child.is_asking() {
                let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
                child.stage = Stage::Ending;
            }
        }
    }

    fn asking(&self) -> impl Iterator<Item = &Instant> {
        self.0.iter().filter_map(|child| match &child.stage {
            Stage::Asking { since, .. } => Some(since),
            _ => None,
        })
    }

    /// Adds what is to be waited for.
    pub(crate) fn poll<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        for child in &self.0 {
            fds.push(PollFd::new(&child.pidfd, PollFlags::IN));
            if let Stage::Asking { told, .. } = &child.stage {
                fds.push(PollFd::new(told, PollFlags::IN));
            }
        }
    }

    /// Takes what `poll(2)` said of the entries of [`Self::poll`]: who has ended is reaped. Whether any has.
    pub(crate) fn heard(&mut self, mut events: impl Iterator<Item = PollFlags>) -> bool {
        let mut ready = || events.next().is_some_and(|events| !events.is_empty());
        let before = self.0.len();
        self.0.retain_mut(|child| {
            let ended = ready();
            if child.is_asking() && ready() {
                child.listen();
            }
            if ended {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
                let _ = waitid(WaitId::PidFd(child.pidfd.as_fd()), options);
            }
            !ended
        });
        self.0.len() < before
    }
}

impl Child {
    fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking { .. })
    }

    /// Hears whether it has told something, or never will: it was refused, or has ended.
    fn listen(&mut self) {
        let Stage::Asking { told, .. } = &self.stage else { return };
        match rustix::io::read(told, &mut [0; 1]) {
            Ok(0) => self.stage = Stage::Ending,
            Ok(_) => self.stage = Stage::Allowed,
            Err(_) => {}
        }
    }
}

/// Why a caller gets no process whose user has so many, if that is so.
fn no_room(uid: u32, of_user: usize, allowed: usize) -> Option<String> {
    if of_user >= EACH && uid != 0 {
        return Some(format!("user {uid} has {EACH} calls and sessions in zones already: end one first"));
    }
    (allowed >= ALL)
        .then(|| format!("all users together have {ALL} calls and sessions in zones: try again later"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::poll;
    use rustix::pipe::{PipeFlags, pipe_with};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    #[test]
    fn one_user_does_not_take_the_place_of_others() {
        assert_eq!(no_room(1000, EACH - 1, ALL - 1), None);
        assert!(no_room(1000, EACH, 20).unwrap().contains("user 1000"));
        assert_eq!(no_room(0, EACH, 20), None);
        for uid in [0, 1001] {
            assert!(no_room(uid, 0, ALL).unwrap().contains("all users"));
        }
    }

    #[allow(clippy::zombie_processes)] // reaped by its pidfd, or with the test
    fn process(script: &str) -> OwnedFd {
        let child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap()
    }

    /// Waits for the next that is heard; whether a process has ended.
    fn hear(callers: &mut Callers) -> bool {
        let mut fds = Vec::new();
        callers.poll(&mut fds);
        poll(&mut fds, None).unwrap();
        let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
        callers.heard(events.into_iter())
    }

    /// Adds one; gives the end at which it tells.
    fn add(callers: &mut Callers, pidfd: &OwnedFd, uid: u32) -> OwnedFd {
        let (told, tell) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        callers.add(pidfd.try_clone().unwrap(), uid, told);
        tell
    }

    #[test]
    fn the_oldest_gives_way_of_those_who_may_be_anybody() {
        let (now, mut callers) = (Instant::now(), Callers::default());
        let (lasting, oldest) = (process("exec sleep 1000"), process("exec sleep 1000"));
        // A session is nobody's to take, however many ask.
        let known = add(&mut callers, &lasting, 1000);
        allowed(&known);
        assert!(!hear(&mut callers));
        let _first = add(&mut callers, &oldest, 1001);
        let mut asking: Vec<OwnedFd> =
            (2002..).take(ASKING - 1).map(|uid| add(&mut callers, &lasting, uid)).collect();
        assert_eq!(callers.full_for(now), Some(GRACE));
        assert_eq!(callers.full_for(Instant::now() + GRACE), None);
        callers.make_room();
        assert!(hear(&mut callers), "the first has ended");
        assert_eq!((callers.0.len(), callers.full_for(now)), (ASKING, None));
        callers.make_room();
        assert_eq!(callers.asking().count(), ASKING - 1, "there is room");
        // One that has told and was not heard yet stays.
        asking.push(add(&mut callers, &lasting, 3001));
        allowed(&asking[0]);
        callers.make_room();
        assert_eq!((callers.0.len(), callers.asking().count()), (ASKING + 1, ASKING - 1));
        // Who is refused takes no place while it ends.
        asking.pop();
        assert!(!hear(&mut callers));
        assert_eq!(callers.asking().count(), ASKING - 2);
        pidfd_send_signal(&lasting, Signal::KILL).unwrap();
    }

    #[test]
    fn a_session_counts_for_its_user_and_for_all() {
        let (mut callers, lasting) = (Callers::default(), process("exec sleep 1000"));
        for _ in 0..EACH {
            allowed(&add(&mut callers, &lasting, 1000));
        }
        assert!(callers.no_room(1000).unwrap().contains("user 1000"));
        for uid in (2001..).take(ALL - EACH) {
            assert_eq!(callers.no_room(uid), None);
            allowed(&add(&mut callers, &lasting, uid));
            assert!(!hear(&mut callers));
        }
        assert!(callers.no_room(3001).unwrap().contains("all users"));
        pidfd_send_signal(&lasting, Signal::KILL).unwrap();
    }
}
