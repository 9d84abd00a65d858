//! Who holds a zone up: the processes of a killed zone that have not ended, and what each waits for.

use std::fmt;
use std::fs;
use std::path::Path;

/// As many as a message names; whoever has more has one cause for them all.
const MOST_NAMED: usize = 20;

/// A process that was killed and is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id on the host.
    pub pid: i32,
    /// The command name, escaped, for the guest has chosen it.
    name: String,
    /// The state, one of the letters of `proc_pid_stat(5)`.
    state: char,
    /// The kernel function that it waits in, if the kernel tells.
    place: Option<String>,
}

impl Holder {
    /// Reads what `/proc` says of a process; `None` when there is none of that id, or only a zombie.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let dir = Path::new("/proc").join(pid.to_string());
        // The name may have anything in it, also brackets, and bytes that are no text.
        let stat = zone_sys::proc::text(dir.join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let name = head.split_once(" (").map_or("", |(_, name)| name).escape_debug().to_string();
        let state = tail.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))?;
        Some(Self { pid, name, state, place: place(&dir) })
    }

    /// Tells whether it is in uninterruptible sleep (state D), which SIGKILL does not end.
    #[must_use]
    pub fn is_uninterruptible(&self) -> bool {
        self.state == 'D'
    }
}

/// The innermost function of the kernel that is not the scheduler's.
fn place(dir: &Path) -> Option<String> {
    let wait = fs::read_to_string(dir.join("wchan")).unwrap_or_default();
    // "0" is what a kernel says that does not tell.
    if !matches!(wait.trim(), "" | "0") {
        return Some(wait.trim().to_owned());
    }
    let stack = fs::read_to_string(dir.join("stack")).ok()?;
    let innermost = stack.lines().next()?.split_whitespace().nth(1)?;
    innermost
        .split('+')
        .next()
        .map(str::to_owned)
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic()))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)?;
        match (&self.place, self.is_uninterruptible()) {
            (Some(place), true) => {
                write!(f, " cannot be killed: it waits in the kernel (state D) in {place}")
            }
            (None, true) => write!(f, " cannot be killed: it waits in the kernel (state D)"),
            (_, false) => write!(f, " has not ended yet (state {})", self.state),
        }
    }
}

/// Picks the processes that keep a killed zone from ending. The first process of a dead zone only waits for the others, so it
/// is named only when there are none.
#[must_use]
pub fn among(pids: &[i32], first: i32) -> Vec<Holder> {
    let others: Vec<Holder> =
        pids.iter().filter(|pid| **pid != first).filter_map(|pid| Holder::of(*pid)).collect();
    if others.is_empty() { Holder::of(first).into_iter().collect() } else { others }
}

/// Formats the holders as one sentence without a trailing period; names at most 20 of them.
#[must_use]
pub fn sentence(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "nobody is left that could be named".to_owned();
    }
    let more = holders.len().saturating_sub(MOST_NAMED);
    let mut named: Vec<String> = holders.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Held;
    use std::process::Command;

    #[test]
    fn this_process_is_looked_at() {
        let own = i32::try_from(std::process::id()).unwrap();
        let holder = Holder::of(own).unwrap();
        assert!(!holder.is_uninterruptible());
        let text = holder.to_string();
        assert!(
            text.starts_with(&format!("process {own} (")) && text.contains(" has not ended yet"),
            "{text}"
        );
        assert_eq!(Holder::of(i32::MAX), None);
    }

    #[test]
    fn one_whose_name_is_no_text_is_looked_at() {
        let script = r"printf 'a\377) b' > /proc/$$/comm; echo ready; read -r end";
        let held = Held::start(Command::new("sh").args(["-c", script]));
        let text = Holder::of(held.0.id().cast_signed()).unwrap().to_string();
        assert!(text.contains("(a\u{fffd}) b) has not ended yet"), "{text}");
    }

    #[test]
    fn the_first_is_named_only_when_it_is_alone() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(among(&[own], 1).iter().map(|holder| holder.pid).collect::<Vec<_>>(), [own]);
        assert_eq!(among(&[own], own).len(), 1);
        assert_eq!(among(&[own, 1], own).iter().map(|holder| holder.pid).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_waits_in_the_kernel_is_said() {
        let mut holder = Holder { pid: 7, name: "dd".into(), state: 'D', place: Some("f_w".into()) };
        assert_eq!(
            holder.to_string(),
            "process 7 (dd) cannot be killed: it waits in the kernel (state D) in f_w"
        );
        holder.place = None;
        assert_eq!(sentence(&vec![holder; 21]).matches("process 7").count(), 20);
    }
}
