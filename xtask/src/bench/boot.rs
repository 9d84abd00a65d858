//! `cargo xtask bench boot`: how long a zone takes to start and to stop.

use super::floor::wire::Bridge;
use super::peers::{self, Peer};
use super::stage::{self, Build, Stage};
use super::stats::{Times, table};
use super::worker::{Job, Worker};
use crate::{needs, say};
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
/// The same with a net, and one that keeps the managed network up meanwhile.
const WIRED: &str = "wired";
const KEEPER: &str = "keeper";
const BRIDGE: &str = "bench0";
const INIT: &str = "/sbin/init";

/// Measures, and prints the tables.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let Err(e) = needs::provide(&[&peers::NEEDS]) {
        say::note(&format!("{e:#}: what is missing is left out"));
    }
    let stage = Stage::set("bench boot", &args.build)?;
    stage::own_network()?;
    // All start the same init in the same root: the one that was installed into the zone.
    let idle = "exec sleep 2147483647";
    let zone = stage.lab.tiny(ZONE, idle);
    let root = zone.file("/");
    for name in [WIRED, KEEPER] {
        let zone = stage.lab.tiny(name, idle);
        zone.zonecfg("add net; end").ok();
    }
    stage.lab.zone(KEEPER).zoneadm(["boot"]).ok();
    let bridge = Bridge::make(BRIDGE)?;
    let mut peers = peers::all(&root, INIT, stage.folder(), BRIDGE)?;
    let mut result = Figures::new(&peers);
    let mut plain = Pair::new(&stage, ZONE, &root, None)?;
    let mut wired = Pair::new(&stage, WIRED, &root, Some(BRIDGE))?;

    say::title("Starting and stopping, in turn");
    // The first of each pays for what is not in memory yet.
    for round in 0..=args.rounds {
        let counted = round > 0;
        plain.round(counted.then_some(&mut result.plain))?;
        wired.round(counted.then_some(&mut result.wired))?;
        for (peer, times) in peers.iter_mut().zip(&mut result.peers) {
            let (began, ended) = (peer.start()?, peer.stop()?);
            if counted {
                times.0.add(began);
                times.1.add(ended);
            }
        }
    }
    result.print(&peers);
    drop(bridge);
    stage.lab.finish();
    Ok(())
}

/// The floor and a zone, each with a net or each without.
struct Pair {
    floor: Worker,
    ours: Worker,
    start: Job,
    boot: Job,
    halt: Job,
}

impl Pair {
    fn new(stage: &Stage, zone: &str, root: &Path, bridge: Option<&str>) -> Result<Self> {
        let zones_root = stage.lab.root();
        let zoneadm = |words: &[&str]| {
            let program = stage.bin.join("zoneadm").to_string_lossy().into_owned();
            let words = [&["-z", zone], words].concat();
            let words = std::iter::once(program).chain(words.into_iter().map(str::to_owned)).collect();
            Job::Run { words, wanted: true }
        };
        Ok(Self {
            floor: Worker::start(&[], &[])?,
            ours: Worker::start(&[], &[("ZONES_ROOT", &zones_root.to_string_lossy())])?,
            start: Job::FloorStart {
                root: root.to_owned(),
                init: INIT.to_owned(),
                cgroup: cgroup2().map(|mount| mount.join(format!("zones-bench-{zone}"))),
                bridge: bridge.map(str::to_owned),
            },
            boot: zoneadm(&["boot", "--timings", "--json"]),
            halt: zoneadm(&["halt"]),
        })
    }

    /// Starts and stops each once.
    fn round(&mut self, into: Option<&mut Case>) -> Result<()> {
        let began = ask(&mut self.floor, &self.start)?;
        let ended = ask(&mut self.floor, &Job::FloorStop)?;
        let up = ask(&mut self.ours, &self.boot)?;
        let down = ask(&mut self.ours, &self.halt)?;
        if let Some(case) = into {
            case.floor.0.add(began.0);
            case.floor.1.add(ended.0);
            case.ours.0.add(up.0);
            case.ours.1.add(down.0);
            let steps = steps(&up.1);
            case.inside.add(steps.iter().map(|(_, usec)| usec).sum());
            case.add_steps(steps);
        }
        Ok(())
    }
}

/// The times of a [`Pair`]; pairs of times are start and stop.
#[derive(Default)]
struct Case {
    floor: (Times, Times),
    ours: (Times, Times),
    inside: Times,
    steps: Vec<(String, Times)>,
}

/// All times of a run.
#[derive(Default)]
struct Figures {
    plain: Case,
    wired: Case,
    peers: Vec<(Times, Times)>,
}

impl Case {
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

    /// Prints the tables of these times and of those of the peers that are like them.
    fn print(&self, with: &str, peers: &[(&Peer, &(Times, Times))]) {
        let mut up = vec![
            (format!("floor: clone3 + mounts{with} + exec"), self.floor.0.clone()),
            ("zoneadm boot, inside the daemon".to_owned(), self.inside.clone()),
            ("zoneadm boot, the whole command".to_owned(), self.ours.0.clone()),
        ];
        let mut down = vec![
            ("floor: SIGKILL + wait".to_owned(), self.floor.1.clone()),
            ("zoneadm halt, the whole command".to_owned(), self.ours.1.clone()),
        ];
        for (peer, times) in peers {
            up.push((peer.name.clone(), times.0.clone()));
            down.push((peer.name.clone(), times.1.clone()));
        }
        table(&format!("Start{with}"), &up);
        table(&format!("Stop{with}"), &down);
    }
}

impl Figures {
    fn new(peers: &[Peer]) -> Self {
        Self { peers: peers.iter().map(|_| Default::default()).collect(), ..Self::default() }
    }

    fn print(&self, peers: &[Peer]) {
        let of = |wired: bool| {
            let all = peers.iter().zip(&self.peers);
            all.filter(|(peer, _)| peer.wired == wired).collect::<Vec<_>>()
        };
        self.plain.print("", &of(false));
        self.wired.print(" + net", &of(true));
        say::title("Where the time of a boot went (medians; without and with a net)");
        for (name, with) in &self.wired.steps {
            let without = self.plain.steps.iter().find(|(known, _)| known == name);
            let without = without.map_or(f64::NAN, |(_, times)| times.median());
            println!("{name:<44} {without:>9.3} {:>9.3}", with.median());
        }
        println!("\nLoad average of the machine at the end: {}", stage::load());
    }
}

/// Has a job done; gives its microseconds and its output.
pub(super) fn ask(worker: &mut Worker, job: &Job) -> Result<(u64, String)> {
    let done = worker.ask(job)?;
    match done.error {
        Some(why) => bail!("{why}"),
        None => Ok((done.usec, done.output)),
    }
}

/// The steps in what `zoneadm boot --timings --json` printed: all objects that have a `usec`.
pub(super) fn steps(output: &str) -> Vec<(String, u64)> {
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
