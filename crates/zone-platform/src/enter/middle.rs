//! The process between the caller and the command: in every namespace of the zone but the PID
//! namespace, where only its child is.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat, fstatfs, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group,
    setrlimit, setsid, waitid,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcsetattr, tcsetwinsize};
use rustix::thread::{
    ThreadNameSpaceType, move_into_thread_name_spaces, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zone_sys::{inherit, process, signal, unix};

use super::report::{Report, Stage};
use super::step::{Far, Step, at};
use super::{Entry, Plan, Terminal, command};

/// `DEVPTS_SUPER_MAGIC` of statfs(2).
const DEVPTS: u64 = 0x1cd1;

/// The status of a process that has told its failure already; nobody looks at it.
const FAILED: i32 = 1;

/// Ends the process when unwinding reaches it: a copy of the caller must never run the caller's code.
struct NoWayBack;

impl Drop for NoWayBack {
    fn drop(&mut self) {
        exit_now(FAILED);
    }
}

/// Enters, starts the command, and ends as it ends.
pub(super) fn run(proof: SingleThreaded, entry: &Entry<'_>, socket: &OwnedFd) -> ! {
    let _guard = NoWayBack;
    zone_fail::become_program("middle");
    zone_fail::pass!("middle.born");
    let tell = |report: &Report, fds: &[BorrowedFd<'_>]| unix::send(socket, &report.encode(), fds);
    match start(proof, entry, socket, &tell) {
        Ok(started) => follow(&started),
        Err(report) => {
            // If the caller is gone there is nobody to tell.
            let _ = tell(&report, &[]);
            exit_now(FAILED)
        }
    }
}

/// The command, and the signals to be passed on to it.
struct Started {
    pid: Pid,
    pidfd: OwnedFd,
    signals: OwnedFd,
}

type Tell<'a> = dyn Fn(&Report, &[BorrowedFd<'_>]) -> zone_sys::Result<usize> + 'a;

fn start(proof: SingleThreaded, entry: &Entry<'_>, socket: &OwnedFd, tell: &Tell<'_>) -> Step<Started> {
    // Inside there are none of the host's files to look it up in.
    let inside = zone_fail::promise!("middle.inside");
    let streams = zone_fail::promise!("middle.streams");
    let begun = zone_fail::promise!("middle.started");
    isolate(entry, socket)?;
    go_in(entry)?;
    inside.keep();
    let plan = (entry.plan)().map_err(Report::NoPlan)?;
    let far = match &entry.terminal {
        Some(terminal) => make_terminal(terminal, &plan, tell)?,
        None => make_pipes(&plan, tell)?,
    };
    streams.keep();
    // Blocked before the command exists, so that none is lost; the command unblocks them for itself.
    let signals = forwarded().map_err(at(Stage::Process))?;
    match Clone::new(Namespaces::empty()).spawn(proof).map_err(at(Stage::Process))? {
        Cloned::Parent { pid, pidfd } => {
            begun.keep();
            Ok(Started { pid, pidfd, signals })
        }
        Cloned::Child => {
            let report = command::run(entry, &plan, far, socket);
            let _ = tell(&report, &[]);
            exit_now(FAILED)
        }
    }
}

/// Leaves everything of the caller's behind: its limits and priorities, its session, its terminal, its descriptors.
fn isolate(entry: &Entry<'_>, socket: &OwnedFd) -> Step<()> {
    let failed = at(Stage::Isolate);
    // While the host's privileges and its /proc are there: inside no limit can be raised any more.
    inherit::reset(inherit::Role::Zone).map_err(Report::Inherited)?;
    if let Some(bytes) = entry.memlock {
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(Resource::Memlock, limit).map_err(&failed)?;
    }
    process::set_dumpable(false).map_err(at(Stage::Isolate))?;
    setsid().map_err(&failed)?;
    // The numbers 0 to 2 stay taken, lest something else be found there.
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    rustix::stdio::dup2_stdin(&null).map_err(&failed)?;
    rustix::stdio::dup2_stdout(&null).map_err(&failed)?;
    rustix::stdio::dup2_stderr(&null).map_err(&failed)?;
    drop(null);
    let [stdin, stdout, stderr] = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    // A copy of a process may close what the copy holds: it never goes back to whoever owns it.
    process::close_all_but(0, &[stdin, stdout, stderr, socket.as_fd(), entry.pidfd])
        .map_err(at(Stage::Isolate))
}

/// Enters the zone's namespaces (`setns(2)` with a pidfd, Linux 5.8) and becomes its root user: the
/// host's root has no name there.
fn go_in(entry: &Entry<'_>) -> Step<()> {
    let mut all = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::CONTROL_GROUP;
    if entry.own_uptime {
        all |= ThreadNameSpaceType::TIME;
    }
    move_into_thread_name_spaces(entry.pidfd, all).map_err(at(Stage::Namespaces))?;
    set_thread_groups(&[]).map_err(at(Stage::Identity))?;
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(at(Stage::Identity))?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(at(Stage::Identity))?;
    // A change of user may have made the process dumpable again (fs.suid_dumpable).
    process::set_dumpable(false).map_err(at(Stage::Identity))
}

/// Makes a pty in the zone's devpts. The zone's /dev is the zone's to change, so what is found there
/// is not believed before it is known to be a devpts; the other side is reached by descriptor only.
fn make_terminal(terminal: &Terminal, plan: &Plan, tell: &Tell<'_>) -> Step<Far> {
    let failed = at(Stage::Terminal);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let manager = zone_sys::path::unlinked(CWD, "/dev/pts/ptmx", flags, Mode::empty()).map_err(&failed)?;
    let stat = fstat(&manager).map_err(&failed)?;
    let kind = fstatfs(&manager).map_err(&failed)?.f_type;
    if u64::try_from(kind) != Ok(DEVPTS) || FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
    {
        return Err(Report::Failed(Stage::Terminal, Errno::NOTTY));
    }
    unlockpt(&manager).map_err(&failed)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let subsidiary = ioctl_tiocgptpeer(&manager, flags).map_err(&failed)?;
    if plan.uid != 0 {
        fchown(&subsidiary, Some(Uid::from_raw(plan.uid)), None).map_err(&failed)?;
    }
    if let Some(settings) = &terminal.settings {
        tcsetattr(&subsidiary, OptionalActions::Now, settings).map_err(&failed)?;
    }
    if let Some(size) = terminal.size {
        tcsetwinsize(&subsidiary, size).map_err(&failed)?;
    }
    let path = ptsname(&manager, Vec::new()).map_err(&failed)?;
    let name = path.to_string_lossy().trim_start_matches("/dev/").to_owned();
    tell(&Report::Terminal(name), &[manager.as_fd()]).map_err(at(Stage::Report))?;
    Ok(Far::Terminal(subsidiary))
}

/// Makes three pipes that belong to the user, so that `/dev/stderr` can be opened as on any system.
fn make_pipes(plan: &Plan, tell: &Tell<'_>) -> Step<Far> {
    let failed = at(Stage::Pipes);
    let make = || {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        fchown(&read, Some(Uid::from_raw(plan.uid)), Some(Gid::from_raw(plan.gid)))?;
        Ok::<_, Errno>((read, write))
    };
    let (stdin, input) = make().map_err(&failed)?;
    let (output, stdout) = make().map_err(&failed)?;
    let (errors, stderr) = make().map_err(&failed)?;
    tell(&Report::Pipes, &[input.as_fd(), output.as_fd(), errors.as_fd()]).map_err(at(Stage::Report))?;
    Ok(Far::Pipes([stdin, stdout, stderr]))
}

/// The signals that are passed on, as a descriptor.
fn forwarded() -> zone_sys::Result<OwnedFd> {
    signal::as_fd(&[
        signal::SIGHUP,
        signal::SIGINT,
        signal::SIGQUIT,
        signal::SIGTERM,
        signal::SIGUSR1,
        signal::SIGUSR2,
        Signal::CONT.as_raw(),
        Signal::TSTP.as_raw(),
    ])
}

/// Passes on signals until the command has ended, then ends likewise.
fn follow(started: &Started) -> ! {
    let Started { pid, pidfd, signals } = started;
    // The pipes above all: their readers wait for the last writer to close them.
    if process::close_all_but(0, &[pidfd.as_fd(), signals.as_fd()]).is_err() {
        exit_now(FAILED);
    }
    loop {
        let mut fds = [PollFd::new(signals, PollFlags::IN), PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => exit_now(FAILED),
        }
        if !fds[1].revents().is_empty() {
            break;
        }
        while let Ok(Some((number, _))) = signal::read(signals) {
            if let Some(signal) = Signal::from_named_raw(number) {
                // The command is not reaped, so its number is still its own. It may have left its
                // group; then the group it leads is empty and nobody is told, as with a terminal.
                let _ = kill_process_group(*pid, signal);
            }
        }
    }
    let ended = retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED));
    let status = ended.ok().flatten();
    let Some(status) = status else { exit_now(FAILED) };
    if let Some(code) = status.exit_status() {
        exit_now(code);
    }
    let number = status.terminating_signal().unwrap_or_default();
    // No core is written: the process is not dumpable.
    signal::reset_all();
    if let Some(signal) = Signal::from_named_raw(number) {
        let _ = kill_process(getpid(), signal);
    }
    exit_now(128 + number)
}
