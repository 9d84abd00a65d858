//! Tests of edits, as lines of the language.

use zone_config::command::{Command, Script};

use super::*;

fn editor() -> Editor {
    Editor::new("web".parse().unwrap(), Document::default(), None)
}

/// Does the edits of a text; the first error.
fn edit(editor: &mut Editor, text: &str) -> Result<(), String> {
    for located in Script::new(text, 1) {
        match located.unwrap().command {
            Command::Add { what, value } => editor.add(&what, value.as_ref()),
            Command::Set { property, value } => editor.set(&property, &value),
            Command::Clear { property } => editor.clear(&property),
            Command::Remove { force, what, qualifiers, value } => {
                editor.remove(&what, &qualifiers, value.as_ref(), force)
            }
            Command::Select { resource, qualifiers } => editor.select(&resource, &qualifiers),
            Command::End => editor.end(),
            Command::Cancel => editor.cancel(),
            other => panic!("{other:?}"),
        }
        .map_err(|error| error.to_string())?;
    }
    Ok(())
}

const TWO: &str = "add fs; set dir=/a; set special=/srv; set type=lofs; end
                   add fs; set dir=/b; set special=swap; set type=tmpfs; set options=[ro,\"size=1m\"]; end";

#[test]
fn resources_are_added_selected_and_removed() {
    let mut editor = editor();
    edit(&mut editor, TWO).unwrap();
    edit(&mut editor, "select fs dir=/b; remove options ro; add options [noexec,nodev]; set dir=/c; end")
        .unwrap();
    let options: Vec<_> = editor.document.of("fs").map(|fs| fs.values.list("options").join(" ")).collect();
    assert_eq!(options, ["", "size=1m noexec nodev"]);
    edit(&mut editor, "select fs dir=/c; set options=[]; clear options; end; remove fs dir=/a").unwrap();
    assert_eq!(editor.document.resources.len(), 1);
    edit(&mut editor, "add fs; set dir=/x; cancel; remove fs").unwrap();
    assert_eq!(editor.document, Document::default());
}

#[test]
fn an_edit_that_cannot_be_says_so_and_changes_nothing() {
    for (setup, text, said) in [
        ("", "end", "The end command only makes sense in the resource scope."),
        (
            "",
            "add datset",
            "No such resource type 'datset'; allowed: fs, device, net, port, capped-memory, capped-cpu,",
        ),
        ("", "add fs ro", "The add PROPERTY VALUE command only makes sense in the resource scope."),
        ("", "set autobot=true", "No such property type 'autobot' of the zone; allowed: zonename, zonepath"),
        ("", "set autoboot=yes", "autoboot: \"yes\" is not allowed; allowed: true, false"),
        ("", "set autoboot=[true,false]", "autoboot: [true,false] is not allowed; allowed: true, false"),
        ("", "set hostname=(a=b)", "hostname: (a=b) is not allowed"),
        ("", "clear zonepath", "Clearing this property is not allowed: zonepath must be set"),
        ("", "remove fs", "No such fs resource."),
        ("add fs", "select fs dir=/a", "The select command only makes sense in the global scope."),
        ("add fs", "add attr", "The add command only makes sense in the global scope."),
        ("add fs", "set type=zfs4", "fs: type: \"zfs4\" is not allowed; allowed: lofs, tmpfs"),
        (
            "add fs",
            "set color=/dev/x",
            "No such property type 'color' of fs; allowed: dir, special, raw, type, owners, options",
        ),
        ("add fs; set dir=/a", "end", "fs: special not specified; allowed: text on one line"),
        (
            "add fs; set dir=/a; set special=srv; set type=lofs",
            "end",
            "fs: special is \"srv\"; for type lofs",
        ),
        (
            "add fs; set dir=/a; set special=/srv; set type=lofs; add options bogus",
            "end",
            "fs: options cannot be used: option \"bogus\" is not one of lofs: ro, rw,",
        ),
        (
            "add fs; set dir=/proc/x; set special=swap; set type=tmpfs",
            "end",
            "fs: dir is \"/proc/x\", which cannot be mounted on: the zone has its own /proc",
        ),
        ("add fs", "add dir /x", "dir is not a list: use 'set dir=VALUE', not add"),
        ("add fs", "remove options ro", "options has no 'ro'"),
        ("add fs", "add options", "add options: a value is missing"),
        (TWO, "remove fs", "There are multiple instances of this resource (fs)."),
        (TWO, "remove fs dir=/x", "No such fs resource."),
        (TWO, "select fs", "Insufficient specification"),
        (TWO, "select fs type=zfs", "fs: type: \"zfs\" is not allowed"),
        (
            TWO,
            "add fs; set dir=/a; set special=x; set type=tmpfs; end",
            "A fs resource with the dir '/a' already",
        ),
        (TWO, "select fs dir=/a; set dir=/b; end", "A fs resource with the dir '/b' already exists."),
    ] {
        let mut editor = editor();
        edit(&mut editor, setup).unwrap();
        let before = editor.document.clone();
        let error = edit(&mut editor, text).unwrap_err();
        assert!(error.starts_with(said), "{text}: {error}");
        assert_eq!(editor.document, before, "{text}");
    }
}

#[test]
fn some_properties_are_fixed_after_install() {
    for (state, said) in [(State::Installed, "already installed"), (State::Incomplete, "is incomplete")] {
        let mut editor = Editor { sealed: Some(state), ..editor() };
        for set in ["set zonepath=/x", "set brand=linux", "set zonename=db", "clear brand"] {
            let property = set.split([' ', '=']).nth(1).unwrap();
            let error = edit(&mut editor, set).unwrap_err();
            assert_eq!(error, format!("Zone web {said}; set {property} not allowed."));
        }
        edit(&mut editor, "set autoboot=true").unwrap();
    }
    let mut editor = editor();
    edit(&mut editor, "set zonename=db").unwrap();
    assert_eq!(editor.zone.as_str(), "db");
}

#[test]
fn a_net_of_which_nothing_is_said_is_one_of_the_managed_network() {
    let mut editor = editor();
    edit(&mut editor, "add net; end; add anet; set linkname=lan; end; add net; set physical=wan; end")
        .unwrap();
    let nets: Vec<_> = editor
        .document
        .of("net")
        .map(|net| (net.values.text("physical"), net.values.text("global-nic")))
        .collect();
    assert_eq!(nets, [(Some("eth0"), Some("auto")), (Some("lan"), Some("auto")), (Some("wan"), None)]);
    edit(&mut editor, "add net; end").unwrap();
    assert_eq!(editor.document.of("net").last().unwrap().values.text("physical"), Some("eth1"));
}

#[test]
fn the_one_resource_of_a_type_is_edited_from_outside() {
    let mut editor = editor();
    let value = |editor: &Editor, name: &str| {
        editor.document.of("capped-memory").next().and_then(|one| one.values.text(name).map(str::to_owned))
    };
    edit(&mut editor, "set capped-memory:physical=2G; set capped-memory.swap=1G").unwrap();
    assert_eq!((value(&editor, "physical"), value(&editor, "swap")), (Some("2G".into()), Some("1G".into())));
    let before = editor.clone();
    let refused = edit(&mut editor, "set capped-memory:physical=many").unwrap_err();
    assert!(refused.contains("physical: \"many\" is not allowed"), "{refused}");
    assert!(
        edit(&mut editor, "set net:mtu=1400").unwrap_err().contains("There can be several net resources")
    );
    assert!(edit(&mut editor, "set nonsense:mtu=1400").unwrap_err().contains("nonsense"));
    assert!(edit(&mut editor, "clear capped-cpu:ncpus").is_err());
    assert_eq!(editor, before);
    edit(&mut editor, "clear capped-memory:physical").unwrap();
    assert_eq!((value(&editor, "physical"), value(&editor, "swap")), (None, Some("1G".into())));
    edit(&mut editor, "clear capped-memory.swap; set max-lwps=5").unwrap();
    assert_eq!(editor.document.resources, []);
}

#[test]
fn a_token_of_solaris_is_the_zones_name_or_refused() {
    let mut editor = Editor::new("web".parse().unwrap(), Document::default(), None);
    let word = |text: &str| Term::Word(text.to_owned());
    editor.set("zonepath", &word("/system/zones/%{zonename}")).unwrap();
    assert_eq!(editor.document.globals.text("zonepath"), Some("/system/zones/web"));
    let refused = editor.set("zonepath", &word("/system/zones/%{id}")).unwrap_err().to_string();
    assert!(refused.starts_with("zonepath: %{id} is a token of Solaris"), "{refused}");
    editor.set("ready-check", &word("curl -w %{http_code} localhost")).unwrap();
}
