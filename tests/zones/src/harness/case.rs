//! A test: a name, a function, a time limit, and what it shares the machine with.

use super::Lab;
use std::time::Duration;

/// When a test runs, beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At the same time as others.
    Parallel,
    /// While no other test runs: it looks at, or changes, what the whole machine has only once.
    Alone,
    /// After all others: it looks at what they have done.
    Last,
}

/// One test of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    module: &'static str,
    function: &'static str,
    /// The test itself. It panics when something is wrong.
    pub run: fn(&Lab),
    /// After this long the test has failed. Generous: it is there to end a hang, not to measure.
    pub limit: Duration,
    /// Whether others may run at the same time.
    pub turn: Turn,
    /// Whether it has the machine's own network, for what is fetched from a mirror. All others have one of their own.
    pub online: bool,
}

impl Case {
    /// A test with the usual limit of a minute.
    #[must_use]
    pub const fn new(module: &'static str, function: &'static str, run: fn(&Lab)) -> Self {
        Self { module, function, run, limit: Duration::from_secs(60), turn: Turn::Parallel, online: false }
    }

    /// The same test with a limit of its own.
    #[must_use]
    pub const fn within(mut self, secs: u64) -> Self {
        self.limit = Duration::from_secs(secs);
        self
    }

    /// The same test, but no other one runs meanwhile.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.turn = Turn::Alone;
        self
    }

    /// The same test, but after all others.
    #[must_use]
    pub const fn last(mut self) -> Self {
        self.turn = Turn::Last;
        self
    }

    /// The same test, in the machine's own network.
    #[must_use]
    pub const fn online(mut self) -> Self {
        self.online = true;
        self
    }

    /// The file that the test is in.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        self.module.rsplit("::").next().unwrap_or_default()
    }

    /// `subject::what_holds`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}::{}", self.subject(), self.function)
    }
}

/// Lists the tests of a file: those that need more than a minute with their limit in seconds, those that cannot share
/// the machine with others marked `alone`, those that look at what all others did marked `last`, those that need the
/// machine's network marked `online`.
macro_rules! cases {
    ($($function:ident $(: $secs:literal)? $($turn:ident)?),+ $(,)?) => {
        /// The tests of this file.
        pub(super) const CASES: &[$crate::harness::Case] = &[
            $($crate::harness::Case::new(module_path!(), stringify!($function), $function)
                $(.within($secs))? $(.$turn())?),+
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
