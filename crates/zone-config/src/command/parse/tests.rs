//! Tests of the grammar.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Vec<Result<Command, String>> {
    let said = |error: SyntaxError| format!("{}:{}: {}", error.place.line, error.place.column, error.reason);
    Script::new(text, 1).map(|found| found.map(|located| located.command).map_err(said)).collect()
}

fn one(text: &str) -> Command {
    parse(text).remove(0).unwrap()
}

fn word(text: &str) -> Term {
    Term::Word(text.to_owned())
}

#[test]
fn every_form_is_understood() {
    assert_eq!(one("create"), Command::Create { force: false, template: Template::Default });
    assert_eq!(one("create -Fb"), Command::Create { force: true, template: Template::Blank });
    assert_eq!(
        one("create -F -tweb"),
        Command::Create { force: true, template: Template::Zone("web".into()) }
    );
    assert_eq!(one("add fs"), Command::Add { what: "fs".into(), value: None });
    let list = Term::List(vec![word("ro"), word("size=1m")]);
    assert_eq!(
        one("add options [ro,\"size=1m\"]"),
        Command::Add { what: "options".into(), value: Some(list) }
    );
    assert_eq!(one("set a = \"b c\""), Command::Set { property: "a".into(), value: word("b c") });
    assert_eq!(one("set a=[]"), Command::Set { property: "a".into(), value: Term::List(vec![]) });
    assert_eq!(
        one("add value (priv=privileged,limit=5)"),
        Command::Add {
            what: "value".into(),
            value: Some(Term::Complex(vec![
                ("priv".into(), "privileged".into()),
                ("limit".into(), "5".into())
            ])),
        }
    );
    assert_eq!(
        one("remove -F fs dir=/a type=lofs"),
        Command::Remove {
            force: true,
            what: "fs".into(),
            qualifiers: vec![("dir".into(), word("/a")), ("type".into(), word("lofs"))],
            value: None,
        }
    );
    assert_eq!(
        one("remove options ro"),
        Command::Remove { force: false, what: "options".into(), qualifiers: vec![], value: Some(word("ro")) }
    );
    assert_eq!(
        one("info --json fs"),
        Command::Info { json: true, what: Some("fs".into()), qualifiers: vec![] }
    );
    assert_eq!(one("export -f /tmp/x"), Command::Export { json: false, file: Some("/tmp/x".into()) });
    let create = |template| Command::Create { force: false, template };
    assert_eq!(one("create -f \"/a b/c.xml\""), create(Template::File("/a b/c.xml".into())));
    assert_eq!(one("create -a /zones/web"), create(Template::Detached("/zones/web".into())));
    assert_eq!(one("? set"), Command::Help { topic: Some("set".into()) });
    assert_eq!(one("delete -?"), Command::Help { topic: Some("delete".into()) });
    assert_eq!(parse("; ;\n# nothing\n"), []);
}

#[test]
fn an_error_has_a_place_and_the_next_command_is_read() {
    assert_eq!(
        parse("set autoboot true\nend; Exit\nset a=b c;commit extra\nselect fs a=1 b=2 c=3 d=4\nset a=(\"x\"=y)"),
        [
            Err("1:14: expected '=' after 'autoboot', found 'true'".to_owned()),
            Ok(Command::End),
            Err("2:6: 'Exit' is not a command; allowed: create, add, set, clear, remove, select, end, cancel, \
                 info, export, edit, verify, commit, revert, delete, exit, help; did you mean \"exit\"?"
                .to_owned()),
            Err("3:9: 'c' was not expected here; a value with blanks or any of ;=[]() goes in double quotes"
                .to_owned()),
            Err("3:18: 'extra' was not expected here; a value with blanks or any of ;=[]() goes in double \
                 quotes"
                .to_owned()),
            Err("4:23: more than 3 PROPERTY=VALUE".to_owned()),
            Err("5:8: expected a name in (NAME=VALUE), found a \" within parentheses".to_owned()),
        ]
    );
    assert_eq!(parse("set a=\n"), [Err("1:7: expected a value, found the end of the command".to_owned())]);
    assert_eq!(parse("create -x"), [Err("1:8: 'create' has no option '-x'".to_owned())]);
    assert_eq!(
        parse("create -t"),
        [Err("1:8: expected a word after -t, found the end of the command".to_owned())]
    );
    for both in ["create -b -t web", "create -t a -f b", "create -a /a -b"] {
        let said = parse(both);
        assert!(
            matches!(&said[..], [Err(text)] if text.contains("-b, -t, -a and -f exclude each other")),
            "{said:?}"
        );
    }
    let error = Script::new("set x", 7).next().unwrap().unwrap_err();
    assert_eq!((error.place.line, error.usage[0]), (7, "set PROPERTY=VALUE"));
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(create|set|add|remove|select|info|fs|dir|-[FbtfX:]|--json|[ =;\n\\[\\](),\"#]|.){0,30}") {
        for found in Script::new(&text, 1) {
            if let Err(error) = found {
                prop_assert!(error.place.line <= text.matches('\n').count() + 1);
            }
        }
    }
}
