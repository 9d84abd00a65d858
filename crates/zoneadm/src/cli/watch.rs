//! The verbs that change nothing and watch a zone.

use clap::{Args, ValueEnum};
use zone_config::State;

use crate::list::Column;

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
    #[arg(short = 's', value_name = "STATE", value_delimiter = ',', value_parser = super::state_parser(), conflicts_with_all = ["configured", "installed"])]
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
    /// How wide tables may be (default: as the terminal)
    #[arg(long, value_name = "COLUMNS", conflicts_with_all = ["parsable", "csv", "json"])]
    pub(crate) width: Option<u16>,
}

pub(super) const LIST_HELP: &str = "\
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

/// `status`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    /// The zone, or several as with -z, if they were not named by -z or -u
    #[arg(id = "status_zone", value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// For programs: the same as list --json
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const STATUS_HELP: &str = "\
State and since when, what is being done with the zone and at which step that is, how it last ended, its
addresses, what it uses and its limits, how long its threads had to wait in the last ten seconds, its processes,
who is at its console, and what of its configuration it does not have yet. Of a zone whose init failed it shows
the last lines of the console. Without a zone it is \"list -cv\". Nothing is started to answer.

Examples:
  zoneadm status web
  zoneadm -z 'web*' status
  zoneadm -z web status --json";

/// `ps`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PsArgs {
    /// For programs: as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const PS_HELP: &str = "\
PID is the number in the global zone, IN ZONE the one that the zone's own ps(1) shows; USER is the number of the
user in the zone. RSS is memory in RAM, CPU the time of CPUs that was used, in minutes and seconds.

Examples:
  zoneadm -z web ps
  zoneadm ps --json     the processes of all zones";

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
    /// A table after each interval on a terminal, too
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,
    /// How wide tables may be (default: as the terminal)
    #[arg(long, value_name = "COLUMNS", conflicts_with = "json")]
    pub(crate) width: Option<u16>,
}

pub(super) const STAT_HELP: &str = "\
%CPU is the time of CPUs, in percent of one. The columns of waits are the kernel's pressure stall information:
in how much of the interval some of the zone's threads had to wait for a CPU, for memory, for disks. \"-\" is
what this host does not count.

On a terminal it is a screen of its own, that is left with q: < and > choose the column that it is sorted by, r turns
the order round, the arrows choose a zone, a space stops it. Elsewhere, with -c or with --plain, a table is printed
after each interval.

Examples:
  zoneadm stat                 every second, until q
  zoneadm -z web stat -i 10 -c 6
  zoneadm stat -c 1 --json     once, for a program";

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

pub(super) const EVENTS_HELP: &str = "\
Without -f it is the state that each zone is in. With -f that, and then what happens: states, the steps of
operations, notices of the console, ends, processes killed for want of memory. A zone that is configured later is
followed as well. Nothing is started to answer but a daemon that has left since nothing needed it. Times are those of
this program's clock.

Examples:
  zoneadm events -f
  zoneadm -z web events -f --json | jq .";

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

pub(super) const CONSOLE_HELP: &str = "\
On a terminal it is shown as text, without what a terminal would obey; a pipe or a file gets the bytes as they
were said. The log is in ROOT/var/log/zones and bounded: what is older, or came too fast, is no longer there.
Nothing is started to answer but a daemon that has left since nothing needed it; with -f it stays. To use a
console, run \"zlogin -C\".

Examples:
  zoneadm console web --log                       all that is kept
  zoneadm console web --log --follow              and what comes
  zoneadm -z web console --log | grep -a NOTICE   when it was booted and halted";

/// `wait`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArgs {
    /// Until it runs and is ready
    #[arg(long, conflicts_with = "state", required_unless_present = "state")]
    pub(crate) ready: bool,
    /// Until it is in this state
    #[arg(long, value_name = "STATE", value_parser = super::state_parser())]
    pub(crate) state: Option<State>,
    /// How long at most (default: for ever)
    #[arg(short = 't', value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
}

pub(super) const WAIT_HELP: &str = "\
Who tells whether a zone is ready is its init: systemd when it has started what it starts, OpenRC and SysV init when
they have come to their run level, the init of a sparse zone when /etc/rc has ended; of another init it is known that it
runs, and no more. With the property ready-check it is a command that is run in the zone. \"list --json\" shows it.

A zone that does not run is waited for, too. The states are those of \"list -v\".

Examples:
  zoneadm -z web wait --ready -t 60
  zoneadm -z web wait --state installed     until it has been halted

See also: zonecfg(8)";

/// `log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Go on with what is said from now on, until interrupted
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// Only what was said since then: 2026-11-28, "2026-11-28 15:30", 2026-11-28T15:30:00Z, or 30s, 10m, 2h, 7d ago
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// For programs: a line of JSON for each message
    #[arg(long)]
    pub(crate) json: bool,
    /// Have the zone's daemon say so much from now on
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["follow", "since", "json"])]
    pub(crate) level: Option<Level>,
}

/// How much a daemon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// What has failed.
    Error,
    /// Also what may be wrong.
    Warning,
    /// Also what is done, and what becomes of the zone.
    Info,
    /// Also every step.
    Debug,
}

impl Level {
    /// The word of it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

pub(super) const LOG_HELP: &str = "\
What the zone's daemon has said and done, and the states that the zone has come to, with the operation and its step. It is
in ROOT/var/log/zones/ZONE.log and bounded, there when the zone is down, and the same where there is a journal:
\"journalctl ZONE=web\" has it with the fields UNIQID, OPERATION, STEP and CALLER_UID. Times are local, with --json UTC. What the zone says on
its console is in another log (zoneadm console ZONE --log).

A level holds for daemons that come later, too, until the host is booted anew. The usual one is info.

Examples:
  zoneadm -z web log --since 10m
  zoneadm -z web log -f
  zoneadm -z web log --level debug          from now on, every step
  zoneadm -z web log --json --since 2026-11-28";
