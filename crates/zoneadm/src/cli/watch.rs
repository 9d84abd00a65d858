//! The verbs that change nothing and watch a zone.

use clap::{Args, ValueEnum};
use zone_config::State;

/// `wait`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArgs {
    /// Until it runs and is ready
    #[arg(long, conflicts_with = "state", required_unless_present = "state")]
    pub(crate) ready: bool,
    /// Until it is in this state
    #[arg(long, value_name = "STATE")]
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
    /// Only what was said since then: 2026-11-28, "2026-11-28 15:30" in UTC, or 30s, 10m, 2h, 7d ago
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
\"journalctl ZONE=web\" has it with the fields UNIQID, OPERATION, STEP and CALLER_UID. Times are UTC. What the zone says on
its console is in another log (zoneadm console ZONE --log).

A level holds for daemons that come later, too, until the host is booted anew. The usual one is info.

Examples:
  zoneadm -z web log --since 10m
  zoneadm -z web log -f
  zoneadm -z web log --level debug          from now on, every step
  zoneadm -z web log --json --since 2026-11-28";
