//! The standard descriptors: which of them a program was started without, and how wide the terminal is.
//!
//! Rust's runtime opens `/dev/null` in the place of those that are closed, before `main`: what is written there
//! is lost with success. So it is looked before that.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bit for each closed descriptor; written once, before `main`.
static CLOSED: AtomicU8 = AtomicU8::new(0);

extern "C" fn look() {
    for number in 0..3_u8 {
        // SAFETY: fcntl with F_GETFD touches no memory and refuses a closed descriptor. Nothing of Rust's runtime is
        // needed, which is not there yet.
        if unsafe { libc::fcntl(number.into(), libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

// SAFETY: the C library calls what is in `.init_array` once, on the only thread, before `main`; the function is of
// the type that it expects (arguments are passed and not looked at), and unwinds never.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Prints name and version if `--version` is all that this process was started with, and says whether it was: for programs
/// that no person starts otherwise.
#[must_use]
pub fn asked_for_version(name: &str, version: &str) -> bool {
    let asked = std::env::args_os().skip(1).eq(["--version"]);
    if asked {
        use std::io::Write as _;
        // Nobody reads it: then nobody misses it.
        let _ = writeln!(std::io::stdout(), "{name} {version}");
    }
    asked
}

/// Tells how many columns the terminal has that standard output is; none if it is something else, or does not know.
#[must_use]
pub fn terminal_columns() -> Option<usize> {
    // What is no terminal has no size.
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
}

/// Says whether the program was started with this descriptor (0, 1 or 2) closed.
#[must_use]
pub fn was_closed(number: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}
