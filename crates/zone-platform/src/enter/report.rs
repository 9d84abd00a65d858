//! What the processes inside tell the caller, one packet each.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::Errno;
use zone_sys::inherit::{Attribute, Inherited};

/// The most bytes of a packet; longer texts are cut.
pub(super) const MAX: usize = 1024;

/// A step on the way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // each is named by `text`
pub enum Stage {
    Report = 1,
    Isolate,
    Namespaces,
    Identity,
    Terminal,
    Pipes,
    Process,
    Session,
    Keyring,
    ControllingTerminal,
    Capabilities,
    Seccomp,
    User,
    Directory,
}

impl Stage {
    const ALL: [Self; 14] = [
        Self::Report,
        Self::Isolate,
        Self::Namespaces,
        Self::Identity,
        Self::Terminal,
        Self::Pipes,
        Self::Process,
        Self::Session,
        Self::Keyring,
        Self::ControllingTerminal,
        Self::Capabilities,
        Self::Seccomp,
        Self::User,
        Self::Directory,
    ];

    /// What was being done, to be put after "could not".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Report => "hear from the process in the zone",
            Self::Isolate => "close what the zone must not have",
            Self::Namespaces => "enter the zone's namespaces",
            Self::Identity => "become the zone's root user",
            Self::Terminal => "make a terminal in the zone's /dev/pts",
            Self::Pipes => "make pipes in the zone",
            Self::Process => "start a process in the zone",
            Self::Session => "start a session",
            Self::Keyring => "make a session keyring",
            Self::ControllingTerminal => "make the terminal the session's own",
            Self::Capabilities => "drop capabilities",
            Self::Seccomp => "load the seccomp filter",
            Self::User => "become the user",
            Self::Directory => "enter the zone's root directory",
        }
    }
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// The terminal's name; its manager side is attached.
    Terminal(String),
    /// The near ends of stdin, stdout and stderr are attached.
    Pipes,
    /// A step failed.
    Failed(Stage, Errno),
    /// Something of the caller's could not be put back to its default.
    Inherited(Inherited),
    /// There is nothing to execute.
    NoPlan(String),
    /// The program could not be executed.
    NotExecuted(Errno, OsString),
    /// The directory that was asked for could not be entered.
    NoDirectory(Errno, OsString),
}

impl Report {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Terminal(name) => {
                out.push(b'T');
                out.extend_from_slice(name.as_bytes());
            }
            Self::Pipes => out.push(b'P'),
            Self::Failed(stage, errno) => {
                out.extend_from_slice(&[b'F', *stage as u8]);
                out.extend_from_slice(&errno.raw_os_error().to_le_bytes());
            }
            Self::Inherited(Inherited { attribute, errno }) => {
                out.extend_from_slice(&[b'I', *attribute as u8]);
                out.extend_from_slice(&errno.raw_os_error().to_le_bytes());
            }
            Self::NoPlan(text) => {
                out.push(b'N');
                out.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(MAX - 1)]);
            }
            Self::NotExecuted(errno, path) | Self::NoDirectory(errno, path) => {
                out.push(if matches!(self, Self::NotExecuted(..)) { b'X' } else { b'D' });
                out.extend_from_slice(&errno.raw_os_error().to_le_bytes());
                out.extend_from_slice(path.as_bytes());
            }
        }
        out.truncate(MAX);
        out
    }

    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let (kind, body) = packet.split_first()?;
        let text = || String::from_utf8_lossy(body).into_owned();
        let errno = |bytes: &[u8]| Some(Errno::from_raw_os_error(i32::from_le_bytes(*bytes.first_chunk()?)));
        Some(match kind {
            b'T' => Self::Terminal(text()),
            b'P' => Self::Pipes,
            b'F' => {
                let stage = Stage::ALL.into_iter().find(|stage| Some(&(*stage as u8)) == body.first())?;
                Self::Failed(stage, errno(&body[1..])?)
            }
            b'I' => {
                let attribute = Attribute::from_number(*body.first()?)?;
                Self::Inherited(Inherited { attribute, errno: errno(&body[1..])? })
            }
            b'N' => Self::NoPlan(text()),
            b'X' => Self::NotExecuted(errno(body)?, OsString::from_vec(body[4..].to_vec())),
            b'D' => Self::NoDirectory(errno(body)?, OsString::from_vec(body[4..].to_vec())),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_survive() {
        let mut all = vec![
            Report::Terminal("pts/3".into()),
            Report::Pipes,
            Report::Inherited(Inherited { attribute: Attribute::Nofile, errno: Errno::PERM }),
            Report::NoPlan("no user 'x'".into()),
            Report::NotExecuted(Errno::NOENT, OsString::from_vec(vec![0xff, b'a'])),
            Report::NoDirectory(Errno::ACCESS, OsString::from_vec(vec![b'/', 0xff])),
        ];
        all.extend(Stage::ALL.map(|stage| Report::Failed(stage, Errno::PERM)));
        for report in all {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
        assert_eq!(Report::decode(b""), None);
        assert_eq!(Report::decode(b"F"), None);
        assert_eq!(Report::decode(b"I"), None);
        assert_eq!(Report::decode(b"X123"), None);
        assert_eq!(Report::decode(b"D123"), None);
        assert!(Report::NoPlan("ä".repeat(MAX)).encode().len() <= MAX);
    }
}
