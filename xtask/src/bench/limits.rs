//! `cargo xtask bench limits`: what limits add to a boot, and the change of one while the zone runs.

use super::boot::{self, IDLE};
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use anyhow::Result;

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

const LIMITS: &str = "add capped-memory; set physical=512m; end; add capped-cpu; set ncpus=1.5; end; set max-lwps=500; set cpu-shares=20";

/// Measures limits.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    for name in ZONES {
        stage.lab.tiny(name, IDLE);
    }
    stage.lab.zone(ZONES[1]).zonecfg(LIMITS).ok();
    let mut worker = stage.worker()?;
    let mut inside = ZONES.map(|_| Ok(Samples::default()));
    let mut changed: Result<Samples, String> = Ok(Samples::default());
    for round in 0..=args.rounds {
        // The first of each pays for what is not in memory yet.
        let counted = round > 0;
        for (name, samples) in ZONES.iter().zip(&mut inside) {
            let Ok(samples_so_far) = samples else { continue };
            match worker.has_done(&stage.job("zoneadm", &["-z", name, "boot", "--timings", "--json"])) {
                Ok((_, output)) if counted => {
                    samples_so_far.add(boot::steps(&output).iter().map(|(_, usec)| usec).sum());
                }
                Ok(_) => {}
                Err(e) => *samples = Err(format!("{e:#}")),
            }
        }
        if let (Ok(_), Ok(times)) = (&inside[1], &mut changed) {
            let size = format!("capped-memory.physical={}m", 256 + round % 2);
            match worker.has_done(&stage.job("zoneadm", &["-z", ZONES[1], "set", &size])) {
                Ok((usec, _)) if counted => times.add(usec),
                Ok(_) => {}
                Err(e) => changed = Err(format!("{e:#}")),
            }
        }
        for (name, samples) in ZONES.iter().zip(&inside) {
            if samples.is_ok() {
                worker.has_done(&stage.job("zoneadm", &["-z", name, "halt"]))?;
            }
        }
    }
    for name in ZONES {
        stage.lab.zone(name).remove();
    }
    let [free, held] = inside;
    if let Err(why) = &held {
        changed = Err(why.clone());
    }
    let rows = [
        ("boot without limits, inside the daemon", free),
        ("boot with limits, inside the daemon", held),
        ("one limit changed, the whole command", changed),
    ];
    let table = Table::new(TITLE, Unit::Milliseconds);
    let table = rows.into_iter().fold(table, |table, (name, found)| match found {
        Ok(samples) => table.row(Who::Ours, name, &samples),
        Err(why) => table.left_out(Who::Ours, name, &why),
    });
    Ok(vec![table])
}
