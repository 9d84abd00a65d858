//! `cargo xtask bench console`: how fast a zone's console is, and how quickly it answers.
//!
//! Every console has the same program at its far end. It writes lines of 80 columns through a
//! terminal that turns line feeds into two characters, as a console does, and what is counted is what
//! comes out at the near end; and it has single bytes said again, by its terminal and by itself.

mod agent;
mod mark;
mod paths;
mod wire;

use super::stage::{Build, Stage};
use crate::{say, sh};
use agent::{Alone, COLUMNS};
pub(super) use agent::{Role, run as play};
use anyhow::Result;
use mark::MARK;
use paths::Line;
use std::time::Instant;
use zones_suite::harness::Lab;

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How much text the guest writes each time, in MiB
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// How many bytes there are and back each time
    #[arg(long, default_value_t = 3000)]
    bytes: usize,
    /// How often each console has its turn
    #[arg(short = 'n', long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    build: Build,
}

/// Bytes for a way there and back: none of them is part of what programs send to a terminal, so that each
/// one that comes is the one that was sent.
const PROBES: [u8; 5] = *b"!&%+=";

/// What was measured of one console.
#[derive(Default)]
struct Figures {
    name: String,
    /// Bytes a second that came out.
    speeds: Vec<f64>,
    /// Bytes that came out and that should have.
    got: usize,
    wanted: usize,
    /// Nanoseconds.
    by_terminal: Vec<u64>,
    by_program: Vec<u64>,
}

/// Measures, and prints the table.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = Stage::set("bench console", &args.build)?;
    let (lab, root, zlogin) = (&stage.lab, stage.lab.root(), stage.bin.join("zlogin"));
    for zone in ["pipe", "terminal", "socket"] {
        boot(lab, zone)?;
    }
    let mut lines = vec![
        paths::bare()?,
        paths::relayed(stage.folder())?,
        paths::plain(&lab.run().join("socket"))?,
        paths::zlogin_pipe(&zlogin, &root, "pipe")?,
        paths::zlogin_terminal(&zlogin, &root, "terminal")?,
    ];
    lines.extend(paths::peers(stage.folder())?);

    say::title("Text and single bytes, each console in turn");
    let alone = Alone::new()?;
    let mut figures = vec![Figures { name: "floor: a pty in one process".to_owned(), ..Figures::default() }];
    figures.extend(lines.iter().map(|line| Figures { name: line.name.clone(), ..Figures::default() }));
    // Those that fail are left out from then on.
    let mut lines: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
    for line in &mut lines {
        let Some(open) = line else { continue };
        if let Err(e) = greet(open) {
            say::note(&format!("{} is left out, it does not answer: {e:#}", open.name));
            *line = None;
        }
    }
    for round in 0..=args.rounds {
        // The first of each pays for what is not in memory yet.
        let mut warm_up = Figures::default();
        let counted = round > 0;
        measure_alone(args, &alone, if counted { &mut figures[0] } else { &mut warm_up })?;
        for (line, figures) in lines.iter_mut().zip(&mut figures[1..]) {
            let Some(open) = line else { continue };
            if let Err(e) = measure(args, open, if counted { figures } else { &mut warm_up }) {
                say::note(&format!("{} is left out from here on: {e:#}", open.name));
                *line = None;
            }
        }
    }
    drop(lines);
    print(&figures);
    for zone in ["pipe", "terminal", "socket"] {
        lab.zone(zone).halt();
    }
    lab.finish();
    Ok(())
}

/// A sparse zone whose init is the guest.
fn boot(lab: &Lab, name: &str) -> Result<()> {
    let zone = lab.sparse(name);
    std::fs::copy(std::env::current_exe()?, zone.file("/agent"))?;
    let init = zone.file("/guest");
    std::fs::write(&init, "#!/bin/sh\nexec /agent bench agent guest\n")?;
    sh::run(std::process::Command::new("chmod").arg("755").arg(&init))?;
    zone.zoneadm(["boot", "--", "-i", "/guest"]).ok();
    Ok(())
}

/// Waits until the guest answers: it may have spoken before there was anybody to hear it.
fn greet(line: &mut Line) -> Result<()> {
    line.wire.send(b"\n")?;
    line.wire.until(MARK)?;
    // And what it says when it is told nothing is out of the way before it is told something.
    line.wire.send(b"T0\n")?;
    line.wire.until_quiet()
}

fn measure(args: &Args, line: &mut Line, figures: &mut Figures) -> Result<()> {
    let bytes = args.size << 20;
    let wire = &mut line.wire;
    let began = Instant::now();
    wire.send(format!("T{bytes}\n").as_bytes())?;
    let got = wire.until(MARK)?;
    figures.add_speed(got, bytes, began);
    for (letter, times) in [("L\n", &mut figures.by_terminal), ("E\n", &mut figures.by_program)] {
        wire.send(letter.as_bytes())?;
        wire.until(MARK)?;
        for byte in PROBES.iter().cycle().take(args.bytes) {
            let began = Instant::now();
            wire.send(&[*byte])?;
            wire.until_byte(*byte)?;
            times.push(nanoseconds(began));
        }
        wire.send(b"q")?;
        wire.until(MARK)?;
    }
    Ok(())
}

fn measure_alone(args: &Args, alone: &Alone, figures: &mut Figures) -> Result<()> {
    let began = Instant::now();
    alone.echo_by_terminal(false)?;
    let got = alone.text(args.size << 20)?;
    figures.add_speed(got, args.size << 20, began);
    for (ourselves, times) in [(false, &mut figures.by_terminal), (true, &mut figures.by_program)] {
        alone.echo_by_terminal(!ourselves)?;
        for byte in PROBES.iter().cycle().take(args.bytes) {
            let began = Instant::now();
            alone.echo(*byte, ourselves)?;
            times.push(nanoseconds(began));
        }
    }
    Ok(())
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Exact up to 2^32, and nothing here is more.
fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Figures {
    fn add_speed(&mut self, got: usize, bytes: usize, began: Instant) {
        self.speeds.push(float(got) / began.elapsed().as_secs_f64());
        self.got += got;
        // Each line grows by a carriage return.
        self.wanted += bytes / COLUMNS * (COLUMNS + 1);
    }

    fn speed(&self) -> f64 {
        let mut speeds = self.speeds.clone();
        speeds.sort_by(f64::total_cmp);
        speeds.get(speeds.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// The time that so many of a thousand do not exceed, in microseconds.
fn quantile(times: &[u64], of_thousand: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * of_thousand).div_ceil(1000).max(1) - 1;
    sorted.get(rank).map_or(f64::NAN, |&time| f64::from(u32::try_from(time).unwrap_or(u32::MAX)) / 1000.0)
}

fn print(figures: &[Figures]) {
    let Some(floor) = figures.first() else { return };
    let head = format!("{:<42} {:>7} {:>7} {:>8}", "Text, to the client", "MB/s", "x floor", "of it %");
    say::title(&head);
    for row in figures {
        let share = float(row.got / 1024) / float(row.wanted / 1024) * 100.0;
        let (speed, times) = (row.speed(), row.speed() / floor.speed());
        println!("{:<42} {:>7.1} {times:>7.2} {share:>8.1}", row.name, speed / 1e6);
    }
    for (title, of) in [
        ("A byte said again by the terminal", (|row| &row.by_terminal) as fn(&Figures) -> &Vec<u64>),
        ("A byte said again by a program", |row| &row.by_program),
    ] {
        say::title(&format!(
            "{title:<42} {:>7} {:>9} {:>8} {:>7} {:>6}",
            "min µs", "median µs", "p99 µs", "x floor", "n"
        ));
        for row in figures {
            let times = of(row);
            let median = quantile(times, 500);
            println!(
                "{:<42} {:>7.1} {median:>9.1} {:>8.1} {:>7.1} {:>6}",
                row.name,
                quantile(times, 0),
                quantile(times, 990),
                median / quantile(of(floor), 500),
                times.len()
            );
        }
    }
    if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
        println!("\nLoad average of the machine at the end: {}", load.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let times: Vec<u64> = (1..=1000).rev().map(|us| us * 1000).collect();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(quantile(&times, 0), 1.0) && near(quantile(&times, 500), 500.0));
        assert!(near(quantile(&times, 990), 990.0) && quantile(&[], 500).is_nan());
    }

    #[test]
    fn a_terminal_alone_gives_all_of_it() {
        let alone = Alone::new().unwrap();
        assert_eq!(alone.text(100 * COLUMNS + 7).unwrap(), 100 * (COLUMNS + 1));
        alone.echo(b'!', true).unwrap();
        alone.echo_by_terminal(true).unwrap();
        alone.echo(b'!', false).unwrap();
    }
}
