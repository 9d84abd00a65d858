//! What is not whole yet: its names, and whether it is a part of what it is to become.
//!
//! The name says of which file it is a part, and of which state of it: a part of another state is of no use. How long it is
//! says nothing: after a power loss a file system may have the length of it and not the bytes, so both sides compare sums.

use crate::wire::{CHUNK, Time};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::hash::{DefaultHasher, Hasher};

/// How such a name begins.
const BEGINS: &[u8] = b".zones-cp.";

/// The name for a part of the file `name` with this size and time.
pub(crate) fn name(name: &[u8], size: u64, time: Time) -> String {
    let state = [size.to_le_bytes(), time.0.to_le_bytes(), u64::from(time.1).to_le_bytes()].concat();
    format!("{}{:016x}", prefix(name), hash(&state))
}

/// What is put in the place of `name` at once.
pub(crate) fn other(name: &[u8]) -> String {
    format!("{}new", prefix(name))
}

/// How the names of all parts of the file `name` begin.
pub(crate) fn prefix(name: &[u8]) -> String {
    format!("{}{:016x}.", String::from_utf8_lossy(BEGINS), hash(name))
}

/// Whether it can be the name of a part.
pub(crate) fn is_one(name: &[u8]) -> bool {
    name.starts_with(BEGINS)
}

/// The sum of the first `length` bytes of a file. Both sides are the same program, so it needs no form that lasts; and who
/// wants another file to have the sum gains what it could have sent anyway.
///
/// # Errors
/// Those of read(2); `ESTALE` for a file that is shorter.
pub(crate) fn sum(file: impl AsFd, length: u64) -> Result<u64, Errno> {
    let mut buffer = vec![0; CHUNK];
    let (mut sum, mut at) = (DefaultHasher::new(), 0);
    while at < length {
        let most = usize::try_from(length - at).unwrap_or(CHUNK).min(CHUNK);
        match rustix::io::pread(&file, &mut buffer[..most], at) {
            Ok(0) => return Err(Errno::STALE),
            Ok(count) => {
                sum.write(&buffer[..count]);
                at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(sum.finish())
}

/// FNV-1a. Who wants two files to have one name can have that, and gains nothing: parts are the receiver's own files, and one
/// that is taken for another's ends as a file with contents of the sender's choice, as all are.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
