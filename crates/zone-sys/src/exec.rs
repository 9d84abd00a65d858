//! `execve(2)` from one block of bytes, without an allocator.
//!
//! The block is made by a process that may allocate (zoneadmd), travels over a socket and through
//! a `clone3`, and is turned into the pointer arrays of `execve` on the stack of the process that
//! execs. Shape: `argc` and `envc` as little-endian `u16`, then the path, `argc` arguments and
//! `envc` environment strings, each ended by NUL.

use crate::{Arg, Error, Result};
use rustix::io::Errno;
use std::ffi::CStr;

/// The most strings a block may hold, path included.
pub const MAX_STRINGS: usize = 192;
/// The most bytes a block may have.
pub const MAX_BLOCK: usize = 12 * 1024;

/// Makes a block. `None` if a string holds a NUL or the whole is over the limits.
#[must_use]
pub fn block(path: &str, args: &[String], env: &[(String, String)]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&u16::try_from(args.len()).ok()?.to_le_bytes());
    out.extend_from_slice(&u16::try_from(env.len()).ok()?.to_le_bytes());
    let mut push = |parts: [&str; 3]| {
        if parts.iter().any(|part| part.contains('\0')) {
            return None;
        }
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        out.push(0);
        Some(())
    };
    push([path, "", ""])?;
    for arg in args {
        push([arg, "", ""])?;
    }
    for (name, value) in env {
        push([name, "=", value])?;
    }
    (out.len() <= MAX_BLOCK && 1 + args.len() + env.len() <= MAX_STRINGS).then_some(out)
}

/// Replaces this process by the program a block names. Returns only on failure.
#[must_use]
pub fn exec(block: &[u8]) -> Error {
    match parse(block) {
        Ok((path, argv, envp)) => {
            // SAFETY: `path` is NUL-terminated; both arrays end with a null pointer and point to
            // NUL-terminated strings inside `block`, which outlives the call.
            unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
            Error::last("execve")
        }
        Err(e) => e,
    }
}

type Pointers = [*const libc::c_char; MAX_STRINGS + 1];

fn parse(block: &[u8]) -> Result<(&CStr, Pointers, Pointers)> {
    let bad = || Error::new("execve", Errno::INVAL).arg(Arg::Word("malformed block"));
    let (head, mut rest) = block.split_at_checked(4).ok_or_else(bad)?;
    let argc = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let envc = usize::from(u16::from_le_bytes([head[2], head[3]]));
    if 1 + argc + envc > MAX_STRINGS {
        return Err(bad());
    }
    let mut next = || {
        let s = CStr::from_bytes_until_nul(rest).map_err(|_| bad())?;
        rest = &rest[s.count_bytes() + 1..];
        Ok(s)
    };
    let path = next()?;
    let mut fill = |n: usize| {
        let mut pointers: Pointers = [std::ptr::null(); MAX_STRINGS + 1];
        for slot in &mut pointers[..n] {
            *slot = next()?.as_ptr();
        }
        Ok::<_, Error>(pointers)
    };
    let argv = fill(argc)?;
    let envp = fill(envc)?;
    Ok((path, argv, envp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_apart_as_it_was_put_together() {
        let env = vec![("A".into(), "1".into())];
        let block = block("/bin/sh", &["sh".into(), "-c".into()], &env).unwrap();
        let (path, argv, envp) = parse(&block).unwrap();
        assert_eq!(path, c"/bin/sh");
        assert!(!argv[1].is_null() && argv[2].is_null() && !envp[0].is_null() && envp[1].is_null());
    }

    #[test]
    fn malformed_blocks_are_refused() {
        for bad in [&b""[..], b"\x01\0\0\0sh\0", b"\xff\xff\xff\xffsh\0", b"\0\0\0\0sh"] {
            assert_eq!(parse(bad).err().map(|e| e.errno()), Some(Errno::INVAL), "{bad:?}");
        }
        assert!(block("a\0b", &[], &[]).is_none());
        assert!(block("sh", &["x".repeat(MAX_BLOCK)], &[]).is_none());
    }
}
