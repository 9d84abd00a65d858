//! The system calls that a zone does not get: a short list of what is refused, everything else is allowed.
//!
//! The list is for what neither namespaces nor capabilities keep from a zone, and for code of the kernel that no guest
//! misses and that has had more than its share of faults. It is no sandbox: a guest is a whole system.
//!
//! The program is compiled by our own small assembler in microseconds, once in a process. It asks for the architecture and
//! then searches for the number by halves: since Linux 5.11 the kernel notes which calls are allowed whatever their
//! arguments, and does not run the program for those again, but to find them it runs it once for every number there is.

use std::sync::OnceLock;

use zone_config::{ZoneConfig, secflags};

use crate::immutable;

mod assemble;
mod table;

/// What a zone's configuration takes out of the list; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// User namespaces in the zone may be made.
    pub nesting: bool,
    /// Rings of io_uring may be made.
    pub io_uring: bool,
    /// Sockets may be made by `socketcall(2)`, the only way that 32-bit x86 programs of Debian know.
    pub socketcall: bool,
    /// Another root may be given to a mount namespace.
    pub pivot_root: bool,
    /// IPC namespaces may not be made: the zone's own has limits, which another would not have.
    pub no_ipc: bool,
    /// Programs may turn off the random layout of their memory.
    pub fixed_layout: bool,
    /// Programs may change how large a core dump can be: it is a file of the zone's.
    pub core_limit: bool,
}

impl Opened {
    /// Reads what a configuration opens.
    #[must_use]
    pub fn of(config: &ZoneConfig) -> Self {
        let pivot_root = immutable::lets_pivot(config.file_mac_profile);
        let fixed_layout = !secflags::keeps_aslr(&config.security_flags);
        let no_ipc = !crate::ipc::asked(config).is_empty();
        let ZoneConfig { nesting, io_uring, socketcall, .. } = *config;
        Self { nesting, io_uring, socketcall, pivot_root, no_ipc, fixed_layout, core_limit: true }
    }

    fn contains(self, opening: table::Opening) -> bool {
        match opening {
            table::Opening::Nesting => self.nesting,
            table::Opening::IoUring => self.io_uring,
            table::Opening::Socketcall => self.socketcall,
            table::Opening::PivotRoot => self.pivot_root,
            table::Opening::FixedLayout => self.fixed_layout,
            table::Opening::CoreLimit => self.core_limit,
        }
    }

    /// The rules that are left.
    fn rules(self) -> impl Iterator<Item = table::Rule> + Clone {
        let opened = move |rule: &table::Rule| rule.unless.is_some_and(|opening| self.contains(opening));
        table::RULES.iter().filter_map(move |rule| rule.held(opened(rule), self.no_ipc))
    }

    fn index(self) -> usize {
        let Self { nesting, io_uring, socketcall, pivot_root, no_ipc, fixed_layout, core_limit } = self;
        let bits = [nesting, io_uring, socketcall, pivot_root, no_ipc, fixed_layout, core_limit];
        bits.iter().rev().fold(0, |index, bit| index << 1 | usize::from(*bit))
    }
}

/// Returns the program for the list without what is opened, as an array of `struct sock_filter`
/// ([`zone_sys::seccomp::load`]).
#[must_use]
pub fn program(opened: Opened) -> &'static [u8] {
    static PROGRAMS: [OnceLock<Vec<u8>>; 128] = [const { OnceLock::new() }; 128];
    PROGRAMS[opened.index()].get_or_init(|| assemble::program(&table::architectures(), opened.rules()))
}

/// Lists the default rules as text, one call a line with what it answers and why; for documentation and `verify`.
pub fn describe() -> impl Iterator<Item = String> {
    table::RULES.iter().map(|rule| format!("{}: {} ({})", rule.call, rule.answer.name(), rule.why))
}

#[cfg(test)]
mod tests;
