//! What the console says about the zone in between the guest's own words.

use crate::sanitize::visible;

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
    InitExited {
        /// How, for example `exit status 1`.
        how: String,
    },
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
        /// How much.
        bytes: u64,
    },
    /// The zone's daemon was restarted, and the client is back where it was.
    Restarted,
    /// The daemon goes away; the zone does not.
    Leaving,
    /// Free text of the daemon.
    Text(String),
}

impl Notice {
    /// The text in the language of `locale` (so far there is one language), without brackets.
    /// `disconnect` says whether the client asked to be disconnected at a halt (`zlogin -C -d`).
    /// Foreign text is made harmless for a terminal.
    #[must_use]
    pub fn text(&self, _locale: &str, disconnect: bool) -> String {
        match self {
            Self::Booting { args } => with_args("NOTICE: Zone booting up", args),
            Self::Readied => "NOTICE: Zone readied".into(),
            Self::Halted => ending("NOTICE: Zone halted", disconnect),
            Self::Rebooting { args } => with_args("NOTICE: Zone rebooting", args),
            Self::Uninstalling => ending("NOTICE: Zone is being uninstalled", true),
            Self::BootFailed => ending("NOTICE: Zone boot failed", disconnect),
            Self::BadArgs { args } => {
                format!("WARNING: Ignoring invalid boot arguments: {}", visible(args))
            }
            Self::InitExited { how } => format!("NOTICE: Zone init ended: {}", visible(how)),
            Self::TakenOver { by } => ending(&format!("NOTICE: Console taken over by process ID {by}"), true),
            Self::TookOver { from } => format!("NOTICE: Console taken over from process ID {from}"),
            Self::Lost { bytes } => format!("NOTICE: {bytes} bytes of output lost"),
            Self::Restarted => "NOTICE: Zone daemon restarted, console reconnected".into(),
            Self::Leaving => ending("NOTICE: Zone daemon is ending", true),
            Self::Text(text) => visible(text),
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

/// A moment in seconds since 1970 as ISO 8601 has it, in UTC.
pub(crate) fn utc(seconds: u64) -> String {
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

fn with_args(text: &str, args: &str) -> String {
    if args.is_empty() { text.into() } else { format!("{text} with arguments: {}", visible(args)) }
}

/// The two blanks are part of the text that scripts look for.
fn ending(text: &str, disconnect: bool) -> String {
    if disconnect { format!("{text}.  Disconnecting...") } else { text.into() }
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
            assert_eq!(notice.text("C", false), plain);
            assert_eq!(notice.text("C", true), disconnecting.unwrap_or(plain));
            assert_eq!(notice.disconnects(true), disconnecting.is_some() || notice == Notice::Uninstalling);
            assert_eq!(notice.disconnects(false), notice == Notice::Uninstalling);
        }
        assert_eq!(line("x"), b"\r\n[x]\r\n");
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
            Notice::InitExited { how: args.clone() },
            Notice::Text(args),
        ] {
            assert!(!notice.text("C", false).contains(char::is_control), "{notice:?}");
        }
    }
}
