//! The consoles that are measured, each with a guest at its far end and a client at the near one.

use super::wire::{Wire, on_terminal, pty};
use crate::sh;
use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What other managers call what they run for us.
const NAME: &str = "zones-bench";

/// A console that is measured.
pub(super) struct Line {
    /// What the table calls it.
    pub(super) name: String,
    /// Our end.
    pub(super) wire: Wire,
    /// What else runs for it.
    _keep: Keep,
}

/// Processes to end, and commands to run, when a console is no longer wanted.
#[derive(Default)]
pub(super) struct Keep {
    children: Vec<Child>,
    stop: Vec<Vec<String>>,
}

impl Drop for Keep {
    fn drop(&mut self) {
        for words in &self.stop {
            let mut command = Command::new("timeout");
            let _ = command
                .args(["--kill-after=1", "10"])
                .args(words)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn line(name: &str, wire: Wire, children: Vec<Child>, stop: Vec<Vec<String>>) -> Line {
    Line { name: name.to_owned(), wire, _keep: Keep { children, stop } }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How this program is started as an agent.
pub(super) fn agent(role: &str) -> Result<[String; 4]> {
    let here = std::env::current_exe()?.to_string_lossy().into_owned();
    Ok([here, "bench".into(), "agent".into(), role.into()])
}

fn str_words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A pty and a guest, and we at its other end.
pub(super) fn bare() -> Result<Line> {
    let (manager, subsidiary) = pty()?;
    let guest = on_terminal(&str_words(&agent("guest")?), &subsidiary)?;
    Ok(line(
        "a pty, its guest a process",
        Wire::new(manager.try_clone()?, manager, false),
        vec![guest],
        vec![],
    ))
}

/// The same processes as ours, that do nothing but read and write.
pub(super) fn relayed(dir: &Path) -> Result<Line> {
    let (manager, subsidiary) = pty()?;
    let guest = on_terminal(&str_words(&agent("guest")?), &subsidiary)?;
    let socket = dir.join("relay").to_string_lossy().into_owned();
    let [program, args @ ..] = agent("relay")?;
    let relay = Command::new(program).args(args).arg(&socket).stdin(manager).stdout(Stdio::null()).spawn()?;
    wait_for("the relay's socket", || Path::new(&socket).exists())?;
    let [program, args @ ..] = agent("client")?;
    let wire = Wire::pipes(Command::new(program).args(args).arg(&socket))?;
    Ok(line("a pty, read-write relay and client, pipe", wire, vec![guest, relay], vec![]))
}

/// A client of ours that speaks to the console's socket itself.
pub(super) fn plain(run: &Path) -> Result<Line> {
    let mut stream = UnixStream::connect(run.join("console"))?;
    stream.write_all(b"IDENT 0 C 0\n")?;
    let mut answer = [0; 3];
    stream.read_exact(&mut answer)?;
    if answer != *b"OK\n" {
        bail!("the console is not ours");
    }
    let wire = Wire::new(stream.try_clone()?.into(), stream.into(), false);
    Ok(line("the zone's console, its socket", wire, vec![], vec![]))
}

/// `zlogin -C` on a pipe.
pub(super) fn zlogin_pipe(zlogin: &Path, root: &Path, zone: &str) -> Result<Line> {
    let mut command = Command::new(zlogin);
    command.args(["-C", "-E", "-Q", "--no-replay", zone]).env("ZONES_ROOT", root);
    Ok(line("zlogin -C, pipe", Wire::pipes(&mut command)?, vec![], vec![]))
}

/// `zlogin -C` on a terminal.
pub(super) fn zlogin_terminal(zlogin: &Path, root: &Path, zone: &str) -> Result<Line> {
    let (zlogin, root) = (zlogin.to_string_lossy(), root.to_string_lossy());
    let wire = Wire::terminal(&[&zlogin, "-R", &root, "-C", "-E", "-Q", "--no-replay", zone])?;
    Ok(line("zlogin -C, terminal", wire, vec![], vec![]))
}

/// What makes one peer, in a directory that is its own.
type Make = fn(&Path) -> Result<Line>;

/// Other programs' consoles.
pub(super) struct Peers {
    /// Those that are installed and work here.
    pub(super) able: Vec<Line>,
    /// The names of the rest, with the reasons.
    pub(super) left_out: Vec<(String, String)>,
}

/// Looks which of other programs' consoles can be had here.
pub(super) fn peers(dir: &Path) -> Result<Peers> {
    let all: [(&str, Make); 4] = [("dtach", dtach), ("tmux", tmux), ("lxc-console", lxc), ("conmon", conmon)];
    let mut peers = Peers { able: Vec::new(), left_out: Vec::new() };
    for (program, make) in all {
        if sh::which(program).is_none() {
            peers.left_out.push((program.to_owned(), "not installed".to_owned()));
            continue;
        }
        let place = dir.join(program);
        sh::make_dir(&place)?;
        match make(&place) {
            Ok(line) => peers.able.push(line),
            Err(e) => peers.left_out.push((program.to_owned(), format!("{e:#}"))),
        }
    }
    Ok(peers)
}

fn dtach(dir: &Path) -> Result<Line> {
    let socket = dir.join("socket").to_string_lossy().into_owned();
    let guest = agent("guest")?;
    let mut all = vec!["-N", &socket, "-r", "none"];
    all.extend(str_words(&guest));
    let server = Command::new("dtach").args(all).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    wait_for("dtach's socket", || Path::new(&socket).exists())?;
    let wire = Wire::terminal(&["dtach", "-a", &socket, "-E", "-z", "-r", "none"])?;
    Ok(line("dtach -a, terminal", wire, vec![server], vec![]))
}

fn tmux(dir: &Path) -> Result<Line> {
    let socket = dir.join("socket").to_string_lossy().into_owned();
    let config = dir.join("config");
    std::fs::write(&config, "set -g status off\nset -g escape-time 0\nset -g prefix None\n")?;
    let guest = agent("guest")?;
    let mut start = Command::new("tmux");
    start
        .args(["-S", &socket, "-f"])
        .arg(&config)
        .args(["new-session", "-d", "-x", "80", "-y", "24"])
        .args(&guest);
    sh::run(&mut start)?;
    let stop = vec![words(&["tmux", "-S", &socket, "kill-server"])];
    let keep = Keep { children: vec![], stop };
    let wire = Wire::terminal(&["tmux", "-S", &socket, "attach"])?;
    Ok(Line { name: "tmux attach, terminal".to_owned(), wire, _keep: keep })
}

/// The host's programs, read-only: what the agent needs to be executed.
const SHARED: [&str; 4] = ["usr", "lib", "lib64", "bin"];

/// A root with a copy of this program, into which [`SHARED`] is to be mounted.
fn root(dir: &Path) -> Result<PathBuf> {
    let root = dir.join("root");
    for name in SHARED.iter().chain(&["dev", "proc", "sys", "tmp"]) {
        sh::make_dir(&root.join(name))?;
    }
    std::fs::copy(std::env::current_exe()?, root.join("agent"))?;
    Ok(root)
}

fn lxc(dir: &Path) -> Result<Line> {
    let root = root(dir)?;
    sh::make_dir(&dir.join(NAME))?;
    let mut config = format!(
        "lxc.rootfs.path = dir:{}\nlxc.init.cmd = /agent bench agent guest\nlxc.uts.name = {NAME}\n\
         lxc.net.0.type = empty\nlxc.mount.auto = proc:mixed sys:ro\nlxc.apparmor.profile = unconfined\n",
        root.display()
    );
    for name in SHARED {
        config += &format!("lxc.mount.entry = /{name} {name} none rbind,ro 0 0\n");
    }
    std::fs::write(dir.join(NAME).join("config"), config)?;
    let place = dir.to_string_lossy();
    let base = |program: &str, more: &[&str]| words(&[&[program, "-P", &place, "-n", NAME], more].concat());
    let start = base("lxc-start", &[]);
    sh::run(Command::new(&start[0]).args(&start[1..]))?;
    let keep = Keep { children: vec![], stop: vec![base("lxc-stop", &["-k"])] };
    let attach = base("lxc-console", &["-t", "0", "-e", "-1"]);
    let wire = Wire::terminal(&str_words(&attach))?;
    Ok(Line { name: "lxc-console -t 0, terminal".to_owned(), wire, _keep: keep })
}

/// The socket at which conmon is attached to, which is what `podman attach` relays to a terminal.
fn conmon(dir: &Path) -> Result<Line> {
    let Some(crun) = sh::which("crun") else { bail!("crun is not installed") };
    let root = root(dir)?;
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }),
    ];
    mounts.extend(SHARED.map(|name| {
        json!({ "destination": format!("/{name}"), "type": "bind", "source": format!("/{name}"), "options": ["rbind", "ro"] })
    }));
    let namespaces = ["pid", "mount", "network", "uts", "ipc"].map(|kind| json!({ "type": kind }));
    let config = json!({
        "ociVersion": "1.0.0",
        "process": { "terminal": true, "user": { "uid": 0, "gid": 0 }, "cwd": "/",
                     "args": ["/agent", "bench", "agent", "guest"], "consoleSize": { "height": 24, "width": 80 } },
        "root": { "path": root },
        "mounts": mounts,
        "linux": { "namespaces": namespaces, "cgroupsPath": format!("/{NAME}") },
    });
    std::fs::write(dir.join("config.json"), config.to_string())?;
    // As for the measurement of starting: crun wants to see no cgroup2 hierarchy beside the old ones.
    let hide = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
    let prelude = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide];
    let (place, crun) = (dir.to_string_lossy(), crun.to_string_lossy().into_owned());
    let pidfile = dir.join("pid").to_string_lossy().into_owned();
    let started = [
        "conmon",
        "-c",
        NAME,
        "-u",
        NAME,
        "-n",
        NAME,
        "-r",
        &crun,
        "-b",
        &place,
        "-t",
        "-i",
        "-p",
        &pidfile,
        "--socket-dir-path",
        &place,
        "-l",
        "none",
    ];
    sh::run(Command::new(prelude[0]).args(&prelude[1..]).args(started))?;
    let stop = vec![words(&[&prelude[..], &[&crun, "delete", "-f", NAME]].concat())];
    let keep = Keep { children: vec![], stop };
    let attach = dir.join(NAME).join("attach");
    wait_for("conmon's socket and its container", || attach.exists() && Path::new(&pidfile).exists())?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(&attach)?).context("cannot attach")?;
    sh::run(Command::new(prelude[0]).args(&prelude[1..]).args([&crun, "start", NAME]))?;
    let wire = Wire::new(socket.try_clone()?, socket, true);
    Ok(Line { name: "conmon with crun, its attach socket".to_owned(), wire, _keep: keep })
}

fn wait_for(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        if Instant::now() > until {
            bail!("{what} did not come");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
