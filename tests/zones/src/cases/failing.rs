//! What the tests of the error suite share: what is done while calls fail, which failures are tried, and what must be so
//! after each.

use super::crash::{be_up, leaves_nothing, nothing};
use super::crash_apply::be_changed;
use crate::harness::inject::{Counts, Injection, Injector, failures};
use crate::harness::world::World;
use crate::harness::{Lab, Ran, Status, Zone, until};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is done while something fails.
pub(super) struct Deed {
    /// Which program's calls fail.
    pub(super) program: &'static str,
    /// Whether what fails is in a program that has booted the zone before, and lives on.
    pub(super) lives_on: bool,
    /// How to bring the zone to where it begins, by programs in which nothing fails.
    pub(super) prepare: fn(&Zone<'_>),
    /// The command.
    pub(super) command: &'static [&'static str],
    /// The state that it leads to.
    pub(super) to: &'static str,
}

const fn daemon(command: &'static [&'static str], to: &'static str, lives_on: bool) -> Deed {
    let prepare = if lives_on { be_up } else { nothing };
    Deed { program: "zoneadmd", lives_on, prepare, command, to }
}

const fn client(prepare: fn(&Zone<'_>), command: &'static [&'static str], to: &'static str) -> Deed {
    Deed { program: "zoneadm", lives_on: false, prepare, command, to }
}

pub(super) const DAEMON_READY: Deed = daemon(&["ready"], "ready", false);
pub(super) const DAEMON_BOOT: Deed = daemon(&["boot"], "running", false);
pub(super) const DAEMON_HALT: Deed = daemon(&["halt"], "installed", true);
pub(super) const DAEMON_REBOOT: Deed = daemon(&["reboot"], "running", true);
pub(super) const DAEMON_APPLY: Deed =
    Deed { program: "zoneadmd", lives_on: true, prepare: be_changed, command: &["apply"], to: "running" };
pub(super) const CLIENT_BOOT: Deed = client(nothing, &["boot"], "running");
pub(super) const CLIENT_HALT: Deed = client(be_up, &["halt"], "installed");
pub(super) const CLIENT_REBOOT: Deed = client(be_up, &["reboot"], "running");
pub(super) const CLIENT_INSTALL: Deed = client(be_configured, &["install"], "installed");
pub(super) const CLIENT_UNINSTALL: Deed = client(nothing, &["uninstall", "-F"], "configured");

/// How many failures are tried in a case.
const DRAWS: usize = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What decides which failures are tried: the given number, else another one each day.
fn seed() -> u64 {
    let today = || std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    number("ERROR_SEED").unwrap_or_else(today)
}

/// Tries failures of the calls that were counted, and tells of all that go wrong. `one` tries one of them, and gives how
/// many calls have failed.
pub(super) fn try_failures(
    lab: &Lab,
    zone: &Zone<'_>,
    injector: &Injector<'_>,
    counts: &[Counts],
    one: impl Fn(&Injection) -> usize,
) {
    assert!(counts.len() > 5, "a program makes more kinds of calls than {counts:?}");
    let seed = seed();
    let draws = number("ERROR_DRAWS").and_then(|number| usize::try_from(number).ok()).unwrap_or(DRAWS);
    println!("seed {seed}: set ERROR_SEED to it for the same failures; calls: {counts:?}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut kinds = failures(counts, &mut rng);
    rng.shuffle(&mut kinds);
    let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
    // One of each kind of call before there are two of one.
    let all: Vec<_> =
        (0..most).flat_map(|row| kinds.iter().filter_map(move |kind| kind.get(row))).take(draws).collect();
    let (mut wrong, mut failed) = (Vec::new(), 0);
    for failure in &all {
        let thrown = match catch_unwind(AssertUnwindSafe(|| one(failure))) {
            Ok(calls) => {
                failed += usize::from(calls > 0);
                for _ in 0..calls {
                    lab.note(&format!(
                        "error strace {} {} {}",
                        injector.program(),
                        failure.call,
                        failure.error
                    ));
                }
                continue;
            }
            Err(thrown) => thrown,
        };
        eprintln!("{failure} went wrong");
        let text = thrown.downcast_ref::<String>().cloned().unwrap_or_default();
        wrong.push(format!("{failure}: {text}"));
        injector.release();
        lab.kill_all();
        let _ = zone.zoneadm(["halt"]);
    }
    // What is drawn by a count in a boot may not be reached in another one; most are.
    let tried = all.len();
    assert!(!wrong.is_empty() || failed * 2 > tried, "only {failed} of {tried} drawn calls were made");
    assert!(wrong.is_empty(), "{} of {tried} failures went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The plain command, once more.
pub(super) fn again(zone: &Zone<'_>, command: &[&str], first: &Ran) {
    let state = zone.status().state;
    if command[0] == "install" {
        match state.as_str() {
            "incomplete" => drop(zone.zoneadm(["uninstall", "-F"]).ok()),
            "installed" => return,
            _ => {}
        }
    }
    if command[0] == "uninstall" && state == "configured" {
        return;
    }
    // What has gone cannot be rebooted any more; what is on its way out can, or has gone meanwhile.
    let gone = |state: &str| command[0] == "reboot" && ["installed", "ready"].contains(&state);
    let mut ran = zone.zoneadm(if gone(&state) { &["boot"] } else { command });
    if ran.code() != Some(0) && !gone(&state) && gone(&zone.status().state) {
        ran = zone.zoneadm(["boot"]);
    }
    assert!(ran.code() == Some(0), "the plain command once more, after\n{first}\nin state {state}:\n{ran}");
}

/// It has done what it was told to, or says why not.
pub(super) fn is_told(ran: &Ran) {
    let err = ran.err();
    assert!(!err.contains("panicked at"), "it panics\n{ran}");
    match ran.code() {
        Some(0) => {}
        Some(_) => assert!(!err.trim().is_empty(), "it fails and says nothing\n{ran}"),
        None => panic!("it was killed\n{ran}"),
    }
}

/// Whether nobody can be told of a failure: what fails are the words themselves.
pub(super) fn is_unheard(failure: &Injection, failed: usize) -> bool {
    matches!(failure.call, "write" | "writev") && (failure.error == "EIO" || failure.always || failed > 1)
}

/// What is shown of a zone while calls fail is what the kernel has of it, or it is said why nothing can be shown.
pub(super) fn is_true_if_shown(zone: &Zone<'_>) {
    until("what is shown is the kernel's", || match zone.status_if_shown() {
        Ok(now) => is_the_kernels(&now).then_some(()),
        Err(ran) => {
            is_told(&ran);
            Some(())
        }
    });
}

/// What is shown of a zone is what the kernel has of it.
pub(super) fn is_true(zone: &Zone<'_>, ran: &dyn std::fmt::Display) {
    let now = zone.waits_for("what is shown is the kernel's", is_the_kernels);
    assert!(now.state != "unknown", "{now:?}\n{ran}");
}

fn is_the_kernels(now: &Status) -> bool {
    let lives = !crate::soak::kernel::first_processes().is_empty();
    match now.state.as_str() {
        "ready" | "running" => lives,
        "configured" | "installed" | "incomplete" => !lives || now.operation.is_some(),
        _ => true,
    }
}

/// Takes everything down, and sees that nothing is left.
pub(super) fn settle(zone: &Zone<'_>, world: &World, command: &[&str], at: &str) {
    match command[0] {
        "install" => {
            zone.zoneadm(["uninstall", "-F"]).ok();
            zone.is("configured");
            assert!(!zone.path().exists(), "the zonepath is there after a failure at {at}");
        }
        "uninstall" => {
            assert!(!zone.path().exists(), "the zonepath is there after a failure at {at}");
            zone.zoneadm(["install"]).ok();
        }
        _ => leaves_nothing(zone, world, at),
    }
}

pub(super) fn be_configured(zone: &Zone<'_>) {
    if zone.status().state == "installed" {
        zone.zoneadm(["uninstall", "-F"]).ok();
    }
}
