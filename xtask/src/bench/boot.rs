//! `cargo xtask bench boot`: how long a zone takes to start and to stop.

use super::peers::{self, Peer};
use super::stage::{Build, Stage};
use super::stats::{Times, table};
use super::worker::{Job, Worker};
use crate::say;
use anyhow::{Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each is started and stopped
    #[arg(short = 'n', long, default_value_t = 40)]
    rounds: usize,
    #[command(flatten)]
    build: Build,
}

const ZONE: &str = "bench";
const INIT: &str = "/sbin/init";

/// Measures, and prints the tables.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = Stage::set("bench boot", &args.build)?;
    // All start the same init in the same root: the one that was installed into the zone.
    let zone = stage.lab.tiny(ZONE, "exec sleep 2147483647");
    let root = zone.file("/");
    let zones_root = stage.lab.root();
    let mut floor = Worker::start(&[], &[])?;
    let mut ours = Worker::start(&[], &[("ZONES_ROOT", &zones_root.to_string_lossy())])?;
    let cgroup = cgroup2().map(|mount| mount.join("zones-bench-floor"));
    let start = Job::FloorStart { root: root.clone(), init: INIT.to_owned(), cgroup };
    let zoneadm = |words: &[&str]| {
        let program = stage.bin.join("zoneadm").to_string_lossy().into_owned();
        let words = [&["-z", ZONE], words].concat();
        let words = std::iter::once(program).chain(words.into_iter().map(str::to_owned)).collect();
        Job::Run { words, wanted: true }
    };
    let (boot, halt) = (zoneadm(&["boot", "--timings", "--json"]), zoneadm(&["halt"]));

    say::title("Starting and stopping, in turn");
    let mut peers = peers::all(&root, INIT, stage.folder())?;
    let mut result = Figures::new(&peers);
    // The first of each pays for what is not in memory yet.
    for round in 0..=args.rounds {
        let counted = round > 0;
        let began = ask(&mut floor, &start)?;
        let ended = ask(&mut floor, &Job::FloorStop)?;
        let up = ask(&mut ours, &boot)?;
        let down = ask(&mut ours, &halt)?;
        let steps = steps(&up.1);
        if counted {
            result.floor.0.add(began.0);
            result.floor.1.add(ended.0);
            result.ours.0.add(up.0);
            result.ours.1.add(down.0);
            result.inside.add(steps.iter().map(|(_, usec)| usec).sum());
            result.add_steps(steps);
        }
        for (peer, times) in peers.iter_mut().zip(&mut result.peers) {
            let (began, ended) = (peer.start()?, peer.stop()?);
            if counted {
                times.0.add(began);
                times.1.add(ended);
            }
        }
    }
    result.print(&peers);
    drop(zone);
    stage.lab.finish();
    Ok(())
}

/// All times of a run; pairs are start and stop.
#[derive(Default)]
struct Figures {
    floor: (Times, Times),
    ours: (Times, Times),
    inside: Times,
    steps: Vec<(String, Times)>,
    peers: Vec<(Times, Times)>,
}

impl Figures {
    fn new(peers: &[Peer]) -> Self {
        Self { peers: peers.iter().map(|_| Default::default()).collect(), ..Self::default() }
    }

    fn add_steps(&mut self, steps: Vec<(String, u64)>) {
        for (name, usec) in steps {
            match self.steps.iter_mut().find(|(known, _)| *known == name) {
                Some((_, times)) => times.add(usec),
                None => {
                    let mut times = Times::default();
                    times.add(usec);
                    self.steps.push((name, times));
                }
            }
        }
    }

    fn print(&self, peers: &[Peer]) {
        let mut up = vec![
            ("floor: clone3 + mounts + pivot_root + exec".to_owned(), self.floor.0.clone()),
            ("zoneadm boot, inside the daemon".to_owned(), self.inside.clone()),
            ("zoneadm boot, the whole command".to_owned(), self.ours.0.clone()),
        ];
        let mut down = vec![
            ("floor: SIGKILL + wait".to_owned(), self.floor.1.clone()),
            ("zoneadm halt, the whole command".to_owned(), self.ours.1.clone()),
        ];
        for (peer, times) in peers.iter().zip(&self.peers) {
            up.push((peer.name.clone(), times.0.clone()));
            down.push((peer.name.clone(), times.1.clone()));
        }
        table("Start", &up);
        table("Stop", &down);
        say::title("Where the time of a boot went (medians)");
        for (name, times) in &self.steps {
            println!("{name:<44} {:>9.3}", times.median());
        }
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            println!("\nLoad average of the machine at the end: {}", load.trim());
        }
    }
}

/// Has a job done; gives its microseconds and its output.
fn ask(worker: &mut Worker, job: &Job) -> Result<(u64, String)> {
    let done = worker.ask(job)?;
    match done.error {
        Some(why) => bail!("{why}"),
        None => Ok((done.usec, done.output)),
    }
}

/// The steps in what `zoneadm boot --timings --json` printed: all objects that have a `usec`.
fn steps(output: &str) -> Vec<(String, u64)> {
    fn collect(value: &Value, steps: &mut Vec<(String, u64)>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, steps)),
            Value::Object(fields) => match (fields.get("step"), fields.get("usec").and_then(Value::as_u64)) {
                (Some(Value::String(name)), Some(usec)) => steps.push((name.clone(), usec)),
                _ => fields.values().for_each(|item| collect(item, steps)),
            },
            _ => {}
        }
    }
    let mut steps = Vec::new();
    if let Ok(value) = serde_json::from_str(output) {
        collect(&value, &mut steps);
    }
    steps
}

/// Where cgroup v2 is mounted.
fn cgroup2() -> Option<PathBuf> {
    let info = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = info.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(|place| Path::new(place).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_in_whatever_they_are_wrapped() {
        let text =
            r#"{"total_usec":200,"steps":[{"step":"mount root","usec":120},{"step":"clone","usec":80}]}"#;
        assert_eq!(steps(text), [("mount root".to_owned(), 120), ("clone".to_owned(), 80)]);
        assert!(steps("not json").is_empty());
    }
}
