use super::*;
use clap::error::ErrorKind;
use proptest::prelude::*;

fn parse(words: &[OsString]) -> Result<Cli, ErrorKind> {
    let name = OsString::from("zlogin");
    let args = std::iter::once(&name).chain(words).cloned();
    crate::cli::parse(args).map_err(|error| error.kind())
}

fn split(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
}

fn read(line: &str) -> Result<Options, String> {
    parse(&split(line)).map_err(|kind| kind.to_string()).and_then(together)
}

fn entered(line: &str) -> Options {
    read(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn words_of(line: &str) -> Vec<OsString> {
    match entered(line).mode {
        Mode::Command { words, .. } => words,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_three_ways_in() {
    assert_eq!(entered("web").mode, Mode::Login(Who::User("root".into())));
    assert_eq!(entered("-l bob web").mode, Mode::Login(Who::User("bob".into())));
    assert_eq!(entered("-S web").mode, Mode::Login(Who::Failsafe));
    let words = vec!["ls".into(), "-l".into(), "-Q".into(), "--".into()];
    let command = Mode::Command { user: Who::User("root".into()), no_input: true, words };
    assert_eq!(entered("-n web ls -l -Q --").mode, command);
    let console = Console { disconnect: true, watch: false, steal: false, replay: REPLAY, record: None };
    assert_eq!(entered("-dC web").mode, Mode::Console(console));
}

#[test]
fn options_end_at_the_zone() {
    let options = entered("-R /r -QE -- -web -C");
    assert_eq!((options.zone.as_str(), options.quiet, options.escape), ("-web", true, None));
    assert_eq!(options.root, Some("/r".into()));
    assert!(matches!(options.mode, Mode::Command { words, .. } if words == ["-C"]));
    assert_eq!(entered("-e% web").escape, Some(b'%'));
    assert_eq!(entered("-e \\001 web").escape, Some(1));
    assert_eq!(entered("web").escape, Some(b'~'));
    assert_eq!(entered("-Qlbob web").mode, Mode::Login(Who::User("bob".into())));
}

#[test]
fn what_is_around() {
    let around = |line: &str| entered(line).around;
    assert_eq!(around("web"), Around::default());
    assert_eq!(around("-t web ls").terminal, Some(true));
    assert_eq!(around("-i web ls").terminal, Some(true));
    assert_eq!(around("-t -T web").terminal, Some(false), "the last one counts");
    assert_eq!(around("-T -i web").terminal, Some(true), "the last one counts");
    let both = around("--cwd srv --env A=b=c --env A= web");
    assert_eq!(both.cwd, Some("srv".into()));
    assert_eq!(both.env, [("A".into(), "b=c".into()), ("A".into(), "".into())]);
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
fn a_dash_dash_before_the_command_is_left_out() {
    assert_eq!(words_of("web -- ls"), ["ls"]);
    assert_eq!(words_of("web -- ls -- -x"), ["ls", "--", "-x"]);
    assert_eq!(words_of("web -- -C"), ["-C"]);
    assert_eq!(words_of("web sh -- x"), ["sh", "--", "x"]);
    assert_eq!(words_of("-- web -- -C"), ["-C"]);
    assert_eq!(words_of("-l bob -eC web -C"), ["-C"]);
    assert_eq!(words_of("-Ql bob web -l x"), ["-l", "x"]);
    assert_eq!(words_of("web -C"), ["-C"]);
    assert_eq!(words_of("web --watch"), ["--watch"]);
    assert!(matches!(entered("web --").mode, Mode::Login(_)));
}

#[test]
fn what_does_not_go_together() {
    for (line, text) in [
        ("-l bob -C web", "-l may not be specified for console login"),
        ("-n -C web", "-n may not be specified for console login"),
        ("-S -C web", "-S may not be specified for console login"),
        ("-C web ls", "Commands may not be specified for console login."),
        ("-l bob -S web", "-l may not be specified for failsafe login"),
        ("-d web", "-d may only be specified with console login"),
        ("-n web", "-n may not be specified for interactive login"),
        (
            "--no-replay web",
            "--watch, --steal, --replay, --no-replay and --record may only be specified with console login",
        ),
        ("-t -n web ls", "-n may not be specified with a terminal (-t)"),
        ("-T -C web", "-t, -T, --cwd and --env may not be specified for console login"),
        ("-C --cwd / web", "-t, -T, --cwd and --env may not be specified for console login"),
        ("--env =x web", "\"=x\" names no variable: give --env NAME=VALUE"),
        (
            "--env NO_SUCH_VARIABLE web",
            "--env NO_SUCH_VARIABLE: there is no such variable here; give it a value",
        ),
        ("-C --watch --steal web", "--watch and --steal may not be specified together"),
        ("-C --replay x web", "'x' is no number of bytes: give --replay one, or 'all'"),
        ("-l a:b web", "\"a:b\" is no user's name"),
    ] {
        assert_eq!(read(line).unwrap_err(), text, "{line}");
    }
    assert!(read("-e ab web").unwrap_err().starts_with("Invalid escape character specifier"));
}

#[test]
fn what_is_no_command_line() {
    for (line, kind) in [
        ("", ErrorKind::MissingRequiredArgument),
        ("-Q", ErrorKind::MissingRequiredArgument),
        ("-x web", ErrorKind::UnknownArgument),
        ("--frob web", ErrorKind::UnknownArgument),
        ("--watch=1 -C web", ErrorKind::TooManyValues),
        ("-l", ErrorKind::InvalidValue),
        ("-h", ErrorKind::DisplayHelp),
        ("-?", ErrorKind::DisplayHelp),
        ("-V", ErrorKind::DisplayVersion),
    ] {
        assert_eq!(parse(&split(line)).map(|_| ()).unwrap_err(), kind, "{line}");
    }
}

proptest! {
    #[test]
    fn any_command_line_is_read_or_refused(words in prop::collection::vec(".{0,6}", 0..6)) {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let _ = parse(&words).map(together);
    }

    #[test]
    fn the_command_is_untouched(words in prop::collection::vec(prop_oneof![".{0,6}", "--?[a-zA-Z]{0,3}=?"], 1..6)) {
        let mut line = vec![OsString::from("web")];
        line.extend(words.iter().map(OsString::from));
        let expected = if words[0] == "--" { &line[2..] } else { &line[1..] };
        match parse(&line).map(together) {
            Ok(Ok(Options { mode: Mode::Command { words, .. }, .. })) => prop_assert_eq!(&words[..], expected),
            Ok(Ok(Options { mode: Mode::Login(_), .. })) => prop_assert!(expected.is_empty()),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
