//! What is done to a zone, and what goes wrong meanwhile: all of it drawn from the seed.

use fastrand::Rng;
use std::fmt;
use std::time::Duration;

/// Something that an administrator, or the zone itself, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// `zoneadm ready`
    Ready,
    /// `zoneadm boot`
    Boot,
    /// `zoneadm halt`
    Halt,
    /// `zoneadm reboot`
    Reboot,
    /// `zoneadm shutdown`
    Shutdown,
    /// `zoneadm shutdown -r`
    ShutdownReboot,
    /// `reboot`, typed inside the zone
    RebootInside,
    /// `poweroff`, typed inside the zone
    PoweroffInside,
    /// `zlogin ZONE true`
    Login,
    /// A watcher comes to the console, or the one that is there goes.
    Watch,
    /// `zoneadm uninstall -F`, then `zoneadm install`
    Reinstall,
    /// Nothing: whatever happens, happens to a zone that is at rest.
    Rest,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing goes wrong.
    None,
    /// The daemon dies at this boundary between two steps, counted from 1; the one after it at the second.
    DaemonAt(usize, usize),
    /// The daemon is killed this long after the deed began.
    DaemonAfter(Duration),
    /// Whatever daemon there is is killed again and again, with this pause, this often.
    DaemonsEvery(Duration, u32),
    /// The client is killed this long after the deed began.
    ClientAfter(Duration),
    /// The client and the daemon are killed this long after the deed began.
    BothAfter(Duration),
    /// The zone's zsched is killed this long after the deed began.
    KeeperAfter(Duration),
}

/// One step of a zone's soak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// How long the zone is left alone before.
    pub(super) peace: Duration,
    pub(super) deed: Deed,
    pub(super) fault: Fault,
    /// With which command whatever has become of the zone is taken up again.
    pub(super) next: Deed,
}

/// The endless plan of one zone.
#[derive(Debug)]
pub(super) struct Plan(Rng);

impl Plan {
    /// The plan of the `zone`th zone of a soak.
    pub(super) fn new(seed: u64, zone: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Neighbouring seeds must not give two zones the same life.
        let start = (0..=zone).map(|_| rng.u64(..)).last().unwrap_or(seed);
        Self(Rng::with_seed(start))
    }

    /// The next step. Every draw is made whatever the one before gave, so that two plans of one seed
    /// stay the same when a kind of fault is added.
    pub(super) fn next(&mut self) -> Step {
        use Deed::{
            Boot, Halt, Login, PoweroffInside, Ready, Reboot, RebootInside, Reinstall, Rest, Shutdown,
            ShutdownReboot, Watch,
        };
        const DEEDS: [Deed; 20] = [
            Boot,
            Boot,
            Boot,
            Boot,
            Halt,
            Halt,
            Reboot,
            Reboot,
            Reboot,
            Ready,
            Ready,
            Shutdown,
            ShutdownReboot,
            RebootInside,
            RebootInside,
            PoweroffInside,
            Login,
            Watch,
            Reinstall,
            Rest,
        ];
        let deed = DEEDS[self.0.usize(..DEEDS.len())];
        let (first, second) = (self.0.usize(1..40), self.0.usize(0..12));
        // Most things happen in the first milliseconds; some late.
        let scale = self.0.u32(4..18);
        let after = Duration::from_micros(self.0.u64(0..1 << scale));
        let (often, kind) = (self.0.u32(2..12), self.0.u32(0..16));
        let peace = Duration::from_millis(self.0.u64(0..400));
        let peaceful = self.0.u32(0..3) == 0;
        let next = [Boot, Boot, Halt, Ready][self.0.usize(..4)];
        let fault = match kind {
            0..4 => Fault::DaemonAt(first, second),
            4..7 => Fault::DaemonAfter(after),
            7 => Fault::DaemonsEvery(after.min(Duration::from_millis(20)), often),
            8..10 => Fault::ClientAfter(after),
            10..12 => Fault::BothAfter(after),
            12 => Fault::KeeperAfter(after),
            _ => Fault::None,
        };
        Step { peace: if peaceful { peace } else { Duration::ZERO }, deed, fault, next }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.deed)?;
        if self.fault == Fault::None { Ok(()) } else { write!(f, " with {:?}", self.fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(seed: u64, zone: usize) -> Vec<String> {
        let mut plan = Plan::new(seed, zone);
        (0..200).map(|_| plan.next().to_string()).collect()
    }

    #[test]
    fn a_seed_is_a_life_and_another_is_another() {
        assert_eq!(life(1, 0), life(1, 0));
        assert_ne!(life(1, 0), life(2, 0));
        assert_ne!(life(1, 0), life(1, 1));
        assert_ne!(life(1, 1), life(2, 0), "the next seed must not begin where the next zone does");
    }

    #[test]
    fn every_deed_and_every_fault_occurs() {
        let all = life(7, 0).join("\n") + &life(7, 1).join("\n");
        for word in ["Reinstall", "RebootInside", "PoweroffInside", "Watch", "Rest", "ShutdownReboot"] {
            assert!(all.contains(word), "{word}");
        }
        for word in ["DaemonAt", "DaemonAfter", "DaemonsEvery", "ClientAfter", "BothAfter", "KeeperAfter"] {
            assert!(all.contains(word), "{word}");
        }
    }
}
