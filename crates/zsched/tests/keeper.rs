//! A real zone made by a real zsched, without zoneadmd: the host's /usr, a shell for init.
//! Needs root, and is counted as skipped otherwise.
#![allow(clippy::unwrap_used)]

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, open_tree,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use std::path::Path;
use std::process::{Child, Command};
use zone_ring::{DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP, Ring};
use zsched::client::{Client, ClientError};
use zsched::wire::{
    Adopt, Create, End, Failure, Header, Kinds, Lost, OLDEST, Op, Origin, Origins, PACKET, PROTOCOL, Phase,
    Reply, Stage, Status, Strings, Witness,
};

struct Fixture {
    dir: tempfile::TempDir,
    keeper: Child,
    client: Client,
    manager: OwnedFd,
    subsidiary: OwnedFd,
    ring: OwnedFd,
    cgroup: std::path::PathBuf,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // What waited at the gate ends by itself now; its cgroup can go when it has.
        let _ = std::fs::write(self.cgroup.join("cgroup.kill"), "1");
        let events = std::fs::File::open(self.cgroup.join("cgroup.events")).unwrap();
        while std::fs::read_to_string(self.cgroup.join("cgroup.events"))
            .is_ok_and(|s| s.contains("populated 1"))
        {
            poll(&mut [PollFd::new(&events, PollFlags::PRI)], None).unwrap();
        }
        std::fs::remove_dir(&self.cgroup).unwrap();
    }
}

fn cgroup2() -> std::path::PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let line =
        mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("a cgroup2 mount");
    line.split(' ').nth(1).unwrap().into()
}

fn fixture(tag: &str) -> Option<Fixture> {
    if !rustix::process::geteuid().is_root() {
        zone_testing::skip(concat!(file!(), ":", line!()), "needs root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for sub in ["usr", "proc", "sys", "dev"] {
        std::fs::create_dir_all(root.join(sub)).unwrap();
    }
    for link in ["bin", "lib", "lib64", "sbin"] {
        std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();

    let manager = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&manager).unwrap();
    let subsidiary = ioctl_tiocgptpeer(&manager, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    let memfd = memfd_create("ring", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let ring = Ring::create(memfd, DEFAULT_FIRST_CAP, DEFAULT_NEWEST_CAP).unwrap().into_fd();
    let (keeper, client) = start(&run, tag, [&manager, &subsidiary, &ring]);
    let cgroup = cgroup2().join(format!("zsched-test-{}-{tag}", std::process::id()));
    std::fs::create_dir(&cgroup).unwrap();
    Some(Fixture { dir, keeper, client, manager, subsidiary, ring, cgroup })
}

/// Starts a zsched with this console.
fn start(run: &Path, tag: &str, console: [&OwnedFd; 3]) -> (Child, Client) {
    let listener = zone_sys::unix::bind_in(run, zsched::client::SOCKET, SocketType::SEQPACKET, 8).unwrap();
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    // A shell puts the descriptors where zsched wants them.
    let plain: Vec<OwnedFd> = [&listener, &theirs, console[0], console[1], console[2]]
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 30).map(|high| rustix::io::dup(high).unwrap()).unwrap())
        .into();
    let numbers: Vec<i32> = plain.iter().map(AsRawFd::as_raw_fd).collect();
    let script = format!(
        "exec 53<&{} 54<&{} 55<&{} 56<&{} 57<&{}; exec 3<&53 4<&54 5<&55 6<&56 7<&57 53<&- 54<&- 55<&- 56<&- 57<&-; exec \"$0\" {tag} /bin/false /",
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    );
    let keeper = Command::new("bash").args(["-c", &script, env!("CARGO_BIN_EXE_zsched")]).spawn().unwrap();
    (keeper, Client::over(ours, run).unwrap())
}

fn directory(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

impl Fixture {
    fn create(&self) -> Result<Status, ClientError> {
        self.create_in(|_, _| (Origins::default(), Vec::new()))
    }

    /// The same in namespaces that `choose` says, which is given the zone's user namespace.
    fn create_in(
        &self,
        choose: impl FnOnce(&Client, &OwnedFd) -> (Origins, Vec<OwnedFd>),
    ) -> Result<Status, ClientError> {
        let userns = self.client.user_namespace("0 1879048192 65536\n").unwrap();
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let root = open_tree(CWD, self.dir.path().join("root"), clone).unwrap();
        zone_sys::mount::set_idmap(root.as_fd(), userns.as_fd(), false).unwrap();
        let usr = open_tree(CWD, c"/usr", clone).unwrap();
        zone_sys::mount::set_idmap(usr.as_fd(), userns.as_fd(), false).unwrap();
        let (set, clear) = (zone_sys::mount::MountAttr::RDONLY, zone_sys::mount::MountAttr::empty());
        zone_sys::mount::set_attr(usr.as_fd(), set, clear, false).unwrap();
        let dev = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        for (key, value) in [("mode", "755"), ("uid", "1879048192"), ("gid", "1879048192")] {
            fsconfig_set_string(&dev, key, value).unwrap();
        }
        fsconfig_create(&dev).unwrap();
        let dev = fsmount(&dev, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
        let id = Some(rustix::fs::Uid::from_raw(1_879_048_192));
        let gid = Some(rustix::fs::Gid::from_raw(1_879_048_192));
        for (name, minor, major) in [("null", 3, 1), ("console", 0, 5)] {
            let mode = Mode::from_raw_mode(0o666);
            rustix::fs::mknodat(
                &dev,
                name,
                rustix::fs::FileType::CharacterDevice,
                mode,
                rustix::fs::makedev(major, minor),
            )
            .unwrap();
            rustix::fs::chownat(&dev, name, id, gid, rustix::fs::AtFlags::empty()).unwrap();
        }
        rustix::fs::mkdirat(&dev, "mqueue", Mode::from_raw_mode(0o755)).unwrap();
        // The console is the subsidiary, attached over the node.
        let (_, console) = self.client.attach().unwrap();
        rustix::fs::fchown(&console.subsidiary, id, gid).unwrap();
        let bind = open_tree(&console.subsidiary, c"", clone | OpenTreeFlags::AT_EMPTY_PATH).unwrap();
        let cgroup = directory(&self.cgroup);
        let targets = Strings::join(["/usr", "/dev", "/dev/console"]);
        let request = Create {
            restarts: 5,
            bounding: !(1 << 16),
            hostname: b"keeper-test",
            targets: Strings(&targets),
            masked: Strings(b"/proc/kcore\0/sys/firmware\0/proc/acpi\0/nowhere\0"),
            readonly: Strings(b"/proc/irq\0"),
            seccomp: &[],
            namespaces: Origins::default(),
            kept: 0,
        };
        let (namespaces, given) = choose(&self.client, &userns);
        let fds = [&root, &cgroup, &userns, &usr, &dev, &bind].into_iter().chain(&given).map(AsFd::as_fd);
        self.client.create(&Create { namespaces, ..request }, &fds.collect::<Vec<_>>())
    }

    fn boot(&self, script: &str) -> Result<Status, ClientError> {
        let args = ["init", "-c", script].map(String::from);
        self.client.boot(&zone_sys::exec::block("/bin/sh", &args, &[]).unwrap())
    }

    /// Kills zsched and has another take the zone over.
    fn adopted(&mut self) -> Status {
        let (status, fds) = self.client.fds().unwrap();
        self.keeper.kill().unwrap();
        self.keeper.wait().unwrap();
        let run = self.dir.path().join("run");
        (self.keeper, self.client) = start(&run, "heir", [&self.manager, &self.subsidiary, &self.ring]);
        let zone = Adopt {
            phase: status.phase,
            uniqid: status.uniqid,
            pid: status.pid,
            since: status.since,
            end: None,
            ended: 0,
            restarts: status.restarts,
            lost: Lost::empty(),
            owed: false,
        };
        let now = self.client.adopt(&zone, &[fds.cgroup.as_fd(), fds.pidfd.as_fd()]).unwrap();
        assert_eq!((now.phase, now.uniqid, now.pid), (status.phase, status.uniqid, status.pid));
        let adopted = now.adopted.unwrap();
        assert_eq!(adopted.witness, Witness::Tracer);
        self.client.attach().unwrap();
        now
    }

    /// Waits until the zone has said `word`, by reading what its console says.
    fn hears(&self, word: &str) -> String {
        let mut heard = String::new();
        while !heard.contains(word) {
            let mut bytes = [0; 4096];
            let n = rustix::io::read(&self.manager, &mut bytes).unwrap();
            heard.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        heard
    }

    fn end(&self) -> Status {
        let socket = self.client.socket();
        poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::IN)], None).unwrap();
        self.client.event().unwrap().unwrap()
    }

    fn said(&self) -> String {
        let ring = Ring::open(self.ring.as_fd()).unwrap();
        let mut bytes = vec![0; 1 << 16];
        let read = ring.read_from(0, &mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read.len]).into_owned()
    }
}

#[test]
fn a_zone_lives_and_ends_and_is_told() {
    let Some(fixture) = fixture("life") else { return };
    assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
    let ready = fixture.create().unwrap();
    assert_eq!((ready.phase, ready.restarts), (Phase::Ready, 5));
    assert!(ready.pid > 1 && ready.uniqid > 0);
    let running = fixture.boot("exit 7").unwrap();
    assert_eq!((running.phase, running.uniqid), (Phase::Running, ready.uniqid));
    let ended = fixture.end();
    assert_eq!((ended.phase, ended.end), (Phase::Down, Some(End::Exited(7))));
    assert!(matches!(
        fixture.client.consume(ended.uniqid + 1, false),
        Err(ClientError::Refused { failure, .. }) if failure.stage == Stage::StaleUniqid
    ));
    assert_eq!(fixture.client.consume(ended.uniqid, false).unwrap().phase, Phase::None);
    let again = fixture.create().unwrap();
    assert!(again.uniqid > ready.uniqid, "an incarnation's id is never used twice");
    let (_, fds) = fixture.client.fds().unwrap();
    pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    assert_eq!(fixture.end().end, Some(End::Killed(9)));
    fixture.client.consume(again.uniqid, false).unwrap();
    fixture.client.quit().unwrap();
}

#[test]
fn the_zone_is_what_it_should_be() {
    let Some(fixture) = fixture("inside") else { return };
    fixture.create().unwrap();
    let script = "
        echo id=$(id -u):$(id -g) pid=$$ host=$(cat /proc/sys/kernel/hostname)
        echo map= $(cat /proc/self/uid_map)
        echo usr=$(stat -c %u /usr) root=$(stat -c %u /)
        touch /usr/x 2>&1; mount -o remount,rw /usr 2>&1; touch /usr/x 2>&1; umount /usr 2>&1
        echo lo=$(cat /sys/class/net/lo/operstate) links=$(ls /sys/class/net)
        echo firmware=$(ls /sys/firmware | wc -l)
        echo cgroup=$(cat /proc/self/cgroup | tail -1)
        echo bnd=$(grep CapBnd /proc/self/status)
        echo fds=$(ls /proc/1/fd | tr '\\n' ' ')
        echo mounts=$(wc -l < /proc/mounts)
        echo score=$(cat /proc/1/oom_score_adj)
        echo done";
    fixture.boot(script).unwrap();
    assert_eq!(fixture.end().end, Some(End::Exited(0)));
    // Nobody is attached any more once this connection is gone, so the keeper keeps the output.
    let (_, console) = fixture.client.attach().unwrap();
    let mut bytes = vec![0; 1 << 16];
    let mut text = fixture.said();
    while poll(
        &mut [PollFd::new(&console.manager, PollFlags::IN)],
        Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }),
    )
    .unwrap()
        > 0
    {
        let n = rustix::io::read(&console.manager, &mut bytes).unwrap();
        text.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    println!("{text}");
    for expected in [
        "id=0:0 pid=1 host=keeper-test",
        "map= 0 1879048192 65536",
        "usr=0 root=0",
        "links=lo",
        "firmware=0",
        "cgroup=0::/",
        "fds=0 1 2",
        "score=0",
        "done",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing");
    }
    assert!(!Path::new("/usr/x").exists(), "the zone wrote to the host's /usr");
}

#[test]
fn a_zone_that_cannot_be_made_leaves_nothing() {
    let Some(fixture) = fixture("broken") else { return };
    std::fs::remove_dir(fixture.dir.path().join("root/proc")).unwrap();
    match fixture.create() {
        Err(ClientError::Refused { failure, .. }) => assert_eq!(failure.stage, Stage::Proc),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
    std::os::unix::fs::symlink("/etc", fixture.dir.path().join("root/proc")).unwrap();
    assert!(
        matches!(fixture.create(), Err(ClientError::Refused { failure, .. }) if failure.stage == Stage::Proc)
    );
    std::fs::remove_file(fixture.dir.path().join("root/proc")).unwrap();
    std::fs::create_dir(fixture.dir.path().join("root/proc")).unwrap();
    fixture.create().unwrap();
    let missing = zone_sys::exec::block("/sbin/no-such-init", &["init".into()], &[]).unwrap();
    match fixture.client.boot(&missing) {
        Err(ClientError::Refused { failure, .. }) => assert_eq!(failure.stage, Stage::Exec),
        other => panic!("{other:?}"),
    }
}

/// Sends a packet as it is and gives what comes back.
fn exchange(fixture: &Fixture, packet: &[u8]) -> (Header, Reply) {
    let socket = fixture.client.socket();
    zone_sys::unix::send(socket, packet, &[]).unwrap();
    let mut answer = [0; PACKET];
    let (n, _) = zone_sys::unix::recv(socket, &mut answer, rustix::net::RecvFlags::empty()).unwrap();
    (Header::of(&answer[..n]).unwrap(), Reply::decode(&answer[..n]).unwrap())
}

#[test]
fn what_it_does_not_understand_it_refuses_and_nothing_is_done() {
    let Some(fixture) = fixture("versions") else { return };
    let refused = |header: Header| {
        let (reply, refusal) = exchange(&fixture, &header.encode());
        assert_eq!((reply.protocol, reply.peer), (PROTOCOL, OLDEST), "it says what it speaks");
        let Reply::Failed(Failure { stage, index, .. }) = refusal else { panic!("{header:?}: {refusal:?}") };
        (stage, index)
    };
    // The end of zsched, if only the request were understood.
    let quit = Op::Quit as u16;
    let ours = (Stage::Protocol, u32::from(PROTOCOL));
    assert_eq!(refused(Header { number: quit, protocol: PROTOCOL + 1, peer: PROTOCOL + 1 }), ours);
    assert_eq!(refused(Header { number: quit, protocol: 1, peer: OLDEST - 1 }), ours);
    assert_eq!(refused(Header { number: 999, protocol: 1, peer: PROTOCOL }), (Stage::Request, 0));
    let (_, known) = exchange(&fixture, &Header { number: 1, protocol: 1, peer: 200 }.encode());
    assert!(matches!(known, Reply::Done(_)), "a newer client that asks for what there is");
    assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
}

/// Adopts a zone that runs `script`, once and then once more, does `then` to it, and gives its end.
fn end_of_an_adopted(tag: &str, script: &str, then: impl Fn(&Fixture, &Status)) -> Option<Option<End>> {
    let mut fixture = fixture(tag)?;
    fixture.create().unwrap();
    fixture.boot(script).unwrap();
    fixture.hears("go!");
    fixture.adopted();
    let status = fixture.adopted();
    then(&fixture, &status);
    let ended = fixture.end();
    assert_eq!((ended.phase, ended.uniqid), (Phase::Down, status.uniqid));
    fixture.client.consume(ended.uniqid, false).unwrap();
    let again = fixture.create().unwrap();
    assert!(again.uniqid > ended.uniqid && again.adopted.is_none());
    Some(ended.end)
}

fn say(fixture: &Fixture, line: &str) {
    rustix::io::write(&fixture.manager, format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn how_an_adopted_zone_ends_is_told() {
    let reboot = |how: u32| {
        format!("python3 -c 'import ctypes; ctypes.CDLL(None).reboot({how:#x})'; echo not; exec sleep 9999")
    };
    for (tag, script, end) in [
        ("exits", "echo go!; read -r x; exit 7".to_owned(), End::Exited(7)),
        ("reboots", format!("echo go!; read -r x; {}", reboot(0x0123_4567)), End::Killed(1)),
        ("halts", format!("echo go!; read -r x; {}", reboot(0xcdef_0123)), End::Killed(2)),
        ("powers-off", format!("echo go!; read -r x; {}", reboot(0x4321_fedc)), End::Killed(2)),
        ("execs", "echo go!; read -r x; exec sh -c 'exec sh -c \"exit 9\"'".to_owned(), End::Exited(9)),
    ] {
        let Some(seen) = end_of_an_adopted(tag, &script, |fixture, _| say(fixture, "")) else { return };
        assert_eq!(seen, Some(end), "{tag}");
    }
}

#[test]
fn an_adopted_zone_is_killed_as_any_other() {
    let kill = |fixture: &Fixture, _: &Status| {
        let (_, fds) = fixture.client.fds().unwrap();
        pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    };
    let Some(end) = end_of_an_adopted("killed", "echo go!; read -r x", kill) else { return };
    assert_eq!(end, Some(End::Killed(9)));
}

#[test]
fn tracing_changes_nothing_for_the_first_process() {
    // As PID 1 it is not stopped from inside, and gets no signal that it has no handler for.
    let script = "trap 'caught=$((caught+1))' USR1; caught=0; echo go!; read -r x
        kill -STOP 1; kill -TERM 1; kill -TSTP 1; kill -KILL 1
        for i in 1 2 3 4 5 6 7 8 9 10; do sh -c 'kill -USR1 1'; done
        sh -c 'for i in $(seq 2000); do kill -USR2 1; kill -WINCH 1; kill -CONT 1; done'
        echo caught=$caught.; read -r x; exit $caught";
    let seen = end_of_an_adopted("signals", script, |fixture, _| {
        say(fixture, "");
        fixture.hears("caught=10.");
        // Root of the host may stop it, and let it go on.
        let (_, fds) = fixture.client.fds().unwrap();
        pidfd_send_signal(&fds.pidfd, Signal::STOP).unwrap();
        assert_eq!(fixture.client.status().unwrap().phase, Phase::Running);
        pidfd_send_signal(&fds.pidfd, Signal::CONT).unwrap();
        say(fixture, "");
    });
    assert!(matches!(seen, None | Some(Some(End::Exited(10)))), "{seen:?}");
}

#[test]
fn a_fault_ends_an_adopted_first_process_as_it_ends_any_other() {
    let fault = "echo go!; read -r x; exec python3 -c 'import ctypes; ctypes.string_at(0)'";
    let Some(seen) = end_of_an_adopted("fault", fault, |fixture, _| say(fixture, "")) else { return };
    assert_eq!(seen, Some(End::Killed(11)));
}

#[test]
fn a_thread_that_becomes_the_first_process_is_followed() {
    // An exec by another thread than the first takes the first one's place.
    let script = "echo go!; read -r x; exec python3 -c '
import threading, os
threading.Thread(target=lambda: os.execv(\"/bin/sh\", [\"sh\", \"-c\", \"echo now; read -r x; exit 5\"])).start()'";
    let seen = end_of_an_adopted("thread", script, |fixture, status| {
        say(fixture, "");
        fixture.hears("now");
        // The one that takes the place is traced a moment after it has taken it.
        let is_traced = || {
            let text = std::fs::read_to_string(format!("/proc/{}/status", status.pid)).unwrap_or_default();
            text.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        for _ in 0..1000 {
            if is_traced() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        say(fixture, "");
    });
    assert!(matches!(seen, None | Some(Some(End::Exited(5)))), "{seen:?}");
}

#[test]
fn what_makes_no_sense_is_not_adopted() {
    let Some(fixture) = fixture("senseless") else { return };
    fixture.create().unwrap();
    let (status, fds) = fixture.client.fds().unwrap();
    let zone = |phase| Adopt {
        phase,
        uniqid: 7,
        pid: status.pid,
        since: 1,
        end: None,
        ended: 0,
        restarts: 0,
        lost: Lost::empty(),
        owed: false,
    };
    let both = [fds.cgroup.as_fd(), fds.pidfd.as_fd()];
    let stage = |result| match result {
        Err(ClientError::Refused { failure, .. }) => failure.stage,
        other => panic!("{other:?}"),
    };
    assert_eq!(stage(fixture.client.adopt(&zone(Phase::Running), &both)), Stage::Busy);
    pidfd_send_signal(&fds.pidfd, Signal::KILL).unwrap();
    assert_eq!(fixture.end().uniqid, status.uniqid);
    fixture.client.consume(status.uniqid, false).unwrap();
    for (phase, fds) in [(Phase::Ready, &both[..]), (Phase::Running, &both[..1]), (Phase::Running, &[])] {
        assert_eq!(stage(fixture.client.adopt(&zone(phase), fds)), Stage::Request);
    }
    assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
    // One that has ended before it is taken over.
    let down =
        fixture.client.adopt(&Adopt { end: Some(End::Killed(1)), ..zone(Phase::Down) }, &both[..1]).unwrap();
    assert_eq!((down.phase, down.end, down.uniqid), (Phase::Down, Some(End::Killed(1)), 7));
    assert_eq!(stage(fixture.client.fds().map(|(status, _)| status)), Stage::NoZone);
    fixture.client.consume(7, false).unwrap();
}

/// Says which namespaces the zone runs in.
const TELL: &str = "for kind in net ipc time uts; do echo in=$(readlink /proc/self/ns/$kind)=; done
    echo host=$(cat /proc/sys/kernel/hostname)=; echo links=$(echo $(ls /sys/class/net))=
    grep -q ' /dev/mqueue mqueue ' /proc/mounts && grep -q ' /sys sysfs ' /proc/mounts && echo mounted=
    python3 -c \"
import fcntl, socket, struct
lo = struct.pack('16sh22x', b'lo', 0x41)
try: fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, lo); print('lo=up=')
except PermissionError: print('lo=refused=')
\"
    echo the-end";

/// What a zone's process reads of a namespace that is open here.
fn as_read(kind: &str, fd: &OwnedFd) -> String {
    format!("in={kind}:[{}]=", rustix::fs::fstat(fd).unwrap().st_ino)
}

fn of_host(kind: &str) -> String {
    format!("in={}=", std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display())
}

#[test]
fn a_zone_runs_in_the_namespaces_that_it_is_given() {
    let Some(fixture) = fixture("given") else { return };
    let all = Kinds::all();
    for (asked, between) in [(all, false), (all, true), (Kinds::NET, false), (Kinds::UTS | Kinds::IPC, true)]
    {
        let mut expected = Vec::new();
        let ready = fixture.create_in(|client, userns| {
            if between {
                // What was begun is given up by any other request, and made anew when it is asked for.
                client.status().unwrap();
            }
            let made = client.namespaces(userns.as_fd(), asked).unwrap();
            let origins = made.origins();
            assert_eq!(origins.given(), asked);
            let fds = [("net", made.net), ("ipc", made.ipc), ("time", made.time), ("uts", made.uts)];
            let there = fds.into_iter().filter_map(|(kind, fd)| Some((kind, fd?)));
            let given = there.inspect(|(kind, fd)| expected.push(as_read(kind, fd))).map(|(_, fd)| fd);
            (origins, given.collect())
        });
        fixture.boot(TELL).unwrap();
        let said = fixture.hears("the-end");
        for word in expected.iter().map(String::as_str).chain([
            "host=keeper-test=",
            "links=lo=",
            "mounted=",
            "lo=up=",
        ]) {
            assert!(said.contains(word), "{asked:?}: {word:?} is missing in\n{said}");
        }
        assert_eq!(fixture.end().end, Some(End::Exited(0)));
        fixture.client.consume(ready.unwrap().uniqid, false).unwrap();
    }
}

#[test]
fn a_network_of_the_hosts_is_shown_to_a_zone_and_not_its_own_to_change() {
    let Some(fixture) = fixture("shared") else { return };
    let mut holder =
        Command::new("unshare").args(["-n", "cat"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let path = format!("/proc/{}/ns/net", holder.id());
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    while std::fs::read_link(&path).unwrap() == ours {
        std::thread::yield_now();
    }
    let net = openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let expected = as_read("net", &net);
    fixture.create_in(|_, _| (Origins { net: Origin::Given, ..Origins::default() }, vec![net])).unwrap();
    fixture.boot(TELL).unwrap();
    let said = fixture.hears("the-end");
    for word in [expected.as_str(), "host=keeper-test=", "links=lo=", "mounted=", "lo=refused="] {
        assert!(said.contains(word), "{word:?} is missing in\n{said}");
    }
    assert_eq!(fixture.end().end, Some(End::Exited(0)));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn a_zone_without_namespaces_of_its_own_has_the_hosts() {
    let Some(fixture) = fixture("none") else { return };
    let origins = Origins { net: Origin::None, ipc: Origin::None, time: Origin::New, uts: Origin::None };
    fixture.create_in(|_, _| (origins, Vec::new())).unwrap();
    fixture.boot(TELL).unwrap();
    let said = fixture.hears("the-end");
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = format!("host={}=", name.trim());
    for word in [&of_host("net"), &of_host("ipc"), &of_host("uts"), &host, "mounted=", "lo=refused="] {
        assert!(said.contains(word), "{word:?} is missing in\n{said}");
    }
    assert!(!said.contains(&of_host("time")), "{said}");
    assert_eq!(fixture.end().end, Some(End::Exited(0)));
}

#[test]
fn descriptors_that_are_no_namespaces_are_refused() {
    let Some(fixture) = fixture("no-namespace") else { return };
    let null = || openat(CWD, "/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let given = Origins { net: Origin::Given, ..Origins::default() };
    for (origins, fds, stage) in [
        (given, vec![null()], Stage::Namespace),
        (given, vec![], Stage::Request),
        (given, vec![null(), null()], Stage::Request),
        (Origins::default(), vec![null()], Stage::Request),
    ] {
        match fixture.create_in(|_, _| (origins, fds)) {
            Err(ClientError::Refused { failure, .. }) => assert_eq!(failure.stage, stage),
            other => panic!("{other:?}"),
        }
        assert_eq!(fixture.client.status().unwrap().phase, Phase::None);
    }
    fixture.create().unwrap();
}

#[test]
fn an_older_zsched_is_told_from_one_that_fails() {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let older = std::thread::spawn(move || {
        let (mut asked, mut request) = (Vec::new(), vec![0; 4096]);
        while let Ok((1.., _)) = zone_sys::unix::recv(&theirs, &mut request, rustix::net::RecvFlags::empty())
        {
            let header = Header::of(&request).unwrap();
            asked.push((header.number, header.protocol));
            let mut reply = match header.protocol {
                ..=2 => Reply::Done(Status::default()),
                _ => Reply::Failed(Failure::nth(Stage::Protocol, 2, rustix::io::Errno::PROTONOSUPPORT)),
            }
            .encode();
            reply[2] = 2;
            zone_sys::unix::send(&theirs, &reply, &[]).unwrap();
        }
        asked
    });
    let client = Client::over(ours, Path::new("/nowhere/web")).unwrap();
    let refused = client.namespaces(client.socket(), Kinds::NET).unwrap_err();
    assert!(matches!(refused, ClientError::TooOld { speaks: 2, needed: 3, .. }), "{refused:?}");
    assert!(
        refused.to_string().starts_with(
            "zone 'web' is kept by a zsched that speaks protocol 2, and this takes protocol 3: halt"
        ),
        "{refused}"
    );
    let create = Create::default();
    client.create(&create, &[]).unwrap();
    let shared = Create { namespaces: Origins { net: Origin::None, ..Origins::default() }, ..create };
    assert!(matches!(client.create(&shared, &[]), Err(ClientError::TooOld { .. })));
    drop(client);
    assert_eq!(older.join().unwrap(), [(12, 3), (3, 1), (3, 3)]);
}
