//! What the sides say to each other: a letter, the length of what follows, and that.

use crate::CopyError;
use rustix::io::Errno;
use std::io::{ErrorKind, Read, Write};

/// The most bytes of a file in one message.
pub(crate) const CHUNK: usize = 128 * 1024;
/// The longest name.
const MOST_NAME: usize = 255;
/// The longest target of a link.
const MOST_TARGET: usize = 4095;
/// The most bytes of a message.
const MOST: usize = CHUNK + 64;

/// When a file was changed last: seconds, nanoseconds.
pub(crate) type Time = (i64, u32);

/// What the sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Say {
    /// A directory begins, which is answered.
    Directory { name: Vec<u8>, mode: u32 },
    /// A file, which is answered; its bytes follow if they are wanted.
    File { name: Vec<u8>, mode: u32, size: u64, time: Time },
    /// A symbolic link, which is answered.
    Link { name: Vec<u8>, target: Vec<u8> },
    /// Where in the file its bytes begin: where the part ends that the receiver has, or at 0.
    Begins(u64),
    /// Bytes of the file.
    Bytes(Vec<u8>),
    /// The end of the file, which is answered; with what kept it from being read, or 0.
    End(u32),
    /// The directory has ended.
    Up,
    /// Something could not be read.
    Unread { name: Vec<u8>, errno: u32 },
    /// Something is left out.
    LeftOut { name: Vec<u8> },
    /// That was all, which is answered.
    Over,
}

/// What the receiver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was done as asked.
    Fine,
    /// It is there already.
    Have,
    /// The bytes are wanted, from here on if those before it have this sum ([`crate::partial::sum`]).
    From { there: u64, sum: u64 },
    /// It cannot be made; go on with the next.
    Refused(u32),
    /// That could not be written, and nothing is taken any more.
    Stop { errno: u32, path: Vec<u8> },
}

/// The name, if it is one that leads nowhere. The first one of all may be a full stop: what is in the directory.
pub(crate) fn is_name(name: &[u8]) -> bool {
    (1..=MOST_NAME).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

impl Say {
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<(), CopyError> {
        let mut body = Vec::new();
        let tag = match self {
            Self::Directory { name, mode } => {
                body.extend_from_slice(&mode.to_le_bytes());
                body.extend_from_slice(name);
                b'D'
            }
            Self::File { name, mode, size, time } => {
                body.extend_from_slice(&mode.to_le_bytes());
                body.extend_from_slice(&size.to_le_bytes());
                body.extend_from_slice(&time.0.to_le_bytes());
                body.extend_from_slice(&time.1.to_le_bytes());
                body.extend_from_slice(name);
                b'F'
            }
            Self::Link { name, target } => {
                body.push(u8::try_from(name.len()).unwrap_or_default());
                body.extend_from_slice(name);
                body.extend_from_slice(target);
                b'L'
            }
            Self::Begins(offset) => {
                body.extend_from_slice(&offset.to_le_bytes());
                b'G'
            }
            Self::Bytes(bytes) => return write(out, b'B', bytes),
            Self::End(errno) => {
                body.extend_from_slice(&errno.to_le_bytes());
                b'E'
            }
            Self::Up => b'U',
            Self::Unread { name, errno } => {
                body.extend_from_slice(&errno.to_le_bytes());
                body.extend_from_slice(name);
                b'X'
            }
            Self::LeftOut { name } => {
                body.extend_from_slice(name);
                b'S'
            }
            Self::Over => b'O',
        };
        write(out, tag, &body)
    }

    pub(crate) fn read(from: &mut impl Read) -> Result<Self, CopyError> {
        let (tag, body) = read(from)?;
        let mut rest = Rest(&body);
        let said = match tag {
            b'D' => Self::Directory { mode: rest.number()?, name: rest.0.to_vec() },
            b'F' => Self::File {
                mode: rest.number()?,
                size: rest.long()?,
                time: (i64::from_le_bytes(rest.take()?), rest.number()?),
                name: rest.0.to_vec(),
            },
            b'L' => {
                let [length] = rest.take()?;
                let (name, target) = rest.0.split_at_checked(length.into()).ok_or(WRONG)?;
                Self::Link { name: name.to_vec(), target: target.to_vec() }
            }
            b'G' => Self::Begins(rest.long()?),
            b'B' if !body.is_empty() => Self::Bytes(body),
            b'E' => Self::End(rest.number()?),
            b'U' => Self::Up,
            b'X' => Self::Unread { errno: rest.number()?, name: rest.0.to_vec() },
            b'S' => Self::LeftOut { name: rest.0.to_vec() },
            b'O' => Self::Over,
            _ => return Err(WRONG),
        };
        said.check().map(|()| said)
    }

    /// Whether it can be meant.
    fn check(&self) -> Result<(), CopyError> {
        let fine = match self {
            Self::Directory { name, .. } => is_name(name) || name == b".",
            Self::File { name, time, .. } => is_name(name) && time.1 < 1_000_000_000,
            Self::LeftOut { name } => is_name(name),
            Self::Link { name, target } => {
                is_name(name) && (1..=MOST_TARGET).contains(&target.len()) && !target.contains(&0)
            }
            // Of where the copy begins it is a path; it is shown and nothing else.
            Self::Unread { name, .. } => name.len() <= MOST_TARGET,
            Self::Begins(_) | Self::Bytes(_) | Self::End(_) | Self::Up | Self::Over => true,
        };
        if fine { Ok(()) } else { Err(CopyError::Protocol("a name that is none")) }
    }
}

impl Answer {
    pub(crate) fn write(&self, out: &mut impl Write) -> Result<(), CopyError> {
        let mut body = Vec::new();
        let tag = match self {
            Self::Fine => b'y',
            Self::Have => b'h',
            Self::From { there, sum } => {
                body.extend_from_slice(&there.to_le_bytes());
                body.extend_from_slice(&sum.to_le_bytes());
                b'f'
            }
            Self::Refused(errno) => {
                body.extend_from_slice(&errno.to_le_bytes());
                b'n'
            }
            Self::Stop { errno, path } => {
                body.extend_from_slice(&errno.to_le_bytes());
                body.extend_from_slice(path);
                b'q'
            }
        };
        write(out, tag, &body)?;
        out.flush().map_err(|error| broken(&error))
    }

    pub(crate) fn read(from: &mut impl Read) -> Result<Self, CopyError> {
        let (tag, body) = read(from)?;
        let mut rest = Rest(&body);
        Ok(match tag {
            b'y' => Self::Fine,
            b'h' => Self::Have,
            b'f' => Self::From { there: rest.long()?, sum: rest.long()? },
            b'n' => Self::Refused(rest.number()?),
            b'q' => Self::Stop { errno: rest.number()?, path: rest.0.to_vec() },
            _ => return Err(WRONG),
        })
    }
}

const WRONG: CopyError = CopyError::Protocol("a message that is none");

/// An error's number for the other side.
pub(crate) fn number(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}

/// The error of that number, which the other side has chosen.
pub(crate) fn errno(number: u32) -> Errno {
    let known = i32::try_from(number).ok().filter(|number| (1..4096).contains(number));
    known.map_or(Errno::PROTO, Errno::from_raw_os_error)
}

fn write(out: &mut impl Write, tag: u8, body: &[u8]) -> Result<(), CopyError> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut head = [tag; 5];
    head[1..].copy_from_slice(&length.to_le_bytes());
    out.write_all(&head).and_then(|()| out.write_all(body)).map_err(|error| broken(&error))
}

fn read(from: &mut impl Read) -> Result<(u8, Vec<u8>), CopyError> {
    let mut head = [0; 5];
    from.read_exact(&mut head).map_err(|error| broken(&error))?;
    let [tag, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(WRONG);
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).map_err(|error| broken(&error))?;
    Ok((tag, body))
}

pub(crate) fn broken(error: &std::io::Error) -> CopyError {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => CopyError::Gone,
        _ => CopyError::Pipe(Errno::from_io_error(error).unwrap_or(Errno::IO)),
    }
}

/// What is left of a message.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CopyError> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(WRONG)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u32, CopyError> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, CopyError> {
        self.take().map(u64::from_le_bytes)
    }
}
