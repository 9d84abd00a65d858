//! What a daemon does, step by step: which effects an operation has, in which order, and what it makes of what it finds.

use super::Rules;
use super::world::{Client, Daemon, Effect, Entry, KILLED, POLICY, Request, Waiting, Work, World, Zone};
use crate::matrix::{Action, Beside, Decision};
use crate::wish::Wish;
use zone_config::lastexit::How;
use zone_door::Operation;
use zone_engine::halting::{self, Step};
use zone_engine::handover::Handover;
use zone_engine::journal::Intent;
use zone_engine::recovery::Recovery;
use zone_live::how_it_ended;
use zsched::wire::Phase;

impl World {
    pub(super) fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemons[0]
    }

    pub(super) fn begin(&mut self, action: Action, how: How, restarts: u32, serves: Option<usize>) {
        let left = self.script(action, how, restarts);
        self.daemon().work = Some(Work { action, how, restarts, serves, left });
    }

    /// The effects of an action, by what is there when it begins; the first of them last.
    pub(super) fn script(&self, action: Action, how: How, restarts: u32) -> Vec<Effect> {
        use Effect as E;
        let up = [E::SaveSnapshot, E::Create(restarts)];
        let mut effects = Vec::new();
        // What shows up later: a zone that ends between two steps is there until it is consumed.
        let exists = self.zone.is_some();
        let down = |reboots: bool| {
            let steps = halting::until_down(self.phase(), reboots).chain(halting::afterwards(
                self.phase(),
                exists,
                reboots,
            ));
            steps.flat_map(move |step| match step {
                Step::Note => vec![E::Begin(Operation::Halt, self.uniqid(), Some(how), false)],
                Step::Kill => vec![E::Stopping, E::Kill],
                Step::Consume => vec![E::Consume { owed: reboots }],
                Step::Forget => vec![E::RemoveSnapshot],
                Step::Close => vec![E::RemoveJournal],
                // These change nothing that is modelled.
                Step::TearDown | Step::Record | Step::Release => Vec::new(),
            })
        };
        match action {
            Action::Ready => {
                effects.push(E::Begin(Operation::Ready, 0, None, true));
                effects.extend(up);
                effects.push(E::EndJournal);
            }
            Action::ReadyBoot | Action::Boot => {
                effects.push(E::Begin(Operation::Boot, 0, None, true));
                if self.zone.is_none() {
                    effects.extend(up);
                }
                effects.extend([E::OpenGate, E::EndJournal]);
            }
            Action::Halt | Action::HaltReady => {
                effects.extend(down(false));
                if action == Action::HaltReady {
                    effects.push(E::Begin(Operation::Ready, 0, None, true));
                    effects.extend(up);
                    effects.push(E::EndJournal);
                }
            }
            Action::Reboot => {
                effects.push(E::Begin(Operation::Reboot, self.uniqid(), Some(how), true));
                effects.extend(down(true).chain(up).chain([E::OpenGate, E::EndJournal]));
            }
            Action::Shutdown | Action::NoteUninstalling | Action::Apply => {}
        }
        effects.reverse();
        effects
    }

    pub(super) fn work(&mut self) {
        let Some(work) = &mut self.daemon().work else { return };
        let effect = work.left.pop();
        let (serves, over) = (work.serves, work.left.is_empty());
        if let Some(effect) = effect {
            self.have(effect);
        }
        if over {
            self.daemon().work = None;
            if let Some(client) = serves {
                self.clients[client] = Client::Answered;
            }
        }
    }

    pub(super) fn have(&mut self, effect: Effect) {
        match effect {
            Effect::Begin(operation, uniqid, how, up) => {
                self.journal = Some(Entry { operation, uniqid, how, up });
            }
            Effect::EndJournal | Effect::RemoveJournal => self.journal = None,
            Effect::SaveSnapshot => self.snapshot = true,
            Effect::RemoveSnapshot => self.snapshot = false,
            Effect::Create(restarts) => {
                self.last += 1;
                self.alive.push(self.last);
                self.zone = Some(Zone { uniqid: self.last, phase: Phase::Ready, end: None, restarts });
            }
            Effect::OpenGate => {
                if let Some(zone) = &mut self.zone {
                    zone.phase = Phase::Running;
                }
                self.zsched = Some(false);
                self.wants = None;
            }
            // What has ended by itself just now is not asked to.
            Effect::Stopping => {
                if let Some(zone) = self.zone.as_mut().filter(|zone| zone.phase != Phase::Down) {
                    zone.phase = Phase::Stopping;
                }
            }
            Effect::Kill => {
                self.alive.clear();
                if let Some(zone) = self.zone.as_mut().filter(|zone| zone.phase != Phase::Down) {
                    (zone.phase, zone.end) = (Phase::Down, Some(KILLED));
                }
            }
            Effect::Consume { owed } => {
                self.zone = None;
                self.daemon().delayed = None;
                self.zsched = Some(owed);
            }
        }
    }

    pub(super) fn recover(&mut self, rules: &Rules) {
        let entry = self.journal.clone();
        let intent = entry.as_ref().map(|entry| Intent {
            uniqid: entry.uniqid,
            how: entry.how,
            up: entry.up,
            ..Intent::to(entry.operation, "")
        });
        let meant = entry.as_ref().is_some_and(|entry| entry.uniqid == self.uniqid());
        let left = self.snapshot || self.journal.is_some();
        let recovery = (rules.recover)(self.phase(), intent.as_ref(), meant, left);
        self.daemon().recovered = true;
        match recovery {
            Recovery::Nothing | Recovery::CarryOnApply | Recovery::EndOfFirst => {}
            Recovery::Close(_) => self.journal = None,
            Recovery::UndoBringUp => self.begin(Action::Halt, How::Unknown, 0, None),
            Recovery::CarryOnHalt(how) => self.begin(Action::Halt, how.unwrap_or(How::Unknown), 0, None),
            Recovery::CarryOnReboot => {
                let how = entry.and_then(|entry| entry.how).unwrap_or(How::Rebooted);
                self.begin(Action::Reboot, how, 0, None);
            }
            Recovery::CarryOnShutdown | Recovery::EndOfShutdown => {
                let (uniqid, up) = (self.uniqid(), entry.is_some_and(|entry| entry.up));
                self.daemon().shutdown = Some((uniqid, up));
                // The daemon does what follows by itself.
                self.daemon().waiting.push(Waiting { client: None, uniqid, up: false, halted: false });
            }
        }
    }

    pub(super) fn serve(&mut self, client: usize, rules: &Rules) {
        let request = match self.clients[client] {
            Client::Follows if self.phase() == Phase::Running => {
                self.clients[client] = Client::Answered;
                return;
            }
            Client::Follows => Request { operation: Operation::Boot, up: true },
            _ => self.requests[client],
        };
        let refused =
            self.daemon().shutdown.is_some() && (rules.beside)(request.operation) == Beside::Refused;
        let action = match (rules.decide)(request.operation, self.state()) {
            Decision::Do(action) if !refused => action,
            _ => {
                self.clients[client] = Client::Answered;
                return;
            }
        };
        self.clients[client] = Client::Read;
        if matches!(action, Action::Halt | Action::HaltReady) {
            // Who halts a zone does not want it back.
            self.wants = None;
            self.daemon().waiting.iter_mut().for_each(|waiting| waiting.halted = true);
        }
        if action != Action::Shutdown {
            return self.begin(
                action,
                if action == Action::Reboot { How::Rebooted } else { How::Halted },
                0,
                Some(client),
            );
        }
        let (uniqid, up) = (self.uniqid(), request.up);
        match self.daemon().shutdown_of(uniqid) {
            Some((_, then)) => *then |= up,
            None => {
                self.daemon().shutdown = Some((uniqid, up));
                let (operation, how) = (Operation::Shutdown, Some(How::Shutdown));
                self.journal = Some(Entry { operation, uniqid, how, up });
            }
        }
        self.daemon().waiting.push(Waiting { client: Some(client), uniqid, up, halted: false });
    }

    /// Takes what is to follow the end of the incarnation that was asked to shut down: whoever gets it does it.
    pub(super) fn take_then(&mut self) -> bool {
        let uniqid = self.uniqid();
        self.daemon().shutdown_of(uniqid).is_some_and(|(_, up)| std::mem::take(up))
    }

    pub(super) fn deal(&mut self, rules: &Rules) {
        let Some(Zone { uniqid, end, restarts, .. }) = self.zone.clone() else { return };
        let how = how_it_ended(end);
        let shutting_down = self.daemon().shutdown_of(uniqid).is_some();
        let wished = if shutting_down && how != How::Rebooted {
            Wish::Halt
        } else {
            (rules.wish)(end, POLICY, restarts)
        };
        if matches!(wished, Wish::Restart(_)) {
            self.daemon().delayed = Some(uniqid);
            return;
        }
        self.follow(wished, how, restarts);
    }

    /// Others have had their turn while init waited to be started again.
    pub(super) fn again(&mut self, rules: &Rules) {
        let Some(Zone { uniqid, end, restarts, .. }) = self.zone.clone() else { return };
        self.daemon().delayed = None;
        let shutting_down = self.daemon().shutdown_of(uniqid).is_some();
        let wished = (rules.after_delay)((rules.wish)(end, POLICY, restarts), shutting_down);
        self.ignored |= shutting_down && wished != Wish::Halt;
        self.follow(wished, how_it_ended(end), restarts);
    }

    /// Begins what the end of a first process asks for.
    fn follow(&mut self, wished: Wish, how: How, restarts: u32) {
        let then = self.take_then();
        match wished {
            Wish::Reboot => self.begin(Action::Reboot, how, 0, None),
            Wish::Restart(_) => self.begin(Action::Reboot, how, restarts + 1, None),
            Wish::Halt if then => self.begin(Action::Reboot, how, 0, None),
            Wish::Halt | Wish::GiveUp => self.begin(Action::Halt, how, 0, None),
        }
    }

    pub(super) fn shutdown_over(&mut self) {
        let uniqid = self.uniqid();
        let over: Vec<_> = self.daemon().waiting.extract_if(.., |waiting| waiting.uniqid != uniqid).collect();
        for Waiting { client, uniqid, up, halted } in over {
            if self.daemon().shutdown_of(uniqid).is_some() {
                self.daemon().shutdown = None;
            }
            if let Some(client) = client {
                self.clients[client] = if up && !halted { Client::Follows } else { Client::Answered };
            }
        }
    }

    /// What was being done when zsched died is done again from its beginning, by what is there now.
    pub(super) fn respawn(&mut self) {
        self.zsched = Some(self.owes());
        match self.daemon().work.clone() {
            Some(Work { action, how, restarts, serves, .. }) => self.begin(action, how, restarts, serves),
            // It was ready, and ended with zsched.
            None if self.zone.is_none() && self.snapshot && self.daemon().recovered => {
                self.begin(Action::Halt, How::Unknown, 0, None);
            }
            None => {}
        }
    }

    /// Whether a daemon tells a new zsched that the zone is to come back.
    pub(super) fn owes(&self) -> bool {
        let reboots = self.journal.as_ref().is_some_and(|entry| entry.operation == Operation::Reboot);
        Handover::of(self.zone.as_ref().map(|zone| zone.phase), false).owes(reboots)
    }
}
