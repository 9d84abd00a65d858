//! Programs on `/dev/console`.

use crate::passwd::Root;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpgrp, getpid, ioctl_tiocsctty, setpgid, setsid, waitpid};
use rustix::termios::{
    Action, InputModes, LocalModes, OptionalActions, OutputModes, tcflow, tcgetattr, tcsetattr, tcsetpgrp,
};
use std::os::unix::process::CommandExt;
use std::process::Command;
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};

const CONSOLE: &str = "/dev/console";
/// What a zone runs before it is ready.
const RC: &str = "/etc/rc";

/// The status of a child that could not execute its program, as shells have it.
const NOT_EXECUTED: i32 = 127;

/// Opens the console without taking it as the terminal of this process, and without ever waiting
/// for it: process 1 must not stop because somebody pressed ^S.
fn console(flags: OFlags) -> rustix::io::Result<OwnedFd> {
    open(CONSOLE, flags | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
}

/// Whether there is a console. One that cannot be opened just now, be it for want of memory, is there all the same.
pub(crate) fn exists() -> bool {
    !console(OFlags::RDWR | OFlags::NONBLOCK).is_err_and(is_absence)
}

/// Whether an error says that there is no such device.
fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NXIO | Errno::NODEV)
}

/// Says something on the console, if it takes it at once.
pub(crate) fn say(text: &str) {
    if let Ok(fd) = console(OFlags::WRONLY | OFlags::NONBLOCK) {
        let _ = rustix::io::write(&fd, format!("\r\nzinit: {text}\r\n").as_bytes());
    }
}

/// Whether there is an `/etc/rc` that can be executed.
pub(crate) fn has_rc() -> bool {
    rustix::fs::access(RC, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Runs `/etc/rc` in a session of its own on the console, whose keys reach it; `None` if there is no process for it just now. What it
/// has started lives on when it ends.
pub(crate) fn run_rc(proof: SingleThreaded) -> Option<Pid> {
    start(proof, |console| {
        lead_session(proof, console.as_ref());
        on(Command::new(RC), console)
    })
}

/// Runs root's login shell on the console; `None` if there is no process for it just now.
pub(crate) fn run_shell(proof: SingleThreaded) -> Option<Pid> {
    start(proof, |console| {
        let Root { home, shell } = Root::load();
        let name = shell.rsplit('/').next().unwrap_or("sh");
        let mut command = on(Command::new(&shell), console);
        command.arg0(format!("-{name}")).env("HOME", &home).env("SHELL", &shell);
        command.env("USER", "root").env("LOGNAME", "root");
        command.current_dir(if std::path::Path::new(&home).is_dir() { &home } else { "/" });
        command
    })
}

/// The command with the console as its input and output. Without a console there is none either
/// for the command.
fn on(mut command: Command, console: Option<OwnedFd>) -> Command {
    let copies = console.and_then(|fd| Some((fd.try_clone().ok()?, fd.try_clone().ok()?, fd)));
    match copies {
        Some((a, b, c)) => command.stdin(a).stdout(b).stderr(c),
        None => command.stdin(std::process::Stdio::null()),
    };
    command
}

/// Forks; in the child makes a session with the console as its terminal and executes what `make`
/// makes of it.
fn start(proof: SingleThreaded, make: impl FnOnce(Option<OwnedFd>) -> Command) -> Option<Pid> {
    match Clone::new(Namespaces::empty()).spawn(proof) {
        Ok(Cloned::Parent { pid, .. }) => Some(pid),
        Ok(Cloned::Child) => {
            zone_sys::signal::reset_all();
            let _ = setsid();
            let console = console(OFlags::RDWR).ok();
            if let Some(fd) = &console {
                // Another session may hold it (a login started by hand): the shell works without
                // job control then.
                let _ = ioctl_tiocsctty(fd);
                make_sane(fd);
            }
            let mut command = make(console);
            command.env_remove(crate::init::NOTIFY_SOCKET);
            let error = command.exec();
            say(&format!(
                "could not execute {}: {}",
                command.get_program().display(),
                zone_sys::Chain(&error)
            ));
            exit_now(NOT_EXECUTED)
        }
        Err(error) => {
            say(&format!("could not start a process: {}", zone_sys::Chain(&error)));
            None
        }
    }
}

/// Leaves this process behind as the leader of its session, and goes on in a child that is the foreground job.
///
/// When the leader of a session ends, the kernel sends SIGHUP to the foreground process group of its terminal. With
/// rc as the leader that would be everything it has started in the background. So the leader waits for rc, makes
/// itself the foreground, and ends.
fn lead_session(proof: SingleThreaded, console: Option<&OwnedFd>) {
    // Who is not the foreground and makes himself that would be stopped.
    zone_sys::signal::ignore(zone_sys::signal::SIGTTOU);
    match Clone::new(Namespaces::empty()).spawn(proof) {
        Ok(Cloned::Child) => {
            let _ = setpgid(None, None);
            if let Some(console) = console {
                let _ = tcsetpgrp(console, getpid());
            }
            zone_sys::signal::reset_all();
        }
        Ok(Cloned::Parent { pid, .. }) => {
            while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(Errno::INTR)) {}
            if let Some(console) = console {
                let _ = tcsetpgrp(console, getpgrp());
            }
            zone_sys::signal::ignore(zone_sys::signal::SIGHUP);
            exit_now(0)
        }
        // Then it is the leader itself, and what it has started gets the signal.
        Err(_) => zone_sys::signal::reset_all(),
    }
}

/// Undoes what a program that died in raw mode, or a ^S that nobody took back, left behind.
fn make_sane(console: &OwnedFd) {
    let _ = tcflow(console, Action::OOn);
    if let Ok(mut terminal) = tcgetattr(console) {
        terminal.input_modes |= InputModes::BRKINT | InputModes::ICRNL | InputModes::IXON;
        terminal.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        terminal.local_modes |= LocalModes::ISIG
            | LocalModes::ICANON
            | LocalModes::IEXTEN
            | LocalModes::ECHO
            | LocalModes::ECHOE
            | LocalModes::ECHOK;
        let _ = tcsetattr(console, OptionalActions::Now, &terminal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_that_cannot_be_opened_just_now_is_there() {
        for errno in [Errno::NOENT, Errno::NXIO, Errno::NODEV] {
            assert!(is_absence(errno), "{errno:?}");
        }
        for errno in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::IO, Errno::BUSY] {
            assert!(!is_absence(errno), "{errno:?}");
        }
    }
}
