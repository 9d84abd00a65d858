//! Namespaces that are handed out and handed in.

use super::*;

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
