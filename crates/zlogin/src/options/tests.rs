use super::*;
use proptest::prelude::*;

fn read(line: &str) -> Result<Action, String> {
    parse(&line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect::<Vec<_>>())
}

fn entered(line: &str) -> Options {
    match read(line) {
        Ok(Action::Enter(options)) => options,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_three_ways_in() {
    assert_eq!(entered("web").mode, Mode::Login(Who::User("root".into())));
    assert_eq!(entered("-l bob web").mode, Mode::Login(Who::User("bob".into())));
    assert_eq!(entered("-S web").mode, Mode::Login(Who::Failsafe));
    let args = vec!["ls".into(), "-l".into(), "-Q".into(), "--".into()];
    let command = Mode::Command { user: Who::User("root".into()), no_input: true, args };
    assert_eq!(entered("-n web ls -l -Q --").mode, command);
    let console = Console { disconnect: true, watch: false, steal: false, replay: REPLAY, record: None };
    assert_eq!(entered("-dC web").mode, Mode::Console(console));
}

#[test]
fn options_end_at_the_zone() {
    let options = entered("-R /r -QE -- -web -C");
    assert_eq!((options.zone.as_str(), options.quiet, options.escape), ("-web", true, None));
    assert_eq!(options.root, Some("/r".into()));
    assert!(matches!(options.mode, Mode::Command { args, .. } if args == ["-C"]));
    assert_eq!(entered("-e% web").escape, Some(b'%'));
    assert_eq!(entered("-e \\001 web").escape, Some(1));
    assert_eq!(entered("web").escape, Some(b'~'));
    assert_eq!(entered("-Qlbob web").mode, Mode::Login(Who::User("bob".into())));
}

#[test]
fn extras_of_the_console() {
    let console = |line: &str| match entered(line).mode {
        Mode::Console(console) => console,
        other => panic!("{other:?}"),
    };
    assert_eq!(console("-C --replay all web").replay, u64::MAX);
    assert_eq!(console("-C --replay=12 web").replay, 12);
    assert_eq!(console("-C --no-replay web").replay, 0);
    assert!(console("--watch -C web").watch);
    assert_eq!(console("-C --record /f web").record, Some("/f".into()));
}

#[test]
fn what_does_not_go_together() {
    for (line, text) in [
        ("", "the name of a zone is missing"),
        ("-Q", "the name of a zone is missing"),
        ("-l bob -C web", "-l may not be specified for console login"),
        ("-n -C web", "-n may not be specified for console login"),
        ("-S -C web", "-S may not be specified for console login"),
        ("-C web ls", "Commands may not be specified for console login."),
        ("-l bob -S web", "-l may not be specified for failsafe login"),
        ("-d web", "-d may only be specified with console login"),
        ("-n web", "-n may not be specified for interactive login"),
        ("-x web", "there is no option '-x'"),
        ("--frob web", "there is no option '--frob'"),
        ("--watch=1 -C web", "option '--watch' has no value"),
        ("-C --watch --steal web", "--watch and --steal may not be specified together"),
        ("-C --replay x web", "'x' is no number of bytes: give --replay one, or 'all'"),
        ("-l", "option '-l' needs a value"),
        ("-l a:b web", "\"a:b\" is no user's name"),
    ] {
        let error = read(line).unwrap_err();
        assert_eq!(error.lines().next(), Some(text), "{line}");
        assert!(error.lines().nth(1).is_some_and(|line| line.starts_with("usage: ")), "{line}");
    }
    assert!(read("-e ab web").unwrap_err().starts_with("Invalid escape character specifier"));
    assert!(matches!(read("-h"), Ok(Action::Print(text)) if text.contains("Examples")));
}

proptest! {
    #[test]
    fn any_command_line_is_read_or_refused(words in prop::collection::vec(".{0,6}", 0..6)) {
        let _ = parse(&words.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn the_command_is_untouched(words in prop::collection::vec(".{0,6}", 1..6)) {
        let mut line = vec![OsString::from("web")];
        line.extend(words.iter().map(OsString::from));
        match parse(&line) {
            Ok(Action::Enter(Options { mode: Mode::Command { args, .. }, .. })) => prop_assert_eq!(&args[..], &line[1..]),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
