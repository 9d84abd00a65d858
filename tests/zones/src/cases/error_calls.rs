//! System calls that fail, once or from then on, in each of our programs and in each verb: whoever asked is told in a
//! sentence, what is shown is true, the plain command once more finds its way, and nothing is left.
//!
//! There are some hundred failures for each case, and a part of them is tried each day (`ERROR_SEED` chooses which,
//! `ERROR_DRAWS` how many).

use super::crash::{be_up, zone_with_net};
use super::failing::{
    self, Deed, again, is_told, is_true, is_true_if_shown, is_unheard, settle, try_failures,
};
use crate::harness::inject::Injector;
use crate::harness::world::World;
use crate::harness::{Lab, Ran, Zone, cases};

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

/// Tries the failures of a deed.
fn sweep(lab: &Lab, deed: &Deed) {
    let zone = zone_with_net(lab);
    let world = World::look(&[]);
    let injector = Injector::new(lab, deed.program);
    begin(&zone, deed);
    let counts = injector.calls_in(
        || {
            if let Some(ran) = live_on(&zone, &injector, deed) {
                ran.ok();
            }
        },
        || {
            run(&zone, &injector, deed).ok();
        },
    );
    settle(&zone, &world, deed.command, "nothing");
    try_failures(lab, &zone, &injector, &counts, |failure| {
        begin(&zone, deed);
        injector.inject(failure);
        // What fails in it already is a part of the life it may have.
        let _ = live_on(&zone, &injector, deed);
        let ran = run(&zone, &injector, deed);
        is_true_if_shown(&zone);
        let failed = injector.release();
        if !is_unheard(failure, failed) {
            is_told(&ran);
        }
        eprintln!("{failure}: {failed} failed\n{ran}");
        is_true(&zone, &ran);
        if deed.program == "zlogin" {
            zone.zlogin(deed.command).ok();
        } else {
            again(&zone, deed.command, &ran);
            zone.waits_for("it settles", |now| now.operation.is_none());
            zone.is(deed.to);
        }
        settle(&zone, &world, deed.command, &failure.to_string());
        failed
    });
}

/// Where those that live on boot the zone themselves, nobody else has before.
fn begin(zone: &Zone<'_>, deed: &Deed) {
    if !deed.lives_on {
        (deed.prepare)(zone);
    }
}

/// Boots the zone with the traced programs, if they live on.
fn live_on(zone: &Zone<'_>, injector: &Injector<'_>, deed: &Deed) -> Option<Ran> {
    deed.lives_on.then(|| injector.command("zoneadm", &["-z", zone.name(), "boot"]).within(90).run())
}

fn run(zone: &Zone<'_>, injector: &Injector<'_>, deed: &Deed) -> Ran {
    let (program, own): (_, &[&str]) = match deed.program {
        "zlogin" => ("zlogin", &[zone.name()]),
        _ => ("zoneadm", &["-z", zone.name()]),
    };
    injector.command(program, &[own, deed.command].concat()).within(90).run()
}

/// The same in zsched, which has none of the points of the list.
fn keeper(deed: &Deed) -> Deed {
    Deed { program: "zsched", ..*deed }
}

fn the_daemon_in_ready(lab: &Lab) {
    sweep(lab, &failing::DAEMON_READY);
}

fn the_daemon_in_a_boot(lab: &Lab) {
    sweep(lab, &failing::DAEMON_BOOT);
}

fn the_daemon_in_a_halt(lab: &Lab) {
    sweep(lab, &failing::DAEMON_HALT);
}

fn the_daemon_in_a_reboot(lab: &Lab) {
    sweep(lab, &failing::DAEMON_REBOOT);
}

fn zsched_in_a_boot(lab: &Lab) {
    sweep(lab, &keeper(&failing::DAEMON_BOOT));
}

fn zsched_in_a_halt(lab: &Lab) {
    sweep(lab, &keeper(&failing::DAEMON_HALT));
}

fn zsched_in_a_reboot(lab: &Lab) {
    sweep(lab, &keeper(&failing::DAEMON_REBOOT));
}

fn zoneadm_in_a_boot(lab: &Lab) {
    sweep(lab, &failing::CLIENT_BOOT);
}

fn zoneadm_in_a_reboot(lab: &Lab) {
    sweep(lab, &failing::CLIENT_REBOOT);
}

fn zoneadm_in_a_halt(lab: &Lab) {
    sweep(lab, &failing::CLIENT_HALT);
}

fn zoneadm_in_an_install(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &failing::CLIENT_INSTALL);
}

fn zoneadm_in_an_uninstall(lab: &Lab) {
    let _memory = lab.in_memory();
    sweep(lab, &failing::CLIENT_UNINSTALL);
}

fn zlogin_with_a_command(lab: &Lab) {
    sweep(
        lab,
        &Deed { program: "zlogin", lives_on: false, prepare: be_up, command: &["true"], to: "running" },
    );
}
