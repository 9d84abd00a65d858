//! Runs a program as if on a kernel that lacks a system call, or nf_tables.

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

/// `EPROTONOSUPPORT` on all architectures but alpha, mips and sparc: what a kernel without nfnetlink answers.
const EPROTONOSUPPORT: u32 = 93;
/// `AF_NETLINK` and `NETLINK_NETFILTER`.
const NETLINK: u32 = 16;
const NETFILTER: u32 = 12;
/// Where a filter sees the first and the third argument: the lower halves, little-endian.
const FIRST: u32 = 16;
const THIRD: u32 = 32;
/// socket(2), as the architecture counts.
const SOCKET: u32 = if cfg!(target_arch = "x86_64") { 41 } else { 198 };

/// Replaces this process by `words`, which, with all that they start, get no socket to the kernel's netfilter. Returns only
/// on failure.
#[must_use]
pub fn exec_without_netfilter(words: &[String]) -> io::Error {
    exec(
        &[
            instruction(LOAD_WORD, 0, 0, 0),
            instruction(JUMP_IF_EQUAL, 0, 5, SOCKET),
            instruction(LOAD_WORD, 0, 0, FIRST),
            instruction(JUMP_IF_EQUAL, 0, 3, NETLINK),
            instruction(LOAD_WORD, 0, 0, THIRD),
            instruction(JUMP_IF_EQUAL, 0, 1, NETFILTER),
            instruction(RETURN, 0, 0, RET_ERRNO | EPROTONOSUPPORT),
            instruction(RETURN, 0, 0, RET_ALLOW),
        ],
        words,
    )
}

/// Replaces this process by `words`, for which call `number` answers `ENOSYS`, and for all that
/// they start. Returns only on failure.
#[must_use]
pub fn exec_without(number: u32, words: &[String]) -> io::Error {
    exec(
        &[
            // The call's number is the first word of what a filter sees.
            instruction(LOAD_WORD, 0, 0, 0),
            instruction(JUMP_IF_EQUAL, 0, 1, number),
            instruction(RETURN, 0, 0, RET_ERRNO | ENOSYS),
            instruction(RETURN, 0, 0, RET_ALLOW),
        ],
        words,
    )
}

fn exec(program: &[[u8; zone_sys::seccomp::INSTRUCTION]], words: &[String]) -> io::Error {
    if let Err(e) = load(program.as_flattened()) {
        return io::Error::other(format!("{e}: {}", e.errno()));
    }
    match words {
        [program, args @ ..] => Command::new(program).args(args).exec(),
        [] => io::Error::other("no program was given"),
    }
}
