//! What `zoneadm` shows of zones: `status`, `ps`, `stat`, `events`, and the columns of `list`.

use crate::harness::{Lab, Terminal, cases, until};

cases![
    status_is_one_screen,
    a_zone_that_failed_shows_its_console,
    who_is_at_the_console_is_seen,
    processes_have_their_numbers_in_the_zone,
    columns_may_be_chosen,
    a_long_path_moves_no_column,
    what_is_used_is_counted,
    what_is_used_is_a_screen_on_a_terminal,
    events_tell_a_boot_and_a_halt,
];

fn status_is_one_screen(lab: &Lab) {
    let zone = lab.sparse("web");
    let down = zone.zoneadm(["status"]);
    down.ok().stdout_has("web: installed\n").stdout_has("  brand      sparse, ip-type exclusive\n");
    zone.boot();
    let pid = zone.status().pid1();
    let up = zone.zoneadm(["status"]);
    up.ok().stdout_has("web: running since 20").stdout_has(&format!(", process {pid}\n")).quiet();
    up.stdout_has(&format!("  zonepath   {}\n", zone.path().display()));
    let processes = format!(", the first is {} ({pid})\n", "/native/sbin/init");
    up.stdout_has("  processes  ").stdout_has(&processes);
    assert!(up.out().lines().all(|line| line.chars().count() <= 200), "{up}");
    zone.zoneadm(["status", "--json"]).ok().stdout_has("\"name\": \"web\"");
    zone.halt();
    zone.zoneadm(["status"])
        .ok()
        .stdout_has("  last end   halted by an administrator, 20")
        .stdout_has(" ago)\n");
    // Without a name it is all of them.
    lab.zoneadm(["status"]).ok().stdout_has("  ID NAME ").stdout_has(" web ");
    let other = lab.sparse("db");
    other.boot();
    lab.zoneadm(["status", "db"]).ok().stdout_has("db: running since 20");
    lab.zoneadm(["status", "web", "-z", "db"]).exits(2).stderr_has("status: the zone was named twice");
    lab.zoneadm(["status", "wbe"]).exits(1).stderr_has("No such zone configured; did you mean \"web\"?");
    let both = lab.zoneadm(["status", "web,db"]);
    both.ok().stdout_has("web: installed\n").stdout_has("\n\ndb: running since 20");
    let both = lab.zoneadm(["status", "-z", "web,db"]);
    both.ok().stdout_has("web: installed\n").stdout_has("\n\ndb: running since 20");
    other.halt();
}

fn a_zone_that_failed_shows_its_console(lab: &Lab) {
    let zone = lab.tiny("web", "echo something is rot''ten; sleep 2; exit 3");
    zone.zonecfg("set restart-init=false").ok();
    let _ = zone.zoneadm(["boot"]);
    zone.becomes("installed");
    let said = zone.zoneadm(["status"]);
    said.ok().stdout_has("its init ended with exit status 3").stdout_has("    something is rotten\n");
}

fn who_is_at_the_console_is_seen(lab: &Lab) {
    let zone = lab.booted_sparse();
    let console = zone.console(&["-E"]);
    zone.zoneadm(["status"])
        .ok()
        .stdout_has("  console    process ")
        .stdout_has(" of user 0 is attached since 20");
    drop(console);
}

fn processes_have_their_numbers_in_the_zone(lab: &Lab) {
    let zone = lab.booted_sparse();
    zone.sh("sleep 4711 >/dev/null 2>&1 & exec true").ok();
    let first = zone.status().pid1();
    // The shell's child is a shell until it is what it is to be.
    let all = until("sleep is executed", || {
        let ran = zone.zoneadm(["ps", "--json"]);
        ran.ok().out().contains("\"sleep 4711\"").then(|| ran.json())
    });
    let of = |what: &dyn Fn(&serde_json::Value) -> bool| {
        all.as_array().into_iter().flatten().find(|row| what(row)).cloned()
    };
    let init = of(&|row| row["zone_pid"] == 1).unwrap_or_else(|| panic!("{all}"));
    assert_eq!(
        (init["pid"].as_i64(), init["uid"].as_u64(), init["zone"].as_str()),
        (Some(first.into()), Some(0), Some("web"))
    );
    let sleep = of(&|row| row["command"] == "sleep 4711").unwrap_or_else(|| panic!("{all}"));
    assert!(sleep["zone_pid"].as_i64() > Some(1) && sleep["rss_bytes"].as_u64() > Some(0), "{sleep}");
    zone.zoneadm(["ps"]).ok().stdout_has("ZONE ").stdout_has(" sleep 4711\n").quiet();
    zone.halt();
    zone.zoneadm(["ps"]).exits(1).stderr_has("not running");
    lab.zoneadm(["ps", "--json"]).ok().stdout_is("[]\n");
}

fn columns_may_be_chosen(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.configured("new", "");
    zone.boot();
    let table = lab.zoneadm(["list", "-c", "-o", "name,state"]);
    table.ok().stdout_is("NAME   STATE\nglobal running\nweb    running\nnew    configured\n");
    lab.zoneadm(["list", "-s", "configured", "-o", "name"]).ok().stdout_is("NAME\nnew\n");
    lab.zoneadm(["list", "-ns", "running"]).ok().stdout_is("web\n");
    let csv = lab.zoneadm(["list", "-cn", "--csv", "-o", "name,state,ip-type,uuid"]);
    let uuid = zone.status().uuid.unwrap_or_default();
    csv.ok().stdout_is(&format!(
        "name,state,ip-type,uuid\nweb,running,exclusive,{uuid}\nnew,configured,exclusive,\n"
    ));
    lab.zoneadm(["list", "-o", "nam"]).exits(2).stderr_has("zoneadm: invalid value 'nam'").stderr_has("name");
    lab.zoneadm(["list", "-p", "-o", "name"]).exits(2);
    zone.halt();
}

fn a_long_path_moves_no_column(lab: &Lab) {
    let place = lab.root().join("a-folder-with-a-long-name/and-日本語-in-it");
    lab.configured("aa", "");
    lab.configured("bb", &format!("set zonepath={}", place.display()));
    let table = lab.zoneadm(["list", "-cv"]).ok().out();
    let columns = |line: &str| {
        let at = line.find(" sparse ").or(line.find(" linux ")).or(line.find(" BRAND "));
        at.map(|at| line[..at].chars().map(|c| if c > '\u{2e7f}' { 2 } else { 1 }).sum::<usize>())
    };
    let all: Vec<_> = table.lines().map(columns).collect();
    assert!(all.len() == 4 && all.iter().all(|at| at.is_some() && *at == all[0]), "{all:?}\n{table}");
    // A terminal that is too narrow shows the end of a path.
    let terminal = Terminal::start(lab.command("zoneadm", ["list", "-cv"]), 24, 80);
    let (status, screen) = terminal.ends();
    assert!(status.success() && screen.contains("…") && screen.contains("in-it"), "{screen}");
    let terminal = Terminal::start(lab.command("zoneadm", ["list", "-cv"]), 24, 200);
    let (_, screen) = terminal.ends();
    assert!(screen.contains(&place.display().to_string()), "{screen}");
}

fn what_is_used_is_counted(lab: &Lab) {
    let zone = lab.booted_sparse();
    let stat = lab.zoneadm(["stat", "-c", "1", "--json"]);
    let report = stat.ok().json();
    assert!(report["time"].as_str().is_some_and(|time| time.contains('T')), "{stat}");
    // Where the host counts nothing for zones there is none.
    if let Some(used) = report["zones"].get(0) {
        assert_eq!(used["zone"], "web");
        lab.zoneadm(["-z", "web", "stat", "-c", "2"]).ok().stdout_has("ZONE ").stdout_has("\nweb ");
    }
    zone.halt();
    zone.zoneadm(["stat", "-c", "1"]).exits(1).stderr_has("not running");
}

fn what_is_used_is_a_screen_on_a_terminal(lab: &Lab) {
    let zone = lab.booted_sparse();
    let on = |columns: u16, term: &str, words: &[&str]| {
        Terminal::start(lab.command("zoneadm", words.iter().copied()).env("TERM", term), 24, columns)
    };
    for (columns, all) in [(80, false), (200, true)] {
        let mut screen = on(columns, "xterm", &["stat"]);
        screen.shows("\x1b[?1049h");
        let drawn = screen.shows("sorted by %CPU, the most first");
        assert!(drawn.contains("q quit"), "how to leave is seen: {drawn:?}");
        assert!(drawn.contains("%WAIT-CPU") && drawn.contains("SWAP") == all, "{columns}: {drawn:?}");
        assert!(screen.is_raw(), "keys come one by one");
        // What has not changed is not drawn again.
        screen.types(">");
        screen.shows("MEMORY");
        screen.types("r");
        screen.shows("least first");
        screen.resize(30, 280 - columns);
        screen.shows(if all { "%WAIT-CPU" } else { "SWAP" });
        screen.types("q");
        let (status, shown) = screen.end();
        assert!(status.success(), "{shown:?}");
        assert!(
            shown.contains("\x1b[?25h") && shown.contains("\x1b[?1049l"),
            "cursor and screen are back: {shown:?}"
        );
        assert!(screen.is_as_before(), "the terminal is given back as it was");
    }
    // ^C is a key there.
    let mut screen = on(80, "xterm", &["-z", "web", "stat", "-i", "60"]);
    screen.shows("sorted by");
    screen.types("\x03");
    assert!(screen.end().0.success() && screen.is_as_before());
    // What cannot be drawn on, or is not to be, has tables as before.
    for (term, words) in [("dumb", vec!["stat"]), ("xterm", vec!["stat", "--plain"])] {
        let mut plain = on(80, term, &words);
        let before = plain.shows("%WAIT-IO");
        assert!(!before.contains("\x1b[?1049h") && !plain.is_raw(), "{before:?}");
        plain.types("\x03");
        let _ = plain.end();
    }
    let plain = on(80, "xterm", &["stat", "-c", "1"]).ends().1;
    assert!(plain.contains("%WAIT-IO") && !plain.contains("\x1b[?1049h"), "{plain:?}");
    zone.halt();
    let (status, said) = on(80, "xterm", &["-z", "web", "stat"]).ends();
    assert!(
        status.code() == Some(1) && said.contains("not running") && !said.contains("\x1b[?1049h"),
        "{said:?}"
    );
}

fn events_tell_a_boot_and_a_halt(lab: &Lab) {
    let zone = lab.sparse("web");
    lab.zoneadm(["events"]).ok().stdout_has(" web is installed\n");
    let mut terminal = Terminal::start(lab.command("zoneadm", ["events", "-f"]), 24, 200);
    terminal.shows(" web is installed");
    zone.boot();
    terminal.shows(" web is running");
    zone.halt();
    terminal.shows(" web is installed");
    // One that is new is followed as well.
    lab.configured("new", "");
    terminal.shows(" new is configured");
    terminal.types("\u{3}");
    let _ = terminal.ends();
    let mut json = Terminal::start(lab.command("zoneadm", ["-z", "web", "events", "-f", "--json"]), 24, 200);
    json.shows("\"zone\":\"web\",\"kind\":\"state\",\"state\":\"installed\"}");
    json.types("\u{3}");
    let _ = json.ends();
}
