//! Why an operation came to nothing.

use crate::keeper_error::{KeeperError, Unreached};
use rustix::io::Errno;
use std::path::PathBuf;
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
use zsched::wire::Stage;

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was called off before this step.
    #[error("the operation was called off by a halt, before step '{0}'")]
    Cancelled(&'static str),
    /// It was left behind in this step.
    #[error("step '{0}' hangs in the kernel and was left behind by 'halt -F'")]
    Abandoned(&'static str),
    /// What was given was made from what the zone does not have any more.
    #[error(
        "the zone stays as it is: it was changed by somebody else since its configuration was read; read it again"
    )]
    Stale,
    /// These properties wait for the next boot.
    #[error(
        "the zone stays as it is, for a zone that runs cannot be given this: {0}; change it with zonecfg without -r, and reboot"
    )]
    NotLive(String),
    /// The configuration cannot be read.
    #[error("what is configured cannot be read")]
    Configured(#[source] NoSnapshot),
    /// The configuration cannot be frozen, or what was frozen not read.
    #[error("unable to create snapshot")]
    Snapshot(#[source] NoSnapshot),
    /// The snapshot of a zone that has ended stays.
    #[error("destroying snapshot")]
    DestroySnapshot(#[source] SnapshotError),
    /// The platform could not be built or undone.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A mount could not be put in its place.
    #[error("{root}{target}: {what}")]
    Mount {
        /// The zone's root, as it is shown.
        root: PathBuf,
        /// The place below it.
        target: String,
        /// What was tried there.
        what: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// zsched refused, or did not answer.
    #[error(transparent)]
    Keeper(#[from] ClientError),
    /// There is no zsched, and there can be no other.
    #[error("zsched has died and could not be replaced")]
    Respawn(#[source] KeeperError),
    /// It has not died, and cannot be spoken to.
    #[error(transparent)]
    Unreached(#[from] Unreached),
    /// A descriptor could not be copied.
    #[error("could not duplicate the descriptor of the console's terminal")]
    Descriptor(#[source] std::io::Error),
    /// The console's terminal could not be reset.
    #[error("could not reset the console's terminal")]
    Terminal(#[source] zone_console::Error),
    /// The kernel does not execute init.
    #[error(
        "could not execute {init} in the zone: it, or the interpreter it needs, is missing or no program for \
         this machine; correct the zone's init property, or boot with -i"
    )]
    Exec {
        /// Its path in the zone.
        init: String,
        /// The kernel's answer.
        source: Errno,
    },
    /// RLIMIT_MEMLOCK could not be set.
    #[error("could not limit the memory that the zone's processes can lock")]
    Locked(#[source] Errno),
    /// The boot arguments are too long.
    #[error(transparent)]
    BootArgs(#[from] bootargs::TooLong),
    /// The journal could not be written.
    #[error("could not keep the journal")]
    Journal(#[source] FileError),
    /// The first process could not be killed.
    #[error("could not kill the zone's first process")]
    Signal(#[source] Errno),
    /// The first process could not be waited for.
    #[error("could not wait for the zone's first process")]
    Wait(#[source] Errno),
    /// Processes would not die.
    #[error(
        "unable to shutdown zone: step '{step}' still waits {seconds} seconds after SIGKILL: {}",
        holders::sentence(.holders)
    )]
    Stuck {
        /// The step that waits for them.
        step: &'static str,
        /// For how long it has.
        seconds: u64,
        /// Who they are.
        holders: Vec<Holder>,
    },
    /// The zone could not be booted again.
    #[error("the zone stays as it is, for it could not be booted again: {}", findings(.0))]
    Verify(Vec<Finding>),
    /// What is wanted cannot be made, for each of these reasons.
    #[error("the zone stays as it is, for not all of this can be: {}", refusals(.0))]
    NotApplied(Vec<PlatformError>),
    /// What is wanted does not go together with what waits.
    #[error("the zone stays as it is, for this does not go together with what waits until it boots next: {}", sentence(.0))]
    Together(Vec<Problem>),
    /// What the zone is changed to could not be kept.
    #[error("could not keep what the zone is changed to")]
    NextSnapshot(#[source] SnapshotError),
}

/// Why the configuration cannot be frozen for a boot.
#[derive(Debug, thiserror::Error)]
pub enum NoSnapshot {
    /// It cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is not right.
    #[error("the zone's configuration is not right: {}", sentence(.0))]
    Invalid(Vec<Problem>),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is none.
    #[error("{0}: No such zone configured")]
    NotConfigured(ZoneName),
    /// It and the index do not agree.
    #[error(
        "the configuration has zonepath '{}', but the index has '{}': correct the one that is wrong",
        .config.display(), .index.display()
    )]
    Zonepath {
        /// The configuration's zonepath.
        config: PathBuf,
        /// The index'.
        index: PathBuf,
    },
    /// There is no such brand.
    #[error(transparent)]
    Brand(#[from] BrandError),
    /// The zone has no ids.
    #[error(transparent)]
    Ids(#[from] IdMapError),
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] SnapshotError),
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

impl Error {
    /// Whether processes that would not die are all that is wrong.
    pub fn is_stuck(&self) -> bool {
        use zone_platform::cgroup::CgroupError;
        matches!(self, Self::Stuck { .. } | Self::Platform(PlatformError::Cgroup(CgroupError::Alive { .. })))
    }

    /// Whether it says no more than that the zsched which had the zone is gone: it was not there, the connection to it was not, or
    /// another has taken its place meanwhile and knows of no zone. What was decided by what the old one said has to be decided anew.
    pub fn is_keeper_death(&self) -> bool {
        match self {
            Self::Keeper(ClientError::NotRunning | ClientError::Broken) => true,
            Self::Keeper(ClientError::Refused { failure, .. }) => failure.stage == Stage::NoZone,
            _ => false,
        }
    }
}
