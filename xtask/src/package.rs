//! `cargo xtask dist`: the package for Debian, made by Debian's own tools from what is in `packaging`, and an archive for others.

use crate::arch::Arch;
use crate::dist;
use crate::needs::{self, Need, need};
use crate::{pages, paths, say, sh};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What making the package needs.
pub(crate) const NEEDS: [Need; 4] = [
    need("dpkg-buildpackage", "dpkg-dev", "the package"),
    need("dh", "debhelper", "the package"),
    need("po2debconf", "po-debconf", "the question that the package asks"),
    need("lintian", "lintian", "what is wrong with the package"),
];

/// How to make it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pack the programs in this folder, as they are, instead of building them for release
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// For this processor
    #[arg(long, value_enum, default_value_t = Arch::here())]
    arch: Arch,
}

/// Makes it.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    needs::provide(&[&NEEDS])?;
    let programs = match &args.programs {
        Some(dir) => dir.clone(),
        None => dist::release(args.arch)?,
    };
    let out = paths::dist_for(args.arch).join("deb");
    let package = make(&programs, VERSION, args.arch, "xz", &out)?;
    say::note(&format!("{} {} kB", package.display(), fs::metadata(&package)?.len() / 1024));
    // Tags that are explained are in the package's own lintian-overrides.
    sh::run(Command::new("lintian").args(["--fail-on", "error,warning"]).arg(&package))?;
    let archive = tarball(&out, &package)?;
    say::note(&format!("{} {} kB", archive.display(), fs::metadata(&archive)?.len() / 1024));
    Ok(ExitCode::SUCCESS)
}

/// The version of what is built here.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What an installation by hand is given.
#[derive(clap::Args)]
pub(crate) struct Install {
    /// Where everything goes, but for scripts of init systems that look in one place alone
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Put it below this folder, for a package; nothing is enabled then
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Install the programs in this folder, as they are, instead of building them for release
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// `cargo xtask install`: what the package installs, without a package.
pub(crate) fn install(args: &Install) -> Result<ExitCode> {
    if args.destdir.is_none() {
        sh::require_root("install", "installs for all users")?;
    }
    let programs = match &args.programs {
        Some(dir) => dir.clone(),
        None => dist::release(Arch::here())?,
    };
    let tree = paths::dist().join("install");
    lay_out(&programs, &tree)?;
    let mut install = Command::new(tree.join("install.sh"));
    install.arg("--prefix").arg(&args.prefix).args(&args.destdir);
    sh::run(&mut install)?;
    Ok(ExitCode::SUCCESS)
}

/// Packs the programs in a folder as a version for a processor, compressed in a way that dpkg-deb(1) knows, in a folder of its own, and gives the
/// package's path.
///
/// # Errors
/// When something is missing, or Debian's tools refuse it.
pub(crate) fn make(
    programs: &Path,
    version: &str,
    arch: Arch,
    compression: &str,
    out: &Path,
) -> Result<PathBuf> {
    let tree = out.join("tree");
    let _ = fs::remove_dir_all(out);
    lay_out(programs, &tree)?;
    fs::write(tree.join("debian/changelog"), changelog(version)?)?;
    let mut build = Command::new("dpkg-buildpackage");
    build.args(["--build=binary", "--no-sign", "--no-check-builddeps"]).current_dir(&tree);
    if arch.is_foreign() {
        build.args(["--host-arch", arch.debian()]);
    }
    build.env("COMPRESSION", compression);
    say::command(&sh::line(&build));
    let built = build.output().context("cannot start dpkg-buildpackage")?;
    if !built.status.success() {
        bail!("dpkg-buildpackage failed:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    let package = files(out)?.into_iter().find(|path| path.extension().is_some_and(|ext| ext == "deb"));
    package.with_context(|| format!("there is no package in {}", out.display()))
}

/// Makes of a package one that differs in nothing but its version, in the same folder, not compressed.
pub(crate) fn with_version(package: &Path, version: &str) -> Result<PathBuf> {
    let out = package.parent().context("a package without a folder")?;
    let tree = out.join(version);
    sh::run(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&tree))?;
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).with_context(|| format!("cannot read {}", control.display()))?;
    let line = |line: &str| match line.strip_prefix("Version: ") {
        Some(_) => format!("Version: {version}\n"),
        None => format!("{line}\n"),
    };
    fs::write(&control, text.lines().map(line).collect::<String>())?;
    sh::run(Command::new("dpkg-deb").args(["-Znone", "--build"]).arg(&tree).arg(out))?;
    let made = format!("_{version}_");
    let found = files(out)?.into_iter().find(|path| path.to_string_lossy().contains(&made));
    found.with_context(|| format!("there is no version {version} in {}", out.display()))
}

/// Lays out what install.sh installs, and what Debian's tools make a package of.
fn lay_out(programs: &Path, tree: &Path) -> Result<()> {
    pages::make()?;
    let _ = fs::remove_dir_all(tree);
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
        (packaging.join("init"), "init"),
        (packaging.join("ansible"), "ansible"),
        (packaging.join("install.sh"), "install.sh"),
        (paths::top().join("README.md"), "README.md"),
        (paths::top().join("CHANGELOG.md"), "CHANGELOG.md"),
        (paths::top().join("LICENSE-APACHE"), "LICENSE-APACHE"),
        (paths::top().join("LICENSE-MIT"), "LICENSE-MIT"),
        (paths::dist().join("man"), "man"),
    ] {
        sh::run(Command::new("cp").arg("-rT").arg(from).arg(tree.join(to)))?;
    }
    let settings = tree.join("zones.toml");
    fs::write(&settings, zone_config::settings::template())
        .with_context(|| format!("cannot write {}", settings.display()))?;
    for page in files(&paths::top().join("docs"))?.iter().filter(|path| path.extension().is_some()) {
        copy(page, &tree.join("docs").join(page.file_name().unwrap_or_default()))?;
    }
    completions(&tree.join("completions"))
}

/// Packs the same for other distributions: unpack it, and run its install.sh.
fn tarball(out: &Path, package: &Path) -> Result<PathBuf> {
    let stem = package.file_stem().context("a package without a name")?.to_string_lossy().into_owned();
    let archive = out.join(format!("{stem}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--owner=0", "--group=0", "--sort=name", "--exclude=tree/debian"]);
    tar.arg(format!("--transform=s,^tree,{stem},")).arg("--file").arg(&archive);
    sh::run(tar.arg("--directory").arg(out).arg("tree"))?;
    Ok(archive)
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

/// The version that Debian is told, from the time of the last commit, so that two builds of it are alike.
fn changelog(version: &str) -> Result<String> {
    let date =
        sh::capture(Command::new("git").args(["log", "-1", "--format=%cD"]).current_dir(paths::top()))?;
    let who = "Zones maintainers <zones@example.org>";
    Ok(format!(
        "zones ({version}) unstable; urgency=medium\n\n  * Version {version}.\n\n -- {who}  {}\n",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_what_its_install_sh_installs() {
        let dir = tempfile::tempdir().unwrap();
        let (programs, out) = (dir.path().join("programs"), dir.path().join("out"));
        fs::create_dir_all(&programs).unwrap();
        let all = || paths::PROGRAMS.iter().chain(&paths::HOST_PROGRAMS);
        for program in all() {
            fs::write(programs.join(program), program).unwrap();
        }
        lay_out(&programs, &out.join("tree")).unwrap();
        let archive = tarball(&out, Path::new("/x/zones_1.2_amd64.deb")).unwrap();
        assert_eq!(archive, out.join("zones_1.2_amd64.tar.gz"));
        sh::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir.path())).unwrap();
        let unpacked = dir.path().join("zones_1.2_amd64");
        assert!(!unpacked.join("debian").exists(), "what makes the package is nothing for others");
        let to = dir.path().join("to");
        let install = |words: &[&str]| {
            let mut command = Command::new(unpacked.join("install.sh"));
            sh::run(command.args(words).args(["--prefix", "/opt/zones"]).arg(&to)).unwrap();
        };
        install(&[]);
        let find = |dir: &Path| {
            let said =
                sh::capture(Command::new("find").arg(dir).args(["-type", "f", "-printf", "%f\n"])).unwrap();
            said.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let installed = find(&to);
        for program in all() {
            assert!(installed.iter().any(|name| name == program), "{program}: {installed:?}");
        }
        // All units, and a completion for each shell.
        for unit in find(&paths::top().join("packaging/systemd")) {
            assert!(installed.contains(&unit), "{unit}: {installed:?}");
        }
        assert!(installed.iter().filter(|name| name.contains("zoneadm")).count() >= 4, "{installed:?}");
        // A page for each program.
        let pages = find(&unpacked.join("man"));
        for program in all() {
            let page = |section| pages.contains(&format!("{program}.{section}"));
            assert!(page('1') || page('8'), "{program} has no page: {pages:?}");
        }
        assert!(pages.contains(&"zones.7".to_owned()));
        let settings = to.join("etc/zones/zones.toml");
        let page = fs::read_to_string(unpacked.join("man/zones.toml.5")).unwrap();
        for line in fs::read_to_string(&settings).unwrap().lines().filter(|line| !line.starts_with("# ")) {
            let key = line.trim_start_matches('#').split(' ').next().unwrap_or_default().replace('-', "\\-");
            assert!(page.contains(&key), "{key} is not in its page");
        }
        // One that somebody has changed is kept; one that nobody has goes with the rest.
        fs::write(&settings, "parallelism = 2\n").unwrap();
        install(&[]);
        install(&["--uninstall"]);
        assert_eq!(find(&to), ["zones.toml"]);
        assert_eq!(fs::read_to_string(&settings).unwrap(), "parallelism = 2\n");
        fs::remove_file(&settings).unwrap();
        install(&[]);
        install(&["--uninstall"]);
        assert!(find(&to).is_empty(), "{:?}", find(&to));
    }
}
