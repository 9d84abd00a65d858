//! Copying the contents of one file to another, as cheaply as the file systems allow.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::target::Target;
use crate::error::Error;
use crate::progress::Meter;

/// Between two looks at the cancel flag.
const CHUNK: u64 = 8 << 20;

/// What the pair of file systems turned out not to be able to do, so that it is not tried for each file.
#[derive(Debug, Default)]
pub(super) struct Copier {
    no_reflink: bool,
    no_kernel_copy: bool,
}

impl Copier {
    /// Copies `size` bytes: by sharing the blocks (`FICLONE`), else inside the kernel, else through a buffer.
    /// Holes stay holes.
    pub(super) fn copy(
        &mut self,
        from: &File,
        to: &File,
        size: u64,
        entry: &Path,
        target: &mut Target,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        if size == 0 {
            return Ok(());
        }
        if !self.no_reflink {
            match rustix::fs::ioctl_ficlone(to, from) {
                Ok(()) => {
                    target.grew(0, size, entry)?;
                    return meter.add(size, entry);
                }
                Err(Errno::NOSPC | Errno::DQUOT) => return Err(target.fault("copy", entry, Errno::NOSPC)),
                Err(_) => self.no_reflink = true,
            }
        }
        let fault = |target: &Target, errno: Errno| target.fault("copy", entry, errno);
        let mut position = 0;
        while position < size {
            let start = match rustix::fs::seek(from, SeekFrom::Data(position)) {
                Ok(start) => start.min(size),
                Err(Errno::NXIO) => size,
                Err(Errno::INVAL) => position,
                Err(errno) => return Err(fault(target, errno)),
            };
            let end = match rustix::fs::seek(from, SeekFrom::Hole(start)) {
                Ok(end) => end.min(size),
                Err(Errno::NXIO | Errno::INVAL) => size,
                Err(errno) => return Err(fault(target, errno)),
            };
            meter.add(start - position, entry)?;
            self.extent(from, to, start, end, entry, target, meter)?;
            position = end;
        }
        to.set_len(size).map_err(|source| target.fault("copy", entry, source))
    }

    /// Copies the bytes from `start` to `end`; a file that shrinks meanwhile ends early.
    #[expect(clippy::too_many_arguments, reason = "one extent of one file, with what reports on it")]
    fn extent(
        &mut self,
        from: &File,
        to: &File,
        start: u64,
        end: u64,
        entry: &Path,
        target: &mut Target,
        meter: &mut Meter<'_>,
    ) -> Result<(), Error> {
        let mut at = start;
        while at < end {
            let want = (end - at).min(CHUNK);
            let copied = match self.kernel_copy(from, to, at, want) {
                Some(result) => result.map_err(|errno| target.fault("copy", entry, errno))?,
                None => through_buffer(from, to, at, want)
                    .map_err(|source| target.fault("copy", entry, source))?,
            };
            if copied == 0 {
                break;
            }
            at += copied;
            target.grew(0, copied, entry)?;
            meter.add(copied, entry)?;
        }
        Ok(())
    }

    fn kernel_copy(&mut self, from: &File, to: &File, at: u64, want: u64) -> Option<Result<u64, Errno>> {
        if self.no_kernel_copy {
            return None;
        }
        let (mut read_at, mut write_at) = (at, at);
        let length = usize::try_from(want).ok()?;
        match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), length) {
            Ok(copied) => Some(Ok(copied as u64)),
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                self.no_kernel_copy = true;
                None
            }
            Err(errno) => Some(Err(errno)),
        }
    }
}

fn through_buffer(from: &File, to: &File, at: u64, want: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; usize::try_from(want.min(1 << 20)).unwrap_or(1 << 20)];
    let got = from.read_at(&mut buffer, at)?;
    to.write_all_at(&buffer[..got], at)?;
    Ok(got as u64)
}
