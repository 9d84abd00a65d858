//! An init that cannot be one. Each is told in a sentence and leaves the zone installed.

use crate::harness::{Lab, Zone, cases, make_dir, set_mode, write, write_program};
use std::os::unix::fs::symlink;

cases![
    an_init_that_is_missing,
    an_init_that_is_not_executable,
    an_init_that_is_a_directory,
    an_init_that_is_no_program,
    an_init_whose_interpreter_is_missing,
    an_absolute_link_stays_inside,
    a_link_that_leads_nowhere,
    a_link_that_climbs_stays_inside,
    a_root_without_directories_is_helped,
];

const SLEEP: &str = "exec sleep 2147483647";

/// A boot that must fail, name init, and leave nothing.
#[track_caller]
fn cannot_boot(zone: &Zone<'_>, text: &str) {
    let ran = zone.zoneadm(["boot"]);
    ran.refuses().stderr_has("/sbin/init").stderr_has(text);
    zone.is("installed");
    assert!(!zone.run_dir().join("snapshot.toml").exists() && !zone.run_dir().join("journal").exists());
}

fn without_init<'lab>(lab: &'lab Lab) -> Zone<'lab> {
    let zone = lab.tiny("web", SLEEP);
    std::fs::remove_file(zone.file("/sbin/init")).unwrap_or_else(|e| panic!("{e}"));
    zone
}

fn an_init_that_is_missing(lab: &Lab) {
    let zone = without_init(lab);
    cannot_boot(&zone, "could not stat");
    // The same once more, and then repaired: nothing was left that would be in the way.
    cannot_boot(&zone, "could not stat");
    write_program(&zone.file("/sbin/init"), &format!("#!/bin/sh\n{SLEEP}\n"));
    zone.boot();
    zone.halt();
    let ran = zone.zoneadm(["boot", "--", "-i", "/no/such/init"]);
    ran.refuses().stderr_has("/no/such/init");
    zone.is("installed");
}

fn an_init_that_is_not_executable(lab: &Lab) {
    let zone = lab.tiny("web", SLEEP);
    set_mode(&zone.file("/sbin/init"), 0o644);
    cannot_boot(&zone, "is not executable");
}

fn an_init_that_is_a_directory(lab: &Lab) {
    let zone = without_init(lab);
    make_dir(&zone.file("/sbin/init"), 0o755);
    cannot_boot(&zone, "directory");
}

fn an_init_that_is_no_program(lab: &Lab) {
    let zone = lab.tiny("web", SLEEP);
    write(&zone.file("/sbin/init"), [0x7f, b'E', b'L', b'F', 1, 2, 3, 4]);
    cannot_boot(&zone, "");
}

fn an_init_whose_interpreter_is_missing(lab: &Lab) {
    let zone = lab.tiny("web", SLEEP);
    write_program(&zone.file("/sbin/init"), "#!/no/such/interpreter\n");
    cannot_boot(&zone, "");
}

fn an_absolute_link_stays_inside(lab: &Lab) {
    let zone = without_init(lab);
    write_program(&zone.file("/etc/real-init"), &format!("#!/bin/sh\necho inside > /which; {SLEEP}\n"));
    // On the host the same path is something else; only the zone's own counts.
    symlink("/etc/real-init", zone.file("/sbin/init")).unwrap_or_else(|e| panic!("{e}"));
    zone.boot();
    assert_eq!(zone.written("/which"), "inside\n");
}

fn a_link_that_leads_nowhere(lab: &Lab) {
    let zone = without_init(lab);
    // There on the host, not in the zone.
    symlink("/usr/bin/env", zone.file("/sbin/init")).unwrap_or_else(|e| panic!("{e}"));
    cannot_boot(&zone, "could not stat");
}

fn a_link_that_climbs_stays_inside(lab: &Lab) {
    let zone = without_init(lab);
    write_program(&lab.path("evil"), "#!/bin/sh\ntrue\n");
    symlink("../../../../../../../../../../evil", zone.file("/sbin/init")).unwrap_or_else(|e| panic!("{e}"));
    cannot_boot(&zone, "could not stat");
}

fn a_root_without_directories_is_helped(lab: &Lab) {
    let zone = lab.tiny("web", SLEEP);
    for dir in ["dev", "proc", "sys", "run"] {
        std::fs::remove_dir(zone.file(dir)).unwrap_or_else(|e| panic!("{e}"));
    }
    zone.boot();
    zone.zlogin(["/bin/sh", "-c", "test -e /proc/1/stat && test -c /dev/null && test -d /sys/class"]).ok();
}
