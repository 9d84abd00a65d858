//! Examples in the project's documents, run as they stand there.

use super::{Command, Lab};

/// What an output must have, at the end of a line of an example.
const PRINTS: &str = "# prints ";

/// One example: a block of shell commands below a heading.
pub struct Example<'text> {
    /// The heading.
    pub title: &'text str,
    /// What the machine must have for it.
    pub needs: Option<&'text str>,
    /// The commands.
    pub script: String,
}

/// Finds the blocks that are to be run: those marked `sh`, a word behind which is what they need.
#[must_use]
pub fn examples(text: &str) -> Vec<Example<'_>> {
    let (mut title, mut open, mut found) = ("", false, Vec::<Example<'_>>::new());
    for line in text.lines() {
        match (open, line.strip_prefix("```")) {
            (true, Some(_)) => open = false,
            (false, Some(mark)) => {
                let mut words = mark.split_whitespace();
                if words.next() == Some("sh") {
                    found.push(Example { title, needs: words.next(), script: String::new() });
                    open = true;
                }
            }
            (true, None) => {
                if let Some(example) = found.last_mut() {
                    example.script += line;
                    example.script.push('\n');
                }
            }
            (false, None) => title = line.strip_prefix("## ").unwrap_or(title),
        }
    }
    found
}

impl Example<'_> {
    /// Runs it as root would type it, and takes away the zone `web` that it has made. `places` are names of the example, each
    /// with what it is on this machine.
    #[track_caller]
    pub fn run(&self, lab: &Lab, places: &[(&str, &str)]) {
        let title = self.title;
        let script = places.iter().fold(self.script.clone(), |script, (name, own)| script.replace(name, own));
        let path = format!("{}:{}", lab.spec().bin.display(), std::env::var("PATH").unwrap_or_default());
        let ran = Command::new("/bin/sh")
            .args(["-euc", &script])
            .env("ZONES_ROOT", lab.root())
            .env("PATH", path)
            .run();
        ran.ok();
        for promised in script.lines().filter_map(|line| Some(line.split_once(PRINTS)?.1)) {
            assert!(ran.out().contains(promised), "{title}: must print {promised:?}\n{ran}");
        }
        for verb in ["halt", "uninstall -F"] {
            lab.zoneadm(["-z", "web"].into_iter().chain(verb.split(' '))).ok();
        }
        lab.zonecfg("web", "delete -F").ok();
    }
}
