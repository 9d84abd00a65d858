//! Tests of what a session has when something could not be saved, and when others save beside it.

use std::fs;

use zone_config::command::Script;
use zone_config::file::FileLock;
use zone_config::store::{self, StoreError};

use super::*;

struct Place {
    layout: Layout,
    web: ZoneName,
    _dir: tempfile::TempDir,
}

impl Place {
    /// With a zone that is configured.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let place = Self { layout, web: "web".parse().unwrap(), _dir: dir };
        run(&mut place.session(true), "create; set zonepath=/zones/web; set hostname=www; commit").unwrap();
        place
    }

    fn session(&self, at_once: bool) -> Session {
        talking(|talk| Session::begin(self.layout.clone(), self.web.clone(), at_once, talk)).unwrap().0
    }

    fn saved(&self) -> String {
        store::written(&self.layout, &self.web)
    }

    fn set_state(&self, state: State) {
        Index::update(&self.layout, |index| index.set_state(&self.web, state)).unwrap();
    }
}

/// Talks to nobody, and gives what was said on standard output.
fn talking<T>(what: impl FnOnce(&mut Talk<'_>) -> Result<T, Failure>) -> Result<(T, String), Failure> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = what(&mut Talk { out: &mut out, err: &mut err, person: false, program: "zonecfg" })?;
    Ok((done, String::from_utf8(out).unwrap()))
}

/// Executes commands up to the first that fails, and gives what they showed.
fn run(session: &mut Session, commands: &str) -> Result<String, Failure> {
    let mut shown = String::new();
    for located in Script::new(commands, 1) {
        shown += &talking(|talk| session.execute(&located.unwrap().command, talk))?.1;
    }
    Ok(shown)
}

fn finish(session: &mut Session) -> Result<(), Failure> {
    talking(|talk| session.finish(talk)).map(|_| ())
}

#[test]
fn a_commit_that_failed_is_not_taken_for_done() {
    let place = Place::new();
    let before = place.saved();
    let mut session = place.session(true);
    run(&mut session, "set brand=linux").unwrap();
    // Somebody installs it meanwhile.
    place.set_state(State::Installed);
    for command in ["commit", "commit"] {
        let refused = run(&mut session, command).unwrap_err().to_string();
        assert_eq!(refused, "Zone web is installed; set brand not allowed.");
    }
    for _ in 0..2 {
        assert!(matches!(run(&mut session, "exit"), Err(Failure::NotSaved)), "nobody says to leave");
    }
    assert_eq!(place.saved(), before);
    assert_eq!(run(&mut session, "revert -F; info brand").unwrap(), "brand: sparse\n");
    assert!(matches!(run(&mut session, "revert -F"), Err(Failure::NothingToRevert)));
    run(&mut session, "set hostname=shop; exit").unwrap();
    assert!(place.saved().contains("shop"));
}

#[test]
fn a_delete_that_failed_leaves_the_session_all_that_it_had() {
    let place = Place::new();
    let mut session = place.session(true);
    run(&mut session, "set hostname=shop").unwrap();
    let held = FileLock::take(&place.layout.oplock(&place.web)).unwrap();
    for _ in 0..2 {
        let refused = run(&mut session, "delete -F");
        assert!(matches!(refused, Err(Failure::Store(StoreError::Busy(_)))), "{refused:?}");
    }
    assert_eq!(run(&mut session, "info hostname").unwrap(), "hostname: shop\n");
    drop(held);
    run(&mut session, "commit; delete -F").unwrap();
    assert!(!place.layout.config(&place.web).exists());
    assert!(matches!(run(&mut session, "delete -F"), Err(Failure::NoSuchZone(..))));
}

#[test]
fn what_was_created_over_a_zone_can_be_given_up() {
    let place = Place::new();
    let before = place.saved();
    for at_once in [true, false] {
        let mut session = place.session(at_once);
        run(&mut session, "create -F; set autoboot=true; revert -F").unwrap();
        assert_eq!(run(&mut session, "info hostname").unwrap(), "hostname: www\n");
        assert!(matches!(run(&mut session, "revert -F"), Err(Failure::NothingToRevert)));
        finish(&mut session).unwrap();
        assert_eq!(place.saved(), before);
    }
    // What is not given up is saved, though it says the same, and whatever others have made of it.
    let mut session = place.session(false);
    run(&mut session, "create -F; set hostname=www").unwrap();
    run(&mut place.session(true), "set hostname=other; commit").unwrap();
    finish(&mut session).unwrap();
    assert!(place.saved().contains("www"));
}

#[test]
fn an_edit_of_somebody_else_is_not_lost() {
    let place = Place::new();
    for at_once in [true, false] {
        let (mut one, mut other) = (place.session(at_once), place.session(at_once));
        run(&mut other, "set autoboot=true; commit; set bootargs=-v; commit").unwrap();
        finish(&mut other).unwrap();
        run(&mut one, "set hostname=shop").unwrap();
        let refused = finish(&mut one);
        assert!(matches!(refused, Err(Failure::Store(StoreError::Stale(_)))), "{refused:?}");
        let saved = place.saved();
        assert!(saved.contains("-v") && !saved.contains("shop"), "{saved}");
        run(&mut place.session(true), "clear bootargs; commit").unwrap();
    }
    let mut late = place.session(false);
    run(&mut late, "set hostname=shop").unwrap();
    run(&mut place.session(true), "delete -F").unwrap();
    assert!(matches!(finish(&mut late), Err(Failure::Store(StoreError::Stale(_)))));
    assert!(!place.layout.config(&place.web).exists(), "it is not made again");
    // Two make a zone of one name.
    let (mut one, mut other) = (place.session(false), place.session(false));
    for session in [&mut one, &mut other] {
        run(session, "create; set zonepath=/zones/web; commit").unwrap();
    }
    finish(&mut one).unwrap();
    assert_eq!(finish(&mut other).unwrap_err().to_string(), "web: Zone name already in use");
}

#[test]
fn a_disk_that_takes_nothing_leaves_a_new_zone_to_be_saved() {
    let place = Place::new();
    run(&mut place.session(true), "delete -F").unwrap();
    let mut session = place.session(true);
    run(&mut session, "create; set zonepath=/zones/web").unwrap();
    // What the file is written to before it is renamed.
    let blocked = place.layout.config(&place.web);
    fs::create_dir(&blocked).unwrap();
    assert!(run(&mut session, "commit").is_err());
    assert!(matches!(run(&mut session, "revert -F"), Err(Failure::NothingSaved(_))));
    fs::remove_dir(&blocked).unwrap();
    run(&mut session, "commit; exit").unwrap();
    assert!(place.saved().contains("/zones/web"));
}
