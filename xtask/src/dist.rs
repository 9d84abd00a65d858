//! `cargo xtask build`: the programs as they ship.

use crate::arch::Arch;
use crate::{pages, paths, say, sh};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Static release programs in target/zones, each built by itself; pages and completions are made in any case
    #[arg(long)]
    release: bool,
    /// For this processor; programs for another than the machine's are static, and in a folder of its name
    #[arg(long, value_enum, default_value_t = Arch::here(), requires = "release")]
    arch: Arch,
}

/// Builds the package and the archive.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.release {
        release(args.arch)?;
        pages::make()?;
    } else {
        debug()?;
        pages::make()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All programs as the demo and the suite run them. Of the whole workspace, as everybody builds: fewer packages have other
/// features of what they share, which would all be built again.
pub(crate) fn debug() -> Result<()> {
    sh::run(sh::cargo().args(["build", "--workspace"]))
}

/// The same, static, for a system whose C library or processor is another one, with programs that only tests have; gives the folder.
pub(crate) fn debug_static(arch: Arch, also: &[&str]) -> Result<PathBuf> {
    let mut build = sh::cargo();
    build.arg("build").env("RUSTFLAGS", STATIC);
    arch.builds(&mut build)?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS).chain(also) {
        build.args(["-p", program]);
    }
    say::command(&format!("RUSTFLAGS='{STATIC}' {}", sh::line(&build)));
    sh::run(&mut build)?;
    Ok(paths::target().join(arch.triple()).join("debug"))
}

/// What makes a program static. With --target the flags are for the program alone; macros must stay loadable.
const STATIC: &str = "-C target-feature=+crt-static";

/// All programs, static, one by one: features unify across a build of several, and would give the
/// smallest what only the largest needs. Gives their folder.
pub(crate) fn release(arch: Arch) -> Result<PathBuf> {
    let dist = paths::dist_for(arch);
    sh::make_dir(&dist)?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS) {
        let mut build = sh::cargo();
        build.args(["build", "--release", "-p", program]).env("RUSTFLAGS", STATIC);
        arch.builds(&mut build)?;
        say::command(&format!("RUSTFLAGS='{STATIC}' {}", sh::line(&build)));
        sh::run(&mut build)?;
        let from = paths::target().join(arch.triple()).join("release").join(program);
        let to = dist.join(program);
        let _ = std::fs::remove_file(&to);
        let size = std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        say::note(&format!("{} {} kB", to.display(), size / 1024));
    }
    Ok(dist)
}
