//! The other processes of the zone, as `/proc` shows them.

use rustix::process::Pid;

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// It has ended and waits to be reaped.
    pub(crate) zombie: bool,
    /// It leads a session that has a terminal: a login.
    pub(crate) login: bool,
}

/// Every process of the zone but this one.
pub(crate) fn others() -> Vec<Process> {
    let own = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| pid != own.as_raw_pid())
        // One that has ended since then has no file any more.
        .filter_map(|pid| parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// Reads a line of `/proc/PID/stat` (proc_pid_stat(5)). The name, in parentheses, may hold anything.
fn parse(stat: &[u8]) -> Option<Process> {
    let name_ends = stat.iter().rposition(|&b| b == b')')?;
    let number = stat.split(|&b| b == b' ').next()?;
    let pid = std::str::from_utf8(number).ok()?.parse::<i32>().ok()?;
    let rest = std::str::from_utf8(stat.get(name_ends + 2..)?).ok()?;
    // State, parent, group, session, terminal.
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<i32>().ok();
    let (session, terminal) = (number(2)?, number(0)?);
    Some(Process {
        pid: Pid::from_raw(pid)?,
        zombie: matches!(state, "Z" | "X"),
        login: session == pid && terminal != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_line() {
        let login = parse(b"77 (a) b) S 1 77 77 34817 77 4194304 1").unwrap();
        assert_eq!((login.pid.as_raw_pid(), login.zombie, login.login), (77, false, true));
        let job = parse(b"78 (x) Z 77 78 77 34817 77 4194304 1").unwrap();
        assert_eq!((job.zombie, job.login), (true, false));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"78 (x"), None);
    }

    #[test]
    fn finds_a_child() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(others().iter().any(|p| p.pid.as_raw_pid().unsigned_abs() == child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
