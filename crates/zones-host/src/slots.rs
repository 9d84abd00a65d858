//! How many zones boot at the same time.

use std::path::PathBuf;

use zone_config::file::{FileError, FileLock};
use zone_config::{Layout, Settings, ZoneName};

/// How many, unless somebody has said so: a boot both waits and computes.
pub(crate) fn parallelism(settings: &Settings) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    settings.parallelism.unwrap_or_else(|| processors() * 2)
}

/// Waits until there is room for one more, and keeps it until the answer is dropped or this process ends.
///
/// # Errors
/// When there can be no locks.
pub(crate) fn take(layout: &Layout, settings: &Settings, zone: &ZoneName) -> Result<FileLock, FileError> {
    let paths: Vec<PathBuf> = (0..parallelism(settings)).map(|number| layout.boot_slot(number)).collect();
    for path in &paths {
        if let Some(slot) = FileLock::try_take(path)? {
            return Ok(slot);
        }
    }
    // One of them, and not all the time all of them: each zone the same one.
    let chosen = layout.id().of_zone(zone) % (paths.len().max(1) as u64);
    FileLock::take(&layout.boot_slot(usize::try_from(chosen).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{TryRecvError, channel};

    #[test]
    fn no_more_boot_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let settings = Settings { parallelism: Some(2), ..Settings::default() };
        let zone = |name: &str| name.parse::<ZoneName>().unwrap();
        let first = take(&layout, &settings, &zone("a")).unwrap();
        let second = take(&layout, &settings, &zone("b")).unwrap();
        let (sender, receiver) = channel();
        let third = std::thread::spawn({
            let layout = layout.clone();
            move || {
                let slot = take(&layout, &settings, &zone("c"));
                sender.send(()).unwrap();
                slot.is_ok()
            }
        });
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        drop((first, second));
        receiver.recv().unwrap();
        assert!(third.join().unwrap());
        assert!(parallelism(&Settings::default()) >= 2);
    }
}
