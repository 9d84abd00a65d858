//! What is wrong with a list of translations.

use std::collections::BTreeMap;

use zone_locale::template::{Piece, holes, pieces};

use super::{All, Language};

/// Compares a list with all messages there are.
pub(super) fn faults(language: &Language, all: &All, entries: &BTreeMap<&str, &str>) -> Vec<String> {
    let name = language.name;
    let mut faults = Vec::new();
    for (english, places) in all {
        let at: Vec<_> = places.iter().map(|place| place.at.as_str()).collect();
        let at = at.join(", ");
        match entries.get(english.as_str()) {
            None if !language.complete => {}
            None => faults.push(format!("{at}: not in {name}.po: {english:?}")),
            Some(&"") if language.complete => {
                faults.push(format!("{at}: not translated in {name}.po: {english:?}"));
            }
            Some(&"") => {}
            Some(own) => {
                if let Some(fault) = fault(english, own) {
                    faults.push(format!("{name}.po: {fault}: {english:?} is {own:?}"));
                }
            }
        }
    }
    let obsolete = entries
        .keys()
        .filter(|english| language.complete && !english.is_empty() && !all.contains_key(**english));
    faults.extend(obsolete.map(|english| format!("{name}.po: nobody says this any more: {english:?}")));
    faults
}

/// What is wrong with a translation.
fn fault(english: &str, own: &str) -> Option<&'static str> {
    let ends = |text: &str| (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
    if holes(english) != holes(own) {
        return Some("other holes");
    }
    if ends(english) != ends(own) {
        return Some("other blanks at its ends");
    }
    if own.chars().any(|c| c.is_control() && c != '\n') {
        return Some("a control character");
    }
    let words =
        |text: &str| pieces(text).any(|piece| matches!(piece, Piece::Text(text) if !text.trim().is_empty()));
    (words(english) && !words(own)).then_some("no words")
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;

    #[test]
    fn each_fault_is_found() {
        let place = || vec![Place { of: "x".into(), at: "x.rs:1".into() }];
        let all: All = ["a {b} c", "new", "empty", "fine {0}"].map(|key| (key.to_owned(), place())).into();
        let entries =
            BTreeMap::from([("a {b} c", "d {e}"), ("empty", ""), ("fine {0}", "gut {0}"), ("old", "alt")]);
        let found = |complete| faults(&Language { name: "de", complete }, &all, &entries);
        assert_eq!(
            found(true),
            [
                r#"de.po: other holes: "a {b} c" is "d {e}""#,
                r#"x.rs:1: not translated in de.po: "empty""#,
                r#"x.rs:1: not in de.po: "new""#,
                r#"de.po: nobody says this any more: "old""#,
            ]
        );
        assert_eq!(found(false).len(), 1);
        assert_eq!(fault("a", "b "), Some("other blanks at its ends"));
        assert_eq!(fault("a", "\u{1b}"), Some("a control character"));
        assert_eq!(fault("a {b}", "{b}"), Some("no words"));
        assert_eq!(fault("a {b} {b}", "{b} c"), None);
    }
}
