//! `zsched NAME ZONEADMD ROOT`: keeps the zone NAME. Started by zoneadmd only, with its socket, the
//! daemon's connection, the console's pty pair and the memfd of the kept output as descriptors 3 to 7.
#![forbid(unsafe_code)]

mod builder;
mod clients;
mod create;
mod first;
mod keeper;
mod namespaces;
mod report;
mod steps;
mod tracer;
mod upcall;
mod userns;
mod zone;

use rustix::time::{ClockId, clock_gettime};
use std::process::ExitCode;
use zone_ring::Ring;
use zone_sys::clone::SingleThreaded;
use zone_sys::process::inherited;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(zoneadmd), Some(root)) = (args.next(), args.next(), args.next()) else {
        eprintln!(
            "Usage: zsched zonename\n\tNote: zsched is started by zoneadmd and should not be run directly."
        );
        return ExitCode::from(2);
    };
    match start(&name, &zoneadmd, &root) {
        Some(keeper) => {
            keeper.run();
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("zsched: zone '{name}': not started by zoneadmd");
            ExitCode::FAILURE
        }
    }
}

fn start(name: &str, zoneadmd: &str, root: &str) -> Option<keeper::Keeper> {
    let proof = SingleThreaded::assert().ok()?;
    let (listener, daemon) = (inherited(3)?, inherited(4)?);
    let (manager, subsidiary) = (inherited(5)?, inherited(6)?);
    // To be read only: it is the daemon's to write until its connection ends.
    let ring = Ring::open(inherited(7)?).ok()?;
    zone_sys::process::cloexec_from(3).ok()?;
    zone_sys::signal::ignore(zone_sys::signal::SIGPIPE);
    // A terminal's hangup or an operator's ^C must never reach the keeper.
    zone_sys::signal::ignore(zone_sys::signal::SIGHUP);
    zone_sys::signal::ignore(zone_sys::signal::SIGINT);
    let upcall = upcall::Upcall::new(name, zoneadmd, root)?;
    Some(keeper::Keeper::new(proof, listener, daemon, keeper::Console { manager, subsidiary, ring }, upcall))
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
