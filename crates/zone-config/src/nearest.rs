//! What somebody who mistyped a word may have meant.

/// Finds the word that `typed` is nearest to, if one is near enough to be worth a question: two letters swapped in a word of
/// three, a letter more, less or changed in a short one, two in a long one, or the beginning of one word alone.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    let most = match lower.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let words: Vec<&str> = words.into_iter().filter(|word| *word != typed).collect();
    let far = words.iter().map(|word| (strsim::osa_distance(&lower, &word.to_lowercase()), *word));
    // Of three letters one is too much to be another.
    let near = |word: &str| lower.chars().count() > 3 || letters(word) == letters(&lower);
    if let Some((_, word)) = far.filter(|(distance, word)| *distance <= most && near(word)).min() {
        return Some(word);
    }
    let mut begin = words.into_iter().filter(|word| word.to_lowercase().starts_with(&lower));
    match (begin.next(), begin.next()) {
        (Some(word), None) => Some(word),
        _ => None,
    }
}

fn letters(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.to_lowercase().chars().collect();
    letters.sort_unstable();
    letters
}

/// The question after a message, or nothing: `; did you mean "autoboot"?`.
pub fn did_you_mean<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, words).map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_near_and_another_word_is_not() {
        let words = ["autoboot", "brand", "bootargs", "net", "fs", "nfs", "web1", "web2"];
        for (typed, meant) in [
            ("autobot", Some("autoboot")),
            ("Autoboot", Some("autoboot")),
            ("bootarg", Some("bootargs")),
            ("brnad", Some("brand")),
            ("ent", Some("net")),
            ("boota", Some("bootargs")),
            ("ftp", None),
            ("abc", None),
            ("xyz", None),
            ("zfs", None),
            ("web", None),
            ("f", None),
            ("", None),
            ("net", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
        assert_eq!(did_you_mean("brnd", words), "; did you mean \"brand\"?");
        assert_eq!(did_you_mean("zonepath", words), "");
    }
}
