//! Real guests: root file systems with different inits, made from Debian packages by mmdebstrap.

use crate::arch::Arch;
use crate::{needs, paths, say, sh};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

/// A guest.
pub(crate) struct Guest {
    /// Its name, and that of its archive.
    pub(crate) name: &'static str,
    suite: &'static str,
    /// Beside a minimal Debian and [`COMMON`].
    packages: &'static str,
    /// Shell commands on the finished root, which is `$1`; none if empty.
    finish: &'static str,
}

/// What every guest has, whatever its init.
const COMMON: &str = "login,passwd,procps,iproute2,util-linux";

/// What is done to every guest: no name of the host, a password for its root, no package lists in its archive.
const COMMON_FINISH: &str = r#"rm -f "$1"/etc/hostname; echo root:root | chroot "$1" chpasswd; rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin"#;

/// busybox as init: a getty on the console, and a clean end.
const BUSYBOX: &str = r#"ln -sf /bin/busybox "$1/sbin/init"
printf '%s\n' '::sysinit:/bin/true' '::respawn:/sbin/getty -L 38400 console linux' '::shutdown:/bin/sync' > "$1/etc/inittab""#;

/// Alpine's way of starting its network: each link that ifupdown-ng lists, one by one.
const NETWORKING: &str = r#"printf '%s\n' '#!/sbin/openrc-run' 'depend() { provide net; }' 'start() {' '  ebegin "Starting networking"' \
    '  for link in $(ifquery --list -a); do ifup "$link" || failed=1; done' '  eend ${failed:-0}' '}' > "$1/etc/init.d/networking"
chmod 755 "$1/etc/init.d/networking"
chroot "$1" rc-update add networking default"#;

/// What a sysvinit root needs beside sysvinit itself.
const SYSVINIT: &str = "sysvinit-core,sysv-rc,initscripts,insserv";

const fn guest(name: &'static str, suite: &'static str, packages: &'static str) -> Guest {
    Guest { name, suite, packages, finish: "" }
}

/// The guests that every run boots. dropbear is a server for ssh that no init starts by itself.
pub(crate) const USUAL: [Guest; 3] = [
    guest("debian12-systemd", "bookworm", "systemd-sysv,dbus,dropbear-bin"),
    guest("debian12-sysvinit", "bookworm", SYSVINIT),
    Guest { name: "debian13-busybox", suite: "trixie", packages: "busybox-static", finish: BUSYBOX },
];

/// Every guest.
pub(crate) const ALL: [Guest; 12] = [
    guest("debian12-systemd", "bookworm", "systemd-sysv,dbus,dropbear-bin"),
    guest("debian12-sysvinit", "bookworm", SYSVINIT),
    Guest { name: "debian13-busybox", suite: "trixie", packages: "busybox-static", finish: BUSYBOX },
    guest("debian11-systemd", "bullseye", "systemd-sysv,dbus"),
    guest("debian13-systemd", "trixie", "systemd-sysv,dbus"),
    guest("debian13-sysvinit", "trixie", SYSVINIT),
    guest("debian13-openrc", "trixie", "sysvinit-core,openrc,initscripts,insserv"),
    Guest {
        name: "debian13-ifupdown-ng",
        suite: "trixie",
        packages: "sysvinit-core,openrc,initscripts,insserv,ifupdown-ng,ifupdown-ng-compat,udhcpc,busybox-static",
        finish: NETWORKING,
    },
    guest("debian13-runit", "trixie", "runit-init,runit-services,getty-run"),
    guest("debian13-finit", "trixie", "finit-sysv,finit"),
    guest("debian13-shepherd", "trixie", "shepherd"),
    guest("debian13-s6", "trixie", "s6,execline"),
];

/// How many are made at once: dpkg works on one core, and the machines that this runs on have two.
const AT_ONCE: usize = 2;

/// Where the archives are that run on a processor.
pub(crate) fn place(arch: Arch) -> PathBuf {
    paths::target().join(format!("guests{}", arch.suffix()))
}

/// Makes the guests whose archives are not there yet, or are of other packages.
pub(crate) fn make(guests: &[Guest], arch: Arch) -> Result<()> {
    let missing: Vec<&Guest> = guests.iter().filter(|guest| !guest.is_made(arch)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mirror = needs::mirror()?;
    arch.runs()?;
    sh::make_dir(&place(arch))?;
    let names: Vec<&str> = missing.iter().map(|guest| guest.name).collect();
    say::note(&format!("Making guests with mmdebstrap, once: {}", names.join(", ")));
    let queue = Mutex::new(missing.into_iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some(guest) = next() {
                make_one(guest, arch, &mirror)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("a thread that made guests ended in a panic"),
        })
    })
}

impl Guest {
    /// All that it is made from: another stamp, another guest.
    fn stamp(&self) -> String {
        [self.suite, self.packages, COMMON, self.finish, COMMON_FINISH].join("\n")
    }

    /// Where its archive is, and its stamp beside it.
    fn place(&self, arch: Arch, kind: &str) -> PathBuf {
        place(arch).join(format!("{}.{kind}", self.name))
    }

    fn is_made(&self, arch: Arch) -> bool {
        let made = std::fs::read_to_string(self.place(arch, "stamp"));
        self.place(arch, "tar").is_file() && made.is_ok_and(|made| made == self.stamp())
    }
}

fn make_one(guest: &Guest, arch: Arch, mirror: &str) -> Result<()> {
    let began = Instant::now();
    let (unfinished, log) = (guest.place(arch, "part.tar"), guest.place(arch, "log"));
    let file = std::fs::File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--mode=root", "--variant=minbase", "--aptopt=Apt::Install-Recommends false"])
        .args(["--aptopt=Acquire::Check-Valid-Until false", "--skip=check/qemu"])
        .arg(format!("--architectures={}", arch.debian()))
        .arg(format!("--include={},{COMMON}", guest.packages))
        .args(
            [guest.finish, COMMON_FINISH]
                .iter()
                .filter(|hook| !hook.is_empty())
                .map(|hook| format!("--customize-hook={hook}")),
        )
        .arg(guest.suite)
        .arg(&unfinished)
        .arg(format!("deb {mirror} {} main", guest.suite))
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    if !sh::status(&mut command)?.success() {
        bail!("making the guest {} failed; the end of {} says:\n{}", guest.name, log.display(), tail(&log));
    }
    // Under its own name only when it is whole.
    std::fs::rename(&unfinished, guest.place(arch, "tar"))?;
    std::fs::write(guest.place(arch, "stamp"), guest.stamp())?;
    say::note(&format!("{} made in {} s", guest.name, began.elapsed().as_secs()));
    Ok(())
}

/// Gives the last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
