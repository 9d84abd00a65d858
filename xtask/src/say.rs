//! What the tasks print. Colour only where a terminal shows it (`anstream` strips it elsewhere).

use anstyle::{AnsiColor, Style};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

const STRONG: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// When the first part of the work began.
static BEGUN: OnceLock<Instant> = OnceLock::new();

/// The title of a part of the work; of one that takes minutes, after how long it begins.
pub(crate) fn title(text: &str) {
    let after = match BEGUN.get_or_init(Instant::now).elapsed().as_secs() {
        0..60 => String::new(),
        seconds => format!(" (after {} min {} s)", seconds / 60, seconds % 60),
    };
    anstream::println!("\n{STRONG}{text}{STRONG:#}{after}");
}

/// A command as a person would type it.
pub(crate) fn command(line: &str) {
    anstream::println!("  {COMMAND}$ {line}{COMMAND:#}");
}

/// A line of what a command printed.
pub(crate) fn output(line: &str) {
    anstream::println!("    {line}");
}

/// Something that is as it should be.
pub(crate) fn good(text: &str) {
    anstream::println!("  {GOOD}{text}{GOOD:#}");
}

/// A line about what the task does by itself.
pub(crate) fn note(text: &str) {
    anstream::println!("  {text}");
}

/// How many lines of why a test failed are shown; where it ran, all of them were.
const LINES: usize = 24;

/// What has failed so far, each with why.
static FAILED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A test that failed. It is told again at the end, where a log of an hour is looked at first.
pub(crate) fn failed(name: &str, why: &str) {
    let lines = why.lines().filter(|line| !line.trim().is_empty()).take(LINES);
    let text = lines.fold(format!("failed: {name}"), |text, line| format!("{text}\n      {line}"));
    note(&text);
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

/// All that has failed, once more.
pub(crate) fn failures() {
    let failed = std::mem::take(&mut *FAILED.lock().unwrap_or_else(PoisonError::into_inner));
    if !failed.is_empty() {
        title("What failed");
        failed.iter().for_each(|text| note(text));
    }
}

/// Why the task failed, causes after colons.
pub(crate) fn error(error: &anyhow::Error) {
    anstream::eprintln!("{BAD}xtask:{BAD:#} {error:#}");
}
