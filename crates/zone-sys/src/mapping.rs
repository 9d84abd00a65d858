//! A range of memory that the kernel maps.

use crate::{Error, Result};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use std::ffi::c_void;
use std::ptr::NonNull;

/// A mapping for reading and writing, until it is dropped. What may refer into it is for whoever has it to see to.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) start: NonNull<c_void>,
    /// In bytes.
    pub(crate) len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nothing here refers into it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of a file, shared; without one `len` bytes of zeroes that are nobody else's.
    ///
    /// # Errors
    /// What `mmap(2)` says; `EINVAL` for `len` 0.
    pub(crate) fn new(file: Option<BorrowedFd<'_>>, len: usize) -> Result<Self> {
        let (flags, fd) = match file {
            Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
        };
        // SAFETY: the kernel chooses an address at which nothing is mapped.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(Error::last("mmap"));
        }
        let start = NonNull::new(start).ok_or_else(|| Error::new("mmap", Errno::INVAL))?;
        Ok(Self { start, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping that `new` made, and whoever had it is gone, with all that referred into it.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}
