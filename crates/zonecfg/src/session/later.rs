//! What of a configuration waits for the next boot of a zone that is up.

use zone_config::document::{Document, Instance};
use zone_config::schema::{Applies, GLOBALS, RESOURCES};

/// Names what differs between two configurations and takes effect at the next boot: properties by their names, resources by type
/// and key.
pub(super) fn changes(running: &Document, next: &Document) -> Vec<String> {
    let mut changes = Vec::new();
    for row in GLOBALS.iter().filter(|row| row.applies == Applies::NextBoot) {
        if running.globals.effective(row) != next.globals.effective(row) {
            changes.push(row.name.to_owned());
        }
    }
    for resource in RESOURCES {
        let waits = resource.properties.iter().filter(|row| row.applies == Applies::NextBoot);
        let waits: Vec<_> = waits.collect();
        let same = |one: &Instance, two: &Instance| {
            waits.iter().all(|row| one.values.effective(row) == two.values.effective(row))
        };
        let lacks = |document: &Document, one: &Instance| {
            !document.of(resource.name).any(|two| one.key() == two.key() && same(one, two))
        };
        let before = running.of(resource.name).filter(|one| lacks(next, one));
        let after = next.of(resource.name).filter(|one| lacks(running, one));
        for one in before.chain(after).filter(|_| !waits.is_empty()) {
            let name = match one.key() {
                Some(key) => format!("{} {key}", resource.name),
                None => resource.name.to_owned(),
            };
            if !changes.contains(&name) {
                changes.push(name);
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_waits_is_named_once() {
        let document =
            |toml: &str| Document::parse(&format!("zonepath = \"/z\"\n{toml}"), Path::new("f")).unwrap();
        let net = |mtu: &str| {
            document(&format!("autoboot = true\n[[net]]\nphysical = \"eth0\"\nglobal-nic = \"auto\"\n{mtu}"))
        };
        let changed = |one: &Document, two: &Document| changes(one, two);
        assert!(changed(&net(""), &net("")).is_empty());
        assert!(changed(&document("autoboot = true"), &document("")).is_empty(), "that is live");
        assert_eq!(changed(&net(""), &net("mtu = 1400")), ["net eth0"]);
        assert_eq!(changed(&document("bootargs = \"-v\""), &net("")), ["bootargs", "net eth0"]);
        assert_eq!(changed(&net(""), &document("")), ["net eth0"]);
    }
}
