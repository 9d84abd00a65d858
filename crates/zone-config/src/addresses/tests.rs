//! Tests of the file of addresses.

use std::fs;

use proptest::prelude::*;

use super::*;

fn layout() -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
    (dir, layout)
}

fn name(zone: &str) -> ZoneName {
    zone.parse().unwrap()
}

fn record(zone: &str, net: &str, addresses: &[&str]) -> Record {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Record { zone: name(zone), net: net.to_owned(), addresses }
}

fn write(layout: &Layout, bytes: impl AsRef<[u8]>) {
    file::make_dir(&layout.etc(), 0o755).unwrap();
    fs::write(layout.addresses(), bytes).unwrap();
}

fn read(layout: &Layout) -> String {
    fs::read_to_string(layout.addresses()).unwrap()
}

fn set(layout: &Layout, record: Record) {
    Addresses::update(layout, |addresses| addresses.set(record)).unwrap();
}

#[test]
fn every_other_line_is_kept() {
    let (_dir, layout) = layout();
    write(&layout, "# by hand\n\nweb eth0\t10.1.0.2  fd00::2\nnonsense\nweb eth1 10.1.0.3");
    set(&layout, record("db", "eth0", &["10.1.0.4"]));
    let kept = "# by hand\n\nweb eth0\t10.1.0.2  fd00::2\nnonsense\nweb eth1 10.1.0.3\n";
    assert_eq!(read(&layout), format!("{kept}db eth0 10.1.0.4\n"));
    let addresses = Addresses::load(&layout).unwrap();
    let web = addresses.get(&name("web"), "eth0").unwrap().unwrap();
    assert_eq!(*web, record("web", "eth0", &["10.1.0.2", "fd00::2"]));
    assert_eq!(addresses.records().count(), 3);
    set(&layout, record("web", "eth0", &["10.1.0.9"]));
    assert_eq!(read(&layout).lines().nth(2), Some("web eth0 10.1.0.9"));
    set(&layout, record("web", "eth0", &[]));
    assert_eq!(Addresses::load(&layout).unwrap().get(&name("web"), "eth0").unwrap(), None);
    release(&layout, &name("db")).unwrap();
    release(&layout, &name("db")).unwrap();
    retain(&layout, &name("web"), &["eth1"]).unwrap();
    assert_eq!(read(&layout), "# by hand\n\nnonsense\nweb eth1 10.1.0.3\n");
    retain(&layout, &name("web"), &["eth0"]).unwrap();
    assert_eq!(read(&layout), "# by hand\n\nnonsense\n");
}

#[test]
fn a_bad_line_is_named_by_file_and_number() {
    let (_dir, layout) = layout();
    for (bad, told) in [
        ("web", "not of the form ZONE NET ADDRESS ..."),
        ("web eth0", "not of the form ZONE NET ADDRESS ..."),
        ("web eth0 10.0.0.300", "\"10.0.0.300\" is not an IP address"),
        ("web eth0 10.0.0.3/20", "\"10.0.0.3/20\" is not an IP address"),
        ("web eth0 10.0.0.3 10.0.0.3", "the address 10.0.0.3 stands there twice"),
        ("-web eth0 10.0.0.3", "a zone name starts with a letter or a digit"),
        ("web a/b 10.0.0.3", "\"a/b\" is not the name of a link"),
        ("ok eth0 10.0.0.3", "a second line for net eth0 of zone 'ok'"),
    ] {
        write(&layout, format!("ok eth0 10.0.0.2\n{bad}\n"));
        let addresses = Addresses::load(&layout).unwrap();
        let text = addresses.check().unwrap_err().to_string();
        assert!(text.contains("etc/zones/addresses, line 2: ") && text.contains(told), "{bad}: {text}");
        assert!(
            addresses.get(&name("ok"), "eth0").unwrap().is_some(),
            "another's nonsense is not this zone's"
        );
        if bad.starts_with("web eth0") {
            assert!(addresses.get(&name("web"), "eth0").is_err(), "{bad}");
        }
        // What nobody understands can be taken away all the same.
        release(&layout, &name("web")).unwrap();
        assert_eq!(read(&layout).contains(bad), !bad.starts_with("web"), "{bad}");
    }
    write(&layout, b"web eth0 \xff\n");
    assert!(Addresses::load(&layout).unwrap().check().unwrap_err().to_string().contains("not valid UTF-8"));
    let odd = Addresses::update(&layout, |addresses| addresses.set(record("web", "a b", &["10.0.0.1"])));
    assert!(matches!(odd, Err(AddressesError::Net(_))));
}

#[test]
fn an_address_of_two_nets_is_refused_for_both() {
    let (_dir, layout) = layout();
    write(&layout, "web eth0 10.0.0.2 fd00::2\ndb eth0 10.0.0.3 fd00::2\nok eth0 10.0.0.4\n");
    let addresses = Addresses::load(&layout).unwrap();
    let text = addresses.get(&name("db"), "eth0").unwrap_err().to_string();
    assert!(
        text.ends_with(
            "addresses, line 2: net eth0 of zone 'db' has the address fd00::2, and so has net eth0 of zone 'web'; \
             correct the line that was edited"
        ),
        "{text}"
    );
    assert!(addresses.get(&name("web"), "eth0").is_err());
    assert!(addresses.get(&name("ok"), "eth0").is_ok());
}

#[test]
fn a_renamed_zone_keeps_its_addresses() {
    let (_dir, layout) = layout();
    rename(&layout, &name("web"), &name("www")).unwrap();
    assert!(!layout.run().exists(), "nothing to rename, nothing made");
    write(&layout, "web eth0 10.0.0.2\n  web eth1 nonsense\nweb2 eth0 10.0.0.3\nwww eth0 10.0.0.9\n");
    rename(&layout, &name("web"), &name("www")).unwrap();
    let renamed = "www eth0 10.0.0.2\n  www eth1 nonsense\nweb2 eth0 10.0.0.3\n";
    assert_eq!(read(&layout), renamed);
    // Again, as after a crash between this file and the index.
    rename(&layout, &name("web"), &name("www")).unwrap();
    rename(&layout, &name("www"), &name("www")).unwrap();
    assert_eq!(read(&layout), renamed);
}

#[test]
fn what_a_dead_writer_left_is_no_harm() {
    let (_dir, layout) = layout();
    write(&layout, "web eth0 10.0.0.2\n");
    let whole = "web eth0 10.0.0.2\ndb eth0 10.0.0.3\n";
    for length in 0..=whole.len() {
        write(&layout, "web eth0 10.0.0.2\n");
        fs::write(layout.etc().join(".addresses.new"), &whole[..length]).unwrap();
        assert_eq!(read(&layout), "web eth0 10.0.0.2\n");
        set(&layout, record("db", "eth0", &["10.0.0.3"]));
        assert_eq!(read(&layout), whole);
        assert!(!layout.etc().join(".addresses.new").exists());
    }
}

#[test]
fn only_a_regular_file_is_read() {
    let (_dir, layout) = layout();
    fs::create_dir_all(layout.addresses()).unwrap();
    assert!(Addresses::load(&layout).is_err());
    assert!(release(&layout, &name("web")).is_err());
}

proptest! {
    #[test]
    fn no_text_is_lost(text in "([a-c#]{0,2}( (eth0|10\\.0\\.0\\.[0-9]|fd00::[0-9]|x)){0,4}\n){0,8}") {
        let lines: Vec<Line> = lines::parse(text.as_bytes());
        prop_assert_eq!(lines::print(&lines), text.into_bytes());
    }
}

#[test]
fn a_net_is_found_as_in_the_whole_or_not_at_all() {
    let (_dir, layout) = layout();
    let found = || find(&layout, &name("web"), "eth0").unwrap();
    assert_eq!(found(), None);
    let own = record("web", "eth0", &["10.1.0.2", "fd00::2"]);
    for others in ["", "# web eth0 10.1.0.2\n", "web eth1 10.1.0.3\nwebs eth0 10.1.0.4\n", "nonsense\nweb\n"]
    {
        write(&layout, format!("{others}web eth0 10.1.0.2 fd00::2"));
        assert_eq!(found().as_ref(), Some(&own), "{others}");
        assert_eq!(
            Addresses::load(&layout).unwrap().get(&name("web"), "eth0").unwrap(),
            Some(&own),
            "{others}"
        );
    }
    // What is in doubt is left to whoever reads all.
    for others in ["db eth0 fd00:0::2\n", "web eth0 10.1.0.9\n", "web eth0 what\n", "db what? 10.1.0.2\n"] {
        write(&layout, format!("web eth0 10.1.0.2 fd00::2\n{others}"));
        assert_eq!(found(), None, "{others}");
    }
}
