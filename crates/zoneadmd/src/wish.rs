//! What the end of a zone's first process asks for: a pure table of how it ended and what the configuration says of that.

use zone_config::lastexit::How;
use zone_live::how_it_ended;
use zsched::wire::End;

/// How long to wait before each restart in a row; after the last, the zone halts.
pub(crate) const RESTART_DELAYS_MS: [u64; 5] = [100, 500, 1_000, 2_000, 5_000];

/// What the end of a first process asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Reboot,
    Halt,
    /// Start init again, as a new incarnation, after so many milliseconds.
    Restart(u64),
    /// It was started again too often.
    GiveUp,
}

/// The three flags of the zone, for an init that ended by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) restart: bool,
    pub(crate) restart_on_0: bool,
    pub(crate) reboot: bool,
}

/// Decides what the end of a first process asks for, by how it ended, the flags of the zone, and how often init was started again
/// before.
pub(crate) fn wish(end: Option<End>, policy: Policy, restarts: u32) -> Wish {
    let success = end == Some(End::Exited(0));
    match how_it_ended(end) {
        How::Rebooted => Wish::Reboot,
        // It may have asked for a reboot; that what ended was a halt is the safer guess.
        How::Poweroff | How::Unknown => Wish::Halt,
        _ if !policy.restart => Wish::Halt,
        _ if policy.reboot && policy.restart_on_0 && !success => Wish::Halt,
        _ if policy.reboot => Wish::Reboot,
        _ if policy.restart_on_0 && !success => Wish::Halt,
        _ => {
            let nth = usize::try_from(restarts).unwrap_or(usize::MAX);
            RESTART_DELAYS_MS.get(nth).map_or(Wish::GiveUp, |&delay| Wish::Restart(delay))
        }
    }
}

/// Decides what is wished when the time is over before init is started again. Others had their turn meanwhile: a shutdown of that
/// incarnation, which had no init to hear of it, ends the zone.
pub(crate) fn after_delay(wished: Wish, shutting_down: bool) -> Wish {
    if shutting_down { Wish::Halt } else { wished }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Policy = Policy { restart: true, restart_on_0: false, reboot: false };

    #[test]
    fn what_the_zone_asked_for_comes_first() {
        for policy in [DEFAULT, Policy { restart: false, ..DEFAULT }] {
            assert_eq!(wish(Some(End::Killed(1)), policy, 9), Wish::Reboot);
            assert_eq!(wish(Some(End::Killed(2)), policy, 9), Wish::Halt);
        }
    }

    #[test]
    fn the_three_flags_decide_as_on_solaris() {
        let (ok, bad) = (Some(End::Exited(0)), Some(End::Exited(3)));
        assert_eq!(wish(bad, Policy { restart: false, ..DEFAULT }, 0), Wish::Halt);
        let reboot = Policy { reboot: true, ..DEFAULT };
        assert_eq!((wish(ok, reboot, 0), wish(bad, reboot, 0)), (Wish::Reboot, Wish::Reboot));
        let both = Policy { restart_on_0: true, ..reboot };
        assert_eq!((wish(ok, both, 0), wish(bad, both, 0)), (Wish::Reboot, Wish::Halt));
        let on_0 = Policy { restart_on_0: true, ..DEFAULT };
        assert_eq!((wish(ok, on_0, 0), wish(bad, on_0, 0)), (Wish::Restart(100), Wish::Halt));
    }

    #[test]
    fn a_shutdown_that_was_asked_for_while_init_waited_ends_the_zone() {
        assert_eq!(after_delay(Wish::Restart(5_000), true), Wish::Halt);
        assert_eq!(after_delay(Wish::Restart(5_000), false), Wish::Restart(5_000));
    }

    #[test]
    fn restarts_back_off_and_end() {
        let crash = Some(End::Killed(11));
        assert_eq!(wish(crash, DEFAULT, 0), Wish::Restart(100));
        assert_eq!(wish(crash, DEFAULT, 4), Wish::Restart(5_000));
        assert_eq!(wish(crash, DEFAULT, 5), Wish::GiveUp);
    }
}
