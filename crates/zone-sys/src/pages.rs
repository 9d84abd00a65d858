//! Memory in whole pages that can be given back to the kernel and stay usable.

use crate::{Arg, Error, Result};
use rustix::io::Errno;
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Anonymous memory, all zero, of which only the pages that are used are ever memory. Whatever the C library's allocator does with
/// what is freed, this is known to be gone after [`Pages::give_back`].
#[derive(Debug)]
pub struct Pages {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through this value alone.
unsafe impl Send for Pages {}
// SAFETY: without a mutable reference it is only read.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps `len` bytes of zeroes.
    ///
    /// # Errors
    /// What `mmap(2)` says; `EINVAL` for `len` 0.
    pub fn new(len: usize) -> Result<Self> {
        let failed = |error: Error| error.arg(Arg::Num(len as u64));
        // SAFETY: the kernel chooses an address at which nothing is mapped.
        let start = unsafe {
            let (access, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(failed(Error::last("mmap")));
        }
        let start = NonNull::new(start).ok_or_else(|| failed(Error::new("mmap", Errno::INVAL)))?;
        Ok(Self { start, len })
    }

    /// Gives all of it back to the kernel; it is zero again. Does nothing where the kernel refuses that, as it does for memory that
    /// is locked.
    pub fn give_back(&mut self) {
        // SAFETY: the range is the mapping that `new` made, nothing refers into it, and any contents are valid bytes.
        unsafe { libc::madvise(self.start.as_ptr(), self.len, libc::MADV_DONTNEED) };
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `len` readable bytes, which nobody writes while this borrow lasts.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` writable bytes, and this borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping that `new` made, and nothing refers to it.
        unsafe { libc::munmap(self.start.as_ptr(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_zero_again() {
        let mut pages = Pages::new(3 * 4096).unwrap();
        assert!(pages.iter().all(|byte| *byte == 0));
        pages[5000] = 7;
        assert_eq!(pages[5000], 7);
        pages.give_back();
        assert_eq!((pages.len(), pages[5000]), (3 * 4096, 0));
        pages[0] = 1;
        assert_eq!(pages[0], 1);
        assert_eq!(Pages::new(0).unwrap_err().errno(), Errno::INVAL);
    }
}
