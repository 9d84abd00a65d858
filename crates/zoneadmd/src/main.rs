//! The daemon of one zone: brings it up, takes it down, serves its door and its console
#![forbid(unsafe_code)]

fn main() {}
