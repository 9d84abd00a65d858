//! What every process of a test is at, for the reader of a test that did not end.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Describes each thread in sight but those of `spared`: its process, its state, where in the kernel it waits. A test has a PID namespace of
/// its own, so all of them are its doing.
pub(super) fn describe(spared: &[u32]) -> String {
    let mut text = String::new();
    for process in by_number(Path::new("/proc")) {
        if spared.iter().any(|pid| process.ends_with(pid.to_string())) {
            continue;
        }
        let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default().replace('\0', " ");
        for task in by_number(&process.join("task")) {
            let of = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
            let status = of("status");
            let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("").trim();
            let thread = task.file_name().unwrap_or_default().display();
            let _ = writeln!(
                text,
                "  {thread} {} ({}): {} in {}, system call {}",
                field("Name:"),
                line.trim(),
                field("State:"),
                of("wchan").trim(),
                of("syscall").trim()
            );
        }
    }
    text
}

/// The folders of processes or threads in a folder of /proc, by number.
fn by_number(dir: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    };
    let mut found: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| number(path).is_some());
    found.sort_by_key(number);
    found
}
