//! `cargo xtask bench login`: a command in a running zone, beside other managers and `nsenter`.

use super::boot::INIT;
use super::floor::wire::Bridge;
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use super::worker::{Job, Worker};
use super::{boot, peers};
use anyhow::{Context, Result};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each runs a command
    #[arg(short = 'n', long, default_value_t = 60)]
    pub(super) rounds: usize,
}

const ZONE: &str = "login";

/// Measures commands in zones.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let zone = boot::idle(stage, ZONE)?;
    zone.boot();
    let pid = zone.status().pid.context("the zone has no first process")?.to_string();
    let bridge = Bridge::make(boot::BRIDGE)?;
    let (mut peers, mut left) = peers::all(&zone.file("/"), INIT, stage.folder(), boot::BRIDGE)?;
    left.retain(|peer| !peer.wired);
    // Those that have a net as well are no other for this.
    peers.retain(|peer| !peer.wired);
    for peer in &mut peers {
        peer.start()?;
    }
    let mut worker = stage.worker()?;
    let zlogin = stage.job("zlogin", &[ZONE, "true"]);
    let nsenter = ["nsenter", "-a", "-t", &pid, "/bin/true"].map(str::to_owned).into();
    let nsenter = Job::Run { words: nsenter, wanted: false };
    let mut entering = Worker::start(&[], &[])?;
    let (mut floor, mut ours) = (Samples::default(), Samples::default());
    let mut theirs: Vec<Result<Samples, String>> = peers.iter().map(|_| Ok(Samples::default())).collect();
    for round in 0..=args.rounds {
        // The first of each pays for what is not in memory yet.
        let counted = round > 0;
        let (entered, logged_in) = (entering.has_done(&nsenter)?.0, worker.has_done(&zlogin)?.0);
        if counted {
            floor.add(entered);
            ours.add(logged_in);
        }
        for (peer, times) in peers.iter_mut().zip(&mut theirs) {
            let Ok(samples) = times else { continue };
            match peer.enter(&["/bin/true"]) {
                Ok(usec) if counted => samples.add(usec),
                Ok(_) => {}
                Err(e) => *times = Err(format!("{e:#}")),
            }
        }
    }
    let mut table = Table::new("A command in a running zone: true", Unit::Milliseconds)
        .row(Who::Floor, "nsenter -a into the same zone", &floor)
        .row(Who::Ours, "zlogin", &ours);
    for (peer, times) in peers.iter_mut().zip(theirs) {
        table = match times {
            Ok(samples) => table.row(Who::Peer, &peer.way_in, &samples),
            Err(why) => table.left_out(Who::Peer, &peer.way_in, &why),
        };
        peer.stop()?;
    }
    for peer in &left {
        table = table.left_out(Who::Peer, &peer.name, &peer.why);
    }
    drop(bridge);
    zone.remove();
    Ok(vec![table])
}
