//! What the console says about the zone in between the guest's own words.

use crate::sanitize::visible;
use zone_locale::{Locale, Message};

/// Something a client of the console is told. The first seven are Solaris', word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The zone begins to boot, with these arguments (empty: none).
    Booting {
        /// As given to `zoneadm boot --`.
        args: String,
    },
    /// The virtual platform is ready.
    Readied,
    /// The zone is halted. Ends a connection made with `-d`.
    Halted,
    /// The zone begins to reboot, with these arguments (empty: none).
    Rebooting {
        /// As given to `zoneadm reboot --` or from inside.
        args: String,
    },
    /// The zone, whose root is read-only otherwise, can write all of it until its next boot.
    Writable,
    /// The zone is being uninstalled. Ends every connection.
    Uninstalling,
    /// The zone did not come up. Ends a connection made with `-d`.
    BootFailed,
    /// These boot arguments mean nothing and are not used.
    BadArgs {
        /// The part that was not understood.
        args: String,
    },
    /// The zone's init ended by itself.
    InitEnded {
        /// How its first process ended.
        how: InitEnd,
        /// It is started again: which time this is, and of how many.
        again: Option<(u32, usize)>,
    },
    /// The zone's init ended too often to be started again.
    GivenUp,
    /// Another client has taken this one's place. Ends the connection.
    TakenOver {
        /// The process id of the new holder.
        by: i32,
    },
    /// This client has taken another's place.
    TookOver {
        /// The process id of the former holder.
        from: i32,
    },
    /// Output that the client did not take in time, or that is no longer kept.
    Lost {
        /// How many bytes of output were left out.
        bytes: u64,
    },
    /// The zone's daemon was restarted, and the client is back where it was.
    Restarted,
    /// The daemon goes away; the zone does not.
    Leaving,
    /// Free text of the daemon.
    Text(String),
}

/// How a zone's init ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitEnd {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Nobody knows: its zsched had been killed before.
    Unknown,
}

impl Notice {
    /// The text in the language of `locale`, without brackets. `disconnect` says whether the client
    /// asked to be disconnected at a halt (`zlogin -C -d`). Foreign text is made harmless for a terminal.
    #[must_use]
    pub fn text(&self, locale: Locale, disconnect: bool) -> String {
        let text = self.message(locale);
        if self.disconnects(disconnect) { Message::Disconnecting.text(locale, &[&text]) } else { text }
    }

    fn message(&self, locale: Locale) -> String {
        let plain = |message: Message| message.text(locale, &[]);
        let with = |message: Message, arg: &dyn ToString| message.text(locale, &[&arg.to_string()]);
        match self {
            Self::Booting { args } if args.is_empty() => plain(Message::Booting),
            Self::Booting { args } => with(Message::BootingWith, &visible(args)),
            Self::Readied => plain(Message::Readied),
            Self::Halted => plain(Message::Halted),
            Self::Rebooting { args } if args.is_empty() => plain(Message::Rebooting),
            Self::Rebooting { args } => with(Message::RebootingWith, &visible(args)),
            Self::Writable => plain(Message::Writable),
            Self::Uninstalling => plain(Message::Uninstalling),
            Self::BootFailed => plain(Message::BootFailed),
            Self::BadArgs { args } => with(Message::BadArgs, &visible(args)),
            Self::InitEnded { how, again } => {
                let how = match how {
                    InitEnd::Exited(status) => with(Message::InitExited, status),
                    InitEnd::Killed(signal) => with(Message::InitKilled, signal),
                    InitEnd::Unknown => plain(Message::InitGone),
                };
                let how = match again {
                    Some((time, most)) => {
                        let time = Message::Of.text(locale, &[&time.to_string(), &most.to_string()]);
                        Message::InitAgain.text(locale, &[&how, &time])
                    }
                    None => how,
                };
                with(Message::InitEnded, &how)
            }
            Self::GivenUp => plain(Message::GivenUp),
            Self::TakenOver { by } => with(Message::TakenOver, by),
            Self::TookOver { from } => with(Message::TookOver, from),
            Self::Lost { bytes } => with(Message::Lost, bytes),
            Self::Restarted => plain(Message::Restarted),
            Self::Leaving => plain(Message::Leaving),
            Self::Text(text) => zone_locale::translate(locale, &visible(text)).into_owned(),
        }
    }

    /// Whether a client is disconnected after it was told, given its own wish (`-d`).
    #[must_use]
    pub fn disconnects(&self, disconnect: bool) -> bool {
        match self {
            Self::Uninstalling | Self::TakenOver { .. } | Self::Leaving => true,
            Self::Halted | Self::BootFailed => disconnect,
            _ => false,
        }
    }
}

/// `text` as it stands in the stream: on a line of its own, in brackets.
#[must_use]
pub fn line(text: &str) -> Vec<u8> {
    format!("\r\n[{text}]\r\n").into_bytes()
}

/// Writes a moment in seconds since 1970 as ISO 8601 has it, in UTC.
#[must_use]
pub fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March end with the leap day; 719 468 days lie between 0-03-01 and 1970.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_solaris_says() {
        let args = || "-s".to_owned();
        let none = String::new;
        for (notice, plain, disconnecting) in [
            (Notice::Booting { args: none() }, "NOTICE: Zone booting up", None),
            (Notice::Booting { args: args() }, "NOTICE: Zone booting up with arguments: -s", None),
            (Notice::Readied, "NOTICE: Zone readied", None),
            (Notice::Halted, "NOTICE: Zone halted", Some("NOTICE: Zone halted.  Disconnecting...")),
            (Notice::Rebooting { args: none() }, "NOTICE: Zone rebooting", None),
            (Notice::Rebooting { args: args() }, "NOTICE: Zone rebooting with arguments: -s", None),
            (Notice::Uninstalling, "NOTICE: Zone is being uninstalled.  Disconnecting...", None),
            (
                Notice::BootFailed,
                "NOTICE: Zone boot failed",
                Some("NOTICE: Zone boot failed.  Disconnecting..."),
            ),
            (Notice::BadArgs { args: args() }, "WARNING: Ignoring invalid boot arguments: -s", None),
        ] {
            assert_eq!(notice.text(Locale::C, false), plain);
            assert_eq!(notice.text(Locale::C, true), disconnecting.unwrap_or(plain));
            assert_eq!(notice.disconnects(true), disconnecting.is_some() || notice == Notice::Uninstalling);
            assert_eq!(notice.disconnects(false), notice == Notice::Uninstalling);
        }
        assert_eq!(line("x"), b"\r\n[x]\r\n");
    }

    #[test]
    fn says_it_in_the_language_of_the_client() {
        let args = || "-s \u{e4}".to_owned();
        let none = String::new;
        let again = Some((2, 5));
        for (notice, german, french) in [
            (Notice::Booting { args: none() }, "HINWEIS: Zone wird gestartet", "AVIS : démarrage de la zone"),
            (
                Notice::Booting { args: args() },
                "HINWEIS: Zone wird mit folgenden Argumenten gestartet: -s ä",
                "AVIS : démarrage de la zone avec les arguments : -s ä",
            ),
            (Notice::Readied, "HINWEIS: Zone ist vorbereitet", "AVIS : zone préparée"),
            (
                Notice::Halted,
                "HINWEIS: Zone wurde angehalten.  Verbindung wird getrennt...",
                "AVIS : zone arrêtée.  Déconnexion...",
            ),
            (
                Notice::BadArgs { args: args() },
                "WARNUNG: Ungültige Startargumente werden ignoriert: -s ä",
                "AVERTISSEMENT : arguments de démarrage non valides ignorés : -s ä",
            ),
            (
                Notice::InitEnded { how: InitEnd::Exited(1), again },
                "HINWEIS: init der Zone ist beendet: init endete mit Status 1; neuer Start (2 von 5)",
                "AVIS : init de la zone terminé : init s'est terminé avec le code 1 ; nouveau démarrage (2 sur 5)",
            ),
            (
                Notice::TakenOver { by: 7 },
                "HINWEIS: Prozess-ID 7 hat die Konsole übernommen.  Verbindung wird getrennt...",
                "AVIS : console prise par le processus 7.  Déconnexion...",
            ),
            (
                Notice::Lost { bytes: 12 },
                "HINWEIS: Ausgabe ging verloren: 12 Byte",
                "AVIS : sortie perdue : 12 octet(s)",
            ),
        ] {
            for (locale, text) in [("de_CH.UTF-8", german), ("fr_FR.UTF-8", french)] {
                let seen = notice.text(Locale::parse(locale), true);
                assert_eq!(seen.replace('\u{a0}', " "), text);
            }
        }
        let text = Notice::BootFailed.text(Locale::parse("fr_FR"), false);
        assert_eq!(text, "AVIS : echec du demarrage de la zone");
        let ended = Notice::InitEnded { how: InitEnd::Killed(9), again: Some((1, 5)) };
        assert_eq!(
            ended.text(Locale::C, true),
            "NOTICE: Zone init ended: init was killed by signal 9; starting it again (1 of 5)"
        );
    }

    #[test]
    fn tells_the_time() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400 + 3_661), "2000-02-29T01:01:01Z");
        assert_eq!(utc(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        let args = "\x1b[2J\r\n[NOTICE: fake]".to_owned();
        for notice in [
            Notice::Booting { args: args.clone() },
            Notice::Rebooting { args: args.clone() },
            Notice::BadArgs { args: args.clone() },
            Notice::Text(args),
        ] {
            assert!(!notice.text(Locale::C, false).contains(char::is_control), "{notice:?}");
        }
    }
}
