//! Tests of what is saved, and what of it is refused.

use super::*;
use std::fs;

#[test]
fn a_zone_is_begun_once_with_ids_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let web: ZoneName = "web".parse().unwrap();
    save(&layout, &web, &web, &document("/zones/web"), &Base::Any).unwrap();
    let configured = fs::read_to_string(layout.index()).unwrap();
    // The last of the files cannot be written.
    fs::create_dir_all(dir.path().join("etc/.subgid.new")).unwrap();
    assert!(matches!(begin(&layout, &web), Err(StoreError::File(_))));
    assert_eq!(fs::read_to_string(layout.index()).unwrap(), configured);
    assert_eq!(idmap::lookup(&layout, &web).unwrap(), None);
    fs::remove_dir(dir.path().join("etc/.subgid.new")).unwrap();
    // The last of them cannot be replaced.
    fs::create_dir(dir.path().join("etc/subgid")).unwrap();
    assert!(begin(&layout, &web).is_err());
    assert_eq!(fs::read_to_string(layout.index()).unwrap(), configured);
    fs::remove_dir(dir.path().join("etc/subgid")).unwrap();
    let Begun::Incomplete(ids) = begin(&layout, &web).unwrap() else { panic!() };
    assert_eq!(idmap::lookup(&layout, &web).unwrap(), Some(ids));
    let registered = |name| fs::read_to_string(dir.path().join("etc").join(name)).unwrap();
    assert_eq!([registered("subuid"), registered("subgid")], [(); 2].map(|()| format!("zone-web:{ids}\n")));
    assert_eq!(Index::find(&layout, &web).unwrap().unwrap().state, State::Incomplete);
    assert_eq!(begin(&layout, &web).unwrap(), Begun::Already(State::Incomplete));
}

fn document(zonepath: &str) -> Document {
    let mut document = Document::default();
    let row = schema::global("zonepath").unwrap();
    document.globals.set(row, row.read(zonepath).unwrap());
    document
}

#[test]
fn the_file_and_the_line_live_and_die_together() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let (web, db): (ZoneName, ZoneName) = ("web".parse().unwrap(), "db".parse().unwrap());
    save(&layout, &web, &web, &document("/zones/web"), &Base::Any).unwrap();
    save(&layout, &web, &db, &document("/zones/db"), &Base::Any).unwrap();
    assert!(!layout.config(&web).exists());
    assert_eq!(load(&layout, &db).unwrap(), document("/zones/db"));
    assert_eq!(fs::read_to_string(layout.index()).unwrap(), "db:configured:/zones/db:\n");
    let recorded = || fs::read_to_string(layout.addresses()).unwrap();
    fs::write(layout.addresses(), "db eth0 10.0.0.2\nother eth0 10.0.0.3\n").unwrap();
    save(&layout, &db, &web, &document("/zones/db"), &Base::Any).unwrap();
    assert_eq!(recorded(), "web eth0 10.0.0.2\nother eth0 10.0.0.3\n");
    save(&layout, &web, &db, &document("/zones/db"), &Base::Any).unwrap();

    Index::update(&layout, |index| index.set_state(&db, State::Installed)).unwrap();
    let refused = save(&layout, &db, &web, &document("/zones/db"), &Base::Any).unwrap_err();
    assert_eq!(refused.to_string(), "Zone db is installed; set zonename not allowed.");
    let refused = save(&layout, &db, &db, &document("/zones/x"), &Base::Any).unwrap_err();
    assert_eq!(refused.to_string(), "Zone db is installed; set zonepath not allowed.");
    assert!(matches!(delete(&layout, &db, false), Err(StoreError::State { .. })));
    assert_eq!(load(&layout, &db).unwrap(), document("/zones/db"));
    assert_eq!(recorded(), "db eth0 10.0.0.2\nother eth0 10.0.0.3\n");
    set_zonepath(&layout, &db, Path::new("/zones/y")).unwrap();
    assert_eq!(load(&layout, &db).unwrap(), document("/zones/y"));
    assert_eq!(Index::find(&layout, &db).unwrap().unwrap().zonepath, Path::new("/zones/y"));
    assert_eq!(delete(&layout, &db, true).unwrap(), None);
    assert_eq!(recorded(), "other eth0 10.0.0.3\n");
    assert!(!layout.config(&db).exists());
    assert_eq!(fs::read_to_string(layout.index()).unwrap(), "");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let web: ZoneName = "web".parse().unwrap();
    let long = document(&format!("/{}", "a".repeat(usize::try_from(file::DOCUMENT).unwrap())));
    let refused = save(&layout, &web, &web, &long, &Base::Any).unwrap_err().to_string();
    assert_eq!(refused, format!("cannot write {}", layout.config(&web).display()));
    assert!(!layout.config(&web).exists() && !layout.index().exists());
}

#[test]
fn a_root_keeps_its_zone_and_its_ids() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let web: ZoneName = "web".parse().unwrap();
    let zonepath = dir.path().join("zone");
    let begin = || {
        save(&layout, &web, &web, &document(zonepath.to_str().unwrap()), &Base::Any).unwrap();
        Index::update(&layout, |index| index.set_state(&web, State::Incomplete)).unwrap();
        idmap::allocate(&layout, &web).unwrap()
    };
    let range = begin();
    fs::create_dir_all(zonepath.join("root")).unwrap();
    let refused = delete(&layout, &web, true).unwrap_err().to_string();
    assert!(refused.contains("zone/root; delete not allowed.  Remove them with 'zoneadm -z web uninstall'"));
    assert!(may_delete(&layout, &web).is_err() && load(&layout, &web).is_ok());
    assert_eq!(idmap::lookup(&layout, &web).unwrap(), Some(range));
    assert!(!layout.zone_run(&web).exists(), "what is refused leaves nothing");

    // Its disk is not mounted: who can say what is on it?
    fs::rename(&zonepath, dir.path().join("away")).unwrap();
    assert_eq!(delete(&layout, &web, true).unwrap(), Some(range));
    assert_eq!(begin(), range, "the same ids for a zone of the same name");
    let held = FileLock::take(&layout.oplock(&web)).unwrap();
    assert!(matches!(delete(&layout, &web, true), Err(StoreError::Busy(_))));
    drop(held);

    // Somebody has removed the root and left the zonepath: nothing can have the ids.
    fs::create_dir(&zonepath).unwrap();
    assert!(matches!(delete(&layout, &web, false), Err(StoreError::State { .. })));
    assert_eq!(delete(&layout, &web, true).unwrap(), None);
    assert_eq!(idmap::lookup(&layout, &web).unwrap(), None);
    assert!(!layout.config(&web).exists() && !layout.zone_run(&web).exists());
}

#[test]
fn what_was_installed_meanwhile_keeps_its_brand() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let web: ZoneName = "web".parse().unwrap();
    save(&layout, &web, &web, &document("/zones/web"), &Base::Nothing).unwrap();
    let read = change::version(&load(&layout, &web).unwrap());
    let mut branded = document("/zones/web");
    let row = schema::global("brand").unwrap();
    branded.globals.set(row, row.read("linux").unwrap());
    Index::update(&layout, |index| index.set_state(&web, State::Installed)).unwrap();
    for base in [Base::Version(read.clone()), Base::Any] {
        let refused = save(&layout, &web, &web, &branded, &base).unwrap_err().to_string();
        assert_eq!(refused, "Zone web is installed; set brand not allowed.");
    }
    // The brand that it has, in so many words.
    branded.globals.set(row, row.default_value().unwrap());
    save(&layout, &web, &web, &branded, &Base::Version(read)).unwrap();
}

#[test]
fn what_others_saved_meanwhile_is_not_undone() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    let (web, www): (ZoneName, ZoneName) = ("web".parse().unwrap(), "www".parse().unwrap());
    save(&layout, &web, &web, &document("/zones/web"), &Base::Nothing).unwrap();
    let read = Base::Version(change::version(&load(&layout, &web).unwrap()));
    let other = save(&layout, &web, &web, &document("/zones/other"), &Base::Nothing);
    assert!(matches!(other, Err(StoreError::Index(IndexError::InUse(_)))), "made by another meanwhile");

    save(&layout, &web, &web, &document("/zones/two"), &read).unwrap();
    for to in [&web, &www] {
        let refused = save(&layout, &web, to, &document("/zones/three"), &read).unwrap_err();
        assert!(matches!(&refused, StoreError::Stale(zone) if *zone == web), "{refused}");
    }
    assert_eq!(load(&layout, &web).unwrap(), document("/zones/two"));
    assert!(!layout.config(&www).exists());
    // A comment is kept, and no reason to refuse.
    let read = Base::Version(change::version(&load(&layout, &web).unwrap()));
    let text = written(&layout, &web) + "# mine\n";
    fs::write(layout.config(&web), text).unwrap();
    save(&layout, &web, &web, &document("/zones/three"), &read).unwrap();
    assert!(written(&layout, &web).ends_with("# mine\n"));

    let read = Base::Version(change::version(&load(&layout, &web).unwrap()));
    delete(&layout, &web, false).unwrap();
    assert!(matches!(save(&layout, &web, &web, &document("/zones/web"), &read), Err(StoreError::Stale(_))));
    assert!(!layout.config(&web).exists() && Index::find(&layout, &web).unwrap().is_none());
}
