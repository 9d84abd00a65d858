//! The PID and mount namespaces of the suite, and those of each test in it: whatever is started in them ends with
//! their process 1, and no mount of theirs is seen outside.

use rustix::process::{WaitOptions, wait};
use std::io;
use std::process::{Command, ExitCode};

/// This program, to be executed in new namespaces as their process 1; it is killed when the caller is.
///
/// # Errors
/// When this program's own path cannot be read.
pub fn command() -> io::Result<Command> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.arg(std::env::current_exe()?);
    Ok(unshare)
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
