//! Manual pages and completions, made from the command lines that the programs really have: nothing about
//! an option is written down twice. The pages of what has no options, and what a command line cannot know
//! (files, other pages), are in docs/man.

pub(crate) mod completions;
mod man;

use crate::{paths, say, sh};
use anyhow::Result;

/// The section of each program's page. `zonename` and `zlogin` are for users, too.
const SECTIONS: [(&str, &str); 4] = [("zoneadm", "8"), ("zonecfg", "8"), ("zlogin", "1"), ("zonename", "1")];

/// Makes all of them in target/zones/man and target/zones/completions.
pub(crate) fn make() -> Result<()> {
    let (pages, completions) = (paths::dist().join("man"), paths::dist().join("completions"));
    sh::make_dir(&pages)?;
    sh::make_dir(&completions)?;
    for (command, (name, section)) in commands().into_iter().zip(SECTIONS) {
        man::write(&command, name, section, &pages)?;
    }
    completions::write(&completions)?;
    man::write_configuration(&pages)?;
    man::copy(&pages)?;
    say::note(&format!("{} and {}", pages.display(), completions.display()));
    Ok(())
}

/// The command lines, in the order of [`SECTIONS`].
fn commands() -> [clap::Command; 4] {
    [zoneadm::command(), zonecfg::command(), zlogin::command(), zonename::command()]
}
