//! The PID and mount namespaces of the suite, and those of each test in it: whatever is started in them ends with
//! their process 1, and no mount of theirs is seen outside. A test has a network namespace of its own as well, where it
//! plays the host: two tests never meet on a link, a port or a rule, and none meets the machine's.

use rustix::process::{WaitOptions, wait};
use std::io;
use std::process::{Command, ExitCode};

/// Says in the environment of a test's supervisor, and of the test, that the network namespace is the test's.
const OWN_NETWORK: &str = "ZONES_SUITE_OWN_NETWORK";

/// This program, to be executed in new namespaces as their process 1; it is killed when the caller is. With
/// `own_network` the network is one of them.
///
/// # Errors
/// When this program's own path cannot be read.
pub fn command(own_network: bool) -> io::Result<Command> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if own_network {
        unshare.arg("--net").env(OWN_NETWORK, "1");
    }
    unshare.arg(std::env::current_exe()?);
    Ok(unshare)
}

/// Whether the network namespace is the test's own, and what is in it the test's doing.
#[must_use]
pub fn own_network() -> bool {
    std::env::var_os(OWN_NETWORK).is_some()
}

/// Sets the loopback up of a network namespace that was just made, as every host has it.
///
/// # Errors
/// When there is no ip(8), or it fails.
pub fn set_loopback_up() -> io::Result<()> {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("ip link set lo up: failed")) }
}

/// Starts `program` and reaps what is orphaned, until `program` ends; gives its exit status.
///
/// # Errors
/// When it cannot be started.
pub fn be_init(program: &mut Command) -> io::Result<ExitCode> {
    let program = program.spawn()?;
    loop {
        if let Some((pid, status)) = wait(WaitOptions::empty())?
            && pid.as_raw_nonzero().get().unsigned_abs() == program.id()
        {
            let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
            return Ok(ExitCode::from(code.unwrap_or(1)));
        }
    }
}
