//! Long work on files: how it is shown, and how it is stopped.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use zone_config::ZoneName;
use zone_install::progress::{Options, Phase, Progress};
use zone_sys::signal::{self, SIGHUP, SIGINT, SIGTERM};

use crate::exit::Exit;
use crate::message::{harmless, relay};

/// Makes the signals that end a program raise a flag instead, so that what has been begun is put into words and into
/// the index. The second such signal ends the program at once.
///
/// # Errors
/// When the signals cannot be redirected.
pub(crate) fn interruptible() -> Result<Interruptible, anyhow::Error> {
    let options = Options { cancel: Arc::new(AtomicBool::new(false)) };
    let signals = signal::as_fd(&[SIGINT, SIGTERM, SIGHUP])?;
    let raised = eventfd(0, EventfdFlags::CLOEXEC)?;
    let (cancel, wake) = (Arc::clone(&options.cancel), raised.try_clone()?);
    std::thread::Builder::new().spawn(move || listen(&signals, &cancel, &wake))?;
    Ok(Interruptible { options, raised })
}

/// Work that a signal interrupts.
#[derive(Debug)]
pub(crate) struct Interruptible {
    /// With the flag that is raised.
    pub(crate) options: Options,
    /// Readable once the flag is raised, for what waits and does not look.
    raised: OwnedFd,
}

impl Interruptible {
    /// Waits for something to read on `input`, its end included. False when a signal came first.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(crate) fn wait_for(&self, input: impl AsFd) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(&input, PollFlags::IN), PollFd::new(&self.raised, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            if !fds[1].revents().is_empty() {
                return Ok(false);
            }
            if !fds[0].revents().is_empty() {
                return Ok(true);
            }
        }
    }
}

fn listen(signals: &OwnedFd, cancel: &AtomicBool, wake: &OwnedFd) {
    loop {
        let mut fds = [PollFd::new(signals, PollFlags::IN)];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        while let Ok(Some(_)) = signal::read(signals) {
            if cancel.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Error as i32);
            }
            // It cannot be full.
            let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
        }
    }
}

/// A phase that ends sooner is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(2);

/// Shows how far the work has come: a bar on a terminal, else a line for each phase that takes its time.
pub(crate) struct Display<'a> {
    zone: &'a ZoneName,
    phase: Option<Phase>,
    begun: Instant,
    told: bool,
    bar: Option<ProgressBar>,
}

impl<'a> Display<'a> {
    /// Nothing is shown until there is something to show.
    pub(crate) fn new(zone: &'a ZoneName) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { zone, phase: None, begun: Instant::now(), told: false, bar }
    }

    /// Takes a report.
    pub(crate) fn show(&mut self, progress: Progress<'_>) {
        let begins = self.phase != Some(progress.phase);
        if begins {
            self.phase = Some(progress.phase);
            self.begun = Instant::now();
            self.told = false;
        }
        match &self.bar {
            Some(bar) => draw(bar, begins, &progress),
            None if !self.told && self.begun.elapsed() >= WORTH_A_LINE => {
                self.told = true;
                relay(self.zone, &format!("{} ...", word(progress.phase)));
            }
            None => {}
        }
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, begins: bool, progress: &Progress<'_>) {
    let (done, total) = match (progress.total_bytes, progress.total_entries) {
        (Some(total), _) => (progress.done_bytes, Some(total)),
        (None, Some(total)) => (progress.entries, Some(total)),
        (None, None) => (progress.entries, None),
    };
    if begins {
        let form = match (progress.total_bytes, total) {
            (Some(_), _) => "{prefix} [{bar:30}] {bytes} / {total_bytes}  {eta}  {wide_msg}",
            (None, Some(_)) => "{prefix} [{bar:30}] {human_pos} / {human_len}  {eta}  {wide_msg}",
            (None, None) => "{prefix} {spinner} {human_pos}  {wide_msg}",
        };
        // The forms are ours; a test sees that they are right.
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(zone_locale::here(word(progress.phase)));
        bar.reset();
    }
    if let Some(total) = total {
        bar.set_length(total);
    }
    bar.set_position(done);
    bar.set_message(harmless(&progress.current.display().to_string()).into_owned());
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Measuring => "measuring",
        Phase::Copying => "copying",
        Phase::Unpacking => "unpacking",
        Phase::Debootstrapping => "running debootstrap",
        Phase::Syncing => "writing to disk",
        Phase::Removing => "removing",
        _ => "working",
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// What is counted for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Entry,
    File,
    DeviceNode,
    Socket,
    ExtendedAttribute,
    AccessControlList,
}

/// A count for people. Each is a message of its own, so that other languages have their own words for one and for many.
pub(crate) fn count(number: u64, thing: Thing) -> String {
    let count = indicatif::HumanCount(number);
    let is_one = number == 1;
    match thing {
        Thing::Entry if is_one => format!("{count} entry"),
        Thing::Entry => format!("{count} entries"),
        Thing::File if is_one => format!("{count} file"),
        Thing::File => format!("{count} files"),
        Thing::DeviceNode if is_one => format!("{count} device node"),
        Thing::DeviceNode => format!("{count} device nodes"),
        Thing::Socket if is_one => format!("{count} socket"),
        Thing::Socket => format!("{count} sockets"),
        Thing::ExtendedAttribute if is_one => format!("{count} extended attribute"),
        Thing::ExtendedAttribute => format!("{count} extended attributes"),
        Thing::AccessControlList if is_one => format!("{count} access control list"),
        Thing::AccessControlList => format!("{count} access control lists"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_bar_takes_all_phases() {
        let bar = ProgressBar::hidden();
        let progress = |phase, total_bytes, total_entries| Progress {
            phase,
            done_bytes: 3,
            total_bytes,
            entries: 2,
            total_entries,
            current: Path::new("a\x1bb"),
        };
        draw(&bar, true, &progress(Phase::Copying, Some(10), Some(4)));
        assert_eq!((bar.position(), bar.length(), bar.message().as_str()), (3, Some(10), "a\\u{1b}b"));
        draw(&bar, true, &progress(Phase::Removing, None, Some(4)));
        assert_eq!((bar.position(), bar.length()), (2, Some(4)));
        draw(&bar, true, &progress(Phase::Debootstrapping, None, None));
        assert_eq!(bar.position(), 2);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(1, Thing::Entry), "1 entry");
        assert_eq!(count(12_345, Thing::Entry), "12,345 entries");
        assert_eq!(size(3 << 20), "3.00 MiB");
    }
}
