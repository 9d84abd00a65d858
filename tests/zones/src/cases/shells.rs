//! What people type, where they type it: in each shell, on terminals of 80 and of 200 columns, as root and as another user.

use crate::harness::users::Host;
use crate::harness::{Command, Lab, Terminal, cases, make_dir, skip};
use std::os::unix::fs::chown;
use std::path::Path;

cases![
    bash_as_root: 240,
    zsh_as_root: 240,
    fish_as_root: 240,
    bash_as_another_user: 240,
    zsh_as_another_user: 240,
    fish_as_another_user: 240,
];

const COLUMNS: [u16; 2] = [80, 200];

/// A shell: how it is started, and what it has for the status of a command.
struct Shell {
    words: &'static [&'static str],
    setup: &'static str,
    status: &'static str,
}

const BASH: Shell =
    Shell { words: &["bash", "--norc", "--noprofile", "-i"], setup: "PS1='$ '", status: "$?" };
const ZSH: Shell = Shell { words: &["zsh", "-f", "-i"], setup: "PS1='$ '", status: "$?" };
const FISH: Shell = Shell {
    words: &["fish", "--no-config"],
    setup: "function fish_prompt; echo '$ '; end",
    status: "$status",
};

/// What a line prints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prints {
    /// A table, each cell of it on one line.
    Table,
    /// Lines that are no wider than the terminal; a path is whole, wherever it ends.
    Lines,
    /// One sentence, which is as long as it is.
    Sentence,
    /// A question that is asked once, and answered with no.
    Question,
    /// A screen of its own, which is left with a key.
    Screen,
}

use Prints::{Lines, Question, Screen, Sentence, Table};

/// What is typed, what that prints, a part of it, and the status. There are `web`, which runs and has a net, and `spare`, which is configured.
type Line = (&'static str, Prints, &'static str, i32);

/// For whoever may look at zones.
const LOOKS: [Line; 5] = [
    ("zoneadm list --net", Table, "eth0", 0),
    ("zoneadm ps", Table, "/native/sbin/init", 0),
    ("zoneadm status web", Lines, "web: running since 20", 0),
    ("zonecfg -z web info", Lines, "zonename: web", 0),
    ("zoneadm --help", Lines, "Usage", 0),
];

/// For root.
const ROOTS: [Line; 10] = [
    ("zoneadm stat", Screen, "sorted by %CPU", 0),
    ("zoneadm stat -c 1", Table, "web ", 0),
    ("zoneadm list -cv", Table, " web ", 0),
    ("zoneadm -z nowhere boot", Sentence, "zoneadm: zone 'nowhere': No such zone configured", 1),
    ("zoneadm -z spare boot", Sentence, "zoneadm: zone 'spare': ", 1),
    ("zonecfg -z web set autobot=true", Sentence, "did you mean \"autoboot\"?", 1),
    ("zlogin spare true", Sentence, "zlogin: ", 1),
    ("zoneadm list --nonsense", Lines, "--nonsense", 2),
    ("zonecfg -z spare delete", Question, "Are you sure you want to delete zone spare (y/[n])? ", 0),
    ("zoneadm -z cold uninstall", Question, "Are you sure you want to uninstall zone cold (y/[n])? ", 1),
];

/// For a user who may look, and nothing else.
const USERS: [Line; 7] = [
    ("zoneadm list -cv", Table, " web ", 0),
    ("zoneadm stat -c 1", Table, "web ", 0),
    ("zoneadm -z web halt", Sentence, "zoneadm: ", 1),
    ("zoneadm -z cold uninstall", Sentence, "zoneadm: ", 1),
    ("zoneadm -z spare install", Sentence, "zoneadm: ", 1),
    ("zonecfg -z web set autoboot=true", Sentence, "zonecfg: ", 1),
    ("zlogin web true", Sentence, "zlogin: ", 1),
];

fn bash_as_root(lab: &Lab) {
    as_root(lab, &BASH);
}

fn zsh_as_root(lab: &Lab) {
    as_root(lab, &ZSH);
}

fn fish_as_root(lab: &Lab) {
    as_root(lab, &FISH);
}

fn bash_as_another_user(lab: &Lab) {
    as_another_user(lab, &BASH);
}

fn zsh_as_another_user(lab: &Lab) {
    as_another_user(lab, &ZSH);
}

fn fish_as_another_user(lab: &Lab) {
    as_another_user(lab, &FISH);
}

fn as_root(lab: &Lab, shell: &Shell) {
    needs(shell);
    zones(lab);
    let lines: Vec<&Line> = LOOKS.iter().chain(&ROOTS).collect();
    types(lab, shell, &lines, || Command::new(shell.words[0]).args(&shell.words[1..]), 0);
}

fn as_another_user(lab: &Lab, shell: &Shell) {
    needs(shell);
    let host = Host::new(lab);
    zones(lab);
    let lines: Vec<&Line> = LOOKS.iter().chain(&USERS).collect();
    let uid = Host::uid("rita");
    types(lab, shell, &lines, || host.of("rita", shell.words), uid);
}

fn needs(shell: &Shell) {
    let program = shell.words[0];
    if !["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists()) {
        skip(format!("{program} is missing (package {program})"));
    }
}

fn zones(lab: &Lab) {
    lab.sparse_with("web", "add net; end").zoneadm(["boot"]).ok();
    lab.sparse("cold");
    // A path that no narrow terminal has room for.
    let place = lab.root().join("a-folder-with-a-long-name/and-one-more-with-another-long-name");
    lab.configured("spare", &format!("set zonepath={}", place.display()));
}

/// Types all lines into the shell on terminals of each width, and looks at what is shown.
fn types(lab: &Lab, shell: &Shell, lines: &[&Line], start: impl Fn() -> Command, uid: u32) {
    let home = lab.path("home");
    make_dir(&home, 0o700);
    chown(&home, Some(uid), Some(uid)).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    let programs = lab.program("zoneadm");
    let programs = programs.parent().expect("a folder").display();
    for columns in COLUMNS {
        let path = format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin");
        let command = start().dir(&home).env("PATH", path).env("HOME", &home).env("TERM", "xterm");
        let mut terminal = Terminal::start(command.env("ZONES_ROOT", lab.root()), 24, columns);
        terminal.types(&format!("{}\r", shell.setup));
        for (typed, prints, part, status) in lines {
            let at = format!("{} of {columns} columns: {typed}", shell.words[0]);
            let (shown, code) = shows(&mut terminal, shell, typed, *prints, part);
            assert_eq!(code, *status, "{at}: {shown}");
            assert!(shown.contains(part), "{at}: {shown}");
            looks_right(&shown, *prints, columns.into(), &lab.root(), &at);
            // Into a file or a program goes text alone.
            if !matches!(prints, Question | Screen) {
                let (plain, _) = shows(&mut terminal, shell, &format!("{typed} 2>&1 | cat"), *prints, part);
                assert!(!plain.contains('\x1b'), "{at}: {plain:?}");
            }
        }
        let (status, shown) = terminal.ends_by("exit 0\r");
        assert!(status.success(), "{shown:?}");
    }
}

/// Types a line, with what is to be answered; gives what it showed, and its status.
fn shows(terminal: &mut Terminal, shell: &Shell, typed: &str, prints: Prints, part: &str) -> (String, i32) {
    // What is typed is shown, too, in pieces that are no output.
    let status = shell.status;
    terminal.types(&format!("printf 'be''gin\\n'; {typed}; printf 'en''ded %s\\n' {status}\r"));
    terminal.shows("begin\r\n");
    let mut shown = String::new();
    let answer = match prints {
        Question => Some("n\r"),
        Screen => Some("q"),
        _ => None,
    };
    if let Some(answer) = answer {
        shown.push_str(&terminal.shows(part));
        terminal.types(answer);
    }
    shown.push_str(&terminal.shows("ended "));
    let code = terminal.shows("\r\n").trim().parse().unwrap_or(-1);
    (shown.trim_end_matches("ended ").to_owned(), code)
}

fn looks_right(shown: &str, prints: Prints, columns: usize, root: &Path, at: &str) {
    let text = without_colors(shown);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    match prints {
        Screen => {
            return assert!(
                shown.contains("\x1b[?1049h") && shown.contains("\x1b[?1049l"),
                "{at}: {shown:?}"
            );
        }
        Question => assert_eq!(text.matches("(y/[n])?").count(), 1, "{at}: {text}"),
        Sentence => assert_eq!(lines.len(), 1, "{at}: {text}"),
        Table => {
            let heads = lines.first().map_or(0, |line| line.split_whitespace().count());
            assert!(gaps(&lines) + 1 >= heads, "{at}: a cell is not below its head\n{text}");
        }
        Lines => {}
    }
    // Before it asks about an uninstall it shows what it counts.
    let is_plain = prints == Question || !text.contains('\x1b');
    assert!(is_plain && !text.contains("(os error"), "{at}: {text:?}");
    if matches!(prints, Table | Lines) {
        // Of a terminal that is as wide as need be the end of a path is seen.
        let whole = root.display().to_string();
        let is_path = |line: &str| prints == Lines && line.contains(&whole);
        let wide: Vec<_> = lines.iter().filter(|line| width(line) > columns && !is_path(line)).collect();
        assert!(wide.is_empty(), "{at}: wider than the terminal: {wide:#?}");
    }
}

/// The text without what only colors and weights it.
fn without_colors(shown: &str) -> String {
    let mut parts = shown.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m').filter(|(code, _)| code.bytes().all(|b| b.is_ascii_digit() || b == b';')) {
            Some((_, rest)) => text.push_str(rest),
            None => text.extend(["\x1b[", part]),
        }
    }
    text
}

fn width(line: &str) -> usize {
    line.chars().map(|c| if c > '\u{2e7f}' { 2 } else { 1 }).sum()
}

/// How many gaps there are between columns: places at which every line has a blank, or has ended.
fn gaps(lines: &[&str]) -> usize {
    let rows: Vec<Vec<char>> = lines.iter().map(|line| line.chars().collect()).collect();
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let blank: Vec<bool> =
        (0..most).map(|at| rows.iter().all(|row| row.get(at).is_none_or(|c| *c == ' '))).collect();
    blank.windows(2).filter(|pair| !pair[0] && pair[1]).count()
}
