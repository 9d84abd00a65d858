//! How a guest's init is asked to stop.
//!
//! What runs as PID 1 is told by looking at the file that the init's path leads to, inside the zone's root; nothing of the zone is
//! executed to find out. The rules of each init are those of its manual. A brand may say which one it is, or give signals.

use zone_sys::signal;

use crate::zoneroot::Resolved;
use crate::{Spec, ZoneRoot, sparse};

/// One request to an init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orderly {
    /// A signal to the zone's PID 1.
    Signal(i32),
    /// A program to be run in the zone, as its root.
    Command(Vec<String>),
}

/// What runs as PID 1, as far as asking it to stop goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd(1), in a container.
    Systemd,
    /// init(8) of SysV, also below OpenRC; understood by upstart too.
    SysV,
    /// BusyBox, toybox and our own zinit.
    BusyBox,
    /// openrc-init(8).
    OpenRc,
    /// runit-init(8).
    Runit,
    /// finit(8).
    Finit,
    /// s6-linux-init: shutdown goes through its own daemon.
    S6,
    /// s6-svscan(8) itself as PID 1.
    S6Svscan,
    /// dinit(8).
    Dinit,
    /// GNU Shepherd.
    Shepherd,
    /// Anything else: a program that may or may not take SIGTERM for a request to end.
    Other,
}

/// How the init of one zone is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requests {
    /// What it was taken for.
    pub init: Init,
    /// To halt the zone.
    pub halt: Orderly,
    /// To reboot it.
    pub reboot: Orderly,
    /// Whether a request may be lost while this init starts, though it was delivered, and may be repeated without
    /// harm until the zone ends.
    pub repeat: bool,
}

/// Words for a brand's `orderly`, and names of the files that an init's path leads to.
const WORDS: [(&str, Init); 21] = [
    ("systemd", Init::Systemd),
    ("sysvinit", Init::SysV),
    ("upstart", Init::SysV),
    ("busybox", Init::BusyBox),
    ("busybox.static", Init::BusyBox),
    ("toybox", Init::BusyBox),
    ("zinit", Init::BusyBox),
    ("openrc", Init::OpenRc),
    ("openrc-init", Init::OpenRc),
    ("runit", Init::Runit),
    ("runit-init", Init::Runit),
    ("finit", Init::Finit),
    ("s6", Init::S6),
    ("s6-linux-init", Init::S6),
    ("s6-svscan", Init::S6Svscan),
    ("dinit", Init::Dinit),
    ("dinit-init", Init::Dinit),
    ("shepherd", Init::Shepherd),
    ("tini", Init::Other),
    ("dumb-init", Init::Other),
    ("catatonit", Init::Other),
];

/// A script says in its first lines whose it is; a longer one is none of ours.
const MOST_OF_A_SCRIPT: usize = 4096;

/// The signals of our own brand file, and some more.
const SIGNALS: [(&str, i32); 9] = [
    ("SIGHUP", signal::SIGHUP),
    ("SIGINT", signal::SIGINT),
    ("SIGQUIT", signal::SIGQUIT),
    ("SIGTERM", signal::SIGTERM),
    ("SIGUSR1", signal::SIGUSR1),
    ("SIGUSR2", signal::SIGUSR2),
    ("SIGPWR", signal::SIGPWR),
    ("SIGWINCH", signal::SIGWINCH),
    ("SIGCHLD", signal::SIGCHLD),
];

/// How the init at `path`, as seen inside, is asked to stop. Never fails: an init that cannot be told is [`Init::Other`].
#[must_use]
pub fn requests(spec: &Spec, path: &str) -> Requests {
    let told = &spec.orderly;
    let init = match WORDS.iter().find(|(word, _)| *word == told.init) {
        Some((_, init)) => *init,
        None => ZoneRoot::of(spec).map_or(Init::Other, |root| recognise(&root, path)),
    };
    let (halt, reboot) = manual(init, path);
    let own = |name: &Option<String>| name.as_deref().and_then(signal_number).map(Orderly::Signal);
    // What a brand says about signals is for inits that are not known.
    let known = init != Init::Other;
    let or_own = |manual, name| if known { manual } else { own(name).unwrap_or(manual) };
    let (halt, reboot) = (or_own(halt, &told.halt_signal), or_own(reboot, &told.reboot_signal));
    Requests { init, halt, reboot, repeat: repeats(init) }
}

/// Tells an init by the file that its path leads to.
#[must_use]
pub fn recognise(root: &ZoneRoot, path: &str) -> Init {
    let Ok(found) = root.resolve(path) else { return Init::Other };
    if found.path == sparse::INIT {
        return Init::BusyBox;
    }
    let by_name = WORDS.iter().find(|(word, _)| *word == found.name()).map(|(_, init)| *init);
    by_name.unwrap_or_else(|| by_content(root, &found))
}

/// Whether the zone's init starts gettys on tty1 to tty6 unless its configuration says otherwise: those of before systemd,
/// which in a container knows to use the console. Our own has one on the console alone.
pub(crate) fn wants_seats(root: &ZoneRoot, spec: &Spec) -> bool {
    let inits = [Init::SysV, Init::BusyBox, Init::OpenRc, Init::Runit, Init::Finit, Init::Dinit];
    !spec.host_programs && inits.contains(&recognise(root, &spec.process.init))
}

/// A file that is only called `init`: the script of s6-linux-init, or the one of SysV, which alone has its program there.
fn by_content(root: &ZoneRoot, found: &Resolved) -> Init {
    let head = root.head(found, MOST_OF_A_SCRIPT).unwrap_or_default();
    let says = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    if head.starts_with(b"#!") {
        let named = [
            (&b"s6-linux-init"[..], Init::S6),
            (b"s6-svscan", Init::S6Svscan),
            (b"shepherd", Init::Shepherd),
        ];
        return named.into_iter().find(|(word, _)| says(word)).map_or(Init::Other, |(_, init)| init);
    }
    if head.starts_with(b"\x7fELF") && found.name() == "init" { Init::SysV } else { Init::Other }
}

/// How to halt and how to reboot, by the manual of each.
fn manual(init: Init, path: &str) -> (Orderly, Orderly) {
    let signals = |halt, reboot| (Orderly::Signal(halt), Orderly::Signal(reboot));
    let command = |words: &[&str]| Orderly::Command(words.iter().map(|word| (*word).to_owned()).collect());
    match init {
        // poweroff.target and reboot.target (systemd(1)).
        Init::Systemd => signals(signal::realtime(4), signal::realtime(5)),
        // The program is telinit when it is not PID 1.
        Init::SysV => (command(&[path, "0"]), command(&[path, "6"])),
        Init::BusyBox | Init::Finit => signals(signal::SIGUSR2, signal::SIGTERM),
        Init::OpenRc => (
            command(&["/sbin/openrc-shutdown", "--poweroff", "now"]),
            command(&["/sbin/openrc-shutdown", "--reboot", "now"]),
        ),
        Init::Runit => (command(&[path, "0"]), command(&[path, "6"])),
        Init::S6 => (command(&["/sbin/shutdown", "-p", "now"]), command(&["/sbin/shutdown", "-r", "now"])),
        Init::S6Svscan => signals(signal::SIGTERM, signal::SIGTERM),
        Init::Dinit => signals(signal::SIGTERM, signal::SIGINT),
        Init::Shepherd => {
            (command(&["herd", "power-off", "shepherd"]), command(&["herd", "stop", "shepherd"]))
        }
        Init::Other => signals(signal::SIGTERM, signal::SIGTERM),
    }
}

/// Whether requests are repeated until the zone ends. Finit has its handlers before it has runlevels, runit takes its stop file
/// away when stage 1 begins, openrc-init opens its fifo late: each loses what comes too soon, and none minds being told
/// twice. SysV and systemd keep a request that they have; anything else might take a second one for impatience.
fn repeats(init: Init) -> bool {
    matches!(init, Init::Finit | Init::Runit | Init::OpenRc)
}

/// The number of a signal by its name, such as `SIGUSR2` or `SIGRTMIN+4`.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    if let Some(offset) = name.strip_prefix("SIGRTMIN+") {
        // SIGRTMAX is SIGRTMIN+30.
        return offset.parse().ok().filter(|offset| (0..=30).contains(offset)).map(signal::realtime);
    }
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lab;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn lab_with(link: &str, file: &str, content: &[u8]) -> Lab {
        let lab = Lab::new("linux");
        lab.dirs(&["sbin", "lib/systemd", "bin"]);
        if !link.is_empty() {
            symlink(link, lab.root().join("sbin/init")).unwrap();
        }
        fs::write(lab.root().join(file), content).unwrap();
        lab
    }

    #[test]
    fn inits_are_told_by_what_their_path_leads_to() {
        for (link, file, content, init) in [
            ("/lib/systemd/systemd", "lib/systemd/systemd", &b"\x7fELF"[..], Init::Systemd),
            ("../bin/busybox", "bin/busybox", b"\x7fELF", Init::BusyBox),
            ("openrc-init", "sbin/openrc-init", b"", Init::OpenRc),
            ("", "sbin/init", b"\x7fELF..", Init::SysV),
            ("", "sbin/init", b"#!/bin/execlineb -S0\n/bin/s6-linux-init -c /etc/s6\n", Init::S6),
            ("", "sbin/init", b"#!/bin/sh\n", Init::Other),
            ("missing", "bin/x", b"", Init::Other),
        ] {
            let lab = lab_with(link, file, content);
            assert_eq!(requests(&Spec::of(&lab.snapshot), "/sbin/init").init, init, "{link} {file}");
        }
    }

    #[test]
    fn the_requests() {
        let lab = lab_with("", "sbin/init", b"\x7fELF");
        let asked = requests(&Spec::of(&lab.snapshot), "/sbin/init");
        assert_eq!(asked.halt, Orderly::Command(vec!["/sbin/init".to_owned(), "0".to_owned()]));
        assert!(!asked.repeat);
        assert_eq!(manual(Init::Systemd, "").0, Orderly::Signal(38));
        assert_eq!(signal_number("SIGRTMIN+5"), Some(39));
        assert!(signal_number("SIGRTMIN+31").is_none() && signal_number("TERM").is_none());
    }

    #[test]
    fn a_brand_comes_first_and_its_signals_last() {
        let mut lab = lab_with("", "sbin/init", b"\x7fELF");
        lab.snapshot.brand.orderly = "finit".to_owned();
        let asked = requests(&Spec::of(&lab.snapshot), "/sbin/init");
        assert_eq!((asked.init, asked.repeat), (Init::Finit, true));
        lab.snapshot.brand.orderly = "auto".to_owned();
        lab.snapshot.brand.halt_signal = Some("SIGINT".to_owned());
        assert_eq!(requests(&Spec::of(&lab.snapshot), "/bin/none").halt, Orderly::Signal(2));
        assert!(matches!(requests(&Spec::of(&lab.snapshot), "/sbin/init").halt, Orderly::Command(_)));
    }

    #[test]
    fn a_sparse_zone_runs_our_own_or_the_hosts() {
        let lab = Lab::new("sparse");
        lab.dirs(&["native/sbin"]);
        fs::write(lab.root().join("native/sbin/init"), "").unwrap();
        assert_eq!(requests(&Spec::of(&lab.snapshot), "/native/sbin/init").init, Init::BusyBox);
        assert_eq!(requests(&Spec::of(&lab.snapshot), "/usr/bin/nothing-of-this-name").init, Init::Other);
    }
}
