//! The examples of docs/filesystems.md, run as they stand there.

use crate::harness::{Lab, cases, examples};

cases![the_manual: 600];

const MANUAL: &str = include_str!("../../../../docs/filesystems.md");

fn the_manual(lab: &Lab) {
    let examples = examples(MANUAL);
    assert!(examples.len() > 2, "the manual has its examples");
    let srv = lab.path("srv");
    let place = srv.to_string_lossy();
    for example in examples {
        example.run(lab, &[("/srv", &place)]);
        std::fs::remove_dir_all(&srv).ok();
    }
}
