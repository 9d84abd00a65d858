//! The generator of the zones' units (systemd.generator(7)): run by systemd when the host boots and at every
//! `systemctl daemon-reload`, before any unit is started.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use zone_config::Layout;
use zone_sys::Chain;

fn main() -> ExitCode {
    if zone_sys::stdio::asked_for_version("zone-generator", env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    // systemd gives three folders; the first is of the usual precedence. Standard error goes to the host's log.
    let Some(normal) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!(
            "zone-generator: usage: zone-generator NORMAL-DIR [EARLY-DIR LATE-DIR], as systemd runs it"
        );
        return ExitCode::from(2);
    };
    match zone_generator::generate(&Layout::host(), &normal, |problem| eprintln!("zone-generator: {problem}"))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zone-generator: {}", Chain(&error));
            ExitCode::FAILURE
        }
    }
}
