//! What a zone that is detached leaves in its zonepath: its configuration, for whoever attaches it, here or on another host.

use std::path::{Path, PathBuf};

use crate::ZoneConfig;
use crate::config::ConfigError;
use crate::document::Document;
use crate::file::{self, FileError};
use crate::{Layout, ZoneName};

/// The file in the zonepath.
const MANIFEST: &str = "detached.toml";

/// Gives the path of the manifest in a zonepath.
#[must_use]
pub fn manifest(zonepath: &Path) -> PathBuf {
    zonepath.join(MANIFEST)
}

/// Gives the text that a zone's manifest has: its configuration as it stands, comments and all.
///
/// # Errors
/// When the zone has none, or it cannot be read.
pub fn text(layout: &Layout, zone: &ZoneName) -> Result<Vec<u8>, ConfigError> {
    let bytes = file::read_if_there(&layout.config(zone), file::DOCUMENT)?;
    bytes.ok_or_else(|| ConfigError::NoSuchZone(zone.clone()))
}

/// Writes the manifest into a zonepath, whole and to the disk.
///
/// # Errors
/// When it cannot be written.
pub fn write(zonepath: &Path, text: &[u8]) -> Result<(), FileError> {
    file::replace(&manifest(zonepath), text, 0o600)
}

/// Reads what was set for the zone that was detached; `None` if the zonepath has no manifest.
///
/// # Errors
/// When it cannot be read or understood.
pub fn load(zonepath: &Path) -> Result<Option<Document>, ConfigError> {
    let path = manifest(zonepath);
    let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
    Ok(Some(Document::parse(&String::from_utf8_lossy(&bytes), &path)?))
}

/// Reads the same with the defaults of what is not set.
///
/// # Errors
/// As [`load`], and when something is missing.
pub fn config(zonepath: &Path) -> Result<Option<ZoneConfig>, ConfigError> {
    load(zonepath)?.map(|document| ZoneConfig::from_document(&document, &manifest(zonepath))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().join("root"))).unwrap();
        let zone: ZoneName = "web".parse().unwrap();
        assert!(text(&layout, &zone).is_err() && load(dir.path()).unwrap().is_none());
        let configured =
            ZoneConfig { hostname: Some("www".to_owned()), ..ZoneConfig::new("/zones/web".into()) };
        configured.save(&layout, &zone).unwrap();
        write(dir.path(), &text(&layout, &zone).unwrap()).unwrap();
        assert_eq!(config(dir.path()).unwrap(), Some(configured));
        write(dir.path(), b"zonepath = 1").unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains("detached.toml"));
    }
}
