//! Times for people: when, in the time zone of whoever asks, as RFC 3339 has it, and how long.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Seconds since 1970 UTC, by now.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// When that was, such as `2026-11-28T16:04:05+01:00`.
pub(crate) fn local(seconds: u64) -> String {
    within(seconds, &TimeZone::system())
}

/// A time as logs have it (RFC 3339, in UTC), in the time zone of whoever asks; one that is none stays as it is.
pub(crate) fn logged(text: &str, zone: &TimeZone) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Reads a time that somebody typed, in seconds since 1970 UTC: with an offset as RFC 3339 has it, or in this time zone.
pub(crate) fn typed(text: &str, zone: &TimeZone) -> Option<u64> {
    let text = text.replacen(' ', "T", 1);
    const FORM: &str = "0000-00-00T00:00:00";
    let has_form = |text: &str| {
        let fits = |(is, form): (char, char)| if form == '0' { is.is_ascii_digit() } else { is == form };
        [10, 16, 19].contains(&text.len()) && text.chars().zip(FORM.chars()).all(fits)
    };
    let here = || Some(text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp());
    let time = if has_form(&text) { here()? } else { text.parse::<Timestamp>().ok()? };
    u64::try_from(time.as_second()).ok()
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
    fn times_are_typed_in_the_zone_of_the_reader() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        for (text, seconds) in [
            ("2026-11-28", Some(1_795_820_400)),
            ("2026-11-28 16:04", Some(1_795_878_240)),
            ("2026-11-28T16:04:05", Some(1_795_878_245)),
            ("2026-11-28T15:04:05Z", Some(1_795_878_245)),
            ("2026-11-28T17:04:05+02:00", Some(1_795_878_245)),
            ("2026-11", None),
            ("2026-11-28 1", None),
            ("2026-13-28", None),
            ("20261128T1530", None),
            ("yesterday", None),
        ] {
            assert_eq!(typed(text, &berlin), seconds, "{text}");
        }
        assert_eq!(logged("2026-11-28T15:04:05.120Z", &berlin), "2026-11-28T16:04:05.120+01:00");
        assert_eq!(logged("t", &berlin), "t");
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
