//! Which zones may mount something of the host: `/run/zones/.sharing`, a name a line.
//!
//! Who boots a zone has to see that nothing of it meets what another one mounts of the host, and few zones mount anything. So
//! that the others need not be read for it, the names of those few are kept here; what they mount is looked up in their
//! configurations. **A name may stand here for nothing; what matters is that none is missing of a zone that was ever up with
//! something of the host**, for only then could it have put another directory in the place of one. Therefore a name is written before
//! a zone is made, also when its configuration was edited by hand, and when zonecfg saves one. A file that is not there, as
//! after each boot of the host, is made anew from all configurations. A name is taken out when its zone is deleted or renamed: of a
//! zone that is not in the index nobody looks for a configuration, and whoever makes one of that name writes it again before it
//! is up. With the last zone the file goes.

use std::collections::BTreeSet;

use crate::file::{self, FileError, FileLock};
use crate::index::IndexError;
use crate::{Index, Layout, ZoneName};

/// Whether the text of a configuration or snapshot may have a file system of the host: to parse it takes longer than to look.
#[must_use]
pub fn may_share(text: &str) -> bool {
    text.contains("special")
}

/// Lists the zones that may mount something of the host, after `own` was added, if there is one. Takes the lock of the index
/// where the file is missing, or `own` in it.
///
/// # Errors
/// When the file cannot be read or written, or has to be made and the index cannot be read.
pub fn names(layout: &Layout, own: Option<&ZoneName>) -> Result<BTreeSet<ZoneName>, IndexError> {
    let is_in = |names: &BTreeSet<ZoneName>| own.is_none_or(|own| names.contains(own));
    if let Some(names) = read(layout)?.filter(is_in) {
        return Ok(names);
    }
    let _lock = FileLock::take(&layout.index_lock())?;
    let known = read(layout)?;
    let is_new = known.is_none();
    let mut names = known.map_or_else(|| all(layout), Ok)?;
    if own.is_some_and(|own| names.insert(own.clone())) || is_new {
        write(layout, &names)?;
    }
    Ok(names)
}

/// Adds a zone that is configured to mount something of the host. Where there is no file nothing is to be added: it will be made from
/// all configurations. Takes the lock of the index.
///
/// # Errors
/// When the file cannot be read or written.
pub fn add(layout: &Layout, zone: &ZoneName) -> Result<(), FileError> {
    if !layout.sharing().exists() {
        return Ok(());
    }
    let _lock = FileLock::take(&layout.index_lock())?;
    let Some(mut names) = read(layout)? else { return Ok(()) };
    if names.insert(zone.clone()) { write(layout, &names) } else { Ok(()) }
}

/// Takes out a zone that is no longer configured, and the file once there is no zone. Takes the lock of the index.
///
/// # Errors
/// When the file cannot be read or written, or the index not be read.
pub fn forget(layout: &Layout, zone: &ZoneName) -> Result<(), IndexError> {
    if !layout.sharing().exists() {
        return Ok(());
    }
    let _lock = FileLock::take(&layout.index_lock())?;
    let index = Index::load(layout)?;
    if index.entries().next().is_none() {
        file::remove_fast(&layout.outlines())?;
        return Ok(file::remove_fast(&layout.sharing())?);
    }
    // Somebody may have made another one of that name.
    if index.get(zone).is_some() {
        return Ok(());
    }
    let Some(mut names) = read(layout)? else { return Ok(()) };
    if names.remove(zone) { Ok(write(layout, &names)?) } else { Ok(()) }
}

/// What stands in the file. A line that is no name makes it one that has to be made anew.
fn read(layout: &Layout) -> Result<Option<BTreeSet<ZoneName>>, FileError> {
    let Some(bytes) = file::read_if_there(&layout.sharing(), file::TABLE)? else { return Ok(None) };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    Ok(text.lines().map(|line| line.parse().ok()).collect())
}

fn write(layout: &Layout, names: &BTreeSet<ZoneName>) -> Result<(), FileError> {
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    file::replace_fast(&layout.sharing(), text.as_bytes(), 0o600)
}

/// Goes through all configurations.
fn all(layout: &Layout) -> Result<BTreeSet<ZoneName>, IndexError> {
    let index = Index::load(layout)?;
    let shares = |zone: &ZoneName| {
        // What cannot be read boots no zone, but may be mended without a word to us.
        let bytes = file::read_if_there(&layout.config(zone), file::DOCUMENT);
        bytes.map_or(true, |bytes| may_share(&String::from_utf8_lossy(&bytes.unwrap_or_default())))
    };
    Ok(index.entries().map(|entry| entry.name.clone()).filter(shares).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, State};
    use std::fs;

    fn installation() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        (dir, layout)
    }

    fn zone(layout: &Layout, name: &str, text: &str) {
        let name: ZoneName = name.parse().unwrap();
        fs::create_dir_all(layout.etc()).unwrap();
        fs::write(layout.config(&name), text).unwrap();
        let zonepath = layout.default_zonepath(&name);
        let entry = Entry { name, state: State::Installed, zonepath, uuid: None };
        Index::update::<_, IndexError, _>(layout, |index| index.add(entry)).unwrap();
    }

    fn listed(layout: &Layout, own: Option<&str>) -> Vec<String> {
        let own = own.map(|own| own.parse().unwrap());
        names(layout, own.as_ref()).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_made_of_all_configurations_and_then_only_added_to() {
        let (_dir, layout) = installation();
        zone(&layout, "plain", "[[net]]\n");
        zone(&layout, "sharer", "[[fs]]\nspecial = \"/srv\"\n");
        // Nothing is made for nobody.
        add(&layout, &"later".parse().unwrap()).unwrap();
        assert!(!layout.sharing().exists());
        assert_eq!(listed(&layout, None), ["sharer"]);
        zone(&layout, "later", "[[fs]]\nspecial = \"/srv\"\n");
        assert_eq!(listed(&layout, None), ["sharer"], "edited by hand, and never up");
        add(&layout, &"later".parse().unwrap()).unwrap();
        assert_eq!(listed(&layout, Some("own")), ["later", "own", "sharer"]);
        fs::write(layout.config(&"sharer".parse().unwrap()), "").unwrap();
        assert_eq!(listed(&layout, None), ["later", "own", "sharer"]);
        fs::remove_file(layout.sharing()).unwrap();
        assert_eq!(listed(&layout, None), ["later"]);
    }

    #[test]
    fn a_zone_that_is_deleted_is_forgotten_and_with_the_last_the_file() {
        let (_dir, layout) = installation();
        let [sharer, own, plain] = ["sharer", "own", "plain"].map(|name| name.parse().unwrap());
        for (name, text) in [("plain", ""), ("own", ""), ("sharer", "[[fs]]\nspecial = \"/srv\"\n")] {
            zone(&layout, name, text);
        }
        let delete = |name: &ZoneName| {
            Index::update::<_, IndexError, _>(&layout, |index| index.remove(name).map(|_| ())).unwrap();
            forget(&layout, name).unwrap();
        };
        assert_eq!(listed(&layout, Some("own")), ["own", "sharer"]);
        forget(&layout, &sharer).unwrap();
        assert_eq!(listed(&layout, None), ["own", "sharer"], "it is still configured");
        delete(&sharer);
        assert_eq!(listed(&layout, None), ["own"]);
        delete(&own);
        assert_eq!(fs::read_to_string(layout.sharing()).unwrap(), "", "known to be nobody");
        delete(&plain);
        assert!(!layout.sharing().exists());
    }

    #[test]
    fn a_file_that_makes_no_sense_is_made_anew() {
        let (_dir, layout) = installation();
        zone(&layout, "sharer", "[[fs]]\nspecial = \"/srv\"\n");
        assert_eq!(listed(&layout, None), ["sharer"]);
        for text in [&b"no name\n"[..], b"\xff\n"] {
            fs::write(layout.sharing(), text).unwrap();
            assert_eq!(listed(&layout, None), ["sharer"]);
            assert_eq!(fs::read_to_string(layout.sharing()).unwrap(), "sharer\n");
        }
    }
}
