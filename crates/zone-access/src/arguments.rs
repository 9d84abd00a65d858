//! A call in the words of `zoneadm`: the table of what each verb takes. Nothing that a caller wrote is a word that could be an
//! option: names have been read as names, numbers as numbers, and boot arguments come behind `--`.

use zone_config::{Layout, State, ZoneName};
use zone_door::access::{Ask, List, Look, Refusal, Verb};

/// The longest list of names and patterns, in bytes.
const MOST_NAMES: usize = 1024;
/// As many columns, or states.
const MOST_WORDS: usize = 64;

/// As messages spell it.
pub(crate) fn verb(ask: &Ask) -> &'static str {
    match ask {
        Ask::List(_) => "list",
        Ask::Status(_) => "status",
        Ask::Ps(_) => "ps",
        Ask::Stat(_) => "stat",
        Ask::Events(_) => "events",
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
    match ask {
        Ask::List(list) => words.extend(which(zone, list.zones.as_deref(), false, &list.states)?),
        Ask::Status(look) | Ask::Ps(look) | Ask::Stat(look) | Ask::Events(look) => {
            words.extend(which(zone, look.zones.as_deref(), look.all, &look.states)?);
        }
        _ => {}
    }
    words.push(verb(ask).to_owned());
    match ask {
        Ask::List(list) => words.extend(of_list(list)?),
        Ask::Status(look) | Ask::Ps(look) => words.extend(of_look(look, &["--json"])?),
        Ask::Stat(look) => words.extend(of_look(look, &["-i", "-c", "--json", "--width"])?),
        Ask::Events(look) => words.extend(of_look(look, &["-f", "--json"])?),
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

/// The words before the verb that say which zones, if it is not one alone.
fn which(
    zone: Option<&ZoneName>,
    zones: Option<&str>,
    all: bool,
    states: &[State],
) -> Result<Vec<String>, Refusal> {
    let invalid = |parameter: &str| Err(Refusal::Invalid { parameter: parameter.to_owned() });
    // One at most: several are those of whoever sees all.
    if [zone.is_some(), zones.is_some(), all].into_iter().filter(|given| *given).count() > 1 {
        return invalid("zones");
    }
    let mut words = Vec::new();
    if let Some(zones) = zones {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-,*?[]!".contains(&byte);
        if zones.is_empty() || zones.len() > MOST_NAMES || zones.starts_with('-') || !zones.bytes().all(fits)
        {
            return invalid("zones");
        }
        words.extend(["-z".to_owned(), zones.to_owned()]);
    }
    if all {
        words.push("--all".to_owned());
    }
    match states {
        [] => {}
        // They are for several.
        _ if zone.is_some() || states.len() > MOST_WORDS => return invalid("states"),
        _ => words.extend(["--state".to_owned(), listed(states)]),
    }
    Ok(words)
}

fn listed(states: &[State]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",")
}

fn of_list(list: &List) -> Result<Vec<String>, Refusal> {
    let flags = [
        (list.configured, "-c"),
        (list.installed, "-i"),
        (list.no_global, "-n"),
        (list.parsable, "-p"),
        (list.verbose, "-v"),
        (list.net, "--net"),
        (list.json, "--json"),
        (list.csv, "--csv"),
    ];
    let given = flags.into_iter().filter(|(given, _)| *given);
    let mut words: Vec<String> = given.map(|(_, flag)| flag.to_owned()).collect();
    words.extend(list.width.map(|width| format!("--width={width}")));
    if !list.in_state.is_empty() {
        words.extend(["-s".to_owned(), listed(&list.in_state)]);
    }
    if !list.columns.is_empty() {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        let is_one =
            |column: &String| !column.is_empty() && !column.starts_with('-') && column.bytes().all(fits);
        if list.columns.len() > MOST_WORDS || !list.columns.iter().all(is_one) {
            return Err(Refusal::Invalid { parameter: "columns".to_owned() });
        }
        words.extend(["-o".to_owned(), list.columns.join(",")]);
    }
    if list.in_state.len() > MOST_WORDS {
        return Err(Refusal::Invalid { parameter: "in_state".to_owned() });
    }
    Ok(words)
}

/// The words of what was given of a verb that looks and takes `takes`.
fn of_look(look: &Look, takes: &[&str]) -> Result<Vec<String>, Refusal> {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let given = [
        (look.follow, "-f", None),
        (look.interval.is_some(), "-i", number(look.interval)),
        (look.count.is_some(), "-c", number(look.count)),
        (look.json, "--json", None),
        (look.width.is_some(), "--width", number(look.width.map(u64::from))),
    ];
    let mut words = Vec::new();
    for (_, flag, value) in given.into_iter().filter(|(given, ..)| *given) {
        if !takes.contains(&flag) {
            return Err(Refusal::Invalid { parameter: flag.to_owned() });
        }
        words.push(flag.to_owned());
        words.extend(value);
    }
    Ok(words)
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
            (Ask::Status(Look { json: true, ..Look::default() }), "-z web status --json"),
            (
                Ask::Stat(Look { interval: Some(3), count: Some(2), ..Look::default() }),
                "-z web stat -i 3 -c 2",
            ),
            (Ask::Events(Look { follow: true, ..Look::default() }), "-z web events -f"),
        ] {
            assert_eq!(line(&ask).as_deref(), Ok(words));
        }
    }

    fn of_several(ask: &Ask) -> Result<String, Refusal> {
        of(&Layout::host(), None, ask).map(|words| words.unwrap_or_default().join(" "))
    }

    #[test]
    fn several_zones_in_words() {
        let states = vec![State::Running, State::ShuttingDown];
        for (ask, words) in [
            (Ask::Ps(Look::default()), "ps"),
            (Ask::Ps(Look { all: true, json: true, ..Look::default() }), "--all ps --json"),
            (Ask::Stat(Look { zones: Some("web*,db".into()), ..Look::default() }), "-z web*,db stat"),
            (Ask::Stat(Look { width: Some(80), ..Look::default() }), "stat --width 80"),
            (
                Ask::Events(Look { states: states.clone(), ..Look::default() }),
                "--state running,shutting_down events",
            ),
            (
                Ask::List(List {
                    in_state: states,
                    columns: vec!["name".into(), "ip-type".into()],
                    csv: true,
                    width: Some(80),
                    ..List::default()
                }),
                "list --csv --width=80 -s running,shutting_down -o name,ip-type",
            ),
        ] {
            assert_eq!(of_several(&ask).as_deref(), Ok(words));
        }
    }

    #[test]
    fn names_and_columns_that_could_be_something_else_are_refused() {
        let zones = |text: &str| Ask::Ps(Look { zones: Some(text.into()), ..Look::default() });
        let column = |text: &str| Ask::List(List { columns: vec![text.into()], ..List::default() });
        let long = "a,".repeat(MOST_NAMES);
        for text in ["", "-R", "--all", "a b", "a/b", "../a", "a\nb", "a\0", "\u{1b}", long.as_str()] {
            assert!(matches!(of_several(&zones(text)), Err(Refusal::Invalid { .. })), "{text}");
        }
        for text in ["-R", "--json", "a,b", "a b", "A", "a\0"] {
            assert!(matches!(of_several(&column(text)), Err(Refusal::Invalid { .. })), "{text}");
        }
        // One zone and several, which would be seen by the right to the one.
        let both = Ask::Ps(Look { zones: Some("db".into()), ..Look::default() });
        let all = Ask::Stat(Look { all: true, ..Look::default() });
        let states = Ask::Events(Look { states: vec![State::Running], ..Look::default() });
        for ask in [both, all, states] {
            assert!(matches!(line(&ask), Err(Refusal::Invalid { .. })), "{ask:?}");
        }
        for ask in [
            Ask::Ps(Look { follow: true, ..Look::default() }),
            Ask::Stat(Look { follow: true, ..Look::default() }),
            Ask::Events(Look { count: Some(1), ..Look::default() }),
            Ask::Status(Look { interval: Some(1), ..Look::default() }),
        ] {
            assert!(matches!(of_several(&ask), Err(Refusal::Invalid { .. })), "{ask:?}");
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
