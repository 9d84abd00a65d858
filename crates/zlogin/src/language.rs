//! The caller's language, as far as the zone knows it.
//!
//! A locale that a program does not find makes it complain, or fall back to one without umlauts. So what the zone
//! does not have is not handed over, and who has no language left gets one that every system has.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Variables that say in which language.
pub(crate) type Language = Vec<(String, OsString)>;

/// Where the C library of most systems has the locales.
const LOCALES: &str = "/usr/lib/locale";
/// The locale of those who have no other.
const PLAIN: &str = "C.UTF-8";
/// How `locale-archive` begins.
const MAGIC: u32 = 0xde02_0109;
/// The most of its names that is looked at, in bytes.
const MOST_NAMES: usize = 1024 * 1024;
/// The longest value that is handed over, in bytes.
const MOST_VALUE: usize = 64;

/// That of this process.
pub(crate) fn own() -> Language {
    std::env::vars_os().filter_map(|(name, value)| kept(name.to_str()?, value)).collect()
}

/// The variable, if it is one that says so.
pub(crate) fn kept(name: &str, value: OsString) -> Option<(String, OsString)> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.@-:".contains(byte);
    let says = ["LANG", "LANGUAGE"].contains(&name)
        || name.strip_prefix("LC_").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_uppercase()));
    let is_value = !value.is_empty() && value.len() <= MOST_VALUE && value.as_bytes().iter().all(fits);
    (says && is_value).then(|| (name.to_owned(), value))
}

/// What the zone knows of it. To be called inside the zone.
pub(crate) fn known(caller: &Language) -> Language {
    known_in(caller, Path::new(LOCALES))
}

fn known_in(caller: &Language, locales: &Path) -> Language {
    let is_known = |value: &OsStr| value.to_str().is_some_and(|name| is_there(name, locales));
    // A list of languages, of which programs take the first that they have.
    let is_list = |name: &str| name == "LANGUAGE";
    let mut env: Language =
        caller.iter().filter(|(name, value)| is_list(name) || is_known(value)).cloned().collect();
    if !env.iter().any(|(name, _)| name == "LANG" || name == "LC_ALL") {
        env.push(("LANG".to_owned(), PLAIN.into()));
    }
    env
}

/// Whether the locale is there.
fn is_there(name: &str, locales: &Path) -> bool {
    if matches!(name, "C" | "POSIX") || name.eq_ignore_ascii_case(PLAIN) {
        return true;
    }
    if name.contains('/') || name.starts_with('.') {
        return false;
    }
    // Installed as en_US.utf8, called en_US.UTF-8.
    let short = name
        .split_once('.')
        .map(|(language, set)| format!("{language}.{}", set.to_lowercase().replace(['-', '_'], "")));
    [Some(name), short.as_deref()]
        .into_iter()
        .flatten()
        .any(|name| locales.join(name).is_dir() || is_in_archive(name, &locales.join("locale-archive")))
}

/// Whether the C library's archive of locales has it.
fn is_in_archive(name: &str, archive: &Path) -> bool {
    let names = || {
        // Not to be held up by a pipe that somebody put there.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        let flags = i32::try_from(flags).ok()?;
        let file = File::options().read(true).custom_flags(flags).open(archive).ok()?;
        let mut head = [0; 28];
        file.read_exact_at(&mut head, 0).ok()?;
        let word = |at: usize| head.get(at * 4..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let (start, length) = (word(5)?, usize::try_from(word(6)?).ok()?);
        if word(0)? != MAGIC || length > MOST_NAMES {
            return None;
        }
        let mut names = vec![0; length];
        file.read_exact_at(&mut names, start.into()).ok()?;
        Some(names)
    };
    names().is_some_and(|names| names.split(|&byte| byte == 0).any(|known| known == name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a `LANG` and a language that nobody has.
    fn given(lang: &str, locales: &Path) -> String {
        let env = vec![("LANG".to_owned(), lang.into()), ("LC_TIME".to_owned(), "xx_XX.UTF-8".into())];
        let env = known_in(&env, locales);
        assert_eq!(env.len(), 1, "{env:?}");
        env[0].1.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_language_that_the_zone_does_not_know_is_not_handed_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("de_DE.utf8")).unwrap();
        assert_eq!(given("de_DE.UTF-8", dir.path()), "de_DE.UTF-8");
        assert_eq!(given("C", dir.path()), "C");
        assert_eq!(given("fr_FR.UTF-8", dir.path()), "C.UTF-8");
        assert_eq!(given("../../etc", dir.path()), "C.UTF-8");
    }

    #[test]
    fn an_archive_is_believed_as_to_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let archive = |magic: u32, names: &[u8]| {
            let words = [magic, 1, 56, 1, 1, 56, u32::try_from(names.len()).unwrap()];
            let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
            bytes.resize(56, 0);
            bytes.extend_from_slice(names);
            std::fs::write(dir.path().join("locale-archive"), bytes).unwrap();
        };
        archive(MAGIC, b"de_AT.utf8\0fr_FR\0");
        assert_eq!(given("de_AT.UTF-8", dir.path()), "de_AT.UTF-8");
        assert_eq!(given("fr_FR", dir.path()), "fr_FR");
        assert_eq!(given("fr_F", dir.path()), "C.UTF-8");
        archive(1, b"de_AT.utf8\0");
        assert_eq!(given("de_AT.UTF-8", dir.path()), "C.UTF-8");
        std::fs::write(dir.path().join("locale-archive"), b"x").unwrap();
        assert_eq!(given("de_AT.UTF-8", dir.path()), "C.UTF-8");
    }

    #[test]
    fn only_what_says_the_language_is_kept() {
        assert!(kept("LC_TIME", "de_AT@euro".into()).is_some());
        for (name, value) in
            [("LD_PRELOAD", "x"), ("LC_", ""), ("LC_a=b", "C"), ("LANG", "a b"), ("LANG", "")]
        {
            assert_eq!(kept(name, value.into()), None, "{name}={value}");
        }
    }
}
