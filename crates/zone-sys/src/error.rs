use rustix::io::Errno;
use std::fmt;

/// One argument of a failed call, kept without allocating so that errors can be made in a freshly
/// cloned child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arg {
    /// A file descriptor's number.
    Fd(i32),
    /// A number that needs no name.
    Num(u64),
    /// A set of flags, printed in hexadecimal.
    Flags(u64),
    /// A word known at compile time.
    Word(&'static str),
}

/// A failed system call: its name, up to three of its arguments, and the kernel's answer.
#[derive(Debug, Clone, Copy)]
pub struct Error {
    call: &'static str,
    args: [Option<Arg>; 3],
    errno: Errno,
}

/// The result of a call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `call` with no arguments shown.
    #[must_use]
    pub fn new(call: &'static str, errno: Errno) -> Self {
        Self { call, args: [None; 3], errno }
    }

    /// Adds an argument to what is shown; a fourth one is not kept.
    #[must_use]
    pub fn arg(mut self, arg: Arg) -> Self {
        if let Some(slot) = self.args.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(arg);
        }
        self
    }

    /// Gives what the kernel answered.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// The last `errno` of this thread, for calls made through libc.
    pub(crate) fn last(call: &'static str) -> Self {
        let raw = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Self::new(call, Errno::from_raw_os_error(raw))
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Fd(fd) => write!(f, "fd {fd}"),
            Arg::Num(n) => write!(f, "{n}"),
            Arg::Flags(bits) => write!(f, "{bits:#x}"),
            Arg::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call)?;
        for (i, arg) in self.args.iter().flatten().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{arg}")?;
        }
        f.write_str(") failed")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.errno)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        error.errno.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_strace() {
        let e = Error::new("mount_setattr", Errno::INVAL).arg(Arg::Fd(7)).arg(Arg::Flags(0x10_0000));
        assert_eq!(e.to_string(), "mount_setattr(fd 7, 0x100000) failed");
        assert_eq!(e.errno(), Errno::INVAL);
    }
}
