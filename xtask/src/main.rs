//! What people and CI both run: `cargo xtask demo`, `check`, `test`, `soak`, `bench`, `build`, `dist`, `install`, `vm`, `messages`, `ci`.
#![forbid(unsafe_code)]

mod arch;
mod bench;
mod check;
mod ci;
mod count;
mod demo;
mod dist;
mod guests;
mod messages;
mod needs;
mod package;
mod pages;
mod paths;
mod say;
mod sh;
mod soak;
mod test;
mod units;
mod vm;
mod zones;

use clap::Parser;
use std::process::ExitCode;

/// The project's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
enum Task {
    /// Make a zone, boot it, use it, kill its daemon, take it down: with every command shown
    Demo(demo::Args),
    /// Run the unit tests and the zones suite
    Test(test::Args),
    /// Lead zones through random commands and deaths, replayable by a seed
    Soak(soak::Args),
    /// Test in virtual machines: hosts with systemd, cgroup v2 and Debian's kernel
    Vm(vm::Args),
    /// Measure, beside the floor and beside other managers
    Bench(bench::Args),
    /// Build the programs as they ship: release, static, one by one
    Build(dist::Args),
    /// Make the package for Debian, look what lintian says of it, and make an archive for other distributions
    Dist(package::Args),
    /// Install what the package installs, without a package
    Install(package::Install),
    /// Bring the lists of messages up to date, for who translates them
    Messages(messages::Args),
    /// What to run before a commit: format, lints, unit tests
    Check,
    /// All that CI checks: format, lints, documentation, dependencies, tests; nothing may be skipped for want of root
    Ci,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Vm(args) => vm::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Build(args) => dist::run(&args),
        Task::Dist(args) => package::run(&args),
        Task::Install(args) => package::install(&args),
        Task::Messages(args) => messages::run(&args),
        Task::Check => check::run(),
        Task::Ci => ci::run(),
    };
    done.unwrap_or_else(|e| {
        say::error(&e);
        ExitCode::FAILURE
    })
}
