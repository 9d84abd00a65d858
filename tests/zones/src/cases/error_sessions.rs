//! System calls that fail under sessions on a terminal: a login, the console and a watcher at it, in zlogin, and in the
//! daemon that serves the console. Whoever sits at the terminal is told in a sentence and has it back as it was, the zone
//! has not noticed, the same once more works, and nothing is left. Which failures are tried is as in `error_calls`.

use super::crash::{be_up, leaves_nothing, zone};
use super::failing::{is_true, is_unheard, try_failures};
use crate::harness::init::ECHO;
use crate::harness::inject::Injector;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Terminal, Zone, cases};
use std::process::ExitStatus;

cases![
    zlogin_with_a_login: 600,
    zlogin_with_a_login_of_a_user: 600,
    zlogin_at_the_console: 600,
    zlogin_watching_the_console: 600,
    the_daemon_at_the_console: 600,
];

/// What is waited for, and typed then, one after the other.
type Script = &'static [(&'static str, &'static str)];

/// The quotes keep what is typed, and echoed, from being taken for what is said.
const LOGIN: Script = &[("# ", "echo he''re\r"), ("here\r\n", "exit\r")];
const CONSOLE: Script = &[("[Connected to zone 'web' console]", "he-re\r"), ("he-re", "\r~.")];
const WATCH: Script = &[("[Connected to zone 'web' console]", "~.")];

/// What has become of a session.
struct Played {
    status: ExitStatus,
    screen: String,
    /// Whether it came to the end of its script.
    done: bool,
}

/// Plays a script at a program on a terminal, for as long as the program lives; the terminal is then what it was.
fn plays(command: Command, script: Script) -> Played {
    let mut terminal = Terminal::start(command, 24, 80);
    let done = script.iter().all(|(text, typed)| {
        let shown = terminal.shows_or_ends(text);
        if shown {
            terminal.types(typed);
        }
        shown
    });
    let (status, screen) = terminal.end();
    assert!(!screen.contains("panicked at"), "it panics: {screen:?}");
    assert!(terminal.is_as_before(), "the terminal is not what it was: {}: {screen:?}", terminal.settings());
    Played { status, screen, done }
}

impl Played {
    fn is_done(&self) {
        assert!(self.done && self.status.success(), "{}: {:?}", self.status, self.screen);
    }

    /// It has done what it is there for, or says why not.
    fn is_told(&self, of: &str) {
        let Self { status, screen, done } = self;
        match status.code() {
            Some(0) => assert!(done, "{of}: it gives up, and says nothing: {screen:?}"),
            Some(_) => assert!(screen.contains("zlogin: "), "{of}: it fails, and says nothing: {screen:?}"),
            None => panic!("{of}: it was killed, {status}: {screen:?}"),
        }
    }
}

/// Has the calls of zlogin fail in a session that it is told to hold by `words`.
fn in_zlogin(lab: &Lab, zone: &Zone<'_>, words: &[&str], script: Script) {
    let world = World::look(&[]);
    let injector = Injector::new(lab, "zlogin");
    let session = || plays(injector.command("zlogin", words), script);
    let counts = injector.calls_in(|| be_up(zone), || session().is_done());
    leaves_nothing(zone, &world, "no failure");
    try_failures(lab, zone, &injector, &counts, |failure| {
        // By this a terminal says that its other side is gone, and a zlogin that hears it for ever waits for no more output.
        if (failure.call, failure.error) == ("read", "EIO") {
            return 0;
        }
        be_up(zone);
        let before = zone.identity();
        injector.inject(failure);
        let played = session();
        let failed = injector.release();
        eprintln!("{failure}: {failed} failed: {:?}", played.screen);
        if !is_unheard(failure, failed) {
            played.is_told("");
        }
        is_true(zone, &played.screen);
        assert_eq!(zone.identity(), before, "the zone has noticed: {:?}", played.screen);
        plays(lab.command("zlogin", words), script).is_done();
        leaves_nothing(zone, &world, &failure.to_string());
        failed
    });
}

/// Ends as the prompt of a shell does that could not read it: root gets in however little of the zone can be read.
const PROMPT: &str = "PS1='ready# '";

fn zlogin_with_a_login(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    zone.sh(&format!("echo \"{PROMPT}\" > /root/.profile; cp /root/.profile /root/.bashrc")).ok();
    zone.halt_whatever();
    in_zlogin(lab, &zone, &["web"], LOGIN);
}

fn zlogin_with_a_login_of_a_user(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    zone.sh("echo 'joe:x:1234:1234::/home/joe:/bin/sh' >> /etc/passwd; mkdir -p /home/joe").ok();
    zone.sh(&format!("echo \"{PROMPT}\" > /home/joe/.profile")).ok();
    zone.halt_whatever();
    in_zlogin(lab, &zone, &["-l", "joe", "web"], LOGIN);
}

fn zlogin_at_the_console(lab: &Lab) {
    in_zlogin(lab, &lab.tiny("web", ECHO), &["-C", "web"], CONSOLE);
}

fn zlogin_watching_the_console(lab: &Lab) {
    in_zlogin(lab, &lab.tiny("web", ECHO), &["-C", "--watch", "web"], WATCH);
}

/// Who has the console is heard, and a watcher beside sees it.
fn the_daemon_at_the_console(lab: &Lab) {
    let zone = lab.tiny("web", ECHO);
    let world = World::look(&[]);
    let injector = Injector::new(lab, "zoneadmd");
    let boot = || injector.command("zoneadm", &["-z", "web", "boot"]).within(90).run();
    let sessions = || {
        let holder = plays(zone.console_command(&[]), CONSOLE);
        (holder, plays(zone.console_command(&["--watch", "--replay", "all"]), WATCH))
    };
    let done = || {
        let (holder, watcher) = sessions();
        holder.is_done();
        watcher.is_done();
    };
    let counts = injector.calls_in(|| drop(boot().ok().out()), done);
    leaves_nothing(&zone, &world, "no failure");
    try_failures(lab, &zone, &injector, &counts, |failure| {
        injector.inject(failure);
        let booted = boot();
        let (holder, watcher) = sessions();
        let failed = injector.release();
        eprintln!("{failure}: {failed} failed: {booted}\n{:?}\n{:?}", holder.screen, watcher.screen);
        holder.is_told("the holder");
        watcher.is_told("the watcher");
        is_true(&zone, &booted);
        // What is lost with a daemon is started again by whoever comes next.
        be_up(&zone);
        done();
        leaves_nothing(&zone, &world, &failure.to_string());
        failed
    });
}
