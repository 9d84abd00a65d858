//! Extended header records: `LENGTH KEY=VALUE\n` (pax(1), POSIX.1-2017), values may hold any byte.

use std::collections::HashSet;
use std::rc::Rc;

/// The records in force for one entry: global ones, which all entries behind them share, and its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    global: Rc<List>,
    own: List,
}

#[derive(Debug, Clone, Default)]
struct List {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

impl List {
    fn of(mut data: &[u8]) -> Option<Self> {
        let mut list = Self::default();
        // Some writers pad with NULs.
        while data.first().is_some_and(|byte| *byte != 0) {
            let blank = data.iter().position(|byte| *byte == b' ')?;
            let length: usize = number(&data[..blank])?.try_into().ok()?;
            let (record, rest) = data.split_at_checked(length)?;
            let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
            let equals = body.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (&body[..equals], &body[equals + 1..]);
            list.records.push((key.to_vec(), value.to_vec()));
            list.bytes += weight(key, value);
            data = rest;
        }
        Some(list)
    }

    fn append(&mut self, mut later: Self) {
        self.records.append(&mut later.records);
        self.bytes += later.bytes;
    }

    /// Takes out what later records of the same keys replace.
    fn give_way(&mut self, later: &Self) {
        let keys: HashSet<&[u8]> = later.records.iter().map(|(key, _)| key.as_slice()).collect();
        self.records.retain(|(key, _)| !keys.contains(key.as_slice()));
        self.bytes = self.records.iter().map(|(key, value)| weight(key, value)).sum();
    }
}

impl Records {
    /// Adds the records of one extended header; `None` when it is not well formed.
    pub(super) fn add(&mut self, data: &[u8]) -> Option<()> {
        self.own.append(List::of(data)?);
        Some(())
    }

    /// Adds the records of a global header, which come before the entry's own and so do not count where it has its own; `None` when it
    /// is not well formed.
    pub(super) fn add_global(&mut self, data: &[u8]) -> Option<()> {
        let later = List::of(data)?;
        let global = Rc::make_mut(&mut self.global);
        global.give_way(&later);
        global.append(later);
        Some(())
    }

    /// What of these is in force for the next entry, too.
    pub(super) fn global(&self) -> Self {
        Self { global: Rc::clone(&self.global), own: List::default() }
    }

    /// Bytes of all that are in force.
    pub(super) fn bytes(&self) -> usize {
        self.global.bytes + self.own.bytes
    }

    fn all(&self) -> impl DoubleEndedIterator<Item = &(Vec<u8>, Vec<u8>)> {
        self.global.records.iter().chain(&self.own.records)
    }

    /// The last value of a key; an empty value takes an earlier one back.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        self.all()
            .rev()
            .find(|(name, _)| name == key.as_bytes())
            .map(|(_, value)| value.as_slice())
            .filter(|value| !value.is_empty())
    }

    /// A key with a number in it: `Some(None)` when it is not one.
    #[expect(clippy::option_option, reason = "absent and unreadable are different things here")]
    pub(super) fn number(&self, key: &str) -> Option<Option<u64>> {
        self.get(key).map(number)
    }

    /// A key with a time: seconds, with a sign and decimals if need be.
    #[expect(clippy::option_option, reason = "absent and unreadable are different things here")]
    pub(super) fn time(&self, key: &str) -> Option<Option<(i64, u32)>> {
        self.get(key).map(time)
    }

    /// Every record whose key begins so, without that, in order.
    pub(super) fn prefixed(&self, prefix: &'static str) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.all()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix.as_bytes())?, value.as_slice())))
    }

    /// Every record, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.all().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

/// Bytes of a record, but for the digits of its length.
fn weight(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + " =\n".len()
}

/// Decimal digits and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds and nanoseconds, the latter always counting forwards.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(number(parts.next()?)?).ok()?;
    let mut nanos = 0;
    if let Some(decimals) = parts.next() {
        let mut digits = [b'0'; 9];
        for (digit, given) in digits.iter_mut().zip(decimals) {
            *digit = *given;
        }
        nanos = u32::try_from(number(&digits)?).ok()?;
    }
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        let mut bytes = format!("{length} ").into_bytes();
        bytes.extend_from_slice(key);
        bytes.push(b'=');
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
        bytes
    }

    #[test]
    fn times_have_signs_and_decimals() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"1.1234567899"), Some((1, 123_456_789)));
        assert_eq!(time(b"-3"), Some((-3, 0)));
        assert_eq!(time(b"x"), None);
        assert_eq!(time(b""), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bad in [&b"5 a=b"[..], b"99 a=b\n", b"1 a=b\n", b"0 \n", b"6 ab\n\n", b"x a=b\n", b" a=b\n"] {
            assert!(Records::default().add(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn global_records_are_shared_and_the_later_of_a_key_replaces_the_earlier() {
        let mut first = Records::default();
        first.add(&record(b"path", b"own")).unwrap();
        for time in [&b"1"[..], b"22", b"333"] {
            first.add_global(&[record(b"mtime", time), record(b"path", b"all")].concat()).unwrap();
        }
        assert_eq!((first.get("mtime"), first.get("path")), (Some(&b"333"[..]), Some(&b"own"[..])));
        let next = first.global();
        assert_eq!((next.get("mtime"), next.get("path")), (Some(&b"333"[..]), Some(&b"all"[..])));
        assert_eq!(next.iter().count(), 2);
        assert_eq!(next.bytes(), " mtime=333\n path=all\n".len());
        assert!(Rc::ptr_eq(&first.global, &next.global));
    }

    proptest! {
        #[test]
        fn any_value_comes_back(
            key in "[a-zA-Z.]{1,20}",
            value in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            let mut records = Records::default();
            prop_assert!(records.add(&record(key.as_bytes(), &value)).is_some());
            prop_assert_eq!(records.get(&key), Some(&value[..]));
        }

        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut records = Records::default();
            let _ = records.add(&data);
            let _ = records.time("mtime");
        }
    }
}
