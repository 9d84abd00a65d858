//! `zoneadm log`: what a zone's daemon has said, from its log on disk; and how much it says.
//!
//! No daemon is asked, and none is started: the log is there when the zone is down, and one that runs notices the level by itself.

use std::io::{self, ErrorKind, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use serde::Deserialize;
use zone_config::{Layout, ZoneName, file};
use zone_console::log::{LogError, LogReader, Style};
use zone_console::notice::utc;

use crate::cli::watch::{Level, LogArgs};
use crate::context::Context;
use crate::message::{Failure, Outcome, harmless};
use crate::output::Output;
use crate::{sanity, time};

pub(crate) fn run(cx: &Context, args: &LogArgs) -> Outcome {
    sanity::only_root_here("read the log of a zone")?;
    let zone = &cx.one("log operation is invalid for the global zone.")?;
    if let Some(level) = args.level {
        return set(&cx.layout, zone, level);
    }
    let since = match &args.since {
        Some(text) => Some(since(text, now(), &TimeZone::system()).ok_or_else(|| {
            let allowed =
                "write it as 2026-11-28, as \"2026-11-28 15:30\", as 2026-11-28T15:30:00Z, or as 30s, 10m, 2h or 7d ago";
            Failure::Usage(format!("log: \"{text}\" is no time; {allowed}"))
        })?),
        None => None,
    };
    let (dir, name) = (cx.layout.log_dir(), cx.layout.log_name(zone));
    if !dir.join(&name).exists() && !dir.join(format!("{name}.1")).exists() {
        let path = dir.join(&name);
        let text = format!("no log {} yet; it begins with the first \"zoneadm boot\"", path.display());
        return Err(Failure::text(zone, text));
    }
    let (zone_of_time, rest) = (TimeZone::system(), Vec::new());
    let mut lines = Lines { out: &mut Output::raw()?, rest, since, json: args.json, zone: zone_of_time };
    let done = LogReader::open(&dir, &name, Style::Raw).and_then(|mut log| log.copy(&mut lines, args.follow));
    done.map_err(|error| unshown(zone, error))
}

/// Why a log was not shown to its end. That nobody reads what is printed is no failure.
pub(super) fn unshown(zone: &ZoneName, error: LogError) -> Failure {
    match error {
        LogError::Io { operation: "write", source, .. } if source.kind() == ErrorKind::BrokenPipe => {
            Failure::Unread
        }
        LogError::Io { operation: "write", source, .. } => {
            Failure::general(anyhow::Error::new(source).context("cannot write to standard output"))
        }
        error => Failure::of(zone)(error),
    }
}

/// Has the zone's daemon, the one that runs and those that come later, say so much.
fn set(layout: &Layout, zone: &ZoneName, level: Level) -> Outcome {
    let path = layout.log_level(zone);
    if level == Level::Info {
        return file::remove_fast(&path).map_err(Failure::of(zone));
    }
    file::make_dir(&layout.zone_run(zone), 0o700).map_err(Failure::of(zone))?;
    file::replace_fast(&path, format!("{}\n", level.as_str()).as_bytes(), 0o600).map_err(Failure::of(zone))
}

/// A line of the log, as the daemon writes it.
#[derive(Debug, Deserialize)]
struct Line {
    time: String,
    level: String,
    message: String,
    operation: Option<String>,
    step: Option<String>,
}

/// Prints whole lines, of those that are late enough.
struct Lines<'a> {
    out: &'a mut dyn Write,
    rest: Vec<u8>,
    since: Option<String>,
    json: bool,
    /// The time zone of whoever reads it.
    zone: TimeZone,
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if let Some(text) = shown(&line[..end], self.since.as_deref(), self.json, &self.zone) {
                writeln!(self.out, "{text}")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A line as it is shown; nothing for one that is too old, or makes no sense.
fn shown(line: &[u8], since: Option<&str>, json: bool, zone: &TimeZone) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let Line { time, level, message, operation, step } = serde_json::from_str(text).ok()?;
    if since.is_some_and(|since| time.as_str() < since) {
        return None;
    }
    if json {
        return Some(text.to_owned());
    }
    let at = match (operation, step) {
        (Some(operation), Some(step)) => format!(" [{operation} {step}]"),
        (Some(operation), None) => format!(" [{operation}]"),
        _ => String::new(),
    };
    let word = if level == "info" { String::new() } else { format!(" {level}:") };
    let time = time::logged(&time, zone);
    Some(harmless(&format!("{time}{at}{word} {message}")).into_owned())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The beginning of the times that are late enough, in the form of the log, which is sorted as it is read.
fn since(text: &str, now: u64, zone: &TimeZone) -> Option<String> {
    let written = |seconds| utc(seconds).trim_end_matches('Z').to_owned();
    if let Some(number) = text.strip_suffix(['s', 'm', 'h', 'd']) {
        let unit = match text.as_bytes().last()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            _ => 86_400,
        };
        let ago = number.parse::<u64>().ok()?.checked_mul(unit)?;
        return Some(written(now.saturating_sub(ago)));
    }
    time::typed(text, zone).map(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_as_they_are_written() {
        let since = |text, now| since(text, now, &TimeZone::fixed(jiff::tz::offset(1)));
        assert_eq!(since("2026-11-28", 0).as_deref(), Some("2026-11-27T23:00:00"));
        assert_eq!(since("2026-11-28 15:30", 0).as_deref(), Some("2026-11-28T14:30:00"));
        assert_eq!(since("2026-11-28T15:30:07Z", 0).as_deref(), Some("2026-11-28T15:30:07"));
        assert_eq!(since("2h", 7200 + 86_400).as_deref(), Some("1970-01-02T00:00:00"));
        assert_eq!(since("9999999d", 5).as_deref(), Some("1970-01-01T00:00:00"));
        for no in ["", "yesterday", "2026-11", "2026-11-28 1", "-1h", "2026/11/28", "h", "20261128T1530"] {
            assert_eq!(since(no, 0), None, "{no}");
        }
    }

    #[test]
    fn lines_are_for_people_or_programs() {
        let line = br#"{"time":"2026-11-28T15:30:00.123Z","level":"warning","message":"a \u001b[2J","operation":"boot","step":"root"}"#;
        let shown =
            |line: &[u8], since, json| shown(line, since, json, &TimeZone::fixed(jiff::tz::offset(1)));
        let text = shown(line, None, false).unwrap();
        assert!(text.starts_with("2026-11-28T16:30:00.123+01:00 [boot root] warning: a "), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(shown(line, Some("2026-11-28T15:30"), true).unwrap().as_bytes(), line);
        assert_eq!(shown(line, Some("2026-11-28T15:31"), true), None);
        assert_eq!(shown(b"{\"time\":", None, false), None);
    }

    #[test]
    fn lines_may_come_in_parts() {
        let mut out = Vec::new();
        let zone = TimeZone::UTC;
        let mut lines = Lines { out: &mut out, rest: Vec::new(), since: None, json: false, zone };
        lines.write_all(b"{\"time\":\"t\",\"level\":\"info\",").unwrap();
        lines.write_all(b"\"message\":\"m\"}\nrubbish\n{").unwrap();
        assert_eq!(out, b"t m\n");
    }
}
