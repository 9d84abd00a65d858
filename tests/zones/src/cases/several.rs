//! Several zones with one command, and words that are not ours.

use super::packaging::PROGRAMS;
use crate::harness::{Command, Lab, Terminal, cases};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

cases![
    a_verb_for_several_zones,
    one_that_fails_is_named_and_ends_with_1,
    a_name_without_a_zone_does_nothing,
    a_terminal_has_a_line_for_each,
    the_words_of_others_are_understood,
    help_fits_a_narrow_terminal,
    a_zone_that_is_being_installed_says_so,
    a_root_that_is_mistyped_is_no_new_world,
    every_program_has_a_version,
    reasons_are_words_in_every_program,
    what_one_zone_does_opens_nothing_of_another,
];

fn a_verb_for_several_zones(lab: &Lab) {
    let zones = ["web1", "web2", "db"].map(|name| lab.sparse(name));
    let done = |ran: &crate::harness::Ran, verb: &str, count: usize| {
        ran.ok().stdout_is("").stderr_is(&format!("zoneadm: {verb}: {count} of {count} zones done\n"));
    };
    done(&lab.zoneadm(["-z", "web*,db", "boot"]), "boot", 3);
    zones.iter().for_each(|zone| zone.is("running"));
    lab.zoneadm(["list", "-z", "db,web?"]).ok().stdout_is("db\nweb1\nweb2\n");
    done(&lab.zoneadm(["halt", "-z", "web1,db"]), "halt", 2);
    lab.zoneadm(["--state", "running", "list"]).ok().stdout_is("web2\n");
    lab.zoneadm(["--state", "installed", "list"]).ok().stdout_is("web1\ndb\n");
    done(&lab.zoneadm(["--state", "installed", "-z", "web*,db", "ready"]), "ready", 2);
    let last = lab.zoneadm(["shutdown", "--all", "-t", "20"]);
    last.ok().stderr_has("zoneadm: shutdown: 1 of 1 zone done\n");
    done(&lab.zoneadm(["halt", "--all"]), "halt", 2);
    zones.iter().for_each(|zone| zone.is("installed"));
    let nothing = "zoneadm: no zone is in a state that shutdown is for; nothing to do\n";
    lab.zoneadm(["--all", "shutdown"]).ok().stderr_is(nothing);
    lab.zoneadm(["--state", "ready", "halt"]).ok().stderr_is("zoneadm: no zone is ready; nothing to do\n");
    let timed = lab.zoneadm(["-z", "web1,web2", "boot", "--timings", "--json"]);
    let answers = timed.ok().json();
    let of = |at: usize| (answers[at]["zone"].as_str(), answers[at]["ok"].as_bool());
    assert_eq!((of(0), of(1)), ((Some("web1"), Some(true)), (Some("web2"), Some(true))), "{timed}");
    assert!(answers[1]["result"]["total_usec"].as_u64() > Some(0), "{timed}");
    done(&lab.zoneadm(["--all", "halt"]), "halt", 2);
}

fn one_that_fails_is_named_and_ends_with_1(lab: &Lab) {
    let good = lab.sparse("good");
    let bad = lab.sparse_with("bad", "set init=/sbin/nothing-of-that-name");
    let ran = lab.zoneadm(["-z", "*", "boot"]);
    ran.exits(1).stderr_has("zone 'bad': ").stderr_has("zoneadm: boot: 1 of 2 zones done; failed: bad\n");
    good.is("running");
    bad.is("installed");
    lab.zoneadm(["-z", "*", "uninstall"]).exits(2).stderr_has("told with -F");
    lab.zoneadm(["-z", "*", "console", "--log"]).exits(2).stderr_has("one zone at a time");
    good.halt();
}

fn a_name_without_a_zone_does_nothing(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.zoneadm(["-z", "web,wbe", "boot"])
        .exits(1)
        .stderr_is("zoneadm: zone 'wbe': No such zone configured; did you mean \"web\"?\n");
    lab.zoneadm(["-z", "web,x*", "boot"]).exits(1).stderr_has("no zone has a name like 'x*'");
    lab.zoneadm(["--all", "-z", "web", "boot"]).exits(2);
    zone.is("installed");
}

fn a_terminal_has_a_line_for_each(lab: &Lab) {
    lab.sparse("web1");
    lab.sparse("a-name-that-is-longer");
    // On the second nothing can be drawn, and lines are lines.
    for (columns, verb, term) in [(80, "boot", "xterm"), (200, "halt", "dumb"), (200, "ready", "xterm")] {
        let command = lab.command("zoneadm", ["--all", verb]).env("TERM", term);
        let mut terminal = Terminal::start(command, 24, columns);
        let (status, screen) = terminal.end();
        assert!(status.success(), "{screen}");
        for line in
            [format!("web1                   {verb} done"), format!("a-name-that-is-longer  {verb} done")]
        {
            assert!(screen.contains(&line), "{line:?} must be in {screen:?}");
        }
        assert!(screen.trim_end().ends_with(&format!("zoneadm: {verb}: 2 of 2 zones done")), "{screen:?}");
        assert!(terminal.is_as_before(), "the terminal is as it was");
    }
}

fn the_words_of_others_are_understood(lab: &Lab) {
    let zone = lab.sparse("web");
    let said = |args: &[&str], text: &str| {
        lab.zoneadm(args).exits(2).stdout_is("").stderr_has(text);
    };
    said(
        &["start", "web"],
        "zoneadm: there is no subcommand \"start\"; what you mean may be: zoneadm -z web boot\n",
    );
    said(&["boot", "web"], "zoneadm: boot: a zone is named with -z, as in: zoneadm -z web boot\n");
    let state = "zoneadm: halt: --state stands before the subcommand, as in: zoneadm --state STATE halt\n";
    said(&["halt", "--state", "ready"], state);
    said(&["-z", "web", "rm"], "zoneadm -z web uninstall, and then zonecfg -z web delete\n");
    said(&["exec", "web", "ls"], "zlogin web COMMAND\n");
    said(&["-z", "web", "bot"], "zoneadm: unrecognized subcommand 'bot'");
    zone.zonecfg("set autobot=true").exits(1).stderr_has("did you mean \"autoboot\"?");
    lab.zonecfg("new", "create; set ip-type=exclusiv").exits(1).stderr_has("did you mean \"exclusive\"?");
    // Of one line no line and no column.
    zone.zonecfg("clear").exits(1).stderr_has("zonecfg: syntax error: expected a property,");
    zone.zonecfg("info\nclear").exits(1).stderr_has("syntax error on line 2 of the command line, column 1:");
    zone.zonecfg("remov net").exits(1).stderr_has("did you mean \"remove\"?");
    zone.zonecfg("add nte").exits(1).stderr_has("did you mean \"net\"?");
    zone.zonecfg("set bootargs=\"-s").exits(1).stderr_has("a quote that is not closed");
    lab.zonecfg("wbe", "info").exits(1).stderr_has("No such zone configured; did you mean \"web\"?");
    lab.command("zlogin", ["wbe"]).run().exits(1).stderr_has("unknown; did you mean \"web\"?");
}

fn help_fits_a_narrow_terminal(lab: &Lab) {
    for words in [
        &["zoneadm", "--help"][..],
        &["zoneadm", "help", "install"],
        &["zoneadm", "help", "boot"],
        &["zoneadm", "help", "list"],
        &["zonecfg", "--help"],
        &["zlogin", "--help"],
        // And the usage of a mistake.
        &["zoneadm", "list", "--nonsense"],
        &["zlogin"],
    ] {
        let terminal = Terminal::start(lab.command(words[0], &words[1..]), 24, 80);
        let (_, screen) = terminal.ends();
        let long: Vec<&str> = screen.lines().filter(|line| line.trim_end().chars().count() > 80).collect();
        assert!(long.is_empty() && screen.contains("Usage"), "{words:?}: {long:?}");
    }
    // A paragraph is filled: no line breaks off behind a word or two.
    let boot = Terminal::start(lab.command("zoneadm", ["help", "boot"]), 24, 80).ends().1;
    assert!(!boot.lines().any(|line| line.trim_end() == "console (zlogin -C). With"), "{boot}");
}

fn a_zone_that_is_being_installed_says_so(lab: &Lab) {
    let zone = lab.sparse("web");
    zone.zoneadm(["mark", "incomplete"]).ok();
    // As the install that is at work on it holds it; no install takes long enough to be met in its midst each time.
    let run = lab.run().join("web");
    std::fs::create_dir_all(&run).unwrap_or_else(|e| panic!("{}: {e}", run.display()));
    let path = run.join("oplock");
    let mut lock = File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    flock(&lock, FlockOperation::LockExclusive).unwrap_or_else(|e| panic!("flock: {e}"));
    lock.write_all(b"install 4711").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let at = "\"zoneadm install\" (process 4711)";
    for verb in ["boot", "verify"] {
        zone.zoneadm([verb])
            .exits(1)
            .stderr_is(&format!("zoneadm: zone 'web': {at} is at work on it; wait until that has ended.\n"));
    }
    zone.zoneadm(["uninstall", "-F"]).exits(1).stderr_has(&format!("{at} is at work on it"));
    lab.zoneadm(["list", "-cv"]).ok().stdout_has(at);
    drop(lock);
    zone.zoneadm(["boot"]).exits(1).stderr_has("zoneadm -z web uninstall");
    zone.zoneadm(["uninstall", "-F"]).ok();
}

fn a_root_that_is_mistyped_is_no_new_world(lab: &Lab) {
    let root = lab.path("no-such-root");
    let with = |program: &str, args: &[&str]| lab.command(program, args).env("ZONES_ROOT", &root).run();
    for (program, args) in
        [("zoneadm", &["list", "-c"][..]), ("zonecfg", &["-z", "web", "info"]), ("zlogin", &["web"])]
    {
        with(program, args).exits(1).stderr_has("there is no directory").stderr_has("no-such-root");
    }
    assert!(!Path::new(&root).exists());
    with("zonecfg", &["-z", "web", "create"]).ok();
    with("zoneadm", &["list", "-cn"]).ok().stdout_is("web\n");
    with("zonecfg", &["-z", "web", "delete -F"]).ok();
}

fn every_program_has_a_version(lab: &Lab) {
    let mut said = Vec::new();
    for program in PROGRAMS {
        let ran = lab.command(program, ["--version"]).run();
        let out = ran.ok().quiet().out();
        let (name, version) = out.trim_end().split_once(' ').unwrap_or_else(|| panic!("{ran}"));
        assert_eq!(name, program);
        said.push(version.to_owned());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

fn reasons_are_words_in_every_program(lab: &Lab) {
    lab.configured("web", "");
    lab.command("zonecfg", ["-z", "web", "-f", "/no/such/file"])
        .run()
        .exits(1)
        .stderr_is("zonecfg: cannot read the command file /no/such/file: No such file or directory\n");
    Command::new("sh")
        .args(["-c", "exec \"$0\" > /dev/full", &lab.program("zonename").display().to_string()])
        .run()
        .exits(1)
        .stderr_is("zonename: cannot write to standard output: No space left on device\n");
}

/// What has a file of another zone opened since the last look, whoever it was.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn on(paths: &[&Path]) -> Self {
        use rustix::fs::inotify;
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).unwrap_or_else(|e| panic!("inotify: {e}"));
        for path in paths {
            let added = inotify::add_watch(&fd, *path, inotify::WatchFlags::OPEN);
            added.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
        Self(fd)
    }

    fn saw_any(&self) -> bool {
        let mut any = false;
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0) {
            any = true;
        }
        any
    }
}

fn what_one_zone_does_opens_nothing_of_another(lab: &Lab) {
    let (web, other) = (lab.sparse_with("web", "add net; end"), lab.sparse("other"));
    // The first boot since the host came up looks who mounts what of the host.
    web.zoneadm(["boot"]).ok();
    web.zoneadm(["halt"]).ok();
    let (config, root) = (lab.etc().join("other.toml"), other.file("/"));
    let watch = Watch::on(&[&config, &other.path(), &root]);
    for verb in ["boot", "reboot", "halt"] {
        web.zoneadm([verb]).ok();
        if verb != "halt" {
            web.zlogin(["true"]).ok();
        }
        assert!(!watch.saw_any(), "{verb}");
    }
    // Whoever is to tell of all looks at all.
    web.zoneadm(["verify"]).ok();
    assert!(watch.saw_any(), "verify");
    // And one that may mount something of the host is looked at.
    let dir = lab.private("shared");
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    other.zonecfg(&format!("add fs; set dir=/srv; set special={}; set type=lofs; end", dir.display())).ok();
    // It was replaced.
    let watch = Watch::on(&[&config]);
    web.zoneadm(["boot"]).ok();
    assert!(watch.saw_any(), "its configuration");
}
