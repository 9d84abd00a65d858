//! `zoneadm boot`: starts a zone.

use std::time::Duration;

use serde::Serialize;
use zone_config::{Layout, ZoneName};
use zone_door::{OpResult, Request};

use crate::cli::lead::BootArgs;
use crate::context::Context;
use crate::daemon;
use crate::live;
use crate::message::{Failure, Outcome};
use crate::output::Output;
use crate::sanity::{self, Action};
use crate::verbs::{verify, wait};

pub(crate) fn run(cx: &Context, args: &BootArgs) -> Outcome {
    let target = sanity::check(cx, Action::Boot)?;
    verify::before(&target)?;
    let request =
        Request::Boot { bootargs: bootargs(args), writable: args.writable, locale: daemon::locale() };
    let result = daemon::request(target.layout, target.name(), &request)?;
    let waited = match args.wait {
        Some(seconds) => wait(target.layout, target.name(), seconds),
        None => Ok(()),
    };
    if !args.timings {
        return waited;
    }
    let mut out = Output::new();
    if args.json {
        out.json(&Timings::of(&result))?;
    } else {
        for line in table(&Timings::of(&result)) {
            out.line(&line)?;
        }
    }
    out.end()?;
    waited
}

/// Waits for the incarnation that is there by now. That none is may be its end already.
fn wait(layout: &Layout, zone: &ZoneName, seconds: u32) -> Outcome {
    let status = live::ask(layout, zone)
        .map_err(|error| Failure::of(zone)(anyhow::Error::new(error).context("could not get state")))?;
    let limit = Some(Duration::from_secs(seconds.into()));
    wait::ready(layout, zone, Some(status.map_or(0, |status| status.uniqid)), limit)
}

/// `boot -s` is how it was written before there were boot arguments.
fn bootargs(args: &BootArgs) -> String {
    match (args.single, args.bootargs.is_empty()) {
        (false, _) => args.bootargs.text(),
        (true, true) => "-s".to_owned(),
        (true, false) => format!("-s {}", args.bootargs.text()),
    }
}

/// Where the time of a boot went.
#[derive(Debug, Serialize)]
struct Timings<'a> {
    total_usec: u64,
    steps: Vec<Timing<'a>>,
}

/// One step.
#[derive(Debug, Serialize)]
struct Timing<'a> {
    step: &'a str,
    usec: u64,
    /// Of the whole, in percent.
    share: f64,
}

impl<'a> Timings<'a> {
    fn of(result: &'a OpResult) -> Self {
        let total_usec: u64 = result.timings.iter().map(|step| step.usec).sum();
        // A share is shown to a tenth of a percent; the two conversions lose less.
        #[allow(clippy::cast_precision_loss)]
        let share = |usec: u64| (usec as f64 / total_usec.max(1) as f64 * 1000.0).round() / 10.0;
        let steps = result.timings.iter();
        let steps = steps.map(|step| Timing { step: &step.name, usec: step.usec, share: share(step.usec) });
        Self { total_usec, steps: steps.collect() }
    }
}

fn table(timings: &Timings<'_>) -> Vec<String> {
    let names = timings.steps.iter().map(|timing| timing.step.chars().count());
    let width = names.max().unwrap_or_default().max("STEP".len());
    let row = |step: &str, usec: &str, share: &str| format!("{step:width$} {usec:>10} {share:>6}");
    let mut lines = vec![row("STEP", "USEC", "SHARE")];
    for timing in &timings.steps {
        lines.push(row(timing.step, &timing.usec.to_string(), &format!("{:.1}%", timing.share)));
    }
    lines.push(row("total", &timings.total_usec.to_string(), ""));
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use zone_door::{State, Step};

    use super::*;
    use crate::cli::{Cli, Verb};

    #[test]
    fn single_user_the_old_way_and_the_new() {
        for (line, expected) in [
            ("zoneadm -z a boot", ""),
            ("zoneadm -z a boot -s", "-s"),
            ("zoneadm -z a boot -- -s", "-s"),
            ("zoneadm -z a boot -s -- -m verbose", "-s -m verbose"),
        ] {
            let Verb::Boot(args) = Cli::try_parse_from(line.split(' ')).unwrap().verb else { panic!() };
            assert_eq!(bootargs(&args), expected, "{line}");
        }
    }

    #[test]
    fn the_time_adds_up() {
        let step = |name: &str, usec| Step { name: name.into(), usec };
        let timings = vec![step("mount root", 900), step("exec", 100)];
        let result = OpResult { messages: vec![], timings, state: State::Running, changes: None };
        assert_eq!(
            table(&Timings::of(&result)),
            [
                "STEP             USEC  SHARE",
                "mount root        900  90.0%",
                "exec              100  10.0%",
                "total            1000",
            ]
        );
        let none = OpResult { messages: vec![], timings: vec![], state: State::Running, changes: None };
        assert_eq!(table(&Timings::of(&none)).len(), 2);
    }
}
