//! Names of zones by a pattern, as a shell has them.

use std::str::Chars;

/// Whether a text is a pattern and not a name: no name of a zone has one of these.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `name` is one that `pattern` stands for: `*` is any text, `?` any character, `[a-f0-9]` one of these and
/// `[!a-f]` none of them. A bracket that is never closed stands for itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on when what follows the last star does not fit: behind the star, and one character further.
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let mut rest = pattern.clone();
        match rest.next() {
            Some('*') => {
                star = Some((rest.clone(), name.clone()));
                pattern = rest;
                continue;
            }
            None if name.as_str().is_empty() => return true,
            Some(token) => {
                let mut after = name.clone();
                if let Some(character) = after.next()
                    && fits(token, &mut rest, character)
                {
                    (pattern, name) = (rest, after);
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, from)) = &mut star else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, name) = (behind.clone(), from.clone());
    }
}

/// Whether the first token of a pattern, of which `rest` follows, is `character`; takes the whole of a set from `rest`.
fn fits(token: char, rest: &mut Chars<'_>, character: char) -> bool {
    match token {
        '?' => true,
        '[' => match set(rest.as_str()) {
            Some((set, behind)) => {
                *rest = behind.chars();
                in_set(set, character)
            }
            None => character == '[',
        },
        other => other == character,
    }
}

/// What is between the brackets, and what follows. A bracket that comes first belongs to the set.
fn set(text: &str) -> Option<(&str, &str)> {
    let first = usize::from(text.starts_with('!'));
    let from = first + text.get(first..)?.chars().next()?.len_utf8();
    let end = from + text.get(from..)?.find(']')?;
    Some((&text[..end], &text[end + 1..]))
}

fn in_set(set: &str, character: char) -> bool {
    let (not, set) = set.strip_prefix('!').map_or((false, set), |set| (true, set));
    let members: Vec<char> = set.chars().collect();
    let mut at = 0;
    let mut found = false;
    while let Some(&from) = members.get(at) {
        match (members.get(at + 1), members.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                found |= (from..=to).contains(&character);
                at += 3;
            }
            _ => {
                found |= from == character;
                at += 1;
            }
        }
    }
    found != not
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_a_shells() {
        for (pattern, yes, no) in [
            ("*", &["", "a", "web-1"][..], &[][..]),
            ("web*", &["web", "web1", "website"], &["we", "aweb"]),
            ("*b", &["b", "ab", "bb", "abab"], &["ba", ""]),
            ("w?b", &["web", "wob"], &["wb", "webs"]),
            ("*-*-x", &["a-b-x", "--x", "a-x-x"], &["a-x", "a-b-xy"]),
            ("web[1-3]", &["web1", "web3"], &["web4", "web", "web12"]),
            ("web[!1-3]", &["web4", "weba"], &["web1"]),
            ("a[]]", &["a]"], &["a[", "a"]),
            ("a[", &["a["], &["a"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("web", &["web"], &["web1", "we"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name), "{pattern} is {name}");
            }
            for name in no {
                assert!(!matches(pattern, name), "{pattern} is not {name}");
            }
        }
        assert!(is_pattern("web*") && is_pattern("[a]") && !is_pattern("web,db"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let name = "a".repeat(200);
        assert!(!matches(&format!("{}b", "*a".repeat(60)), &name));
    }
}
