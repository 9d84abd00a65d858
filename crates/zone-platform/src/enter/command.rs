//! The process that becomes the command.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{chdir, ioctl_tiocsctty, setsid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use zone_sys::clone::exit_now;
use zone_sys::{process, seccomp, signal};

use super::report::{Report, Stage};
use super::step::{Far, Step, at};
use super::{Entry, Plan};

/// Executes the plan; returns only what failed.
pub(super) fn run(entry: &Entry<'_>, plan: &Plan, far: Far, socket: &OwnedFd) -> Report {
    match prepare(entry, plan, &far).and_then(|()| still_wanted(socket)) {
        Ok(()) => match (entry.work, far) {
            (Some(work), Far::Pipes(pipes)) => match take(&pipes) {
                // The caller hears no more of this process: it has begun.
                Ok(()) => exit_now(work()),
                Err(errno) => Report::Failed(Stage::Pipes, errno),
            },
            (_, far) => Report::NotExecuted(execute(plan, far), plan.program.clone()),
        },
        Err(report) => report,
    }
}

/// Makes the pipes the three standard streams, and closes all else.
fn take([stdin, stdout, stderr]: &[OwnedFd; 3]) -> Result<(), Errno> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)?;
    let keep = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    process::close_all_but(0, &keep).map_err(|e| e.errno())
}

fn prepare(entry: &Entry<'_>, plan: &Plan, far: &Far) -> Step<()> {
    setsid().map_err(at(Stage::Session))?;
    match process::new_session_keyring().map_err(|e| e.errno()) {
        // A kernel without keyrings has no keys to keep from the zone.
        Ok(()) | Err(Errno::NOSYS) => {}
        Err(errno) => return Err(Report::Failed(Stage::Keyring, errno)),
    }
    if let Far::Terminal(terminal) = far {
        ioctl_tiocsctty(terminal).map_err(at(Stage::ControllingTerminal))?;
    }
    bound(entry.bounding).map_err(at(Stage::Capabilities))?;
    // Before the capabilities go: to load it takes CAP_SYS_ADMIN in the zone.
    seccomp::load(entry.seccomp).map_err(at(Stage::Seccomp))?;
    become_user(plan).map_err(at(Stage::User))?;
    // A change of user may have made the process dumpable again (fs.suid_dumpable), and the user's own processes in the
    // zone could look into it until its exec.
    process::set_dumpable(false).map_err(at(Stage::User))?;
    keep(if plan.uid == 0 { entry.bounding } else { 0 }).map_err(at(Stage::Capabilities))?;
    start_in(plan)?;
    signal::reset_all();
    // Last, whatever was forgotten before.
    process::cloexec_from(3).map_err(at(Stage::Isolate))
}

/// Looks whether the caller still listens: one that was held up, and given up by the caller, executes nothing.
fn still_wanted(socket: &OwnedFd) -> Step<()> {
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    let gone = fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
    if gone { Err(Report::Failed(Stage::Report, Errno::PIPE)) } else { Ok(()) }
}

/// Leaves only what is in `keep` to the programs that are executed from now on.
fn bound(keep: u64) -> Result<(), Errno> {
    zone_sys::caps::bound(CapabilitySet::from_bits_retain(keep)).map_err(|e| e.errno())?;
    clear_ambient_capability_set()
}

/// Leaves this process what is in `most` and was there; nothing can be inherited past an exec.
fn keep(most: u64) -> Result<(), Errno> {
    let now = capabilities(None)?;
    let left = now.permitted & CapabilitySet::from_bits_retain(most);
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)
}

fn become_user(plan: &Plan) -> Result<(), Errno> {
    let groups: Vec<Gid> = plan.groups.iter().map(|&id| Gid::from_raw(id)).collect();
    set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

/// Goes where the program is to start: into the very directory that was asked for, or else into the home if the user may.
fn start_in(plan: &Plan) -> Step<()> {
    match chdir(&plan.directory) {
        Ok(()) => Ok(()),
        Err(errno) if plan.named => Err(Report::NoDirectory(errno, plan.directory.clone().into())),
        Err(_) => chdir("/").map_err(at(Stage::Directory)),
    }
}

/// Executes the program, looked for in the `PATH` of its own environment; returns what failed.
fn execute(plan: &Plan, far: Far) -> Errno {
    let mut command = Command::new(&plan.program);
    command.arg0(&plan.name).args(&plan.args).env_clear();
    command.envs(plan.env.iter().map(|(name, value)| (name, value)));
    match far {
        Far::Terminal(terminal) => match (terminal.try_clone(), terminal.try_clone()) {
            (Ok(stdin), Ok(stdout)) => command.stdin(stdin).stdout(stdout).stderr(terminal),
            (Err(error), _) | (_, Err(error)) => return errno_of(&error),
        },
        Far::Pipes([stdin, stdout, stderr]) => command.stdin(stdin).stdout(stdout).stderr(stderr),
    };
    errno_of(&command.exec())
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}
