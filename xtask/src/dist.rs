//! `cargo xtask build`: the programs as they ship.

use crate::arch::{Arch, Library};
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

/// All programs as the demo and the suite run them. Of the whole workspace and with its tests: fewer packages, or no tests, have other
/// features of what they share, which would all be built again.
pub(crate) fn debug() -> Result<()> {
    sh::run(sh::cargo().args(["build", "--workspace", "--all-targets"]))
}

/// The same, static, for a system whose C library or processor is another one, with programs that only tests have; gives the folder.
pub(crate) fn debug_static(arch: Arch, also: &[&str]) -> Result<PathBuf> {
    let mut build = sh::cargo();
    build.arg("build").env("RUSTFLAGS", STATIC);
    arch.builds(Library::Gnu, &mut build)?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS).chain(also) {
        build.args(["-p", program]);
    }
    say::command(&format!("RUSTFLAGS='{STATIC}' {}", sh::line(&build)));
    sh::run(&mut build)?;
    Ok(paths::target().join(arch.triple(Library::Gnu)).join("debug"))
}

/// The program of which each zone that is up has a process of its own, for as long as it is.
pub(crate) const KEEPER: &str = "zsched";

/// The keeper as it ships, of this profile; `None`, said with its reason, where there is no musl for it. Of 92 kB of private memory
/// 64 are left with musl, and 48 where it need not be relocated, either; it starts in a third of the time.
pub(crate) fn keeper(arch: Arch, profile: &str) -> Result<Option<PathBuf>> {
    const STAYS: &str = "-C target-feature=+crt-static -C relocation-model=static";
    if arch.is_foreign() {
        return Ok(None);
    }
    let mut build = sh::cargo();
    if let Err(e) = arch.builds(Library::Musl, build.arg("build")) {
        say::note(&format!("{e:#}: {KEEPER} is linked with glibc, and takes more memory"));
        return Ok(None);
    }
    one(build, arch.triple(Library::Musl), profile, KEEPER, STAYS).map(Some)
}

/// Builds one program by a command that knows what for; gives its place.
fn one(mut build: Command, triple: &str, profile: &str, program: &str, flags: &str) -> Result<PathBuf> {
    build.args(["--profile", profile, "-p", program]).env("RUSTFLAGS", flags);
    say::command(&format!("RUSTFLAGS='{flags}' {}", sh::line(&build)));
    sh::run(&mut build)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(paths::target().join(triple).join(folder).join(program))
}

/// What makes a program static. With --target the flags are for the program alone; macros must stay loadable.
const STATIC: &str = "-C target-feature=+crt-static";

/// All programs, static, one by one: features unify across a build of several, and would give the
/// smallest what only the largest needs. Gives their folder.
pub(crate) fn release(arch: Arch) -> Result<PathBuf> {
    let dist = paths::dist_for(arch);
    sh::make_dir(&dist)?;
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS) {
        let keeper = if *program == KEEPER { keeper(arch, "release")? } else { None };
        let from = keeper.map_or_else(|| with_glibc(arch, program), Ok)?;
        let to = dist.join(program);
        let _ = std::fs::remove_file(&to);
        let size = std::fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        say::note(&format!("{} {} kB", to.display(), size / 1024));
    }
    Ok(dist)
}

/// One release program, static, with glibc.
fn with_glibc(arch: Arch, program: &str) -> Result<PathBuf> {
    let mut build = sh::cargo();
    arch.builds(Library::Gnu, build.arg("build"))?;
    one(build, arch.triple(Library::Gnu), "release", program, STATIC)
}
