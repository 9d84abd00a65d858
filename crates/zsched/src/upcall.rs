//! The upcall: when a zone's first process has ended and no zoneadmd is there to hear it, or somebody waits for one at its sockets,
//! start one, again and again until the news has been dealt with. (On Solaris the kernel calls zoneadmd's door
//! once a second for ever.)

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::time::{ClockId, Timespec, clock_gettime};
use zone_sys::clone::{Clone, Cloned, Namespaces, SingleThreaded, exit_now};
use zsched::daemon::CommandLine;
use zsched::launch::Arguments;

const FIRST_DELAY_MS: i64 = 50;
const LAST_DELAY_MS: i64 = 30_000;
/// A daemon that was there for so long was none that dies of what it finds. After one that was not the next is waited for no longer.
const STEADY_MS: i64 = 1000;

/// How to start a zoneadmd, and when to try next.
#[derive(Debug)]
pub(crate) struct Upcall {
    block: Vec<u8>,
    starting: Option<OwnedFd>,
    delay_ms: i64,
    next_ms: i64,
    /// When the daemon that was last here came.
    since_ms: i64,
}

impl Upcall {
    /// `None` if the arguments cannot be passed on.
    pub(crate) fn new(arguments: &Arguments) -> Option<Self> {
        let Arguments { zone, zoneadmd, root } = arguments;
        let line = CommandLine { zone: zone.clone(), root: Some(root.into()) };
        let block = line.block(zoneadmd, [])?;
        Some(Self { block, starting: None, delay_ms: FIRST_DELAY_MS, next_ms: 0, since_ms: now_ms() })
    }

    /// Starts a daemon now if it is time and none is starting.
    pub(crate) fn start_if_due(&mut self, proof: SingleThreaded) {
        if self.starting.is_some() || now_ms() < self.next_ms {
            return;
        }
        self.next_ms = now_ms() + self.delay_ms;
        self.delay_ms = (self.delay_ms * 2).min(LAST_DELAY_MS);
        match Clone::new(Namespaces::empty()).spawn(proof) {
            Ok(Cloned::Child) => {
                let _ = zone_sys::process::close_from(3);
                zone_sys::signal::reset_all();
                let _ = zone_sys::exec::exec(&self.block);
                exit_now(127)
            }
            Ok(Cloned::Parent { pidfd, .. }) => self.starting = Some(pidfd),
            Err(_) => {}
        }
    }

    /// The start that is under way, to be polled.
    pub(crate) fn starting(&self) -> Option<BorrowedFd<'_>> {
        self.starting.as_ref().map(AsFd::as_fd)
    }

    /// The process that was to start a daemon has ended.
    pub(crate) fn started(&mut self) {
        if let Some(pidfd) = self.starting.take() {
            crate::steps::reap(pidfd.as_fd());
        }
    }

    /// A daemon is there.
    pub(crate) fn attached(&mut self) {
        self.since_ms = now_ms();
        self.delay_ms = self.delay_ms.min(STEADY_MS);
        self.next_ms = self.next_ms.min(self.since_ms + self.delay_ms);
    }

    /// The daemon has gone: if it was there for a while, or `rests`, the next silence is a new one. One that came just now to leave
    /// at once is not followed by the next without a pause.
    pub(crate) fn gone(&mut self, rests: bool) {
        zone_fail::pass!("leave.gone");
        let steady = now_ms() - self.since_ms >= STEADY_MS;
        if steady || rests {
            self.delay_ms = FIRST_DELAY_MS;
            self.next_ms = if steady { 0 } else { self.since_ms + FIRST_DELAY_MS };
        }
    }

    /// How long to wait before the next try; `None` while one is under way.
    pub(crate) fn wait(&self) -> Option<Timespec> {
        let ms = (self.next_ms - now_ms()).max(0);
        self.starting.is_none().then_some(Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 })
    }
}

/// The time since the host's boot, in milliseconds.
pub(crate) fn now_ms() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}
