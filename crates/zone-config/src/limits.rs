//! Sizes and numbers of CPUs, as resources that limit a zone say them.

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
    fn what_is_locked_is_in_memory() {
        assert_eq!(mismatch(None, None, None).map(|(property, _)| property), Some("physical"));
        assert_eq!(mismatch(Some("1G"), None, Some("2G")).map(|(property, _)| property), Some("locked"));
        assert_eq!(mismatch(Some("1G"), None, Some("1024M")), None);
        assert_eq!(mismatch(None, None, Some("64M")), None);
    }
}
