//! The pages.

use crate::{paths, sh};
use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;
use std::io::Write;
use std::path::Path;

/// What the parts of a help text become; all that comes before the first is about the program.
const HEADINGS: [(&str, &str); 4] = [
    ("Examples:", "EXAMPLES"),
    ("Example:", "EXAMPLES"),
    ("Exit status:", "EXIT STATUS"),
    ("Environment:", "ENVIRONMENT"),
];

/// Writes the page of a program, and one for each of its subcommands (`zoneadm-boot`).
pub(super) fn write(command: &Command, name: &str, section: &str, to: &Path) -> Result<()> {
    let mut subcommands: Vec<&Command> =
        command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    subcommands.sort_by_key(|sub| sub.get_name());
    let mut more = format!("\n{}", read(&format!("{name}.{section}.in"))?);
    for sub in &subcommands {
        let full = format!("{name}-{}", sub.get_name());
        let page = render(sub, &full, &format!("{name} {}", sub.get_name()), section, &[], &{
            format!(".SH SEE ALSO\n.BR {name} ({section})\n")
        })?;
        save(to, &full, section, &page)?;
    }
    if name == "zonecfg" {
        let tables: String = zonecfg::help::reference().into_iter().map(|part| section_of(&part)).collect();
        more.insert_str(0, &tables);
    }
    if !more.ends_with('\n') {
        more.push('\n');
    }
    let page = render(command, name, name, section, &subcommands, &more)?;
    save(to, name, section, &page)
}

/// Writes the page of the file that a zone's configuration is in: every property and resource of the table.
pub(super) fn write_configuration(to: &Path) -> Result<()> {
    let tables = zonecfg::help::reference().into_iter().filter(|(heading, _)| *heading != "COMMANDS");
    let tables: String = tables.map(|part| section_of(&part)).collect();
    let page = read("zone-NAME.toml.5.in")?.replace("@TABLES@\n", tables.trim_start_matches('\n'));
    save(to, "zone-NAME.toml", "5", &page)
}

/// A section of terms, each with what is said of it.
fn section_of((heading, terms): &(&str, Vec<(String, String)>)) -> String {
    let term = |(term, text): &(String, String)| {
        let lines: Vec<String> = term.lines().map(|line| format!(".B {}", escape(line))).collect();
        format!(".TP\n{}\n{}\n", lines.join("\n.TQ\n"), escape(text))
    };
    format!("\n.SH {heading}\n{}", terms.iter().map(term).collect::<String>())
}

/// Copies the pages that are written by hand.
pub(super) fn copy(to: &Path) -> Result<()> {
    let from = paths::top().join("docs/man");
    for entry in std::fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let number = path.extension().and_then(|end| end.to_str()).and_then(|end| end.parse::<u8>().ok());
        if let (Some(_), Some(name)) = (number, path.file_name()) {
            let page = std::fs::read_to_string(&path);
            let page = page.with_context(|| format!("cannot read {}", path.display()))?;
            write_dated(&to.join(name), &page)?;
        }
    }
    Ok(())
}

fn render(
    command: &Command,
    full: &str,
    typed: &str,
    section: &str,
    subcommands: &[&Command],
    more: &str,
) -> Result<String> {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    // By hand: clap_mangen leaves a date out that is empty, and what stands behind is then taken for it.
    let (title, version) = (full.to_uppercase(), env!("CARGO_PKG_VERSION"));
    writeln!(page, ".TH {} {section} \"\" \"zones {version}\" Zones", escape(&title))?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, ".SH NAME\n{full} \\- {}", escape(&about))?;
    let usage = usage.trim_start_matches("Usage:").trim();
    writeln!(page, ".SH SYNOPSIS\n.nf")?;
    for line in usage.lines() {
        // What goes on in the next line stays indented.
        writeln!(page, "{}", escape(line.strip_prefix("       ").unwrap_or(line).trim_end()))?;
    }
    writeln!(page, ".fi")?;
    man.render_description_section(&mut page)?;
    let (before, parts) = divide(after.as_deref().unwrap_or_default());
    if !before.is_empty() {
        writeln!(page, ".PP\n{}", escape(&before))?;
    }
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if !subcommands.is_empty() {
        writeln!(page, ".SH SUBCOMMANDS")?;
    }
    for sub in subcommands {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(page, ".TP\n.BR {typed}\\-{} ({section})\n{}", escape(sub.get_name()), escape(&about))?;
    }
    for (heading, text) in parts {
        writeln!(page, ".SH {heading}\n.nf\n{}\n.fi", escape(&text))?;
    }
    write!(page, "{more}")?;
    Ok(tidied(&String::from_utf8(page)?))
}

/// Mends what other formatters than groff warn of in what clap_mangen writes: line breaks beside an empty line, and the escape for a
/// backslash, which is one of macros.
fn tidied(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    let beside_empty = |at: usize| {
        let near = [at.checked_sub(1), Some(at + 1)];
        near.into_iter().flatten().any(|at| lines.get(at) == Some(&""))
    };
    let kept = lines.iter().enumerate().filter(|&(at, line)| *line != ".br" || !beside_empty(at));
    kept.map(|(_, line)| line.replace(r"\\", r"\e") + "\n").collect()
}

/// A help text, divided at its headings.
fn divide(text: &str) -> (String, Vec<(&'static str, String)>) {
    let (mut before, mut parts) = (Vec::new(), Vec::<(&'static str, Vec<&str>)>::new());
    for line in text.lines() {
        let heading = HEADINGS.iter().find(|(start, _)| line.starts_with(start));
        match (heading, parts.last_mut()) {
            (Some((start, name)), _) => {
                let rest = line.strip_prefix(start).map(str::trim).filter(|rest| !rest.is_empty());
                parts.push((name, rest.into_iter().collect()));
            }
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => before.push(line),
        }
    }
    let joined = |lines: Vec<&str>| lines.join("\n").trim_matches('\n').to_owned();
    (joined(before), parts.into_iter().map(|(name, lines)| (name, joined(lines))).collect())
}

/// Text as it is, for troff.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines: Vec<String> = text
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect();
    lines.join("\n")
}

fn read(name: &str) -> Result<String> {
    let path = paths::top().join("docs/man").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn save(to: &Path, name: &str, section: &str, page: &str) -> Result<()> {
    write_dated(&to.join(format!("{name}.{section}")), page)
}

/// Writes a page with the day of what it is made from in its title, which it has empty.
fn write_dated(path: &Path, page: &str) -> Result<()> {
    let page = with_date(page, &date());
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}

fn with_date(page: &str, date: &str) -> String {
    let dated = |line: &str| match line.starts_with(".TH ") {
        true => line.replacen(" \"\" ", &format!(" \"{date}\" "), 1),
        false => line.to_owned(),
    };
    page.split_inclusive('\n').map(dated).collect()
}

/// The day of the last commit, or that of `$SOURCE_DATE_EPOCH`, as who builds packages again sets it; empty where there is neither.
fn date() -> String {
    let mut command = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(epoch) => {
            let mut date = std::process::Command::new("date");
            date.args(["-u", "-d", &format!("@{epoch}"), "+%F"]);
            date
        }
        Err(_) => {
            let mut git = std::process::Command::new("git");
            git.args(["log", "-1", "--format=%cs"]).current_dir(paths::top());
            git
        }
    };
    sh::capture(&mut command).map(|date| date.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_stands_in_the_title() {
        let page = ".\\\" A comment.\n.TH ZSCHED 8 \"\" \"zones\" \"Zones\"\n.B \"\" x\n";
        let dated = page.replacen("8 \"\"", "8 \"2026-11-30\"", 1);
        assert_eq!(with_date(page, "2026-11-30"), dated);
    }

    #[test]
    fn a_help_text_is_divided_at_its_headings() {
        let (before, parts) = divide("First.\n\nExamples:\n  a\n  b\n\nExit status: 0 done.\n");
        assert_eq!(before, "First.");
        assert_eq!(parts, [("EXAMPLES", "  a\n  b".into()), ("EXIT STATUS", "0 done.".into())]);
    }

    #[test]
    fn what_is_generated_is_tidied() {
        let page = ".TP\na\n.br\n\n.br\nb \\\\ c\n.br\nd\n";
        assert_eq!(tidied(page), ".TP\na\n\nb \\e c\n.br\nd\n");
    }

    #[test]
    fn troff_takes_text_as_text() {
        assert_eq!(escape(".x\n-\\001"), "\\&.x\n\\-\\e001");
    }
}
