//! The unit tests of all crates, by cargo-nextest where it is installed.

use crate::count::Count;
use crate::{dist, paths, say, sh};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Runs those whose name contains `filter`, with `python` as the `python3` that they find. With `skip_nothing`, a test
/// that needs what is not there fails.
pub(crate) fn run(filter: Option<&str>, python: Option<&Path>, skip_nothing: bool) -> Result<Count> {
    // A program's tests may run another program, which cargo builds for no test.
    dist::debug()?;
    let nextest = sh::which("cargo-nextest").is_some();
    let mut command = sh::cargo();
    if nextest {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--no-tests=pass",
            "--status-level=fail",
        ]);
        command.args(["--final-status-level=fail", "--color=never"]).args(filter);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast"]).args(filter);
    }
    if let Some(dir) = python.and_then(Path::parent) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env(
            "PATH",
            std::env::join_paths([dir.to_owned()].into_iter().chain(std::env::split_paths(&path)))?,
        );
    }
    // A test cannot tell its runner that it was skipped; see crates/zone-testing.
    let skips = paths::target().join("skipped-tests");
    std::fs::write(&skips, "").with_context(|| format!("cannot make {}", skips.display()))?;
    command.env("ZONES_SKIPS", &skips);
    if skip_nothing {
        command.env("ZONES_SKIP_NOTHING", "1");
    }
    say::command(&sh::line(&command));
    let (status, output) = sh::tee(&mut command)?;
    let count = if nextest { nextest_count(&output) } else { cargo_count(&output) };
    failures(&output).for_each(|line| say::failed(line, ""));
    let skipped =
        std::fs::read_to_string(&skips).with_context(|| format!("cannot read {}", skips.display()))?;
    skipped.lines().for_each(|line| say::note(&format!("skipped: {line}")));
    let count = less_skipped(count, skipped.lines().count());
    // A workspace that does not build has no test that fails, and must not pass for that.
    if !status.success() && count.failed == 0 {
        bail!("the unit tests could not be run ({status})");
    }
    Ok(count)
}

/// Tests that did nothing for want of what they need have passed, to their runner.
fn less_skipped(count: Count, skipped: usize) -> Count {
    Count { passed: count.passed.saturating_sub(skipped), skipped: count.skipped + skipped, ..count }
}

/// From `Summary [...] 12 tests run: 10 passed (1 slow), 2 failed, 1 skipped`. What a name filter
/// leaves out counts as skipped there; it is no test that could not be run, so it is not counted.
fn nextest_count(output: &str) -> Count {
    let summary = output.lines().rev().find(|line| line.trim_start().starts_with("Summary ["));
    let counts = summary.and_then(|line| line.split_once("run: ")).map_or("", |(_, counts)| counts);
    let number = |what: &str| {
        let part = counts.split(", ").find(|part| part.split(' ').nth(1) == Some(what));
        part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or(0)
    };
    Count { passed: number("passed"), failed: number("failed") + number("timed"), skipped: 0 }
}

/// The tests that failed: in nextest's list below its summary, in cargo's lines of each.
fn failures(output: &str) -> impl Iterator<Item = &str> {
    let summary = output.rfind("Summary [").unwrap_or(0);
    let lines = output[summary..].lines().map(str::trim);
    lines.filter(|line| {
        line.starts_with("FAIL [")
            || line.starts_with("TIMEOUT [")
            || (line.starts_with("test ") && line.ends_with("... FAILED"))
    })
}

/// From the lines `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, one per test program.
fn cargo_count(output: &str) -> Count {
    let mut count = Count::default();
    for line in output.lines().filter(|line| line.starts_with("test result:")) {
        let number = |what: &str| {
            let part = line.split("; ").flat_map(|part| part.split(". ")).find(|part| part.ends_with(what));
            part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        count = count.and(Count {
            passed: number(" passed"),
            failed: number(" failed"),
            skipped: number(" ignored"),
        });
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summaries_are_counted() {
        let text = "x\n     Summary [   0.008s] 12 tests run: 10 passed (1 slow), 2 failed, 4 skipped\n";
        assert_eq!(nextest_count(text), Count { passed: 10, failed: 2, skipped: 0 });
        assert_eq!(nextest_count("error: could not compile"), Count::default());
    }

    #[test]
    fn what_did_nothing_has_not_passed() {
        let count = Count { passed: 7, failed: 1, skipped: 2 };
        assert_eq!(less_skipped(count, 3), Count { passed: 4, failed: 1, skipped: 5 });
    }

    #[test]
    fn failures_are_listed_once() {
        let text =
            "  FAIL [ 0.1s] a b\n  Summary [ 0.1s] 2 tests run: 1 passed, 1 failed\n  FAIL [ 0.1s] a b\n";
        assert_eq!(failures(text).collect::<Vec<_>>(), ["FAIL [ 0.1s] a b"]);
        let text = "test a::b ... FAILED\ntest a::c ... ok\n";
        assert_eq!(failures(text).collect::<Vec<_>>(), ["test a::b ... FAILED"]);
    }

    #[test]
    fn cargo_results_are_added_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                    test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(cargo_count(text), Count { passed: 7, failed: 2, skipped: 1 });
    }
}
