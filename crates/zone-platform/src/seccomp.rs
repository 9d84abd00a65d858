//! The system calls that a zone does not get: a short list of what is refused, everything else is allowed.
//!
//! The list is for what neither namespaces nor capabilities keep from a zone, and for code of the kernel that no guest
//! misses and that has had more than its share of faults. It is no sandbox: a guest is a whole system.
//!
//! The program is compiled by our own small assembler in microseconds, once in a process. It asks for the architecture and
//! then searches for the number by halves: since Linux 5.11 the kernel notes which calls are allowed whatever their
//! arguments, and does not run the program for those again, but to find them it runs it once for every number there is.

use std::sync::OnceLock;

mod assemble;
mod table;

/// The program for the default list, as an array of `struct sock_filter` ([`zone_sys::seccomp::load`]).
#[must_use]
pub fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| assemble::program(&table::architectures(), &table::RULES))
}

/// The default list as text, one call a line with what it answers and why; for documentation and `verify`.
pub fn describe() -> impl Iterator<Item = String> {
    table::RULES.iter().map(|rule| format!("{}: {} ({})", rule.call, rule.answer.name(), rule.why))
}

#[cfg(test)]
mod tests;
