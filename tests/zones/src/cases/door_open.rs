//! The door and the console while no daemon is there: whoever connects waits for the next one, which zsched starts for him.

use super::crash::{be_up, leaves_nothing, zone};
use super::upgrade::Copies;
use crate::harness::world::World;
use crate::harness::{Command, Lab, Wire, Zone, cases, kill_and_wait, until, write};
use rustix::net::SocketType;
use std::io::{BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

cases![
    clients_that_start_nobody_are_served_after_a_kill: 120,
    callers_wait_until_the_program_is_back: 120,
    a_removed_door_is_made_anew: 120,
    an_idle_look_starts_nobody: 120,
    every_call_is_answered_under_a_killer: 300,
];

/// Makes one call at the door of which the socket is in `run` by a raw connection; an error if it ends before it is answered.
pub(super) fn asks(run: &Path, method: &str) -> Result<String, String> {
    let socket = zone_sys::unix::connect_in(run, "door", SocketType::STREAM);
    let mut stream = UnixStream::from(socket.map_err(|e| format!("one can always connect: {e}"))?);
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(|e| e.to_string())?;
    let _ = stream.write_all(format!("{{\"method\":\"org.zones.zoneadmd.{method}\"}}\0").as_bytes());
    let (mut reply, mut byte) = (Vec::new(), [0]);
    loop {
        match stream.read(&mut byte) {
            Ok(1) if byte[0] == 0 => return Ok(String::from_utf8_lossy(&reply).into_owned()),
            Ok(1) => reply.push(byte[0]),
            Ok(_) => return Err("closed".to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("a call hangs"),
            Err(e) => return Err(e.to_string()),
        }
    }
}

/// A client of python's varlink package, which asks for the status.
fn varlink(lab: &Lab, zone: &Zone<'_>) -> Command {
    let file = lab.path("status.py");
    if !file.exists() {
        let script = "import varlink\nclient = varlink.Client('unix:door')\n\
                      with client.open('org.zones.zoneadmd') as zone:\n    print(zone.GetStatus()['status']['state'])\n";
        write(&file, script);
    }
    Command::new(lab.python()).args([&file]).dir(&zone.run_dir())
}

/// Where socat is, if it is.
fn socat() -> Option<PathBuf> {
    let places = ["/usr/bin/socat", "/bin/socat", "/usr/local/bin/socat"];
    places.into_iter().map(PathBuf::from).find(|path| path.exists())
}

/// What the console whose socket is in `run` answers socat: OK, or who has the console. Empty if it was disconnected.
fn socat_at(socat: &Path, run: &Path) -> String {
    let mut child = std::process::Command::new(socat)
        .args(["-", "UNIX-CONNECT:console"])
        .current_dir(run)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("socat: {e}"));
    let words = format!("IDENT {} C 0\n", child.id());
    let _ = child.stdin.as_mut().map(|stdin| stdin.write_all(words.as_bytes()));
    let mut line = String::new();
    let stdout = child.stdout.take().map(std::io::BufReader::new);
    let _ = stdout.map(|mut stdout| stdout.read_line(&mut line));
    drop(child.stdin.take());
    let _ = child.kill();
    let _ = child.wait();
    line
}

fn clients_that_start_nobody_are_served_after_a_kill(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let before = zone.status();
    zone.kill_daemon();
    drop(Wire::attached(&zone, false));
    zone.kill_daemon();
    varlink(lab, &zone).run().ok().stdout_has("running");
    zone.kill_daemon();
    if let Some(socat) = socat() {
        assert_eq!(socat_at(&socat, &zone.run_dir()), "OK\n");
    }
    // It is told to whoever starts a daemon himself, and to nobody whom zsched has one started for.
    if zone.daemon().is_some() {
        zone.kill_daemon();
    }
    zone.zoneadm(["boot"]).ok().stderr_has("restarted zoneadmd to recover").stderr_has("already booted");
    let now = zone.status();
    assert_eq!((now.pid1(), now.uniqid), (before.pid1(), before.uniqid));
    leaves_nothing(&zone, &world, "callers without a daemon");
}

fn callers_wait_until_the_program_is_back(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    let copies = Copies::new(lab, "bin");
    let (program, aside) = (copies.dir.join("zoneadmd"), copies.dir.join("away"));
    copies.run("zoneadm", &["-z", "web", "boot"]).ok();
    zone.kill_daemon();
    std::fs::rename(&program, &aside).unwrap_or_else(|e| panic!("{e}"));
    let mut at_console = Wire::connect(&zone);
    at_console.says(format!("IDENT {} C 0\n", std::process::id()));
    std::thread::scope(|scope| {
        let run = zone.run_dir();
        let at_door = scope.spawn(move || asks(&run, "GetStatus"));
        // Ours do not wait: they say what is wrong.
        copies.run("zoneadm", &["-z", "web", "halt"]).refuses().stderr_has("zoneadmd");
        assert_eq!(zone.daemon(), None);
        assert!(!at_door.is_finished(), "who waits at the door goes on waiting");
        std::fs::rename(&aside, &program).unwrap_or_else(|e| panic!("{e}"));
        let answer = at_door.join().unwrap_or_else(|_| panic!("the call"));
        assert!(answer.as_ref().is_ok_and(|answer| answer.contains("running")), "{answer:?}");
    });
    at_console.hears("OK\n");
    drop(at_console);
    leaves_nothing(&zone, &world, "callers that waited");
}

fn a_removed_door_is_made_anew(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    for sockets in [&["door"][..], &["console"], &["door", "console"]] {
        be_up(&zone);
        zone.kill_daemon();
        for socket in sockets {
            std::fs::remove_file(zone.run_dir().join(socket)).unwrap_or_else(|e| panic!("{socket}: {e}"));
        }
        zone.zoneadm(["boot"]).ok().stderr_has("already booted");
        drop(Wire::attached(&zone, false));
        // zsched has the new ones.
        zone.kill_daemon();
        drop(Wire::attached(&zone, false));
        zone.kill_daemon();
        assert!(asks(&zone.run_dir(), "GetStatus").is_ok_and(|answer| answer.contains("running")));
        // And so has the zsched that comes after it.
        let keeper = zone.keeper();
        kill_and_wait(keeper);
        until("another zsched is there", || zone.status().zsched.filter(|now| now.pid != keeper).map(|_| ()));
        until("the daemon has said so", || zone.door_status_if());
        zone.zoneadm(["boot"]).ok();
        zone.kill_daemon();
        assert!(asks(&zone.run_dir(), "GetStatus").is_ok_and(|answer| answer.contains("running")));
        leaves_nothing(&zone, &world, &format!("{sockets:?} removed"));
    }
}

fn an_idle_look_starts_nobody(lab: &Lab) {
    let zone = zone(lab);
    be_up(&zone);
    zone.kill_daemon();
    for look in [&["list"][..], &["list", "--json"], &["status"]] {
        zone.zoneadm(look.iter().copied()).ok().stdout_has("web");
        assert!(zone.nobody_is_daemon(), "{look:?} starts no daemon");
    }
    zone.zoneadm(["halt"]).ok();
}

/// So many calls of each of the ten clients.
const CALLS: usize = 10;
/// So many daemons are killed meanwhile. On a slow machine none of them comes to answer anybody.
const KILLS: usize = 100;

/// Runs a client until it says one of `words`, with all that it needs to be run by another thread.
fn says(command: Command, words: &'static [&'static str]) -> impl Fn() -> Result<(), String> + Send {
    let (program, _) = command.into_parts();
    let (path, dir) = (program.get_program().to_owned(), program.get_current_dir().map(Path::to_owned));
    let args: Vec<_> = program.get_args().map(ToOwned::to_owned).collect();
    let env: Vec<_> =
        program.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    move || {
        let (mut said, both) = std::io::pipe().unwrap_or_else(|e| panic!("pipe: {e}"));
        let mut run = std::process::Command::new(&path);
        run.args(&args).env_clear().envs(env.iter().cloned());
        if let Some(dir) = &dir {
            run.current_dir(dir);
        }
        let mut child = {
            let err = both.try_clone().unwrap_or_else(|e| panic!("dup: {e}"));
            run.stdin(Stdio::piped()).stdout(both).stderr(err);
            run.spawn().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        // It has the ends that are written to.
        drop(run);
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        let answered = loop {
            let text = String::from_utf8_lossy(&all);
            if words.iter().any(|word| text.contains(word)) {
                break Ok(());
            }
            match said.read(&mut some) {
                Ok(count @ 1..) => all.extend_from_slice(&some[..count]),
                _ => break Err(text.into_owned()),
            }
        };
        let _ = child.kill();
        let _ = child.wait();
        answered
    }
}

/// Makes so many calls, each of them again while `once` gives what went wrong. Gives how often that was.
fn insists(once: impl Fn() -> Result<(), String>) -> usize {
    let mut again = 0;
    for _ in 0..CALLS {
        let mut last = String::new();
        let failures = (0..200).take_while(|_| once().map_err(|why| last = why).is_err()).count();
        assert!(failures < 200, "a call is answered in the end: {last}");
        again += failures;
    }
    again
}

fn every_call_is_answered_under_a_killer(lab: &Lab) {
    let zone = zone(lab);
    let world = World::look(&[]);
    be_up(&zone);
    let before = zone.status();
    let (run, socat) = (zone.run_dir(), socat());
    let mut kills = 0;
    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for _ in 0..2 {
            let zoneadm = says(zone.zoneadm_command(["boot"]), &["already booted"]);
            clients.push(("zoneadm", scope.spawn(move || insists(zoneadm))));
            let console = says(zone.console_command(&[]), &["[Connected to zone", "already in use"]);
            clients.push(("zlogin -C", scope.spawn(move || insists(console))));
            let python = says(varlink(lab, &zone), &["running"]);
            clients.push(("varlink", scope.spawn(move || insists(python))));
            let at = run.clone();
            clients.push(("raw", scope.spawn(move || insists(|| asks(&at, "GetStatus").map(drop)))));
            if let Some(socat) = socat.clone() {
                let at = run.clone();
                let once = move || match socat_at(&socat, &at) {
                    line if line.ends_with('\n') => Ok(()),
                    line => Err(format!("socat was answered {line:?}")),
                };
                clients.push(("socat", scope.spawn(move || insists(once))));
            }
        }
        while clients.iter().any(|(_, client)| !client.is_finished()) {
            if let Some(daemon) = zone.daemon().filter(|_| kills < KILLS) {
                kill_and_wait(daemon);
                kills += 1;
            }
            // The blows are this far apart, whatever they meet.
            std::thread::sleep(Duration::from_millis(20));
        }
        for (name, client) in clients {
            let again = client.join().unwrap_or_else(|why| std::panic::resume_unwind(why));
            eprintln!("{name}: {CALLS} calls, {again} of which nothing was heard were made again");
        }
    });
    eprintln!("{kills} kills");
    let now = zone.status();
    assert_eq!((now.pid1(), now.uniqid), (before.pid1(), before.uniqid));
    leaves_nothing(&zone, &world, "a killer at the door");
}
