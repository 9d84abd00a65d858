//! Tests of the id map, with a stand-in for the host's /etc.

use std::fs;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().join("root"))).unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::create_dir_all(layout.etc()).unwrap();
        Self { dir, layout }
    }

    fn host(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join("etc").join(name), text).unwrap();
    }

    fn allocate(&self, zone: &str) -> Result<IdRange, IdMapError> {
        allocate_beside(&self.layout, &zone.parse().unwrap(), &self.dir.path().join("etc"))
    }
}

#[test]
fn a_range_is_given_once_and_kept() {
    let place = Place::new();
    let web = place.allocate("web").unwrap();
    assert!(is_ours(web));
    assert_eq!(place.allocate("web").unwrap(), web);
    let db = place.allocate("db").unwrap();
    assert!(!web.overlaps(db));
    let subuid = fs::read_to_string(place.layout.root().join("etc/subuid")).unwrap();
    assert_eq!(subuid, format!("zone-web:{web}\nzone-db:{db}\n"));
    assert_eq!(lookup(&place.layout, &"db".parse().unwrap()).unwrap(), Some(db));
}

#[test]
fn two_zones_with_one_id_in_common_are_both_refused() {
    let place = Place::new();
    let web = place.allocate("web").unwrap();
    let db = place.allocate("db").unwrap();
    for (base, count) in [(web.base, COUNT), (web.base + COUNT - 1, 2), (web.base - 1, 2)] {
        fs::write(place.layout.idmap(), format!("web:{web}\ndb:{base}:{count}\n")).unwrap();
        let text = lookup(&place.layout, &"web".parse().unwrap()).unwrap_err().to_string();
        let told = format!("line 1: zone 'web' has the ids {web}, and zone 'db' has {base}:{count}: no two");
        assert!(text.contains(&told), "{text}");
        assert!(lookup(&place.layout, &"db".parse().unwrap()).is_err());
        assert!(place.allocate("web").is_err());
    }
    // What is recorded twice is as bad, and what is beside is fine.
    fs::write(place.layout.idmap(), format!("web:{web}\nweb:{web}\n")).unwrap();
    assert!(lookup(&place.layout, &"web".parse().unwrap()).is_err());
    fs::write(place.layout.idmap(), format!("web:{web}\ndb:{db}\n")).unwrap();
    assert_eq!(lookup(&place.layout, &"web".parse().unwrap()).unwrap(), Some(web));
}

#[test]
fn nobody_elses_ids_are_taken() {
    let free = Place::new().allocate("web").unwrap();
    // The roots differ, and so do the hashes: ask for what this root would give, then take it away.
    for (file, line) in [
        ("subuid", "joe:{base}:10\n"),
        ("subgid", "joe:{base}:10\n"),
        ("passwd", "joe:x:{base}:100::/:/bin/sh\n"),
        ("group", "joe:x:{base}:\n"),
    ] {
        let place = Place::new();
        let wanted = place.allocate("web").unwrap();
        release(&place.layout, &"web".parse().unwrap()).unwrap();
        place.host(file, &line.replace("{base}", &(wanted.base + 65_530).to_string()));
        assert!(!place.allocate("web").unwrap().overlaps(wanted), "{file}");
    }
    assert!(is_ours(free));
}

#[test]
fn release_removes_our_lines_alone() {
    let place = Place::new();
    let subuid = place.layout.root().join("etc/subuid");
    fs::write(&subuid, "# hand made\njoe:100000:65536").unwrap();
    place.allocate("web").unwrap();
    place.allocate("web2").unwrap();
    release(&place.layout, &"web".parse().unwrap()).unwrap();
    release(&place.layout, &"web".parse().unwrap()).unwrap();
    let text = fs::read_to_string(&subuid).unwrap();
    assert!(text.starts_with("# hand made\njoe:100000:65536\nzone-web2:") && text.lines().count() == 3);
    assert!(!fs::read_to_string(place.layout.idmap()).unwrap().contains("web:"));
}

#[test]
fn a_record_edited_into_nonsense_is_refused() {
    let place = Place::new();
    for bad in ["web:5", "web:5:65536", "web:0:65536", "web:524288:65537", "web:x:65536"] {
        fs::write(place.layout.idmap(), format!("db:589824:65536\n{bad}\n")).unwrap();
        let refused = place.allocate("web").unwrap_err().to_string();
        assert!(refused.contains("idmap, line 2: not 'web:BASE:65536'"), "{refused}");
    }
}

#[test]
fn a_full_house_is_said() {
    let place = Place::new();
    place.host("subuid", &format!("all:0:{}\n", u32::MAX));
    assert!(matches!(place.allocate("web"), Err(IdMapError::Full { .. })));
}

#[test]
fn ids_are_given_where_the_administrator_wants_them() {
    let place = Place::new();
    fs::write(place.layout.settings(), "first-id = 1000000\nlast-id = 1200000\n").unwrap();
    // Of what begins at a multiple of the number of ids there are two.
    let mut bases = ["web", "db"].map(|zone| place.allocate(zone).unwrap().base);
    bases.sort_unstable();
    assert_eq!(bases, [1_048_576, 1_114_112]);
    let full = place.allocate("mail").unwrap_err().to_string();
    assert!(full.contains("for zone 'mail' between 1000000 and 1200000"), "{full}");
    // Who has ids keeps them.
    fs::write(place.layout.settings(), "first-id = 2000000\n").unwrap();
    assert!(bases.contains(&place.allocate("web").unwrap().base));
}

#[test]
fn what_is_free_is_what_nothing_meets() {
    let slots = |taken: &[IdRange]| free_slots(HOST, taken).iter().filter(|free| !**free).count();
    let range = |base, count| IdRange { base, count };
    assert_eq!(slots(&[]), 0);
    assert_eq!(slots(&[range(FIRST, 1), range(FIRST, COUNT), range(0, FIRST), range(LAST + 1, 5)]), 1);
    assert_eq!(slots(&[range(FIRST + COUNT - 1, 2)]), 2);
    assert_eq!(slots(&[range(FIRST - 1, 2), range(LAST, 9), range(FIRST + COUNT, 0)]), 2);
    assert_eq!(slots(&[range(0, u32::MAX)]), HOST.slots() as usize);
    // As many as a file may have lines.
    let many: Vec<IdRange> = (0..500_000).map(|_| range(0, u32::MAX)).collect();
    assert_eq!(slots(&many), HOST.slots() as usize);
}

#[test]
fn a_zone_keeps_a_part_of_its_ids_and_gives_the_others() {
    let room = Room::within(COUNT);
    assert_eq!((room, room.slots()), (Room { first: 8192, last: 65_535, count: 8192 }, 7));
    let nobody = [IdRange { base: 65_534, count: 1 }];
    assert_eq!(free_slots(room, &nobody), [true, true, true, true, true, true, false]);
    // What is too small has room for none that could run, and is no reason to end in a panic.
    for ids in [0, 1, 7, 9] {
        let room = Room::within(ids);
        assert_eq!(free_slots(room, &nobody).len(), room.slots() as usize, "{ids}");
        assert!(room.first > 0, "nobody is given the ids of who gives them");
    }
    assert_eq!(nested(), None, "tests run in the host's user namespace");
}
