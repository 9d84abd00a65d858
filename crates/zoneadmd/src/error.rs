//! Why an operation came to nothing.

use crate::blocking::NoResult;
use crate::external::ExternalError;
use crate::keeper_error::KeeperError;
use rustix::io::Errno;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use zone_config::brand::BrandError;
use zone_config::config::ConfigError;
use zone_config::document::Problem;
use zone_config::file::FileError;
use zone_config::idmap::IdMapError;
use zone_config::index::IndexError;
use zone_config::snapshot::SnapshotError;
use zone_config::{ZoneName, bootargs};
use zone_platform::PlatformError;
use zone_platform::holders::{self, Holder};
use zone_platform::verify::Finding;
use zsched::client::ClientError;
use zsched::wire::End;

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpError {
    #[error("the operation was called off by a halt, before step '{0}'")]
    Cancelled(&'static str),
    #[error("step '{0}' hangs in the kernel and was left behind by 'halt -F'")]
    Abandoned(&'static str),
    #[error("the zone was halted meanwhile; it is not booted")]
    Halted,
    #[error(
        "the zone stays as it is: it was changed by somebody else since its configuration was read; read it again"
    )]
    Stale,
    #[error(
        "the zone stays as it is, for a zone that runs cannot be given this: {0}; change it with zonecfg without -r, and reboot"
    )]
    NotLive(String),
    #[error("what is configured cannot be read")]
    Configured(#[source] NoSnapshot),
    #[error("unable to create snapshot")]
    Snapshot(#[source] NoSnapshot),
    #[error("destroying snapshot")]
    DestroySnapshot(#[source] SnapshotError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{root}{target}: {what}")]
    Mount { root: PathBuf, target: String, what: &'static str, source: Errno },
    #[error(transparent)]
    Keeper(#[from] ClientError),
    #[error("zsched has died and could not be replaced")]
    Respawn(#[source] KeeperError),
    #[error("could not duplicate the descriptor of the console's terminal")]
    Descriptor(#[source] std::io::Error),
    #[error("could not reset the console's terminal")]
    Terminal(#[source] zone_console::Error),
    #[error(
        "could not execute {init} in the zone: it, or the interpreter it needs, is missing or no program for \
         this machine; correct the zone's init property, or boot with -i"
    )]
    Exec { init: String, source: Errno },
    #[error("could not limit the memory that the zone's processes can lock")]
    Locked(#[source] Errno),
    #[error(transparent)]
    BootArgs(#[from] bootargs::TooLong),
    #[error("could not keep the journal")]
    Journal(#[source] FileError),
    #[error("could not kill the zone's first process")]
    Signal(#[source] Errno),
    #[error("could not wait for the zone's first process")]
    Wait(#[source] Errno),
    #[error(
        "unable to shutdown zone: step '{step}' still waits {seconds} seconds after SIGKILL: {}",
        holders::sentence(.holders)
    )]
    Stuck { step: &'static str, seconds: u64, holders: Vec<Holder> },
    #[error("unable to shutdown zone")]
    Shutdown(#[from] NotAsked),
    #[error(transparent)]
    Internal(#[from] NoResult),
    #[error("the zone stays as it is, for it could not be booted again: {}", findings(.0))]
    Verify(Vec<Finding>),
    #[error("the zone stays as it is, for not all of this can be: {}", refusals(.0))]
    NotApplied(Vec<PlatformError>),
    #[error("the zone stays as it is, for this does not go together with what waits until it boots next: {}", sentence(.0))]
    Together(Vec<Problem>),
    #[error("could not keep what the zone is changed to")]
    NextSnapshot(#[source] SnapshotError),
    #[error("init {init} {end} as soon as it was started; 'zoneadm list -v' tells what becomes of the zone")]
    InitDied { init: String, end: InitEnd },
}

/// Why the configuration cannot be frozen for a boot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSnapshot {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the zone's configuration is not right: {}", sentence(.0))]
    Invalid(Vec<Problem>),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("{0}: No such zone configured")]
    NotConfigured(ZoneName),
    #[error(
        "the configuration has zonepath '{}', but the index has '{}': correct the one that is wrong",
        .config.display(), .index.display()
    )]
    Zonepath { config: PathBuf, index: PathBuf },
    #[error(transparent)]
    Brand(#[from] BrandError),
    #[error(transparent)]
    Ids(#[from] IdMapError),
    #[error(transparent)]
    File(#[from] SnapshotError),
}

/// Why init was not asked to shut the zone down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error("init could not be asked within {0} seconds")]
    Late(u64),
    #[error("could not signal init")]
    Signal(#[source] zone_sys::Error),
    #[error("could not run '{command}' in the zone")]
    Command { command: String, source: CommandFailed },
}

/// Why a command in the zone did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailed {
    #[error(transparent)]
    External(#[from] ExternalError),
    /// `stderr` is free of control characters.
    #[error("{status}: {stderr}")]
    Status { status: ExitStatus, stderr: String },
}

/// How an init ended that did not last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitEnd(pub(crate) Option<End>);

impl fmt::Display for InitEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(End::Exited(status)) => write!(f, "exited with status {status}"),
            Some(End::Killed(signal)) => write!(f, "was killed by signal {signal}"),
            None => f.write_str("ended"),
        }
    }
}

fn findings(findings: &[Finding]) -> String {
    let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    texts.join("; ")
}

fn refusals(errors: &[PlatformError]) -> String {
    let texts: Vec<String> = errors.iter().map(|error| zone_sys::Chain(error).to_string()).collect();
    texts.join("; ")
}

fn sentence(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl OpError {
    /// Whether processes that would not die are all that is wrong.
    pub(crate) fn is_stuck(&self) -> bool {
        use zone_platform::cgroup::CgroupError;
        matches!(self, Self::Stuck { .. } | Self::Platform(PlatformError::Cgroup(CgroupError::Alive { .. })))
    }

    /// Whether it only says that zsched was not there, or that the connection to it was not.
    pub(crate) fn is_keeper_death(&self) -> bool {
        matches!(self, Self::Keeper(ClientError::NotRunning | ClientError::Broken))
    }
}
