//! Sizes and numbers of CPUs, as resources that limit a zone say them.

use crate::document::{Document, Problem};

/// The least memory that a zone can be held to, in bytes (as on Solaris).
pub const LEAST_MEMORY: u64 = 1 << 20;

/// The shares of a zone that has none configured, in the kernel's count (`cpu.weight`).
pub const USUAL_SHARES: u64 = 100;

/// Reads a size in bytes: a whole number, with K, M, G or T for powers of 1024; at least [`LEAST_MEMORY`].
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok().filter(|number: &u64| number.to_string() == digits)?;
    let bytes = number.checked_mul(1 << shift)?;
    // What the kernel counts in is signed, and there is no machine that has more.
    (LEAST_MEMORY..=1 << 50).contains(&bytes).then_some(bytes)
}

/// Reads a number of CPUs in hundredths: `2`, `0.5`, `1.25`.
#[must_use]
pub fn cpus(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let part = part.parse::<u64>().ok()? * if part.len() == 1 { 10 } else { 1 };
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)?;
    (1..=1_000_000).contains(&hundredths).then_some(hundredths)
}

/// The most CPUs that a kernel is built for.
const MOST_CPUS: u64 = 8192;

/// CPUs that are a zone's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnCpus {
    /// So many at least, and at most.
    Number(u64, u64),
    /// These, by the kernel's numbers, in order.
    These(Vec<u64>),
}

/// Reads a number of whole CPUs, or a range of them: `2`, `2-4`.
#[must_use]
pub fn whole_cpus(text: &str) -> Option<OwnCpus> {
    let (least, most) = range(text)?;
    (least > 0 && most <= MOST_CPUS).then_some(OwnCpus::Number(least, most))
}

/// Reads a list of CPUs by their numbers: `2-3,6`.
#[must_use]
pub fn cpu_list(text: &str) -> Option<OwnCpus> {
    let ranges = text.split(',').map(|part| range(part).filter(|(_, last)| *last < MOST_CPUS));
    let mut ranges = ranges.collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable();
    // Each CPU once, however often it is named: a text of a megabyte can name all of them a hundred thousand times.
    let mut all: Vec<u64> = Vec::new();
    for (first, last) in ranges {
        let next = all.last().map_or(first, |all| first.max(all + 1));
        all.extend(next..=last);
    }
    Some(OwnCpus::These(all))
}

/// Writes CPUs, by their numbers in order, as [`cpu_list`] reads them: `2-3,6`.
#[must_use]
pub fn cpu_text(cpus: &[u64]) -> String {
    let runs = cpus.chunk_by(|one, next| one + 1 == *next);
    let text = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        _ => run.iter().map(u64::to_string).collect(),
    });
    text.collect::<Vec<_>>().join(",")
}

fn range(text: &str) -> Option<(u64, u64)> {
    let number = |text: &str| text.parse().ok().filter(|number: &u64| number.to_string() == text);
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last),
        None => Some((number(text)?, number(text)?)),
    }
}

/// The resource controls of a zone that Solaris has, and that mean something here or did there.
pub(crate) const RCTLS: [&str; 15] = [
    "zone.cpu-baseline",
    "zone.cpu-burst-time",
    "zone.cpu-cap",
    "zone.cpu-shares",
    "zone.max-locked-memory",
    "zone.max-lofi",
    "zone.max-lwps",
    "zone.max-msg-ids",
    "zone.max-physical-memory",
    "zone.max-processes",
    "zone.max-sem-ids",
    "zone.max-shm-ids",
    "zone.max-shm-memory",
    "zone.max-swap",
    "zone.zfs-io-priority",
];

/// How a property counts what its resource control counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The same number.
    Number,
    /// A size, in bytes.
    Bytes,
    /// A number of CPUs, in hundredths.
    Hundredths,
}

/// A resource control that is a property here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name that Solaris has for it.
    pub rctl: &'static str,
    /// The resource that the property is of; none for one of the zone.
    pub resource: Option<&'static str>,
    /// The property.
    pub property: &'static str,
    /// How it counts.
    pub scale: Scale,
}

const fn alias(
    rctl: &'static str,
    resource: Option<&'static str>,
    property: &'static str,
    scale: Scale,
) -> Alias {
    Alias { rctl, resource, property, scale }
}

/// The resource controls that are properties here.
#[rustfmt::skip]
pub const ALIASES: [Alias; 11] = [
    alias("zone.cpu-cap",             Some("capped-cpu"),    "ncpus",          Scale::Hundredths),
    alias("zone.cpu-shares",          None,                  "cpu-shares",     Scale::Number),
    alias("zone.max-locked-memory",   Some("capped-memory"), "locked",         Scale::Bytes),
    alias("zone.max-lwps",            None,                  "max-lwps",       Scale::Number),
    alias("zone.max-msg-ids",         None,                  "max-msg-ids",    Scale::Number),
    alias("zone.max-physical-memory", Some("capped-memory"), "physical",       Scale::Bytes),
    alias("zone.max-processes",       None,                  "max-processes",  Scale::Number),
    alias("zone.max-sem-ids",         None,                  "max-sem-ids",    Scale::Number),
    alias("zone.max-shm-ids",         None,                  "max-shm-ids",    Scale::Number),
    alias("zone.max-shm-memory",      None,                  "max-shm-memory", Scale::Bytes),
    alias("zone.max-swap",            Some("capped-memory"), "swap",           Scale::Bytes),
];

impl Scale {
    /// Reads the number of the resource control from a word of the property.
    #[must_use]
    pub fn number(self, word: &str) -> Option<u64> {
        match self {
            Self::Number => word.parse().ok(),
            Self::Bytes => size(word),
            Self::Hundredths => cpus(word),
        }
    }

    /// Gives the word of the property for a number of the resource control.
    #[must_use]
    pub fn word(self, number: u64) -> String {
        match self {
            Self::Number | Self::Bytes => number.to_string(),
            Self::Hundredths if number.is_multiple_of(100) => (number / 100).to_string(),
            Self::Hundredths => format!("{}.{:02}", number / 100, number % 100),
        }
    }
}

/// Reads the limit of a value such as `(priv=privileged,limit=100,action=deny)`; the number may be octal or hexadecimal. Solaris
/// has no other privilege and action for a zone either.
#[must_use]
pub fn rctl_value(text: &str) -> Option<u64> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    let pairs: Vec<_> = inside.split(',').map(|pair| pair.split_once('=')).collect::<Option<_>>()?;
    let value = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let known = value("priv") == Some("privileged") && matches!(value("action"), Some("none" | "deny"));
    let limit = value("limit").filter(|_| known && pairs.len() == 3)?;
    match (limit.strip_prefix("0x").or_else(|| limit.strip_prefix("0X")), limit.strip_prefix('0')) {
        (Some(digits), _) => u64::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => limit.parse().ok(),
    }
}

/// Tells of a resource control in a file that is a property here, which alone is obeyed.
pub(crate) fn rctl_mismatch(name: &str) -> Option<(&'static str, String)> {
    let alias = ALIASES.iter().find(|alias| alias.rctl == name)?;
    let place = alias.resource.map_or_else(String::new, |resource| format!(" of {resource}"));
    Some((
        "name",
        format!("is {name}, which is the property {}{place} here; allowed: that property", alias.property),
    ))
}

/// Tells what of a `dedicated-cpu` does not go together.
pub(crate) fn dedicated_mismatch(ncpus: Option<&str>, cpus: Option<&str>) -> Option<(&'static str, String)> {
    match (ncpus, cpus) {
        (None, None) => Some(("ncpus", "not specified, and cpus neither; one of them has to be".to_owned())),
        (Some(_), Some(_)) => Some(("ncpus", "excludes cpus; allowed: one of them".to_owned())),
        _ => None,
    }
}

/// Tells what of a zone's limits does not go together.
pub(crate) fn problems(document: &Document) -> Vec<Problem> {
    let dedicated = document.of("dedicated-cpu").next().is_some();
    let with = |property: &'static str| Problem {
        resource: Some("dedicated-cpu".to_owned()),
        property: "ncpus",
        reason: format!(
            "excludes {property}: CPUs of the zone's own are shared with nobody; allowed: one of both"
        ),
    };
    let shares = document.globals.get("cpu-shares").map(|_| "cpu-shares");
    let capped = document.of("capped-cpu").next().map(|_| "capped-cpu");
    let pool = document.globals.get("pool").map(|_| "pool");
    [shares, capped, pool].into_iter().flatten().filter(|_| dedicated).map(with).collect()
}

/// Tells what of a `capped-memory` does not go together: the property, and what is wrong with it.
pub(crate) fn mismatch(
    physical: Option<&str>,
    swap: Option<&str>,
    locked: Option<&str>,
) -> Option<(&'static str, String)> {
    if physical.or(swap).or(locked).is_none() {
        let none = "not specified, and swap and locked neither; one of them has to be";
        return Some(("physical", none.to_owned()));
    }
    let (most, locked) = (physical.and_then(size)?, locked.and_then(size)?);
    (locked > most).then(|| ("locked", "is more than physical; allowed: at most as much".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512m"), Some(512 << 20));
        assert_eq!(size("2G"), Some(2 << 30));
        assert_eq!(size("1048576"), Some(1 << 20));
        for bad in ["", "G", "1.5G", "-1G", "01G", "512k", "0", "2000T", "99999999999999999999", "1GB", "1é"]
        {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn cpus_have_two_digits_behind_the_point() {
        assert_eq!(cpus("2"), Some(200));
        assert_eq!(cpus("0.5"), Some(50));
        assert_eq!(cpus("1.25"), Some(125));
        assert_eq!(cpus("0.01"), Some(1));
        for bad in ["", ".5", "1.", "0", "0.00", "1.255", "-1", "01", "1e3", "100000", "2-4"] {
            assert_eq!(cpus(bad), None, "{bad}");
        }
    }

    #[test]
    fn own_cpus_are_a_number_or_a_list() {
        assert_eq!(whole_cpus("2"), Some(OwnCpus::Number(2, 2)));
        assert_eq!(whole_cpus("2-4"), Some(OwnCpus::Number(2, 4)));
        for bad in ["", "0", "4-2", "1.5", "2-", "-2", "02", "1-9000"] {
            assert_eq!(whole_cpus(bad), None, "{bad}");
        }
        assert_eq!(cpu_list("4,1-2,2"), Some(OwnCpus::These(vec![1, 2, 4])));
        assert_eq!(cpu_list("0-9,3-4,8-10,2"), Some(OwnCpus::These((0..=10).collect())));
        let Some(OwnCpus::These(all)) = cpu_list(&["0-8191"; 100_000].join(",")) else { panic!() };
        assert_eq!((all.len(), all.capacity() < 100_000), (8192, true), "each once");
        assert_eq!(cpu_text(&[0, 2, 3, 4, 6, 7]), "0,2-4,6-7");
        for bad in ["", "1,", "a", "0-8192", "1 2"] {
            assert_eq!(cpu_list(bad), None, "{bad}");
        }
        assert!(
            dedicated_mismatch(None, None).is_some() && dedicated_mismatch(Some("2"), Some("1-2")).is_some()
        );
        assert_eq!(dedicated_mismatch(Some("2"), None), None);
    }

    #[test]
    fn values_of_resource_controls_are_numbers() {
        let value = |limit: &str| rctl_value(&format!("(priv=privileged,limit={limit},action=deny)"));
        assert_eq!(
            (value("100"), value("0x10"), value("010"), value("0")),
            (Some(100), Some(16), Some(8), Some(0))
        );
        assert_eq!((value("1k"), value(""), value("-1")), (None, None, None));
        for bad in
            ["(priv=basic,limit=1,action=deny)", "(priv=privileged,limit=1,action=signal)", "(limit=1)", "5"]
        {
            assert_eq!(rctl_value(bad), None, "{bad}");
        }
        assert_eq!(Scale::Hundredths.word(125), "1.25");
        assert_eq!(Scale::Hundredths.number("1.25"), Some(125));
        assert!(ALIASES.iter().all(|alias| RCTLS.contains(&alias.rctl)));
        for alias in ALIASES {
            let row = match alias.resource {
                Some(resource) => crate::schema::resource(resource).unwrap().property(alias.property),
                None => crate::schema::global(alias.property),
            };
            assert!(
                row.is_some_and(|row| row.kind.read(&alias.scale.word(1 << 20)).is_some()
                    || row.name == "cpu-shares"
                    || row.name.ends_with("-ids")
                    || row.name == "ncpus"),
                "{}",
                alias.rctl
            );
        }
    }

    #[test]
    fn what_is_locked_is_in_memory() {
        assert_eq!(mismatch(None, None, None).map(|(property, _)| property), Some("physical"));
        assert_eq!(mismatch(Some("1G"), None, Some("2G")).map(|(property, _)| property), Some("locked"));
        assert_eq!(mismatch(Some("1G"), None, Some("1024M")), None);
        assert_eq!(mismatch(None, None, Some("64M")), None);
    }
}
