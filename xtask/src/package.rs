//! `cargo xtask dist`: the package for Debian, made by Debian's own tools from what is in `packaging`.

use crate::dist;
use crate::needs::{self, Need, need};
use crate::{pages, paths, say, sh};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What making the package needs.
const NEEDS: [Need; 3] = [
    need("dpkg-buildpackage", "dpkg-dev", "the package"),
    need("dh", "debhelper", "the package"),
    need("lintian", "lintian", "what is wrong with the package"),
];

/// How to make it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pack the programs in this folder, as they are, instead of building them for release
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Makes it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    needs::provide(&[&NEEDS])?;
    let programs = match &args.programs {
        Some(dir) => dir.clone(),
        None => {
            dist::release()?;
            paths::dist()
        }
    };
    let package = make(&programs)?;
    say::note(&format!("{} {} kB", package.display(), fs::metadata(&package)?.len() / 1024));
    // Tags that are explained are in the package's own lintian-overrides.
    sh::run(Command::new("lintian").args(["--fail-on", "error,warning"]).arg(package))?;
    Ok(ExitCode::SUCCESS)
}

/// Packs the programs in a folder, and gives the package's path.
///
/// # Errors
/// When something is missing, or Debian's tools refuse it.
pub(crate) fn make(programs: &Path) -> Result<PathBuf> {
    pages::make()?;
    let out = paths::dist().join("deb");
    let tree = out.join("tree");
    let _ = fs::remove_dir_all(&out);
    for dir in ["bin", "completions/bash", "completions/zsh", "completions/fish", "docs"] {
        sh::make_dir(&tree.join(dir))?;
    }
    for program in paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS) {
        copy(&programs.join(program), &tree.join("bin").join(program))?;
    }
    let packaging = paths::top().join("packaging");
    for (from, to) in [
        (packaging.join("debian"), "debian"),
        (packaging.join("systemd"), "systemd"),
        (packaging.join("zones-host"), "zones-host"),
        (packaging.join("install.sh"), "install.sh"),
        (paths::top().join("README.md"), "README.md"),
        (paths::top().join("CHANGELOG.md"), "CHANGELOG.md"),
        (paths::dist().join("man"), "man"),
    ] {
        sh::run(Command::new("cp").arg("-rT").arg(from).arg(tree.join(to)))?;
    }
    for page in files(&paths::top().join("docs"))?.iter().filter(|path| path.extension().is_some()) {
        copy(page, &tree.join("docs").join(page.file_name().unwrap_or_default()))?;
    }
    completions(&tree.join("completions"))?;
    fs::write(tree.join("debian/changelog"), changelog()?)?;
    let mut build = Command::new("dpkg-buildpackage");
    build.args(["--build=binary", "--no-sign", "--no-check-builddeps"]).current_dir(&tree);
    say::command(&sh::line(&build));
    let built = build.output().context("cannot start dpkg-buildpackage")?;
    if !built.status.success() {
        bail!("dpkg-buildpackage failed:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    let package = files(&out)?.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "deb"));
    package.with_context(|| format!("there is no package in {}", out.display()))
}

/// Gives each shell's completions the names under which it looks for them.
fn completions(to: &Path) -> Result<()> {
    for file in files(&paths::dist().join("completions"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (shell, name) = match name.strip_suffix(".bash") {
            Some(command) => ("bash", command.to_owned()),
            None if name.starts_with('_') => ("zsh", name),
            None => ("fish", name),
        };
        copy(&file, &to.join(shell).join(name))?;
    }
    Ok(())
}

/// The version that Debian is told: this one, from the time of the last commit, so that two builds of it are alike.
fn changelog() -> Result<String> {
    let date =
        sh::capture(Command::new("git").args(["log", "-1", "--format=%cD"]).current_dir(paths::top()))?;
    let version = env!("CARGO_PKG_VERSION");
    let who = "Zones maintainers <zones@example.org>";
    Ok(format!(
        "zones ({version}) unstable; urgency=medium\n\n  * A new version: see changelog.gz beside this file.\n\n -- {who}  {}\n",
        date.trim()
    ))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// The regular files in a folder, by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}
