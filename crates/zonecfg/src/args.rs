//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

const EXAMPLES: &str = "\
Commands are separated by ';' or line breaks; 'zonecfg help commands' lists them.
When a command fails, a command line or file changes nothing: a file is left there, of a command line the rest is
looked at for what else is wrong.

Exit status: 0 done, 1 a command failed or makes no sense, 2 wrong usage of zonecfg itself.

Examples:
  Describe a zone that shares the host's /usr:
    zonecfg -z web 'create; set hostname=www; commit'
  Give it a directory of the host, read-only:
    zonecfg -z web 'add fs; set dir=/data; set special=/srv; set type=lofs; add options ro; end'
  Look at it:
    zonecfg -z web info
  Make another like it, with a zonepath of its own:
    zonecfg -z web2 'create -t web'
  Describe one as a file of illumos or Solaris does:
    zonecfg -z old 'create -f /mnt/etc/zones/old.xml'
  Keep the commands that make it again:
    zonecfg -z web export -f web.cfg
  Give the zone that runs more memory, until it boots next:
    zonecfg -z web -r 'set capped-memory:physical=2G'
  Remove the description:
    zonecfg -z web delete -F";

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "zonecfg",
    version,
    about = "Describe zones",
    after_help = EXAMPLES,
    override_usage = "zonecfg [-R ROOT] -z ZONE [-nr] [-f FILE | COMMAND...]\n       zonecfg help [COMMAND | RESOURCE | PROPERTY | commands | syntax | usage]",
    disable_help_flag = true,
    max_term_width = 100
)]
pub struct Args {
    /// The zone to describe
    #[arg(short = 'z', value_name = "ZONE")]
    pub zone: Option<String>,
    /// Edit what the zone has that runs, instead of what is configured; a commit gives it that, until it boots next
    #[arg(short = 'r', long)]
    pub running: bool,
    /// Do everything but save: check the commands, and show what they would make
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Read commands from FILE; '-' is standard input
    #[arg(short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Work on the zones under ROOT instead of the host's
    #[arg(short = 'R', value_name = "ROOT")]
    pub root: Option<PathBuf>,
    /// Print help
    #[arg(short = 'h', visible_short_alias = '?', long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// The commands, all words joined by blanks
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub commands: Vec<String>,
}
