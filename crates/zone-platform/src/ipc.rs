//! The limits of a zone's System V IPC: they stand in its IPC namespace, where what they bind is.
//!
//! They hold because the zone can neither write them nor leave them. Since Linux 6.9 the root of the user namespace that an IPC
//! namespace belongs to may write its limits, so that of a zone with limits is made here, and belongs to the host's. And the filter refuses
//! to make another one ([`Opened`](crate::seccomp::Opened)). Both are so from boot on: what a zone is given that was booted without limits
//! holds for certain after the next boot only.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Uid;
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use zone_config::ZoneConfig;
use zone_config::limits::size;
use zone_sys::clone::Namespaces;

use crate::change::Change;
use crate::{Build, Failed, PlatformError};

/// Where the kernel has them; a process sees those of its own namespace.
const DIRECTORY: &str = "/proc/sys/kernel";

/// A limit of a new IPC namespace: the kernel's file, the place of its number in it, and the number (linux/shm.h, msg.h, sem.h).
struct Limit {
    file: &'static str,
    place: usize,
    none: u64,
}

const LIMITS: [Limit; 4] = [
    Limit { file: "shmall", place: 0, none: u64::MAX - (1 << 24) },
    Limit { file: "shmmni", place: 0, none: 4096 },
    Limit { file: "msgmni", place: 0, none: 32_000 },
    Limit { file: "sem", place: 3, none: 32_000 },
];

/// Reads what a configuration asks for: the kernel's file and the number in it.
pub(crate) fn asked(config: &ZoneConfig) -> Vec<(String, u64)> {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let memory = config.max_shm_memory.as_deref().and_then(size).map(|bytes| bytes / page);
    let numbers = [memory, config.max_shm_ids, config.max_msg_ids, config.max_sem_ids];
    LIMITS.iter().zip(numbers).filter_map(|(limit, number)| Some((limit.file.to_owned(), number?))).collect()
}

/// Gives a zone that has limits its IPC namespace, which was made while the checks ran.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    if !build.spec.ipc.is_empty() {
        let (asked, root) = (&build.spec.ipc, build.base());
        build.ipc = Some(build.ipc_ahead.take().unwrap_or_else(|| in_thread(|| make(asked, root)))?);
    }
    Ok(())
}

/// Makes an IPC namespace with limits, in which the calling thread stays.
pub(crate) fn make(asked: &[(String, u64)], root: u32) -> Result<OwnedFd, Failed> {
    let failed = |error: zone_sys::Error| Failed::to("make", "an IPC namespace")(error.errno());
    zone_sys::namespace::unshare(Namespaces::IPC).map_err(failed)?;
    write_all(asked, root)?;
    let made = fs::File::open("/proc/thread-self/ns/ipc");
    Ok(made.map_err(Failed::to("open", "an IPC namespace"))?.into())
}

/// Gives the IPC namespace of a live zone other limits.
pub(crate) fn update(change: &mut Change<'_>) -> Result<(), PlatformError> {
    let (old, new) = change.specs();
    if old.ipc.is_empty() && new.ipc.is_empty() {
        return Ok(());
    }
    if old.ipc.is_empty() {
        let text = "the limits of System V IPC hold until the zone's root leaves them, for a zone that was booted without any \
                    can make other IPC namespaces: reboot it";
        change.warn(text.to_owned());
    }
    let namespace = change.namespace("ipc")?;
    let root = new.ids.map_or(0, |ids| ids.base);
    Ok(in_thread(|| {
        let kind = LinkNameSpaceType::InterProcessCommunication;
        move_into_link_name_space(namespace.as_fd(), Some(kind))
            .map_err(Failed::to("enter", "the zone's IPC namespace"))?;
        write_all(&new.ipc, root)
    })?)
}

/// Does something in a thread, which may go into another namespace than this one.
fn in_thread<T: Send>(work: impl FnOnce() -> Result<T, Failed> + Send) -> Result<T, Failed> {
    let joined = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("ipc".to_owned()).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    joined.map_err(Failed::to("start", "a thread"))?
}

/// Writes all limits of this thread's namespace, those that are not asked for as a new one has them.
fn write_all(asked: &[(String, u64)], root: u32) -> Result<(), Failed> {
    LIMITS.iter().try_for_each(|limit| {
        let asked = asked.iter().find(|(file, _)| file == limit.file);
        let path = format!("{DIRECTORY}/{}", limit.file);
        write(&path, limit.place, asked.map_or(limit.none, |(_, number)| *number), root)
            .map_err(Failed::to("write", path))
    })
}

/// Writes one of them, the others in its file as they are.
fn write(path: &str, place: usize, number: u64, root: u32) -> std::io::Result<()> {
    let text = fs::read_to_string(path)?;
    let mut numbers: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let Some(slot) = numbers.get_mut(place) else { return Err(Errno::PROTO.into()) };
    let number = number.to_string();
    if *slot == number {
        return Ok(());
    }
    *slot = number;
    // In a zone that was booted without limits the file belongs to its root since Linux 6.9, and the host's is nobody there. The
    // thread ends after this.
    if fs::metadata(path)?.uid() == root {
        let root = Uid::from_raw(root);
        rustix::thread::set_thread_res_uid(root, root, root)?;
    }
    fs::write(path, numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn asked_for(text: &str) -> Vec<(String, u64)> {
        asked(&ZoneConfig::parse(&format!("zonepath = \"/z\"\n{text}"), Path::new("f")).unwrap())
    }

    #[test]
    fn words_come_to_what_the_kernel_reads() {
        let all = "max-shm-memory = \"64M\"\nmax-shm-ids = 10\nmax-msg-ids = 20\nmax-sem-ids = 30\n";
        let page = u64::try_from(rustix::param::page_size()).unwrap();
        let wanted = [("shmall", (64 << 20) / page), ("shmmni", 10), ("msgmni", 20), ("sem", 30)];
        assert_eq!(asked_for(all), wanted.map(|(file, number)| (file.to_owned(), number)));
        assert!(asked_for("").is_empty());
    }

    #[test]
    fn a_namespace_gets_its_limits_and_loses_them() {
        zone_testing::needs_root!();
        let seen = std::thread::spawn(|| {
            // What is written next is written by this thread's own, which is in a namespace of its own.
            zone_sys::namespace::unshare(Namespaces::IPC).unwrap();
            let sem = || fs::read_to_string("/proc/sys/kernel/sem").unwrap();
            let before = sem();
            write("/proc/sys/kernel/sem", 3, 7, 0).unwrap();
            let during = sem();
            write("/proc/sys/kernel/sem", 3, 32_000, 0).unwrap();
            (before, during, sem())
        });
        let (before, during, after) = seen.join().unwrap();
        assert_eq!(before, after);
        assert_eq!(during.split_whitespace().last(), Some("7"));
        assert_eq!(before.split_whitespace().last(), Some("32000"), "that is what the table has");
    }
}
