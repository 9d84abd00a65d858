//! What a zone said last on its console, for whoever waits for a boot that has failed.

use crate::daemon::Daemon;
use rustix::fd::AsFd;
use std::time::Duration;
use zone_console::sanitize::{Filter, Purpose};
use zone_ring::Ring;

/// So many bytes are looked at, and so many lines shown, each cut at so many characters.
const BYTES: u64 = 8192;
const LINES: usize = 10;
const WIDTH: usize = 200;
/// How long a first process that has ended may have left something in its terminal; so long is it quiet then.
const LOOKS: usize = 20;
const QUIET: Duration = Duration::from_millis(5);

/// Gives the last lines of this boot, as text.
pub(crate) async fn of(daemon: &Daemon) -> Vec<String> {
    // The kernel hands on what was written to a terminal when it finds the time.
    let mut before = None;
    for _ in 0..LOOKS {
        let total = Ring::open(daemon.zone.backup.ring.as_fd()).ok().map(|ring| ring.total());
        if before == Some(total) {
            break;
        }
        before = Some(total);
        tokio::time::sleep(QUIET).await;
    }
    let Ok(ring) = Ring::open(daemon.zone.backup.ring.as_fd()) else { return Vec::new() };
    let begin = ring.boot_start().max(ring.total().saturating_sub(BYTES));
    let mut bytes = vec![0; usize::try_from(ring.total() - begin).unwrap_or_default()];
    let mut filled = 0;
    while filled < bytes.len() {
        match ring.read_from(begin + filled as u64, &mut bytes[filled..]) {
            Ok(read) if read.len > 0 => filled += read.len,
            _ => break,
        }
    }
    lines(&bytes[..filled])
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let mut filter = Filter::new(Purpose::Log);
    let mut text = Vec::new();
    filter.push(bytes, &mut text);
    filter.finish(&mut text);
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .map(|line| line.chars().take(WIDTH).collect())
        .collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_lines_are_text() {
        let many: String = (0..20).map(|n| format!("line {n}\r\n\r\n")).collect();
        let shown = super::lines(many.as_bytes());
        assert_eq!((shown.len(), shown[0].as_str(), shown[9].as_str()), (10, "line 10", "line 19"));
        assert_eq!(super::lines(b"\x1b]0;title\x07\x1b[31mPanic!\x1b[0m"), ["Panic!"]);
        assert_eq!(super::lines("x".repeat(5000).as_bytes())[0].len(), 200);
        assert!(super::lines(b"").is_empty());
    }
}
