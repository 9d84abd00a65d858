//! Dying on purpose between two steps, and failing on purpose at a call, so that the tests find out what a program
//! leaves that is killed there, and what it says when the call fails.
//!
//! [`POINTS`] is the list of the places; a use of [`pass!`] is one at which a program can be killed, a use of [`fail!`]
//! one at which the call that follows can be made to fail. The compiler refuses one that is not in the list. What was
//! built for use has neither the places nor the list: they are in debug builds, and in those with the feature
//! `failpoints`.
//!
//! A zone's programs are told by files in its run directory, ROOT/run/zones/NAME:
//!
//! * `failpoint` says what is to happen where. Of its lines, `PROGRAM POINT COUNT` each, the first one counts: when
//!   the program passes the point for the COUNTth time it takes the line away and kills itself, as an impatient
//!   person would. The next line is then for whoever comes next. `*` is any point at which a program can be killed.
//!   With a fourth word, the name of an error as errno(3) has it, the call there fails with that error; with a fifth,
//!   `always`, so does every later one, and the line stays. With `STOP` in its place the program stops (SIGSTOP) at a point at
//!   which it can be killed, until it is told to go on (SIGCONT): what the world does meanwhile, it does just there.
//! * `failpoint.hit` gets a line `PROGRAM POINT` for each that died, and `PROGRAM POINT ERROR` for each call that failed,
//!   `PROGRAM POINT STOP PID` for each that stopped.
//!   Whoever holds a lock on `failpoint` (flock(2)) knows that nothing is going to happen meanwhile.
//! * `failpoint.trace`, if it is there, gets such a line for each point that is passed.
#![forbid(unsafe_code)]

mod limit;
mod list;
#[cfg(any(debug_assertions, feature = "failpoints"))]
mod listing;

#[cfg_attr(any(debug_assertions, feature = "failpoints"), path = "armed.rs")]
#[cfg_attr(not(any(debug_assertions, feature = "failpoints")), path = "disarmed.rs")]
mod points;

pub use limit::limit;
pub use list::{ERRORS, POINTS, Point, can_fail, is_listed};
pub use points::{Promise, arm, arm_as_told, ask, become_program, fail, pass, pass_on, promise, take_along};
pub use rustix::io::Errno;

/// A step of the platform, from whose name those of its points are made.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The step's name, which its points end with.
    pub name: &'static str,
    /// Whether a bring-up takes it; one that is not only undoes what other steps have made.
    pub built: bool,
    /// Whether it leaves something to be undone.
    pub kept: bool,
    /// Whether it changes something in a zone that lives.
    pub changed: bool,
}

/// A place in the program, by its name in the list: passed, or not.
#[macro_export]
macro_rules! pass {
    ($name:literal) => {{
        const { assert!($crate::is_listed($name), "this failpoint is not in the list") };
        $crate::pass($name, "");
    }};
}

/// A call that can be made to fail, by its name in the list: `Ok`, or the error that the call is to have.
///
/// It stands where the call is, before it: `fail!("journal.write").map_err(io::Error::from).and_then(|()| file.write(..))`.
#[macro_export]
macro_rules! fail {
    ($name:literal) => {{
        const { assert!($crate::can_fail($name), "this failpoint is not in the list of calls that can fail") };
        $crate::fail($name, "")
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
