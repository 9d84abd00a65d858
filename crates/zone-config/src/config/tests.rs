//! Tests of the configuration, typed and on disk.

use super::*;
use crate::schema;

fn sample() -> ZoneConfig {
    let mut config = ZoneConfig::new("/zones/web".into());
    config.brand = "linux".into();
    config.limitpriv = vec!["default".into(), "!net_raw".into()];
    config.hostname = Some("www".into());
    config.restart_init = false;
    config.shutdown_timeout = 5;
    config.fs = vec![
        Fs {
            dir: "/tmp".into(),
            special: "swap".into(),
            fstype: FsType::Tmpfs,
            raw: None,
            owners: FsOwners::Map,
            options: vec!["size=1m".into()],
        },
        Fs {
            dir: "/data".into(),
            special: "/srv/a b".into(),
            fstype: FsType::Lofs,
            raw: None,
            owners: FsOwners::Host,
            options: vec![],
        },
    ];
    config.attr =
        vec![Attr { name: "note".into(), attrtype: AttrType::String, value: "it's \\ [so]; é".into() }];
    config
}

#[test]
fn the_form_on_disk_comes_back() {
    let text = sample().to_toml();
    assert_eq!(ZoneConfig::parse(&text, Path::new("f")).unwrap(), sample());
    assert!(text.contains("restart-init = false\n") && text.contains("[[fs]]\ndir = \"/tmp\"\n"), "{text}");
    assert!(!text.contains("autoboot"), "a default is not written: {text}");
    assert_eq!(sample().to_document().verify(), []);
}

#[test]
fn every_property_has_one_field() {
    fn named<R: Record>(rows: &[schema::Property]) {
        let names: Vec<_> = rows.iter().filter(|row| row.stored).map(|row| row.name).collect();
        assert_eq!(names, R::PROPERTIES);
    }
    named::<ZoneConfig>(GLOBALS);
    let resources: Vec<_> = schema::RESOURCES.iter().map(|resource| resource.name).collect();
    assert_eq!(resources, ZoneConfig::RESOURCES);
    named::<Fs>(schema::resource("fs").unwrap().properties);
    named::<Device>(schema::resource("device").unwrap().properties);
    named::<Net>(schema::resource("net").unwrap().properties);
    named::<Port>(schema::resource("port").unwrap().properties);
    named::<CappedMemory>(schema::resource("capped-memory").unwrap().properties);
    named::<CappedCpu>(schema::resource("capped-cpu").unwrap().properties);
    named::<Attr>(schema::resource("attr").unwrap().properties);
}

#[test]
fn a_snapshot_has_everything_and_reads_what_older_programs_wrote() {
    let written = toml::to_string(&ZoneConfig::new("/z".into())).unwrap();
    assert!(
        written.contains("shutdown-timeout = 60\n") && written.contains("autoboot = false\n"),
        "{written}"
    );
    assert_eq!(toml::from_str::<ZoneConfig>(&toml::to_string(&sample()).unwrap()).unwrap(), sample());
    let old =
        toml::from_str::<ZoneConfig>("zonepath = \"/z\"\nfs = []\nlimitpriv = []\nhostname = \"a_b\"\n")
            .unwrap();
    assert_eq!(old.hostname.as_deref(), Some("a_b"));
    for bad in [
        "",
        "zonepath = 5",
        "zonepath = \"/z\"\nfly = 1",
        "zonepath = \"/z\"\nautoboot = \"yes\"",
        "zonepath = \"/z\"\nip-type = \"pigeon\"",
        "zonepath = \"/z\"\n[[fs]]\ndir = \"/d\"",
    ] {
        assert!(toml::from_str::<ZoneConfig>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_table_and_the_typed_form_agree() {
    // serde's names are those of the snapshot and of JSON; they must be the language's.
    let snapshot = toml::to_string(&sample()).unwrap();
    let read = Document::parse(&snapshot, Path::new("f")).unwrap();
    assert_eq!(ZoneConfig::from_document(&read, Path::new("f")).unwrap(), sample());
    let unset = Document::parse("zonepath = \"/z\"", Path::new("f")).unwrap();
    assert_eq!(ZoneConfig::from_document(&unset, Path::new("f")).unwrap(), ZoneConfig::new("/z".into()));
    assert_eq!(toml::from_str::<ZoneConfig>("zonepath = \"/z\"").unwrap(), ZoneConfig::new("/z".into()));
}

#[test]
fn an_error_names_place_property_and_remedy() {
    for (text, place, said) in [
        (
            "zonepath = \"/z\"\nautobot = true\n",
            "line 2, column 1",
            "no property or resource 'autobot'; allowed: zonepath, brand",
        ),
        ("autobot = true\n", "line 1, column 1", "; did you mean \"autoboot\"?"),
        ("[[nett]]\n", "line 1, column 3", "; did you mean \"net\"?"),
        ("[[fs]]\nspecail = \"/srv\"\n", "line 2, column 1", "; did you mean \"special\"?"),
        (
            "autoboot = \"yes\"\n",
            "line 1, column 12",
            "autoboot: \"yes\" is string, not true or false, without quotes; allowed: true, false",
        ),
        (
            "shutdown-timeout = 0\n",
            "line 1, column 20",
            "shutdown-timeout: \"0\" is not allowed; allowed: a whole number of seconds",
        ),
        (
            "\n[[fs]]\n  type = \"zfs4\"\n",
            "line 3, column 10",
            "fs: type: \"zfs4\" is not allowed; allowed: lofs, tmpfs",
        ),
        (
            "[[fs]]\ncolor = \"x\"\n",
            "line 2, column 1",
            "fs: no property 'color'; allowed: dir, special, raw, type, owners, options",
        ),
        (
            "[[fs]]\noptions = [1]\n",
            "line 2, column 11",
            "fs: options: [1] is array, not an array of strings",
        ),
        ("fs = 3\n", "line 1, column 6", "fs: not a list of tables; allowed: [[fs]]"),
        ("zonename = \"web\"\n", "line 1, column 1", "zonename: the file's own name says it"),
        ("zonepath = \"/z\"\nzonepath = \"/y\"\n", "line 2, column 1", "duplicate key"),
        ("bootargs = 'say \"a\"'\n", "line 1, column 12", "without double quotes"),
    ] {
        let error = ZoneConfig::parse(text, Path::new("/etc/zones/web.toml")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("/etc/zones/web.toml, {place}")), "{text}: {error}");
        assert!(error.contains(said), "{text}: {error}");
    }
    let missing = ZoneConfig::parse("[[fs]]\ndir = \"/d\"\n", Path::new("f")).unwrap_err().to_string();
    assert!(missing.starts_with("f: zonepath not specified; allowed: an absolute path"), "{missing}");
}

#[test]
fn verify_reports_everything() {
    let mut config = sample();
    config.brand = "solaris".into();
    config.limitpriv.push("fly".into());
    config.fs[1].dir = "/tmp".into();
    config.fs[1].special = "srv".into();
    config.attr[0].attrtype = AttrType::Uint;
    config.attr[0].value = "-1".into();
    let said: Vec<String> = config.to_document().verify().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(said[0].starts_with("limitpriv is \"[default,!net_raw,fly]\"; allowed: a list of 'default'"));
    assert!(said[1].starts_with("brand cannot be used: no brand \"solaris\"; there are"));
    assert_eq!(said[2], "fs /tmp: dir is that of another resource of this type");
    assert_eq!(said[3], "fs /tmp: special is \"srv\"; for type lofs allowed: an absolute path of the host");
    assert_eq!(
        said[4],
        "attr note: value is \"-1\"; for type uint allowed: a whole number that is not negative"
    );
}
