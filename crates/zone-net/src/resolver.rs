//! The nameservers of zones, and what a guest is told of them and of its addresses.
//!
//! They are those that `etc/zones/network.toml` names, else the host's own. A host often asks a nameserver on
//! its own loopback (systemd-resolved, dnsmasq, unbound), which is another loopback than a zone's: then the
//! ones that systemd-resolved asks are taken, and where they are not known that is an error, for nobody finds
//! out why a name does not resolve.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use zone_config::Layout;
use zone_config::file::{self, FileError};

use crate::Interface;
use crate::dhcp::Lease;
use crate::managed::{self, ManagedError, is_nameserver};

/// What every file for a guest begins with, and tells by that it is ours to replace.
pub use zone_config::file::GUEST_MARKER as MARKER;

/// The most that a resolver of C libraries looks at (`MAXNS` of resolv.h).
const MOST_SERVERS: usize = 3;
/// The most words that are taken of a line.
const MOST_WORDS: usize = 32;

/// How zones find names: what resolv.conf(5) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// The nameservers, in the order in which they are asked; at least one.
    pub servers: Vec<IpAddr>,
    /// The domains in which a name without a dot is looked for.
    pub search: Vec<String>,
    /// The options of resolv.conf(5).
    pub options: Vec<String>,
}

/// There are no nameservers to tell a zone.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The host's file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of the managed network could not be read or understood.
    #[error(transparent)]
    Network(#[from] ManagedError),
    /// The host has none, or only such as a zone cannot reach.
    #[error(
        "no nameserver for zones: {} names {}; write a line such as nameservers = [\"192.0.2.53\"] in {}",
        .asked.display(), only(.unreachable), .network.display()
    )]
    None {
        /// The path of the host's resolv.conf.
        asked: PathBuf,
        /// The nameservers in that file, which only the host itself can ask.
        unreachable: Vec<String>,
        /// The path of the file in which others can be named.
        network: PathBuf,
    },
}

fn only(unreachable: &[String]) -> String {
    match unreachable {
        [] => "none".to_owned(),
        some => format!("only {}, which a zone cannot reach", some.join(", ")),
    }
}

/// Takes the nameservers that DHCP servers have told with the addresses of a zone; `None` if they have told none.
pub fn of_leases<'a>(leases: impl Iterator<Item = &'a Lease>) -> Option<Resolver> {
    let mut resolver = Resolver::default();
    for lease in leases {
        resolver.servers.extend(lease.nameservers.iter().copied().map(IpAddr::V4));
        resolver.search.extend(lease.search.iter().cloned());
    }
    (!resolver.servers.is_empty()).then_some(resolver)
}

/// Finds the nameservers for the zones of an installation.
///
/// # Errors
/// [`ResolverError`].
pub fn find(layout: &Layout) -> Result<Resolver, ResolverError> {
    find_on(layout, Path::new("/"))
}

fn find_on(layout: &Layout, host: &Path) -> Result<Resolver, ResolverError> {
    let asked = host.join("etc/resolv.conf");
    let named = managed::nameservers(layout)?;
    if !named.is_empty() {
        // Other nameservers may know nothing of the host's options, but people's names are what they are;
        // without the host's file they are none.
        let search = Host::read(&asked).ok().flatten().unwrap_or_default().resolver.search;
        return Ok(Resolver { servers: named, search, options: Vec::new() });
    }
    let own = Host::read(&asked)?.unwrap_or_default();
    if !own.resolver.servers.is_empty() {
        return Ok(own.resolver);
    }
    if !own.unreachable.is_empty() {
        // What systemd-resolved asks, behind its stub on 127.0.0.53.
        let behind = Host::read(&host.join("run/systemd/resolve/resolv.conf"))?.unwrap_or_default().resolver;
        if !behind.servers.is_empty() {
            return Ok(behind);
        }
    }
    Err(ResolverError::None { asked, unreachable: own.unreachable, network: layout.network() })
}

/// What a resolv.conf(5) of the host says.
#[derive(Default)]
struct Host {
    resolver: Resolver,
    unreachable: Vec<String>,
}

impl Host {
    /// Reads one; a missing one is `None`. It may be a symlink: the host's `/etc` is nobody's but root's.
    fn read(path: &Path) -> Result<Option<Self>, FileError> {
        let bytes = file::read_if_there(path, file::DOCUMENT)?;
        Ok(bytes.map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes))))
    }

    fn parse(text: &str) -> Self {
        let mut host = Self::default();
        let found = &mut host.resolver;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let Some(word) = words.next() else { continue };
                    // With a link's name behind '%' it is one that only this host has.
                    match word.parse() {
                        Ok(address) if is_nameserver(address) => {
                            if !found.servers.contains(&address) {
                                found.servers.push(address);
                            }
                        }
                        _ => {
                            let shown = word.chars().filter(|c| !c.is_control()).take(64);
                            host.unreachable.push(shown.collect());
                        }
                    }
                }
                // The last of them rules, as in the C library.
                Some("search" | "domain") => found.search = plain(words),
                Some("options") => found.options.extend(plain(words)),
                _ => {}
            }
        }
        found.options.truncate(MOST_WORDS);
        found.servers.truncate(MOST_WORDS);
        host.unreachable.truncate(MOST_WORDS);
        host
    }
}

/// The words that can stand in files of other programs without meaning anything else there.
pub(crate) fn plain<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let words = words.filter(|word| word.len() <= 255 && word.chars().all(good));
    words.take(MOST_WORDS).map(str::to_owned).collect()
}

impl Resolver {
    /// Writes a resolv.conf(5), which begins with [`MARKER`].
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        let mut text = MARKER.to_owned();
        for server in self.servers.iter().take(MOST_SERVERS) {
            text += &format!("nameserver {server}\n");
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                text += &format!("{word} {}\n", values.join(" "));
            }
        }
        text
    }

    /// Writes what systemd-resolved reads in a guest as `/run/systemd/resolved.conf.d/zones.conf`.
    #[must_use]
    pub fn resolved_drop_in(&self) -> String {
        format!("{MARKER}[Resolve]\n{}", self.units())
    }

    /// The lines that systemd-resolved and systemd-networkd have in common.
    fn units(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(IpAddr::to_string).collect();
        let mut text = format!("DNS={}\n", servers.join(" "));
        if !self.search.is_empty() {
            text += &format!("Domains={}\n", self.search.join(" "));
        }
        text
    }
}

/// Names the file of systemd-networkd for a link, in a guest's `/run/systemd/network`. A file of the guest's
/// own comes before it if its name sorts lower, as one does that begins with a lower number.
#[must_use]
pub fn networkd_name(link: &str) -> String {
    format!("89-zone-{link}.network")
}

/// Writes what systemd-networkd is told of a net in a guest: what has been configured, so that it finds
/// nothing to change and takes nothing away. What a DHCP server gives comes and goes without it. `None` for a net that is
/// left to the zone.
#[must_use]
pub fn networkd(interface: &Interface, resolver: Option<&Resolver>) -> Option<String> {
    if interface.addresses.is_empty() && !interface.dhcp {
        return None;
    }
    let mut text = format!("{MARKER}[Match]\nName={}\n\n[Network]\n", interface.inside);
    if interface.dhcp {
        text += "DHCP=no\n";
    }
    text += "KeepConfiguration=yes\nLinkLocalAddressing=ipv6\n";
    // Who is given IPv6 addresses is given their router too; others may hear of them on a network of the
    // host's.
    if interface.addresses.iter().any(|net| net.addr().is_ipv6()) {
        text += "IPv6AcceptRA=no\n";
    }
    for address in interface.addresses.iter().filter(|_| !interface.dhcp) {
        text += &format!("Address={address}\n");
    }
    let near = |router: &IpAddr| {
        let on_link = matches!(router, IpAddr::V6(router) if router.is_unicast_link_local());
        on_link || interface.addresses.iter().any(|net| net.contains(router))
    };
    for router in interface.routers.iter().filter(|router| near(router)) {
        text += &format!("Gateway={router}\n");
    }
    if let Some(resolver) = resolver {
        text += &resolver.units();
    }
    for router in interface.routers.iter().filter(|router| !near(router)) {
        text += &format!("\n[Route]\nGateway={router}\nGatewayOnLink=yes\n");
    }
    Some(text)
}

#[cfg(test)]
mod tests;
