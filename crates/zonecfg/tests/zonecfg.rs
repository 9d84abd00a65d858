//! The program as a person runs it, under a private root.
#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use zone_config::{Index, Layout, State, ZoneConfig, ZoneName};

struct Place {
    dir: tempfile::TempDir,
    layout: Layout,
}

/// How a run ended: its status, standard output and standard error.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        Self { dir, layout }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zonecfg"));
        command.arg("-R").arg(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn zonecfg(&self, args: &[&str]) -> Ran {
        self.command().args(args).output().unwrap().into()
    }

    fn on(&self, zone: &str, commands: &str) -> Ran {
        self.zonecfg(&["-z", zone, commands])
    }

    fn done(&self, zone: &str, commands: &str) -> String {
        let ran = self.on(zone, commands);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{commands}");
        ran.out
    }

    /// Runs what must fail with 1 and say this.
    fn refused(&self, zone: &str, commands: &str, said: &str) {
        let before = self.files();
        let ran = self.on(zone, commands);
        assert_eq!(ran.status, 1, "{commands}: {}", ran.err);
        assert!(ran.err.contains(said), "{commands}: {}", ran.err);
        assert_eq!(self.files(), before, "{commands}: what fails changes nothing");
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Everything below etc/zones.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let Ok(dir) = fs::read_dir(self.layout.etc()) else { return Vec::new() };
        let mut files: Vec<_> = dir
            .map(|file| {
                let path = file.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                (path, text)
            })
            .collect();
        files.sort();
        files
    }

    fn set_state(&self, zone: &str, state: State) {
        Index::update(&self.layout, |index| index.set_state(&zone.parse().unwrap(), state)).unwrap();
    }
}

const WEB: &str = "create; set zonepath=/zones/web; set brand=linux; set bootargs=\"-m verbose; #1\"
    set limitpriv=\"default,!net_raw\"
    add fs; set dir=/data; set special=\"/srv/a b\"; set type=lofs; add options [ro,nodev]; end
    add attr; set name=note; set type=string; set value=\"x=[1]\"; end
    verify; commit";

#[test]
fn zones_that_wait_for_each_other_are_refused_and_one_that_is_not_there_is_told_of() {
    let place = Place::new();
    place.done("db", "create");
    let told = place.on("web", "create; set depends=db,cache");
    assert_eq!(told.status, 0, "{}", told.err);
    assert!(told.err.contains("note: depends names 'cache', and no such zone is configured"), "{}", told.err);
    place.refused("db", "set depends=web; commit", "depends leads back to the zone: db -> web -> db: ");
    place.refused("db", "set depends=web; verify", "depends leads back to the zone: db -> web -> db: ");
    place.done("db", "set depends=other; clear depends");
}

#[test]
fn what_other_zones_have_is_told_once_and_refused_if_it_is_the_zonepath() {
    let place = Place::new();
    let net = |address: &str| format!("add net; set global-nic=br0; set address={address}; end");
    let port = "add port; set host=8080; set to=80; end";
    let cpus = "add dedicated-cpu; set cpus=2-3; end";
    place.done("db", &format!("create; set zonepath=/zones/db; {}; {port}; {cpus}", net("192.0.2.5/24")));
    let note = |what: &str| format!("zonecfg: note: {what} is configured for zone db, too\n");
    let notes = [
        note("net eth0: address 192.0.2.5"),
        note("port 8080: the host's port 8080"),
        note("dedicated-cpu: CPU 3"),
    ]
    .concat();
    let web = format!("create; {}; {port}; {}", net("192.0.2.5"), cpus.replace("2-3", "3-4"));
    // Said when it is asked for, and not again when the same is saved.
    for (commands, said) in [
        (web.as_str(), notes.clone()),
        ("verify; commit", notes.clone()),
        ("verify; verify", notes.repeat(2)),
        ("set autoboot=true; verify; commit; set autoboot=false", notes.clone()),
        ("set zonename=www", notes.clone()),
    ] {
        let ran = place.on("web", commands);
        assert_eq!((ran.status, ran.err), (0, said), "{commands}");
    }
    let file = place.file("www.cfg", "set autoboot=true\nverify\ncommit\n");
    let ran = place.zonecfg(&["-z", "www", "-f", &file]);
    assert_eq!((ran.status, ran.err.as_str()), (0, notes.as_str()));
    assert_eq!(place.on("www", "remove port; remove dedicated-cpu; remove net").err, "");

    // Two zones cannot have one zonepath, and none can be within another.
    for path in ["/zones/db", "/zones/db/root/srv", "/zones"] {
        let said = "zonepath overlaps the zonepath of zone db, /zones/db: give one of the two another";
        place.refused("mail", &format!("create; set zonepath={path}"), said);
    }
    // Who has files cannot give way, and is only told.
    place.done("mail", "create; set zonepath=/zones/mail");
    place.set_state("mail", State::Installed);
    let index = fs::read_to_string(place.layout.index()).unwrap();
    fs::write(place.layout.index(), index.replace("/zones/db:", "/zones/mail/db:")).unwrap();
    let ran = place.on("mail", "set autoboot=true");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.starts_with("zonecfg: note: zonepath overlaps"), "{}", ran.err);
}

#[test]
fn a_brand_that_cannot_be_read_is_told_in_words() {
    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("zonecfg");
    fs::copy(env!("CARGO_BIN_EXE_zonecfg"), &program).unwrap();
    // Beside the program is where brands are looked for.
    fs::create_dir(dir.path().join("brands")).unwrap();
    std::os::unix::fs::symlink("odd.toml", dir.path().join("brands/odd.toml")).unwrap();
    let mut command = Command::new(program);
    command.args(place.command().get_args()).args(["-z", "web", "create; set brand=odd"]);
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(
        said.contains("brand cannot be used: cannot ")
            && said.contains("odd.toml: Too many levels of symbolic links\n"),
        "{said}"
    );
}

#[test]
fn a_zonepath_is_where_the_installation_has_them() {
    let place = Place::new();
    fs::create_dir_all(place.layout.etc()).unwrap();
    fs::write(place.layout.settings(), "zonepath-base = \"/srv/zones\"\n").unwrap();
    assert!(place.done("web", "create; info zonepath").contains("zonepath: /srv/zones/web"));
    fs::write(place.layout.settings(), "\nzonepath_base = \"/srv/zones\"\n").unwrap();
    place.refused("db", "create", "etc/zones/zones.toml, line 2: unknown field `zonepath_base`");
}

#[test]
fn a_zone_is_described_shown_copied_and_deleted() {
    let place = Place::new();
    let web: ZoneName = "web".parse().unwrap();
    assert_eq!(place.done("web", WEB), "");
    assert_eq!(fs::read_to_string(place.layout.index()).unwrap(), "web:configured:/zones/web:\n");
    let config = ZoneConfig::load(&place.layout, &web).unwrap();
    assert_eq!((config.fs[0].special.as_str(), config.bootargs.as_str()), ("/srv/a b", "-m verbose; #1"));

    let info = place.done("web", "info");
    assert!(
        info.starts_with(
            "zonename: web\nzonepath: /zones/web\nbrand: linux\nautoboot: false\nboot-priority: normal\n"
        ),
        "{info}"
    );
    assert!(
        info.contains(
            "limitpriv: default,!net_raw\nnesting: false\nio-uring: false\nsocketcall: false\nip-type: exclusive\nuptime: host\nlxcfs: \nhostid: \n[hostname: web]\nuser-data: \n[init: /sbin/init]\n"
        )
    );
    assert!(info.contains(
        "fs:\n\tdir: /data\n\tspecial: /srv/a b\n\traw not specified\n\ttype: lofs\n\towners: map\n\toptions: [ro,nodev]\nattr:\n"
    ));
    assert_eq!(
        place.done("web", "info attr name=note"),
        "attr:\n\tname: note\n\ttype: string\n\tvalue: x=[1]\n"
    );

    let exported = place.done("web", "export");
    // With a zonepath of its own.
    let exported = exported.replace("=/zones/web", "=/zones/web2");
    let file = place.file("copy.cfg", &exported);
    assert_eq!(place.zonecfg(&["-z", "web2", "-f", &file]).status, 0);
    assert_eq!(place.done("web2", "export"), exported);
    let copy = fs::read_to_string(place.layout.config(&"web2".parse().unwrap())).unwrap();
    let original = fs::read_to_string(place.layout.config(&web)).unwrap();
    assert_eq!(copy, original.replace("/zones/web", "/zones/web2"));

    place.done("web", "delete -F");
    assert!(!place.layout.config(&web).exists());
    assert_eq!(fs::read_to_string(place.layout.index()).unwrap(), "web2:configured:/zones/web2:\n");
    place.refused("web", "info", "zonecfg: web: No such zone configured");
}

#[test]
fn a_command_file_that_fails_changes_nothing_and_says_where() {
    let place = Place::new();
    for (text, said) in [
        (
            "create\nset autoboot=maybe\n",
            "On line 2 of FILE: autoboot: \"maybe\" is not allowed; allowed: true, false",
        ),
        (
            "create; commit\nadd fs\n\nset type=nosuch",
            "On line 4 of FILE: fs: type: \"nosuch\" is not allowed; allowed: lofs, tmpfs, ext4, xfs",
        ),
        ("create\ncommit\nset x", "syntax error on line 3 of FILE, column 5: expected '=' after 'x'"),
        ("create\nadd fs", "resource specification incomplete"),
        (
            "create -b\ncommit",
            "On line 2 of FILE: Zone web failed to verify\n  zonepath not specified; allowed: an absolute path",
        ),
        ("create -b", "Zone web failed to verify"),
        (
            "create\nset limitpriv=default,!net_rwa",
            "!net_rwa\" is not allowed; allowed: a list of 'default', 'all', 'none', a capability such as net_raw or a privilege of Solaris such as proc_owner, with '!' before one that is taken away; did you mean \"net_raw\"?",
        ),
        (
            "create\nset brand=fish\nexit",
            "On line 3 of FILE: Zone web failed to verify\n  brand cannot be used: no brand \"fish\"",
        ),
        ("info", "On line 1 of FILE: web: No such zone configured"),
    ] {
        let file = place.file("f", text);
        let ran = place.zonecfg(&["-z", "web", "-f", &file]);
        assert_eq!(ran.status, 1, "{text}");
        assert!(ran.err.contains(&said.replace("FILE", &file)), "{text}: {}", ran.err);
        assert_eq!(place.files(), [], "{text}");
    }
}

#[test]
fn a_command_line_that_fails_says_all_that_is_wrong_and_changes_nothing() {
    let place = Place::new();
    place.done("web", "create");
    let before = place.files();
    let line = "set autoboot=perhaps; add nett; set physical=eth0; end; frob; set hostname=www; commit; exit";
    let ran = place.on("web", line);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
    for said in ["perhaps", "did you mean \"net\"?", "frob"] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert!(!ran.err.contains("physical"), "what is in a resource that is none is not judged: {}", ran.err);
    assert_eq!(place.files(), before, "neither by commit nor by exit");
    // What is behind a failure is executed as well, and what no other command makes better is said once.
    assert_eq!(place.on("web", "set autoboot=perhaps; info hostname").out, "[hostname: web]\n");
    let ran = place.on("nobody", "set autoboot=true; set hostname=www");
    assert_eq!((ran.status, ran.err.matches("No such zone configured").count()), (1, 1), "{}", ran.err);
    // A file ends where it fails.
    let file = place.file("web.cfg", "set autoboot=perhaps\ninfo hostname\n");
    let ran = place.zonecfg(&["-z", "web", "-f", &file]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
}

#[test]
fn what_exists_is_guarded() {
    let place = Place::new();
    place.done("web", "create");
    place.refused("web", "create", "Zone web exists, input not from terminal and -F not specified");
    place.refused("web", "delete", "Input not from terminal and -F not specified: delete command ignored");
    let over = place.on("web", "create -F; set hostname=www");
    assert_eq!((over.status, over.err.as_str()), (0, "zonecfg: Zone web already exists; overwriting.\n"));

    place.set_state("web", State::Installed);
    for (commands, said) in [
        ("set zonepath=/x", "Zone web already installed; set zonepath not allowed."),
        ("set brand=linux", "Zone web already installed; set brand not allowed."),
        ("set zonename=db", "Zone web already installed; set zonename not allowed."),
        ("create -F", "Zone web already installed; create not allowed."),
        ("delete", "Zone web not in configured state; delete not allowed.  Use -F to force delete."),
    ] {
        place.refused("web", commands, said);
    }
    place.done("web", "set hostname=db");
    let web: ZoneName = "web".parse().unwrap();
    assert_eq!(Index::load(&place.layout).unwrap().get(&web).unwrap().state, State::Installed);
    fs::create_dir_all(place.layout.zone_run(&web)).unwrap();
    fs::write(place.layout.snapshot(&web), "").unwrap();
    place.refused("web", "delete -F", "Zone web is live; delete not allowed.");
    fs::remove_file(place.layout.snapshot(&web)).unwrap();
    place.done("web", "delete -F; create; set hostname=www; commit");
    assert_eq!(Index::load(&place.layout).unwrap().get(&web).unwrap().state, State::Configured);
}

#[test]
fn a_zone_is_renamed_while_it_is_configured() {
    let place = Place::new();
    place.done("web", "create");
    place.done("db", "create");
    place.refused("web", "set zonename=db", "db: Zone name already in use");
    place.refused(
        "web",
        "set zonename=global",
        "zonename: \"global\" is not allowed; allowed: 1 to 63 letters",
    );
    place.done("web", "set zonename=www; commit; set hostname=db");
    let names: Vec<String> = place.files().iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(
        names.iter().any(|name| name.ends_with("www.toml"))
            && !names.iter().any(|name| name.ends_with("web.toml"))
    );
    assert!(place.done("www", "info hostname") == "hostname: db\n");
}

#[test]
fn templates() {
    let place = Place::new();
    place.done("web", "create; set bootargs=-v; set hostname=www");
    place.done("copy", "create -t web");
    assert_eq!(place.done("copy", "export"), "create\nset bootargs=-v\nset hostname=www\n");
    let exported = place.done("copy", "set zonepath=/zones/copy; export");
    assert_eq!(exported, "create -b\nset zonepath=/zones/copy\nset bootargs=-v\nset hostname=www\n");
    place.refused("new", "create -t nothing", "nothing: No such zone configured");
    place.refused("new", "create -t cpoy", "cpoy: No such zone configured; did you mean \"copy\"?");
}

#[test]
fn json_for_programs() {
    let place = Place::new();
    place.done("web", WEB);
    let info: serde_json::Value = serde_json::from_str(&place.done("web", "info --json")).unwrap();
    assert_eq!(info["zonename"], "web");
    assert_eq!(info["hostname"], "web");
    assert_eq!(info["shutdown-timeout"], 60);
    assert_eq!(info["fs"][0]["options"][1], "nodev");
    let set: serde_json::Value = serde_json::from_str(&place.done("web", "export --json")).unwrap();
    assert_eq!(set["attr"][0]["value"], "x=[1]");
    assert!(set.get("autoboot").is_none());
}

#[test]
fn a_file_edited_into_nonsense_can_be_replaced() {
    let place = Place::new();
    place.done("web", "create");
    let path = place.layout.config(&"web".parse().unwrap());
    fs::write(&path, "zonepath = \"/z\"\nautoboot = \"yes\"\n").unwrap();
    for commands in ["info", "set autoboot=true", "export", "verify"] {
        place.refused("web", commands, "web.toml, line 2, column 12: autoboot: ");
    }
    fs::write(&path, "#".repeat(1 << 21)).unwrap();
    place.refused(
        "web",
        "info",
        "web.toml: it has more than 1048576 bytes, the most that is read; correct the file",
    );
    assert_eq!(place.on("web", "create -F").status, 0);
    place.done("web", "info");
    fs::remove_file(&path).unwrap();
    place.refused("web", "info", "is missing, though the index has the zone");
    place.done("web", "delete -F");
    assert_eq!(fs::read_to_string(place.layout.index()).unwrap(), "");
}

#[test]
fn standard_input_is_a_command_file() {
    let place = Place::new();
    for args in [["-z", "web", "-f", "-"].as_slice(), &["-z", "db"]] {
        let mut child =
            place.command().args(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"create\nset autoboot=true\nbogus\n").unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.status, 1);
        assert!(
            ran.err.contains("syntax error on line 3 of standard input, column 1: 'bogus' is not a command")
        );
    }
    assert_eq!(place.files(), []);
}

#[test]
fn what_nothing_acts_on_yet_is_said_once() {
    let place = Place::new();
    let note = "zonecfg: note: allow-partition of device is kept, but on Linux who may write to a disk may partition it; mode says who may.\n";
    let device = "add device; set match=/dev/ppp; set allow-partition=true; end";
    for (commands, said) in [
        (format!("create; {device}; commit; set hostname=www; commit").as_str(), note),
        ("set hostname=db", ""),
        ("remove -F device", ""),
        (device, note),
    ] {
        let ran = place.on("web", commands);
        assert_eq!((ran.status, ran.err.as_str()), (0, said), "{commands}");
    }
    assert!(place.done("web", "help brand").contains("It cannot be changed once the zone is installed."));
    assert!(place.done("web", "help hostname").contains("A change takes effect when the zone boots next."));
}

#[test]
fn a_root_keeps_its_zone() {
    let place = Place::new();
    let zonepath = place.dir.path().join("zone");
    fs::create_dir_all(zonepath.join("root")).unwrap();
    place.done("web", &format!("create; set zonepath={}", zonepath.display()));
    place.set_state("web", State::Incomplete);
    for commands in ["delete", "delete -F", "delete -F; create; commit"] {
        place.refused(
            "web",
            commands,
            "zone/root; delete not allowed.  Remove them with 'zoneadm -z web uninstall'",
        );
    }
    fs::remove_dir(zonepath.join("root")).unwrap();
    place.refused("web", "delete", "Zone web not in configured state; delete not allowed.  Use -F");
    place.done("web", "delete -F");
}

#[test]
fn a_text_without_end_is_refused() {
    let place = Place::new();
    let ran = place.zonecfg(&["-z", "web", "-f", "/dev/zero"]);
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.err,
        "zonecfg: cannot read the command file /dev/zero: it has more than 1048576 bytes, the most that is read\n"
    );
    let zero = fs::File::open("/dev/zero").unwrap();
    let ran = Ran::from(place.command().args(["-z", "web"]).stdin(zero).output().unwrap());
    assert_eq!((ran.status, ran.err.contains("it has more than 1048576 bytes")), (1, true), "{}", ran.err);
}

#[test]
fn as_many_resources_as_a_zone_can_have() {
    let place = Place::new();
    let attrs = |count: usize| -> String {
        (0..count).map(|n| format!("add attr;set name=a{n};set type=int;set value={n};end\n")).collect()
    };
    let run = |count: usize| {
        let file = place.file("many", &format!("create -F\n{}", attrs(count)));
        place.zonecfg(&["-z", "web", "-f", &file])
    };
    let options = format!("create -F\nadd fs\n{}", "add options ro\n".repeat(60_000));
    let ran = place.zonecfg(&["-z", "web", "-f", &place.file("many", &options)]);
    assert!(ran.status == 1 && ran.err.contains("On line 259 of "), "{}", ran.err);
    assert_eq!(run(1000).status, 0);
    let ran = run(15_000);
    assert_eq!(ran.status, 1);
    assert!(
        ran.err.contains("On line 1002 of ") && ran.err.contains("at most 1000 resources"),
        "{}",
        ran.err
    );
}

#[test]
fn usage_and_help() {
    let place = Place::new();
    for args in [["info"].as_slice(), &["-z"], &["-z", "a/b", "info"], &["-z", "web", "-f", "x", "info"], &[]]
    {
        assert_eq!(place.zonecfg(args).status, 2, "{args:?}");
    }
    let relative =
        Command::new(env!("CARGO_BIN_EXE_zonecfg")).args(["-R", "x", "-z", "web", "info"]).output().unwrap();
    assert_eq!(relative.status.code(), Some(2));
    let help = place.zonecfg(&["--help"]);
    assert!(help.status == 0 && help.out.contains("Examples:"));
    let help = place.zonecfg(&["help", "fs"]);
    assert!(
        help.status == 0 && help.out.contains("type (required)") && help.out.contains("allowed: lofs, tmpfs")
    );
    assert!(place.done("nothing", "help set").starts_with("usage:\tset PROPERTY=VALUE"));
    place.refused("nothing", "help nothing", "no help about 'nothing'");
    assert_eq!(place.zonecfg(&["help", "nothing"]).status, 2);
    assert!(!place.layout.etc().exists());
}

#[test]
fn resource_controls_are_properties_both_ways() {
    let place = Place::new();
    let add = |name: &str, limit: &str, action: &str| {
        format!("add rctl; set name={name}; add value (priv=privileged,limit={limit},action={action}); end;")
    };
    let all = add("zone.cpu-shares", "5", "none")
        + &add("zone.max-lwps", "0x64", "deny")
        + &add("zone.cpu-cap", "150", "deny")
        + &add("zone.max-swap", "104857600", "deny");
    place.done("web", &format!("create; {all}"));
    let config = ZoneConfig::load(&place.layout, &"web".parse().unwrap()).unwrap();
    assert_eq!((config.cpu_shares, config.max_lwps), (Some(5), Some(100)));
    assert_eq!(config.capped_cpu[0].ncpus, "1.50");
    assert_eq!(config.capped_memory[0].swap.as_deref(), Some("104857600"));
    // What is set as a property shows as a resource control, and can be changed and removed as one.
    let shown = place.done("web", "set max-lwps=200; info rctl name=zone.max-lwps");
    assert_eq!(
        shown,
        "rctl:\n\tname: zone.max-lwps\n\tvalue: [\"(priv=privileged,limit=200,action=deny)\"]\n"
    );
    let new = "remove value (priv=privileged,limit=200,action=deny); add value (priv=privileged,limit=300,action=deny)";
    place.done("web", &format!("select rctl name=zone.max-lwps; {new}; end"));
    place.done("web", "remove rctl name=zone.cpu-shares; set max-locked-memory=64M");
    let config = ZoneConfig::load(&place.layout, &"web".parse().unwrap()).unwrap();
    assert_eq!((config.cpu_shares, config.max_lwps), (None, Some(300)));
    assert_eq!(config.capped_memory[0].locked.as_deref(), Some("64M"));
    place.refused("web", &add("zone.max-lwps", "1", "deny"), "'zone.max-lwps' already exists");
    place.refused("web", &add("zone.max-fish", "1", "deny"), "allowed: zone.cpu-baseline");
    place.refused("web", &add("zone.max-sem-ids", "1", "signal"), "priv=privileged");
    place.refused("web", "add rctl; set name=zone.max-sem-ids; end", "value not specified");
}

#[test]
fn what_has_no_meaning_on_linux_is_kept_and_told_in_one_line() {
    let place = Place::new();
    let commands =
        "create; set pool=pool_default; set scheduling-class=FSS; add dataset; set name=tank/web; end
        add dedicated-cpu; set ncpus=1-3; set importance=2; end
        add rctl; set name=zone.max-lofi; add value (priv=privileged,limit=4,action=deny); end
        add admin; set user=jo; set auths=login,manage; end";
    place.refused("web", commands, "dedicated-cpu: ncpus excludes pool");
    let commands = commands.replace("set pool=pool_default;", "");
    let ran = place.on("web", &commands);
    let told = "zonecfg: note: kept, but without a meaning on Linux: scheduling-class, dataset tank/web, dedicated-cpu importance, rctl zone.max-lofi\n";
    assert_eq!((ran.status, ran.err.as_str()), (0, told));
    // Once.
    place.done("web", "set hostname=web");
    let exported = place.done("web", "export");
    let file = place.file("copy.cfg", &exported);
    assert_eq!(place.zonecfg(&["-z", "web2", "-f", &file]).status, 0);
    assert_eq!(place.done("web2", "export"), exported);
}

#[test]
fn a_brand_of_illumos_becomes_the_one_that_is_like_it() {
    let place = Place::new();
    let file =
        place.file("web.cfg", "create -b\nset zonepath=/zones/web\nset brand=lipkg\nset autoboot=true\n");
    let ran = place.zonecfg(&["-z", "web", "-f", &file]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let told = "zonecfg: note: left out, for there is nothing like it here: brand lipkg (it is linux)\n";
    assert!(ran.err.ends_with(told), "{}", ran.err);
    assert_eq!(
        place.done("web", "export").lines().filter(|line| line.contains("brand")).collect::<Vec<_>>(),
        ["set brand=linux"]
    );
    // Of two the last counts, and one that is set again is told of once.
    let again = place.on("two", "create; set brand=lipkg; set brand=lipkg; verify; commit; set brand=lipkg");
    assert_eq!((again.status, again.err.as_str()), (0, told), "{}", again.err);
    assert_eq!(place.on("three", "create; set brand=lipkg; set brand=linux").err, "");
    // What neither has is no brand.
    place.refused("web", "set brand=fish", "no brand \"fish\"");
}

#[test]
fn a_command_file_of_solaris_is_replayed_to_its_end() {
    let place = Place::new();
    let commands = "create\nset zonepath=/export/home/my-zone3\nset autoboot=true\n\
        add fs\nset dir=/usr/local\nset special=/opt/local\nset type=lofs\nadd options [ro,nodevices]\nend\n\
        add net\nset address=192.168.0.1/24\nset physical=eri0\nend\n\
        set limitpriv=\"default,dtrace_proc,dtrace_user\"\n\
        add rctl\nset name=zone.cpu-shares\nadd value (priv=privileged,limit=20,action=none)\nend\n\
        add capped-memory\nset physical=50m\nset swap=100m\nset locked=30m\nend\n\
        set max-lwps=200\nset max-shm-memory=100m\nset pool=pool_default\nset scheduling-class=FSS\n\
        add security-flags\nset default=aslr,noexecstack,forbidnullmap\nset lower=none\nset upper=all\nend\n\
        add dataset\nset name=tank/sales\nend\nadd device\nset match=/dev/sound/*\nend\n\
        add attr\nset name=comment\nset type=string\nset value=\"this is my work zone\"\nend\n\
        set hostid=0xdeadbeef\nverify\ncommit\nexit\n";
    let file = place.file("my-zone3.cfg", commands);
    let ran = place.zonecfg(&["-z", "my-zone3", "-f", &file]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    // All of it in one line, the last.
    let told = "zonecfg: note: kept, but without a meaning on Linux: pool, scheduling-class, dataset tank/sales, \
                limitpriv dtrace_proc, limitpriv dtrace_user, security-flags noexecstack\n";
    assert!(ran.err.ends_with(told), "{}", ran.err);
    assert_eq!(ran.err.matches("Linux").count(), 1, "{}", ran.err);
    let config = ZoneConfig::load(&place.layout, &"my-zone3".parse().unwrap()).unwrap();
    assert_eq!((config.cpu_shares, config.max_lwps), (Some(20), Some(200)));
}
