//! `cargo xtask bench memory`: what of an idle zone is in memory, beside the zone's own processes.

use super::boot::{IDLE, INIT};
use super::peers;
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use super::worker::Job;
use crate::sh;
use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use std::path::Path;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Of how many zones
    #[arg(short, long, value_delimiter = ',', default_values_t = [10, 100])]
    pub(super) zones: Vec<usize>,
}

/// What one process has of the memory, in kB.
#[derive(Clone, Copy)]
struct Memory {
    /// Its share, by how many have each page.
    pss: f64,
    /// What nobody else has.
    private: f64,
}

/// Measures memory, for each number of zones.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let tables = args.zones.iter().map(|&number| of_zones(stage, number)).collect::<Result<Vec<_>>>()?;
    Ok(tables.into_iter().flatten().collect())
}

/// Measures memory with so many zones.
fn of_zones(stage: &Stage, number: usize) -> Result<[Table; 2]> {
    let names: Vec<String> = (0..number).map(|zone| format!("m{number}x{zone}")).collect();
    for name in &names {
        stage.lab.tiny(name, IDLE).boot();
    }
    let (mut zscheds, mut daemons) = (Vec::new(), Vec::new());
    for name in &names {
        let zone = stage.lab.zone(name);
        let daemon = zone.daemon().context("the zone has no daemon")?;
        daemons.push(of(daemon)?);
        leaves(daemon)?;
        zone.daemon_leaves();
        zscheds.push(of(zone.keeper())?);
    }
    let first = stage.lab.zone(&names[0]);
    let root = first.file("/");
    let monitors = lxc(&names, &root, stage.folder());
    let conmons = conmon(&names, &root, stage.folder());
    for name in &names {
        stage.lab.zone(name).remove();
    }
    let table = |title: &str, of: fn(&Memory) -> f64| {
        let samples = |all: &[Memory]| all.iter().map(of).collect::<Samples>();
        let mut table = Table::new(&format!("Memory of an idle zone, {title}, of {number}"), Unit::Kilobytes)
            .row(Who::Ours, "zsched, all that stays, without a daemon", &samples(&zscheds))
            .row(Who::Ours, "zoneadmd, until it leaves", &samples(&daemons));
        for (name, found) in [("lxc monitor", &monitors), ("conmon, with crun", &conmons)] {
            table = match found {
                Ok(found) => table.row(Who::Peer, name, &samples(found)),
                Err(e) => table.left_out(Who::Peer, name, &format!("{e:#}")),
            };
        }
        table.note("All run at once; the zones' own processes and the kernel's memory are not in it.")
    };
    Ok([table("private", |memory| memory.private), table("PSS", |memory| memory.pss)])
}

/// Has a daemon leave as it would by itself, after its minute.
pub(super) fn leaves(daemon: i32) -> Result<()> {
    match rustix::process::kill_process(Pid::from_raw(daemon).context("no process")?, Signal::TERM) {
        // It has left just now.
        Err(Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Tells what a process has that nobody else has, in kB.
pub(super) fn private(pid: i32) -> Result<f64> {
    Ok(of(pid)?.private)
}

/// Looks at a process.
fn of(pid: i32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Memory {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0)
    };
    Memory { pss: field("Pss:"), private: field("Private_Clean:") + field("Private_Dirty:") }
}

/// Finds the process whose command line begins so and contains all of `words`.
fn process(begins: &str, words: &[&str]) -> Result<i32> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.starts_with(begins) && words.iter().all(|word| line.contains(word)) {
            return Ok(pid);
        }
    }
    anyhow::bail!("there is no process '{begins}'")
}

/// Starts a container of LXC for each name, looks at its monitor, and stops all.
fn lxc(names: &[String], root: &Path, dir: &Path) -> Result<Vec<Memory>> {
    let mut started = Vec::new();
    let found = names.iter().try_for_each(|name| {
        let mut peer = peers::lxc(name, root, INIT, dir, None)?;
        peer.start()?;
        started.push(peer);
        Ok(())
    });
    let found = found.and_then(|()| {
        names.iter().map(|name| of(process("[lxc monitor]", &[&dir.to_string_lossy(), name])?)).collect()
    });
    started.iter_mut().try_for_each(|peer| peer.stop().map(drop))?;
    found
}

/// Does the same with conmon, which has crun start the containers and keeps them.
fn conmon(names: &[String], root: &Path, dir: &Path) -> Result<Vec<Memory>> {
    let crun = sh::which("crun").context("crun is not installed")?.to_string_lossy().into_owned();
    let mut worker = peers::without_cgroup2()?;
    let mut do_run = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        worker.has_done(&Job::Run { words, wanted: false }).map(drop)
    };
    let found = names.iter().try_for_each(|name| {
        let bundle = peers::bundle(name, root, INIT, &dir.join("conmon"))?;
        let [place, pidfile] =
            [bundle.clone(), bundle.join("pid")].map(|path| path.to_string_lossy().into_owned());
        let ids = ["-c", name, "-u", name, "-n", name];
        let rest = ["-r", &crun, "-b", &place, "-p", &pidfile, "--socket-dir-path", &place, "-l", "none"];
        do_run(&[&["conmon"], &ids[..], &rest[..]].concat())?;
        wait_for(&bundle.join("pid"))?;
        do_run(&[&crun, "start", name])
    });
    let found = found.and_then(|()| {
        let place = dir.to_string_lossy();
        names.iter().map(|name| of(process("conmon", &[&format!("-c {name} "), &place])?)).collect()
    });
    for name in names {
        // Those that were not started cannot be deleted.
        let _ = do_run(&[&crun, "delete", "-f", name]);
    }
    found
}

/// Waits for a file, ten seconds at most: conmon goes to the background before its runtime is done.
fn wait_for(path: &Path) -> Result<()> {
    let began = std::time::Instant::now();
    while !path.exists() {
        anyhow::ensure!(began.elapsed().as_secs() < 10, "{} did not come", path.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_nobody_else_has() {
        let memory = parse(
            "Rss: 900 kB\nPss:  120 kB\nPss_Dirty: 1 kB\nPrivate_Clean:   8 kB\nPrivate_Dirty: 84 kB\n",
        );
        assert!((memory.pss - 120.0).abs() < 1e-9 && (memory.private - 92.0).abs() < 1e-9);
    }
}
