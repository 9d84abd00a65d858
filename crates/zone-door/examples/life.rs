//! Leads an installed zone through a life by its door: boot, ready, reboot, shutdown.
//!
//! ```sh
//! cargo run -p zone-door --example life -- web
//! ```
//!
//! As root; `ZONES_ROOT` and the `PATH`, for zoneadmd, are those of the caller. `life.py` beside it does the same with nothing of ours.

use std::path::Path;
use std::process::{Command, ExitCode};

use zone_config::{Layout, ZoneName};
use zone_door::{CallError, Client, DoorError, Event, ReadyState, Request, State};

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(zone) = std::env::args().nth(1) else {
        eprintln!("usage: life ZONE");
        return ExitCode::from(2);
    };
    match life(&zone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("life: zone '{zone}': {error}");
            ExitCode::FAILURE
        }
    }
}

fn life(name: &str) -> Result<(), Failed> {
    let name: ZoneName = name.parse()?;
    let run_dir = Layout::new(None)?.zone_run(&name);

    let mut tries = 0;
    let mut door = loop {
        tries += 1;
        match boot(&name, &run_dir) {
            // The daemon of a zone that is down waits two seconds for its first operation, and then leaves.
            Err(error) if tries < 10 && has_gone(&error) => {}
            booted => break booted?,
        }
    };
    until_ready(&mut door, &run_dir)?;
    println!("it is ready");

    let first = door.status()?.uniqid;
    let reboot =
        || Request::Reboot { bootargs: String::new(), uniqid: first, writable: false, locale: String::new() };
    door.call_for_result(&reboot())?;
    // What was meant for the zone as it was does nothing to the zone as it is.
    match door.call_for_result(&reboot()) {
        Err(CallError::Door(DoorError::StaleUniqid { .. })) => println!("it was rebooted, once"),
        other => return Err(format!("a second reboot of the first incarnation: {other:?}").into()),
    }

    let shutdown = Request::Shutdown {
        timeout: Some(30),
        reboot: false,
        bootargs: String::new(),
        uniqid: None,
        locale: String::new(),
    };
    // The daemon leaves when the zone is down. How that ended is told before, to those who listen.
    let mut events = Client::connect(&run_dir)?.monitor()?;
    events.next().ok_or("the daemon has gone")??;
    let result = door.call_for_result(&shutdown)?;
    for event in events {
        if let Event::Exit { exit } = event? {
            println!("it is {}: {:?}", result.state, exit.how);
            return Ok(());
        }
    }
    Err("nobody knows how it ended".into())
}

/// Starts the daemon and has it boot the zone.
fn boot(name: &ZoneName, run_dir: &Path) -> Result<Client, Failed> {
    // It returns when the daemon serves, and does nothing more where there is one.
    if !Command::new("zoneadmd").args(["-z", name.as_str()]).status()?.success() {
        return Err("zoneadmd does not start".into());
    }
    let mut door = Client::connect(run_dir)?;
    let state = door.status()?.state;
    if state != State::Installed {
        return Err(format!("it is {state}, and has to be installed, and down").into());
    }
    let boot = Request::Boot { bootargs: String::new(), writable: false, locale: String::new() };
    let mut steps = 0;
    let result = door.call(&boot, |progress| steps += usize::from(progress.step.is_some()))?;
    println!("it is {}, after {steps} steps", result.state);
    Ok(door)
}

/// Whether the daemon has left before it could answer.
fn has_gone(error: &Failed) -> bool {
    matches!(error.downcast_ref(), Some(CallError::Gone | CallError::NotListening { .. }))
}

/// Waits until the zone is ready, by the events of a second connection.
fn until_ready(door: &mut Client, run_dir: &Path) -> Result<(), Failed> {
    let mut events = Client::connect(run_dir)?.monitor()?;
    // The first event is the state at that moment: what becomes of it from then on is not missed.
    events.next().ok_or("the daemon has gone")??;
    if door.status()?.readiness.is_some_and(|readiness| readiness.state == ReadyState::Ready) {
        return Ok(());
    }
    for event in events {
        match event? {
            Event::Ready { .. } => return Ok(()),
            Event::Exit { .. } => break,
            _ => {}
        }
    }
    Err("it ended before it was ready".into())
}
