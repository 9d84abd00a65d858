//! Administer zones
#![forbid(unsafe_code)]

fn main() {}
