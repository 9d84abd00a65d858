//! Every raw system call of the project, and all of its `unsafe`.
//!
//! What `rustix` has is used from `rustix` directly, all over the project. This crate holds only
//! what it lacks (`clone3`, `mount_setattr`, `close_range`, seccomp loading, `execve` without an
//! allocator, signal dispositions) and a few compositions that every program needs in the same
//! shape (sockets in a directory, file descriptors over sockets).
//!
//! All functions are safe to call. Where a call has a condition that the type system cannot hold,
//! a token type carries it ([`clone::SingleThreaded`]). Errors print like `strace`:
//! `clone3(0x20000) failed`, with the kernel's errno as the source.

pub mod bpf;
pub mod caps;
mod chain;
pub mod clone;
mod error;
pub mod exec;
pub mod inherit;
pub mod landing;
pub mod lock;
pub mod loopdev;
mod mapping;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod notify;
pub mod pages;
pub mod path;
pub mod pidfd;
pub mod proc;
pub mod process;
pub mod reserve;
pub mod seccomp;
pub mod signal;
pub mod spawn;
pub mod stack;
pub mod stdio;
pub mod trace;
pub mod tty;
pub mod unix;

pub use chain::Chain;
pub use error::{Arg, Error, Result};
