//! Respawns zsched when it dies and hands it the running zone. The zone's processes run on when theirs is killed, and as long as a daemon lives it has all
//! that zsched had but one thing: the console's pty and kept output, so that neither is lost, the first
//! process's pidfd, the cgroup. So it starts another and hands it the zone. What cannot be handed on is to be the
//! parent: the new one becomes the tracer.

use crate::backup::{Held, has_ended};
use crate::handover::{self, DIED, Handover, words};
use crate::journal;
use crate::keeper;
use crate::keeper_error::KeeperError;
use crate::sync::lock;
use crate::zone::Zone;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use zone_config::{Layout, ZoneName};
use zone_live::{Incarnation, Mark};
use zone_sys::Chain;
use zsched::client::{Client, ClientError, ZoneFds};
use zsched::wire::{Adopt, Phase, SOCKETS, Status};

/// What came of a look at zsched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It lives, and has the zone.
    Lives,
    /// It had died; another one has the zone.
    Respawned,
}

/// Connects to the zsched that listens at the zone's socket, and gives what it has; `None` if none does.
///
/// # Errors
/// If one does and has no room for us, or no answer.
fn reconnect(layout: &Layout, name: &ZoneName) -> Result<Option<(Client, Status)>, ClientError> {
    let client = match Client::connect(&layout.zone_run(name)) {
        Ok(client) => client,
        Err(ClientError::NotRunning) => return Ok(None),
        // There is no saying whether it lives.
        Err(error) => return Err(error),
    };
    Ok(handover::lives(client.greet())?.map(|status| (client, status)))
}

impl Zone {
    /// Takes note of what zsched says: from the moment that there is a first process the daemon holds what it takes to hand it on, and
    /// a record of it is on disk.
    pub fn hold(&self, status: &Status) {
        if !status.exists() {
            self.backup.forget();
            return;
        }
        if let Some(known) =
            lock(&self.backup.held).as_mut().filter(|known| known.status.uniqid == status.uniqid)
        {
            if let (Phase::Down, Some(end), true) = (status.phase, status.end, known.status.lives()) {
                self.mark(Mark::Ended(end, status.ended));
            }
            known.status = *status;
            return;
        }
        // Asked before the lock is taken: whoever replaces zsched takes the two in the other order.
        let asked = self.keeper().fds();
        if let Ok((status, fds)) = asked {
            self.write_record(&status, &fds);
            *lock(&self.backup.held) = Some(Held { status, fds });
        }
    }

    /// Forgets the zone that was taken down.
    pub fn release_record(&self) {
        self.backup.forget();
        if let Err(error) = Incarnation::remove(&self.layout, &self.name) {
            tracing::warn!("{}", Chain(&error));
        }
    }

    fn write_record(&self, status: &Status, fds: &ZoneFds) {
        let known = Incarnation::load(&self.layout, &self.name);
        if known.is_some_and(|record| record.uniqid == status.uniqid) || !status.lives() {
            return;
        }
        let warn = |error: &(dyn std::error::Error + 'static)| {
            let error = Chain(error);
            tracing::warn!(
                "if daemon and zsched are both killed, this zone will not be found again: {error}"
            );
        };
        match Incarnation::of(status, &fds.pidfd) {
            Ok(record) => {
                if let Err(error) = record.save(&self.layout, &self.name) {
                    warn(&error);
                }
            }
            Err(error) => warn(&error),
        }
    }

    /// Adds to the record of the zone.
    pub fn mark(&self, mark: Mark) {
        if matches!(mark, Mark::Booted) {
            self.mark_booted();
        }
        if let Err(error) = mark.add(&self.layout, &self.name) {
            tracing::warn!("could not add to the record of the zone: {}", Chain(&error));
        }
    }

    /// Respawns zsched if it died, and hands it the zone. A connection that broke says nothing yet of zsched itself, so it is
    /// connected to anew first. Blocks; holds the keeper lock meanwhile.
    ///
    /// # Errors
    /// When none can be started, or it does not take the zone over.
    pub fn ensure_keeper(&self) -> Result<Ensured, KeeperError> {
        // Whoever wants to speak to it waits.
        let mut keeper = self.keeper();
        if self.backup.is_retired() || !handover::is_missed(&keeper.status()) {
            return Ok(Ensured::Lives);
        }
        let found = reconnect(&self.layout, &self.name).map_err(KeeperError::Unserved)?;
        let (requests, events) = match found {
            Some((again, status)) if status.exists() || !self.backup.holds_one_that_lives() => {
                tracing::warn!("the connection to zsched broke; connected to it anew");
                *keeper = again;
                return Ok(Ensured::Lives);
            }
            // It was started for the zone when this was tried before, and has not been handed it.
            Some((again, _)) => (again, None),
            None => {
                let events = self.launch_another()?;
                (Client::connect(&self.layout.zone_run(&self.name))?, Some(events))
            }
        };
        let words = self.hand_over(events.as_ref().unwrap_or(&requests))?;
        zone_fail::pass!("respawn.adopted");
        // Not before it has the zone: what it says of having none would be taken for the zone's end.
        *keeper = requests;
        give_sockets(&keeper, self.backup.sockets.each_ref().map(AsFd::as_fd));
        zone_fail::pass!("respawn.sockets");
        drop(keeper);
        tracing::error!("{words}");
        lock(&self.backup.reported).push(words);
        *lock(&self.backup.fresh) = events;
        Ok(Ensured::Respawned)
    }

    /// Starts another zsched with the zone's console, and gives the connection on which its events come.
    fn launch_another(&self) -> Result<Client, KeeperError> {
        let claimed = self.claim()?;
        let console = [
            lock(&self.backup.manager).try_clone(),
            self.subsidiary().try_clone(),
            self.backup.ring.try_clone(),
        ];
        let [manager, subsidiary, ring] = console.map(|fd| fd.map_err(KeeperError::Descriptor));
        let console = [manager?, subsidiary?, ring?];
        let (events, child) =
            keeper::launch(&self.layout, &self.name, claimed, console.each_ref().map(AsFd::as_fd))?;
        *lock(&self.backup.child) = Some(child);
        zone_fail::pass!("respawn.started");
        Ok(events)
    }

    /// Takes the lock for another zsched. The one that this daemon has started, if it has one, has gone then, and is reaped.
    fn claim(&self) -> Result<Option<OwnedFd>, KeeperError> {
        let mut child = lock(&self.backup.child);
        // One that answers nobody may live.
        let in_doubt = child.as_ref().is_some_and(|child| !has_ended(child));
        let warn = |text: &str| tracing::warn!("{text}");
        let claimed = crate::unreachable::claim(&self.layout, &self.name, in_doubt, warn)?;
        if let Some(dead) = child.take() {
            let _ = waitid(WaitId::PidFd(dead.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        Ok(claimed)
    }

    /// Tells zsched to end, and ends it if it keeps no zone and cannot be told: it would stay, with the zone's door and console, and start a
    /// daemon for whoever comes, which could tell it as little.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when nobody listens at its socket, or another when it keeps a zone.
    pub fn dismiss(&self) -> zsched::client::Result<()> {
        let mut keeper = self.keeper();
        self.backup.retire();
        let asked = match keeper.quit() {
            Err(ClientError::NotRunning | ClientError::Broken) => {
                Client::connect(&self.layout.zone_run(&self.name)).and_then(|again| {
                    *keeper = again;
                    keeper.quit()
                })
            }
            done => done,
        };
        match asked {
            Err(error) if !error.is_answer() => {
                tracing::warn!("zsched could not be dismissed: {}", Chain(&error));
                let ended =
                    crate::unreachable::end(&self.layout, &self.name, |text| tracing::warn!("{text}"));
                if ended { Ok(()) } else { Err(error) }
            }
            done => done,
        }
    }

    /// Hands the zone to a new zsched, and puts into words what became of it.
    fn hand_over(&self, heir: &Client) -> Result<String, KeeperError> {
        let mut held = lock(&self.backup.held);
        let reboots = journal::owes(&self.layout, &self.name);
        if let Some(Held { fds, .. }) = held.as_ref().filter(|held| held.status.phase == Phase::Ready) {
            // One that waits at its gate ends by itself; one that was let through has nobody who lived to tell.
            let record = Incarnation::load(&self.layout, &self.name);
            let _ = record.map(|record| record.waits_at_gate(&fds.pidfd));
        }
        let phase = held.as_ref().map(|held| held.status.phase);
        let handover = Handover::of(phase, held.as_ref().is_some_and(|held| has_ended(&held.fds.pidfd)));
        let owed = handover.owes(reboots);
        let (Handover::Zone(phase), Some(Held { status, fds })) = (handover, &mut *held) else {
            *held = None;
            *lock(&self.backup.kept) = None;
            if owed {
                owe(heir);
            }
            return Ok(match handover {
                Handover::EndedReady => format!(
                    "WARNING: {DIED}, and with it the zone, which was ready but not running; it is installed now"
                ),
                _ => format!("NOTICE: {DIED} and was replaced; no zone was up"),
            });
        };
        let kept = lock(&self.backup.kept);
        let kept = kept.as_ref().filter(|(of, _)| *of == status.uniqid).map(|(_, kept)| kept);
        let kept: Vec<_> = kept.into_iter().flat_map(|kept| kept.handed_on(phase)).collect();
        let count = u8::try_from(kept.len()).unwrap_or(u8::MAX);
        let zone = handover::told(status, phase, crate::clock::now(), owed, count);
        let mut all = vec![fds.cgroup.as_fd()];
        all.extend((phase != Phase::Down).then(|| fds.pidfd.as_fd()));
        all.extend(kept);
        let adopted = heir.adopt(&zone, &all)?;
        *status = adopted;
        Ok(words(&adopted))
    }
}

/// Has a zsched that was just started know that a zone is to come back, should this daemon die before it runs.
pub fn owe(heir: &Client) {
    if let Err(error) = heir.adopt(&Adopt::owing(), &[]) {
        tracing::warn!("a reboot is not carried on if this daemon dies: {}", Chain(&error));
    }
}

/// Gives the listening sockets of console and door to a zsched. Without them it is as it was before zsched had them: who connects while
/// no daemon is there finds nobody. That a zsched is of before is nothing to be told.
pub fn give_sockets(zsched: &Client, sockets: [BorrowedFd<'_>; SOCKETS]) {
    match zsched.hold_sockets(sockets) {
        Ok(_) | Err(ClientError::TooOld { .. }) => {}
        Err(error) => tracing::warn!("{}", Chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fault, Lab, UNIQID};
    use rustix::io::Errno;
    use zone_testing::needs_root;
    use zsched::wire::{Op, Stage};

    /// A zone that runs and is held by the daemon, with a zsched that has it no more; the connection to the one before has broken.
    fn abandoned() -> Lab {
        let lab = Lab::new(Phase::Running);
        let status = lab.zone.keeper().status().unwrap();
        lab.zone.hold(&status);
        lab.forgets();
        lab.fails(Op::Status, Fault::Lost);
        lab.asked();
        lab
    }

    #[test]
    fn a_zsched_that_was_not_handed_the_zone_before_is_handed_it_now() {
        needs_root!();
        let lab = abandoned();
        assert_eq!(lab.zone.ensure_keeper().unwrap(), Ensured::Respawned);
        let status = lab.zone.keeper().status().unwrap();
        assert_eq!((status.phase, status.uniqid), (Phase::Running, UNIQID));
        assert!(lab.zone.backup.holds_a_zone());
        assert!(lab.asked().ends_with(&[Op::Adopt, Op::Sockets, Op::Status]));
        assert_eq!(lab.zone.backup.take_messages().len(), 1);
    }

    #[test]
    fn one_that_does_not_take_it_is_not_asked_for_the_zone() {
        needs_root!();
        let lab = abandoned();
        // What it says of the zone is that there is none, and who believed that would remove what lives.
        assert!(lab.zone.keeper().status().is_err());
        lab.fails(Op::Adopt, Fault::Refused(Stage::Busy, Errno::BUSY));
        assert!(lab.zone.ensure_keeper().is_err());
        assert!(lab.zone.keeper().status().is_err() && lab.zone.backup.holds_a_zone());
        assert_eq!(lab.zone.ensure_keeper().unwrap(), Ensured::Respawned, "it is tried again");
        assert_eq!(lab.phase(), Phase::Running);
    }

    #[test]
    fn one_of_which_only_the_connection_broke_keeps_what_it_has() {
        needs_root!();
        let lab = Lab::new(Phase::Running);
        let status = lab.zone.keeper().status().unwrap();
        lab.zone.hold(&status);
        lab.fails(Op::Status, Fault::Lost);
        assert_eq!(lab.zone.ensure_keeper().unwrap(), Ensured::Lives);
        assert!(!lab.asked().contains(&Op::Adopt));
        // Nor is a zone handed over that has ended: what follows from that was begun.
        lab.ends();
        lab.forgets();
        lab.fails(Op::Status, Fault::Lost);
        assert_eq!(lab.zone.ensure_keeper().unwrap(), Ensured::Lives);
        assert!(!lab.asked().contains(&Op::Adopt));
    }
}
