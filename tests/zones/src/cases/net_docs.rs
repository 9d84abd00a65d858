//! The examples of docs/network.md and of README.md, run as they stand there.

use crate::harness::{Command, Lab, cases, ip, skip};

cases![the_manual: 600, of_the_manual_what_needs_ipvlan, of_the_manual_what_needs_vlan_links, the_first_example: 120];

const MANUAL: &str = include_str!("../../../../docs/network.md");
const README: &str = include_str!("../../../../README.md");

/// What an output must have, at the end of a line of an example.
const PRINTS: &str = "# prints ";

/// One example: a block of shell commands below a heading.
struct Example<'text> {
    /// The heading.
    title: &'text str,
    /// The kind of link that the kernel must have for it.
    needs: Option<&'text str>,
    /// The commands.
    script: String,
}

/// Finds the blocks that are to be run: those marked `sh`, a word behind which is the kind of link that they need.
fn examples(text: &str) -> Vec<Example<'_>> {
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

/// Runs an example as root would type it, and takes away what it has made.
#[track_caller]
fn follow(lab: &Lab, example: &Example<'_>) {
    let Example { title, script, .. } = example;
    let script = script.replace("lan0", "up0");
    let path = format!("{}:{}", lab.spec().bin.display(), std::env::var("PATH").unwrap_or_default());
    let ran =
        Command::new("/bin/sh").args(["-euc", &script]).env("ZONES_ROOT", lab.root()).env("PATH", path).run();
    ran.ok();
    for promised in script.lines().filter_map(|line| Some(line.split_once(PRINTS)?.1)) {
        assert!(ran.out().contains(promised), "{title}: must print {promised:?}\n{ran}");
    }
    for verb in ["halt", "uninstall -F"] {
        lab.zoneadm(["-z", "web"].into_iter().chain(verb.split(' '))).ok();
    }
    lab.zonecfg("web", "delete -F").ok();
    let _ = Command::new("ip").args(["link", "delete", "br0"]).run();
}

fn the_manual(lab: &Lab) {
    let _internet = lab.internet();
    ip("link add lan1 type veth peer name far1");
    let examples = examples(MANUAL);
    assert!(examples.len() > 10, "the manual has its examples");
    for example in examples.iter().filter(|example| example.needs.is_none()) {
        follow(lab, example);
    }
    ip("link delete lan1");
}

fn of_the_manual_what_needs_ipvlan(lab: &Lab) {
    what_needs(lab, "ipvlan");
}

fn of_the_manual_what_needs_vlan_links(lab: &Lab) {
    what_needs(lab, "vlan");
}

#[track_caller]
fn what_needs(lab: &Lab, kind: &str) {
    let _internet = lab.internet();
    // It lacks what such a link is on: a kernel that knows the kind says so.
    let tried = Command::new("ip").args(["link", "add", "try0", "type", kind]).run();
    if tried.err().contains("Unknown device type") {
        skip(format!("this kernel has no {kind} links"));
    }
    let examples = examples(MANUAL);
    let these: Vec<_> = examples.iter().filter(|example| example.needs == Some(kind)).collect();
    assert!(!these.is_empty(), "the manual has examples of {kind}");
    these.into_iter().for_each(|example| follow(lab, example));
}

fn the_first_example(lab: &Lab) {
    let _internet = lab.internet();
    let examples = examples(README);
    let [example] = examples.as_slice() else { panic!("README.md has one example that is marked sh") };
    assert!(example.script.contains("add port"));
    follow(lab, example);
}
