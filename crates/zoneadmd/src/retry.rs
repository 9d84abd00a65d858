//! Operations that go on when zsched dies under them.

use crate::context::OperationContext;
use crate::error::OpError;
use crate::zone::Zone;

/// How often in all an operation is tried. Somebody who kills one zsched after the other has a wish.
const ATTEMPTS: u32 = 3;

impl Zone {
    /// Does work that can be done again, and again with another zsched if one dies under it.
    pub(crate) fn retry<T>(
        &self,
        context: &mut OperationContext,
        mut work: impl FnMut(&Self, &mut OperationContext) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let operation = context.operation;
        for _ in 1..ATTEMPTS {
            match work(self, context) {
                Err(error) if error.is_keeper_death() => {
                    self.ensure_keeper().map_err(OpError::Respawn)?;
                    context.operation = operation;
                    context.say(format!(
                        "WARNING: zsched died during this {operation}; going on with a new one"
                    ));
                }
                done => return done,
            }
        }
        work(self, context)
    }
}
