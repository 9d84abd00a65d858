//! The program as a person runs it.

use std::process::Command;

fn zonename() -> Command {
    Command::new(env!("CARGO_BIN_EXE_zonename"))
}

#[test]
fn it_prints_one_name() {
    let output = zonename().output().unwrap();
    assert!(output.status.success());
    let inside = std::fs::read_to_string(zone_config::here::NAME_FILE);
    let expected = inside.map_or_else(|_| "global".to_owned(), |name| name.trim().to_owned());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{expected}\n"));
}

#[test]
fn a_word_too_many_is_a_usage_error() {
    assert_eq!(zonename().arg("web").output().unwrap().status.code(), Some(2));
}
