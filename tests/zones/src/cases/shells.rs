//! What people type, where they type it: in each shell, on terminals of 80 and of 200 columns, as root and as another user.

use crate::harness::users::{ADMINS, Host};
use crate::harness::{Command, Lab, Terminal, cases, make_dir, skip, write};
use std::os::unix::fs::chown;
use std::path::Path;

mod lines;

use Prints::{Lines, Nothing, Question, Screen, Sentence, Table, Talk, Text};
use lines::{EDITS, LOGINS, LOOKS, MANAGES, REFUSED, ROOTS};

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
    /// Nothing at all.
    Nothing,
    /// What is as wide as it is, or is drawn.
    Text,
    /// A question that is asked once, and answered with no.
    Question,
    /// A screen of its own, which is left with a key.
    Screen,
    /// A session: what is waited for, and what is typed then.
    Talk(&'static [(&'static str, &'static str)]),
}

/// What is typed, what that prints, a part of it, and the status. `COLUMNS` stands for the width of the terminal.
type Row = (&'static str, Prints, &'static str, i32);

/// What an illumos host wrote about a zone.
const SUN: &str = "create -b\nset brand=lipkg\nset autoboot=false\nset ip-type=exclusive\n";

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
    zones(lab, "");
    let start = || Command::new(shell.words[0]).args(&shell.words[1..]);
    types(lab, shell, &[&LOOKS, &EDITS, &MANAGES, &LOGINS, &ROOTS], start, 0);
}

/// Who looks, with what is refused to such a one; who manages; who logs in.
fn as_another_user(lab: &Lab, shell: &Shell) {
    needs(shell);
    let host = Host::new(lab);
    zones(lab, ADMINS);
    for (user, tables) in
        [("rita", &[&LOOKS[..], &REFUSED][..]), ("manny", &[&MANAGES]), ("logan", &[&LOGINS])]
    {
        types(lab, shell, tables, || host.of(user, shell.words), Host::uid(user));
    }
}

fn needs(shell: &Shell) {
    let program = shell.words[0];
    if !["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists()) {
        skip(format!("{program} is missing (package {program})"));
    }
}

fn zones(lab: &Lab, admins: &str) {
    lab.sparse_with("web", &format!("{admins}; add net; end")).zoneadm(["boot"]).ok();
    for name in ["cold", "cool"] {
        lab.sparse_with(name, admins);
    }
    // A path that no narrow terminal has room for.
    let place = lab.root().join("a-folder-with-a-long-name/and-one-more-with-another-long-name");
    lab.configured("spare", &format!("set brand=sparse; set zonepath={}", place.display()));
}

/// Types all rows into the shell on terminals of each width, and looks at what is shown.
fn types(lab: &Lab, shell: &Shell, tables: &[&[Row]], start: impl Fn() -> Command, uid: u32) {
    let home = lab.path(&format!("home-of-{uid}"));
    make_dir(&home, 0o700);
    write(&home.join("sun.cfg"), SUN);
    for path in [home.join("sun.cfg"), home.clone()] {
        chown(&path, Some(uid), Some(uid)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let programs = lab.program("zoneadm");
    let programs = programs.parent().expect("a folder").display();
    for columns in COLUMNS {
        let path = format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin");
        let command = start().dir(&home).env("PATH", path).env("HOME", &home).env("TERM", "xterm");
        // Without a folder for it fish leaves one in /tmp.
        let command =
            command.env("ZONES_ROOT", lab.root()).env("EDITOR", "true").env("XDG_RUNTIME_DIR", &home);
        let mut terminal = Terminal::start(command, 24, columns);
        terminal.types(&format!("{}\r", shell.setup));
        for (typed, prints, part, status) in tables.iter().copied().flatten() {
            let at = format!("{} of {columns} columns: {typed}", shell.words[0]);
            let part = part.replace("COLUMNS", &columns.to_string());
            let (shown, code) = shows(&mut terminal, shell, typed, &dialogue(*prints, &part, columns));
            assert_eq!(code, *status, "{at}: {shown}");
            assert!(shown.contains(&part), "{at}: {shown}");
            looks_right(&shown, *prints, columns.into(), &lab.root(), &at);
            // Into a file or a program goes text alone.
            if matches!(prints, Table | Lines | Sentence) {
                let (plain, _) = shows(&mut terminal, shell, &format!("{typed} 2>&1 | cat"), &[]);
                assert!(!plain.contains('\x1b'), "{at}: {plain:?}");
            }
        }
        let (status, shown) = terminal.ends_by("exit 0\r");
        assert!(status.success(), "{shown:?}");
    }
}

/// What is waited for while a line is at work, and what is typed then.
fn dialogue(prints: Prints, part: &str, columns: u16) -> Vec<(String, &'static str)> {
    match prints {
        Question => vec![(part.to_owned(), "n\r")],
        Screen => vec![(part.to_owned(), "q")],
        Talk(steps) => {
            let columns = columns.to_string();
            steps.iter().map(|(shown, typed)| (shown.replace("COLUMNS", &columns), *typed)).collect()
        }
        _ => Vec::new(),
    }
}

/// Types a line, and what is to be typed while it is at work; gives what it showed, and its status.
fn shows(
    terminal: &mut Terminal,
    shell: &Shell,
    typed: &str,
    steps: &[(String, &'static str)],
) -> (String, i32) {
    // What is typed is shown, too, in pieces that are no output.
    let status = shell.status;
    terminal.types(&format!("printf 'be''gin\\n'; {typed}; printf 'st''atus=%s\\n' {status}\r"));
    terminal.shows("begin\r\n");
    let mut shown = String::new();
    for (text, answer) in steps {
        shown.push_str(&terminal.shows(text));
        terminal.types(answer);
    }
    shown.push_str(&terminal.shows("status="));
    let code = terminal.shows("\r\n").trim().parse().unwrap_or(-1);
    (shown.trim_end_matches("status=").to_owned(), code)
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
        Nothing => assert_eq!(text, "", "{at}"),
        Lines | Text | Talk(_) => {}
    }
    // Before it asks about an uninstall it shows what it counts.
    let is_plain = matches!(prints, Question | Text | Talk(_)) || !text.contains('\x1b');
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
