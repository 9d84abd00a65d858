//! A text of a source as it stands in the lists.

/// What stands before a message, and is the same in all languages or an entry of its own.
const TAGS: [&str; 13] = [
    "zoneadm: ",
    "zonecfg: ",
    "zlogin: ",
    "zone-access: ",
    "zonename: ",
    "zoneadmd: ",
    "WARNING: ",
    "NOTICE: ",
    "usage: ",
    "note: ",
    "error: ",
    ": ",
    "; ",
];
/// With these a line begins that is typed, and not said.
const TYPED: [&str; 9] =
    ["zoneadm ", "zonecfg ", "zlogin ", "nft ", "ufw ", "ip ", "firewall-cmd ", "#", "uid="];

/// Makes keys of a literal: one for each line, and each column of it, that is read by people.
pub(super) fn keys(literal: &str) -> Vec<String> {
    literal.split(['\n', '\t', '\r']).filter_map(key).collect()
}

fn key(line: &str) -> Option<String> {
    let all = untagged(untabled(line));
    let line = alone(all);
    let (first, last) = (line.chars().next()?, line.chars().next_back()?);
    let mut key = with_holes(line);
    // A part that is put behind or before another one, which may be anything.
    if matches!(first, ' ' | ',' | ')') {
        key.insert_str(0, "{head}");
    }
    if last == ' ' {
        key.push_str("{tail}");
    }
    // A word before a colon is a message, but a word alone is a word.
    let is_part = line.len() < all.len();
    (is_prose(&key) && (is_part || key.contains(' '))).then_some(key)
}

/// Leaves out blanks that make a table.
fn untabled(line: &str) -> &str {
    if line.starts_with("  ") { line.trim_start() } else { line }
}

/// Leaves out what stands before and behind.
fn untagged(mut line: &str) -> &str {
    loop {
        let before = line;
        for tag in TAGS {
            line = line.strip_prefix(tag).unwrap_or(line);
        }
        if let Some(("", behind)) = line.split_once("zone '{")
            && let Some((_, behind)) = behind.split_once("}': ")
        {
            line = behind;
        }
        line = line.strip_suffix(": ").or_else(|| line.strip_suffix("; ")).unwrap_or(line);
        line = untabled(line);
        if line == before {
            return line;
        }
    }
}

/// Leaves out a hole that is told apart by a colon: what is in it is a message of its own, or a name.
fn alone(mut line: &str) -> &str {
    while let Some(behind) = hole(line).and_then(|(_, behind)| behind.strip_prefix(": ")) {
        line = behind;
    }
    while let Some((before, last)) = line.rsplit_once(": ")
        && !before.is_empty()
        && hole(last).is_some_and(|(_, behind)| behind.is_empty())
    {
        line = before;
    }
    line
}

/// Names all holes, without how they are formatted; of several with nothing between, the first.
fn with_holes(line: &str) -> String {
    let numbered: Vec<&str> = holes(line).filter(|name| name.parse::<u8>().is_ok()).collect();
    let mut free =
        (0..).map(|number: u8| number.to_string()).filter(|name| !numbered.contains(&name.as_str()));
    let mut out = String::new();
    let mut rest = line;
    let mut after_hole = false;
    while let Some(c) = rest.chars().next() {
        if let Some((name, behind)) = hole(rest) {
            let name = if name.is_empty() { free.next().unwrap_or_default() } else { name.to_owned() };
            if !after_hole {
                out.push_str(&format!("{{{name}}}"));
            }
            (rest, after_hole) = (behind, true);
            continue;
        }
        after_hole = false;
        let doubled = rest.starts_with("{{") || rest.starts_with("}}");
        rest = &rest[if doubled { 2 } else { c.len_utf8() }..];
        out.push(c);
        if matches!(c, '{' | '}') {
            out.push(c);
        }
    }
    out
}

fn holes(line: &str) -> impl Iterator<Item = &str> {
    let at = line.match_indices('{').map(|(at, _)| at);
    at.filter_map(|at| hole(&line[at..])).map(|(name, _)| name)
}

/// The name of the hole that the text begins with, and what is behind it.
fn hole(text: &str) -> Option<(&str, &str)> {
    let (inside, behind) = text.strip_prefix('{')?.split_once('}')?;
    let (name, format) = inside.split_once(':').unwrap_or((inside, ""));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !format.contains(['{', ' '])).then_some((name, behind))
}

/// Whether people read it: it has a word, and more than that.
fn is_prose(key: &str) -> bool {
    let mut words = String::new();
    let mut inside = false;
    for c in key.chars() {
        match c {
            '{' => inside = true,
            '}' => (inside, _) = (false, words.push(' ')),
            c if !inside => words.push(c),
            _ => {}
        }
    }
    let has = |least: usize, is: fn(&char) -> bool| words.split(|c| !is(&c)).any(|word| word.len() >= least);
    has(3, char::is_ascii_alphabetic)
        && has(2, char::is_ascii_lowercase)
        && !TYPED.iter().any(|typed| key.starts_with(typed))
        && !is_syntax(key)
}

/// Whether it is a command of zonecfg with what it takes: a word, and then words in capitals, options and brackets.
fn is_syntax(key: &str) -> bool {
    const COMMANDS: [&str; 11] =
        ["create", "add", "set", "clear", "remove", "select", "info", "export", "revert", "delete", "exit"];
    let mut depth = 0_usize;
    let mut rest = String::new();
    for c in key.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => rest.push(c),
            _ => {}
        }
    }
    let (first, others) = rest.split_once(' ').unwrap_or((&rest, ""));
    (COMMANDS.contains(&first) || first == "help") && !others.contains(|c: char| c.is_ascii_lowercase())
}

/// A text without holes, as a key.
pub(super) fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_keys() {
        for (literal, expected) in [
            ("could not open {}", &["could not open {0}"][..]),
            ("{0:?} and {}, {name:<5} of {}", &["{0} and {1}, {name} of {2}"]),
            ("zoneadm: zone '{zone}': without {what}", &["without {what}"]),
            ("WARNING: {}{} is gone; ", &["{0} is gone"]),
            (" (now: {step})", &["{head} (now: {step})"]),
            ("add the address ", &["add the address {tail}"]),
            ("\tone line\n\tanother line\n", &["one line", "another line"]),
            ("use {{this}} or {-z ZONE | -a}", &["use {{this}} or {{-z ZONE | -a}}"]),
            ("{name}: without {what}: {error}", &["without {what}"]),
            ("allowed: {}", &["allowed"]),
            ("set {}={}", &[]),
            ("remove [-F] RESOURCE [PROPERTY=VALUE...]", &[]),
            ("remove {} from it", &["remove {0} from it"]),
            ("{name}: {text}", &[]),
            ("nosuid", &[]),
            ("zoneadm -z ZONE halt", &[]),
            ("{program} {point}", &[]),
        ] {
            assert_eq!(keys(literal), expected, "{literal}");
        }
    }
}
