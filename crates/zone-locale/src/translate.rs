//! A message in another language, found by its English text.
//!
//! A message has been put together when it comes here: an error with its causes, with a zone's name, a path, an answer of the
//! kernel in it. So it is taken apart again: as the templates say of which it may have been made, and at what stands between
//! an error and its cause. Of all ways to do so, the one counts that explains the most of its characters. What nothing
//! explains stays as it is: names, paths, numbers, and the words of programs that are not ours.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::Locale;
use crate::table::Row;
use crate::template::{Piece, pieces};

/// What stands between two messages on a line.
const BETWEEN: [&str; 5] = [": ", "; ", "  ", "\t", "\r"];
/// The longest line that is translated, in bytes: what is longer is no message of ours.
const LONGEST: usize = 8 * 1024;
/// How many ways to take a line apart are tried. A name that is made to have many gets its line untranslated.
const TRIES: u32 = 40_000;
/// As much as so many tries is a look through all templates.
const LOOK: u32 = 10;
/// How many messages may be one in another, or one behind another.
const DEEPEST: u32 = 24;

/// Says a message, which may have several lines, in the language of `locale`. In English it is the text itself.
#[must_use]
pub fn translate(locale: Locale, text: &str) -> Cow<'_, str> {
    if locale.is_english() {
        return Cow::Borrowed(text);
    }
    let whole = text.trim_matches('\n');
    if let Some(own) = Row::find(whole).and_then(|row| row.text(locale.language())) {
        return Cow::Owned(text.replace(whole, &plain(locale, own)));
    }
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let words = line.trim_end_matches('\n');
        match Search::new(locale).best(words) {
            Some(found) => out.push_str(&found.text),
            None => out.push_str(words),
        }
        out.push_str(&line[words.len()..]);
    }
    Cow::Owned(out)
}

/// Says a message in the language of whoever started this program.
#[must_use]
pub fn here(text: &str) -> Cow<'_, str> {
    translate(Locale::here(), text)
}

/// Says what has no holes in the language of `locale`, if there is an entry for just that.
#[must_use]
pub fn exact(locale: Locale, text: &str) -> Option<String> {
    if locale.is_english() {
        return None;
    }
    let found = Row::find(text).or_else(|| Row::find(&text.replace('{', "{{").replace('}', "}}")))?;
    found.text(locale.language()).map(|own| plain(locale, own))
}

/// A translation without anything to put in.
fn plain(locale: Locale, own: &str) -> String {
    let parts: String = pieces(own)
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Hole(text) => text,
        })
        .collect();
    locale.spell(&parts)
}

/// What was found for a part of a line.
#[derive(Clone, Debug)]
struct Found {
    /// How many bytes of it are explained.
    known: usize,
    text: String,
}

/// What stands in the holes of a template: the hole's name, its content, and whether that is a name in quotes.
type Held<'t> = Vec<(&'static str, &'t str, bool)>;

/// The search for one line, with what has been found for its parts.
struct Search<'t> {
    locale: Locale,
    known: HashMap<(usize, usize), Option<Found>>,
    tries: u32,
    depth: u32,
    line: std::marker::PhantomData<&'t str>,
}

impl<'t> Search<'t> {
    fn new(locale: Locale) -> Self {
        Self { locale, known: HashMap::new(), tries: TRIES, depth: 0, line: std::marker::PhantomData }
    }

    /// Finds the best way to say a part of the line.
    fn best(&mut self, text: &'t str) -> Option<Found> {
        if text.len() > LONGEST || !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        let words = text.trim_start_matches(' ');
        if words.len() < text.len() {
            let blanks = &text[..text.len() - words.len()];
            let found = self.best(words)?;
            return Some(Found { known: found.known, text: format!("{blanks}{}", found.text) });
        }
        let key = (text.as_ptr().addr(), text.len());
        if let Some(found) = self.known.get(&key) {
            return found.clone();
        }
        self.tries = self.tries.checked_sub(LOOK)?;
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let best = self.anew(text);
        self.depth -= 1;
        self.known.insert(key, best.clone());
        best
    }

    /// The same for what has not been looked at.
    fn anew(&mut self, text: &'t str) -> Option<Found> {
        let mut best = self.whole(text);
        // What is wrong with a property stands behind its name, which is no word of a message.
        let behind = text.split_once(' ').filter(|(name, _)| is_property(name));
        if let Some((name, reason)) = behind
            && let Some(found) = self.best(reason)
            && best.as_ref().is_none_or(|best| found.known > best.known)
        {
            best = Some(Found { known: found.known, text: format!("{name} {}", found.text) });
        }
        if best.as_ref().is_none_or(|best| best.known < text.len()) {
            for between in BETWEEN {
                for (at, _) in text.match_indices(between) {
                    let (left, right) = (&text[..at], &text[at + between.len()..]);
                    let first = self.whole(left);
                    let second = self.best(right);
                    let parts =
                        [&first, &second].into_iter().flatten().map(|found| found.known).sum::<usize>();
                    let most = best.as_ref().map_or(0, |best| best.known);
                    // What stands between two messages is explained by them; two are likelier than one in another.
                    let both = first.is_some() && second.is_some();
                    let known = parts + if both { between.len() } else { 0 };
                    if known > most || (both && known == most) {
                        let first = first.map_or_else(|| left.to_owned(), |found| found.text);
                        let second = second.map_or_else(|| right.to_owned(), |found| found.text);
                        best = Some(Found { known, text: format!("{first}{between}{second}") });
                    }
                }
            }
        }
        best
    }

    /// Finds the best way to say it as one message.
    fn whole(&mut self, text: &'t str) -> Option<Found> {
        if let Some(own) = Row::find(text).and_then(|row| row.text(self.locale.language())) {
            return Some(Found { known: text.len(), text: plain(self.locale, own) });
        }
        // A word alone is a name, unless it is one that has an entry.
        if !text.contains(' ') {
            return None;
        }
        let mut best: Option<(usize, &'static str, Held<'t>)> = None;
        for row in Row::templates() {
            let Some(own) = row.text(self.locale.language()) else { continue };
            let english = row.english();
            if !may_be(english, text) {
                continue;
            }
            let parts: Vec<Piece<'static>> = pieces(english).collect();
            let mut fit = None;
            self.fit(&parts, None, text, &mut Vec::new(), 0, &mut fit);
            if let Some((known, held)) = fit
                && best.as_ref().is_none_or(|(most, ..)| known > *most)
            {
                best = Some((known, own, held));
            }
        }
        let (known, own, held) = best?;
        let mut out = String::new();
        for piece in pieces(own) {
            match piece {
                Piece::Text(text) => out.push_str(&self.locale.spell(text)),
                Piece::Hole(name) => {
                    let Some(&(_, content, quoted)) = held.iter().find(|(hole, ..)| *hole == name) else {
                        continue;
                    };
                    let found = if quoted { None } else { self.best(content) };
                    out.push_str(&found.map_or(Cow::Borrowed(content), |found| Cow::Owned(found.text)));
                }
            }
        }
        Some(Found { known, text: out })
    }

    /// Lays a template over the text, from here on, in the way that explains the most.
    fn fit(
        &mut self,
        parts: &[Piece<'static>],
        before: Option<&str>,
        text: &'t str,
        held: &mut Held<'t>,
        known: usize,
        best: &mut Option<(usize, Held<'t>)>,
    ) {
        let Some(left) = self.tries.checked_sub(1) else { return };
        self.tries = left;
        match parts {
            [] if text.is_empty() => {
                if best.as_ref().is_none_or(|(most, _)| known > *most) {
                    *best = Some((known, held.clone()));
                }
            }
            [] => {}
            [Piece::Text(literal), rest @ ..] => {
                if let Some(behind) = text.strip_prefix(literal) {
                    self.fit(rest, Some(literal), behind, held, known + literal.len(), best);
                }
            }
            [Piece::Hole(name), rest @ ..] => {
                let next = match rest.first() {
                    Some(Piece::Text(literal)) => Some(*literal),
                    _ => None,
                };
                let ends: Vec<usize> = match next {
                    None => vec![text.len()],
                    Some(literal) if rest.len() == 1 => {
                        text.strip_suffix(literal).map(str::len).into_iter().collect()
                    }
                    Some(literal) => text.match_indices(literal).map(|(at, _)| at).collect(),
                };
                for end in ends {
                    let content = &text[..end];
                    let again = held.iter().find(|(hole, ..)| hole == name);
                    if again.is_some_and(|(_, other, _)| *other != content) {
                        continue;
                    }
                    let quoted = is_quoted(before, next);
                    let inside = if quoted || again.is_some() { None } else { self.best(content) };
                    let inside = inside.map_or(0, |found| found.known);
                    held.push((name, content, quoted));
                    self.fit(rest, None, &text[end..], held, known + inside, best);
                    held.pop();
                }
            }
        }
    }
}

/// Whether a template's first and last words are those of the text; most are not.
fn may_be(template: &str, text: &str) -> bool {
    let first = template.split('{').next().unwrap_or_default();
    let last = template.rsplit('}').next().unwrap_or_default();
    text.starts_with(first) && text.ends_with(last)
}

/// Whether a word can be the name of a property.
fn is_property(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Whether a hole is between quotes: what is in there is somebody's name for something.
fn is_quoted(before: Option<&str>, next: Option<&str>) -> bool {
    let before = before.and_then(|text| text.chars().next_back());
    let next = next.and_then(|text| text.chars().next());
    matches!((before, next), (Some('\''), Some('\'')) | (Some('"'), Some('"')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn german(text: &str) -> String {
        translate(Locale::parse("de_DE.UTF-8"), text).into_owned()
    }

    #[test]
    fn messages_are_taken_apart() {
        for (english, own) in [
            (
                "zoneadm: zone 'web': No such zone configured",
                "zoneadm: Zone 'web': Keine solche Zone konfiguriert",
            ),
            (
                "zoneadm: zone 'wb': No such zone configured; did you mean \"web\"?",
                "zoneadm: Zone 'wb': Keine solche Zone konfiguriert; ist \"web\" gemeint?",
            ),
            (
                "zone 'web': WARNING: could not execute '/sbin/init': No such file or directory",
                "Zone 'web': WARNUNG: Ausführen von '/sbin/init' nicht möglich: Datei oder Verzeichnis nicht gefunden",
            ),
            (
                "cannot set the mode of /etc/zones/web.toml: Read-only file system",
                "Setzen der Rechte nicht möglich: /etc/zones/web.toml: Das Dateisystem ist nur lesbar",
            ),
            (
                "could not add the address 192.0.2.1/24: File exists",
                "Hinzufügen der Adresse 192.0.2.1/24 nicht möglich: Die Datei existiert bereits",
            ),
            (
                "boot is in progress (now: cgroup); try again when it has ended",
                "boot läuft gerade (jetzt: cgroup); erneut versuchen, wenn es beendet ist",
            ),
            ("nobody says this: 12", "nobody says this: 12"),
            ("", ""),
        ] {
            assert_eq!(german(english), own);
            assert_eq!(translate(Locale::C, english), english);
            assert!(matches!(translate(Locale::C, english), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn what_is_wrong_with_a_property_stands_behind_its_name() {
        for (text, said) in [
            (
                "  zonepath overlaps the zonepath of zone db, /zones/db: give one of the two another",
                "  zonepath überschneidet sich mit dem Zonenpfad der Zone db, /zones/db: einer der beiden einen anderen geben",
            ),
            (
                "  dedicated-cpu: ncpus excludes cpus; allowed: one of them",
                "  dedicated-cpu: ncpus schließt cpus aus; erlaubt: eines von beiden",
            ),
        ] {
            assert_eq!(german(text), said);
        }
    }

    #[test]
    fn what_is_in_quotes_is_a_name() {
        assert_eq!(
            german("boot operation is invalid for zones in state 'Permission denied'"),
            "Vorgang boot ist für Zonen im Zustand 'Permission denied' ungültig"
        );
    }

    #[test]
    fn lines_and_columns_stay_where_they_are() {
        assert_eq!(
            german("Permission denied\n  Is a directory\n\n"),
            "Keine Berechtigung\n  Ist ein Verzeichnis\n\n"
        );
        assert_eq!(german("web   Permission denied"), "web   Keine Berechtigung");
    }

    #[test]
    fn without_utf8_it_is_ascii() {
        let said = translate(Locale::parse("de_DE"), "zone 'ü': could not execute '/ä': File exists");
        assert_eq!(said, "Zone 'ü': Ausfuehren von '/ä' nicht moeglich: Die Datei existiert bereits");
    }

    #[test]
    fn the_work_is_bounded() {
        for text in ["cannot a: ".repeat(700), " and ".repeat(1500)] {
            let _ = german(&text);
        }
        let long = "Permission denied ".repeat(1000);
        assert_eq!(german(&long), long);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn any_text_is_read(text in "([ -~äß\n\t]|: |; | and |cannot |could not |zone '){0,40}") {
            prop_assert!(german(&text).lines().count() >= text.lines().count().min(1));
        }
    }
}
