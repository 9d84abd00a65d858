//! The processes around a zone as actors, so that a model checker goes through every order in which they can take their steps and
//! die: a daemon and one that takes over, zsched, the zone's first process, and two clients. What is *decided* is decided by the
//! functions that ship ([`Rules::shipped`], and `halting` for the order of a halt); what this file has of its own is which effects
//! the other operations have, in which order, as `bring_up.rs` and `internal.rs` have them.
//!
//! | module | is |
//! |---|---|
//! | `world` | what there is, which steps can be taken, and what deaths and ends do |
//! | `daemon` | what a daemon does |
//! | `checks` | what must hold, over all that can happen; and faults that are put in, which must be found |

mod checks;
mod daemon;
mod world;

use crate::matrix::{Beside, Decision};
use crate::rest::{Need, Seen};
use crate::wish::{Policy, Wish};
use zone_config::State;
use zone_door::Operation;
use zone_engine::recovery::Recovery;
use zsched::wire::{End, Phase};

/// The decisions that the actors take.
#[derive(Clone, Copy)]
struct Rules {
    /// What an operation does in a state.
    decide: fn(Operation, State) -> Decision,
    /// What one does beside a shutdown.
    beside: fn(Operation) -> Beside,
    /// What a new daemon does about what a dead one left.
    recover: fn(Phase, Option<&zone_engine::journal::Intent>, bool, bool) -> Recovery,
    /// What the end of a first process asks for.
    wish: fn(Option<End>, Policy, u32) -> Wish,
    /// What it asks for when the time is over before init is started again, by whether a shutdown was begun meanwhile.
    after_delay: fn(Wish, bool) -> Wish,
    /// Whether zsched starts a daemon.
    needs_daemon: fn(Phase, bool, bool) -> bool,
    /// What a daemon is needed for, so that it does not leave.
    need: fn(&Seen) -> Option<Need>,
}

impl Rules {
    /// Gives those of the programs.
    fn shipped() -> Self {
        Self {
            decide: crate::matrix::decide,
            beside: crate::matrix::beside_shutdown,
            recover: zone_engine::recovery::plan,
            wish: crate::wish::wish,
            after_delay: crate::wish::after_delay,
            needs_daemon: Phase::needs_daemon,
            need: crate::rest::need,
        }
    }
}
