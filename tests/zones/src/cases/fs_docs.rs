//! The examples of docs/filesystems.md, run as they stand there.

use crate::harness::{Lab, cases, follow};

cases![the_manual: 600];

const MANUAL: &str = include_str!("../../../../docs/filesystems.md");

fn the_manual(lab: &Lab) {
    follow(lab, MANUAL, 2, &[]);
}
