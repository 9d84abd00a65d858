//! Seeing the end of a zone, through reboots of the zone and the ends of its daemons.

use std::time::Duration;

use zone_config::{Layout, State, ZoneName};
use zone_door::{CallError, Client, Event};

use crate::machine::Machine;

/// How long a daemon may take to answer; it answers at once.
const ANSWER: Duration = Duration::from_secs(10);
/// How often to look again while nothing can be waited for: a daemon that is at it, or is to come.
const PAUSE: Duration = Duration::from_millis(200);
/// For how long a zone must be without a daemon and without a process to be over: a daemon that is killed in a reboot is
/// followed by another, which goes on with it.
const LOOKS: u32 = 5;

/// Returns when the zone is below ready and nobody is about to change that. Whenever it may be another incarnation, `machine` is
/// told to look.
pub(crate) fn until_over(layout: &Layout, zone: &ZoneName, machine: &mut Machine<'_>) {
    let run = layout.zone_run(zone);
    loop {
        machine.follow();
        if let Ok(events) = Client::connect(&run).and_then(Client::monitor) {
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

/// Whether there is nothing of the zone; asked until it can be told.
fn is_over(layout: &Layout, zone: &ZoneName) -> bool {
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
