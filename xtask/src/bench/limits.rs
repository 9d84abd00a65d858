//! `cargo xtask bench limits`: what limits add to a boot, and the change of one while the zone runs, beside a floor that writes the
//! same files.

use super::boot::{self, IDLE};
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::{Samples, milliseconds};
use super::worker::{Job, Worker};
use crate::paths;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each is started, and changed
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(super) rounds: usize,
}

/// What the table is called. On a host whose controllers are those of cgroup v1 there is nothing in it but the reason.
pub(super) const TITLE: &str = "Limits";

/// A zone without limits, and one with.
const ZONES: [&str; 2] = ["free", "held"];

/// All but those of a disk and CPUs of its own, which not every machine has to give.
const LIMITS: &str = "add capped-memory; set physical=512m; set swap=64m; set locked=8m; end; \
    add capped-cpu; set ncpus=1.5; end; set cpu-shares=20; set max-lwps=500; \
    set max-shm-memory=64m; set max-shm-ids=64; set max-msg-ids=64; set max-sem-ids=64";

/// The step of a boot that writes those of the cgroup.
const STEP: &str = "cgroup";

/// What they come to in the zone's cgroup.
const FILES: [(&str, &str); 6] = [
    ("memory.max", "536870912"),
    ("memory.high", "520093696"),
    ("memory.swap.max", "67108864"),
    ("cpu.max", "150000 100000"),
    ("cpu.weight", "20"),
    ("pids.max", "500"),
];

/// What they come to in the zone's IPC namespace.
const SETTINGS: [(&str, &str); 4] =
    [("shmall", "16384"), ("shmmni", "64"), ("msgmni", "64"), ("sem", "32000 1024000000 500 64")];

/// A process with an IPC namespace of its own and a cgroup that nobody is in: the floor writes there.
struct Floor {
    worker: Worker,
    cgroup: PathBuf,
}

impl Floor {
    /// Makes both, of which nothing counts: a zone has a cgroup and an IPC namespace without limits, too.
    fn make() -> Result<Self> {
        let cgroup = paths::cgroup2().context("cgroup version 2 is not mounted")?.join("zones-bench-limits");
        std::fs::create_dir(&cgroup).with_context(|| format!("cannot make {}", cgroup.display()))?;
        let worker = Worker::start(&["unshare", "--ipc"], &[]);
        let worker = worker.inspect_err(|_| drop(std::fs::remove_dir(&cgroup)))?;
        Ok(Self { worker, cgroup })
    }

    /// Gives how many microseconds the writing takes.
    fn write(&mut self) -> Result<u64> {
        let files = FILES.iter().map(|(name, text)| (self.cgroup.join(name), (*text).to_owned()));
        let kernel = Path::new("/proc/sys/kernel");
        let settings = SETTINGS.iter().map(|(name, text)| (kernel.join(name), (*text).to_owned()));
        Ok(self.worker.has_done(&Job::Write { files: files.chain(settings).collect() })?.0)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.cgroup);
    }
}

/// What is found out in all rounds; each may turn out to be impossible here.
struct Found {
    floor: Result<Samples, String>,
    booted: [Result<Samples, String>; 2],
    /// Of each boot the step that writes the limits: too short for other work on the machine to hide what they add.
    step: [Samples; 2],
    added: Samples,
    changed: Result<Samples, String>,
}

/// Measures limits.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    for name in ZONES {
        stage.lab.tiny(name, IDLE);
    }
    stage.lab.zone(ZONES[1]).zonecfg(LIMITS).ok();
    let mut worker = stage.worker()?;
    let none = || Ok(Samples::default());
    let mut found = Found {
        floor: none(),
        booted: [none(), none()],
        step: Default::default(),
        added: Samples::default(),
        changed: none(),
    };
    let mut floor = None;
    for round in 0..=args.rounds {
        // The first of each pays for what is not in memory yet.
        found.round(stage, &mut worker, round, &mut floor)?;
    }
    for name in ZONES {
        stage.lab.zone(name).remove();
    }
    Ok(vec![found.table()])
}

impl Found {
    /// Boots both zones, the one without limits first and last in turn, changes a limit, and writes the floor.
    fn round(
        &mut self,
        stage: &Stage,
        worker: &mut Worker,
        round: usize,
        floor: &mut Option<Floor>,
    ) -> Result<()> {
        let counted = round > 0;
        let mut took = [None; 2];
        for turn in 0..ZONES.len() {
            let which = (turn + round) % ZONES.len();
            let Ok(samples) = &mut self.booted[which] else { continue };
            match worker.has_done(&stage.job("zoneadm", &["-z", ZONES[which], "boot", "--timings", "--json"]))
            {
                Ok((_, output)) => {
                    let steps = boot::steps(&output);
                    let usec = steps.iter().map(|(_, usec)| usec).sum();
                    took[which] = Some(milliseconds(usec));
                    if counted {
                        samples.add(usec);
                        let step = steps.iter().find(|(name, _)| name == STEP);
                        step.into_iter().for_each(|(_, usec)| self.step[which].add(*usec));
                    }
                }
                Err(e) => self.booted[which] = Err(format!("{e:#}")),
            }
        }
        if let ([Some(free), Some(held)], true) = (took, counted) {
            self.added.push(held - free);
        }
        if self.booted[1].is_ok() {
            let size = format!("capped-memory.physical={}m", 256 + round % 2);
            let set = worker.has_done(&stage.job("zoneadm", &["-z", ZONES[1], "set", &size]));
            keep(&mut self.changed, set.map(|(usec, _)| usec), counted);
            // The controllers are given by now, to all that stand beside the zones.
            if floor.is_none() && self.floor.is_ok() {
                match Floor::make() {
                    Ok(made) => *floor = Some(made),
                    Err(e) => self.floor = Err(format!("{e:#}")),
                }
            }
            if let Some(floor) = floor {
                keep(&mut self.floor, floor.write(), counted);
            }
        }
        for (name, samples) in ZONES.iter().zip(&self.booted) {
            if samples.is_ok() {
                worker.has_done(&stage.job("zoneadm", &["-z", name, "halt"]))?;
            }
        }
        Ok(())
    }

    fn table(self) -> Table {
        let Self { floor, booted: [free, held], step: [step_free, step_held], added, changed } = self;
        let refused = held.as_ref().err().cloned();
        let unless_refused = |found: Result<Samples, String>| refused.clone().map_or(found, Err);
        let rows = [
            (Who::Floor, "the same files written", unless_refused(floor)),
            (Who::Ours, "boot without limits, inside the daemon", free),
            (Who::Ours, "of that the step cgroup", Ok(step_free)),
            (Who::Ours, "boot with limits, inside the daemon", held),
            (Who::Ours, "of that the step cgroup, with limits", unless_refused(Ok(step_held))),
            (Who::Ours, "what the limits add, of each pair of boots", unless_refused(Ok(added))),
            (Who::Ours, "one limit changed, the whole command", unless_refused(changed)),
        ];
        let table = Table::new(TITLE, Unit::Milliseconds);
        rows.into_iter().fold(table, |table, (who, name, found)| match found {
            Ok(samples) => table.row(who, name, &samples),
            Err(why) => table.left_out(who, name, &why),
        })
    }
}

/// Adds what something took if it counts, or keeps why it could not be done.
fn keep(samples: &mut Result<Samples, String>, took: Result<u64>, counted: bool) {
    match (samples.as_mut(), took) {
        (Ok(samples), Ok(usec)) if counted => samples.add(usec),
        (Ok(_), Err(e)) => *samples = Err(format!("{e:#}")),
        _ => {}
    }
}
