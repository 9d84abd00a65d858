//! Runs the zones suite in a PID and a mount namespace of its own, and each test in such namespaces within.
#![forbid(unsafe_code)]

use clap::Parser;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use zones_suite::cases;
use zones_suite::harness::{self, Case, LabSpec, disk, namespaces, old_kernel, runner, supervisor};
use zones_suite::soak;

/// Boots real zones as root and asserts that nothing is left.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Args {
    /// Run only the tests whose name contains one of these
    filter: Vec<String>,
    /// Run only the tests of this subject
    #[arg(long, value_name = "SUBJECT")]
    only: Option<String>,
    /// Do not run the tests of this subject
    #[arg(long, value_name = "SUBJECT")]
    except: Option<String>,
    /// Print the names and run nothing
    #[arg(long)]
    list: bool,
    /// The folder for everything that the tests make
    #[arg(long, value_name = "FOLDER", default_value = "target/zones-suite")]
    dir: PathBuf,
    /// The folder of the programs to test [default: this program's own]
    #[arg(long, value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// The folder of the guests' archives
    #[arg(long, value_name = "FOLDER")]
    guests: Option<PathBuf>,
    /// A Python that has the varlink package
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Write the count to this file, as JSON, instead of printing it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Instead of the tests, lead zones through a life of commands and deaths that this number decides
    #[arg(long, value_name = "SEED")]
    soak: Option<u64>,
    /// For how long to soak
    #[arg(long, value_name = "MINUTES", default_value_t = 5.0)]
    minutes: f64,
    /// How many zones to soak
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    zones: usize,
    /// How many tests to run at the same time [default: four times the number of processors]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
    /// Give everything so many times as long, on a machine that is emulated
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    slow: u32,
    /// Have daemons leave after so many seconds, or "never", in the tests that do not say otherwise
    #[arg(long, value_name = "SECONDS")]
    daemon_idle: Option<String>,
    /// Run only the core of the suite, which takes a minute or two
    #[arg(long)]
    core: bool,
    /// Run this test in this process, in the folder given by --dir
    #[arg(long, hide = true)]
    one: Option<String>,
    /// Supervise this test, in the folder given by --dir, in these namespaces that it has for itself
    #[arg(long, hide = true)]
    case: Option<String>,
    /// Execute the words after -- as if this system call, by its number, did not exist
    #[arg(long, hide = true)]
    without_call: Option<u32>,
    /// Execute the words after -- as if the kernel had no netfilter
    #[arg(long, hide = true)]
    without_netfilter: bool,
    /// The namespaces are already made
    #[arg(long, hide = true)]
    inside: bool,
}

/// How many tests run at the same time for each processor.
const JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

fn main() -> ExitCode {
    // Who starts the suite in the background of a script has it ignore SIGINT, which terminals here are to send.
    zone_sys::signal::reset_all();
    zone_sys::signal::ignore(rustix::process::Signal::PIPE.as_raw());
    supervisor::quiet_skips();
    run(Args::parse()).unwrap_or_else(|e| {
        eprintln!("zones-suite: {e}");
        ExitCode::FAILURE
    })
}

fn run(args: Args) -> io::Result<ExitCode> {
    if args.list {
        selected(&args).iter().for_each(|case| println!("{}", case.name()));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(number) = args.without_call {
        return Err(old_kernel::exec_without(number, &args.filter));
    }
    if args.without_netfilter {
        return Err(old_kernel::exec_without_netfilter(&args.filter));
    }
    harness::slow_down(args.slow);
    let here = std::env::current_exe()?;
    // Tests run commands in folders of their own.
    let full = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
    let bin = full(&args.bin)?.or_else(|| here.parent().map(PathBuf::from)).unwrap_or_default();
    let (guests, python) = (full(&args.guests)?, full(&args.python)?);
    let spec = LabSpec { dir: args.dir.clone(), bin, guests, python, daemon_idle: args.daemon_idle.clone() };
    if let Some(name) = &args.one {
        return Ok(supervisor::run_here(&by_name(name)?, spec));
    }
    if std::process::id() == 1 {
        return namespaces::be_init(Command::new(here).args(std::env::args_os().skip(1)).arg("--inside"));
    }
    if !args.inside {
        // Private namespaces, whose end is the end of everything in them, however we end.
        return Err(namespaces::command(false)?.args(std::env::args_os().skip(1)).exec());
    }
    let mut more = vec!["--slow".to_owned(), args.slow.to_string()];
    for (option, value) in [("--guests", &spec.guests), ("--python", &spec.python)] {
        if let Some(value) = value {
            more.extend([option.to_owned(), value.display().to_string()]);
        }
    }
    if let Some(idle) = &spec.daemon_idle {
        more.extend(["--daemon-idle".to_owned(), idle.clone()]);
    }
    if let Some(name) = &args.case {
        if namespaces::own_network() {
            namespaces::set_loopback_up()?;
        }
        supervisor::supervise(&by_name(name)?, &spec, &more)?;
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&args.dir)?;
    if let Some(seed) = args.soak {
        return soak(&args, seed, spec);
    }
    let kept = std::fs::canonicalize(&args.dir)?;
    let base = kept.join("run");
    std::fs::create_dir_all(&base)?;
    if let Err(e) = disk::mount(&base) {
        println!("zones-suite: the tests have no file system of their own: {e}");
    }
    // Most of a test is waiting.
    let usual =
        || std::thread::available_parallelism().ok().map(|processors| processors.saturating_mul(JOBS));
    let jobs = args.jobs.or_else(usual).map_or(1, NonZeroUsize::get);
    let run = runner::Run { base: &base, kept: &kept, spec: &spec, jobs, arguments: &more };
    let tally = run.all(&selected(&args))?;
    conclude(&args, &tally)
}

/// Soaks, and says what came of it.
fn soak(args: &Args, seed: u64, spec: LabSpec) -> io::Result<ExitCode> {
    let dir = std::fs::canonicalize(&args.dir)?.join("soak");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let time = Duration::try_from_secs_f64(args.minutes * 60.0).map_err(io::Error::other)?;
    let spec = LabSpec { dir: dir.clone(), ..spec };
    let report = soak::run(soak::Soak { seed, time, least: 0, zones: args.zones }, &spec)?;
    println!("{report}");
    if report.wrong.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let log = dir.join("soak.log");
    println!(
        "Its log is {}; run it again with: cargo xtask soak --seed {seed} --zones {}",
        log.display(),
        args.zones
    );
    Ok(ExitCode::FAILURE)
}

fn by_name(name: &str) -> io::Result<Case> {
    let case = cases::all().find(|case| case.name() == name);
    case.ok_or_else(|| io::Error::other(format!("there is no test {name}")))
}

fn selected(args: &Args) -> Vec<Case> {
    let is_of = |name: &str, subject: &String| name.starts_with(&format!("{subject}::"));
    let wanted = |name: &str| {
        args.only.as_ref().is_none_or(|subject| is_of(name, subject))
            && args.except.as_ref().is_none_or(|subject| !is_of(name, subject))
            && (args.filter.is_empty() || args.filter.iter().any(|part| name.contains(part)))
    };
    cases::all().filter(|case| wanted(&case.name()) && (!args.core || cases::is_core(case))).collect()
}

fn conclude(args: &Args, tally: &runner::Tally) -> io::Result<ExitCode> {
    let (failed, skipped) = (tally.failed.len(), tally.skipped.len());
    match &args.report {
        Some(file) => {
            let report = serde_json::json!({
                "passed": tally.passed, "failed": tally.failed, "skipped": tally.skipped,
                "faults": tally.faults,
            });
            std::fs::write(file, report.to_string())?;
        }
        None => {
            tally.failed.iter().for_each(|(name, _)| println!("failed: {name}"));
            tally.faults.iter().for_each(|count| println!("{count}"));
            println!("{} passed, {failed} failed, {skipped} skipped", tally.passed);
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
