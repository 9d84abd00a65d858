//! What is said on consoles. `{0}` and `{1}` stand for what is put in.
//!
//! A new notice is a row here, in English; its translations are in the PO files, as those of all messages. The English
//! of notices is Solaris', with its two blanks, since scripts look for it.

use crate::Locale;
use crate::table::Row;
use crate::template::{Piece, pieces};

macro_rules! notices {
    ($($(#[$doc:meta])* $name:ident $english:literal)*) => {
        /// Something that is said on consoles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message {
            $($(#[$doc])* $name,)*
        }

        impl Message {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its English text, with holes.
            #[must_use]
            pub fn english(self) -> &'static str {
                match self {
                    $(Self::$name => $english,)*
                }
            }
        }
    };
}

notices! {
    /// The zone begins to boot.
    Booting "NOTICE: Zone booting up"
    /// The same, with arguments.
    BootingWith "NOTICE: Zone booting up with arguments: {0}"
    /// The virtual platform is ready.
    Readied "NOTICE: Zone readied"
    /// The zone is halted.
    Halted "NOTICE: Zone halted"
    /// The zone begins to reboot.
    Rebooting "NOTICE: Zone rebooting"
    /// The same, with arguments.
    RebootingWith "NOTICE: Zone rebooting with arguments: {0}"
    /// The zone can write its root this once.
    Writable "NOTICE: Read-only zone boots read-write, until its next boot"
    /// The zone is being uninstalled.
    Uninstalling "NOTICE: Zone is being uninstalled"
    /// The zone did not come up.
    BootFailed "NOTICE: Zone boot failed"
    /// Boot arguments that mean nothing.
    BadArgs "WARNING: Ignoring invalid boot arguments: {0}"
    /// The zone's init ended by itself; how.
    InitEnded "NOTICE: Zone init ended: {0}"
    /// The same, and it is started again; which time of how many.
    InitAgain "{0}; starting it again ({1})"
    /// A number of a total.
    Of "{0} of {1}"
    /// How init ended: its status.
    InitExited "init exited with status {0}"
    /// How init ended: the signal.
    InitKilled "init was killed by signal {0}"
    /// How init ended, when nobody knows.
    InitGone "init has ended"
    /// The zone's init ended too often.
    GivenUp "NOTICE: Zone init ended too often, halting"
    /// Another client has taken this one's place.
    TakenOver "NOTICE: Console taken over by process ID {0}"
    /// This client has taken another's place.
    TookOver "NOTICE: Console taken over from process ID {0}"
    /// Output that is not shown, in bytes.
    Lost "NOTICE: {0} bytes of output lost"
    /// The daemon was restarted, and the client is back.
    Restarted "NOTICE: Zone daemon restarted, console reconnected"
    /// The daemon goes away.
    Leaving "NOTICE: Zone daemon is ending"
    /// Behind a notice that ends the connection.
    Disconnecting "{0}.  Disconnecting..."
}

impl Message {
    /// The text in the language of `locale`, spelt so that it can be shown there. `args` are put in as
    /// they are: whoever has them from a stranger makes them harmless first.
    #[must_use]
    pub fn text(self, locale: Locale, args: &[&str]) -> String {
        let english = self.english();
        let own = if locale.is_english() { None } else { Row::find(english) };
        let own = own.and_then(|row| row.text(locale.language())).unwrap_or(english);
        let mut out = String::with_capacity(own.len());
        for piece in pieces(own) {
            match piece {
                Piece::Text(text) => out.push_str(&locale.spell(text)),
                Piece::Hole(name) => {
                    let arg = name.parse().ok().and_then(|number: usize| args.get(number));
                    out.push_str(arg.copied().unwrap_or_default());
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_is_said_in_every_language() {
        for &message in Message::ALL {
            let english = message.text(Locale::C, &["<x>", "<y>"]);
            assert!(english.is_ascii(), "{message:?}");
            for locale in ["de_DE.UTF-8", "fr_FR.UTF-8"] {
                let own = message.text(Locale::parse(locale), &["<x>", "<y>"]);
                assert_ne!(own, english, "{message:?}");
                assert!(!own.contains(char::is_control), "{message:?}");
                assert_eq!(own.contains("<x>"), english.contains("<x>"), "{message:?}");
            }
            for locale in ["de_DE.ISO8859-1", "fr_FR"] {
                let text = message.text(Locale::parse(locale), &["<x>", "<y>"]);
                assert!(text.is_ascii() && !text.contains('?'), "{text}");
            }
        }
    }

    #[test]
    fn what_is_put_in_is_left_alone() {
        let text = Message::BootingWith.text(Locale::parse("de_DE"), &["{0} ä {1}"]);
        assert_eq!(text, "HINWEIS: Zone wird mit folgenden Argumenten gestartet: {0} ä {1}");
        assert_eq!(Message::Of.text(Locale::C, &["1"]), "1 of ");
    }
}
