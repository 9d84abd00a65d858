//! The small init of sparse zones
#![forbid(unsafe_code)]

fn main() {}
