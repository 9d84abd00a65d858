//! Where the daemon's own words go: the journal if there is one, else the system log.

use std::io;
use std::os::unix::net::UnixDatagram;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use zone_config::ZoneName;

/// Sends everything from now on to the journal or to syslog.
pub(crate) fn init(zone: &ZoneName) {
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    if let Ok(journal) = tracing_journald::layer() {
        let journal =
            journal.with_syslog_identifier("zoneadmd".into()).with_custom_fields([("ZONE", zone.as_str())]);
        let _ = tracing_subscriber::registry().with(level).with(journal).try_init();
        return;
    }
    let syslog = Syslog { zone: zone.to_string() };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(syslog)
        .without_time()
        .with_ansi(false)
        .with_level(false)
        .with_target(false);
    let _ = tracing_subscriber::registry().with(level).with(layer).try_init();
}

/// A writer of datagrams in the form of RFC 3164, as syslog(3) makes them.
struct Syslog {
    zone: String,
}

struct Message<'a> {
    zone: &'a str,
    priority: u8,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Message<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Message { zone: &self.zone, priority: 6, text: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        let priority = match *meta.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            _ => 6,
        };
        Message { zone: &self.zone, priority, text: Vec::new() }
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
        const DAEMON: u8 = 3 << 3;
        let text = String::from_utf8_lossy(&self.text);
        let pid = std::process::id();
        let line = format!(
            "<{}>zoneadmd[{pid}]: [zone '{}'] {}",
            DAEMON | self.priority,
            self.zone,
            zone_console::sanitize::harmless(text.trim_end())
        );
        // A host without a log daemon has nobody to tell; a full socket must not stop a zone.
        if let Ok(socket) = UnixDatagram::unbound()
            && socket.set_nonblocking(true).is_ok()
        {
            let _ = socket.send_to(line.as_bytes(), "/dev/log");
        }
    }
}
