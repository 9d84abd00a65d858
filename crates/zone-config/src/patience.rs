//! How long to wait for what may never come. A test that makes such a thing does not want to wait as long as a person would.

use std::time::Duration;

use crate::{Layout, file};

/// `usual`; in a build for tests at most the seconds that `ROOT/run/zones/patience` holds, if there is such a file.
#[must_use]
pub fn of(layout: &Layout, usual: Duration) -> Duration {
    if !cfg!(debug_assertions) {
        return usual;
    }
    let told = file::read_if_there(&layout.run().join("patience"), file::DOCUMENT).ok().flatten();
    let told =
        told.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok()).map(Duration::from_secs);
    told.map_or(usual, |told| told.min(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_only_ever_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let usual = Duration::from_secs(30);
        assert_eq!(of(&layout, usual), usual);
        std::fs::create_dir_all(layout.run()).unwrap();
        for (text, seconds) in [("2\n", 2), ("60", 30), ("x", 30)] {
            std::fs::write(layout.run().join("patience"), text).unwrap();
            assert_eq!(of(&layout, usual), Duration::from_secs(seconds), "{text}");
        }
    }
}
