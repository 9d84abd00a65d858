//! What the host must have switched on, so that packets of zones go through it.
//!
//! Only what is off is switched on, and nothing is ever switched off again: whoever else has come to rely on
//! it meanwhile (a VPN, another manager of guests) does not tell. Whoever wants it off says so with sysctl(8)
//! when no zone needs it.

use std::collections::BTreeSet;

use rustix::io::Errno;

use crate::rt::sysctl::{self, Setting};
use crate::rt::{self, Socket};

pub use crate::rt::sysctl::Family;

/// The host could not be made to forward.
#[derive(Debug, thiserror::Error)]
pub enum ForwardingError {
    /// The links of the host cannot be listed.
    #[error(transparent)]
    Links(#[from] rt::Error),
    /// A setting cannot be read.
    #[error(transparent)]
    Read(#[from] sysctl::Error),
    /// A setting cannot be written.
    #[error(
        "cannot set {name} to {value}; where that can be written, say 'sysctl -w {name}={value}', and try again"
    )]
    Set {
        /// The setting, as sysctl(8) spells it.
        name: String,
        /// The value that it must have.
        value: &'static str,
        /// What the kernel answered.
        #[source]
        source: sysctl::Error,
    },
}

/// What the kernel forwards IPv4 by; `net.ipv4.ip_forward` is the same.
const IPV4: (&str, Setting<'_>) =
    ("net.ipv4.ip_forward", Setting { family: Family::V4, link: "all", name: "forwarding" });
const IPV6: (&str, Setting<'_>) =
    ("net.ipv6.conf.all.forwarding", Setting { family: Family::V6, link: "all", name: "forwarding" });

/// Switches forwarding on for these families in the caller's network namespace; one that the kernel does not
/// have is passed over. Before IPv6 is forwarded, every link that takes router advertisements is told to go
/// on taking them (`accept_ra` 2): a host that forwards is deaf to them otherwise, and would lose its own
/// addresses and routes. The answer has a sentence for everything that was changed, for people.
///
/// Links that come later take no router advertisements as long as IPv6 is forwarded, unless whoever
/// configures them says so.
///
/// # Errors
/// [`ForwardingError`]; what was switched on before it stays on.
pub fn ensure(families: &[Family]) -> Result<Vec<String>, ForwardingError> {
    let mut told = Vec::new();
    if families.contains(&Family::V4) {
        switch_on(IPV4, "IPv4", &mut told)?;
    }
    if families.contains(&Family::V6) && is(IPV6.1, "0")? {
        keep_advertisements(&mut told)?;
        switch_on(IPV6, "IPv6", &mut told)?;
    }
    Ok(told)
}

/// Sets what the bridge of the managed network must have. `route_localnet` lets what comes to a published
/// port on the host's loopback go on to a zone; it is set on this link alone, and packets from zones to 127/8
/// must be dropped by a rule. The bridge takes no router advertisements from zones and answers for nobody
/// else's addresses. Its own addresses are not looked for on the link before they are used: without a zone
/// there is nobody to answer, and they would wait for that. With IPv6 among the families the bridge has it,
/// though links of this host might begin without.
///
/// # Errors
/// [`ForwardingError`].
pub fn settle_bridge(bridge: &str, families: &[Family]) -> Result<(), ForwardingError> {
    for (setting, value) in [
        (Setting::v4(bridge, "route_localnet"), "1"),
        (Setting::v4(bridge, "proxy_arp"), "0"),
        (Setting::v6(bridge, "accept_ra"), "0"),
        (Setting::v6(bridge, "accept_dad"), "0"),
        (Setting::v6(bridge, "proxy_ndp"), "0"),
    ] {
        set(&name(setting), setting, value)?;
    }
    if families.contains(&Family::V6) {
        let setting = Setting::v6(bridge, "disable_ipv6");
        set(&name(setting), setting, "0")?;
    }
    Ok(())
}

/// Tells which families the host has: one whose kernel has no IPv6, or on which it is switched off for all
/// links, is no error.
///
/// # Errors
/// When a setting cannot be read.
pub fn families() -> Result<Vec<Family>, ForwardingError> {
    let mut families = Vec::new();
    for (_, setting) in [IPV4, IPV6] {
        let off = setting.family == Family::V6 && is(Setting::v6("all", "disable_ipv6"), "1")?;
        if get(setting)?.is_some() && !off {
            families.push(setting.family);
        }
    }
    Ok(families)
}

fn switch_on(
    (name, setting): (&str, Setting<'_>),
    family: &str,
    told: &mut Vec<String>,
) -> Result<(), ForwardingError> {
    if set(name, setting, "1")? {
        told.push(format!(
            "{name} was off and is on now, for zones to reach other networks: this host forwards {family} until somebody switches it off"
        ));
    }
    Ok(())
}

fn keep_advertisements(told: &mut Vec<String>) -> Result<(), ForwardingError> {
    let links = Socket::here()?.links()?.into_iter().filter(|link| !link.loopback);
    let names: BTreeSet<String> = links.map(|link| link.name).collect();
    for link in &names {
        // One that forwards by itself is deaf by somebody's will; one without IPv6 hears nothing.
        let hears = is(Setting::v6(link, "accept_ra"), "1")?
            && is(Setting::v6(link, "forwarding"), "0")?
            && is(Setting::v6(link, "disable_ipv6"), "0")?;
        let setting = Setting::v6(link, "accept_ra");
        if hears && set(&name(setting), setting, "2")? {
            told.push(format!(
                "{} was 1 and is 2 now, so that {link} goes on taking router advertisements while this host forwards IPv6",
                name(setting)
            ));
        }
    }
    Ok(())
}

fn is(setting: Setting<'_>, value: &str) -> Result<bool, ForwardingError> {
    Ok(get(setting)?.is_some_and(|is| is == value))
}

/// Reads a setting; one that the kernel, or a link that has gone, does not have is `None`.
fn get(setting: Setting<'_>) -> Result<Option<String>, ForwardingError> {
    match setting.get() {
        Err(error) if error.errno() == Errno::NOENT => Ok(None),
        value => Ok(value.map(Some)?),
    }
}

/// Makes a setting have a value; the answer is whether it had another. One that the kernel does not have need
/// not be changed.
fn set(name: &str, setting: Setting<'_>, value: &'static str) -> Result<bool, ForwardingError> {
    if get(setting)?.is_none_or(|is| is == value) {
        return Ok(false);
    }
    match setting.set(value) {
        Err(error) if error.errno() == Errno::NOENT => Ok(false),
        Err(source) => Err(ForwardingError::Set { name: name.to_owned(), value, source }),
        Ok(()) => Ok(true),
    }
}

/// The name of a setting as sysctl(8) spells it, where a dot that is in a link's name is a slash.
fn name(setting: Setting<'_>) -> String {
    let family = match setting.family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    format!("net.{family}.conf.{}.{}", setting.link.replace('.', "/"), setting.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::bridge::{self, Bridge};
    use crate::testing::alone;

    /// Runs in a network namespace of its own, with a link d0.
    fn with_link(test: impl FnOnce() + Send) {
        alone(|| {
            let link = Bridge {
                name: "d0",
                mac: crate::testing::mac("02:00:00:00:00:01"),
                mtu: None,
                filters_vlans: false,
            };
            Socket::here().unwrap().run([bridge::create(&link)]).unwrap();
            test();
        });
    }

    const ACCEPT: Setting<'_> = Setting { family: Family::V6, link: "d0", name: "accept_ra" };

    fn assert_is(setting: Setting<'_>, value: &str) {
        assert_eq!(setting.get().unwrap(), value, "{setting}");
    }

    #[test]
    fn only_what_is_off_is_switched_on_and_it_is_told() {
        zone_testing::needs_root!();
        with_link(|| {
            [(IPV4.1, "0"), (IPV6.1, "0"), (ACCEPT, "1")]
                .iter()
                .for_each(|(setting, value)| setting.set(value).unwrap());
            let told = ensure(&[Family::V4]).unwrap();
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("net.ipv4.ip_forward was off and is on now"), "{told:?}");
            assert_is(IPV6.1, "0");
            let told = ensure(&families().unwrap()).unwrap();
            assert_eq!(told.len(), 2, "{told:?}");
            assert!(told[0].starts_with("net.ipv6.conf.d0.accept_ra was 1 and is 2 now"), "{told:?}");
            assert!(told[1].starts_with("net.ipv6.conf.all.forwarding was off and is on now"), "{told:?}");
            assert_eq!(ensure(&families().unwrap()).unwrap(), Vec::<String>::new());
            [(IPV4.1, "1"), (IPV6.1, "1"), (ACCEPT, "2")]
                .iter()
                .for_each(|(setting, value)| assert_is(*setting, value));
            assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "1\n");
        });
    }

    #[test]
    fn a_link_that_takes_no_advertisements_takes_none_afterwards() {
        zone_testing::needs_root!();
        for (name, value, left) in [
            ("accept_ra", "0", "0"),
            ("accept_ra", "2", "2"),
            ("forwarding", "1", "1"),
            ("disable_ipv6", "1", "1"),
        ] {
            with_link(|| {
                ACCEPT.set("1").unwrap();
                IPV6.1.set("0").unwrap();
                Setting::v6("d0", name).set(value).unwrap();
                let told = ensure(&[Family::V6]).unwrap();
                assert_eq!(told.len(), 1, "{told:?}");
                assert_is(ACCEPT, left);
            });
        }
    }

    #[test]
    fn a_bridge_has_what_published_ports_need_and_no_other_link() {
        zone_testing::needs_root!();
        with_link(|| {
            Setting::v4("d0", "proxy_arp").set("1").unwrap();
            settle_bridge("d0", &[Family::V4]).unwrap();
            settle_bridge("d0", &[Family::V4]).unwrap();
            assert_is(Setting::v4("d0", "route_localnet"), "1");
            assert_is(Setting::v4("all", "route_localnet"), "0");
            assert_is(Setting::v4("d0", "proxy_arp"), "0");
            assert_is(ACCEPT, "0");
            assert_is(Setting::v6("d0", "accept_dad"), "0");
            Setting::v6("d0", "disable_ipv6").set("1").unwrap();
            settle_bridge("d0", &[Family::V4]).unwrap();
            assert_is(Setting::v6("d0", "disable_ipv6"), "1");
            settle_bridge("d0", &[Family::V6]).unwrap();
            assert_is(Setting::v6("d0", "disable_ipv6"), "0");
            assert_eq!(families().unwrap(), [Family::V4, Family::V6]);
            Setting::v6("all", "disable_ipv6").set("1").unwrap();
            assert_eq!(families().unwrap(), [Family::V4]);
            settle_bridge("gone", &[Family::V6]).unwrap();
        });
    }

    #[test]
    fn a_setting_is_spelt_as_sysctl_does() {
        assert_eq!(name(Setting::v6("eth0.100", "accept_ra")), "net.ipv6.conf.eth0/100.accept_ra");
        let source = Setting::v4("a/b", "forwarding").set("1").unwrap_err();
        let refused = ForwardingError::Set { name: IPV4.0.to_owned(), value: "1", source };
        assert_eq!(
            refused.to_string(),
            "cannot set net.ipv4.ip_forward to 1; where that can be written, say 'sysctl -w net.ipv4.ip_forward=1', and try again"
        );
    }
}
