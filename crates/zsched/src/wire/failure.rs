//! Why a request failed: at which point, which of several, and the kernel's word.

use rustix::io::Errno;

/// At which point a request failed, mostly the making of a zone. A number stays what it is.
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
    /// The request needs a protocol that zsched does not speak, or comes from a client that is too old for it;
    /// the failure's index is the protocol that zsched speaks.
    Protocol,
    Namespace,
    /// There is no room for another connection; nothing was read from it.
    Accept,
    /// One that this program does not know.
    Other = u32::MAX,
}

impl Stage {
    pub(super) const ALL: [Stage; 33] = [
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
        Stage::Protocol,
        Stage::Namespace,
        Stage::Accept,
        Stage::Other,
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
            Stage::PrivateMounts => "could not make the mounts the zone's own",
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
            Stage::Protocol => "zsched does not speak the protocol of this message",
            Stage::Namespace => "could not enter a namespace that was given to the zone",
            Stage::Accept => "zsched has no room for another connection",
            Stage::Other => "zsched refused, for a reason that only a newer program can name",
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

    /// Its numbers: stage, index, errno.
    #[must_use]
    pub fn numbers(self) -> [u32; 3] {
        [self.stage as u32, self.index, self.errno.raw_os_error().cast_unsigned()]
    }

    /// The failure of these numbers; `None` if the last is no error's. A stage of a later protocol is another one.
    #[must_use]
    pub fn of_numbers([number, index, errno]: [u32; 3]) -> Option<Self> {
        let stage = Stage::ALL.into_iter().find(|stage| *stage as u32 == number).unwrap_or(Stage::Other);
        // The kernel's error numbers end below 4096; another number is not one, and is not taken for one.
        let errno = i32::try_from(errno).ok().filter(|errno| (1..4096).contains(errno))?;
        Some(Self { stage, index, errno: Errno::from_raw_os_error(errno) })
    }
}
