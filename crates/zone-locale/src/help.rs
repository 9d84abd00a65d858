//! The help of a command line in the caller's language. The command line itself is the same in all of them.

use std::ffi::OsString;

use clap::builder::{PossibleValue, StyledStr};
use clap::{Arg, Command, Parser};

use crate::{Locale, exact};

/// Parses a command line, the program's name first, whose help is in the language of whoever called.
///
/// # Errors
/// What clap says, which may also be the help.
pub fn parse<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<T, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    // What is said is made only for who is told something.
    if let Ok(parsed) = T::try_parse_from(&args) {
        return Ok(parsed);
    }
    let command = for_any_width(in_language(Locale::here(), T::command()));
    let mut matches = command.try_get_matches_from(args)?;
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut T::command()))
}

/// Leaves it to clap where the lines of a paragraph end: it knows how wide the terminal is.
fn for_any_width(command: Command) -> Command {
    let short = command.get_after_help().map(|text| paragraphs(&text.to_string()));
    let long = command.get_after_long_help().map(|text| paragraphs(&text.to_string()));
    let command = match short {
        Some(text) => command.after_help(text),
        None => command,
    };
    let command = match long {
        Some(text) => command.after_long_help(text),
        None => command,
    };
    let usage = command.clone().render_usage().to_string();
    let command = match usage.strip_prefix("Usage: ") {
        Some(usage) if usage.lines().any(|line| line.chars().count() > NARROW) => {
            command.override_usage(folded(usage))
        }
        _ => command,
    };
    command.mut_subcommands(for_any_width)
}

/// How many columns a line of a usage has at most, of the 80 of a terminal.
const NARROW: usize = 79;

/// Goes on in the next line where a line of a usage is too long: between options, or within the brackets of one that is too long itself.
fn folded(usage: &str) -> String {
    const INDENT: usize = 11;
    let mut lines = Vec::new();
    for (at, line) in usage.lines().enumerate() {
        // What stands before the first is clap's "Usage: ".
        let (mut text, mut width) = (String::new(), if at == 0 { "Usage: ".len() } else { 0 });
        let begin = line.len() - line.trim_start().len();
        text.push_str(&line[..begin]);
        width += begin;
        let mut is_first = true;
        for unit in units(line.trim_start()) {
            let fits = |width: usize, word: &str| width + 1 + word.chars().count() <= NARROW;
            let alone = INDENT + unit.chars().count() <= NARROW;
            let words: Vec<&str> = if alone { vec![unit] } else { unit.split(' ').collect() };
            for word in words {
                if !is_first && fits(width, word) {
                    text.push(' ');
                    width += 1;
                } else if !is_first {
                    text.push('\n');
                    text.push_str(&" ".repeat(INDENT));
                    width = INDENT;
                }
                text.push_str(word);
                width += word.chars().count();
                is_first = false;
            }
        }
        lines.push(text);
    }
    lines.join("\n")
}

/// Splits at the blanks that are in no brackets.
fn units(line: &str) -> Vec<&str> {
    let (mut depth, mut from, mut all) = (0_u32, 0, Vec::new());
    for (at, c) in line.char_indices() {
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                all.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&line[from..]);
    all
}

/// Makes one line of each paragraph. What is indented stays as it is: examples, and tables.
fn paragraphs(text: &str) -> String {
    let goes_on = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut joined = String::with_capacity(text.len());
    let mut before = "";
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            joined.push(if goes_on(before) && goes_on(line) { ' ' } else { '\n' });
        }
        joined.push_str(line);
        before = line;
    }
    joined
}

/// Translates what a command line says of itself, and of its subcommands.
#[must_use]
pub fn in_language(locale: Locale, mut command: Command) -> Command {
    if locale.is_english() {
        return command;
    }
    // So that it has its own `help` and `--version`, whose words are clap's.
    command.build();
    one(locale, command)
}

fn one(locale: Locale, mut command: Command) -> Command {
    let own = |text: &StyledStr| exact(locale, &text.to_string());
    // Some few words, once in the life of a program that prints its help: clap takes them for good.
    let word = |english: &'static str| -> &'static str {
        exact(locale, english).map_or(english, |text| Box::leak(text.into_boxed_str()))
    };
    if let Some(text) = command.get_about().and_then(own) {
        command = command.about(text);
    }
    if let Some(text) = command.get_long_about().and_then(own) {
        command = command.long_about(text);
    }
    if let Some(text) = command.get_after_help().and_then(own) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().and_then(own) {
        command = command.after_long_help(text);
    }
    let (options, arguments) = (word("Options"), word("Arguments"));
    command = command
        .subcommand_help_heading(word("Commands"))
        .help_template(format!(
            "{{before-help}}{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}",
            word("Usage:")
        ))
        .mut_args(|arg| {
            let (short, long) = (arg.get_help().and_then(own), arg.get_long_help().and_then(own));
            let heading = if arg.is_positional() { arguments } else { options };
            let arg = arg.help_heading(heading);
            let arg = match short {
                Some(text) => arg.help(text),
                None => arg,
            };
            let arg = match long {
                Some(text) => arg.long_help(text),
                None => arg,
            };
            with_values(locale, arg)
        });
    command.mut_subcommands(|verb| one(locale, verb))
}

/// Says which values an argument may have, where clap would do so in words of its own.
fn with_values(locale: Locale, arg: Arg) -> Arg {
    let shown = !arg.is_hide_possible_values_set() && arg.get_action().takes_values();
    let values: Vec<_> =
        arg.get_possible_values().into_iter().filter(|value| shown && !value.is_hide_set()).collect();
    let (Some(help), Some(listed)) = (arg.get_help().map(ToString::to_string), exact(locale, POSSIBLE))
    else {
        return arg;
    };
    if values.is_empty() {
        return arg;
    }
    let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
    let explained: String = values
        .iter()
        .map(|value| match value.get_help().map(ToString::to_string) {
            Some(why) => format!("\n- {}: {}", value.get_name(), exact(locale, &why).unwrap_or(why)),
            None => format!("\n- {}", value.get_name()),
        })
        .collect();
    let is_explained = values.iter().any(|value| value.get_help().is_some());
    let long = arg.get_long_help().map_or_else(|| help.clone(), ToString::to_string);
    let long = match is_explained {
        true => format!("{long}\n\n{listed}{explained}"),
        false => format!("{long}\n\n{listed} {}", names.join(", ")),
    };
    arg.hide_possible_values(true).help(format!("{help} ({listed} {})", names.join(", "))).long_help(long)
}

/// What stands before the values that an argument may have.
const POSSIBLE: &str = "Possible values:";

/// All that a command line says of itself: the texts that [`in_language`] looks up.
#[must_use]
pub fn texts(command: &Command) -> Vec<String> {
    let mut command = command.clone();
    command.build();
    let mut all = Vec::new();
    gather(&command, &mut all);
    all
}

fn gather(command: &Command, all: &mut Vec<String>) {
    let own = [
        command.get_about(),
        command.get_long_about(),
        command.get_after_help(),
        command.get_after_long_help(),
    ];
    all.extend(own.into_iter().flatten().map(ToString::to_string));
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        all.extend([arg.get_help(), arg.get_long_help()].into_iter().flatten().map(ToString::to_string));
        let values = if arg.is_hide_possible_values_set() { Vec::new() } else { arg.get_possible_values() };
        all.extend(values.iter().filter_map(PossibleValue::get_help).map(ToString::to_string));
    }
    command.get_subcommands().for_each(|verb| gather(verb, all));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_one_line_and_a_table_is_not() {
        let text = "One\ntwo.\n\nThree:\n  zoneadm list    all\n  zoneadm help\n\nFour\nfive";
        assert_eq!(
            paragraphs(text),
            "One two.\n\nThree:\n  zoneadm list    all\n  zoneadm help\n\nFour five"
        );
    }

    #[test]
    fn a_usage_fits_a_narrow_terminal() {
        let short = "zoneadm help [SUBCOMMAND]\n       zoneadm list";
        assert_eq!(folded(short), short);
        let line = "zoneadm -z ZONE install [{-d DIRECTORY | -a ARCHIVE} [-p] | --debootstrap SUITE [--mirror URL] \
                    [--include PKG,...]]";
        assert_eq!(
            folded(line),
            "zoneadm -z ZONE install [{-d DIRECTORY | -a ARCHIVE} [-p] |\n           \
             --debootstrap SUITE [--mirror URL] [--include PKG,...]]"
        );
        let two = format!("{} [-a A] [-b BBBBBBBB BBBBBBBB]", "x".repeat(50));
        assert_eq!(folded(&two), format!("{} [-a A]\n           [-b BBBBBBBB BBBBBBBB]", "x".repeat(50)));
    }
}
