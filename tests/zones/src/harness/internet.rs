//! The network around a test's host: a router and servers beyond it, in a network namespace of their own.
//!
//! The test's own network namespace plays the host. Its link `up0` leads to another namespace, the *outside*, which is the
//! host's router, and where a nameserver, a web server and one that tells who has called listen. The outside has no
//! route to zones: what comes back from there has come from an address of the host's network.

use super::command::Running;
use super::{Command, Lab, Ran, make_dir, until, write};
use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

/// Addresses of the host and of the outside.
pub mod outside {
    /// The host's, on `up0`.
    pub const HOST4: &str = "192.0.2.1";
    /// The host's, on `up0`.
    pub const HOST6: &str = "2001:db8:1::1";
    /// The host's router, with the nameserver.
    pub const ROUTER4: &str = "192.0.2.254";
    /// The host's router.
    pub const ROUTER6: &str = "2001:db8:1::fe";
    /// A server beyond the router.
    pub const SERVER4: &str = "203.0.113.80";
    /// A server beyond the router.
    pub const SERVER6: &str = "2001:db8:80::80";
    /// Its name.
    pub const NAME: &str = "www.zones.test";
    /// What its web server says.
    pub const PAGE: &str = "a page of the internet\n";
    /// The port, of TCP and UDP, that tells who calls.
    pub const WHO: u16 = 7;
}

/// The outside of a test's host, until it is dropped.
pub struct Internet {
    holder: RefCell<Running>,
    servers: RefCell<Vec<Running>>,
    namespace: String,
    www: PathBuf,
    /// Whether the host has another resolv.conf for the time being.
    resolves: Cell<bool>,
}

/// Runs `ip WORDS` on the host; it must succeed.
#[track_caller]
pub fn ip(words: &str) -> Ran {
    let ran = Command::new("ip").args(words.split(' ')).run();
    ran.ok();
    ran
}

/// Keeps bridged frames of the test's host from the rules of packets, as it is where nobody has loaded br_netfilter.
pub fn bridges_by_themselves() {
    for family in ["iptables", "ip6tables"] {
        let switch = PathBuf::from(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"));
        if switch.exists() {
            write(&switch, "0");
        }
    }
}

impl Lab {
    /// Connects the test's host with an outside. The host's nameserver is there, too.
    #[track_caller]
    #[must_use]
    pub fn internet(&self) -> Internet {
        let internet = self.outside();
        internet.serve(&[
            "dnsmasq",
            "--keep-in-foreground",
            "--user=root",
            "--conf-file=/dev/null",
            "--no-hosts",
            "--no-resolv",
            "--pid-file=",
            "--log-facility=-",
            &format!("--address=/{}/{}", outside::NAME, outside::SERVER4),
            &format!("--address=/{}/{}", outside::NAME, outside::SERVER6),
        ]);
        let www = internet.www.display().to_string();
        internet.serve(&["busybox", "httpd", "-f", "-p", "[::]:80", "-h", &www]);
        let who = "SYSTEM:echo $SOCAT_PEERADDR";
        for listener in [
            "TCP4-LISTEN:7,reuseaddr,fork",
            "TCP6-LISTEN:7,ipv6-v6only=1,reuseaddr,fork",
            "UDP4-RECVFROM:7,fork",
        ] {
            internet.serve(&["socat", listener, who]);
        }
        let resolv = self.path("resolv.conf");
        write(&resolv, format!("nameserver {}\n", outside::ROUTER4));
        Command::new("mount")
            .args([OsStr::new("--bind"), resolv.as_os_str(), OsStr::new("/etc/resolv.conf")])
            .run()
            .ok();
        internet.resolves.set(true);
        for (port, sockets) in [("53", 2), ("80", 1), ("7", 2)] {
            until(&format!("somebody listens on port {port} outside"), || {
                let listening = internet.command("ss", ["-Hltn", &format!("sport = :{port}")]).run();
                (listening.ok().out().lines().count() >= sockets).then_some(())
            });
        }
        internet
    }

    /// Connects the test's host with an outside on which nothing listens.
    #[track_caller]
    #[must_use]
    pub fn outside(&self) -> Internet {
        let (holder, namespace) = namespace();
        let www = self.path("www");
        make_dir(&www, 0o755);
        write(&www.join("index.html"), outside::PAGE);
        let internet = Internet {
            holder: RefCell::new(holder),
            servers: RefCell::default(),
            namespace,
            www,
            resolves: Cell::new(false),
        };
        let pid = internet.holder.borrow().pid();
        ip(&format!(
            "link add up0 address 02:00:00:00:01:01 type veth peer name far0 address 02:00:00:00:01:02 netns {pid}"
        ));
        for words in [
            format!("address add {}/24 dev up0", outside::HOST4),
            format!("address add {}/64 dev up0 nodad", outside::HOST6),
            "link set up0 up".to_owned(),
        ] {
            ip(&words);
        }
        for words in [
            "link set lo up".to_owned(),
            format!("address add {}/24 dev far0", outside::ROUTER4),
            format!("address add {}/64 dev far0 nodad", outside::ROUTER6),
            format!("address add {}/32 dev lo", outside::SERVER4),
            format!("address add {}/128 dev lo nodad", outside::SERVER6),
            "link set far0 up".to_owned(),
        ] {
            internet.run("ip", words.split(' ')).ok();
        }
        ip(&format!("route add default via {}", outside::ROUTER4));
        ip(&format!("-6 route add default via {}", outside::ROUTER6));
        internet
    }
}

/// Starts a process in a network namespace of its own, and gives it with the path of that namespace.
#[track_caller]
pub(super) fn namespace() -> (Running, String) {
    let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).within(3600).start();
    let namespace = format!("/proc/{}/ns/net", holder.pid());
    let own = fs::read_link("/proc/self/ns/net").ok();
    until("the outside has a network namespace of its own", || {
        let theirs = fs::read_link(&namespace).ok();
        (theirs.is_some() && theirs != own).then_some(())
    });
    (holder, namespace)
}

impl Internet {
    /// A program, to be run outside.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Command {
        Command::new("nsenter").args([&format!("--net={}", self.namespace), "--", program]).args(args)
    }

    /// Runs a program outside.
    #[track_caller]
    #[must_use]
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(program, args).run()
    }

    /// Runs a shell script outside.
    #[track_caller]
    #[must_use]
    pub fn sh(&self, script: &str) -> Ran {
        self.run("/bin/sh", ["-c", script])
    }

    /// Starts a program outside that serves until the end.
    #[track_caller]
    pub fn serve(&self, words: &[&str]) {
        let server = self.command(words[0], &words[1..]).within(3600).start();
        self.servers.borrow_mut().push(server);
    }

    /// The directory whose files the web server serves.
    #[must_use]
    pub fn www(&self) -> &std::path::Path {
        &self.www
    }

    /// The process whose network namespace is the outside.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.holder.borrow().pid()
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        if self.resolves.get() {
            let _ = rustix::mount::unmount("/etc/resolv.conf", rustix::mount::UnmountFlags::DETACH);
        }
        // With the link its routes go, and what is on top of it.
        let _ = Command::new("ip").args(["link", "delete", "up0"]).run();
        for server in self.servers.get_mut() {
            server.kill();
        }
        self.holder.get_mut().kill();
    }
}
