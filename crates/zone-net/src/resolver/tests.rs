//! Tests of the nameservers and of the texts for guests.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::Mac;
use crate::interface::Attachment;
use crate::spec::Protection;

struct Place {
    dir: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().join("root"))).unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::create_dir_all(dir.path().join("run/systemd/resolve")).unwrap();
        fs::create_dir_all(layout.etc()).unwrap();
        Self { dir, layout }
    }

    fn host(&self, path: &str, text: &str) {
        fs::write(self.dir.path().join(path), text).unwrap();
    }

    fn find(&self) -> Result<Resolver, ResolverError> {
        find_on(&self.layout, self.dir.path())
    }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_hosts_nameservers_are_taken_but_for_those_of_its_own() {
    let place = Place::new();
    place.host(
        "etc/resolv.conf",
        "# by hand\n;also\nnameserver 127.0.0.1\nnameserver 192.0.2.53 # first\nnameserver fe80::1%eth0\nnameserver fe80::2\n\
         nameserver ::1\nnameserver 0.0.0.0\nnameserver ::ffff:127.0.0.1\nnameserver 2001:db8::53\nnameserver 192.0.2.53\n\
         nameserver\ndomain old.example\nsearch example.org corp.example bad=word\noptions edns0 ndots:2\noptions rotate\nsortlist x\n",
    );
    let found = place.find().unwrap();
    assert_eq!(found.servers, ips(&["192.0.2.53", "2001:db8::53"]));
    assert_eq!(found.search, ["example.org", "corp.example"]);
    assert_eq!(
        found.resolv_conf(),
        format!(
            "{MARKER}nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org corp.example\noptions edns0 ndots:2 rotate\n"
        )
    );
    assert_eq!(
        found.resolved_drop_in(),
        format!("{MARKER}[Resolve]\nDNS=192.0.2.53 2001:db8::53\nDomains=example.org corp.example\n")
    );
    assert_eq!(MARKER.lines().count(), 1);
}

#[test]
fn behind_a_stub_are_those_that_it_asks() {
    let place = Place::new();
    place.host(
        "run/systemd/resolve/stub-resolv.conf",
        "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch stub\n",
    );
    symlink("../run/systemd/resolve/stub-resolv.conf", place.dir.path().join("etc/resolv.conf")).unwrap();
    let none = place.find().unwrap_err().to_string();
    assert!(
        none.contains("etc/resolv.conf names only 127.0.0.53, which a zone cannot reach; write"),
        "{none}"
    );
    assert!(none.ends_with(&format!("in {}", place.layout.network().display())), "{none}");
    place.host("run/systemd/resolve/resolv.conf", "nameserver 198.51.100.1\nsearch home\n");
    let found = place.find().unwrap();
    assert_eq!((found.servers, found.search), (ips(&["198.51.100.1"]), vec!["home".to_owned()]));
    assert!(found.options.is_empty(), "what is said of the stub is not said of these");
    place.host("run/systemd/resolve/resolv.conf", "nameserver 127.0.0.1\n");
    assert!(matches!(place.find(), Err(ResolverError::None { .. })));
}

#[test]
fn without_any_it_is_said_where_to_name_one() {
    let place = Place::new();
    let none = place.find().unwrap_err().to_string();
    assert!(none.contains("etc/resolv.conf names none; write a line such as nameservers = ["), "{none}");
    // A nameserver of nobody's is not looked for behind a file that names none.
    place.host("run/systemd/resolve/resolv.conf", "nameserver 198.51.100.1\n");
    assert!(place.find().is_err());
    fs::write(place.layout.network(), "nameservers = [\"192.0.2.1\"]\n").unwrap();
    assert_eq!(place.find().unwrap().servers, ips(&["192.0.2.1"]));
    place.host("etc/resolv.conf", "nameserver 192.0.2.9\nsearch example.org\noptions trust-ad\n");
    let found = place.find().unwrap();
    assert_eq!((found.servers, found.options.len()), (ips(&["192.0.2.1"]), 0));
    assert_eq!(found.search, ["example.org"]);
    fs::write(place.layout.network(), "nameserver = 1\n").unwrap();
    assert!(matches!(place.find(), Err(ResolverError::Network(_))));
}

#[test]
fn what_is_no_file_of_a_sane_size_is_not_read() {
    let place = Place::new();
    place.host("etc/resolv.conf", &"#".repeat(usize::try_from(file::DOCUMENT).unwrap() + 1));
    assert!(matches!(place.find(), Err(ResolverError::File(_))));
    fs::remove_file(place.dir.path().join("etc/resolv.conf")).unwrap();
    symlink("/dev/zero", place.dir.path().join("etc/resolv.conf")).unwrap();
    assert!(matches!(place.find(), Err(ResolverError::File(_))));
}

fn interface(addresses: &[&str], routers: &[&str], dhcp: bool) -> Interface {
    Interface {
        host: "h0".to_owned(),
        alias: String::new(),
        inside: "eth0".to_owned(),
        attachment: Attachment::Bridge { bridge: "br0".to_owned(), vlan: None },
        mac: Mac([2, 0, 0, 0, 0, 1]),
        mtu: None,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        routers: ips(routers),
        allowed: Vec::new(),
        host_addresses: Vec::new(),
        dhcp,
        bandwidth: None,
        protection: Protection::default(),
    }
}

#[test]
fn networkd_is_told_what_is_there() {
    assert_eq!(networkd_name("eth0"), "89-zone-eth0.network");
    let resolver = Resolver {
        servers: ips(&["192.0.2.53"]),
        search: vec!["example.org".to_owned()],
        options: Vec::new(),
    };
    let head = format!("{MARKER}[Match]\nName=eth0\n\n[Network]\n");
    let managed = interface(&["10.1.0.9/20", "fd00:1::9/64"], &["10.1.0.1", "fd00:1::1"], false);
    assert_eq!(
        networkd(&managed, Some(&resolver)).unwrap(),
        format!(
            "{head}KeepConfiguration=yes\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\nAddress=10.1.0.9/20\n\
             Address=fd00:1::9/64\nGateway=10.1.0.1\nGateway=fd00:1::1\nDNS=192.0.2.53\nDomains=example.org\n"
        )
    );
    let routed = interface(&["192.0.2.7/32", "2001:db8::7/128"], &["169.254.0.1", "fe80::1"], false);
    assert_eq!(
        networkd(&routed, None).unwrap(),
        format!(
            "{head}KeepConfiguration=yes\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\nAddress=192.0.2.7/32\n\
             Address=2001:db8::7/128\nGateway=fe80::1\n\n[Route]\nGateway=169.254.0.1\nGatewayOnLink=yes\n"
        )
    );
    let dhcp = networkd(&interface(&[], &[], true), Some(&resolver)).unwrap();
    let without = "DHCP=no\nKeepConfiguration=yes\nLinkLocalAddressing=ipv6\n";
    assert_eq!(dhcp, format!("{head}{without}DNS=192.0.2.53\nDomains=example.org\n"));
    assert_eq!(networkd(&interface(&["192.0.2.8/24"], &[], true), None).unwrap(), format!("{head}{without}"));
    assert_eq!(networkd(&interface(&[], &[], false), Some(&resolver)), None);
}

proptest! {
    /// Whatever the host's file says, a guest's files get no line that it did not mean.
    #[test]
    fn no_text_of_the_host_makes_a_line_of_its_own(text in "((nameserver|search|options|domain)?[ -~\t\r\u{b}é\u{0}]{0,30}\n){0,12}") {
        let Resolver { servers, search, options } = Host::parse(&text).resolver;
        let resolver = Resolver { servers, search, options };
        for line in resolver.resolv_conf().lines().skip(1) {
            prop_assert!(["nameserver ", "search ", "options "].iter().any(|word| line.starts_with(word)), "{}", line);
        }
        for line in resolver.resolved_drop_in().lines().skip(2) {
            prop_assert!(line.starts_with("DNS=") || line.starts_with("Domains="), "{}", line);
        }
    }
}
