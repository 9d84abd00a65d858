//! What a zone is on disk: names, states, index, configuration schema, snapshot, boot arguments.
//!
//! Nothing here needs privilege and nothing here acts on a zone; every program of the workspace
//! reads its facts through this crate, so that a path, a limit or a default is written once.
//!
//! | module | is |
//! |---|---|
//! | [`name`], [`state`] | the two words every command line has |
//! | [`operation`] | what leads a zone from one state to another |
//! | [`layout`], [`here`] | where things are, under `-R ROOT`, and in which zone we are |
//! | [`mod@file`] | files written whole and read up to a bound, and locks |
//! | [`hash`] | a hash that is the same in every build |
//! | [`hostpath`] | paths of the host that a configuration names, walked without symlinks |
//! | [`hostuser`] | users and groups of the host, for who may administer a zone |
//! | [`index`] | `/etc/zones/index`: which zones there are, and how far each has come |
//! | [`schema`], [`value`], [`privilege`], [`document`] | the table of properties, and a configuration as that table sees it |
//! | [`config`] | the same configuration, typed |
//! | [`across`] | what configurations of several zones name of what there is once |
//! | [`order`] | in which order zones boot and go down, and circles in what they depend on |
//! | [`settings`] | `/etc/zones/zones.toml`: what holds for all zones of an installation |
//! | [`store`] | a configuration and its index line, changed together |
//! | [`noted`] | what was read of the files of zones that are up |
//! | [`moving`] | the record of a zone that is taken to another zonepath |
//! | [`sharing`] | which zones may mount something of the host |
//! | [`filesystem`], [`device`], [`net`], [`limits`] | what `fs`, `device`, `net` and `port` resources and limits may say |
//! | [`pattern`], [`mod@nearest`] | names by a pattern, and what a mistyped word may have meant |
//! | [`lex`], [`command`] | the language of `zonecfg` |
//! | [`brand`] | what the two kinds of guest differ in |
//! | [`idmap`] | the range of ids that a zone owns on the host |
//! | [`addresses`] | the addresses that a zone owns in the managed network |
//! | [`record`] | the files of a live zone that grow by a line at a time |
//! | [`readiness`] | whether a zone that runs is ready, as far as that was found out |
//! | [`snapshot`], [`lastexit`], [`bootargs`] | what a live zone was started with, and how the last one ended |
#![forbid(unsafe_code)]

pub mod across;
pub mod addresses;
pub mod bootargs;
pub mod brand;
pub mod change;
pub mod command;
pub mod config;
pub mod detached;
pub mod device;
pub mod document;
pub mod file;
pub mod filesystem;
pub mod hash;
pub mod here;
pub mod hostboot;
pub mod hostpath;
pub mod hostuser;
pub mod idmap;
pub mod index;
pub mod lastexit;
pub mod layout;
pub mod lex;
pub mod limits;
mod lines;
pub mod moving;
pub mod name;
pub mod nearest;
pub mod net;
pub mod noted;
pub mod operation;
pub mod order;
pub mod pattern;
pub mod privilege;
pub mod readiness;
pub mod record;
pub mod schema;
pub mod secflags;
pub mod settings;
pub mod sharing;
pub mod snapshot;
pub mod state;
pub mod store;
#[cfg(any(test, feature = "strategy"))]
pub mod strategy;
pub mod sysctl;
pub mod value;

pub use brand::Brand;
pub use config::ZoneConfig;
pub use idmap::IdRange;
pub use index::{Entry, Index};
pub use layout::{InstallationId, Layout};
pub use name::ZoneName;
pub use noted::Noted;
pub use operation::Operation;
pub use settings::Settings;
pub use snapshot::Snapshot;
pub use state::State;
pub use uuid::Uuid;
