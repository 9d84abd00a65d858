//! The examples of docs/network.md and of README.md, run as they stand there.

use crate::harness::{Command, Example, Lab, cases, examples, ip, skip};

cases![the_manual: 600, of_the_manual_what_needs_ipvlan, of_the_manual_what_needs_vlan_links, the_first_example: 120];

const MANUAL: &str = include_str!("../../../../docs/network.md");
const README: &str = include_str!("../../../../README.md");

/// Runs an example on a host whose link to its network is the test's own.
#[track_caller]
fn follow(lab: &Lab, example: &Example<'_>) {
    example.run(lab, &[("lan0", "up0")]);
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
