//! A test: a name, a function, a time limit.

use super::Lab;
use std::time::Duration;

/// One test of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    module: &'static str,
    function: &'static str,
    /// The test itself. It panics when something is wrong.
    pub run: fn(&Lab),
    /// After this long the test has failed. Generous: it is there to end a hang, not to measure.
    pub limit: Duration,
}

impl Case {
    /// A test with the usual limit of a minute.
    #[must_use]
    pub const fn new(module: &'static str, function: &'static str, run: fn(&Lab)) -> Self {
        Self { module, function, run, limit: Duration::from_secs(60) }
    }

    /// The same test with a limit of its own.
    #[must_use]
    pub const fn within(mut self, secs: u64) -> Self {
        self.limit = Duration::from_secs(secs);
        self
    }

    /// `subject::what_holds`.
    #[must_use]
    pub fn name(&self) -> String {
        let subject = self.module.rsplit("::").next().unwrap_or_default();
        format!("{subject}::{}", self.function)
    }
}

/// Lists the tests of a file, those that need more than a minute with their limit in seconds.
macro_rules! cases {
    ($($function:ident $(: $secs:literal)?),+ $(,)?) => {
        /// The tests of this file.
        pub(super) const CASES: &[$crate::harness::Case] = &[
            $($crate::harness::Case::new(module_path!(), stringify!($function), $function)$(.within($secs))?),+
        ];
    };
}
pub(crate) use cases;

/// Thrown by [`skip`]; carries the reason.
#[derive(Debug)]
pub struct Skip(pub String);

/// Ends the test without a verdict. The reason is printed beside its name and counted.
pub fn skip(reason: impl Into<String>) -> ! {
    std::panic::panic_any(Skip(reason.into()))
}
