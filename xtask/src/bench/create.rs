//! `cargo xtask bench create`: a sparse zone configured and installed, and taken away again.

use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use super::worker::{Job, Worker};
use crate::sh;
use anyhow::Result;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each is made
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(super) rounds: usize,
}

/// The container of the peer.
const PEER: &str = "made";

/// Measures the making of zones. Each round makes another one, and all are removed in the end: nobody installs what he has just
/// uninstalled, and a file system may go a long way round files that were removed a moment ago (ext4 without a journal looks
/// at each of their inodes, for minutes).
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let place = stage.folder().join("lxc-create");
    sh::make_dir(&place)?;
    let place = place.to_string_lossy();
    let lxc = |program: &str, more: &[&str]| {
        let words = [&[program, "-P", &place, "-n", PEER][..], more].concat();
        Job::Run { words: words.into_iter().map(str::to_owned).collect(), wanted: false }
    };
    let (lxc_create, lxc_destroy) = (lxc("lxc-create", &["-t", "none"]), lxc("lxc-destroy", &[]));
    let (mut ours, mut theirs) = (stage.worker()?, Worker::start(&[], &[])?);
    let mut peer = Ok(Samples::default());
    let (mut floor, synced) = (Samples::default(), stage.folder().join("floor"));
    let (mut configure, mut install, mut both) = Default::default();
    let mut away = Samples::default();
    // The first of each pays for what is not in memory yet.
    let names: Vec<String> = (0..=args.rounds).map(|round| format!("made{round}")).collect();
    for (round, name) in names.iter().enumerate() {
        // It is known to the stage, which takes it away if this ends early.
        stage.lab.zone(name);
        let began = Instant::now();
        least(&synced)?;
        let least = u64::try_from(began.elapsed().as_micros())?;
        let created = ours.has_done(&stage.job("zonecfg", &["-z", name, "create; set brand=sparse"]))?.0;
        let installed = ours.has_done(&stage.job("zoneadm", &["-z", name, "install"]))?.0;
        let made = peer.is_ok().then(|| {
            let made = theirs.has_done(&lxc_create)?.0;
            theirs.has_done(&lxc_destroy)?;
            anyhow::Ok(made)
        });
        let counted = round > 0;
        if counted {
            let add = |to: &mut Samples, usec| to.add(usec);
            add(&mut floor, least);
            add(&mut configure, created);
            add(&mut install, installed);
            add(&mut both, created + installed);
        }
        match (made, &mut peer) {
            (Some(Ok(usec)), Ok(samples)) if counted => samples.add(usec),
            (Some(Err(e)), _) => peer = Err(format!("{e:#}")),
            _ => {}
        }
    }
    for (round, name) in names.iter().enumerate() {
        let removed = ours.has_done(&stage.job("zoneadm", &["-z", name, "uninstall", "-F"]))?.0
            + ours.has_done(&stage.job("zonecfg", &["-z", name, "delete -F"]))?.0;
        if round > 0 {
            away.add(removed);
        }
    }
    let table = Table::new("A sparse zone configured and installed", Unit::Milliseconds)
        .note("What zonecfg and zoneadm return from is on the disk; of lxc-create, which copies nothing here, nobody knows when.")
        .row(Who::Floor, "floor: a directory, and a file synced into it", &floor)
        .row(Who::Ours, "zonecfg create", &configure)
        .row(Who::Ours, "zoneadm install", &install)
        .row(Who::Ours, "both", &both)
        .row(Who::Ours, "zoneadm uninstall, zonecfg delete", &away);
    Ok(vec![match peer {
        Ok(samples) => table.row(Who::Peer, "lxc-create -t none", &samples),
        Err(why) => table.left_out(Who::Peer, "lxc-create -t none", &why),
    }])
}

/// Makes what is the least that can be called a zone that is on the disk, and takes it away.
fn least(dir: &Path) -> Result<()> {
    sh::make_dir(dir)?;
    let name = dir.join("config");
    let mut file = File::create(&name)?;
    file.write_all(b"brand = \"sparse\"\n")?;
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    Ok(std::fs::remove_dir_all(dir)?)
}
