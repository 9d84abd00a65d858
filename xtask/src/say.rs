//! What the tasks print. Colour only where a terminal shows it (`anstream` strips it elsewhere).

use anstyle::{AnsiColor, Style};

const STRONG: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The title of a part of the work.
pub(crate) fn title(text: &str) {
    anstream::println!("\n{STRONG}{text}{STRONG:#}");
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

/// Why the task failed, causes after colons.
pub(crate) fn error(error: &anyhow::Error) {
    anstream::eprintln!("{BAD}xtask:{BAD:#} {error:#}");
}
