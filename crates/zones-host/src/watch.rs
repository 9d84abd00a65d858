//! Seeing the end of a zone, through reboots of the zone and the ends of its daemons. As long as its first process lives, that alone is
//! waited for: a daemon may leave meanwhile, and is not needed for this. With it the zone's zsched is, whose end nobody else sees when
//! no daemon is there.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use zone_config::{Layout, State, ZoneName};
use zone_door::{CallError, Client, Event};
use zone_live::Fate;
use zone_start::Missed;
use zsched::wire::Status;

use crate::machine::Machine;
use crate::say;

/// How long a daemon may take to answer; it answers at once.
const ANSWER: Duration = Duration::from_secs(10);
/// How often to look again while nothing can be waited for: a daemon that is at it, or is to come.
const PAUSE: Duration = Duration::from_millis(200);
/// How often at least while no zsched can be had.
const LONGEST: Duration = Duration::from_secs(30);
/// For how long a zone must be without a daemon and without a process to be over: a daemon that is killed in a reboot is
/// followed by another, which goes on with it.
const LOOKS: u32 = 5;

/// Returns when the zone is below ready and nobody is about to change that. Whenever it may be another incarnation, `machine` is
/// told to look. When its zsched is killed it sees to it that a daemon is there, which starts another.
pub(crate) fn until_over(layout: &Layout, zone: &ZoneName, machine: &mut Machine<'_>) {
    let run = layout.zone_run(zone);
    let mut pause = PAUSE;
    loop {
        // Before machined is told: of what comes to live after that this would not be the first process.
        let live = Live::find(layout, zone);
        machine.follow();
        if let Some(live) = live {
            pause = if live.zsched.is_some() { PAUSE } else { (pause * 2).min(LONGEST) };
            live.wait(pause);
            if live.is_left_alone(layout, zone) {
                look_after(layout, zone);
            }
        } else if let Ok(events) = Client::connect(&run).and_then(Client::monitor) {
            for event in events {
                match event {
                    Ok(Event::State { state, .. }) if state >= State::Ready => machine.follow(),
                    Ok(Event::State { .. } | Event::Lost { .. }) if is_over(layout, zone) => return,
                    Ok(_) => {}
                    // The daemon has gone: another may come.
                    Err(_) => break,
                }
            }
        }
        if is_over(layout, zone) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// A zone of which the first process lives, and there is nothing to hinder to wait for it.
struct Live {
    first: OwnedFd,
    /// Its zsched, if it has one.
    zsched: Option<OwnedFd>,
}

impl Live {
    fn find(layout: &Layout, zone: &ZoneName) -> Option<Self> {
        let number = zone_live::ask(layout, zone, ANSWER).ok()??.keeper;
        let zsched = Pid::from_raw(number).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let (status, fds) = zone_live::enter(layout, zone, ANSWER).ok()?;
        let status = status.filter(Status::lives)?;
        // The number was its own all the time if it still answers: nobody has taken it over in between.
        Some(Self { first: fds?.pidfd, zsched: zsched.filter(|_| status.keeper == number) })
    }

    /// Waits until the first process or zsched has ended; for so long at most where there is no zsched.
    fn wait(&self, pause: Duration) {
        let limit = if self.zsched.is_none() { Timespec::try_from(pause).ok() } else { None };
        let fds = std::iter::once(&self.first).chain(&self.zsched);
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        while poll(&mut fds, limit.as_ref()) == Err(Errno::INTR) {}
    }

    /// Whether there is something of the zone that has no zsched.
    fn is_left_alone(&self, layout: &Layout, zone: &ZoneName) -> bool {
        let mut fds: Vec<_> = self.zsched.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let lives = !fds.is_empty() && poll(&mut fds, Some(&Timespec::default())) == Ok(0);
        // Whoever takes a zone down lets its zsched go in the end, and has removed the record by then.
        !lives && !matches!(zone_live::fate(layout, zone), Fate::Unknown)
    }
}

/// Sees to it that a daemon looks after the zone: the one that is there, or one that is started. That none can be is tried again.
fn look_after(layout: &Layout, zone: &ZoneName) {
    let answered = || -> Result<(), Box<CallError>> {
        let mut client = Client::connect(&layout.zone_run(zone))?;
        client.set_timeout(Some(ANSWER))?;
        client.status()?;
        Ok(())
    };
    let attempt = || {
        answered().map_err(|cause| match *cause {
            CallError::NotListening { .. } => Missed::NotListening(cause),
            CallError::Gone => Missed::Gone(cause),
            _ => Missed::Final(cause),
        })
    };
    if zone_start::reach(layout, zone, say, attempt).is_err() {
        say(&format!("zone '{zone}' has no zsched, and no zoneadmd that starts another"));
    }
}

/// Whether there is nothing of the zone; asked until it can be told.
pub(crate) fn is_over(layout: &Layout, zone: &ZoneName) -> bool {
    let mut looks = 0;
    loop {
        match from_daemon(layout, zone) {
            Some(Seen::Up) => return false,
            Some(Seen::Down) => return true,
            Some(Seen::Changing) => looks = 0,
            None => match zone_live::ask(layout, zone, ANSWER) {
                Ok(None) if looks >= LOOKS => return true,
                Ok(None) => looks += 1,
                Ok(Some(_)) | Err(_) => return false,
            },
        }
        std::thread::sleep(PAUSE);
    }
}

/// What a daemon says.
enum Seen {
    Up,
    Down,
    /// Down, and at an operation that may change that.
    Changing,
}

/// Asks the daemon; `None` if there is none that answers.
fn from_daemon(layout: &Layout, zone: &ZoneName) -> Option<Seen> {
    let asked = || -> Result<Seen, Box<CallError>> {
        let mut client = Client::connect(&layout.zone_run(zone))?;
        client.set_timeout(Some(ANSWER))?;
        let status = client.status()?;
        Ok(match status.operation {
            _ if status.state >= State::Ready => Seen::Up,
            Some(_) => Seen::Changing,
            None => Seen::Down,
        })
    };
    asked().ok()
}
