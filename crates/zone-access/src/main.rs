//! `zone-access`: lets users who are not root administer and enter the zones that are theirs.
//!
//! Root's sockets stay where nobody else gets. This program has one of its own, which everybody may connect to, and makes
//! a process for each connection, which takes one call, sees by the kernel's word who calls and by the configuration what
//! that user may do, and does it as root would with zoneadm and zlogin: started by this program, with nothing of the
//! caller's but what the call says.
//!
//! | module | is |
//! |---|---|
//! | `listen` | the socket, and a process for each caller |
//! | `callers` | how many there may be, and who gives way |
//! | `rights` | the table: which right each call wants, and who has which |
//! | `arguments` | a call in the words of `zoneadm` |
//! | `act` | one call, from its first byte to its last |
//! | `follow` | a program that prints as it goes, for as long as its caller listens |
#![forbid(unsafe_code)]

mod act;
mod arguments;
mod callers;
mod follow;
mod listen;
mod rights;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use zone_config::Layout;
use zone_sys::Chain;

const USAGE: &str = "zone-access: usage: zone-access [-R ROOT], as root; systemd or an init script starts it";

/// What it exits with when the command line makes no sense.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    if zone_sys::stdio::asked_for_version("zone-access", env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    // What systemd gives is number 3, and to be taken before anything is opened.
    let given = listen::given();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let root = match args.as_slice() {
        [] => None,
        [option, root] if option == "-R" => Some(PathBuf::from(root)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    let layout = match Layout::new(root) {
        Ok(layout) => layout,
        Err(error) => {
            let code = fail(&error);
            return if error.is_usage() { ExitCode::from(USAGE_ERROR) } else { code };
        }
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("zone-access: You lack sufficient privilege to run this command (all privs required)");
        return ExitCode::FAILURE;
    }
    // Nothing is to depend on where it was started.
    let _ = std::env::set_current_dir("/");
    match listen::serve(given, &layout) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("zone-access: {}", Chain(error));
    ExitCode::FAILURE
}
