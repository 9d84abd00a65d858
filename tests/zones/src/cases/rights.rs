//! Users who are not root, and what they may: by the `admin` resource, by the group `zones`, and by nothing else.

use crate::harness::users::{ADMINS, Host, USERS};
use crate::harness::{Command, Lab, Terminal, cases, make_dir, until};
use std::fs;

cases![
    each_user_may_what_is_written_and_no_more: 120,
    a_command_of_a_user_is_a_command: 120,
    a_login_of_a_user_has_a_terminal,
    the_console_is_for_who_manages,
    a_right_that_is_taken_away_ends_at_the_next_call,
    users_by_number_and_users_that_are_none,
    what_is_no_call_is_refused_and_leaves_nothing: 120,
    connections_that_are_held_hold_nobody_up: 120,
    connections_of_many_users_hold_nobody_up: 120,
    nothing_of_the_caller_comes_along: 120,
    sessions_outlive_who_serves: 120,
    without_anybody_who_serves_there_is_a_sentence,
];

const NOT_ROOT: &str = "only a privileged user may";

fn each_user_may_what_is_written_and_no_more(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    let other = lab.sparse("other");
    other.boot();
    // A zone that is down has no daemon: for who manages one is started.
    host.user("manny", "zoneadm", &["-z", "web", "boot"]).ok().quiet();
    web.is("running");
    for (user, verb, text) in [
        ("manny", vec!["-z", "other", "halt"], "User manny is not authorized to halt this zone."),
        ("logan", vec!["-z", "web", "halt"], "User logan is not authorized to halt this zone."),
        ("rita", vec!["-z", "web", "shutdown"], "User rita is not authorized to shutdown this zone."),
        ("nick", vec!["-z", "web", "reboot"], "User nick is not authorized to reboot this zone."),
        ("manny", vec!["-z", "web", "uninstall", "-F"], "only a privileged user may uninstall a zone."),
        ("manny", vec!["-z", "web", "install"], "only a privileged user may install a zone."),
        ("manny", vec!["-z", "web", "set", "max-processes=7"], NOT_ROOT),
        ("manny", vec!["-z", "web", "mark", "incomplete"], NOT_ROOT),
        ("logan", vec!["cp", "/etc/hostname", "web:/tmp"], "only a privileged user may cp"),
        ("nick", vec!["-z", "nowhere", "halt"], NOT_ROOT),
    ] {
        host.user(user, "zoneadm", &verb).exits(1).stderr_has(text);
    }
    for (user, zone, text) in [
        ("manny", "web", "manny is not authorized to login to web zone."),
        ("logan", "other", "logan is not authorized to login to other zone."),
        ("rita", "web", "rita is not authorized to login to web zone."),
        ("nick", "nowhere", "zone 'nowhere' unknown"),
    ] {
        host.user(user, "zlogin", &[zone, "true"]).exits(1).stderr_has(text);
    }
    let before = web.status();
    host.user("manny", "zoneadm", &["-z", "web", "reboot"]).ok();
    web.runs_again(&before);
    host.user("logan", "zlogin", &["web", "id", "-u"]).ok().stdout_is("0\n");
    // Who may see what.
    host.user("rita", "zoneadm", &["list", "-p"])
        .ok()
        .stdout_has(":web:running:")
        .stdout_has(":other:running:");
    host.user("logan", "zoneadm", &["-z", "web", "list", "-p"]).ok().stdout_has(":web:running:");
    host.user("manny", "zoneadm", &["-z", "web", "list", "--json"]).ok().stdout_has("\"running\"");
    for (user, args) in [("manny", vec!["list", "-cp"]), ("nick", vec!["-z", "web", "list", "-p"])] {
        let ran = host.user(user, "zoneadm", &args);
        assert!(!ran.out().contains("running:/") || ran.out().matches("running:/").count() == 1, "{ran}");
        ran.stderr_has("only root and members of the group zones can see which zones are up");
    }
    // The sockets of root are out of reach, by any name.
    for socket in ["web/door", "web/console", "web/zsched", ""] {
        let path = lab.run().join(socket);
        let ran = host.perl("manny", &format!("print -e '{}' ? 'there' : \"$!\"", path.display())).run();
        assert!(ran.out() == "Permission denied" || socket.is_empty(), "{socket}: {ran}");
    }
    host.user("manny", "zoneadm", &["-z", "web", "shutdown", "-t", "1"]).ok();
    web.is("installed");
    other.is("running");
}

fn a_command_of_a_user_is_a_command(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    host.user("logan", "zlogin", &["web", "true"])
        .exits(1)
        .stderr_has("login allowed only to running zones (web is 'installed').");
    web.boot();
    let words = ["web", "printf", "[%s]\\n", "a b", "", "$HOME", "; false", "new\nline", "--", "ä€"];
    host.user("logan", "zlogin", &words)
        .ok()
        .stdout_is("[a b]\n[]\n[$HOME]\n[; false]\n[new\nline]\n[--]\n[ä€]\n")
        .quiet();
    let bytes: Vec<u8> = (0..500_000u32).flat_map(|n| (n ^ (n >> 7)).to_le_bytes()).collect();
    let ran = host.command("logan", "zlogin", &["web", "cat"]).stdin(bytes.clone()).run();
    assert!(ran.code() == Some(0) && ran.stdout == bytes, "2 MB came back changed: {}", ran.stdout.len());
    host.user("logan", "zlogin", &["web", "echo out; echo err >&2; exit 7"])
        .exits(7)
        .stdout_is("out\n")
        .stderr_is("err\n");
    host.user("logan", "zlogin", &["web", "kill -TERM $$"]).exits(143);
    let around =
        ["--cwd", "/tmp", "--env", "X=a b", "web", "pwd; echo $X $LANG$LC_ALL; test -t 0 || echo none"];
    host.user("logan", "zlogin", &around).ok().stdout_has("/tmp\na b C").stdout_has("none\n");
    host.user("logan", "zlogin", &["-t", "web", "tty"]).ok().stdout_has("/dev/pts/");
    host.user("logan", "zlogin", &["--cwd", "/no/such", "web", "pwd"])
        .exits(1)
        .stderr_has("/no/such in the zone");
    host.user("logan", "zlogin", &["web", "/nowhere", "x"]).exits(127);
    host.user("logan", "zlogin", &["-l", "nobody-here", "web", "true"])
        .exits(1)
        .stderr_has("not in the zone's /etc/passwd");
    host.user("logan", "zlogin", &["-S", "web", "id", "-u"]).ok().stdout_is("0\n");
    // A signal to it is one to the command.
    let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let running = host.command("logan", "zlogin", &["web", "sh", "-c", script]).start();
    let inside = || web.sh("pgrep -f 'echo caugh[t]'").code() == Some(0);
    until("the command runs", || inside().then_some(()));
    // From when on zlogin passes it on; before, it would be its own end.
    until("zlogin waits for signals", || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).ok()?;
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"))?;
        (u64::from_str_radix(blocked, 16).ok()? & (1 << 14) != 0).then_some(())
    });
    let pid = rustix::process::Pid::from_raw(running.pid().cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
    running.wait().exits(5).stdout_has("caught");
    // And the end of the zone is told as what it is.
    let running = host.command("logan", "zlogin", &["web", "sleep", "1000"]).start();
    until("the command runs", || (web.sh("pgrep -x sleep").code() == Some(0)).then_some(()));
    web.halt();
    running.wait().exits(1).stderr_has("zone 'web' went down, and the session with it");
}

fn a_login_of_a_user_has_a_terminal(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    web.sh("printf 'PS1=\"ready> \"\\n' > /root/.profile; printf 'PS1=\"ready> \"\\n' > /root/.bashrc").ok();
    let command = host.command("logan", "zlogin", &["web"]).env("TERM", "vt220");
    let mut terminal = Terminal::start(command, 31, 101);
    terminal.shows("[Connected to zone 'web' pts/");
    terminal.shows("ready> ");
    terminal.types("stty size; echo te''rm=$TERM; tty\r");
    terminal.shows("31 101");
    terminal.shows("term=vt220");
    terminal.shows("/dev/pts/");
    terminal.resize(41, 132);
    until("the new size is inside", || {
        terminal.types("echo si''ze $(stty size)\r");
        terminal.shows("size ").contains("41 132").then_some(())
    });
    terminal.types("exit 3\r");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert!(terminal.is_as_before(), "its own terminal is what it was");
    // One that is killed hangs up.
    let command = host.command("logan", "zlogin", &["web"]);
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.shows("ready> ");
    terminal.types("echo $$ > /tmp/shell; echo wri''tten\r");
    terminal.shows("written");
    terminal.signal(rustix::process::Signal::KILL);
    until("its shell has gone", || (web.sh("kill -0 $(cat /tmp/shell)").code() != Some(0)).then_some(()));
}

fn the_console_is_for_who_manages(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    for user in ["logan", "rita", "nick"] {
        let text = format!("{user} is not authorized for console access to web zone.");
        host.user(user, "zlogin", &["-C", "web"]).exits(1).stderr_has(&text);
    }
    let mut terminal = Terminal::start(host.command("manny", "zlogin", &["-C", "web"]), 24, 80);
    terminal.shows("[Connected to zone 'web' console]");
    web.boot();
    terminal.shows("[NOTICE: Zone booting up]");
    // When the daemon dies it comes back by itself, by another call.
    web.kill_daemon();
    terminal.shows("[NOTICE: Zone daemon restarted, console reconnected]");
    web.zoneadm(["reboot"]).ok();
    terminal.shows("[NOTICE: Zone rebooting]");
    terminal.types("~.\r");
    let (status, screen) = terminal.ends();
    assert!(status.success(), "{screen}");
}

fn a_right_that_is_taken_away_ends_at_the_next_call(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    host.user("logan", "zlogin", &["web", "true"]).ok();
    host.user("rita", "zoneadm", &["list", "-p"]).ok().stdout_has(":web:running:");
    web.zonecfg("remove admin user=logan").ok();
    host.user("logan", "zlogin", &["web", "true"]).exits(1).stderr_has("not authorized");
    host.user("nick", "zoneadm", &["-z", "web", "halt"]).exits(1).stderr_has("not authorized");
    web.zonecfg("add admin; set user=nick; set auths=manage; end").ok();
    host.know(&USERS.map(|(name, _)| name), "nick");
    host.user("rita", "zoneadm", &["list", "-p"])
        .stderr_has("only root and members of the group zones can see");
    host.user("nick", "zoneadm", &["list", "-p"]).ok().stdout_has(":web:running:");
    // A user who is not there any more is nobody, whatever process is left of the user's.
    host.know(&["logan", "rita"], "");
    for user in ["manny", "nick"] {
        host.user(user, "zoneadm", &["-z", "web", "halt"])
            .exits(1)
            .stderr_has("is not authorized to halt this zone.");
    }
    web.is("running");
    // What cannot be read gives nobody anything.
    host.know(&USERS.map(|(name, _)| name), "");
    let config = lab.etc().join("web.toml");
    let text = fs::read_to_string(&config).expect("web.toml");
    fs::write(&config, format!("{text}\nnonsense = [")).expect("web.toml");
    host.user("manny", "zoneadm", &["-z", "web", "halt"])
        .exits(1)
        .stderr_has("is not authorized to halt this zone.");
    fs::write(&config, text).expect("web.toml");
    host.user("manny", "zoneadm", &["-z", "web", "halt"]).ok();
    web.is("installed");
}

fn users_by_number_and_users_that_are_none(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", "add admin; set user=4104; set auths=login,manage; end");
    web.zoneadm(["verify"]).ok();
    host.user("nick", "zoneadm", &["-z", "web", "boot"]).ok();
    host.know(&["manny"], "");
    host.user("nick", "zlogin", &["web", "echo in"]).ok().stdout_is("in\n");
    web.zonecfg("add admin; set user=ghost; set auths=login; end").ok();
    web.zoneadm(["verify"]).refuses().stderr_has("admin ghost: this host has no such user");
    // It is no reason not to boot.
    web.zoneadm(["reboot"]).ok();
}

fn what_is_no_call_is_refused_and_leaves_nothing(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    let before = web.status();
    let script = r#"
        my @bad = ('', "\0", '{}', '[]', 'null', "\xff\xfe", '{"method":"org.zones.access.Halt"}',
            '{"method":"org.zones.access.Halt","parameters":{"zone":"../web"}}',
            '{"method":"org.zones.access.Halt","parameters":{"zone":"web","root":"/tmp"}}',
            '{"method":"org.zones.access.Halt","parameters":{"zone":["web"]}}',
            '{"method":"org.zones.access.Boot","parameters":{"zone":"-R"}}',
            '{"method":"org.zones.access.Boot","parameters":{"zone":"web\u0000x"}}',
            '{"method":"org.zones.access.Halt","parameters":{"zone":"web","timeout":1}}',
            '{"method":"org.zones.access.Uninstall","parameters":{"zone":"web"}}',
            '{"method":"org.zones.zoneadmd.Halt","parameters":{}}',
            '{"method":"org.zones.access.Enter","parameters":{"zone":"web","user":"root"}}',
            '{"method":"org.zones.access.Halt","parameters":{"zone":"other"},"behalf":{"pid":1,"uid":0,"auid":0}}',
            '{"method":' . ('[' x 60000), 'x' x 200000);
        for my $bad (@bad) {
            my $got = call("$bad\0");
            die "taken: $bad -> $got" unless $got =~ /"error":"org\.(zones\.access\.(Failed|NotAuthorized)|varlink)/;
        }
        my $half = open_one(); print $half '{"method":"org.zones.acc'; $half->flush; close $half;
        my $ok = call('{"method":"org.zones.access.List","parameters":{"zone":"web","parsable":true}}' . "\0");
        die "not served: $ok" unless $ok =~ /:web:running:/;
        print "done";
    "#;
    host.perl("manny", script).within(100).run().ok().stdout_is("done");
    // Hostile words in the one call that takes any: they are words of a command in the zone.
    let words = ["$(touch /tmp/x)", "`id`", "../../../etc/passwd", "%s%n", "\u{1b}[2J", "-R", "/"];
    for word in words {
        host.user("logan", "zlogin", &["web", "printf", "%s", word]).ok().stdout_is(word);
    }
    for boot in ["--", "-R", "-z", "\u{1b}[2Jx", "; reboot"] {
        let ran = host.user("manny", "zoneadm", &["-z", "web", "boot", "--", boot]);
        assert!(matches!(ran.code(), Some(0 | 1)) && !ran.err().contains('\u{1b}'), "{ran}");
    }
    assert_eq!(web.status().pid1(), before.pid1(), "nothing of that did anything");
}

fn connections_that_are_held_hold_nobody_up(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    // More than a user may have, each with a call that never ends; they are dropped after a while, and taken again.
    let flood = "$SIG{PIPE} = 'IGNORE'; my @held; while (1) { my $s = eval { open_one() }; if ($s) { print $s '{'; $s->flush; push @held, $s; } \
        if (@held == 200) { print \"full\\n\"; STDOUT->flush; select(undef, undef, undef, 0.2); splice @held, 0, 100; } }";
    let mut flooding = host.perl("nick", flood).within(100).start();
    until("there are as many as one user can have", || {
        let ran = host.perl("nick", "print call(qq({\"method\":\"x\"}\\0))").run();
        ran.out().contains("user 4104 has 16 calls").then_some(())
    });
    for _ in 0..5 {
        host.user("logan", "zlogin", &["web", "echo served"]).ok().stdout_is("served\n");
        host.user("manny", "zoneadm", &["-z", "web", "list", "-p"]).ok().stdout_has(":web:running:");
    }
    web.zoneadm(["reboot"]).ok();
    assert!(!flooding.ended(), "it went on all the while");
    flooding.kill();
    drop(flooding);
    // Sessions count, and those that are over do not.
    let held: Vec<_> =
        (0..16).map(|_| host.command("logan", "zlogin", &["web", "sleep", "1000"]).start()).collect();
    until("all sixteen sessions are there", || {
        (web.sh("pgrep -xc sleep").out().trim() == "16").then_some(())
    });
    host.user("logan", "zlogin", &["web", "true"])
        .exits(1)
        .stderr_has("user 4102 has 16 calls and sessions in zones already: end one first");
    web.sh("pkill -x sleep").ok();
    held.into_iter().for_each(|one| drop(one.wait()));
    until("they are over", || {
        (host.user("logan", "zlogin", &["web", "true"]).code() == Some(0)).then_some(())
    });
}

/// Subordinate uids are users as well: whoever has them has as many as are to be had.
fn connections_of_many_users_hold_nobody_up(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    // Each holds fewer than one user may; all together far more than there are places, and takes them again.
    let full = lab.path("full");
    let flood = format!(
        "my $parent = $$; pipe(my $heard, my $tell); for my $uid (5001 .. 5040) {{ next if fork(); \
            $) = \"$uid $uid\"; $( = $uid; ($<, $>) = ($uid, $uid); \
            while (getppid() == $parent) {{ my @held = map {{ eval {{ open_one() }} }} 1 .. 10; \
                syswrite($tell, '.'); select(undef, undef, undef, 1) }} exit 0 }} \
        sysread($heard, my $one, 1) for 1 .. 40; open(my $file, '>', '{}') or die; close $file; sleep 1 while 1;",
        full.display()
    );
    let mut flooding = host.perl("root", &flood).within(100).start();
    until("all places are taken", || full.exists().then_some(()));
    for _ in 0..3 {
        host.user("logan", "zlogin", &["web", "echo served"]).ok().stdout_is("served\n");
        host.user("manny", "zoneadm", &["-z", "web", "list", "-p"]).ok().stdout_has(":web:running:");
    }
    // A session is nobody's to take.
    host.user("logan", "zlogin", &["web", "sleep 3; echo whole"]).ok().stdout_is("whole\n");
    assert!(!flooding.ended(), "it went on all the while");
    flooding.kill();
}

fn nothing_of_the_caller_comes_along(lab: &Lab) {
    let host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    // Limits, priority, environment, and a directory of the caller's.
    let limited = "ulimit -n 20 -f 1 -c 0; umask 077; exec /usr/bin/nice -n 19 /usr/bin/setpriv --reuid 4101 --regid 4101 --clear-groups \"$@\"";
    let ran = Command::new("/bin/bash")
        .args(["-c", limited, "bash"])
        .args([lab.program("zoneadm")])
        .args(["-z", "web", "boot"])
        .env("ZONES_ROOT", lab.root())
        .env("LC_ALL", "../../../../tmp/x")
        .env("LD_PRELOAD", "/tmp/none.so")
        .env("PATH", "/tmp")
        .env("ZONES_BEHALF", "1 0 0")
        .dir(std::path::Path::new("/proc"))
        .run();
    assert_eq!(ran.code(), Some(0), "{ran}");
    let daemon = web.daemon().expect("a daemon");
    let environment = fs::read_to_string(format!("/proc/{daemon}/environ")).expect("environ");
    assert!(!environment.contains("LD_PRELOAD") && !environment.contains("/tmp"), "{environment}");
    let limits = fs::read_to_string(format!("/proc/{daemon}/limits")).expect("limits");
    assert!(
        !limits.lines().any(|line| line.starts_with("Max file size") && !line.contains("unlimited")),
        "{limits}"
    );
    let inside =
        host.command("logan", "zlogin", &["web", "env"]).env("SECRET", "yes").env("BASH_ENV", "/tmp/x").run();
    inside.ok();
    assert!(
        !inside.out().contains("SECRET")
            && !inside.out().contains("BASH_ENV")
            && !inside.out().contains("ZONES"),
        "{inside}"
    );
    // The command has its three streams, no other descriptor, and no terminal of anybody's.
    host.user("logan", "zlogin", &["web", "ls /proc/self/fd | wc -l; tty"])
        .stdout_has("4\n")
        .stdout_has("not a tty");
    // Of the caller's locale comes along what language it is, and no more; the answer is in it.
    host.command("manny", "zoneadm", &["-z", "web", "boot"])
        .env("LC_ALL", "de_DE.UTF-8")
        .run()
        .ok()
        .stderr_has("Zone 'web': Zone ist bereits gebootet");
    host.command("logan", "zoneadm", &["-z", "web", "boot"])
        .env("LC_ALL", "de_DE.UTF-8")
        .run()
        .exits(1)
        .stderr_has("Benutzer logan ist für diese Zone nicht berechtigt zu: ");
    // Descriptors that come with a call are closed. One of a user's own root is that user's own affair.
    let own = lab.path("own");
    make_dir(&own, 0o777);
    let ran =
        host.command("manny", "zoneadm", &["-R", &own.display().to_string(), "-z", "web", "halt"]).run();
    ran.exits(1).stderr_has("writable by others than root");
    web.is("running");
}

fn sessions_outlive_who_serves(lab: &Lab) {
    let mut host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    let script = "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended; exit 4";
    let session = host.command("logan", "zlogin", &["web", "sh", "-c", script]).start();
    until("the command runs", || (web.sh("pgrep -f 'echo begu[n]'").code() == Some(0)).then_some(()));
    host.serve_no_more();
    host.user("logan", "zlogin", &["web", "true"]).exits(1).stderr_has("You lack sufficient privilege");
    let host = host.served();
    host.user("logan", "zlogin", &["web", "touch /tmp/go"]).ok();
    session.wait().exits(4).stdout_is("begun\nended\n");
    // A second one gives way to the first.
    lab.command::<&str>("zone-access", []).run().exits(1).stderr_has("another zone-access serves already");
}

fn without_anybody_who_serves_there_is_a_sentence(lab: &Lab) {
    let mut host = Host::new(lab);
    let web = lab.sparse_with("web", ADMINS);
    web.boot();
    host.serve_no_more();
    host.user("manny", "zoneadm", &["-z", "web", "halt"])
        .exits(1)
        .stderr_has("only a privileged user may halt a zone.");
    host.user("logan", "zlogin", &["web", "true"]).exits(1).stderr_has("You lack sufficient privilege");
    // It is root's to start, and says how.
    host.user("nick", "zone-access", &[]).exits(1).stderr_has("You lack sufficient privilege");
    lab.command("zone-access", ["--help"]).run().exits(2).stderr_has("usage: zone-access [-R ROOT]");
    web.is("running");
}
