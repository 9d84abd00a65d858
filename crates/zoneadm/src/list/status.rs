//! `zoneadm status`: what there is to know of a zone, on one screen.

use std::io::Write;

use zone_config::lastexit::{How, LastExit};
use zone_config::{Entry, Layout, State, here};
use zone_console::log::{LogReader, Style};
use zone_console::sanitize::visible;

use super::json;
use super::row::{Forbidden, Row, UNKNOWN, failure};
use crate::cli::watch::{ListArgs, StatusArgs};
use crate::context::{Context, Selection};
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::{daemon, live, processes, time};

/// How many lines of the console are shown of a zone that failed.
const LINES: usize = 8;
/// How much of the console's log is kept to find them in.
const TAIL: usize = 16 * 1024;

pub(crate) fn run(cx: &Context, args: &StatusArgs) -> Outcome {
    if let Some(name) = here::confined() {
        return show(&cx.layout, &[Row::here(name)], args);
    }
    let index = cx.index()?;
    let entries = match &cx.choice {
        Some(choice) => choice.named(&index)?,
        None => match cx.select()? {
            Selection::Zone(entry) => vec![entry],
            Selection::Global => return show(&cx.layout, &[Row::global()], args),
            // Without a name it is about all of them, for which there is a table.
            Selection::Nothing => {
                let json = args.json;
                let all = ListArgs { configured: true, verbose: !json, json, ..ListArgs::default() };
                return super::run(cx, &all);
            }
        },
    };
    let mut rows = Vec::new();
    let mut failed = false;
    for entry in &entries {
        match look(&cx.layout, entry) {
            Ok(Some(row)) if cx.choice.as_ref().is_none_or(|choice| choice.is_wanted(row.state)) => {
                rows.push(row);
            }
            Ok(Some(_)) => {}
            // It has been told.
            Ok(None) => failed = true,
            Err(Forbidden) => {
                return Err(Failure::general(anyhow::anyhow!(
                    "only a privileged user may see the status of a zone."
                )));
            }
        }
    }
    show(&cx.layout, &rows, args)?;
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn look(layout: &Layout, entry: &Entry) -> Result<Option<Row>, Forbidden> {
    let Some(mut row) = Row::of(entry, live::ask(layout, &entry.name))? else { return Ok(None) };
    if !row.complete(layout, true) {
        return Ok(None);
    }
    row.ask_daemon(layout);
    row.look_at_readiness(layout);
    row.look_at_network(layout);
    row.look_at_limits(layout);
    Ok(Some(row))
}

fn show(layout: &Layout, rows: &[Row], args: &StatusArgs) -> Outcome {
    let mut out = Output::new();
    if args.json {
        out.json(&rows.iter().map(json::Zone::of).collect::<Vec<_>>())?;
        return out.end();
    }
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.line("")?;
        }
        for line in screen(layout, row, time::now()) {
            out.line(&line)?;
        }
    }
    out.end()
}

/// The lines about one zone.
fn screen(layout: &Layout, row: &Row, now: u64) -> Vec<String> {
    let mut lines = Lines(vec![head(row, now)]);
    let served = row.daemon.as_ref();
    if let Some(operation) = served.and_then(|daemon| daemon.operation) {
        let step = served.and_then(|daemon| daemon.step.as_deref()).unwrap_or("not begun");
        let waiting = served.and_then(|daemon| daemon.waiting.as_deref());
        let waiting = waiting.map_or_else(String::new, |text| format!(", waits: {text}"));
        lines.add("operation", format!("{operation}, now: {step}{waiting}"));
    }
    lines.add_if("operation", row.at_work.clone());
    let brand = row.brand.as_deref().unwrap_or(UNKNOWN);
    let ip = match row.ip_type {
        Some("excl") => "exclusive",
        other => other.unwrap_or(UNKNOWN),
    };
    lines.add("brand", format!("{brand}, ip-type {ip}"));
    lines.add("zonepath", row.zonepath.display().to_string());
    lines.add_if("uuid", row.uuid.map(|uuid| uuid.to_string()));
    lines.add_if("root", row.root_note());
    let last = row.last_exit();
    lines.add_if("last end", last.as_ref().map(|exit| end(exit, now)));
    let restarts = row.live.map_or(0, |status| status.restarts);
    if restarts > 0 {
        lines.add("restarts", format!("{restarts} in a row, of its init"));
    }
    for net in row.network.iter().flat_map(|network| &network.nets) {
        let (name, addresses) = match &net.inside {
            Some(link) => (link.name.as_str(), link.wide.join(", ")),
            None => (net.physical.as_str(), "is gone".to_owned()),
        };
        lines
            .add("address", format!("{name} {}", if addresses.is_empty() { "has none" } else { &addresses }));
    }
    if let Some(limits) = &row.limits {
        limits.lines().into_iter().for_each(|(name, text)| lines.add(name, text));
    }
    if let (Some(zone), Some(first)) = (&row.zone, row.id()) {
        let all = processes::of(layout, zone, first);
        let init = all.iter().find(|process| process.pid == first);
        let init =
            init.map_or_else(String::new, |init| format!(", the first is {} ({})", init.command, init.pid));
        lines.add("processes", format!("{}{init}", all.len()));
    }
    for console in served.iter().flat_map(|daemon| &daemon.consoles) {
        let how = if console.read_only { "watches" } else { "is attached" };
        let (pid, uid, since) = (console.pid, console.uid, time::local(console.since));
        lines.add("console", format!("process {pid} of user {uid} {how} since {since}"));
    }
    if let Some(count) = row.differs.as_ref().map(Vec::len).filter(|&count| count > 0) {
        let what = if count == 1 { "1 change is" } else { &format!("{count} changes are") };
        let text = format!("{what} configured that it does not have: zoneadm -z {} apply -n", row.name);
        lines.add("differs", text);
    }
    let failed = last.as_ref().is_some_and(|exit| failure(exit, exit.restarts).is_some());
    // What is said on a console is for who manages the zone, and status for more than those.
    let may_read = daemon::behalf().is_none();
    if let (Some(zone), false, true, true) = (&row.zone, row.is_up(), failed, may_read) {
        let said = console(layout, zone.as_str());
        if !said.is_empty() {
            lines.0.push(format!("  {:<10} zoneadm console {zone} --log; it ends with:", "console"));
            lines.0.extend(said.into_iter().map(|line| format!("    {line}")));
        }
    }
    lines.0
}

/// Name, state and since when.
fn head(row: &Row, now: u64) -> String {
    let state = row.state.map_or(UNKNOWN, State::as_str);
    let since = row.daemon.as_ref().and_then(|daemon| daemon.since).or(row.live.map(|status| status.since));
    let since = since.filter(|&since| since > 0);
    let since = since.map(|since| (time::local(since), time::lasting(now.saturating_sub(since))));
    let text = match (since, row.id().filter(|&pid| pid > 0)) {
        (Some((since, lasting)), Some(pid)) => format!("{state} since {since} ({lasting}), process {pid}"),
        (Some((since, lasting)), None) => format!("{state} since {since} ({lasting})"),
        (None, Some(pid)) => format!("{state}, process {pid}"),
        (None, None) => state.to_owned(),
    };
    format!("{}: {}", row.name, zone_locale::here(&text))
}

/// How it last ended, in words.
fn end(exit: &LastExit, now: u64) -> String {
    let how = match (exit.how, exit.status, exit.signal) {
        (How::Exited, Some(status), _) => format!("its init ended with exit status {status}"),
        (How::Exited, None, _) => "its init ended".to_owned(),
        (How::Killed, _, Some(signal)) => format!("its init was killed by signal {signal}"),
        (How::Killed, _, None) => "its init was killed".to_owned(),
        (How::Crashed, _, Some(signal)) => format!("its init crashed with signal {signal}"),
        (How::Crashed, _, None) => "its init crashed".to_owned(),
        (How::Poweroff, ..) => "powered off from inside".to_owned(),
        (How::Rebooted, ..) => "rebooted".to_owned(),
        (How::Halted, ..) => "halted by an administrator".to_owned(),
        (How::Shutdown, ..) => "shut down by its init, as an administrator asked".to_owned(),
        (How::Unknown, ..) => "nobody saw how".to_owned(),
    };
    let again = match exit.restarts {
        0 => String::new(),
        1 => ", after 1 restart".to_owned(),
        many => format!(", after {many} restarts"),
    };
    let when = format!("{} ({} ago)", time::local(exit.when), time::lasting(now.saturating_sub(exit.when)));
    format!("{how}{again}, {when}")
}

/// The last lines of a zone's console that say something.
fn console(layout: &Layout, zone: &str) -> Vec<String> {
    let mut tail = Tail::default();
    let log = LogReader::open(&layout.log_dir(), &format!("{zone}.console.log"), Style::Terminal);
    // There may be none, or no right to read it: then there is nothing to show.
    if log.and_then(|mut log| log.copy(&mut tail, false)).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&tail.0);
    let lines: Vec<String> =
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(visible).collect();
    lines[lines.len().saturating_sub(LINES)..].to_vec()
}

/// The end of what is written to it.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * TAIL {
            self.0.drain(..self.0.len() - TAIL);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lines, each with what it is about.
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, text: String) {
        let (name, text) = (zone_locale::here(name), zone_locale::here(&text));
        self.0.push(format!("  {name:<10} {text}"));
    }

    fn add_if(&mut self, name: &str, text: Option<String>) {
        if let Some(text) = text {
            self.add(name, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_words() {
        let exit =
            |how, status, signal, restarts| LastExit { uniqid: 3, how, status, signal, when: 100, restarts };
        let said = end(&exit(How::Exited, Some(1), None, 5), 160);
        assert!(said.starts_with("its init ended with exit status 1, after 5 restarts, "), "{said}");
        assert!(said.ends_with("(1 min ago)"), "{said}");
        assert!(
            end(&exit(How::Crashed, None, Some(11), 0), 100).starts_with("its init crashed with signal 11, ")
        );
    }

    #[test]
    fn the_tail_of_a_long_log_is_kept() {
        let mut tail = Tail::default();
        for at in 0..100_000 {
            writeln!(tail, "line {at}").unwrap();
        }
        assert!(tail.0.len() <= 2 * TAIL && tail.0.ends_with(b"line 99999\n"));
    }
}
