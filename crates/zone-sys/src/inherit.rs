//! What a process inherits from whoever typed the command, put back to fixed values.
//!
//! A zone must be the same whoever boots it, from whatever shell, cron job or service, and a login the same
//! whoever enters: `ulimit`, `nice`, `chrt`, `taskset` and their like in the caller's session are the
//! caller's own affair. So one function, [`reset`], is called by everything that is started for longer than
//! the command that starts it: the daemon, zsched, the zone's first process, each login and command. It
//! works both ways: what a process of the zone did to itself is not carried to a daemon either.
//!
//! | attribute | becomes |
//! |---|---|
//! | resource limits | what the kernel gives its own first process ([`limits`]) |
//! | scheduling policy, nice value, utilization clamps | `SCHED_OTHER`, 0, none |
//! | I/O priority | none: it follows the nice value |
//! | CPU affinity | all processors that the cgroup allows |
//! | NUMA memory policy | the default |
//! | OOM score adjustment | 0 in a zone, less for what keeps one ([`Role`]) |
//! | timer slack | 50 microseconds |
//! | personality | `PER_LINUX`, no flag |
//! | securebits | none |
//! | transparent huge pages | allowed |
//! | umask | 022 |
//! | signal dispositions and mask | default, empty |
//!
//! Environment, descriptors, session, terminal, keyring and cgroup belong to whoever starts the process.
//! `no_new_privs` cannot be taken back, so with it nothing is started: programs that are set-uid would
//! silently not be so in the zone.

use crate::{Error, signal};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::CStr;
use std::fmt;

/// The timer slack of a process that nobody has given another, in nanoseconds (the kernel's `init_task`).
const TIMER_SLACK: libc::c_ulong = 50_000;
/// `IOPRIO_WHO_PROCESS` of ioprio_set(2).
const IOPRIO_WHO_PROCESS: libc::c_long = 1;
/// `MPOL_DEFAULT` of set_mempolicy(2).
const MPOL_DEFAULT: libc::c_long = 0;
/// As many processors as any kernel is built for.
const MOST_PROCESSORS: usize = 8192;

/// What the process is going to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A process of a zone, whose crashes are no affair of the host's ([`limits`]).
    Zone,
    /// A process of the host that keeps a zone.
    Host {
        /// How much less than others it is to be ended when memory runs out (proc_pid_oom_score_adj(5)).
        oom_score_adj: i16,
    },
}

/// One thing that a process inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // each is named by `text`
pub enum Attribute {
    Nofile = 1,
    Nproc,
    Fsize,
    Core,
    Cpu,
    Data,
    AddressSpace,
    Stack,
    Rss,
    Memlock,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    Rttime,
    Scheduling,
    IoPriority,
    Affinity,
    MemoryPolicy,
    OomScore,
    TimerSlack,
    Personality,
    Securebits,
    HugePages,
    NoNewPrivileges,
}

impl Attribute {
    const ALL: [Self; 26] = [
        Self::Nofile,
        Self::Nproc,
        Self::Fsize,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::AddressSpace,
        Self::Stack,
        Self::Rss,
        Self::Memlock,
        Self::Locks,
        Self::Sigpending,
        Self::Msgqueue,
        Self::Nice,
        Self::Rtprio,
        Self::Rttime,
        Self::Scheduling,
        Self::IoPriority,
        Self::Affinity,
        Self::MemoryPolicy,
        Self::OomScore,
        Self::TimerSlack,
        Self::Personality,
        Self::Securebits,
        Self::HugePages,
        Self::NoNewPrivileges,
    ];

    /// The attribute with this number (`as u8`), if there is one: for those who send it over a socket.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| *attribute as u8 == number)
    }

    /// Names the attribute as the manual pages do.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Nofile => "the limit of open files (RLIMIT_NOFILE)",
            Self::Nproc => "the limit of processes (RLIMIT_NPROC)",
            Self::Fsize => "the limit of file size (RLIMIT_FSIZE)",
            Self::Core => "the limit of core dumps (RLIMIT_CORE)",
            Self::Cpu => "the limit of processor time (RLIMIT_CPU)",
            Self::Data => "the limit of data segments (RLIMIT_DATA)",
            Self::AddressSpace => "the limit of address space (RLIMIT_AS)",
            Self::Stack => "the limit of stacks (RLIMIT_STACK)",
            Self::Rss => "the limit of resident memory (RLIMIT_RSS)",
            Self::Memlock => "the limit of locked memory (RLIMIT_MEMLOCK)",
            Self::Locks => "the limit of file locks (RLIMIT_LOCKS)",
            Self::Sigpending => "the limit of pending signals (RLIMIT_SIGPENDING)",
            Self::Msgqueue => "the limit of message queues (RLIMIT_MSGQUEUE)",
            Self::Nice => "the limit of the nice value (RLIMIT_NICE)",
            Self::Rtprio => "the limit of real-time priority (RLIMIT_RTPRIO)",
            Self::Rttime => "the limit of real-time processor time (RLIMIT_RTTIME)",
            Self::Scheduling => "the scheduling policy and nice value",
            Self::IoPriority => "the I/O priority",
            Self::Affinity => "the CPU affinity",
            Self::MemoryPolicy => "the NUMA memory policy",
            Self::OomScore => "the OOM score adjustment",
            Self::TimerSlack => "the timer slack",
            Self::Personality => "the personality",
            Self::Securebits => "the securebits",
            Self::HugePages => "the switch for transparent huge pages",
            Self::NoNewPrivileges => "the flag no_new_privs",
        }
    }
}

/// Reports an attribute that could not be put back. Made without allocating, in a freshly cloned child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inherited {
    /// The attribute that stays as it was inherited.
    pub attribute: Attribute,
    /// What the kernel answered.
    pub errno: Errno,
}

impl fmt::Display for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.attribute.text();
        if self.attribute == Attribute::NoNewPrivileges {
            return write!(
                f,
                "{what} is set here and cannot be taken back, so that no set-uid program would work: run this \
                 where it is not set"
            );
        }
        write!(
            f,
            "{what}, inherited from whoever runs this, cannot be put back to its default: run this where it \
             was not changed, or with the capability that it takes (CAP_SYS_RESOURCE for limits, CAP_SYS_NICE)"
        )
    }
}

impl std::error::Error for Inherited {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.errno)
    }
}

/// A resource limit of the table.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    attribute: Attribute,
    resource: Resource,
    /// The soft limit; `None` is unlimited.
    soft: Option<u64>,
    /// The hard limit.
    hard: Option<u64>,
    /// The least hard limit that is put up with where the kernel lets nobody raise it.
    least: Option<u64>,
}

impl Limit {
    /// Gives the hard limit in bytes, of the row for locked memory only.
    #[must_use]
    pub fn memlock(&self) -> Option<u64> {
        self.hard.filter(|_| self.attribute == Attribute::Memlock)
    }
}

/// Gives the resource limits: what a kernel gives its first process, but for open files, where its hard limit
/// of 4096 would be raised by every init system, and in a user namespace may not be. `threads` is
/// `kernel.threads-max`, from which the kernel computes two of them; `dumps` says whether a core dump is the
/// process's own.
///
/// One that the host would take is none for a zone to cause: 1 is the one limit with which the kernel makes none
/// (`do_coredump`), while 0 is no limit for a pipe.
#[must_use]
pub fn limits(threads: u64, dumps: bool) -> [Limit; 16] {
    const UNLIMITED: Option<u64> = None;
    const MIB: u64 = 1 << 20;
    let row = |attribute, resource, soft, hard, least| Limit { attribute, resource, soft, hard, least };
    let half = Some(threads / 2);
    let (core, most_core, least_core) =
        if dumps { (Some(0), UNLIMITED, Some(0)) } else { (Some(1), Some(1), Some(1)) };
    [
        row(Attribute::Nofile, Resource::Nofile, Some(1024), Some(512 * 1024), Some(1024)),
        row(Attribute::Nproc, Resource::Nproc, half, half, Some(1024.min(threads / 2))),
        row(Attribute::Fsize, Resource::Fsize, UNLIMITED, UNLIMITED, UNLIMITED),
        row(Attribute::Core, Resource::Core, core, most_core, least_core),
        row(Attribute::Cpu, Resource::Cpu, UNLIMITED, UNLIMITED, UNLIMITED),
        row(Attribute::Data, Resource::Data, UNLIMITED, UNLIMITED, UNLIMITED),
        row(Attribute::AddressSpace, Resource::As, UNLIMITED, UNLIMITED, UNLIMITED),
        row(Attribute::Stack, Resource::Stack, Some(8 * MIB), UNLIMITED, Some(8 * MIB)),
        row(Attribute::Rss, Resource::Rss, UNLIMITED, UNLIMITED, Some(0)),
        row(Attribute::Memlock, Resource::Memlock, Some(8 * MIB), Some(8 * MIB), Some(64 << 10)),
        row(Attribute::Locks, Resource::Locks, UNLIMITED, UNLIMITED, Some(0)),
        row(Attribute::Sigpending, Resource::Sigpending, half, half, Some(1024.min(threads / 2))),
        row(Attribute::Msgqueue, Resource::Msgqueue, Some(819_200), Some(819_200), Some(0)),
        row(Attribute::Nice, Resource::Nice, Some(0), Some(0), Some(0)),
        row(Attribute::Rtprio, Resource::Rtprio, Some(0), Some(0), Some(0)),
        row(Attribute::Rttime, Resource::Rttime, UNLIMITED, UNLIMITED, UNLIMITED),
    ]
}

/// Puts everything back that the calling process has inherited, as the table at the head of this module says. To be called with the host's `/proc` in reach and before the
/// process enters another user namespace, where it may raise nothing any more. Allocates nothing and takes no
/// lock, so it may be called between a clone and an exec.
///
/// Where the kernel does not let a hard limit be raised (no `CAP_SYS_RESOURCE`), one stays that is enough to
/// work with.
///
/// # Errors
/// The first attribute that cannot be put back.
pub fn reset(role: Role) -> Result<(), Inherited> {
    signal::reset_all();
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    new_privileges()?;
    let (dumps, oom_score_adj) = match role {
        Role::Zone => (dumps_to_itself(), 0),
        Role::Host { oom_score_adj } => (true, oom_score_adj),
    };
    for limit in &limits(threads_max(), dumps) {
        set_limit(limit).map_err(|errno| Inherited { attribute: limit.attribute, errno })?;
    }
    let failed = |attribute| move |errno| Inherited { attribute, errno };
    // The policy before the slack: a real-time task has none.
    scheduling().map_err(failed(Attribute::Scheduling))?;
    affinity().map_err(failed(Attribute::Affinity))?;
    call(|| {
        // SAFETY: plain numbers; 0 is the calling thread, and "no class".
        unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) }
    })
    .map_err(failed(Attribute::IoPriority))?;
    match call(|| {
        // SAFETY: MPOL_DEFAULT takes no mask: a null pointer and a length of none.
        unsafe { libc::syscall(libc::SYS_set_mempolicy, MPOL_DEFAULT, std::ptr::null::<u64>(), 0) }
    }) {
        // A kernel without it, or a host that keeps it from everybody: then nobody has set one.
        Ok(()) | Err(Errno::NOSYS | Errno::PERM) => {}
        Err(errno) => return Err(failed(Attribute::MemoryPolicy)(errno)),
    }
    oom_score(oom_score_adj).map_err(failed(Attribute::OomScore))?;
    prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK).map_err(failed(Attribute::TimerSlack))?;
    prctl(libc::PR_SET_THP_DISABLE, 0).map_err(failed(Attribute::HugePages))?;
    prctl(libc::PR_SET_SECUREBITS, 0).map_err(failed(Attribute::Securebits))?;
    personality(0).map_err(failed(Attribute::Personality))
}

/// Refuses a process that can never gain privileges by an exec, nor can any child of it.
fn new_privileges() -> Result<(), Inherited> {
    // SAFETY: PR_GET_NO_NEW_PRIVS takes no argument and touches no memory.
    let set = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) };
    if set == 1 {
        Err(Inherited { attribute: Attribute::NoNewPrivileges, errno: Errno::PERM })
    } else {
        Ok(())
    }
}

fn set_limit(limit: &Limit) -> Result<(), Errno> {
    let wanted = Rlimit { current: limit.soft, maximum: limit.hard };
    match setrlimit(limit.resource, wanted) {
        // Not allowed to raise the hard limit: keep it if it will do, and the soft one below it.
        Err(Errno::PERM) => {
            let now = getrlimit(limit.resource).maximum;
            if is_below(now, limit.least) {
                return Err(Errno::PERM);
            }
            let lower = |a: Option<u64>, b: Option<u64>| if is_below(a, b) { a } else { b };
            let maximum = lower(now, limit.hard);
            setrlimit(limit.resource, Rlimit { current: lower(limit.soft, maximum), maximum })
        }
        done => done,
    }
}

/// Whether one limit is lower than another; `None` is unlimited.
fn is_below(one: Option<u64>, other: Option<u64>) -> bool {
    one.unwrap_or(u64::MAX) < other.unwrap_or(u64::MAX)
}

/// The kernel's bound of threads, from which it computed its own limits; those of this process where it
/// cannot be read.
fn threads_max() -> u64 {
    let threads = number(c"/proc/sys/kernel/threads-max");
    if threads > 0 { threads } else { getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX) }
}

/// Whether a core dump of a process of a zone goes to a file inside the zone.
#[must_use]
pub fn dumps_to_itself() -> bool {
    let mut pattern = [0; 128];
    goes_inside(read(c"/proc/sys/kernel/core_pattern", &mut pattern), number(c"/proc/sys/fs/suid_dumpable"))
}

/// Whether a dump to this pattern (core(5)) goes to a file inside: not to a program of the host's or to its socket,
/// nor to a file of the host's, which is what set-uid programs dump to where `fs.suid_dumpable` is 2.
fn goes_inside(pattern: &[u8], suid_dumpable: u64) -> bool {
    match pattern.first() {
        Some(b'|' | b'@') => false,
        Some(b'/') => suid_dumpable != 2,
        _ => true,
    }
}

/// A number that the kernel tells; 0 if it does not.
fn number(path: &CStr) -> u64 {
    let mut text = [0; 24];
    let digits = read(path, &mut text).iter().take_while(|c| c.is_ascii_digit());
    digits.fold(0, |number: u64, c| number.saturating_mul(10).saturating_add((c - b'0').into()))
}

/// What there is in a file of the kernel's; nothing if it cannot be read.
fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    let read = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::read(&file, &mut *buffer));
    &buffer[..read.unwrap_or(0)]
}

/// The first fields of the kernel's `struct sched_attr` (sched_setattr(2)).
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

fn scheduling() -> Result<(), Errno> {
    /// `SCHED_FLAG_UTIL_CLAMP`: both bounds.
    const CLAMP: u64 = 0x60;
    let size = u32::try_from(size_of::<SchedAttr>()).unwrap_or_default();
    // SCHED_OTHER and nice 0 are zeros; a clamp of -1 takes the bound away.
    let with_clamp =
        SchedAttr { size, flags: CLAMP, util_min: u32::MAX, util_max: u32::MAX, ..SchedAttr::default() };
    let set = |attr: &SchedAttr| {
        call(|| {
            // SAFETY: the kernel reads `size` bytes of the struct, which is as long; 0 is the calling thread.
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attr), 0) }
        })
    };
    match set(&with_clamp) {
        // A kernel that has no clamps has none to take away.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::TOOBIG) => {
            set(&SchedAttr { size, ..SchedAttr::default() })
        }
        done => done,
    }
}

fn affinity() -> Result<(), Errno> {
    let all = [u8::MAX; MOST_PROCESSORS / 8];
    call(|| {
        // SAFETY: the kernel reads as many bytes of the mask as it is long; 0 is the calling thread.
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, all.len(), all.as_ptr()) }
    })
}

fn oom_score(wanted: i16) -> Result<(), Errno> {
    let number = rustix::path::DecInt::new(wanted);
    let write = |bytes: &[u8]| {
        openat(CWD, c"/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| rustix::io::write(&file, bytes))
    };
    match write(number.as_bytes()) {
        // To be spared is a wish that not every host grants: then at least as everybody else.
        Err(Errno::ACCESS) if wanted < 0 => match write(b"0") {
            Ok(_) | Err(Errno::ACCESS) => Ok(()),
            Err(errno) => Err(errno),
        },
        Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> Result<(), Errno> {
    call(|| {
        // SAFETY: the options used here take one number and touch no memory.
        libc::c_long::from(unsafe { libc::prctl(option, value, 0, 0, 0) })
    })
}

fn personality(wanted: libc::c_ulong) -> Result<(), Errno> {
    call(|| {
        // SAFETY: a plain number; no memory is touched.
        libc::c_long::from(unsafe { libc::personality(wanted) })
    })
}

fn call(make: impl FnOnce() -> libc::c_long) -> Result<(), Errno> {
    if make() >= 0 { Ok(()) } else { Err(Error::last("").errno()) }
}

#[cfg(test)]
mod tests;
