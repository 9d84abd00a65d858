//! What is said, in every language: one table. `{0}` and `{1}` stand for what is put in.
//!
//! A new message is a row here. A language is a column, which a row may leave out (`-`): it is then said in
//! English. The English of notices is Solaris', with its two blanks, since scripts look for it.

use crate::{Language, Locale};

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident { en: $en:literal, de: $de:tt, fr: $fr:tt })*) => {
        /// Something that can be said in several languages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message {
            $($(#[$doc])* $name,)*
        }

        impl Message {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];

            fn template(self, language: Language) -> &'static str {
                let (en, de, fr) = match self {
                    $(Self::$name => ($en, text!($de), text!($fr)),)*
                };
                let own: Option<&'static str> = match language {
                    Language::English => None,
                    Language::German => de,
                    Language::French => fr,
                };
                own.unwrap_or(en)
            }
        }
    };
}

macro_rules! text {
    (-) => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

catalogue! {
    /// The zone begins to boot.
    Booting {
        en: "NOTICE: Zone booting up",
        de: "HINWEIS: Zone wird gestartet",
        fr: "AVIS\u{a0}: démarrage de la zone"
    }
    /// The same, with arguments.
    BootingWith {
        en: "NOTICE: Zone booting up with arguments: {0}",
        de: "HINWEIS: Zone wird mit folgenden Argumenten gestartet: {0}",
        fr: "AVIS\u{a0}: démarrage de la zone avec les arguments\u{a0}: {0}"
    }
    /// The virtual platform is ready.
    Readied {
        en: "NOTICE: Zone readied",
        de: "HINWEIS: Zone ist vorbereitet",
        fr: "AVIS\u{a0}: zone préparée"
    }
    /// The zone is halted.
    Halted {
        en: "NOTICE: Zone halted",
        de: "HINWEIS: Zone wurde angehalten",
        fr: "AVIS\u{a0}: zone arrêtée"
    }
    /// The zone begins to reboot.
    Rebooting {
        en: "NOTICE: Zone rebooting",
        de: "HINWEIS: Zone wird neu gestartet",
        fr: "AVIS\u{a0}: redémarrage de la zone"
    }
    /// The same, with arguments.
    RebootingWith {
        en: "NOTICE: Zone rebooting with arguments: {0}",
        de: "HINWEIS: Zone wird mit folgenden Argumenten neu gestartet: {0}",
        fr: "AVIS\u{a0}: redémarrage de la zone avec les arguments\u{a0}: {0}"
    }
    /// The zone can write its root this once.
    Writable {
        en: "NOTICE: Read-only zone boots read-write, until its next boot",
        de: "HINWEIS: Schreibgeschützte Zone ist bis zum nächsten Start beschreibbar",
        fr: "AVIS\u{a0}: la zone en lecture seule est accessible en écriture jusqu'au prochain démarrage"
    }
    /// The zone is being uninstalled.
    Uninstalling {
        en: "NOTICE: Zone is being uninstalled",
        de: "HINWEIS: Zone wird deinstalliert",
        fr: "AVIS\u{a0}: désinstallation de la zone en cours"
    }
    /// The zone did not come up.
    BootFailed {
        en: "NOTICE: Zone boot failed",
        de: "HINWEIS: Start der Zone ist fehlgeschlagen",
        fr: "AVIS\u{a0}: échec du démarrage de la zone"
    }
    /// Boot arguments that mean nothing.
    BadArgs {
        en: "WARNING: Ignoring invalid boot arguments: {0}",
        de: "WARNUNG: Ungültige Startargumente werden ignoriert: {0}",
        fr: "AVERTISSEMENT\u{a0}: arguments de démarrage non valides ignorés\u{a0}: {0}"
    }
    /// The zone's init ended by itself; how.
    InitEnded {
        en: "NOTICE: Zone init ended: {0}",
        de: "HINWEIS: init der Zone ist beendet: {0}",
        fr: "AVIS\u{a0}: init de la zone terminé\u{a0}: {0}"
    }
    /// The same, and it is started again; which time of how many.
    InitAgain {
        en: "{0}; starting it again ({1})",
        de: "{0}; neuer Start ({1})",
        fr: "{0}\u{a0}; nouveau démarrage ({1})"
    }
    /// A number of a total.
    Of {
        en: "{0} of {1}",
        de: "{0} von {1}",
        fr: "{0} sur {1}"
    }
    /// How init ended: its status.
    InitExited {
        en: "init exited with status {0}",
        de: "init endete mit Status {0}",
        fr: "init s'est terminé avec le code {0}"
    }
    /// How init ended: the signal.
    InitKilled {
        en: "init was killed by signal {0}",
        de: "init wurde durch Signal {0} beendet",
        fr: "init a été tué par le signal {0}"
    }
    /// How init ended, when nobody knows.
    InitGone {
        en: "init has ended",
        de: "init hat sich beendet",
        fr: "init s'est terminé"
    }
    /// The zone's init ended too often.
    GivenUp {
        en: "NOTICE: Zone init ended too often, halting",
        de: "HINWEIS: init der Zone hat sich zu oft beendet, Zone wird angehalten",
        fr: "AVIS\u{a0}: init de la zone s'est terminé trop souvent, arrêt de la zone"
    }
    /// Another client has taken this one's place.
    TakenOver {
        en: "NOTICE: Console taken over by process ID {0}",
        de: "HINWEIS: Prozess-ID {0} hat die Konsole übernommen",
        fr: "AVIS\u{a0}: console prise par le processus {0}"
    }
    /// This client has taken another's place.
    TookOver {
        en: "NOTICE: Console taken over from process ID {0}",
        de: "HINWEIS: Konsole wurde dem Prozess {0} abgenommen",
        fr: "AVIS\u{a0}: console reprise au processus {0}"
    }
    /// Output that is not shown, in bytes.
    Lost {
        en: "NOTICE: {0} bytes of output lost",
        de: "HINWEIS: Ausgabe ging verloren: {0} Byte",
        fr: "AVIS\u{a0}: sortie perdue\u{a0}: {0} octet(s)"
    }
    /// The daemon was restarted, and the client is back.
    Restarted {
        en: "NOTICE: Zone daemon restarted, console reconnected",
        de: "HINWEIS: Daemon der Zone wurde neu gestartet, Konsole ist wieder verbunden",
        fr: "AVIS\u{a0}: démon de la zone redémarré, console reconnectée"
    }
    /// The daemon goes away.
    Leaving {
        en: "NOTICE: Zone daemon is ending",
        de: "HINWEIS: Daemon der Zone beendet sich",
        fr: "AVIS\u{a0}: arrêt du démon de la zone"
    }
    /// Behind a notice that ends the connection.
    Disconnecting {
        en: "{0}.  Disconnecting...",
        de: "{0}.  Verbindung wird getrennt...",
        fr: "{0}.  Déconnexion..."
    }
}

impl Message {
    /// The text in the language of `locale`, spelt so that it can be shown there. `args` are put in as
    /// they are: whoever has them from a stranger makes them harmless first.
    #[must_use]
    pub fn text(self, locale: Locale, args: &[&str]) -> String {
        let template = locale.spell(self.template(locale.language()));
        let mut out = String::with_capacity(template.len());
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (number, after) = after.split_once('}').unwrap_or((after, ""));
            let arg = number.parse().ok().and_then(|number: usize| args.get(number));
            out.push_str(arg.copied().unwrap_or_default());
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is put in, in which order.
    fn holes(template: &str) -> Vec<String> {
        let mut holes: Vec<_> = template.split('{').skip(1).map(|part| part[..2].to_owned()).collect();
        holes.sort();
        holes
    }

    #[test]
    fn every_language_puts_in_the_same() {
        for &message in Message::ALL {
            let english = message.template(Language::English);
            for language in [Language::German, Language::French] {
                let own = message.template(language);
                assert_eq!(holes(own), holes(english), "{message:?}");
                assert_ne!(own, english, "{message:?}");
                assert!(!own.contains(char::is_control), "{message:?}");
            }
            assert!(english.is_ascii(), "{message:?}");
        }
    }

    #[test]
    fn every_text_can_be_spelt_in_ascii() {
        for &message in Message::ALL {
            for locale in ["de_DE.ISO8859-1", "fr_FR"] {
                let text = message.text(Locale::parse(locale), &["x", "y"]);
                assert!(text.is_ascii() && !text.contains('?'), "{text}");
            }
        }
    }

    #[test]
    fn a_row_may_leave_a_language_out() {
        assert_eq!((text!(-), text!("x")), (None::<&str>, Some("x")));
    }

    #[test]
    fn what_is_put_in_is_left_alone() {
        let text = Message::BootingWith.text(Locale::parse("de_DE"), &["{0} ä {1}"]);
        assert_eq!(text, "HINWEIS: Zone wird mit folgenden Argumenten gestartet: {0} ä {1}");
        assert_eq!(Message::Of.text(Locale::C, &["1"]), "1 of ");
    }
}
