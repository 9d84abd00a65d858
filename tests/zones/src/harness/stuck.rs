//! What every process of a test is at, for the reader of a test that did not end.

use super::proc_status;
use super::world::names;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Describes each thread in sight but those of `spared`: its process, its state, where in the kernel it waits. A test has a PID namespace of
/// its own, so all of them are its doing.
pub(super) fn describe(spared: &[u32]) -> String {
    let mut text = String::new();
    for process in numbers("/proc").filter(|process| !spared.contains(&process.unsigned_abs())) {
        let line = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        for thread in numbers(&format!("/proc/{process}/task")) {
            let field = |name| proc_status(thread, name).unwrap_or_default();
            let of = |file| fs::read_to_string(format!("/proc/{thread}/{file}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {thread} {} ({}): {} in {}, system call {}",
                field("Name"),
                line.replace('\0', " ").trim(),
                field("State"),
                of("wchan").trim(),
                of("syscall").trim()
            );
        }
    }
    text
}

/// The processes or threads that a folder of /proc has.
fn numbers(dir: &str) -> impl Iterator<Item = i32> {
    names(Path::new(dir)).filter_map(|name| name.parse().ok())
}
