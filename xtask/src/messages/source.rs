//! The texts in the crates' sources: every string literal that reads as prose, wherever it stands. What is none for the
//! people who use zones is in the tables here, with the reason.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::key;
use super::lex::{Token, tokens};

/// The crates that speak to who calls. The others speak to the host's log, or to programs.
const CRATES: [&str; 18] = [
    "zlogin",
    "zone-access",
    "zone-config",
    "zone-console",
    "zone-door",
    "zone-engine",
    "zone-install",
    "zone-live",
    "zone-net",
    "zone-platform",
    "zone-ring",
    "zone-start",
    "zone-sys",
    "zoneadm",
    "zoneadmd",
    "zonecfg",
    "zonename",
    "zsched",
];

/// Files without messages, by the end of their path or a part of it, and why.
const NO_MESSAGES: &[(&str, &str)] = &[
    ("/tests", "tests"),
    ("/testing.rs", "what tests need"),
    ("zoneadmd/src/model", "what tests need"),
    ("zone-net/src/lab.rs", "what tests need"),
    ("zone-net/src/guard/", "comments in rules of nftables"),
    ("zone-net/src/nft/standing.rs", "comments in rules of nftables"),
    ("zone-install/src/sparse/texts.rs", "files of zones"),
    ("zone-engine/src/journal.rs", "words of the journal"),
    ("zoneadmd/src/log.rs", "the log, which is in English"),
    ("zone-live/src/record.rs", "words of a file"),
    ("zone-config/src/snapshot/listed.rs", "words of a file"),
    ("zone-config/src/snapshot/outline.rs", "words of a file"),
    ("zone-config/src/settings/template.rs", "words of a file"),
    ("zoneadm/src/cli.rs", "the command line, which is asked itself"),
    ("zoneadm/src/cli/", "the command line, which is asked itself"),
    ("zonecfg/src/args.rs", "the command line, which is asked itself"),
    ("zlogin/src/cli.rs", "the command line, which is asked itself"),
    ("zone-access/src/main.rs", "the host's log, which is in English"),
    ("zsched/src/main.rs", "zsched is started by a program"),
    ("zone-platform/src/seccomp/table.rs", "reasons for readers of the source"),
];

/// Literals that are no messages, by file and text.
///
/// A text stands for all that begin with it.
const NONE: &[(&str, &str)] = &[
    // What the kernel writes or reads.
    ("zone-platform/src/cgroup.rs", "populated 1"),
    ("zone-platform/src/cgroup/end.rs", "populated 1"),
    ("zone-platform/src/enter/birthplace.rs", "frozen 1"),
    ("zone-platform/src/cgroup/io.rs", "rbps=max"),
    ("zone-platform/src/cgroup/oom.rs", ": Killed process "),
    ("zone-platform/src/cgroup/oom.rs", ") total-vm:"),
    ("zone-platform/src/clocks.rs", "monotonic -"),
    ("zone-platform/src/memlock.rs", "Max locked memory"),
    ("zone-sys/src/chain.rs", " (os error "),
    // Files, and what is typed.
    ("zone-config/src/snapshot.rs", "version = "),
    ("zone-config/src/snapshot.rs", "\n\n[idmap]"),
    ("zone-config/src/snapshot.rs", "\ncount = "),
    ("zone-config/src/store.rs", "set zone"),
    ("zone-config/src/filesystem.rs", "ro, rw, "),
    ("zone-door/src/service.rs", "# What every Varlink"),
    ("zone-net/src/managed/document.rs", "ipv4 = "),
    ("zone-net/src/managed/document.rs", "# "),
    ("zone-net/src/managed/document.rs", "{} bridge "),
    ("zone-net/src/managed/bridge.rs", "managed network of zones"),
    ("zone-net/src/build/vlan.rs", "VLAN of zones"),
    ("zone-net/src/resolver.rs", "nameserver {server}"),
    ("zone-platform/src/credentials.rs", "instance-id: "),
    ("zone-platform/src/guest.rs", "{GUEST_MARKER}"),
    ("zoneadm/src/work.rs", "{prefix} "),
    ("zoneadm/src/many/show.rs", "{prefix} "),
    ("zoneadm/src/many/run.rs", "zone '"),
    ("zoneadm/src/many/run.rs", "Zone '"),
    ("zoneadm/src/verbs/install/source.rs", "--debootstrap SUITE"),
    ("zoneadm/src/hints.rs", "zone"),
    ("zoneadm/src/hints.rs", "zlogin"),
    ("zoneadmd/src/main.rs", "Usage: zoneadmd"),
    ("zonecfg/src/line.rs", "exec "),
    ("zonecfg/src/session/edit.rs", "exec "),
    ("zonecfg/src/session.rs", "zonecfg:"),
    ("zonecfg/src/show.rs", ""),
    ("zonecfg/src/import/script.rs", "set bootargs="),
    ("zonecfg/src/global.rs", "zonecfg:global> "),
    ("zonecfg/src/global.rs", "{"),
    // Words for who maintains this.
    ("zone-net/src/nft/dump.rs", ""),
    ("zone-net/src/nft/socket.rs", ""),
    ("zone-net/src/nft/transaction.rs", ""),
    ("zone-sys/src/exec.rs", ""),
    ("zone-sys/src/unix.rs", "stale socket"),
    ("zoneadmd/src/audit.rs", "uid="),
];

/// Macros whose words are the log's, or a programmer's.
const SILENT: [&str; 12] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "env",
    "include_str",
    "panic",
    "unreachable",
    "todo",
    "pass",
    "fail",
    "warn_once",
];
/// Macros of `tracing`.
const LOG: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// A message of a source.
pub(super) struct Found {
    pub(super) key: String,
    /// The crate.
    pub(super) of: String,
    /// File and line.
    pub(super) at: String,
}

/// Finds the messages of all crates.
pub(super) fn all(root: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in CRATES {
        let mut files = Vec::new();
        files_below(&root.join("crates").join(name).join("src"), &mut files)?;
        files.sort();
        for file in files {
            let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
            if NO_MESSAGES.iter().any(|(part, _)| shown.contains(part)) {
                continue;
            }
            let text = std::fs::read_to_string(&file).with_context(|| shown.clone())?;
            let mut literals = Vec::new();
            walk(&tokens(&text), &mut literals);
            for (literal, line) in literals {
                if NONE.iter().any(|(end, none)| shown.ends_with(end) && literal.starts_with(none)) {
                    continue;
                }
                for key in key::keys(&literal) {
                    found.push(Found { key, of: format!("crates/{name}"), at: format!("{shown}:{line}") });
                }
            }
        }
    }
    Ok(found)
}

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Gathers the literals of what ships, each with its line.
fn walk(tokens: &[Token], literals: &mut Vec<(String, usize)>) {
    let mut at = 0;
    while at < tokens.len() {
        at += match &tokens[at..] {
            [Token::Mark('#'), Token::Open('['), ..] => {
                let inside = block(&tokens[at + 1..]);
                let end = 1 + inside;
                match &tokens[at + 2..at + end] {
                    // `#[error(...)]`, with a text.
                    [Token::Word(name), text @ ..] if name == "error" => {
                        walk(text, literals);
                        end
                    }
                    // What follows is for tests alone.
                    [Token::Word(name), Token::Open('('), Token::Word(what), Token::Close, ..]
                        if name == "cfg" && what == "test" =>
                    {
                        end + item(&tokens[at + end..])
                    }
                    _ => end,
                }
            }
            [Token::Word(name), Token::Mark('!'), Token::Open(_), ..] => {
                let of_log = LOG.contains(&name.as_str()) && is_of(&tokens[..at], "tracing");
                let silent = of_log || SILENT.contains(&name.as_str());
                2 + if silent { block(&tokens[at + 2..]) } else { 0 }
            }
            [Token::Word(name), Token::Open('('), ..] if name == "expect" => 1 + block(&tokens[at + 1..]),
            [Token::Text(text, line), ..] => {
                literals.push((text.clone(), *line));
                1
            }
            _ => 1,
        };
    }
}

/// How many tokens a block has that begins here, with its brackets.
fn block(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// How many tokens an item has: up to the end of its block, or its semicolon.
fn item(tokens: &[Token]) -> usize {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Open('{') => return at + block(&tokens[at..]),
            Token::Open(_) => at += block(&tokens[at..]),
            Token::Mark(';') => return at + 1,
            _ => at += 1,
        }
    }
    tokens.len()
}

/// Whether what comes next is of this module: `module::`.
fn is_of(before: &[Token], module: &str) -> bool {
    matches!(before, [.., Token::Word(name), Token::Mark(':'), Token::Mark(':')] if name == module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_where_they_are_said() {
        let source = r##"
            #[doc = "a doc"]
            #[error("an error {0}: {}", fallback("with another"))]
            enum E { #[serde(rename = "a serde")] A }
            const TABLE: [(&str, &str); 1] = [("in a table", r#"raw "text""#)];
            fn f() {
                tracing::warn!("in the log {}", 1);
                warn!("told");
                write!(f, "written {x}").expect("no reason");
                assert!(x, "in a test");
            }
            #[cfg(test)]
            mod tests { const T: &str = "in tests"; }
            fn g() { say("at the end") }
        "##;
        let mut literals = Vec::new();
        walk(&tokens(source), &mut literals);
        let texts: Vec<&str> = literals.iter().map(|(text, _)| text.as_str()).collect();
        let expected = [
            "an error {0}: {}",
            "with another",
            "in a table",
            "raw \"text\"",
            "told",
            "written {x}",
            "at the end",
        ];
        assert_eq!(texts, expected);
        assert_eq!(literals[0].1, 3);
    }
}
