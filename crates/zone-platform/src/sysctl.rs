//! The kernel's settings that a zone has for itself, as its configuration asks for them: written in its namespaces while its
//! first process waits, before anything of the zone runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fd::BorrowedFd;
use rustix::fs::Uid;
use rustix::io::Errno;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces, set_thread_res_uid};
use zone_config::{ZoneConfig, sysctl};

use crate::check::Check;
use crate::{Failed, PlatformError, Spec};

/// Where the kernel has them; a process sees those of its own namespaces.
const DIRECTORY: &str = "/proc/sys";

/// A setting that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// The kernel did not take it.
    #[error("sysctl {name}={value}: {reason}")]
    Refused {
        /// Its name.
        name: String,
        /// What was to be written.
        value: String,
        /// What that means, with the remedy.
        reason: &'static str,
        /// What the kernel answered.
        #[source]
        source: Errno,
    },
    /// A call to the system failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Reads what a configuration asks for: names and values, in order.
pub(crate) fn asked(config: &ZoneConfig) -> Vec<(String, String)> {
    config.sysctl.iter().map(|one| (one.name.clone(), one.value.clone())).collect()
}

/// Looks whether this kernel has them: those of links are there when the zone has its links.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    for (name, _) in &check.spec.sysctls {
        let of_link = [".conf.", ".neigh."].iter().any(|part| name.contains(part));
        if !of_link && !Path::new(DIRECTORY).join(sysctl::path(name)).exists() {
            check.warn(format!(
                "sysctl {name}: this kernel has no such setting, or not before a module is loaded"
            ));
        }
    }
    Ok(())
}

/// Writes the settings of a zone, whose first process is held by a pidfd, in a thread that enters its namespaces.
///
/// # Errors
/// [`SysctlError`], the first that could not be written.
pub fn put(pidfd: BorrowedFd<'_>, spec: &Spec) -> Result<(), SysctlError> {
    if spec.sysctls.is_empty() {
        return Ok(());
    }
    let base = spec.ids.map_or(0, |ids| ids.base);
    let work = || {
        let kinds = ThreadNameSpaceType::NETWORK
            | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
            | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
        move_into_thread_name_spaces(pidfd, kinds)
            .map_err(Failed::to("enter the namespaces of", &spec.zone))?;
        // Those that the zone's root must write itself come last: the thread is nobody else any more then.
        let of_ipc = |(name, _): &&(String, String)| !name.starts_with("net.") && name != "kernel.domainname";
        let (last, first): (Vec<_>, Vec<_>) = spec.sysctls.iter().partition(of_ipc);
        first.into_iter().chain(last).try_for_each(|(name, value)| write(name, value, base))
    };
    let joined = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sysctl".to_owned()).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    joined.map_err(Failed::to("start", "a thread"))?
}

fn write(name: &str, value: &str, base: u32) -> Result<(), SysctlError> {
    let path = Path::new(DIRECTORY).join(sysctl::path(name));
    let written = fs::metadata(&path).and_then(|found| {
        // Since Linux 6.9 the files of an IPC namespace belong to the zone's root, and the host's own is nobody there.
        if found.uid() == base && base != 0 && !name.starts_with("net.") {
            let root = Uid::from_raw(base);
            set_thread_res_uid(root, root, root)?;
        }
        fs::write(&path, value)
    });
    written.map_err(|error| {
        let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let reason = match source {
            Errno::NOENT => "a zone has no such setting on this kernel: take it out of the configuration, or give the zone the link that it is of",
            Errno::ACCESS | Errno::PERM | Errno::ROFS => "this kernel has it once for the whole machine: take it out of the configuration",
            Errno::INVAL | Errno::RANGE => "the kernel does not take this value",
            _ => "it cannot be written",
        };
        SysctlError::Refused { name: name.to_owned(), value: value.to_owned(), reason, source }
    })
}
