//! The operations that can be asked for, with their parameters.

use serde::Serialize;

use crate::{Operation, Uniqid};

/// A call for one of the operations.
///
/// Empty `bootargs` mean the configured ones; an empty `locale` means `C`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "method", content = "parameters")]
pub enum Request {
    /// Bring the virtual platform up.
    #[serde(rename = "org.zones.zoneadmd.Ready")]
    Ready {
        /// The language for the messages.
        locale: String,
    },
    /// Start init, after making the zone ready if it is not.
    #[serde(rename = "org.zones.zoneadmd.Boot")]
    Boot {
        /// Arguments for the boot.
        bootargs: String,
        /// Let the zone write its whole root this once, whatever its `file-mac-profile`.
        #[serde(skip_serializing_if = "is_false")]
        writable: bool,
        /// The language for the messages.
        locale: String,
    },
    /// Halt and boot.
    #[serde(rename = "org.zones.zoneadmd.Reboot")]
    Reboot {
        /// Arguments for the boot.
        bootargs: String,
        /// Only if the zone is still this incarnation.
        #[serde(skip_serializing_if = "Option::is_none")]
        uniqid: Option<Uniqid>,
        /// Let the zone write its whole root this once, whatever its `file-mac-profile`.
        #[serde(skip_serializing_if = "is_false")]
        writable: bool,
        /// The language for the messages.
        locale: String,
    },
    /// End the zone at once.
    #[serde(rename = "org.zones.zoneadmd.Halt")]
    Halt {
        /// Take a running operation over, and tell what cannot be undone instead of waiting for it.
        #[serde(skip_serializing_if = "is_false")]
        force: bool,
        /// The language for the messages.
        locale: String,
    },
    /// Let the zone's init end it.
    #[serde(rename = "org.zones.zoneadmd.Shutdown")]
    Shutdown {
        /// Seconds after which the zone is ended all the same; the daemon's own limit if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        timeout: Option<u32>,
        /// Boot again afterwards.
        reboot: bool,
        /// Arguments for that boot.
        bootargs: String,
        /// Only if the zone is still this incarnation.
        #[serde(skip_serializing_if = "Option::is_none")]
        uniqid: Option<Uniqid>,
        /// The language for the messages.
        locale: String,
    },
    /// Tell the console that the zone is being uninstalled.
    #[serde(rename = "org.zones.zoneadmd.NoteUninstalling")]
    NoteUninstalling {
        /// The language for the messages.
        locale: String,
    },
    /// Give a zone that is up what is configured by now.
    #[serde(rename = "org.zones.zoneadmd.Apply")]
    Apply {
        /// Only check, and tell what would be changed.
        dry_run: bool,
        /// The configuration that it is to have, as TOML, until it boots next; what is configured if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        config: Option<String>,
        /// Only if the configuration that the zone has is of this version.
        #[serde(skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// The language for the messages.
        locale: String,
    },
}

/// What an older daemon does not know is only said when it is meant.
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Request {
    /// Which operation it asks for.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Ready { .. } => Operation::Ready,
            Self::Boot { .. } => Operation::Boot,
            Self::Reboot { .. } => Operation::Reboot,
            Self::Halt { .. } => Operation::Halt,
            Self::Shutdown { .. } => Operation::Shutdown,
            Self::NoteUninstalling { .. } => Operation::NoteUninstalling,
            Self::Apply { .. } => Operation::Apply,
        }
    }

    /// The arguments of the boot that it asks for; empty if none are given or no boot is asked for.
    #[must_use]
    pub fn bootargs(&self) -> &str {
        match self {
            Self::Boot { bootargs, .. } | Self::Reboot { bootargs, .. } | Self::Shutdown { bootargs, .. } => {
                bootargs
            }
            Self::Ready { .. } | Self::Halt { .. } | Self::NoteUninstalling { .. } | Self::Apply { .. } => "",
        }
    }

    /// The incarnation that it is meant for, if it is for no other.
    #[must_use]
    pub fn uniqid(&self) -> Option<Uniqid> {
        match self {
            Self::Reboot { uniqid, .. } | Self::Shutdown { uniqid, .. } => *uniqid,
            Self::Ready { .. }
            | Self::Boot { .. }
            | Self::Halt { .. }
            | Self::NoteUninstalling { .. }
            | Self::Apply { .. } => None,
        }
    }

    /// Whether the zone may write its whole root after the boot that it asks for.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        matches!(self, Self::Boot { writable: true, .. } | Self::Reboot { writable: true, .. })
    }

    /// The language in which the caller reads; empty means `C`.
    #[must_use]
    pub fn locale(&self) -> &str {
        match self {
            Self::Ready { locale }
            | Self::Boot { locale, .. }
            | Self::Reboot { locale, .. }
            | Self::Halt { locale, .. }
            | Self::Shutdown { locale, .. }
            | Self::NoteUninstalling { locale }
            | Self::Apply { locale, .. } => locale,
        }
    }
}
