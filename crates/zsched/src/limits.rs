//! Resource limits of a zone: those that a kernel gives its init, not those of the shell that zoneadm happened to be
//! started from. Set with the host's privileges, since the zone's root may not raise a limit.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const UNLIMITED: Option<u64> = None;
const MIB: u64 = 1 << 20;

/// Sets the limits of the calling process to those of a zone's first process.
///
/// # Errors
/// What `setrlimit(2)` says.
pub(crate) fn of_first_process() -> Result<(), Errno> {
    // What the kernel gives its own first process: half of the threads that the machine may have.
    let half = threads_max().map(|threads| threads / 2);
    let wanted = [
        (Resource::Core, Some(0), UNLIMITED),
        (Resource::Cpu, UNLIMITED, UNLIMITED),
        (Resource::Data, UNLIMITED, UNLIMITED),
        (Resource::Fsize, UNLIMITED, UNLIMITED),
        (Resource::As, UNLIMITED, UNLIMITED),
        (Resource::Rss, UNLIMITED, UNLIMITED),
        (Resource::Locks, UNLIMITED, UNLIMITED),
        (Resource::Rttime, UNLIMITED, UNLIMITED),
        (Resource::Nice, Some(0), Some(0)),
        (Resource::Rtprio, Some(0), Some(0)),
        (Resource::Nproc, half, half),
        (Resource::Sigpending, half, half),
        (Resource::Msgqueue, Some(800 * 1024), Some(800 * 1024)),
        (Resource::Stack, Some(8 * MIB), UNLIMITED),
        (Resource::Memlock, Some(8 * MIB), Some(8 * MIB)),
        // The kernel's own hard limit is 4096, which init systems raise; in a user namespace they
        // may not, so the zone gets what they would raise it to.
        (Resource::Nofile, Some(1024), Some(512 * 1024)),
    ];
    wanted.into_iter().try_for_each(|(resource, soft, hard)| set(resource, soft, hard))
}

/// Sets the limits of the process that makes a zone's user namespace. Four of them bind all processes of that namespace
/// taken together, for ever (`create_user_ns` in the kernel's user_namespace.c): pending signals, message queues and locked
/// memory, of which a zone may have as much as one user of the host, and processes, which the pids controller bounds.
///
/// # Errors
/// What `setrlimit(2)` says.
pub(crate) fn of_user_namespace() -> Result<(), Errno> {
    of_first_process()?;
    set(Resource::Nproc, UNLIMITED, UNLIMITED)
}

fn set(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Result<(), Errno> {
    let limit = Rlimit { current: soft, maximum: hard };
    if setrlimit(resource, limit) != Err(Errno::PERM) {
        return Ok(());
    }
    // Not allowed to raise the hard limit: keep it, and the soft one below it.
    let maximum = getrlimit(resource).maximum;
    let current = match (soft, maximum) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (soft, hard) => soft.or(hard),
    };
    setrlimit(resource, Rlimit { current, maximum })
}

/// How many threads the machine may have; `None` (no limit) if the kernel does not tell.
fn threads_max() -> Option<u64> {
    let path = c"/proc/sys/kernel/threads-max";
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = [0; 32];
    let n = rustix::io::read(&file, &mut text).ok()?;
    std::str::from_utf8(&text[..n]).ok()?.trim().parse().ok()
}
