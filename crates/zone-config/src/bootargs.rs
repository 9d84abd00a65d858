//! Boot arguments, as `zoneadm boot -- ARGS` and the `bootargs` property give them.
//!
//! The rules are those of zoneadm(8) on Solaris:
//!
//! * words are separated by blanks and tabs; there is no quoting;
//! * a first word that does not start with `-` is the place where a kernel's path once stood, and is dropped in silence;
//! * `-i PATH` names another init and is for us alone; `-f` is taken and ignored; `-m OPTIONS` and `-s` are
//!   passed to init; several letters may share a dash and a value may follow its letter directly (`-mverbose`);
//! * an option nobody knows is passed to init all the same, and reported. What follows an unknown letter in
//!   the same word may be its value, so the rest of the word is passed on in one piece; `--word` is one
//!   unknown option, whole;
//! * `--` ends the options, and so does the first word that is not one. What is left is not passed on but
//!   reported: whether such a word was meant as the value of an unknown option cannot be known, and an init
//!   that is handed a stray word may take it for a run level.

/// Most bytes that boot arguments may have.
pub const MAX_LEN: usize = 1024;

/// Boot arguments, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootArgs {
    /// The path after `-i`: an init instead of the configured one.
    pub init: Option<String>,
    /// What init gets as its arguments, in order.
    pub args: Vec<String>,
    /// The options in `args` that nobody knows; the boot goes on, with the BADARGS notice on the console.
    pub invalid: Vec<String>,
    /// The words that were left after the options and are dropped; see [`Self::warning`].
    pub unused: Option<String>,
}

/// More than [`MAX_LEN`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boot argument string too long")]
pub struct TooLong;

impl BootArgs {
    /// Takes boot arguments apart.
    ///
    /// # Errors
    /// [`TooLong`]; everything else is reported in the result and boots.
    pub fn parse(text: &str) -> Result<Self, TooLong> {
        if text.len() > MAX_LEN {
            return Err(TooLong);
        }
        let mut parsed = Self::default();
        let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty()).peekable();
        words.next_if(|word| !word.starts_with('-'));
        while let Some(word) = words.next_if(|word| word.starts_with('-') && *word != "-") {
            if word == "--" {
                break;
            }
            parsed.option(word, &mut words);
        }
        let rest: Vec<&str> = words.collect();
        parsed.unused = (!rest.is_empty()).then(|| rest.join(" "));
        Ok(parsed)
    }

    /// What the requester is told about the words that were dropped.
    pub fn warning(&self) -> Option<String> {
        self.unused.as_ref().map(|rest| format!("WARNING: Unused or invalid boot arguments `{rest}'."))
    }

    fn option<'a>(&mut self, word: &'a str, more: &mut impl Iterator<Item = &'a str>) {
        let mut letters = word[1..].chars();
        while let Some(letter) = letters.next() {
            match letter {
                'f' => {}
                's' => self.args.push("-s".to_owned()),
                'i' | 'm' => {
                    let attached = letters.as_str();
                    let value = if attached.is_empty() { more.next() } else { Some(attached) };
                    match (letter, value) {
                        ('i', Some(path)) => self.init = Some(path.to_owned()),
                        (_, Some(options)) => self.args.extend(["-m".to_owned(), options.to_owned()]),
                        (_, None) => self.unknown(format!("-{letter}")),
                    }
                    return;
                }
                other => return self.unknown(format!("-{other}{}", letters.as_str())),
            }
        }
    }

    fn unknown(&mut self, option: String) {
        self.args.push(option.clone());
        self.invalid.push(option);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> (String, String, Option<String>, Option<String>) {
        let parsed = BootArgs::parse(text).unwrap();
        (parsed.args.join(" "), parsed.invalid.join(" "), parsed.unused, parsed.init)
    }

    #[test]
    fn the_rules() {
        let some = |text: &str| Some(text.to_owned());
        let none = || None;
        for (given, args, invalid, unused, init) in [
            ("", "", "", none(), none()),
            (" \t ", "", "", none(), none()),
            ("-s", "-s", "", none(), none()),
            ("kernel/unix -s", "-s", "", none(), none()),
            ("single", "", "", none(), none()),
            ("single more", "", "", some("more"), none()),
            ("-i /sbin/init -s", "-s", "", none(), some("/sbin/init")),
            ("-fsi/bin/sh", "-s", "", none(), some("/bin/sh")),
            ("-m verbose -s", "-m verbose -s", "", none(), none()),
            ("-m -s", "-m -s", "", none(), none()),
            ("-x -s", "-x -s", "-x", none(), none()),
            ("-sxm foo bar", "-s -xm", "-xm", some("foo bar"), none()),
            ("--unit=rescue.target", "--unit=rescue.target", "--unit=rescue.target", none(), none()),
            ("-s 3 -x", "-s", "", some("3 -x"), none()),
            ("-s -- -x", "-s", "", some("-x"), none()),
            ("-s - -x", "-s", "", some("- -x"), none()),
            ("-i", "-i", "-i", none(), none()),
        ] {
            assert_eq!(parse(given), (args.to_owned(), invalid.to_owned(), unused, init), "{given:?}");
        }
    }

    #[test]
    fn the_limit_and_the_warning() {
        assert!(BootArgs::parse(&"x".repeat(MAX_LEN)).is_ok());
        assert_eq!(BootArgs::parse(&"x".repeat(MAX_LEN + 1)), Err(TooLong));
        let warning = BootArgs::parse("-s a b").unwrap().warning().unwrap();
        assert_eq!(warning, "WARNING: Unused or invalid boot arguments `a b'.");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,80}") {
            let parsed = BootArgs::parse(&text).unwrap();
            prop_assert!(parsed.invalid.iter().all(|bad| parsed.args.contains(bad)));
            prop_assert!(parsed.args.iter().all(|arg| !arg.is_empty()));
        }
    }
}
