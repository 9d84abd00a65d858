//! `zoneadmd -z NAME [-R ROOT]`: the daemon of one zone. It may be killed at any instruction; what it
//! knows it asks of zsched and reads from disk.
#![forbid(unsafe_code)]

mod at_work;
mod audit;
mod blocking;
mod daemon;
mod dhcp;
mod ending;
mod error;
mod exclusive;
mod external;
mod halts;
mod handshake;
mod incarnations;
mod init_lasts;
mod internal;
mod known_readiness;
mod last_words;
mod log;
mod log_level;
mod lxcfs;
mod matrix;
#[cfg(test)]
mod model;
mod oom;
mod operate;
mod operation_lock;
mod pending;
mod readable;
mod readiness;
mod recover;
mod rest;
mod serve;
mod shutdown;
mod shutdown_state;
mod slot;
mod sockets;
mod started;
mod startup;
mod stuck;
mod systemd;
mod timer;
mod upcall;
mod watches;
mod wish;

use std::process::ExitCode;
use zsched::daemon::CommandLine;

fn main() -> ExitCode {
    if let Some(code) = zone_fail::ask(zone_platform::failpoints) {
        return code;
    }
    if let Some(code) = helper() {
        return code;
    }
    if zone_sys::stdio::asked_for_version("zoneadmd", env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    let Some(CommandLine { zone, root }) = CommandLine::parse(std::env::args_os().skip(1)) else {
        eprintln!("Usage: zoneadmd -z zonename\n\tNote: zoneadmd should not be run directly.");
        return ExitCode::from(2);
    };
    match startup::start(&zone, root) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", zone_sys::Chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// What the daemon has a process of its own do, because it may hang.
fn helper() -> Option<ExitCode> {
    let words: Vec<std::ffi::OsString> = std::env::args_os().skip(1).take(3).collect();
    match words.as_slice() {
        [option, path] if option == zone_platform::reach::OPTION => {
            zone_platform::reach::touch(path.as_ref());
            Some(ExitCode::SUCCESS)
        }
        [option] if option == zone_platform::filesystems::mounter::OPTION => {
            Some(zone_platform::filesystems::mounter::run())
        }
        _ => None,
    }
}
