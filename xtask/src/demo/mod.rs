//! `cargo xtask demo`: the life of a zone, with every command as a person would type it.

mod stage;

use crate::{dist, paths, say, sh};
use anyhow::{Context, Result, ensure};
use stage::Stage;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// How to show it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the zone running at the end, to play with
    #[arg(long)]
    keep: bool,
    /// Show the programs that are in this folder; nothing is built
    #[arg(long, value_name = "DIR")]
    bin: Option<PathBuf>,
}

/// Builds, shows, takes down. Whatever fails, nothing is left.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    sh::require_root("demo", "boots a zone")?;
    let bin = match &args.bin {
        Some(bin) => bin.canonicalize().with_context(|| bin.display().to_string())?,
        None => {
            say::title("Building (cargo build)");
            dist::debug()?;
            paths::debug()
        }
    };
    let began = Instant::now();
    let stage = Stage::set(bin)?;
    let shown = show(&stage, args.keep);
    if shown.is_ok() && args.keep {
        stage.keep();
        return Ok(ExitCode::SUCCESS);
    }
    let cleared = stage.clear();
    shown?;
    let left = cleared?;
    ensure!(left.is_empty(), "the demo left behind: {}", left.join(", "));
    say::good("Nothing is left: no process, no mount, no control group, no file.");
    say::note(&format!("That took {:.1} s.", began.elapsed().as_secs_f64()));
    Ok(ExitCode::SUCCESS)
}

fn show(stage: &Stage, keep: bool) -> Result<()> {
    say::title("A root of our own, so that nothing of this machine is touched");
    stage.introduce();

    say::title("Configure, install, boot");
    stage.zonecfg("create; set brand=sparse")?;
    stage.zoneadm(&["install"])?;
    stage.zoneadm(&["boot"])?;

    say::title("Use it: its own processes, users and host name; this machine's /usr, read-only");
    stage.zlogin(&["uname", "-n"])?;
    stage.zlogin(&["sh", "-c", "id -un; cat /proc/1/comm"])?;
    stage.zlogin(&["cat", "/proc/self/uid_map"])?;
    stage.zlogin_fails(&["touch", "/usr/written-from-inside"])?;
    stage.list()?;

    say::title("Reboot it from inside");
    let before = stage.status()?;
    stage.zlogin_ends(&["reboot"])?;
    let after = stage.wait_for_new(&before)?;
    say::good(&format!("Another incarnation: {} was {before}, now it is {after}", stage.zone()));
    stage.list()?;

    say::title("Kill its daemon: the zone does not notice");
    let daemon = stage.daemon()?;
    let first = stage.first_process()?;
    say::note(&format!("Before: {first}"));
    stage.kill(daemon)?;
    let second = stage.first_process()?;
    say::note(&format!("After:  {second}"));
    ensure!(first.is(&second), "the zone's PID 1 did not survive the death of its daemon");
    say::good("The same process, and its clock went on. The next command finds the zone again:");
    stage.zoneadm(&["boot"])?;
    ensure!(first.is(&stage.first_process()?), "the zone's PID 1 did not survive its adoption");
    stage.zlogin(&["echo", "still the same zone"])?;

    if !keep {
        say::title("Take it down");
        stage.zoneadm(&["halt"])?;
        stage.zoneadm(&["uninstall", "-F"])?;
        stage.zonecfg("delete -F")?;
        stage.list()?;
    }
    Ok(())
}
