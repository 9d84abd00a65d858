//! The command line as it is typed. What it means is up to the verbs.

pub(crate) mod watch;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use watch::{LogArgs, WaitArgs};
use zone_config::State;

use crate::list::Column;

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "zoneadm",
    version,
    about = "Administer zones",
    long_about = "Administer zones: install them, start and stop them, list them.\n\n\
        A zone is described with zonecfg, brought up and taken down with zoneadm, and entered with zlogin.",
    after_long_help = HELP,
    disable_help_flag = true,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    override_usage = "zoneadm help [SUBCOMMAND]\n       \
        zoneadm [-R ROOT] [-z ZONE,... | -u UUID] list [OPTIONS]\n       \
        zoneadm [-R ROOT] {-z ZONE | -u UUID} SUBCOMMAND [OPTIONS]\n       \
        zoneadm [-R ROOT] {-z ZONE,... | --all} [--state STATE,...] SUBCOMMAND [OPTIONS]"
)]
pub(crate) struct Cli {
    /// Work on the zones under ROOT (ROOT/etc/zones, ROOT/run/zones, ...) instead of the host's
    #[arg(short = 'R', value_name = "ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// The zone to work on; several as a list, or by a pattern as a shell has them: -z 'web*,db'
    #[arg(short = 'z', value_name = "ZONE", global = true)]
    pub(crate) zone: Option<String>,
    /// Work on every zone whose state the subcommand is for
    #[arg(long, global = true)]
    pub(crate) all: bool,
    /// Work on the zones in this state, of those of -z if that is given: running, or installed,ready
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', conflicts_with = "uuid")]
    pub(crate) states: Vec<State>,
    /// This zone of several; how the program calls itself.
    #[arg(long, value_name = "ZONE", hide = true)]
    pub(crate) one: Option<String>,
    /// The zone to work on, by its uuid; if no zone has it, the one of -z
    #[arg(short = 'u', value_name = "UUID")]
    pub(crate) uuid: Option<String>,
    /// Print help
    #[arg(short = 'h', visible_short_alias = '?', long, global = true, action = ArgAction::HelpLong)]
    help: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List zones and their states
    #[command(after_long_help = LIST_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE | -u UUID] list [-cinpv] [-s STATE,...] [-o COLUMN,...] [--csv] [--net] [--json]")]
    List(ListArgs),
    /// Show what there is to know of a zone, on one screen
    #[command(after_long_help = STATUS_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] status [--json]")]
    Status(StatusArgs),
    /// List the processes of zones
    #[command(after_long_help = PS_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] ps [--json]")]
    Ps(PsArgs),
    /// Show what zones use of the machine, again and again
    #[command(after_long_help = STAT_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] stat [-i SECONDS] [-c COUNT] [--json]")]
    Stat(StatArgs),
    /// Show what happens to zones
    #[command(after_long_help = EVENTS_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] events [-f] [--json]")]
    Events(EventsArgs),
    /// Check that a zone could be run on this machine
    #[command(after_long_help = VERIFY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE verify")]
    Verify,
    /// Put an operating system under the zonepath
    #[command(after_long_help = INSTALL_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE install [{-d DIRECTORY | -a ARCHIVE} [-p] | --debootstrap SUITE [--mirror URL] [--include PKG,...]]")]
    Install(InstallArgs),
    /// Remove what install put there, and everything that was written since
    #[command(after_long_help = UNINSTALL_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE uninstall [-F]")]
    Uninstall(UninstallArgs),
    /// Set up the virtual platform and start nothing in it
    #[command(after_long_help = READY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE ready")]
    Ready,
    /// Start a zone
    #[command(after_long_help = BOOT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE boot [--wait[=SECONDS]] [--timings [--json]] [-s] [-w] [-- BOOTARGS...]")]
    Boot(BootArgs),
    /// End a zone at once and start it again
    #[command(after_long_help = REBOOT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE reboot [-w] [-- BOOTARGS...]")]
    Reboot(RebootArgs),
    /// End a zone at once, asking nobody inside
    #[command(after_long_help = HALT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE halt [-F]")]
    Halt(HaltArgs),
    /// Have the zone's init shut the zone down, and wait for it
    #[command(after_long_help = SHUTDOWN_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE shutdown [-t SECONDS] [-r [-- BOOTARGS...]]")]
    Shutdown(ShutdownArgs),
    /// Give a zone that is up what is configured by now
    #[command(after_long_help = APPLY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE apply [-n] [-q | --json]")]
    Apply(ApplyArgs),
    /// Change what a zone has that is up, until it boots next
    #[command(after_long_help = SET_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE set PROPERTY=VALUE...")]
    Set(SetArgs),
    /// Declare an installed zone broken, so that it can only be uninstalled
    #[command(after_long_help = MARK_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE mark incomplete")]
    Mark(MarkArgs),
    /// Wait until a zone is ready, or in a state
    #[command(after_long_help = watch::WAIT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE wait {--ready | --state STATE} [-t SECONDS]")]
    Wait(WaitArgs),
    /// Show what a zone's daemon has said and done
    #[command(after_long_help = watch::LOG_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE log [-f] [--since TIME] [--json]\n       zoneadm [-R ROOT] -z ZONE log --level LEVEL")]
    Log(LogArgs),
    /// Have zones served by a new zoneadmd, as after an upgrade
    #[command(after_long_help = RENEW_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE | -u UUID] renew-daemon [--json]")]
    RenewDaemon(RenewArgs),
    /// Show what was said on a zone's console
    #[command(after_long_help = CONSOLE_HELP, override_usage = "zoneadm [-R ROOT] console ZONE --log [--follow]\n       zoneadm [-R ROOT] -z ZONE console --log [--follow]")]
    Console(ConsoleArgs),
}

/// `list`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ListArgs {
    /// All zones, whatever their state (default: those that are ready, running or on their way down)
    #[arg(short = 'c')]
    pub(crate) configured: bool,
    /// Also the zones that are installed and not running
    #[arg(short = 'i')]
    pub(crate) installed: bool,
    /// Without the global zone
    #[arg(short = 'n')]
    pub(crate) no_global: bool,
    /// For programs: zoneid:zonename:state:zonepath:uuid:brand:ip-type
    #[arg(short = 'p')]
    pub(crate) parsable: bool,
    /// A table, with id, state, path, brand and ip-type
    #[arg(short = 'v')]
    pub(crate) verbose: bool,
    /// The zones in these states: running, or installed,ready
    #[arg(short = 's', value_name = "STATE", value_delimiter = ',', conflicts_with_all = ["configured", "installed"])]
    pub(crate) in_state: Vec<State>,
    /// A table of these columns, in this order
    #[arg(short = 'o', value_name = "COLUMN", value_delimiter = ',', conflicts_with_all = ["parsable", "verbose", "net", "json"])]
    pub(crate) columns: Vec<Column>,
    /// For programs: the columns as CSV (RFC 4180), with a line of their names
    #[arg(long, conflicts_with_all = ["parsable", "verbose", "net", "json"])]
    pub(crate) csv: bool,
    /// A table of the nets of the zones that are up, with a line for each address
    #[arg(long)]
    pub(crate) net: bool,
    /// For programs: everything that is known, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `status`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct StatusArgs {
    /// For programs: the same as list --json
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ps`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PsArgs {
    /// For programs: as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `stat`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct StatArgs {
    /// How long an interval is
    #[arg(short = 'i', value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) interval: u64,
    /// End after so many intervals (default: go on until interrupted)
    #[arg(short = 'c', value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// For programs: an object of JSON on a line for each interval
    #[arg(long)]
    pub(crate) json: bool,
}

/// `events`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with what happens from now on, until interrupted (default: the states of now)
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// For programs: an object of JSON on a line for each event
    #[arg(long)]
    pub(crate) json: bool,
}

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

/// `uninstall`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Do not ask
    #[arg(short = 'F')]
    pub(crate) force: bool,
}

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

/// `reboot`.
#[derive(Debug, Args)]
pub(crate) struct RebootArgs {
    /// With a file-mac-profile: let the zone write its whole root until its next boot
    #[arg(short = 'w')]
    pub(crate) writable: bool,
    #[command(flatten)]
    pub(crate) bootargs: Bootargs,
}

/// `halt`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct HaltArgs {
    /// Wait for nothing that may never end: take over what zoneadmd is at, and tell what cannot be undone
    #[arg(short = 'F', long)]
    pub(crate) force: bool,
}

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

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// A property and its value; of a resource that there is one of, RESOURCE.PROPERTY; without a value as if never set
    #[arg(value_name = "PROPERTY=VALUE", required = true)]
    pub(crate) assignments: Vec<String>,
}

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

/// `renew-daemon`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RenewArgs {
    /// For programs: which process and version took whose place, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mark`.
#[derive(Debug, Args)]
pub(crate) struct MarkArgs {
    /// The only state that can be marked is "incomplete"
    #[arg(value_name = "STATE", value_parser = ["incomplete"])]
    pub(crate) state: String,
}

/// `console`.
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// The zone, if it was not named by -z or -u
    #[arg(id = "console_zone", value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// From the log that is kept on disk
    #[arg(long)]
    pub(crate) log: bool,
    /// Go on with what is said from now on, until interrupted
    #[arg(short = 'f', long, requires = "log")]
    pub(crate) follow: bool,
}

const HELP: &str = "\
Examples:
  zoneadm list -cv                       every zone and its state
  zoneadm -z web install                 install a zone of brand sparse
  zoneadm -z deb install -a deb.tar.zst  install a zone of brand linux
  zoneadm -z web boot                    start it
  zoneadm -z web apply                   give it what was configured since
  zoneadm -z web shutdown -t 30          stop it, cleanly if it can
  zoneadm -z 'web*,db' boot              start several, side by side
  zoneadm --all shutdown                 stop every zone that is up
  zoneadm --state ready halt             end those that are in this state
  zoneadm help boot                      all about one subcommand

Exit status:
  0  it is as was asked, by this run or already before it
  1  it is not; standard error says why
  2  the command line makes no sense

Environment:
  ZONES_ROOT  as -R, which comes before it

See also: zonecfg(8), zlogin(1), zones(7)";

const LIST_HELP: &str = "\
The ID of a zone is the process id of its first process as the host sees it, \"-\" when it is not up; the
global zone's is 0. Nothing is started to answer: a zone's state is asked of its keeper, zsched. With -v a line
ends with what is being done with the zone, and with how its init failed and was started again.

--net shows what the links of zones have now. A line ends with what is not as it was made: in a zone with
ip-type=exclusive its root may change that. Addresses that are good on one link only (fe80::) are left out.

Examples:
  zoneadm list                       names of the zones that are up
  zoneadm list --net                 their links and addresses
  zoneadm list -cv                   every zone, as a table
  zoneadm list -p | cut -d: -f2,3    names and states, for a script
  zoneadm list -s running -o name,since,memory,address
  zoneadm list -c --csv              for a spreadsheet
  zoneadm -z web list -v --json      everything about one zone";

const STATUS_HELP: &str = "\
State and since when, what is being done with the zone and at which step that is, how it last ended, its
addresses, what it uses and its limits, how long its threads had to wait in the last ten seconds, its processes,
who is at its console, and what of its configuration it does not have yet. Of a zone whose init failed it shows
the last lines of the console. Without a zone it is \"list -cv\". Nothing is started to answer.

Examples:
  zoneadm -z web status
  zoneadm -z 'web*' status
  zoneadm -z web status --json";

const PS_HELP: &str = "\
PID is the number in the global zone, IN ZONE the one that the zone's own ps(1) shows; USER is the number of the
user in the zone. RSS is memory in RAM, CPU the time of CPUs that was used, in minutes and seconds.

Examples:
  zoneadm -z web ps
  zoneadm ps --json     the processes of all zones";

const STAT_HELP: &str = "\
%CPU is the time of CPUs, in percent of one. The columns of waits are the kernel's pressure stall information:
in how much of the interval some of the zone's threads had to wait for a CPU, for memory, for disks. \"-\" is
what this host does not count.

Examples:
  zoneadm stat                 every second, until interrupted
  zoneadm -z web stat -i 10 -c 6
  zoneadm stat -c 1 --json     once, for a program";

const EVENTS_HELP: &str = "\
Without -f it is the state that each zone is in. With -f that, and then what happens: states, the steps of
operations, notices of the console, ends, processes killed for want of memory. A zone that is configured later is
followed as well. Nothing is started to answer. Times are those of this program's clock.

Examples:
  zoneadm events -f
  zoneadm -z web events -f --json | jq .";

const VERIFY_HELP: &str = "\
Also done by install, ready, boot and reboot, so there is no need to do it first.

Examples:
  zoneadm -z web verify";

const INSTALL_HELP: &str = "\
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

const UNINSTALL_HELP: &str = "\
What is to be removed is shown, and on a terminal asked for; without -F there must be one. An answer that is not
yes, the end of input and an interruption remove nothing, and the exit status is 1. Files that were made
immutable or append-only with chattr are named, and removed with -F only.

Examples:
  zoneadm -z web uninstall       asks first
  zoneadm -z web uninstall -F    for scripts, and for a zone whose install failed";

const READY_HELP: &str = "\
The zone's namespaces and file systems then exist, and no program runs in them. boot continues from there;
halt undoes it.

Examples:
  zoneadm -z web ready";

const BOOT_HELP: &str = "\
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

const REBOOT_HELP: &str = "\
Programs in the zone get no warning; \"shutdown -r\" is the gentle way. A zone of which it is known that it could
not boot again is left alone. Without arguments it boots as it was booted.

Examples:
  zoneadm -z web reboot
  zoneadm -z web reboot -w                  with a root that it can write, for an upgrade
  zoneadm -z web reboot -- -s";

const HALT_HELP: &str = "\
Programs in the zone get no warning; \"shutdown\" is the gentle way.

A process that waits in the kernel, for a file server that is gone or a file system that is frozen, cannot be
killed. halt then says which process it is and where it waits, and gives up after 30 seconds. The zone stays
shutting down, and is halted by itself when the last such process has ended. With -F that takes two seconds;
the zone's file systems are detached as far as those processes do not use them, and what is left is listed. A
zone of which a process is left cannot be booted again. An operation of zoneadmd that hangs is taken over by
-F within seconds, where halt would wait for it.

Examples:
  zoneadm -z web halt
  zoneadm -z web halt -F    when halt does not get on";

const SHUTDOWN_HELP: &str = "\
If the zone's init has not ended the zone within the time limit, the zone is ended as by halt, and that is said.
The shutdown goes on when zoneadm is interrupted.

Examples:
  zoneadm -z web shutdown
  zoneadm -z web shutdown -t 30
  zoneadm -z web shutdown -r -- -s    and boot it again, to single-user";

const APPLY_HELP: &str = "\
What zonecfg has changed of a zone that is up is put in force, as far as a zone can have it before it boots
again; the rest is named and waits. All is checked before anything is changed, and what was changed before
something failed is taken back: the zone has all of it or nothing. Programs in the zone run on.

\"zonecfg help PROPERTY\" says of each property when it applies.

Examples:
  zoneadm -z web apply -n     what would be done
  zoneadm -z web apply        do it

See also: zonecfg(8)";

const SET_HELP: &str = "\
What is configured stays as it is: the next boot, and the next \"apply\", give the zone that. Until then
\"apply -n\" and \"list --json\" show what differs. All of it is set or nothing. For resources that there can be
several of, such as net, there is \"zonecfg -r\", which edits what a running zone has in the language of zonecfg.

Examples:
  zoneadm -z web set capped-memory.physical=2G
  zoneadm -z web set max-lwps=5000 cpu-shares=200
  zoneadm -z web set max-lwps=                      no bound any more
  zoneadm -z web apply                              as configured again

See also: zonecfg(8)";

const MARK_HELP: &str = "\
Examples:
  zoneadm -z web mark incomplete";

const RENEW_HELP: &str = "\
A zoneadmd that runs goes on with the program that it was started from, also when another has been put in its
place. This ends it between two operations, waiting for one that runs, and starts what is there now. The zones
do not notice; a console client is connected again. Without -z it is done to every zone that is up or has a
daemon. A zone's zsched stays what it is until the zone has been halted.

Examples:
  zoneadm renew-daemon             after an upgrade
  zoneadm -z web renew-daemon
  zoneadm renew-daemon --json      old and new process and version

See also: zones(7), zoneadmd(8)";

const CONSOLE_HELP: &str = "\
On a terminal it is shown as text, without what a terminal would obey; a pipe or a file gets the bytes as they
were said. The log is in ROOT/var/log/zones and bounded: what is older, or came too fast, is no longer there.
Nothing is started to answer. To use a console, run \"zlogin -C\".

Examples:
  zoneadm console web --log                       all that is kept
  zoneadm console web --log --follow              and what comes
  zoneadm -z web console --log | grep -a NOTICE   when it was booted and halted";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        let words = ["zoneadm"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn the_table_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn boot_arguments_follow_the_dashes() {
        let Verb::Boot(boot) = parse("-z a boot --timings -- -s -m verbose").unwrap().verb else { panic!() };
        assert_eq!(
            (boot.timings, boot.single, boot.bootargs.text().as_str()),
            (true, false, "-s -m verbose")
        );
        let Verb::Boot(boot) = parse("-z a boot -s").unwrap().verb else { panic!() };
        assert!(boot.single && boot.bootargs.is_empty());
        let Verb::Shutdown(down) = parse("-z a shutdown -r -t 5 -- -s").unwrap().verb else { panic!() };
        assert_eq!((down.reboot, down.timeout, down.bootargs.text().as_str()), (true, Some(5), "-s"));
        assert_eq!(parse("-z a boot -x").unwrap_err(), ErrorKind::UnknownArgument);
        assert_eq!(parse("-z a boot now").unwrap_err(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn letters_may_share_a_dash() {
        let Verb::List(list) = parse("-R /r list -cnv").unwrap().verb else { panic!() };
        assert!(list.configured && list.no_global && list.verbose && !list.parsable && !list.installed);
    }

    #[test]
    fn one_source_at_most() {
        assert_eq!(parse("-z a install -d /x -a y").unwrap_err(), ErrorKind::ArgumentConflict);
        assert_eq!(parse("-z a install -a x --debootstrap y").unwrap_err(), ErrorKind::ArgumentConflict);
        assert_eq!(parse("-z a install --mirror http://m").unwrap_err(), ErrorKind::MissingRequiredArgument);
        let Verb::Install(install) = parse("-z a install --debootstrap sid --include a,b").unwrap().verb
        else {
            panic!()
        };
        assert_eq!(install.include, ["a", "b"]);
    }

    #[test]
    fn help_is_everywhere() {
        for line in ["--help", "-?", "-h", "help", "help boot", "boot --help", "boot -?", "-z a list -?"] {
            assert_eq!(parse(line).unwrap_err(), ErrorKind::DisplayHelp, "{line}");
        }
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  zoneadm "), "{}", verb.get_name());
        }
        assert_eq!(parse("").unwrap_err(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }
}
