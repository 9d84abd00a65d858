//! The name of a zone.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a zone, in bytes (zonecfg(8): 63 characters).
pub const MAX_LEN: usize = 63;

/// Names that would meet a file of ours: in the run directory, where each zone has a directory of its name, or among the
/// configurations, where each has a file NAME.toml.
const OURS: [&str; 4] = ["index.lock", "network.lock", "network", "zones"];

/// The name of a zone: 1 to 63 characters, the first a letter or a digit, the rest letters, digits, `_`, `-`
/// or `.`; neither `global` nor anything that starts with `SUNW` (zonecfg(8)).
///
/// Whoever holds one may use it as a file name: it holds no slash and does not start with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

/// Why a text is not the name of a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a zone name cannot be empty")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
    #[error("{0:?}: a zone name has at most {MAX_LEN} characters, this has {count}", count = .0.len())]
    TooLong(String),
    /// The first character is not a letter or a digit.
    #[error("{0:?}: a zone name starts with a letter or a digit")]
    Start(String),
    /// A character that no name has.
    #[error("{name:?}: a zone name has letters, digits, '_', '-' and '.', not {character:?}")]
    Character {
        /// The text that was to be a name.
        name: String,
        /// The first character in it that is not allowed.
        character: char,
    },
    /// `global`, `SUNW*`, or a name of one of our own files.
    #[error("{0:?} is reserved: choose another zone name")]
    Reserved(String),
}

impl ZoneName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ZoneName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let Some(first) = text.chars().next() else { return Err(NameError::Empty) };
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong(text));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start(text));
        }
        if let Some(character) =
            text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'))
        {
            return Err(NameError::Character { name: text, character });
        }
        if text == "global" || text.starts_with("SUNW") || OURS.contains(&text.as_str()) {
            return Err(NameError::Reserved(text));
        }
        Ok(Self(text))
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

/// Names are found in sets by their text.
impl Borrow<str> for ZoneName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ZoneName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<std::path::Path> for ZoneName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule_of_names() {
        for good in ["a", "0", "web-1.example_x", "sunw", "Global", &"x".repeat(63)] {
            assert!(good.parse::<ZoneName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "-a",
            "_a",
            "a b",
            "a/b",
            "a:b",
            "a\n",
            "é",
            "global",
            "SUNWx",
            "index.lock",
            "network.lock",
            "network",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<ZoneName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_safe_path_component(text in ".{0,70}") {
            if let Ok(name) = text.parse::<ZoneName>() {
                prop_assert_eq!(std::path::Path::new(name.as_str()).components().count(), 1);
                prop_assert!(!name.as_str().starts_with('.'));
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
