//! `zoneadm console --log`: what was said on a zone's console, from its log on disk.
//!
//! No daemon is needed: the log is there when the zone is down, and when it is deleted. But one that has left a zone that is up, since
//! nothing needed it, comes back, since nobody else logs what the zone says; and it stays as long as the log is followed.

use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use zone_config::{Layout, ZoneName, here};
use zone_console::log::{LogReader, Style};
use zone_door::Client;

use crate::cli::watch::ConsoleArgs;
use crate::context::{Context, Selection};
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::sanity;

/// A daemon answers at once, or is ill.
const ANSWER: Duration = Duration::from_secs(10);
/// How often to look for a daemon where there is none.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(cx: &Context, args: &ConsoleArgs) -> Outcome {
    let cx = &named(cx, args)?;
    sanity::only_root_here("read the console log of a zone")?;
    let zone = &find(cx)?;
    if args.follow {
        have_logged(&cx.layout, zone)?;
    } else {
        // It has logged all that was said by the time that it answers.
        let _ = Client::connect(&cx.layout.zone_run(zone)).err().and_then(|_| answered(&cx.layout, zone));
    }
    let style = if io::stdout().is_terminal() { Style::Terminal } else { Style::Raw };
    copy(&cx.layout, zone, style, &mut Output::raw()?, args.follow)
}

/// Calls the daemon of the zone, if there is one, or was until nothing needed it any more, and holds on to it.
fn answered(layout: &Layout, zone: &ZoneName) -> Option<Client> {
    let mut door = super::events::reached(layout, zone)?;
    door.set_timeout(Some(ANSWER)).ok()?;
    door.status().ok()?;
    door.set_timeout(None).ok()?;
    Some(door)
}

/// Has the zone's daemon be there from now on, whenever the zone is up.
fn have_logged(layout: &Layout, zone: &ZoneName) -> Outcome {
    let first = answered(layout, zone);
    let (layout, zone) = (layout.clone(), zone.clone());
    let hold = move || {
        let mut door = first;
        loop {
            if let Some(events) = door.and_then(|door| door.monitor().ok()) {
                // Until it has gone: another may come.
                events.map_while(Result::ok).for_each(drop);
            }
            thread::sleep(LOOK);
            door = answered(&layout, &zone);
        }
    };
    thread::Builder::new().spawn(hold).map_err(Failure::general)?;
    Ok(())
}

/// The context with the zone that stands behind the verb, and a command line that is all there.
fn named(cx: &Context, args: &ConsoleArgs) -> Outcome<Context> {
    let cx = cx.about(args.zone.as_deref()).ok_or_else(|| {
        Failure::Usage(
            "console: the zone was named twice; name it once, by -z, by -u or after \"console\"".into(),
        )
    })?;
    if !args.log {
        let name = cx.zone_text().unwrap_or("ZONE");
        return Err(Failure::Usage(format!(
            "console: add --log to see what was said on the console; to attach to it, run \"zlogin -C {name}\""
        )));
    }
    if !cx.names_a_zone() {
        return Err(Failure::Usage(
            "console: no zone specified; name it, as in \"zoneadm console web --log\"".into(),
        ));
    }
    Ok(cx)
}

/// The zone that was named. One that is deleted by now still has its log.
fn find(cx: &Context) -> Outcome<ZoneName> {
    match cx.select() {
        Ok(Selection::Zone(entry)) => Ok(entry.name),
        Ok(Selection::Global | Selection::Nothing) => {
            Err(Failure::text(here::GLOBAL, "console operation is invalid for the global zone."))
        }
        Err(failure) => {
            let name = cx.zone_text().and_then(|text| text.parse().ok());
            name.filter(|name| is_there(&cx.layout.log_dir(), &file_name(name))).ok_or(failure)
        }
    }
}

/// What the zone's daemon calls the log.
fn file_name(zone: &ZoneName) -> String {
    format!("{zone}.console.log")
}

/// Whether there is a log. For a moment of every rotation only its older files have a name. A
/// directory that cannot be searched is for the reader to complain about.
fn is_there(dir: &Path, name: &str) -> bool {
    let is_missing = |path: &Path| {
        path.symlink_metadata()
            .is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    };
    !is_missing(&dir.join(name)) || !is_missing(&dir.join(format!("{name}.1")))
}

fn copy(layout: &Layout, zone: &ZoneName, style: Style, out: &mut dyn Write, follow: bool) -> Outcome {
    let (dir, name) = (layout.log_dir(), file_name(zone));
    if !is_there(&dir, &name) {
        let path = dir.join(&name);
        return Err(Failure::text(
            zone,
            format!(
                "no console log {} yet; it begins with the first \"zoneadm boot\" or \"zlogin -C\"",
                path.display()
            ),
        ));
    }
    let done = LogReader::open(&dir, &name, style).and_then(|mut log| log.copy(out, follow));
    done.map_err(|error| super::log::unshown(zone, error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use zone_console::log::{ConsoleLog, LogLimits};

    use super::*;
    use crate::cli::{Cli, Verb};

    /// What `named` makes of a command line: the zone, or how it complains.
    fn zone(line: &str) -> Result<String, String> {
        let cli = Cli::try_parse_from(["zoneadm"].into_iter().chain(line.split(' ')))
            .map_err(|error| error.kind().to_string())?;
        let Verb::Console(args) = &cli.verb else { panic!("{line}") };
        match named(&Context::new(&cli).unwrap(), args) {
            Ok(cx) => Ok(cx.zone_text().unwrap_or_default().to_owned()),
            Err(Failure::Usage(text)) => Err(text),
            Err(other) => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_zone_may_stand_before_or_behind() {
        assert_eq!(zone("console web --log").unwrap(), "web");
        assert_eq!(zone("console --log web --follow").unwrap(), "web");
        assert_eq!(zone("-z web console --log -f").unwrap(), "web");
        assert_eq!(zone("-z web console web --log").unwrap(), "web");
        assert!(zone("-z web console db --log").unwrap_err().contains("named twice"));
        let uuid = "-u 6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert!(zone(&format!("{uuid} console web --log")).unwrap_err().contains("named twice"));
        assert_eq!(zone(&format!("{uuid} console --log")).unwrap(), "");
        assert!(zone("console --log").unwrap_err().contains("no zone specified"));
    }

    #[test]
    fn says_where_to_attach() {
        assert!(zone("console web").unwrap_err().ends_with("\"zlogin -C web\""));
        assert!(zone("-z web console").unwrap_err().ends_with("\"zlogin -C web\""));
        // What there is to follow is the log.
        assert!(zone("console web --follow").unwrap_err().contains("required"));
    }

    struct Stage {
        _root: tempfile::TempDir,
        layout: Layout,
        web: ZoneName,
    }

    fn stage() -> Stage {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(root.path().to_owned())).unwrap();
        std::fs::create_dir_all(layout.log_dir()).unwrap();
        Stage { _root: root, layout, web: "web".parse().unwrap() }
    }

    fn log(stage: &Stage, bytes: &[u8]) {
        let dir = stage.layout.log_dir();
        ConsoleLog::open(&dir, "web.console.log", LogLimits::default()).unwrap().append(bytes).unwrap();
    }

    #[test]
    fn terminals_get_text_and_pipes_get_bytes() {
        let stage = stage();
        log(&stage, b"\x1b[2Jlogin: \x07\r\n");
        let read = |style| {
            let mut out = Vec::new();
            copy(&stage.layout, &stage.web, style, &mut out, false).unwrap();
            out
        };
        assert_eq!(read(Style::Raw), b"\x1b[2Jlogin: \x07\r\n");
        assert_eq!(read(Style::Terminal), b"login: ^G\n");
    }

    #[test]
    fn no_log_is_said_with_its_place() {
        let stage = stage();
        let complaint =
            |stage: &Stage| match copy(&stage.layout, &stage.web, Style::Raw, &mut io::sink(), true) {
                Err(Failure::Error { zone, error }) => {
                    assert_eq!(zone.as_deref(), Some("web"));
                    zone_sys::Chain(error.as_ref()).to_string()
                }
                other => panic!("{other:?}"),
            };
        let said = complaint(&stage);
        assert!(said.contains("var/log/zones/web.console.log yet; it begins with"), "{said}");
        std::fs::remove_dir(stage.layout.log_dir()).unwrap();
        assert!(complaint(&stage).contains("yet; it begins with"));
    }

    #[test]
    fn a_rotation_is_not_mistaken_for_none() {
        let stage = stage();
        log(&stage, b"x");
        let dir = stage.layout.log_dir();
        std::fs::rename(dir.join("web.console.log"), dir.join("web.console.log.1")).unwrap();
        assert!(is_there(&dir, "web.console.log"));
    }

    /// Fails like a pipe whose reader has left, or like a full disk.
    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_stops_reading_is_no_failure() {
        let stage = stage();
        log(&stage, b"x");
        let outcome = |kind| copy(&stage.layout, &stage.web, Style::Raw, &mut Fails(kind), true);
        assert!(matches!(outcome(ErrorKind::BrokenPipe), Err(Failure::Unread)));
        let Err(Failure::Error { zone: None, error }) = outcome(ErrorKind::StorageFull) else { panic!() };
        assert!(format!("{error:#}").starts_with("cannot write to standard output: "));
    }
}
