//! `cargo xtask bench net`: many zones on one bridge, and how much goes through a zone's link.

use super::stage::{self, Build, Stage};
use super::stats::{Times, milliseconds};
use super::worker::{Job, Worker};
use super::{boot, floor::wire};
use crate::{needs, say, sh};
use anyhow::{Context, Result, bail};
use rustix::process::Pid;
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many zones on the bridge
    #[arg(short, long, default_value_t = 200)]
    zones: usize,
    /// How often the throughput of each is measured
    #[arg(short = 'n', long, default_value_t = 7)]
    rounds: usize,
    /// For how many seconds each time
    #[arg(short, long, default_value_t = 2)]
    seconds: u32,
    #[command(flatten)]
    build: Build,
}

/// Of how many boots, the first and the last, the medians are compared.
const SOME: usize = 20;

/// Where throughput is measured.
const SERVER_PORT: &str = "5299";

/// Measures, and prints the tables.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.zones < 2 * SOME {
        bail!("at least {} zones are needed", 2 * SOME);
    }
    needs::provide(&[&[needs::need("iperf3", "iperf3", "how much goes through a net")]])?;
    let stage = Stage::set("bench net", &args.build)?;
    stage::own_network()?;
    throughput(&stage, args)?;
    many(&stage, args)?;
    println!("\nLoad average of the machine at the end: {}", stage::load());
    stage.lab.finish();
    Ok(())
}

/// Boots one zone after the other, until all are on the bridge.
fn many(stage: &Stage, args: &Args) -> Result<()> {
    let names: Vec<String> = (0..args.zones).map(|number| format!("z{number}")).collect();
    say::title(&format!("{} zones on one bridge, booted one after the other", names.len()));
    say::note("installing them");
    for name in &names {
        let zone = stage.lab.tiny(name, "exec sleep 2147483647");
        zone.zonecfg("add net; end").ok();
    }
    let zones_root = stage.lab.root();
    let mut worker = Worker::start(&[], &[("ZONES_ROOT", &zones_root.to_string_lossy())])?;
    let zoneadm = stage.bin.join("zoneadm").to_string_lossy().into_owned();
    let mut times = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let words = [zoneadm.as_str(), "-z", name, "boot", "--timings", "--json"].map(str::to_owned).into();
        let (whole, output) = boot::ask(&mut worker, &Job::Run { words, wanted: true })?;
        let steps = boot::steps(&output);
        let inside = steps.iter().map(|(_, usec)| usec).sum();
        let both =
            [("the whole command".to_owned(), whole), ("inside the daemon, of that:".to_owned(), inside)];
        times.push(both.into_iter().chain(steps).collect::<Vec<_>>());
        if (number + 1) % 50 == 0 {
            say::note(&format!("{} are up", number + 1));
        }
    }
    // The very first makes the bridge.
    let (first, last) = (&times[1..=SOME], &times[times.len() - SOME..]);
    say::title(&format!("{:<44} {:>9} {:>9} {:>7}", "median ms", "first 20", "last 20", "ratio"));
    for (name, _) in &times[0] {
        let median = |boots: &[Vec<(String, u64)>]| {
            let mut of_row = Times::default();
            boots.iter().flatten().filter(|(row, _)| row == name).for_each(|(_, usec)| of_row.add(*usec));
            of_row.median()
        };
        let (first, last) = (median(first), median(last));
        // Below the clock's microsecond there is no ratio.
        let ratio = if first > 0.0 { format!("{:.2}", last / first) } else { "-".to_owned() };
        println!("{name:<44} {first:>9.2} {last:>9.2} {ratio:>7}");
    }
    println!("{:<44} {:>9.2}", "the very first, which makes the bridge", milliseconds(times[0][0].1));
    Ok(())
}

/// Sends to the host and from it: over a bare veth pair, and from a zone of the managed network.
fn throughput(stage: &Stage, args: &Args) -> Result<()> {
    let zone = stage.lab.sparse_with("fast", "add net; end");
    zone.zoneadm(["boot"]).ok();
    let router = zone.zlogin(["ip", "-j", "route", "show", "default"]).ok().out();
    let routes: Value = serde_json::from_str(&router).context("the zone's routes")?;
    let router = routes[0]["gateway"].as_str().context("the zone has no router")?.to_owned();
    let bare = Bare::new()?;
    let _server = Running::start(Command::new("iperf3").args(["-s", "-p", SERVER_PORT]))?;
    stage::until_served(SERVER_PORT)?;
    let seconds = args.seconds.to_string();
    let client = |address: &str, way: &[&str]| {
        let words = ["iperf3", "-J", "-p", SERVER_PORT, "-t", &seconds, "-c", address];
        words.iter().chain(way).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    say::title("Throughput, TCP, in turn");
    let ways: [(&str, &[&str]); 2] = [("to the host", &[]), ("from the host", &["-R"])];
    for (name, way) in ways {
        let (mut of_bare, mut of_zone) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            of_bare.push(bare.measure(&client(wire::ROUTER, way))?);
            of_zone.push(rate(&zone.zlogin(client(&router, way)).ok().out())?);
        }
        let (of_bare, of_zone) = (median(of_bare), median(of_zone));
        println!(
            "{name:<16} bare veth pair {of_bare:>6.2} Gbit/s   zone {of_zone:>6.2} Gbit/s   ratio {:.2}",
            of_zone / of_bare
        );
    }
    zone.zoneadm(["halt"]).ok();
    Ok(())
}

/// The middle one.
fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What arrived, in Gbit/s, by what iperf3 says.
fn rate(output: &str) -> Result<f64> {
    let said: Value = serde_json::from_str(output).context("what iperf3 printed")?;
    match said["end"]["sum_received"]["bits_per_second"].as_f64() {
        Some(bits) => Ok(bits / 1e9),
        None => bail!("iperf3: {}", said["error"].as_str().unwrap_or("no rate")),
    }
}

/// A network namespace that a bare veth pair leads to.
struct Bare {
    sleeper: Running,
}

impl Bare {
    fn new() -> Result<Self> {
        let sleeper = Running::start(Command::new("unshare").args(["--net", "sleep", "infinity"]))?;
        let pid = sleeper.pid()?;
        // It is there when its namespace is no longer ours.
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(format!("/proc/{}/ns/net", pid.as_raw_nonzero()))? == ours {
            std::thread::yield_now();
        }
        wire::bare_pair(pid)?;
        Ok(Self { sleeper })
    }

    fn measure(&self, words: &[String]) -> Result<f64> {
        let pid = self.sleeper.pid()?.as_raw_nonzero().to_string();
        rate(&sh::capture(Command::new("nsenter").args(["-t", &pid, "-n"]).args(words))?)
    }
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(spawned.with_context(|| format!("cannot start `{}`", sh::line(command)))?))
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("no process id")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_arrived() {
        let text = r#"{"end":{"sum_sent":{"bits_per_second":9e9},"sum_received":{"bits_per_second":8e9}}}"#;
        assert!((rate(text).unwrap() - 8.0).abs() < 1e-9);
        let refused = rate(r#"{"error":"unable to connect"}"#).unwrap_err();
        assert_eq!(refused.to_string(), "iperf3: unable to connect");
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
