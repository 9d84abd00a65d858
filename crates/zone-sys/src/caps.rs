//! Capabilities of the calling thread.

use crate::{Arg, Error, Result};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Drops all capabilities but those in `keep` from the bounding set: no program that is executed from now on can have them.
///
/// # Errors
/// `EPERM` without CAP_SETPCAP.
pub fn bound(keep: CapabilitySet) -> Result<()> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // This kernel has no such capability, and none after it.
            Err(Errno::INVAL) => break,
            Err(errno) => {
                return Err(Error::new("prctl", errno)
                    .arg(Arg::Word("PR_CAPBSET_DROP"))
                    .arg(Arg::Num(number.into())));
            }
        }
    }
    Ok(())
}
