//! What is kept from leaving a zone: its link protection, and its bandwidth from the zone.
//!
//! Each link of a zone on the host has a chain at its `netdev` ingress hook, where the host first sees a frame of the
//! zone, before a bridge, a route or conntrack has. The words of [`Protection`] are chains of
//! their own, called one after the other. None of them accepts: each drops, or leaves the frame to the next. So their
//! order decides nothing but who counts a frame that several would drop (rule order is what CVE-2025-52889 and -52890
//! were about). A chain tells what may pass and ends with a drop, so that what it cannot read (cut off, malformed,
//! hidden) does not pass.
//!
//! What each word keeps back, where the word alone leaves it open:
//!
//! - `mac`: frames with another source; ARP with another sender's Ethernet address; neighbour and router solicitations
//!   and neighbour advertisements whose link-layer option names another one, or that have more options than one, since
//!   only the first can be looked at.
//! - `ip`: sources other than the net's, the allowed ones and the link-local address that follows from the Ethernet
//!   address; the same for who sends ARP and for what is advertised as a neighbour. The unspecified addresses pass for
//!   what an address begins with: ARP probes, duplicate address detection, multicast listener reports, and with `dhcp`
//!   of the interface what a DHCP client asks.
//! - `dhcp`: UDP from a DHCP server's port or to a client's (clients do not look at the server's port), router
//!   advertisements and redirects, of both families.
//! - `restricted`: what is not IPv4, IPv6 or ARP; the kernel puts the tag of a VLAN back for this comparison, so a frame
//!   with a tag is none of the three, whatever is in it.
//!
//! Without `restricted`, a frame with one tag is checked as the one without would be. In a frame with two nothing can be
//! read, so `mac`, `ip` and `dhcp` drop it.
//!
//! **Extension headers and fragments.** The transport protocol is looked for behind the extension headers of IPv6. Where
//! it cannot be found, or in a first fragment its ports or type are not there, `mac`, `ip` (IPv6) and `dhcp` drop the
//! packet. Fragments but the first pass: what they belong to is decided by the first, and Linux drops those that overlap
//! it. Neighbour discovery in fragments is dropped, as RFC 6980 has it.
//!
//! **Addresses from a DHCP server** are learned, for a net on a bridge with `dhcp`: when a server grants one to the net's
//! Ethernet address, it is good from then on, beside the allowed ones, until the zone's rules are removed. That is seen where
//! frames leave the bridge, and so `ip` looks at IPv4 and ARP of such a net on the bridge as well. Whoever can send
//! answers of a DHCP server into the bridge, can let the zone have an address: zones cannot (`dhcp`). Addresses of IPv6 that
//! come from router advertisements are not learned; their prefix has to be allowed.
//!
//! **The bandwidth** comes after all of it, so that what is dropped costs nothing. It is an average: the kernel lets a second's
//! worth go at once.
//!
//! **A second look.** A zone's root may put an `ifb` device and a tc filter into its network; a frame that comes back
//! from there is marked as classified, keeps that over the veth pair, and the kernel skips the ingress hook for it. So the
//! ingress chain marks the frames that it has passed, and at the next hook ([`Family::Bridge`]; for a link without
//! bridge ARP, IPv4 and IPv6) those that are not marked are dropped, and the mark is taken off. A zone cannot set the mark
//! itself: a packet loses it when it changes its network namespace. Every frame of the host comes through that hook, so
//! these rules are the same for all zones of an installation, in tables that these share: [`share`] has them be there,
//! [`release_if_unused`] takes them away after the last zone.

mod chains;
mod own;
mod protect;
mod shared;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod frames;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use rustix::io::Errno;
use zone_config::layout::InstallationId;

use crate::Interface;
use crate::interface::Attachment;
use crate::names::Owner;
use crate::nft::{self, Family, Transaction};
use crate::rt;
use crate::spec::Protection;

/// The families that the guard of a zone has tables in, or had by earlier programs.
const FAMILIES: [Family; 5] = [Family::Netdev, Family::Bridge, Family::Arp, Family::Ip, Family::Ip6];

/// Why a zone is not guarded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing on the host sees the frames of such a net before they are out.
    #[error(
        "net {inside}: {word} is not possible with mode {mode}, of which the host sees no frames; {}",
        instead(.word)
    )]
    NoPlace {
        /// The link's name inside.
        inside: String,
        /// How it is attached.
        mode: &'static str,
        /// The property that asks for it.
        word: &'static str,
    },
    /// The rules were not changed.
    #[error("cannot change the rules for the link protection of zone '{zone}'")]
    Rules {
        /// The zone.
        zone: String,
        /// What the kernel said to the transaction.
        source: nft::Error,
    },
    /// The rules that all zones share were not changed.
    #[error("cannot change the rules that the link protection of all zones shares")]
    Shared {
        /// What the kernel said to the transaction.
        source: nft::Error,
    },
    /// It is not known which links those rules are for.
    #[error("cannot tell or change which links of the host the link protection is for")]
    Groups {
        /// What the kernel said to the list of links.
        source: rt::Error,
    },
}

impl Error {
    /// The kernel's errno, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::NoPlace { .. } => None,
            Self::Rules { source, .. } | Self::Shared { source } => source.errno(),
            Self::Groups { source } => Some(source.errno()),
        }
    }
}

/// What helps where a net has no place for rules.
fn instead(word: &str) -> &'static str {
    match word {
        "maxbw" => "allowed with modes bridge and routed",
        _ => "allowed there: none, or ip-type=shared",
    }
}

/// Checks that there is a place for the rules of each net.
///
/// # Errors
/// [`Error::NoPlace`] for a macvlan, ipvlan or physical net with link protection or a bandwidth. In a shared zone,
/// whose namespace the host administers, neither is needed: its caller asks for [`Protection::NONE`] there.
///
/// [`Protection::NONE`]: crate::spec::Protection::NONE
pub fn check(interfaces: &[Interface]) -> Result<(), Error> {
    for interface in interfaces {
        if matches!(interface.attachment, Attachment::Bridge { .. } | Attachment::Routed { .. }) {
            continue;
        }
        let word = if interface.protection != Protection::NONE {
            "link-protection"
        } else if interface.bandwidth.is_some() {
            "maxbw"
        } else {
            continue;
        };
        return Err(Error::NoPlace {
            inside: interface.inside.clone(),
            mode: interface.attachment.mode(),
            word,
        });
    }
    Ok(())
}

/// What a zone has of the network, as far as its guard is about it.
#[derive(Clone, Copy, Debug)]
pub struct Nets<'a> {
    /// Its interfaces.
    pub interfaces: &'a [Interface],
    /// Whether ports of the host lead to one of them: then a port of a bridge may send back what came from it.
    pub published: bool,
}

/// Tells whether there are rules for an interface.
fn is_guarded(interface: &Interface) -> bool {
    interface.protection.needs_rules() || interface.bandwidth.is_some()
}

/// Tells whether there are rules for any of these interfaces, so that [`share`] and [`release_if_unused`] are about them.
#[must_use]
pub fn is_any_guarded(interfaces: &[Interface]) -> bool {
    interfaces.iter().any(is_guarded)
}

/// Tells that the rules that a zone shares with others are there.
#[derive(Debug)]
#[must_use]
pub struct Shared(());

/// Has the rules be there that all zones of an installation share, and be for the links of these interfaces, as far as
/// they are there, or no longer be for them. Idempotent. The caller holds the lock of what zones share
/// ([`crate::managed::lock`]): after it the rules stay as long as the links do.
///
/// # Errors
/// What the kernel refuses.
pub fn share(installation: InstallationId, interfaces: &[Interface]) -> Result<Shared, Error> {
    shared::share(installation, interfaces).map(|()| Shared(()))
}

/// Removes the rules that zones share if there is no link any more that they are for, and tells whether they are gone.
/// Idempotent. The caller holds the lock of what zones share ([`crate::managed::lock`]).
///
/// # Errors
/// What the kernel refuses.
pub fn release_if_unused(installation: InstallationId) -> Result<bool, Error> {
    shared::release(installation)
}

/// Guards the links of a zone, replacing the rules that it had; the links have to be there, and what it shares with others.
/// Idempotent. When a link goes, its chain goes too, or from Linux 6.16 on waits for the next of its name.
///
/// # Errors
/// What [`check`] says, and what the kernel refuses; then the rules are what they were.
pub fn apply(owner: Owner<'_>, nets: Nets<'_>, shared: &Shared) -> Result<(), Error> {
    prepare(owner, nets)?.apply(shared)
}

/// Guards the links of a zone as [`apply`] does, and forgets what was learned of DHCP servers so far: for whoever knows
/// what the zone has by now.
///
/// # Errors
/// As [`apply`].
pub fn apply_anew(owner: Owner<'_>, nets: Nets<'_>, shared: &Shared) -> Result<(), Error> {
    check(nets.interfaces)?;
    prepare_with(owner, nets, Learned::Forgotten)?.apply(shared)
}

/// Tells whether a DHCP server on the bridge has granted a net this address, as far as that has to be known: where addresses
/// are not learned, any is good. What is heard inside of a zone tells nothing, for its root may say it.
///
/// # Errors
/// When the kernel does not tell.
pub fn is_granted(owner: Owner<'_>, interface: &Interface, address: Ipv4Addr) -> Result<bool, Error> {
    let learned = own::learned_by(&owner.table(), interface);
    let learned = learned.map_err(|source| Error::Rules { zone: owner.zone.to_string(), source })?;
    Ok(learned.is_none_or(|learned| learned.iter().any(|bytes| *bytes == address.octets())))
}

/// What becomes of the addresses that were learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learned {
    Kept,
    Forgotten,
}

/// Writes the rules for the links of a zone down, as [`apply`] makes them. Nothing is changed yet, and the links need not be there.
///
/// # Errors
/// What [`check`] says, and that the kernel does not tell what was learned before.
pub fn prepare<'a>(owner: Owner<'a>, nets: Nets<'a>) -> Result<Prepared<'a>, Error> {
    check(nets.interfaces)?;
    prepare_with(owner, nets, Learned::Kept)
}

fn prepare_with<'a>(owner: Owner<'a>, nets: Nets<'a>, of_servers: Learned) -> Result<Prepared<'a>, Error> {
    let written = write(owner, nets, of_servers, true).map_err(|source| failed(owner, source))?;
    Ok(Prepared { owner, nets, of_servers, written })
}

/// The rules for the links of a zone, written down.
#[derive(Debug)]
#[must_use]
pub struct Prepared<'a> {
    owner: Owner<'a>,
    nets: Nets<'a>,
    of_servers: Learned,
    written: nft::Prepared,
}

impl Prepared<'_> {
    /// Guards the links, which have to be there by now, and what the zone shares with others.
    ///
    /// # Errors
    /// What the kernel refuses; then the rules are what they were.
    pub fn apply(self, _: &Shared) -> Result<(), Error> {
        let Self { owner, nets, of_servers, written } = self;
        let made = match written.commit() {
            // Of the families that a kernel does not have there is nothing to remove.
            Err(error) if nft::is_without_family(&error) => {
                write(owner, nets, of_servers, false).and_then(nft::Prepared::commit)
            }
            made => made,
        };
        made.map_err(|source| failed(owner, source))
    }
}

fn failed(owner: Owner<'_>, source: nft::Error) -> Error {
    Error::Rules { zone: owner.zone.to_string(), source }
}

/// Writes the rules down, and that tables of families which are not needed any more go, too.
fn write(
    owner: Owner<'_>,
    nets: Nets<'_>,
    of_servers: Learned,
    stale: bool,
) -> Result<nft::Prepared, nft::Error> {
    let table = owner.table();
    let mut transaction = Transaction::new();
    let used = own::write(&mut transaction, &table, nets, of_servers)?;
    if stale {
        let unused = FAMILIES.into_iter().filter(|family| !used.contains(family));
        unused.for_each(|family| transaction.absent(family, &table));
    }
    Ok(transaction.prepare())
}

/// Removes all rules of a zone, its guard and its ports, at once. Idempotent; needs neither links nor configuration.
///
/// # Errors
/// What the kernel refuses; then the rules are what they were.
pub fn remove_with_ports(owner: Owner<'_>) -> Result<(), Error> {
    let families: Vec<Family> = FAMILIES.into_iter().chain([Family::Inet]).collect();
    nft::remove(&families, &owner.table())
        .map_err(|source| Error::Rules { zone: owner.zone.to_string(), source })
}

/// Removes all rules that [`apply`] has made for a zone. Idempotent; needs neither the zone's links nor its configuration.
///
/// # Errors
/// What the kernel refuses.
pub fn remove(owner: Owner<'_>) -> Result<(), Error> {
    nft::remove(&FAMILIES, &owner.table())
        .map_err(|source| Error::Rules { zone: owner.zone.to_string(), source })
}
