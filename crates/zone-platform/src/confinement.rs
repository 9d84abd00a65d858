//! What all processes of a zone are kept from: the bounding set and the seccomp filter, worked out once.
//!
//! The tables that they are made from are this program's, and another version has others. A zone keeps what its init
//! was given: it is in the zone's snapshot, and a login that comes after an upgrade gets the same.

use zone_config::{Snapshot, snapshot};

use crate::privileges::{Capabilities, PrivilegeError, bounding};
use crate::seccomp::{self, Opened};

/// What a process of a zone may never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The capabilities that stay in the bounding set.
    pub capabilities: Capabilities,
    /// The seccomp program, an array of `struct sock_filter`.
    pub filter: Vec<u8>,
}

impl Confinement {
    /// Works out what the words of `limitpriv`, and what is taken out of the list of refused system calls, come to with the
    /// tables of this program.
    ///
    /// # Errors
    /// [`PrivilegeError`] when they ask for what no zone can have.
    pub fn resolve(words: &[String], opened: Opened) -> Result<Self, PrivilegeError> {
        // A process may lower the limit that keeps the host's handler of core dumps from being started.
        let opened = Opened { core_limit: zone_sys::inherit::dumps_to_itself(), ..opened };
        Ok(Self { capabilities: bounding(words)?, filter: seccomp::program(opened).to_vec() })
    }

    /// Gives what is in force in a zone that lives. A snapshot of a program that did not keep it yet is read with the
    /// tables of this one.
    ///
    /// # Errors
    /// [`PrivilegeError`], in the second case only.
    pub fn in_force(snapshot: &Snapshot) -> Result<Self, PrivilegeError> {
        match &snapshot.confinement {
            Some(kept) => Ok(Self::of(kept)),
            None => Self::resolve(&snapshot.config.limitpriv, Opened::of(&snapshot.config)),
        }
    }

    pub(crate) fn of(kept: &snapshot::Confinement) -> Self {
        Self { capabilities: Capabilities::from_bits(kept.capabilities), filter: kept.filter.clone() }
    }

    /// The form that a snapshot keeps.
    #[must_use]
    pub fn kept(&self) -> snapshot::Confinement {
        snapshot::Confinement { capabilities: self.capabilities.bits(), filter: self.filter.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lab;

    #[test]
    fn a_login_gets_what_init_has_and_not_what_this_program_would_give() {
        let mut lab = Lab::new("linux");
        let ours = Confinement::in_force(&lab.snapshot).unwrap();
        assert_eq!(ours.capabilities, bounding(&[]).unwrap());
        // As another version made it.
        lab.snapshot.confinement =
            Some(snapshot::Confinement { capabilities: 0x21, filter: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f] });
        let kept = Confinement::in_force(&lab.snapshot).unwrap();
        assert_eq!((kept.capabilities.bits(), kept.filter.len()), (0x21, 8));
        assert_eq!(kept.kept(), lab.snapshot.confinement.clone().unwrap());
        // Also when the words mean nothing to this one.
        lab.snapshot.config.limitpriv = vec!["of_tomorrow".to_owned()];
        assert_eq!(Confinement::in_force(&lab.snapshot).unwrap(), kept);
        lab.snapshot.confinement = None;
        assert!(Confinement::in_force(&lab.snapshot).is_err());
        let opened = Opened::of(&lab.snapshot.config);
        assert_eq!(Confinement::resolve(&[], opened).unwrap(), ours);
    }
}
