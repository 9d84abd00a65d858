//! What a daemon that is about to serve has, and why there may be none.

use crate::exclusive::{Exclusive, NotExclusive};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io;
use std::path::PathBuf;
use zone_config::index::IndexError;
use zone_config::layout::LayoutError;
use zone_config::{Layout, State, ZoneName};
use zone_engine::KeeperError;
use zone_engine::keeper::Keeper;

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot manage the global zone")]
    Global,
    #[error("could not manage {0}: No such zone configured")]
    NoZone(String),
    #[error(transparent)]
    Root(LayoutError),
    #[error("failed to get zone state")]
    State(#[source] IndexError),
    #[error("cannot manage a zone which is in state '{0}'")]
    TooEarly(State),
    #[error("You lack sufficient privilege to run this command (all privs required)")]
    Privilege,
    #[error(transparent)]
    Inherited(#[from] zone_sys::inherit::Inherited),
    #[error("could not fork")]
    Fork(#[source] zone_sys::Error),
    #[error(transparent)]
    Exclusive(#[from] NotExclusive),
    #[error("console setup: device initialization failed")]
    Keeper(#[source] KeeperError),
    #[error("console setup: socket initialization failed")]
    Console(#[source] NotListening),
    #[error("could not listen on the door")]
    Door(#[source] NotListening),
    #[error("could not detach from the terminal")]
    Detach(#[source] Errno),
    /// Of another version, or spoilt. A zsched can be killed under its zone, see docs/survival.md.
    #[error(
        "what zsched, process {keeper}, has kept of the console's output is not of a form that this zoneadmd knows: use the \
         programs that the zone was booted with, or 'kill -KILL {keeper}' and run this again: the zone runs on under \
         a new one, and that output is lost"
    )]
    Kept {
        keeper: i32,
        #[source]
        source: zone_ring::Error,
    },
    #[error("could not start the event loop")]
    Runtime(#[source] io::Error),
    #[error("could not wait for signals")]
    Signals(#[source] zone_sys::Error),
    #[error("could not duplicate a descriptor of the console")]
    Descriptor(#[source] io::Error),
    #[error("console setup: could not serve the console")]
    Serve(#[source] zone_console::Error),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotListening {
    /// Files of other kinds are replaced; what is in a directory may be dear to somebody.
    #[error("{} is a directory; remove it and try again", .0.display())]
    Directory(PathBuf),
    #[error("{}", .0.display())]
    Other(PathBuf, #[source] zone_sys::Error),
}

/// What a daemon that is about to serve has.
pub(crate) struct Started {
    pub(crate) layout: Layout,
    pub(crate) name: ZoneName,
    pub(crate) exclusive: Exclusive,
    pub(crate) keeper: Keeper,
    pub(crate) door: OwnedFd,
    pub(crate) console: OwnedFd,
    /// Whether the daemon before this one left because nothing needed it: nothing has happened that anybody is to be told of.
    pub(crate) returns: bool,
    /// What is to be said on the console.
    pub(crate) message: Option<String>,
}
