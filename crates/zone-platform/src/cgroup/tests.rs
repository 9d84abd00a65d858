use super::*;
use crate::holders;
use crate::testing::{BASE, chain};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};
use std::time::Duration;

struct Place {
    _dir: tempfile::TempDir,
    layout: Layout,
    zone: ZoneName,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        Self { _dir: dir, layout, zone: "probe".parse().unwrap() }
    }

    fn path(&self) -> PathBuf {
        Tree::find(self.layout.id(), &self.zone).unwrap().path().join(ZONE)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = end(self.layout.id(), &self.zone, Duration::from_secs(10), &WaitToTheLimit);
    }
}

/// A process in a cgroup. It is put there by the slow way, which tests may take.
fn process_in(dir: BorrowedFd<'_>) -> Child {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    write(dir, "cgroup.procs", &child.id().to_string()).unwrap();
    child
}

#[test]
fn a_cgroup_is_made_delegated_and_removed() {
    zone_testing::needs_root!();
    let place = Place::new();
    let dir = make(&place.layout, &place.zone, &CgroupSpec::default(), BASE).unwrap();
    make(&place.layout, &place.zone, &CgroupSpec::default(), BASE).unwrap();
    assert_eq!(std::fs::metadata(place.path()).unwrap().uid(), BASE);
    for file in ["cgroup.procs", "cgroup.subtree_control"] {
        assert_eq!(std::fs::metadata(place.path().join(file)).unwrap().uid(), BASE, "{file}");
    }
    // What bounds the zone stays ours.
    assert_eq!(std::fs::metadata(place.path().join("cgroup.kill")).unwrap().uid(), 0);
    assert_eq!(std::fs::metadata(place.path().parent().unwrap()).unwrap().uid(), 0);
    drop(dir);
    assert!(open(&place.layout, &place.zone).unwrap().is_some());
    end(place.layout.id(), &place.zone, Duration::from_secs(10), &WaitToTheLimit).unwrap();
    end(place.layout.id(), &place.zone, Duration::from_secs(10), &WaitToTheLimit).unwrap();
    assert!(open(&place.layout, &place.zone).unwrap().is_none());
    assert!(!place.path().ancestors().nth(2).unwrap().exists());
}

#[test]
fn processes_are_killed_and_a_tree_of_the_zones_own_goes_too() {
    zone_testing::needs_root!();
    let place = Place::new();
    let dir = make(&place.layout, &place.zone, &CgroupSpec::default(), BASE).unwrap();
    for deep in ["a/b/c", "a/b/f", "a/d", "e", "g/h"] {
        std::fs::create_dir_all(place.path().join(deep)).unwrap();
    }
    // A name is bytes to the kernel, and no text.
    let odd = place.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir_all(odd.join("below")).unwrap();
    let deep = open_dir(dir.as_fd(), "a").and_then(|a| open_dir(a.as_fd(), "d")).unwrap();
    let too_deep = "x/".repeat(70);
    assert!(std::fs::create_dir_all(place.path().join(&too_deep)).is_err());
    let mut victim = process_in(deep.as_fd());
    let mut other = process_in(open_dir(CWD, odd.join("below")).unwrap().as_fd());
    let number = other.id().cast_signed();
    assert!(has(&place.layout, &place.zone, number).unwrap());
    let members = all_processes(&place.layout, &place.zone).unwrap();
    assert!(members.complete && members.pids.contains(&number) && members.pids.len() == 2, "{members:?}");
    kill(&place.layout, &place.zone, Duration::from_secs(10), &WaitToTheLimit).unwrap();
    kill(&place.layout, &place.zone, Duration::ZERO, &WaitToTheLimit).unwrap();
    victim.wait().unwrap();
    other.wait().unwrap();
    drop((dir, deep));
    end(place.layout.id(), &place.zone, Duration::from_secs(10), &WaitToTheLimit).unwrap();
    assert!(!place.path().exists());
}

#[test]
fn what_does_not_die_is_named() {
    let place = Place::new();
    let error = CgroupError::Alive {
        zone: place.zone.clone(),
        seconds: 10,
        holders: holders::among(&[std::process::id().cast_signed()], 0),
    };
    let text = chain(&error);
    assert!(text.starts_with("zone 'probe' still has processes 10 s after they were killed: "), "{text}");
    assert!(text.contains(&format!("{} (", std::process::id())));
}

#[test]
fn a_supervisor_is_swept_up_when_it_is_gone() {
    zone_testing::needs_root!();
    let place = Place::new();
    let dir = supervisor(&place.layout, &place.zone).unwrap();
    let mut alive = process_in(dir.as_fd());
    sweep(&place.layout, &place.zone, Duration::ZERO).unwrap();
    assert!(place.path().parent().unwrap().join(SUPERVISOR).exists());
    alive.kill().unwrap();
    alive.wait().unwrap();
    sweep(&place.layout, &place.zone, Duration::ZERO).unwrap();
    assert!(!place.path().parent().unwrap().exists());
    // Without a zone there is nothing to undo.
    kill(&place.layout, &place.zone, Duration::ZERO, &WaitToTheLimit).unwrap();
    sweep(&place.layout, &place.zone, Duration::ZERO).unwrap();
}

#[test]
fn installations_do_not_meet() {
    let [a, b] = [Place::new(), Place::new()];
    let first = |place: &Place| Tree::find(place.layout.id(), &place.zone).unwrap().names[0].clone();
    assert_ne!(first(&a), first(&b));
    assert_eq!(first(&a).len(), "zones-".len() + 16);
}

#[test]
fn the_hosts_zones_go_to_the_slice_but_a_living_one_stays_where_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mount = open_dir(CWD, place.path().to_str().unwrap()).unwrap();
    let places = Places::on_host(&"probe".parse().unwrap()).usual;
    let directory = |systemd| path_of(&host_place(mount.as_fd(), &places, systemd)).display().to_string();
    let unit = "zones.units.slice/zone@probe.service";
    let both = || (directory(false), directory(true));
    let events = place.path().join("zones/probe/cgroup.events");
    assert_eq!(both(), ("zones/probe".into(), unit.into()));
    std::fs::create_dir_all(events.parent().unwrap()).unwrap();
    std::fs::write(&events, "populated 1\nfrozen 0\n").unwrap();
    assert_eq!(both(), ("zones/probe".into(), "zones/probe".into()));
    std::fs::create_dir(place.path().join("zones.slice")).unwrap();
    assert_eq!(both(), ("zones/probe".into(), "zones/probe".into()));
    std::fs::write(&events, "populated 0\nfrozen 0\n").unwrap();
    assert_eq!(both(), ("zones.slice/probe".into(), format!("zones.slice/{unit}")));
    std::fs::remove_dir_all(place.path().join("zones")).unwrap();
    assert_eq!(both(), ("zones.slice/probe".into(), format!("zones.slice/{unit}")));
    // One that lives since before systemd's place was used.
    std::fs::create_dir(place.path().join("zones.slice/probe")).unwrap();
    std::fs::write(place.path().join("zones.slice/probe/cgroup.events"), "populated 1\n").unwrap();
    assert_eq!(both(), ("zones.slice/probe".into(), "zones.slice/probe".into()));
    // One that has ended, and is still to be removed.
    std::fs::remove_dir_all(place.path().join("zones.slice/probe")).unwrap();
    std::fs::create_dir_all(place.path().join("zones/probe/zone")).unwrap();
    assert_eq!(both(), ("zones/probe".into(), "zones/probe".into()));
}

#[test]
fn what_is_above_a_zones_cgroup_goes_with_it_but_for_what_is_systemds_or_anothers() {
    let place = tempfile::tempdir().unwrap();
    let mount = open_dir(CWD, place.path().to_str().unwrap()).unwrap();
    let places = Places::on_host(&"probe".parse().unwrap()).usual;
    for names in &places {
        std::fs::create_dir_all(place.path().join(path_of(names)).join(SUPERVISOR)).unwrap();
    }
    std::fs::create_dir(place.path().join("zones.units.slice/zone@web.service")).unwrap();
    places.iter().for_each(|names| end::sweep_below(mount.as_fd(), names));
    let left = |dir: &str| -> Vec<_> {
        let entries = std::fs::read_dir(place.path().join(dir)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(left("zones.slice"), [""; 0]);
    assert_eq!(left("zones.units.slice"), ["zone@web.service"]);
    assert_eq!(left("").len(), 2, "{:?}", left(""));
}

#[test]
fn one_with_cpus_of_its_own_is_where_a_unit_could_be_but_a_living_one_stays_where_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mount = open_dir(CWD, place.path().to_str().unwrap()).unwrap();
    let places = Places::on_host(&"probe".parse().unwrap()).apart;
    let found = |systemd| place_apart(mount.as_fd(), &places, systemd);
    let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (alone, unit) = (own(&["zones.cpus.probe"]), own(&["zones.units.probe.slice", "zone@probe.service"]));
    assert_eq!((found(false), found(true)), ((alone.clone(), false), (unit.clone(), false)));
    std::fs::create_dir_all(place.path().join(path_of(&unit))).unwrap();
    assert_eq!((found(false), found(true)), ((unit.clone(), true), (unit.clone(), true)));
    end::sweep_below(mount.as_fd(), &unit);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    // One of before.
    std::fs::create_dir(place.path().join(path_of(&alone))).unwrap();
    assert_eq!(found(true), (alone, true));
}
