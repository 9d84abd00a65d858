//! `zoneadm apply`: gives a zone that is up what is configured by now.

use serde::Serialize;
use zone_config::change;
use zone_door::{Change, Request};

use crate::cli::lead::ApplyArgs;
use crate::context::Context;
use crate::daemon;
use crate::message::Outcome;
use crate::output::Output;
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: ApplyArgs) -> Outcome {
    let target = sanity::check(cx, Action::Apply)?;
    let request =
        Request::Apply { dry_run: args.dry_run, config: None, base: None, locale: daemon::locale() };
    let result = daemon::request(target.layout, target.name(), &request)?;
    let changes = result.changes.unwrap_or_default();
    let mut out = Output::new();
    if args.json {
        let zone = target.name().as_str();
        out.json(&Applied { zone, dry_run: args.dry_run, changes: &changes })?;
    } else if !args.quiet {
        for line in change::lines(&changes, args.dry_run) {
            out.said(&format!("zone '{}': {line}", target.name()))?;
        }
    }
    out.end()
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Applied<'a> {
    zone: &'a str,
    /// Whether nothing was put in force.
    dry_run: bool,
    /// What differed; what is `live` of it is in force now.
    changes: &'a [Change],
}
