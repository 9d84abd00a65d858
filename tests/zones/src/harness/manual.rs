//! Examples in the project's documents, run as they stand there.

use super::{Command, Lab, skip};
use std::fs;
use std::path::Path;

/// What an output must have, at the end of a line of an example.
const PRINTS: &str = "# prints ";

/// One example: a block of shell commands below a heading.
pub struct Example<'text> {
    /// The heading.
    pub title: &'text str,
    /// What the machine must have for it, in the words that [`Example::lacks`] knows.
    pub needs: Option<&'text str>,
    /// The commands.
    pub script: String,
}

/// The controllers that limits want of cgroup version 2.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Finds the blocks that are to be run: those marked `sh`, behind which is what they need.
#[must_use]
pub fn examples(text: &str) -> Vec<Example<'_>> {
    let (mut title, mut open, mut found) = ("", false, Vec::<Example<'_>>::new());
    for line in text.lines() {
        match (open, line.strip_prefix("```")) {
            (true, Some(_)) => open = false,
            (false, Some(mark)) => {
                let (kind, needs) = mark.split_once(' ').unwrap_or((mark, ""));
                if kind == "sh" {
                    let needs = Some(needs.trim()).filter(|needs| !needs.is_empty());
                    found.push(Example { title, needs, script: String::new() });
                    open = true;
                }
            }
            (true, None) => {
                if let Some(example) = found.last_mut() {
                    example.script += line;
                    example.script.push('\n');
                }
            }
            (false, None) if line.starts_with('#') => title = line.trim_start_matches('#').trim(),
            (false, None) => {}
        }
    }
    found
}

/// Runs the examples of a document, of which there are more than `few`; ends the case as skipped, with all that is missing, if this
/// machine cannot run some of them. `places` are as with [`Example::run`]; what the examples put into `/srv` is a folder of the test's.
#[track_caller]
pub fn follow(lab: &Lab, text: &str, few: usize, places: &[(&str, &str)]) {
    let (all, srv) = (examples(text), lab.path("srv"));
    assert!(all.len() > few, "the document has its examples");
    let own = srv.to_string_lossy();
    let places = [places, &[("/srv", &*own)]].concat();
    let mut lacking = Vec::new();
    for example in all {
        match example.lacks() {
            Some(what) => lacking.push(format!("{} needs {what}", example.title)),
            None => example.run(lab, &places),
        }
        fs::remove_dir_all(&srv).ok();
    }
    if !lacking.is_empty() {
        skip(lacking.join("; "));
    }
}

impl Example<'_> {
    /// Tells what this machine lacks of what it needs: a path; `cgroup2`, the controllers of limits; `nftables`, rules for links.
    #[must_use]
    #[track_caller]
    pub fn lacks(&self) -> Option<String> {
        let lacks = |what: &str| match what {
            path if path.starts_with('/') => (!Path::new(path).exists()).then(|| path.to_owned()),
            "cgroup2" => {
                let has = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
                let all = CONTROLLERS.iter().all(|one| has.split_whitespace().any(|has| has == *one));
                (!all).then(|| format!("the controllers {} of cgroup version 2", CONTROLLERS.join(", ")))
            }
            "nftables" => {
                let made = Command::new("nft").args(["add", "table", "netdev", "zones-try"]).run();
                let _ = Command::new("nft").args(["delete", "table", "netdev", "zones-try"]).run();
                (made.code() != Some(0)).then(|| "rules of nf_tables for links".to_owned())
            }
            other => panic!("{}: nobody knows what {other:?} is that it needs", self.title),
        };
        self.needs.into_iter().flat_map(str::split_whitespace).find_map(lacks)
    }

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
