//! `cargo xtask bench console`: how fast a zone's console is, and how quickly it answers.
//!
//! Every console has the same program at its far end. It writes lines of 80 columns through a
//! terminal that turns line feeds into two characters, as a console does, and what is counted is what
//! comes out at the near end; and it has single bytes said again, by its terminal and by itself.

mod agent;
mod mark;
mod paths;
mod wire;

use super::report::{Row, Table, Unit, Who};
use super::stage::Stage;
use super::stats::Samples;
use crate::needs::{Need, need};
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
    pub(super) size: usize,
    /// How many bytes there are and back each time
    #[arg(long, default_value_t = 3000)]
    pub(super) bytes: usize,
    /// How often each console has its turn
    #[arg(short = 'n', long, default_value_t = 5)]
    pub(super) rounds: usize,
}

/// Bytes for a way there and back: none of them is part of what programs send to a terminal, so that each
/// one that comes is the one that was sent.
const PROBES: [u8; 5] = *b"!&%+=";

/// What holds consoles beside ours.
pub(super) const NEEDS: [Need; 3] = [
    need("conmon", "conmon", "a console to measure beside ours"),
    need("dtach", "dtach", "a console to measure beside ours"),
    need("tmux", "tmux", "a console to measure beside ours"),
];

/// What was measured of one console.
struct Figures {
    name: String,
    who: Who,
    /// Megabytes a second that came out.
    speeds: Samples,
    /// Bytes that came out and that should have.
    got: usize,
    wanted: usize,
    /// How long a byte's echo took, in microseconds.
    by_terminal: Samples,
    by_program: Samples,
    /// Why there are no more.
    left_out: Option<String>,
}

/// Measures consoles.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let (lab, root, zlogin) = (&stage.lab, stage.lab.root(), stage.bin.join("zlogin"));
    for zone in ZONES {
        boot(lab, zone)?;
    }
    let mut lines = vec![
        (Who::Floor, paths::bare()?),
        (Who::Floor, paths::relayed(stage.folder())?),
        (Who::Ours, paths::plain(&lab.run().join("socket"))?),
        (Who::Ours, paths::zlogin_pipe(&zlogin, &root, "pipe")?),
        (Who::Ours, paths::zlogin_terminal(&zlogin, &root, "terminal")?),
    ];
    let paths::Peers { able, left_out } = paths::peers(stage.folder())?;
    lines.extend(able.into_iter().map(|line| (Who::Peer, line)));

    say::title("Text and single bytes, each console in turn");
    let alone = Alone::new()?;
    let mut figures = vec![Figures::of("floor: a pty in one process", Who::Floor)];
    figures.extend(lines.iter().map(|(who, line)| Figures::of(&line.name, *who)));
    // Those that fail are left out from then on.
    let mut lines: Vec<Option<Line>> = lines.into_iter().map(|(_, line)| Some(line)).collect();
    // The first round pays for what is not in memory yet.
    for round in 0..=args.rounds {
        let counted = round > 0;
        let mut warm_up = Figures::of("", Who::Floor);
        turn_alone(args, &alone, if counted { &mut figures[0] } else { &mut warm_up })?;
        for (line, figures) in lines.iter_mut().zip(&mut figures[1..]) {
            let Some(open) = line else { continue };
            let greeted = if counted { Ok(()) } else { greet(open) };
            let to = if counted { &mut *figures } else { &mut warm_up };
            if let Err(e) = greeted.and_then(|()| turn(args, open, to)) {
                say::note(&format!("{} is left out from here on: {e:#}", open.name));
                figures.left_out = Some(format!("{e:#}"));
                *line = None;
            }
        }
    }
    drop(lines);
    figures.extend(
        left_out
            .into_iter()
            .map(|(name, why)| Figures { left_out: Some(why), ..Figures::of(&name, Who::Peer) }),
    );
    for zone in ZONES {
        lab.zone(zone).remove();
    }
    Ok(tables(&figures))
}

/// A zone for each way in.
const ZONES: [&str; 3] = ["pipe", "terminal", "socket"];

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

fn turn(args: &Args, line: &mut Line, figures: &mut Figures) -> Result<()> {
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
            times.push(microseconds(began));
        }
        wire.send(b"q")?;
        wire.until(MARK)?;
    }
    Ok(())
}

fn turn_alone(args: &Args, alone: &Alone, figures: &mut Figures) -> Result<()> {
    let began = Instant::now();
    alone.echo_by_terminal(false)?;
    let got = alone.text(args.size << 20)?;
    figures.add_speed(got, args.size << 20, began);
    for (ourselves, times) in [(false, &mut figures.by_terminal), (true, &mut figures.by_program)] {
        alone.echo_by_terminal(!ourselves)?;
        for byte in PROBES.iter().cycle().take(args.bytes) {
            let began = Instant::now();
            alone.echo(*byte, ourselves)?;
            times.push(microseconds(began));
        }
    }
    Ok(())
}

fn microseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// Exact up to 2^32, and nothing here is more.
fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Figures {
    fn of(name: &str, who: Who) -> Self {
        let (speeds, by_terminal, by_program) = Default::default();
        Self {
            name: name.to_owned(),
            who,
            speeds,
            got: 0,
            wanted: 0,
            by_terminal,
            by_program,
            left_out: None,
        }
    }

    fn add_speed(&mut self, got: usize, bytes: usize, began: Instant) {
        self.speeds.push(float(got) / began.elapsed().as_secs_f64() / 1e6);
        self.got += got;
        // Each line grows by a carriage return.
        self.wanted += bytes / COLUMNS * (COLUMNS + 1);
    }

    /// How much of a hundred came out.
    fn share(&self) -> f64 {
        float(self.got / 1024) / float(self.wanted / 1024) * 100.0
    }
}

fn tables(figures: &[Figures]) -> Vec<Table> {
    let table = |title: &str, unit, of: fn(&Figures) -> &Samples| {
        let mut table = Table::new(title, unit);
        table.rows.extend(figures.iter().map(|row| Row {
            name: row.name.clone(),
            who: row.who,
            found: row.left_out.clone().map_or_else(|| Ok(of(row).clone()), Err),
        }));
        table
    };
    let mut text = table("Text, to the client", Unit::MegabytesPerSecond, |row| &row.speeds);
    let lost = figures.iter().filter(|row| row.left_out.is_none() && row.share() < 99.5);
    let lost: Vec<_> = lost.map(|row| format!("{} {:.0} %", row.name, 100.0 - row.share())).collect();
    if !lost.is_empty() {
        text.note = format!("Of what was said, these did not pass on: {}.", lost.join("; "));
    }
    vec![
        text,
        table("A byte echoed by the terminal", Unit::Microseconds, |row| &row.by_terminal),
        table("A byte echoed by a program", Unit::Microseconds, |row| &row.by_program),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_alone_gives_all_of_it() {
        let alone = Alone::new().unwrap();
        assert_eq!(alone.text(100 * COLUMNS + 7).unwrap(), 100 * (COLUMNS + 1));
        alone.echo(b'!', true).unwrap();
        alone.echo_by_terminal(true).unwrap();
        alone.echo(b'!', false).unwrap();
    }
}
