//! The processes of a zone that is up, as the host sees them.
//!
//! All that a process says of itself (its name, its arguments) was chosen in the zone: it is read up to a bound and filtered.

use std::fs::File;
use std::io::Read as _;

use serde::Serialize;
use zone_config::{Layout, Snapshot, ZoneName};
use zone_console::sanitize::visible;
use zone_sys::proc::Stat;

/// How much of a command line is looked at.
const COMMAND: u64 = 4096;
/// How many processes are looked at.
const MOST: usize = 100_000;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    /// Its number in the global zone.
    pub(crate) pid: i32,
    /// Its number in the zone; null for one that entered and is not of its tree.
    pub(crate) zone_pid: Option<i32>,
    /// Its user in the zone; null for one that no user of the zone is.
    pub(crate) uid: Option<u32>,
    /// The state's letter, as ps(1) has it.
    pub(crate) state: char,
    pub(crate) threads: u64,
    /// Memory that it has in RAM.
    pub(crate) rss_bytes: u64,
    /// Time of CPUs that it has used.
    pub(crate) cpu_usec: u64,
    pub(crate) command: String,
}

/// The processes of a zone whose first process is `first`, by their numbers. One that ends meanwhile is left out.
pub(crate) fn of(layout: &Layout, zone: &ZoneName, first: i32) -> Vec<Process> {
    let base = Snapshot::load(layout, zone).ok().map(|snapshot| snapshot.idmap);
    let mut pids = zone_platform::cgroup::all_processes(layout, zone).unwrap_or_default().pids;
    if pids.is_empty() {
        pids = in_namespace_of(first);
    }
    pids.sort_unstable();
    pids.dedup();
    let inside = |uid: u32| base.as_ref().and_then(|ids| ids.contains(uid).then(|| uid - ids.base));
    pids.into_iter().take(MOST).filter_map(|pid| look(pid, &inside)).collect()
}

/// Those of the PID namespace of `first`: where there is no cgroup to ask.
fn in_namespace_of(first: i32) -> Vec<i32> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(own) = namespace(first) else { return Vec::new() };
    let all = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| namespace(pid).as_ref() == Some(&own))
        .collect()
}

fn look(pid: i32, inside: &impl Fn(u32) -> Option<u32>) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let parsed = Stat::parse(&stat)?;
    let status = read(&format!("/proc/{pid}/status"))?;
    let status = Fields(&status);
    let uid = status.words("Uid").and_then(|mut words| words.nth(1)).and_then(|word| word.parse().ok());
    let line = read(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Some(Process {
        pid,
        zone_pid: status
            .words("NSpid")
            .and_then(|words| words.skip(1).last())
            .and_then(|word| word.parse().ok()),
        uid: uid.and_then(inside),
        state: char::from(parsed.state),
        threads: parsed.threads,
        rss_bytes: status.words("VmRSS").and_then(|mut words| words.next()).map_or(0, kilobytes),
        cpu_usec: cpu_usec(&stat).unwrap_or_default(),
        command: command(&line, status.line("Name").unwrap_or_default()),
    })
}

fn kilobytes(word: &str) -> u64 {
    word.parse::<u64>().unwrap_or_default().saturating_mul(1024)
}

/// The time of CPUs, fields 14 and 15 of proc_pid_stat(5).
fn cpu_usec(stat: &[u8]) -> Option<u64> {
    let after = stat.iter().rposition(|&byte| byte == b')')? + 2;
    let mut fields = std::str::from_utf8(stat.get(after..)?).ok()?.split_ascii_whitespace().skip(14 - 3);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second())
}

/// What was executed; the name in brackets, as ps(1) has it, where nothing is known of that.
fn command(line: &str, name: &str) -> String {
    let words = line.trim_end_matches('\0').replace('\0', " ");
    if words.is_empty() { format!("[{}]", visible(name)) } else { visible(&words) }
}

fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(COMMAND).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lines of a name, a colon and words.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn line(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn words(&self, name: &str) -> Option<std::str::SplitWhitespace<'a>> {
        self.line(name).map(str::split_whitespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_text() {
        assert_eq!(command("/bin/sh\0-c\0a b\0", "sh"), "/bin/sh -c a b");
        assert_eq!(command("", "k worker"), "[k worker]");
        assert!(!command("\u{1b}[2Jx\0", "x").contains('\u{1b}'));
    }

    #[test]
    fn the_kernels_lines_are_read() {
        let fields = Fields("Name:\ta b\nUid:\t1\t2\t3\t4\nNSpid:\t77\t5\nVmRSS:\t  12 kB\n");
        assert_eq!(fields.line("Name"), Some("a b"));
        assert_eq!(fields.words("NSpid").unwrap().skip(1).last(), Some("5"));
        assert_eq!(fields.words("VmRSS").unwrap().next().map(kilobytes), Some(12 * 1024));
        let stat = b"7 (a) b) S 1 7 7 0 -1 4194564 82 0 0 0 100 50 0 0 20 0 3 0 4711 2580480 187\n";
        assert_eq!(cpu_usec(stat), Some(150 * 1_000_000 / rustix::param::clock_ticks_per_second()));
        let own = look(std::process::id().cast_signed(), &|uid| Some(uid)).unwrap();
        assert!(own.rss_bytes > 0 && own.threads > 0 && !own.command.is_empty(), "{own:?}");
    }
}
