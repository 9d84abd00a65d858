//! `cargo xtask build`: the programs as they ship.

use crate::{pages, paths, say, sh};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Static release programs in target/zones, each built by itself; pages and completions are made in any case
    #[arg(long)]
    release: bool,
}

/// Builds.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if args.release {
        release()?;
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

/// The same, static, for a system whose C library is another one; gives the folder.
pub(crate) fn debug_static() -> Result<PathBuf> {
    let host = host()?;
    let mut build = sh::cargo();
    build.args(["build", "--target", &host]).env("RUSTFLAGS", STATIC);
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS) {
        build.args(["-p", program]);
    }
    say::command(&format!("RUSTFLAGS='{STATIC}' {}", sh::line(&build)));
    sh::run(&mut build)?;
    Ok(paths::target().join(host).join("debug"))
}

/// What makes a program static. With --target the flags are for the program alone; macros must stay loadable.
const STATIC: &str = "-C target-feature=+crt-static";

/// All programs, static, one by one: features unify across a build of several, and would give the
/// smallest what only the largest needs.
pub(crate) fn release() -> Result<()> {
    let host = host()?;
    sh::make_dir(&paths::dist())?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS) {
        let mut build = sh::cargo();
        build.args(["build", "--release", "--target", &host, "-p", program]).env("RUSTFLAGS", STATIC);
        say::command(&format!("RUSTFLAGS='{STATIC}' {}", sh::line(&build)));
        sh::run(&mut build)?;
        let from = paths::target().join(&host).join("release").join(program);
        let to = paths::dist().join(program);
        let _ = std::fs::remove_file(&to);
        let size = std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        say::note(&format!("{} {} kB", to.display(), size / 1024));
    }
    Ok(())
}

/// The triple of the machine that we build on.
fn host() -> Result<String> {
    let text = sh::capture(Command::new("rustc").arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc -vV names no host")?.to_owned())
}
