//! What a `security-flags` resource asks for: which of Solaris' three flags processes begin with, must keep and may have.
//!
//! Linux has none of them as a property of a process that can be bounded. It has what they do: layouts are random unless a
//! program turns that off for itself (personality(2)), which can be refused; the null page cannot be mapped by a zone;
//! whether a stack can be executed is written in each program.

use crate::config::SecurityFlags;

/// The flags, and the words for all and none of them.
pub const WORDS: [&str; 5] = ["aslr", "forbidnullmap", "noexecstack", "all", "none"];

const ASLR: u8 = 1;
const FORBIDNULLMAP: u8 = 1 << 1;
const NOEXECSTACK: u8 = 1 << 2;
const ALL: u8 = ASLR | FORBIDNULLMAP | NOEXECSTACK;

/// The three sets of a zone, as bits.
#[derive(Clone, Copy)]
struct Sets {
    default: u8,
    lower: u8,
    upper: u8,
}

impl Sets {
    /// A set that is not given: nothing has to be kept, everything is allowed, and processes begin with what Linux has.
    fn of(default: &[String], lower: &[String], upper: &[String]) -> Self {
        let given = |words: &[String]| {
            (!words.is_empty()).then(|| words.iter().fold(0, |set, word| set | flag(word)))
        };
        let (lower, upper) = (given(lower).unwrap_or(0), given(upper).unwrap_or(ALL));
        let default = given(default).unwrap_or((lower | ASLR | FORBIDNULLMAP) & upper);
        Self { default, lower, upper }
    }

    fn of_zone(flags: &[SecurityFlags]) -> Option<Self> {
        flags.first().map(|flags| Self::of(&flags.default, &flags.lower, &flags.upper))
    }
}

fn flag(word: &str) -> u8 {
    match word {
        "aslr" => ASLR,
        "forbidnullmap" => FORBIDNULLMAP,
        "noexecstack" => NOEXECSTACK,
        "all" => ALL,
        _ => 0,
    }
}

/// Says what does not go together in one resource.
#[must_use]
pub fn violation(default: &[String], lower: &[String], upper: &[String]) -> Option<&'static str> {
    let Sets { default, lower, upper } = Sets::of(default, lower, upper);
    let within = |part: u8, whole: u8| part & !whole == 0;
    (!within(lower, default) || !within(default, upper)).then_some(
        "security-flags violate invariants: what must be kept (lower) has to be in default, and that in upper",
    )
}

/// Whether processes of the zone must keep their random layout.
#[must_use]
pub fn keeps_aslr(flags: &[SecurityFlags]) -> bool {
    Sets::of_zone(flags).is_some_and(|sets| sets.lower & ASLR != 0)
}

/// Names what of the flags Linux does not do.
#[must_use]
pub fn idle_names(flags: &[SecurityFlags]) -> Vec<&'static str> {
    shortcomings(flags).map(|(name, _)| name).collect()
}

/// What of the flags Linux does not do: by name, and what it does instead.
fn shortcomings(flags: &[SecurityFlags]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let sets = Sets::of_zone(flags);
    let cases = sets.map(|Sets { default, lower, upper }| {
        [
            (
                default & ASLR == 0,
                "default without aslr",
                "aslr stays on unless a program turns it off for itself (setarch -R)",
            ),
            (
                default & FORBIDNULLMAP == 0,
                "default without forbidnullmap",
                "forbidnullmap stays on, for no zone can map the null page",
            ),
            (
                (default | lower) & NOEXECSTACK != 0,
                "noexecstack",
                "noexecstack is said by each program itself (PT_GNU_STACK)",
            ),
            (
                upper & NOEXECSTACK == 0,
                "upper without noexecstack",
                "no program is kept from a stack that cannot be executed",
            ),
        ]
    });
    cases.into_iter().flatten().filter_map(|(holds, name, text)| holds.then_some((name, text)))
}

/// Says what of the flags Linux does not do, in one sentence.
#[must_use]
pub fn idle(flags: &[SecurityFlags]) -> Option<String> {
    let told: Vec<&str> = shortcomings(flags).map(|(_, text)| text).collect();
    (!told.is_empty())
        .then(|| format!("security-flags: Linux has no such flags of a process: {}", told.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(default: &str, lower: &str, upper: &str) -> SecurityFlags {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        SecurityFlags { default: words(default), lower: words(lower), upper: words(upper) }
    }

    #[test]
    fn the_sets_hold_each_other() {
        let violates = |of: SecurityFlags| violation(&of.default, &of.lower, &of.upper).is_some();
        assert!(!violates(flags("aslr", "", "")));
        assert!(!violates(flags("", "aslr noexecstack", "")));
        assert!(!violates(flags("all", "aslr", "all")));
        assert!(violates(flags("none", "aslr", "")));
        assert!(violates(flags("aslr", "", "noexecstack")));
        assert!(violates(flags("", "aslr", "none")));
    }

    #[test]
    fn what_is_obeyed_and_what_is_not() {
        assert!(!keeps_aslr(&[]) && idle(&[]).is_none());
        let kept = [flags("aslr forbidnullmap", "aslr", "")];
        assert!(keeps_aslr(&kept) && idle(&kept).is_none(), "Linux does all of that");
        assert!(!keeps_aslr(&[flags("aslr", "", "")]));
        let said = idle(&[flags("none", "", "aslr")]).unwrap();
        assert!(said.contains("setarch -R") && said.contains("null page"), "{said}");
        assert!(idle(&[flags("", "noexecstack", "")]).unwrap().contains("PT_GNU_STACK"));
    }
}
