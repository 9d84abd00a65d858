//! The verbs that lead a zone through its life.

use std::path::PathBuf;

use clap::Args;
use zone_config::ZoneName;

pub(super) const VERIFY_HELP: &str = "\
Also done by install, ready, boot and reboot, so there is no need to do it first.

Examples:
  zoneadm -z web verify";

/// `install`.
#[derive(Debug, Default, Args)]
pub(crate) struct InstallArgs {
    /// Copy this directory
    #[arg(short = 'd', value_name = "DIRECTORY", conflicts_with_all = ["archive", "suite"])]
    pub(crate) directory: Option<PathBuf>,
    /// Unpack this archive: .tar, .tar.gz, .tar.xz or .tar.zst
    #[arg(short = 'a', value_name = "ARCHIVE", conflicts_with = "suite")]
    pub(crate) archive: Option<PathBuf>,
    /// Keep what makes the source this one machine (host name, machine id, ssh host keys), for it moves here
    #[arg(short = 'p', long, conflicts_with = "suite")]
    pub(crate) preserve_identity: bool,
    /// Have debootstrap make a root of this Debian or Ubuntu release
    #[arg(long = "debootstrap", value_name = "SUITE")]
    pub(crate) suite: Option<String>,
    /// Where debootstrap gets its packages
    #[arg(long, value_name = "URL", requires = "suite")]
    pub(crate) mirror: Option<String>,
    /// More packages for debootstrap
    #[arg(long, value_name = "PKG,...", value_delimiter = ',', requires = "suite")]
    pub(crate) include: Vec<String>,
}

pub(super) const INSTALL_HELP: &str = "\
A zone of brand sparse needs no source: it uses the host's /usr. A zone of brand linux needs exactly one of
-d, -a and --debootstrap.

What -d and -a copy becomes a machine of its own: the zone's host name, an empty machine id, no ssh host keys,
no random seed. With -p the machine itself moves here and keeps them; it must not run elsewhere then. The
resolv.conf and the host name that debootstrap takes from the host are not kept.

Everything is looked at before anything is changed. The zonepath must be missing, empty, or closed to others
(mode 0700) without anything of another zone in it, and what is copied must have an init, or programs at least.
An install that fails in its midst or is interrupted leaves the zone incomplete; uninstall -F clears that.

Examples:
  zoneadm -z web install
  zoneadm -z deb install -d /srv/roots/debian
  zoneadm -z deb install -a debian.tar.zst
  zoneadm -z old install -p -a backup-of-old.tar.gz
  zoneadm -z deb install --debootstrap bookworm --mirror http://deb.debian.org/debian --include systemd-sysv";

/// `uninstall`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Do not ask
    #[arg(short = 'F')]
    pub(crate) force: bool,
}

pub(super) const UNINSTALL_HELP: &str = "\
What is to be removed is shown, and on a terminal asked for; without -F there must be one. An answer that is not
yes, the end of input and an interruption remove nothing, and the exit status is 1. Files that were made
immutable or append-only with chattr are named, and removed with -F only.

Examples:
  zoneadm -z web uninstall       asks first
  zoneadm -z web uninstall -F    for scripts, and for a zone whose install failed";

/// `detach`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DetachArgs {
    /// Print what would be written into the zonepath, but no secrets, and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

pub(super) const DETACH_HELP: &str = "\
The zone is configured afterwards. Its files stay as they are; its configuration is put beside them, into
detached.toml of the zonepath. Then the zonepath can be renamed or taken to another host, a new zone be configured
from it, and attached. So a zone is given another name or another host; for another zonepath there is move.

Examples:
  zoneadm -z web detach -n       print what would be put there
  Give a zone another name:
    zoneadm -z web detach
    zonecfg -z web 'set zonename=www'
    zoneadm -z www attach";

/// `attach`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AttachArgs {
    /// Only look whether it can be attached, and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Take the files as they are, also if no zone was detached there, or one of another brand
    #[arg(short = 'F', long)]
    pub(crate) force: bool,
}

pub(super) const ATTACH_HELP: &str = "\
The zone is installed afterwards, and is the machine that it was: host name, machine id and ssh host keys stay. What
must hold of an installed zone is looked at before, and that no other zone uses the zonepath.

Examples:
  zoneadm -z web attach
  zoneadm -z web attach -n                  only look whether that is possible
  On another host, with the zonepath copied there (rsync -aHAX --numeric-ids):
    zonecfg -z web 'create -a /var/lib/zones/web'
    zoneadm -z web attach";

/// `clone`.
#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    /// How: the only method is "copy", which shares the blocks of files where the file system can
    #[arg(short = 'm', value_name = "METHOD", value_parser = ["copy"])]
    pub(crate) method: Option<String>,
    /// A snapshot of the source; refused, as there are none here
    #[arg(short = 's', value_name = "SNAPSHOT")]
    pub(crate) snapshot: Option<String>,
    /// The zone whose files are copied; it must be installed and not be running
    #[arg(value_name = "SOURCE")]
    pub(crate) source: ZoneName,
}

pub(super) const CLONE_HELP: &str = "\
The zone must be configured already, and of the source's brand: \"create -t SOURCE\" of zonecfg makes it like the
source, with a zonepath of its own. Only the source's root is copied, nothing that is mounted in it, and the
source cannot be booted meanwhile. Another clone of the same source is waited for.

As with an install, the copy becomes a machine of its own: the zone's host name, an empty machine id, no ssh host
keys, no random seed. Users and their passwords are those of the source. A clone that is interrupted leaves the zone
incomplete; uninstall -F clears that.

Examples:
  zoneadm -z web2 clone web
  zoneadm -z web3,web4 clone web    several from one";

/// `move`.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The new zonepath: it must be missing or empty, and be what an install wants of a zonepath
    #[arg(value_name = "ZONEPATH")]
    pub(crate) zonepath: PathBuf,
}

pub(super) const MOVE_HELP: &str = "\
The zone must be installed and not be running. On the same file system the zonepath is renamed. Else all that is in
it is copied, with owners, extended attributes, access control lists, hard links, device nodes, and which files are
immutable or append-only; other flags of chattr are left to the new file system. Then the configuration names the
new zonepath, and the old one is removed. The zone's ids stay what they are.

Whoever is interrupted leaves the zone at the old zonepath or at the new one, where it can be booted. The same
command again finishes the move; with the zonepath that \"list -v\" shows it removes what was left of it.

Examples:
  zoneadm -z web move /srv/zones/web";

pub(super) const READY_HELP: &str = "\
The zone's namespaces and file systems then exist, and no program runs in them. boot continues from there;
halt undoes it.

Examples:
  zoneadm -z web ready";

/// `boot`.
#[derive(Debug, Args)]
pub(crate) struct BootArgs {
    /// Wait until the zone is ready, as "wait --ready" does: 300 seconds, or as many
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "300")]
    pub(crate) wait: Option<u32>,
    /// Tell where the time went, step by step
    #[arg(long)]
    pub(crate) timings: bool,
    /// The timings as JSON
    #[arg(long, requires = "timings")]
    pub(crate) json: bool,
    /// Single-user; the same as "-- -s"
    #[arg(short = 's')]
    pub(crate) single: bool,
    /// With a file-mac-profile: let the zone write its whole root until its next boot
    #[arg(short = 'w')]
    pub(crate) writable: bool,
    #[command(flatten)]
    pub(crate) bootargs: Bootargs,
}

pub(super) const BOOT_HELP: &str = "\
Success means that the zone's init was started and did not end at once; what it then does is on the zone's
console (zlogin -C). With --wait success means that it is ready (see \"zoneadm help wait\"); one that is not runs on.
A shutdown that is under way is waited for.

The arguments after -- hold, before the configured ones, until others are given or the zone is halted.

Examples:
  zoneadm -z web boot
  zoneadm -z web boot --wait=60             until it is ready
  zoneadm -z web boot -- -s                 single-user
  zoneadm -z web boot -- -i /bin/sh         with another init
  zoneadm -z web boot -w                    with a root that it can write, for an upgrade
  zoneadm -z web boot --timings             and where the time went";

/// `reboot`.
#[derive(Debug, Args)]
pub(crate) struct RebootArgs {
    /// With a file-mac-profile: let the zone write its whole root until its next boot
    #[arg(short = 'w')]
    pub(crate) writable: bool,
    #[command(flatten)]
    pub(crate) bootargs: Bootargs,
}

pub(super) const REBOOT_HELP: &str = "\
Programs in the zone get no warning; \"shutdown -r\" is the gentle way. A zone of which it is known that it could
not boot again is left alone. Without arguments it boots as it was booted.

Examples:
  zoneadm -z web reboot
  zoneadm -z web reboot -w                  with a root that it can write, for an upgrade
  zoneadm -z web reboot -- -s";

/// `halt`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct HaltArgs {
    /// Wait for nothing that may never end: take over what zoneadmd is at, and tell what cannot be undone
    #[arg(short = 'F', long)]
    pub(crate) force: bool,
}

pub(super) const HALT_HELP: &str = "\
Programs in the zone get no warning; \"shutdown\" is the gentle way.

A process that waits in the kernel, for a file server that is gone or a file system that is frozen, cannot be
killed. halt then says which process it is and where it waits, and gives up after 30 seconds. The zone stays
shutting down, and is halted by itself when the last such process has ended. With -F that takes two seconds;
what the kernel still wants of the NFS servers of its fs resources is given up, and lost (Linux 6.5 and newer);
its file systems are detached as far as those processes do not use them, and what is left is listed. A zone of
which a process is left cannot be booted again. An operation of zoneadmd that hangs is taken over by -F within
seconds, where halt would wait for it.

Examples:
  zoneadm -z web halt
  zoneadm -z web halt -F    when halt does not get on";

/// `shutdown`.
#[derive(Debug, Args)]
pub(crate) struct ShutdownArgs {
    /// Boot again afterwards
    #[arg(short = 'r')]
    pub(crate) reboot: bool,
    /// How long the zone's init may take before the zone is ended all the same
    #[arg(short = 't', value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    #[command(flatten)]
    pub(crate) bootargs: Bootargs,
}

pub(super) const SHUTDOWN_HELP: &str = "\
If the zone's init has not ended the zone within the time limit, the zone is ended as by halt, and that is said.
The shutdown goes on when zoneadm is interrupted.

Examples:
  zoneadm -z web shutdown
  zoneadm -z web shutdown -t 30
  zoneadm -z web shutdown -r -- -s    and boot it again, to single-user";

/// `apply`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Only check, and show what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Say nothing but what is wrong
    #[arg(short = 'q', long, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// For programs: what differed, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const APPLY_HELP: &str = "\
What zonecfg has changed of a zone that is up is put in force, as far as a zone can have it before it boots
again; the rest is named and waits. All is checked before anything is changed, and what was changed before
something failed is taken back: the zone has all of it or nothing. Programs in the zone run on.

\"zonecfg help PROPERTY\" says of each property when it applies.

Examples:
  zoneadm -z web apply -n     what would be done
  zoneadm -z web apply        do it

See also: zonecfg(8)";

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// A property and its value; of a resource that there is one of, RESOURCE.PROPERTY; without a value as if never set
    #[arg(value_name = "PROPERTY=VALUE", required = true)]
    pub(crate) assignments: Vec<String>,
}

pub(super) const SET_HELP: &str = "\
What is configured stays as it is: the next boot, and the next \"apply\", give the zone that. Until then
\"apply -n\" and \"list --json\" show what differs. All of it is set or nothing. For resources that there can be
several of, such as net, there is \"zonecfg -r\", which edits what a running zone has in the language of zonecfg.

Examples:
  zoneadm -z web set capped-memory.physical=2G
  zoneadm -z web set max-lwps=5000 cpu-shares=200
  zoneadm -z web set max-lwps=                      no bound any more
  zoneadm -z web apply                              as configured again

See also: zonecfg(8)";

/// `mark`.
#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    /// The only state that can be marked is "incomplete"
    #[arg(value_name = "STATE", value_parser = ["incomplete"])]
    pub(crate) state: String,
}

pub(super) const MARK_HELP: &str = "\
Examples:
  zoneadm -z web mark incomplete";

/// `renew-daemon`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RenewArgs {
    /// For programs: which process and version took whose place, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const RENEW_HELP: &str = "\
A zoneadmd that runs goes on with the program that it was started from, also when another has been put in its
place. This ends it between two operations, waiting for one that runs, and starts what is there now. The zones
do not notice; a console client is connected again. Without -z it is done to every zone that is up or has a
daemon. A zone's zsched stays what it is until the zone has been halted.

Examples:
  zoneadm renew-daemon             after an upgrade
  zoneadm -z web renew-daemon
  zoneadm renew-daemon --json      old and new process and version

See also: zones(7), zoneadmd(8)";

/// What follows `--`.
#[derive(Debug, Default, Args)]
pub(crate) struct Bootargs {
    /// Boot arguments: -s (single-user), -m OPTIONS, -i PATH (another init); they replace the configured ones
    #[arg(last = true, value_name = "BOOTARGS", allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Bootargs {
    /// As the daemon takes them: one text, empty for the configured ones. It is split on blanks again, for
    /// boot arguments know no quoting.
    pub(crate) fn text(&self) -> String {
        self.words.join(" ")
    }

    /// As they were typed.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}
