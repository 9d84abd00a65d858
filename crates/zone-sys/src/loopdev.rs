//! Loop devices: a file of the host as a disk (loop(4)).
//!
//! All of them clear themselves: when the last who has a device open is gone, a mount included, its file is let go. So
//! there is nothing to remove after whoever made it was killed.

use crate::{Arg, Error, Result};
use linux_raw_sys::loop_device as raw;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// How often another program may take the free device that we were told of.
const TRIES: usize = 64;

/// A loop device that is open: as long as it is, it keeps its file.
#[derive(Debug)]
pub struct Loop {
    fd: OwnedFd,
    number: u32,
}

/// What a device has for its disk: the file by device and inode, and whether the device can only be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backing {
    /// The device of the file, as stat(2) numbers it.
    pub device: u64,
    /// The inode of the file.
    pub inode: u64,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// Whether the device is as [`Loop::make`] makes them: of the whole file, and one that clears itself.
    pub is_plain: bool,
}

impl Loop {
    /// Makes a device of a file.
    ///
    /// # Errors
    /// `ENOENT` on a host without loop devices; else what open(2) and ioctl(2) say.
    pub fn make(file: BorrowedFd<'_>, read_only: bool) -> Result<Self> {
        Self::make_beside(file, read_only, &[])
    }

    /// Makes a device of a file, and not one of these numbers, be they free.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub fn make_beside(file: BorrowedFd<'_>, read_only: bool, taken: &[u32]) -> Result<Self> {
        let control = open("/dev/loop-control", OFlags::RDWR)?;
        let mut from = 0;
        for _ in 0..TRIES {
            // SAFETY: the call has no argument and writes nothing.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), request(raw::LOOP_CTL_GET_FREE)) };
            let Ok(free) = u32::try_from(number) else {
                return Err(Error::last("ioctl").arg(Arg::Word("LOOP_CTL_GET_FREE")));
            };
            // Those behind the first that is free may be in use, or not be there yet.
            let number = (free.max(from)..u32::MAX).find(|number| !taken.contains(number)).unwrap_or(free);
            if number != free {
                add(control.as_fd(), number)?;
                from = number + 1;
            }
            // One that is open for reading only can only be read ever after.
            let flags = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
            let made = open(&path(number), flags).and_then(|fd| {
                let device = Self { fd, number };
                device.configure(file, read_only).map(|()| device)
            });
            match made {
                // Somebody else has it by now, or has had it and it is about to be free again.
                Err(error) if matches!(error.errno(), Errno::BUSY | Errno::NXIO) => {}
                done => return done,
            }
        }
        Err(Error::new("ioctl", Errno::BUSY).arg(Arg::Word("LOOP_CONFIGURE")))
    }

    fn configure(&self, file: BorrowedFd<'_>, read_only: bool) -> Result<()> {
        // SAFETY: the structure is numbers only, of which none is none.
        let mut config: raw::loop_config = unsafe { std::mem::zeroed() };
        config.fd = file.as_raw_fd().unsigned_abs();
        config.info.lo_flags = raw::LO_FLAGS_AUTOCLEAR as u32;
        if read_only {
            config.info.lo_flags |= raw::LO_FLAGS_READ_ONLY as u32;
        }
        // SAFETY: the kernel reads the structure, which outlives the call; both descriptors are borrowed for it.
        let ret =
            unsafe { libc::ioctl(self.fd.as_raw_fd(), request(raw::LOOP_CONFIGURE), &raw const config) };
        if ret == 0 { Ok(()) } else { Err(Error::last("ioctl").arg(Arg::Word("LOOP_CONFIGURE"))) }
    }

    /// Opens a device by its number; `None` if there is none or it has no file.
    ///
    /// # Errors
    /// What open(2) and ioctl(2) say.
    pub fn open(number: u32) -> Result<Option<(Self, Backing)>> {
        let fd = match open(&path(number), OFlags::RDONLY) {
            Ok(fd) => fd,
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NXIO) => return Ok(None),
            Err(error) => return Err(error),
        };
        // SAFETY: the structure is numbers only, of which none is none.
        let mut info: raw::loop_info64 = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes a structure of this size to this place, which outlives the call.
        let ret = unsafe { libc::ioctl(fd.as_raw_fd(), request(raw::LOOP_GET_STATUS64), &raw mut info) };
        if ret != 0 {
            let error = Error::last("ioctl").arg(Arg::Word("LOOP_GET_STATUS64"));
            return if error.errno() == Errno::NXIO { Ok(None) } else { Err(error) };
        }
        let has = |flag: u32| info.lo_flags & flag != 0;
        let read_only = has(raw::LO_FLAGS_READ_ONLY as u32);
        let is_whole = (info.lo_offset, info.lo_sizelimit) == (0, 0);
        let is_plain = is_whole && has(raw::LO_FLAGS_AUTOCLEAR as u32);
        // The kernel encodes the number of a device as stat(2) does.
        let backing = Backing { device: info.lo_device, inode: info.lo_inode, read_only, is_plain };
        Ok(Some((Self { fd, number }, backing)))
    }

    /// The device's number: it is `/dev/loopN`.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        path(self.number)
    }
}

impl AsFd for Loop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Has there be a device of this number.
fn add(control: BorrowedFd<'_>, number: u32) -> Result<()> {
    // SAFETY: the argument of the call is a number.
    let ret =
        unsafe { libc::ioctl(control.as_raw_fd(), request(raw::LOOP_CTL_ADD), libc::c_ulong::from(number)) };
    let error = Error::last("ioctl").arg(Arg::Word("LOOP_CTL_ADD"));
    if ret >= 0 || error.errno() == Errno::EXIST { Ok(()) } else { Err(error) }
}

fn path(number: u32) -> String {
    format!("/dev/loop{number}")
}

/// The type of a request differs between C libraries.
fn request(number: u32) -> libc::Ioctl {
    number as libc::Ioctl
}

fn open(path: &str, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| Error::new("open", errno).arg(Arg::Word("a loop device")))
}
