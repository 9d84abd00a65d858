//! The keeper of one zone: parent of its first process, holder of its console
#![forbid(unsafe_code)]

fn main() {}
