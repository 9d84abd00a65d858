//! What a command can fail of.

use std::io;
use std::path::PathBuf;

use zone_config::config::ConfigError;
use zone_config::document::Problem;
use zone_config::index::IndexError;
use zone_config::name::NameError;
use zone_config::schema::ValueError;
use zone_config::settings::SettingsError;
use zone_config::snapshot::SnapshotError;
use zone_config::store::StoreError;
use zone_config::{State, ZoneName};

use crate::editor::{EditError, already};
use crate::global::GlobalError;
use crate::import::ImportError;
use crate::live::LiveError;

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no configuration to work on; and the question what may have been meant.
    #[error("{0}: No such zone configured{1}")]
    NoSuchZone(ZoneName, String),
    /// The configuration cannot be understood.
    #[error("{0}; correct the file, or use 'create -F' or 'delete -F'")]
    Broken(String),
    /// The index has it, but there is no file.
    #[error("{zone}: {} is missing, though the index has the zone", .path.display())]
    FileMissing {
        /// The zone that is edited.
        zone: ZoneName,
        /// Where its configuration would be.
        path: PathBuf,
    },
    /// The command would make an edit that cannot be.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A property does not allow the value.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The template's name is not that of a zone.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A configuration that cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A command that the global zone has not.
    #[error(transparent)]
    Global(#[from] GlobalError),
    /// A configuration of another system makes no sense.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What holds for all zones cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The change cannot be saved.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The zone is incomplete or installed, where the command is not allowed.
    #[error("Zone {zone} {}; {command} not allowed.", already(.state))]
    Installed {
        /// The zone that is edited.
        zone: ZoneName,
        /// The state that it is in.
        state: State,
        /// The command that was refused.
        command: &'static str,
    },
    /// `create` of what there is, and nobody to ask.
    #[error(
        "Zone {zone} exists, input not from terminal and -F not specified: create command ignored, exiting."
    )]
    Exists {
        /// The zone that is edited.
        zone: ZoneName,
    },
    /// A command that asks, and nobody to ask.
    #[error("Input not from terminal and -F not specified: {0} command ignored, exiting.")]
    NobodyToAsk(&'static str),
    /// A command for a person, and there is none.
    #[error("{0} wants a terminal on standard input")]
    NoTerminal(&'static str),
    /// The configuration could not be given to an editor, or not be had back.
    #[error("Zone {zone} could not be edited; nothing was changed")]
    Edited {
        /// The zone that is edited.
        zone: ZoneName,
        /// What failed.
        source: io::Error,
    },
    /// The name that the zone is to have is another's.
    #[error("{0}: Zone name already in use")]
    NameInUse(ZoneName),
    /// `delete` of a zone that is incomplete or installed, without a root.
    #[error("Zone {0} not in configured state; delete not allowed.  Use -F to force delete.")]
    NotConfigured(ZoneName),
    /// `delete` of a live zone.
    #[error("Zone {0} is live; delete not allowed.  Halt it first with 'zoneadm -z {0} halt'.")]
    Up(ZoneName),
    /// There is no zone whose live configuration could be edited.
    #[error(
        "Zone {0} is not running; -r edits what a running zone has.  Leave -r out to edit what is configured."
    )]
    NotRunning(ZoneName),
    /// A command that means nothing to a live zone.
    #[error("Zone {zone} is live: {command} is for what is configured; leave -r out.")]
    NotOfALiveZone {
        /// The zone that is edited.
        zone: ZoneName,
        /// The command that was refused.
        command: &'static str,
    },
    /// The zone's daemon was not reached, or has not done it.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// What a live zone has cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A resource is open.
    #[error("resource specification incomplete: use 'end' or 'cancel' first")]
    ResourceOpen,
    /// `revert` in a resource.
    #[error(
        "You can only use revert in the global scope.  Use 'cancel' to cancel changes to a resource specification."
    )]
    RevertInResource,
    /// `revert` of what was never saved.
    #[error("{0}: no such saved zone to revert to.")]
    NothingSaved(ZoneName),
    /// `revert` without a change.
    #[error("No changes to revert.")]
    NothingToRevert,
    /// The configuration has faults, all of which are told.
    #[error("Zone {zone} failed to verify{}", lines(.problems))]
    Verify {
        /// The zone that is edited.
        zone: ZoneName,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
    /// The session ended with something unsaved.
    #[error("Configuration not saved")]
    NotSaved,
    /// The user may not write where configurations are.
    #[error(
        "{zone}: cannot {command} in read-only mode: you do not have write access to this zone's configuration file"
    )]
    ReadOnly {
        /// The zone that is edited.
        zone: ZoneName,
        /// The command that was refused.
        command: &'static str,
    },
    /// Help was asked for about a word that no table has; and the question what may have been meant.
    #[error("no help about '{0}'; 'help commands' lists the commands, 'help syntax' the rest{1}")]
    NoHelp(String, String),
    /// The file that `export -f` names cannot be written.
    #[error("cannot write {}", .path.display())]
    Export {
        /// The file that was to be written.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
    /// Standard output or input failed.
    #[error("cannot use the terminal or pipe")]
    Stream(#[from] io::Error),
}

impl Failure {
    /// Tells whether no other command of a line could do better, for it is not the command that is wrong.
    pub(crate) fn ends_a_command_line(&self) -> bool {
        matches!(
            self,
            Self::NoSuchZone(..)
                | Self::Broken(_)
                | Self::FileMissing { .. }
                | Self::Exists { .. }
                | Self::NobodyToAsk(_)
                | Self::NotRunning(_)
                | Self::ReadOnly { .. }
                | Self::Stream(_)
        )
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
