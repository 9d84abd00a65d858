//! The part of the second look that all zones of an installation share: whether there was a first look at a frame.
//!
//! The links that it is about are told by their group, which is a link's own: the host sets it on its ends of the pairs, the kernel
//! forgets it with the link, and a zone has no way to it. So there are few rules however many zones are up, with nothing in them that
//! belongs to one of these, and nobody has to take anything out of them. The tables are there while a link is in the group, and are
//! made and removed under the lock of what zones share.

use crate::Interface;
use crate::interface::Attachment;
use crate::names;
use crate::nft::{self, Family, Field, HookPoint, Rule, Transaction};
use crate::rt::{Socket, link};
use rustix::io::Errno;
use zone_config::layout::InstallationId;

use super::chains::{BEFORE_ALL, SEEN, hook, to_host};
use super::{Error, is_guarded};

/// The families that there may be a shared table in.
const FAMILIES: [Family; 4] = [Family::Bridge, Family::Arp, Family::Ip, Family::Ip6];
/// When is looked, and when the mark is taken off: before and after the tables of zones that earlier programs have booted, which do
/// both at once. So a frame may come through either or both of them, whichever was made first.
const LOOK: i32 = BEFORE_ALL - 1;
const UNMARK: i32 = BEFORE_ALL + 1;

/// Has the tables be there that these interfaces need, as they have to be, and then has their links be in the group or not.
pub(super) fn share(installation: InstallationId, interfaces: &[Interface]) -> Result<(), Error> {
    let table = names::table(installation);
    let group = names::group(installation);
    for family in FAMILIES.into_iter().filter(|family| interfaces.iter().any(|one| is_for(*family, one))) {
        nft::settle(family, &table, "second look at the frames of zones", content(family, &table, group))
            .map_err(|source| Error::Shared { source })?;
    }
    assign(group, interfaces).map_err(|source| Error::Groups { source })
}

fn is_for(family: Family, interface: &Interface) -> bool {
    is_guarded(interface)
        && (family == Family::Bridge) == matches!(interface.attachment, Attachment::Bridge { .. })
}

fn content(family: Family, table: &str, group: u32) -> Transaction {
    let places = match family {
        Family::Bridge => {
            vec![("prerouting", HookPoint::Prerouting, Rule::new()), ("input", HookPoint::Input, to_host())]
        }
        Family::Arp => vec![("input", HookPoint::ArpInput, Rule::new())],
        _ => vec![("prerouting", HookPoint::Prerouting, Rule::new())],
    };
    let mut content = Transaction::new();
    for (chain, point, of) in places {
        let ours = || of.clone().is(Field::IN_GROUP, &group.to_ne_bytes());
        content.chain(family, table, chain, Some(&hook(point, LOOK)));
        let unseen = ours().is_not(Field::MARK, &SEEN.to_ne_bytes()).counter().drop();
        content.rule(family, table, chain, unseen.comment("came past the first look"));
        let after = format!("{chain}-after");
        content.chain(family, table, &after, Some(&hook(point, UNMARK)));
        content.rule(family, table, &after, ours().set_mark(0).comment("the mark was ours"));
    }
    content
}

/// Puts the host's ends of guarded nets into the group, and takes those of others out of it. Of one that has gone meanwhile others tell.
fn assign(group: u32, interfaces: &[Interface]) -> Result<(), crate::rt::Error> {
    const GONE: &[Errno] = &[Errno::NODEV, Errno::NOENT];
    let mut host = Socket::here()?;
    let mut requests = Vec::new();
    for interface in interfaces.iter().filter(|interface| interface.attachment.is_reached()) {
        let Some(found) = host.link(&interface.host)? else { continue };
        let wanted = match is_guarded(interface) {
            true => group,
            false if found.group == group => 0,
            false => continue,
        };
        if found.group != wanted && found.kind.as_deref() == Some("veth") {
            let change = link::change(found.index).called(&interface.host).group(wanted);
            requests.push(change.request().tolerating(GONE));
        }
    }
    host.run(requests)
}

/// Removes the tables if no link is in the group any more, and tells whether there are none.
pub(super) fn release(installation: InstallationId) -> Result<bool, Error> {
    let table = names::table(installation);
    let mut there = Vec::new();
    for family in FAMILIES {
        if nft::has_table(family, &table).map_err(|source| Error::Shared { source })? {
            there.push(family);
        }
    }
    if there.is_empty() {
        return Ok(true);
    }
    let used = Socket::here().and_then(|host| host.has_in_group(names::group(installation)));
    if used.map_err(|source| Error::Groups { source })? {
        return Ok(false);
    }
    nft::remove(&there, &table).map(|()| true).map_err(|source| Error::Shared { source })
}
