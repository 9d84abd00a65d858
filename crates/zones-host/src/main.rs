//! What the host's service manager runs, and people do not: boots zones with the host and takes them down with it. systemd has
//! it do so for one zone at a time, as the process that a zone's unit stands on; elsewhere a script has it do so for all.
#![forbid(unsafe_code)]

mod all;
mod child;
mod deadline;
mod machine;
mod notify;
mod ready;
mod slots;
mod stop;
mod unit;
mod watch;

use std::process::ExitCode;

use zone_config::settings::SettingsError;
use zone_config::{Layout, Settings, ZoneName};
use zone_sys::Chain;

use crate::deadline::Deadline;

const USAGE: &str =
    "usage: zones-host {start | stop} ZONE\n       zones-host {begin | boot | shutdown | end}";

/// Why something was not done; none if whoever was asked has said why.
type Failed = Option<String>;

fn main() -> ExitCode {
    if zone_sys::stdio::asked_for_version("zones-host", env!("CARGO_PKG_VERSION")) {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["start", zone] => on(zone, unit::start),
        ["stop", zone] => on(zone, unit::stop),
        ["begin"] => layout().map(|layout| deadline::forget(&layout)),
        ["boot"] => layout().and_then(|layout| all::boot(&layout)),
        ["shutdown"] => layout().and_then(|layout| all::shutdown(&layout, Deadline::from_now)),
        // Whoever only restarts the service does not mean the zones.
        ["end"] if !unit::goes_down() => Ok(()),
        // The units of zones have the same time.
        ["end"] => {
            layout().and_then(|layout| all::shutdown(&layout, |settings| Deadline::of(&layout, settings)))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(told) => {
            told.iter().for_each(|why| say(why));
            ExitCode::FAILURE
        }
    }
}

fn on(zone: &str, what: impl FnOnce(&Layout, &ZoneName) -> Result<(), Failed>) -> Result<(), Failed> {
    let zone = zone.parse().map_err(|error| failed(&error))?;
    what(&layout()?, &zone)
}

fn layout() -> Result<Layout, Failed> {
    Layout::new(None).map_err(|error| failed(&error))
}

/// The settings. That they are wrong keeps no zone down: then they are the usual ones.
fn settings(layout: &Layout) -> Settings {
    let usual = |error: SettingsError| {
        say(&format!("{}; what it sets is not obeyed", Chain(&error)));
        Settings::default()
    };
    Settings::load(layout).unwrap_or_else(usual)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failed {
    Some(Chain(error).to_string())
}

/// Says something where the service manager keeps it.
fn say(text: &str) {
    eprintln!("zones-host: {text}");
}
