//! What goes wrong between us and nf_tables.

use std::fmt;

use rustix::io::Errno;

use super::Family;

/// What a message of a transaction was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Names a table, by its family and its name.
    Table(Family, String),
    /// A chain of a table.
    Chain(Family, String, String),
    /// A rule of a chain, by its comment.
    Rule(Family, String, String, String),
    /// A set or map of a table, or elements of it.
    Set(Family, String, String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(family, table) => write!(f, "table {family} {table}"),
            Self::Chain(family, table, chain) => write!(f, "chain {chain} of table {family} {table}"),
            Self::Rule(family, table, chain, rule) => {
                write!(f, "rule \"{rule}\" in chain {chain} of table {family} {table}")
            }
            Self::Set(family, table, set) => write!(f, "set {set} of table {family} {table}"),
        }
    }
}

/// Why rules were not read or not changed; after an error of a transaction nothing of it is in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no nf_tables.
    #[error("the kernel has no nf_tables")]
    Unsupported {
        /// Keeps the error number that the kernel answered with.
        source: Errno,
    },
    /// The kernel refused a message.
    #[error("the kernel refused {subject}{}", said(said_text))]
    Refused {
        /// What the message was about.
        subject: Box<Subject>,
        /// The kernel's explanation, where it gave one.
        said_text: Option<String>,
        /// Keeps the error number of the call.
        source: Errno,
    },
    /// The kernel refused the whole of a transaction.
    #[error("the kernel refused a transaction of nf_tables{}", said(said_text))]
    Transaction {
        /// The kernel's explanation, where it gave one.
        said_text: Option<String>,
        /// Keeps the error number of the call.
        source: Errno,
    },
    /// The kernel did not list what there is.
    #[error("the {what} of nf_tables cannot be listed")]
    List {
        /// What was to be listed.
        what: &'static str,
        /// Keeps the error number of the call.
        source: Errno,
    },
    /// A call on the netlink socket failed.
    #[error("{call} on a netlink socket of netfilter failed")]
    Socket {
        /// Names the system call, as its manual page does.
        call: &'static str,
        /// Keeps the error number of the call.
        source: Errno,
    },
    /// An option of the netlink socket cannot be set.
    #[error(transparent)]
    Option(#[from] zone_sys::Error),
    /// The kernel answered with what cannot be understood, or not at all.
    #[error("nf_tables answered {0}")]
    Answer(&'static str),
}

impl Error {
    /// The kernel's errno, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Unsupported { source }
            | Self::Refused { source, .. }
            | Self::Transaction { source, .. }
            | Self::List { source, .. }
            | Self::Socket { source, .. } => Some(*source),
            Self::Option(error) => Some(error.errno()),
            Self::Answer(_) => None,
        }
    }
}

fn said(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}
