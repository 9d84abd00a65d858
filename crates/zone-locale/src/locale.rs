//! The name of a locale, as POSIX has it.

use std::sync::OnceLock;

/// A language that there are texts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English: what the locale `C` speaks.
    #[default]
    English,
    /// German: what the locales `de_*` speak.
    German,
    /// French: what the locales `fr_*` speak.
    French,
}

impl Language {
    /// Its column in the table of texts.
    pub(crate) fn column(self) -> usize {
        match self {
            Self::English => 0,
            Self::German => 1,
            Self::French => 2,
        }
    }
}

/// The languages by what stands first in a locale's name: with a country where that makes a difference,
/// otherwise without.
const LANGUAGES: [(&str, Language); 3] =
    [("en", Language::English), ("de", Language::German), ("fr", Language::French)];

/// What a locale means for a message: its language, and which characters can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locale {
    language: Language,
    utf8: bool,
}

impl Locale {
    /// The locale `C`, or `POSIX`.
    pub const C: Self = Self { language: Language::English, utf8: false };

    /// Reads a name of the form `ll[_CC][.charset][@modifier]` (environ(7), XBD 8.2). A country that
    /// there is no text of its own for falls back to its language, and a language that there is none
    /// for, and whatever else is no such name, to `C`.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let (name, _modifier) = name.split_once('@').unwrap_or((name, ""));
        let (place, charset) = name.split_once('.').unwrap_or((name, ""));
        let language = place.split_once('_').map_or(place, |(language, _)| language);
        let known = |wanted: &str| {
            let found = LANGUAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|&(_, language)| language)
        };
        let Some(language) = known(place).or_else(|| known(language)) else { return Self::C };
        let utf8 = ["UTF-8", "UTF8"].iter().any(|name| charset.eq_ignore_ascii_case(name));
        Self { language, utf8 }
    }

    /// The variables that say the locale for messages, the first that is set and not empty before the others.
    pub const VARIABLES: [&'static str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

    /// Finds the locale for messages that an environment asks for, as setlocale(3) would. `look` looks up a variable.
    pub fn name_in(look: impl Fn(&str) -> Option<String>) -> String {
        Self::VARIABLES
            .into_iter()
            .find_map(|name| look(name).filter(|value| !value.is_empty()))
            .unwrap_or_else(|| "C".to_owned())
    }

    /// The locale for messages of this process, by its environment, which is read once.
    #[must_use]
    pub fn here() -> Self {
        static HERE: OnceLock<Locale> = OnceLock::new();
        *HERE.get_or_init(|| Self::parse(&Self::name_in(|name| std::env::var(name).ok())))
    }

    /// A name of it: one of a few that are written here, whatever it was parsed from.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.language, self.utf8) {
            (Language::English, _) => "C",
            (Language::German, false) => "de_DE",
            (Language::German, true) => "de_DE.UTF-8",
            (Language::French, false) => "fr_FR",
            (Language::French, true) => "fr_FR.UTF-8",
        }
    }

    /// Whether it speaks English, in which all messages are written.
    #[must_use]
    pub fn is_english(self) -> bool {
        self.language == Language::English
    }

    /// Whether an answer to a question is yes: in English, which everybody may answer in, or in this language.
    #[must_use]
    pub fn is_yes(self, answer: &str) -> bool {
        let own = match self.language {
            Language::English => "",
            Language::German => "ja",
            Language::French => "oui",
        };
        let answer = answer.trim().to_lowercase();
        let is = |yes: &str| !answer.is_empty() && (yes == answer || yes.get(..1) == Some(&answer));
        is("yes") || is(own)
    }

    /// Gives the language of its texts.
    #[must_use]
    pub fn language(self) -> Language {
        self.language
    }

    /// A text of the catalogue as it can be shown there: where the characters are not those of UTF-8,
    /// whatever they are, in ASCII, with two letters for one as is usual in that language.
    #[must_use]
    pub(crate) fn spell(self, text: &str) -> String {
        if self.utf8 || text.is_ascii() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match (self.language, c) {
                (Language::German, 'ä') => out.push_str("ae"),
                (Language::German, 'ö') => out.push_str("oe"),
                (Language::German, 'ü') => out.push_str("ue"),
                (Language::German, 'Ä') => out.push_str("Ae"),
                (Language::German, 'Ö') => out.push_str("Oe"),
                (Language::German, 'Ü') => out.push_str("Ue"),
                (_, 'ß') => out.push_str("ss"),
                (_, c) => out.push(plain(c)),
            }
        }
        out
    }
}

/// The letter beneath an accent; a question mark for what has none in ASCII.
fn plain(c: char) -> char {
    match c {
        c if c.is_ascii() => c,
        '\u{a0}' | '\u{202f}' => ' ',
        'à' | 'â' | 'ä' => 'a',
        'ç' => 'c',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' => 'i',
        'ô' | 'ö' => 'o',
        'ù' | 'û' | 'ü' => 'u',
        'À' | 'Â' => 'A',
        'Ç' => 'C',
        'É' | 'È' | 'Ê' => 'E',
        '’' => '\'',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_understood() {
        use Language::{English, French, German};
        for (name, language, utf8) in [
            ("de_DE.UTF-8", German, true),
            ("de_AT.utf8", German, true),
            ("de", German, false),
            ("de_DE", German, false),
            ("de_DE@euro", German, false),
            ("de_DE.UTF-8@euro", German, true),
            ("de_DE.ISO8859-1", German, false),
            ("DE_de.Utf-8", German, true),
            ("fr_CA.UTF-8", French, true),
            ("fr.ISO-8859-15@euro", French, false),
            ("en_GB.UTF-8", English, true),
            ("en", English, false),
        ] {
            let locale = Locale { language, utf8 };
            assert_eq!(Locale::parse(name), locale, "{name}");
            if language != English {
                assert_eq!(Locale::parse(locale.name()), locale);
            }
        }
        for name in
            ["C", "POSIX", "", "C.UTF-8", "ja_JP.UTF-8", "deu_DE", "d", "_DE", ".UTF-8", "@", "de-DE", "/a"]
        {
            assert_eq!(Locale::parse(name), Locale::C, "{name}");
        }
    }

    #[test]
    fn the_environment_is_asked_in_order() {
        let env = |pairs: &'static [(&str, &str)]| {
            Locale::name_in(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(env(&[]), "C");
        assert_eq!(env(&[("LANG", "de_DE"), ("LC_CTYPE", "fr_FR")]), "de_DE");
        assert_eq!(env(&[("LANG", "de_DE"), ("LC_MESSAGES", "fr_FR")]), "fr_FR");
        assert_eq!(env(&[("LANG", "de_DE"), ("LC_MESSAGES", "fr_FR"), ("LC_ALL", "C")]), "C");
        assert_eq!(env(&[("LANG", "de_DE"), ("LC_ALL", "")]), "de_DE");
    }

    #[test]
    fn other_characters_are_spelt_in_ascii() {
        assert_eq!(Locale::parse("de_DE").spell("Übermut ist größer"), "Uebermut ist groesser");
        assert_eq!(Locale::parse("fr_FR").spell("Déjà\u{a0}: garçon"), "Deja : garcon");
        assert_eq!(Locale::parse("de_DE.UTF-8").spell("Übermut"), "Übermut");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_panics(name in ".{0,40}", text in ".{0,40}") {
            let spelt = Locale::parse(&name).spell(&text);
            prop_assert!(Locale::parse(&name).utf8 || spelt.is_ascii());
        }
    }
}
