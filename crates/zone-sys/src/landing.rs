//! A place in a shared file where the kernel itself puts what is read from elsewhere.
//!
//! `read(2)` takes bytes out of a pty and puts them into the caller's memory in one call, which no
//! signal, SIGKILL included, cuts in two (it is acted upon on the way back to the program). Where that
//! memory is a file's, no byte is ever only in a process that may be gone the next moment.

use crate::mapping::Mapping;
use crate::{Arg, Error, Result};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use std::ops::Range;

/// The first bytes of a file, mapped shared. Nobody but the kernel writes through it, and nobody
/// reads: to look at the bytes, read the file. So a page that cannot be had is an `EFAULT` of the
/// read and no SIGBUS, and nothing that other processes do to the file matters here.
#[derive(Debug)]
pub struct Landing(Mapping);

impl Landing {
    /// Maps the first `len` bytes of `file`. Processes forked later do not inherit the mapping.
    ///
    /// # Errors
    /// What `mmap(2)` says; `EINVAL` for `len` 0.
    pub fn new(file: impl AsFd, len: usize) -> Result<Self> {
        let fd = file.as_fd().as_raw_fd();
        let failed = |error: Error| error.arg(Arg::Fd(fd)).arg(Arg::Num(len as u64));
        let mapping = Mapping::new(Some(file.as_fd()), len).map_err(failed)?;
        // SAFETY: the range is the mapping just made. That it is not inherited changes nothing here.
        if unsafe { libc::madvise(mapping.start.as_ptr(), len, libc::MADV_DONTFORK) } != 0 {
            return Err(failed(Error::last("madvise")));
        }
        Ok(Self(mapping))
    }

    /// Reads from `from` into the bytes `first` of the file and, when these are full, into `second`.
    /// Returns how many bytes; 0 at the end of `from`.
    ///
    /// # Errors
    /// What `readv(2)` says; `EFAULT` for a range that is not mapped.
    pub fn read(&self, from: impl AsFd, first: Range<usize>, second: Range<usize>) -> Result<usize> {
        let fd = from.as_fd().as_raw_fd();
        let failed = |error: Error| error.arg(Arg::Fd(fd));
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 2];
        for (part, range) in parts.iter_mut().zip([first, second]) {
            if range.start > range.end || range.end > self.0.len {
                return Err(failed(Error::new("readv", Errno::FAULT)));
            }
            part.iov_base = self.0.start.as_ptr().wrapping_byte_add(range.start);
            part.iov_len = range.len();
        }
        // SAFETY: both parts lie in the mapping, which lives as long as `self`, and to which there is
        // no reference; the kernel writes there as any other process might that has the file.
        let read = unsafe { libc::readv(fd, parts.as_ptr(), 2) };
        usize::try_from(read).map_err(|_| failed(Error::last("readv")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use rustix::pipe::pipe;

    #[test]
    fn what_is_read_is_in_the_file() {
        let file = memfd_create("landing", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, 10).unwrap();
        let landing = Landing::new(&file, 10).unwrap();
        let (reader, writer) = pipe().unwrap();
        rustix::io::write(&writer, b"abcdefg").unwrap();
        assert_eq!(landing.read(&reader, 7..10, 0..2).unwrap(), 5);
        let mut seen = [0; 10];
        assert_eq!(rustix::io::pread(&file, &mut seen, 0), Ok(10));
        assert_eq!(&seen, b"de\0\0\0\0\0abc");
        drop(writer);
        assert_eq!(landing.read(&reader, 0..1, 1..3).unwrap(), 2);
        assert_eq!(landing.read(&reader, 0..1, 1..3).unwrap(), 0);
    }

    #[test]
    fn what_is_not_there_is_no_crash() {
        let file = memfd_create("landing", MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(Landing::new(&file, 0).unwrap_err().errno(), Errno::INVAL);
        let landing = Landing::new(&file, 8192).unwrap();
        let (reader, writer) = pipe().unwrap();
        rustix::io::write(&writer, b"abc").unwrap();
        let errno = |first, second| landing.read(&reader, first, second).unwrap_err().errno();
        assert_eq!(errno(0..3, 0..0), Errno::FAULT, "the file has no such byte");
        assert_eq!(errno(8000..8193, 0..0), Errno::FAULT);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
        let backwards = 5..3;
        assert_eq!(errno(0..0, backwards), Errno::FAULT);
    }
}
