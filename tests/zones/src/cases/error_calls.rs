//! System calls that fail, once or from then on, in each of our programs and in each verb: whoever asked is told in a
//! sentence, what is shown is true, the plain command once more finds its way, and nothing is left.
//!
//! There are some hundred failures for each case, and a part of them is tried each day (`ERROR_SEED` chooses which,
//! `ERROR_DRAWS` how many).

use super::crash::{be_up, nothing, zone_with_net};
use super::error_points::{again, be_configured, is_told, is_true, settle};
use crate::harness::inject::{Injection, Injector, failures};
use crate::harness::world::World;
use crate::harness::{Lab, Ran, Zone, cases};
use std::panic::{AssertUnwindSafe, catch_unwind};

cases![
    the_daemon_in_ready: 600,
    the_daemon_in_a_boot: 600,
    the_daemon_in_a_halt: 600,
    the_daemon_in_a_reboot: 600,
    zsched_in_a_boot: 600,
    zsched_in_a_halt: 600,
    zsched_in_a_reboot: 600,
    zoneadm_in_a_boot: 600,
    zoneadm_in_a_reboot: 600,
    zoneadm_in_a_halt: 600,
    zoneadm_in_an_install: 600,
    zoneadm_in_an_uninstall: 600,
    zlogin_with_a_command: 600,
];

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

/// What is done while something fails.
struct Deed<'a> {
    /// Which program's calls fail.
    program: &'static str,
    /// How to bring the zone to where it begins; nothing fails meanwhile but what a program does that lives on.
    prepare: fn(&Zone<'_>),
    /// Whether what is prepared is prepared by the traced programs: those that live on fail in what is done then.
    lives_on: bool,
    /// The command.
    command: &'a [&'a str],
    /// The state that it leads to.
    to: &'a str,
}

/// Tries the failures of a deed, and tells of all that go wrong.
fn sweep(lab: &Lab, deed: &Deed<'_>) {
    let zone = zone_with_net(lab);
    let world = World::look(&[]);
    let injector = Injector::new(lab, deed.program);
    (deed.prepare)(&zone);
    let counts = injector.calls_in(|injector| {
        if deed.lives_on {
            injector.command("zoneadm", &["-z", zone.name(), "boot"]).within(90).run().ok();
        }
        run(&zone, injector, deed).ok();
    });
    settle(&zone, &world, deed.command, "nothing");
    assert!(counts.len() > 5, "a program makes more kinds of calls than {counts:?}");
    let seed = seed();
    let draws = number("ERROR_DRAWS").and_then(|number| usize::try_from(number).ok()).unwrap_or(DRAWS);
    println!("seed {seed}: set ERROR_SEED to it for the same failures; calls: {counts:?}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut kinds = failures(&counts, &mut rng);
    rng.shuffle(&mut kinds);
    let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
    // One of each kind of call before there are two of one.
    let all = (0..most).flat_map(|row| kinds.iter().filter_map(move |kind| kind.get(row)));
    let (mut wrong, mut failed) = (Vec::new(), 0);
    for failure in all.take(draws) {
        let tried = AssertUnwindSafe(|| one(lab, &zone, &world, &injector, deed, failure));
        let thrown = match catch_unwind(tried) {
            Ok(calls) => {
                failed += usize::from(calls > 0);
                continue;
            }
            Err(thrown) => thrown,
        };
        let text = thrown.downcast_ref::<String>().cloned().unwrap_or_default();
        wrong.push(format!("{failure}: {text}"));
        injector.release();
        lab.kill_all();
        let _ = zone.zoneadm(["halt"]);
    }
    // What is drawn by a count in a boot may not be reached in another one; most are.
    assert!(!wrong.is_empty() || failed * 2 > draws, "only {failed} of {draws} drawn calls were made");
    assert!(wrong.is_empty(), "{} of {draws} failures went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn run(zone: &Zone<'_>, injector: &Injector<'_>, deed: &Deed<'_>) -> Ran {
    let words: Vec<&str> = match deed.program {
        "zlogin" => [zone.name()].into_iter().chain(deed.command.iter().copied()).collect(),
        _ => ["-z", zone.name()].into_iter().chain(deed.command.iter().copied()).collect(),
    };
    let program = if deed.program == "zlogin" { "zlogin" } else { "zoneadm" };
    injector.command(program, &words).within(90).run()
}

fn one(
    lab: &Lab,
    zone: &Zone<'_>,
    world: &World,
    injector: &Injector<'_>,
    deed: &Deed<'_>,
    failure: &Injection,
) -> usize {
    (deed.prepare)(zone);
    injector.inject(failure);
    if deed.lives_on {
        // Whoever lives on from here is traced; what fails in it already is a part of the life it may have.
        let _ = injector.command("zoneadm", &["-z", zone.name(), "boot"]).within(90).run();
    }
    let ran = run(zone, injector, deed);
    is_told(&ran);
    is_true(zone, &ran);
    let failed = injector.release();
    eprintln!("{failure}: {failed} failed\n{ran}");
    for _ in 0..failed {
        lab.note(&format!("error strace {} {} {}", deed.program, failure.call, failure.error));
    }
    is_true(zone, &ran);
    if deed.program == "zlogin" {
        zone.zlogin(deed.command.iter().copied()).ok();
    } else {
        again(zone, deed.command, &ran);
        zone.waits_for("it settles", |now| now.operation.is_none());
        zone.is(deed.to);
    }
    settle(zone, world, deed.command, &failure.to_string());
    failed
}

const READY: &[&str] = &["ready"];
const BOOT: &[&str] = &["boot"];
const HALT: &[&str] = &["halt"];
const REBOOT: &[&str] = &["reboot"];

fn daemon<'a>(command: &'a [&'a str], to: &'a str, lives_on: bool) -> Deed<'a> {
    Deed { program: "zoneadmd", prepare: nothing, lives_on, command, to }
}

fn keeper<'a>(command: &'a [&'a str], to: &'a str, lives_on: bool) -> Deed<'a> {
    Deed { program: "zsched", ..daemon(command, to, lives_on) }
}

fn client<'a>(prepare: fn(&Zone<'_>), command: &'a [&'a str], to: &'a str) -> Deed<'a> {
    Deed { program: "zoneadm", prepare, lives_on: false, command, to }
}

fn the_daemon_in_ready(lab: &Lab) {
    sweep(lab, &daemon(READY, "ready", false));
}

fn the_daemon_in_a_boot(lab: &Lab) {
    sweep(lab, &daemon(BOOT, "running", false));
}

fn the_daemon_in_a_halt(lab: &Lab) {
    sweep(lab, &daemon(HALT, "installed", true));
}

fn the_daemon_in_a_reboot(lab: &Lab) {
    sweep(lab, &daemon(REBOOT, "running", true));
}

fn zsched_in_a_boot(lab: &Lab) {
    sweep(lab, &keeper(BOOT, "running", false));
}

fn zsched_in_a_halt(lab: &Lab) {
    sweep(lab, &keeper(HALT, "installed", true));
}

fn zsched_in_a_reboot(lab: &Lab) {
    sweep(lab, &keeper(REBOOT, "running", true));
}

fn zoneadm_in_a_boot(lab: &Lab) {
    sweep(lab, &client(nothing, BOOT, "running"));
}

fn zoneadm_in_a_reboot(lab: &Lab) {
    sweep(lab, &client(be_up, REBOOT, "running"));
}

fn zoneadm_in_a_halt(lab: &Lab) {
    sweep(lab, &client(be_up, HALT, "installed"));
}

fn zoneadm_in_an_install(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &client(be_configured, &["install"], "installed"));
}

fn zoneadm_in_an_uninstall(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &client(nothing, &["uninstall", "-F"], "configured"));
}

fn zlogin_with_a_command(lab: &Lab) {
    sweep(
        lab,
        &Deed { program: "zlogin", prepare: be_up, lives_on: false, command: &["true"], to: "running" },
    );
}
