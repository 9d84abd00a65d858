//! The file of the managed network, `etc/zones/network.toml`.

use std::net::IpAddr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;
use zone_config::file;
use zone_config::{Layout, hash};

use super::{ManagedError, Network, Range, bridge_of};
use crate::Mac;

/// The file as it stands there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    bridge: Option<String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    nameservers: Option<Vec<String>>,
    mtu: Option<i64>,
}

/// The smallest MTU that IPv6 allows, and the largest that a bridge has.
const MTU: std::ops::RangeInclusive<i64> = 1280..=65_535;

/// Reads the file; a missing one is `None`. It may name no range, as somebody writes it who wants to say
/// something else of a network that is still to be chosen.
pub(super) fn load(layout: &Layout) -> Result<Option<Network>, ManagedError> {
    let path = layout.network();
    let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
    // A byte that is not UTF-8 becomes one that no value allows, and is reported where it stands.
    let text = String::from_utf8_lossy(&bytes);
    let document = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let what = error.message().replace('\n', ", ");
        ManagedError::Parse { path: path.clone(), line: before.matches('\n').count() + 1, what }
    })?;
    understand(layout, &path, document).map(Some)
}

/// Writes the file for these ranges. What people have written there before stays.
pub(super) fn write(layout: &Layout, ipv4: Ipv4Net, ipv6: Ipv6Net) -> Result<(), ManagedError> {
    let path = layout.network();
    let ranges = format!("ipv4 = \"{ipv4}\"\nipv6 = \"{ipv6}\"\n");
    let text = match file::read_if_there(&path, file::DOCUMENT)? {
        Some(there) => {
            let mut text = String::from_utf8_lossy(&there).into_owned();
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text + "# Chosen when the first zone needed it:\n" + &ranges
        }
        None => new_text(layout, &ranges),
    };
    file::make_dir_to_stay(&layout.etc(), 0o755)?;
    Ok(file::replace(&path, text.as_bytes(), 0o644)?)
}

fn new_text(layout: &Layout, ranges: &str) -> String {
    format!(
        "# The managed network of zones, which a zone has that names no other (global-nic=auto).\n\
         # Chosen when the first zone needed it. Edit it while no zone uses it; a zone gets\n\
         # an address of another range when it boots next.\n\
         \n\
         {ranges}\
         \n\
         # The bridge, its MTU in bytes, and the nameservers of zones (else those of the host):\n\
         #bridge = \"{}\"\n\
         #mtu = 1500\n\
         #nameservers = [\"192.0.2.53\", \"2001:db8::53\"]\n",
        bridge_of(layout)
    )
}

fn understand(layout: &Layout, path: &Path, document: Document) -> Result<Network, ManagedError> {
    let Document { bridge, ipv4, ipv6, nameservers, mtu } = document;
    let bad = |key, value: &str, reason| ManagedError::Value {
        path: path.to_owned(),
        key,
        value: value.to_owned(),
        reason,
    };
    let range = |key, value: Option<String>, read: fn(&str) -> Result<IpNet, &'static str>| {
        value.map(|value| read(&value).map(Range::new).map_err(|reason| bad(key, &value, reason))).transpose()
    };
    let ipv4 = range("ipv4", ipv4, read_ipv4)?;
    let ipv6 = range("ipv6", ipv6, read_ipv6)?;
    let bridge = match bridge {
        Some(name) if !is_bridge_name(&name) => {
            return Err(bad(
                "bridge",
                &name,
                "a link has 1 to 15 bytes without blanks, '/', ':' and '%', and is not called all, auto or default",
            ));
        }
        Some(name) => name,
        None => bridge_of(layout),
    };
    let mtu = match mtu {
        Some(mtu) if !MTU.contains(&mtu) => {
            return Err(bad("mtu", &mtu.to_string(), "an MTU is 1280 to 65535 bytes"));
        }
        mtu => mtu.and_then(|mtu| u32::try_from(mtu).ok()),
    };
    let nameservers = nameservers.unwrap_or_default().into_iter().map(|text| {
        let address: Option<IpAddr> = text.parse().ok();
        address
            .filter(|address| is_nameserver(*address))
            .ok_or_else(|| bad("nameservers", &text, "a nameserver is an IP address that zones can reach"))
    });
    let nameservers = nameservers.collect::<Result<_, _>>()?;
    let mac = Mac::local(hash::fnv1a(format!("{} bridge {bridge}", layout.id()).as_bytes()));
    Ok(Network { bridge, mac, ipv4, ipv6, mtu, nameservers, file: path.to_owned() })
}

fn read_ipv4(text: &str) -> Result<IpNet, &'static str> {
    const SHAPE: &str = "the range is ADDRESS/LENGTH, as 10.160.0.0/20 is, of 8 to 30 bits";
    let net: Ipv4Net = text.parse().map_err(|_| SHAPE)?;
    if !(8..=30).contains(&net.prefix_len()) {
        return Err(SHAPE);
    }
    if net != net.trunc() {
        return Err("the address must be the first of the range: its bits behind the length are 0");
    }
    let first = net.addr();
    if first.octets()[0] == 0 || first.is_loopback() || first.is_link_local() || first.octets()[0] >= 224 {
        return Err("these addresses are none of stations: take private ones (10/8, 172.16/12, 192.168/16)");
    }
    Ok(IpNet::V4(net))
}

fn read_ipv6(text: &str) -> Result<IpNet, &'static str> {
    const SHAPE: &str = "the range is ADDRESS/LENGTH, as fd12:3456:789a::/64 is, of 16 to 126 bits";
    let net: Ipv6Net = text.parse().map_err(|_| SHAPE)?;
    if !(16..=126).contains(&net.prefix_len()) {
        return Err(SHAPE);
    }
    if net != net.trunc() {
        return Err("the address must be the first of the range: its bits behind the length are 0");
    }
    let first = net.addr();
    let routed = first.is_unique_local() || first.segments()[0] & 0xe000 == 0x2000;
    if !routed {
        return Err("these addresses are none that are routed: take unique local ones (fd00::/8)");
    }
    Ok(IpNet::V6(net))
}

/// Whether a zone could reach a nameserver there: not on the host's loopback, nor on one link of the host's.
pub(crate) fn is_nameserver(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let odd = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    let on_link = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    !odd && !on_link
}

/// Whether a bridge may be called so: `all` and `default` are other things where the kernel's settings of
/// links are.
fn is_bridge_name(name: &str) -> bool {
    zone_config::net::is_link_name(name) && !matches!(name, "all" | "default" | "auto")
}
