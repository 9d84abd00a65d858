//! Where the daemon's own words go: the journal if there is one, else the system log, and always the zone's log on disk, which is
//! bounded. Each line names the zone in words, and in fields what the daemon was at.
//!
//! The file is written by a thread of its own: a disk that hangs must not hold up the daemon.

use serde::Serialize;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use zone_config::{Layout, ZoneName};
use zone_console::log::{ConsoleLog, LogLimits};
use zone_door::Operation;

use zone_engine::sync::lock;

/// The socket of systemd-journald(8).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The socket of whatever keeps the system log, as syslog(3) has it.
const SYSLOG: &str = "/dev/log";
/// How much of the log is kept on disk: two files of so many bytes.
const SIZE: u64 = 1 << 20;
/// As many lines wait for the disk; more are in the journal only.
const WAITING: usize = 256;
/// How long an end waits for the disk.
const LAST: Duration = Duration::from_secs(1);

/// What the daemon is at. There is one of it, as there is one zone.
static AT: Mutex<At> = Mutex::new(At { uniqid: None, operation: None, step: None, caller_uid: None });
static OUTPUT: Mutex<Output> = Mutex::new(Output::Early(Vec::new()));
static LEVEL: OnceLock<Handle<LevelFilter, Registry>> = OnceLock::new();

/// What a line says of what the daemon was at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct At {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "digits")]
    uniqid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_uid: Option<u32>,
}

/// 64 bits as decimal digits in a string, because many readers of JSON keep only 53 bits of a number.
#[expect(clippy::ref_option, reason = "serde asks for it so")]
fn digits<S: serde::Serializer>(number: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    number.map(|number| number.to_string()).serialize(to)
}

/// Where lines for the file go.
enum Output {
    /// As long as there may be no thread.
    Early(Vec<String>),
    Thread(SyncSender<Work>),
}

/// What the thread is to do.
enum Work {
    Line(String),
    /// Answers when all before it is done.
    Flush(SyncSender<()>),
}

/// A line on disk.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    message: &'a str,
    #[serde(flatten)]
    at: At,
}

/// Sends everything from now on to the journal or to syslog, and keeps it for the file.
pub(crate) fn init(zone: &ZoneName, layout: &Layout) {
    let form = if Path::new(JOURNAL).exists() { Form::Journal } else { Form::Syslog };
    let (level, handle) = reload::Layer::new(level_of(layout, zone));
    if tracing_subscriber::registry().with(level).with(Log { zone: zone.clone(), form }).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// The level that somebody has asked for, else that of a daemon of which nobody asks anything.
fn level_of(layout: &Layout, zone: &ZoneName) -> LevelFilter {
    let asked = zone_config::file::read_if_there(&layout.log_level(zone), zone_config::file::DOCUMENT);
    let word = asked.ok().flatten().and_then(|text| String::from_utf8(text).ok());
    match word.as_deref().map(str::trim) {
        Some("error") => LevelFilter::ERROR,
        Some("warning") => LevelFilter::WARN,
        Some("debug") => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    }
}

/// Takes the level that is asked for by now.
pub(crate) fn set_level(layout: &Layout, zone: &ZoneName) {
    if let Some(handle) = LEVEL.get() {
        let _ = handle.reload(level_of(layout, zone));
    }
}

/// Has a thread write what is said to the zone's log on disk from now on, and what was said before.
pub(crate) fn start_file(layout: &Layout, zone: &ZoneName) {
    let dir = layout.log_dir();
    let opened =
        zone_config::file::make_dir(&dir, 0o700).map_err(|error| zone_sys::Chain(&error).to_string());
    let opened = opened.and_then(|()| {
        let limits = LogLimits { bytes: SIZE, files: 2, ..LogLimits::default() };
        ConsoleLog::open(&dir, &layout.log_name(zone), limits).map_err(|e| zone_sys::Chain(&e).to_string())
    });
    let file = match opened {
        Ok(file) => file,
        Err(error) => return tracing::warn!("the zone has no log of its own: {error}"),
    };
    let (sender, receiver) = sync_channel(WAITING);
    let started = std::thread::Builder::new().name("log".into()).spawn(move || write(file, &receiver));
    if started.is_err() {
        return;
    }
    let mut output = lock(&OUTPUT);
    if let Output::Early(lines) = std::mem::replace(&mut *output, Output::Thread(sender.clone())) {
        lines.into_iter().for_each(|line| drop(sender.try_send(Work::Line(line))));
    }
}

fn write(mut file: ConsoleLog, work: &Receiver<Work>) {
    for work in work {
        match work {
            // A full disk is no reason to do anything else than before.
            Work::Line(line) => drop(file.append(line.as_bytes())),
            Work::Flush(done) => drop(done.send(())),
        }
    }
}

/// Waits until all is written, but not for a disk that hangs.
pub(crate) fn flush() {
    let (done, wait) = sync_channel(1);
    if let Output::Thread(sender) = &*lock(&OUTPUT)
        && sender.try_send(Work::Flush(done)).is_err()
    {
        return;
    }
    let _ = wait.recv_timeout(LAST);
}

/// Which incarnation there is.
pub(crate) fn is_of(uniqid: Option<u64>) {
    lock(&AT).uniqid = uniqid;
}

/// An operation begins, or none is any more.
pub(crate) fn is_at(operation: Option<Operation>) {
    let mut at = lock(&AT);
    at.operation = operation.map(Operation::as_str);
    at.step = None;
    if operation.is_none() {
        at.caller_uid = None;
    }
}

/// A step begins.
pub(crate) fn takes(step: &'static str) {
    lock(&AT).step = Some(step);
}

/// Somebody asks for something.
pub(crate) fn is_asked_by(uid: u32) {
    lock(&AT).caller_uid = Some(uid);
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

    /// Forms the datagram that logs `text` of `zone`. `priority` is that of syslog(3), without a facility. `text` is one line: what
    /// comes behind a line's end would be a field of its own to the journal.
    fn datagram(self, zone: &ZoneName, priority: u8, text: &str, at: &At) -> String {
        const DAEMON: u8 = 3;
        let pid = std::process::id();
        match self {
            Self::Journal => {
                let At { uniqid, operation, step, caller_uid } = *at;
                let mut fields = format!(
                    "MESSAGE=[zone '{zone}'] {text}\nPRIORITY={priority}\nSYSLOG_FACILITY={DAEMON}\n\
                     SYSLOG_IDENTIFIER=zoneadmd\nSYSLOG_PID={pid}\nZONE={zone}\n"
                );
                let optional = [
                    ("UNIQID", uniqid.map(|uniqid| uniqid.to_string())),
                    ("OPERATION", operation.map(str::to_owned)),
                    ("STEP", step.map(str::to_owned)),
                    ("CALLER_UID", caller_uid.map(|uid| uid.to_string())),
                ];
                for (name, value) in optional {
                    value.into_iter().for_each(|value| fields.extend([name, "=", &value, "\n"]));
                }
                fields
            }
            Self::Syslog => {
                format!("<{}>zoneadmd[{pid}]: [zone '{zone}'] {text}", DAEMON << 3 | priority)
            }
        }
    }
}

/// Takes every message.
struct Log {
    zone: ZoneName,
    form: Form,
}

/// The text of a message.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let (priority, level) = match *event.metadata().level() {
            tracing::Level::ERROR => (3, "error"),
            tracing::Level::WARN => (4, "warning"),
            tracing::Level::INFO => (6, "info"),
            _ => (7, "debug"),
        };
        let mut text = Text::default();
        event.record(&mut text);
        let text = zone_console::sanitize::harmless(text.0.trim_end()).replace('\n', " ");
        let at = *lock(&AT);
        let datagram = self.form.datagram(&self.zone, priority, &text, &at);
        // A host without a log daemon has nobody to tell; a full socket must not stop a zone.
        if let Ok(socket) = UnixDatagram::unbound()
            && socket.set_nonblocking(true).is_ok()
        {
            let _ = socket.send_to(datagram.as_bytes(), self.form.socket());
        }
        let line = Line { time: now(), level, message: &text, at };
        let Ok(line) = serde_json::to_string(&line) else { return };
        match &mut *lock(&OUTPUT) {
            Output::Early(lines) if lines.len() < WAITING => lines.push(line + "\n"),
            Output::Early(_) => {}
            Output::Thread(sender) => drop(sender.try_send(Work::Line(line + "\n"))),
        }
    }
}

/// Now, in UTC, as RFC 3339 has it, with milliseconds.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = zone_console::notice::utc(since.as_secs());
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At = At { uniqid: Some(7), operation: Some("boot"), step: Some("root"), caller_uid: Some(0) };

    #[test]
    fn each_form_names_the_zone_in_words() {
        let zone: ZoneName = "web".parse().unwrap();
        let pid = std::process::id();
        let syslog = Form::Syslog.datagram(&zone, 4, "it ends", &AT);
        assert_eq!(syslog, format!("<28>zoneadmd[{pid}]: [zone 'web'] it ends"));
        let journal = Form::Journal.datagram(&zone, 4, "it ends MESSAGE=x", &AT);
        let fields: Vec<_> = journal.lines().map(|line| line.split_once('=').unwrap()).collect();
        assert_eq!(fields[0], ("MESSAGE", "[zone 'web'] it ends MESSAGE=x"));
        assert_eq!(
            fields[5..],
            [("ZONE", "web"), ("UNIQID", "7"), ("OPERATION", "boot"), ("STEP", "root"), ("CALLER_UID", "0")]
        );
        let idle = Form::Journal.datagram(&zone, 4, "it ends", &At::default());
        assert!(idle.ends_with("\nZONE=web\n"), "{idle}");
    }

    #[test]
    fn a_line_is_json() {
        let line = Line { time: now(), level: "info", message: "a \"b\"", at: AT };
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.ends_with(
            "\"level\":\"info\",\"message\":\"a \\\"b\\\"\",\"uniqid\":\"7\",\"operation\":\"boot\",\"step\":\"root\",\"caller_uid\":0}"
        ), "{text}");
        let time = &line.time;
        assert!(time.len() == "2026-11-28T15:23:59.123Z".len() && time.starts_with("20"), "{time}");
        let idle = Line { at: At::default(), ..line };
        assert!(!serde_json::to_string(&idle).unwrap().contains("uniqid"));
    }
}
