//! The command line as it is typed. What it means is up to the verbs.

pub(crate) mod copy;
pub(crate) mod lead;
pub(crate) mod watch;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand};
use copy::CpArgs;
use lead::{
    ApplyArgs, AttachArgs, BootArgs, CloneArgs, DetachArgs, HaltArgs, InstallArgs, MarkArgs, MoveArgs,
    RebootArgs, RenewArgs, SetArgs, ShutdownArgs, UninstallArgs,
};
use watch::{ConsoleArgs, EventsArgs, ListArgs, LogArgs, PsArgs, StatArgs, StatusArgs, WaitArgs};
use zone_config::State;

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
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = state_parser(), conflicts_with = "uuid")]
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

/// Parses a state, of which clap knows the words for help, completion and what may have been meant.
pub(crate) fn state_parser() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str)).try_map(|word| word.parse::<State>())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List zones and their states
    #[command(after_long_help = watch::LIST_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE | -u UUID] list [-cinpv] [-s STATE,...] [-o COLUMN,...] [--width COLUMNS] [--csv] [--net] [--json]")]
    List(ListArgs),
    /// Show what there is to know of a zone, on one screen
    #[command(after_long_help = watch::STATUS_HELP, override_usage = "zoneadm [-R ROOT] status [--json] [ZONE,...]\n       zoneadm [-R ROOT] [-z ZONE,... | -u UUID] status [--json]")]
    Status(StatusArgs),
    /// Copy files into a zone, or out of it
    #[command(after_long_help = copy::CP_HELP, override_usage = "zoneadm [-R ROOT] cp [-rq] SOURCE ZONE:PATH\n       zoneadm [-R ROOT] cp [-rq] ZONE:PATH DESTINATION")]
    Cp(CpArgs),
    /// List the processes of zones
    #[command(after_long_help = watch::PS_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] ps [--json]")]
    Ps(PsArgs),
    /// Show what zones use of the machine, again and again
    #[command(after_long_help = watch::STAT_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] stat [-i SECONDS] [-c COUNT] [[--plain] [--width COLUMNS] | --json]")]
    Stat(StatArgs),
    /// Show what happens to zones
    #[command(after_long_help = watch::EVENTS_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE,... | -u UUID] events [-f] [--json]")]
    Events(EventsArgs),
    /// Check that a zone could be run on this machine
    #[command(after_long_help = lead::VERIFY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE verify")]
    Verify,
    /// Put an operating system under the zonepath
    #[command(after_long_help = lead::INSTALL_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE install [{-d DIRECTORY | -a ARCHIVE} [-p] | --debootstrap SUITE [--mirror URL] [--include PKG,...]]")]
    Install(InstallArgs),
    /// Remove what install put there, and everything that was written since
    #[command(after_long_help = lead::UNINSTALL_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE uninstall [-F]")]
    Uninstall(UninstallArgs),
    /// Make a zone configured again, and leave its files for an attach
    #[command(after_long_help = lead::DETACH_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE detach [-n]")]
    Detach(DetachArgs),
    /// Make a zone of the files that are in its zonepath
    #[command(after_long_help = lead::ATTACH_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE attach [-n] [-F]")]
    Attach(AttachArgs),
    /// Make a zone of a copy of another one's files
    #[command(after_long_help = lead::CLONE_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE clone [-m copy] SOURCE")]
    Clone(CloneArgs),
    /// Take a zone's files to another zonepath
    #[command(after_long_help = lead::MOVE_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE move ZONEPATH")]
    Move(MoveArgs),
    /// Set up the virtual platform and start nothing in it
    #[command(after_long_help = lead::READY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE ready")]
    Ready,
    /// Start a zone
    #[command(after_long_help = lead::BOOT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE boot [--wait[=SECONDS]] [--timings [--json]] [-s] [-w] [-- BOOTARGS...]")]
    Boot(BootArgs),
    /// End a zone at once and start it again
    #[command(after_long_help = lead::REBOOT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE reboot [-w] [-- BOOTARGS...]")]
    Reboot(RebootArgs),
    /// End a zone at once, asking nobody inside
    #[command(after_long_help = lead::HALT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE halt [-F]")]
    Halt(HaltArgs),
    /// Have the zone's init shut the zone down, and wait for it
    #[command(after_long_help = lead::SHUTDOWN_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE shutdown [-t SECONDS] [-r [-- BOOTARGS...]]")]
    Shutdown(ShutdownArgs),
    /// Give a zone that is up what is configured by now
    #[command(after_long_help = lead::APPLY_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE apply [-n] [-q | --json]")]
    Apply(ApplyArgs),
    /// Change what a zone has that is up, until it boots next
    #[command(after_long_help = lead::SET_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE set PROPERTY=VALUE...")]
    Set(SetArgs),
    /// Declare an installed zone broken, so that it can only be uninstalled
    #[command(after_long_help = lead::MARK_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE mark incomplete")]
    Mark(MarkArgs),
    /// Wait until a zone is ready, or in a state
    #[command(after_long_help = watch::WAIT_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE wait {--ready | --state STATE} [-t SECONDS]")]
    Wait(WaitArgs),
    /// Show what a zone's daemon has said and done
    #[command(after_long_help = watch::LOG_HELP, override_usage = "zoneadm [-R ROOT] -z ZONE log [-f] [--since TIME] [--json]\n       zoneadm [-R ROOT] -z ZONE log --level LEVEL")]
    Log(LogArgs),
    /// Have zones served by a new zoneadmd, as after an upgrade
    #[command(after_long_help = lead::RENEW_HELP, override_usage = "zoneadm [-R ROOT] [-z ZONE | -u UUID] renew-daemon [--json]")]
    RenewDaemon(RenewArgs),
    /// Show what was said on a zone's console
    #[command(after_long_help = watch::CONSOLE_HELP, override_usage = "zoneadm [-R ROOT] console ZONE --log [--follow]\n       zoneadm [-R ROOT] -z ZONE console --log [--follow]")]
    Console(ConsoleArgs),
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
  ZONES_ROOT                 as -R, which comes before it
  LC_ALL, LC_MESSAGES, LANG  the locale of messages

See also: zonecfg(8), zlogin(1), zones(7)";

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

    #[test]
    fn a_synopsis_has_every_option_of_its_verb() {
        for verb in Cli::command().get_subcommands_mut() {
            let usage = verb.render_usage().to_string();
            let words = || usage.split(|char: char| !(char.is_alphanumeric() || char == '-'));
            for option in verb.get_arguments().filter(|option| !option.is_positional()) {
                let is_long = |word: &str| word.strip_prefix("--") == option.get_long();
                let letter = option.get_short();
                let is_short = |word: &str| {
                    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
                    letters.zip(letter).is_some_and(|(letters, letter)| letters.contains(letter))
                };
                let named = words().any(|word| is_long(word) || is_short(word)) || option.get_id() == "help";
                assert!(named || option.is_hide_set() || option.is_global_set(), "{option} in {usage}");
            }
        }
    }
}
