//! `zoneadm list`: the zones and their states. Works without any daemon, and starts none.

mod format;
mod json;
mod limits;
mod network;
mod row;

use zone_config::{Entry, State, here};

use crate::cli::ListArgs;
use crate::context::{Context, Selection};
use crate::message::{Failure, Outcome, warn};
use crate::output::Output;

use row::{Forbidden, Row};

pub(crate) fn run(cx: &Context, args: ListArgs) -> Outcome {
    check(cx, args)?;
    if let Some(name) = here::zone() {
        let rows = vec![Row::here(name)];
        return Listing { cx, args, rows, failed: false, forbidden: false }.print();
    }
    let mut listing = Listing { cx, args, rows: Vec::new(), failed: false, forbidden: false };
<<<<<<< HEAD
    match cx.select()? {
=======
    if let Some(choice) = &cx.choice {
        let with_state = choice.has_states();
        for entry in choice.named(&index)? {
            let among = |state: Option<State>| state.is_some_and(|state| choice.wants(state));
            listing.add(&entry, |state| !with_state || among(state));
        }
        return listing.end();
    }
    match cx.select(&index)? {
>>>>>>> 1e1fb0b (zoneadm: do a verb to several zones, and say what may be meant)
        Selection::Zone(entry) => listing.add(&entry, |_| true),
        Selection::Global => listing.rows.push(Row::global()),
        Selection::Nothing => {
            let index = cx.index()?;
            index.problems().iter().for_each(warn);
            for entry in index.entries() {
                listing.add(entry, |state| wanted(args, state));
            }
            // What is up comes first, and the host before it; the order of the index stays otherwise.
            listing.rows.sort_by_key(|row| !row.is_up());
            if !args.no_global {
                listing.rows.insert(0, Row::global());
            }
        }
    }
    listing.end()
}

/// Which options go together.
fn check(cx: &Context, args: ListArgs) -> Outcome {
    if args.parsable && args.verbose {
        return Err(Failure::general(anyhow::anyhow!("list -p and -v are mutually exclusive.")));
    }
    if args.net && (args.parsable || args.verbose || args.json) {
        let text = "list: --net is a table of its own and cannot be given with -p, -v and --json";
        return Err(Failure::Usage(text.to_owned()));
    }
    if cx.names_a_zone() && (args.configured || args.installed || args.no_global) {
        let text = "list: -c, -i and -n choose among all zones and cannot be given with -z or -u";
        return Err(Failure::Usage(text.to_owned()));
    }
    Ok(())
}

/// Whether a zone in this state is asked for. An unknown one is neither up nor known not to be.
fn wanted(args: ListArgs, state: Option<State>) -> bool {
    let from = match (args.configured, args.installed) {
        (true, _) => State::Configured,
        (false, true) => State::Installed,
        (false, false) => State::Ready,
    };
    state.map_or(args.configured || args.installed, |state| state >= from)
}

struct Listing<'a> {
    cx: &'a Context,
    args: ListArgs,
    rows: Vec<Row>,
    failed: bool,
    forbidden: bool,
}

impl Listing<'_> {
    /// Adds a zone if it is wanted. One that cannot be looked at has been told about and is left out.
    fn add(&mut self, entry: &Entry, wanted: impl FnOnce(Option<State>) -> bool) {
        let row = match Row::of(&self.cx.layout, entry, self.cx.names_one()) {
            Ok(row) => row,
            Err(Forbidden) => {
                self.forbidden = true;
                Row::unseen(entry)
            }
        };
        let Some(mut row) = row else {
            self.failed = true;
            return;
        };
        if !wanted(row.state) {
            return;
        }
        // A list of names is a list of names: it needs no configuration to be read.
        if self.args.verbose || self.args.parsable || self.args.json {
            self.failed |= !row.complete(&self.cx.layout);
        }
        if self.args.verbose || self.args.json {
            row.ask_daemon(&self.cx.layout);
        }
        if self.args.net || self.args.json {
            row.look_at_network(&self.cx.layout);
        }
        if self.args.verbose || self.args.json {
            row.look_at_limits(&self.cx.layout);
        }
        self.rows.push(row);
    }

    /// Prints it, and says what is missing.
    fn end(&self) -> Outcome {
        self.print()?;
        if self.forbidden {
            warn(
                "only root and members of the group zones can see which zones are up; the state of the others is shown as \"???\"",
            );
        }
        if self.failed { Err(Failure::Told) } else { Ok(()) }
    }

    fn print(&self) -> Outcome {
        let mut out = Output::new();
        if self.args.json {
            let rows = self.rows.iter().map(json::Zone::of);
            out.json(&rows.collect::<Vec<_>>())?;
            return out.end();
        }
        if self.args.net {
            out.line(&format::net_header())?;
            for line in self.rows.iter().flat_map(format::nets) {
                out.line(&line)?;
            }
            return out.end();
        }
        if self.args.verbose {
            out.line(&format::header())?;
        }
        for row in &self.rows {
            let line = match (self.args.verbose, self.args.parsable) {
                (true, _) => format::table(row),
                (false, true) => format::parsable(row),
                (false, false) => row.name.clone(),
            };
            out.line(&line)?;
        }
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_states_are_wanted() {
        let args = |configured, installed| ListArgs { configured, installed, ..ListArgs::default() };
        for (args, from) in [
            (args(false, false), State::Ready),
            (args(false, true), State::Installed),
            (args(true, false), State::Configured),
            (args(true, true), State::Configured),
        ] {
            for state in State::ALL {
                assert_eq!(wanted(args, Some(state)), state >= from, "{state}");
            }
            assert_eq!(wanted(args, None), from < State::Ready);
        }
    }
}
