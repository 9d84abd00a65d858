//! `zsched NAME ZONEADMD ROOT`: keeps the zone NAME. Started by zoneadmd only, with the descriptors of `zsched::launch`.
#![forbid(unsafe_code)]

mod builder;
mod clients;
mod create;
mod first;
mod keeper;
mod namespaces;
mod report;
mod restraint;
mod sockets;
mod steps;
mod tracer;
mod upcall;
mod userns;
mod window;
mod zone;

use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::process::ExitCode;
use window::Window;
use zone_ring::Ring;
use zone_sys::clone::SingleThreaded;
use zone_sys::process::inherited;
use zone_sys::signal::{SIGHUP, SIGINT, SIGPWR, SIGQUIT, SIGUSR1, SIGUSR2};
use zsched::launch::{self, Arguments};

fn main() -> ExitCode {
    if zone_sys::stdio::asked_for_version("zsched", env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = Arguments::parse(std::env::args().skip(1)) else {
        eprintln!(
            "Usage: zsched zonename\n\tNote: zsched is started by zoneadmd and should not be run directly."
        );
        return ExitCode::from(2);
    };
    match start(&arguments) {
        Some(keeper) => {
            keeper.run();
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("zsched: zone '{}': not started by zoneadmd", arguments.zone);
            ExitCode::FAILURE
        }
    }
}

#[inline(never)]
fn start(arguments: &Arguments) -> Option<keeper::Keeper> {
    let proof = SingleThreaded::assert().ok()?;
    let (listener, daemon) = (inherited(launch::LISTENER)?, inherited(launch::DAEMON)?);
    let (manager, subsidiary) = (inherited(launch::MANAGER)?, inherited(launch::SUBSIDIARY)?);
    // To be read only: it is the daemon's to write until its connection ends.
    let ring = Ring::open(inherited(launch::RING)?).ok()?;
    let lock = inherited(launch::LOCK);
    zone_sys::process::cloexec_from(launch::LISTENER.unsigned_abs()).ok()?;
    zone_sys::signal::ignore(zone_sys::signal::SIGPIPE);
    // A terminal's hangup, an operator's ^C and what is sent by accident must never reach the keeper. SIGTERM ends it.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPWR] {
        zone_sys::signal::ignore(signal);
    }
    zone_fail::arm("zsched", || Path::new(&arguments.root).join("run/zones").join(&arguments.zone));
    let upcall = upcall::Upcall::new(arguments)?;
    let console = keeper::Console { manager, subsidiary, ring };
    keeper::Keeper::new(proof, listener, daemon, console, upcall, Window::new(lock)).ok()
}

/// Seconds since the epoch.
fn seconds() -> u64 {
    clock_gettime(ClockId::Realtime).tv_sec.unsigned_abs()
}

/// Nanoseconds since the epoch.
fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
