//! Flow control by the holder, and what else its typing does to the state of the terminal.
//!
//! The line discipline stops the guest's output at `^S` (IXON) until somebody types `^Q`, and the guest then waits
//! in its next write, for ever if whoever typed it has gone. So the stop character ends here.

use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex as Code, Termios};
use std::borrow::Cow;

/// What a holder has typed, as far as the terminal keeps it.
#[derive(Debug)]
pub(super) struct Typed {
    /// The next character stands for itself (`^V` was typed).
    quoted: bool,
    /// A line was begun and not ended.
    in_line: bool,
    /// A stop character may have got to the terminal.
    stop_passed: bool,
}

impl Default for Typed {
    /// Nothing is known of what an earlier daemon has passed on.
    fn default() -> Self {
        Self { quoted: false, in_line: false, stop_passed: true }
    }
}

/// The characters of a terminal with these settings that mean something here; `None` if there is none.
struct Meaning {
    ixon: bool,
    any_starts: bool,
    strip: bool,
    canonical: bool,
    stop: Option<u8>,
    start: Option<u8>,
    quote: Option<u8>,
    kill: Option<u8>,
    line_ends: [Option<u8>; 3],
}

impl Meaning {
    fn of(settings: &Termios) -> Self {
        let input = settings.input_modes;
        let local = settings.local_modes;
        let canonical = local.contains(LocalModes::ICANON);
        // A terminal has 0 for a character that it has not.
        let code = |index| Some(settings.special_codes[index]).filter(|&c| c != 0);
        let extended = canonical && local.contains(LocalModes::IEXTEN);
        Self {
            ixon: input.contains(InputModes::IXON),
            any_starts: input.contains(InputModes::IXANY),
            strip: input.contains(InputModes::ISTRIP),
            canonical,
            stop: code(Code::VSTOP),
            start: code(Code::VSTART),
            quote: code(Code::VLNEXT).filter(|_| extended),
            kill: code(Code::VKILL),
            line_ends: [code(Code::VEOF), code(Code::VEOL), code(Code::VEOL2).filter(|_| extended)],
        }
    }

    fn ends_a_line(&self, c: u8) -> bool {
        matches!(c, b'\n' | b'\r') || self.line_ends.contains(&Some(c))
    }
}

impl Typed {
    /// Takes out of `bytes`, typed on a terminal with these settings, what stops output, and says in `paused`
    /// whether it is stopped for the one who typed.
    pub(super) fn filter<'a>(
        &mut self,
        settings: &Termios,
        bytes: &'a [u8],
        paused: &mut bool,
    ) -> Cow<'a, [u8]> {
        let meaning = Meaning::of(settings);
        *paused &= meaning.ixon;
        let mut out = Cow::Borrowed(bytes);
        for (at, &byte) in bytes.iter().enumerate() {
            let c = if meaning.strip { byte & 0x7f } else { byte };
            let quoted = std::mem::take(&mut self.quoted);
            if meaning.ixon && !quoted {
                if Some(c) == meaning.stop && meaning.start != meaning.stop {
                    *paused = true;
                    if matches!(out, Cow::Borrowed(_)) {
                        out = Cow::Owned(bytes[..at].to_vec());
                    }
                    continue;
                }
                if meaning.any_starts || Some(c) == meaning.start {
                    *paused = false;
                }
            }
            // Between our look at the settings and the terminal's the guest may have changed them.
            self.stop_passed |= Some(c) == meaning.stop;
            self.quoted = !quoted && Some(c) == meaning.quote;
            let goes_nowhere = meaning.ixon && !quoted && Some(c) == meaning.start;
            if !goes_nowhere {
                self.in_line = quoted || !meaning.ends_a_line(c);
            }
            if let Cow::Owned(out) = &mut out {
                out.push(byte);
            }
        }
        out
    }

    /// Forgets what was typed, since who typed it goes. Gives what the terminal must be told lest half a line be
    /// kept for the next one, which may be nothing; `unsent` says that the terminal has not got all.
    pub(super) fn leave(&mut self, settings: &Termios, unsent: bool) -> Vec<u8> {
        let meaning = Meaning::of(settings);
        let in_line = std::mem::take(&mut self.in_line) || unsent;
        let quoted = std::mem::take(&mut self.quoted);
        match meaning.kill.filter(|_| meaning.canonical && (in_line || quoted)) {
            // After a quote the first one stands for itself.
            Some(kill) => vec![kill; if quoted { 2 } else { 1 }],
            None => Vec::new(),
        }
    }

    /// Whether the terminal may have stopped the guest's output.
    pub(super) fn may_have_stopped(&self) -> bool {
        self.stop_passed
    }

    /// The guest's output was started.
    pub(super) fn started(&mut self) {
        self.stop_passed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term;
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::tcgetattr;

    /// The settings of a zone's console at its boot.
    fn fresh() -> Termios {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let manager = openpt(flags).unwrap();
        unlockpt(&manager).unwrap();
        let subsidiary = ioctl_tiocgptpeer(&manager, flags).unwrap();
        term::reset(&subsidiary, term::Size::default()).unwrap();
        tcgetattr(&manager).unwrap()
    }

    fn filtered(settings: &Termios, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut paused = false;
        let out = Typed::default().filter(settings, bytes, &mut paused).into_owned();
        (out, paused)
    }

    #[test]
    fn stop_and_start_are_the_holders() {
        let settings = fresh();
        assert_eq!(filtered(&settings, b"ls\x13 -l\r"), (b"ls -l\r".to_vec(), true));
        assert_eq!(filtered(&settings, b"\x13a\x11b"), (b"a\x11b".to_vec(), false));
        assert!(matches!(Typed::default().filter(&settings, b"abc", &mut false), Cow::Borrowed(b"abc")));
        // Quoted it is an ordinary character, also when the quote came before.
        assert_eq!(filtered(&settings, b"\x16\x13"), (b"\x16\x13".to_vec(), false));
        let (mut typed, mut paused) = (Typed::default(), false);
        typed.filter(&settings, b"\x16", &mut paused);
        assert_eq!(typed.filter(&settings, b"\x13\x13", &mut paused).as_ref(), b"\x13");
        assert!(paused);
    }

    #[test]
    fn a_terminal_without_flow_control_gets_all() {
        let mut settings = fresh();
        settings.input_modes.remove(InputModes::IXON);
        let mut paused = true;
        let (mut typed, bytes) = (Typed::default(), b"\x13\x11x");
        typed.started();
        assert_eq!(typed.filter(&settings, bytes, &mut paused).as_ref(), bytes);
        assert!(!paused, "whoever was paused is not any more");
        assert!(typed.may_have_stopped(), "had the guest turned it on just then");
        let mut settings = fresh();
        settings.input_modes.insert(InputModes::IXANY);
        assert_eq!(filtered(&settings, b"\x13x"), (b"x".to_vec(), false));
        settings.input_modes.insert(InputModes::ISTRIP);
        assert_eq!(filtered(&settings, b"x\x93"), (b"x".to_vec(), true));
    }

    #[test]
    fn half_a_line_goes_with_who_typed_it() {
        let settings = fresh();
        let left = |bytes: &[u8], settings: &Termios| {
            let mut typed = Typed::default();
            typed.filter(settings, bytes, &mut false);
            typed.leave(settings, false)
        };
        assert_eq!(left(b"rm -rf", &settings), [0x15]);
        assert_eq!(left(b"ls\rrm\x16", &settings), [0x15, 0x15]);
        for whole in [&b"ls\r"[..], b"ls\n", b"x\x04", b"", b"ls\r\x11"] {
            assert!(left(whole, &settings).is_empty(), "{whole:?}");
        }
        let mut raw = fresh();
        raw.make_raw();
        assert!(left(b"rm", &raw).is_empty(), "who reads single keys has its own line");
    }
}
