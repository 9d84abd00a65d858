//! Programs of the kernel's virtual machine (eBPF) that decide which devices a cgroup may use: `bpf(2)`.
//!
//! A program that is attached to a cgroup is the cgroup's: it goes with it, whoever has loaded it.

use crate::{Arg, Error, Result};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// The size of one instruction (`struct bpf_insn`) in bytes.
pub const INSTRUCTION: usize = 8;
/// The longest name of a program in bytes (`BPF_OBJ_NAME_LEN`, less the one that ends it).
pub const MOST_NAME: usize = 15;
/// As many programs as the kernel lets be attached to one cgroup (`BPF_CGROUP_MAX_PROGS`).
const MOST_ATTACHED: u32 = 64;

// enum bpf_cmd, enum bpf_prog_type, enum bpf_attach_type of linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_GET_NEXT_ID: libc::c_int = 11;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const PROG_QUERY: libc::c_int = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Others may attach programs to cgroups below, all of which must agree.
const ALLOW_MULTI: u32 = 1 << 1;
/// Linux 5.6.
const REPLACE: u32 = 1 << 2;

/// One instruction as bytes, in the layout of `struct bpf_insn`.
#[must_use]
pub fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: u32) -> [u8; INSTRUCTION] {
    let registers =
        if cfg!(target_endian = "little") { source << 4 | destination } else { destination << 4 | source };
    let (o, i) = (offset.to_ne_bytes(), immediate.to_ne_bytes());
    [code, registers, o[0], o[1], i[0], i[1], i[2], i[3]]
}

/// The part of `union bpf_attr` for `BPF_PROG_LOAD`; a kernel that knows more takes the rest for zero.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// For `BPF_PROG_ATTACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// For `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    /// Up to a multiple of 8: a kernel for which the count is the last field (before 6.0) wants zeros behind it.
    rest: u32,
}

/// For `BPF_PROG_GET_NEXT_ID` and `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct Id {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// For `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
#[derive(Default)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`, up to the name.
#[repr(C)]
#[derive(Default)]
struct Info {
    prog_type: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; 16],
}

/// Loads a program for devices, an array of `struct bpf_insn`, under a name of letters, digits, `_` and `.`.
///
/// # Errors
/// `EINVAL` of a kernel without such programs, and for a program that is not whole; `EACCES` for one that the kernel's
/// verifier does not take; `EPERM` where the host's root may not; else what `bpf(2)` says.
pub fn load_for_devices(program: &[u8], name: &str) -> Result<OwnedFd> {
    if !program.len().is_multiple_of(INSTRUCTION) || name.len() > MOST_NAME {
        return Err(Error::new("bpf", Errno::INVAL).arg(Arg::Word("BPF_PROG_LOAD")));
    }
    // The kernel wants the array aligned.
    let words = program
        .chunks_exact(INSTRUCTION)
        .filter_map(|chunk| Some(u64::from_ne_bytes(chunk.try_into().ok()?)));
    let words: Vec<u64> = words.collect();
    let mut prog_name = [0; 16];
    prog_name[..name.len()].copy_from_slice(name.as_bytes());
    let mut attr = Load {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(words.len()).map_err(|_| Error::new("bpf", Errno::TOOBIG))?,
        insns: words.as_ptr().expose_provenance() as u64,
        license: c"GPL".as_ptr().expose_provenance() as u64,
        prog_name,
        expected_attach_type: ATTACH_CGROUP_DEVICE,
        ..Load::default()
    };
    // SAFETY: `insns` and `license` point to a whole array of the count given and a C string, both of which outlive
    // the call, and the kernel writes to neither.
    let fd = unsafe { bpf(PROG_LOAD, &mut attr, "BPF_PROG_LOAD") }?;
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a program for devices to a cgroup, in the place of one that is attached there or beside what there is.
///
/// # Errors
/// What `bpf(2)` says.
pub fn attach_for_devices(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    old: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut attr = Attach {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: if old.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI },
        replace_bpf_fd: old.map_or(0, number),
    };
    // SAFETY: the structure has no pointers.
    unsafe { bpf(PROG_ATTACH, &mut attr, "BPF_PROG_ATTACH") }.map(drop)
}

/// Lists the programs for devices that are attached to a cgroup itself, by their numbers.
///
/// # Errors
/// What `bpf(2)` says.
pub fn attached_for_devices(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>> {
    let mut ids = vec![0u32; MOST_ATTACHED as usize];
    let mut attr = Query {
        target_fd: number(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr().expose_provenance() as u64,
        prog_cnt: MOST_ATTACHED,
        ..Query::default()
    };
    // SAFETY: the kernel writes at most `prog_cnt` numbers to the array, which has as many and outlives the call.
    unsafe { bpf(PROG_QUERY, &mut attr, "BPF_PROG_QUERY") }?;
    ids.truncate(attr.prog_cnt as usize);
    Ok(ids)
}

/// Opens a program by its number.
///
/// # Errors
/// `ENOENT` if there is none of that number.
pub fn open(id: u32) -> Result<OwnedFd> {
    let mut attr = Id { id, ..Id::default() };
    // SAFETY: the structure has no pointers.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr, "BPF_PROG_GET_FD_BY_ID") }?;
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the number of the next program of the machine after this one, 0 for the first; `None` if there is no other.
///
/// # Errors
/// What `bpf(2)` says.
pub fn next(id: u32) -> Result<Option<u32>> {
    let mut attr = Id { id, ..Id::default() };
    // SAFETY: the structure has no pointers.
    match unsafe { bpf(PROG_GET_NEXT_ID, &mut attr, "BPF_PROG_GET_NEXT_ID") } {
        Ok(_) => Ok(Some(attr.next_id)),
        Err(error) if error.errno() == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives the name that a program was loaded under.
///
/// # Errors
/// What `bpf(2)` says.
pub fn name(program: BorrowedFd<'_>) -> Result<String> {
    let mut info = Info::default();
    let mut attr = GetInfo {
        bpf_fd: number(program),
        info_len: u32::try_from(size_of::<Info>()).map_err(|_| Error::new("bpf", Errno::TOOBIG))?,
        info: (&raw mut info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes to the structure, which is that large and outlives the call; all
    // that it holds may be any bytes.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attr, "BPF_OBJ_GET_INFO_BY_FD") }?;
    Ok(info.name.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect())
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

/// # Safety
/// What `attr` points to must be as the command wants it, see bpf(2). It must have no bytes between its fields or behind them, which would
/// be of no value, and which the kernel reads.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T, word: &'static str) -> Result<libc::c_int> {
    // SAFETY: `attr` is valid for its size, which is given, for reading and writing; the rest is upon the caller, and for the bytes of
    // the structures of this file there is a test.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    match libc::c_int::try_from(ret) {
        Ok(ret) if ret >= 0 => Ok(ret),
        _ => Err(Error::last("bpf").arg(Arg::Word(word))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_as_the_kernel_reads_it() {
        assert_eq!(size_of::<Load>(), 72);
        // r0 = 1; exit
        let program = [instruction(0xb7, 0, 0, 0, 1), instruction(0x95, 0, 0, 0, 0)].concat();
        assert_eq!(program.len(), 16);
        assert!(load_for_devices(&program[..9], "odd").is_err());
        assert!(load_for_devices(&program, "a_name_that_is_too_long").is_err());
    }

    #[test]
    fn all_bytes_that_the_kernel_reads_are_of_a_field() {
        /// The bytes of a structure, and those of its fields.
        macro_rules! bytes {
            ($of:ident: $($field:ident)*) => {{
                let one = $of::default();
                (size_of::<$of>(), [$(size_of_val(&one.$field)),*].into_iter().sum::<usize>())
            }};
        }
        let (load, attach, query, id, get, info) = (
            bytes!(Load: prog_type insn_cnt insns license log_level log_size log_buf kern_version prog_flags prog_name
                prog_ifindex expected_attach_type),
            bytes!(Attach: target_fd attach_bpf_fd attach_type attach_flags replace_bpf_fd),
            bytes!(Query: target_fd attach_type query_flags attach_flags prog_ids prog_cnt rest),
            bytes!(Id: id next_id open_flags),
            bytes!(GetInfo: bpf_fd info_len info),
            bytes!(Info: prog_type id tag jited_prog_len xlated_prog_len jited_prog_insns xlated_prog_insns load_time
                created_by_uid nr_map_ids map_ids name),
        );
        for (whole, fields) in [load, attach, query, id, get, info] {
            assert_eq!(whole, fields);
        }
    }
}
