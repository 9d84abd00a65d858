//! The texts of the PO files, as `build.rs` has laid them out: nothing is read, parsed or allocated to have them.

use std::cmp::Ordering;

use crate::Language;

mod texts {
    #![allow(clippy::all, clippy::unreadable_literal)]
    include!(concat!(env!("OUT_DIR"), "/texts.rs"));
}

use texts::{ENDS, TEMPLATES, TEXTS};

/// A text in English, with what it is in the other languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row(usize);

impl Row {
    /// Finds the row of an English text.
    pub(crate) fn find(english: &str) -> Option<Self> {
        let order = |row: usize| Self(row).english().cmp(english);
        let (mut low, mut high) = (0, ENDS.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match order(middle) {
                Ordering::Equal => return Some(Self(middle)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The rows with holes, or with a brace.
    pub(crate) fn templates() -> impl Iterator<Item = Self> {
        TEMPLATES.iter().map(|&row| Self(row.into()))
    }

    /// The English text.
    pub(crate) fn english(self) -> &'static str {
        self.column(0)
    }

    /// The text in `language`; `None` for one that it does not have yet.
    pub(crate) fn text(self, language: Language) -> Option<&'static str> {
        Some(self.column(language.column())).filter(|text| !text.is_empty())
    }

    fn column(self, column: usize) -> &'static str {
        let end = |row: usize| ENDS[row][column] as usize;
        let begin = if self.0 == 0 { 0 } else { end(self.0 - 1) };
        &TEXTS[column][begin..end(self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found() {
        for row in 0..ENDS.len() {
            assert_eq!(Row::find(Row(row).english()), Some(Row(row)));
        }
        assert_eq!(Row::find("nobody says this"), None);
        assert_eq!(Row::find(""), None);
    }
}
