//! The list: program by program, in the order in which the points are passed as a rule. Those of the platform's
//! steps are made from the steps' own names, when the list is printed.

use rustix::io::Errno;

/// The errors that a call can be made to fail with, by their names.
pub const ERRORS: [(&str, Errno); 8] = [
    ("EINTR", Errno::INTR),
    ("ENOSPC", Errno::NOSPC),
    ("EIO", Errno::IO),
    ("EMFILE", Errno::MFILE),
    ("ENOMEM", Errno::NOMEM),
    ("EAGAIN", Errno::AGAIN),
    ("EPIPE", Errno::PIPE),
    ("ENOSYS", Errno::NOSYS),
];

/// A place between two steps at which a program may be killed, or a call that may be made to fail.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Which program passes it. `installer` is the process of zoneadm that decompresses an archive, `middle` the
    /// one of zlogin that is in the zone.
    pub program: &'static str,
    /// The point's name, once for each program.
    pub name: &'static str,
    /// What has been done when it is passed.
    pub after: &'static str,
    /// What comes next.
    pub before: &'static str,
    /// Why no sweep of the crash suite comes there, if none does.
    pub except: Option<&'static str>,
    /// Names of [`ERRORS`] that the call there can be made to fail with. With none it is a place to be killed at.
    pub errors: &'static [&'static str],
}

const fn point(
    program: &'static str,
    name: &'static str,
    after: &'static str,
    before: &'static str,
) -> Point {
    Point { program, name, after, before, except: None, errors: &[] }
}

/// A call, what its failure keeps from being done, and the errors that it can have.
const fn call(
    program: &'static str,
    name: &'static str,
    call: &'static str,
    errors: &'static [&'static str],
) -> Point {
    Point { program, name, after: "all before it is done", before: call, except: None, errors }
}

const fn daemon(name: &'static str, after: &'static str, before: &'static str) -> Point {
    point("zoneadmd", name, after, before)
}

const fn keeper(name: &'static str, after: &'static str, before: &'static str) -> Point {
    point("zsched", name, after, before)
}

const fn client(name: &'static str, after: &'static str, before: &'static str) -> Point {
    point("zoneadm", name, after, before)
}

/// The process of a copy in the zone, which has no file to read its orders from: it takes them along.
const fn inside(name: &'static str, after: &'static str, before: &'static str) -> Point {
    point("copier", name, after, before)
}

const fn login(name: &'static str, after: &'static str, before: &'static str) -> Point {
    point("zlogin", name, after, before)
}

/// Every point but those of the platform's steps.
pub const POINTS: &[Point] = &[
    daemon("start.forked", "the daemon's process exists", "it leaves the terminal and takes the lock"),
    daemon("start.exclusive", "the zone's lock is held", "zsched is looked for"),
    daemon("keeper.bound", "the new zsched's socket exists", "zsched is started"),
    daemon("start.keeper", "zsched is found or started", "the console is opened to clients"),
    daemon("start.console", "the console can be connected to", "the door is opened to callers"),
    daemon("start.door", "the door can be connected to", "zsched takes this one for its daemon"),
    daemon(
        "start.sockets",
        "zsched has the sockets of console and door",
        "what is left of a zone is looked at",
    ),
    daemon("start.attached", "zsched has taken this one for its daemon", "what a dead one left is looked at"),
    daemon(
        "start.recovered",
        "what a dead one left is dealt with",
        "the starter is told, and calls are served",
    ),
    daemon("door.asked", "a call has its turn", "the operation begins"),
    daemon("journal.begin", "the journal says which operation begins", "its first step"),
    daemon("file.written", "the new file is written beside the old one", "it takes the old one's place"),
    daemon("step.verify", "it is known that a running zone could boot again", "it is taken down"),
    daemon(
        "step.snapshot",
        "the configuration is frozen",
        "the checks, while zsched makes the user namespace",
    ),
    daemon("step.userns", "the user namespace is made", "the platform's first step"),
    daemon("fs.loop", "the loop device of an image is there", "its file system is mounted"),
    daemon("fs.taken", "a file system that a zone that runs had is gone", "the next one"),
    daemon("fs.given", "a zone that runs has a file system that it is given", "the next one"),
    daemon(
        "network.recorded",
        "what the network of the zone will be is on record",
        "the first of it is made",
    ),
    daemon("network.managed", "the managed network is there, and held", "the zone's namespace is kept"),
    daemon("network.pinned", "the zone's namespace is kept for the links that move in", "the links are made"),
    daemon(
        "network.parted",
        "what a running zone is not to have any more is gone, and the host's own links are back",
        "the links that it is to have are made",
    ),
    daemon("network.linked", "the zone's links are there, and down", "their rules are made"),
    daemon(
        "network.shared",
        "the rules that zones share are there, and look at the zone's links",
        "those of its own are made",
    ),
    daemon("network.guarded", "the rules of the zone's links are there", "the ports of the host lead to it"),
    daemon("network.published", "the ports of the host lead to the zone", "its links are set up"),
    daemon("network.configured", "the zone's links are up", "the guest is told of them"),
    daemon("intent.create", "the journal says that the first process will be made", "zsched is asked for it"),
    daemon("step.namespaces", "network and IPC namespace are in hand", "the first process is made"),
    daemon("create.made", "the first process is there, and waits", "what it cannot do itself is done for it"),
    daemon("step.create", "the zone is ready", "the journal is told"),
    daemon("done.create", "the journal says that the zone is ready", "the boot, or the end"),
    daemon("step.init", "init is found to be executable", "zsched is asked to execute it"),
    daemon(
        "step.settle",
        "the first process of a zone that was ready before has all that it cannot do itself",
        "zsched is asked to execute init",
    ),
    daemon("step.exec", "the zone runs", "the journal is told"),
    daemon("journal.end", "the journal says that the operation is over", "the caller is told"),
    daemon("door.done", "the operation is over", "the caller is told"),
    daemon("readiness.heard", "the zone has said that it is ready", "that is put on record"),
    daemon("readiness.recorded", "it is on record that the zone is ready", "that is told"),
    daemon("kill.stopping", "zsched says that the zone is being stopped", "its first process is killed"),
    daemon("kill.sent", "the zone's first process is told to die", "its end is waited for"),
    daemon("step.kill", "the zone's processes are gone", "the platform is taken down"),
    daemon(
        "network.unlinked",
        "the zone's links are gone, and the host's own are back",
        "the namespace is let go",
    ),
    daemon("network.unpinned", "the zone's namespace is let go", "the rules of its links are removed"),
    daemon(
        "network.unguarded",
        "the rules of the zone's links and its ports are gone",
        "the record is removed",
    ),
    daemon(
        "network.unbridged",
        "the bridge of the managed network, which no zone uses, is gone",
        "its rules are removed",
    ),
    daemon(
        "network.released",
        "the managed network is gone if nobody uses it",
        "the rules that zones share are removed",
    ),
    daemon("network.unshared", "the rules that zones share are gone if nobody uses them", "it is at rest"),
    daemon("step.platform", "the platform is taken down", "the end is recorded"),
    daemon("halt.recorded", "the end is on record on disk", "zsched may forget it"),
    daemon("halt.consumed", "zsched has forgotten the zone", "the snapshot is removed"),
    daemon("halt.snapshot", "the snapshot is removed", "the journal is removed"),
    daemon("halt.journal", "the journal is removed", "the caller is told"),
    daemon(
        "apply.noted",
        "what the zone is given is on disk, beside what it has",
        "the first of it is put in force",
    ),
    daemon("apply.done", "all that the zone is given is in force, and is what it has", "the journal is told"),
    daemon("apply.back", "the zone has again what it had", "what it was to be given is forgotten"),
    daemon("shutdown.noted", "the journal says that init will be asked", "init is asked"),
    daemon("shutdown.asked", "init is asked to shut down", "its end is waited for"),
    daemon("shutdown.late", "init has taken too long", "the zone is halted"),
    daemon("shutdown.over", "the shutdown is over", "the caller is told"),
    daemon("upcall.heard", "zsched has told of the end of the first process", "it is dealt with"),
    daemon("upcall.delayed", "init is to be started again", "a while is waited"),
    daemon("upcall.decided", "what the end asks for is known", "the zone is halted or booted again"),
    daemon("upcall.arguments", "what the zone has left for its reboot is read", "the zone is booted again"),
    daemon("orphan.console", "a zone without anybody has a new console", "zsched is handed the zone"),
    daemon("orphan.adopted", "zsched has the zone that was without anybody", "that is said"),
    daemon("respawn.started", "another zsched is there for one that died", "it is handed the zone"),
    daemon("respawn.adopted", "the other zsched has the zone", "it gets the sockets of console and door"),
    daemon("respawn.sockets", "the other zsched has the sockets of console and door", "that is said"),
    daemon("rest.idle", "nothing needs the daemon of a zone that is up", "zsched is told that it leaves"),
    daemon("rest.told", "zsched knows that the daemon leaves", "door and console accept nobody any more"),
    daemon("rest.written", "the console's log is written out", "the lock is given up"),
    daemon("end.idle", "nothing needs the daemon any more", "its sockets are removed"),
    daemon("end.cleared", "what a zsched left is removed that has no successor", "the sockets are removed"),
    daemon("end.door", "the door is gone", "the console's socket is removed"),
    daemon("end.console", "the console's socket is gone and no call is in flight", "zsched is let go"),
    daemon("end.keeper", "zsched is let go", "its socket is removed"),
    daemon("end.socket", "zsched's socket is gone", "the lock is given up"),
    keeper("status.shown", "how things stand is shown to who only looks", "whoever asked is answered"),
    keeper("leave.told", "zsched knows that the daemon leaves", "the daemon is told so"),
    keeper("leave.gone", "the daemon that leaves has gone", "it is seen who waits for the next one"),
    keeper("callers.came", "somebody waits at door or console", "a daemon is started for him"),
    client("client.checked", "the command makes sense for this zone", "anything is done"),
    client("index.locked", "the index is locked", "it is read and changed"),
    client("file.written", "the new files are written beside the old ones", "they take the old ones' places"),
    client(
        "file.renamed",
        "a new file has the old one's place",
        "the next has, or the directory is put on the disk",
    ),
    client("start.locked", "nobody else starts a daemon", "one is started"),
    client("start.spawned", "the daemon's process is started", "its word is waited for"),
    client("start.served", "the daemon serves", "it is called"),
    client("call.connected", "the door is open", "the call is sent"),
    client("call.sent", "the call is sent", "its answer is waited for"),
    client("call.replied", "the answer is there", "it is told"),
    client("install.locked", "nobody else works on the zone's files", "source and zonepath are looked at"),
    client("install.checked", "source and zonepath are as they must be", "the index says incomplete"),
    client("install.begun", "the index says incomplete, and the zone has its ids", "the zonepath is made"),
    client("install.prepared", "the zonepath is as it must be", "the root is filled"),
    client("fill.begun", "the root is there and empty", "its first entry is made"),
    client("fill.entry", "an entry is made", "the next one"),
    client("debootstrap.started", "debootstrap runs", "it is listened to"),
    client("debootstrap.ended", "debootstrap is done", "what it made is counted"),
    client("fill.entries", "all entries are there", "the directories get their owners and modes"),
    client("fill.done", "the directories have their owners and modes", "all is put on the disk"),
    client("fill.identity", "the root has an identity of its own", "that is put on the disk"),
    client("install.filled", "the root is on the disk", "the index says installed"),
    client("install.over", "the index says installed", "that is told"),
    client("install.failed", "nothing came of the install", "what it has made is taken back"),
    client("install.cleared", "the root that it made is gone", "the zonepath is as it was"),
    client("install.unprepared", "the zonepath is as it was", "the zone's ids are given back"),
    client("uninstall.locked", "nobody else works on the zone's files", "they are counted"),
    client("uninstall.planned", "it is known what is to be removed", "the daemon is told"),
    client("uninstall.noted", "the daemon, if there is one, is told", "it is waited for"),
    client("uninstall.dismissed", "there is neither daemon nor zsched", "the index says incomplete"),
    client("uninstall.begun", "the index says incomplete", "the first entry is removed"),
    client("remove.entry", "an entry is removed", "the next one"),
    client("remove.entries", "all entries are removed", "the zonepath is removed"),
    client("uninstall.removed", "the files are gone", "the zone's ids are given back"),
    client("idmap.unregistered", "the zone's ids are not registered any more", "their record is removed"),
    client("uninstall.released", "the zone has no ids any more", "the cgroup is removed"),
    client("uninstall.swept", "the cgroup is gone", "the index says configured"),
    client("copy.sent", "some bytes of a file are sent into a zone", "more are"),
    client("copy.part", "some bytes of a file of a zone are in a part of it", "more are"),
    client("copy.named", "a file has its name", "its bytes are put on the disk, and it gets its time"),
    client("copy.settled", "what was copied is on the disk", "more is copied, or that is told"),
    inside("copy.sent", "some bytes of a file of a zone are sent out of it", "more are"),
    inside("copy.part", "some bytes of a file are in a part of it in a zone", "more are"),
    inside(
        "copy.named",
        "a file in a zone has its name",
        "its bytes are put on the disk, and it gets its time",
    ),
    inside("copy.settled", "what was copied into a zone is on the disk", "more is copied, or that is told"),
    client("detach.locked", "nobody else works on the zone's files", "the daemon is told to leave"),
    client(
        "detach.dismissed",
        "there is neither daemon nor zsched",
        "its configuration is put into the zonepath",
    ),
    client("detach.written", "the configuration is in the zonepath", "the index says configured"),
    client("detach.configured", "the index says configured", "the zone's ids are given back"),
    client("detach.released", "the zone has no ids any more", "the cgroup is removed"),
    client("attach.locked", "nobody else works on the zone's files", "they are looked at"),
    client("attach.checked", "the files are as they must be", "the zone gets its ids"),
    client("attach.ids", "the zone has its ids", "the index says installed"),
    client("attach.installed", "the index says installed", "the copy of the configuration is removed"),
    client("attach.over", "the copy of the configuration is gone", "that is told"),
    client("move.locked", "nobody else works on the zone's files", "the daemon is told to leave"),
    client(
        "move.dismissed",
        "there is neither daemon nor zsched",
        "what an earlier move has left is removed",
    ),
    client("move.recorded", "it is on record where the zone goes", "the new zonepath is made"),
    client("move.prepared", "the new zonepath is there and empty", "the old one gets its name"),
    client("move.copying", "it is on record that the zone is copied", "its first entry is"),
    client("move.there", "all of the zone is at the new zonepath", "the configuration says so"),
    client("move.switched", "configuration and index say the new zonepath", "the old one is removed"),
    client("move.cleared", "the old zonepath is gone", "the record of the move is removed"),
    client("move.over", "nothing is left of the move", "that is told"),
    client(
        "clone.held",
        "nobody can boot the zone that is copied",
        "nobody else works on the new one's files",
    ),
    point("installer", "worker.begun", "the decompressor runs", "it gives up its rights"),
    point("installer", "worker.midway", "some of the archive is passed on", "the rest"),
    point("installer", "worker.ended", "all of the archive is passed on", "it ends"),
    login("enter.found", "the zone's namespaces are held", "a process is started in it"),
    login("enter.entered", "the command runs", "its streams are served"),
    login("command.running", "something has been moved between the command and the caller", "more is"),
    login("command.ended", "the command has ended", "its status is reported"),
    login("login.raw", "the caller's terminal is raw", "it is served"),
    login("login.ended", "the shell has ended", "the caller's terminal is put back"),
    login("start.locked", "nobody else starts a daemon", "one is started"),
    login("start.spawned", "the daemon's process is started", "its word is waited for"),
    login("start.served", "the daemon serves", "the console is connected to"),
    login("console.connected", "the console has accepted", "the caller's terminal is made raw"),
    login("console.raw", "the caller's terminal is raw", "the console is shown"),
    login("console.broken", "the connection broke off", "the console is connected to again"),
    point("middle", "middle.born", "the process is in the zone's cgroup", "it enters the namespaces"),
    point("middle", "middle.inside", "the process is in the zone's namespaces", "the user is looked up"),
    point("middle", "middle.streams", "the streams are made", "the command's process is made"),
    point("middle", "middle.started", "the command's process is made", "its end is waited for"),
    call(
        "zoneadmd",
        "file.write",
        "the new file is written beside the old one",
        &["ENOSPC", "EIO", "EMFILE"],
    ),
    call("zoneadmd", "file.rename", "it takes the old one's place", &["EIO", "ENOSPC"]),
    call(
        "zoneadmd",
        "snapshot.commit",
        "what a zone is given takes the place of what it had",
        &["EIO", "ENOSPC"],
    ),
    call("zoneadmd", "journal.open", "the journal is opened", &["ENOSPC", "EMFILE"]),
    call("zoneadmd", "journal.write", "a line is added to the journal", &["ENOSPC", "EIO"]),
    call("zoneadmd", "keeper.bind", "the socket for a new zsched is bound", &["EMFILE", "ENOMEM"]),
    call("zoneadmd", "keeper.spawn", "zsched is started", &["EAGAIN", "ENOMEM", "EMFILE"]),
    call("zoneadmd", "door.accept", "a caller at the door is accepted", &["EMFILE", "ENOMEM"]),
    call("zoneadmd", "console.accept", "a client of the console is accepted", &["EMFILE", "ENOMEM"]),
    call("zsched", "keeper.accept", "a connection to zsched is accepted", &["EMFILE", "ENOMEM"]),
    call("zsched", "status.show", "how things stand is shown to who only looks", &["ENOSPC", "EIO"]),
    call("zoneadm", "file.write", "the new file is written beside the old one", &["ENOSPC", "EIO", "EMFILE"]),
    call("zoneadm", "file.rename", "it takes the old one's place", &["EIO", "ENOSPC"]),
    call("zoneadm", "start.spawn", "zoneadmd is started", &["EAGAIN", "ENOMEM", "EMFILE"]),
    call("zoneadm", "door.send", "the call is sent", &["EPIPE", "EIO"]),
    call("zoneadm", "door.receive", "the answer is read", &["EINTR", "EIO"]),
    call("zoneadm", "fill.make", "an entry of the zone's root is made", &["ENOSPC", "EIO", "EMFILE"]),
    call("zoneadm", "copy.sync", "what was copied is put on the disk", &["EIO", "ENOSPC"]),
    call("copier", "copy.sync", "what was copied into a zone is put on the disk", &["EIO", "ENOSPC"]),
    call("zoneadm", "remove.unlink", "an entry of the zonepath is removed", &["EIO"]),
];

/// Whether a point of that name, at which a program can be killed, is in the list, of whatever program.
#[must_use]
pub const fn is_listed(name: &str) -> bool {
    has(name, false)
}

/// Whether a call of that name is in the list, of whatever program.
#[must_use]
pub const fn can_fail(name: &str) -> bool {
    has(name, true)
}

const fn has(name: &str, call: bool) -> bool {
    let mut at = 0;
    while at < POINTS.len() {
        let point = &POINTS[at];
        if same(point.name.as_bytes(), name.as_bytes()) && point.errors.is_empty() != call {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    one.len() == other.len()
}
