//! `cargo xtask vm`: hosts with systemd, cgroup v2 and Debian's kernel in virtual machines, for what a development
//! machine often has not. All of it is in `target/vm`; a machine changes a copy that goes with it.

mod cases;
mod engine;
mod image;
mod machine;
mod registers;
mod test;

use crate::arch::Arch;
use crate::{dist, needs, paths, say, sh};
use anyhow::{Context, Result};
use engine::{Engine, Pages};
use image::{Image, Suite};
use machine::{Ended, Machine};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub(crate) use test::count;

/// What to do with virtual machines.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Run the scripts of tests/host, each in a machine of its own
    Test(test::Args),
    /// Run one command in a machine, as root, beside the programs (in bin, and on the PATH) and tests/host (in host)
    Run(Run),
}

/// Which machine.
#[derive(clap::Args)]
pub(crate) struct Host {
    /// The release of Debian that it runs
    #[arg(long, value_enum, default_value = "bookworm")]
    suite: Suite,
    /// Make its image again, for newer packages
    #[arg(long)]
    fresh: bool,
    /// The processor that it has; another one than the machine's is emulated, slowly
    #[arg(long, value_enum, default_value_t = Arch::here())]
    arch: Arch,
    /// The size of its kernel's pages
    #[arg(long, value_enum, default_value = "4k")]
    pages: Pages,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask vm run 'zonecfg -z web create; zoneadm -z web install; zoneadm -z web boot; zoneadm list -cv'
  cargo xtask vm run --engine qemu 'modprobe wireguard && ip link add wg0 type wireguard'")]
struct Run {
    #[command(flatten)]
    host: Host,
    /// What runs the machine [default: uml, qemu for arm64]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Its memory, in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u64,
    /// For how many seconds the command may run
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Files that the command finds where it starts
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// A line for bash
    command: String,
}

/// Does it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Test(args) => test::run(args),
        What::Run(args) => command(args),
    }
}

fn command(args: &Run) -> Result<ExitCode> {
    sh::require_root("vm", "starts virtual machines")?;
    let Host { suite, arch, pages, fresh } = args.host;
    let engine = args.engine.unwrap_or(if arch == Arch::Amd64 { Engine::Uml } else { Engine::Qemu });
    let emulator = [engine::emulator(arch)];
    needs::provide(&[&image::NEEDS, if engine == Engine::Qemu { &emulator } else { &[] }])?;
    let _lock = lock()?;
    let image = Image::of(suite, arch, fresh)?;
    let input = programs(suite, arch, &[])?;
    let files = args.with.iter().map(std::fs::canonicalize).collect::<Result<Vec<_>, _>>()?;
    let machine = Machine {
        engine,
        pages,
        megabytes: args.memory,
        seconds: args.seconds,
        input: input.path(),
        files: &files,
        command: &format!("PATH=$PWD/bin:$PATH; {}", args.command),
        boots: 1,
        log: &place().join("run.log"),
    };
    Ok(match machine.run(&image, |line| println!("{line}"))? {
        Ended::With(status) => u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from),
        other => anyhow::bail!("{}; its console is in {}", other.why(), machine.log.display()),
    })
}

impl Ended {
    /// Says why there is no exit status of the command.
    fn why(&self) -> &'static str {
        match self {
            Self::With(_) => "the command ended",
            Self::NeverBooted => "the machine did not come up",
            Self::Died => "the machine ended before its command",
            Self::TooLong => "the command took too long and was ended with its machine",
        }
    }
}

/// Where all of it is.
fn place() -> PathBuf {
    paths::target().join("vm")
}

/// Waits until nobody else works there, and takes away what somebody left who was killed.
fn lock() -> Result<File> {
    sh::make_dir(&place())?;
    let path = place().join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        say::note(&format!("waiting for another `cargo xtask vm` that works in {}", place().display()));
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    }
    for entry in std::fs::read_dir(place())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("run.") && entry.path().is_dir() {
            engine::group(&entry.path()).iter().for_each(|group| machine::remove_group(group));
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(lock)
}

/// Builds the programs so that they run in a suite, with those that only tests have, and gives a folder with what every machine
/// finds: `bin`, `host`, `packaging` and `docs`.
fn programs(suite: Suite, arch: Arch, also: &[&str]) -> Result<tempfile::TempDir> {
    let from = if image::runs_ours(suite, arch) {
        dist::debug()?;
        paths::debug()
    } else {
        dist::debug_static(arch, also)?
    };
    let folder = tempfile::Builder::new().prefix("run.programs.").tempdir_in(place())?;
    let bin = folder.path().join("bin");
    sh::make_dir(&bin)?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS).chain(also) {
        let mut strip = Command::new(arch.strip());
        strip.arg("-o").arg(bin.join(program)).arg(from.join(program));
        sh::run(&mut strip)?;
    }
    copy_scripts(&folder.path().join("host"))?;
    for name in ["packaging", "docs"] {
        sh::run(Command::new("cp").arg("-rT").arg(paths::top().join(name)).arg(folder.path().join(name)))?;
    }
    Ok(folder)
}

fn copy_scripts(to: &Path) -> Result<()> {
    sh::make_dir(to)?;
    for entry in std::fs::read_dir(paths::top().join("tests/host"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
