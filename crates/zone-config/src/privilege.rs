//! The names of privileges: on Linux, of capabilities.

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

/// The number of a capability; its name may be in capitals and may begin with `cap_`.
pub fn number(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let short = name.strip_prefix("cap_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == short)
}

/// Whether a word may stand in `limitpriv`: a set's name, a capability, or one of these after `!` or `-`.
pub(crate) fn is_word(word: &str) -> bool {
    let plain = word.strip_prefix(['!', '-']).unwrap_or(word);
    matches!(plain, "default" | "all" | "none") || number(plain).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("checkpoint_restore"), Some(40));
        assert_eq!(number("cap_"), None);
        assert!(is_word("!net_raw") && is_word("default") && !is_word("!!all"));
    }
}
