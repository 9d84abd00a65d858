//! Resource limits of a zone: those that a kernel gives its init, not those of the shell that zoneadm happened to be
//! started from. Set with the host's privileges, since the zone's root may not raise a limit.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::CStr;

const UNLIMITED: Option<u64> = None;
const MIB: u64 = 1 << 20;

/// Sets the limits of the calling process to those of a zone's first process.
///
/// # Errors
/// What `setrlimit(2)` says.
pub(crate) fn of_first_process() -> Result<(), Errno> {
    // What the kernel gives its own first process: half of the threads that the machine may have.
    let half = number(c"/proc/sys/kernel/threads-max").map(|threads| threads / 2);
    let mut pattern = [0; 128];
    let pattern = read(c"/proc/sys/kernel/core_pattern", &mut pattern).unwrap_or_default();
    let (core, most_core) = core(pattern, number(c"/proc/sys/fs/suid_dumpable"));
    let wanted = [
        (Resource::Core, core, most_core),
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

/// The limits of a core dump, soft and hard, where the kernel dumps to `pattern` (core(5)). A dump to a file is one inside the
/// zone, and the zone's to choose. A dump to a program of the host's or to its socket is not for a zone to cause: 1 is the one
/// limit with which the kernel makes none (`do_coredump`), while 0 is no limit for a pipe. Nor is a file of the host's, which
/// is what set-uid programs dump to where `fs.suid_dumpable` is 2.
fn core(pattern: &[u8], suid_dumpable: Option<u64>) -> (Option<u64>, Option<u64>) {
    match pattern.first() {
        Some(b'|' | b'@') => (Some(1), Some(1)),
        Some(b'/') if suid_dumpable == Some(2) => (Some(1), Some(1)),
        _ => (Some(0), UNLIMITED),
    }
}

/// A number that the kernel tells; `None` if it does not.
fn number(path: &CStr) -> Option<u64> {
    std::str::from_utf8(read(path, &mut [0; 32])?).ok()?.trim().parse().ok()
}

fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = crate::steps::open_read(path).ok()?;
    let n = rustix::io::read(&file, &mut *buffer).ok()?;
    Some(&buffer[..n])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_of_the_hosts_runs_for_a_crash_in_a_zone() {
        let (none, files) = ((Some(1), Some(1)), (Some(0), UNLIMITED));
        for (pattern, suid_dumpable, limits) in [
            ("|/usr/lib/systemd/systemd-coredump %P %u", 2, none),
            ("|/usr/share/apport/apport %p", 0, none),
            ("@/run/coredump.socket", 0, none),
            ("core", 0, files),
            ("core.%p", 2, files),
            ("/var/crash/core.%p", 0, files),
            ("/var/crash/core.%p", 2, none),
            ("", 0, files),
        ] {
            assert_eq!(core(pattern.as_bytes(), Some(suid_dumpable)), limits, "{pattern}");
        }
    }
}
