//! Users of the host who are not root, and the zone-access that serves them.

use super::{Command, Lab, Ran, Running, make_dir, skip, until};
use std::fs;
use std::path::PathBuf;

/// Gives in a configuration what [`USERS`] may: one manages, one logs in.
pub const ADMINS: &str = "add admin; set user=manny; set auths=manage; end; \
    add admin; set user=logan; set auths=login; end";

/// Users of the host: who manages, who logs in, who reads, and one more.
pub const USERS: [(&str, u32); 4] = [("manny", 4101), ("logan", 4102), ("rita", 4103), ("nick", 4104)];

/// The host of a test, with these users and a zone-access.
pub struct Host<'lab> {
    lab: &'lab Lab,
    access: Option<Running>,
}

impl<'lab> Host<'lab> {
    /// Makes the users known, and serves them; skips the case where they cannot execute the programs.
    #[must_use]
    pub fn new(lab: &'lab Lab) -> Self {
        make_dir(&lab.root().join("run"), 0o755);
        let host = Self { lab, access: None };
        host.know(&USERS.map(|(name, _)| name), "rita");
        for file in ["passwd", "group"] {
            Command::new("mount")
                .args(["--bind"])
                .args([host.file(file), PathBuf::from(format!("/etc/{file}"))])
                .run()
                .ok();
        }
        let nobody = host.user("nick", "zoneadm", &["--version"]);
        if !matches!(nobody.code(), Some(0)) {
            drop(host);
            skip("other users cannot reach the programs in this checkout");
        }
        host.served()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.lab.path(name)
    }

    /// Writes which users there are, and who is in the group.
    pub fn know(&self, names: &[&str], members: &str) {
        let known = USERS.iter().filter(|(name, _)| names.contains(name));
        let users: String = known.map(|(name, uid)| format!("{name}:x:{uid}:{uid}::/:/bin/sh\n")).collect();
        // In place: what is mounted is this very file.
        fs::write(self.file("passwd"), format!("root:x:0:0:root:/root:/bin/sh\n{users}")).expect("passwd");
        fs::write(self.file("group"), format!("root:x:0:\nzones:x:4000:{members}\n")).expect("group");
    }

    /// Starts zone-access, and waits for it.
    #[must_use]
    pub fn served(mut self) -> Self {
        // Sessions have what it has, and outlive it: no pipe of the test's.
        let quiet = ["-c", "exec \"$0\" < /dev/null > /dev/null 2>&1"];
        let command = Command::new("sh").args(quiet).args([self.lab.program("zone-access")]);
        self.access = Some(command.env("ZONES_ROOT", self.lab.root()).within(600).start());
        until("zone-access listens", || self.connects().then_some(()));
        self
    }

    /// Kills zone-access.
    pub fn serve_no_more(&mut self) {
        if let Some(mut access) = self.access.take() {
            access.kill();
        }
        until("nobody serves", || (!self.connects()).then_some(()));
    }

    fn connects(&self) -> bool {
        zone_sys::unix::connect_in(
            &self.lab.root().join("run"),
            "zone-access",
            rustix::net::SocketType::STREAM,
        )
        .is_ok()
    }

    /// Gives a program that a user is going to run.
    #[must_use]
    pub fn command(&self, user: &str, program: &str, args: &[&str]) -> Command {
        let program = self.lab.program(program);
        self.of(user, &[&program.to_string_lossy()]).args(args).env("ZONES_ROOT", self.lab.root())
    }

    /// Gives any command line that a user is going to run.
    #[must_use]
    pub fn of(&self, user: &str, words: &[&str]) -> Command {
        let uid = Self::uid(user).to_string();
        Command::new("setpriv").args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]).args(words)
    }

    /// The user's number.
    #[must_use]
    pub fn uid(user: &str) -> u32 {
        USERS.iter().find(|(name, _)| *name == user).map_or(0, |(_, uid)| *uid)
    }

    /// Runs a program as a user.
    #[must_use]
    pub fn user(&self, user: &str, program: &str, args: &[&str]) -> Ran {
        self.command(user, program, args).run()
    }

    /// Runs a script of Perl as a user, in which `call(TEXT)` gives what a call is answered, and `open_one()` a connection. The
    /// socket is reached from its folder: the whole path has more than the 108 bytes that an address has room for where the
    /// checkout is far down.
    #[must_use]
    pub fn perl(&self, user: &str, script: &str) -> Command {
        let folder = self.lab.root().join("run");
        let whole = format!(
            "use strict; use IO::Socket::UNIX; chdir '{}' or die \"chdir: $!\"; \
             sub open_one {{ IO::Socket::UNIX->new(Peer => 'zone-access') or die \"connect: $!\" }} \
             sub call {{ my ($text) = @_; my $s = open_one(); local $SIG{{PIPE}} = 'IGNORE'; \
               print $s $text; $s->flush; my $got = ''; while (sysread($s, my $part, 65536)) {{ $got .= $part }} $got }} {script}",
            folder.display()
        );
        self.of(user, &["perl", "-e", &whole])
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if let Some(access) = &mut self.access {
            access.kill();
        }
        for file in ["/etc/passwd", "/etc/group"] {
            let _ = std::process::Command::new("umount").args(["-q", file]).status();
        }
    }
}
