//! The only "physical" link that a test can make is one end of a pair: it has no hardware, and dies with its namespace.

use std::fs;

use rustix::fd::AsFd;

use super::*;
use crate::build::{self, tear_down};
use crate::interface::Attachment;
use crate::needs_program;
use crate::testing::{Zone, alone, echo, json, namespace, run, within};

mod known;

/// A link with everything that a link can have, its other end elsewhere.
fn uplink() -> rustix::fd::OwnedFd {
    let far = namespace();
    run("ip link add up0 address 02:00:00:00:01:01 mtu 1450 type veth peer name far0");
    let mut host = Socket::here().unwrap();
    let peer = host.link("far0").unwrap().unwrap().index;
    host.run([crate::rt::link::change(peer).move_to(far.as_fd()).request()]).unwrap();
    for line in [
        "ip link set up0 alias the-uplink txqueuelen 321 group 5",
        "ip link property add dev up0 altname enp0s3 altname uplink",
        "ip addr add 192.0.2.1/24 brd + dev up0",
        "ip addr add 198.51.100.7/32 dev up0 label up0:pub",
        "ip addr add 203.0.113.9/24 dev up0 valid_lft 1000 preferred_lft 1000",
        "ip addr add 2001:db8::1/64 dev up0 nodad",
        "ip link set up0 up",
        "ip route add default via 192.0.2.2",
        "ip route add 10.0.0.0/8 via 192.0.2.3 metric 50 proto bird",
        "ip route add 10.1.0.0/16 dev up0 table 77 src 198.51.100.7",
        "ip route add 10.2.0.0/16 via 172.16.0.1 dev up0 onlink",
        "ip -6 route add default via fe80::9 dev up0 metric 7",
    ] {
        run(line);
    }
    within(&far, || {
        run("ip addr add 192.0.2.2/24 dev far0");
        run("ip link set far0 up");
    });
    far
}

/// All that is told of the link, as programs tell it.
fn told() -> Vec<String> {
    let mut link = json("ip -j -d link show dev up0")[0].clone();
    // Whether the other end has noticed by now.
    for field in ["flags", "operstate"] {
        link[field].take();
    }
    let mut lines = vec![link.to_string()];
    for line in [
        "ip addr show dev up0 permanent",
        "ip route show table all dev up0",
        "ip -6 route show table all dev up0",
    ] {
        let text = run(line);
        // The first line has the state.
        let mut text: Vec<_> = text.lines().filter(|line| !line.contains("mtu")).map(str::to_owned).collect();
        text.retain(|line| {
            !line.contains("203.0.113") && !line.contains("multicast") && !line.contains("anycast")
        });
        text.sort();
        // The kernel makes these by itself, a moment later.
        text.retain(|line| !line.starts_with("local "));
        lines.extend(
            text.iter().map(|line| line.replace(" linkdown", "").replace(" tentative", "").trim().to_owned()),
        );
    }
    lines
}

fn move_in(zone: &Zone) -> PhysicalRecord {
    let record = record("up0").unwrap();
    let attachment = Attachment::Physical { link: "up0".to_owned() };
    let mut net = zone.interface(0, attachment, &["192.0.2.5/24", "2001:db8::5/64"]);
    net.routers = vec!["192.0.2.2".parse().unwrap()];
    net.mtu = Some(1400);
    build::bring_up(&[net], zone.fd()).unwrap();
    // It is saved, and read by another daemon.
    toml::from_str(&toml::to_string(&record).unwrap()).unwrap()
}

#[test]
fn a_link_comes_back_as_it_was() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        assert_eq!(within(&far, || echo(&zone.netns, "192.0.2.5")), "192.0.2.2".parse::<IpAddr>().unwrap());
        assert_eq!(within(&zone.netns, || json("ip -j link show dev eth0"))[0]["mtu"], 1400);
        tear_down(zone.owner(), std::slice::from_ref(&record), Some(zone.fd())).unwrap();
        assert_eq!(told(), before);
        tear_down(zone.owner(), &[record], Some(zone.fd())).unwrap();
        assert_eq!(told(), before, "and again");
        assert_eq!(Socket::within(zone.fd()).unwrap().links().unwrap().len(), 1, "loopback");
    });
}

#[test]
fn what_a_zone_did_to_a_link_is_undone() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        run("ip link add taken type bridge");
        within(&zone.netns, || {
            for line in [
                "ip link set eth0 down",
                "ip link set eth0 name mine address 02:00:00:00:00:66 mtu 1300 alias owned promisc on allmulticast on",
                // Names that the host has.
                "ip link property add dev mine altname up0 altname taken",
                "ip link add link mine name eth0 type macvlan mode bridge",
                "ip link set mine up",
                "ip link add br0 type bridge",
            ] {
                run(line);
            }
        });
        give_back(&record, Some(zone.fd())).unwrap();
        assert_eq!(told(), before);
        within(&zone.netns, || {
            assert_eq!(
                json("ip -j link show").as_array().unwrap().len(),
                2,
                "loopback and the zone's own bridge"
            );
        });
    });
}

#[test]
fn a_port_of_a_bridge_inside_comes_back_and_one_of_the_host_is_one_again() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        run("ip link add br0 type bridge");
        run("ip link add up0 type veth peer name far0");
        run("ip link set up0 master br0");
        let zone = Zone::new("web");
        let record = move_in(&zone);
        within(&zone.netns, || {
            run("ip link add br1 type bridge");
            run("ip link set eth0 master br1");
        });
        give_back(&record, Some(zone.fd())).unwrap();
        let link = &json("ip -j link show dev up0")[0];
        assert_eq!(
            (&link["master"], &link["flags"].as_array().unwrap().contains(&"UP".into())),
            (&"br0".into(), &false)
        );
    });
}

#[test]
fn a_link_that_the_kernel_put_back_is_found() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        put_back(&zone);
        give_back(&record, None).unwrap();
        assert_eq!(told(), before);
    });
}

/// Puts a link back as the kernel does it with hardware when a namespace goes, and sets it up as somebody on the host may do
/// with what appears there.
fn put_back(zone: &Zone) {
    let home = crate::rt::namespace::current().unwrap();
    let mut inside = Socket::within(zone.fd()).unwrap();
    let link = inside.link("eth0").unwrap().unwrap();
    inside.run([crate::rt::link::change(link.index).name("dev7").move_to(home.as_fd()).request()]).unwrap();
    run("ip link set dev7 up");
}

#[test]
fn a_link_that_has_to_be_brought_again_comes_under_its_name() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        put_back(&zone);
        run("ip addr add 192.0.2.1/24 brd + dev dev7");
        run("ip link property add dev dev7 altname up0");
        let mut host = Socket::here().unwrap();
        let link = host.link("dev7").unwrap().unwrap();
        give_back::bring_again(&mut host, &record, &link, namespace().as_fd()).unwrap();
        let link = host.link("up0").unwrap().unwrap();
        assert_eq!(
            (link.name.as_str(), link.up, link.mtu),
            ("up0", false, 1450),
            "as it is to be from then on"
        );
        assert_eq!(link.altnames, Vec::<String>::new());
        assert!(host.addresses(Some(link.index)).unwrap().is_empty(), "as a new one");
        give_back(&record, None).unwrap();
        assert_eq!(told(), before);
    });
}

/// Gives a link back, from the zone or from where the kernel has put it, while somebody on the host does something to it:
/// once, at each moment at which that can be in turn.
fn gives_back_amid(put: bool, lines: &[&str]) {
    let mut moments = 0;
    while !gives_back_interrupted(put, lines, moments) {
        moments += 1;
    }
    assert!(moments > 4, "{moments}");
}

/// The same at one moment, which is too late if the link was back already.
fn gives_back_interrupted(put: bool, lines: &[&str], at: usize) -> bool {
    let mut moments = 0;
    alone(|| {
        let _far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        if put {
            put_back(&zone);
        }
        let interfere = || {
            let name = Socket::here().unwrap().link(record.index).unwrap().unwrap().name;
            for line in lines {
                let line = line.replace("up0", &name);
                let mut words = line.split_whitespace();
                // Some of it cannot be done at some of the moments.
                let _ = std::process::Command::new(words.next().unwrap()).args(words).output().unwrap();
            }
        };
        let netns = (!put).then(|| zone.fd());
        give_back::give_back_amid(&record, netns, &mut || {
            if moments == at {
                interfere();
            }
            moments += 1;
        })
        .unwrap_or_else(|error| panic!("{lines:?} at {at}: {}", zone_sys::Chain(&error)));
        assert_eq!(told(), before, "{lines:?} at {at}");
    });
    moments <= at
}

#[test]
fn a_link_is_back_whatever_others_do_to_it_meanwhile() {
    zone_testing::needs_root!();
    needs_program!("ip");
    // networkd, which takes it for a new one, deletes what it has not given itself.
    gives_back_amid(false, &["ip link set up0 up", "ip addr del 192.0.2.1/24 dev up0"]);
    gives_back_amid(true, &["ip addr del 192.0.2.1/24 dev up0", "ip addr add 192.0.2.1/24 brd + dev up0"]);
    // And gives its own.
    let lines = &[
        "ip link set up0 up",
        "ip addr replace 192.0.2.1/24 brd + dev up0",
        "ip route append 10.0.0.0/8 via 192.0.2.3 dev up0 metric 50 proto bird",
    ];
    gives_back_amid(false, lines);
    gives_back_amid(true, lines);
    gives_back_amid(false, &["ip link set up0 down"]);
    gives_back_amid(true, &["ip link set up0 down"]);
    gives_back_amid(false, &["ip addr flush dev up0 scope global"]);
}

#[test]
fn a_name_that_is_taken_is_said() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let before = told();
        let zone = Zone::new("web");
        let record = move_in(&zone);
        run("ip link add up0 type bridge");
        let error = give_back(&record, Some(zone.fd())).unwrap_err();
        let got = Socket::here().unwrap().link(record.index).unwrap().unwrap().name;
        assert!(got.starts_with("zback"), "{got}");
        assert_eq!(
            zone_sys::Chain(&error).to_string(),
            format!(
                "the link 'up0' has come back from the zone as '{got}': another link is called 'up0' by now"
            )
        );
        assert!(run(&format!("ip addr show dev {got}")).contains("192.0.2.1/24"), "all else is restored");
        run("ip link del up0");
        give_back(&record, Some(zone.fd())).unwrap();
        assert_eq!(told(), before, "and the name, once it is free");
    });
}

#[test]
fn a_link_that_cannot_be_set_up_is_back_all_the_same() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        run("ip link add lower type veth peer name far0");
        run("ip link set lower up");
        run("ip link add up0 link lower address 02:00:00:00:01:01 type macvlan mode bridge");
        run("ip addr add 192.0.2.1/24 dev up0");
        run("ip link set up0 up");
        let zone = Zone::new("web");
        let record = record("up0").unwrap();
        let moved = crate::rt::link::change("up0").move_to(zone.fd()).request();
        Socket::here().unwrap().run([moved]).unwrap();
        // The kernel sets no macvlan up whose address another one has.
        run("ip link add rival link lower address 02:00:00:00:01:01 type macvlan mode bridge");
        run("ip link set rival up");
        let error = give_back(&record, Some(zone.fd())).unwrap_err();
        assert!(error.is_final() && error.to_string().contains("'ip link set up0 up'"), "{error}");
        assert!(run("ip addr show dev up0").contains("192.0.2.1/24"));
        run("ip link del rival");
        give_back(&record, Some(zone.fd())).unwrap();
        assert!(json("ip -j link show dev up0")[0]["flags"].to_string().contains("\"UP\""));
    });
}

#[test]
fn a_link_that_never_left_is_not_touched() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let before = told();
        let record = record("up0").unwrap();
        give_back(&record, None).unwrap();
        assert_eq!(told(), before);
        assert!(run("ip addr show dev up0").contains("203.0.113.9/24"), "it was never down");
    });
}

#[test]
fn a_lost_link_is_said() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        let _far = uplink();
        let zone = Zone::new("web");
        let record = record("up0").unwrap();
        run("ip link del up0");
        let error = give_back(&record, Some(zone.fd())).unwrap_err();
        assert_eq!(error.to_string(), "the link 'up0' has not come back from the zone");
    });
}

#[test]
fn a_link_that_was_destroyed_is_not_taken_for_one_like_it() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        run("ip link add lower type veth peer name far0");
        run("ip link set lower up");
        for name in ["up0", "up1"] {
            run(&format!("ip link add {name} link lower address 02:00:00:00:01:01 type macvlan mode bridge"));
        }
        run("ip addr add 198.51.100.9/24 dev up1");
        let zone = Zone::new("web");
        let record = move_in(&zone);
        within(&zone.netns, || run("ip link del eth0"));
        let before = run("ip -o addr show dev up1");
        let error = tear_down(zone.owner(), std::slice::from_ref(&record), Some(zone.fd())).unwrap_err();
        assert!(error.is_final(), "{error}");
        assert_eq!(run("ip -o addr show dev up1"), before);
        let error = give_back(&record, None).unwrap_err();
        assert_eq!(error.to_string(), "the link 'up0' has not come back from the zone");
        assert_eq!(run("ip -o addr show dev up1"), before);
    });
}

#[test]
fn a_link_that_was_down_has_its_addresses_again_and_one_its_peer() {
    zone_testing::needs_root!();
    needs_program!("ip");
    alone(|| {
        run("ip link add up0 type veth peer name far0");
        run("ip addr add 192.0.2.1/24 dev up0");
        run("ip addr add 198.51.100.1 peer 198.51.100.2/32 dev up0");
        let before = run("ip -o -4 addr show dev up0");
        assert!(before.contains("198.51.100.1 peer 198.51.100.2/32"), "{before}");
        let zone = Zone::new("web");
        let record = move_in(&zone);
        assert!(!record.up);
        give_back(&record, Some(zone.fd())).unwrap();
        assert_eq!(run("ip -o -4 addr show dev up0"), before);
        give_back(&record, Some(zone.fd())).unwrap();
        assert_eq!(run("ip -o -4 addr show dev up0"), before, "and again");
    });
}

#[test]
fn a_namespace_is_kept_on_a_file() {
    zone_testing::needs_root!();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("netns");
    // The mounts of a test are its own.
    let test = || {
        zone_sys::mount::unshare_thread().unwrap();
        let root =
            rustix::fs::openat(rustix::fs::CWD, "/", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
        zone_sys::mount::make_all_private(root.unwrap().as_fd()).unwrap();
        let (one, other) = (namespace(), namespace());
        assert!(pinned(&path).unwrap().is_none());
        pin(one.as_fd(), &path).unwrap();
        pin(one.as_fd(), &path).unwrap();
        let inode = |fd: &rustix::fd::OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        let first = inode(&one);
        drop(one);
        assert_eq!(inode(&pinned(&path).unwrap().unwrap()), first, "though nobody else has it");
        pin(other.as_fd(), &path).unwrap();
        assert_eq!(inode(&pinned(&path).unwrap().unwrap()), inode(&other));
        unpin(&path).unwrap();
        assert!(!fs::exists(&path).unwrap());
        unpin(&path).unwrap();
    };
    std::thread::scope(|scope| scope.spawn(test).join()).unwrap();
}
