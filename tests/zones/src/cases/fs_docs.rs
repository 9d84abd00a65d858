//! The examples of docs/filesystems.md, run as they stand there.

use crate::harness::{Lab, cases, examples, skip};
use std::path::Path;

cases![the_manual: 600];

const MANUAL: &str = include_str!("../../../../docs/filesystems.md");

fn the_manual(lab: &Lab) {
    let examples = examples(MANUAL);
    assert!(examples.len() > 2, "the manual has its examples");
    let srv = lab.path("srv");
    let place = srv.to_string_lossy();
    for example in examples {
        if example.needs.is_some_and(|program| !Path::new(program).exists()) {
            skip(format!("this machine has no {}", example.needs.unwrap_or_default()));
        }
        example.run(lab, &[("/srv", &place)]);
        std::fs::remove_dir_all(&srv).ok();
    }
}
