//! Strangers of all kinds at once. The fuzz target `console_relay` plays the same.
#![allow(clippy::unwrap_used, reason = "a test")]
mod common;

use common::{run, storm::storm};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strangers_delay_nobody(script in prop::collection::vec(any::<u8>(), 0..600)) {
        run(storm(&script));
    }
}
