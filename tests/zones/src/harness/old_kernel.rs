//! Runs a program as if on a kernel that lacks a system call.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use zone_sys::seccomp::{instruction, load};

/// `ENOSYS` on all architectures but alpha, mips and sparc.
const ENOSYS: u32 = 38;
/// Values of `linux/seccomp.h` and `linux/bpf_common.h`.
const RET_ERRNO: u32 = 0x0005_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Replaces this process by `words`, for which call `number` answers `ENOSYS`, and for all that
/// they start. Returns only on failure.
#[must_use]
pub fn exec_without(number: u32, words: &[String]) -> io::Error {
    let program = [
        // The call's number is the first word of what a filter sees.
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_IF_EQUAL, 0, 1, number),
        instruction(RETURN, 0, 0, RET_ERRNO | ENOSYS),
        instruction(RETURN, 0, 0, RET_ALLOW),
    ];
    if let Err(e) = load(program.as_flattened()) {
        return io::Error::other(format!("{e}: {}", e.errno()));
    }
    match words {
        [program, args @ ..] => Command::new(program).args(args).exec(),
        [] => io::Error::other("no program was given"),
    }
}
