//! Memory in whole pages that can be given back to the kernel and stay usable.

use crate::mapping::Mapping;
use crate::{Arg, Result};
use std::ops::{Deref, DerefMut};

/// Anonymous memory, all zero, of which only the pages that are used are ever memory. Whatever the C library's allocator does with
/// what is freed, this is known to be gone after [`Pages::give_back`].
#[derive(Debug)]
pub struct Pages(Mapping);

impl Pages {
    /// Maps `len` bytes of zeroes.
    ///
    /// # Errors
    /// What `mmap(2)` says; `EINVAL` for `len` 0.
    pub fn new(len: usize) -> Result<Self> {
        Mapping::new(None, len).map(Self).map_err(|error| error.arg(Arg::Num(len as u64)))
    }

    /// Gives all of it back to the kernel; it is zero again. Does nothing where the kernel refuses that, as it does for memory that
    /// is locked.
    pub fn give_back(&mut self) {
        // SAFETY: the range is the mapping that `new` made, nothing refers into it, and any contents are valid bytes.
        unsafe { libc::madvise(self.0.start.as_ptr(), self.0.len, libc::MADV_DONTNEED) };
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `len` readable bytes, which nobody writes while this borrow lasts.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr().cast(), self.0.len) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` writable bytes, and this borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr().cast(), self.0.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

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
