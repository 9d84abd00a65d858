//! The console's server on a real pty among strangers: what it is told decides who comes, says, reads and
//! leaves, and the witness must be told all that the guest says.
#![no_main]

#[path = "../../crates/zone-console/tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    common::run(common::storm::storm(script));
});
