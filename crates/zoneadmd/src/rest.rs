//! When the daemon of a zone that is up is not needed any more, and leaves. zsched keeps the zone and the sockets of its door and
//! console, and starts another for whoever connects, and for the end of the zone's first process.

use std::time::Duration;
use tokio::time::Instant;
use zone_config::Settings;
use zone_config::readiness::ReadyState;
use zone_sys::Chain;
use zsched::wire::Phase;

use crate::daemon::Daemon;

/// How long a daemon that could not leave stays at least before it tries again.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What one sees of a daemon and its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where the zone is in its life.
    pub(crate) phase: Phase,
    /// Whether an operation runs, or whatever else has its turn.
    pub(crate) operation: bool,
    /// Whether a shutdown waits for init.
    pub(crate) shutdown: bool,
    /// Whether processes of the zone would not die.
    pub(crate) stuck: bool,
    /// Whether whoever started the daemon may still have to say what for.
    pub(crate) expected: bool,
    /// Whether it is known whether the zone is ready, or that nobody will know.
    pub(crate) settled: bool,
    /// Whether there are addresses to be renewed, limits to be watched, files of lxcfs to be kept, or systemd to be told; also as long
    /// as that is not known.
    pub(crate) watches: bool,
    /// Whether the host's network is being taken away.
    pub(crate) releases: bool,
    /// Whether somebody is attached to the console, or about to be.
    pub(crate) console: bool,
    /// Whether somebody is connected to the door.
    pub(crate) connected: bool,
    /// Whether somebody waits at door or console to be accepted.
    pub(crate) waited_for: bool,
    /// Whether the console's log has all that was said.
    pub(crate) logged: bool,
}

#[cfg(test)]
impl Seen {
    /// A zone that runs, of which nothing needs a daemon.
    pub(crate) const QUIET: Self = Self {
        phase: Phase::Running,
        operation: false,
        shutdown: false,
        stuck: false,
        expected: false,
        settled: true,
        watches: false,
        releases: false,
        console: false,
        connected: false,
        waited_for: false,
        logged: true,
    };
}

/// What a daemon is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Its zone is not up, or not as it is to stay: what becomes of that is decided elsewhere.
    Zone,
    /// Something is being done, or is about to be.
    Work,
    /// Something is to be seen that nobody else sees.
    Watch,
    /// Somebody is at the console.
    Console,
    /// Somebody is at the door. Who only looks does not put off when the daemon leaves.
    Caller,
    /// The console's log lacks what was said just now.
    Log,
}

impl Need {
    /// Whether it passes without having been a reason to be there.
    pub(crate) fn is_fleeting(self) -> bool {
        matches!(self, Self::Caller | Self::Log)
    }
}

/// Tells what the daemon is needed for; `None` if it may leave.
pub(crate) fn need(seen: &Seen) -> Option<Need> {
    let needs = [
        (!matches!(seen.phase, Phase::Ready | Phase::Running) || seen.stuck, Need::Zone),
        (seen.operation || seen.shutdown || seen.expected || seen.releases, Need::Work),
        (!seen.settled || seen.watches, Need::Watch),
        (seen.console, Need::Console),
        (seen.connected || seen.waited_for, Need::Caller),
        (!seen.logged, Need::Log),
    ];
    needs.into_iter().find_map(|(is_so, need)| is_so.then_some(need))
}

/// Since when nothing needs the daemon.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// With how long it is to stay from then on.
    since: Option<(Instant, Option<Duration>)>,
    stays: bool,
}

impl Idle {
    /// When the daemon is to leave if it is not needed before; `None` while it is, and for one that does not leave. `patience` is asked
    /// each time that nothing needs it any more.
    pub(crate) fn until(
        &mut self,
        need: Option<Need>,
        patience: impl FnOnce() -> Option<Duration>,
    ) -> Option<Instant> {
        if need.is_some_and(|need| !need.is_fleeting()) {
            self.since = None;
            return None;
        }
        let (since, patience) = *self.since.get_or_insert_with(|| (Instant::now(), patience()));
        if self.stays || need.is_some() { None } else { Some(since + patience?) }
    }

    /// It could not leave, and tries again in as long a time, but not at once. Gives when.
    pub(crate) fn tries_again(&mut self) -> Instant {
        let patience = self.since.and_then(|(_, patience)| patience).unwrap_or_default().max(LEAST_PAUSE);
        let now = Instant::now();
        self.since = Some((now, Some(patience)));
        now + patience
    }

    /// It could not leave, and does not try again.
    pub(crate) fn stays(&mut self) -> Option<Instant> {
        self.stays = true;
        None
    }

    /// Whether it may leave one day.
    pub(crate) fn may_leave(&self) -> bool {
        !self.stays && self.since.is_none_or(|(_, patience)| patience.is_some())
    }
}

/// Looks at a daemon. `connected` says whether somebody is connected to its door, `expected` whether somebody may still call.
pub(crate) fn look(daemon: &Daemon, connected: bool, expected: bool) -> Seen {
    let status = daemon.status();
    let console = daemon.console.state();
    let console = console.borrow();
    let readiness = daemon.readiness_of(&status);
    Seen {
        phase: status.phase,
        operation: daemon.slot.try_lock().is_none(),
        shutdown: daemon.shutdown.current().is_some(),
        stuck: daemon.stuck.is(status.uniqid),
        expected,
        settled: readiness.is_none_or(|readiness| readiness.state != ReadyState::Starting),
        watches: daemon.watches.need(status.uniqid, status.phase),
        releases: daemon.zone.network_release.is_under_way(),
        console: !console.is_quiet(),
        connected,
        waited_for: daemon.zone.backup.is_waited_for(),
        logged: console.logged,
    }
}

/// How long a daemon that nothing needs stays; `None` if it does not leave. What is wrong with the file is for those to say who are
/// asked to obey it.
pub(crate) fn patience(daemon: &Daemon) -> Option<Duration> {
    Settings::load(daemon.layout()).map_or_else(
        |error| {
            tracing::warn!("{}; this daemon does not leave", Chain(&error));
            None
        },
        |settings| settings.daemon_idle,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Seen = Seen::QUIET;

    #[test]
    fn a_zone_that_is_up_and_quiet_needs_none() {
        for phase in [Phase::Ready, Phase::Running] {
            assert_eq!(need(&Seen { phase, ..QUIET }), None);
        }
        for phase in [Phase::None, Phase::Stopping, Phase::Down] {
            assert_eq!(need(&Seen { phase, ..QUIET }), Some(Need::Zone), "{phase:?}");
        }
    }

    #[test]
    fn each_thing_alone_needs_one() {
        for (seen, needed) in [
            (Seen { stuck: true, ..QUIET }, Need::Zone),
            (Seen { operation: true, ..QUIET }, Need::Work),
            (Seen { shutdown: true, ..QUIET }, Need::Work),
            (Seen { expected: true, ..QUIET }, Need::Work),
            (Seen { releases: true, ..QUIET }, Need::Work),
            (Seen { settled: false, ..QUIET }, Need::Watch),
            (Seen { watches: true, ..QUIET }, Need::Watch),
            (Seen { console: true, ..QUIET }, Need::Console),
            (Seen { connected: true, ..QUIET }, Need::Caller),
            (Seen { waited_for: true, ..QUIET }, Need::Caller),
            (Seen { logged: false, ..QUIET }, Need::Log),
        ] {
            assert_eq!(need(&seen), Some(needed), "{seen:?}");
            assert_eq!(needed.is_fleeting(), matches!(needed, Need::Caller | Need::Log));
        }
    }

    #[test]
    fn what_is_not_fleeting_comes_first() {
        let busy = Seen { console: true, connected: true, logged: false, ..QUIET };
        assert_eq!(need(&busy), Some(Need::Console));
        assert_eq!(need(&Seen { operation: true, ..busy }), Some(Need::Work));
    }

    #[test]
    fn it_leaves_when_nothing_but_what_is_fleeting_was_there_for_so_long() {
        let mut idle = Idle::default();
        let minute = || Some(Duration::from_secs(60));
        assert_eq!(idle.until(Some(Need::Work), minute), None);
        let begun = Instant::now();
        let first = idle.until(None, minute).unwrap();
        assert!(first >= begun + Duration::from_secs(60));
        assert_eq!(idle.until(Some(Need::Caller), minute), None, "not under who waits");
        assert_eq!(idle.until(None, || None), Some(first), "who only looked puts nothing off");
        assert_eq!(idle.until(Some(Need::Console), minute), None);
        assert!(idle.until(None, || Some(Duration::ZERO)).unwrap() <= Instant::now(), "it is asked anew");
        assert!(idle.may_leave());
        assert_eq!(idle.until(Some(Need::Work), minute), None);
        assert_eq!(idle.until(None, || None), None, "never");
        assert!(!idle.may_leave());
        assert_eq!(idle.until(Some(Need::Work), minute), None);
        assert!(idle.until(None, || Some(Duration::ZERO)).unwrap() <= Instant::now());
        let again = idle.tries_again();
        assert!(again > Instant::now(), "not at once");
        assert_eq!(idle.until(None, minute), Some(again));
        assert_eq!(idle.until(Some(Need::Work), minute), None);
        assert_eq!((idle.stays(), idle.until(None, minute)), (None, None));
    }
}
