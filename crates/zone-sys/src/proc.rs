//! What `/proc` tells of a process; proc_pid_stat(5).

use std::path::Path;

/// Reads a file of `/proc` as text. Where a process has chosen the bytes (its name, that of its cgroup, of a file) they may be none
/// of UTF-8: the replacement character is in their place, and the rest is there.
///
/// # Errors
/// What reading gave.
pub fn text(path: impl AsRef<Path>) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// `PF_EXITING` of the kernel's `sched.h`: the process has begun to end.
const EXITING: u64 = 0x4;

/// The fields of `/proc/PID/stat` that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The state's letter, field 3: `Z` for a process, or a first thread, that has ended.
    pub state: u8,
    /// The kernel's flags, field 9.
    pub flags: u64,
    /// How many threads it has, field 20.
    pub threads: u64,
    /// When it was started, in clock ticks since the host's boot, field 22.
    pub start: u64,
}

impl Stat {
    /// Reads that of a process.
    ///
    /// # Errors
    /// What reading gave; `InvalidData` for what is not of that form.
    pub fn of(pid: i32) -> std::io::Result<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat"))?)
            .ok_or(std::io::ErrorKind::InvalidData.into())
    }

    /// Reads that of the calling process.
    ///
    /// # Errors
    /// As [`Stat::of`].
    pub fn own() -> std::io::Result<Self> {
        Self::parse(&std::fs::read("/proc/self/stat")?).ok_or(std::io::ErrorKind::InvalidData.into())
    }

    /// Reads the text of the file. Does not allocate.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        // The name, in parentheses, may hold anything, blanks and parentheses too; numbers follow.
        let after = text.iter().rposition(|&byte| byte == b')')? + 2;
        let fields = std::str::from_utf8(text.get(after..)?).ok()?;
        let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
        Some(Self {
            state: *field(3)?.as_bytes().first()?,
            flags: field(9)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
        })
    }

    /// Whether the process has begun to end.
    #[must_use]
    pub fn is_exiting(&self) -> bool {
        self.flags & EXITING != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = b"7 (a) Z 1 (b)) S 1 7 7 0 -1 4194564 82 0 0 0 0 0 0 0 20 0 3 0 4711 2580480 187\n";
        let stat = Stat { state: b'S', flags: 4_194_564, threads: 3, start: 4711 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert!(stat.is_exiting());
        for none in [&b""[..], b"7 (a", b"7 (a)", b"7 (a) S 1 7 7 0 -1 x 82", b"7 (a) S 1 2 3"] {
            assert_eq!(Stat::parse(none), None);
        }
        let own = Stat::own().unwrap();
        assert_eq!(
            (own.start, own.is_exiting()),
            (Stat::of(std::process::id().cast_signed()).unwrap().start, false)
        );
        assert!(Stat::of(0).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing() {
        std::fs::write("/proc/thread-self/comm", b"a\xffb").unwrap();
        assert_eq!(text("/proc/thread-self/comm").unwrap(), "a\u{fffd}b\n");
        assert!(text("/proc/thread-self/status").unwrap().lines().any(|line| line.starts_with("State:")));
        assert!(text("/proc/thread-self/none").is_err());
    }
}
