//! The virtual platform: everything that is built around a zone before its init runs.
//!
//! The daemon makes every mount *detached*, as a descriptor, and every other thing as a value; the keeper only attaches
//! mounts, enters namespaces and executes. So whatever is wrong is found here and said in one sentence. What to build is
//! told by a [`Spec`]; the order is the list [`steps`], a row for each facility, which is a module of its own.
//!
//! | module | is |
//! |---|---|
//! | [`spec`] | what to build |
//! | `step`, `check`, `build`, `change` | the rows; their checks, run through; what they build, and change in a zone that lives |
//! | [`kernel`] | what the kernel must have |
//! | [`root`] | the zone's path and root: checks, and the id-mapped mount |
//! | [`zoneroot`] | the only way to files of a zone |
//! | [`cgroup`] | the zone's cgroup, from its making to its removal |
//! | `ipc`, `memlock` | limits that no cgroup has |
//! | [`kernelfs`], `dev` | /run, /dev, /dev/pts, /dev/shm, the console; what of /proc and /sys is hidden |
//! | [`devices`] | the `device` resources, and the program that guards the devices |
//! | `sparse` | the host's /usr for brands that have it |
//! | [`filesystems`] | the `fs` resources |
//! | `claims` | what zones have of the host, and how that may lie to each other |
//! | [`ids`] | which ids of the host are the zone's |
//! | [`privileges`], [`seccomp`] | what the zone's root may not do |
//! | [`guest`] | what the guest is told |
//! | [`orderly`], [`reboot`] | how the guest's init is asked to stop; what is said to a reboot from inside |
//! | [`lxcfs`] | files of /proc that show what the zone may use |
//! | [`holders`], [`reach`] | who holds a halt up; which file system does not answer |
//! | [`enter`] | the way into a live zone |
//! | [`verify`] | all checks that need no running zone |
//!
//! Nothing of a platform outlives the zone but its cgroup: mounts go with the mount namespace that the keeper made.
#![forbid(unsafe_code)]

mod ahead;
mod build;
pub mod cgroup;
mod change;
mod check;
mod claims;
mod clocks;
mod confinement;
pub mod console;
mod credentials;
mod dev;
pub mod devices;
pub mod enter;
mod error;
pub mod filesystems;
pub mod guest;
pub mod holders;
pub mod ids;
pub mod immutable;
mod ipc;
pub mod kernel;
pub mod kernelfs;
pub mod lxcfs;
pub mod memlock;
mod mountinfo;
mod mounts;
pub mod network;
pub mod orderly;
pub mod privileges;
pub mod reach;
pub mod readiness;
pub mod reboot;
pub mod root;
pub mod seccomp;
mod sparse;
pub mod spec;
mod step;
pub mod sysctl;
mod tree;
pub mod verify;
pub mod zoneroot;

pub use build::{Attachment, Build, Checked, Namespaces, Platform};
pub use change::{Change, update_steps};
pub use claims::Conflict;
pub use confinement::Confinement;
pub use error::{Failed, PlatformError};
pub(crate) use kernel::KernelError;
pub use spec::Spec;
pub use step::{BringUp, CHECK, Look, Step, TearDown, Undo, Update, failpoints, steps, tear_down_steps};
pub use zoneroot::ZoneRoot;

#[cfg(test)]
mod testing;
