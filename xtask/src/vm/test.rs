//! `cargo xtask vm test`: the scripts of tests/host, several machines at a time, one closing line.

use super::cases::{ALL, Case, Kernel, VERSIONS};
use super::engine::{self, Engine};
use super::image::{self, Image};
use super::machine::{Ended, Machine};
use super::{Host, lock, place, programs};
use crate::arch::Arch;
use crate::count::Count;
use crate::{guests, needs, package, say, sh};
use anyhow::Result;
use clap::Parser;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What to test in virtual machines.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    host: Host,
    /// Run all in this, not each in the faster one that can
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// How many machines run at the same time [default: the number of processors]
    #[arg(long, short, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
    /// Print the names of the cases
    #[arg(long)]
    list: bool,
    /// Only the cases whose name contains one of these
    filters: Vec<String>,
}

/// The options' defaults.
#[derive(Parser)]
struct Usual {
    #[command(flatten)]
    args: Args,
}

/// Runs it. Fails when something in a machine fails.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        ALL.iter().for_each(|case| println!("{}", case.name));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(crate::test::close(selected(args)?))
}

/// Runs all cases as `cargo xtask vm test` does.
pub(crate) fn count() -> Result<Count> {
    selected(&Usual::parse_from(["test"]).args)
}

fn selected(args: &Args) -> Result<Count> {
    sh::require_root("vm test", "starts virtual machines")?;
    let named = |case: &&Case| args.filters.iter().any(|filter| case.name.contains(filter));
    let wanted = |case: &&Case| args.filters.is_empty() && !case.by_name || named(case);
    let cases: Vec<&Case> = ALL.iter().filter(wanted).collect();
    say::title("Virtual machines");
    let _lock = lock()?;
    let (image, input, packages) = match stage(args, &cases) {
        Ok(staged) => staged,
        // No mirror, no packages: that says nothing about the zones.
        Err(e) => {
            cases.iter().for_each(|case| say::note(&format!("skipped: {}: {e:#}", case.name)));
            return Ok(Count { skipped: cases.len(), ..Count::default() });
        }
    };
    let run = Run { args, image: &image, input: input.path(), packages: &packages, told: Mutex::new(()) };
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let (queue, counts) = (Mutex::new(cases.into_iter()), Mutex::new(Count::default()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(case) = next(&queue) {
                    let count = run.case(case);
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    *counts = counts.and(count);
                }
            });
        }
    });
    Ok(counts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn next<'a>(queue: &Mutex<impl Iterator<Item = &'a Case>>) -> Option<&'a Case> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Makes or finds all that the machines are made of.
fn stage(args: &Args, cases: &[&Case]) -> Result<(Image, tempfile::TempDir, Vec<PathBuf>)> {
    let Host { suite, arch, fresh, .. } = args.host;
    let also: BTreeSet<&str> = cases.iter().flat_map(|case| case.also).copied().collect();
    let input = programs(suite, arch, &also.into_iter().collect::<Vec<_>>())?;
    needs::provide(&[&image::NEEDS])?;
    // Without QEMU the cases of User-Mode Linux are run all the same.
    if let Err(e) = needs::provide(&[&[engine::emulator(arch)]]) {
        say::note(&format!("{e:#}"));
    }
    let archives: BTreeSet<&str> = cases.iter().flat_map(|case| case.archives()).collect();
    if !archives.is_empty() {
        guests::make(&guests::USUAL, arch)?;
    }
    let mut packages = Vec::new();
    if cases.iter().any(|case| case.packages) {
        needs::provide(&[&package::NEEDS])?;
        let [first, second] = VERSIONS;
        let older = package::make(&input.path().join("bin"), first, arch, "none", &place().join("packages"))?;
        packages.push(package::with_version(&older, second)?);
        packages.push(older);
    }
    Ok((Image::of(suite, arch, fresh)?, input, packages))
}

/// What all cases of a run have in common.
struct Run<'a> {
    args: &'a Args,
    image: &'a Image,
    input: &'a Path,
    /// The package, in its versions.
    packages: &'a [PathBuf],
    /// Held by who prints more than a line.
    told: Mutex<()>,
}

impl Run<'_> {
    /// Runs one case, and says how it went.
    fn case(&self, case: &Case) -> Count {
        let Host { suite, arch, pages, .. } = self.args.host;
        let here = || !engine::has_kvm() && Engine::Namespaces.missing(arch).is_none();
        let fit = match case.kernel {
            Kernel::Rules | Kernel::Plain if here() => Engine::Namespaces,
            Kernel::Any | Kernel::Plain if arch == Arch::Amd64 => Engine::Uml,
            _ => Engine::Qemu,
        };
        let engine = self.args.engine.unwrap_or(fit);
        let forgets =
            (case.boots > 1 && !engine.remembers()).then(|| "its disk forgets at each boot".to_owned());
        if let Some(why) = engine.missing(arch).or(forgets) {
            say::note(&format!("skipped: {}: {why}", case.name));
            return Count { skipped: 1, ..Count::default() };
        }
        say::note(&format!("{}: starts ({})", case.name, engine.name()));
        let began = Instant::now();
        let log = place().join(format!("{}.{}{}.log", case.name, suite.name(), arch.suffix()));
        let mut script = Script::default();
        let mut files: Vec<PathBuf> =
            case.archives().map(|archive| guests::place(arch).join(archive)).collect();
        files.extend(self.packages.iter().filter(|_| case.packages).cloned());
        let machine = Machine {
            engine,
            pages,
            megabytes: case.megabytes,
            // Cases' times are those of machines that are not emulated, or of a processor that is like this one.
            seconds: case.seconds * if arch.is_foreign() { 4 } else { 1 },
            input: self.input,
            files: &files,
            command: &case.command(),
            boots: case.boots,
            log: &log,
        };
        let ended = machine.run(self.image, |line| {
            if let Some(title) = script.read(line) {
                say::note(&format!("{}: {title} ({} s)", case.name, began.elapsed().as_secs()));
            }
        });
        let wrong = match &ended {
            Ok(Ended::With(0)) if script.count.is_some() => None,
            // The failures are in the count.
            Ok(Ended::With(1)) if script.count.is_some_and(|count| count.failed > 0) => None,
            Ok(Ended::With(status)) => Some(format!("the script ended with {status}, without its count")),
            Ok(other) => Some(other.why().to_owned()),
            Err(e) => Some(format!("{e:#}")),
        };
        let mut count = script.count.unwrap_or(script.seen);
        count.failed += usize::from(wrong.is_some());
        let _whole = self.told.lock();
        for line in &script.skips {
            say::note(&format!("skipped: {}: {line}", case.name));
        }
        if let Some(wrong) = wrong {
            script.failures.push(wrong);
        }
        if !script.failures.is_empty() {
            say::failed(case.name, &script.failures.join("\n"));
        }
        let tell = if count.failed == 0 { say::good } else { say::note };
        tell(&format!("{}: {count} ({} s; {})", case.name, began.elapsed().as_secs(), log.display()));
        count
    }
}

/// What a script has printed so far, of what tests/host/common.sh has it print.
#[derive(Default)]
struct Script {
    /// The lines that count, counted.
    seen: Count,
    /// Its own closing line.
    count: Option<Count>,
    /// Each failure with the lines that belong to it.
    failures: Vec<String>,
    skips: Vec<String>,
    /// How many lines of the failure that is being read there were; none outside of one.
    in_failure: Option<usize>,
}

/// How many lines of one failure are shown; all of them are in the log.
const FAILURE: usize = 40;

impl Script {
    /// Reads a line; gives it back if it is the title of a part.
    fn read<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let title = (word == "==").then_some(rest);
        match word {
            "ok" => self.seen.passed += 1,
            "FAIL" => self.seen.failed += 1,
            "skip" => {
                self.seen.skipped += 1;
                self.skips.push(rest.trim().to_owned());
            }
            _ => self.count = closing(line).or(self.count),
        }
        self.in_failure = match (word, self.in_failure) {
            ("FAIL", _) => Some(0),
            ("ok" | "skip" | "==", _) | (_, None) => None,
            (_, Some(lines)) => Some(lines + 1),
        };
        match self.in_failure {
            Some(FAILURE) => self.failures.push("...".to_owned()),
            Some(lines) if lines < FAILURE && closing(line).is_none() && !line.is_empty() => {
                self.failures.push(line.to_owned());
            }
            _ => {}
        }
        title
    }
}

/// Reads `12 passed, 0 failed, 1 skipped`.
fn closing(line: &str) -> Option<Count> {
    let mut numbers = ["passed", "failed", "skipped"].iter().zip(line.split(", "));
    let mut number = || {
        let (word, part) = numbers.next()?;
        part.strip_suffix(word)?.trim().parse().ok()
    };
    Some(Count { passed: number()?, failed: number()?, skipped: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_counted_by_its_closing_line_and_its_failures_are_kept() {
        let mut script = Script::default();
        let text = "== Boot\nok    boot\nFAIL  ping (exit 1)\n      ping 1.2.3.4\n100% loss\nok    halt\n\
                    skip  wireguard: not in this kernel\n\n2 passed, 1 failed, 1 skipped";
        let titles: Vec<&str> = text.lines().filter_map(|line| script.read(line)).collect();
        let count = Count { passed: 2, failed: 1, skipped: 1 };
        assert_eq!((titles, script.count, script.seen), (vec!["Boot"], Some(count), count));
        assert_eq!(script.failures, ["FAIL  ping (exit 1)", "      ping 1.2.3.4", "100% loss"]);
        assert_eq!(script.skips, ["wireguard: not in this kernel"]);
    }

    #[test]
    fn what_only_looks_like_a_closing_line_is_none() {
        assert_eq!(closing("2 passed, 1 failed"), None);
        assert_eq!(closing("x passed, 1 failed, 0 skipped"), None);
        assert!(closing("0 passed, 0 failed, 0 skipped").is_some());
    }
}
