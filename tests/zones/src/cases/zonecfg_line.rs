//! `zonecfg` as a person uses it: on a terminal, with keys that edit.

use crate::harness::{Lab, Terminal, cases};
use std::fs;

cases![
    keys_edit_the_line_and_tab_completes_it,
    an_interrupt_clears_the_line_and_nothing_else,
    the_end_of_input_saves,
    the_end_of_input_loses_nothing_unasked,
    a_long_text_has_a_pager,
    an_editor_gets_the_whole,
    comments_are_edited_as_well,
    what_does_not_verify_is_not_committed,
    what_could_not_be_saved_is_asked_about_until_it_is_given_up,
];

fn begin(lab: &Lab, columns: u16) -> Terminal {
    let command = lab.command("zonecfg", ["-z", "web"]).env("TERM", "xterm").env("PAGER", "cat");
    let mut terminal = Terminal::start(command, 24, columns);
    terminal.shows("No such zone configured");
    terminal.shows("zonecfg:web> ");
    terminal
}

fn keys_edit_the_line_and_tab_completes_it(lab: &Lab) {
    let zone = lab.zone("web");
    for columns in [80, 200] {
        let mut terminal = begin(lab, columns);
        terminal.types("cre\t-b\r");
        terminal.shows("zonecfg:web> ");
        terminal.types("set autob\tt\t\r");
        terminal.shows("zonecfg:web> ");
        // Left over "x", which is then erased; up for the line before.
        terminal.types("set brand=sparsx\u{7f}e\r");
        terminal.shows("zonecfg:web> ");
        terminal.types("set hostname=a\u{1b}[D\u{1b}[Db\u{7f}\u{1b}[C\u{1b}[Cz\r");
        terminal.shows("zonecfg:web> ");
        terminal.types("add f\t\t");
        terminal.types("\r");
        terminal.shows("zonecfg:web:fs> ");
        terminal.types("can\t\r");
        terminal.shows("zonecfg:web> ");
        terminal.types("info\r");
        let shown = terminal.shows("bootargs: ");
        assert!(shown.contains("autoboot: true") && shown.contains("brand: sparse"), "{shown}");
        terminal.types("set zonepath=/zones/web\r");
        terminal.shows("zonecfg:web> ");
        terminal.types("exit\r");
        let (status, screen) = terminal.ends();
        assert!(status.success(), "{screen}");
        zone.zonecfg("info hostname").ok().stdout_is("hostname: az\n");
        zone.zonecfg("delete -F").ok();
    }
}

fn an_interrupt_clears_the_line_and_nothing_else(lab: &Lab) {
    let zone = lab.zone("web");
    let mut terminal = begin(lab, 80);
    terminal.types("create\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("set autoboot=true\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("delete -F\u{3}");
    terminal.shows("zonecfg:web> ");
    terminal.types("commit\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("exit\r");
    assert!(terminal.ends().0.success());
    zone.zonecfg("info autoboot").ok().stdout_is("autoboot: true\n");
}

fn the_end_of_input_saves(lab: &Lab) {
    let zone = lab.zone("web");
    let mut terminal = begin(lab, 80);
    terminal.types("create\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("set bootargs=\"-m verbose\"\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("info bootargs\r");
    terminal.shows("bootargs: -m verbose\r\n");
    terminal.shows("zonecfg:web> ");
    terminal.types("\u{4}");
    let (status, screen) = terminal.end();
    assert!(status.success(), "{screen}");
    assert!(terminal.is_as_before(), "the terminal is as it was");
    zone.zonecfg("info bootargs").ok().stdout_is("bootargs: -m verbose\n");
}

fn the_end_of_input_loses_nothing_unasked(lab: &Lab) {
    let zone = lab.zone("web");
    let mut terminal = begin(lab, 80);
    terminal.types("create\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("add fs\r");
    terminal.shows("zonecfg:web:fs> ");
    terminal.types("\u{4}");
    terminal.shows("Resource incomplete; really quit (y/[n])? ");
    terminal.types("n\r");
    terminal.shows("zonecfg:web:fs> ");
    terminal.types("cancel\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("set autoboot=true\r");
    terminal.shows("zonecfg:web> ");
    terminal.types("add fs\r");
    terminal.shows("zonecfg:web:fs> ");
    terminal.types("\u{4}");
    terminal.shows("really quit (y/[n])? ");
    terminal.types("y\r");
    assert!(terminal.ends().0.success());
    zone.zonecfg("info").exits(1).stderr_has("No such zone configured");
}

fn a_long_text_has_a_pager(lab: &Lab) {
    lab.configured("web", "");
    let pager = lab.path("pager");
    let seen = lab.path("seen");
    crate::harness::write_program(&pager, &format!("#!/bin/sh\ncat > {}\necho pa''ged\n", seen.display()));
    let command = lab.command("zonecfg", ["-z", "web"]).env("TERM", "xterm").env("PAGER", &pager);
    let mut terminal = Terminal::start(command, 10, 80);
    terminal.shows("zonecfg:web> ");
    terminal.types("help commands\r");
    terminal.shows("paged");
    terminal.shows("zonecfg:web> ");
    terminal.types("info autoboot\r");
    terminal.shows("autoboot: false");
    terminal.types("exit\r");
    assert!(terminal.ends().0.success());
    let text = fs::read_to_string(&seen).unwrap_or_default();
    assert!(text.lines().count() > 10 && text.contains("revert"), "{text}");
}

fn edit(lab: &Lab, script: &str) -> Terminal {
    let editor = lab.path("editor");
    crate::harness::write_program(&editor, &format!("#!/bin/sh\n{script}\n"));
    Terminal::start(lab.command("zonecfg", ["-z", "web", "edit"]).env("EDITOR", &editor), 24, 80)
}

fn an_editor_gets_the_whole(lab: &Lab) {
    let zone = lab.configured("web", "set autoboot=false");
    let (status, screen) =
        edit(lab, "sed -i '1i autoboot = true' \"$1\"; sed -i '/^autoboot = false/d' \"$1\"").ends();
    assert!(status.success(), "{screen}");
    zone.zonecfg("info autoboot").ok().stdout_is("autoboot: true\n");
    let (status, screen) = edit(lab, "true").ends();
    assert!(status.success() && screen.contains("nothing was changed"), "{screen}");
    zone.zonecfg("edit").exits(1).stderr_has("edit wants a terminal");
}

fn comments_are_edited_as_well(lab: &Lab) {
    let zone = lab.configured("web", "set autoboot=false; set bootargs=-v");
    let file = lab.etc().join("web.toml");
    let written = fs::read_to_string(&file).unwrap_or_default();
    fs::write(&file, format!("{written}# mine\nmax-lwps = 500\n")).unwrap_or_else(|e| panic!("{e}"));
    let seen = lab.path("seen");
    let script = format!("cp \"$1\" {}; echo '# yours' >> \"$1\"", seen.display());
    let (status, screen) = edit(lab, &script).ends();
    assert!(status.success(), "{screen}");
    let seen = fs::read_to_string(seen).unwrap_or_default();
    assert!(seen.contains("# mine\nmax-lwps = 500\n"), "{seen}");
    let text = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, format!("{seen}# yours\n"));
    zone.zonecfg("set max-lwps=600").ok();
    let text = fs::read_to_string(&file).unwrap_or_default();
    assert!(text.contains("# mine\nmax-lwps = 600\n") && text.ends_with("# yours\n"), "{text}");
}

fn what_does_not_verify_is_not_committed(lab: &Lab) {
    let zone = lab.configured("web", "");
    let mut terminal = edit(lab, "echo 'nonsense = 1' > \"$1\"");
    terminal.shows("nonsense");
    terminal.shows("(y/[n])?");
    terminal.types("n\r");
    let (status, screen) = terminal.ends();
    assert_eq!(status.code(), Some(1), "{screen}");
    zone.zonecfg("info brand").ok().stdout_is("brand: sparse\n");
    zone.zoneadm(["install"]).ok();
    let mut terminal = edit(lab, "sed -i '/^zonepath/d' \"$1\"; sed -i '1i zonepath = \"/other\"' \"$1\"");
    terminal.shows("set zonepath not allowed");
    terminal.types("n\r");
    assert_eq!(terminal.ends().0.code(), Some(1));
}

fn what_could_not_be_saved_is_asked_about_until_it_is_given_up(lab: &Lab) {
    let zone = lab.configured("web", "set hostname=first");
    let mut terminal = Terminal::start(lab.command("zonecfg", ["-z", "web"]).env("TERM", "xterm"), 24, 200);
    terminal.shows("zonecfg:web> ");
    terminal.types("set hostname=mine\r");
    terminal.shows("zonecfg:web> ");
    // Somebody else is faster.
    zone.zonecfg("set autoboot=true").ok();
    for _ in 0..2 {
        terminal.types("exit\r");
        terminal.shows("changed or deleted by somebody else");
        terminal.shows("Configuration not saved; really quit (y/[n])? ");
        terminal.types("n\r");
        terminal.shows("zonecfg:web> ");
    }
    terminal.types("exit\r");
    terminal.shows("really quit (y/[n])? ");
    terminal.types("y\r");
    assert!(terminal.ends().0.success());
    zone.zonecfg("info hostname; info autoboot").ok().stdout_is("hostname: first\nautoboot: true\n");
}
