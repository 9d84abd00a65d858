//! `zoneadm list`: the zones and their states. Works without any daemon, and starts none.

mod columns;
mod format;
mod json;
mod limits;
mod network;
mod row;
pub(crate) mod status;

use std::sync::OnceLock;

use clap::ValueEnum as _;
use rustix::process::{Resource, getrlimit};
use zone_config::{Entry, State, here};
use zone_platform::cgroup::OomKills;
use zsched::client::ClientError;
use zsched::wire::Status;

use crate::cli::watch::ListArgs;
use crate::context::{Context, Selection};
use crate::live;
use crate::message::{Failure, Outcome, warn};
use crate::output::Output;
use crate::table::width;

pub(crate) use columns::Column;
use row::{Forbidden, Row};

pub(crate) fn run(cx: &Context, args: &ListArgs) -> Outcome {
    check(cx, args)?;
    if let Some(name) = here::confined() {
        let rows = vec![Row::here(name)];
        return Listing { cx, args, rows, failed: false, forbidden: false }.print();
    }
    let mut listing = Listing { cx, args, rows: Vec::new(), failed: false, forbidden: false };
    if let Some(choice) = &cx.choice {
        let among = |state: Option<State>| args.in_state.is_empty() || wanted(args, state);
        let entries = choice.named(&cx.index()?)?;
        listing.add(&entries.iter().collect::<Vec<_>>(), |state| choice.is_wanted(state) && among(state));
        return listing.end();
    }
    match cx.select()? {
        Selection::Zone(entry) => listing.add(&[&entry], |_| true),
        Selection::Global => listing.rows.push(Row::global()),
        Selection::Nothing => {
            let index = cx.index()?;
            index.problems().iter().for_each(warn);
            let entries: Vec<&Entry> = index.entries().collect();
            listing.add(&entries, |state| wanted(args, state));
            // What is up comes first, and the host before it. For programs the order of the index stays otherwise.
            let by_name = !args.parsable && !args.json;
            listing.rows.sort_by_key(|row| (!row.is_up(), by_name.then(|| row.name.clone())));
            if !args.no_global && (args.in_state.is_empty() || args.in_state.contains(&State::Running)) {
                listing.rows.insert(0, Row::global());
            }
        }
    }
    listing.end()
}

/// Which options go together.
fn check(cx: &Context, args: &ListArgs) -> Outcome {
    if args.parsable && args.verbose {
        return Err(Failure::Usage("list -p and -v are mutually exclusive.".to_owned()));
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
fn wanted(args: &ListArgs, state: Option<State>) -> bool {
    if !args.in_state.is_empty() {
        return state.is_some_and(|state| args.in_state.contains(&state));
    }
    let from = match (args.configured, args.installed) {
        (true, _) => State::Configured,
        (false, true) => State::Installed,
        (false, false) => State::Ready,
    };
    state.map_or(args.configured || args.installed, |state| state >= from)
}

/// So many zones are worth a thread: most of a look is waiting for who is asked.
const SHARE: usize = 16;
/// So many keepers at most are asked by a thread before it reads the first answer.
const ASKED: usize = 16;
/// The most threads.
const THREADS: usize = 8;

/// What came of a look at one zone.
#[derive(Default)]
struct Looked {
    row: Option<Row>,
    failed: bool,
    forbidden: bool,
}

/// How to look at zones.
struct Look<'a, W> {
    cx: &'a Context,
    args: &'a ListArgs,
    columns: &'a [Column],
    wanted: W,
    /// How many keepers a thread asks at a time.
    asked: usize,
    /// What counts those that were killed in them, once that is asked for.
    kills: OnceLock<OomKills>,
}

impl<W: Fn(Option<State>) -> bool> Look<'_, W> {
    /// Looks at zones, some at a time: their keepers answer while others are asked, and while others are looked at.
    fn at_all(&self, entries: &[&Entry]) -> Vec<Looked> {
        let Context { layout, .. } = self.cx;
        let some = |entries: &[&Entry]| {
            let alone = self.cx.names_one();
            let questions = entries.iter().map(|&entry| live::question(layout, &entry.name, alone));
            // All are asked before the first answer is read.
            let questions: Vec<_> = questions.collect();
            let answered = entries.iter().zip(questions);
            answered.map(|(entry, question)| self.at(entry, question.answer())).collect::<Vec<_>>()
        };
        entries.chunks(self.asked).flat_map(some).collect()
    }

    /// Looks at a zone as far as is asked for.
    fn at(&self, entry: &Entry, asked: Result<Option<Status>, ClientError>) -> Looked {
        let Self { cx, args, columns, wanted, kills, .. } = self;
        let mut looked = Looked::default();
        let row = match Row::of(entry, asked) {
            Ok(row) => row,
            Err(Forbidden) => {
                looked.forbidden = true;
                Row::unseen(entry)
            }
        };
        let Some(mut row) = row else { return Looked { failed: true, ..looked } };
        if !wanted(row.state) {
            return looked;
        }
        // A list of names is a list of names: it needs no configuration to be read.
        let any = |needs: fn(Column) -> bool| columns.iter().any(|column| needs(*column));
        if args.verbose || args.parsable || args.json || any(Column::needs_configuration) {
            looked.failed = !row.complete(&cx.layout, args.json);
        }
        if args.json {
            row.ask_daemon(&cx.layout);
        } else if args.verbose || any(Column::needs_daemon) {
            row.look_at_work(&cx.layout);
        }
        if args.json {
            row.look_at_readiness(&cx.layout);
        }
        if args.net || args.json || any(Column::needs_network) {
            row.look_at_network(&cx.layout);
        }
        if args.json || any(Column::needs_limits) {
            row.look_at_limits(&cx.layout);
        } else if args.verbose || any(Column::needs_kills) {
            row.look_at_kills(kills.get_or_init(|| OomKills::open(&cx.layout)));
        }
        Looked { row: Some(row), ..looked }
    }
}

/// How many keepers each of some threads asks at a time: each takes a descriptor, and half of those that there may be are for what is
/// read besides.
fn asked(threads: usize) -> usize {
    let most = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    most.map_or(ASKED, |most| (most / 2 / threads).clamp(1, ASKED))
}

struct Listing<'a> {
    cx: &'a Context,
    args: &'a ListArgs,
    rows: Vec<Row>,
    failed: bool,
    forbidden: bool,
}

impl Listing<'_> {
    /// Adds the zones that are wanted, in their order. One that cannot be looked at has been told about and is left out.
    fn add(&mut self, entries: &[&Entry], wanted: impl Fn(Option<State>) -> bool + Sync) {
        let (cx, args, columns) = (self.cx, self.args, &self.columns().to_vec());
        let threads = entries.len().div_ceil(SHARE).clamp(1, THREADS);
        let looks = Look { cx, args, columns, wanted, asked: asked(threads), kills: OnceLock::new() };
        let look = |entries: &[&Entry]| looks.at_all(entries);
        let share = entries.len().div_ceil(threads).max(1);
        let looked: Vec<Vec<Looked>> = std::thread::scope(|scope| {
            let start = |share| std::thread::Builder::new().spawn_scoped(scope, move || look(share));
            let mut shares = entries.chunks(share);
            let mine = shares.next();
            // Where there is no thread to be had, this one does it.
            let others: Vec<_> = shares.map(|share| (share, start(share))).collect();
            let mine = mine.map(look);
            let end =
                |(share, thread): (_, std::io::Result<std::thread::ScopedJoinHandle<'_, _>>)| match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(_) => look(share),
                };
            mine.into_iter().chain(others.into_iter().map(end)).collect()
        });
        for Looked { row, failed, forbidden } in looked.into_iter().flatten() {
            self.rows.extend(row);
            self.failed |= failed;
            self.forbidden |= forbidden;
        }
    }

    /// The columns that were asked for: all of them for a program that names none.
    fn columns(&self) -> &[Column] {
        match (self.args.columns.as_slice(), self.args.csv) {
            ([], true) => Column::value_variants(),
            (columns, _) => columns,
        }
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
        let columns = self.columns();
        let lines = if self.args.csv {
            columns::table(columns, &self.rows, true).csv()
        } else if !columns.is_empty() {
            let lines = columns::table(columns, &self.rows, false).lines(width(self.args.width));
            lines.iter().map(|line| line.trim_end().to_owned()).collect()
        } else if self.args.net {
            format::nets(&self.rows).lines(width(self.args.width))
        } else if self.args.verbose {
            format::table(&self.rows).lines(width(self.args.width))
        } else {
            let line = if self.args.parsable { format::parsable } else { |row: &Row| row.name.clone() };
            self.rows.iter().map(line).collect()
        };
        for line in &lines {
            out.line(line)?;
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
                assert_eq!(wanted(&args, Some(state)), state >= from, "{state}");
            }
            assert_eq!(wanted(&args, None), from < State::Ready);
        }
    }
}
