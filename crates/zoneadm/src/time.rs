//! Times for people: when, in the time zone of whoever asks, as RFC 3339 has it, and how long.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds since 1970 UTC, by now.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// When that was, such as `2026-11-28T16:04:05+01:00`.
pub(crate) fn local(seconds: u64) -> String {
    within(seconds, &TimeZone::system())
}

fn within(seconds: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    match time {
        Some(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        None => seconds.to_string(),
    }
}

/// How long that is, by its two largest units.
pub(crate) fn lasting(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let parts = UNITS[first..].iter().take(2).map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count, format!("{count} {name}"))
    });
    let parts: Vec<(u64, String)> = parts.collect();
    let said = parts.iter().enumerate().filter(|(at, (count, _))| *at == 0 || *count > 0);
    said.map(|(_, (_, text))| text.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_reader() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(within(1_795_878_245, &berlin), "2026-11-28T16:04:05+01:00");
        assert_eq!(within(0, &TimeZone::UTC), "1970-01-01T00:00:00+00:00");
        assert_eq!(within(u64::MAX, &TimeZone::UTC), u64::MAX.to_string());
    }

    #[test]
    fn lengths_have_two_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3725, "1 h 2 min"),
            (90_000, "1 d 1 h"),
            (86_405, "1 d"),
        ] {
            assert_eq!(lasting(seconds), said);
        }
    }
}
