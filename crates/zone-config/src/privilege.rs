//! Privileges, as `limitpriv` names them: the capabilities of Linux and the privileges of Solaris, and what they come to.
//!
//! A zone lives in a user namespace, where a capability is one over the namespace's own things only. The bounding set is the
//! second fence: it keeps what no zone needs from meeting a kernel that forgot to ask which namespace it is asked in.

use crate::nearest::did_you_mean;

/// The capabilities of capabilities(7), in the order of their numbers, without `CAP_`. The kernel has had the last
/// of them, `checkpoint_restore`, since 5.9.
pub const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The names of sets of capabilities.
const SETS: [&str; 4] = ["default", "all", "zone", "none"];

/// Without these no init changes users, ends its processes, or reboots.
pub const REQUIRED: [&str; 4] = ["kill", "setgid", "setuid", "sys_boot"];

/// For whoever asks: locking memory, and criu in a zone. All other guests do without.
pub const OPTIONAL: [&str; 2] = ["ipc_lock", "checkpoint_restore"];

/// What is over the machine, of which there is one for all zones: its kernel and ports, its clock, its log and its watchers, its
/// security policy, its sleep, its record of processes.
///
/// What is left after these and the optional is what systemd-nspawn leaves to a guest with a network of its own.
#[rustfmt::skip]
pub const PROHIBITED: [&str; 12] = [
    "sys_module", "sys_rawio",
    "sys_time",
    "syslog", "audit_read", "perfmon", "bpf",
    "mac_override", "mac_admin",
    "wake_alarm", "block_suspend",
    "sys_pacct",
];

/// What a privilege of Solaris is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// These capabilities: those that it gives, and those that must go so that it is gone.
    Is(&'static [&'static str], &'static [&'static str]),
    /// Nothing that a zone could be given or kept from by this.
    Nothing,
    /// Over the machine, as on Solaris.
    Prohibited,
}

use Meaning::{Is, Nothing, Prohibited};

/// The privileges of Solaris and illumos (privileges(7)) that have another name than a capability, or another sense.
#[rustfmt::skip]
const SOLARIS: [(&str, Meaning); 88] = [
    ("contract_event", Nothing), ("contract_identity", Nothing), ("contract_observer", Nothing),
    ("cpc_cpu", Nothing),
    ("dtrace_kernel", Prohibited), ("dtrace_proc", Nothing), ("dtrace_user", Nothing),
    ("file_chown", Is(&["chown"], &["chown"])),
    ("file_chown_self", Nothing),
    ("file_dac_execute", Is(&["dac_override"], &["dac_override"])),
    // Who may write whatever the mode may read it, too.
    ("file_dac_read", Is(&["dac_read_search"], &["dac_read_search", "dac_override"])),
    ("file_dac_search", Is(&["dac_read_search"], &["dac_read_search", "dac_override"])),
    ("file_dac_write", Is(&["dac_override"], &["dac_override"])),
    ("file_downgrade_sl", Nothing),
    ("file_flag_set", Is(&["linux_immutable"], &["linux_immutable"])),
    ("file_link_any", Nothing),
    ("file_owner", Is(&["fowner"], &["fowner"])),
    ("file_read", Nothing),
    ("file_setid", Is(&["fsetid"], &["fsetid"])),
    ("file_upgrade_sl", Nothing), ("file_write", Nothing),
    ("graphics_access", Nothing), ("graphics_map", Nothing),
    ("hyprlofs_control", Prohibited),
    ("ipc_dac_read", Is(&["ipc_owner"], &["ipc_owner"])),
    ("ipc_dac_write", Is(&["ipc_owner"], &["ipc_owner"])),
    ("net_access", Nothing), ("net_bindmlp", Nothing),
    ("net_icmpaccess", Is(&["net_raw"], &["net_raw"])),
    ("net_mac_aware", Nothing), ("net_mac_implicit", Nothing),
    ("net_observability", Is(&["net_raw"], &["net_raw"])),
    ("net_privaddr", Is(&["net_bind_service"], &["net_bind_service"])),
    ("net_rawaccess", Is(&["net_raw"], &["net_raw"])),
    ("proc_audit", Is(&["audit_write"], &["audit_write"])),
    ("proc_chroot", Is(&["sys_chroot"], &["sys_chroot"])),
    ("proc_clock_highres", Nothing), ("proc_exec", Nothing), ("proc_fork", Nothing), ("proc_info", Nothing),
    ("proc_lock_memory", Is(&["ipc_lock"], &["ipc_lock"])),
    ("proc_owner", Is(&["kill", "sys_ptrace"], &["kill", "sys_ptrace"])),
    ("proc_priocntl", Is(&["sys_nice"], &["sys_nice"])),
    ("proc_prioup", Is(&["sys_nice"], &["sys_nice"])),
    ("proc_secflags", Nothing), ("proc_session", Nothing),
    ("proc_setid", Is(&["setgid", "setuid"], &["setgid", "setuid"])),
    ("proc_taskid", Nothing),
    ("proc_zone", Prohibited),
    ("sys_acct", Nothing),
    ("sys_audit", Is(&["audit_control"], &["audit_control"])),
    ("sys_config", Prohibited), ("sys_devices", Prohibited),
    ("sys_dl_config", Is(&["net_admin"], &["net_admin"])),
    ("sys_flow_config", Is(&["net_admin"], &["net_admin"])),
    ("sys_fs_import", Nothing), ("sys_ib_config", Nothing), ("sys_ib_info", Nothing),
    ("sys_ip_config", Is(&["net_admin"], &["net_admin"])),
    ("sys_ipc_config", Is(&["sys_resource"], &["sys_resource"])),
    ("sys_iptun_config", Is(&["net_admin"], &["net_admin"])),
    ("sys_linkdir", Prohibited),
    ("sys_mount", Is(&["sys_admin"], &["sys_admin"])),
    ("sys_net_config", Prohibited),
    ("sys_nfs", Nothing),
    ("sys_ppp_config", Is(&["net_admin"], &["net_admin"])),
    ("sys_res_bind", Nothing),
    ("sys_res_config", Prohibited),
    ("sys_share", Nothing), ("sys_smb", Nothing),
    ("sys_suser_compat", Prohibited),
    // The clock is the machine's, and no capability over a user namespace sets it.
    ("sys_time", Nothing),
    ("sys_trans_label", Nothing),
    ("virt_manage", Prohibited),
    ("win_colormap", Nothing), ("win_config", Nothing), ("win_dac_read", Nothing), ("win_dac_write", Nothing),
    ("win_devices", Nothing), ("win_dga", Nothing), ("win_downgrade_sl", Nothing), ("win_fontpath", Nothing),
    ("win_mac_read", Nothing), ("win_mac_write", Nothing), ("win_selection", Nothing), ("win_upgrade_sl", Nothing),
    ("xvm_control", Prohibited),
    // The set of what every process may do.
    ("basic", Nothing),
];

/// A `limitpriv` that no zone can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivilegeError {
    /// It would be power over the machine.
    #[error(
        "privilege \"{0}\" is not permitted within the zone's privilege set: it is over the machine, not the zone; take it out of limitpriv"
    )]
    Prohibited(String),
    /// Nothing would boot, or nothing would end.
    #[error(
        "required privilege \"{0}\" is missing from the zone's privilege set: add it to limitpriv, or start limitpriv with 'default'"
    )]
    Required(&'static str),
    /// No capability and no privilege of that name.
    #[error(
        "unknown privilege \"{0}\" specified in the zone's privilege set: capabilities(7) and privileges(7) of Solaris have the names, and there are 'default', 'all' and 'none'"
    )]
    Unknown(String),
}

/// What the words of a `limitpriv` come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    /// The capabilities that a zone can have at most: bit `1 << n` is capability number `n`.
    pub bits: u64,
    /// The words that have no meaning on Linux, without what was before them, each once.
    pub idle: Vec<String>,
}

/// The bounding set that `limitpriv` asks for. Its words are taken in order: `default` adds the safe set, `all` and `zone` whatever a
/// zone may have, a name adds one; after `!` or `-` each takes away; `none` empties. Without words it is the safe set. Names are those
/// of capabilities(7), with or without `cap_`, and of Solaris' privileges(7).
///
/// # Errors
/// [`PrivilegeError`]
pub fn limit(words: &[String]) -> Result<Limit, PrivilegeError> {
    let default = all_but(&[&OPTIONAL[..], &PROHIBITED]);
    let mut words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).peekable();
    let mut limit = Limit { bits: if words.peek().is_none() { default } else { 0 }, idle: Vec::new() };
    for word in words {
        let (name, takes) = word.strip_prefix(['!', '-']).map_or((word, false), |name| (name, true));
        let bits = match name {
            "default" => default,
            "all" | "zone" => all_but(&[&PROHIBITED]),
            "none" => {
                limit.bits = 0;
                continue;
            }
            name => match meaning(name) {
                Some(Is(gives, removes)) => bits_of(if takes { removes } else { gives }),
                Some(Prohibited) if !takes => return Err(PrivilegeError::Prohibited(name.to_owned())),
                Some(Prohibited) => 0,
                Some(Nothing) => {
                    if !limit.idle.iter().any(|idle| idle == name) {
                        limit.idle.push(name.to_owned());
                    }
                    0
                }
                None => one(name, takes)?,
            },
        };
        limit.bits = if takes { limit.bits & !bits } else { limit.bits | bits };
    }
    match REQUIRED.into_iter().find(|name| limit.bits & bits_of(&[name]) == 0) {
        Some(missing) => Err(PrivilegeError::Required(missing)),
        None => Ok(limit),
    }
}

/// Says, if it is so, that words of a `limitpriv` have no meaning, in one sentence.
#[must_use]
pub fn idle_words(words: &[String]) -> Option<String> {
    let idle = limit(words).ok()?.idle;
    let plural = if idle.len() == 1 { "has" } else { "have" };
    (!idle.is_empty()).then(|| {
        format!(
            "limitpriv: {} {plural} no meaning on Linux, where no zone gains or loses anything by it",
            idle.join(", ")
        )
    })
}

/// Names the words that have no meaning on Linux, each once.
#[must_use]
pub fn idle(words: &[String]) -> Vec<String> {
    limit(words).map(|limit| limit.idle).unwrap_or_default()
}

/// The bit of one capability; what is prohibited can only be taken away.
fn one(name: &str, takes: bool) -> Result<u64, PrivilegeError> {
    let number = number(name).ok_or_else(|| PrivilegeError::Unknown(name.to_owned()))?;
    match NAMES[number] {
        known if !takes && PROHIBITED.contains(&known) => Err(PrivilegeError::Prohibited(known.to_owned())),
        _ => Ok(1 << number),
    }
}

/// All that the kernel has, less those of some lists.
fn all_but(lists: &[&[&str]]) -> u64 {
    let wanted = |name: &&str| !lists.iter().any(|list| list.contains(name));
    let names: Vec<&str> = NAMES.into_iter().filter(wanted).collect();
    bits_of(&names)
}

fn bits_of(names: &[&str]) -> u64 {
    names.iter().filter_map(|name| number(name)).fold(0, |bits, number| bits | 1 << number)
}

/// What a word is by Solaris' table.
fn meaning(name: &str) -> Option<Meaning> {
    let name = name.to_ascii_lowercase();
    let plain = name.strip_prefix("priv_").unwrap_or(&name);
    SOLARIS.iter().find(|(known, _)| *known == plain).map(|(_, meaning)| *meaning)
}

/// The number of a capability; its name may be in capitals and may begin with `cap_`.
pub fn number(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let short = name.strip_prefix("cap_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == short)
}

/// Whether a word may stand in `limitpriv`: a set's name, a capability, a privilege, or one of these after `!` or `-`.
pub(crate) fn is_word(word: &str) -> bool {
    let plain = word.strip_prefix(['!', '-']).unwrap_or(word);
    SETS.contains(&plain) || meaning(plain).is_some() || number(plain).is_some()
}

/// Lists the words that change something: those that may be given to a zone, or `taken` from it.
pub fn words(taken: bool) -> impl Iterator<Item = &'static str> {
    let kept = if taken { &REQUIRED[..] } else { &PROHIBITED };
    let of_linux = NAMES.into_iter().filter(move |name| !kept.contains(name));
    let of_solaris = SOLARIS.iter().filter_map(move |(name, meaning)| match meaning {
        Is(_, removes) => (!taken || !removes.iter().any(|name| kept.contains(name))).then_some(*name),
        Nothing | Prohibited => None,
    });
    SETS.into_iter().chain(of_linux).chain(of_solaris)
}

/// Asks whether another word was meant by one that may not stand in `limitpriv`; `None` for one that may.
pub(crate) fn meant(word: &str) -> Option<String> {
    let plain = word.strip_prefix(['!', '-']).unwrap_or(word).to_ascii_lowercase();
    let plain = plain.strip_prefix("cap_").or_else(|| plain.strip_prefix("priv_")).unwrap_or(&plain);
    let known = SETS.into_iter().chain(NAMES).chain(SOLARIS.iter().map(|(name, _)| *name));
    (!is_word(word)).then(|| did_you_mean(plain, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Limit, PrivilegeError> {
        limit(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    fn bits(text: &str) -> u64 {
        of(text).unwrap().bits
    }

    fn has(bits: u64, name: &str) -> bool {
        bits & bits_of(&[name]) != 0
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("checkpoint_restore"), Some(40));
        assert_eq!(number("cap_"), None);
        assert!(is_word("!net_raw") && is_word("default") && !is_word("!!all"));
        assert!(is_word("dtrace_user") && is_word("!PRIV_PROC_FORK") && !is_word("!proc_fly"));
    }

    #[test]
    fn words_that_are_offered_mean_something() {
        for word in words(false) {
            assert!(
                of(&format!("default,{word}")).is_ok_and(|limit| limit.idle.is_empty()) || word == "none",
                "{word}"
            );
        }
        for word in words(true).filter(|word| !SETS.contains(word)) {
            assert!(of(&format!("default,!{word}")).is_ok(), "{word}");
        }
    }

    #[test]
    fn the_words() {
        let default = bits("");
        assert_eq!(bits("default"), default);
        assert!(has(default, "sys_admin") && has(default, "sys_boot") && !has(default, "sys_module"));
        let less = bits("default,!net_raw,-CAP_MKNOD, ipc_lock");
        assert!(!has(less, "net_raw") && !has(less, "mknod") && has(less, "ipc_lock"));
        let few = bits("all,none,cap_kill,setuid,SETGID,sys_boot");
        assert_eq!(few, bits_of(&["kill", "setgid", "setuid", "sys_boot"]));
        assert_eq!(bits("zone,!ipc_lock,!checkpoint_restore"), default);
        assert_eq!(of("all,!default"), Err(PrivilegeError::Required("kill")));
    }

    #[test]
    fn the_words_of_solaris() {
        let default = bits("");
        assert_eq!(bits("default,proc_lock_memory"), default | bits_of(&["ipc_lock"]));
        let less = bits("default,!file_dac_read,!net_rawaccess,!sys_ip_config");
        for gone in ["dac_read_search", "dac_override", "net_raw", "net_admin"] {
            assert!(!has(less, gone), "{gone}");
        }
        let gives = bits("none,proc_owner,proc_setid,sys_boot,file_dac_search");
        assert!(has(gives, "dac_read_search") && !has(gives, "dac_override"));
        // What every book says to set for an NTP server in a zone, and for DTrace.
        let books = of("default,sys_time,dtrace_proc,dtrace_user,!proc_fork,dtrace_user").unwrap();
        assert_eq!(
            (books.bits, books.idle.join(" ")),
            (default, "sys_time dtrace_proc dtrace_user proc_fork".into())
        );
        let said = idle_words(&["default".into(), "sys_time".into()]).unwrap();
        assert!(said.starts_with("limitpriv: sys_time has no meaning on Linux"), "{said}");
        assert_eq!(idle_words(&["default".into()]), None);
    }

    #[test]
    fn the_three_ways_to_be_wrong() {
        let prohibited = |name: &str| Err(PrivilegeError::Prohibited(name.to_owned()));
        assert_eq!(of("default,sys_module"), prohibited("sys_module"));
        assert_eq!(of("default,dtrace_kernel"), prohibited("dtrace_kernel"));
        assert_eq!(of("default,!sys_boot"), Err(PrivilegeError::Required("sys_boot")));
        assert_eq!(of("default,!proc_setid"), Err(PrivilegeError::Required("setgid")));
        assert_eq!(of("chown"), Err(PrivilegeError::Required("kill")));
        assert_eq!(of("default,!proc_fly"), Err(PrivilegeError::Unknown("proc_fly".to_owned())));
        // Taking away what is not there is fine.
        assert!(of("default,!sys_module,!proc_zone").is_ok());
    }

    #[test]
    fn the_lists_are_of_real_capabilities_and_nobody_is_in_two() {
        let lists = [&REQUIRED[..], &OPTIONAL, &PROHIBITED].concat();
        assert!(lists.iter().all(|name| NAMES.contains(name)));
        let unique: std::collections::BTreeSet<_> = lists.iter().collect();
        assert_eq!(unique.len(), lists.len());
        let unique: std::collections::BTreeSet<_> = SOLARIS.iter().map(|(name, _)| name).collect();
        assert_eq!(unique.len(), SOLARIS.len());
        for (name, meaning) in SOLARIS {
            if let Is(gives, removes) = meaning {
                let known =
                    |capability: &&str| NAMES.contains(capability) && !PROHIBITED.contains(capability);
                assert!(gives.iter().chain(removes).all(known), "{name}");
            }
        }
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert!(NAMES.len() > last.trim().parse::<usize>().unwrap(), "a capability has no name yet");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_machine_is_safe(words in proptest::collection::vec("[!-]?[a-z_]{0,12}|all|default|zone", 0..6)) {
            if let Ok(limit) = limit(&words) {
                prop_assert_eq!(limit.bits & bits_of(&PROHIBITED), 0);
            }
        }
    }
}
