//! From the words of a configuration to what is asked of the network.

use zone_config::ZoneConfig;
use zone_config::config::{IpType, Net, NetMode, Port};
use zone_config::net::{AUTO, DHCP, HostPorts, allowed, bandwidth};
use zone_net::spec::{Addresses, Lower, Mode, NetSpec, NetworkSpec, PortSpec, Protection, Protocol, Stack};

/// Reads what a configuration asks of the network. Words that are none were refused when they were set, and are nothing
/// here.
pub(crate) fn asked(config: &ZoneConfig) -> NetworkSpec {
    NetworkSpec {
        stack: match config.ip_type {
            IpType::Exclusive => Stack::Exclusive,
            IpType::Shared => Stack::Shared,
        },
        nets: config.net.iter().map(net).collect(),
        ports: config.port.iter().flat_map(ports).collect(),
    }
}

fn net(net: &Net) -> NetSpec {
    let mode = match net.mode {
        NetMode::Auto => None,
        NetMode::Bridge => Some(Mode::Bridge),
        NetMode::Routed => Some(Mode::Routed),
        NetMode::Macvlan => Some(Mode::Macvlan),
        NetMode::Ipvlan => Some(Mode::Ipvlan),
        NetMode::Physical => Some(Mode::Physical),
    };
    let lower = match net.global_nic.as_deref() {
        None => Lower::None,
        Some(AUTO) => Lower::Managed,
        Some(link) => Lower::Link(link.to_owned()),
    };
    let addresses = match net.address.as_slice() {
        [] if lower == Lower::Managed => Addresses::Managed,
        [word] if word == DHCP => Addresses::Dhcp,
        words => Addresses::Given(words.iter().filter_map(|word| word.parse().ok()).collect()),
    };
    NetSpec {
        physical: net.physical.clone(),
        lower,
        mode,
        addresses,
        allowed: net.allowed_address.iter().filter_map(|word| allowed(word)).collect(),
        routers: net.defrouter.iter().filter_map(|word| word.parse().ok()).collect(),
        mac: net.mac_addr.as_ref().and_then(|word| word.parse().ok()),
        mtu: net.mtu.and_then(|mtu| u32::try_from(mtu).ok()),
        vlan: net.vlan_id.and_then(|vlan| u16::try_from(vlan).ok()),
        bandwidth: net.maxbw.as_deref().and_then(bandwidth),
        protection: (!net.link_protection.is_empty()).then(|| protection(&net.link_protection)),
    }
}

fn protection(words: &[String]) -> Protection {
    let has = |word: &str| words.iter().any(|other| other == word);
    Protection {
        mac: has("mac-nospoof"),
        ip: has("ip-nospoof"),
        dhcp: has("dhcp-nospoof"),
        restricted: has("restricted"),
        isolated: has("isolated"),
    }
}

fn ports(port: &Port) -> Vec<PortSpec> {
    let (Ok(host), Ok(to)) = (port.host.parse::<HostPorts>(), u16::try_from(port.to)) else {
        return Vec::new();
    };
    let one = |word: &String| {
        let protocol = match word.as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        Some(PortSpec { protocol, host: host.address, first: host.first, last: host.last, to })
    };
    port.protocol.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn spec(toml: &str) -> NetworkSpec {
        asked(&ZoneConfig::parse(&format!("zonepath = \"/z\"\n{toml}"), Path::new("f")).unwrap())
    }

    #[test]
    fn words_come_to_what_they_say() {
        let spec = spec(
            "ip-type = \"shared\"\n[[net]]\nphysical = \"eth0\"\nglobal-nic = \"auto\"\n\
             [[net]]\nphysical = \"lan\"\nglobal-nic = \"br0\"\naddress = [\"192.0.2.5/24\"]\nmaxbw = \"10M\"\nlink-protection = [\"none\"]\n\
             [[net]]\nphysical = \"wan\"\n[[port]]\nhost = \"192.0.2.1:80-81\"\nto = 8080\nprotocol = [\"tcp\", \"udp\"]\n",
        );
        assert_eq!(spec.stack, Stack::Shared);
        let [auto, lan, wan] = spec.nets.as_slice() else { panic!("{spec:?}") };
        assert_eq!(
            (&auto.lower, &auto.addresses, auto.protection),
            (&Lower::Managed, &Addresses::Managed, None)
        );
        assert_eq!(lan.addresses, Addresses::Given(vec!["192.0.2.5/24".parse().unwrap()]));
        assert_eq!((lan.bandwidth, lan.protection), (Some(10_000_000), Some(Protection::NONE)));
        assert_eq!((&wan.lower, &wan.addresses), (&Lower::None, &Addresses::Given(vec![])));
        let udp = PortSpec {
            protocol: Protocol::Udp,
            host: Some("192.0.2.1".parse().unwrap()),
            first: 80,
            last: 81,
            to: 8080,
        };
        assert_eq!(spec.ports[1], udp);
        assert_eq!(spec.ports.len(), 2);
    }
}
