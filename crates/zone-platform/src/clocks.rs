//! The clocks of a zone: with `uptime=zone` it is in a time namespace (time_namespaces(7), Linux 5.6) in which the monotonic
//! clock and that since boot begin when the zone does.
//!
//! The namespace belongs to the host's user namespace, and its offsets can no longer be changed once something is in it.

use std::fs;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use zone_sys::clone::Namespaces;
use zone_sys::namespace::unshare;

use crate::check::Check;
use crate::{Build, Failed, KernelError, PlatformError};

/// What a kernel with time namespaces has.
const PROBE: &str = "/proc/self/ns/time";

/// Looks whether the kernel has what is asked for.
pub(crate) fn look(check: &mut Check<'_>) -> Result<(), PlatformError> {
    if check.spec.own_uptime && !fs::exists(PROBE).is_ok_and(|there| there) {
        return Err(KernelError::NoTimeNamespaces.into());
    }
    Ok(())
}

/// Makes the namespace of the clocks.
pub(crate) fn bring_up(build: &mut Build<'_>) -> Result<(), PlatformError> {
    if build.spec.own_uptime {
        build.clocks = Some(make()?);
    }
    Ok(())
}

/// Makes a time namespace whose clocks begin now, in a thread of its own: what it unshares is for children that it never has.
fn make() -> Result<OwnedFd, Failed> {
    let work = || {
        const SUBJECT: &str = "the zone's time namespace";
        unshare(Namespaces::TIME).map_err(Failed::to("make", SUBJECT))?;
        let thread = format!("/proc/{}", gettid().as_raw_nonzero());
        let since = |clock| clock_gettime(clock).tv_sec;
        let (monotonic, boottime) = (since(ClockId::Monotonic), since(ClockId::Boottime));
        let offsets = format!("monotonic -{monotonic} 0\nboottime -{boottime} 0\n");
        fs::write(format!("{thread}/timens_offsets"), offsets)
            .map_err(Failed::to("set the clocks of", SUBJECT))?;
        let path = format!("{thread}/ns/time_for_children");
        openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(Failed::to("open", SUBJECT))
    };
    let joined = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("clocks".to_owned()).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    joined.map_err(Failed::to("start", "a thread"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_made_and_the_caller_stays_where_it_is() {
        zone_testing::needs_root!();
        let own = || fs::read_link("/proc/thread-self/ns/time_for_children").unwrap();
        let before = own();
        let made = rustix::fs::fstat(make().unwrap()).unwrap();
        assert_eq!(own(), before);
        assert_ne!(
            made.st_ino,
            fs::metadata(PROBE).map(|found| std::os::unix::fs::MetadataExt::ino(&found)).unwrap()
        );
    }
}
