//! Leads one zone through its plan, and judges what has become of it after each step.

use super::book::Book;
use super::kernel::{Process, first_processes};
use super::plan::{Deed, Fault, Plan, Step};
use super::ticks;
use crate::harness::{Lab, LabSpec, Ran, Running, Status, Zone, until, write_program};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Lives one zone's life until the book is over, and ends it in an orderly way. Panics when something is wrong.
pub(super) fn live(book: &Book, spec: LabSpec, name: &str, mut plan: Plan) {
    let lab = Lab::new(spec);
    let mut driver = Driver { book, zone: lab.zone(name), watcher: None };
    driver.install();
    while !book.is_over() {
        let step = plan.next();
        book.steps.fetch_add(1, Ordering::Relaxed);
        driver.step(step);
    }
    driver.end();
}

struct Driver<'a> {
    book: &'a Book,
    zone: Zone<'a>,
    watcher: Option<Running>,
}

/// What a deed must come to when nothing goes wrong.
enum Outcome {
    /// The command succeeds, and the zone gets into this state.
    Gets(&'static str),
    /// The command succeeds, and another incarnation runs.
    RunsAnew,
    /// The command is refused, or does nothing, and the zone stays what it is.
    Stays,
}

impl Driver<'_> {
    fn note(&self, text: &str) {
        self.book.note(self.zone.name(), text);
    }

    fn install(&self) {
        self.zone.zoneadm_within(120, ["install"]).ok();
        write_program(&self.zone.file("/etc/rc"), ticks::RC);
    }

    fn step(&mut self, step: Step) {
        std::thread::sleep(step.peace);
        let before = self.settled();
        let first = self.first();
        self.note(&format!("{}: {step}", before.state));
        let ran = self.carry_out(step);
        if let Some(ran) = &ran {
            self.note(&ran.to_string().replace('\n', "\n                  "));
        }
        match step.fault {
            Fault::None => self.judge(step.deed, &before, first, ran.as_ref()),
            _ => {
                self.book.faults.fetch_add(1, Ordering::Relaxed);
                self.judge_after(step, &before, first, ran.as_ref());
            }
        }
    }

    /// Starts the deed, has it go wrong, waits for its end.
    fn carry_out(&mut self, step: Step) -> Option<Ran> {
        if let Fault::DaemonAt(first, second) = step.fault {
            let numbers = if second == 0 { vec![first] } else { vec![first, second] };
            self.zone.die_at(&numbers);
        }
        let mut client = self.start(step.deed);
        match step.fault {
            Fault::None | Fault::DaemonAt(..) => {}
            Fault::DaemonAfter(after) => {
                std::thread::sleep(after);
                self.kill_daemon();
            }
            Fault::DaemonsEvery(pause, often) => {
                for _ in 0..often {
                    std::thread::sleep(pause);
                    self.kill_daemon();
                }
            }
            Fault::ClientAfter(after) => {
                std::thread::sleep(after);
                client.iter_mut().for_each(Running::kill);
            }
            Fault::BothAfter(after) => {
                std::thread::sleep(after);
                client.iter_mut().for_each(Running::kill);
                self.kill_daemon();
            }
            Fault::KeeperAfter(after) => {
                std::thread::sleep(after);
                if let Some(pid) = self.zone.status().zsched.map(|keeper| keeper.pid) {
                    self.note(&format!("kills zsched, process {pid}"));
                    kill(pid);
                }
            }
        }
        let ran = client.map(Running::wait);
        if let Fault::DaemonAt(..) = step.fault {
            self.note(&format!("daemons have died at {:?}", self.zone.die_no_more()));
        }
        ran
    }

    fn start(&mut self, deed: Deed) -> Option<Running> {
        let adm = |words: &[&str]| Some(self.zone.zoneadm_command(words).start());
        match deed {
            Deed::Ready => adm(&["ready"]),
            Deed::Boot => adm(&["boot"]),
            Deed::Halt => adm(&["halt"]),
            Deed::Reboot => adm(&["reboot"]),
            Deed::Shutdown => adm(&["shutdown"]),
            Deed::ShutdownReboot => adm(&["shutdown", "-r"]),
            Deed::Reinstall => adm(&["uninstall", "-F"]),
            Deed::RebootInside => Some(self.zone.zlogin_command(["reboot"]).start()),
            Deed::PoweroffInside => Some(self.zone.zlogin_command(["poweroff"]).start()),
            Deed::Login => Some(self.zone.zlogin_command(["true"]).start()),
            Deed::Watch => {
                self.toggle_watcher();
                None
            }
            Deed::Rest => None,
        }
    }

    fn toggle_watcher(&mut self) {
        match self.watcher.take() {
            None => {
                let watch = self.zone.console_command(&["--watch"]).within(u64::from(u32::MAX));
                self.watcher = Some(watch.start());
            }
            Some(mut watcher) => {
                watcher.kill();
                self.check_ticks("a watcher", &watcher.wait().out(), false);
            }
        }
    }

    /// What a deed must come to in a state, when nothing goes wrong: the table of states and commands.
    fn expected(deed: Deed, state: &str) -> Outcome {
        match (deed, state) {
            (Deed::Ready, _) => Outcome::Gets("ready"),
            (Deed::Boot, _) => Outcome::Gets("running"),
            (Deed::Halt, _) | (Deed::Shutdown | Deed::PoweroffInside, "running") => {
                Outcome::Gets("installed")
            }
            (Deed::Reboot | Deed::ShutdownReboot | Deed::RebootInside, "running") => Outcome::RunsAnew,
            (Deed::Reinstall, "installed") => Outcome::Gets("configured"),
            _ => Outcome::Stays,
        }
    }

    fn judge(&mut self, deed: Deed, before: &Status, first: Option<Process>, ran: Option<&Ran>) {
        let inside = matches!(deed, Deed::RebootInside | Deed::PoweroffInside);
        let succeeds = || {
            // A shell in a zone that goes down may be killed before it can say that all is well.
            if let Some(ran) = ran.filter(|_| !inside) {
                ran.ok();
            }
        };
        match Self::expected(deed, &before.state) {
            Outcome::Gets(state) => {
                succeeds();
                if inside {
                    self.zone.becomes(state);
                }
                self.zone.is(state);
            }
            Outcome::RunsAnew => {
                succeeds();
                if inside {
                    self.zone.runs_again(before);
                }
                let after = self.zone.status();
                assert!(
                    after.state == "running" && after.uniqid != before.uniqid,
                    "{before:?}, then {after:?}"
                );
            }
            Outcome::Stays => self.unhurt(before, first),
        }
        if deed == Deed::Reinstall && before.state == "installed" {
            self.install();
        }
    }

    /// The zone is what it was.
    fn unhurt(&self, before: &Status, first: Option<Process>) {
        let after = self.zone.status();
        assert!(after.state == before.state && after.uniqid == before.uniqid, "{before:?}, then {after:?}");
        assert_eq!(self.first(), first, "its first process is another");
    }

    fn judge_after(&mut self, step: Step, before: &Status, first: Option<Process>, ran: Option<&Ran>) {
        let now = self.settled();
        self.note(&format!("settles: {}", now.state));
        let passive = matches!(Self::expected(step.deed, &before.state), Outcome::Stays);
        let keeper = matches!(step.fault, Fault::KeeperAfter(_));
        // Nobody waits for a zone that never started its init; all else lives on without its keeper, too.
        if passive && !(keeper && before.state == "ready") {
            self.unhurt(before, first);
        }
        let insists = matches!(step.fault, Fault::DaemonAt(..) | Fault::DaemonAfter(_));
        if let (true, Deed::Ready | Deed::Boot | Deed::Halt, Some(ran)) = (insists, step.deed, ran) {
            ran.ok();
            if let Outcome::Gets(state) = Self::expected(step.deed, &before.state) {
                self.zone.is(state);
            }
        }
        if ["configured", "incomplete"].contains(&now.state.as_str()) {
            if now.state == "incomplete" {
                self.zone.zoneadm(["uninstall", "-F"]).ok();
            }
            self.zone.is("configured");
            self.install();
        }
        // What was told to go down, inside or by its daemon, may be at it still: only a halt is a halt to it.
        let going = matches!(
            step.deed,
            Deed::RebootInside | Deed::PoweroffInside | Deed::Shutdown | Deed::ShutdownReboot
        );
        let (next, state) = match if going { Deed::Halt } else { step.next } {
            Deed::Boot => ("boot", "running"),
            Deed::Ready => ("ready", "ready"),
            _ => ("halt", "installed"),
        };
        let ran = self.zone.zoneadm([next]);
        self.note(&ran.to_string().replace('\n', "\n                  "));
        ran.ok();
        self.zone.is(state);
        if state == "running" {
            self.zone.zlogin(["true"]).ok();
        }
    }

    /// Waits until nobody is going to change the zone by himself, as far as that can be seen.
    fn settled(&self) -> Status {
        self.zone.waits_for("the zone settles", |now| now.operation.is_none() && now.state != "down")
    }

    /// The zone's first process.
    fn first(&self) -> Option<Process> {
        first_processes().remove(self.zone.name()).and_then(|all| all.last().copied())
    }

    fn kill_daemon(&self) {
        if let Some(pid) = self.zone.daemon() {
            self.note(&format!("kills the daemon, process {pid}"));
            kill(pid);
        }
    }

    fn check_ticks(&self, whose: &str, text: &str, repeats: bool) {
        match ticks::check(text, repeats) {
            Ok(seen) => {
                self.book.lines.fetch_add(seen, Ordering::Relaxed);
                self.note(&format!("{whose} has {seen} lines of the console, none missing"));
            }
            Err(missing) => panic!("{whose}: {missing}"),
        }
    }

    fn end(mut self) {
        self.note("ends");
        if self.watcher.is_some() {
            self.toggle_watcher();
        }
        self.zone.halt_whatever();
        self.zone.daemon_leaves();
        until("the daemon is through", || self.zone.nobody_is_daemon().then_some(()));
        let log = self.zone.zoneadm(["console", "--log"]);
        self.check_ticks("the console's log", &log.ok().out(), true);
        let written = std::fs::read_to_string(self.zone.file("/ticks")).unwrap_or_default();
        ticks::has_last(&log.out(), &written)
            .unwrap_or_else(|missing| panic!("the console's log: {missing}"));
        assert_eq!(self.zone.unfinished(), None, "nothing is unfinished");
    }
}

/// Kills a process that may be dead by now.
fn kill(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        // Gone already is as good.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let limit =
            rustix::event::Timespec { tv_sec: Duration::from_secs(10).as_secs().cast_signed(), tv_nsec: 0 };
        let _ = rustix::event::poll(&mut fds, Some(&limit));
    }
}
