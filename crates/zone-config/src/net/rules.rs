//! What of a `net` or `port` goes together, within one resource and within a zone.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{AUTO, Address, DHCP, HostPorts, MOST_NETS, MTU_IPV6};
use crate::config::{IpType, NetMode};
use crate::document::{Document, Instance, Problem, Properties};
use crate::value::Value;

/// Sets what a new `net` is when nothing was said: the first free of eth0, eth1, ... on the managed network.
pub(crate) fn complete(document: &Document, net: &mut Instance) {
    let set = |net: &mut Instance, name, word: String| {
        if let Some(property) = net.resource.property(name) {
            net.values.set(property, Value::Text(word));
        }
    };
    if net.values.get("physical").is_none() {
        let taken = |name: &str| document.of("net").any(|other| other.values.text("physical") == Some(name));
        let free = (0..).map(|number| format!("eth{number}")).find(|name| !taken(name));
        set(net, "physical", free.unwrap_or_default());
        let moves_in = net.values.text("mode") == Some(NetMode::Physical.as_str());
        if net.values.get("global-nic").is_none() && !moves_in {
            set(net, "global-nic", AUTO.to_owned());
        }
    }
}

/// What a net's properties say together.
pub(crate) struct Net<'a> {
    values: &'a Properties,
    lower: Option<&'a str>,
    mode: NetMode,
}

impl<'a> Net<'a> {
    /// Reads them as far as they make sense.
    pub(crate) fn of(values: &'a Properties) -> Self {
        let mode = values.text("mode").and_then(NetMode::of).unwrap_or_default();
        Self { values, lower: values.text("global-nic"), mode }
    }

    fn is_managed(&self) -> bool {
        self.lower == Some(AUTO)
    }

    /// Whether the link of the host itself moves in.
    fn moves_in(&self) -> bool {
        self.mode == NetMode::Physical || (self.mode == NetMode::Auto && self.lower.is_none())
    }

    /// The link of the host that it takes for itself alone.
    pub(crate) fn taken(&self) -> Option<&'a str> {
        self.moves_in().then(|| self.lower.or(self.values.text("physical"))).flatten()
    }

    /// Its own addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.values.list("address").iter().filter_map(|word| word.parse().ok())
    }

    fn asks_dhcp(&self) -> bool {
        self.values.list("address").iter().any(|word| word == DHCP)
    }

    fn has_family(&self, ip: IpAddr) -> bool {
        self.addresses().any(|address| address.ip.is_ipv4() == ip.is_ipv4())
    }
}

/// Two properties of a `net` or `port` that do not go together: the one that is wrong, and why.
pub(crate) fn mismatch(instance: &Instance) -> Option<(&'static str, String)> {
    match instance.resource.name {
        "net" => net(&Net::of(&instance.values)),
        "port" => port(&instance.values),
        _ => None,
    }
}

fn net(net: &Net<'_>) -> Option<(&'static str, String)> {
    let no = |property, reason: &str| Some((property, reason.to_owned()));
    let values = net.values;
    let mode = net.mode.as_str();
    let by_link = matches!(net.mode, NetMode::Macvlan | NetMode::Ipvlan);
    match (net.lower, net.mode) {
        (Some(AUTO), NetMode::Physical) => {
            return no(
                "global-nic",
                "must name the link of the host that moves in for mode physical; without a global-nic, physical names it",
            );
        }
        (None | Some(AUTO), NetMode::Macvlan | NetMode::Ipvlan) => {
            return no("global-nic", &format!("must name an Ethernet link of the host for mode {mode}"));
        }
        (None, NetMode::Bridge | NetMode::Routed) => {
            return no(
                "global-nic",
                &format!("not specified; for mode {mode} allowed: auto, or a link of the host"),
            );
        }
        _ => {}
    }
    if values.get("vlan-id").is_some() && (net.is_managed() || net.moves_in() || net.mode == NetMode::Routed)
    {
        return no("vlan-id", "needs a global-nic that is an Ethernet link or a bridge that filters VLANs");
    }
    if values.get("mac-addr").is_some() && net.mode == NetMode::Ipvlan {
        return no("mac-addr", "does not go with mode ipvlan, which has the address of its link");
    }
    if values.get("maxbw").is_some() && (by_link || net.moves_in()) {
        return no("maxbw", "needs a link of the host to hold it to: allowed with modes bridge and routed");
    }
    protection(net).or_else(|| addresses(net))
}

fn protection(net: &Net<'_>) -> Option<(&'static str, String)> {
    let words = net.values.list("link-protection");
    if words.len() > 1 && words.iter().any(|word| word == "none") {
        return Some(("link-protection", "has none beside other words: it stands alone".to_owned()));
    }
    let isolated = words.iter().any(|word| word == "isolated");
    let bridge = matches!(net.mode, NetMode::Auto | NetMode::Bridge) && net.lower.is_some();
    (isolated && !bridge).then(|| {
        (
            "link-protection",
            "has isolated, which is between ports of a bridge: allowed with mode bridge".to_owned(),
        )
    })
}

fn addresses(net: &Net<'_>) -> Option<(&'static str, String)> {
    let words = net.values.list("address");
    if net.asks_dhcp() {
        if words.len() > 1 {
            return Some(("address", "has dhcp beside addresses".to_owned()));
        }
        if net.is_managed() || net.mode == NetMode::Routed {
            let reason =
                "is dhcp, but no DHCP server is asked there: name a bridge or an Ethernet link by global-nic";
            return Some(("address", reason.to_owned()));
        }
    } else if net.mode == NetMode::Routed && words.is_empty() && !net.is_managed() {
        return Some(("address", "not specified; mode routed needs an address to route".to_owned()));
    }
    let mut seen = Vec::new();
    for address in net.addresses() {
        if seen.contains(&address.ip) {
            return Some(("address", format!("has {} twice", address.ip)));
        }
        seen.push(address.ip);
    }
    let mtu = match net.values.get("mtu") {
        Some(Value::Number(mtu)) => *mtu,
        _ => u64::MAX,
    };
    if mtu < MTU_IPV6 && seen.iter().any(IpAddr::is_ipv6) {
        return Some(("mtu", format!("is {mtu}, and IPv6 needs at least {MTU_IPV6}")));
    }
    let routers = net.values.list("defrouter").iter().filter_map(|word| word.parse::<IpAddr>().ok());
    for router in routers {
        if seen.contains(&router) {
            return Some(("defrouter", format!("has {router}, which is the zone's own address")));
        }
        if !net.is_managed() && !net.asks_dhcp() && !net.has_family(router) {
            return Some(("defrouter", format!("has {router}, and no address of its family is given")));
        }
    }
    None
}

/// Reads which ports of the host a `port` is about.
pub(crate) fn host_ports(port: &Instance) -> Option<HostPorts> {
    port.values.text("host")?.parse().ok()
}

/// Lists the protocols that a `port` is for.
pub(crate) fn protocols(port: &Instance) -> Vec<String> {
    let row = port.resource.property("protocol");
    match row.and_then(|row| port.values.effective(row)) {
        Some(Value::List(words)) => words,
        _ => Vec::new(),
    }
}

fn port(values: &Properties) -> Option<(&'static str, String)> {
    let host: HostPorts = values.text("host")?.parse().ok()?;
    let Some(Value::Number(to)) = values.get("to") else { return None };
    let last = to + u64::from(host.last - host.first);
    (last > u64::from(u16::MAX)).then(|| ("to", format!("is {to}, and the last port would be {last}")))
}

/// What is wrong between the resources of a zone.
pub(crate) fn problems(document: &Document) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |resource: String, property, reason| {
        problems.push(Problem { resource: Some(resource), property, reason });
    };
    let shared = document.globals.text("ip-type") == Some(IpType::Shared.as_str());
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut links: Vec<(bool, String, Option<&str>)> = Vec::new();
    for (position, instance) in document.of("net").enumerate() {
        let net = Net::of(&instance.values);
        if position == MOST_NETS {
            problem(
                instance.named(),
                "physical",
                format!("is one net too many: a zone has at most {MOST_NETS}"),
            );
        }
        let link = net.taken().or(net.lower.filter(|link| *link != AUTO));
        let meets = |(taken, _, named): &&(bool, String, Option<&str>)| {
            *named == link && (*taken || net.taken().is_some())
        };
        if let Some((link, (_, other, _))) = link.zip(links.iter().find(meets)) {
            let reason = format!(
                "is the link {link}, which {other} names too: a link that moves in is one net's alone"
            );
            problem(instance.named(), if net.lower.is_some() { "global-nic" } else { "physical" }, reason);
        }
        links.push((net.taken().is_some(), instance.named(), link));
        let has_no_hook = net.moves_in() || matches!(net.mode, NetMode::Macvlan | NetMode::Ipvlan);
        let asked = instance.values.list("link-protection").iter().any(|word| word != "none");
        if has_no_hook && asked && !shared {
            let reason = "cannot be had there: the zone's root has the link to itself; allowed: none, or ip-type=shared";
            problem(instance.named(), "link-protection", reason.to_owned());
        }
        let addresses = net.addresses().map(|address| ("address", address.ip.to_string()));
        let mac = instance.values.text("mac-addr").map(|mac| ("mac-addr", mac.to_lowercase()));
        for (property, word) in addresses.chain(mac) {
            match owners.get(&word) {
                // Twice in one is said by itself.
                Some(other) if *other == instance.named() => {}
                Some(other) => problem(instance.named(), property, format!("has {word}, as {other} has")),
                None => drop(owners.insert(word, instance.named())),
            }
        }
    }
    let mut ports: Vec<(String, HostPorts, Vec<String>)> = Vec::new();
    for instance in document.of("port") {
        let Some(host) = host_ports(instance) else { continue };
        let words = protocols(instance);
        let meets = |(_, other, others): &&(String, HostPorts, Vec<String>)| {
            other.meets(&host) && others.iter().any(|word| words.contains(word))
        };
        if let Some((other, ..)) = ports.iter().find(meets) {
            problem(instance.named(), "host", format!("has a port that {other} has"));
        }
        if document.of("net").next().is_none() {
            problem(instance.named(), "host", "leads nowhere: the zone has no net".to_owned());
        }
        ports.push((instance.named(), host, words));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn problems_of(toml: &str) -> Vec<String> {
        let text = format!("zonepath = \"/z\"\n{toml}");
        let document = Document::parse(&text, Path::new("f")).unwrap();
        document.verify().iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn refused(toml: &str, because: &str) {
        let problems = problems_of(toml);
        assert!(problems.len() == 1 && problems[0].contains(because), "{toml}: {problems:?}");
    }

    #[test]
    fn what_goes_together_is_taken() {
        for net in [
            "global-nic = \"auto\"",
            "",
            "global-nic = \"br0\"\naddress = [\"192.0.2.5/24\", \"2001:db8::5/64\"]\ndefrouter = [\"192.0.2.1\"]\nvlan-id = 5",
            "global-nic = \"br0\"\naddress = [\"dhcp\"]\nlink-protection = [\"none\"]",
            "global-nic = \"lan0\"\nmode = \"routed\"\naddress = [\"192.0.2.5\"]\nmaxbw = \"10M\"",
            "global-nic = \"lan0\"\nmode = \"macvlan\"\naddress = [\"192.0.2.5/24\"]",
            "global-nic = \"lan0\"\nmode = \"physical\"\naddress = [\"192.0.2.5/24\"]",
        ] {
            assert_eq!(problems_of(&format!("[[net]]\nphysical = \"eth0\"\n{net}")), [""; 0], "{net}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let net = |rest: &str| format!("[[net]]\nphysical = \"eth0\"\n{rest}");
        refused(
            &net("global-nic = \"auto\"\nmode = \"physical\""),
            "must name the link of the host that moves in",
        );
        for other in ["physical = \"lan0\"", "physical = \"b\"\nglobal-nic = \"lan0\"\nmode = \"macvlan\""] {
            let two = format!("{}\n[[net]]\n{other}", net("global-nic = \"lan0\"\nmode = \"physical\""));
            refused(&two, "net eth0 names too");
        }
        refused(&net("mode = \"macvlan\""), "must name an Ethernet link");
        refused(&net("mode = \"routed\""), "allowed: auto, or a link of the host");
        refused(&net("global-nic = \"auto\"\nvlan-id = 3"), "a bridge that filters VLANs");
        refused(
            &net("global-nic = \"l\"\nmode = \"ipvlan\"\nmac-addr = \"2:8:20:1:2:3\""),
            "address of its link",
        );
        refused(&net("maxbw = \"10M\""), "allowed with modes bridge and routed");
        refused(&net("link-protection = [\"ip-nospoof\"]"), "ip-type=shared");
        refused(&net("global-nic = \"auto\"\naddress = [\"dhcp\"]"), "no DHCP server");
        refused(&net("global-nic = \"b\"\naddress = [\"dhcp\", \"192.0.2.1\"]"), "dhcp beside addresses");
        refused(&net("global-nic = \"b\"\naddress = [\"192.0.2.1\", \"192.0.2.1/24\"]"), "twice");
        refused(&net("global-nic = \"b\"\naddress = [\"2001:db8::1\"]\nmtu = 1000"), "at least 1280");
        refused(
            &net("global-nic = \"b\"\naddress = [\"192.0.2.2\"]\ndefrouter = [\"fe80::1\"]"),
            "no address of its family",
        );
        refused(&net("global-nic = \"b\"\nlink-protection = [\"none\", \"isolated\"]"), "none beside");
        let two = "[[net]]\nphysical = \"a\"\nglobal-nic = \"b\"\naddress = [\"192.0.2.2\"]\n[[net]]\nphysical = \"c\"\nglobal-nic = \"b\"\naddress = [\"192.0.2.2/24\"]";
        refused(two, "as net a has");
        let port = |host: &str, to: &str| format!("[[port]]\nhost = \"{host}\"\nto = {to}\n");
        let zone = net("global-nic = \"auto\"");
        refused(&format!("{zone}\n{}", port("10-20", "65530")), "the last port would be 65540");
        refused(&port("80", "80"), "no net");
        refused(
            &format!("{zone}\n{}{}", port("80-90", "80"), port("192.0.2.1:85", "1")),
            "that port 80-90 has",
        );
    }
}
