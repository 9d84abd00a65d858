//! Who is in a zone's cgroup.

use super::{Tree, ZONE};
use std::path::Path;
use zone_config::{Layout, ZoneName};

/// Whether a process is in the zone's cgroup, or below it.
#[must_use]
pub fn has(layout: &Layout, zone: &ZoneName, pid: i32) -> bool {
    let Ok(tree) = Tree::find(layout.id(), zone) else { return false };
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    let names: Vec<_> = tree.above(ZONE).iter().map(String::as_str).chain([ZONE]).collect();
    is_below(path, &names)
}

/// Whether `names` follow each other somewhere in `path`: what is above them depends on where cgroup2 was mounted from.
fn is_below(path: &str, names: &[&str]) -> bool {
    let parts: Vec<_> = Path::new(path).iter().filter_map(|part| part.to_str()).collect();
    parts.windows(names.len()).any(|window| window == names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_not_beside() {
        let names = ["zones", "web", "zone"];
        for (path, below) in [
            ("/zones/web/zone", true),
            ("/zones/web/zone/init.scope", true),
            ("/host/zones/web/zone/a/b", true),
            ("/zones/web/supervisor", false),
            ("/zones/webber/zone", false),
            ("/zones/web", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(is_below(path, &names), below, "{path}");
        }
    }
}
