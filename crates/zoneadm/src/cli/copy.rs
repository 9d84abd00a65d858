//! The command line of `cp`.

use std::ffi::OsString;

use clap::{Args, ValueHint};

/// `cp`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CpArgs {
    /// A directory with all that is in it
    #[arg(short = 'r', long)]
    pub(crate) recursive: bool,
    /// Show no progress
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
    /// What is copied: a path here, or ZONE:PATH
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub(crate) from: OsString,
    /// Where it goes: a directory, or a new name
    #[arg(value_name = "DESTINATION", value_hint = ValueHint::AnyPath)]
    pub(crate) to: OsString,
}

pub(super) const CP_HELP: &str = "\
One of the two is in a zone that runs, ZONE:PATH; a path here with a colon in its first component is written
./a:b. A destination that is a directory gets the source under its own name, another one becomes its new name.

Nothing of the zone is touched from here, and nothing here from the zone: a process in the zone, which its root
cannot get hold of, reads or writes there, and sends names and bytes. Links are copied as links and never followed
on the way; a link in the place of a directory that is to be filled is not entered.

Contents, links, times and permissions come along, less the umask (022 in the zone). Owners and the set-user-ID,
set-group-ID and sticky bits do not: in the zone all is its root's, here the caller's. Devices, pipes and sockets
are left out. A file gets its name when it is whole.

A copy that was interrupted goes on where it was when the same command is given again: a file that is there with the
size and time of its source is left alone, a part of one continued.

To keep owners: zlogin web tar -C / -cf - srv | tar -C DIR -xf -

Examples:
  zoneadm cp motd web:/etc/motd
  zoneadm cp -r site/ web:/srv
  zoneadm cp web:/var/log/syslog .
  zoneadm cp -r web:/srv backup

Exit status:
  0  all is there
  1  something is not; standard error says what
  2  the command line makes no sense

See also: zlogin(1)";
