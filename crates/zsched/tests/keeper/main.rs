//! A real zone made by a real zsched, without zoneadmd: the host's /usr, a shell for init.
//! Needs root, and is counted as skipped otherwise.
#![allow(clippy::unwrap_used)]

mod adopted;
mod namespaces;

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
    Adopt, Attendance, Create, End, Failure, Header, Kinds, Lost, OLDEST, Op, Origin, Origins, PACKET,
    PROTOCOL, Phase, Reply, Stage, Status, Strings, Witness,
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
            kept: 0,
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

#[test]
fn it_holds_the_sockets_of_console_and_door_and_says_whether_a_daemon_is_there() {
    let Some(fixture) = fixture("sockets") else { return };
    let run = fixture.dir.path().join("run");
    let names = ["console", "door"];
    let made = names.map(|name| zone_sys::unix::bind_in(&run, name, SocketType::STREAM, 16).unwrap());
    let (status, none) = fixture.client.sockets().unwrap();
    assert!(none.is_none());
    assert_eq!(status.daemon, Attendance::There, "who has started it");
    fixture.client.hold_sockets(made.each_ref().map(AsFd::as_fd)).unwrap();
    drop(made);
    let (_, held) = fixture.client.sockets().unwrap();
    for (held, name) in held.unwrap().into_iter().zip(names) {
        assert!(zone_sys::unix::is_bound_in(&held, &run, name));
        zsched::client::connect_served(&run, name).unwrap();
    }
    for (daemon, farewell) in [
        (Attendance::Died, None),
        (Attendance::Left, Some(false)),
        (Attendance::Died, None),
        (Attendance::Rests, Some(true)),
        (Attendance::Died, None),
    ] {
        let next = Client::connect(&run).unwrap();
        next.attach().unwrap();
        assert_eq!(next.status().unwrap().daemon, Attendance::There);
        if let Some(rests) = farewell {
            next.leave(rests).unwrap();
        }
        drop(next);
        // Another connection is served after that has ended.
        let asked = Client::connect(&run).unwrap().status().unwrap();
        assert_eq!(asked.daemon, daemon);
        let refused = zsched::client::connect_served(&run, "door").unwrap_err();
        assert_eq!(refused.errno(), rustix::io::Errno::CONNREFUSED, "nobody is there to serve");
        zone_sys::unix::connect_in(&run, "door", SocketType::STREAM).unwrap();
    }
}
