//! Clients that nobody here wrote, and the examples of how to write one: Ansible with our plugins, the Python package varlink.

use crate::harness::{Command, Lab, Ran, cases, read, skip, write};
use std::path::PathBuf;

cases![
    ansible_leads_a_zone_through_its_life: 240,
    ansible_does_what_the_manual_says: 240,
    ansible_says_what_zoneadm_and_zlogin_say: 240,
    ansible_removes_nothing_but_what_is_to_be_absent: 240,
    the_examples_lead_a_zone_through_its_life,
    varlinkctl_leads_a_zone,
];

/// The collection, as it is shipped.
const COLLECTION: [(&str, &str); 5] = [
    ("galaxy.yml", include_str!("../../../../packaging/ansible/galaxy.yml")),
    ("README.md", include_str!("../../../../packaging/ansible/README.md")),
    ("meta/runtime.yml", include_str!("../../../../packaging/ansible/meta/runtime.yml")),
    ("plugins/connection/zone.py", include_str!("../../../../packaging/ansible/plugins/connection/zone.py")),
    ("plugins/modules/zone.py", include_str!("../../../../packaging/ansible/plugins/modules/zone.py")),
];

/// The example of a client in Python.
const LIFE: &str = include_str!("../../../../crates/zone-door/examples/life.py");

/// What the manual has people type.
const MANUAL: &str = include_str!("../../../../docs/ansible.md");

/// A whole life: what check mode says, what is done, that it is done once, what a diff shows, and tasks in the zone.
const PLAY: &str = r#"
- hosts: localhost
  tasks:
    - zones.linux.zone: &web
        name: web
        state: running
        zones_root: "{{ root }}"
        wait: 60
        config:
          hostname: www
          depends: [db]
          attr: [{name: owner, type: string, value: "the web team"}]
      check_mode: true
      register: would
    - stat: {path: "{{ root }}/etc/zones/web.toml"}
      register: file
    - assert:
        that:
          - would.changed and would.state == "running" and would.config.hostname == "www"
          - '"absent" in would.diff.before and "running" in would.diff.after'
          - would.commands | length == 3
          - not file.stat.exists
    - zones.linux.zone: *web
      register: done
    - zones.linux.zone: *web
      register: again
    - assert:
        that:
          - done.changed and done.state == "running"
          - not again.changed and again.commands == [] and again.config == done.config
    - zones.linux.zone:
        name: web
        zones_root: "{{ root }}"
        config: {hostname: null, depends: [], shutdown-timeout: 30, attr: [{name: owner, type: string, value: me}]}
        apply: true
      register: live
      diff: true
    - assert:
        that:
          - live.changed and live.state == "running"
          - '"hostname" not in live.config and "depends" not in live.config and live.config["shutdown-timeout"] == 30'
    - add_host: {name: web, ansible_connection: zones.linux.zone, ansible_zones_root: "{{ root }}"}

- hosts: web
  tasks:
    - raw: uname -n; exit 3
      register: raw
      failed_when: raw.rc != 3 or raw.stdout_lines != ["www"]
    - copy: {content: "from outside\n", dest: /root/note, mode: "0600"}
    - command: cat /root/note
      register: note
      failed_when: note.stdout != "from outside"
    - fetch: {src: /root/note, dest: "{{ fetched }}", flat: true}

- hosts: localhost
  tasks:
    - zones.linux.zone: &down {name: web, state: installed, zones_root: "{{ root }}", shutdown_timeout: 20}
      register: down
    - zones.linux.zone: *down
      register: still
    - zones.linux.zone: &gone {name: web, state: absent, zones_root: "{{ root }}"}
      register: gone
    - zones.linux.zone: *gone
      register: nothing
    - assert:
        that:
          - down.changed and not still.changed and still.state == "installed"
          - gone.changed and not nothing.changed
"#;

/// Runs a playbook, with the collection and our programs where Ansible looks for such.
#[track_caller]
fn play(lab: &Lab, play: &str) -> Ran {
    let python = lab.python();
    let program = python.with_file_name("ansible-playbook");
    if !program.is_file() {
        skip("there is no ansible-core beside the Python with the varlink package");
    }
    let collections = lab.path("collections");
    for (name, text) in COLLECTION {
        let file = collections.join("ansible_collections/zones/linux").join(name);
        let dir = file.parent().map(PathBuf::from).unwrap_or_default();
        std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        write(&file, text);
    }
    let (home, file) = (lab.path("home"), lab.path("play.yml"));
    std::fs::create_dir_all(&home).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    write(&file, play);
    let bin = lab.spec().bin.display().to_string();
    let vars = serde_json::json!({
        "root": lab.root(), "fetched": lab.path("fetched"), "ansible_python_interpreter": "/usr/bin/python3",
    });
    Command::new(program)
        .args(["-i", "localhost ansible_connection=local,", "-e", &vars.to_string()])
        .args([&file])
        .env("PATH", format!("{bin}:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("HOME", home)
        .env("ZONES_ROOT", lab.root())
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_COLLECTIONS_PATH", collections)
        .env("ANSIBLE_GATHERING", "explicit")
        .env("ANSIBLE_NOCOLOR", "1")
        .within(200)
        .run()
}

fn ansible_leads_a_zone_through_its_life(lab: &Lab) {
    let zone = lab.zone("web");
    let ran = play(lab, PLAY);
    ran.ok().stdout_has("-    \"hostname\": \"www\",").stdout_has("failed=0");
    assert_eq!(read(&lab.path("fetched")), "from outside\n", "{ran}");
    let said = zone.zoneadm(["list"]);
    said.exits(1).stderr_has("No such zone configured");
}

fn ansible_says_what_zoneadm_and_zlogin_say(lab: &Lab) {
    let _zone = lab.configured("web", "");
    let ran = play(
        lab,
        r#"
- hosts: localhost
  tasks:
    - zones.linux.zone: {name: web, zones_root: "{{ root }}", config: {autoboot: perhaps}}
      register: refused
      failed_when: '"allowed: true, false" not in refused.msg'
    - add_host: {name: web, ansible_connection: zones.linux.zone}
- hosts: web
  tasks:
    - raw: "true"
"#,
    );
    // 4: a host was unreachable.
    ran.exits(4).stdout_has("zlogin: cannot login to a zone which is 'configured'");
    lab.zonecfg("web", "info autoboot").ok().stdout_is("autoboot: false\n");
}

fn ansible_removes_nothing_but_what_is_to_be_absent(lab: &Lab) {
    let zone = lab.sparse("web");
    write(&zone.file("/etc/kept"), "yes\n");
    zone.zoneadm(["mark", "incomplete"]).ok();
    let ran = play(
        lab,
        r#"
- hosts: localhost
  tasks:
    - zones.linux.zone: {name: web, state: "{{ item.state }}", zones_root: "{{ root }}", config: {hostname: www}}
      check_mode: "{{ item.check }}"
      register: refused
      failed_when: 'not refused.failed or "zone web is incomplete: state=absent removes it first" not in refused.msg'
      loop:
        - {state: installed, check: false}
        - {state: installed, check: true}
        - {state: ready, check: false}
        - {state: running, check: false}
        - {state: running, check: true}
    - zones.linux.zone: {name: web, zones_root: "{{ root }}", config: {shutdown-timeout: 30}}
      register: left
      failed_when: left.failed or left.state != "incomplete"
"#,
    );
    ran.ok().stdout_has("failed=0");
    zone.is("incomplete");
    assert_eq!(read(&zone.file("/etc/kept")), "yes\n", "{ran}");
    let info = lab.zonecfg("web", "info hostname").ok().out();
    assert!(!info.contains("www"), "it failed before it changed the configuration: {info}");
    let ran = play(
        lab,
        r#"
- hosts: localhost
  tasks:
    - zones.linux.zone: {name: web, state: absent, zones_root: "{{ root }}"}
      register: gone
      failed_when: gone.failed or not gone.changed
"#,
    );
    ran.ok();
    zone.zoneadm(["list"]).exits(1).stderr_has("No such zone configured");
}

fn ansible_does_what_the_manual_says(lab: &Lab) {
    let zone = lab.zone("web");
    let mut plays = MANUAL.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let ran = play(lab, plays.next().unwrap_or_default());
    ran.ok().stdout_has("localhost                  : ok=2").stdout_has("web                        : ok=1");
    zone.is("running");
    zone.sh("cat /etc/motd").ok().stdout_is("Managed by Ansible.\n");
    zone.halt();
}

fn the_examples_lead_a_zone_through_its_life(lab: &Lab) {
    let zone = lab.sparse("web");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", lab.spec().bin.display());
    let life = |command: Command| {
        let ran = command.args(["web"]).env("ZONES_ROOT", lab.root()).env("PATH", &path).run();
        let said = ran.ok().out();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            matches!(
                lines.as_slice(),
                [booted, "it is ready", "it was rebooted, once", "it is installed: Shutdown"]
                    if booted.starts_with("it is running, after ") && !booted.contains(" 0 ")
            ),
            "{ran}"
        );
        zone.is("installed");
        zone.daemon_leaves();
    };
    life(Command::new(lab.program("examples/life")));
    let file = lab.path("life.py");
    write(&file, LIFE);
    life(Command::new(lab.python()).args([&file]));
}

fn varlinkctl_leads_a_zone(lab: &Lab) {
    let places = ["/usr/bin/varlinkctl", "/usr/local/bin/varlinkctl"];
    let Some(program) = places.into_iter().find(|place| PathBuf::from(place).is_file()) else {
        skip("varlinkctl is not installed: systemd has it from version 255 on");
    };
    let zone = lab.sparse("web");
    zone.zoneadm(["ready"]).ok();
    let door = format!("unix:{}", zone.run_dir().join("door").display());
    let said = |words: &[&str]| Command::new(program).args(words).within(60).run().ok().out();
    let call = |method: &str, parameters: &str| {
        said(&["call", &door, &format!("org.zones.zoneadmd.{method}"), parameters])
    };
    assert!(said(&["info", &door]).contains("org.zones.zoneadmd"));
    assert!(said(&["introspect", &door, "org.zones.zoneadmd"]).contains("method Boot("));
    let booted = said(&["call", "--more", &door, "org.zones.zoneadmd.Boot", "{}"]);
    assert!(booted.contains("\"progress\"") && booted.contains("\"running\""), "{booted}");
    let first = zone.status().uniqid.unwrap_or_default();
    assert!(call("GetStatus", "{}").contains(&first));
    assert!(call("Reboot", "{}").contains("\"running\""));
    assert_ne!(zone.status().uniqid.unwrap_or_default(), first);
    assert!(call("Halt", "{\"force\":false}").contains("\"installed\""));
    zone.is("installed");
}
