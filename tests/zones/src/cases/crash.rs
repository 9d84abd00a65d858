//! A daemon that is killed at every boundary between two steps, while the command that it works for
//! lives on and insists.

use crate::harness::world::World;
use crate::harness::{ANY, Lab, Ran, Status, Zone, cases, need_failpoints, until_none};

cases![
    ready: 300,
    boot: 300,
    boot_of_a_ready_zone: 300,
    halt: 300,
    halt_of_a_ready_zone: 300,
    reboot: 300,
    shutdown: 300,
    shutdown_and_boot: 300,
    boot_and_its_recovery: 900,
    halt_and_its_recovery: 900,
    reboot_and_its_recovery: 900,
];

/// How to bring the zone to where the operation begins; nothing is killed meanwhile.
pub(super) type Prepare = fn(&Zone<'_>);

pub(super) fn nothing(_: &Zone<'_>) {}

pub(super) fn be_ready(zone: &Zone<'_>) {
    zone.zoneadm(["ready"]).ok();
}

/// It runs, and its daemon has put on record that it is ready: what is counted after this is not that.
pub(super) fn be_up(zone: &Zone<'_>) {
    zone.zoneadm(["boot"]).ok();
    zone.waits_for("its readiness is known", |now| {
        now.readiness.as_ref().is_some_and(|it| it.state != "starting")
    });
}

/// A zone with a little of everything that can be left behind.
pub(super) fn zone<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    lab.sparse_with("web", "add fs; set dir=/data; set special=swap; set type=tmpfs; end")
}

/// The same with all that the managed network gives: a net, and ports of the host.
pub(super) fn zone_with_net<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = zone(lab);
    zone.zonecfg("add net; end; add port; set host=8080; set to=80; set protocol=[tcp,udp]; end").ok();
    zone
}

/// Halts the zone and sees that nothing is there that was not `before`.
#[track_caller]
pub(super) fn leaves_nothing(zone: &Zone<'_>, before: &World, at: &str) {
    zone.halt_whatever();
    zone.daemon_leaves();
    // The cgroup of the zone's supervisors stays until the zone is uninstalled: none of them can remove it.
    let supervisors = |thing: &String| {
        let below = thing.split("/zones-").nth(1).map(|path| path.split('/').skip(1).collect::<Vec<_>>());
        below.is_some_and(|names| matches!(names[..], [] | [_] | [_, "supervisor"]))
    };
    until_none(&format!("nothing is left after a death at {at}"), || {
        let mut left = World::look(&[]).since(before, &zone.root());
        // Files come and go on the machine; those of this test are below its own root.
        left.retain(|thing| {
            !(thing.starts_with("file ") || thing.starts_with("cgroup ") && supervisors(thing))
        });
        left
    });
    let run: Vec<_> = std::fs::read_dir(zone.run_dir()).into_iter().flatten().flatten().collect();
    let left: Vec<_> = run
        .iter()
        .map(std::fs::DirEntry::file_name)
        .filter(|name| !["lock", "oplock", "zsched.lock"].iter().any(|known| name == known))
        .collect();
    assert!(left.is_empty(), "after a death at {at} the run directory has {left:?}");
}

/// What decides which pairs are tried: the given number, else another one each day.
pub(super) fn seed() -> usize {
    let given = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let today = || std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    given.unwrap_or_else(|| usize::try_from(today()).unwrap_or_default())
}

/// One of so many pairs: in as many days each has been tried.
pub(super) fn is_drawn(seed: usize, first: usize, second: usize, of: usize) -> bool {
    (seed + first + second).is_multiple_of(of)
}

/// Of how many pairs one is tried in a day: in a week all have been.
const WEEK: usize = 7;

/// Runs `words` with the daemon killed at each of its boundaries; after each death, `judge` gets the state before and what the command
/// said. With `second`, the next daemon is killed as well, at one of so many boundaries of its recovery; the sweep with 0 kills
/// only the first.
fn sweep(lab: &Lab, prepare: Prepare, words: &[&str], second: usize, judge: Judge) {
    sweep_of(&zone(lab), prepare, words, second, judge);
}

pub(super) type Judge = fn(&Zone<'_>, &Status, &Ran);

pub(super) fn sweep_of(zone: &Zone<'_>, prepare: Prepare, words: &[&str], second: usize, judge: Judge) {
    let work = Work { zone, prepare, words, judge, world: World::look(&[]) };
    let seen = if second == 0 { work.with_a_death() } else { work.with_two_deaths(second) };
    assert!(seen > 4, "an operation has more boundaries than {seen}");
}

/// An operation whose daemon dies.
struct Work<'a> {
    zone: &'a Zone<'a>,
    prepare: Prepare,
    words: &'a [&'a str],
    judge: Judge,
    world: World,
}

impl Work<'_> {
    /// At each boundary that the daemon passes, by its name: its threads pass theirs side by side, so what was the seventh may be the eighth
    /// the next time, and one would be left out.
    fn with_a_death(&self) -> usize {
        let mut passed = Vec::new();
        self.done("no death", |work| {
            passed = self.zone.passed_by("zoneadmd", work);
            Vec::new()
        });
        need_failpoints(&passed);
        for (at, point) in passed.iter().enumerate() {
            let count = passed[..=at].iter().filter(|earlier| *earlier == point).count();
            self.dies(&[("zoneadmd", point, count)], &at.to_string());
        }
        passed.len()
    }

    /// At its first boundary, then at its second, and so on until there are no more; and whoever comes next at one of `second`.
    fn with_two_deaths(&self, second: usize) -> usize {
        let mut seen = 0;
        let seed = seed();
        eprintln!("seed {seed}: set CRASH_SEED to it for the same double deaths");
        for first in 1.. {
            let mut more = false;
            for second in (1..=second).filter(|at| is_drawn(seed, first, *at, second.min(WEEK))) {
                let orders = [("zoneadmd", ANY, first), ("zoneadmd", ANY, second)];
                let deaths = self.dies(&orders, &format!("{first}/{second}"));
                if first == 1 {
                    need_failpoints(&deaths);
                }
                seen += 1;
                more |= !deaths.is_empty();
                if deaths.len() < orders.len() {
                    break;
                }
            }
            if !more {
                break;
            }
        }
        seen
    }

    /// Has it done with such deaths. Gives where somebody died.
    #[track_caller]
    fn dies(&self, orders: &[(&str, &str, usize)], number: &str) -> Vec<String> {
        self.done(number, |work| {
            self.zone.dies(orders);
            work();
            self.zone.die_no_more()
        })
    }

    /// Has it done by `how`, and looks at what came of it. Gives what that gives: where somebody died.
    #[track_caller]
    fn done(&self, number: &str, how: impl FnOnce(&mut dyn FnMut()) -> Vec<String>) -> Vec<String> {
        let zone = self.zone;
        (self.prepare)(zone);
        let before = zone.status();
        let mut ran = None;
        let deaths = how(&mut || {
            ran = Some(zone.zoneadm(self.words));
            zone.dead_or_done();
        });
        let ran = ran.expect("it is done");
        let at = deaths.join(", then ");
        eprintln!("{number}: {at}");
        eprintln!("{ran}");
        (self.judge)(zone, &before, &ran);
        let unfinished = zone.unfinished().filter(|_| zone.daemon().is_some());
        assert_eq!(unfinished, None, "after a death at {at}");
        leaves_nothing(zone, &self.world, &at);
        deaths
    }
}

fn is_ready(zone: &Zone<'_>, _: &Status, ran: &Ran) {
    ran.ok();
    zone.is("ready");
    zone.zoneadm(["boot"]).ok();
    zone.zlogin(["true"]).ok();
}

pub(super) fn is_up(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    zone.is("running");
    if before.state == "ready" {
        assert_eq!(zone.status().uniqid, before.uniqid, "a ready zone is booted, not made again\n{ran}");
    }
    zone.zlogin(["cat", "/proc/mounts"]).ok().stdout_has(" /data ");
}

pub(super) fn is_down(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    zone.is("installed");
    if before.state == "running" {
        let last = zone.status().last_exit;
        assert_eq!(
            last.map(|exit| (exit.uniqid, exit.how)),
            before.uniqid.clone().map(|id| (id, "halted".into()))
        );
    }
}

pub(super) fn is_up_anew(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    zone.is("running");
    let now = zone.status();
    assert_ne!(now.uniqid, before.uniqid, "{ran}");
    assert_eq!(now.last_exit.map(|exit| exit.how).as_deref(), Some("rebooted"), "{ran}");
    zone.zlogin(["true"]).ok();
}

fn is_shut_down(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    // When init was through before the next daemon was asked, there was nothing left to shut down.
    assert!(ran.code() == Some(0) || ran.err().contains("not running"), "{ran}");
    zone.is("installed");
    let last = zone.status().last_exit.unwrap_or_else(|| panic!("its end must be on record\n{ran}"));
    assert_eq!(Some(last.uniqid), before.uniqid, "{ran}");
    assert!(["shutdown", "poweroff"].contains(&last.how.as_str()), "{}\n{ran}", last.how);
}

fn is_shut_down_and_up(zone: &Zone<'_>, before: &Status, ran: &Ran) {
    ran.ok();
    zone.is("running");
    let now = zone.status();
    assert_ne!(now.uniqid, before.uniqid, "{ran}");
    // What the call has booted is not shut down when it is repeated.
    assert_eq!(now.last_exit.map(|exit| exit.uniqid), before.uniqid, "{ran}");
}

fn ready(lab: &Lab) {
    sweep(lab, nothing, &["ready"], 0, is_ready);
}

fn boot(lab: &Lab) {
    sweep(lab, nothing, &["boot"], 0, is_up);
}

fn boot_of_a_ready_zone(lab: &Lab) {
    sweep(lab, be_ready, &["boot"], 0, is_up);
}

fn halt(lab: &Lab) {
    sweep(lab, be_up, &["halt"], 0, is_down);
}

fn halt_of_a_ready_zone(lab: &Lab) {
    sweep(lab, be_ready, &["halt"], 0, is_down);
}

fn reboot(lab: &Lab) {
    sweep(lab, be_up, &["reboot"], 0, is_up_anew);
}

fn shutdown(lab: &Lab) {
    sweep(lab, be_up, &["shutdown"], 0, is_shut_down);
}

fn shutdown_and_boot(lab: &Lab) {
    sweep(lab, be_up, &["shutdown", "-r"], 0, is_shut_down_and_up);
}

fn boot_and_its_recovery(lab: &Lab) {
    sweep(lab, nothing, &["boot"], 7, is_up);
}

fn halt_and_its_recovery(lab: &Lab) {
    sweep(lab, be_up, &["halt"], 9, is_down);
}

fn reboot_and_its_recovery(lab: &Lab) {
    sweep(lab, be_up, &["reboot"], 9, is_up_anew);
}
