//! Process 1.

use crate::request::Request;
use crate::{console, shutdown};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::Pid;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zone_sys::clone::SingleThreaded;
use zone_sys::signal;

/// A shell that lived this long was used; one that did not is started again ever more slowly.
const USED: Duration = Duration::from_secs(10);
/// The longest pause before the shell is started again.
const SLOWEST: Duration = Duration::from_secs(60);

/// Where it says that the zone is ready.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// What init is busy with on the console.
#[derive(Debug)]
enum Console {
    /// `/etc/rc` is to be started then.
    RcDue(Instant),
    /// `/etc/rc` runs; the shell comes after it.
    Rc(Pid),
    /// The shell runs since then.
    Shell(Pid, Instant),
    /// The shell is to be started then.
    Due(Instant),
    /// There is no console, and so no shell.
    Absent,
}

/// Runs until the zone ends. Returns only when it cannot go on; the zone ends with it.
pub(crate) fn run(args: &[String]) -> ExitCode {
    // The handles of a first process that nobody sees come from the platform; nothing is inherited
    // that would have to be closed here.
    let (proof, signals) = match (SingleThreaded::assert(), watch_signals()) {
        (Ok(proof), Ok(signals)) => (proof, signals),
        (Err(error), _) | (_, Err(error)) => {
            console::say(&format!("could not start: {}", zone_sys::Chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    let _ = rustix::process::chdir("/");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let mut init = Init { proof, console: Console::Absent, pause: Duration::ZERO };
    init.begin(is_single_user(args));
    loop {
        init.start_what_is_due();
        wait(&signals, init.next_wakeup());
        while let Ok(Some((number, _))) = signal::read(&signals) {
            if let Some(request) = Request::of_signal(number) {
                console::say(&format!("the zone is going down for {}", request.word()));
                let errno = shutdown::run(request, &signals);
                console::say(&format!(
                    "the kernel refused the {}: {}",
                    request.word(),
                    zone_sys::Chain(&errno)
                ));
                return ExitCode::FAILURE;
            }
        }
        // Signals of one kind are merged, so children are asked for whatever woke us.
        for pid in shutdown::reap() {
            init.ended(pid);
        }
    }
}

fn watch_signals() -> zone_sys::Result<OwnedFd> {
    let mut numbers = vec![
        signal::SIGCHLD,
        signal::SIGHUP,
        signal::SIGINT,
        signal::SIGTERM,
        signal::SIGUSR1,
        signal::SIGUSR2,
        signal::SIGPWR,
    ];
    numbers.extend((3..=5).map(signal::realtime));
    signal::as_fd(&numbers)
}

/// Boot arguments: `-s`, and the words that other inits take for it.
fn is_single_user(args: &[String]) -> bool {
    args.iter().any(|arg| matches!(arg.as_str(), "-s" | "single" | "s" | "S" | "1"))
}

fn wait(signals: &OwnedFd, until: Option<Instant>) {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    // Interrupted or not, what there is to do is found by looking.
    let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], left.as_ref());
}

struct Init {
    proof: SingleThreaded,
    console: Console,
    /// Before the shell, or what could not be started, is started again.
    pause: Duration,
}

impl Init {
    fn begin(&mut self, single_user: bool) {
        self.console = if !single_user && console::has_rc() {
            Console::RcDue(Instant::now())
        } else {
            ready();
            Console::Due(Instant::now())
        };
    }

    fn start_what_is_due(&mut self) {
        if self.next_wakeup().is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.console = if matches!(self.console, Console::RcDue(_)) {
            attempted(console::run_rc(self.proof), Console::Rc, Console::RcDue, &mut self.pause)
        } else if console::exists() {
            let shell = |pid| Console::Shell(pid, Instant::now());
            attempted(console::run_shell(self.proof), shell, Console::Due, &mut self.pause)
        } else {
            Console::Absent
        };
    }

    fn next_wakeup(&self) -> Option<Instant> {
        match self.console {
            Console::RcDue(at) | Console::Due(at) => Some(at),
            _ => None,
        }
    }

    fn ended(&mut self, pid: Pid) {
        match self.console {
            Console::Rc(rc) if rc == pid => {
                ready();
                self.console = Console::Due(Instant::now());
            }
            Console::Shell(shell, since) if shell == pid => {
                self.pause = next_pause(self.pause, since.elapsed());
                self.console = Console::Due(Instant::now() + self.pause);
            }
            _ => {}
        }
    }
}

/// What comes of an attempt to start a process on the console. One that failed is made again, ever more slowly: that the host has no process
/// or no memory left for one passes, and the zone would be without it for as long as it lives.
fn attempted(
    started: Option<Pid>,
    runs: impl FnOnce(Pid) -> Console,
    due: impl FnOnce(Instant) -> Console,
    pause: &mut Duration,
) -> Console {
    if let Some(pid) = started {
        return runs(pid);
    }
    *pause = next_pause(*pause, Duration::ZERO);
    due(Instant::now() + *pause)
}

/// Says that the zone is ready to whoever waits for that, as sd_notify(3) does. That nobody does is no matter.
fn ready() {
    let Some(path) = std::env::var_os(NOTIFY_SOCKET) else { return };
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // Others of the zone's root may have left no room, and this process waits for nobody.
    let _ = socket.set_nonblocking(true).and_then(|()| socket.send_to(b"READY=1", path));
}

/// The pause after a shell that lived for `lived`, when the one before had been `last`.
fn next_pause(last: Duration, lived: Duration) -> Duration {
    if lived >= USED { Duration::ZERO } else { (last * 2).clamp(Duration::from_millis(100), SLOWEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_dies_at_once_is_started_ever_more_slowly() {
        let quick = Duration::from_millis(3);
        let pauses: Vec<Duration> =
            std::iter::successors(Some(Duration::ZERO), |p| Some(next_pause(*p, quick)))
                .skip(1)
                .take(20)
                .collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[19]), (Duration::from_millis(100), SLOWEST));
        assert_eq!(next_pause(SLOWEST, USED), Duration::ZERO);
    }

    #[test]
    fn what_could_not_be_started_is_started_later() {
        let mut pause = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..3 {
            let before = Instant::now();
            let next = attempted(None, Console::Rc, Console::RcDue, &mut pause);
            assert!(matches!(next, Console::RcDue(at) if at >= before + pause), "{next:?}");
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [100, 200, 400]);
        let next = attempted(Some(Pid::INIT), Console::Rc, Console::RcDue, &mut pause);
        assert!(matches!(next, Console::Rc(Pid::INIT)), "{next:?}");
    }

    #[test]
    fn boot_arguments() {
        for single in ["-s", "single", "S"] {
            assert!(is_single_user(&["x".into(), single.into()]));
        }
        assert!(!is_single_user(&["-v".into(), "singlet".into()]));
    }
}
