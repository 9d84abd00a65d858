//! The verbs that change nothing and watch a zone.

use clap::Args;
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
