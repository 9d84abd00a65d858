//! Operations that go on when zsched dies under them.

use crate::errand::{Errand, OpError};
use crate::zone::Zone;

/// How often in all an operation is tried. Somebody who kills one zsched after the other has a wish.
const ATTEMPTS: u32 = 3;

impl Zone {
    /// Does work that can be done again, and again with another zsched if one dies under it.
    pub(crate) fn insist<T>(
        &self,
        errand: &mut Errand,
        mut work: impl FnMut(&Self, &mut Errand) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let operation = errand.operation;
        for _ in 1..ATTEMPTS {
            match work(self, errand) {
                Err(error) if error.is_death_of_zsched() => {
                    self.revive().map_err(|error| OpError::Revive(Box::new(error)))?;
                    errand.operation = operation;
                    errand.say(format!(
                        "WARNING: zsched died during this {operation}; going on with a new one"
                    ));
                }
                done => return done,
            }
        }
        work(self, errand)
    }
}
