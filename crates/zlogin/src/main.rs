//! Enter a zone
#![forbid(unsafe_code)]

fn main() {}
