//! Where the daemon's own words go: the journal if there is one, else the system log. Each line names the zone in words.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use zone_config::ZoneName;

/// The socket of systemd-journald(8).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The socket of whatever keeps the system log, as syslog(3) has it.
const SYSLOG: &str = "/dev/log";

/// Sends everything from now on to the journal or to syslog.
pub(crate) fn init(zone: &ZoneName) {
    let form = if Path::new(JOURNAL).exists() { Form::Journal } else { Form::Syslog };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Log { zone: zone.clone(), form })
        .without_time()
        .with_ansi(false)
        .with_level(false)
        .with_target(false);
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    let _ = tracing_subscriber::registry().with(level).with(layer).try_init();
}

/// How a datagram to a log is formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Fields of a name and a value, as the journal's native protocol has them.
    Journal,
    /// One line in the form of RFC 3164, as syslog(3) makes it.
    Syslog,
}

impl Form {
    const fn socket(self) -> &'static str {
        match self {
            Self::Journal => JOURNAL,
            Self::Syslog => SYSLOG,
        }
    }

    /// Forms the datagram that logs `text` of `zone`. `priority` is that of syslog(3), without a facility.
    fn datagram(self, zone: &ZoneName, priority: u8, text: &str) -> String {
        const DAEMON: u8 = 3;
        let pid = std::process::id();
        // One line: what comes behind a line's end would be a field of its own to the journal.
        let text = zone_console::sanitize::harmless(text.trim_end()).replace('\n', " ");
        match self {
            Self::Journal => format!(
                "MESSAGE=[zone '{zone}'] {text}\nPRIORITY={priority}\nSYSLOG_FACILITY={DAEMON}\n\
                 SYSLOG_IDENTIFIER=zoneadmd\nSYSLOG_PID={pid}\nZONE={zone}\n"
            ),
            Self::Syslog => {
                format!("<{}>zoneadmd[{pid}]: [zone '{zone}'] {text}", DAEMON << 3 | priority)
            }
        }
    }
}

/// Makes a writer for each message.
struct Log {
    zone: ZoneName,
    form: Form,
}

/// One message, which is sent when it is dropped.
struct Message<'a> {
    log: &'a Log,
    priority: u8,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Message<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Message { log: self, priority: 6, text: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        let priority = match *meta.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            _ => 6,
        };
        Message { log: self, priority, text: Vec::new() }
    }
}

impl io::Write for Message<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let Log { zone, form } = self.log;
        let datagram = form.datagram(zone, self.priority, &String::from_utf8_lossy(&self.text));
        // A host without a log daemon has nobody to tell; a full socket must not stop a zone.
        if let Ok(socket) = UnixDatagram::unbound()
            && socket.set_nonblocking(true).is_ok()
        {
            let _ = socket.send_to(datagram.as_bytes(), form.socket());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_the_zone_in_words_and_takes_one_line() {
        let zone: ZoneName = "web".parse().unwrap();
        let pid = std::process::id();
        let text = "it ends\nMESSAGE=of another\u{1b}[2J\n";
        let syslog = Form::Syslog.datagram(&zone, 4, text);
        assert!(syslog.starts_with(&format!("<28>zoneadmd[{pid}]: [zone 'web'] it ends MESSAGE=of another")));
        assert!(!syslog.contains(['\n', '\u{1b}']), "{syslog:?}");
        let journal = Form::Journal.datagram(&zone, 4, text);
        let fields: Vec<_> = journal.lines().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(fields[0].0, "MESSAGE");
        assert!(fields[0].1.starts_with("[zone 'web'] it ends MESSAGE=of another"), "{journal:?}");
        let names: Vec<_> = fields[1..].iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "ZONE"]);
        assert!(journal.ends_with("ZONE=web\n"));
    }
}
