//! Others' rules that stop the zones' packets.
//!
//! What our tables let through, every other table of the same hook may still drop: a chain that forwards and drops by
//! policy (Docker, ufw), or ends with a rejection (firewalld), cuts zones off without a word. Nothing of it is changed here.
//! Each is found and named, with the commands of its own tool that let the packets of a bridge through; what may then
//! come in, the managed network's own table ([`crate::firewall`]) decides as before.
//!
//! A table in which a rule names the bridge is taken for one that somebody has thought about, and not named. Names in sets are
//! not looked at.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use crate::nft::{self, Family, FoundChain, FoundRule};

/// Whose a chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Docker, with the chain DOCKER-USER for others' rules.
    Docker,
    /// Means ufw, whose chains are called `ufw-*`.
    Ufw,
    /// Means firewalld, whose table is called `firewalld`.
    Firewalld,
    /// iptables, through nf_tables; libvirt's rules among them or not.
    Iptables,
    /// iptables with its own, older place in the kernel, which cannot be looked into from here.
    IptablesLegacy,
    /// nftables, written by somebody.
    Nftables,
}

/// A chain that drops what zones send or are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Says which program has made the chain, as far as its names tell.
    pub tool: Tool,
    /// The family of its table.
    pub family: Family,
    /// Names the table that the chain is in.
    pub table: String,
    /// Names the chain, as its table has it.
    pub chain: String,
    /// Whether frames between zones go through it, too: `net.bridge.bridge-nf-call-iptables` or `-ip6tables` is 1.
    pub bridged: bool,
    /// The bridge whose packets are dropped.
    pub bridge: String,
}

impl Finding {
    /// The commands that let the packets of the bridge through. They add to what is there, until the next boot or reload.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let Self { family, table, chain, bridge, .. } = self;
        let iptables = if *family == Family::Ip6 { "ip6tables" } else { "iptables" };
        let both = |program: &str, chain: &str| {
            ["-i", "-o"].map(|way| format!("{program} -I {chain} {way} {bridge} -j ACCEPT")).into()
        };
        match self.tool {
            Tool::Docker => both(iptables, "DOCKER-USER"),
            Tool::Ufw => ["in", "out"].map(|way| format!("ufw route allow {way} on {bridge}")).into(),
            Tool::Firewalld => vec![format!("firewall-cmd --zone=trusted --add-interface={bridge}")],
            Tool::Iptables => both(iptables, chain),
            Tool::IptablesLegacy => both(&format!("{iptables}-legacy"), chain),
            Tool::Nftables if *family == Family::Bridge => {
                vec![format!("nft insert rule bridge {table} {chain} meta ibrname {bridge} accept")]
            }
            Tool::Nftables => ["iifname", "oifname"]
                .map(|way| format!("nft insert rule {family} {table} {chain} {way} {bridge} accept"))
                .into(),
        }
    }
}

impl fmt::Display for Finding {
    /// One sentence for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, family, table, chain, bridge, .. } = self;
        let whose = match tool {
            Tool::Docker => "Docker's ",
            Tool::Ufw => "ufw's ",
            Tool::Firewalld => "firewalld's ",
            Tool::Iptables => "iptables' ",
            Tool::IptablesLegacy => "iptables-legacy's ",
            Tool::Nftables => "",
        };
        let does = match tool {
            Tool::IptablesLegacy => "may drop",
            _ => "drops",
        };
        let which = match (family, self.bridged) {
            (Family::Bridge, _) => "between zones of",
            (_, true) => "to, from and between zones of",
            (_, false) => "to and from zones of",
        };
        write!(f, "{whose}chain {chain} of table {family} {table} {does} packets {which} {bridge}; ")?;
        write!(f, "'{}' lets them through", self.commands().join(" && "))
    }
}

/// Lists what stops the packets of a bridge, in the caller's network namespace.
///
/// # Errors
/// That rules cannot be listed.
pub fn look(bridge: &str) -> Result<Vec<Finding>, nft::Error> {
    // Not those of netdev, of which each zone has dozens: none of them forwards.
    let families = [Family::Ip, Family::Ip6, Family::Inet, Family::Bridge].map(nft::chains);
    let chains = families.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let switched = |family: &str| {
        std::fs::read_to_string(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"))
            .is_ok_and(|value| value.trim() == "1")
    };
    let bridged = Bridged { four: switched("iptables"), six: switched("ip6tables") };
    // Rules may be many: they are read only where there is something to say about them.
    let stopping = chains.iter().filter(|chain| stops(chain));
    let tables: BTreeSet<_> = stopping.map(|chain| (chain.family, chain.table.as_str())).collect();
    let rules = tables.into_iter().map(|(family, table)| nft::rules(family, table));
    let rules = rules.collect::<Result<Vec<_>, _>>()?.concat();
    let mut findings = find(&chains, &rules, bridged, bridge);
    for (family, file) in [(Family::Ip, "ip_tables_names"), (Family::Ip6, "ip6_tables_names")] {
        let names =
            std::fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).unwrap_or_default();
        if names.lines().any(|name| name == "filter") {
            findings.push(Finding {
                tool: Tool::IptablesLegacy,
                family,
                table: "filter".to_owned(),
                chain: "FORWARD".to_owned(),
                bridged: bridged.of(family),
                bridge: bridge.to_owned(),
            });
        }
    }
    Ok(findings)
}

/// Whether frames of bridges go through the rules for IP.
#[derive(Clone, Copy, Debug)]
struct Bridged {
    four: bool,
    six: bool,
}

impl Bridged {
    fn of(self, family: Family) -> bool {
        match family {
            Family::Ip => self.four,
            Family::Ip6 => self.six,
            Family::Inet => self.four || self.six,
            _ => false,
        }
    }
}

/// Tells whether a chain drops what it has no rule for.
fn stops(chain: &FoundChain) -> bool {
    chain.forwards() && (chain.drops || is_firewalld(chain))
}

/// firewalld's chain accepts by policy, and rejects by its last rule.
fn is_firewalld(chain: &FoundChain) -> bool {
    chain.table == "firewalld" && chain.name == "filter_FORWARD"
}

fn find(chains: &[FoundChain], rules: &[FoundRule], bridged: Bridged, bridge: &str) -> Vec<Finding> {
    let of_table = |chain: &FoundChain| (chain.family, chain.table.clone());
    let stopping = chains.iter().filter(|chain| stops(chain)).filter(|chain| {
        let table = of_table(chain);
        !rules.iter().any(|rule| (rule.family, rule.table.clone()) == table && rule.names(bridge))
    });
    let finding = |chain: &FoundChain| {
        let table = of_table(chain);
        let siblings: Vec<&str> =
            chains.iter().filter(|other| of_table(other) == table).map(|other| &*other.name).collect();
        Finding {
            tool: tool(chain, &siblings),
            family: chain.family,
            table: chain.table.clone(),
            chain: chain.name.clone(),
            bridged: bridged.of(chain.family),
            bridge: bridge.to_owned(),
        }
    };
    stopping.map(finding).collect()
}

/// Tells whose a chain is, by the chains beside it.
fn tool(chain: &FoundChain, siblings: &[&str]) -> Tool {
    let iptables = matches!(chain.family, Family::Ip | Family::Ip6)
        && chain.table == "filter"
        && chain.name == "FORWARD";
    if is_firewalld(chain) {
        Tool::Firewalld
    } else if !iptables {
        Tool::Nftables
    } else if siblings.contains(&"DOCKER-USER") {
        Tool::Docker
    } else if siblings.iter().any(|name| name.starts_with("ufw-") || name.starts_with("ufw6-")) {
        Tool::Ufw
    } else {
        Tool::Iptables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Netns;

    fn sentences(netns: &Netns) -> Vec<String> {
        netns.run(|| look("zones0").unwrap()).iter().map(ToString::to_string).collect()
    }

    /// The tables that a tool leaves, as far as they are looked at.
    fn forward(netns: &Netns, table: &str, chain: &str, policy: &str) {
        netns.sh(&format!("nft add table {table}"));
        let hook = format!("{{ type filter hook forward priority 0 ; policy {policy} ; }}");
        netns.sh(&format!("nft add chain {table} {chain} {hook}"));
    }

    #[test]
    fn a_host_without_firewall_has_nothing_to_say() {
        zone_testing::needs_root!();
        let netns = Netns::new();
        assert_eq!(sentences(&netns), [""; 0]);
        forward(&netns, "inet filter", "forward", "accept");
        assert_eq!(sentences(&netns), [""; 0]);
    }

    #[test]
    fn each_tool_is_named_with_its_own_command() {
        zone_testing::needs_root!();
        let netns = Netns::new();
        forward(&netns, "ip filter", "FORWARD", "drop");
        assert_eq!(
            sentences(&netns),
            ["iptables' chain FORWARD of table ip filter drops packets to and from zones of zones0; \
              'iptables -I FORWARD -i zones0 -j ACCEPT && iptables -I FORWARD -o zones0 -j ACCEPT' lets them through"]
        );
        netns.sh("nft add chain ip filter ufw-user-forward");
        assert!(sentences(&netns)[0].contains(
            "ufw's chain FORWARD of table ip filter drops packets to and from zones of zones0; \
             'ufw route allow in on zones0 && ufw route allow out on zones0'"
        ));
        netns.sh("nft add chain ip filter DOCKER-USER");
        assert!(sentences(&netns)[0].contains("'iptables -I DOCKER-USER -i zones0 -j ACCEPT && "));
        forward(&netns, "ip6 filter", "FORWARD", "drop");
        assert!(sentences(&netns)[1].contains("'ip6tables -I FORWARD -i zones0 -j ACCEPT && "));
        forward(&netns, "inet firewalld", "filter_FORWARD", "accept");
        assert!(sentences(&netns)[2].contains("'firewall-cmd --zone=trusted --add-interface=zones0' lets"));
        forward(&netns, "inet mine", "through", "drop");
        assert!(sentences(&netns)[3].ends_with(
            "'nft insert rule inet mine through iifname zones0 accept && \
             nft insert rule inet mine through oifname zones0 accept' lets them through"
        ));
        forward(&netns, "bridge frames", "forward", "drop");
        assert!(
            sentences(&netns)[4].contains("drops packets between zones of zones0; 'nft insert rule bridge")
        );
        assert_eq!(sentences(&netns).len(), 5);
    }

    #[test]
    fn what_the_administrator_has_told_is_not_said_again() {
        zone_testing::needs_root!();
        let netns = Netns::new();
        forward(&netns, "inet mine", "through", "drop");
        forward(&netns, "ip filter", "FORWARD", "drop");
        let findings = netns.run(|| look("zones0").unwrap());
        let ours = findings.iter().find(|finding| finding.tool == Tool::Nftables).unwrap();
        for command in ours.commands() {
            netns.sh(&command);
        }
        let left = netns.run(|| look("zones0").unwrap());
        assert_eq!(left.iter().map(|finding| finding.tool).collect::<Vec<_>>(), [Tool::Iptables]);
        assert_eq!(netns.run(|| look("zones1").unwrap()).len(), 2, "another bridge");
    }

    #[test]
    fn frames_between_zones_are_told_of_where_they_are_seen() {
        zone_testing::needs_root!();
        let netns = Netns::new();
        forward(&netns, "ip filter", "FORWARD", "drop");
        let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        if netns.run(|| std::fs::write(switch, "1")).is_err() {
            return zone_testing::skip(concat!(file!(), ":", line!()), "needs br_netfilter");
        }
        assert!(sentences(&netns)[0].contains("packets to, from and between zones of zones0"));
    }
}
