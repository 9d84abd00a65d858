//! TAB in the shells that people have: which zones it offers, and what can be done to them.

use crate::harness::{Command, Lab, Terminal, cases, make_dir, skip, write_program};
use std::path::{Path, PathBuf};

cases![
    bash_completes_zones_and_verbs: 240,
    zsh_completes_zones_and_verbs: 240,
    fish_completes_zones_and_verbs: 240,
];

/// What is typed, up to the TAB, and what is executed then. There are zones `one-new`, which is configured, `one-off` and `one-on`, which runs.
const LINES: [(&str, &str); 23] = [
    ("zoneadm boot -z o", "zoneadm boot -z one-off"),
    ("zoneadm halt -z o", "zoneadm halt -z one-on"),
    ("zoneadm install -zo", "zoneadm install -zone-new"),
    ("zoneadm shutdown -z one-on,o", "zoneadm shutdown -z one-on,one-on"),
    // Where no verb is named yet, all of them.
    ("zoneadm -z one-ne", "zoneadm -z one-new"),
    ("zoneadm -z one-on shu", "zoneadm -z one-on shutdown"),
    ("zoneadm -z one-off un", "zoneadm -z one-off uninstall"),
    ("zoneadm console one-ne", "zoneadm console one-new"),
    ("zoneadm status one-ne", "zoneadm status one-new"),
    ("zoneadm -z one-new clone one-o", "zoneadm -z one-new clone one-off"),
    ("zoneadm uninst", "zoneadm uninstall"),
    ("zoneadm clo", "zoneadm clone"),
    // Words that are the programs' own.
    ("zoneadm wait --state inst", "zoneadm wait --state installed"),
    ("zoneadm --state insta", "zoneadm --state installed"),
    ("zoneadm mark inco", "zoneadm mark incomplete"),
    // Of what `set` changes the value is still to be typed.
    ("zoneadm -z one-on set max-lw", "zoneadm -z one-on set max-lwps="),
    ("zoneadm -z one-on cp one-o", "zoneadm -z one-on cp one-on:"),
    ("zonecfg -z one-n", "zonecfg -z one-new"),
    ("zonecfg -z one-new comm", "zonecfg -z one-new commit"),
    ("zonecfg -z one-new info secu", "zonecfg -z one-new info security-flags"),
    ("zonecfg -z one-new set shut", "zonecfg -z one-new set shutdown-timeout="),
    ("zlogin o", "zlogin one-on"),
    ("zlogin -C one-of", "zlogin -C one-off"),
];

/// Nothing that cannot be done; fish would find the letters in another verb's description.
const NOTHING: [(&str, &str); 2] = [
    ("zoneadm -z one-on inst", "zoneadm -z one-on inst"),
    ("zoneadm -z one-off shutd", "zoneadm -z one-off shutd"),
];

/// Programs that stand for ours, and say how they were called; what completions ask is answered by ours.
fn stand_ins(lab: &Lab) -> PathBuf {
    let dir = lab.path("stand-ins");
    make_dir(&dir, 0o755);
    for program in ["zoneadm", "zonecfg", "zlogin"] {
        let real = lab.program(program);
        let text = format!(
            "#!/bin/sh\ncase \" $* \" in *' list '*) exec {} \"$@\";; esac\necho \"ran <{program} $*>\"\n",
            real.display()
        );
        write_program(&dir.join(program), &text);
    }
    dir
}

/// Types all lines into a shell that is started by `words` and set up by `setup`, which gets the folder of the completions.
fn completes(lab: &Lab, words: &[&str], setup: &str) {
    let (program, args) = words.split_first().expect("a shell");
    if !Path::new("/usr/bin").join(program).exists() {
        skip(format!("{program} is missing (package {program})"));
    }
    lab.configured("one-new", "set brand=sparse");
    lab.sparse("one-off");
    lab.sparse("one-on").boot();
    let script = lab.program("completions/zoneadm.bash");
    let completions = script.parent().expect("a folder").display();
    let home = lab.path("home");
    make_dir(&home, 0o700);
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", stand_ins(lab).display());
    let shell = Command::new(program).args(args).dir(&home).env("PATH", path).env("TERM", "xterm");
    let shell = shell.env("HOME", &home).env("ZONES_ROOT", lab.root()).env("FOLDER", completions.to_string());
    // Else fish leaves a folder in /tmp.
    let shell = shell.env("XDG_RUNTIME_DIR", &home);
    let mut terminal = Terminal::start(shell, 24, 200);
    terminal.types(&format!("{setup}; zonecfg ready\r"));
    terminal.shows("ran <zonecfg ready>");
    let nothing = if *program == "fish" { &[][..] } else { &NOTHING };
    for (typed, executed) in LINES.iter().chain(nothing) {
        terminal.types(&format!("{typed}\t\r"));
        terminal.shows("ran <");
        let ran = terminal.shows(">");
        assert_eq!(ran.trim_end_matches('>').trim_end(), *executed, "{typed}: {:?}", terminal.shown());
    }
    let (status, shown) = terminal.ends_by("exit 0\r");
    assert!(status.success(), "{shown:?}");
}

fn bash_completes_zones_and_verbs(lab: &Lab) {
    let setup = "PS1='$ '; for p in zoneadm zonecfg zlogin; do source $FOLDER/$p.bash; done";
    completes(lab, &["bash", "--norc", "--noprofile", "-i"], setup);
}

fn zsh_completes_zones_and_verbs(lab: &Lab) {
    let setup = "PS1='$ '; fpath=($FOLDER $fpath); autoload -U compinit; compinit -u -d $HOME/dump";
    completes(lab, &["zsh", "-f", "-i"], setup);
}

fn fish_completes_zones_and_verbs(lab: &Lab) {
    let setup =
        "function fish_prompt; echo '$ '; end; for p in zoneadm zonecfg zlogin; source $FOLDER/$p.fish; end";
    completes(lab, &["fish", "--no-config"], setup);
}
