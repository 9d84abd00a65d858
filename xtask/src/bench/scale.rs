//! `cargo xtask bench scale`: what one zone costs among many that are installed, and many that run.

use super::boot::IDLE;
use super::report::{Table, Unit, Who};
use super::stage::Stage;
use super::stats::{Samples, milliseconds};
use crate::say;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use zones_suite::harness::Zone;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Among how many installed zones one is measured
    #[arg(short, long, value_delimiter = ',', default_values_t = [1, 300, 1000])]
    pub(super) configured: Vec<usize>,
    /// How often
    #[arg(short = 'n', long, default_value_t = 15)]
    pub(super) rounds: usize,
    /// How many zones run at once
    #[arg(short, long, default_value_t = 100)]
    pub(super) up: usize,
}

const ZONE: &str = "one";

/// Measures by number.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let mut tables = among(stage, args)?;
    tables.extend(up(stage, args)?);
    Ok(tables)
}

/// The figures of one zone among so many.
#[derive(Default)]
struct Figures {
    boot: Samples,
    login: Samples,
    halt: Samples,
    private: Samples,
}

/// Measures one zone among few and many that are installed, by turns of the number.
fn among(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let zone = stage.lab.tiny(ZONE, IDLE);
    let installation = stage.lab.root();
    let crowd = Crowd::of(&installation)?;
    let mut worker = stage.worker()?;
    let zoneadm = |verb| stage.job("zoneadm", &["-z", ZONE, verb]);
    let mut all: Vec<Figures> = args.configured.iter().map(|_| Figures::default()).collect();
    for round in 0..=args.rounds {
        for (&number, figures) in args.configured.iter().zip(&mut all) {
            crowd.is(number)?;
            let boot = worker.has_done(&zoneadm("boot"))?.0;
            let login = worker.has_done(&stage.job("zlogin", &[ZONE, "true"]))?.0;
            let daemon = zone.daemon().context("the zone has no daemon")?;
            let private = super::memory::private(daemon)?;
            let halt = worker.has_done(&zoneadm("halt"))?.0;
            // The first of each pays for what is not in memory yet.
            if round > 0 {
                figures.boot.add(boot);
                figures.login.add(login);
                figures.halt.add(halt);
                figures.private.push(private);
            }
        }
    }
    crowd.is(1)?;
    zone.remove();
    let table = |title: &str, unit, of: fn(&Figures) -> &Samples| {
        let rows = args.configured.iter().zip(&all);
        let table = Table::new(&format!("{title}, by installed zones"), unit);
        rows.fold(table, |table, (number, figures)| {
            table.row(Who::Ours, &format!("of {number}"), of(figures))
        })
    };
    Ok(vec![
        table("zoneadm boot", Unit::Milliseconds, |figures| &figures.boot),
        table("zoneadm halt", Unit::Milliseconds, |figures| &figures.halt),
        table("zlogin true", Unit::Milliseconds, |figures| &figures.login),
        table("Private memory of zoneadmd", Unit::Kilobytes, |figures| &figures.private).note(
            "With the pages of its program in it: it is the only one, and has nobody to share them with.",
        ),
    ])
}

/// Many zones in an installation that has one: those that are written into its files, since to install so many takes longer than all
/// that is measured.
struct Crowd<'a> {
    root: &'a Path,
    /// What the files had before, by their names.
    files: Vec<(&'static str, String)>,
}

/// The files that have a line for each zone, below ROOT.
const LISTS: [&str; 4] = ["etc/zones/index", "etc/zones/idmap", "etc/subuid", "etc/subgid"];

impl<'a> Crowd<'a> {
    fn of(root: &'a Path) -> Result<Self> {
        let read = |file| {
            let text = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
            Ok((file, text))
        };
        Ok(Self { root, files: LISTS.into_iter().map(read).collect::<Result<_>>()? })
    }

    /// Makes it that there are so many, with the one that is measured.
    fn is(&self, number: usize) -> Result<()> {
        for (file, before) in &self.files {
            let lines = (1..number).map(|other| self.line(file, other));
            fs::write(self.root.join(file), before.clone() + &lines.collect::<String>())?;
        }
        for other in 1..number {
            let path = self.zonepath(other);
            if !path.exists() {
                fs::create_dir_all(path.join("root"))?;
                let text = format!("zonepath = \"{}\"\nbrand = \"linux\"\n", path.display());
                fs::write(self.root.join(format!("etc/zones/other{other}.toml")), text)?;
            }
        }
        Ok(())
    }

    fn zonepath(&self, other: usize) -> std::path::PathBuf {
        self.root.join(format!("var/lib/zones/other{other}"))
    }

    fn line(&self, file: &str, other: usize) -> String {
        // Far above what zones are given by themselves.
        let base = 3_000_000_000_usize + other * 65536;
        match file {
            "etc/zones/index" => {
                let path = self.zonepath(other);
                format!("other{other}:installed:{}:00000000-0000-4000-8000-{other:012}\n", path.display())
            }
            "etc/zones/idmap" => format!("other{other}:{base}:65536\n"),
            _ => format!("zone-other{other}:{base}:65536\n"),
        }
    }
}

/// How many commands call daemons at a time.
const JOBS: usize = 8;

/// How often all zones are listed.
const LISTS_OF_ALL: usize = 5;

/// Of how many boots, the first and the last, the medians are compared: a fifth of all, and no more than this.
const SOME: usize = 100;

/// Measures many zones that run.
fn up(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    ensure!(args.up >= 2, "at least two zones that run are needed");
    let names: Vec<String> = (0..args.up).map(|number| format!("u{number}")).collect();
    let title = format!("{} zones that run at once", names.len());
    say::title(&title);
    say::note("installing them");
    for name in &names {
        stage.lab.sparse(name);
    }
    let mut worker = stage.worker()?;
    let mut ask = |words: &[&str]| worker.has_done(&stage.job("zoneadm", words)).map(|(usec, _)| usec);
    say::note("booting them");
    let boots = names.iter().map(|name| ask(&["-z", name, "boot"])).collect::<Result<Vec<_>>>()?;
    let lists = (0..LISTS_OF_ALL).map(|_| ask(&["list", "-cv"])).collect::<Result<Vec<_>>>()?;
    let zscheds = names.iter().map(|name| alone(&stage.lab.zone(name))).collect::<Result<Samples>>()?;
    // So that there is a daemon of each again.
    super::restart::killed_and_adopted(stage, &names, JOBS)?;
    let adopted = super::restart::killed_and_adopted(stage, &names, JOBS)?;
    let (first_half, second_half) = names.split_at(names.len() / 2);
    let halts = first_half.iter().map(|name| ask(&["-z", name, "halt"])).collect::<Result<Vec<_>>>()?;
    let rest = ask(&["--all", "--state", "running", "halt"])?;
    for name in &names {
        stage.lab.zone(name).remove();
    }
    let some = (boots.len() / 5).clamp(1, SOME);
    let samples = |usecs: &[u64]| usecs.iter().map(|usec| milliseconds(*usec)).collect::<Samples>();
    let (first, last) = (&boots[..some], &boots[boots.len() - some..]);
    let times = Table::new(&title, Unit::Milliseconds)
        .row(Who::Ours, &format!("zoneadm boot, the first {some}"), &samples(first))
        .row(Who::Ours, &format!("zoneadm boot, the last {some}"), &samples(last))
        .row(Who::Ours, "zoneadm list -cv, of them all", &samples(&lists))
        .row(Who::Ours, "all daemons killed, until all are adopted", &samples(&[adopted]))
        .row(
            Who::Ours,
            &format!("zoneadm halt, one after the other, of {}", first_half.len()),
            &samples(&halts),
        )
        .row(Who::Ours, &format!("zoneadm --all halt, of {}", second_half.len()), &samples(&[rest]))
        .note(&format!("Once killed, {JOBS} commands at a time call."));
    let memory = Table::new(&format!("Private memory of zsched, {title}"), Unit::Kilobytes).row(
        Who::Ours,
        "zsched, all that stays, without a daemon",
        &zscheds,
    );
    Ok(vec![times, memory])
}

/// What zsched has for itself once the zone's daemon has left, in kB.
fn alone(zone: &Zone<'_>) -> Result<f64> {
    if let Some(daemon) = zone.daemon() {
        super::memory::leaves(daemon)?;
        zone.daemon_leaves();
    }
    super::memory::private(zone.keeper())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_comes_and_goes_without_a_trace_in_the_lists() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/zones")).unwrap();
        for file in LISTS {
            fs::write(dir.path().join(file), "one\n").unwrap();
        }
        let crowd = Crowd::of(dir.path()).unwrap();
        let index = || fs::read_to_string(dir.path().join(LISTS[0])).unwrap();
        crowd.is(4).unwrap();
        assert_eq!(index().lines().count(), 4);
        assert!(dir.path().join("etc/zones/other3.toml").exists());
        crowd.is(1).unwrap();
        assert_eq!(index(), "one\n");
    }
}
