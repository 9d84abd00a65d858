//! zonecfg.

use crate::harness::{Lab, cases};

cases![help_is_there];

fn help_is_there(lab: &Lab) {
    lab.command("zonecfg", ["help"]).run().ok();
}
