//! `cargo xtask bench boot` and `halt`: how long a zone takes to start and to stop.

use super::floor::wire::Bridge;
use super::peers::{self, LeftOut, Peer};
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use super::worker::{Job, Worker};
use crate::{paths, say};
use anyhow::Result;
use serde_json::Value;
use std::path::Path;
use zones_suite::harness::Zone;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each is started and stopped
    #[arg(short = 'n', long, default_value_t = 40)]
    pub(super) rounds: usize,
}

const ZONE: &str = "bench";
/// The same with a net, and one that keeps the managed network up meanwhile.
const WIRED: &str = "wired";
const KEEPER: &str = "keeper";
pub(super) const BRIDGE: &str = "bench0";
/// What the titles of the tables about stopping begin with.
pub(super) const STOP: &str = "Stop";
/// What all start: the init that is in a zone's root.
pub(super) const INIT: &str = "/sbin/init";
/// What that does: it speaks, for whoever can only wait for that, and does nothing from then on.
pub(super) const IDLE: &str = "echo; exec sleep 2147483647";

/// Measures starts and stops.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    // All start the same init in the same root: the one that was installed into the zone.
    let root = idle(stage, ZONE)?.file("/");
    for name in [WIRED, KEEPER] {
        let zone = stage.lab.tiny(name, IDLE);
        zone.zonecfg("add net; end").ok();
    }
    stage.lab.zone(KEEPER).zoneadm(["boot"]).ok();
    let bridge = Bridge::make(BRIDGE)?;
    let (mut peers, left) = peers::all(&root, INIT, stage.folder(), BRIDGE)?;
    let mut result =
        Figures { peers: peers.iter().map(|_| Default::default()).collect(), ..Figures::default() };
    let mut plain = Pair::new(stage, ZONE, &root, None)?;
    let mut wired = Pair::new(stage, WIRED, &root, Some(BRIDGE))?;

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
    drop(bridge);
    for name in [ZONE, WIRED, KEEPER] {
        stage.lab.zone(name).remove();
    }
    Ok(result.tables(&peers, &left))
}

/// Installs a zone whose root every peer takes for a system: systemd-nspawn wants a /usr.
pub(super) fn idle<'a>(stage: &'a Stage, name: &str) -> Result<Zone<'a>> {
    let zone = stage.lab.tiny(name, IDLE);
    std::fs::create_dir(zone.file("/usr"))?;
    Ok(zone)
}

/// The floor and a zone, each with a net or each without.
struct Pair {
    floor: Worker,
    ours: Worker,
    start: Job,
    boot: Job,
    ready: Job,
    halt: Job,
}

impl Pair {
    fn new(stage: &Stage, zone: &str, root: &Path, bridge: Option<&str>) -> Result<Self> {
        let zoneadm = |words: &[&str]| stage.job("zoneadm", &[&["-z", zone], words].concat());
        Ok(Self {
            floor: Worker::start(&[], &[])?,
            ours: stage.worker()?,
            start: Job::FloorStart {
                root: root.to_owned(),
                init: INIT.to_owned(),
                cgroup: paths::cgroup2().map(|mount| mount.join(format!("zones-bench-{zone}"))),
                bridge: bridge.map(str::to_owned),
            },
            boot: zoneadm(&["boot", "--timings", "--json"]),
            ready: zoneadm(&["ready"]),
            halt: zoneadm(&["halt"]),
        })
    }

    /// Starts and stops each once, and starts ours once more when it is ready.
    fn round(&mut self, into: Option<&mut Case>) -> Result<()> {
        let began = self.floor.has_done(&self.start)?;
        let ended = self.floor.has_done(&Job::FloorStop)?;
        let up = self.ours.has_done(&self.boot)?;
        let down = self.ours.has_done(&self.halt)?;
        self.ours.has_done(&self.ready)?;
        let from_ready = self.ours.has_done(&self.boot)?;
        self.ours.has_done(&self.halt)?;
        if let Some(case) = into {
            case.floor.0.add(began.0);
            case.floor.1.add(ended.0);
            case.ours.0.add(up.0);
            case.ours.1.add(down.0);
            case.from_ready.add(from_ready.0);
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
    floor: (Samples, Samples),
    ours: (Samples, Samples),
    from_ready: Samples,
    inside: Samples,
    steps: Vec<(String, Samples)>,
}

/// All times of a run.
#[derive(Default)]
struct Figures {
    plain: Case,
    wired: Case,
    peers: Vec<(Samples, Samples)>,
}

impl Case {
    fn add_steps(&mut self, steps: Vec<(String, u64)>) {
        for (name, usec) in steps {
            match self.steps.iter_mut().find(|(known, _)| *known == name) {
                Some((_, times)) => times.add(usec),
                None => {
                    let mut times = Samples::default();
                    times.add(usec);
                    self.steps.push((name, times));
                }
            }
        }
    }

    /// The tables of starts, stops and steps, with the peers' that are like them.
    fn tables(&self, with: &str, peers: &[(&Peer, &(Samples, Samples))], left: &[&LeftOut]) -> [Table; 3] {
        let mut up = Table::new(&format!("Start{with}"), Unit::Milliseconds)
            .note("The floor has no user namespace and no system call filter, and checks nothing; crun, runc and LXC have neither of the two as they are configured here.")
            .row(Who::Floor, &format!("floor: clone3, mounts{with}, exec"), &self.floor.0)
            .row(Who::Ours, "zoneadm boot, inside the daemon", &self.inside)
            .row(Who::Ours, "zoneadm boot", &self.ours.0)
            .row(Who::Ours, "zoneadm boot of a ready zone", &self.from_ready);
        let mut down = Table::new(&format!("{STOP}{with}"), Unit::Milliseconds)
            .row(Who::Floor, "floor: SIGKILL, wait", &self.floor.1)
            .row(Who::Ours, "zoneadm halt", &self.ours.1);
        for (peer, times) in peers {
            up = up.row(Who::Peer, &peer.name, &times.0);
            down = down.row(Who::Peer, &peer.name, &times.1);
        }
        for peer in left {
            up = up.left_out(Who::Peer, &peer.name, &peer.why);
            down = down.left_out(Who::Peer, &peer.name, &peer.why);
        }
        let steps = Table::new(&format!("Steps of a boot{with}"), Unit::Milliseconds);
        let steps = self.steps.iter().fold(steps, |table, (name, times)| table.row(Who::Ours, name, times));
        [up, down, steps]
    }
}

impl Figures {
    fn tables(&self, peers: &[Peer], left: &[LeftOut]) -> Vec<Table> {
        let of = |case: &Case, with: &str, wired: bool| {
            let times =
                peers.iter().zip(&self.peers).filter(|(peer, _)| peer.wired == wired).collect::<Vec<_>>();
            let left = left.iter().filter(|peer| peer.wired == wired).collect::<Vec<_>>();
            case.tables(with, &times, &left)
        };
        let [start, stop, steps] = of(&self.plain, "", false);
        let [start_wired, stop_wired, steps_wired] = of(&self.wired, " + net", true);
        vec![start, start_wired, stop, stop_wired, steps, steps_wired]
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
