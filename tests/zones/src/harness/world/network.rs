//! What the network of a test has, by the words of ip(8), nft(8) and proc(5).

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What each thing of the network begins with.
const NETWORK: &str = "network: ";
/// Where the settings are.
const SETTINGS: &str = "/proc/sys/net";

/// What is asked of ip(8) at once, a line each; its answers are in this order. Rules are those of IPv4.
const ASKED: &str = "address show\nroute show table all\nneighbour show proxy\nrule show\n";

/// Adds links, addresses, routes, rules, proxy entries, tables of nftables and settings to what is seen.
///
/// This is looked at thousands of times in a run, so few programs are started for it.
pub(super) fn look(seen: &mut BTreeSet<String>) {
    let mut add = |thing: String| seen.insert(format!("{NETWORK}{thing}"));
    let all = answers(&["-json", "-details", "-batch", "-"], ASKED);
    assert!(all.len() == ASKED.lines().count(), "ip(8) must answer: {all:?}");
    let rules = answers(&["-6", "-json", "rule", "show"], "");
    let kinds = ["link", "route", "proxy", "rule of IPv4"].into_iter().zip(all);
    for (kind, thing) in kinds.chain(rules.into_iter().map(|rule| ("rule of IPv6", rule))) {
        for thing in thing.as_array().into_iter().flatten() {
            match kind {
                "link" => {
                    add(link(thing));
                    for address in thing["addr_info"].as_array().into_iter().flatten() {
                        let (local, length) = (text(&address["local"]), &address["prefixlen"]);
                        add(format!("address {local}/{length} of {}", text(&thing["ifname"])));
                    }
                }
                "route" if is_the_kernels(thing) => {}
                _ => {
                    add(format!("{kind} {}", lasting(thing)));
                }
            }
        }
    }
    for line in output(Command::new("nft").args(["list", "tables"]), "").lines() {
        add(format!("nft {line}"));
    }
    settings(Path::new(SETTINGS), &mut |path, value| {
        add(format!("setting {path} = {value}"));
    });
}

/// What ip(8) answers, each to one question.
fn answers(arguments: &[&str], input: &str) -> Vec<Value> {
    let said = output(Command::new("ip").args(arguments), input);
    serde_json::Deserializer::from_str(&said).into_iter().map_while(Result::ok).collect()
}

/// Whether it is told, too, that a thing was there before and is not any more: all of the network but the value that a
/// setting had, whose new one is told.
pub(super) fn counts_when_gone(thing: &str) -> bool {
    thing.strip_prefix(NETWORK).is_some_and(|thing| !thing.starts_with("setting "))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn link(link: &Value) -> String {
    let has = |flag: &str| link["flags"].as_array().is_some_and(|flags| flags.iter().any(|one| one == flag));
    let names: Vec<&str> = link["altnames"].as_array().into_iter().flatten().map(text).collect();
    format!(
        "link {} {names:?}, {}, {}, mtu {}, of {}, {}",
        text(&link["ifname"]),
        text(&link["linkinfo"]["info_kind"]),
        text(&link["address"]),
        link["mtu"],
        text(&link["master"]),
        if has("UP") { "up" } else { "down" },
    )
}

/// Whether a route comes and goes by itself: those of a router, which a host is from its first zone on, and of link-local
/// addresses, which a link has once nobody else was found to have them.
fn is_the_kernels(route: &Value) -> bool {
    let is_local = |key: &str| text(&route[key]).starts_with("fe80:");
    matches!(text(&route["type"]), "anycast" | "multicast")
        || ["dst", "gateway", "prefsrc"].into_iter().any(is_local)
}

/// A thing as ip(8) tells it, without what changes by itself: for how long it stays, and whether its link has a carrier.
fn lasting(thing: &Value) -> String {
    let mut thing = thing.clone();
    if let Some(told) = thing.as_object_mut() {
        told.remove("expires");
        if let Some(flags) = told.get_mut("flags").and_then(Value::as_array_mut) {
            flags.retain(|flag| flag != "linkdown" && flag != "dead");
        }
    }
    thing.to_string()
}

fn output(command: &mut Command, input: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return String::new() };
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input.as_bytes());
    }
    child
        .wait_with_output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// The settings of IPv4 and IPv6, but for those that stay changed: docs/decisions.md says which and why.
fn settings(dir: &Path, add: &mut dyn FnMut(String, &str)) {
    for family in ["ipv4", "ipv6"] {
        for group in ["", "conf/all", "conf/default", "conf/lo", "neigh/default"] {
            for entry in fs::read_dir(dir.join(family).join(group)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                // Each switches all that is called so on in all links; the first one other things as well.
                let stays = matches!(&*name, "ip_forward" | "forwarding" | "mc_forwarding")
                    || (family, group, &*name) == ("ipv4", "conf/all", "accept_redirects")
                    || (family, group, &*name) == ("ipv6", "conf/lo", "accept_ra");
                if let Ok(value) = fs::read_to_string(entry.path())
                    && !stays
                {
                    add(format!("{family}/{group}/{name}"), value.trim());
                }
            }
        }
    }
}
