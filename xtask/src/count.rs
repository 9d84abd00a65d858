//! How many tests went how.

use std::fmt;

/// How many tests went how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// How many tests held what they assert.
    pub(crate) passed: usize,
    /// How many did not.
    pub(crate) failed: usize,
    /// Were not tried.
    pub(crate) skipped: usize,
}

impl Count {
    /// Adds two up.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}
