//! What the platform needs of the kernel, asked before anything is built.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsmount,
    fsopen, move_mount, open_tree,
};
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
        /// The system call that is missing, by name.
        feature: &'static str,
        /// What zones need it for, to be put after "for".
        purpose: &'static str,
        /// The first version that has it.
        since: &'static str,
        /// The version that runs, as uname(1) says it.
        running: String,
    },
    /// It has no seccomp filters, or whoever confines us keeps us from having any.
    #[error(
        "this kernel has no seccomp filters, without which no zone runs: boot one built with CONFIG_SECCOMP_FILTER, or if this is a container, let its seccomp profile allow seccomp(2)"
    )]
    NoSeccomp,
    /// It was built without user namespaces.
    #[error(
        "this kernel has no user namespaces, without which no zone runs: boot one built with CONFIG_USER_NS"
    )]
    NoUserNamespaces,
    /// It was built without time namespaces.
    #[error(
        "this kernel has no time namespaces, which uptime=zone needs: boot one built with CONFIG_TIME_NS, or set uptime=host"
    )]
    NoTimeNamespaces,
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

/// No kernel has one of these and lacks one that is older, but the seccomp profile of a container may. `CLONE_INTO_CGROUP`
/// (5.7) came before one of these; `cgroup.kill` (5.14) is a file, missed when the cgroup is made.
const FEATURES: [Feature; 10] = [
    Feature {
        call: "mount_setattr",
        purpose: "id-mapped mounts",
        since: "5.12",
        probe: || {
            // Nothing set and nothing cleared: the kernel returns at once.
            set_attr(root()?.as_fd(), MountAttr::empty(), MountAttr::empty(), false)
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
    Feature {
        call: "clone3",
        purpose: "making their first processes",
        since: "5.3",
        probe: || zone_sys::clone::probe().map_err(|error| error.errno()),
    },
    Feature {
        call: "open_tree",
        purpose: "mounts that are made before anything is changed",
        since: "5.2",
        probe: || open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC).map(drop),
    },
    Feature {
        call: "move_mount",
        purpose: "putting their mounts together",
        since: "5.2",
        // Nothing has no name.
        probe: || move_mount(CWD, "", CWD, "", MoveMountFlags::empty()),
    },
    Feature {
        call: "fsopen",
        purpose: "file systems of their own",
        since: "5.2",
        probe: || fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map(drop),
    },
    Feature {
        call: "fsconfig",
        purpose: "file systems of their own",
        since: "5.2",
        // A directory is no file system that is being made.
        probe: || fsconfig_create(root()?.as_fd()),
    },
    Feature {
        call: "fsmount",
        purpose: "file systems of their own",
        since: "5.2",
        probe: || fsmount(root()?.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map(drop),
    },
];

/// The root directory, for probes that want a descriptor.
fn root() -> Result<OwnedFd, Errno> {
    openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

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
    zone_sys::seccomp::probe().map_err(|_| KernelError::NoSeccomp)?;
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
