//! The stack's pages that are no longer in use.

use crate::clone::SingleThreaded;

/// How far below its end the stack is looked at, in bytes: less than the kernel keeps free below a main thread's stack, so nothing
/// else is there.
const REACH: usize = 256 << 10;

/// What is left alone below this function's frame, in bytes: the frames of what it calls.
const IN_USE: usize = 1024;

/// Gives the pages below the caller's frame back to the kernel. What was called deep, once, leaves them behind otherwise for as long as
/// the process lives.
#[inline(never)]
pub fn give_back(_proof: SingleThreaded) {
    let here = std::hint::black_box(0_u8);
    let end = (std::ptr::from_ref(&here).addr() - IN_USE) & !(rustix::param::page_size() - 1);
    let start = std::ptr::with_exposed_provenance_mut(end - REACH);
    // SAFETY: the process has one thread, whose stack grows down: below its frames there is nothing that anybody refers to, and for
    // `stack_guard_gap` below its last page no mapping at all, of which the kernel says ENOMEM when it has done the rest.
    unsafe { libc::madvise(start, REACH, libc::MADV_DONTNEED) };
}
