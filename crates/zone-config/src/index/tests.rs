//! Tests of the index.

use std::fs;

use proptest::prelude::*;

use super::*;

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    (dir, layout)
}

fn entry(name: &str) -> Entry {
    Entry {
        name: name.parse().unwrap(),
        state: State::Configured,
        zonepath: format!("/zones/{name}").into(),
        uuid: None,
    }
}

fn write(layout: &Layout, bytes: impl AsRef<[u8]>) {
    file::make_dir(&layout.etc(), 0o755).unwrap();
    fs::write(layout.index(), bytes).unwrap();
}

#[test]
fn an_update_keeps_every_other_line() {
    let (_dir, layout) = layout();
    let kept = "# by hand\nglobal:installed:/\n\nnonsense\nweb:running:/zones/web:\nweb:installed:/zo";
    write(&layout, kept);
    let problems = Index::load(&layout).unwrap().problems();
    assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [4, 5]);
    assert!(problems[0].to_string().contains("etc/zones/index, line 4: not of the form name:state"));

    Index::update(&layout, |index| index.add(entry("db"))).unwrap();
    let text = fs::read_to_string(layout.index()).unwrap();
    assert_eq!(text, format!("{kept}\ndb:configured:/zones/db:\n"));
}

#[test]
fn a_failed_update_changes_nothing() {
    let (_dir, layout) = layout();
    write(&layout, "web:configured:/zones/web");
    let failed = Index::update(&layout, |index| {
        index.add(entry("db"))?;
        index.add(entry("web"))
    });
    assert!(matches!(failed, Err(IndexError::InUse(_))));
    assert_eq!(fs::read_to_string(layout.index()).unwrap(), "web:configured:/zones/web");
}

#[test]
fn a_uuid_comes_and_goes_with_the_state() {
    let mut index = Index::default();
    let web: ZoneName = "web".parse().unwrap();
    index.add(entry("web")).unwrap();
    index.set_state(&web, State::Incomplete).unwrap();
    let uuid = index.get(&web).unwrap().uuid.unwrap();
    index.set_state(&web, State::Installed).unwrap();
    assert_eq!(index.by_uuid(uuid).unwrap().name, web);
    assert!(matches!(index.set_state(&web, State::Running), Err(IndexError::NotStored { .. })));
    index.set_state(&web, State::Configured).unwrap();
    assert_eq!(index.get(&web).unwrap().uuid, None);
}

#[test]
fn a_path_with_a_colon_is_quoted() {
    let mut entry = entry("web");
    entry.zonepath = "/zones/a:b".into();
    entry.uuid = Some(Uuid::new_v4());
    let text = entry.to_string();
    assert!(text.starts_with("web:configured:\"/zones/a:b\":"));
    assert_eq!(lines::parse::<Entry>(text.as_bytes())[0].record(), Some(&entry));
}

#[test]
fn updates_from_many_threads_are_all_kept() {
    let (_dir, layout) = layout();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let layout = &layout;
            scope.spawn(move || {
                Index::update(layout, |index| index.add(entry(&format!("zone{n}")))).unwrap();
            });
        }
    });
    assert_eq!(Index::load(&layout).unwrap().entries().count(), 8);
}

proptest! {
    #[test]
    fn any_bytes_are_kept(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let printed = lines::print(&lines::parse::<Entry>(&bytes));
        let mut whole = bytes;
        if !whole.is_empty() && whole.last() != Some(&b'\n') {
            whole.push(b'\n');
        }
        prop_assert_eq!(printed, whole);
    }

    #[test]
    fn an_entry_comes_back(path in "/[a-zA-Z0-9 :_é/-]{0,40}", has_uuid: bool) {
        let mut entry = entry("web");
        entry.zonepath = path.into();
        entry.uuid = has_uuid.then(Uuid::new_v4);
        let text = entry.to_string();
        let lines: Vec<Line> = lines::parse(text.as_bytes());
        prop_assert_eq!(lines[0].record(), Some(&entry));
    }
}

#[test]
fn one_zone_is_found_as_in_the_whole() {
    let (_dir, layout) = layout();
    let web: ZoneName = "web".parse().unwrap();
    assert_eq!(Index::find(&layout, &web).unwrap(), None);
    for text in [
        "web:installed:/zones/web:\n",
        "we:installed:/zones/we:\nwebs:installed:/zones/webs:\nweb:configured:/zones/web",
        "# web:installed:/a:\nweb:running:/zones/web:\nweb:installed:\"/zones/w:b\":\nweb:configured:/zones/other:\n",
        "web:installed:relative:\n",
        "web\n",
        "",
    ] {
        write(&layout, text);
        let whole = Index::load(&layout).unwrap();
        assert_eq!(Index::find(&layout, &web).unwrap().as_ref(), whole.get(&web), "{text}");
    }
    // Neither does it wait for what is no file, nor read more than the whole would be.
    fs::remove_file(layout.index()).unwrap();
    fs::create_dir(layout.index()).unwrap();
    assert!(Index::find(&layout, &web).unwrap_err().to_string().contains("cannot read "));
}

#[test]
fn zonepaths_that_overlap_are_found_by_their_text() {
    let (_dir, layout) = layout();
    write(
        &layout,
        "# c:installed:/zones/web/a:\na:installed:/zones:\nb:installed:\"/zones/web/a:b\":\nc:configured:/zones/webs:\n\
         c:installed:/zones/web:\nd:configured:/zones/web:\ne:running:/zones/web\nf:installed:/zones/db:\n",
    );
    let found = Index::overlapping(&layout, Path::new("/zones/web")).unwrap();
    assert_eq!(found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
}
