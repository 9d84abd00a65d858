//! Dying on purpose, at the boundary of any two steps: so the tests find out what a daemon leaves that is
//! killed there. The shipped daemon has nothing of this.
//!
//! ROOT/run/zones/NAME/failpoint holds numbers. The daemon counts the first one down at every boundary
//! that it passes; at 1 it takes the number away, appends the boundary's name to failpoint.hit beside
//! it, and kills itself as an impatient person would. The next number is the next daemon's.

#[cfg(debug_assertions)]
pub(crate) use armed::{arm, pass};

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};
    use zone_config::{Layout, ZoneName};

    static DIRECTORY: Mutex<Option<PathBuf>> = Mutex::new(None);

    /// Says whose daemon this is.
    pub(crate) fn arm(layout: &Layout, zone: &ZoneName) {
        *DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner) = Some(layout.zone_run(zone));
    }

    /// A boundary is passed, after `what` was done to `to`; or not.
    pub(crate) fn pass(what: &str, to: &str) {
        let directory = DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(directory) = directory.as_ref() else { return };
        let file = directory.join("failpoint");
        let Ok(text) = std::fs::read_to_string(&file) else { return };
        let mut numbers = text.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
        let Some(left) = numbers.next() else { return };
        let mut after: Vec<String> = numbers.map(|number| number.to_string()).collect();
        if left > 1 {
            after.insert(0, (left - 1).to_string());
        }
        // Not made anew: whoever has just taken it away wants nobody to die any more.
        let opened = std::fs::OpenOptions::new().write(true).truncate(true).open(&file);
        let counted = opened.and_then(|mut file| file.write_all(after.join(" ").as_bytes()));
        if counted.is_err() || left > 1 {
            return;
        }
        let hit = std::fs::OpenOptions::new().create(true).append(true).open(directory.join("failpoint.hit"));
        let _ = hit.and_then(|mut hit| writeln!(hit, "{what} {to}"));
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, in what is shipped.
#[cfg(not(debug_assertions))]
pub(crate) const fn arm(_: &zone_config::Layout, _: &zone_config::ZoneName) {}

/// Nothing, in what is shipped.
#[cfg(not(debug_assertions))]
pub(crate) const fn pass(_: &str, _: &str) {}
