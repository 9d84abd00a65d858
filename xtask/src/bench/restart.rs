//! `cargo xtask bench restart`: how soon a zone has a daemon again that was killed.

use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::{Samples, milliseconds};
use crate::say;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often one daemon is killed
    #[arg(short = 'n', long, default_value_t = 40)]
    pub(super) rounds: usize,
    /// Of how many zones all daemons are killed at once
    #[arg(short, long, default_value_t = 200)]
    pub(super) zones: usize,
    /// How many commands call the dead daemons at a time
    #[arg(short, long, default_value_t = 8)]
    pub(super) jobs: usize,
}

/// Measures restarts.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    if args.zones < 2 || args.jobs == 0 {
        bail!("at least two zones and one job are needed");
    }
    let names: Vec<String> = (0..args.zones).map(|number| format!("z{number}")).collect();
    say::title(&format!("Installing and booting {} zones", args.zones));
    for name in &names {
        stage.lab.sparse(name).boot();
    }
    let tables = vec![one(stage, &names[0], args.rounds)?, all(stage, &names, args.jobs)?];
    for name in &names {
        stage.lab.zone(name).remove();
    }
    Ok(tables)
}

/// One daemon, killed again and again.
fn one(stage: &Stage, name: &str, rounds: usize) -> Result<Table> {
    let mut worker = stage.worker()?;
    let mut ask = |program: &str, words: &[&str]| worker.has_done(&stage.job(program, words));
    // A command that finds all well, and has to ask the daemon for that.
    let command = ["-z", name, "boot"];
    let (mut alive, mut dead, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..=rounds {
        let began = Instant::now();
        ask("zoneadm", &command)?;
        let with_daemon = usec(began);
        let began = Instant::now();
        kill(daemon(stage, name)?)?;
        ask("zoneadm", &command)?;
        let without = usec(began);
        kill(daemon(stage, name)?)?;
        let began = Instant::now();
        ask("zoneadmd", &["-z", name])?;
        // The first of each pays for what is not in memory yet.
        if round > 0 {
            alive.add(with_daemon);
            dead.add(without);
            bare.add(usec(began));
        }
    }
    Ok(Table::new("A daemon that is killed", Unit::Milliseconds)
        .row(Who::Ours, "a command that the living daemon answers", &alive)
        .row(Who::Ours, "zoneadmd, until door and console serve", &bare)
        .row(Who::Ours, "SIGKILL, and a command until its answer", &dead))
}

/// All daemons at once, and one of the zones has a zsched that answers nothing.
fn all(stage: &Stage, names: &[String], jobs: usize) -> Result<Table> {
    let bad = names.last().context("no zones")?;
    let keeper = Pid::from_raw(stage.lab.zone(bad).keeper()).context("no zsched")?;
    let daemons = names.iter().map(|name| daemon(stage, name)).collect::<Result<Vec<_>>>()?;
    kill_process(keeper, Signal::STOP)?;
    let began = Instant::now();
    kill_all(&daemons)?;
    let killed = usec(began);
    // The bad one first: whoever stood behind it would wait for it.
    let order: Vec<&String> = std::iter::once(bad).chain(&names[..names.len() - 1]).collect();
    let answered = call_all(stage, &order, jobs, began);
    kill_process(keeper, Signal::CONT)?;
    let (ill, well): (Vec<_>, Vec<_>) = answered.into_iter().partition(|answer| answer.zone == *bad);
    let last = until_all(&well)?;
    let once = |usec| std::iter::once(milliseconds(usec)).collect::<Samples>();
    let title = format!("All daemons of {} zones killed at once", names.len());
    let mut table = Table::new(&title, Unit::Milliseconds)
        .row(Who::Ours, "until all daemons are dead", &once(killed))
        .row(Who::Ours, &format!("until {} zones are adopted again", well.len()), &once(last));
    for answer in ill {
        table = table.row(Who::Ours, "the one whose zsched is stopped", &once(answer.at));
        let said = answer.said.err().unwrap_or_default();
        table.note = format!(
            "{jobs} commands at a time. The last zone's zsched answers nothing, and the command says so: {said}"
        );
    }
    Ok(table)
}

/// All daemons of these zones at once, whichever there are; gives how long it took until the last zone was adopted again, in
/// microseconds.
pub(super) fn killed_and_adopted(stage: &Stage, names: &[String], jobs: usize) -> Result<u64> {
    let daemons: Vec<i32> = names.iter().filter_map(|name| stage.lab.zone(name).daemon()).collect();
    let began = Instant::now();
    kill_all(&daemons)?;
    until_all(&call_all(stage, &names.iter().collect::<Vec<_>>(), jobs, began))
}

/// What came of a zone's command.
struct Answer {
    zone: String,
    /// When it ended, in microseconds since the daemons were killed.
    at: u64,
    /// The error is what the command had to say.
    said: Result<(), String>,
}

/// Has each zone's daemon asked something, so many at a time.
fn call_all(stage: &Stage, order: &[&String], jobs: usize, began: Instant) -> Vec<Answer> {
    let (program, root) = (stage.bin.join("zoneadm"), stage.lab.root());
    let (next, answered) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let said = call(&program, &root, name);
                    let answer = Answer { zone: (*name).clone(), at: usec(began), said };
                    answered.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                }
            });
        }
    });
    answered.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// When the last zone was adopted; an error if one was not.
fn until_all(answers: &[Answer]) -> Result<u64> {
    for answer in answers {
        if let Err(why) = &answer.said {
            bail!("zone '{}' was not adopted: {why}", answer.zone);
        }
    }
    Ok(answers.iter().map(|answer| answer.at).max().unwrap_or(0))
}

/// The process behind a zone's door.
fn daemon(stage: &Stage, name: &str) -> Result<i32> {
    stage.lab.zone(name).daemon().with_context(|| format!("zone '{name}' has no daemon"))
}

/// Has a zone's daemon asked something; the error is what the command had to say.
fn call(zoneadm: &Path, root: &Path, name: &str) -> Result<(), String> {
    let mut command = Command::new(zoneadm);
    command.args(["-z", name, "boot"]).env("ZONES_ROOT", root).stdin(Stdio::null());
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Kills a process and waits until it is no more.
fn kill(pid: i32) -> Result<()> {
    kill_all(&[pid])
}

/// Kills all of these processes at once, and waits until none is left. One may have left by itself in this moment.
fn kill_all(pids: &[i32]) -> Result<()> {
    let pids = pids.iter().map(|pid| Pid::from_raw(*pid).context("no process id"));
    let pids = pids.collect::<Result<Vec<_>>>()?;
    let there = |done: rustix::io::Result<()>| match done {
        Err(Errno::SRCH) => Ok(()),
        done => done,
    };
    for &pid in &pids {
        there(kill_process(pid, Signal::KILL))?;
    }
    for &pid in &pids {
        there(
            pidfd_open(pid, PidfdFlags::empty())
                .and_then(|pidfd| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).map(drop)),
        )?;
    }
    Ok(())
}

fn usec(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
