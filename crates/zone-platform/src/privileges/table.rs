//! Every capability, and whether a zone has it.

/// Whether a zone has a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Always: without it nothing boots or nothing ends.
    Required,
    /// Unless taken away.
    Default,
    /// When asked for.
    Optional,
    /// Never: it is over the machine.
    Prohibited,
}

/// A capability of capabilities(7).
#[derive(Debug)]
pub(super) struct Capability {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) class: Class,
}

impl Capability {
    pub(super) fn bit(&self) -> u64 {
        1 << self.number
    }
}

const fn is(number: u32, name: &'static str, class: Class) -> Capability {
    Capability { number, name, class }
}

use Class::{Default, Optional, Prohibited, Required};

/// By number. The default is what systemd-nspawn leaves to a guest with a network of its own, which is what a systemd guest is
/// tried with; required are those without which no init can change users, end its processes, or reboot.
pub(super) const CAPABILITIES: [Capability; 41] = [
    is(0, "cap_chown", Default),
    is(1, "cap_dac_override", Default),
    is(2, "cap_dac_read_search", Default),
    is(3, "cap_fowner", Default),
    is(4, "cap_fsetid", Default),
    is(5, "cap_kill", Required),
    is(6, "cap_setgid", Required),
    is(7, "cap_setuid", Required),
    is(8, "cap_setpcap", Default),
    is(9, "cap_linux_immutable", Default),
    is(10, "cap_net_bind_service", Default),
    is(11, "cap_net_broadcast", Default),
    is(12, "cap_net_admin", Default),
    is(13, "cap_net_raw", Default),
    // Locks memory beyond the limit, where the kernel asks the namespace.
    is(14, "cap_ipc_lock", Optional),
    is(15, "cap_ipc_owner", Default),
    is(16, "cap_sys_module", Prohibited),
    is(17, "cap_sys_rawio", Prohibited),
    is(18, "cap_sys_chroot", Default),
    is(19, "cap_sys_ptrace", Default),
    // Accounting is of the machine's processes.
    is(20, "cap_sys_pacct", Prohibited),
    // Mounts, and what systemd asks of a container.
    is(21, "cap_sys_admin", Default),
    is(22, "cap_sys_boot", Required),
    is(23, "cap_sys_nice", Default),
    is(24, "cap_sys_resource", Default),
    // There is one clock.
    is(25, "cap_sys_time", Prohibited),
    is(26, "cap_sys_tty_config", Default),
    is(27, "cap_mknod", Default),
    is(28, "cap_lease", Default),
    is(29, "cap_audit_write", Default),
    is(30, "cap_audit_control", Default),
    is(31, "cap_setfcap", Default),
    // Security modules have one policy.
    is(32, "cap_mac_override", Prohibited),
    is(33, "cap_mac_admin", Prohibited),
    // There is one kernel log.
    is(34, "cap_syslog", Prohibited),
    // The machine's sleep is not the zone's.
    is(35, "cap_wake_alarm", Prohibited),
    is(36, "cap_block_suspend", Prohibited),
    // All events of the machine.
    is(37, "cap_audit_read", Prohibited),
    is(38, "cap_perfmon", Prohibited),
    is(39, "cap_bpf", Prohibited),
    // Needed by criu in a zone.
    is(40, "cap_checkpoint_restore", Optional),
];
