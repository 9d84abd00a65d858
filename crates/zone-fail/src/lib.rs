//! Dying on purpose between two steps, so that the tests find out what a program leaves that is killed there.
//!
//! [`POINTS`] is the list of the places; a call of [`pass!`] is such a place, and the compiler refuses one that
//! is not in the list. What was built for use has neither the calls nor the list: they are in debug builds, and in
//! those with the feature `failpoints`.
//!
//! A zone's programs are told by files in its run directory, ROOT/run/zones/NAME:
//!
//! * `failpoint` says who is to die where. Of its lines, `PROGRAM POINT COUNT` each, the first one counts: when
//!   the program passes the point for the COUNTth time it takes the line away and kills itself, as an impatient
//!   person would. The next line is then for whoever comes next. `*` is any point.
//! * `failpoint.hit` gets a line `PROGRAM POINT` for each that died.
//! * `failpoint.trace`, if it is there, gets such a line for each point that is passed.
#![forbid(unsafe_code)]

mod list;

#[cfg_attr(any(debug_assertions, feature = "failpoints"), path = "armed.rs")]
#[cfg_attr(not(any(debug_assertions, feature = "failpoints")), path = "disarmed.rs")]
mod points;

pub use list::{POINTS, Point, is_listed};
pub use points::{Promise, arm, arm_as_told, ask, become_program, pass, pass_on, promise};

/// A step of the platform, from whose name those of its points are made.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Whether it leaves something to be undone.
    pub kept: bool,
}

/// A place in the program, by its name in the list: passed, or not.
#[macro_export]
macro_rules! pass {
    ($name:literal) => {{
        const { assert!($crate::is_listed($name), "this failpoint is not in the list") };
        $crate::pass($name, "");
    }};
}

/// A place, by its name in the list, that is going to be passed when no file can be read any more: now it is looked
/// up, and `Promise::keep` is the place.
#[macro_export]
macro_rules! promise {
    ($name:literal) => {{
        const { assert!($crate::is_listed($name), "this failpoint is not in the list") };
        $crate::promise($name)
    }};
}
