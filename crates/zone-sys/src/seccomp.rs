//! Loading a seccomp program that was compiled elsewhere.

use crate::{Arg, Error, Result};
use rustix::io::Errno;

/// The size of one classic-BPF instruction (`struct sock_filter`) in bytes.
pub const INSTRUCTION: usize = 8;
/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One classic-BPF instruction as bytes, in the layout of `struct sock_filter`.
#[must_use]
pub fn instruction(code: u16, jump_true: u8, jump_false: u8, k: u32) -> [u8; INSTRUCTION] {
    let (c, k) = (code.to_ne_bytes(), k.to_ne_bytes());
    [c[0], c[1], jump_true, jump_false, k[0], k[1], k[2], k[3]]
}

/// Asks whether there are filters, by loading one that is nowhere.
///
/// # Errors
/// `ENOSYS` if there is no such call, or a filter says so; `EINVAL` of a kernel that was built without filters.
pub fn probe() -> Result<()> {
    let nowhere = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel reads the program from the address that it is given, and answers EFAULT where there is none.
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, nowhere) };
    let error = Error::last("seccomp").arg(Arg::Word("SECCOMP_SET_MODE_FILTER"));
    if ret < 0 && matches!(error.errno(), Errno::NOSYS | Errno::INVAL) { Err(error) } else { Ok(()) }
}

/// Puts this thread, and all it starts, under `program`: an array of `struct sock_filter`.
///
/// Without `no_new_privs` the caller needs `CAP_SYS_ADMIN` in its user namespace. Source: seccomp(2).
///
/// # Errors
/// `EINVAL` for a program that is empty, too long or not whole; else what `seccomp(2)` says.
pub fn load(program: &[u8]) -> Result<()> {
    let count = program.len() / INSTRUCTION;
    if !program.len().is_multiple_of(INSTRUCTION) || count == 0 || count > MAX_INSTRUCTIONS {
        return Err(Error::new("seccomp", Errno::INVAL).arg(Arg::Num(program.len() as u64)));
    }
    // The kernel copies the program, but from an aligned array.
    let mut aligned = [const { libc::sock_filter { code: 0, jt: 0, jf: 0, k: 0 } }; MAX_INSTRUCTIONS];
    for (slot, bytes) in aligned.iter_mut().zip(program.chunks_exact(INSTRUCTION)) {
        slot.code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        (slot.jt, slot.jf) = (bytes[2], bytes[3]);
        slot.k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    }
    let len = u16::try_from(count).map_err(|_| Error::new("seccomp", Errno::INVAL))?;
    let fprog = libc::sock_fprog { len, filter: aligned.as_mut_ptr() };
    // SAFETY: `fprog` points to `len` initialised instructions that outlive the call; the kernel
    // checks and copies them.
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) };
    if ret == 0 { Ok(()) } else { Err(Error::last("seccomp").arg(Arg::Num(len.into()))) }
}
