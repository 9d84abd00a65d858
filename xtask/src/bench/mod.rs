//! `cargo xtask bench`: figures, each beside the floor and beside other managers, in one run.

mod boot;
mod chart;
mod console;
mod create;
mod floor;
mod guard;
mod limits;
mod login;
mod machine;
mod memory;
mod net;
mod page;
mod peers;
mod report;
mod restart;
mod scale;
mod stage;
mod stats;
mod worker;

use crate::count::Count;
use crate::{needs, say, sh};
use anyhow::{Result, ensure};
use report::Table;
use serde_json::json;
use stage::{Build, Stage};
use std::io::Write;
use std::process::{Command, ExitCode};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print one object of JSON; everything else goes to standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    build: Build,
}

#[derive(clap::Subcommand)]
enum What {
    /// Starting and stopping a zone, with and without a net
    Boot(boot::Args),
    /// The same; shows how zones stop alone
    Halt(boot::Args),
    /// The console: how much text it passes on, and how quickly it answers
    Console(console::Args),
    /// From the death of a daemon to the next one's answer, for one zone and for many at once
    Restart(restart::Args),
    /// What of an idle zone is in memory
    Memory(memory::Args),
    /// One zone among many that are installed, and many that run
    Scale(scale::Args),
    /// Many zones on one bridge, and how much goes through a zone's link
    Net(net::Args),
    /// What limits add to a boot, and the change of one
    Limits(limits::Args),
    /// A command in a running zone
    Login(login::Args),
    /// A sparse zone made and taken away
    Create(create::Args),
    /// All of them; writes docs/benchmarks.md and its chart
    All(All),
    /// Plays a part in the measurement of consoles
    #[command(hide = true)]
    Agent {
        /// The part that it plays.
        role: console::Role,
        /// The socket to meet at.
        socket: Option<String>,
    },
    /// Does on request what is measured, in a process that is small
    #[command(hide = true)]
    Worker,
}

/// How to measure all.
#[derive(clap::Args)]
pub(crate) struct All {
    /// See that everything can be measured, by as few rounds as that takes, install and write nothing; no figure of it says anything
    #[arg(long)]
    short: bool,
}

/// Measures what was asked for, and prints or writes the tables.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Agent { role, socket } => {
            return console::play(*role, socket.as_deref()).map(|()| ExitCode::SUCCESS);
        }
        What::Worker => return worker::serve().map(|()| ExitCode::SUCCESS),
        _ => {}
    }
    sh::require_root("bench", "boots zones")?;
    if let Some(ended) = guard::inside()? {
        return Ok(ended);
    }
    match &args.what {
        What::All(all) => everything(args, all)?,
        what => {
            let mut out = output(args.json)?;
            provide();
            let stage = Stage::set(&args.build)?;
            let tables = what.measure(&stage)?;
            stage.lab.finish();
            show(args.json, &tables, &mut out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl What {
    fn measure(&self, stage: &Stage) -> Result<Vec<Table>> {
        match self {
            Self::Boot(args) => boot::measure(stage, args),
            Self::Halt(args) => {
                let mut tables = boot::measure(stage, args)?;
                tables.retain(|table| table.title.starts_with(boot::STOP));
                Ok(tables)
            }
            Self::Console(args) => console::measure(stage, args),
            Self::Restart(args) => restart::measure(stage, args),
            Self::Memory(args) => memory::measure(stage, args),
            Self::Scale(args) => scale::measure(stage, args),
            Self::Net(args) => net::measure(stage, args),
            Self::Limits(args) => limits::measure(stage, args),
            Self::Login(args) => login::measure(stage, args),
            Self::Create(args) => create::measure(stage, args),
            Self::All(_) | Self::Agent { .. } | Self::Worker => Ok(Vec::new()),
        }
    }
}

impl All {
    /// All measurements, of a size that lets them end within some minutes.
    fn parts(&self) -> Vec<What> {
        let of = |short, long| if self.short { short } else { long };
        vec![
            What::Boot(boot::Args { rounds: of(1, 30) }),
            What::Login(login::Args { rounds: of(1, 40) }),
            What::Memory(memory::Args { zones: if self.short { vec![2] } else { vec![10, 100] } }),
            What::Create(create::Args { rounds: of(1, 15) }),
            What::Limits(limits::Args { rounds: of(1, 15) }),
            What::Console(console::Args { size: of(1, 16), bytes: of(20, 2000), rounds: of(1, 4) }),
            What::Restart(restart::Args { rounds: of(1, 20), zones: of(2, 50), jobs: 8 }),
            What::Scale(scale::Args {
                configured: if self.short { vec![1, 30] } else { vec![1, 300, 1000] },
                rounds: of(1, 12),
                up: of(2, 1000),
            }),
            What::Net(net::Args { zones: of(3, 200), rounds: of(1, 5), seconds: 1 }),
        ]
    }
}

/// How many of its last lines tell why a measurement failed.
const LAST: usize = 12;

/// Sees that everything can be measured, with programs that are built for tests; no figure counts. All of it is one test.
pub(crate) fn count() -> Result<Count> {
    say::title("Benchmarks, once each");
    let mut short = Command::new(std::env::current_exe()?);
    short.args(["bench", "--debug", "all", "--short"]);
    say::command(&sh::line(&short));
    let output = short.output()?;
    if output.status.success() {
        say::good("everything can be measured");
        return Ok(Count { passed: 1, ..Count::default() });
    }
    // What it failed of comes last.
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    say::failed("bench all --short", &lines[lines.len().saturating_sub(LAST)..].join("\n"));
    Ok(Count { failed: 1, ..Count::default() })
}

/// Measures everything, and writes the page.
fn everything(args: &Args, all: &All) -> Result<()> {
    let mut out = output(args.json)?;
    if !all.short {
        provide();
        if let Err(e) = peers::build() {
            say::note(&format!("{e:#}: it is left out"));
        }
    }
    let stage = Stage::set(&args.build)?;
    let machine = machine::Machine::now(&args.build)?;
    let mut tables = Vec::new();
    for part in all.parts() {
        tables.extend(part.measure(&stage)?);
    }
    stage.lab.finish();
    show(args.json, &tables, &mut out)?;
    if all.short {
        return structure(&tables);
    }
    page::write(&machine, &tables)
}

/// Fails if something of ours was not measured that can be on every machine.
fn structure(tables: &[Table]) -> Result<()> {
    for table in tables.iter().filter(|table| table.title != limits::TITLE) {
        ensure!(table.has_all_of_ours(), "bench: not everything of ours could be measured: {}", table.title);
    }
    say::good(&format!("{} tables, and everything of ours in them was measured", tables.len()));
    Ok(())
}

/// Installs the peers; what cannot be is left out of the tables.
fn provide() {
    if let Err(e) = needs::provide(&[&stage::NEEDS, &peers::NEEDS, &console::NEEDS, &net::NEEDS]) {
        say::note(&format!("{e:#}: what is missing is left out"));
    }
}

/// Gives standard output. Before JSON it is taken out of the way of whatever else is printed, here or by other programs.
fn output(json: bool) -> Result<std::fs::File> {
    let out = rustix::io::dup(std::io::stdout())?;
    if json {
        rustix::stdio::dup2_stdout(std::io::stderr())?;
    }
    Ok(out.into())
}

fn show(json: bool, tables: &[Table], out: &mut std::fs::File) -> Result<()> {
    if json {
        let tables: Vec<_> = tables.iter().map(Table::to_json).collect();
        writeln!(out, "{:#}", json!({ "load": stage::load(), "tables": tables }))?;
    } else {
        tables.iter().for_each(Table::print);
        println!("\nLoad average of the machine at the end: {}", stage::load());
    }
    Ok(())
}
