//! `cargo xtask bench net`: many zones on one bridge, and how much goes through a zone's link.

use super::report::{Table, Unit, Who};
use super::stage::{Stage, until_served};
use super::stats::Samples;
use super::{boot, floor::wire};
use crate::needs::{Need, need};
use crate::{say, sh};
use anyhow::{Context, Result, bail};
use rustix::process::Pid;
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many zones on the bridge
    #[arg(short, long, default_value_t = 200)]
    pub(super) zones: usize,
    /// How often the throughput of each is measured
    #[arg(short = 'n', long, default_value_t = 7)]
    pub(super) rounds: usize,
    /// For how many seconds each time
    #[arg(short, long, default_value_t = 2)]
    pub(super) seconds: u32,
}

/// Of how many boots, the first and the last, the medians are compared: no more than this.
const SOME: usize = 20;

/// What measures throughput.
pub(super) const NEEDS: [Need; 1] = [need("iperf3", "iperf3", "how much goes through a net")];

/// The bridge that a zone's is held against, and the port of it.
const BRIDGE: &str = "bench1";
const PORT: &str = "bench1p";

/// Where throughput is measured.
const SERVER_PORT: &str = "5299";

/// Measures throughput, and many zones on a bridge.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    if args.zones < 3 {
        bail!("at least three zones are needed");
    }
    let mut tables = throughput(stage, args)?;
    tables.push(many(stage, args)?);
    Ok(tables)
}

/// Boots one zone after the other, until all are on the bridge.
fn many(stage: &Stage, args: &Args) -> Result<Table> {
    let names: Vec<String> = (0..args.zones).map(|number| format!("z{number}")).collect();
    let title = format!("{} zones booted onto one bridge", names.len());
    say::title(&title);
    say::note("installing them");
    for name in &names {
        let zone = stage.lab.tiny(name, boot::IDLE);
        zone.zonecfg("add net; end").ok();
    }
    let mut worker = stage.worker()?;
    let mut times = Vec::new();
    for name in &names {
        let boot = stage.job("zoneadm", &["-z", name, "boot", "--timings", "--json"]);
        let (whole, output) = worker.has_done(&boot)?;
        let steps = boot::steps(&output);
        let inside = steps.iter().map(|(_, usec)| usec).sum();
        let both = [("the whole command".to_owned(), whole), ("inside the daemon".to_owned(), inside)];
        times.push(both.into_iter().chain(steps).collect::<Vec<_>>());
    }
    for name in &names {
        stage.lab.zone(name).remove();
    }
    // The very first makes the bridge.
    let some = SOME.min((times.len() - 1) / 2);
    let (first, last) = (&times[1..=some], &times[times.len() - some..]);
    let mut table = Table::new(&title, Unit::Milliseconds)
        .note(&format!("Of {some} each; the very first, which makes the bridge, is not counted."));
    for name in ["the whole command", "inside the daemon", "check", "network"] {
        for (boots, of) in [(first, "first"), (last, "last")] {
            let mut samples = Samples::default();
            boots.iter().flatten().filter(|(row, _)| row == name).for_each(|(_, usec)| samples.add(*usec));
            table = table.row(Who::Ours, &format!("{name}, the {of}"), &samples);
        }
    }
    Ok(table)
}

/// Sends to the host and from it: over a bare veth pair, over one with a port of a bridge and nothing else, and from a zone of the
/// managed network.
fn throughput(stage: &Stage, args: &Args) -> Result<Vec<Table>> {
    let zone = stage.lab.sparse_with("fast", "add net; end");
    zone.zoneadm(["boot"]).ok();
    let router = zone.zlogin(["ip", "-j", "route", "show", "default"]).ok().out();
    let routes: Value = serde_json::from_str(&router).context("the zone's routes")?;
    let router = routes[0]["gateway"].as_str().context("the zone has no router")?.to_owned();
    let bare = Apart::connected(wire::bare_pair)?;
    let _bridge = wire::Bridge::make(BRIDGE)?;
    let bridged = Apart::connected(|pid| wire::bridged_pair(BRIDGE, PORT, pid, || Ok(())))?;
    let _server = Running::start(Command::new("iperf3").args(["-s", "-p", SERVER_PORT]))?;
    until_served(SERVER_PORT)?;
    let seconds = args.seconds.to_string();
    let client = |address: &str, way: &[&str]| {
        let words = ["iperf3", "-J", "-p", SERVER_PORT, "-t", &seconds, "-c", address];
        words.iter().chain(way).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    say::title("Throughput, TCP, in turn");
    let ways: [(&str, &[&str]); 2] = [("to the host", &[]), ("from the host", &["-R"])];
    let mut tables = Vec::new();
    for (name, way) in ways {
        let [mut of_bare, mut of_bridge, mut of_zone]: [Samples; 3] = Default::default();
        for _ in 0..args.rounds {
            of_bare.push(bare.measure(&client(wire::BARE.host, way))?);
            of_bridge.push(bridged.measure(&client(wire::BRIDGED.host, way))?);
            of_zone.push(rate(&zone.zlogin(client(&router, way)).ok().out())?);
        }
        tables.push(
            Table::new(&format!("TCP {name}"), Unit::GigabitsPerSecond)
                .row(Who::Floor, "a bare veth pair", &of_bare)
                .row(Who::Floor, "the same, a port of a bridge, no rules", &of_bridge)
                .row(Who::Ours, "a zone of the managed network", &of_zone),
        );
    }
    zone.remove();
    Ok(tables)
}

/// What arrived, in Gbit/s, by what iperf3 says.
fn rate(output: &str) -> Result<f64> {
    let said: Value = serde_json::from_str(output).context("what iperf3 printed")?;
    match said["end"]["sum_received"]["bits_per_second"].as_f64() {
        Some(bits) => Ok(bits / 1e9),
        None => bail!("iperf3: {}", said["error"].as_str().unwrap_or("no rate")),
    }
}

/// A network namespace that a pair leads to.
struct Apart {
    sleeper: Running,
}

impl Apart {
    fn connected(connect: impl FnOnce(Pid) -> Result<()>) -> Result<Self> {
        let sleeper = Running::start(Command::new("unshare").args(["--net", "sleep", "infinity"]))?;
        let pid = sleeper.pid()?;
        // It is there when its namespace is no longer ours.
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(format!("/proc/{}/ns/net", pid.as_raw_nonzero()))? == ours {
            std::thread::yield_now();
        }
        connect(pid)?;
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
    }
}
