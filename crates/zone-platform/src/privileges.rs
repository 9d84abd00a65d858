//! What of root's power a zone's root has: the capability bounding set.
//!
//! A zone lives in a user namespace, where a capability is one over the namespace's own things only. The set is the
//! second fence: it keeps what no zone needs from meeting a kernel that forgot to ask which namespace it is asked in.
//! The rules for `limitpriv` are those of zonecfg(8) on Solaris, over the capabilities of capabilities(7).

use std::fmt;

use zone_config::privilege;

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

    /// All that the kernel has, less those of some lists.
    fn all_but(lists: &[&[&str]]) -> Self {
        let wanted = |name: &str| !lists.iter().any(|list| list.contains(&name));
        let numbers = privilege::NAMES.into_iter().enumerate().filter(|(_, name)| wanted(name));
        Self(numbers.fold(0, |bits, (number, _)| bits | 1 << number))
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(","))
    }
}

/// Without these no init changes users, ends its processes, or reboots.
const REQUIRED: [&str; 4] = ["kill", "setgid", "setuid", "sys_boot"];

/// For whoever asks: locking memory, and criu in a zone. All other guests do without.
const OPTIONAL: [&str; 2] = ["ipc_lock", "checkpoint_restore"];

/// What is over the machine, of which there is one for all zones: its kernel and ports, its clock, its log and its watchers, its
/// security policy, its sleep, its record of processes.
///
/// What is left after these and the optional is what systemd-nspawn leaves to a guest with a network of its own.
#[rustfmt::skip]
const PROHIBITED: [&str; 12] = [
    "sys_module", "sys_rawio",
    "sys_time",
    "syslog", "audit_read", "perfmon", "bpf",
    "mac_override", "mac_admin",
    "wake_alarm", "block_suspend",
    "sys_pacct",
];

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
        "unknown privilege \"{0}\" specified in the zone's privilege set: capabilities(7) has the names, and there are 'default', 'all' and 'none'"
    )]
    Unknown(String),
}

/// The bounding set that `limitpriv` asks for. Its words are taken in order: `default` adds the safe set, `all` whatever a zone may
/// have, a name adds one; after `!` or `-` each takes away; `none` empties. Without words it is the safe set. Names are those of
/// capabilities(7), with or without `cap_`.
///
/// # Errors
/// [`PrivilegeError`]
pub fn bounding(words: &[String]) -> Result<Capabilities, PrivilegeError> {
    let default = Capabilities::all_but(&[&OPTIONAL[..], &PROHIBITED]);
    let mut words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).peekable();
    let mut set = if words.peek().is_none() { default } else { Capabilities(0) };
    for word in words {
        let (name, takes) = word.strip_prefix(['!', '-']).map_or((word, false), |name| (name, true));
        let bits = match name {
            "default" => default.0,
            "all" => Capabilities::all_but(&[&PROHIBITED]).0,
            "none" => {
                set.0 = 0;
                continue;
            }
            name => one(name, takes)?,
        };
        set.0 = if takes { set.0 & !bits } else { set.0 | bits };
    }
    let has = |name: &&str| privilege::number(name).is_some_and(|number| set.0 & 1 << number != 0);
    match REQUIRED.into_iter().find(|name| !has(name)) {
        Some(missing) => Err(PrivilegeError::Required(missing)),
        None => Ok(set),
    }
}

/// Works out what the zone's processes may do.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    check.found.confinement = Some(check.spec.privileges.confinement()?);
    Ok(())
}

/// The bit of one name; what is prohibited can only be taken away.
fn one(name: &str, takes: bool) -> Result<u64, PrivilegeError> {
    let number = privilege::number(name).ok_or_else(|| PrivilegeError::Unknown(name.to_owned()))?;
    match privilege::NAMES[number] {
        known if !takes && PROHIBITED.contains(&known) => Err(PrivilegeError::Prohibited(known)),
        _ => Ok(1 << number),
    }
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
        let few = of("all,none,cap_kill,setuid,SETGID,sys_boot").unwrap();
        assert_eq!(few.to_string(), "kill,setgid,setuid,sys_boot");
        assert_eq!(of("all,!ipc_lock,!checkpoint_restore").unwrap(), default);
        assert_eq!(of("all,!default").unwrap_err(), PrivilegeError::Required("kill"));
    }

    #[test]
    fn the_three_ways_to_be_wrong() {
        assert_eq!(of("default,sys_module"), Err(PrivilegeError::Prohibited("sys_module")));
        assert_eq!(of("default,!sys_boot"), Err(PrivilegeError::Required("sys_boot")));
        assert_eq!(of("chown"), Err(PrivilegeError::Required("kill")));
        assert_eq!(of("default,!proc_fork"), Err(PrivilegeError::Unknown("proc_fork".to_owned())));
        // Taking away what is not there is fine.
        assert!(of("default,!sys_module").is_ok());
    }

    #[test]
    fn the_lists_are_of_real_capabilities_and_nobody_is_in_two() {
        let lists = [&REQUIRED[..], &OPTIONAL, &PROHIBITED].concat();
        assert!(lists.iter().all(|name| privilege::NAMES.contains(name)));
        let mut unique = lists.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), lists.len());
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert!(
            privilege::NAMES.len() > last.trim().parse::<usize>().unwrap(),
            "a capability has no name yet"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_machine_is_safe(words in proptest::collection::vec("[!-]?[a-z_]{0,12}|all|default", 0..6)) {
            if let Ok(set) = bounding(&words) {
                prop_assert!(!set.names().any(|name| PROHIBITED.contains(&name)));
            }
        }
    }
}
