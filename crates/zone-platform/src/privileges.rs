//! What of root's power a zone's root has: the capability bounding set.
//!
//! A zone lives in a user namespace, where a capability is one over the namespace's own things only. The set is the
//! second fence: it keeps what no zone needs from meeting a kernel that forgot to ask which namespace it is asked in.
//! The rules for `limitpriv` are those of zonecfg(8) on Solaris, over the capabilities of capabilities(7).

use std::fmt;

mod table;

use table::{CAPABILITIES, Capability, Class};

/// A set of capabilities: bit `1 << n` is capability number `n`, as in `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// The bits.
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
        CAPABILITIES.iter().filter(move |known| self.0 & known.bit() != 0).map(|known| known.name)
    }

    fn of(wanted: impl Fn(Class) -> bool) -> Self {
        Self(
            CAPABILITIES.iter().filter(|known| wanted(known.class)).fold(0, |bits, known| bits | known.bit()),
        )
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(","))
    }
}

/// A `limitpriv` that no zone can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivilegeError {
    /// It would be power over the machine.
    #[error(
        "privilege \"{0}\" is not permitted within the zone's privilege set: it is over the machine, not the zone; take it out of limitpriv"
    )]
    Prohibited(&'static str),
    /// Nothing would boot, or nothing would end.
    #[error(
        "required privilege \"{0}\" is missing from the zone's privilege set: add it to limitpriv, or start limitpriv with 'default'"
    )]
    Required(&'static str),
    /// No capability of that name.
    #[error(
        "unknown privilege \"{0}\" specified in the zone's privilege set: capabilities(7) lists the names, in small letters, and there is 'default'"
    )]
    Unknown(String),
}

/// The bounding set that `limitpriv` asks for. Its words are taken in order: `default` adds the safe set, a name adds one,
/// a name after `!` or `-` takes one away. Without words it is the safe set. Names are those of capabilities(7), with or without
/// `cap_`.
///
/// # Errors
/// [`PrivilegeError`]
pub fn bounding(words: &[String]) -> Result<Capabilities, PrivilegeError> {
    let default = Capabilities::of(|class| matches!(class, Class::Required | Class::Default));
    let mut words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).peekable();
    let mut set = if words.peek().is_none() { default } else { Capabilities(0) };
    for word in words {
        match word.strip_prefix(['!', '-']) {
            Some(name) => set.0 &= !find(name)?.bit(),
            None if word == "default" => set.0 |= default.0,
            None => {
                let found = find(word)?;
                if matches!(found.class, Class::Prohibited) {
                    return Err(PrivilegeError::Prohibited(found.name));
                }
                set.0 |= found.bit();
            }
        }
    }
    let required = |known: &&Capability| matches!(known.class, Class::Required);
    match CAPABILITIES.iter().filter(required).find(|known| set.0 & known.bit() == 0) {
        Some(missing) => Err(PrivilegeError::Required(missing.name)),
        None => Ok(set),
    }
}

fn find(word: &str) -> Result<&'static Capability, PrivilegeError> {
    let lower = word.to_ascii_lowercase();
    let found = CAPABILITIES.iter().find(|known| known.name == lower || known.name[4..] == lower);
    found.ok_or_else(|| PrivilegeError::Unknown(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Capabilities, PrivilegeError> {
        bounding(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_words() {
        let default = of("").unwrap();
        assert_eq!(of("default").unwrap(), default);
        assert!(
            default.contains(21) && default.contains(22) && !default.contains(16) && !default.contains(99)
        );
        let less = of("default,!net_raw,-CAP_MKNOD, ipc_lock").unwrap();
        assert!(!less.contains(13) && !less.contains(27) && less.contains(14));
        assert_eq!(
            of("cap_kill,setuid,setgid,sys_boot").unwrap().to_string(),
            "cap_kill,cap_setgid,cap_setuid,cap_sys_boot"
        );
    }

    #[test]
    fn the_three_ways_to_be_wrong() {
        assert_eq!(of("default,sys_module"), Err(PrivilegeError::Prohibited("cap_sys_module")));
        assert_eq!(of("default,!sys_boot"), Err(PrivilegeError::Required("cap_sys_boot")));
        assert_eq!(of("chown"), Err(PrivilegeError::Required("cap_kill")));
        assert_eq!(of("default,!proc_fork"), Err(PrivilegeError::Unknown("proc_fork".to_owned())));
        // Taking away what is not there is fine.
        assert!(of("default,!sys_module").is_ok());
    }

    #[test]
    fn the_table_is_that_of_the_kernel() {
        assert!(CAPABILITIES.iter().enumerate().all(|(n, known)| known.bit() == 1 << n));
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert!(CAPABILITIES.len() >= last.trim().parse::<usize>().unwrap(), "a capability has no class yet");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_machine_is_safe(words in proptest::collection::vec("[!-]?[a-z_]{0,12}", 0..6)) {
            if let Ok(set) = bounding(&words) {
                prop_assert_eq!(set.bits() & Capabilities::of(|class| class == Class::Prohibited).bits(), 0);
            }
        }
    }
}
