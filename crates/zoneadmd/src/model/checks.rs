//! What holds whatever happens, in whichever order. The checker goes through all of it.

use super::Rules;
use super::world::{Client, Request, Step, World};
use crate::matrix::{Action, Decision};
use crate::rest::Seen;
use crate::wish::Wish;
use stateright::{Checker, HasDiscoveries, Model, Property};
use zone_config::State;
use zone_door::Operation;
use zone_engine::journal::Intent;
use zone_engine::recovery::{Recovery, plan};
use zsched::wire::Phase;

/// A zone, installed or running, with two clients that ask for anything, and so many deaths.
struct Zones {
    rules: Rules,
    /// Of daemons and of zscheds.
    deaths: (u8, u8),
    /// How often the zone's first process ends by itself.
    ends: u8,
    /// Whether daemons leave that nothing needs.
    idle: bool,
}

const REQUESTS: [Request; 6] = [
    Request { operation: Operation::Ready, up: true },
    Request { operation: Operation::Boot, up: true },
    Request { operation: Operation::Halt, up: false },
    Request { operation: Operation::Reboot, up: true },
    Request { operation: Operation::Shutdown, up: false },
    Request { operation: Operation::Shutdown, up: true },
];

impl Model for Zones {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        // Which of two clients is called the first makes no difference.
        let pairs =
            (0..REQUESTS.len()).flat_map(|a| (a..REQUESTS.len()).map(move |b| [REQUESTS[a], REQUESTS[b]]));
        pairs
            .flat_map(|pair| [false, true].map(|runs| World::new(runs, pair, self.deaths, self.ends)))
            .map(|world| if self.idle { world.with_daemons_that_leave() } else { world })
            .collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        steps.extend(world.steps(&self.rules));
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        world.take(step, &self.rules);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TWO_DAEMONS, |_, world: &World| world.daemons.len() <= 1),
            Property::always(TWO_LIVES, |_, world: &World| world.alive.len() <= 1),
            Property::always(LIES, |_, world: &World| {
                world.state() != State::Installed || world.alive.is_empty()
            }),
            Property::always(UNANSWERED, |zones: &Self, world: &World| {
                zones.moves(world) || world.clients.iter().all(|client| *client == Client::Answered)
            }),
            Property::always(LOST, |zones: &Self, world: &World| zones.moves(world) || world.wants.is_none()),
            Property::always(LEFT, |_, world: &World| {
                !world.rests()
                    || world.zone.as_ref().is_some_and(|zone| zone.phase == Phase::Down)
                    || (world.journal.is_none() && world.snapshot == world.zone.is_some())
            }),
            Property::always(IGNORED, |_, world: &World| !world.ignored),
            Property::always(CUT_OFF, |_, world: &World| !world.cuts_off()),
            Property::sometimes(THREE_LIVES, |_, world: &World| {
                world.zone.as_ref().is_some_and(|zone| zone.uniqid > 2)
            }),
        ]
    }
}

const THREE_LIVES: &str = "a zone lives three times";
const TWO_DAEMONS: &str = "one daemon";
const TWO_LIVES: &str = "one incarnation";
const LIES: &str = "nothing lives of a zone that is called installed";
const UNANSWERED: &str = "every caller is answered";
const LOST: &str = "no request of the zone is lost";
const IGNORED: &str = "a zone that is being shut down has its init not started again";
const CUT_OFF: &str = "a daemon that leaves cuts off nobody";
const LEFT: &str = "a daemon that rests has left nothing";

impl Zones {
    /// Whether anything can still happen that is not another misfortune.
    fn moves(&self, world: &World) -> bool {
        let misfortune =
            |step: &Step| matches!(step, Step::DaemonDies | Step::ZschedDies | Step::InitEnds(_));
        !world.steps(&self.rules).iter().all(misfortune)
    }
}

/// Goes through all that can happen, tells how what must not happen comes about, and gives its names.
fn broken(rules: Rules, deaths: (u8, u8), ends: u8) -> Vec<&'static str> {
    all_of(Zones { rules, deaths, ends, idle: false })
}

/// The same where daemons leave that nothing needs.
fn broken_by_leaving(rules: Rules, deaths: (u8, u8), ends: u8) -> Vec<&'static str> {
    all_of(Zones { rules, deaths, ends, idle: true })
}

fn all_of(zones: Zones) -> Vec<&'static str> {
    let idle = zones.idle;
    // Who is cut off calls again, and again: of that there would be no end.
    let enough = HasDiscoveries::AnyOf([CUT_OFF].into());
    let checker = zones.checker().threads(2).finish_when(enough).spawn_bfs().join();
    println!("{} different states of {}", checker.unique_state_count(), checker.state_count());
    let mut broken = Vec::new();
    for (name, path) in checker.discoveries().into_iter().filter(|(name, _)| *name != THREE_LIVES) {
        let world = path.last_state().clone();
        println!("not so: {name}, after {:?}\n{world:?}", path.into_actions());
        broken.push(name);
    }
    assert!(idle || checker.discovery(THREE_LIVES).is_some(), "the model does not come far");
    broken.sort_unstable();
    broken
}

#[test]
fn whatever_happens_all_of_it_holds() {
    assert_eq!(broken(Rules::shipped(), (2, 1), 1), Vec::<&str>::new());
}

#[test]
fn a_reboot_that_is_not_carried_on_is_found() {
    let recover = |phase, intent: Option<&Intent>, meant, left| match plan(phase, intent, meant, left) {
        Recovery::CarryOnReboot => Recovery::UndoBringUp,
        other => other,
    };
    assert!(broken(Rules { recover, ..Rules::shipped() }, (1, 0), 1).contains(&LOST));
}

#[test]
fn what_a_dead_daemon_left_and_nobody_removes_is_found() {
    let recover = |phase, intent: Option<&Intent>, meant, left| match plan(phase, intent, meant, left) {
        Recovery::UndoBringUp => Recovery::Nothing,
        other => other,
    };
    assert!(broken(Rules { recover, ..Rules::shipped() }, (1, 0), 0).contains(&LEFT));
}

#[test]
fn a_second_life_beside_the_first_is_found() {
    let decide = |operation, state| match (operation, state) {
        (Operation::Ready, State::Running) => Decision::Do(Action::Ready),
        _ => crate::matrix::decide(operation, state),
    };
    assert!(broken(Rules { decide, ..Rules::shipped() }, (0, 0), 0).contains(&TWO_LIVES));
}

#[test]
fn an_end_for_which_no_daemon_is_started_is_found() {
    let needs_daemon = |phase: Phase, _owed, waited_for| phase.needs_daemon(false, waited_for);
    assert!(broken(Rules { needs_daemon, ..Rules::shipped() }, (1, 0), 1).contains(&LOST));
}

/// So it was once: a daemon that carries on takes down what is ready a second time, and may die then.
#[test]
fn a_reboot_whose_daemons_die_twice_is_found() {
    let needs_daemon =
        |phase, owed, _| phase == Phase::Down || (owed && matches!(phase, Phase::None | Phase::Ready));
    assert!(broken(Rules { needs_daemon, ..Rules::shipped() }, (2, 0), 1).contains(&LOST));
}

#[test]
fn a_reboot_that_is_taken_for_a_halt_is_found() {
    let wish = |end, policy, restarts| match crate::wish::wish(end, policy, restarts) {
        Wish::Reboot => Wish::Halt,
        other => other,
    };
    assert!(broken(Rules { wish, ..Rules::shipped() }, (0, 0), 1).contains(&LOST));
}

/// So it was once: whoever asked for a shutdown while init waited to be started again was told that it was done.
#[test]
fn a_shutdown_that_is_forgotten_while_init_waits_is_found() {
    let after_delay = |wished, _| wished;
    assert!(broken(Rules { after_delay, ..Rules::shipped() }, (0, 0), 1).contains(&IGNORED));
}

#[test]
fn whoever_comes_while_a_daemon_leaves_is_answered() {
    assert_eq!(broken_by_leaving(Rules::shipped(), (1, 1), 1), Vec::<&str>::new());
}

/// So it would be if a shutdown that waits for init, and who waits for that, were no reason to stay.
#[test]
fn a_daemon_that_leaves_who_waits_for_a_shutdown_is_found() {
    let need = |seen: &Seen| crate::rest::need(&Seen { shutdown: false, connected: false, ..*seen });
    assert!(broken_by_leaving(Rules { need, ..Rules::shipped() }, (0, 0), 0).contains(&CUT_OFF));
}

#[test]
fn a_caller_for_whom_no_daemon_is_started_is_found() {
    let needs_daemon = |phase: Phase, owed, _waited_for| phase.needs_daemon(owed, false);
    assert!(broken_by_leaving(Rules { needs_daemon, ..Rules::shipped() }, (0, 0), 0).contains(&UNANSWERED));
}
