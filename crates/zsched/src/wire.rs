//! The messages between zsched and its clients.
//!
//! Transport: a `SOCK_SEQPACKET` Unix socket, one message a packet, descriptors by `SCM_RIGHTS`.
//! All integers are little-endian. A request starts with its [`Op`] (`u32`); every request gets one
//! reply, in order. An attached daemon also gets events between replies.
//!
//! Nothing here allocates: zsched reads and writes these in place.

use rustix::io::Errno;

/// The most bytes that a message may have.
pub const MAX_MESSAGE: usize = 48 * 1024;
/// Bytes that a daemon may leave with an incarnation and read back later.
pub const NOTE: usize = 32;
/// The bytes of a reply or event.
pub const REPLY: usize = 112;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    /// The [`Status`], and nothing else.
    Status = 1,
    /// A new user namespace: the rest of the message is the text for `uid_map` and `gid_map`; the
    /// reply carries the namespace's descriptor.
    UserNamespace = 2,
    /// Make the zone's first process and let it build its platform; see [`Create`].
    Create = 3,
    /// Let the first process exec: the rest of the message is an exec block (`zone_sys::exec`).
    Boot = 4,
    /// Become the daemon: get events and the console's descriptors (manager, subsidiary, ring);
    /// zsched stops reading the console until this connection ends.
    Attach = 5,
    /// The pidfd of the first process and the cgroup's directory.
    Fds = 6,
    /// The zone is being stopped: `uniqid` follows.
    Stopping = 7,
    /// The end of incarnation `uniqid` (follows) has been dealt with and may be forgotten.
    Consume = 8,
    /// Take this pty pair (manager, subsidiary) for the old one.
    Console = 9,
    /// End; refused while a zone exists.
    Quit = 10,
}

impl Op {
    /// The operation of a message, if it names one.
    #[must_use]
    pub fn of(message: &[u8]) -> Option<Self> {
        const ALL: [Op; 10] = [
            Op::Status,
            Op::UserNamespace,
            Op::Create,
            Op::Boot,
            Op::Attach,
            Op::Fds,
            Op::Stopping,
            Op::Consume,
            Op::Console,
            Op::Quit,
        ];
        let number = u32::from_le_bytes(*message.first_chunk()?);
        ALL.into_iter().find(|op| *op as u32 == number)
    }
}

/// Where the zone is in its life, as zsched knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub enum Phase {
    /// No zone: only the console is kept.
    #[default]
    None = 0,
    /// The first process exists and waits.
    Ready = 1,
    /// The first process has exec'd init.
    Running = 2,
    /// Somebody is stopping it.
    Stopping = 3,
    /// The first process has ended; how is in [`Status::end`].
    Down = 4,
}

/// How a first process ended, as `waitid(2)` tells its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it. `SIGHUP`: the zone asked for a reboot; `SIGINT`: for halt or power-off
    /// (pid_namespaces(7)).
    Killed(i32),
}

/// All that zsched knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Where the zone is in its life.
    pub phase: Phase,
    /// Names this incarnation: never used twice. 0 when there is none.
    pub uniqid: u64,
    /// The first process, in the host's PID namespace; 0 when there is none.
    pub pid: i32,
    /// When it was made, in seconds since the epoch.
    pub since: u64,
    /// How it ended, in phase [`Phase::Down`].
    pub end: Option<End>,
    /// When it ended, in seconds since the epoch.
    pub ended: u64,
    /// What the daemon left with this incarnation.
    pub note: [u8; NOTE],
    /// zsched's own process id.
    pub keeper: i32,
}

/// At which point the making of a zone failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)] // each is named by `text`
pub enum Stage {
    Request = 1,
    Busy,
    NoZone,
    StaleUniqid,
    UserNamespace,
    CloneBuilder,
    Limits,
    PrivateMounts,
    AttachRoot,
    Pivot,
    OpenTarget,
    Attach,
    EnterUserNamespace,
    CloneFirst,
    Identity,
    Hostname,
    Loopback,
    Proc,
    Sysfs,
    Cgroup,
    Mqueue,
    Mask,
    ReadOnly,
    Capabilities,
    Console,
    Seccomp,
    Exec,
    Timeout,
    Lost,
}

impl Stage {
    const ALL: [Stage; 29] = [
        Stage::Request,
        Stage::Busy,
        Stage::NoZone,
        Stage::StaleUniqid,
        Stage::UserNamespace,
        Stage::CloneBuilder,
        Stage::Limits,
        Stage::PrivateMounts,
        Stage::AttachRoot,
        Stage::Pivot,
        Stage::OpenTarget,
        Stage::Attach,
        Stage::EnterUserNamespace,
        Stage::CloneFirst,
        Stage::Identity,
        Stage::Hostname,
        Stage::Loopback,
        Stage::Proc,
        Stage::Sysfs,
        Stage::Cgroup,
        Stage::Mqueue,
        Stage::Mask,
        Stage::ReadOnly,
        Stage::Capabilities,
        Stage::Console,
        Stage::Seccomp,
        Stage::Exec,
        Stage::Timeout,
        Stage::Lost,
    ];

    /// What was being done, to be put before "failed" or ": errno".
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Stage::Request => "malformed request to zsched",
            Stage::Busy => "a zone already exists",
            Stage::NoZone => "there is no such zone",
            Stage::StaleUniqid => "that incarnation of the zone is gone",
            Stage::UserNamespace => "could not make the user namespace",
            Stage::CloneBuilder => "could not make the mount namespace",
            Stage::Limits => "could not set the resource limits",
            Stage::PrivateMounts => "could not make the mounts private",
            Stage::AttachRoot => "could not attach the zone root",
            Stage::Pivot => "could not change to the zone root",
            Stage::OpenTarget => "not a valid mount point",
            Stage::Attach => "could not attach a mount",
            Stage::EnterUserNamespace => "could not enter the user namespace",
            Stage::CloneFirst => "could not make the namespaces",
            Stage::Identity => "could not become the zone's root user",
            Stage::Hostname => "could not set the host name",
            Stage::Loopback => "could not bring up the loopback interface",
            Stage::Proc => "mount of /proc failed",
            Stage::Sysfs => "mount of /sys failed",
            Stage::Cgroup => "mount of /sys/fs/cgroup failed",
            Stage::Mqueue => "mount of /dev/mqueue failed",
            Stage::Mask => "could not mask a path",
            Stage::ReadOnly => "could not make a path read-only",
            Stage::Capabilities => "could not drop capabilities",
            Stage::Console => "could not open /dev/console",
            Stage::Seccomp => "could not load the seccomp filter",
            Stage::Exec => "could not execute init",
            Stage::Timeout => "the zone's first process did not answer in time",
            Stage::Lost => "the zone's first process ended while it was being set up",
        }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// At which point.
    pub stage: Stage,
    /// Which of several (the attachment, the masked path), where that makes sense.
    pub index: u32,
    /// What the kernel said.
    pub errno: Errno,
}

impl Failure {
    /// A failure at `stage`.
    #[must_use]
    pub fn new(stage: Stage, errno: Errno) -> Self {
        Self { stage, index: 0, errno }
    }

    /// The same, of the `index`th of several.
    #[must_use]
    pub fn nth(stage: Stage, index: usize, errno: Errno) -> Self {
        Self { stage, index: u32::try_from(index).unwrap_or(u32::MAX), errno }
    }
}

/// A packet from zsched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The request was carried out; this is how things stand now.
    Done(Status),
    /// It was not.
    Failed(Failure),
    /// The first process ended (an event, only to an attached daemon).
    Ended(Status),
}

impl Reply {
    /// The packet's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; REPLY] {
        let mut out = [0; REPLY];
        let mut w = Writer(&mut out);
        match self {
            Reply::Done(status) | Reply::Ended(status) => {
                w.u32(if matches!(self, Reply::Done(_)) { 0 } else { 2 });
                w.u32(status.phase as u32);
                w.u64(status.uniqid);
                w.u64(status.since);
                w.u64(status.ended);
                w.i32(status.pid);
                w.i32(status.keeper);
                let (kind, value) = match status.end {
                    None => (0, 0),
                    Some(End::Exited(status)) => (1, status),
                    Some(End::Killed(signal)) => (2, signal),
                };
                w.u32(kind);
                w.i32(value);
                w.bytes(&status.note);
            }
            Reply::Failed(failure) => {
                w.u32(1);
                w.u32(failure.stage as u32);
                w.u32(failure.index);
                w.i32(failure.errno.raw_os_error());
            }
        }
        out
    }

    /// Reads a packet; `None` if it is none of ours.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let mut r = Reader(packet);
        let kind = r.u32()?;
        if kind == 1 {
            let number = r.u32()?;
            let stage = Stage::ALL.into_iter().find(|stage| *stage as u32 == number)?;
            let index = r.u32()?;
            let errno = errno(r.i32()?)?;
            return Some(Reply::Failed(Failure { stage, index, errno }));
        }
        let phase = match r.u32()? {
            0 => Phase::None,
            1 => Phase::Ready,
            2 => Phase::Running,
            3 => Phase::Stopping,
            4 => Phase::Down,
            _ => return None,
        };
        let (uniqid, since, ended) = (r.u64()?, r.u64()?, r.u64()?);
        let (pid, keeper) = (r.i32()?, r.i32()?);
        let end = match (r.u32()?, r.i32()?) {
            (0, _) => None,
            (1, status) => Some(End::Exited(status)),
            (2, signal) => Some(End::Killed(signal)),
            _ => return None,
        };
        let note = *r.0.first_chunk()?;
        let status = Status { phase, uniqid, pid, since, end, ended, note, keeper };
        match kind {
            0 => Some(Reply::Done(status)),
            2 => Some(Reply::Ended(status)),
            _ => None,
        }
    }
}

/// The kernel's error numbers end below 4096; another number is not one, and is not taken for one.
fn errno(number: i32) -> Option<Errno> {
    (1..4096).contains(&number).then(|| Errno::from_raw_os_error(number))
}

/// The request that makes a zone, as it lies in the message. Its descriptors are, in order: the
/// root mount, the cgroup's directory, the user namespace, then one mount for each target.
#[derive(Debug, Clone, Copy)]
pub struct Create<'a> {
    /// Kept with the incarnation.
    pub note: [u8; NOTE],
    /// The capabilities that may ever be had in the zone, one bit each.
    pub bounding: u64,
    /// The zone's host name.
    pub hostname: &'a [u8],
    /// Where each attachment goes: absolute paths inside the zone.
    pub targets: Strings<'a>,
    /// Paths that are covered: files by `/dev/null`, directories by nothing.
    pub masked: Strings<'a>,
    /// Paths that are made read-only.
    pub readonly: Strings<'a>,
    /// The seccomp program that init starts under.
    pub seccomp: &'a [u8],
}

/// How many descriptors of a [`Create`] come before those of the targets.
pub const CREATE_FDS: usize = 3;

impl<'a> Create<'a> {
    /// Reads the part of a message that follows its [`Op`].
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        let mut r = Reader(body);
        let note = *r.take(NOTE)?.first_chunk()?;
        let bounding = r.u64()?;
        let hostname = r.counted()?;
        let targets = Strings(r.counted()?);
        let masked = Strings(r.counted()?);
        let readonly = Strings(r.counted()?);
        let seccomp = r.counted()?;
        Some(Self { note, bounding, hostname, targets, masked, readonly, seccomp })
    }

    /// The message, op included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(&(Op::Create as u32).to_le_bytes());
        out.extend_from_slice(&self.note);
        out.extend_from_slice(&self.bounding.to_le_bytes());
        for part in [self.hostname, self.targets.0, self.masked.0, self.readonly.0, self.seccomp] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// Strings that lie one behind the other, each ended by NUL.
#[derive(Debug, Clone, Copy)]
pub struct Strings<'a>(pub &'a [u8]);

impl<'a> Strings<'a> {
    /// The strings in order.
    pub fn iter(self) -> impl Iterator<Item = &'a std::ffi::CStr> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let s = std::ffi::CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[s.count_bytes() + 1..];
            Some(s)
        })
    }

    /// Puts strings together for [`Strings`]; those with a NUL inside are cut there.
    #[must_use]
    pub fn join<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Vec<u8> {
        let mut out = Vec::new();
        for s in strings {
            out.extend(s.as_ref().bytes().take_while(|&b| b != 0));
            out.push(0);
        }
        out
    }
}

/// Writes integers one behind the other; what does not fit is not written.
pub(crate) struct Writer<'a>(pub(crate) &'a mut [u8]);

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some((head, rest)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = rest;
        }
    }
    fn u32(&mut self, n: u32) {
        self.bytes(&n.to_le_bytes());
    }
    fn i32(&mut self, n: i32) {
        self.bytes(&n.to_le_bytes());
    }
    fn u64(&mut self, n: u64) {
        self.bytes(&n.to_le_bytes());
    }
}

/// Reads integers one behind the other; `None` past the end.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }
    pub(crate) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }
    fn counted(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.u32()?).ok()?;
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_survive_the_wire() {
        let mut status =
            Status { phase: Phase::Down, uniqid: 9 << 40, pid: 77, since: 5, ended: 6, ..Status::default() };
        status.end = Some(End::Killed(1));
        status.note[31] = 3;
        let failure = Failure::nth(Stage::Attach, 4, Errno::INVAL);
        for reply in [Reply::Done(status), Reply::Ended(status), Reply::Failed(failure)] {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
            assert_eq!(Reply::decode(&reply.encode()[..12]), None);
        }
        for stage in Stage::ALL {
            let reply = Reply::Failed(Failure::new(stage, Errno::PERM));
            assert_eq!(Reply::decode(&reply.encode()), Some(reply), "{}", stage.text());
        }
        for number in [0, -1, 4096, i32::MIN] {
            let mut packet = Reply::Failed(failure).encode();
            packet[12..16].copy_from_slice(&i32::to_le_bytes(number));
            assert_eq!(Reply::decode(&packet), None, "no error has the number {number}");
        }
    }

    #[test]
    fn a_create_survives_the_wire_and_is_refused_when_cut() {
        let targets = Strings::join(["/dev", "/run"]);
        let create = Create {
            note: [7; NOTE],
            bounding: 1 << 21,
            hostname: b"web",
            targets: Strings(&targets),
            masked: Strings(b"/proc/kcore\0"),
            readonly: Strings(b""),
            seccomp: &[1; 16],
        };
        let message = create.encode();
        assert_eq!(Op::of(&message), Some(Op::Create));
        let back = Create::decode(&message[4..]).unwrap();
        assert_eq!(back.targets.iter().collect::<Vec<_>>(), [c"/dev", c"/run"]);
        assert_eq!((back.hostname, back.seccomp.len(), back.bounding), (&b"web"[..], 16, 1 << 21));
        for cut in 4..message.len() {
            assert!(Create::decode(&message[4..cut]).is_none());
        }
        assert_eq!(Op::of(&[99, 0, 0, 0]), None);
        assert_eq!(Op::of(&[1]), None);
    }
}
