//! zinit: the first process of a sparse zone, and the commands that speak with it.
//!
//! One program under several names. As process 1 it is init: it runs `/etc/rc`, keeps a login shell
//! on the console, reaps, and ends the zone when asked to. Under any other process id it is
//! `reboot`, `halt`, `poweroff`, `shutdown` or `init LEVEL`, by the name it was called.
//!
//! It mounts nothing and configures nothing: the platform did that before it was started. Between
//! events it sleeps in one `poll(2)` without a time limit.
#![forbid(unsafe_code)]

mod arguments;
mod command;
mod console;
mod init;
mod passwd;
mod processes;
mod request;
mod shutdown;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let name = called.rsplit('/').next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    if rustix::process::getpid() == rustix::process::Pid::INIT {
        return init::run(&args);
    }
    if name == "zinit" && zone_sys::stdio::asked_for_version(name, env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    command::run(name, &args)
}
