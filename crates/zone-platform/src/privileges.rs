//! What of root's power a zone's root has: the capability bounding set. What `limitpriv` may say, and what it comes to, is in
//! [`zone_config::privilege`].

use std::fmt;

use zone_config::privilege;
pub use zone_config::privilege::PrivilegeError;

use crate::PlatformError;
use crate::check::Check;

/// A set of capabilities: bit `1 << n` is capability number `n`, as in `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Reads a set from its bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Gives one bit for each capability, by its number.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether capability number `number` is in the set.
    #[must_use]
    pub fn contains(self, number: u32) -> bool {
        1u64.checked_shl(number).is_some_and(|bit| self.0 & bit != 0)
    }

    /// The names of those in the set, in the order of their numbers.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(privilege::NAMES).filter(move |(number, _)| self.contains(*number)).map(|(_, name)| name)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(","))
    }
}

/// The bounding set that the words of `limitpriv` ask for.
///
/// # Errors
/// [`PrivilegeError`]
pub fn bounding(words: &[String]) -> Result<Capabilities, PrivilegeError> {
    privilege::limit(words).map(|limit| Capabilities(limit.bits))
}

/// Works out what the zone's processes may do.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    check.found.confinement = Some(check.spec.privileges.confinement()?);
    check.spec.privileges.idle.iter().for_each(|idle| check.warn(idle.clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_names() {
        let words = ["none", "cap_kill", "setuid", "SETGID", "sys_boot"].map(str::to_owned);
        let few = bounding(&words).unwrap();
        assert_eq!(few.to_string(), "kill,setgid,setuid,sys_boot");
        assert!(few.contains(5) && !few.contains(21) && !few.contains(99));
    }
}
