//! Shorter waits for tests: a test that makes something that never comes does not want to wait for it as long as a
//! person would.

use std::path::Path;
use std::time::Duration;

/// Gives `usual`; in a build that has failpoints at most the seconds that the file `patience` in `run` holds, the directory
/// of all zones' run files, if there is such a file.
#[must_use]
pub fn limit(run: &Path, usual: Duration) -> Duration {
    if !cfg!(any(debug_assertions, feature = "failpoints")) {
        return usual;
    }
    let path = run.join("patience");
    // Whoever made a fifo of it would make every wait endless.
    let told = path.is_file().then(|| std::fs::read_to_string(path).ok()).flatten();
    let told = told.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    told.map_or(usual, |told| told.min(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_only_ever_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let usual = Duration::from_secs(30);
        assert_eq!(limit(dir.path(), usual), usual);
        for (text, seconds) in [("2\n", 2), ("60", 30), ("x", 30)] {
            std::fs::write(dir.path().join("patience"), text).unwrap();
            assert_eq!(limit(dir.path(), usual), Duration::from_secs(seconds), "{text}");
        }
    }
}
