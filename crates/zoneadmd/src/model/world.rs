//! What there is of a zone and its programs, and the steps that each of them can take.

use super::Rules;
use crate::matrix::{Action, Beside};
use crate::rest::Seen;
use crate::wish::Policy;
use zone_config::State;
use zone_config::lastexit::How;
use zone_door::Operation;
use zone_live::how_it_ended;
use zsched::wire::{End, Phase, Status};

/// What the configuration says of an init that ends by itself: the defaults.
pub(super) const POLICY: Policy = Policy { restart: true, restart_on_0: false, reboot: false };
/// How an init may end: by reboot(2) for a reboot, for power-off, and by exit(3).
const ENDS: [End; 3] = [End::Killed(1), End::Killed(2), End::Exited(0)];
pub(super) const KILLED: End = End::Killed(9);

/// The incarnation that zsched has, or that lives without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Zone {
    pub(super) uniqid: u64,
    pub(super) phase: Phase,
    /// How its first process ended, if that is known.
    pub(super) end: Option<End>,
    pub(super) restarts: u32,
}

/// What the journal has of an operation that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) uniqid: u64,
    pub(super) how: Option<How>,
    pub(super) up: bool,
}

/// One thing that a daemon does and may die after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    Begin(Operation, u64, Option<How>, bool),
    SaveSnapshot,
    Create(u32),
    OpenGate,
    EndJournal,
    Stopping,
    Kill,
    Consume { owed: bool },
    RemoveSnapshot,
    RemoveJournal,
}

/// What a daemon is doing under its lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Work {
    pub(super) action: Action,
    pub(super) how: How,
    pub(super) restarts: u32,
    /// Who is answered when it is done.
    pub(super) serves: Option<usize>,
    pub(super) left: Vec<Effect>,
}

/// Somebody who waits until the incarnation that was asked to shut down is no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    /// Nobody where a daemon carries on what a dead one began.
    pub(super) client: Option<usize>,
    pub(super) uniqid: u64,
    /// Whether a boot is to follow.
    pub(super) up: bool,
    /// Whether somebody asked for a halt meanwhile.
    pub(super) halted: bool,
}

/// A process that has the lock of the zone's daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Daemon {
    pub(super) recovered: bool,
    pub(super) work: Option<Work>,
    /// The incarnation that was asked to shut down, without the lock, and whether a boot is to follow.
    pub(super) shutdown: Option<(u64, bool)>,
    pub(super) waiting: Vec<Waiting>,
    /// The incarnation that has ended and whose init is to be started again in a while, without the lock.
    pub(super) delayed: Option<u64>,
    /// Whether it has told zsched that nothing needs it, and accepts nobody any more.
    pub(super) leaves: bool,
}

impl Daemon {
    /// Whether it does nothing, and has nothing to wait for.
    fn rests(&self) -> bool {
        self.recovered && self.work.is_none() && self.waiting.is_empty()
    }

    /// The shutdown under way, if it is of this incarnation.
    pub(super) fn shutdown_of(&mut self, uniqid: u64) -> Option<&mut (u64, bool)> {
        self.shutdown.as_mut().filter(|(of, _)| *of == uniqid)
    }
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) operation: Operation,
    /// Whether a boot is to follow a shutdown.
    pub(super) up: bool,
}

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// It has not come yet.
    Away,
    /// It calls, and waits at the door; or calls again since the daemon has gone under it.
    Calls,
    /// It was read, and is not answered.
    Read,
    /// The zone was shut down for it, and is to be booted.
    Follows,
    Answered,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) zone: Option<Zone>,
    /// zsched, if it lives, with whether it knows that the zone is to come back.
    pub(super) zsched: Option<bool>,
    /// The incarnations of which a process lives.
    pub(super) alive: Vec<u64>,
    pub(super) last: u64,
    pub(super) snapshot: bool,
    pub(super) journal: Option<Entry>,
    pub(super) daemons: Vec<Daemon>,
    /// Processes that will be the daemon if nobody else is.
    pub(super) starting: u8,
    pub(super) requests: [Request; 2],
    pub(super) clients: [Client; 2],
    /// The incarnation that asked for a reboot which it has not got yet.
    pub(super) wants: Option<u64>,
    pub(super) deaths_of_daemons: u8,
    pub(super) deaths_of_zsched: u8,
    pub(super) ends: u8,
    /// Whether daemons leave that nothing needs.
    pub(super) idle: bool,
    /// Whether init was started again in a zone that was being shut down.
    pub(super) ignored: bool,
}

/// One step of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A client, or zsched, starts a daemon.
    Start,
    /// A process that was started takes the lock, or finds that somebody has it.
    Lock,
    /// The daemon sees what a dead one left.
    Recover,
    /// It does the next thing of what it is doing.
    Work,
    /// It reads what a client asks for, when nothing is in the way.
    Serve(usize),
    /// It deals with the end of the first process.
    Deal,
    /// The time is over before it starts init again.
    Again,
    /// The incarnation that was asked to shut down is no more.
    ShutdownOver,
    /// Time is up for init.
    Late,
    /// It starts another zsched.
    Respawn,
    /// Nothing needs it: it lets zsched go and ends.
    Leave,
    /// Nothing needs it of a zone that is up: it tells zsched so.
    Rest,
    /// It has told zsched, and ends.
    Gone,
    /// A client comes to the door.
    Come(usize),
    DaemonDies,
    ZschedDies,
    InitEnds(End),
}

impl World {
    /// Makes an installed zone, or one that runs, with two clients that want something of it.
    pub(super) fn new(runs: bool, requests: [Request; 2], deaths: (u8, u8), ends: u8) -> Self {
        let zone = runs.then_some(Zone { uniqid: 1, phase: Phase::Running, end: None, restarts: 0 });
        Self {
            zsched: runs.then_some(false),
            alive: runs.then_some(1).into_iter().collect(),
            last: u64::from(runs),
            snapshot: runs,
            journal: None,
            daemons: Vec::new(),
            starting: 0,
            requests,
            clients: [Client::Calls; 2],
            wants: None,
            deaths_of_daemons: deaths.0,
            deaths_of_zsched: deaths.1,
            ends,
            idle: false,
            ignored: false,
            zone,
        }
    }

    /// The same with daemons that leave, and clients who come at any time and start none themselves where zsched lives.
    pub(super) fn with_daemons_that_leave(self) -> Self {
        Self { clients: [Client::Away; 2], idle: true, ..self }
    }

    pub(super) fn phase(&self) -> Phase {
        self.zone.as_ref().map_or(Phase::None, |zone| zone.phase)
    }

    pub(super) fn uniqid(&self) -> u64 {
        self.zone.as_ref().map_or(0, |zone| zone.uniqid)
    }

    /// Whether there is a daemon that has all done, and a zsched.
    pub(super) fn rests(&self) -> bool {
        self.zsched.is_some() && self.daemons.first().is_some_and(Daemon::rests)
    }

    /// What everybody calls the state of the zone.
    pub(super) fn state(&self) -> State {
        let status = Status { phase: self.phase(), uniqid: self.uniqid(), ..Status::default() };
        zone_live::state(Some(&status), State::Installed)
    }

    /// What can happen next.
    pub(super) fn steps(&self, rules: &Rules) -> Vec<Step> {
        let mut steps = Vec::new();
        let calls = self.clients.contains(&Client::Calls);
        let upcall = self.zsched.is_some_and(|owed| (rules.needs_daemon)(self.phase(), owed, calls));
        let itself = calls && (self.zsched.is_none() || !self.idle);
        if self.daemons.is_empty() && self.starting < 2 && (itself || upcall) {
            steps.push(Step::Start);
        }
        if self.starting > 0 {
            steps.push(Step::Lock);
        }
        let away = (0..2).filter(|&client| self.clients[client] == Client::Away);
        steps.extend(away.map(Step::Come));
        if let Some(daemon) = self.daemons.first() {
            self.steps_of(daemon, rules, &mut steps);
            if self.deaths_of_daemons > 0 {
                steps.push(Step::DaemonDies);
            }
        }
        if self.zsched.is_some() && self.deaths_of_zsched > 0 {
            steps.push(Step::ZschedDies);
        }
        if self.phase() == Phase::Running && self.ends > 0 {
            steps.extend(ENDS.map(Step::InitEnds));
        }
        steps
    }

    fn steps_of(&self, daemon: &Daemon, rules: &Rules, steps: &mut Vec<Step>) {
        if daemon.leaves {
            return steps.push(Step::Gone);
        }
        if self.zsched.is_none() {
            return steps.push(Step::Respawn);
        }
        if daemon.work.is_some() {
            return steps.push(Step::Work);
        }
        if !daemon.recovered {
            return steps.push(Step::Recover);
        }
        let served = (0..2).filter(|&client| self.is_served(daemon, client, rules));
        steps.extend(served.map(Step::Serve));
        if self.phase() == Phase::Down {
            let is_delayed = daemon.delayed == Some(self.uniqid());
            steps.push(if is_delayed { Step::Again } else { Step::Deal });
        }
        if daemon.waiting.iter().any(|waiting| waiting.uniqid != self.uniqid()) {
            steps.push(Step::ShutdownOver);
        }
        if self.phase() == Phase::Running
            && daemon.waiting.iter().any(|waiting| waiting.uniqid == self.uniqid())
        {
            steps.push(Step::Late);
        }
        let wanted = self.clients.iter().any(|client| !matches!(client, Client::Away | Client::Answered));
        if daemon.rests() && self.zone.is_none() && !wanted {
            steps.push(Step::Leave);
        }
        if self.idle && (rules.need)(&self.seen(daemon)).is_none() {
            steps.push(Step::Rest);
        }
    }

    /// What a daemon sees of itself and the zone.
    fn seen(&self, daemon: &Daemon) -> Seen {
        Seen {
            phase: self.phase(),
            operation: daemon.work.is_some() || !daemon.recovered,
            shutdown: daemon.shutdown.is_some(),
            connected: self.serves_anybody(),
            waited_for: self.clients.contains(&Client::Calls),
            ..Seen::QUIET
        }
    }

    /// Whether a client is connected to the daemon.
    fn serves_anybody(&self) -> bool {
        self.clients.iter().any(|client| matches!(client, Client::Read | Client::Follows))
    }

    /// Whether a daemon that leaves cuts somebody off.
    pub(super) fn cuts_off(&self) -> bool {
        self.serves_anybody() && self.daemons.first().is_some_and(|daemon| daemon.leaves)
    }

    /// Whether the daemon takes up now what a client asks for. A boot waits until the end of a first process is dealt with.
    fn is_served(&self, daemon: &Daemon, client: usize, rules: &Rules) -> bool {
        let operation = match self.clients[client] {
            Client::Calls => self.requests[client].operation,
            Client::Follows => {
                return daemon.shutdown.is_none() || (rules.beside)(Operation::Boot) != Beside::Waits;
            }
            Client::Away | Client::Read | Client::Answered => return false,
        };
        let waits = daemon.shutdown.is_some() && (rules.beside)(operation) == Beside::Waits;
        let comes_too_early = operation == Operation::Boot && self.phase() == Phase::Down;
        !waits && !comes_too_early
    }

    /// Takes one of the steps that [`World::steps`] has given.
    pub(super) fn take(&mut self, step: Step, rules: &Rules) {
        match step {
            Step::Start => self.starting += 1,
            Step::Lock => {
                self.starting -= 1;
                if self.daemons.is_empty() {
                    self.daemons.push(Daemon::default());
                }
            }
            Step::Recover => self.recover(rules),
            Step::Work => self.work(),
            Step::Serve(client) => self.serve(client, rules),
            Step::Deal => self.deal(rules),
            Step::Again => self.again(rules),
            Step::ShutdownOver => self.shutdown_over(),
            Step::Late => {
                let up = self.take_then();
                let action = if up { Action::Reboot } else { Action::Halt };
                self.begin(action, How::Halted, 0, None);
            }
            Step::Respawn => self.respawn(),
            Step::Leave => {
                self.daemons.clear();
                self.zsched = None;
            }
            Step::Rest => self.daemon().leaves = true,
            Step::Gone => self.daemon_ends(),
            Step::Come(client) => self.clients[client] = Client::Calls,
            Step::DaemonDies => {
                self.deaths_of_daemons -= 1;
                self.daemon_ends();
            }
            Step::ZschedDies => self.zsched_dies(),
            Step::InitEnds(end) => self.init_ends(end),
        }
    }

    fn daemon_ends(&mut self) {
        self.daemons.clear();
        for client in &mut self.clients {
            if matches!(client, Client::Read | Client::Follows) {
                *client = Client::Calls;
            }
        }
        if self.zsched.is_none() {
            self.forget();
        }
    }

    fn zsched_dies(&mut self) {
        self.deaths_of_zsched -= 1;
        self.zsched = None;
        if self.phase() == Phase::Ready {
            // It waits at its gate, and ends with who was to open that.
            self.alive.clear();
            self.zone = None;
        }
        if self.daemons.is_empty() {
            self.forget();
        }
    }

    /// Daemon and zsched are dead: nobody knows any more how a first process ended and what it asked for by that, nor starts a
    /// daemon before somebody asks for one.
    fn forget(&mut self) {
        if let Some(zone) = self.zone.as_mut().filter(|zone| zone.phase == Phase::Down) {
            zone.end = None;
        }
        if self.phase() != Phase::Running {
            self.wants = None;
        }
    }

    fn init_ends(&mut self, end: End) {
        self.ends -= 1;
        self.alive.clear();
        let known = self.zsched.is_some();
        if let Some(zone) = &mut self.zone {
            (zone.phase, zone.end) = (Phase::Down, known.then_some(end));
        }
        let uniqid = self.uniqid();
        let others = self.journal.as_ref().is_some_and(|entry| entry.uniqid == uniqid)
            || self.daemons.first().is_some_and(|daemon| daemon.work.is_some());
        // Who is halting the zone, or shutting it down, decides what becomes of it.
        if known && how_it_ended(Some(end)) == How::Rebooted && !others {
            self.wants = Some(uniqid);
        }
    }
}
