//! The name of one incarnation of a zone.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Tells one incarnation of a zone (from ready to halt) from every other.
///
/// 64 bits wide. On the wire it is a string of decimal digits: many JSON readers keep numbers as doubles, and a
/// rounded uniqid would name another incarnation or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uniqid(pub u64);

impl fmt::Display for Uniqid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Uniqid {
    type Err = ParseIntError;

    /// Reads decimal digits.
    ///
    /// # Errors
    /// If the text is not a number from 0 to 2^64-1.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl Serialize for Uniqid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uniqid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crosses_the_wire_as_digits_without_loss() {
        let id = Uniqid(u64::MAX);
        let wire = serde_json::to_string(&id).unwrap();
        assert_eq!(wire, "\"18446744073709551615\"");
        assert_eq!(serde_json::from_str::<Uniqid>(&wire).unwrap(), id);
    }

    #[test]
    fn a_number_or_a_longer_one_is_refused() {
        for wire in ["1", "\"\"", "\"-1\"", "\"18446744073709551616\"", "\"1 \""] {
            assert!(serde_json::from_str::<Uniqid>(wire).is_err(), "{wire}");
        }
    }
}
