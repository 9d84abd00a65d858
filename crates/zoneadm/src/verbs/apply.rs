//! `zoneadm apply`: gives a zone that is up what is configured by now.

use serde::Serialize;
use zone_config::schema::Applies;
use zone_door::{Change, Request};

use crate::cli::ApplyArgs;
use crate::context::Context;
use crate::daemon;
use crate::message::Outcome;
use crate::output::Output;
use crate::sanity::{self, Action};

pub(crate) fn run(cx: &Context, args: ApplyArgs) -> Outcome {
    let target = sanity::check(cx, Action::Apply)?;
    let request = Request::Apply { dry_run: args.dry_run, locale: daemon::locale() };
    let result = daemon::request(target.layout, target.name(), &request)?;
    let changes = result.changes.unwrap_or_default();
    let mut out = Output::new();
    if args.json {
        let zone = target.name().as_str();
        out.json(&Applied { zone, dry_run: args.dry_run, changes: &changes })?;
    } else if !args.quiet {
        for line in lines(&changes, args.dry_run) {
            out.line(&format!("zone '{}': {line}", target.name()))?;
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

/// What is done, and what waits; in the words of Solaris, as far as it has some.
fn lines(changes: &[Change], dry_run: bool) -> Vec<String> {
    let (live, later): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.applies == Applies::Live);
    let mut lines: Vec<String> = live.iter().map(|change| format!("Checking: {change}")).collect();
    for change in later {
        let waits = match change.applies {
            Applies::Sealed => "cannot be: the zone is installed",
            _ => "waits until the zone boots next",
        };
        lines.push(format!("{change} {waits}"));
    }
    match (live.is_empty(), dry_run) {
        (true, _) if changes.is_empty() => lines.push("It has what is configured".to_owned()),
        (true, _) => lines.push("Nothing to apply".to_owned()),
        (false, true) => lines.push("Nothing was changed, for this was only a trial".to_owned()),
        (false, false) => lines.push("Applied the changes".to_owned()),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use zone_config::change::Action;

    #[test]
    fn what_is_done_and_what_waits_is_told_apart() {
        let change = |property: &str, applies| Change {
            action: Action::Modify,
            resource: None,
            property: Some(property.to_owned()),
            from: None,
            to: Some("7".to_owned()),
            applies,
        };
        let both = [change("max-lwps", Applies::Live), change("hostname", Applies::NextBoot)];
        assert_eq!(
            lines(&both, false),
            [
                "Checking: Modifying max-lwps=7",
                "Modifying hostname=7 waits until the zone boots next",
                "Applied the changes"
            ]
        );
        assert_eq!(lines(&both[..1], true).last().unwrap(), "Nothing was changed, for this was only a trial");
        assert_eq!(lines(&both[1..], false).last().unwrap(), "Nothing to apply");
        assert_eq!(lines(&[], true), ["It has what is configured"]);
    }
}
