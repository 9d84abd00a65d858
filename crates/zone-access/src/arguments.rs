//! A call in the words of `zoneadm`: the table of what each verb takes. Nothing that a caller wrote is a word that could be an
//! option: names have been read as names, numbers as numbers, and boot arguments come behind `--`.

use zone_config::{Layout, ZoneName};
use zone_door::access::{Ask, List, Refusal, Verb};

/// As messages spell it.
pub(crate) fn verb(ask: &Ask) -> &'static str {
    match ask {
        Ask::List(_) => "list",
        Ask::Ready(_) => "ready",
        Ask::Boot(_) => "boot",
        Ask::Reboot(_) => "reboot",
        Ask::Halt(_) => "halt",
        Ask::Shutdown(_) => "shutdown",
        Ask::Apply(_) => "apply",
        Ask::Enter(_) => "login",
        Ask::Console(_) => "console",
    }
}

/// The words after the program's name; `None` for what is not zoneadm's.
///
/// # Errors
/// [`Refusal`] when the verb does not take what was given.
pub(crate) fn of(
    layout: &Layout,
    zone: Option<&ZoneName>,
    ask: &Ask,
) -> Result<Option<Vec<String>>, Refusal> {
    let mut words = Vec::new();
    if !layout.is_default() {
        words.extend(["-R".to_owned(), layout.root().to_string_lossy().into_owned()]);
    }
    if let Some(zone) = zone {
        words.extend(["-z".to_owned(), zone.to_string()]);
    }
    words.push(verb(ask).to_owned());
    match ask {
        Ask::List(list) => words.extend(of_list(list)),
        Ask::Ready(verb) => words.extend(of_verb(verb, &[])?),
        Ask::Boot(verb) => words.extend(of_verb(verb, &["--wait", "-s", "-w", "--"])?),
        Ask::Reboot(verb) => words.extend(of_verb(verb, &["-w", "--"])?),
        Ask::Halt(verb) => words.extend(of_verb(verb, &["-F"])?),
        Ask::Shutdown(verb) => words.extend(of_verb(verb, &["-t", "-r", "--"])?),
        Ask::Apply(verb) => words.extend(of_verb(verb, &["-n", "-q", "--json"])?),
        Ask::Enter(_) | Ask::Console(_) => return Ok(None),
    }
    Ok(Some(words))
}

fn of_list(list: &List) -> impl Iterator<Item = String> {
    let flags = [
        (list.configured, "-c"),
        (list.installed, "-i"),
        (list.no_global, "-n"),
        (list.parsable, "-p"),
        (list.verbose, "-v"),
        (list.net, "--net"),
        (list.json, "--json"),
    ];
    flags.into_iter().filter(|(given, _)| *given).map(|(_, flag)| flag.to_owned())
}

/// The words of what was given of a verb that takes `takes`.
fn of_verb(verb: &Verb, takes: &[&str]) -> Result<Vec<String>, Refusal> {
    let flags = [
        (verb.wait.is_some(), "--wait"),
        (verb.single, "-s"),
        (verb.writable, "-w"),
        (verb.force, "-F"),
        (verb.reboot, "-r"),
        (verb.dry_run, "-n"),
        (verb.quiet, "-q"),
        (verb.json, "--json"),
        (verb.timeout.is_some(), "-t"),
        (!verb.bootargs.is_empty(), "--"),
    ];
    let mut words = Vec::new();
    for (_, flag) in flags.into_iter().filter(|(given, _)| *given) {
        if !takes.contains(&flag) {
            return Err(Refusal::Invalid { parameter: flag.to_owned() });
        }
        // Of the one whose value is its own to leave out.
        words.push(match verb.wait.filter(|_| flag == "--wait") {
            Some(seconds) => format!("{flag}={seconds}"),
            None => flag.to_owned(),
        });
        match flag {
            "-t" => words.extend(verb.timeout.map(|seconds| seconds.to_string())),
            "--" => words.extend(verb.bootargs.iter().cloned()),
            _ => {}
        }
    }
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Refusal::Invalid { parameter: "bootargs".to_owned() });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ask: &Ask) -> Result<String, Refusal> {
        let zone: ZoneName = "web".parse().unwrap();
        of(&Layout::host(), Some(&zone), ask).map(|words| words.unwrap_or_default().join(" "))
    }

    #[test]
    fn a_call_in_words() {
        let verb = || Verb { zone: "web".into(), ..Verb::default() };
        let args = || vec!["-m".to_owned(), "x".to_owned()];
        for (ask, words) in [
            (Ask::Ready(verb()), "-z web ready"),
            (
                Ask::Boot(Verb { wait: Some(9), single: true, writable: true, bootargs: args(), ..verb() }),
                "-z web boot --wait=9 -s -w -- -m x",
            ),
            (Ask::Reboot(Verb { bootargs: args(), ..verb() }), "-z web reboot -- -m x"),
            (Ask::Halt(Verb { force: true, ..verb() }), "-z web halt -F"),
            (Ask::Shutdown(Verb { timeout: Some(5), reboot: true, ..verb() }), "-z web shutdown -r -t 5"),
            (Ask::Apply(Verb { dry_run: true, json: true, ..verb() }), "-z web apply -n --json"),
            (Ask::List(List { parsable: true, no_global: true, ..List::default() }), "-z web list -n -p"),
        ] {
            assert_eq!(line(&ask).as_deref(), Ok(words));
        }
    }

    #[test]
    fn what_a_verb_does_not_take_is_refused() {
        let verb = || Verb { zone: "web".into(), ..Verb::default() };
        for ask in [
            Ask::Ready(Verb { bootargs: vec!["x".into()], ..verb() }),
            Ask::Halt(Verb { timeout: Some(1), ..verb() }),
            Ask::Reboot(Verb { wait: Some(1), ..verb() }),
            Ask::Boot(Verb { force: true, ..verb() }),
            Ask::Apply(Verb { writable: true, ..verb() }),
            Ask::Boot(Verb { bootargs: vec!["a\0b".into()], ..verb() }),
        ] {
            assert!(matches!(line(&ask), Err(Refusal::Invalid { .. })), "{ask:?}");
        }
    }
}
