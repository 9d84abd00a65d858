//! In which zone this program runs.

use std::path::Path;

use crate::file;

/// Where the virtual platform tells a zone its name.
pub const NAME_FILE: &str = "/run/zone/name";

/// Where the virtual platform tells a zone that it may have zones of its own.
pub const NESTING_FILE: &str = "/run/zone/nesting";

/// What the host calls itself.
pub const GLOBAL: &str = "global";

/// The name of the zone this program runs in; `None` on the host. It is what the zone was told, and inside a zone its
/// root may have changed it: fit for a prompt, not for a decision about trust.
pub fn zone() -> Option<String> {
    read(Path::new(NAME_FILE))
}

/// The name of the zone this program runs in, if that is to have no zones of its own; `None` on the host, and in a zone with `nesting`.
pub fn confined() -> Option<String> {
    zone().filter(|_| !nests())
}

/// Whether this program runs in a zone that may have zones of its own.
pub fn nests() -> bool {
    Path::new(NESTING_FILE).exists() && zone().is_some()
}

fn read(path: &Path) -> Option<String> {
    // Whoever is root in the zone may have put anything there.
    let bytes = file::read_if_there(path, file::DOCUMENT).ok()??;
    let text = String::from_utf8(bytes).ok()?;
    let name = text.trim();
    // The text goes to terminals: what is not a name is not passed on.
    name.parse::<crate::ZoneName>().is_ok().then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_says_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("name");
        assert_eq!(read(&file), None);
        fs::write(&file, "web\n").unwrap();
        assert_eq!(read(&file).as_deref(), Some("web"));
        fs::write(&file, "\u{1b}[2J").unwrap();
        assert_eq!(read(&file), None);
    }
}
