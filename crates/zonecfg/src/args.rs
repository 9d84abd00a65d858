//! The command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::{ArgAction, Parser};

const EXAMPLES: &str = "\
Commands are separated by ';' or line breaks; 'zonecfg help commands' lists them.
When a command fails, a command line or file changes nothing: a file is left there, of a command line the rest is
looked at for what else is wrong.

Exit status: 0 done, 1 a command failed or makes no sense, 2 wrong usage of zonecfg itself.

Examples:
  Describe a zone that shares the host's /usr:
    zonecfg -z web 'create; set hostname=www; commit'
  Give it a directory of the host, read-only:
    zonecfg -z web 'add fs; set dir=/data; set special=/srv; set type=lofs; add options ro; end'
  Look at it:
    zonecfg -z web info
  Make another like it, with a zonepath of its own:
    zonecfg -z web2 'create -t web'
  Describe one as a file of illumos or Solaris does:
    zonecfg -z old 'create -f /mnt/etc/zones/old.xml'
  Keep the commands that make it again:
    zonecfg -z web export -f web.cfg
  Give the zone that runs more memory, until it boots next:
    zonecfg -z web -r 'set capped-memory:physical=2G'
  Remove the description:
    zonecfg -z web delete -F";

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "zonecfg",
    version,
    about = "Describe zones",
    after_help = EXAMPLES,
    override_usage = "zonecfg [-R ROOT] -z ZONE [-nr] [-f FILE | COMMAND...]\n       zonecfg help [COMMAND | RESOURCE | PROPERTY | commands | syntax | usage]",
    disable_help_flag = true,
    max_term_width = 100
)]
pub struct Args {
    /// The zone to describe
    #[arg(short = 'z', value_name = "ZONE")]
    pub zone: Option<String>,
    /// Edit what the zone has that runs, instead of what is configured; a commit gives it that, until it boots next
    #[arg(short = 'r', long)]
    pub running: bool,
    /// Do everything but save: check the commands, and show what they would make
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Read commands from FILE; '-' is standard input
    #[arg(short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Work on the zones under ROOT instead of the host's
    #[arg(short = 'R', value_name = "ROOT")]
    pub root: Option<PathBuf>,
    /// Print help
    #[arg(short = 'h', visible_short_alias = '?', long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// The commands, all words joined by blanks
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub commands: Vec<String>,
}

/// The options that have an argument, and those that have none.
const OPTIONS: (&[u8], &[u8]) = (b"zfR", b"rnh?");

/// Takes options that share a word apart, as getopt(3) does: `-zweb` is `-z web`, `-nzweb` is `-n -z web`. Else they would pass for
/// the first word of a command, which may begin with a dash. A word that has another letter stays what it is.
#[must_use]
pub fn separated(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut all: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        let Some((options, has_argument)) = options_of(&word) else {
            all.push(word);
            break;
        };
        all.extend(options);
        if has_argument {
            all.extend(words.next());
        }
    }
    all.extend(words);
    all
}

/// The options of a word, and whether the last one's argument is the next word; `None` if it is none of options alone.
fn options_of(word: &OsStr) -> Option<(Vec<OsString>, bool)> {
    let letters = word.as_bytes().strip_prefix(b"-").filter(|letters| !letters.is_empty())?;
    if letters.starts_with(b"-") {
        // --running, --dry-run, --help: none has an argument. What follows -- is no option.
        return (letters.len() > 1).then(|| (vec![word.to_owned()], false));
    }
    let mut options = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let option = OsString::from_vec(vec![b'-', *letter]);
        if OPTIONS.0.contains(letter) {
            let argument = &letters[at + 1..];
            options.push(option);
            options.extend((!argument.is_empty()).then(|| OsString::from_vec(argument.to_vec())));
            return Some((options, argument.is_empty()));
        }
        if !OPTIONS.1.contains(letter) {
            return None;
        }
        options.push(option);
    }
    Some((options, false))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn apart(line: &str) -> String {
        let words = separated(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_may_share_a_word() {
        for (typed, read) in [
            ("zonecfg -zweb info", "zonecfg -z web info"),
            ("zonecfg -z web info -v", "zonecfg -z web info -v"),
            ("zonecfg -nzweb -R/a info", "zonecfg -n -z web -R /a info"),
            ("zonecfg -rz web -ffile", "zonecfg -r -z web -f file"),
            ("zonecfg -z -n info", "zonecfg -z -n info"),
            ("zonecfg --dry-run -zweb info", "zonecfg --dry-run -z web info"),
            ("zonecfg -zweb -- -zdb", "zonecfg -z web -- -zdb"),
            ("zonecfg -zweb add -nzx", "zonecfg -z web add -nzx"),
            ("zonecfg -zweb -x", "zonecfg -z web -x"),
            ("zonecfg -f - -zweb", "zonecfg -f - -z web"),
        ] {
            assert_eq!(apart(typed), read);
        }
        assert_eq!(separated(["zonecfg".into()]), ["zonecfg"]);
    }

    #[test]
    fn the_letters_are_those_of_the_command_line() {
        for argument in Args::command().get_arguments() {
            let Some(letter) = argument.get_short() else { continue };
            let list = if argument.get_action().takes_values() { OPTIONS.0 } else { OPTIONS.1 };
            assert!(list.contains(&u8::try_from(letter).unwrap()), "-{letter}");
        }
    }
}
