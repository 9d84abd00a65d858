//! The client and a real server, dnsmasq, on a bridge; each test in network namespaces of its own.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde_json::Value;

use super::lease::{Times, now};
use super::message::{Identity, tests::reply};
use super::wire::{Outcome, Question, ask, release};
use super::{DhcpError, Lease, install};
use crate::interface::Attachment;
use crate::names::Owner;
use crate::needs_program;
use crate::rt::Socket;
use crate::testing::{Zone, alone, has, json, namespace, run, within};
use crate::{Interface, build, guard};

/// Long: nobody waits for it who is answered.
const PATIENT: Duration = Duration::from_secs(60);
const BRIEF: Duration = Duration::from_millis(1500);

/// A DHCP server of the host, on `br0`.
struct Server {
    process: Child,
    leases: PathBuf,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(range: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let leases = dir.path().join("leases");
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=br0"]);
        command.args(["--except-interface=lo", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"]);
        command.args(["--user=root", "--pid-file=", "--log-facility=/dev/null", "--domain=example.org"]);
        command.args(["--dhcp-option=option:router,10.1.0.1", "--dhcp-option=option:dns-server,10.1.0.53"]);
        command.arg(format!("--dhcp-range={range},255.255.255.0,1h"));
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        Self { process, leases, _dir: dir }
    }

    /// What it has given: a line each.
    fn given(&self) -> String {
        std::fs::read_to_string(&self.leases).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < limit, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A zone on a bridge, guarded, without an address, and what it is known by.
fn zone(name: &str) -> (Zone, Interface, Identity) {
    let zone = Zone::new(name);
    let mut net = zone.interface(0, Attachment::Bridge { bridge: "br0".to_owned(), vlan: None }, &[]);
    net.dhcp = true;
    build::create(std::slice::from_ref(&net), zone.fd()).unwrap();
    guarded(&zone, &net, guard::apply);
    build::configure(std::slice::from_ref(&net), zone.fd()).unwrap();
    let identity = Identity::of(&net, "web");
    (zone, net, identity)
}

fn guarded(
    zone: &Zone,
    net: &Interface,
    apply: fn(Owner<'_>, guard::Nets<'_>, &guard::Shared) -> Result<(), guard::Error>,
) {
    let interfaces = std::slice::from_ref(net);
    let shared = guard::share(zone.installation, interfaces).unwrap();
    apply(zone.owner(), guard::Nets { interfaces, published: false }, &shared).unwrap();
}

fn bridge() {
    for line in ["ip link add br0 type bridge", "ip addr add 10.1.0.1/24 dev br0", "ip link set br0 up"] {
        run(line);
    }
}

fn asked(zone: &Zone, identity: &Identity, lease: Option<&Lease>, patience: Duration) -> Outcome {
    let question = Question { link: "eth0", identity: identity.clone(), lease };
    ask(zone.fd(), &[question], patience, &|| false).unwrap().remove(0)
}

fn granted(outcome: Outcome) -> Lease {
    let Outcome::Granted(lease) = outcome else { panic!("{outcome:?}") };
    *lease
}

/// The same lease when the time has come for something.
fn due(lease: &Lease, rebind: bool) -> Lease {
    let now = now().as_secs();
    let rebind = if rebind { now } else { now + 500 };
    Lease { times: Some(Times { renew: now, rebind, expire: now + 1000 }), ..lease.clone() }
}

fn addresses(zone: &Zone) -> Vec<Value> {
    within(&zone.netns, || json("ip -j -4 addr show dev eth0"))[0]["addr_info"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_lease_is_got_used_renewed_and_given_back() {
    zone_testing::needs_root!();
    needs_program!("ip");
    if !has("dnsmasq") {
        return zone_testing::skip(concat!(file!(), ":", line!()), "needs dnsmasq");
    }
    alone(|| {
        bridge();
        let server = Server::start("10.1.0.50,10.1.0.60");
        let (zone, mut net, identity) = zone("web");
        let lease = granted(asked(&zone, &identity, None, PATIENT));
        assert_eq!((lease.address.prefix_len(), lease.server), (24, Ipv4Addr::new(10, 1, 0, 1)));
        assert_eq!(lease.nameservers, [Ipv4Addr::new(10, 1, 0, 53)]);
        assert_eq!(lease.search, ["example.org"]);
        assert!((50..=60).contains(&lease.address.addr().octets()[3]));
        let line = server.given();
        assert!(line.contains(&format!("{} {} web ", net.mac, lease.address.addr())), "{line}");

        // Nothing but that address leaves the zone, which the bridge has seen granted.
        let granted_to = |address| guard::is_granted(zone.owner(), &net, address).unwrap();
        assert!(granted_to(lease.address.addr()) && !granted_to(Ipv4Addr::new(10, 1, 0, 99)));
        net.addresses = vec![lease.address.into()];
        guarded(&zone, &net, guard::apply_anew);
        assert!(!guard::is_granted(zone.owner(), &net, lease.address.addr()).unwrap(), "forgotten");
        install::install(zone.fd(), &net, 0, &lease, now()).unwrap();
        let there = addresses(&zone);
        assert_eq!(there[0]["local"], lease.address.addr().to_string());
        assert!((1..=3600).contains(&there[0]["valid_life_time"].as_u64().unwrap()), "{there:?}");
        within(&zone.netns, || {
            let route = &json("ip -j route show default")[0];
            assert_eq!((&route["gateway"], &route["protocol"]), (&"10.1.0.1".into(), &"dhcp".into()));
        });
        let host = crate::rt::namespace::current().unwrap();
        let seen = within(&zone.netns, || crate::testing::echo(&host, "10.1.0.1"));
        assert_eq!(seen, lease.address.addr());

        // By its server, and by any.
        for rebind in [false, true] {
            let old = due(&lease, rebind);
            let new = granted(asked(&zone, &identity, Some(&old), PATIENT));
            assert!(new.is_same_to_link(&old) && new.left(now()) > old.left(now()), "{new:?}");
            install::install(zone.fd(), &net, 0, &new, now()).unwrap();
            assert_eq!(addresses(&zone).len(), 1);
        }
        // Whoever asks anew is known.
        assert_eq!(granted(asked(&zone, &identity, None, PATIENT)).address, lease.address);

        release(zone.fd(), "eth0", &identity, &lease).unwrap();
        until("the server has the address back", || server.given().is_empty());
        install::remove(zone.fd(), &net, lease.address).unwrap();
        install::remove(zone.fd(), &net, lease.address).unwrap();
        assert_eq!(addresses(&zone).len(), 0);
        within(&zone.netns, || assert_eq!(json("ip -j route show"), Value::Array(vec![])));
    });
}

#[test]
fn the_kernel_ends_a_lease_that_nobody_renews() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        bridge();
        let (zone, net, _) = zone("web");
        let mut lease = crate::dhcp::lease::tests_lease("10.1.0.9/24", "10.1.0.1");
        let time = now();
        let secs = time.as_secs();
        lease.times = Some(Times { renew: secs, rebind: secs, expire: secs + 2 });
        install::install(zone.fd(), &net, 0, &lease, time).unwrap();
        assert_eq!(addresses(&zone).len(), 1);
        until("the address has gone", || addresses(&zone).is_empty());
        within(&zone.netns, || assert_eq!(json("ip -j route show"), Value::Array(vec![])));
        install::install(zone.fd(), &net, 0, &lease, Duration::from_secs(secs + 2)).unwrap();
        assert_eq!(addresses(&zone).len(), 0, "what is over is not given");
    });
}

#[test]
fn a_server_that_comes_late_or_knows_nothing_of_it() {
    zone_testing::needs_root!();
    needs_program!("ip");
    if !has("dnsmasq") {
        return zone_testing::skip(concat!(file!(), ":", line!()), "needs dnsmasq");
    }
    alone(|| {
        bridge();
        let (zone, _, identity) = zone("web");
        assert_eq!(asked(&zone, &identity, None, BRIEF), Outcome::Silent);
        let lease = {
            let host = crate::rt::namespace::current().unwrap();
            // While it is asked.
            let late = thread::spawn(move || {
                rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&host), None).unwrap();
                Server::start("10.1.0.50,10.1.0.60")
            });
            let lease = granted(asked(&zone, &identity, None, PATIENT));
            drop(late.join().unwrap());
            lease
        };
        let old = due(&lease, false);
        assert_eq!(asked(&zone, &identity, Some(&old), BRIEF), Outcome::Silent, "gone");
        // Another network, and none of its leases.
        for line in ["ip addr del 10.1.0.1/24 dev br0", "ip addr add 10.2.0.1/24 dev br0"] {
            run(line);
        }
        let _server = Server::start("10.2.0.50,10.2.0.60");
        assert_eq!(asked(&zone, &identity, Some(&due(&lease, true)), PATIENT), Outcome::Refused);
        let moved = granted(asked(&zone, &identity, None, PATIENT));
        assert_eq!(moved.address.addr().octets()[..3], [10, 2, 0]);
    });
}

#[test]
fn hostile_answers_are_not_heeded() {
    zone_testing::needs_root!();
    needs_program!("ip");
    if !has("dnsmasq") {
        return zone_testing::skip(concat!(file!(), ":", line!()), "needs dnsmasq");
    }
    alone(|| {
        bridge();
        let (zone, net, identity) = zone("web");
        // Somebody else on the bridge, who hears what is asked of all and answers at once, with all but what is asked for.
        let far = namespace();
        let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&far));
        run(&format!("ip link add far0 type veth peer name eth0 netns {path}"));
        run("ip link set far0 master br0 up");
        within(&far, || run("ip link set eth0 up"));
        let index =
            Socket::within(std::os::fd::AsFd::as_fd(&far)).unwrap().link("eth0").unwrap().unwrap().index;
        let wire = within(&far, || zone_sys::net::packet_socket(index).unwrap());
        let over = AtomicBool::new(false);
        let heard = AtomicBool::new(false);
        thread::scope(|scope| {
            let rogue = || {
                let mut bytes = [0; 2000];
                while !over.load(Ordering::Relaxed) {
                    let Ok((length, _)) = recv(&wire, &mut bytes, RecvFlags::DONTWAIT) else {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    };
                    // The number of the exchange, behind Ethernet, IPv4, UDP and four bytes.
                    let Some(xid) = bytes[..length].get(46..50).filter(|_| bytes[36..38] == [0, 67]) else {
                        continue;
                    };
                    let xid = u32::from_be_bytes(xid.try_into().unwrap());
                    let good: &[(u8, &[u8])] = &[(53, &[2]), (54, &[10, 1, 0, 1]), (51, &[0, 0, 1, 0])];
                    let wrong = Ipv4Addr::new(10, 66, 0, 9);
                    let whole = reply(net.mac, xid, wrong, good);
                    let answers = [
                        reply(net.mac, xid.wrapping_add(1), wrong, good),
                        reply(crate::Mac([2; 6]), xid, wrong, good),
                        reply(net.mac, xid, Ipv4Addr::new(127, 0, 0, 1), good),
                        reply(net.mac, xid, wrong, &good[1..]),
                        reply(net.mac, xid, wrong, &[(53, &[6]), (54, &[10, 1, 0, 66])]),
                        reply(net.mac, xid, wrong, &[(53, &[5]), (54, &[10, 1, 0, 66]), (51, &[0, 0, 1, 0])]),
                        whole[..whole.len() - 30].to_vec(),
                        whole[..40].to_vec(),
                    ];
                    for answer in answers {
                        let _ = send(&wire, &answer, SendFlags::empty());
                    }
                    heard.store(true, Ordering::Relaxed);
                }
            };
            let rogue = scope.spawn(rogue);
            assert_eq!(asked(&zone, &identity, None, BRIEF), Outcome::Silent);
            let _server = Server::start("10.1.0.50,10.1.0.60");
            let lease = granted(asked(&zone, &identity, None, PATIENT));
            assert_eq!(lease.address.addr().octets()[..3], [10, 1, 0]);
            let kept = granted(asked(&zone, &identity, Some(&due(&lease, false)), PATIENT));
            assert_eq!(kept.address, lease.address);
            over.store(true, Ordering::Relaxed);
            rogue.join().unwrap();
        });
        assert!(heard.load(Ordering::Relaxed), "the rogue took part");
    });
}

#[test]
fn a_link_that_goes_or_never_was_ends_the_wait() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        bridge();
        let (zone, net, identity) = zone("web");
        let question = |link| Question { link, identity: identity.clone(), lease: None };
        let called = || ask(zone.fd(), &[question("eth9")], PATIENT, &|| false);
        assert!(matches!(called(), Err(DhcpError::Gone(_))));
        let off = AtomicBool::new(false);
        let outcome = ask(zone.fd(), &[question("eth0")], PATIENT, &|| off.swap(true, Ordering::Relaxed));
        assert_eq!(outcome.unwrap(), [Outcome::Silent], "called off");
        let deleted = AtomicBool::new(false);
        let host = crate::rt::namespace::current().unwrap();
        let delete = || {
            if !deleted.swap(true, Ordering::Relaxed) {
                within(&host, || run(&format!("ip link del {}", net.host)));
            }
            false
        };
        let gone = ask(zone.fd(), &[question("eth0")], PATIENT, &delete).unwrap_err();
        assert!(matches!(gone, DhcpError::Gone(_) | DhcpError::Socket { .. }), "{gone:?}");
    });
}
