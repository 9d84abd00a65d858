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
