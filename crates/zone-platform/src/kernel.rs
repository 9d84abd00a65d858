//! What the platform needs of the kernel, asked before anything is built.

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use zone_sys::mount::{MountAttr, set_attr};

const USER_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";

/// A kernel that cannot carry zones.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A call that it does not have.
    #[error(
        "Linux {running} lacks {feature}, which zones need for {purpose}: boot Linux {since} or newer, or if this is a container, let its seccomp profile allow the call"
    )]
    Missing {
        /// The system call.
        feature: &'static str,
        /// What for.
        purpose: &'static str,
        /// The first version that has it.
        since: &'static str,
        /// The running version.
        running: String,
    },
    /// It was built without user namespaces.
    #[error(
        "this kernel has no user namespaces, without which no zone runs: boot one built with CONFIG_USER_NS"
    )]
    NoUserNamespaces,
    /// They are switched off.
    #[error(
        "user namespaces are switched off on this host, and no zone runs without: say 'sysctl user.max_user_namespaces=10000'"
    )]
    UserNamespacesOff,
}

/// A probe gives `ENOSYS`, and nothing else does, when the call is missing. None of them changes anything.
struct Feature {
    call: &'static str,
    purpose: &'static str,
    since: &'static str,
    probe: fn() -> Result<(), Errno>,
}

/// What else is needed came before one of these: `clone3` with 5.3, `fsopen` and `open_tree` with 5.2, `CLONE_INTO_CGROUP`
/// with 5.7. `cgroup.kill` (5.14) is a file, missed when the cgroup is made.
const FEATURES: [Feature; 4] = [
    Feature {
        call: "mount_setattr",
        purpose: "id-mapped mounts",
        since: "5.12",
        probe: || {
            let root = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            // Nothing set and nothing cleared: the kernel returns at once.
            set_attr(root.as_fd(), MountAttr::empty(), MountAttr::empty(), false)
                .map_err(|error| error.errno())
        },
    },
    Feature {
        call: "close_range",
        purpose: "keeping the host's descriptors out of them",
        since: "5.11",
        // There is no descriptor of this number.
        probe: || zone_sys::process::cloexec_from(u32::MAX).map_err(|error| error.errno()),
    },
    Feature {
        call: "openat2",
        purpose: "staying inside their roots",
        since: "5.6",
        probe: || {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map(drop)
        },
    },
    Feature {
        call: "pidfd_open",
        purpose: "telling their processes from later ones",
        since: "5.3",
        probe: || pidfd_open(getpid(), PidfdFlags::empty()).map(drop),
    },
];

/// Asks for everything; the first thing that is missing is the error.
///
/// # Errors
/// [`KernelError`]
pub fn check() -> Result<(), KernelError> {
    for feature in &FEATURES {
        if (feature.probe)() == Err(Errno::NOSYS) {
            return Err(KernelError::Missing {
                feature: feature.call,
                purpose: feature.purpose,
                since: feature.since,
                running: release(),
            });
        }
    }
    match std::fs::read_to_string(USER_NAMESPACES) {
        Ok(limit) if limit.trim() == "0" => Err(KernelError::UserNamespacesOff),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(KernelError::NoUserNamespaces),
        _ => Ok(()),
    }
}

/// The running kernel's version, as uname(1) says it.
pub(crate) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_will_do() {
        check().unwrap();
        assert!(release().contains('.'));
    }

    #[test]
    fn the_sentence_names_call_kernel_and_remedy() {
        let error = KernelError::Missing {
            feature: "mount_setattr",
            purpose: "id-mapped mounts",
            since: "5.12",
            running: "5.10.0-8".to_owned(),
        };
        let text = error.to_string();
        assert!(
            text.starts_with("Linux 5.10.0-8 lacks mount_setattr") && text.contains("5.12 or newer"),
            "{text}"
        );
    }
}
